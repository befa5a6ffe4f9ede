//! Restore metadata: what GetRecoveryPointRestoreMetadata returns, which is not always accepted
//! back, and what StartRestoreJob takes of each type. Keys may be spelt in any case.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::state::Point;

type Metadata = BTreeMap<String, String>;

/// What a type takes.
struct Keys {
    required: &'static [&'static str],
    optional: &'static [&'static str],
}

const EBS: Keys = Keys {
    required: &["availabilityZone"],
    optional: &[
        "volumeId", "volumeType", "volumeSize", "iops", "throughput", "encrypted", "kmsKeyId",
        "temporaryRestoreDays",
    ],
};

const EC2: Keys = Keys {
    required: &["InstanceType", "SubnetId", "SecurityGroupIds"],
    optional: &[
        "VpcId", "IamInstanceProfileName", "BlockDeviceMappings", "RequireIMDSv2", "Placement",
        "CpuOptions", "DisableApiTermination", "DisableApiStop", "CreditSpecification",
        "CapacityReservationSpecification", "EbsOptimized", "EnclaveOptions", "HibernationOptions",
        "InstanceInitiatedShutdownBehavior", "Monitoring", "NetworkInterfaces",
        "ElasticInferenceAccelerators", "LicenseSpecifications", "Encrypted", "KmsKeyId",
    ],
};

const RDS: Keys = Keys {
    required: &["DBInstanceIdentifier"],
    optional: &[
        "DBInstanceClass", "Port", "AvailabilityZone", "DBSubnetGroupName", "MultiAZ",
        "PubliclyAccessible", "AutoMinorVersionUpgrade", "LicenseModel", "DBName", "Engine",
        "EngineVersion", "Iops", "StorageThroughput", "OptionGroupName", "StorageType",
        "VpcSecurityGroupIds", "Domain", "CopyTagsToSnapshot", "DomainIAMRoleName",
        "EnableIAMDatabaseAuthentication", "EnableCloudwatchLogsExports", "ProcessorFeatures",
        "UseDefaultProcessorFeatures", "DBParameterGroupName", "DeletionProtection",
        "NetworkType", "BackupTarget", "AllocatedStorage", "BackupRetentionPeriod",
        "PreferredBackupWindow", "MaxAllocatedStorage", "DedicatedLogVolume",
        "CACertificateIdentifier", "RestoreTime", "UseLatestRestorableTime",
        "SourceDbiResourceId", "KmsKeyId", "Encrypted", "vpcId",
    ],
};

const AURORA: Keys = Keys {
    required: &["DBClusterIdentifier", "Engine"],
    optional: &[
        "AvailabilityZones", "EngineVersion", "Port", "DBSubnetGroupName", "DatabaseName",
        "OptionGroupName", "VpcSecurityGroupIds", "KmsKeyId", "EnableIAMDatabaseAuthentication",
        "BacktrackWindow", "EnableCloudwatchLogsExports", "EngineMode", "ScalingConfiguration",
        "DBClusterParameterGroupName", "DeletionProtection", "CopyTagsToSnapshot", "Domain",
        "DomainIAMRoleName", "StorageType", "Iops", "PubliclyAccessible", "NetworkType",
        "ServerlessV2ScalingConfiguration", "RestoreTime", "Encrypted", "vpcId",
    ],
};

const S3: Keys = Keys {
    required: &["DestinationBucketName"],
    optional: &[
        "NewBucket", "Encrypted", "CreationToken", "EncryptionType", "KMSKey", "RestoreTime",
        "ItemsToRestore", "RestoreACLs",
    ],
};

const DYNAMODB: Keys = Keys {
    required: &["targetTableName"],
    optional: &[
        "originalTableName", "encryptionType", "kmsMasterKeyArn", "deletionProtection",
    ],
};

const EFS: Keys = Keys {
    required: &["newFileSystem", "Encrypted", "PerformanceMode"],
    optional: &[
        "file-system-id", "CreationToken", "KmsKeyId", "ItemsToRestore", "singleAzFilesystem",
        "availabilityZoneName",
    ],
};

/// A key's value, in any spelling of the key.
pub fn get<'a>(metadata: &'a Metadata, name: &str) -> Option<&'a str> {
    (metadata.iter())
        .find(|(key, _)| key.eq_ignore_ascii_case(name))
        .map(|(_, value)| value.as_str())
}

fn is_true(metadata: &Metadata, name: &str) -> bool {
    get(metadata, name).is_some_and(|value| value.eq_ignore_ascii_case("true"))
}

/// Why StartRestoreJob refuses it at once.
pub fn check(point: &Point, metadata: &Metadata) -> Result<(), String> {
    let keys = match point.kind.as_str() {
        "EBS" => EBS,
        "EC2" => EC2,
        "RDS" => RDS,
        "Aurora" => AURORA,
        "S3" => S3,
        "DynamoDB" => DYNAMODB,
        "EFS" => EFS,
        other => return Err(format!("{other} cannot be restored by this double.")),
    };
    let mut seen: Vec<String> = Vec::new();
    for key in metadata.keys() {
        let low = key.to_ascii_lowercase();
        if seen.contains(&low) {
            return Err(format!("The metadata has {key} twice."));
        }
        let known = (keys.required.iter().chain(keys.optional))
            .any(|known| known.eq_ignore_ascii_case(key));
        // The service's own mark; EFS takes nothing that it does not list.
        let own = low.starts_with("aws:backup:") && point.kind != "EFS";
        if !known && !own {
            return Err(format!("Invalid restore metadata: {key} is not a key of {}.", point.kind));
        }
        seen.push(low);
    }
    for key in keys.required {
        if get(metadata, key).is_none_or(str::is_empty) {
            return Err(format!("Invalid restore metadata: {key} is missing."));
        }
    }
    values(point, metadata)
}

/// What the values must be.
fn values(point: &Point, metadata: &Metadata) -> Result<(), String> {
    let unencrypted_key = |key: &str| {
        get(metadata, key).is_some_and(|value| !value.is_empty())
            && !is_true(metadata, "encrypted")
    };
    match point.kind.as_str() {
        "EBS" if unencrypted_key("kmsKeyId") => Err("kmsKeyId needs encrypted=true.".into()),
        "EFS" if unencrypted_key("KmsKeyId") => Err("KmsKeyId needs Encrypted=true.".into()),
        "EC2" => {
            json_list(metadata, "SecurityGroupIds")?;
            if let Some(mappings) = get(metadata, "BlockDeviceMappings") {
                devices(mappings)?;
            }
            match get(metadata, "IamInstanceProfileName") {
                Some(name)
                    if !name.is_empty()
                        && name != "UseBackedUpValue"
                        && Some(name) != point.word("profile") =>
                {
                    Err("IamInstanceProfileName is neither the original nor empty.".into())
                }
                _ => Ok(()),
            }
        }
        "RDS" | "Aurora" => match get(metadata, "VpcSecurityGroupIds") {
            Some(_) => json_list(metadata, "VpcSecurityGroupIds").map(drop),
            None => Ok(()),
        },
        "S3" => {
            let continuous = point.spec.get("continuous").and_then(Value::as_bool);
            if continuous == Some(true) && get(metadata, "RestoreTime").is_none() {
                return Err("RestoreTime is required for a continuous recovery point.".into());
            }
            one_of(metadata, "EncryptionType", &["original", "SSE-S3", "SSE-KMS"])?;
            if get(metadata, "EncryptionType") == Some("SSE-KMS")
                && get(metadata, "KMSKey").is_none()
            {
                return Err("KMSKey is required with SSE-KMS.".into());
            }
            match get(metadata, "ItemsToRestore") {
                Some(_) if json_list(metadata, "ItemsToRestore")?.len() > 5 => {
                    Err("ItemsToRestore has more than five items.".into())
                }
                _ => Ok(()),
            }
        }
        "DynamoDB" => {
            one_of(metadata, "encryptionType", &["Default", "KMS"])?;
            let by_key = get(metadata, "encryptionType") == Some("KMS");
            if by_key && get(metadata, "kmsMasterKeyArn").is_none() {
                return Err("kmsMasterKeyArn is required with encryptionType KMS.".into());
            }
            Ok(())
        }
        "EFS" => one_of(metadata, "PerformanceMode", &["generalPurpose", "maxIO"]),
        _ => Ok(()),
    }
}

fn one_of(metadata: &Metadata, key: &str, values: &[&str]) -> Result<(), String> {
    match get(metadata, key) {
        Some(value) if !values.contains(&value) => {
            Err(format!("{key} is {value}: it must be one of {}.", values.join(", ")))
        }
        _ => Ok(()),
    }
}

pub fn json_list(metadata: &Metadata, key: &str) -> Result<Vec<String>, String> {
    let text = get(metadata, key).unwrap_or_default();
    serde_json::from_str(text).map_err(|_| format!("{key} is no JSON array of strings."))
}

fn devices(text: &str) -> Result<(), String> {
    let all: Vec<Value> = serde_json::from_str(text)
        .map_err(|_| "BlockDeviceMappings is no JSON array.".to_owned())?;
    for device in &all {
        let ebs = device.get("Ebs").or_else(|| device.get("ebs"));
        let snapshot = ebs.and_then(|ebs| ebs.get("SnapshotId").or_else(|| ebs.get("snapshotId")));
        if snapshot.is_some() {
            return Err("BlockDeviceMappings may not name a SnapshotId.".into());
        }
    }
    Ok(())
}

/// Why the job fails, soon, although it was started.
pub fn fails(point: &Point, metadata: &Metadata) -> Option<String> {
    match point.kind.as_str() {
        "EC2" if get(metadata, "NetworkInterfaces").is_some_and(|text| text != "[]") => Some(
            "Network interfaces and an instance-level subnet ID may not be specified on the same \
             request"
                .into(),
        ),
        "EC2" => {
            let placement = get(metadata, "Placement").unwrap_or("{}");
            let zone = serde_json::from_str::<Value>(placement).ok()?;
            let zone = zone.get("AvailabilityZone")?.as_str()?.to_owned();
            let region = point.arn.split(':').nth(3)?;
            (!zone.is_empty() && !zone.starts_with(region))
                .then(|| format!("Invalid availability zone: [{zone}]"))
        }
        "RDS" if get(metadata, "DBSubnetGroupName").is_none_or(str::is_empty) => {
            Some("No default VPC for this user".into())
        }
        "Aurora" if get(metadata, "DBSubnetGroupName").is_none_or(str::is_empty) => {
            Some("No default subnet detected in VPC".into())
        }
        "Aurora" if get(metadata, "Engine") != point.word("engine") => {
            Some("The engine is not the snapshot's.".into())
        }
        "RDS" | "Aurora" => ["DBParameterGroupName", "DBClusterParameterGroupName", "OptionGroupName"]
            .into_iter()
            .filter_map(|key| get(metadata, key))
            .find(|group| !group.is_empty() && !group.starts_with("default"))
            .map(|group| format!("{group} was not found in this Region.")),
        "S3" if point.is_copy() && get(metadata, "EncryptionType") == Some("original") => Some(
            "The original encryption key cannot be used for a recovery point of another Region."
                .into(),
        ),
        "EFS" if !is_true(metadata, "newFileSystem") => {
            Some("The file system of the recovery point does not exist in this Region.".into())
        }
        "EFS" if get(metadata, "CreationToken").is_none_or(str::is_empty) => {
            Some("CreationToken is missing.".into())
        }
        _ => None,
    }
}

/// The keys that are named in it, for whoever may not use one.
pub fn kms_keys(metadata: &Metadata) -> Vec<String> {
    let mut keys: Vec<String> = ["kmsKeyId", "kmsMasterKeyArn", "KMSKey"]
        .into_iter()
        .filter_map(|name| get(metadata, name))
        .filter(|key| !key.is_empty())
        .map(str::to_owned)
        .collect();
    let mappings = get(metadata, "BlockDeviceMappings").unwrap_or("[]");
    for device in serde_json::from_str::<Vec<Value>>(mappings).unwrap_or_default() {
        let ebs = device.get("Ebs").or_else(|| device.get("ebs"));
        let key = ebs.and_then(|ebs| ebs.get("KmsKeyId").or_else(|| ebs.get("kmsKeyId")));
        keys.extend(key.and_then(Value::as_str).map(str::to_owned));
    }
    keys
}

/// What was written down when the backup was made: of the lost region, most of it.
pub fn returned(point: &Point) -> Value {
    let name = point.resource.rsplit(['/', ':']).next().unwrap_or_default();
    let home = point.resource.split(':').nth(3).unwrap_or_default();
    let zone = format!("{home}a");
    let mut out = match point.kind.as_str() {
        "EBS" => json!({
            "volumeId": name,
            "volumeType": "gp3",
            "volumeSize": super::make::gib(point).to_string(),
            "iops": "3000",
            "throughput": "125",
            "encrypted": point.encrypted.to_string(),
            "availabilityZone": null,
        }),
        "EC2" => json!({
            "InstanceType": point.word("instance_type").unwrap_or("m7g.large"),
            "SubnetId": "subnet-0a1b2c3d4e5f60718",
            "VpcId": "vpc-0a1b2c3d4e5f60718",
            "SecurityGroupIds": "[\"sg-0a1b2c3d4e5f60718\"]",
            "NetworkInterfaces": "[{\"DeviceIndex\":0,\"SubnetId\":\"subnet-0a1b2c3d4e5f60718\",\
                                   \"Groups\":[\"sg-0a1b2c3d4e5f60718\"]}]",
            "Placement": format!("{{\"AvailabilityZone\":\"{zone}\",\"Tenancy\":\"default\"}}"),
            "CpuOptions": "{\"CoreCount\":2,\"ThreadsPerCore\":1}",
            "CapacityReservationSpecification": "{\"CapacityReservationPreference\":\"open\"}",
            "DisableApiTermination": "true",
            "EbsOptimized": "true",
            "HibernationOptions": "{\"Configured\":false}",
            "IamInstanceProfileName": point.word("profile").unwrap_or_default(),
            "InstanceInitiatedShutdownBehavior": "stop",
            "Monitoring": "{\"State\":\"disabled\"}",
        }),
        "RDS" => json!({
            "DBInstanceIdentifier": name,
            "DBSnapshotIdentifier": point.arn.splitn(7, ':').last(),
            "DBInstanceClass": point.word("class").unwrap_or("db.m7g.large"),
            "DBSubnetGroupName": "production",
            "DBParameterGroupName": "production-postgres15",
            "OptionGroupName": "default:postgres-15",
            "VpcSecurityGroupIds": "[\"sg-0a1b2c3d4e5f60718\"]",
            "AvailabilityZone": zone,
            "Engine": point.word("engine").unwrap_or("postgres"),
            "InformationalOnly:EngineVersion": point.word("engine_version").unwrap_or("15.7"),
            "MultiAZ": "true",
            "DeletionProtection": "true",
            "Port": "5432",
            "PubliclyAccessible": "false",
            "StorageType": "gp3",
            "AutoMinorVersionUpgrade": "true",
            "CopyTagsToSnapshot": "true",
        }),
        "Aurora" => json!({
            "DBClusterIdentifier": name,
            "SnapshotIdentifier": point.arn.splitn(7, ':').last(),
            "AvailabilityZones": format!("[\"{home}a\",\"{home}b\",\"{home}c\"]"),
            "DBSubnetGroupName": "production",
            "DBClusterParameterGroupName": "production-aurora15",
            "VpcSecurityGroupIds": "[\"sg-0a1b2c3d4e5f60718\"]",
            "Engine": point.word("engine").unwrap_or("aurora-postgresql"),
            "EngineMode": "provisioned",
            "EngineVersion": point.word("engine_version").unwrap_or("15.4"),
            "DeletionProtection": "true",
            "Port": "5432",
        }),
        "S3" => json!({"EncryptionType": "original"}),
        "DynamoDB" => json!({"originalTableName": name, "encryptionType": "Default"}),
        "EFS" => json!({"file-system-id": name}),
        _ => json!({}),
    };
    if let Some(map) = out.as_object_mut() {
        map.insert("aws:backup:request-id".into(), json!("6f1c2a9e-5b0d-4c6e-9a3f-000000000001"));
        if point.kind == "EBS" && point.encrypted {
            map.insert("kmsKeyId".into(), json!(point.key));
        }
        let own = point.spec.get("restore_metadata").and_then(Value::as_object);
        map.extend(own.cloned().unwrap_or_default());
    }
    out
}

/// As JSON, for EC2.
pub fn as_map(metadata: &Metadata) -> Map<String, Value> {
    (metadata.iter())
        .map(|(key, value)| (key.clone(), json!(value)))
        .collect()
}

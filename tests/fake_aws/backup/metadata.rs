//! Restore metadata: what GetRecoveryPointRestoreMetadata returns, which is not always accepted
//! back, and what StartRestoreJob takes of each type. Keys may be spelt in any case.

mod keys;
mod returned;

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::state::Point;
use keys::{AURORA, DYNAMODB, EBS, EC2, EFS, RDS, S3};
pub use returned::returned;

type Metadata = BTreeMap<String, String>;

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
            return Err(format!(
                "Invalid restore metadata: {key} is not a key of {}.",
                point.kind
            ));
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
        get(metadata, key).is_some_and(|value| !value.is_empty()) && !is_true(metadata, "encrypted")
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
            one_of(
                metadata,
                "EncryptionType",
                &["original", "SSE-S3", "SSE-KMS"],
            )?;
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
        Some(value) if !values.contains(&value) => Err(format!(
            "{key} is {value}: it must be one of {}.",
            values.join(", ")
        )),
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
        "RDS" | "Aurora" => [
            "DBParameterGroupName",
            "DBClusterParameterGroupName",
            "OptionGroupName",
        ]
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

/// As JSON, for EC2.
pub fn as_map(metadata: &Metadata) -> Map<String, Value> {
    (metadata.iter())
        .map(|(key, value)| (key.clone(), json!(value)))
        .collect()
}

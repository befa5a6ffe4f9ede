//! What GetRecoveryPointRestoreMetadata returns.

use serde_json::{Value, json};

use super::super::make::gib;
use super::super::state::Point;

/// What was written down when the backup was made: of the lost region, most of it.
pub fn returned(point: &Point) -> Value {
    let name = point.resource.rsplit(['/', ':']).next().unwrap_or_default();
    let home = point.resource.split(':').nth(3).unwrap_or_default();
    let zone = format!("{home}a");
    let mut out = match point.kind.as_str() {
        "EBS" => json!({
            "volumeId": name,
            "volumeType": "gp3",
            "volumeSize": gib(point).to_string(),
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
        map.insert(
            "aws:backup:request-id".into(),
            json!("6f1c2a9e-5b0d-4c6e-9a3f-000000000001"),
        );
        if point.kind == "EBS" && point.encrypted {
            map.insert("kmsKeyId".into(), json!(point.key));
        }
        let own = point
            .spec
            .get("restore_metadata")
            .and_then(Value::as_object);
        map.extend(own.cloned().unwrap_or_default());
    }
    out
}

//! What StartRestoreJob takes.

use serde_json::{Value, json};

use super::super::super::world::World;
use super::{ACCOUNT, VOLUME, ask, code, ends, job, newest, start, world, zone};

#[test]
fn what_was_written_down_is_not_what_is_taken() {
    let mut world = world();
    let arn = newest(&mut world, VOLUME);
    let asked = json!({"BackupVaultName": "dr-copies", "RecoveryPointArn": arn});
    let said = ask(
        &mut world,
        0.0,
        "backup",
        "GetRecoveryPointRestoreMetadata",
        asked,
    )
    .unwrap();
    assert_eq!(said["RestoreMetadata"]["availabilityZone"], Value::Null);
    let database = "arn:aws:rds:eu-west-1:111122223333:db:orders";
    let arn = newest(&mut world, database);
    let asked = json!({"BackupVaultName": "dr-copies", "RecoveryPointArn": arn});
    let said = ask(
        &mut world,
        0.0,
        "backup",
        "GetRecoveryPointRestoreMetadata",
        asked,
    )
    .unwrap();
    let back = start(&mut world, 1.0, database, said["RestoreMetadata"].clone());
    assert_eq!(code(back), "InvalidParameterValueException");
}

#[test]
fn each_type_has_its_traps() {
    let mut world = world();
    let refused = |world: &mut World, resource: &str, metadata: Value| {
        let why = start(world, 1.0, resource, metadata).expect_err("this should be refused");
        assert_eq!(
            why.code, "InvalidParameterValueException",
            "{}",
            why.message
        );
    };
    let failed = |world: &mut World, resource: &str, metadata: Value, why: &str| {
        let (status, message) = ends(world, resource, metadata);
        assert_eq!(status, "FAILED");
        assert!(message.contains(why), "{message}");
    };
    let arn = |service: &str, rest: &str| format!("arn:aws:{service}:eu-west-1:{ACCOUNT}:{rest}");

    refused(
        &mut world,
        VOLUME,
        json!({"availabilityZone": "a", "VolumeInitializationRate": "300"}),
    );
    refused(
        &mut world,
        VOLUME,
        json!({"availabilityZone": "a", "kmsKeyId": "k"}),
    );
    let away = json!({"availabilityZone": "eu-west-1a"});
    failed(&mut world, VOLUME, away, "zone");

    let instance = arn("ec2", "instance/i-0000000000000a001");
    let mut of = json!({"InstanceType": "m7g.large", "SubnetId": "s", "SecurityGroupIds": "sg-1"});
    refused(&mut world, &instance, of.clone());
    of["SecurityGroupIds"] = json!("[\"sg-1\"]");
    of["BlockDeviceMappings"] = json!("[{\"Ebs\":{\"SnapshotId\":\"snap-1\"}}]");
    refused(&mut world, &instance, of.clone());
    of["BlockDeviceMappings"] = json!("[]");
    of["IamInstanceProfileName"] = json!("another");
    refused(&mut world, &instance, of.clone());
    of["IamInstanceProfileName"] = json!("");
    of["Placement"] = json!("{\"AvailabilityZone\":\"eu-west-1a\"}");
    failed(&mut world, &instance, of.clone(), "availability zone");
    of["Placement"] = json!("{}");
    of["NetworkInterfaces"] = json!("[{\"DeviceIndex\":0}]");
    failed(&mut world, &instance, of, "Network interfaces");

    let bucket = "arn:aws:s3:::shop-documents";
    let original = json!({"DestinationBucketName": "b", "EncryptionType": "original"});
    failed(&mut world, bucket, original, "original encryption");

    let files = arn("elasticfilesystem", "file-system/fs-0000000000000e001");
    let mut of = json!({
        "newFileSystem": "true", "Encrypted": "true", "PerformanceMode": "generalPurpose",
    });
    failed(&mut world, &files, of.clone(), "CreationToken");
    of["aws:backup:request-id"] = json!("1");
    refused(&mut world, &files, of);

    let cluster = arn("rds", "cluster:ledger");
    refused(&mut world, &cluster, json!({"DBClusterIdentifier": "c"}));
    let plain = json!({"DBClusterIdentifier": "c", "Engine": "aurora-postgresql"});
    failed(&mut world, &cluster, plain, "No default subnet");
}

#[test]
fn keys_that_may_not_be_used() {
    let mut world = world();
    let key = "arn:aws:kms:eu-central-1:111122223333:key/11111111-2222-3333-4444-555555555555";
    world.script.denied_keys.push(key.into());
    let denied = ends(&mut world, VOLUME, zone());
    assert_eq!(
        denied,
        ("FAILED".into(), "Access denied to KMS key.".into())
    );
    world.script.denied_keys.clear();
    let away = "arn:aws:kms:eu-west-1:111122223333:key/11111111-2222-3333-4444-555555555555";
    let mut metadata = zone();
    metadata["kmsKeyId"] = json!(away);
    let (status, message) = ends(&mut world, VOLUME, metadata);
    assert_eq!(status, "FAILED");
    assert!(
        message.starts_with("The specified AWS KMS key ARN does not exist"),
        "{message}"
    );
    let said = ask(&mut world, 0.0, "kms", "DescribeKey", json!({"KeyId": key})).unwrap();
    assert_eq!(said["KeyMetadata"]["KeyState"], "Enabled");
    let other = ask(
        &mut world,
        0.0,
        "kms",
        "DescribeKey",
        json!({"KeyId": away}),
    );
    assert_eq!(code(other), "NotFoundException");
}

#[test]
fn the_role_must_be_one_of_this_account() {
    let mut world = world();
    let arn = newest(&mut world, VOLUME);
    let mut params = json!({"RecoveryPointArn": arn, "Metadata": zone()});
    let none = ask(&mut world, 0.0, "backup", "StartRestoreJob", params.clone());
    assert_eq!(code(none), "MissingParameterValueException");
    params["IamRoleArn"] = json!("restore");
    let wrong = ask(&mut world, 0.0, "backup", "StartRestoreJob", params.clone());
    assert_eq!(code(wrong), "InvalidParameterValueException");
    params["IamRoleArn"] = json!("arn:aws:iam::999999999999:role/restore");
    let other = ask(&mut world, 0.0, "backup", "StartRestoreJob", params).unwrap();
    let job = job(&mut world, 2000.0, &other["RestoreJobId"]);
    assert_eq!(
        job["StatusMessage"],
        "IAM Role cannot be assumed by AWS Backup."
    );
}

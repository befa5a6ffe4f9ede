use serde_json::{Value, json};

use super::super::backup::tests::{ask, job, start, world};
use super::super::rds::tests::network;
use super::super::world::{Answer, World};

const FILES: &str =
    "arn:aws:elasticfilesystem:eu-west-1:111122223333:file-system/fs-0000000000000e001";

fn efs(world: &mut World, after: f64, operation: &str, params: Value) -> Answer {
    ask(world, after, "elasticfilesystem", operation, params)
}

fn refused(answer: Answer, code: &str) {
    let refusal = answer.expect_err("this should have been refused");
    assert_eq!(refusal.code, code, "{}", refusal.message);
}

#[test]
fn a_file_system_is_mounted_and_goes() {
    let mut world = world();
    let (subnets, group) = network(&mut world);
    let metadata = json!({
        "newFileSystem": "true", "Encrypted": "true", "PerformanceMode": "generalPurpose",
        "CreationToken": "drill-1", "file-system-id": "fs-0000000000000e001",
    });
    let id = start(&mut world, 0.0, FILES, metadata).unwrap()["RestoreJobId"].clone();
    let by_token = json!({"CreationToken": "drill-1"});
    let shown = |world: &mut World, after: f64| {
        efs(world, after, "DescribeFileSystems", by_token.clone()).unwrap()["FileSystems"].clone()
    };
    assert_eq!(shown(&mut world, 50.0), json!([]));
    let early = shown(&mut world, 100.0)[0].clone();
    assert_eq!(
        (&early["LifeCycleState"], &early["SizeInBytes"]["Value"]),
        (&json!("available"), &json!(6144))
    );
    assert_eq!(job(&mut world, 300.0, &id)["Status"], "COMPLETED");
    assert!(shown(&mut world, 300.0)[0]["SizeInBytes"]["Value"].as_u64() > Some(10 << 30));

    let system = early["FileSystemId"].clone();
    let tag = json!({"ResourceId": system, "Tags": [{"Key": "Name", "Value": "n"}]});
    efs(&mut world, 300.0, "TagResource", tag).unwrap();
    let of = json!({"ResourceId": system});
    let tags = efs(&mut world, 300.0, "ListTagsForResource", of).unwrap();
    assert_eq!(tags["Tags"][0]["Key"], "Name");
    assert_eq!(shown(&mut world, 300.0)[0]["Name"], "n");

    let target = json!({"FileSystemId": system, "SubnetId": subnets[0], "SecurityGroups": [group]});
    let made = efs(&mut world, 300.0, "CreateMountTarget", target.clone()).unwrap();
    assert_eq!(made["LifeCycleState"], "creating");
    refused(
        efs(&mut world, 300.0, "CreateMountTarget", target),
        "MountTargetConflict",
    );
    let none = json!({"FileSystemId": system, "SubnetId": "subnet-0fedcba9876543210"});
    refused(
        efs(&mut world, 300.0, "CreateMountTarget", none),
        "SubnetNotFound",
    );
    let of = json!({"FileSystemId": system});
    let said = efs(&mut world, 400.0, "DescribeMountTargets", of.clone()).unwrap();
    assert_eq!(said["MountTargets"][0]["LifeCycleState"], "available");

    let subnet = json!({"SubnetId": subnets[0]});
    let held = ask(&mut world, 400.0, "ec2", "DeleteSubnet", subnet.clone());
    refused(held, "DependencyViolation");
    let held = ask(
        &mut world,
        400.0,
        "ec2",
        "DeleteSecurityGroup",
        json!({"GroupId": group}),
    );
    refused(held, "DependencyViolation");
    refused(
        efs(&mut world, 400.0, "DeleteFileSystem", of.clone()),
        "FileSystemInUse",
    );
    let id = json!({"MountTargetId": made["MountTargetId"]});
    efs(&mut world, 400.0, "DeleteMountTarget", id).unwrap();
    refused(
        efs(&mut world, 410.0, "DeleteFileSystem", of.clone()),
        "FileSystemInUse",
    );
    ask(&mut world, 441.0, "ec2", "DeleteSubnet", subnet).unwrap();
    efs(&mut world, 441.0, "DeleteFileSystem", of.clone()).unwrap();
    refused(
        efs(&mut world, 470.0, "DescribeFileSystems", of),
        "FileSystemNotFound",
    );
    assert!(
        !world
            .left()
            .iter()
            .any(|one| one.contains("file-system") || one.contains("mount"))
    );
}

#[test]
fn a_mount_target_is_not_found_at_once() {
    let mut world = world();
    let (subnets, _) = network(&mut world);
    world.script.consistency_s = 30.0;
    let metadata = json!({
        "newFileSystem": "true", "Encrypted": "true", "PerformanceMode": "generalPurpose",
        "CreationToken": "drill-1",
    });
    start(&mut world, 0.0, FILES, metadata).unwrap();
    let said = efs(&mut world, 100.0, "DescribeFileSystems", json!({})).unwrap();
    let system = &said["FileSystems"][0]["FileSystemId"];
    let target = json!({"FileSystemId": system, "SubnetId": subnets[0]});
    let made = efs(&mut world, 100.0, "CreateMountTarget", target).unwrap();
    let of = json!({"MountTargetId": made["MountTargetId"]});
    let early = efs(&mut world, 110.0, "DescribeMountTargets", of.clone());
    refused(early, "MountTargetNotFound");
    efs(&mut world, 131.0, "DescribeMountTargets", of).unwrap();
}

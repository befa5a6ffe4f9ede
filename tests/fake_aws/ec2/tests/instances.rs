//! Launches, and what becomes of instances; those of AWS Backup.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::super::backup_creates_instance;
use super::{Ec2, ZONE, count, launch, text};

#[test]
fn a_client_token_launches_once() {
    let mut ec2 = Ec2::new();
    let (_, subnet, group) = ec2.network();
    let asked = launch(&subnet, &group, "t");
    let first = ec2.ok("RunInstances", asked.clone());
    ec2.wait(100.0);
    let second = ec2.ok("RunInstances", asked.clone());
    assert_eq!(first["ReservationId"], second["ReservationId"]);
    assert_eq!(second["Instances"][0]["State"]["Name"], "running");
    let mut other = asked.clone();
    other["InstanceType"] = json!("t3.large");
    assert_eq!(
        ec2.refused("RunInstances", other),
        "IdempotentParameterMismatch"
    );
    let all = ec2.ok("DescribeInstances", json!({}));
    assert_eq!(count(&all["Reservations"]), 1);

    let volume = json!({"AvailabilityZone": ZONE, "Size": 8, "ClientToken": "v"});
    assert_eq!(ec2.volume(volume.clone()), ec2.volume(volume));
}

#[test]
fn an_instance_lives_and_ends() {
    let mut ec2 = Ec2::new();
    let (_, subnet, group) = ec2.network();
    ec2.ok(
        "ModifySubnetAttribute",
        json!({"SubnetId": subnet, "MapPublicIpOnLaunch": {"Value": true}}),
    );
    let id = ec2.launch(&subnet, &group);
    let ids = json!({"InstanceIds": [id]});
    let new = ec2.instance(&id);
    assert_eq!(new["State"]["Name"], "pending");
    assert_eq!(new["PrivateIpAddress"], "127.0.0.1");
    assert!(new.get("PublicIpAddress").is_none());
    assert_eq!(new["MetadataOptions"]["HttpTokens"], "required");
    let none = ec2.ok("DescribeInstanceStatus", ids.clone());
    assert_eq!(count(&none["InstanceStatuses"]), 0);
    let console = json!({"InstanceId": id});
    assert_eq!(ec2.ok("GetConsoleOutput", console.clone())["Output"], "");

    ec2.wait(40.0);
    assert_eq!(ec2.instance(&id)["PublicIpAddress"], "127.0.0.1");
    let status = ec2.ok("DescribeInstanceStatus", ids.clone());
    let status = &status["InstanceStatuses"][0];
    assert_eq!(status["AttachedEbsStatus"]["Status"], "initializing");
    ec2.wait(160.0);
    let status = ec2.ok("DescribeInstanceStatus", ids.clone());
    let status = &status["InstanceStatuses"][0];
    for check in ["SystemStatus", "InstanceStatus", "AttachedEbsStatus"] {
        assert_eq!(status[check]["Status"], "ok", "{check}");
    }
    let output = text(&ec2.ok("GetConsoleOutput", console)["Output"]);
    let output = String::from_utf8(STANDARD.decode(output).unwrap()).unwrap();
    assert!(output.contains("BEGIN SSH HOST KEY KEYS"));
    assert!(output.contains("ssh-ed25519 AAAAC3Nz root@one"));

    // One volume of the launch, which goes with it, and one that doesn't.
    let root = text(&ec2.instance(&id)["BlockDeviceMappings"][0]["Ebs"]["VolumeId"]);
    let data = ec2.volume(json!({"AvailabilityZone": ZONE, "Size": 8}));
    ec2.wait(15.0);
    let attach = json!({"VolumeId": data, "InstanceId": id, "Device": "/dev/sdf"});
    ec2.ok("AttachVolume", attach);
    assert_eq!(ec2.volume_state(&data), "in-use");
    ec2.ok("TerminateInstances", ids);
    assert_eq!(ec2.instance(&id)["State"]["Name"], "shutting-down");
    assert!(
        ec2.left()
            .contains(&format!("111122223333 eu-central-1 instance {id}"))
    );
    ec2.wait(41.0);
    assert_eq!(ec2.instance(&id)["State"]["Name"], "terminated");
    assert!(!ec2.left().iter().any(|one| one.contains("instance")));
    assert_eq!(ec2.volume_state(&data), "available");
    let gone = ec2.refused("DescribeVolumes", json!({"VolumeIds": [root]}));
    assert_eq!(gone, "InvalidVolume.NotFound");
    ec2.wait(4000.0);
    assert_eq!(
        ec2.refused("DescribeInstances", json!({"InstanceIds": [id]})),
        "InvalidInstanceID.NotFound"
    );
}

#[test]
fn what_cannot_be_launched_is_said_with_ec2s_own_codes() {
    let mut ec2 = Ec2::new();
    let (_, subnet, group) = ec2.network();
    let asked = launch(&subnet, &group, "t");
    let with = |member: &str, value: Value| {
        let mut changed = asked.clone();
        changed[member] = value;
        changed
    };
    ec2.world.script.no_capacity = vec!["m5.large".into()];
    let cases = [
        (
            with("InstanceType", json!("m5.large")),
            "InsufficientInstanceCapacity",
        ),
        (with("InstanceType", json!("p5.48xlarge")), "Unsupported"),
        (
            with("InstanceType", json!("t4g.small")),
            "InvalidParameterValue",
        ),
        (with("MaxCount", json!(9)), "VcpuLimitExceeded"),
        (
            with("ImageId", json!("ami-00000000000000ff")),
            "InvalidAMIID.NotFound",
        ),
        (with("ImageId", json!("mine")), "InvalidAMIID.Malformed"),
        (with("KeyName", json!("none")), "InvalidKeyPair.NotFound"),
        (with("UserData", json!("%")), "InvalidUserData.Malformed"),
        (with("DryRun", json!(true)), "DryRunOperation"),
    ];
    for (params, code) in cases {
        assert_eq!(ec2.refused("RunInstances", params), code);
    }
    let refusal = ec2.ask("RunInstances", with("DryRun", json!(true)));
    assert_eq!(refusal.unwrap_err().status, 412);
    let refusal = ec2.ask("RunInstances", with("InstanceType", json!("m5.large")));
    assert_eq!(refusal.unwrap_err().status, 500);
    let all = ec2.ok("DescribeInstances", json!({}));
    assert_eq!(count(&all["Reservations"]), 0);
}

#[test]
fn a_protected_instance_is_not_terminated() {
    let mut ec2 = Ec2::new();
    let (_, subnet, group) = ec2.network();
    let id = ec2.launch(&subnet, &group);
    let protect = |on: bool| json!({"InstanceId": id, "DisableApiTermination": {"Value": on}});
    ec2.ok("ModifyInstanceAttribute", protect(true));
    let ids = json!({"InstanceIds": [id]});
    assert_eq!(
        ec2.refused("TerminateInstances", ids.clone()),
        "OperationNotPermitted"
    );
    ec2.ok("ModifyInstanceAttribute", protect(false));
    ec2.ok("TerminateInstances", ids);
    let behaviour = json!({"InstanceId": id, "Attribute": "instanceInitiatedShutdownBehavior"});
    let behaviour = ec2.ok("DescribeInstanceAttribute", behaviour);
    assert_eq!(
        behaviour["InstanceInitiatedShutdownBehavior"]["Value"],
        "terminate"
    );
}

#[test]
fn what_backup_makes_bears_no_tag_and_is_left_until_all_of_it_is_deleted() {
    let mut ec2 = Ec2::new();
    let (_, subnet, group) = ec2.network();
    let before = ec2.left().len();
    let metadata = json!({"InstanceType": "t3.small", "SubnetId": subnet,
        "SecurityGroupIds": json!([group]).to_string(), "RequireIMDSv2": "true"});
    let metadata = metadata.as_object().unwrap();
    let mut number = 0;
    let mut ids = |prefix: &str| {
        number += 1;
        format!("{prefix}-0abcdef0{number:09x}")
    };
    let image = "ami-0000000000000002";
    let ready = ec2.now + 300.0;
    let state = &mut ec2.world.region_of("111122223333", "eu-central-1").ec2;
    let mut lacking = metadata.clone();
    lacking["SubnetId"] = json!("subnet-00000000000000ff");
    let refused = backup_creates_instance(state, &lacking, image, ready, &mut ids);
    assert_eq!(refused.unwrap_err().code, "InvalidSubnetID.NotFound");
    let id = backup_creates_instance(state, metadata, image, ready, &mut ids).unwrap();
    let new = ec2.instance(&id);
    assert_eq!(new["State"]["Name"], "pending");
    assert_eq!(new["Tags"], json!([]));
    assert_eq!(new["MetadataOptions"]["HttpTokens"], "required");
    // Instance, interface, volume, helper image, its snapshot.
    assert_eq!(ec2.left().len(), before + 5);
    ec2.wait(301.0);
    assert_eq!(ec2.instance(&id)["State"]["Name"], "running");
    ec2.ok("TerminateInstances", json!({"InstanceIds": [id]}));
    ec2.wait(60.0);
    let helper = text(&new["ImageId"]);
    assert_ne!(helper, image);
    let images = ec2.ok("DescribeImages", json!({"ImageIds": [helper]}));
    let snapshot = text(&images["Images"][0]["BlockDeviceMappings"][0]["Ebs"]["SnapshotId"]);
    let delete = json!({"SnapshotId": snapshot});
    assert_eq!(
        ec2.refused("DeleteSnapshot", delete.clone()),
        "InvalidSnapshot.InUse"
    );
    ec2.ok("DeregisterImage", json!({"ImageId": helper}));
    ec2.ok("DeleteSnapshot", delete);
    assert_eq!(ec2.left().len(), before);
    // Recovery points are AWS Backup's alone.
    let point = json!({"SnapshotId": "snap-0000000000000003"});
    assert_eq!(
        ec2.refused("DeleteSnapshot", point),
        "InvalidParameterValue"
    );
    let point = json!({"ImageId": image});
    assert_eq!(ec2.refused("DeregisterImage", point), "InvalidRequest");
}

#[test]
fn a_stopped_instance_keeps_its_volumes() {
    let mut ec2 = Ec2::new();
    let (_, subnet, group) = ec2.network();
    let id = ec2.launch(&subnet, &group);
    let ids = json!({"InstanceIds": [id]});
    assert_eq!(
        ec2.refused("StopInstances", ids.clone()),
        "IncorrectInstanceState"
    );
    ec2.wait(60.0);
    let root = text(&ec2.instance(&id)["BlockDeviceMappings"][0]["Ebs"]["VolumeId"]);
    let detach = json!({"VolumeId": root});
    assert_eq!(ec2.refused("DetachVolume", detach), "OperationNotPermitted");
    ec2.ok("StopInstances", ids.clone());
    assert_eq!(ec2.instance(&id)["State"]["Name"], "stopping");
    ec2.wait(60.0);
    assert_eq!(ec2.instance(&id)["State"]["Name"], "stopped");
    assert_eq!(ec2.volume_state(&root), "in-use");
    // Its disks are to stay when it goes.
    let keep = json!({"InstanceId": id, "BlockDeviceMappings": [
        {"DeviceName": "/dev/xvda", "Ebs": {"DeleteOnTermination": false}}]});
    ec2.ok("ModifyInstanceAttribute", keep);
    ec2.ok("TerminateInstances", ids);
    ec2.wait(60.0);
    assert_eq!(ec2.volume_state(&root), "available");
}

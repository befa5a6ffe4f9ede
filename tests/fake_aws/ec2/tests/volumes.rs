//! Volumes, their blocks and their zones.

use serde_json::{Value, json};

use super::super::{backup_creates_volume, backup_fills};
use super::{Ec2, KEY, ZONE, launch, text};

#[test]
fn a_volume_is_attached_in_its_own_zone_only() {
    let mut ec2 = Ec2::new();
    let (_, subnet, group) = ec2.network();
    let id = ec2.launch(&subnet, &group);
    let there = ec2.volume(json!({"AvailabilityZone": "eu-central-1b", "Size": 8}));
    let here = ec2.volume(json!({"AvailabilityZone": ZONE, "Size": 8}));
    let attach = |volume: &str| json!({"VolumeId": volume, "InstanceId": id, "Device": "/dev/sdf"});
    assert_eq!(ec2.refused("AttachVolume", attach(&here)), "IncorrectState");
    ec2.wait(60.0);
    assert_eq!(
        ec2.refused("AttachVolume", attach(&there)),
        "InvalidVolume.ZoneMismatch"
    );
    ec2.ok("AttachVolume", attach(&here));
    assert_eq!(ec2.refused("AttachVolume", attach(&here)), "VolumeInUse");
    let delete = json!({"VolumeId": here});
    assert_eq!(ec2.refused("DeleteVolume", delete.clone()), "VolumeInUse");
    ec2.ok("DetachVolume", delete.clone());
    assert_eq!(ec2.refused("DeleteVolume", delete.clone()), "VolumeInUse");
    ec2.wait(10.0);
    ec2.ok("DeleteVolume", delete.clone());
    assert_eq!(ec2.volume_state(&here), "deleting");
    ec2.wait(10.0);
    assert_eq!(
        ec2.refused("DeleteVolume", delete),
        "InvalidVolume.NotFound"
    );
    let nowhere = json!({"AvailabilityZone": "eu-west-1a", "Size": 8});
    assert_eq!(ec2.refused("CreateVolume", nowhere), "InvalidZone.NotFound");
}

#[test]
fn blocks_come_long_after_the_volume() {
    let mut ec2 = Ec2::new();
    let asked = json!({"AvailabilityZone": ZONE, "SnapshotId": "snap-0000000000000003"});
    let slow = ec2.volume(asked.clone());
    let mut with_rate = asked.clone();
    with_rate["VolumeInitializationRate"] = json!(200);
    let fast = ec2.volume(with_rate.clone());
    with_rate["VolumeInitializationRate"] = json!(50);
    assert_eq!(
        ec2.refused("CreateVolume", with_rate),
        "InvalidParameterValue"
    );
    let bare = ec2.volume(json!({"AvailabilityZone": ZONE, "Size": 8}));
    assert_eq!(ec2.volume_state(&fast), "creating");
    ec2.wait(11.0);
    assert_eq!(ec2.volume_state(&fast), "available");
    let begun = ec2.progress(&fast);
    assert_eq!(begun["InitializationType"], "provisioned-rate");
    assert_eq!(begun["Progress"], 0);
    // 100 GiB at 200 MiB/s: 512 s.
    assert_eq!(begun["EstimatedTimeToCompleteInSeconds"], 512);
    ec2.wait(300.0);
    assert_eq!(ec2.progress(&fast)["Progress"], 58);
    let other = ec2.progress(&slow);
    assert_eq!(other["InitializationType"], "default");
    assert_eq!(other["Progress"], 14);
    assert!(other.get("EstimatedTimeToCompleteInSeconds").is_none());
    ec2.wait(300.0);
    assert_eq!(ec2.progress(&fast)["Progress"], 100);
    assert!(ec2.progress(&bare).is_null());
    let volumes = ec2.ok("DescribeVolumes", json!({"VolumeIds": [slow]}));
    assert_eq!(volumes["Volumes"][0]["Encrypted"], true);
    assert_eq!(volumes["Volumes"][0]["KmsKeyId"], KEY);
}

#[test]
fn a_key_that_may_not_be_used_spoils_volumes_and_launches() {
    let mut ec2 = Ec2::new();
    ec2.world.script.denied_keys = vec![KEY.into()];
    let asked = json!({"AvailabilityZone": ZONE, "SnapshotId": "snap-0000000000000003"});
    let id = ec2.volume(asked);
    let (_, subnet, group) = ec2.network();
    let mut asked = launch(&subnet, &group, "t");
    asked["BlockDeviceMappings"] = json!([{"DeviceName": "/dev/sdf",
        "Ebs": {"SnapshotId": "snap-0000000000000003"}}]);
    let instance = ec2.ok("RunInstances", asked);
    let instance = text(&instance["Instances"][0]["InstanceId"]);
    ec2.wait(60.0);
    assert_eq!(ec2.volume_state(&id), "error");
    let instance = ec2.instance(&instance);
    assert_eq!(instance["State"]["Name"], "terminated");
    assert_eq!(instance["StateReason"]["Code"], "Client.InternalError");
}

#[test]
fn a_volume_of_backup_is_there_when_its_job_is_done() {
    let mut ec2 = Ec2::new();
    ec2.left();
    let ready = ec2.now + 500.0;
    let state = &mut ec2.world.region_of("111122223333", "eu-central-1").ec2;
    let mut metadata = json!({"availabilityZone": "eu-west-1a", "volumeType": "gp3"});
    let mut make = |metadata: &Value, id: &str| {
        let metadata = metadata.as_object().unwrap();
        let snapshot = "snap-0000000000000003";
        backup_creates_volume(state, metadata, snapshot, 100, ready, id.into())
    };
    let (full, empty) = ("vol-0abcdef000000001", "vol-0abcdef000000002");
    assert_eq!(
        make(&metadata, full).unwrap_err().code,
        "InvalidZone.NotFound"
    );
    metadata["availabilityZone"] = json!(ZONE);
    make(&metadata, full).unwrap();
    make(&metadata, empty).unwrap();
    backup_fills(state, empty, true);
    assert_eq!(ec2.volume_state(full), "creating");
    ec2.wait(501.0);
    assert_eq!(ec2.volume_state(full), "available");
    assert_eq!(ec2.progress(full)["Progress"], 0);
    assert!(ec2.progress(empty).is_null());
}

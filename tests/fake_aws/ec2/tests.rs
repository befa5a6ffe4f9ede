use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::super::world::{Answer, Call, World};
use super::seed;

mod common;
mod instances;
mod network;
mod volumes;

const BEGAN: f64 = 1_767_225_600.0;
const ZONE: &str = "eu-central-1a";
const KEY: &str = "arn:aws:kms:eu-central-1:111122223333:key/k";

/// A region with an image and two snapshots, and a clock that only `wait` moves.
struct Ec2 {
    world: World,
    now: f64,
}

impl Ec2 {
    fn new() -> Ec2 {
        let mut ec2 = Ec2 {
            world: World::default(),
            now: BEGAN,
        };
        let spec = json!({
            "zones": [ZONE, "eu-central-1b"],
            "images": [
                {"id": "ami-0000000000000001", "name": "base", "owner": "136693071363",
                 "devices": [{"device": "/dev/xvda", "snapshot": "snap-0000000000000001",
                              "size_gib": 8}]},
                {"id": "ami-0000000000000002", "name": "point", "backup": true,
                 "devices": [{"device": "/dev/xvda", "snapshot": "snap-0000000000000002",
                              "size_gib": 20, "encrypted": true}]},
            ],
            "snapshots": [
                {"id": "snap-0000000000000003", "size_gib": 100, "backup": true,
                 "encrypted": true, "key": KEY, "started": BEGAN - 86_400.0},
            ],
            "quotas": {"vcpus": 16, "vpcs": 5},
            "addresses": ["127.0.0.1", "127.0.0.2"],
            "host_keys": {"127.0.0.1": ["ssh-ed25519 AAAAC3Nz root@one"]},
        });
        seed(
            &mut ec2.world.region_of("111122223333", "eu-central-1").ec2,
            &spec,
        );
        ec2
    }

    fn ask(&mut self, operation: &str, params: Value) -> Answer {
        let call = Call {
            service: "ec2".into(),
            operation: operation.into(),
            account: "111122223333".into(),
            region: "eu-central-1".into(),
            params,
            now: self.now,
        };
        super::handle(&mut self.world, &call)
    }

    fn ok(&mut self, operation: &str, params: Value) -> Value {
        match self.ask(operation, params) {
            Ok(answer) => answer,
            Err(refusal) => panic!("{operation}: {} {}", refusal.code, refusal.message),
        }
    }

    /// The code that it is refused with.
    fn refused(&mut self, operation: &str, params: Value) -> String {
        match self.ask(operation, params) {
            Ok(answer) => panic!("{operation} went well: {answer}"),
            Err(refusal) => refusal.code,
        }
    }

    fn wait(&mut self, seconds: f64) {
        self.now += seconds;
    }

    fn left(&mut self) -> Vec<String> {
        self.ok("DescribeVpcs", json!({}));
        self.world.left()
    }

    /// VPC, subnet in the first zone, group.
    fn network(&mut self) -> (String, String, String) {
        let vpc = self.ok("CreateVpc", json!({"CidrBlock": "10.0.0.0/16"}));
        let vpc = text(&vpc["Vpc"]["VpcId"]);
        let subnet = json!({"VpcId": vpc, "CidrBlock": "10.0.1.0/24", "AvailabilityZone": ZONE});
        let subnet = text(&self.ok("CreateSubnet", subnet)["Subnet"]["SubnetId"]);
        let group = json!({"GroupName": "drill", "Description": "d", "VpcId": vpc});
        let group = text(&self.ok("CreateSecurityGroup", group)["GroupId"]);
        (vpc, subnet, group)
    }

    fn launch(&mut self, subnet: &str, group: &str) -> String {
        let asked = launch(subnet, group, "token");
        text(&self.ok("RunInstances", asked)["Instances"][0]["InstanceId"])
    }

    fn instance(&mut self, id: &str) -> Value {
        let answer = self.ok("DescribeInstances", json!({"InstanceIds": [id]}));
        answer["Reservations"][0]["Instances"][0].clone()
    }

    fn volume(&mut self, asked: Value) -> String {
        text(&self.ok("CreateVolume", asked)["VolumeId"])
    }

    fn volume_state(&mut self, id: &str) -> String {
        let answer = self.ok("DescribeVolumes", json!({"VolumeIds": [id]}));
        text(&answer["Volumes"][0]["State"])
    }

    fn progress(&mut self, id: &str) -> Value {
        let answer = self.ok("DescribeVolumeStatus", json!({"VolumeIds": [id]}));
        answer["VolumeStatuses"][0]["InitializationStatusDetails"].clone()
    }
}

fn launch(subnet: &str, group: &str, token: &str) -> Value {
    json!({
        "ImageId": "ami-0000000000000001",
        "InstanceType": "t3.small",
        "MinCount": 1,
        "MaxCount": 1,
        "SubnetId": subnet,
        "SecurityGroupIds": [group],
        "ClientToken": token,
        "InstanceInitiatedShutdownBehavior": "terminate",
        "UserData": STANDARD.encode("#!/bin/sh\n"),
        "MetadataOptions": {"HttpTokens": "required"},
        "TagSpecifications": [
            {"ResourceType": "instance", "Tags": [{"Key": "seawall:drill", "Value": "x"}]},
            {"ResourceType": "volume", "Tags": [{"Key": "seawall:drill", "Value": "x"}]},
        ],
    })
}

fn text(value: &Value) -> String {
    value.as_str().expect("text").to_owned()
}

fn count(value: &Value) -> usize {
    value.as_array().map_or(0, Vec::len)
}

use super::testing::drill;
use super::*;
use crate::document::drill::Drill;
use crate::journal::PointNote;

const KEY: &str = "arn:aws:kms:eu-central-1:111122223333:key/1";

struct Case {
    drill: Drill,
    point: Point,
    network: Network,
    kms_key: Option<&'static str>,
    lost: Vec<String>,
}

fn case(aws: &str) -> Case {
    Case {
        drill: drill(&format!(
            "- step: one\n  aws: {{resource: \"arn:x\", {aws}}}\n  proofs: []\n"
        )),
        point: Point {
            arn: "arn:aws:backup:eu-central-1:111122223333:recovery-point:1".into(),
            resource_type: "S3".into(),
            size: 1,
            note: PointNote {
                source: "one".into(),
                name: "point".into(),
                store: "dr".into(),
                place: "eu-central-1".into(),
                data_time: None,
                copy_time: None,
                size: 1,
                sha256: None,
                signed: false,
                vouched: None,
                how: "latest".into(),
                files: None,
                bytes: None,
            },
            source_id: None,
        },
        network: Network {
            vpc: "vpc-1".into(),
            zone: "eu-central-1b".into(),
            subnet: "subnet-1".into(),
            second_subnet: Some("subnet-2".into()),
            security_group: "sg-1".into(),
            key: None,
        },
        kms_key: None,
        lost: vec!["eu-west-1".into()],
    }
}

impl Case {
    fn of(&self, given: &[(&str, &str)]) -> Result<Metadata, String> {
        let given: Metadata = (given.iter())
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
            .collect();
        let aws = self.drill.steps[0].aws.as_ref().unwrap();
        let wanted = Wanted {
            aws,
            point: &self.point,
            name: "seawall-run-one-1-abcdef",
            network: &self.network,
            kms_key: self.kms_key,
            instance_type: aws.instance.as_ref().map_or("", |i| i.kind.as_str()),
            lost: &self.lost,
        };
        of(&wanted, &given)
    }

    fn keyed(mut self) -> Case {
        self.kms_key = Some(KEY);
        self
    }
}

fn keys(map: &Metadata) -> Vec<&str> {
    map.keys().map(String::as_str).collect()
}

#[test]
fn a_volume_gets_the_zone_that_comes_back_as_null() {
    let given = [
        ("availabilityZone", "null"),
        ("encrypted", "false"),
        ("kmsKeyId", "arn:aws:kms:eu-west-1:111122223333:key/old"),
        ("volumeSize", "100"),
        ("volumeType", "gp2"),
        ("iops", "300"),
    ];
    let map = case("volume: {}").of(&given).unwrap();
    assert_eq!(map["availabilityZone"], "eu-central-1b");
    assert_eq!(map["encrypted"], "true");
    assert_eq!(map["volumeType"], "gp3");
    assert_eq!(map["volumeSize"], "100");
    assert!(!map.contains_key("kmsKeyId") && !map.contains_key("iops"));
    let map = case("volume: {type: io2}").keyed().of(&given).unwrap();
    assert_eq!(
        (map["kmsKeyId"].as_str(), map["iops"].as_str()),
        (KEY, "300")
    );
}

#[test]
fn an_instance_leaves_its_old_network_behind() {
    let given = [
        ("NetworkInterfaces", "[{\"SubnetId\":\"subnet-old\"}]"),
        ("Placement", "{\"AvailabilityZone\":\"eu-west-1a\"}"),
        ("SubnetId", "subnet-old"),
        ("IamInstanceProfileName", "web"),
        (
            "BlockDeviceMappings",
            r#"[{"DeviceName":"/dev/xvda","Ebs":{"SnapshotId":"snap-1","VolumeSize":8,"KmsKeyId":"arn:aws:kms:eu-west-1:1:key/old","Encrypted":false,"Iops":null}},{"DeviceName":"/dev/sdb","VirtualName":"ephemeral0"}]"#,
        ),
    ];
    let one = case("instance: {type: m7g.large}");
    let map = one.of(&given).unwrap();
    assert_eq!(map["SubnetId"], "subnet-1");
    assert_eq!(map["SecurityGroupIds"], "[\"sg-1\"]");
    assert_eq!(map["RequireIMDSv2"], "true");
    assert_eq!(map["InstanceType"], "m7g.large");
    let expected = ["BlockDeviceMappings", "InstanceType", "RequireIMDSv2"];
    let expected = [&expected[..], &["SecurityGroupIds", "SubnetId"]].concat();
    assert_eq!(keys(&map), expected);
    let devices: Value = serde_json::from_str(&map["BlockDeviceMappings"]).unwrap();
    let disk = &devices[0]["Ebs"];
    assert_eq!(disk["Encrypted"], true);
    assert_eq!(disk["DeleteOnTermination"], true);
    assert_eq!(disk["VolumeSize"], 8);
    assert!(disk.get("SnapshotId").is_none() && disk.get("KmsKeyId").is_none());
    assert!(disk.get("Iops").is_none());
    assert_eq!(devices[1]["VirtualName"], "ephemeral0");
    let map = one.keyed().of(&given).unwrap();
    let devices: Value = serde_json::from_str(&map["BlockDeviceMappings"]).unwrap();
    assert_eq!(devices[0]["Ebs"]["KmsKeyId"], KEY);
    let profile = case("instance: {type: m7g.large, original_profile: true}");
    assert_eq!(profile.of(&given).unwrap()["IamInstanceProfileName"], "web");
    assert!(profile.of(&[("BlockDeviceMappings", "{}")]).is_err());
    assert!(profile.of(&[("BlockDeviceMappings", "[1]")]).is_err());
}

#[test]
fn a_database_keeps_what_it_was_and_not_where() {
    let given = [
        ("DBSnapshotIdentifier", "awsbackup:copyjob-1"),
        ("InformationalOnly:Encrypted", "true"),
        ("DBSubnetGroupName", "old"),
        ("VpcSecurityGroupIds", "[\"sg-old\"]"),
        ("AvailabilityZone", "eu-west-1a"),
        ("DBParameterGroupName", "tuned"),
        ("OptionGroupName", "options"),
        ("DBInstanceClass", "db.m7g.large"),
        ("DeletionProtection", "true"),
        ("KmsKeyId", "arn:aws:kms:eu-west-1:1:key/old"),
        ("Port", "5433"),
        ("MultiAZ", "false"),
    ];
    let map = case("rds: {}").of(&given).unwrap();
    assert_eq!(map["DBInstanceIdentifier"], "seawall-run-one-1-abcdef");
    assert_eq!(map["DBSubnetGroupName"], "seawall-run-one-1-abcdef");
    assert_eq!(map["VpcSecurityGroupIds"], "[\"sg-1\"]");
    assert_eq!(map["DBInstanceClass"], "db.m7g.large");
    assert_eq!(map["DeletionProtection"], "false");
    assert_eq!(map["PubliclyAccessible"], "false");
    assert_eq!(
        (map["Port"].as_str(), map["AvailabilityZone"].as_str()),
        ("5433", "eu-central-1b")
    );
    for gone in [
        "DBSnapshotIdentifier",
        "InformationalOnly:Encrypted",
        "DBParameterGroupName",
        "OptionGroupName",
        "KmsKeyId",
    ] {
        assert!(!map.contains_key(gone), "{gone}");
    }
    let smaller = case("rds: {class: db.t4g.medium}").of(&given).unwrap();
    assert_eq!(smaller["DBInstanceClass"], "db.t4g.medium");
    let several = case("rds: {}").of(&[("MultiAZ", "true")]).unwrap();
    assert!(!several.contains_key("AvailabilityZone"));
}

#[test]
fn a_cluster_is_named_by_its_engine() {
    let given = [("Engine", "aurora"), ("DBClusterIdentifier", "prod")];
    let map = case("aurora: {engine: aurora-postgresql, class: db.r7g.large}")
        .of(&given)
        .unwrap();
    assert_eq!(map["Engine"], "aurora-postgresql");
    assert_eq!(map["DBClusterIdentifier"], "seawall-run-one-1-abcdef");
    assert!(!map.contains_key("PubliclyAccessible"));
}

#[test]
fn a_bucket_is_new_and_encrypted_here() {
    let given = [
        ("EncryptionType", "original"),
        ("DestinationBucketName", "prod"),
    ];
    let map = case("s3: {}").of(&given).unwrap();
    assert_eq!(map["DestinationBucketName"], "seawall-run-one-1-abcdef");
    assert_eq!(map["newBucket"], "true");
    assert_eq!(map["EncryptionType"], "SSE-S3");
    assert!(!map.contains_key("RestoreTime"));
    let map = case("s3: {}").keyed().of(&given).unwrap();
    assert_eq!(
        (map["EncryptionType"].as_str(), map["KMSKey"].as_str()),
        ("SSE-KMS", KEY)
    );
}

#[test]
fn a_continuous_point_demands_a_time() {
    let mut one = case("s3: {}");
    one.point.arn = "arn:aws:backup:eu-central-1:1:recovery-point:continuous:1".into();
    assert!(one.of(&[]).unwrap_err().contains("restore_time"));
    one.point.note.data_time = Some("2026-11-20T01:00:00Z".into());
    assert_eq!(one.of(&[]).unwrap()["RestoreTime"], "2026-11-20T01:00:00Z");
    let given = case("s3: {restore_time: \"2026-11-19T01:00:00Z\"}").of(&[]);
    assert_eq!(given.unwrap()["RestoreTime"], "2026-11-19T01:00:00Z");
}

#[test]
fn a_table_and_a_file_system_are_new() {
    let map = case("dynamodb: {}")
        .of(&[("TargetTableName", "prod")])
        .unwrap();
    assert_eq!(keys(&map), ["encryptionType", "targetTableName"]);
    assert_eq!(map["targetTableName"], "seawall-run-one-1-abcdef");
    let map = case("dynamodb: {}").keyed().of(&[]).unwrap();
    assert_eq!(
        (
            map["encryptionType"].as_str(),
            map["kmsMasterKeyArn"].as_str()
        ),
        ("KMS", KEY)
    );
    let given = [("performanceMode", "maxIO"), ("file-system-id", "fs-old")];
    let map = case("efs: {}").of(&given).unwrap();
    assert_eq!(map["newFileSystem"], "true");
    assert_eq!(map["Encrypted"], "true");
    assert_eq!(map["PerformanceMode"], "maxIO");
    assert_eq!(map["CreationToken"], "seawall-run-one-1-abcdef");
    assert!(!map.contains_key("file-system-id"));
    assert_eq!(case("efs: {}").keyed().of(&[]).unwrap()["KmsKeyId"], KEY);
}

#[test]
fn nothing_that_names_the_lost_region_is_sent() {
    let error = case("instance: {type: m7g.large, original_profile: true}")
        .of(&[("IamInstanceProfileName", "web-eu-west-1")]);
    // A profile's name is no place, but a word in it is one: `web-eu-west-1` is one word.
    assert!(error.is_ok());
    let devices =
        r#"[{"DeviceName":"a","Ebs":{"VolumeSize":1,"Elsewhere":"arn:aws:x:eu-west-1:1:y"}}]"#;
    let error = case("instance: {type: m7g.large}").of(&[("BlockDeviceMappings", devices)]);
    assert!(error.unwrap_err().contains("eu-west-1"));
    assert!(names_region("eu-west-1a", "eu-west-1"));
    assert!(!names_region("eu-west-11", "eu-west-1"));
    assert!(!names_region("eu-west-1ab", "eu-west-1"));
    assert!(names_region("arn:aws:kms:eu-west-1:1:key", "eu-west-1"));
}

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use super::super::script::JobTrouble;
use super::super::seed;
use super::super::world::{Answer, Call, World, handle};

pub const ACCOUNT: &str = "111122223333";
const ROLE: &str = "arn:aws:iam::111122223333:role/restore";
const VOLUME: &str = "arn:aws:ec2:eu-west-1:111122223333:volume/vol-0000000000000d001";

pub fn world() -> World {
    let mut world = World::default();
    world.began = 1_800_000_000.0;
    seed::apply(&mut world, &seed::example()).unwrap();
    world
}

/// A request in the scratch region, so many seconds after the beginning.
pub fn ask(world: &mut World, after: f64, service: &str, operation: &str, params: Value) -> Answer {
    let call = Call {
        service: service.into(),
        operation: operation.into(),
        account: ACCOUNT.into(),
        region: "eu-central-1".into(),
        params,
        now: world.began + after,
    };
    handle(world, &call)
}

fn code(answer: Answer) -> String {
    answer.expect_err("this should have been refused").code
}

/// The newest usable point of a resource: its ARN.
pub fn newest(world: &mut World, resource: &str) -> String {
    let asked = json!({"BackupVaultName": "dr-copies", "ByResourceArn": resource});
    let said = ask(world, 0.0, "backup", "ListRecoveryPointsByBackupVault", asked).unwrap();
    (said["RecoveryPoints"].as_array().unwrap().iter())
        .filter(|point| point["Status"] == "COMPLETED")
        .max_by(|a, b| a["CreationDate"].as_f64().partial_cmp(&b["CreationDate"].as_f64()).unwrap())
        .unwrap()["RecoveryPointArn"]
        .as_str()
        .unwrap()
        .to_owned()
}

pub fn start(world: &mut World, after: f64, resource: &str, metadata: Value) -> Answer {
    let arn = newest(world, resource);
    let params = json!({"RecoveryPointArn": arn, "Metadata": metadata, "IamRoleArn": ROLE});
    ask(world, after, "backup", "StartRestoreJob", params)
}

pub fn job(world: &mut World, after: f64, id: &Value) -> Value {
    ask(world, after, "backup", "DescribeRestoreJob", json!({"RestoreJobId": id})).unwrap()
}

/// What a job ends as that was started with this: (Status, StatusMessage).
pub fn ends(world: &mut World, resource: &str, metadata: Value) -> (String, String) {
    let id = start(world, 1.0, resource, metadata).unwrap()["RestoreJobId"].clone();
    let job = job(world, 100_000.0, &id);
    let text = |name: &str| job[name].as_str().unwrap_or_default().to_owned();
    (text("Status"), text("StatusMessage"))
}

fn zone() -> Value {
    json!({"availabilityZone": "eu-central-1a", "encrypted": "true"})
}

#[test]
fn a_volume_comes_in_its_time() {
    let mut world = world();
    let id = start(&mut world, 10.0, VOLUME, zone()).unwrap()["RestoreJobId"].clone();
    let said = job(&mut world, 11.0, &id);
    assert_eq!((&said["Status"], &said["PercentDone"]), (&json!("PENDING"), &json!("0.00%")));
    assert_eq!(world.left().len(), 1, "a job that runs is left: {:?}", world.left());
    // 100 GiB at 100 MB/s: 1073.7 s, after 60.
    let half = 10.0 + 60.0 + 536.87;
    let said = job(&mut world, half, &id);
    assert_eq!((&said["Status"], &said["PercentDone"]), (&json!("RUNNING"), &json!("50.00%")));
    assert_eq!(said["ExpectedCompletionTimeMinutes"], 19);
    assert!(said.get("CreatedResourceArn").is_none());
    // The volume can be seen already.
    let volumes = ask(&mut world, half, "ec2", "DescribeVolumes", json!({})).unwrap();
    assert_eq!(volumes["Volumes"][0]["State"], "creating");
    let said = job(&mut world, 1200.0, &id);
    assert_eq!((&said["Status"], &said["PercentDone"]), (&json!("COMPLETED"), &json!("100.00%")));
    let made = said["CreatedResourceArn"].as_str().unwrap();
    assert!(made.starts_with("arn:aws:ec2:eu-central-1:111122223333:volume/vol-0"), "{made}");
    let left = world.left();
    assert!(left.len() == 1 && left[0].contains("volume"), "{left:?}");
}

#[test]
fn a_token_is_good_for_one_job() {
    let mut world = world();
    let mut params = json!({
        "RecoveryPointArn": newest(&mut world, VOLUME),
        "Metadata": zone(),
        "IamRoleArn": ROLE,
        "IdempotencyToken": "t1",
    });
    let first = ask(&mut world, 1.0, "backup", "StartRestoreJob", params.clone()).unwrap();
    let again = ask(&mut world, 2.0, "backup", "StartRestoreJob", params.clone()).unwrap();
    assert_eq!(first, again);
    params["Metadata"]["availabilityZone"] = json!("eu-central-1b");
    let other = ask(&mut world, 3.0, "backup", "StartRestoreJob", params.clone());
    assert_eq!(code(other), "InvalidRequestException");
    // Refused metadata uses the token up.
    params["IdempotencyToken"] = json!("t2");
    params["Metadata"] = json!({"volumeType": "gp3"});
    for _ in 0..2 {
        let refused = ask(&mut world, 4.0, "backup", "StartRestoreJob", params.clone());
        assert_eq!(code(refused), "InvalidParameterValueException");
    }
    params["Metadata"] = zone();
    let later = ask(&mut world, 5.0, "backup", "StartRestoreJob", params);
    assert_eq!(code(later), "InvalidRequestException");
    let jobs = ask(&mut world, 6.0, "backup", "ListRestoreJobs", json!({})).unwrap();
    assert_eq!(jobs["RestoreJobs"].as_array().unwrap().len(), 1);
}

#[test]
fn points_are_listed_by_page_and_filter() {
    let mut world = world();
    let (mut seen, mut token) = (Vec::new(), None::<String>);
    loop {
        let asked = json!({
            "BackupVaultName": "dr-copies", "MaxResults": 7, "NextToken": token,
            "ByResourceType": "EBS",
        });
        let said = ask(&mut world, 0.0, "backup", "ListRecoveryPointsByBackupVault", asked).unwrap();
        seen.extend(said["RecoveryPoints"].as_array().unwrap().clone());
        match said.get("NextToken") {
            Some(next) => token = next.as_str().map(str::to_owned),
            None => break,
        }
    }
    assert_eq!(seen.len(), 14);
    let with = |status: &str| seen.iter().filter(|point| point["Status"] == status).count();
    assert_eq!((with("EXPIRED"), with("PARTIAL")), (1, 1));
    let asked = json!({
        "BackupVaultName": "dr-copies", "ByResourceArn": VOLUME,
        "ByCreatedAfter": world.began - 30.0 * 3600.0,
    });
    let said = ask(&mut world, 0.0, "backup", "ListRecoveryPointsByBackupVault", asked).unwrap();
    assert_eq!(said["RecoveryPoints"].as_array().unwrap().len(), 2);
    let none = json!({"BackupVaultName": "prod"});
    assert_eq!(
        code(ask(&mut world, 0.0, "backup", "ListRecoveryPointsByBackupVault", none)),
        "ResourceNotFoundException"
    );
}

#[test]
fn only_whole_points_are_restored() {
    let mut world = world();
    for status in ["EXPIRED", "PARTIAL"] {
        let asked = json!({"BackupVaultName": "dr-copies"});
        let said = ask(&mut world, 0.0, "backup", "ListRecoveryPointsByBackupVault", asked).unwrap();
        let points = said["RecoveryPoints"].as_array().unwrap();
        let point = points.iter().find(|point| point["Status"] == status).unwrap();
        let params = json!({
            "RecoveryPointArn": point["RecoveryPointArn"], "Metadata": zone(), "IamRoleArn": ROLE,
        });
        let refused = ask(&mut world, 0.0, "backup", "StartRestoreJob", params);
        assert_eq!(code(refused), "InvalidRequestException");
    }
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
    assert_eq!(job["StatusMessage"], "IAM Role cannot be assumed by AWS Backup.");
}

#[test]
fn what_was_written_down_is_not_what_is_taken() {
    let mut world = world();
    let arn = newest(&mut world, VOLUME);
    let asked = json!({"BackupVaultName": "dr-copies", "RecoveryPointArn": arn});
    let said = ask(&mut world, 0.0, "backup", "GetRecoveryPointRestoreMetadata", asked).unwrap();
    assert_eq!(said["RestoreMetadata"]["availabilityZone"], Value::Null);
    let database = "arn:aws:rds:eu-west-1:111122223333:db:orders";
    let arn = newest(&mut world, database);
    let asked = json!({"BackupVaultName": "dr-copies", "RecoveryPointArn": arn});
    let said = ask(&mut world, 0.0, "backup", "GetRecoveryPointRestoreMetadata", asked).unwrap();
    let back = start(&mut world, 1.0, database, said["RestoreMetadata"].clone());
    assert_eq!(code(back), "InvalidParameterValueException");
}

#[test]
fn each_type_has_its_traps() {
    let mut world = world();
    let refused = |world: &mut World, resource: &str, metadata: Value| {
        let why = start(world, 1.0, resource, metadata).expect_err("this should be refused");
        assert_eq!(why.code, "InvalidParameterValueException", "{}", why.message);
    };
    let failed = |world: &mut World, resource: &str, metadata: Value, why: &str| {
        let (status, message) = ends(world, resource, metadata);
        assert_eq!(status, "FAILED");
        assert!(message.contains(why), "{message}");
    };
    let arn = |service: &str, rest: &str| format!("arn:aws:{service}:eu-west-1:{ACCOUNT}:{rest}");

    refused(&mut world, VOLUME, json!({"availabilityZone": "a", "VolumeInitializationRate": "300"}));
    refused(&mut world, VOLUME, json!({"availabilityZone": "a", "kmsKeyId": "k"}));
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
fn tags_of_a_table_fail_the_job() {
    let mut world = world();
    let table = "arn:aws:dynamodb:eu-west-1:111122223333:table/carts";
    let params = json!({
        "RecoveryPointArn": newest(&mut world, table),
        "Metadata": {"targettablename": "new"},
        "IamRoleArn": ROLE,
        "CopySourceTagsToRestoredResource": true,
    });
    let id = ask(&mut world, 0.0, "backup", "StartRestoreJob", params).unwrap();
    let job = job(&mut world, 5000.0, &id["RestoreJobId"]);
    assert_eq!(job["Status"], "FAILED");
    assert_eq!(world.left(), Vec::<String>::new());
}

#[test]
fn the_script_is_followed() {
    let mut world = world();
    let mut with = |trouble: JobTrouble| {
        world.script.jobs.insert(VOLUME.into(), trouble);
        let id = start(&mut world, 0.0, VOLUME, zone()).unwrap()["RestoreJobId"].clone();
        [200.0, 700.0, 1e6].map(|after| job(&mut world, after, &id))
    };
    let takes_s = Some(400.0);
    let [_, _, stuck] = with(JobTrouble { stuck: true, ..JobTrouble::default() });
    assert_eq!(stuck["Status"], "RUNNING");
    let [_, failed, _] =
        with(JobTrouble { fails: Some("No.".into()), takes_s, ..JobTrouble::default() });
    assert_eq!((&failed["Status"], &failed["StatusMessage"]), (&json!("FAILED"), &json!("No.")));
    let [_, late, later] = with(JobTrouble { late_arn_s: 600.0, takes_s, ..JobTrouble::default() });
    assert_eq!(late["Status"], "COMPLETED");
    assert!(late.get("CreatedResourceArn").is_none() && later.get("CreatedResourceArn").is_some());
}

#[test]
fn keys_that_may_not_be_used() {
    let mut world = world();
    let key = "arn:aws:kms:eu-central-1:111122223333:key/11111111-2222-3333-4444-555555555555";
    world.script.denied_keys.push(key.into());
    let denied = ends(&mut world, VOLUME, zone());
    assert_eq!(denied, ("FAILED".into(), "Access denied to KMS key.".into()));
    world.script.denied_keys.clear();
    let away = "arn:aws:kms:eu-west-1:111122223333:key/11111111-2222-3333-4444-555555555555";
    let mut metadata = zone();
    metadata["kmsKeyId"] = json!(away);
    let (status, message) = ends(&mut world, VOLUME, metadata);
    assert_eq!(status, "FAILED");
    assert!(message.starts_with("The specified AWS KMS key ARN does not exist"), "{message}");
    let said = ask(&mut world, 0.0, "kms", "DescribeKey", json!({"KeyId": key})).unwrap();
    assert_eq!(said["KeyMetadata"]["KeyState"], "Enabled");
    let other = ask(&mut world, 0.0, "kms", "DescribeKey", json!({"KeyId": away}));
    assert_eq!(code(other), "NotFoundException");
}

#[test]
fn validation_is_said_once() {
    let mut world = world();
    let id = start(&mut world, 0.0, VOLUME, zone()).unwrap()["RestoreJobId"].clone();
    let params = json!({"RestoreJobId": id, "ValidationStatus": "SUCCESSFUL"});
    let put = |world: &mut World, after: f64| {
        ask(world, after, "backup", "PutRestoreValidationResult", params.clone())
    };
    assert_eq!(code(put(&mut world, 5.0)), "InvalidRequestException");
    put(&mut world, 5000.0).unwrap();
    assert_eq!(code(put(&mut world, 5001.0)), "InvalidRequestException");
    assert_eq!(job(&mut world, 5002.0, &id)["ValidationStatus"], "SUCCESSFUL");
}

#[test]
fn a_copy_job_is_seen() {
    let mut world = world();
    let params = json!({
        "RecoveryPointArn": newest(&mut world, VOLUME),
        "SourceBackupVaultName": "dr-copies",
        "DestinationBackupVaultArn": "arn:aws:backup:eu-west-1:111122223333:backup-vault:prod",
        "IamRoleArn": ROLE,
    });
    let id = ask(&mut world, 0.0, "backup", "StartCopyJob", params).unwrap()["CopyJobId"].clone();
    let said = ask(&mut world, 5.0, "backup", "DescribeCopyJob", json!({"CopyJobId": id})).unwrap();
    assert_eq!(said["CopyJob"]["State"], "RUNNING");
    assert!(world.left()[0].contains("copy-job"));
}

#[test]
fn jobs_are_listed_by_status_and_time() {
    let mut world = world();
    start(&mut world, 0.0, VOLUME, zone()).unwrap();
    start(&mut world, 3000.0, VOLUME, zone()).unwrap();
    let mut count = |params: Value| {
        let said = ask(&mut world, 3100.0, "backup", "ListRestoreJobs", params).unwrap();
        said["RestoreJobs"].as_array().unwrap().len()
    };
    assert_eq!(count(json!({})), 2);
    assert_eq!(count(json!({"ByStatus": "RUNNING"})), 1);
    assert_eq!(count(json!({"ByStatus": "COMPLETED"})), 1);
    assert_eq!(count(json!({"ByCreatedAfter": 1_800_000_100.0})), 1);
    assert_eq!(count(json!({"ByCompleteBefore": 1_800_002_000.0})), 1);
    assert_eq!(count(json!({"MaxResults": 1})), 1);
}

#[test]
fn an_instance_comes_with_all_that_it_needs() {
    let mut world = world();
    let (subnets, group) = super::super::rds::tests::network(&mut world);
    let instance = "arn:aws:ec2:eu-west-1:111122223333:instance/i-0000000000000a001";
    let metadata = json!({
        "InstanceType": "m7g.large", "SubnetId": subnets[0],
        "SecurityGroupIds": format!("[{group}]"),
    });
    world.script.no_capacity.push("m7g.large".into());
    let (status, why) = ends(&mut world, instance, metadata.clone());
    assert_eq!(status, "FAILED");
    assert!(why.contains("InsufficientInstanceCapacity"), "{why}");
    world.script.no_capacity.clear();
    let before = world.left().len();
    let id = start(&mut world, 0.0, instance, metadata).unwrap()["RestoreJobId"].clone();
    let job = job(&mut world, 400.0, &id);
    assert_eq!(job["Status"], "COMPLETED", "{job}");
    let made = job["CreatedResourceArn"].as_str().unwrap().rsplit('/').next().unwrap().to_owned();
    let said = ask(&mut world, 400.0, "ec2", "DescribeInstances", json!({"InstanceIds": [made]}));
    let shown = said.unwrap()["Reservations"][0]["Instances"][0].clone();
    assert_eq!(shown["SubnetId"], subnets[0]);
    // The instance, its interface, a volume, a helper image with its snapshot.
    assert_eq!(world.left().len(), before + 5, "{:?}", world.left());
}

/// An S3 server that knows only whether something was put: what it was asked is in the list.
fn put_server() -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let asked = Arc::new(Mutex::new(Vec::<String>::new()));
    let log = asked.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut head = BufReader::new(stream.try_clone().unwrap());
            let (mut first, mut length) = (String::new(), 0);
            head.read_line(&mut first).unwrap();
            loop {
                let mut line = String::new();
                head.read_line(&mut line).unwrap();
                if let Some(said) = line.strip_prefix("Content-Length: ") {
                    length = said.trim().parse().unwrap();
                }
                if line == "\r\n" {
                    break;
                }
            }
            std::io::copy(&mut head.take(length), &mut std::io::sink()).unwrap();
            let first = first.trim_end_matches(" HTTP/1.1\r\n").to_owned();
            let mut log = log.lock().unwrap();
            let there = log.contains(&first.replace("HEAD", "PUT"));
            let status = if first.starts_with("PUT") || there { "200 OK" } else { "404 Not Found" };
            log.push(first);
            let answer = format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n");
            stream.write_all(answer.as_bytes()).unwrap();
        }
    });
    (url, asked)
}

#[test]
fn a_bucket_is_made_and_filled_in_a_real_server() {
    let mut world = world();
    let bucket = "arn:aws:s3:::shop-documents";
    let metadata = json!({"DestinationBucketName": "drill-1", "newBucket": "true"});
    let (status, why) = ends(&mut world, bucket, metadata.clone());
    assert!(status == "FAILED" && why.contains("no S3 server"), "{status} {why}");

    let (url, asked) = put_server();
    world.s3 = Some(url);
    let id = start(&mut world, 0.0, bucket, metadata.clone()).unwrap()["RestoreJobId"].clone();
    job(&mut world, 61.0, &id);
    assert_eq!(asked.lock().unwrap()[..], ["HEAD /drill-1", "PUT /drill-1", "PUT /drill-1?versioning"]);
    assert_eq!(job(&mut world, 100.0, &id)["CreatedResourceArn"], "arn:aws:s3:::drill-1");
    let last = asked.lock().unwrap().last().cloned();
    assert_eq!(last.as_deref(), Some("PUT /drill-1/invoices/2026/0012.txt"));
    assert_eq!(asked.lock().unwrap().len(), 3 + 12);
    assert_eq!(world.left(), ["111122223333 eu-central-1 bucket drill-1"]);

    let (status, why) = ends(&mut world, bucket, metadata);
    assert!(status == "FAILED" && why.contains("exists already"), "{status} {why}");
    // Without the key the job is successful, and there is nothing.
    let key = "arn:aws:kms:eu-central-1:111122223333:key/11111111-2222-3333-4444-555555555555";
    world.script.denied_keys.push(key.into());
    let metadata = json!({"DestinationBucketName": "drill-2", "newBucket": "true"});
    assert_eq!(ends(&mut world, bucket, metadata).0, "COMPLETED");
    let with_objects = |request: &String| request.starts_with("PUT /drill-2/");
    assert!(!asked.lock().unwrap().iter().any(with_objects));
}

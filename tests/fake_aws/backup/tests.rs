mod made;
mod taken;

use serde_json::{Value, json};

use super::super::ask::present;
use super::super::script::JobTrouble;
use super::super::world::{Answer, Call, World, handle};
use super::super::{model, protocol, seed};

pub const ACCOUNT: &str = "111122223333";
const ROLE: &str = "arn:aws:iam::111122223333:role/restore";
const VOLUME: &str = "arn:aws:ec2:eu-west-1:111122223333:volume/vol-0000000000000d001";

pub fn world() -> World {
    let mut world = World::default();
    world.began = 1_800_000_000.0;
    seed::apply(&mut world, &seed::example()).unwrap();
    world
}

/// A request in the scratch region, so many seconds after the beginning. It and its answer are such
/// as the service's model allows.
pub fn ask(world: &mut World, after: f64, service: &str, operation: &str, params: Value) -> Answer {
    let call = Call {
        service: service.into(),
        operation: operation.into(),
        account: ACCOUNT.into(),
        region: "eu-central-1".into(),
        params: present(params),
        now: world.began + after,
    };
    let answer = handle(world, &call);
    // EC2's is large, and its own tests see to it.
    if service != "ec2" {
        let model = model::load(&model::default_folder(), service);
        let model = model
            .expect("scripts/test-tools fetches the models")
            .unwrap();
        if let Some(input) = &model.operations[operation].input {
            protocol::check::request(&model, &input.shape, &call.params).unwrap();
        }
        if let Ok(answer) = &answer {
            protocol::encode(&model, operation, answer, "1").unwrap();
        }
    }
    answer
}

fn code(answer: Answer) -> String {
    answer.expect_err("this should have been refused").code
}

/// The newest usable point of a resource: its ARN.
pub fn newest(world: &mut World, resource: &str) -> String {
    let asked = json!({"BackupVaultName": "dr-copies", "ByResourceArn": resource});
    let said = ask(
        world,
        0.0,
        "backup",
        "ListRecoveryPointsByBackupVault",
        asked,
    )
    .unwrap();
    (said["RecoveryPoints"].as_array().unwrap().iter())
        .filter(|point| point["Status"] == "COMPLETED")
        .max_by(|a, b| {
            a["CreationDate"]
                .as_f64()
                .partial_cmp(&b["CreationDate"].as_f64())
                .unwrap()
        })
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
    ask(
        world,
        after,
        "backup",
        "DescribeRestoreJob",
        json!({"RestoreJobId": id}),
    )
    .unwrap()
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
    assert_eq!(
        (&said["Status"], &said["PercentDone"]),
        (&json!("PENDING"), &json!("0.00%"))
    );
    assert_eq!(
        world.left().len(),
        1,
        "a job that runs is left: {:?}",
        world.left()
    );
    // 100 GiB at 100 MB/s: 1073.7 s, after 60.
    let half = 10.0 + 60.0 + 536.87;
    let said = job(&mut world, half, &id);
    assert_eq!(
        (&said["Status"], &said["PercentDone"]),
        (&json!("RUNNING"), &json!("50.00%"))
    );
    assert_eq!(said["ExpectedCompletionTimeMinutes"], 19);
    assert!(said.get("CreatedResourceArn").is_none());
    // The volume can be seen already.
    let volumes = ask(&mut world, half, "ec2", "DescribeVolumes", json!({})).unwrap();
    assert_eq!(volumes["Volumes"][0]["State"], "creating");
    let said = job(&mut world, 1200.0, &id);
    assert_eq!(
        (&said["Status"], &said["PercentDone"]),
        (&json!("COMPLETED"), &json!("100.00%"))
    );
    let made = said["CreatedResourceArn"].as_str().unwrap();
    assert!(
        made.starts_with("arn:aws:ec2:eu-central-1:111122223333:volume/vol-0"),
        "{made}"
    );
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
    params["Metadata"] = json!({"encrypted": "true", "availabilityZone": "eu-central-1a"});
    let again = ask(&mut world, 2.0, "backup", "StartRestoreJob", params.clone()).unwrap();
    assert_eq!(first, again, "the order of keys means nothing");
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
        let said = ask(
            &mut world,
            0.0,
            "backup",
            "ListRecoveryPointsByBackupVault",
            asked,
        )
        .unwrap();
        seen.extend(said["RecoveryPoints"].as_array().unwrap().clone());
        match said.get("NextToken") {
            Some(next) => token = next.as_str().map(str::to_owned),
            None => break,
        }
    }
    assert_eq!(seen.len(), 14);
    let with = |status: &str| {
        seen.iter()
            .filter(|point| point["Status"] == status)
            .count()
    };
    assert_eq!((with("EXPIRED"), with("PARTIAL")), (1, 1));
    let asked = json!({
        "BackupVaultName": "dr-copies", "ByResourceArn": VOLUME,
        "ByCreatedAfter": world.began - 30.0 * 3600.0,
    });
    let said = ask(
        &mut world,
        0.0,
        "backup",
        "ListRecoveryPointsByBackupVault",
        asked,
    )
    .unwrap();
    assert_eq!(said["RecoveryPoints"].as_array().unwrap().len(), 2);
    let none = json!({"BackupVaultName": "prod"});
    assert_eq!(
        code(ask(
            &mut world,
            0.0,
            "backup",
            "ListRecoveryPointsByBackupVault",
            none
        )),
        "ResourceNotFoundException"
    );
}

#[test]
fn vaults_and_points_are_described_and_tagged() {
    let mut world = world();
    let of = json!({"BackupVaultName": "dr-copies"});
    let vault = ask(&mut world, 0.0, "backup", "DescribeBackupVault", of.clone()).unwrap();
    assert_eq!(
        vault["BackupVaultArn"],
        "arn:aws:backup:eu-central-1:111122223333:backup-vault:dr-copies"
    );
    let none = ask(&mut world, 0.0, "backup", "GetBackupVaultAccessPolicy", of);
    assert_eq!(code(none), "ResourceNotFoundException");
    let arn = newest(&mut world, VOLUME);
    let of = json!({"BackupVaultName": "dr-copies", "RecoveryPointArn": arn});
    let point = ask(&mut world, 0.0, "backup", "DescribeRecoveryPoint", of).unwrap();
    assert_eq!(point["StorageClass"], "WARM");
    assert!(
        point["SourceBackupVaultArn"]
            .as_str()
            .unwrap()
            .contains("eu-west-1")
    );
    let tag = json!({"ResourceArn": arn, "Tags": {"a": "b"}});
    ask(&mut world, 0.0, "backup", "TagResource", tag).unwrap();
    let of = json!({"ResourceArn": arn});
    let tags = ask(&mut world, 0.0, "backup", "ListTags", of).unwrap()["Tags"].clone();
    // Two hours before the beginning.
    assert_eq!(
        tags,
        json!({"a": "b", "seawall:data-time": "2027-01-15T06:00:00Z"})
    );
    let of = json!({"ResourceArn": VOLUME});
    let said = ask(&mut world, 0.0, "backup", "DescribeProtectedResource", of).unwrap();
    assert_eq!(said["LastRecoveryPointArn"], arn);
    let id = start(&mut world, 0.0, VOLUME, zone()).unwrap();
    let said = ask(&mut world, 0.0, "backup", "GetRestoreJobMetadata", id).unwrap();
    assert_eq!(said["Metadata"], zone());
}

#[test]
fn only_whole_points_are_restored() {
    let mut world = world();
    for status in ["EXPIRED", "PARTIAL"] {
        let asked = json!({"BackupVaultName": "dr-copies"});
        let said = ask(
            &mut world,
            0.0,
            "backup",
            "ListRecoveryPointsByBackupVault",
            asked,
        )
        .unwrap();
        let points = said["RecoveryPoints"].as_array().unwrap();
        let point = points
            .iter()
            .find(|point| point["Status"] == status)
            .unwrap();
        let params = json!({
            "RecoveryPointArn": point["RecoveryPointArn"], "Metadata": zone(), "IamRoleArn": ROLE,
        });
        let refused = ask(&mut world, 0.0, "backup", "StartRestoreJob", params);
        assert_eq!(code(refused), "InvalidRequestException");
    }
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
    let [_, _, stuck] = with(JobTrouble {
        stuck: true,
        ..JobTrouble::default()
    });
    assert_eq!(stuck["Status"], "RUNNING");
    let [_, failed, _] = with(JobTrouble {
        fails: Some("No.".into()),
        takes_s,
        ..JobTrouble::default()
    });
    assert_eq!(
        (&failed["Status"], &failed["StatusMessage"]),
        (&json!("FAILED"), &json!("No."))
    );
    let [_, late, later] = with(JobTrouble {
        late_arn_s: 600.0,
        takes_s,
        ..JobTrouble::default()
    });
    assert_eq!(late["Status"], "COMPLETED");
    assert!(late.get("CreatedResourceArn").is_none() && later.get("CreatedResourceArn").is_some());
}

#[test]
fn validation_is_said_once() {
    let mut world = world();
    let id = start(&mut world, 0.0, VOLUME, zone()).unwrap()["RestoreJobId"].clone();
    let params = json!({"RestoreJobId": id, "ValidationStatus": "SUCCESSFUL"});
    let put = |world: &mut World, after: f64| {
        ask(
            world,
            after,
            "backup",
            "PutRestoreValidationResult",
            params.clone(),
        )
    };
    assert_eq!(code(put(&mut world, 5.0)), "InvalidRequestException");
    put(&mut world, 5000.0).unwrap();
    assert_eq!(code(put(&mut world, 5001.0)), "InvalidRequestException");
    assert_eq!(
        job(&mut world, 5002.0, &id)["ValidationStatus"],
        "SUCCESSFUL"
    );
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
    let said = ask(
        &mut world,
        5.0,
        "backup",
        "DescribeCopyJob",
        json!({"CopyJobId": id}),
    )
    .unwrap();
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

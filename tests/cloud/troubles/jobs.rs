//! Restore jobs that fail, and those that say COMPLETED and should not.

use super::*;

/// The customer's key that everything in the scratch region's vault is encrypted with.
pub fn key() -> String {
    format!("arn:aws:kms:{SCRATCH}:{ACCOUNT}:key/11111111-2222-3333-4444-555555555555")
}

#[test]
fn a_key_that_is_denied_in_the_middle() {
    let stage = Stage::new(SPEED, Script::default());
    let plan = stage.plan(&document(&stage, steps::pair));
    // The preflight has looked at the key; then its policy changes.
    let ran = std::thread::scope(|scope| {
        let aws = &stage.aws;
        scope.spawn(move || {
            let began = |aws: &crate::fake_aws::server::FakeAws| {
                let log = aws.log();
                log.iter()
                    .any(|e| e.operation == "CreateVpc" && e.status == 200)
            };
            for _ in 0..20_000 {
                if began(aws) {
                    break;
                }
                std::thread::sleep(std::time::Duration::from_millis(1));
            }
            aws.set_script(Script {
                denied_keys: vec![key()],
                ..Script::default()
            });
        });
        stage.run(&plan, None)
    });
    let ran = Ran {
        id: ran.0,
        end: ran.1.end(),
        stage,
        plan,
    };
    ran.ends(VerdictWord::Missed);
    ran.says("it ended as FAILED: Access denied to KMS key. (");
    ran.says("kms:CreateGrant");
}

#[test]
fn each_status_message_is_shown_with_what_to_do_about_it() {
    let all = [
        (
            "IAM Role cannot be assumed by AWS Backup.",
            "let backup.amazonaws.com assume the restore role",
        ),
        (
            "Access denied to KMS key.",
            "let the restore role use the key",
        ),
        (
            "The specified AWS KMS key ARN does not exist, is not enabled or you do not have \
             permissions to access it.",
            "look whether the key is enabled and in the scratch region",
        ),
        ("No default VPC for this user", "name the subnet"),
        ("No subnets found for the default VPC", "name the subnet"),
        ("No default subnet detected in VPC", "name the subnet"),
    ];
    for (message, advice) in all {
        let ran = ran(every_job(fails(message)), |_| vec![steps::carts()]);
        ran.ends(VerdictWord::Missed);
        ran.says("carts: it did not recover");
        ran.says(message);
        ran.says(advice);
    }
}

#[test]
fn a_message_of_the_services_own_is_cleaned() {
    let hostile = "\u{1b}[2Jno\u{202e}\nsecond line";
    let ran = ran(every_job(fails(hostile)), |_| vec![steps::carts()]);
    ran.ends(VerdictWord::Missed);
    assert!(!ran.told().contains('\u{1b}') && !ran.told().contains('\u{202e}'));
    ran.says("look up this text in AWS Backup's documentation");
}

fn empty() -> Script {
    every_job(JobTrouble {
        empty: true,
        ..JobTrouble::default()
    })
}

#[test]
fn a_volume_without_data() {
    let ran = ran(empty(), steps::pair);
    ran.ends(VerdictWord::Missed);
    ran.says("the proof `there is data in it` failed");
}

#[test]
fn a_machine_that_was_never_made() {
    let ran = ran(empty(), |url| vec![steps::machine(url, "[]")]);
    ran.ends(VerdictWord::Missed);
    ran.says("it is COMPLETED, yet it names nothing that it has created");
}

#[test]
fn a_table_without_items() {
    let ran = ran(empty(), |_| vec![steps::carts()]);
    ran.ends(VerdictWord::Missed);
    ran.says("AWS Backup says COMPLETED, and the table is empty");
}

#[test]
fn a_file_system_without_files() {
    let ran = ran(empty(), |url| {
        vec![steps::jump("[]"), steps::shared(url, "{}")]
    });
    ran.ends(VerdictWord::Missed);
    ran.says("the proof `there is data in it` failed");
}

#[test]
fn a_database_and_a_cluster_that_were_never_made() {
    let ran = ran(empty(), |url| {
        vec![
            steps::jump("[]"),
            steps::orders(url, ""),
            steps::ledger(url),
        ]
    });
    ran.ends(VerdictWord::Missed);
    for step in ["orders", "ledger"] {
        ran.says(&format!("{step}: it did not recover: restore job"));
    }
    ran.says("it is COMPLETED, yet it names nothing that it has created");
}

#[test]
fn completed_with_a_message_is_in_doubt() {
    let message = "Some objects could not be restored.";
    let ran = ran(
        every_job(JobTrouble {
            message: Some(message.into()),
            ..JobTrouble::default()
        }),
        |_| vec![steps::carts()],
    );
    // All of its proofs pass, and yet.
    ran.ends(VerdictWord::Inconclusive);
    ran.says(&format!(
        "the restore job is COMPLETED, and says: {message}"
    ));
    ran.says("some of the data was not restored");
}

#[test]
fn an_arn_that_comes_late_is_waited_for() {
    let late = |late_arn_s| {
        every_job(JobTrouble {
            late_arn_s,
            ..JobTrouble::default()
        })
    };
    let soon = ran(late(300.0), |_| vec![steps::carts()]);
    soon.ends(VerdictWord::Met);
    let never = ran(late(1e9), |_| vec![steps::carts()]);
    never.ends(VerdictWord::Missed);
    never.says("it is COMPLETED, yet it names nothing that it has created");
}

//! What is written back to AWS Backup with PutRestoreValidationResult. It cannot be taken back.

use super::*;

fn said(ran: &Ran) -> Vec<Option<String>> {
    ran.jobs(|state| {
        let jobs = state.jobs.iter();
        jobs.map(|job| job.validation.as_ref().map(|(status, _)| status.clone()))
            .collect()
    })
}

#[test]
fn a_step_that_was_proved_is_successful() {
    let ran = ran(Script::default(), |_| vec![steps::carts()]);
    ran.ends(VerdictWord::Met);
    assert_eq!(said(&ran), [Some("SUCCESSFUL".to_owned())]);
}

#[test]
fn a_proof_that_failed_is_a_failure() {
    let script = every_job(JobTrouble {
        empty: true,
        ..JobTrouble::default()
    });
    let ran = ran(script, steps::pair);
    ran.ends(VerdictWord::Missed);
    assert_eq!(said(&ran), [Some("FAILED".to_owned())]);
}

#[test]
fn of_a_passing_fault_nothing_is_said() {
    // The proof cannot be carried out: nobody knows whether the data is there.
    let script = Script {
        requests: vec![RequestTrouble {
            operation: "GetItem".into(),
            ..requests("dynamodb", (0.0, f64::INFINITY), WrongAnswer::Unavailable)
        }],
        ..Script::default()
    };
    let ran = ran(script, |_| vec![steps::carts()]);
    ran.ends(VerdictWord::Inconclusive);
    ran.says("the proof `there are carts` could not be carried out");
    assert_eq!(said(&ran), [None]);
    let log = ran.stage.aws.log();
    let put = log.iter().filter(|e| e.operation.starts_with("PutRestore"));
    assert_eq!(put.count(), 0);
}

#[test]
fn a_service_that_will_not_hear_it_changes_nothing() {
    let script = Script {
        requests: vec![RequestTrouble {
            operation: "PutRestoreValidationResult".into(),
            ..requests(
                "backup",
                (0.0, f64::INFINITY),
                WrongAnswer::Error {
                    status: 400,
                    code: "InvalidRequestException".into(),
                    message: "on-demand jobs have no validation".into(),
                },
            )
        }],
        ..Script::default()
    };
    let ran = ran(script, |_| vec![steps::carts()]);
    ran.ends(VerdictWord::Met);
    assert_eq!(said(&ran), [None]);
    assert_eq!(ran.troubled(), 1);
}

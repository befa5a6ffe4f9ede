//! Services that do not answer as they should, and come back.

use super::*;

/// In virtual seconds: from right after the drill's beginning, so that most of what it asks is hit.
const SLOW: f64 = 300.0;

#[test]
fn a_throttling_storm_is_waited_out_and_not_fanned() {
    let mut storm = requests("*", (60.0, 360.0), WrongAnswer::Throttle);
    storm.share = 0.8;
    let script = Script {
        requests: vec![storm],
        ..Script::default()
    };
    let ran = ran_at(SLOW, script, steps::pair);
    ran.ends(VerdictWord::Met);
    let asked = ran.stage.aws.log().len();
    println!("{asked} requests, {} throttled", ran.troubled());
    assert!(ran.troubled() > 10, "the storm was none: {asked} requests");
    assert!(asked < 400, "{asked} requests");
}

fn silent(service: &str) -> usize {
    let script = Script {
        requests: vec![requests(service, (60.0, 660.0), WrongAnswer::Unavailable)],
        ..Script::default()
    };
    let ran = ran_at(SLOW, script, steps::pair);
    ran.ends(VerdictWord::Met);
    let asked = ran.stage.aws.log().len();
    println!("{service}: {asked} requests, {} unanswered", ran.troubled());
    assert!(asked < 400, "{asked} requests");
    ran.troubled()
}

#[test]
fn ten_minutes_without_backup_are_waited_out() {
    assert!(silent("backup") > 5);
}

#[test]
fn ten_minutes_without_ec2_are_waited_out() {
    assert!(silent("ec2") > 5);
}

#[test]
fn ten_minutes_without_any_service_are_waited_out() {
    assert!(silent("*") > 5);
}

#[test]
fn a_proof_waits_for_the_service_that_answers_it() {
    // From the first proof on: the restore itself has looked into the table by then.
    let script = Script {
        requests: vec![RequestTrouble {
            operation: "GetItem".into(),
            times: Some(30),
            ..requests("dynamodb", (0.0, f64::INFINITY), WrongAnswer::Unavailable)
        }],
        ..Script::default()
    };
    let ran = ran(script, |_| vec![steps::carts()]);
    ran.ends(VerdictWord::Met);
    assert_eq!(ran.troubled(), 30);
}

#[test]
fn what_was_made_a_moment_ago_may_be_unknown_and_its_tags_later_still() {
    let script = Script {
        consistency_s: 60.0,
        tag_lag_s: 60.0,
        slow_deletes_s: [("sg-".to_owned(), 120.0)].into(),
        ..Script::default()
    };
    let ran = ran(script, steps::pair);
    ran.ends(VerdictWord::Met);
}

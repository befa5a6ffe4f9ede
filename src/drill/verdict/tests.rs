use super::*;
use crate::drill::timeline::tests::{Story, clock_stopped};
use crate::journal::AssumedNote;
use crate::model::drill::DrillPhase::{Load, Restore, Start, Wait};

fn control(step: &str, can_fail: bool) -> DrillEvent {
    DrillEvent::Control {
        step: step.into(),
        proof: "there".into(),
        can_fail,
        detail: String::new(),
    }
}

fn picked(step: &str, at_ms: u64, data_time: Option<&str>, copy_time: Option<&str>) -> DrillEvent {
    DrillEvent::Picked {
        step: step.into(),
        attempt: 1,
        at_ms,
        point: PointNote {
            source: step.into(),
            name: "one".into(),
            store: "local".into(),
            place: "here".into(),
            data_time: data_time.map(str::to_owned),
            copy_time: copy_time.map(str::to_owned),
            size: 1,
            sha256: None,
            signed: true,
            vouched: None,
            how: "latest of 1".into(),
            files: None,
            bytes: None,
        },
    }
}

/// The disaster of these stories is at 07:35:14 on the 20th.
const AN_HOUR_BEFORE: &str = "2026-11-20T06:35:14Z";
const THIRTY_HOURS_BEFORE: &str = "2026-11-19T01:35:14Z";

/// One step that recovers in five seconds, with data an hour old.
fn good() -> Story {
    with_data_of(Some(AN_HOUR_BEFORE), None)
}

fn with_data_of(data_time: Option<&str>, copy_time: Option<&str>) -> Story {
    let mut story = Story::declared(1, &[("db", &[])]);
    story.add(control("db", true));
    story.add(crate::drill::timeline::tests::clock_started());
    story.start("db", Wait, 0).stop("db", Wait, 0);
    story.add(picked("db", 1, data_time, copy_time));
    story.start("db", Restore, 1).stop("db", Restore, 4000);
    story.verify("db", 4000, 5000);
    story.add(clock_stopped(5000));
    story.add(DrillEvent::Swept { left: Vec::new() });
    story
}

fn change(mut story: Story, with: impl Fn(&mut DrillEvent)) -> Story {
    for record in &mut story.records {
        if let Event::Drill(event) = &mut record.event {
            with(event);
        }
    }
    story
}

/// The story without the events that are chosen, numbered anew.
fn without(story: Story, chosen: impl Fn(&DrillEvent) -> bool) -> Story {
    let mut out = Story::default();
    for record in story.records {
        if let Event::Drill(event) = record.event
            && !chosen(&event)
        {
            out.add(event);
        }
    }
    out
}

fn of(story: &Story) -> Verdict {
    judge(&story.records)
}

#[track_caller]
fn says(story: &Story, word: VerdictWord, reason: &str) {
    let verdict = of(story);
    assert_eq!(verdict.word, word, "{:#?}", verdict.reasons);
    let reasons = verdict.reasons.join("\n");
    assert!(reasons.contains(reason), "{reasons}");
    assert!(!verdict.reasons.is_empty());
}

use VerdictWord::{Inconclusive, Met, Missed};

#[test]
fn all_measured_and_within_its_targets_is_met() {
    let verdict = of(&good());
    assert_eq!((verdict.word, verdict.reasons.len()), (Met, 0));
    assert_eq!(verdict.rto.measured_ms, Some(5000));
    assert_eq!(verdict.rpo.measured_ms, Some(3_600_000));
    assert_eq!(verdict.rpo.step.as_deref(), Some("db"));
    assert_eq!(verdict.steps[0].word, Met);
    assert_eq!(verdict.what_if[0].rto_ms, 2500);
}

#[test]
fn assumed_time_is_counted_and_shown_apart() {
    let assumed = |ms| {
        change(good(), move |event| {
            if let DrillEvent::Declared { assumed, .. } = event {
                assumed.push(AssumedNote {
                    what: "detection".into(),
                    ms,
                    why: "the on-call's promise".into(),
                });
            }
        })
    };
    let verdict = of(&assumed(60_000));
    assert_eq!(verdict.word, Met);
    assert_eq!(verdict.assumed_ms, 60_000);
    assert_eq!(verdict.rto.measured_ms, Some(65_000));
    assert_eq!(verdict.what_if[0].rto_ms, 62_500);
    // An hour is the objective: with an hour assumed it is missed.
    says(&assumed(3_600_000), Missed, "1h 0m of it assumed");
}

#[test]
fn a_step_has_objectives_of_its_own() {
    let story = change(good(), |event| {
        if let DrillEvent::Declared { steps, .. } = event {
            steps[0].rto_target_ms = Some(4000);
        }
    });
    says(
        &story,
        Missed,
        "db: it took 5.0s, and the objective is 4.0s",
    );
    assert_eq!(of(&story).steps[0].word, Missed);
}

#[test]
fn without_any_objective_there_is_nothing_to_compare_with() {
    let story = change(good(), |event| {
        if let DrillEvent::Declared {
            rto_target_ms,
            rpo_target_ms,
            ..
        } = event
        {
            (*rto_target_ms, *rpo_target_ms) = (None, None);
        }
    });
    says(&story, Inconclusive, "no objective is set");
    assert_eq!(of(&story).rto.measured_ms, Some(5000));
}

#[test]
fn a_step_that_did_not_recover_is_missed_and_has_no_time() {
    let mut story = Story::declared(1, &[("db", &[]), ("app", &["db"])]);
    story.add(control("db", true)).add(control("app", true));
    story.add(crate::drill::timeline::tests::clock_started());
    story
        .start("db", Wait, 0)
        .stop("db", Wait, 0)
        .start("app", Wait, 0);
    story
        .start("db", Load, 1)
        .stop_with("db", Load, 900, Ended::Failed, 0);
    story.ended("db", 900, Ended::Failed);
    story.stop_with("app", Wait, 901, Ended::Skipped, 0);
    story.ended("app", 901, Ended::Skipped);
    story.add(clock_stopped(902));
    story.add(DrillEvent::Swept { left: Vec::new() });
    says(&story, Missed, "db: it did not recover: because");
    let verdict = of(&story);
    assert_eq!(verdict.rto.measured_ms, None);
    assert_eq!(verdict.steps[1].word, Missed);
    assert!(verdict.what_if.is_empty());
}

#[test]
fn a_proof_that_failed_is_missed_and_one_that_is_unknown_is_inconclusive() {
    let with = |to: ProofOutcome| {
        change(good(), move |event| match event {
            DrillEvent::Proved { outcome, .. } => *outcome = to,
            DrillEvent::StepEnded { ended, reason, .. } => {
                (*ended, *reason) = (Ended::Failed, Some("proof".into()));
            }
            _ => {}
        })
    };
    says(&with(ProofOutcome::Fail), Missed, "did not recover");
    says(&with(ProofOutcome::Unknown), Inconclusive, "is not known");
    // A step is not believed to have recovered, whatever it says, when a proof says no.
    let lies = change(good(), |event| {
        if let DrillEvent::Proved { outcome, .. } = event {
            *outcome = ProofOutcome::Unknown;
        }
    });
    says(&lies, Inconclusive, "could not be carried out");
    // Or when one was left out.
    let left_out = without(good(), |e| matches!(e, DrillEvent::Proved { .. }));
    says(&left_out, Inconclusive, "never carried out");
}

#[test]
fn lie_06_rpo_from_the_wrong_clock() {
    // The copy is an hour old and the data thirty hours.
    let story = with_data_of(Some(THIRTY_HOURS_BEFORE), Some(AN_HOUR_BEFORE));
    says(&story, Missed, "1d 6h");
    assert_eq!(of(&story).rpo.measured_ms, Some(30 * 3_600_000));
    // A copy's time is no stand-in for the data's.
    let unknown = with_data_of(None, Some(AN_HOUR_BEFORE));
    says(&unknown, Inconclusive, "nobody says of when the data is");
    assert_eq!(of(&unknown).rpo.measured_ms, None);
    // Data of after the disaster was never to be had.
    let later = with_data_of(Some("2026-11-20T07:35:15Z"), None);
    says(&later, Inconclusive, "after the disaster");
    // Unsigned: anybody may have written it.
    let unsigned = change(good(), |event| {
        if let DrillEvent::Picked { point, .. } = event {
            point.signed = false;
        }
    });
    says(&unsigned, Inconclusive, "signed word");
    // AWS Backup signs nothing; who vouches for it is the account's own access control.
    let of_aws = change(unsigned, |event| {
        if let DrillEvent::Declared { steps, .. } = event {
            steps[0].kind = StepNote::RECOVERY_POINT.into();
        }
    });
    assert_eq!(of(&of_aws).word, Met, "{:?}", of(&of_aws));
    // Where nobody says of when it is, it is not known there either.
    let undated = change(of_aws, |event| {
        if let DrillEvent::Picked { point, .. } = event {
            point.data_time = None;
        }
    });
    says(&undated, Inconclusive, "nobody says of when the data is");
}

#[test]
fn the_oldest_data_of_all_steps_is_the_rpo() {
    let mut story = Story::declared(2, &[("db", &[]), ("files", &[])]);
    story.add(control("db", true)).add(control("files", true));
    story.add(crate::drill::timeline::tests::clock_started());
    for (step, time) in [("db", AN_HOUR_BEFORE), ("files", "2026-11-20T02:35:14Z")] {
        story.start(step, Wait, 0).stop(step, Wait, 0);
        story.add(picked(step, 0, Some(time), None));
    }
    story
        .verify("db", 1, 2)
        .verify("files", 2, 3)
        .add(clock_stopped(3));
    story.add(DrillEvent::Swept { left: Vec::new() });
    let verdict = of(&story);
    assert_eq!(verdict.word, Met, "{:?}", verdict.reasons);
    assert_eq!(verdict.rpo.measured_ms, Some(5 * 3_600_000));
    assert_eq!(verdict.rpo.step.as_deref(), Some("files"));
}

#[test]
fn lie_07_a_clock_that_was_played_with_measures_nothing() {
    let story = change(good(), |event| {
        if let DrillEvent::ClockStopped { at_ms } = event {
            *at_ms = 10;
        }
    });
    says(&story, Inconclusive, "time runs backwards");
    assert_eq!(of(&story).rto.measured_ms, None);
    let mut anew = without(good(), |e| matches!(e, DrillEvent::Swept { .. }));
    let resumed = DrillEvent::Resumed {
        at_ms: 5000,
        boot_id: "other".into(),
        same_boot: false,
        by: "me".into(),
    };
    anew.add(resumed)
        .add(DrillEvent::Swept { left: Vec::new() });
    says(&anew, Inconclusive, "its clock is lost");
    assert_eq!(of(&anew).rto.measured_ms, None);
}

#[test]
fn lie_11_a_proof_that_proves_nothing() {
    let vacuous = change(good(), |event| {
        if let DrillEvent::Control { can_fail, .. } = event {
            *can_fail = false;
        }
    });
    says(&vacuous, Inconclusive, "proves nothing");
    let untried = without(good(), |e| matches!(e, DrillEvent::Control { .. }));
    says(
        &untried,
        Inconclusive,
        "was not tried where nothing was restored",
    );
}

#[test]
fn lie_12_reports_that_forget() {
    // A failed clean-up is not green.
    let left = change(good(), |event| {
        if let DrillEvent::Swept { left } = event {
            left.push("directory /scratch/db".into());
        }
    });
    says(
        &left,
        Inconclusive,
        "1 thing was left behind: directory /scratch/db",
    );
    // Nor one that was not looked at, nor one that the ledger gainsays.
    let unseen = without(good(), |e| matches!(e, DrillEvent::Swept { .. }));
    says(&unseen, Inconclusive, "was not looked at");
    let mut standing = without(good(), |e| matches!(e, DrillEvent::Swept { .. }));
    let intended = DrillEvent::Intended {
        token: "t".into(),
        step: None,
        kind: "directory".into(),
        name: "x".into(),
        at_ms: 5000,
    };
    standing
        .add(intended)
        .add(DrillEvent::Swept { left: Vec::new() });
    says(&standing, Inconclusive, "never seen gone: directory x");
    // An aborted run has a verdict, at each of its lines, and it is never `met`.
    let whole = good().records;
    for lines in 0..whole.len() {
        let cut = Story {
            records: whole[..lines].to_vec(),
        };
        says(&cut, Inconclusive, "");
    }
}

#[test]
fn what_is_interrupted_refused_or_doubted_is_inconclusive() {
    let cut = change(good(), |event| {
        if let DrillEvent::StepEnded { ended, reason, .. } = event {
            (*ended, *reason) = (Ended::Interrupted, Some("by Ctrl-C".into()));
        }
    });
    says(
        &cut,
        Inconclusive,
        "interrupted before these had ended: db (by Ctrl-C)",
    );
    let mut refused = good();
    refused.add(DrillEvent::Refused {
        what: "/srv/primary".into(),
        by: "db".into(),
        at_ms: 5001,
    });
    says(
        &refused,
        Inconclusive,
        "db reached for what is off limits: /srv/primary",
    );
    for step in [None, Some("db".to_owned())] {
        let mut doubted = good();
        doubted.add(DrillEvent::Doubted {
            step,
            reason: "no disk is that fast".into(),
            at_ms: 5001,
        });
        says(&doubted, Inconclusive, "no disk is that fast");
    }
    let mut unmet = Story::declared(1, &[("db", &[])]);
    unmet.add(DrillEvent::Preflight {
        check: "free space".into(),
        met: false,
        detail: "1 GB of 2 GB".into(),
    });
    unmet.add(DrillEvent::Swept { left: Vec::new() });
    says(
        &unmet,
        Inconclusive,
        "refused before it started: free space: 1 GB of 2 GB",
    );
}

#[test]
fn any_order_of_events_has_a_verdict() {
    let mut whole = good().records;
    let mut more = Story::new(1, &[("a", &["a"])]);
    more.start("a", Start, u64::MAX).stop("a", Start, 0);
    whole.extend(more.records);
    let mut seed = 7u64;
    for _ in 0..300 {
        let mut records = whole.clone();
        for i in (1..records.len()).rev() {
            seed = seed
                .wrapping_mul(6364136223846793005)
                .wrapping_add(1442695040888963407);
            records.swap(i, (seed >> 33) as usize % (i + 1));
        }
        let verdict = judge(&records);
        assert_ne!(verdict.word, Met);
    }
}

#[test]
fn lengths_are_told_as_people_do() {
    let told: Vec<String> = [850, 12_345, 245_000, 11_220_000, 187_200_000]
        .map(length)
        .to_vec();
    assert_eq!(told, ["850ms", "12.3s", "4m 5s", "3h 7m", "2d 4h"]);
}

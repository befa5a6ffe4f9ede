mod killed;

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::time::Duration;

use proptest::prelude::*;
use serde_json::json;

use super::testing::{How, Played, Stage, Trouble, World, drill_events};
use super::*;
use crate::drill::ledger;
use crate::drill::plan::tests::plan_of;
use crate::drill::timeline::Timeline;
use crate::model::drill::{DrillPhase, Ended, ProofOutcome};

use DrillPhase::{Locate, Provision, Restore};
use VerdictWord::{Inconclusive, Met, Missed};

/// `d` needs `b` and `c`, which need `a`; `e` stands alone.
fn diamond(more: serde_json::Value) -> Plan {
    plan_of(
        &[
            ("a", &[]),
            ("b", &["a"]),
            ("c", &["a"]),
            ("d", &["b", "c"]),
            ("e", &[]),
        ],
        more,
    )
}

fn stage() -> Stage {
    Stage::new(diamond(json!({})))
}

/// What holds of every run, however it went.
#[track_caller]
fn sound(played: &Played) {
    assert_eq!(played.wrong, Vec::<String>::new());
    let end = played.end();
    assert_eq!(end.left, Vec::<String>::new());
    assert_eq!(played.world, World::default());
    let line = Timeline::of(&played.records);
    assert_eq!(line.games, Vec::<String>::new());
    assert!(ledger::read(&played.records).iter().all(|e| e.gone));
    // The verdict is a fold over the journal.
    assert_eq!(judge_before(&played.records), end.verdict);
    let path = &end.verdict.critical_path;
    assert!(path.windows(2).all(|w| w[0].end_ms == w[1].start_ms));
    if let (Some(first), Some(last)) = (path.first(), path.last()) {
        assert_eq!((first.start_ms, Some(last.end_ms)), (0, line.stopped_ms));
    }
    if end.verdict.word == Met {
        for step in &line.steps {
            assert_eq!(step.ended(), Some(Ended::Well), "{}", step.step);
        }
    }
    assert!(matches!(
        played.records.last().map(|r| &r.event),
        Some(Event::RunEnded { .. })
    ));
}

/// The verdict over what stood in the journal before it.
fn judge_before(records: &[Record]) -> Verdict {
    let until = records
        .iter()
        .position(|r| matches!(r.event, Event::Drill(DrillEvent::Judged { .. })));
    judge(&records[..until.unwrap()])
}

fn ended(played: &Played) -> BTreeMap<String, Ended> {
    let line = Timeline::of(&played.records);
    line.steps
        .iter()
        .filter_map(|s| Some((s.step.clone(), s.ended()?)))
        .collect()
}

#[track_caller]
fn reason(played: &Played, wanted: &str) {
    let reasons = played.end().verdict.reasons.join("\n");
    assert!(reasons.contains(wanted), "{reasons}");
}

#[test]
fn a_drill_in_which_all_goes_well_is_met_and_leaves_nothing() {
    let played = stage().play(How::Run, &[]);
    sound(&played);
    let end = played.end();
    assert_eq!((end.verdict.word, end.code), (Met, code::MET));
    assert_eq!(end.verdict.reasons, Vec::<String>::new());
    // Three phases of a second and a proof of 200 ms; three such steps, one after the other.
    assert_eq!(end.verdict.rto.measured_ms, Some(9600));
    assert_eq!(end.verdict.rpo.measured_ms, Some(3_600_000));
    assert_eq!(end.verdict.what_if.len(), 3);
    assert!(
        end.verdict
            .what_if
            .iter()
            .all(|w| w.rto_ms == 8000 || w.step == "b" || w.step == "c")
    );
    let first = &played.records[0].event;
    assert!(matches!(first, Event::RunStarted { verb, .. } if verb == "drill"));
    let events = drill_events(&played.records);
    let controls = events
        .iter()
        .filter(|e| matches!(e, DrillEvent::Control { .. }));
    assert_eq!(controls.count(), 5);
    let used = events
        .iter()
        .filter(|e| matches!(e, DrillEvent::Used { .. }));
    assert_eq!(used.count(), 5);
}

#[test]
fn no_more_steps_run_side_by_side_than_may() {
    let names: Vec<String> = (0..7).map(|i| format!("s{i}")).collect();
    let steps: Vec<(&str, &[&str])> = names.iter().map(|n| (n.as_str(), &[][..])).collect();
    for (parallel, rto) in [(1, 22_400), (3, 9_600), (7, 3_200)] {
        let stage = Stage::new(plan_of(&steps, json!({"parallel": parallel})));
        let played = stage.play(How::Run, &[]);
        sound(&played);
        assert_eq!(played.end().verdict.rto.measured_ms, Some(rto));
    }
}

#[test]
fn lie_07_the_wall_clock_set_back_changes_no_figure() {
    let mut stage = stage();
    // Each time that it is asked, it is an hour earlier.
    let start = "2026-11-20T07:35:14Z".parse().unwrap();
    stage.wall = Arc::new(crate::journal::FixedClock::new(start, -3_600_000));
    let played = stage.play(How::Run, &[]);
    sound(&played);
    let verdict = &played.end().verdict;
    assert_eq!(verdict.word, Met);
    assert_eq!(verdict.rto.measured_ms, Some(9600));
    assert_eq!(verdict.rpo.measured_ms, Some(3_600_000));
    let times: Vec<&String> = played.records.iter().map(|r| &r.time).collect();
    assert!(
        times.windows(2).all(|w| w[0] > w[1]),
        "the clock was not set back"
    );
}

#[test]
fn a_failure_in_any_phase_of_any_step_is_missed_and_what_needs_it_is_left_out() {
    for step in ["a", "b", "c", "d", "e"] {
        for phase in [Locate, Provision, Restore] {
            let mut stage = stage();
            let at = (step.to_owned(), phase);
            stage.fake.script.trouble.insert(at, Trouble::Fail);
            let plan = stage.plan.clone();
            let played = stage.play(How::Run, &[]);
            sound(&played);
            assert_eq!(played.end().verdict.word, Missed);
            assert_eq!(played.end().code, code::MISSED);
            assert_eq!(played.end().verdict.rto.measured_ms, None);
            reason(&played, "no such luck");
            for (other, ended) in ended(&played) {
                let wanted = if other == step {
                    Ended::Failed
                } else if plan.all_needs(&other).contains(step) {
                    Ended::Skipped
                } else {
                    Ended::Well
                };
                assert_eq!(ended, wanted, "{other} where {step} failed");
            }
        }
    }
}

#[test]
fn a_proof_that_fails_is_missed_and_one_that_is_unknown_is_inconclusive() {
    for (outcome, word) in [
        (ProofOutcome::Fail, Missed),
        (ProofOutcome::Unknown, Inconclusive),
    ] {
        let mut stage = stage();
        stage.fake.script.proofs.insert("b".into(), outcome);
        let played = stage.play(How::Run, &[]);
        sound(&played);
        assert_eq!(played.end().verdict.word, word);
        assert_eq!(ended(&played)["d"], Ended::Skipped);
    }
}

#[test]
fn lie_11_a_proof_that_passes_on_nothing_makes_the_drill_inconclusive() {
    let mut stage = stage();
    stage.fake.script.vacuous.insert("c".into());
    let played = stage.play(How::Run, &[]);
    sound(&played);
    assert_eq!(played.end().verdict.word, Inconclusive);
    assert_eq!(played.end().code, code::INCONCLUSIVE);
    reason(&played, "c: the proof `as backed up` proves nothing");
}

#[test]
fn a_step_that_is_not_done_by_its_deadline_has_failed() {
    for trouble in [Trouble::Hang, Trouble::Deaf] {
        let plan = diamond(json!({}));
        let mut text = serde_json::to_value(&plan).unwrap();
        text["drill"]["steps"][1]["deadline"] = json!("5s");
        let mut stage = Stage::new(serde_json::from_value(text).unwrap());
        let at = ("b".to_owned(), Restore);
        stage.fake.script.trouble.insert(at, trouble);
        let played = stage.play(How::Run, &[]);
        sound(&played);
        assert_eq!(played.end().verdict.word, Missed);
        reason(&played, "not done by its deadline of 5s");
    }
}

#[test]
fn a_drill_that_is_stopped_tears_down_and_is_inconclusive() {
    // In the controls, in the middle, and in the last verification.
    for (after, word) in [(50, "before its clock"), (2000, "Ctrl-C"), (9900, "Ctrl-C")] {
        let stage = stage();
        let played = stage.play_with(How::Run, &[], |setup| {
            let stop = setup.stop.clone();
            tokio::spawn(async move {
                tokio::time::sleep(Duration::from_millis(after)).await;
                stop.stop("Ctrl-C");
            });
        });
        sound(&played);
        assert_eq!(played.end().verdict.word, Inconclusive, "{after}");
        assert_eq!(played.end().code, code::NOT_RUN);
        assert_eq!(played.end().verdict.rto.measured_ms, None);
        reason(&played, word);
        let last = played.records.last().map(|r| &r.event);
        assert!(
            matches!(last, Some(Event::RunEnded { stopped: Some(why), .. }) if why == "Ctrl-C")
        );
    }
}

#[test]
fn a_drill_whose_preconditions_are_not_met_is_refused_before_its_clock() {
    let mut unmet = stage();
    unmet.fake.script.unmet = true;
    let played = unmet.play(How::Run, &[]);
    sound(&played);
    assert_eq!(
        (played.end().verdict.word, played.end().code),
        (Inconclusive, code::NOT_RUN)
    );
    reason(&played, "refused before it started: free space");
    let later = Stage::new(diamond(json!({"disaster": "2026-11-20T07:35:15Z"})));
    let played = later.play(How::Run, &[]);
    sound(&played);
    reason(&played, "is still to come");
}

#[test]
fn rpo_is_reckoned_from_a_disaster_that_is_given() {
    let stage = Stage::new(diamond(json!({"disaster": "2026-11-19T07:35:14Z"})));
    let played = stage.play(How::Run, &[]);
    sound(&played);
    let events = drill_events(&played.records);
    assert!(events.iter().any(|e| matches!(e,
        DrillEvent::ClockStarted { disaster, .. } if disaster == "2026-11-19T07:35:14.000Z")));
    assert_eq!(played.end().verdict.rpo.measured_ms, Some(3_600_000));
    assert_eq!(played.end().verdict.word, Met);
}

#[test]
fn doubts_and_refusals_keep_a_drill_from_being_met() {
    let mut doubt = stage();
    doubt
        .fake
        .script
        .trouble
        .insert(("a".into(), Restore), Trouble::Doubt);
    let played = doubt.play(How::Run, &[]);
    sound(&played);
    assert_eq!(played.end().verdict.word, Inconclusive);
    reason(&played, "a: no disk is that fast");
    let mut refuse = stage();
    refuse
        .fake
        .script
        .trouble
        .insert(("e".into(), Restore), Trouble::Refuse);
    let played = refuse.play(How::Run, &[]);
    sound(&played);
    assert_eq!(played.end().verdict.word, Missed);
    reason(&played, "e reached for what is off limits: /primary");
    let events = drill_events(&played.records);
    let refused = events
        .iter()
        .filter(|e| matches!(e, DrillEvent::Refused { .. }));
    assert_eq!(
        refused.count(),
        1,
        "said once, though the step and the guard both say it"
    );
}

#[test]
fn a_fault_of_our_own_says_nothing_of_the_recovery() {
    let mut stage = stage();
    stage
        .fake
        .script
        .trouble
        .insert(("b".into(), Restore), Trouble::Panic);
    let played = stage.play(How::Run, &[]);
    sound(&played);
    assert_eq!(played.end().verdict.word, Inconclusive);
    reason(&played, "a fault of Seawall's own");
    assert_eq!(ended(&played)["d"], Ended::Interrupted);
    // Also outside of any step.
    let mut early = self::stage();
    early.fake.script.panics = true;
    let played = early.play(How::Run, &[]);
    sound(&played);
    assert_eq!(played.end().verdict.word, Inconclusive);
    reason(&played, "a fault of Seawall's own");
}

#[test]
fn lie_12_what_does_not_go_is_named_and_the_drill_is_not_met() {
    let mut stuck = stage();
    stuck.fake.script.stuck.insert("c".into());
    let played = stuck.play(How::Run, &[]);
    let end = played.end();
    assert_eq!(
        end.left,
        ["scratch scratch", "directory c"]
            .map(str::to_owned)
            .as_slice()
            .iter()
            .rev()
            .cloned()
            .collect::<Vec<_>>()
    );
    assert_eq!(
        (end.verdict.word, end.code),
        (Inconclusive, code::INCONCLUSIVE)
    );
    reason(&played, "were left behind");
    let events = drill_events(&played.records);
    assert!(
        events
            .iter()
            .any(|e| matches!(e, DrillEvent::NotGone { .. }))
    );
    // Once it is free, it goes with another run.
    let mut free = stage();
    free.fake.world = Arc::new(std::sync::Mutex::new(World {
        locks: 0,
        ..played.world.clone()
    }));
    let cleared = free.play(How::Clear, &played.records);
    assert_eq!(cleared.end().left, Vec::<String>::new());
    assert_eq!(cleared.world, World::default());
    // What no ledger has is found by its tag, and goes.
    let mut stray = stage();
    stray.fake.script.stray = true;
    let played = stray.play(How::Run, &[]);
    sound(&played);
    assert_eq!(played.end().verdict.word, Met);
}

#[test]
fn all_is_taken_away_also_when_the_journal_cannot_be_written_any_more() {
    for after in [200, 700, 2000, 4000, 9000] {
        let played = stage().play_with(How::Run, &[], |setup| {
            let journal = setup.journal.clone();
            tokio::spawn(async move {
                tokio::time::sleep(Duration::from_millis(after)).await;
                // Sealed: whatever is written from now on fails.
                journal.finish().unwrap();
            });
        });
        assert!(played.result.is_err(), "after {after} ms");
        assert_eq!(played.world, World::default(), "after {after} ms");
    }
}

#[test]
fn a_future_that_is_dropped_tells_its_workers() {
    let stage = stage();
    let live = stage.live.clone();
    let seen = Arc::new(std::sync::Mutex::new(None));
    let keep = seen.clone();
    let watch = live.clone();
    let played = stage.play_with(How::Dropped, &[], |_| {
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_millis(1900)).await;
            *keep.lock().unwrap() = watch.of("a");
        });
    });
    assert!(played.result.is_err());
    let progress = seen.lock().unwrap().clone();
    assert!(progress.is_some_and(|p| p.is_stopped()));
    assert!(live.of("a").is_none());
}

#[test]
fn people_are_told_once() {
    let told = Arc::new(std::sync::Mutex::new(Vec::new()));
    let tell: Tell = {
        let told = told.clone();
        Arc::new(move |verdict| {
            told.lock().unwrap().push(verdict.word);
            Box::pin(async { vec![("HOOK".to_owned(), true, "200".to_owned())] })
        })
    };
    let stage = stage();
    let fake = Arc::new(stage.fake);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    let ticks = std::sync::atomic::AtomicU64::new(1);
    let dir = tempfile::tempdir().unwrap();
    let writer = crate::journal::JournalWriter::create(&dir.path().join("r"), stage.wall.clone());
    let journal = Journal::new(writer.unwrap());
    let setup = Setup {
        run: "20261120-073514-aaaa".into(),
        plan: stage.plan.clone(),
        provider: fake,
        journal: journal.clone(),
        clock: Arc::new(DrillClock::new(move || {
            ticks.fetch_add(300, Ordering::SeqCst)
        })),
        boot_id: "boot-1".into(),
        wall: stage.wall.clone(),
        by: "me".into(),
        live: Live::default(),
        stop: Stop::default(),
        tell: Some(tell),
    };
    runtime.block_on(super::run(setup.clone())).unwrap();
    assert_eq!(*told.lock().unwrap(), [Met]);
    let end = runtime.block_on(resume(setup)).unwrap();
    assert_eq!((end.code, told.lock().unwrap().len()), (code::MET, 1));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn any_drill_keeps_its_order_its_slots_and_its_sums(
        edges in prop::collection::vec(any::<bool>(), 28),
        takes in prop::collection::vec(0u64..3000, 8),
        parallel in 1u32..5,
        failing in prop::option::of((0usize..8, 0usize..3)),
    ) {
        let names: Vec<String> = (0..8).map(|i| format!("s{i}")).collect();
        let mut edge = edges.iter();
        let needs: Vec<Vec<&str>> = (0..8)
            .map(|i| (0..i).filter(|_| *edge.next().unwrap()).map(|j| names[j].as_str()).collect())
            .collect();
        // The document's order is the other way round.
        let steps: Vec<(&str, &[&str])> =
            (0..8).rev().map(|i| (names[i].as_str(), needs[i].as_slice())).collect();
        let mut stage = Stage::new(plan_of(&steps, json!({"parallel": parallel})));
        for (name, takes) in names.iter().zip(&takes) {
            for phase in [Locate, Provision, Restore] {
                stage.fake.script.takes.insert((name.clone(), phase), *takes);
            }
            // A gigabyte in less than 200 ms is not to be believed.
            stage.fake.script.takes.insert((name.clone(), Restore), takes + 300);
        }
        if let Some((step, phase)) = failing {
            let at = (names[step].clone(), [Locate, Provision, Restore][phase]);
            stage.fake.script.trouble.insert(at, Trouble::Fail);
        }
        let played = stage.play(How::Run, &[]);
        sound(&played);
        let wanted = if failing.is_some() { Missed } else { Met };
        prop_assert_eq!(played.end().verdict.word, wanted);
        let line = Timeline::of(&played.records);
        let mut edges = Vec::new();
        for step in &line.steps {
            let sum: u64 = step.parts().iter().map(|p| p.length()).sum();
            prop_assert_eq!(Some(sum), step.end_ms());
            if let Some(attempt) = step.last().filter(|a| a.ended != Some(Ended::Skipped)) {
                let start = attempt.start_ms().unwrap();
                for need in &step.needs {
                    prop_assert!(line.step(need).unwrap().end_ms().unwrap() <= start);
                }
                edges.push((start, 1));
                edges.push((attempt.end_ms.unwrap(), -1));
            }
        }
        edges.sort_unstable();
        let mut running = 0;
        for (_, change) in edges {
            running += change;
            prop_assert!(running <= i64::from(parallel));
        }
        if failing.is_none() {
            let path: u64 = played.end().verdict.critical_path.iter()
                .map(|p| p.end_ms - p.start_ms).sum();
            prop_assert_eq!(Some(path), line.stopped_ms);
            for step in &line.steps {
                prop_assert_eq!(line.what_if(&step.step, 1, 1), line.stopped_ms);
            }
        }
    }
}

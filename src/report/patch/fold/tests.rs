use proptest::prelude::*;

use super::*;
use crate::journal::{Event, PatchEvent};
use crate::report::patch::fixture;

fn outcome(events: &[Event], host: &str) -> PatchOutcome {
    let view = fixture::fold(events);
    view.host(host).unwrap().outcome(view.is_plan())
}

#[test]
fn each_host_ends_as_the_journal_says() {
    let view = fixture::fold(&fixture::run());
    let words: Vec<_> = view.hosts.iter().map(|h| h.outcome(false)).collect();
    use PatchOutcome::*;
    assert_eq!(
        words,
        [
            Patched, WentBack, Failed, Patched, Current, Waiting, LeftOut, Unknown, NotStarted
        ]
    );
    let web1 = view.host("web01").unwrap();
    assert_eq!(web1.wave, Some(1));
    assert_eq!(web1.changed.len(), 5);
    assert_eq!(view.waves[0].soak_seconds, Some(600));
    assert!(view.host("docker1").unwrap().rebooted());
    assert_eq!(view.host("web02").unwrap().back.len(), 4);
    assert_eq!(view.failures(), 4);
}

/// Wherever a journal is cut, no host is better than its own events.
#[test]
fn a_run_that_died_leaves_no_host_patched_that_was_not_seen_to_be() {
    let events = fixture::good();
    let last = events.len() - 2;
    for end in 3..=last {
        assert_eq!(
            outcome(&events[..end], "web01"),
            PatchOutcome::Unknown,
            "{end}"
        );
    }
    assert_eq!(outcome(&events[..2], "web01"), PatchOutcome::NotStarted);
    assert_eq!(outcome(&events, "web01"), PatchOutcome::Patched);
}

#[test]
fn a_plan_that_ended_without_a_host_did_not_see_it() {
    let events = [
        fixture::started("patch-plan", &["web01"]),
        fixture::ended(0, None),
    ];
    assert_eq!(outcome(&events, "web01"), PatchOutcome::Unknown);
}

#[test]
fn a_good_word_that_its_own_gate_gives_the_lie_to_is_not_repeated() {
    let mut events = fixture::good();
    let end = events.len() - 1;
    events.insert(end, fixture::gate("web01", "soaked", &["tcp/443"]));
    assert_eq!(outcome(&events, "web01"), PatchOutcome::Unknown);
    let view = fixture::fold(&events);
    let story = view.host("web01").unwrap().story(false).unwrap();
    assert!(story.contains("soaked"), "{story}");
}

#[test]
fn a_reboot_counts_only_under_a_new_boot_id() {
    let mut events = fixture::run();
    for event in &mut events {
        if let Event::Patch(PatchEvent::Rebooted { boot_id, .. }) = event {
            *boot_id = "11111111-0000-0000-0000-000000000001".into();
        }
    }
    assert_eq!(outcome(&events, "docker1"), PatchOutcome::Unknown);
}

#[test]
fn a_run_that_was_resumed_is_one_run() {
    let mut events = fixture::aborted();
    events.push(Event::Patch(PatchEvent::Resumed {
        by: "anna@ops".into(),
    }));
    events.extend(fixture::patched("web02"));
    events.extend(fixture::patched("web03"));
    events.push(fixture::ended(0, None));
    let view = fixture::fold(&events);
    assert_eq!(view.count(PatchOutcome::Patched), 3);
    assert_eq!(view.resumed.len(), 1);
    let web2 = view.host("web02").unwrap();
    assert_eq!(web2.changed.len(), 5, "each change is told once");
    assert_eq!(web2.jobs.len(), 1, "the job that was found is the same");
}

#[test]
fn a_journal_is_loaded_and_one_that_was_changed_is_not_believed() {
    let state = tempfile::tempdir().unwrap();
    let dir = state.path().join("r");
    let mut writer =
        crate::journal::JournalWriter::create(&dir, crate::journal::tests::clock()).unwrap();
    for event in fixture::good() {
        writer.append(&event).unwrap();
    }
    drop(writer);
    assert_eq!(load(&dir).unwrap().count(PatchOutcome::Patched), 1);
    let path = dir.join(crate::journal::JOURNAL_FILE);
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.replacen("tzdata", "tzdatb", 1)).unwrap();
    assert!(load(&dir).is_err());
    assert!(load_some(&dir).broken.is_some());
}

proptest! {
    #[test]
    fn no_order_of_events_makes_it_or_its_readers_fail(
        picks in prop::collection::vec(0_usize..1000, 0..60),
        is_hostile in any::<bool>(),
    ) {
        let all = if is_hostile { fixture::hostile(3) } else { fixture::run() };
        let events: Vec<Event> = picks.iter().map(|at| all[at % all.len()].clone()).collect();
        let view = fixture::fold(&events);
        let _ = crate::report::patch::summary(&view, &Default::default());
        let _ = crate::report::patch::junit::text(&view);
        prop_assert!(crate::report::patch::json::text(&view).is_ok());
        prop_assert!(crate::report::patch::html(&view).is_ok());
    }
}

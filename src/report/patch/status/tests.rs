use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;

use super::gather::{Fleet, status};
use super::*;
use crate::journal::{Event, FixedClock, JOURNAL_FILE, PatchEvent, Runs};
use crate::model::patch::{OpenCve, Support};
use crate::report::patch::{Look, fixture};

const DAY: i64 = 86_400;

/// Day 0 of the histories.
fn day(days: i64) -> Timestamp {
    let start: Timestamp = "2026-11-01T06:00:00Z".parse().unwrap();
    start + SignedDuration::from_secs(days * DAY)
}

struct History {
    state: tempfile::TempDir,
    runs: Runs,
    count: u32,
}

impl History {
    fn new() -> Self {
        let state = tempfile::tempdir().unwrap();
        let runs = Runs::new(state.path());
        History {
            state,
            runs,
            count: 0,
        }
    }

    /// Keeps the events as a run of that day, all of them at one time, and says its id.
    fn keep(&mut self, days: i64, events: &[Event]) -> String {
        self.count += 1;
        let clock = Arc::new(FixedClock::new(day(days), 0));
        let count = self.count;
        let (id, mut writer) = self.runs.create(clock, || count).unwrap();
        for event in events {
            writer.append(event).unwrap();
        }
        id
    }

    fn path(&self, run: &str) -> std::path::PathBuf {
        self.state.path().join("runs").join(run)
    }

    fn ask(&self, days: i64) -> Status {
        self.ask_with(days, None, &[])
    }

    fn ask_with(&self, days: i64, patch: Option<&str>, known: &[&str]) -> Status {
        let ask = StatusAsk {
            patch: patch.map(str::to_owned),
            known: known.iter().map(|h| (*h).to_owned()).collect(),
            now: day(days),
        };
        gather(&self.runs, &ask).unwrap()
    }
}

fn host<'a>(status: &'a Status, name: &str) -> &'a HostStatus {
    status.hosts.iter().find(|h| h.host == name).unwrap()
}

/// A run of one host, which ends so.
fn run_of(name: &str, outcome: PatchOutcome, after: Standing) -> Vec<Event> {
    vec![
        fixture::started("patch", &[name]),
        fixture::declared(&[&[name]], 0),
        fixture::stands(name, "before", fixture::standing(5)),
        fixture::stands(name, "after", after),
        fixture::host_ended(name, outcome, None),
        fixture::ended(0, None),
    ]
}

fn plan_of(name: &str, standing: Standing) -> Vec<Event> {
    vec![
        fixture::started("patch-plan", &[name]),
        fixture::declared(&[&[name]], 0),
        fixture::stands(name, "before", standing),
        fixture::host_ended(name, PatchOutcome::Current, None),
        fixture::ended(0, None),
    ]
}

fn gone(name: &str, verb: &str) -> Vec<Event> {
    vec![
        fixture::started(verb, &[name]),
        fixture::declared(&[&[name]], 0),
        fixture::unreachable(name),
        fixture::host_ended(name, PatchOutcome::Unknown, None),
        fixture::ended(3, None),
    ]
}

fn patched(name: &str) -> Vec<Event> {
    run_of(name, PatchOutcome::Patched, fixture::standing(0))
}

#[test]
fn a_host_that_was_patched_within_the_policy_is_current() {
    let mut history = History::new();
    history.keep(0, &patched("web1"));
    let status = history.ask(7);
    let web1 = host(&status, "web1");
    assert_eq!((web1.verdict, web1.reasons.len()), (Word::Current, 0));
    assert_eq!(web1.patched_ago, Some(7 * 86_400));
    assert_eq!(code(&status), 0);
    let status = history.ask(8);
    assert_eq!(host(&status, "web1").verdict, Word::Overdue);
    assert!(host(&status, "web1").reasons[0].text.contains("8 d ago"));
    assert_eq!(code(&status), 1);
}

#[test]
fn a_host_that_did_not_answer_is_unknown_whatever_was_seen_before() {
    for verb in ["patch", "patch-plan"] {
        let mut history = History::new();
        history.keep(0, &patched("web1"));
        history.keep(1, &gone("web1", verb));
        let status = history.ask(2);
        let web1 = host(&status, "web1");
        assert_eq!(web1.verdict, Word::Unknown, "{verb}");
        assert!(web1.reasons[0].text.contains("no route to host"));
        assert_eq!(code(&status), 3);
        // It answers again.
        history.keep(2, &patched("web1"));
        assert_eq!(host(&history.ask(3), "web1").verdict, Word::Current);
    }
}

#[test]
fn a_plan_is_never_a_patch_run() {
    let mut history = History::new();
    history.keep(0, &patched("web1"));
    history.keep(9, &plan_of("web1", fixture::standing(0)));
    let status = history.ask(9);
    assert_eq!(host(&status, "web1").verdict, Word::Overdue);
    let mut history = History::new();
    history.keep(9, &plan_of("web1", fixture::standing(0)));
    let status = history.ask(9);
    let web1 = host(&status, "web1");
    assert_eq!((web1.verdict, web1.patched_ago), (Word::Overdue, None));
}

#[test]
fn a_host_that_no_run_has_seen_is_unknown() {
    let mut history = History::new();
    assert_eq!(code(&history.ask(0)), 3, "nothing is known");
    assert_eq!(code(&history.ask_with(0, None, &["new1"])), 3);
    history.keep(0, &patched("web1"));
    let status = history.ask_with(1, None, &["web1", "new1"]);
    assert_eq!(host(&status, "new1").verdict, Word::Unknown);
    assert_eq!(host(&status, "web1").verdict, Word::Current);
    assert_eq!((status.totals.unknown, status.totals.current), (1, 1));
    assert_eq!(status.hosts[0].host, "new1", "the worst first");
}

#[test]
fn unknown_weighs_more_than_overdue() {
    let mut history = History::new();
    history.keep(0, &patched("web1"));
    let status = history.ask_with(20, None, &["new1"]);
    assert_eq!((status.totals.overdue, status.totals.unknown), (1, 1));
    assert_eq!(code(&status), 3);
}

#[test]
fn behind_since_is_the_first_look_without_a_break() {
    let mut history = History::new();
    history.keep(0, &plan_of("web1", fixture::standing(3)));
    history.keep(1, &plan_of("web1", fixture::standing(0)));
    history.keep(2, &plan_of("web1", fixture::standing(3)));
    let mut unknown = fixture::standing(3);
    unknown.behind = None;
    history.keep(3, &plan_of("web1", unknown.clone()));
    history.keep(4, &plan_of("web1", fixture::standing(5)));
    let status = history.ask(5);
    let web1 = host(&status, "web1");
    assert_eq!(web1.behind_since, Some(day(2).to_string()));
    history.keep(5, &plan_of("web1", unknown));
    let status = history.ask(5);
    assert_eq!(host(&status, "web1").verdict, Word::Unknown);
}

#[test]
fn a_reboot_that_is_due_for_too_long_is_overdue_and_a_reboot_begins_it_anew() {
    let mut due = fixture::standing(0);
    due.reboot_due = Some(vec!["a new kernel".into()]);
    let waiting = |standing: &Standing| run_of("web1", PatchOutcome::Waiting, standing.clone());
    let mut history = History::new();
    history.keep(0, &waiting(&due));
    history.keep(6, &waiting(&due));
    assert_eq!(host(&history.ask(7), "web1").verdict, Word::Behind);
    let status = history.ask(8);
    let web1 = host(&status, "web1");
    assert_eq!(web1.verdict, Word::Overdue);
    assert!(web1.reasons[0].text.contains("waits for a reboot for 8 d"));
    assert_eq!(status.totals.reboot_due, 1);
    // It reboots, and another kernel makes it due once more.
    let mut events = waiting(&due);
    for (at, event) in [
        PatchEvent::Rebooting {
            host: "web1".into(),
            boot_id: "a".into(),
            reasons: Vec::new(),
        },
        PatchEvent::Rebooted {
            host: "web1".into(),
            boot_id: "b".into(),
            millis: 1,
        },
    ]
    .into_iter()
    .enumerate()
    {
        events.insert(3 + at, Event::Patch(event));
    }
    history.keep(8, &events);
    let status = history.ask(9);
    let web1 = host(&status, "web1");
    assert_eq!(web1.verdict, Word::Behind);
    assert_eq!(web1.reboot_since, Some(day(8).to_string()));
}

fn cve(id: &str, severity: Option<Severity>, fixed: bool, published: Option<&str>) -> OpenCve {
    OpenCve {
        id: id.into(),
        severity,
        package: "openssl".into(),
        installed: "1".into(),
        fixed_in: fixed.then(|| "2".into()),
        published: published.map(str::to_owned),
    }
}

#[test]
fn a_vulnerability_is_as_old_as_its_advisory_or_as_its_first_sight() {
    let mut open = fixture::standing(1);
    open.open = Some(vec![
        cve("CVE-1", Some(Severity::Critical), true, Some("2026-10-20")),
        cve("CVE-2", Some(Severity::Critical), true, Some("2026-11-09")),
        cve("CVE-3", Some(Severity::Critical), false, Some("2020-01-01")),
        cve("CVE-4", None, true, Some("2026-10-20")),
        cve("CVE-5", None, true, Some("2026-01-01")),
        cve("CVE-6", Some(Severity::High), true, Some("no date")),
    ]);
    let mut history = History::new();
    history.keep(0, &run_of("web1", PatchOutcome::Patched, open.clone()));
    history.keep(8, &run_of("web1", PatchOutcome::Patched, open));
    let status = history.ask(9);
    let of = |id: &str| {
        let web1 = host(&status, "web1");
        web1.open.iter().find(|c| c.id == id).unwrap().clone()
    };
    assert!(of("CVE-1").overdue, "published long ago");
    assert!(
        of("CVE-2").overdue,
        "seen for 9 days, whatever its advisory says"
    );
    assert!(
        !of("CVE-3").overdue && of("CVE-3").deadline.is_none(),
        "no fix"
    );
    assert!(
        !of("CVE-4").overdue,
        "nobody rates it, and 20 days fit a low one"
    );
    assert!(of("CVE-5").overdue, "late for any rating");
    assert!(!of("CVE-6").overdue);
    assert_eq!(of("CVE-6").since, day(0).to_string());
    assert_eq!(status.totals.open["critical"], 3);
    assert_eq!(status.totals.open_overdue["critical"], 2);
    assert_eq!(status.totals.open_overdue["unrated"], 1);
    let web1 = host(&status, "web1");
    assert_eq!(web1.verdict, Word::Overdue);
    assert!(
        web1.reasons[0]
            .text
            .contains("2 critical open for more than 7 d: CVE-1 CVE-2"),
        "{:?}",
        web1.reasons
    );
}

#[test]
fn what_was_not_seen_of_a_host_is_never_a_pass() {
    let spoils: [fn(&mut Standing); 6] = [
        |s| s.behind = None,
        |s| s.reboot_due = None,
        |s| s.images_behind = None,
        |s| s.open = None,
        |s| s.support = Support::Unknown,
        |s| s.unknown = vec!["offers: an archive did not answer".into()],
    ];
    for (number, spoil) in spoils.into_iter().enumerate() {
        let mut standing = fixture::standing(0);
        spoil(&mut standing);
        let mut history = History::new();
        history.keep(0, &run_of("web1", PatchOutcome::Patched, standing));
        let status = history.ask(1);
        assert_eq!(host(&status, "web1").verdict, Word::Unknown, "{number}");
    }
}

#[test]
fn a_release_ends_though_nobody_looked_since() {
    let mut standing = fixture::standing(0);
    standing.support = Support::Supported {
        until: "2026-11-03".into(),
    };
    let mut history = History::new();
    history.keep(0, &run_of("web1", PatchOutcome::Patched, standing));
    assert_eq!(host(&history.ask(2), "web1").verdict, Word::Current);
    let status = history.ask(3);
    assert!(host(&status, "web1").end_of_life);
    assert_eq!(code(&status), 1);
}

#[test]
fn a_run_that_died_leaves_its_hosts_unknown_until_it_is_resumed() {
    let mut history = History::new();
    history.keep(0, &patched("web02"));
    history.keep(1, &fixture::aborted());
    let status = history.ask(2);
    assert_eq!(host(&status, "web02").verdict, Word::Unknown);
    assert_eq!(host(&status, "web01").verdict, Word::Behind, "it was done");
    assert_eq!(
        host(&status, "web03").last_outcome,
        Some(PatchOutcome::NotStarted)
    );
    assert!(status.history[1].aborted);
    let mut events = fixture::aborted();
    events.push(Event::Patch(PatchEvent::Resumed { by: "x".into() }));
    events.extend(fixture::patched("web02"));
    events.extend(fixture::patched("web03"));
    events.push(fixture::ended(0, None));
    let mut history = History::new();
    history.keep(1, &events);
    let status = history.ask(2);
    assert_eq!(status.history.len(), 1);
    assert_eq!(
        (status.history[0].patched, status.history[0].resumed),
        (3, 1)
    );
    assert_eq!(host(&status, "web02").verdict, Word::Behind);
}

#[test]
fn what_was_seen_before_a_change_says_nothing_of_what_is_after_it() {
    let mut events = fixture::good();
    events
        .retain(|e| !matches!(e, Event::Patch(PatchEvent::Stands { when, .. }) if when == "after"));
    let mut history = History::new();
    history.keep(0, &events);
    let status = history.ask(1);
    assert_eq!(host(&status, "web01").verdict, Word::Unknown);
}

#[test]
fn a_run_whose_chain_is_broken_is_not_believed() {
    let mut history = History::new();
    history.keep(0, &patched("web1"));
    let spoiled = history.keep(1, &patched("web1"));
    let path = history.path(&spoiled).join(JOURNAL_FILE);
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.replacen("bookworm", "bookwyrm", 1)).unwrap();
    let status = history.ask(2);
    assert!(
        status.problems[0].contains(&spoiled),
        "{:?}",
        status.problems
    );
    assert_eq!(host(&status, "web1").verdict, Word::Unknown);
    assert_eq!(host(&status, "web1").patched, Some(day(0).to_string()));
    assert!(status.history[1].broken);
    assert_eq!(status.history[1].patched, 0);
    // A later run that is whole is believed.
    history.keep(3, &patched("web1"));
    assert_eq!(host(&history.ask(3), "web1").verdict, Word::Current);
}

#[test]
fn torn_and_missing_and_foreign_runs_are_told() {
    use std::io::Write;
    let mut history = History::new();
    let torn = history.keep(0, &patched("web1"));
    let path = history.path(&torn).join(JOURNAL_FILE);
    let mut file = std::fs::OpenOptions::new().append(true).open(path).unwrap();
    file.write_all(b"{\"seq\":9").unwrap();
    let deleted = history.keep(1, &patched("web1"));
    history.keep(2, &patched("web1"));
    std::fs::remove_dir_all(history.path(&deleted)).unwrap();
    let rubbish = history.state.path().join("runs/20261120-073514-zzzz");
    std::fs::create_dir_all(&rubbish).unwrap();
    std::fs::write(rubbish.join(JOURNAL_FILE), "rubbish\n").unwrap();
    let problems = history.ask(3).problems.join("\n");
    for run in [torn.as_str(), deleted.as_str(), "20261120-073514-zzzz"] {
        assert!(problems.contains(run), "{run}: {problems}");
    }
}

#[test]
fn a_sealed_run_whose_end_was_cut_off_is_not_believed() {
    let mut history = History::new();
    history.count += 1;
    let clock = Arc::new(FixedClock::new(day(0), 0));
    let (id, mut writer) = history.runs.create(clock, || 1).unwrap();
    for event in patched("web1") {
        writer.append(&event).unwrap();
    }
    writer.seal(None).unwrap();
    assert_eq!(host(&history.ask(1), "web1").verdict, Word::Current);
    let path = history.path(&id).join(JOURNAL_FILE);
    let text = std::fs::read_to_string(&path).unwrap();
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    std::fs::write(&path, lines[..lines.len() - 1].concat()).unwrap();
    let status = history.ask(1);
    assert_eq!(host(&status, "web1").verdict, Word::Unknown);
    assert!(
        status.problems[0].contains("sealed"),
        "{:?}",
        status.problems
    );
}

#[test]
fn only_runs_of_the_asked_name_count() {
    let mut history = History::new();
    history.keep(0, &patched("web1"));
    let check = [fixture::started("check", &["web9"])];
    history.keep(1, &check);
    assert_eq!(
        history.ask_with(1, Some("weekly-patch"), &[]).hosts.len(),
        1
    );
    let other = history.ask_with(1, Some("monthly"), &[]);
    assert!(other.hosts.is_empty() && other.history.is_empty());
    assert!(history.ask(1).hosts.iter().all(|h| h.host != "web9"));
}

/// All that there is to tell, over the same history.
fn fleet() -> Status {
    let mut history = History::new();
    history.keep(0, &fixture::good());
    history.keep(7, &fixture::run());
    history.keep(9, &fixture::plan());
    let mut old = fixture::standing(2);
    old.os = "Debian GNU/Linux 10 (buster)".into();
    old.support = Support::Ended {
        since: "2024-06-30".into(),
    };
    old.kernel_waiting = Some("4.19.0-27-amd64".into());
    old.reboot_due = Some(vec!["a new kernel".into()]);
    old.images_behind = Some(vec!["shop/web: registry.example/shop:1.4".into()]);
    old.open = Some(vec![
        cve(
            "CVE-2026-1",
            Some(Severity::Critical),
            true,
            Some("2026-10-20"),
        ),
        cve("CVE-2026-2", Some(Severity::High), true, Some("2026-11-05")),
        cve("CVE-2026-3", None, false, None),
    ]);
    history.keep(9, &run_of("old1", PatchOutcome::Waiting, old));
    history.ask_with(10, None, &["new1"])
}

fn plain(status: &Status, width: usize) -> String {
    let look = Look {
        width,
        ..Look::default()
    };
    text(status, &look)
}

#[test]
fn a_fleet() {
    insta::assert_snapshot!(plain(&fleet(), 100));
}

#[test]
fn no_line_is_wider_than_the_terminal() {
    for width in [60, 80, 120] {
        for line in plain(&fleet(), width).lines() {
            assert!(line.chars().count() <= width, "{width}: {line}");
        }
    }
}

#[test]
fn the_document_comes_back_as_it_went_and_its_schema_names_it() {
    let status = fleet();
    let back: Status = serde_json::from_str(&json(&status).unwrap()).unwrap();
    assert_eq!(back, status);
    let schema = schema();
    let value = serde_json::to_value(&status).unwrap();
    for name in value.as_object().unwrap().keys() {
        assert!(schema["properties"].get(name).is_some(), "{name}");
    }
}

#[test]
fn unknown_is_an_error_and_overdue_a_failure() {
    let mut history = History::new();
    history.keep(0, &patched("web1"));
    let xml = junit(&history.ask(1));
    assert!(
        !xml.contains("<failure") && !xml.contains("<error"),
        "{xml}"
    );
    let xml = junit(&history.ask(9));
    assert!(xml.contains("<failure") && !xml.contains("<error"), "{xml}");
    let xml = junit(&history.ask_with(1, None, &["new1"]));
    assert!(xml.contains("<error"), "{xml}");
    assert!(junit(&History::new().ask(0)).contains("<error"));
}

#[test]
fn the_page_has_all_of_it() {
    let html = html(&fleet()).unwrap();
    for text in [
        "Not all is known",
        "CVE-2026-1",
        "no security updates any more",
        "never",
        "new1",
        "patched each 7 d",
        "no fix yet",
    ] {
        assert!(html.contains(text), "{text}");
    }
    for text in [" src=", "http://", "https://", "href", "<script", "url("] {
        assert!(!html.contains(text), "{text}");
    }
    if let Some(dir) = std::env::var_os("SEAWALL_PAGES") {
        let path = std::path::Path::new(&dir).join("patch-status.html");
        std::fs::write(path, html).unwrap();
    }
}

fn hostile() -> Status {
    let mut fleet = Fleet::default();
    let mut view = fixture::fold(&fixture::hostile(30));
    fleet.take(&view, false);
    view.broken = Some(fixture::BAD.into());
    fleet.take(&view, false);
    let ask = StatusAsk {
        patch: Some(fixture::BAD.into()),
        known: vec![fixture::BAD.into()],
        now: day(1),
    };
    status(fleet, &ask)
}

#[test]
fn a_stranger_breaks_out_of_nothing() {
    let status = hostile();
    let text = plain(&status, 100);
    let dangerous = |c: char| c != '\n' && crate::shell::is_dangerous(c);
    assert!(!text.contains(dangerous), "{text}");
    let html = html(&status).unwrap();
    assert!(!html.contains("<script") && !html.contains('\u{1b}'));
    assert_eq!(html.matches("</style").count(), 1);
    for line in junit(&status).lines() {
        assert!(line.matches('"').count() % 2 == 0, "{line}");
        assert!(!line.contains("<script"));
    }
}

proptest! {
    #[test]
    fn no_order_of_events_makes_it_fail(picks in prop::collection::vec(0_usize..1000, 0..60)) {
        let all = fixture::run();
        let events: Vec<Event> = picks.iter().map(|at| all[at % all.len()].clone()).collect();
        let mut fleet = Fleet::default();
        fleet.take(&fixture::fold(&events), false);
        fleet.take(&fixture::fold(&events), true);
        let ask = StatusAsk { patch: None, known: Vec::new(), now: day(0) };
        let status = status(fleet, &ask);
        let _ = plain(&status, 80);
        prop_assert!(html(&status).is_ok());
        prop_assert!(code(&status) <= 3);
    }
}

//! The engine against hosts that are not there: how each ends, in which order, and that a run that
//! is taken up at any point ends as one that was never cut.

mod fake;
mod resume;

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{Arc, Mutex};

use super::*;
use crate::model::patch::PatchOutcome::*;
use fake::{FakeHost, Fleet, PLAIN};

/// Keeps records and files, and how the hosts were around each record.
pub(super) struct Notes {
    pub records: Mutex<Vec<Record>>,
    /// Before and after each record.
    pub around: Mutex<Vec<(Fleet, Fleet)>>,
    fleet: Fleet,
    folder: std::path::PathBuf,
}

impl Recorder for Notes {
    fn event(&self, event: Event) -> Result<(), String> {
        let mut records = self.records.lock().unwrap();
        let seq = records.len() as u64 + 1;
        let state = self.fleet.copy();
        // As the journal has it: through its JSON.
        let text = serde_json::to_string(&event).unwrap();
        records.push(Record {
            seq,
            time: "2026-11-20T12:00:00.000Z".into(),
            prev: String::new(),
            event: serde_json::from_str(&text).unwrap(),
        });
        self.around.lock().unwrap().push((state, self.fleet.copy()));
        Ok(())
    }

    fn file(&self, name: &str, bytes: &[u8]) -> Result<String, String> {
        let path = self.folder.join(name);
        match std::fs::read(&path) {
            Ok(there) if there != bytes => return Err(format!("{name} is there already")),
            _ => std::fs::write(path, bytes).map_err(|e| e.to_string())?,
        }
        Ok(crate::journal::sha256(bytes))
    }
}

pub(super) struct Ran {
    pub end: PatchEnd,
    pub records: Vec<Record>,
    pub around: Vec<(Fleet, Fleet)>,
    pub connections: usize,
}

impl Ran {
    fn outcomes(&self) -> Vec<PatchOutcome> {
        self.end.hosts.iter().map(|(_, o)| *o).collect()
    }

    fn events(&self) -> impl Iterator<Item = &PatchEvent> {
        self.records.iter().filter_map(|r| match &r.event {
            Event::Patch(event) => Some(event),
            _ => None,
        })
    }

    fn count(&self, is: impl Fn(&PatchEvent) -> bool) -> usize {
        self.events().filter(|e| is(e)).count()
    }

    fn reason(&self, of: &str) -> String {
        self.events()
            .filter_map(|e| match e {
                PatchEvent::HostEnded { host, reason, .. } if host == of => reason.clone(),
                _ => None,
            })
            .last()
            .unwrap_or_default()
    }
}

pub(super) fn patch(yaml: &str) -> Patch {
    serde_yaml::from_str(&format!("patch: weekly\ntitle: t\nhosts: [all]\n{yaml}")).unwrap()
}

pub(super) async fn go(
    fleet: &Fleet,
    yaml: &str,
    mode: Mode,
    former: Vec<Record>,
    folder: &Path,
    stop: watch::Receiver<bool>,
) -> Ran {
    let names: Vec<String> = fleet.lock().keys().cloned().collect();
    let jobs = names
        .iter()
        .map(|name| PatchJob {
            target: Target {
                name: name.clone(),
                ..Target::default()
            },
            names: BTreeSet::from([name.clone()]),
        })
        .collect();
    let reach = fleet.reach();
    let notes = Arc::new(Notes {
        records: Mutex::default(),
        around: Mutex::default(),
        fleet: fleet.clone(),
        folder: folder.to_owned(),
    });
    let settings = Settings {
        run: RunId::new("20261120-120000-test").unwrap(),
        mode,
        patch: Arc::new(patch(yaml)),
        advisories: Arc::default(),
        sessions: 8,
        handshakes: 8,
        former: Arc::new(former),
        folder: folder.to_owned(),
    };
    let (zero, since) = ("2026-11-20T12:00:00Z", Instant::now());
    let zero: jiff::Timestamp = zero.parse().unwrap();
    let now: Now = Arc::new(move || {
        zero.checked_add(jiff::SignedDuration::try_from(since.elapsed()).unwrap())
            .unwrap()
    });
    let reaches: Arc<dyn Reach> = Arc::new(reach.clone());
    let recorder: Arc<dyn Recorder> = Arc::clone(&notes) as _;
    let end = carry_out(jobs, settings, reaches, recorder, stop, PLAIN, now)
        .await
        .unwrap();
    let records = notes.records.lock().unwrap().clone();
    let around = notes.around.lock().unwrap().clone();
    Ran {
        end,
        records,
        around,
        connections: reach.connections(),
    }
}

async fn run(fleet: &Fleet, yaml: &str) -> Ran {
    let folder = tempfile::tempdir().unwrap();
    let (_keep, stop) = watch::channel(false);
    go(fleet, yaml, Mode::Run, Vec::new(), folder.path(), stop).await
}

fn one(host: FakeHost) -> Fleet {
    Fleet::of(vec![("a", host)])
}

#[tokio::test(start_paused = true)]
async fn each_host_ends_as_it_must() {
    type Bad = fn(&mut FakeHost);
    let table: &[(&str, &str, Bad, PatchOutcome, &str)] = &[
        ("well", "", |_| {}, Patched, "2"),
        ("nothing to do", "", |h| h.offered = None, Current, "1"),
        (
            "lists did not come",
            "",
            |h| {
                h.offered = None;
                h.lists_fail = true
            },
            Unknown,
            "1",
        ),
        ("down", "", |h| h.down = true, Unknown, "1"),
        ("sick after", "", |h| h.sick_at = Some("2"), WentBack, "1"),
        (
            "sick after, no way back",
            "packages: {way_back: false}",
            |h| h.sick_at = Some("2"),
            Failed,
            "2",
        ),
        (
            "back fails",
            "",
            |h| {
                h.sick_at = Some("2");
                h.back_fails = true
            },
            Failed,
            "2",
        ),
        (
            "another change than planned",
            "",
            |h| h.upgrade_fails = Some(false),
            LeftOut,
            "1",
        ),
        (
            "upgrade fails midway",
            "",
            |h| h.upgrade_fails = Some(true),
            WentBack,
            "1",
        ),
        (
            "check fails before",
            "health: {checks: [{check: c, command: x}]}",
            |h| h.check_status = 1,
            LeftOut,
            "1",
        ),
        ("reboots", "", |h| h.reboot_due_at = Some("2"), Patched, "2"),
        (
            "reboot left to people",
            "reboot: never",
            |h| h.reboot_due_at = Some("2"),
            Waiting,
            "2",
        ),
        (
            "does not come back",
            "",
            |h| {
                h.reboot_due_at = Some("2");
                h.stays_down = true
            },
            Failed,
            "2",
        ),
        ("restarts", "", |h| h.stale_at = Some("2"), Patched, "2"),
        (
            "restart left to people",
            "restart: never",
            |h| h.stale_at = Some("2"),
            Waiting,
            "2",
        ),
        ("cut again and again", "", |h| h.cuts = 5, Patched, "2"),
        ("lost for good", "", |h| h.cuts = 100_000, Unknown, "1"),
        (
            "left half-installed by others",
            "",
            |h| h.repairs = true,
            Patched,
            "2",
        ),
    ];
    for (what, yaml, bad, outcome, version) in table {
        let mut host = FakeHost::default();
        bad(&mut host);
        let fleet = one(host);
        let ran = run(&fleet, yaml).await;
        assert_eq!(ran.outcomes(), [*outcome], "{what}: {}", ran.reason("a"));
        assert_eq!(fleet.host("a").version, *version, "{what}");
        assert!(
            fleet.host("a").started.values().all(|n| *n == 1),
            "{what}: a job was begun twice"
        );
        let forgotten = fleet.host("a").jobs.is_empty();
        let kept = matches!(outcome, Failed | Unknown) && !fleet.host("a").started.is_empty();
        assert_eq!(forgotten, !kept, "{what}: what the run left on the host");
    }
}

#[tokio::test(start_paused = true)]
async fn an_image_that_could_not_be_moved_is_said_as_it_is() {
    // How its job ends, what it says, what becomes of the host, and whether it is put back.
    let table: &[(&str, &str, PatchOutcome, &str, bool)] = &[
        (
            "exit 1",
            "@seawall image web unchanged - - it could not be pulled: 502\n",
            Waiting,
            "left on its former image: it could not be pulled: 502",
            false,
        ),
        (
            "exit 1",
            "@seawall image web went-back - - it is exited\n",
            WentBack,
            "runs its former image again: it is exited",
            false,
        ),
        (
            "exit 1",
            "@seawall image web failed - - no such image\n",
            Failed,
            "could not be put back to its former image: no such image",
            false,
        ),
        (
            "died",
            "",
            WentBack,
            "was put back to its former image",
            true,
        ),
        (
            "died",
            "@seawall image web updated - - healthy\n",
            WentBack,
            "was put back to its former image",
            true,
        ),
    ];
    for (end, says, outcome, reason, back) in table {
        let fleet = one(FakeHost {
            image: Some((end, says)),
            ..FakeHost::default()
        });
        let ran = run(&fleet, "containers: {}").await;
        assert_eq!(ran.outcomes(), [*outcome], "{says}: {}", ran.reason("a"));
        assert!(ran.reason("a").contains(reason), "{}", ran.reason("a"));
        assert_eq!(fleet.host("a").version, "2", "its packages stay: {says}");
        let was_put_back = fleet.host("a").started.contains_key("back-image-0");
        assert_eq!(was_put_back, *back, "{says}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_stale_and_not_ours_to_restart_is_told_and_is_no_work() {
    let host = || FakeHost {
        offered: None,
        stale: true,
        ..FakeHost::default()
    };
    let yaml = "never_restart: [app.service]";
    let fleet = one(host());
    let folder = tempfile::tempdir().unwrap();
    let (_keep, stop) = watch::channel(false);
    let plan = go(&fleet, yaml, Mode::Plan, Vec::new(), folder.path(), stop).await;
    let ran = run(&one(host()), yaml).await;
    for ran in [&plan, &ran] {
        assert_eq!(ran.outcomes(), [Current]);
        assert!(
            ran.reason("a").contains("app.service"),
            "{}",
            ran.reason("a")
        );
    }
    // Where it is ours, both say that there is work.
    let (_keep, stop) = watch::channel(false);
    let folder = tempfile::tempdir().unwrap();
    let plan = go(&fleet, "", Mode::Plan, Vec::new(), folder.path(), stop).await;
    assert_eq!(plan.outcomes(), [Behind]);
    assert_eq!(run(&fleet, "").await.outcomes(), [Patched]);
}

#[tokio::test(start_paused = true)]
async fn nothing_to_do_is_one_connection_and_one_program() {
    let fleet = one(FakeHost {
        offered: None,
        ..FakeHost::default()
    });
    let ran = run(&fleet, "").await;
    assert_eq!((ran.connections, fleet.host("a").programs), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_plan_begins_no_job() {
    let fleet = one(FakeHost::default());
    let folder = tempfile::tempdir().unwrap();
    let (_keep, stop) = watch::channel(false);
    let ran = go(&fleet, "", Mode::Plan, Vec::new(), folder.path(), stop).await;
    assert_eq!(ran.outcomes(), [Behind]);
    assert!(fleet.host("a").started.is_empty());
    assert_eq!(ran.count(|e| matches!(e, PatchEvent::Planned { .. })), 1);
}

#[tokio::test(start_paused = true)]
async fn a_host_that_fails_spends_the_budget_and_later_waves_stay_as_they_are() {
    let sick = FakeHost {
        sick_at: Some("2"),
        ..FakeHost::default()
    };
    let well = FakeHost::default;
    let fleet = Fleet::of(vec![("a", sick.clone()), ("b", well()), ("c", well())]);
    let ran = run(&fleet, "waves: [1]").await;
    assert_eq!(ran.outcomes(), [WentBack, NotStarted, NotStarted]);
    assert!(ran.end.stopped.is_some());
    assert!(!fleet.host("b").started.contains_key("upgrade"));

    let fleet = Fleet::of(vec![("a", sick), ("b", well()), ("c", well())]);
    let ran = run(&fleet, "waves: [1]\nfailure_budget: 1").await;
    assert_eq!(ran.outcomes(), [WentBack, Patched, Patched]);
    assert_eq!(ran.end.stopped, None);
}

#[tokio::test(start_paused = true)]
async fn a_host_of_a_later_wave_that_is_down_does_not_stop_those_before_it() {
    let down = FakeHost {
        down: true,
        ..FakeHost::default()
    };
    let fleet = Fleet::of(vec![
        ("a", FakeHost::default()),
        ("b", down),
        ("c", FakeHost::default()),
    ]);
    let ran = run(&fleet, "waves: [1]").await;
    assert_eq!(ran.outcomes(), [Patched, Unknown, NotStarted]);
}

/// From `Before` to the end, by the records.
fn spans(ran: &Ran) -> Vec<(String, usize, usize)> {
    let mut spans: Vec<(String, usize, usize)> = Vec::new();
    for (at, event) in ran.events().enumerate() {
        match event {
            PatchEvent::PhaseStarted { host, phase }
                if *phase == crate::model::patch::HostPhase::Before =>
            {
                spans.push((host.clone(), at, usize::MAX));
            }
            PatchEvent::HostEnded { host, .. } => {
                if let Some(span) = spans.iter_mut().find(|s| s.0 == *host) {
                    span.2 = at;
                }
            }
            _ => {}
        }
    }
    spans
}

#[tokio::test(start_paused = true)]
async fn hosts_that_are_kept_apart_are_never_changed_together() {
    // A lost connection takes time, in which others could begin.
    let reboots = || FakeHost {
        reboot_due_at: Some("2"),
        cuts: 2,
        ..FakeHost::default()
    };
    let hosts = || vec![("a", reboots()), ("b", reboots()), ("c", reboots())];
    let overlaps = |ran: &Ran| {
        let spans = spans(ran);
        assert_eq!(spans.len(), 3);
        spans.iter().any(|one| {
            spans
                .iter()
                .any(|two| one.0 != two.0 && one.1 < two.1 && two.1 < one.2 - 4)
        })
    };
    let fleet = Fleet::of(hosts());
    let ran = run(&fleet, "apart: [{hosts: [all], at_most: 1}]").await;
    assert_eq!(ran.outcomes(), [Patched, Patched, Patched]);
    assert!(!overlaps(&ran));
    let fleet = Fleet::of(hosts());
    assert!(
        overlaps(&run(&fleet, "").await),
        "without it they go side by side"
    );
}

#[tokio::test(start_paused = true)]
async fn a_run_that_is_stopped_begins_no_further_host() {
    let fleet = Fleet::of(vec![("a", FakeHost::default()), ("b", FakeHost::default())]);
    let folder = tempfile::tempdir().unwrap();
    let (send, stop) = watch::channel(false);
    // The soak after the first wave is when it is stopped.
    tokio::spawn(async move {
        tokio::time::sleep(std::time::Duration::from_secs(600)).await;
        let _ = send.send(true);
        std::future::pending::<()>().await;
    });
    let ran = go(
        &fleet,
        "waves: [1]\nsoak: 1h",
        Mode::Run,
        Vec::new(),
        folder.path(),
        stop,
    )
    .await;
    assert_eq!(ran.outcomes(), [Patched, NotStarted]);
    assert!(!fleet.host("b").started.contains_key("upgrade"));
    assert!(ran.end.stopped.unwrap().contains("stopped"));
}

#[tokio::test(start_paused = true)]
async fn a_host_that_sickens_in_the_soak_goes_back() {
    let fleet = Fleet::of(vec![("a", FakeHost::default()), ("b", FakeHost::default())]);
    let later = fleet.clone();
    tokio::spawn(async move {
        tokio::time::sleep(std::time::Duration::from_secs(600)).await;
        later.lock().get_mut("a").unwrap().sick_at = Some("2");
    });
    let ran = run(&fleet, "waves: [1]\nsoak: 1h").await;
    assert_eq!(ran.outcomes(), [WentBack, NotStarted]);
    assert_eq!(fleet.host("a").version, "1");
}

#[tokio::test(start_paused = true)]
async fn a_window_is_waited_for_and_one_that_has_closed_is_not() {
    // It is Friday, 12:00.
    let fleet = one(FakeHost::default());
    let begun = Instant::now();
    let ran = run(&fleet, "windows: [{from: '14:00', to: '15:00'}]").await;
    assert_eq!(ran.outcomes(), [Patched]);
    assert!(begun.elapsed().as_secs() >= 2 * 3600);

    let fleet = Fleet::of(vec![("a", FakeHost::default()), ("b", FakeHost::default())]);
    let yaml = "waves: [1]\nsoak: 2h\nwindows: [{from: '11:00', to: '13:00'}]";
    let ran = run(&fleet, yaml).await;
    assert_eq!(ran.outcomes(), [Patched, NotStarted]);
    assert!(ran.reason("b").contains("window"), "{}", ran.reason("b"));
}

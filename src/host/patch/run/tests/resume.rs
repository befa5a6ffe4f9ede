//! A run that is cut anywhere and taken up ends as if it had not been.

use super::fake::{FakeHost, Fleet};
use super::*;

fn copy_folder(from: &Path) -> tempfile::TempDir {
    let to = tempfile::tempdir().unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), to.path().join(entry.file_name())).unwrap();
    }
    to
}

/// Cuts after each record, with the hosts as they were right after it and right before the next.
async fn cut_everywhere(hosts: Vec<(&str, FakeHost)>, yaml: &str) {
    let fleet = Fleet::of(hosts);
    let folder = tempfile::tempdir().unwrap();
    let (_keep, stop) = watch::channel(false);
    let whole = go(&fleet, yaml, Mode::Run, Vec::new(), folder.path(), stop).await;
    let cuts = whole.records.len();
    for cut in 1..=cuts {
        let mut states = vec![whole.around[cut - 1].1.copy()];
        if let Some((before_next, _)) = whole.around.get(cut) {
            states.push(before_next.copy());
        }
        for state in states {
            let folder = copy_folder(folder.path());
            let former = whole.records[..cut].to_vec();
            let (_keep, stop) = watch::channel(false);
            let again = go(&state, yaml, Mode::Run, former, folder.path(), stop).await;
            let at = format!("cut after {:?}", whole.records[cut - 1].event);
            assert_eq!(again.end.hosts, whole.end.hosts, "{at}");
            for (name, host) in fleet.lock().iter() {
                let now = state.host(name);
                assert_eq!(now.version, host.version, "{name}: {at}");
                assert_eq!(now.boot, host.boot, "{name}: {at}");
                for (job, times) in &now.started {
                    assert!(*times <= 1, "{name}: {job} was begun {times} times; {at}");
                }
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_host_that_was_lost_in_its_upgrade_is_gone_on_with_when_it_answers_again() {
    let lost = FakeHost {
        cuts: usize::MAX,
        ..FakeHost::default()
    };
    let down = FakeHost {
        down: true,
        ..FakeHost::default()
    };
    let hosts = vec![("a", lost), ("b", down), ("c", FakeHost::default())];
    let fleet = Fleet::of(hosts);
    let folder = tempfile::tempdir().unwrap();
    let (_keep, stop) = watch::channel(false);
    let yaml = "failure_budget: 2";
    let first = go(&fleet, yaml, Mode::Run, Vec::new(), folder.path(), stop).await;
    assert_eq!(first.outcomes(), [Unknown, Unknown, Patched]);
    assert_eq!(first.end.open, ["a"], "nothing was begun on b");
    // It is still away, and is not waited for as long as its job might take.
    let (_keep, stop) = watch::channel(false);
    let begun = Instant::now();
    let mut records = first.records;
    let again = go(
        &fleet,
        yaml,
        Mode::Run,
        records.clone(),
        folder.path(),
        stop,
    )
    .await;
    assert_eq!(again.end.open, ["a"]);
    assert!(begun.elapsed().as_secs() < 600, "{:?}", begun.elapsed());
    let resumed = |by: &str| Record {
        event: Event::Patch(PatchEvent::Resumed { by: by.into() }),
        ..records[0].clone()
    };
    let resumed = [resumed("one"), resumed("two")];
    records.push(resumed[0].clone());
    records.extend(again.records);
    records.push(resumed[1].clone());
    fleet.lock().get_mut("a").unwrap().cuts = 0;
    fleet.lock().get_mut("b").unwrap().down = false;
    let (_keep, stop) = watch::channel(false);
    let third = go(&fleet, yaml, Mode::Run, records, folder.path(), stop).await;
    assert_eq!(third.outcomes(), [Patched, Unknown, Patched]);
    assert!(third.end.open.is_empty());
    assert_eq!(fleet.host("a").version, "2");
    assert!(fleet.host("a").started.values().all(|n| *n == 1));
}

#[tokio::test(start_paused = true)]
async fn of_hosts_that_are_patched_one_with_a_reboot_one_with_a_restart() {
    let reboots = FakeHost {
        reboot_due_at: Some("2"),
        ..FakeHost::default()
    };
    let restarts = FakeHost {
        stale_at: Some("2"),
        ..FakeHost::default()
    };
    let hosts = vec![("a", reboots), ("b", restarts), ("c", FakeHost::default())];
    cut_everywhere(hosts, "waves: [2]").await;
}

#[tokio::test(start_paused = true)]
async fn of_a_host_that_goes_back_after_its_reboot() {
    let sick = FakeHost {
        sick_at: Some("2"),
        reboot_due_at: Some("2"),
        ..FakeHost::default()
    };
    cut_everywhere(vec![("a", sick), ("b", FakeHost::default())], "waves: [1]").await;
}

#[tokio::test(start_paused = true)]
async fn of_hosts_that_are_down_left_out_or_watched() {
    let down = FakeHost {
        down: true,
        ..FakeHost::default()
    };
    let differs = FakeHost {
        upgrade_fails: Some(false),
        ..FakeHost::default()
    };
    let hosts = vec![("a", down), ("b", differs), ("c", FakeHost::default())];
    cut_everywhere(hosts, "waves: [2]\nfailure_budget: 2\nsoak: 5m").await;
}

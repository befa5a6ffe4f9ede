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

//! Hosts that others left in a bad state, or keep from us, and times when nothing may be done.

use std::time::Duration;

use seawall::journal::PatchEvent;

use super::yard::{Yard, host, names, outcome};
use crate::end_to_end::site::ran;

const QUICK: &str = "health: {within: 5s}\n";

/// Somebody's own `apt-get`, which hangs for so many seconds in the middle of dpkg.
fn somebody_upgrades(yard: &Yard, number: usize, seconds: u32) {
    yard.on(
        number,
        &format!(
            "echo {seconds} >/etc/sea-slow.seconds; apt-get -q update; \
             DEBIAN_FRONTEND=noninteractive setsid apt-get -qy install sea-slow \
             </dev/null >/root/somebody.log 2>&1 &"
        ),
    );
    yard.until(number, "test -s /var/lib/sea-slow.began");
}

#[test]
fn what_somebody_left_half_configured_is_found_and_finished() {
    let yard = Yard::of(1, "sea-slow sea-app");
    let name = yard.name(0);
    somebody_upgrades(&yard, 0, 300);
    // dpkg at once, then all that it had begun: as when the machine's memory runs out.
    yard.on(
        0,
        "pkill -9 -x dpkg; pkill -9 -x apt-get; pkill -9 sleep; rm /etc/sea-slow.seconds",
    );
    yard.until(0, "! pgrep -x 'dpkg|apt-get'");
    assert_ne!(yard.on(0, "dpkg --audit"), "", "it is half-configured");
    let plan = yard.patch("plan", "", &[]);
    let said = host(&plan, &name);
    assert!(
        said["plan"]["repairs"].to_string().contains("sea-slow"),
        "{plan}"
    );
    assert_ne!(yard.on(0, "dpkg --audit"), "", "a plan mends nothing");
    let run = yard.patch("run", QUICK, &[]);
    assert_eq!((run.code, outcome(&run, &name)), (0, "patched"), "{run}");
    yard.assert_whole(0);
    assert_eq!(yard.version(0, "sea-slow"), "2.0-1");
    assert_eq!(yard.version(0, "sea-app"), "2.0-1");
}

#[test]
fn a_lock_is_awaited_and_its_holder_named_until_the_deadline() {
    let yard = Yard::of(2, "sea-slow sea-app");
    somebody_upgrades(&yard, 0, 8);
    somebody_upgrades(&yard, 1, 300);
    let lines = format!("{QUICK}lock_wait: 20s\nfailure_budget: 2\n");
    let run = yard.patch("run", &lines, &[]);
    let (awaited, kept) = (yard.name(0), yard.name(1));
    assert_eq!(outcome(&run, &awaited), "patched", "{run}");
    assert_eq!(yard.version(0, "sea-app"), "2.0-1");
    assert_eq!(yard.version(0, "sea-slow"), "2.0-1");
    assert!(
        matches!(outcome(&run, &kept), "left-out" | "failed"),
        "{run}"
    );
    assert_eq!(run.code, 1, "{run}");
    assert_eq!(yard.version(1, "sea-app"), "1.0-1");
    let said = host(&run, &kept).to_string();
    assert!(said.contains("apt-get"), "its holder is named: {said}");
    // It was not ended, and is not ended by us.
    yard.on(1, "pgrep -x apt-get");
}

#[test]
fn a_host_without_room_is_left_as_it_is() {
    let yard = Yard::of(1, "sea-app");
    let name = yard.name(0);
    yard.on(
        0,
        "mount -t tmpfs -o size=16k small /var/cache/apt/archives; mkdir /var/cache/apt/archives/partial; \
         dd if=/dev/zero of=/var/cache/apt/archives/full bs=4k 2>/dev/null; true",
    );
    let run = yard.patch("run", QUICK, &[]);
    assert_eq!((run.code, outcome(&run, &name)), (1, "left-out"), "{run}");
    let said = host(&run, &name)["plan"]["blockers"].to_string();
    assert!(
        said.contains("space") && said.contains("/var/cache/apt/archives"),
        "{said}"
    );
    assert_eq!(yard.version(0, "sea-app"), "1.0-1");
    let jobs = host(&run, &name)["jobs"].as_array().map_or(0, Vec::len);
    assert_eq!(jobs, 0, "nothing was begun: {run}");
}

#[test]
fn an_unhealthy_host_is_not_begun_and_a_snapshot_that_fails_stops_it() {
    let yard = Yard::of(2, "sea-app");
    let check = "health: {within: 5s, checks: [{check: well, command: 'test ! -e /etc/ill'}]}\n";
    yard.on(0, "touch /etc/ill");
    let lines = format!("{check}failure_budget: 2\nsnapshot: {{on_host: 'test -e /etc/ill'}}\n");
    let run = yard.patch("run", &lines, &[]);
    assert_eq!(run.code, 1, "{run}");
    for (number, word) in [(0, "well"), (1, "snapshot")] {
        let name = yard.name(number);
        assert_eq!(outcome(&run, &name), "left-out", "{run}");
        assert_eq!(yard.version(number, "sea-app"), "1.0-1");
        assert!(
            host(&run, &name)["reason"].to_string().contains(word),
            "{run}"
        );
    }
    yard.on(0, "rm /etc/ill");
    let hook = format!("{check}snapshot: {{on_host: 'date >/etc/snapshot-taken'}}\n");
    let run = yard.patch("run", &hook, &[]);
    assert_eq!(run.code, 0, "{run}");
    yard.on(1, "test -s /etc/snapshot-taken");
}

#[test]
fn a_job_that_never_ends_is_ended_and_leaves_nothing_half_done() {
    let yard = Yard::of(1, "sea-slow sea-app");
    let name = yard.name(0);
    let before = yard.versions(0);
    yard.on(0, "echo 10000 >/etc/sea-slow.seconds");
    let child = yard.start(&format!("{QUICK}limit: 1m\nlock_wait: 5s\n"));
    yard.until(0, "test -s /var/lib/sea-slow.began");
    // The one that sleeps sleeps on; dpkg's second try is quick.
    yard.on(0, "echo 0 >/etc/sea-slow.seconds");
    let run = ran(child.wait_with_output().expect("it ends"));
    assert_eq!(run.code, 1, "{run}");
    assert!(
        matches!(outcome(&run, &name), "went-back" | "failed"),
        "{run}"
    );
    let timed_out = yard.events(run.run_id()).into_iter().any(|event| {
        matches!(&event, PatchEvent::JobEnded { job, outcome, .. }
            if job == "upgrade" && *outcome == seawall::model::patch::JobOutcome::TimedOut)
    });
    assert!(timed_out, "{run}");
    assert_eq!(
        yard.on(0, "pgrep -x 'dpkg|apt-get|sleep'; true"),
        "",
        "nothing of it runs"
    );
    yard.assert_whole(0);
    assert_eq!(yard.versions(0), before, "{run}");
    assert_eq!(outcome(&run, &name), "went-back", "{run}");
}

#[test]
fn a_window_that_is_closed_is_waited_for_and_downloads_are_not() {
    let yard = Yard::of(1, "sea-app");
    let name = yard.name(0);
    // Closed now, whatever the time is: open for an hour that begins in six.
    let hour = yard.on(0, "date -u +%H").parse::<u32>().expect("an hour");
    let opens = (hour + 6) % 24;
    let lines = format!(
        "{QUICK}windows: [{{from: '{opens:02}:00', to: '{:02}:00'}}]\n",
        (opens + 1) % 24
    );
    let mut child = yard.start(&lines);
    yard.until(0, "ls /var/cache/apt/archives/sea-app_2.0-1_*.deb /var/lib/seawall/patch/*/*/sea-app_2.0-1_*.deb 2>/dev/null | grep -q .");
    let waits = || {
        let run = yard.newest().expect("there is a run");
        let events = yard.events(&run);
        events.iter().any(|e| matches!(e, PatchEvent::Waits { .. }))
    };
    for _ in 0..600 {
        if waits() {
            break;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    assert!(waits(), "it says that it waits");
    assert_eq!(yard.version(0, "sea-app"), "1.0-1");
    // SAFETY: a signal to a child of ours that was not waited for yet.
    unsafe { libc::kill(child.id().cast_signed(), libc::SIGTERM) };
    let begun = std::time::Instant::now();
    while child.try_wait().expect("it can be asked").is_none() {
        assert!(
            begun.elapsed() < Duration::from_secs(60),
            "it ends when it is told to"
        );
        std::thread::sleep(Duration::from_millis(20));
    }
    let ended = ran(child.wait_with_output().expect("it ended"));
    assert_eq!(
        (ended.code, outcome(&ended, &name)),
        (2, "not-started"),
        "{ended}"
    );
    let now = yard.patch("run", &lines, &["--now"]);
    assert_eq!((now.code, outcome(&now, &name)), (0, "patched"), "{now}");
    assert_eq!(names(&host(&now, &name)["changed"]), ["sea-app"], "{now}");
}

#[test]
fn a_host_that_is_down_is_unknown_and_the_others_are_patched() {
    let yard = Yard::of(2, "sea-app");
    let (up, down) = (yard.name(0), yard.name(1));
    yard.site.lab.kill(&down).expect("it can be killed");
    let run = yard.patch("run", &format!("{QUICK}failure_budget: 1\n"), &[]);
    assert_eq!(run.code, 3, "{run}");
    assert_eq!(outcome(&run, &up), "patched", "{run}");
    assert_eq!(outcome(&run, &down), "unknown", "{run}");
    let status = yard.site.run(&["patch", "status", "--json"]);
    assert_eq!(status.code, 3, "{status}");
}

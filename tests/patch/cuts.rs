//! The way to a host is cut in the middle of dpkg: the host goes on by itself, and we find it again.

use std::process::Command;
use std::time::Duration;

use super::yard::{Yard, host, names, outcome};
use crate::end_to_end::site::ran;

fn link(yard: &Yard, number: usize, word: &str) {
    let status = Command::new("ip")
        .args(["link", "set", &yard.link(number), word])
        .status()
        .expect("ip can be run");
    assert!(status.success());
}

#[test]
fn half_a_minute_without_a_network_in_the_middle_of_dpkg_loses_nothing() {
    let yard = Yard::of(2, "sea-slow sea-app");
    yard.on(0, "echo 12 >/etc/sea-slow.seconds");
    let child = yard.start("health: {within: 20s}\n");
    yard.until(0, "test -s /var/lib/sea-slow.began");
    link(&yard, 0, "down");
    // dpkg ends while nobody can be told.
    std::thread::sleep(Duration::from_secs(30));
    yard.on(0, "test -s /var/lib/sea-slow.ended");
    link(&yard, 0, "up");
    let run = ran(child.wait_with_output().expect("it ends"));
    assert_eq!(run.code, 0, "{run}");
    for number in 0..2 {
        let name = yard.name(number);
        assert_eq!(outcome(&run, &name), "patched", "{run}");
        assert_eq!(
            names(&host(&run, &name)["changed"]),
            ["sea-app", "sea-slow"],
            "{run}"
        );
        yard.assert_whole(number);
        assert_eq!(yard.version(number, "sea-slow"), "2.0-1");
    }
    let upgrades = host(&run, &yard.name(0))["jobs"]
        .as_array()
        .map_or(0, |jobs| {
            jobs.iter().filter(|j| j["job"] == "upgrade").count()
        });
    assert_eq!(upgrades, 1, "it was made once: {run}");
}

#[test]
fn a_host_that_loses_its_power_in_the_middle_of_dpkg_is_mended_by_the_next_run() {
    let yard = Yard::of(1, "sea-slow sea-app");
    let name = yard.name(0);
    yard.on(0, "echo 300 >/etc/sea-slow.seconds");
    let child = yard.start("health: {within: 10s}\nreboot_wait: 30s\n");
    yard.until(0, "test -s /var/lib/sea-slow.began");
    yard.on(0, "rm /etc/sea-slow.seconds; sync");
    // At once, without asking anybody: as when the power goes, but for the disk's own memory.
    yard.try_on(0, "systemctl reboot --force --force");
    let run = ran(child.wait_with_output().expect("it ends"));
    yard.site.lab.wait(&name).expect("it boots again");
    let word = outcome(&run, &name).to_owned();
    assert!(
        matches!(
            word.as_str(),
            "patched" | "went-back" | "failed" | "unknown"
        ),
        "{run}"
    );
    if word == "failed" || word == "unknown" {
        let again = yard.patch("run", "health: {within: 10s}\n", &[]);
        assert_eq!(
            (again.code, outcome(&again, &name)),
            (0, "patched"),
            "{run} {again}"
        );
    }
    yard.assert_whole(0);
    let versions = yard.versions(0);
    let new = versions["sea-slow"] == "2.0-1";
    assert_eq!(
        new,
        word != "went-back",
        "what is said is true: {run} {versions:?}"
    );
}

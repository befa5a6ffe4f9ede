//! Upgrades of real packages, good ones and bad ones, and what becomes of their hosts.

use super::yard::{Yard, host, named, names, outcome};

/// A gate that does not wait long for what will never come.
const QUICK: &str = "health: {within: 5s}\n";

#[test]
fn a_host_is_brought_up_to_date_asked_nothing_and_proved() {
    let yard = Yard::of(1, "sea-app sea-daemon sea-conf sea-asks sea-needs sea-acme");
    yard.on(0, "echo '# of this host' >>/etc/sea-conf.conf");
    let asked = "bash -c 'cat </dev/tcp/127.0.0.1/7001'";
    assert_eq!(yard.on(0, asked), "libsea 1.0-1");
    let (name, boot) = (yard.name(0), yard.boot_id(0));
    let tmp = yard.on(0, "ls -A /tmp /var/tmp");
    let run = yard.patch("run", QUICK, &[]);
    assert_eq!((run.code, outcome(&run, &name)), (0, "patched"), "{run}");
    let versions = yard.versions(0);
    for (package, version) in &versions {
        let wanted = match package.as_str() {
            "sea-daemon" => "1.0-1",
            "sea-asks" => "1:2.0-1",
            _ => "2.0-1",
        };
        assert_eq!(version, wanted, "{package}");
    }
    assert!(
        versions.contains_key("sea-fresh"),
        "what is needed comes along"
    );
    yard.assert_whole(0);
    let said = host(&run, &name);
    assert_eq!(
        names(&said["changed"]),
        [
            "libsea1",
            "sea-acme",
            "sea-app",
            "sea-asks",
            "sea-conf",
            "sea-fresh",
            "sea-needs"
        ],
        "{said:#}"
    );
    assert_eq!(named(&said["changed"], "sea-asks")["to"], "1:2.0-1");

    // The service that had the old library mapped has the new one.
    assert_eq!(yard.on(0, asked), "libsea 2.0-1");
    let restarted = said["restarted"].as_array().expect("a list");
    assert!(
        restarted
            .iter()
            .any(|r| r["unit"] == "sea-daemon.service" && r["well"] == true),
        "{said:#}"
    );
    let maps = "grep -l 'libsea.*(deleted)' /proc/[0-9]*/maps 2>/dev/null; true";
    assert_eq!(yard.on(0, maps), "");

    // The host's own configuration stays, and the difference is reported.
    assert!(
        yard.on(0, "cat /etc/sea-conf.conf")
            .ends_with("# of this host")
    );
    assert!(
        yard.on(0, "cat /etc/sea-conf.conf.dpkg-dist")
            .contains("level=2")
    );
    let conffile = &said["conffiles"][0];
    assert_eq!(conffile["path"], "/etc/sea-conf.conf", "{said:#}");
    assert_eq!(conffile["what"], "kept");
    assert_eq!(conffile["other"], "/etc/sea-conf.conf.dpkg-dist");

    // Nothing of ours is left, and no reboot was made where none was due.
    assert_eq!(yard.on(0, "ls -A /tmp /var/tmp"), tmp);
    assert_eq!(
        yard.on(0, "ls -A /var/lib/seawall/patch 2>/dev/null; true"),
        ""
    );
    assert_eq!(yard.boot_id(0), boot);
    assert_eq!(said["after"]["behind"], 0, "{said:#}");

    let again = yard.patch("run", QUICK, &[]);
    assert_eq!(
        (again.code, outcome(&again, &name)),
        (0, "current"),
        "{again}"
    );
}

#[test]
fn what_fails_goes_back_and_what_removes_is_made_when_it_is_wished() {
    // Each host has one trouble of its own, and sea-app, which goes back with it.
    let yard = Yard::of(4, "sea-app");
    let troubles = ["sea-broken", "sea-fails", "sea-port", "sea-new sea-old"];
    for (number, packages) in troubles.iter().enumerate() {
        let install: Vec<String> = packages.split(' ').map(|p| format!("{p}=1.0-1")).collect();
        let install = install.join(" ");
        yard.on(
            number,
            &format!(
                "apt-get update && DEBIAN_FRONTEND=noninteractive apt-get -qy install {install}"
            ),
        );
    }
    let before: Vec<_> = (0..4).map(|n| yard.versions(n)).collect();
    let lines = format!("{QUICK}failure_budget: 4\npackages: {{removals: true}}\n");
    let run = yard.patch("run", &lines, &[]);
    assert_eq!(run.code, 1, "{run}");
    for (number, before) in before.iter().enumerate().take(3) {
        let name = yard.name(number);
        assert_eq!(outcome(&run, &name), "went-back", "{run}");
        assert_eq!(yard.versions(number), *before, "{name} is as it was");
        yard.assert_whole(number);
        let said = host(&run, &name);
        let reason = said["reason"].to_string();
        assert!(!reason.is_empty() && reason != "null", "{said:#}");
        assert_eq!(named(&said["back"], "sea-app")["to"], "1.0-1", "{said:#}");
    }
    let failed = "systemctl is-active sea-fails.service";
    assert_eq!(yard.on(1, failed), "active");
    assert!(yard.on(2, "ss -ltn").contains(":7003"), "it listens again");
    let gates = |number: usize| host(&run, &yard.name(number))["gates"].to_string();
    assert!(gates(1).contains("sea-fails.service"), "{}", gates(1));
    assert!(gates(2).contains("7003"), "{}", gates(2));
    let name = yard.name(3);
    assert_eq!(outcome(&run, &name), "patched", "{run}");
    assert_eq!(yard.version(3, "sea-new"), "2.0-1");
    assert_eq!(
        yard.version(3, "sea-old"),
        "",
        "it was taken away, as the playbook lets it"
    );
    let changed = &host(&run, &name)["changed"];
    assert_eq!(
        named(changed, "sea-old")["to"],
        "",
        "and that is said: {changed:#}"
    );
}

#[test]
fn canaries_that_fail_stop_the_run_and_the_rest_stays_untouched() {
    let yard = Yard::of(3, "sea-app");
    yard.on(
        0,
        "apt-get update && apt-get -qy install sea-fails=1.0-1 </dev/null",
    );
    let first = yard.name(0);
    let before: Vec<_> = (0..3).map(|n| yard.versions(n)).collect();
    let lines = format!("{QUICK}canaries: [{first}]\nwaves: [50%]\nfailure_budget: 0\n");
    let run = yard.patch("run", &lines, &[]);
    assert_eq!((run.code, outcome(&run, &first)), (1, "went-back"), "{run}");
    for number in 1..3 {
        let name = yard.name(number);
        assert_eq!(outcome(&run, &name), "not-started", "{run}");
        assert_eq!(
            yard.on(number, "ls -A /var/lib/seawall/patch 2>/dev/null; true"),
            ""
        );
    }
    let after: Vec<_> = (0..3).map(|n| yard.versions(n)).collect();
    assert_eq!(after, before);
}

#[test]
fn reboots_are_made_where_due_one_at_a_time_and_proved() {
    let yard = Yard::of(2, "sea-kernel sea-daemon");
    let before: Vec<String> = (0..2).map(|n| yard.boot_id(n)).collect();
    let lines = "health: {within: 30s}\napart: [{hosts: [all], at_most: 1}]\n";
    let run = yard.patch("run", lines, &[]);
    assert_eq!(run.code, 0, "{run}");
    for (number, before) in before.iter().enumerate() {
        let name = yard.name(number);
        assert_eq!(outcome(&run, &name), "patched", "{run}");
        let now = yard.boot_id(number);
        assert_ne!(now, *before, "{name} has booted again");
        let reboot = &host(&run, &name)["reboots"][0];
        assert_eq!(reboot["old_boot_id"], before.as_str(), "{run}");
        assert_eq!(reboot["new_boot_id"], now.as_str(), "{run}");
        assert_eq!(
            yard.on(number, "systemctl is-active sea-daemon.service"),
            "active"
        );
        assert_eq!(
            yard.on(number, "ls /run/reboot-required 2>/dev/null; true"),
            ""
        );
    }
    never_together(&yard, run.run_id());
    let status = yard.site.run(&["patch", "status", "--json"]);
    assert_eq!(status.code, 0, "{status}");
}

/// From the first to the last change of one host, the other is not under way.
fn never_together(yard: &Yard, run: &str) {
    use seawall::journal::{Event, PatchEvent};
    use seawall::model::patch::HostPhase;
    let mut under_way: Option<String> = None;
    let mut turns = Vec::new();
    for record in yard.journal(run) {
        let Event::Patch(event) = record.event else {
            continue;
        };
        match event {
            PatchEvent::PhaseStarted { host, phase } if phase >= HostPhase::Before => {
                if let Some(other) = &under_way {
                    assert_eq!(other, &host, "two of a group at {}", record.time);
                } else {
                    turns.push(host.clone());
                    under_way = Some(host);
                }
            }
            PatchEvent::HostEnded { host, .. } if under_way.as_ref() == Some(&host) => {
                under_way = None;
            }
            _ => {}
        }
    }
    assert_eq!(turns.len(), 2, "each had its turn: {turns:?}");
}

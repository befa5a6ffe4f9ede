//! The whole of it: the program under every shell, and hosts that say odd things.

use proptest::prelude::*;

use super::*;
use crate::host::probe::section::testing::{SHELLS, frame, run};
use crate::shell::{FrameReader, Limits};

const ALL: Ask = Ask {
    refresh: false,
    lock_wait: 0,
    packages: true,
    phased: false,
    containers: false,
};

fn run_under(shell: &[&str], ask: &Ask) -> Vec<Frame> {
    let nonce = Nonce::draw();
    let (said, _) = run(shell, &program(ask, &nonce).unwrap());
    let mut reader = FrameReader::new(&nonce, Limits::default());
    reader.push(&said).unwrap();
    std::iter::from_fn(|| reader.next_frame()).collect()
}

/// This machine has apt (the tests need Debian) and may lack systemd; no list is fetched.
#[test]
fn this_machine_is_seen_the_same_under_every_shell() {
    for shell in SHELLS {
        let frames = run_under(shell, &ALL);
        assert!(is_whole(&frames), "{shell:?}");
        let seen = read(&frames, &ALL, "here", "now");
        assert_eq!(seen.manager, Manager::Apt, "{shell:?}");
        assert_eq!(seen.boot_id.len(), 36);
        assert!(seen.uptime > 0 && !seen.os.id.is_empty() && !seen.kernel.running.is_empty());
        assert!(seen.installed.iter().any(|p| p.name == "dpkg"), "{shell:?}");
        assert!(seen.space.iter().any(|s| s.what == "root" && s.free > 0));
        for section in ["os", "installed", "holds", "broken", "space"] {
            assert_eq!(seen.unseen.get(section), None, "{shell:?} {section}");
        }
    }
}

#[test]
fn a_gate_asks_for_health_alone() {
    for shell in SHELLS {
        let tcp = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let frames = run_under(shell, &Ask::HEALTH);
        assert!(is_whole(&frames), "{shell:?}");
        assert!(frames.iter().all(|f| f.name != "dpkg" && f.name != "os"));
        let seen = read(&frames, &Ask::HEALTH, "here", "now");
        let port = tcp.local_addr().unwrap().port();
        assert!(
            seen.health
                .listeners
                .iter()
                .any(|l| l.port == port && l.address == "127.0.0.1"),
            "{shell:?}"
        );
        assert!(seen.unseen.keys().all(|k| k == "health"));
        assert_eq!(seen.installed.len(), 0);
    }
}

#[test]
fn a_host_that_says_nothing_is_unseen_throughout() {
    let ask = Ask {
        refresh: true,
        ..ALL
    };
    let seen = read(&[], &ask, "h", "t");
    for section in [
        "os",
        "refresh",
        "installed",
        "offers",
        "holds",
        "broken",
        "lock",
        "reboot",
        "stale",
        "space",
        "health",
    ] {
        assert!(seen.unseen.contains_key(section), "{section}");
    }
    assert!(matches!(seen.refreshed, Refreshed::Failed { .. }));
    assert!(!is_whole(&[]));
    // The same where apt is known and then nothing comes.
    let frames = [frame("system", 0, "arch amd64\nmanager apt")];
    let seen = read(&frames, &ask, "h", "t");
    for section in ["installed", "offers", "holds", "broken", "lock", "reboot"] {
        assert!(seen.unseen.contains_key(section), "{section}");
    }
}

#[test]
fn lists_that_were_not_all_fetched_are_not_fresh() {
    let ask = Ask {
        refresh: true,
        ..ALL
    };
    let refreshed = |status, text: &str| read(&[frame("refresh", status, text)], &ask, "h", "t");
    // Of a lab host without a way out.
    let failed = refreshed(
        100,
        "E: Failed to fetch http://deb.debian.org/debian/dists/bookworm/InRelease  Temporary failure resolving 'deb.debian.org'\nE: Some index files failed to download. They have been ignored, or old ones used instead.",
    );
    assert!(
        matches!(&failed.refreshed, Refreshed::Failed { why } if why.contains("Temporary failure"))
    );
    // An old apt ends well all the same.
    let old = refreshed(
        0,
        "W: Failed to fetch http://x/InRelease  Could not connect\nW: Some index files failed to download.",
    );
    assert!(old.unseen.contains_key("refresh"));
    let other = refreshed(
        0,
        "W: http://x/InRelease: Key is stored in legacy trusted.gpg keyring",
    );
    assert_eq!(other.refreshed, Refreshed::Done);
    assert_eq!(
        refreshed(100, "the lists are locked by 12 apt-get update").unseen["refresh"],
        "the lists are locked by 12 apt-get update"
    );
    assert_eq!(read(&[], &ALL, "h", "t").refreshed, Refreshed::NotAsked);
}

/// apt leaves out what takes something away where it may not: those are the ones.
#[test]
fn what_takes_others_away_is_told_from_what_does_not() {
    let simulated = "Remv old [1.0-1]\nInst app [1] (2 Debian:12/stable [all])\n\
                     Inst new [1] (2 Debian:12/stable [all])\nInst fresh (2 Debian:12/stable [all])";
    let gentle = "The following packages have been kept back:\n   new (1 => 2)\n\
                  Inst app [1] (2 Debian:12/stable [all])\n";
    let removes = |gentle: Option<Frame>| -> Vec<(String, Vec<String>)> {
        let mut frames = vec![
            frame("system", 0, "arch amd64\nmanager apt"),
            frame("simulated", 0, simulated),
        ];
        frames.extend(gentle);
        let offers = read(&frames, &ALL, "h", "t").offers;
        offers.into_iter().map(|o| (o.name, o.removes)).collect()
    };
    let told = removes(Some(frame("gentle", 0, gentle)));
    for (name, taken) in told {
        let takes = matches!(name.as_str(), "new" | "fresh");
        assert_eq!(taken, if takes { vec!["old"] } else { vec![] }, "{name}");
    }
    for untold in [None, Some(frame("gentle", 100, "E: broken"))] {
        assert!(removes(untold).iter().all(|(_, taken)| taken.is_empty()));
    }
}

const NAMES: &[&str] = &[
    "boot",
    "os",
    "system",
    "lock",
    "refresh",
    "dpkg",
    "automatic",
    "updates",
    "simulated",
    "gentle",
    "policy",
    "versions",
    "sizes",
    "archives",
    "changelogs",
    "reboot",
    "space",
    "stale",
    "needrestart",
    "running",
    "units",
    "enabled",
    "listeners",
    "rpm",
    "transaction",
    "upgrades",
    "advisories",
    "versionlock",
];

proptest! {
    #[test]
    fn no_host_makes_it_panic_and_all_is_bounded(
        manager in prop_oneof![Just("apt"), Just("dnf"), Just("none")],
        said in prop::collection::vec((0..NAMES.len(), prop_oneof![4 => Just(0), 1 => Just(1)],
            "(Inst |Remv |a |\\[|\\]|\\(|\\)| => |  |kept back:|\t|installed|hold|/proc/1/maps:|@1 host |500|Package: |\\*\\*\\*|: |\n|\u{1b}|.){0,60}"), 0..20),
    ) {
        let mut frames: Vec<Frame> = said
            .iter()
            .map(|(name, status, text)| frame(NAMES[*name], *status, text))
            .collect();
        let system = format!("arch amd64\nmanager {manager}\nrunning 1\n");
        frames.push(frame("system", 0, &system));
        let ask = Ask { refresh: true, ..ALL };
        let seen = read(&frames, &ask, "h", "t");
        let text = serde_json::to_string(&seen).unwrap();
        prop_assert!(!text.contains("\\u001b") && text.len() < 200_000);
    }
}

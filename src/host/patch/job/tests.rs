//! What the package jobs are told, and the guard that apt asks.

use std::io::Write;
use std::process::{Command, Stdio};

use proptest::prelude::*;

use super::packages::{back, download, is_word, upgrade};
use crate::document::patch::Patch;
use crate::model::patch::{ChangeKind, HostPlan, Installed, Manager, PatchSnapshot, Upgrade};

fn patch() -> Patch {
    serde_json::from_str(r#"{"patch": "x", "title": "x", "hosts": ["all"]}"#).unwrap()
}

fn change(name: &str, from: &str, to: &str) -> Upgrade {
    Upgrade {
        name: name.into(),
        arch: "amd64".into(),
        kind: match (from, to) {
            ("", _) => ChangeKind::New,
            (_, "") => ChangeKind::Remove,
            _ => ChangeKind::Upgrade,
        },
        from: from.into(),
        to: to.into(),
        automatic: name.starts_with("lib"),
        ..Upgrade::default()
    }
}

fn plan(upgrades: Vec<Upgrade>) -> HostPlan {
    HostPlan {
        manager: Manager::Apt,
        upgrades,
        ..HostPlan::default()
    }
}

#[test]
fn a_job_is_told_each_package_with_its_files() {
    let plan = plan(vec![
        change("libx", "1:1.0-1", "1:2.0-1+b1"),
        change("new", "", "3"),
        change("gone", "4", ""),
    ]);
    let calls = upgrade(&plan, &patch()).unwrap().calls;
    for line in [
        "upgrade libx amd64 1:1.0-1 1:2.0-1+b1 1 some libx_1%3a1.0-1_amd64.deb libx_1%3a2.0-1+b1_amd64.deb\n",
        "new new amd64 - 3 0 some - new_3_amd64.deb\n",
        "remove gone amd64 4 - 0 some gone_4_amd64.deb -\n",
    ] {
        assert!(calls.contains(line), "{line} is not in {calls}");
    }
}

#[test]
fn the_way_back_leads_to_what_was_seen_before() {
    let plan = plan(vec![change("libx", "1.0", "2.0"), change("new", "", "3")]);
    let before = PatchSnapshot {
        installed: vec![Installed {
            name: "libx".into(),
            arch: "amd64".into(),
            version: "1.1".into(),
            automatic: false,
            ..Installed::default()
        }],
        ..PatchSnapshot::default()
    };
    let calls = back(&plan, &before, &patch()).unwrap().calls;
    assert!(
        calls.contains("upgrade libx amd64 1.1 2.0 0 some libx_1.1_"),
        "{calls}"
    );
    assert!(calls.contains("new new amd64 - 3 "), "{calls}");
}

#[test]
fn a_word_that_no_package_has_stops_the_job_before_anything() {
    for (name, version) in [
        ("--allow-downgrades", "1"),
        ("../x", "1"),
        ("a b", "1"),
        ("x", "1 -o=y"),
        ("x*", "1"),
        ("x", "$(id)"),
        ("", "1"),
        ("-", "1"),
    ] {
        for job in [upgrade, download] {
            let job = job(&plan(vec![change(name, "0", version)]), &patch()).unwrap();
            assert!(
                job.calls.starts_with("say differs "),
                "{name} {version}: {}",
                job.calls
            );
            assert!(job.calls.ends_with("job_end 3"), "{name} {version}");
            assert!(!job.functions.contains("apt-get"), "{name} {version}");
        }
    }
}

/// What the guard does with apt's words: its status, and what it notes.
fn guard(wanted: &str, said: &str) -> (bool, String) {
    let dir = tempfile::tempdir().unwrap();
    let hook = dir.path().join("hook");
    std::fs::write(&hook, include_str!("sh/apt_hook.sh")).unwrap();
    std::fs::write(dir.path().join("wanted"), wanted).unwrap();
    let mut child = Command::new("sh")
        .arg(&hook)
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(said.as_bytes())
        .unwrap();
    let well = child.wait().unwrap().success();
    assert_eq!(well, dir.path().join("agreed").exists());
    let differs = std::fs::read_to_string(dir.path().join("differs")).unwrap_or_default();
    (well, differs)
}

#[test]
fn the_guard_lets_the_plan_through_and_nothing_else() {
    let wanted = "libx amd64 2.0-1\nnew all 3\ngone amd64 -\n";
    // As apt 2.6 of Debian 12 says it, protocol 3.
    let head = "VERSION 3\nAPT::Architecture=amd64\nDir=/\n\n";
    let x =
        "libx 1.0-1 amd64 none < 2.0-1 amd64 none /var/cache/apt/archives/libx_2.0-1_amd64.deb\n";
    let set_up = "libx 1.0-1 amd64 none < 2.0-1 amd64 none **CONFIGURE**\n";
    let new = "new - - none < 3 all none /var/cache/apt/archives/new_3_all.deb\n";
    let gone = "gone 4 amd64 none > - - none **REMOVE**\n";
    assert_eq!(
        guard(wanted, &format!("{head}{gone}{new}{x}{set_up}")),
        (true, String::new())
    );
    for (odd, word) in [
        (
            "libx 1.0-1 amd64 none < 2.1-1 amd64 none /x.deb\n",
            "libx:amd64 would go from 1.0-1 to 2.1-1",
        ),
        (
            "libx 1.0-1 i386 same < 2.0-1 i386 same /x.deb\n",
            "libx:i386 would go",
        ),
        (
            "other - - none < 1 all none /x.deb\n",
            "other:all would go from - to 1",
        ),
        (
            "libx 1.0-1 amd64 none > - - none **REMOVE**\n",
            "libx:amd64 would be taken away",
        ),
        (
            "new 3 all none > - - none **REMOVE**\n",
            "new:all would be taken away",
        ),
        ("libx 1.0-1\n", "libx is not understood"),
    ] {
        let (well, differs) = guard(wanted, &format!("{head}{x}{odd}"));
        assert!(!well && differs.contains(word), "{odd}: {differs}");
    }
    assert!(!guard(wanted, "").0, "no words are no consent");
    assert!(!guard(wanted, x).0, "words of another form are no consent");
}

proptest! {
    #[test]
    fn a_word_is_one_to_every_shell(word in "\\PC{0,20}|[a-z0-9+.:~^%_-]{0,20}") {
        if is_word(&word) {
            prop_assert!(!word.starts_with('-'));
            prop_assert!(!word.contains(|c: char| c.is_whitespace() || "'\"\\$`*?[]{}()<>|&;#!/=,".contains(c)));
        }
    }
}

//! What the package jobs are told.

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
fn a_new_kernel_is_not_taken_away_on_the_way_back() {
    let name = "linux-image-6.1.0-40-amd64";
    for manager in [Manager::Apt, Manager::Dnf] {
        let plan = HostPlan {
            manager,
            ..plan(vec![change(name, "", "6.1.140-1"), change("app", "1", "2")])
        };
        assert!(upgrade(&plan, &patch()).unwrap().calls.contains(name));
        let calls = back(&plan, &PatchSnapshot::default(), &patch())
            .unwrap()
            .calls;
        assert!(
            !calls.contains(name) && calls.contains("upgrade app amd64 1 2"),
            "{calls}"
        );
    }
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

proptest! {
    #[test]
    fn a_word_is_one_to_every_shell(word in "\\PC{0,20}|[a-z0-9+.:~^%_-]{0,20}") {
        if is_word(&word) {
            prop_assert!(!word.starts_with('-'));
            let odd = |c: char| c.is_whitespace() || "'\"\\$`*?[]{}()<>|&;#!/=,".contains(c);
            prop_assert!(!word.contains(odd));
        }
    }
}

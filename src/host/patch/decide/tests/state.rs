use super::*;
use crate::model::patch::{Broken, LockHolder, RebootNeed, StaleProcess};

#[test]
fn what_was_not_seen_is_no_pass() {
    for (section, blocks) in [
        ("installed", true),
        ("offers", true),
        ("broken", true),
        ("holds", false),
        ("stale", false),
        ("docker", false),
    ] {
        let mut snapshot = host(vec![offer("app")]);
        snapshot.unseen.insert(section.into(), "no answer".into());
        let plan = decided(&snapshot, &patch(""));
        assert_eq!(!plan.blockers.is_empty(), blocks, "{section}");
        assert!(noted(&plan, &format!("not seen: {section}: no answer")));
        assert!(
            decided(&snapshot, &patch("packages: {scope: none}"))
                .blockers
                .is_empty()
        );
    }
    let mut snapshot = host(Vec::new());
    snapshot.manager = Manager::None;
    assert_eq!(blocked(&decided(&snapshot, &patch(""))), ["manager"]);
    assert!(
        decided(&snapshot, &patch("packages: {scope: none}"))
            .blockers
            .is_empty()
    );
    let mut snapshot = host(Vec::new());
    let why = "502".to_owned();
    snapshot.refreshed = Refreshed::Failed { why };
    assert!(noted(&decided(&snapshot, &patch("")), "did not answer"));
}

#[test]
fn what_others_left_half_installed_is_finished_or_reported() {
    let mut snapshot = host(Vec::new());
    let broken = |name: &str, state: &str| Broken {
        name: name.into(),
        state: state.into(),
    };
    snapshot.broken = vec![
        broken("b", "half-configured"),
        broken("a", "unpacked"),
        broken("a", "triggers-pending"),
    ];
    let plan = decided(&snapshot, &patch(""));
    assert_eq!(plan.repairs, ["a", "b"]);
    assert!(plan.blockers.is_empty() && !plan.is_empty());
    assert!(noted(&plan, "b (half-configured)"));
    // It may be why nothing could be seen of what is offered.
    snapshot
        .unseen
        .insert("offers".into(), "E: a needs to be reinstalled".into());
    let plan = decided(&snapshot, &patch(""));
    assert!(plan.blockers.is_empty() && noted(&plan, "run it once more"));
    let mut twice = snapshot.clone();
    twice.manager = Manager::Dnf;
    twice.unseen.clear();
    let plan = decided(&twice, &patch(""));
    assert!(plan.repairs.is_empty());
    assert_eq!(blocked(&plan), ["broken"]);
    // A playbook for containers alone leaves packages alone.
    let plan = decided(&snapshot, &patch("packages: {scope: none}"));
    assert!(plan.repairs.is_empty() && plan.blockers.is_empty());
}

#[test]
fn there_must_be_room_for_all_of_it() {
    const MB: u64 = 1 << 20;
    let mut kernel = offer("linux-image-amd64");
    kernel.former = "archive".into();
    kernel.download = Some(70 * MB);
    kernel.grows = Some(200 << 20);
    let free = |packages: u64, root: u64, boot: u64| {
        let mut snapshot = host(vec![kernel.clone()]);
        for (space, free) in snapshot.space.iter_mut().zip([packages, root, boot]) {
            space.free = free * MB;
        }
        decided(&snapshot, &patch(""))
    };
    assert!(free(140, 320, 150).blockers.is_empty());
    assert_eq!(blocked(&free(139, 320, 150)), ["space"]);
    assert_eq!(blocked(&free(140, 319, 150)), ["space"]);
    assert_eq!(blocked(&free(140, 320, 149)), ["space"]);
    assert!(
        free(1, 320, 150).blockers[0]
            .why
            .contains("/var has 1 MB free")
    );
    // One file system for all of it holds all of it.
    let mut snapshot = host(vec![kernel.clone()]);
    for space in &mut snapshot.space {
        space.mount = "/".into();
        space.free = 500 * MB;
    }
    assert_eq!(blocked(&decided(&snapshot, &patch(""))), ["space"]);
    snapshot
        .space
        .iter_mut()
        .for_each(|space| space.free = 610 * MB);
    assert!(decided(&snapshot, &patch("")).blockers.is_empty());
    // Without a way back the former version is not fetched; without a kernel /boot is not asked.
    snapshot
        .space
        .iter_mut()
        .for_each(|space| space.free = 540 * MB);
    assert!(
        decided(&snapshot, &patch("packages: {way_back: false}"))
            .blockers
            .is_empty()
    );
    let mut small = host(vec![offer("app")]);
    small.space[2].free = 0;
    assert!(decided(&small, &patch("")).blockers.is_empty());
    small.offers[0].download = None;
    let plan = decided(&small, &patch(""));
    assert!(plan.download.is_none() && noted(&plan, "how much is downloaded"));
}

#[test]
fn packages_of_a_foreign_architecture_are_not_begun_with() {
    let mut foreign = offer("libodd");
    foreign.arch = "riscv64".into();
    foreign.kind = OfferKind::New;
    let mut snapshot = host(vec![offer("app"), foreign]);
    assert_eq!(blocked(&decided(&snapshot, &patch(""))), ["manager"]);
    snapshot.installed.push(Installed {
        name: "libother".into(),
        arch: "riscv64".into(),
        ..Installed::default()
    });
    assert!(decided(&snapshot, &patch("")).blockers.is_empty());
}

#[test]
fn a_lock_is_waited_for_and_its_holder_named() {
    let mut snapshot = host(vec![offer("app")]);
    snapshot.lock = Some(LockHolder {
        pid: 71,
        program: "apt-get dist-upgrade".into(),
    });
    let plan = decided(&snapshot, &patch("lock_wait: 5m"));
    assert!(plan.blockers.is_empty());
    assert!(noted(&plan, "apt-get dist-upgrade (pid 71)") && noted(&plan, "5m at most"));
}

#[test]
fn a_reboot_is_due_now_or_afterwards_or_not_or_not_known() {
    let mut snapshot = host(vec![offer("app")]);
    assert_eq!(decided(&snapshot, &patch("")).reboot, RebootNeed::No);
    snapshot.unseen.insert("reboot".into(), "no answer".into());
    let unknown = decided(&snapshot, &patch("")).reboot;
    assert!(matches!(unknown, RebootNeed::Unknown { .. }));
    for (name, system) in [
        ("linux-image-6.1.0-22-amd64", "debian"),
        ("dbus", "debian"),
        ("linux-image-6.8.0-40-generic", "ubuntu"),
        ("libc6", "ubuntu"),
        ("systemd", "ubuntu"),
        ("kernel-core", "rocky"),
        ("glibc", "rocky"),
    ] {
        let mut snapshot = host(vec![offer("app"), offer(name)]);
        snapshot.os.id = system.into();
        if system == "rocky" {
            snapshot.manager = Manager::Dnf;
        }
        assert!(!noted(
            &decided(&snapshot, &patch("")),
            "may ask for a reboot"
        ));
        let RebootNeed::After { reasons } = decided(&snapshot, &patch("")).reboot else {
            panic!("{name}");
        };
        assert!(
            reasons.len() == 1 && reasons[0].contains(name),
            "{reasons:?}"
        );
        // Frozen, it makes nothing due.
        let yaml = format!("packages: {{exclude: ['{name}']}}");
        assert_eq!(decided(&snapshot, &patch(&yaml)).reboot, RebootNeed::No);
    }
    for name in [
        "openssl",
        "linux-image-6.1-dbg",
        "linux-libc-dev",
        "libsystemd0",
    ] {
        let snapshot = host(vec![offer(name)]);
        assert_eq!(
            decided(&snapshot, &patch("")).reboot,
            RebootNeed::No,
            "{name}"
        );
    }
    // Nothing on Debian asks for one afterwards, so none is promised.
    let mut debian = host(vec![offer("libc6"), offer("systemd")]);
    debian.os.id = "debian".into();
    let plan = decided(&debian, &patch(""));
    assert_eq!(plan.reboot, RebootNeed::No);
    assert!(noted(
        &plan,
        "may ask for a reboot once they are upgraded: libc6, systemd"
    ));
    snapshot.reboot_due = vec!["a newer kernel".into()];
    let reboot = decided(&snapshot, &patch("reboot: never")).reboot;
    assert!(matches!(reboot, RebootNeed::Now { .. }));
}

#[test]
fn stale_services_are_restarted_but_for_those_that_would_harm() {
    let process = |unit: &str, program: &str| StaleProcess {
        pid: 1,
        unit: unit.into(),
        program: program.into(),
        files: vec!["/usr/lib/libssl.so.3".into()],
    };
    let mut snapshot = host(Vec::new());
    snapshot.stale = [
        ("nginx.service", true),
        ("nginx.service", true),
        ("ssh.service", true),
        ("init.scope", true),
        ("postgresql@15-main.service", true),
        ("", false),
        ("dbus.service", false),
        ("systemd-logind.service", false),
        ("getty@tty1.service", false),
        ("user@1000.service", false),
        ("session-4.scope", false),
        ("gdm.service", false),
        ("docker.service", false),
        ("containerd.service", false),
        ("keepme.service", false),
    ]
    .map(|(unit, _)| process(unit, "program"))
    .to_vec();
    let patch_of = |more: &str| patch(&format!("never_restart: ['keep*']\n{more}"));
    let plan = decided(&snapshot, &patch_of(""));
    let by_us: Vec<&str> = plan
        .restarts
        .iter()
        .filter(|r| r.by_us)
        .map(|r| r.what.as_str())
        .collect();
    let expected = [
        "nginx.service",
        "postgresql@15-main.service",
        "ssh.service",
        "systemd-manager",
    ];
    assert_eq!(by_us, expected);
    assert_eq!(plan.restarts.len(), 14);
    assert!(
        plan.restarts
            .iter()
            .all(|r| r.now && r.why.contains("libssl"))
    );
    let plan = decided(&snapshot, &patch_of("restart: never\n"));
    assert!(plan.restarts.iter().all(|r| !r.by_us));
}

use proptest::prelude::*;

use super::*;
use crate::model::patch::Listener;

fn unit(name: &str, state: &str, sub: &str) -> Unit {
    Unit {
        name: name.into(),
        state: state.into(),
        sub: sub.into(),
        enabled: "enabled".into(),
    }
}

fn listener(protocol: &str, address: &str, port: u16, program: &str) -> Listener {
    Listener {
        protocol: protocol.into(),
        address: address.into(),
        port,
        program: program.into(),
    }
}

fn health(units: &[(&str, &str, &str)]) -> Health {
    Health {
        system: "running".into(),
        units: std::iter::once(&("cron.service", "active", "running"))
            .chain(units)
            .map(|(name, state, sub)| unit(name, state, sub))
            .collect(),
        listeners: vec![listener("tcp", "0.0.0.0", 22, "sshd")],
    }
}

fn heard(listeners: &[(&str, &str, u16, &str)]) -> Health {
    let mut out = health(&[]);
    let more = listeners
        .iter()
        .map(|(protocol, address, port, program)| listener(protocol, address, *port, program));
    out.listeners.extend(more);
    out
}

fn asked() -> HealthDocument {
    HealthDocument::default()
}

fn gate(before: &Health, now: &Health) -> GateNote {
    after(before, Some(now), &asked(), &[])
}

#[test]
fn a_healthy_host_passes_and_an_unseen_one_does_not() {
    let well = health(&[("nginx.service", "active", "running")]);
    assert!(before(Some(&well), &asked(), &[]).passed);
    assert!(gate(&well, &well).passed);
    let blind = before(None, &asked(), &[]);
    assert!(!blind.passed && !blind.unseen.is_empty());
    let blind = after(&well, None, &asked(), &[]);
    assert!(!blind.passed && !blind.unseen.is_empty());
    // Some of it is missing.
    for (units, listeners, system) in [
        (false, true, true),
        (true, false, true),
        (true, true, false),
    ] {
        let mut half = well.clone();
        if !units {
            half.units.clear();
        }
        if !listeners {
            half.listeners.clear();
        }
        if !system {
            half.system.clear();
        }
        let said = gate(&well, &half);
        assert!(!said.passed && !said.unseen.is_empty(), "{said:?}");
    }
}

#[test]
fn what_was_up_must_be_up() {
    let before = health(&[("nginx.service", "active", "running")]);
    for (state, sub) in [
        ("failed", "failed"),
        ("inactive", "dead"),
        ("activating", "start"),
        ("activating", "auto-restart"),
        ("deactivating", "stop"),
        ("maintenance", ""),
    ] {
        let said = gate(&before, &health(&[("nginx.service", state, sub)]));
        assert!(!said.passed, "{state}");
        assert!(said.broken[0].contains("nginx.service"), "{said:?}");
    }
    let gone = gate(&before, &health(&[]));
    assert_eq!(
        gone.broken,
        ["nginx.service was active (running) and is not there"]
    );
    assert!(
        gate(
            &before,
            &health(&[("nginx.service", "reloading", "reload")])
        )
        .passed
    );
}

#[test]
fn what_had_failed_already_is_noted_and_what_fails_anew_is_broken() {
    let failed = health(&[("backup.service", "failed", "failed")]);
    let first = before(Some(&failed), &asked(), &[]);
    assert!(first.passed && first.notes[0].contains("backup.service"));
    let again = gate(&failed, &failed);
    assert!(again.passed && again.notes[0].contains("backup.service"));
    assert!(gate(&failed, &health(&[("backup.service", "active", "running")])).passed);
    let anew = gate(&health(&[]), &failed);
    assert_eq!(anew.broken, ["backup.service has failed, and had not"]);
    let looping = health(&[("new.service", "activating", "auto-restart")]);
    assert!(!gate(&health(&[]), &looping).passed);
}

#[test]
fn what_comes_and_goes_is_no_failure() {
    for (name, sub) in [
        ("session-1.scope", "running"),
        ("user@1000.service", "running"),
        ("run-u12.service", "running"),
        ("seawall-patch-x-upgrade.service", "running"),
        ("setup.service", "exited"),
        ("systemd-hostnamed.service", "running"),
    ] {
        let said = gate(&health(&[(name, "active", sub)]), &health(&[]));
        assert!(said.passed, "{name}: {said:?}");
    }
    // One that had ended well and has failed now is broken all the same.
    let was = health(&[("setup.service", "active", "exited")]);
    assert!(!gate(&was, &health(&[("setup.service", "failed", "failed")])).passed);
    assert!(!gate(&was, &health(&[("setup.service", "activating", "start")])).passed);
}

#[test]
fn a_service_waits_in_its_socket_unless_it_is_enabled_itself() {
    let socket = ("cups.socket", "active", "listening");
    let mut was = health(&[socket, ("cups.service", "active", "running")]);
    let is = health(&[socket]);
    assert!(!gate(&was, &is).passed);
    was.units[2].enabled = "static".into();
    assert!(gate(&was, &is).passed);
    assert!(!gate(&was, &health(&[])).passed, "the socket is gone, too");
}

#[test]
fn the_playbook_ignores_units_and_ports_and_whole_kinds() {
    let was = heard(&[("tcp", "0.0.0.0", 80, "nginx")]);
    let mut is = health(&[("noise-a.service", "failed", "failed")]);
    let mut wanted = HealthDocument {
        ignore_units: vec!["noise-*".into()],
        ignore_ports: vec!["tcp/80".into()],
        ..asked()
    };
    assert!(after(&was, Some(&is), &wanted, &[]).passed);
    wanted.ignore_ports.clear();
    assert!(!after(&was, Some(&is), &wanted, &[]).passed);
    wanted.ports = false;
    assert!(after(&was, Some(&is), &wanted, &[]).passed);
    is.units.push(unit("x.service", "failed", "failed"));
    assert!(!after(&was, Some(&is), &wanted, &[]).passed);
    wanted.units = false;
    assert!(after(&was, Some(&is), &wanted, &[]).passed);
}

#[test]
fn ports_must_be_reachable_from_as_far_as_before() {
    let on = |address: &str| heard(&[("tcp", address, 80, "nginx")]);
    let passes = |from: &str, to: &str| gate(&on(from), &on(to));
    assert!(passes("127.0.0.1", "127.0.0.1").notes.is_empty());
    for (from, to) in [
        ("127.0.0.1", "10.0.0.1"),
        ("[::1]", "0.0.0.0"),
        ("10.0.0.1", "*"),
        ("10.0.0.1", "10.0.0.2"),
        ("127.0.0.53%lo", "[::]"),
    ] {
        let said = passes(from, to);
        assert!(said.passed && said.notes.len() == 1, "{from} {to} {said:?}");
    }
    for (from, to) in [
        ("0.0.0.0", "127.0.0.1"),
        ("*", "::1"),
        ("[::]", "10.0.0.1"),
        ("10.0.0.1", "::ffff:127.0.0.1"),
    ] {
        assert!(!passes(from, to).passed, "{from} {to}");
    }
    assert!(passes("0.0.0.0", "::").passed);
    let gone = gate(&on("0.0.0.0"), &health(&[]));
    assert_eq!(gone.broken, ["nothing listens on tcp/80 (nginx) any more"]);
    let new = gate(&health(&[]), &on("0.0.0.0"));
    assert!(new.passed && new.notes == ["tcp/80 (nginx) is new"]);
    // The protocol counts.
    let udp = heard(&[("udp", "0.0.0.0", 80, "nginx")]);
    assert!(!gate(&on("0.0.0.0"), &udp).passed);
}

#[test]
fn ports_that_are_drawn_by_chance_do_not_flap() {
    let well = [
        (("udp", 41000, "chronyd"), None),
        (("udp", 68, "dhclient"), None),
        (
            ("tcp", 40001, "rpc.statd"),
            Some(("tcp", 40002, "rpc.statd")),
        ),
    ];
    let not = [
        (("tcp", 40001, "rpc.statd"), None),
        (("tcp", 40001, ""), Some(("tcp", 40002, ""))),
        (("udp", 51820, ""), None),
        (("udp", 323, "chronyd"), None),
    ];
    let said = |(was, is): (_, Option<_>)| {
        let at = |(protocol, port, program)| heard(&[(protocol, "0.0.0.0", port, program)]);
        gate(&at(was), &is.map_or_else(|| health(&[]), at))
    };
    for case in well {
        assert!(said(case).passed, "{case:?}");
    }
    for case in not {
        assert!(!said(case).passed, "{case:?}");
    }
    // Where programs are not seen at all, a high UDP port may be anyone's.
    let mut was = heard(&[("udp", "0.0.0.0", 51820, "")]);
    was.listeners[0].program.clear();
    assert!(gate(&was, &health(&[])).passed);
}

#[test]
fn our_own_checks_count_before_and_after() {
    let check = |result| {
        vec![Checked {
            check: "page".into(),
            result,
        }]
    };
    let well = health(&[]);
    assert!(before(Some(&well), &asked(), &check(Ok(()))).passed);
    let bad = check(Err("status 500".into()));
    assert!(!before(Some(&well), &asked(), &bad).passed);
    let said = after(&well, Some(&well), &asked(), &bad);
    assert_eq!(said.broken, ["check page: status 500"]);
}

#[test]
fn a_system_that_goes_down_or_comes_up_is_not_begun_or_proved() {
    let mut is = health(&[]);
    for (state, first, then) in [
        ("stopping", false, false),
        ("maintenance", false, false),
        ("starting", true, false),
        ("degraded", true, true),
        ("unknown", true, false),
    ] {
        is.system = state.into();
        assert_eq!(before(Some(&is), &asked(), &[]).passed, first, "{state}");
        assert_eq!(gate(&health(&[]), &is).passed, then, "{state}");
        assert!(gate(&is, &is).passed, "{state}: as it was");
    }
}

fn any_health() -> impl Strategy<Value = Health> {
    let unit = (
        "[a-c](@x)?\\.(service|socket|timer|scope)",
        "active|failed|activating|inactive|odd",
        "running|exited|dead|auto-restart",
        "enabled|static",
    );
    let unit = unit.prop_map(|(name, state, sub, enabled)| Unit {
        name,
        state,
        sub,
        enabled,
    });
    let ports = prop_oneof![
        Just(22_u16),
        Just(80),
        Just(40000),
        Just(51820),
        any::<u16>()
    ];
    let listener = (
        "tcp|udp",
        "\\*|::|127\\.0\\.0\\.1|10\\.0\\.0\\.1|.{0,6}",
        ports,
        "x|y|",
    );
    let listener = listener.prop_map(|(protocol, address, port, program)| Listener {
        protocol,
        address,
        port,
        program,
    });
    (
        "running|degraded|starting|",
        prop::collection::vec(unit, 0..6),
        prop::collection::vec(listener, 0..6),
    )
        .prop_map(|(system, mut units, listeners)| {
            units.sort_by(|a, b| a.name.cmp(&b.name));
            units.dedup_by(|a, b| a.name == b.name);
            Health {
                system,
                units,
                listeners,
            }
        })
}

proptest! {
    #[test]
    fn a_host_that_is_as_it_was_passes(health in any_health()) {
        let said = gate(&health, &health);
        prop_assert!(said.passed, "{said:?}");
    }

    #[test]
    fn a_gate_passes_only_where_nothing_is_broken_or_unseen(was in any_health(), is in any_health()) {
        let said = gate(&was, &is);
        prop_assert_eq!(said.passed, said.broken.is_empty() && said.unseen.is_empty());
        // Whatever else: a unit that failed anew is never passed over.
        let looked_at = |u: &&Unit| !u.name.ends_with(".scope");
        for unit in is.units.iter().filter(looked_at).filter(|u| u.state == "failed") {
            let before = was.units.iter().find(|u| u.name == unit.name);
            if before.is_none_or(|u| u.state != "failed") {
                prop_assert!(!said.passed);
            }
        }
    }
}

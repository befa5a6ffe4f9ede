//! How a host does: systemd's units, and who listens.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::{MANY, section, section_of, word};
use crate::model::patch::{Listener, PatchSnapshot, Unit};
use crate::shell::Frame;

pub(super) fn read(frames: &[Frame], out: &mut PatchSnapshot) {
    let unseen = &mut out.unseen;
    let system = section_of(frames, "running", "health", unseen, |t| Ok(word(t)));
    if let Some(system) = system {
        // Without systemd there are no units; with it, silence is no answer.
        let has_units = !system.is_empty() || section::find(frames, "units").is_some();
        out.health.system = system;
        if has_units {
            let boot = section::answered(frames, "enabled").map(|f| f.text().into_owned());
            let at_boot: BTreeSet<&str> = boot.as_deref().unwrap_or_default().lines().collect();
            out.health.units = section_of(frames, "units", "health", unseen, |text| {
                read_units(text, &at_boot)
            })
            .unwrap_or_default();
        }
    }
    out.health.listeners =
        section_of(frames, "listeners", "health", unseen, read_listeners).unwrap_or_default();
}

/// `UNIT LOAD ACTIVE SUB DESCRIPTION`. Those that are inactive are left out.
fn read_units(text: &str, at_boot: &BTreeSet<&str>) -> Result<Vec<Unit>, String> {
    let mut all = Vec::new();
    for line in text.lines().filter(|l| !l.trim().is_empty()) {
        // Some versions mark a failed unit in spite of `--plain`.
        let words = line.split_whitespace();
        let mut words = words.skip_while(|w| matches!(*w, "●" | "*" | "○" | "×" | "x"));
        let (Some(name), Some(_load), Some(state), Some(sub)) =
            (words.next(), words.next(), words.next(), words.next())
        else {
            return Err("systemd's list of units cannot be read".into());
        };
        if !name.contains('.') {
            return Err("systemd's list of units cannot be read".into());
        }
        if state == "inactive" {
            continue;
        }
        if all.len() >= MANY {
            return Err("there are too many units".into());
        }
        all.push(Unit {
            name: word(name),
            state: word(state),
            sub: word(sub),
            enabled: if at_boot.contains(name) {
                "enabled".into()
            } else {
                String::new()
            },
        });
    }
    if all.is_empty() {
        // A system that is up has a journal and a message bus at least.
        return Err("systemd named no unit".into());
    }
    Ok(all)
}

fn read_listeners(text: &str) -> Result<Vec<Listener>, String> {
    let mut all = Vec::new();
    for line in text.lines().filter(|l| !l.trim().is_empty()) {
        let read = match line.strip_prefix("/proc/net/") {
            Some(rest) => of_table(rest),
            None => of_ss(line).map(Some),
        };
        match read {
            Some(listener) => all.extend(listener),
            None => return Err("the table of sockets cannot be read".into()),
        }
        if all.len() > MANY {
            return Err("there are too many sockets".into());
        }
    }
    all.sort();
    all.dedup();
    Ok(all)
}

/// `tcp LISTEN 0 128 0.0.0.0:22 0.0.0.0:* users:(("sshd",pid=52,fd=3))`. The address may bear an
/// interface, or be `*` for both families.
fn of_ss(line: &str) -> Option<Listener> {
    let mut words = line.split_whitespace();
    let protocol = words.next().filter(|p| matches!(*p, "tcp" | "udp"))?;
    let (address, port) = words.nth(3)?.rsplit_once(':')?;
    let bare = address.split('%').next()?;
    let bare = bare
        .strip_prefix('[')
        .map_or(bare, |a| a.trim_end_matches(']'));
    let address: IpAddr = match bare {
        "*" => Ipv6Addr::UNSPECIFIED.into(),
        text => text.parse().ok()?,
    };
    let program = line
        .split_once("users:((\"")
        .and_then(|(_, rest)| rest.split('"').next())
        .unwrap_or_default();
    Some(Listener {
        protocol: protocol.into(),
        address: address.to_string(),
        port: port.parse().ok()?,
        program: word(program),
    })
}

/// `TABLE: N: ADDRESS:PORT ADDRESS:PORT STATE `, of the kernel. Inside: `None` for a socket that
/// does not wait for anyone.
fn of_table(line: &str) -> Option<Option<Listener>> {
    let (table, rest) = line.split_once(':')?;
    let (protocol, waits) = match table {
        "tcp" | "tcp6" => ("tcp", "0A"),
        "udp" | "udp6" => ("udp", "07"),
        _ => return None,
    };
    let words: Vec<&str> = rest.split_whitespace().collect();
    let &[_, local, _, state] = words.as_slice() else {
        return None;
    };
    let (address, port) = local.split_once(':')?;
    let address = address_of(address)?;
    let port = u16::from_str_radix(port, 16).ok()?;
    Some((state == waits).then(|| Listener {
        protocol: protocol.into(),
        address: address.to_string(),
        port,
        program: String::new(),
    }))
}

/// 32-bit words in the machine's own order: all that we manage is little-endian.
fn address_of(hex: &str) -> Option<IpAddr> {
    let word = |at: usize| {
        let text = hex.get(at..at + 8)?;
        u32::from_str_radix(text, 16).ok().map(u32::to_le_bytes)
    };
    match hex.len() {
        8 => Some(Ipv4Addr::from(word(0)?).into()),
        32 => {
            let mut octets = [0; 16];
            for (i, part) in octets.chunks_exact_mut(4).enumerate() {
                part.copy_from_slice(&word(i * 8)?);
            }
            Some(Ipv6Addr::from(octets).into())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::probe::section::testing::frame;

    // Of a lab host (Debian 12), with a unit that was made to fail.
    const UNITS: &str = "cron.service                         loaded    active   running   Regular background program processing daemon
x.service                            loaded    failed   failed    x
auditd.service                       not-found inactive dead      auditd.service
dbus.socket                          loaded    active   running   D-Bus System Message Bus Socket
logrotate.timer                      loaded    active   waiting   Daily rotation of log files";
    const SS: &str = "tcp LISTEN 0      128    0.0.0.0:22 0.0.0.0:* users:((\"sshd\",pid=52,fd=3))
tcp LISTEN 0      128       [::]:22    [::]:* users:((\"sshd\",pid=52,fd=4))
udp UNCONN 0 0 127.0.0.53%lo:53 0.0.0.0:*
tcp LISTEN 0 511 *:80 *:* users:((\"a b\u{1b}\",pid=9,fd=1),(\"c\",pid=10,fd=1))";

    fn seen(units: (i32, &str), listeners: &str) -> PatchSnapshot {
        let mut out = PatchSnapshot::default();
        let frames = [
            frame("running", 0, "degraded"),
            frame("units", units.0, units.1),
            frame("enabled", 0, "cron.service\nother.service\n"),
            frame("listeners", 0, listeners),
        ];
        read(&frames, &mut out);
        out
    }

    #[test]
    fn units_and_listeners_are_read() {
        let out = seen((0, UNITS), SS);
        assert_eq!(out.unseen.len(), 0, "{:?}", out.unseen);
        assert_eq!(out.health.system, "degraded");
        let units: Vec<_> = out
            .health
            .units
            .iter()
            .map(|u| (u.name.as_str(), u.state.as_str(), u.enabled.as_str()))
            .collect();
        assert_eq!(
            units,
            [
                ("cron.service", "active", "enabled"),
                ("x.service", "failed", ""),
                ("dbus.socket", "active", ""),
                ("logrotate.timer", "active", ""),
            ]
        );
        let ports: Vec<_> = out
            .health
            .listeners
            .iter()
            .map(|l| (l.address.as_str(), l.port, l.program.as_str()))
            .collect();
        assert_eq!(
            ports,
            [
                ("0.0.0.0", 22, "sshd"),
                ("::", 22, "sshd"),
                ("::", 80, "a b·"),
                ("127.0.0.53", 53, ""),
            ]
        );
    }

    #[test]
    fn the_kernels_tables_are_read_too() {
        let said = "/proc/net/tcp:   0: 0100007F:0016 00000000:0000 0A \n/proc/net/tcp:   1: 0100007F:0017 00000000:0000 07 \n/proc/net/udp6:  12: 00000000000000000000000001000000:0044 00000000000000000000000000000000:0000 07 ";
        let all = read_listeners(said).unwrap();
        assert_eq!(all.len(), 2);
        assert_eq!((all[0].address.as_str(), all[0].port), ("127.0.0.1", 22));
        assert_eq!((all[1].protocol.as_str(), all[1].port), ("udp", 68));
        assert!(read_listeners("/proc/net/tcp: x").is_err());
    }

    #[test]
    fn what_cannot_be_read_is_unseen() {
        for bad in [
            seen((0, ""), SS),
            seen((1, "Failed to connect to bus"), SS),
            seen((0, "noise"), SS),
            seen((0, UNITS), "raw x"),
        ] {
            assert!(bad.unseen.contains_key("health"), "{bad:?}");
        }
        let mut silent = PatchSnapshot::default();
        read(&[], &mut silent);
        assert!(silent.unseen.contains_key("health"));
        // systemd says that it runs and then names no units.
        let mut half = PatchSnapshot::default();
        read(
            &[frame("running", 0, "running"), frame("listeners", 0, "")],
            &mut half,
        );
        assert!(half.unseen.contains_key("health"));
        // No systemd at all.
        let mut none = PatchSnapshot::default();
        read(
            &[frame("running", 0, ""), frame("listeners", 0, SS)],
            &mut none,
        );
        assert!(none.unseen.is_empty() && none.health.units.is_empty());
    }
}

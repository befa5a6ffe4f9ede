//! What listened, and what listens. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use super::{EPHEMERAL, Findings};
use crate::document::patch::HealthDocument;
use crate::model::patch::{Health, Listener};

/// Ports that DHCP clients open only while they ask for a lease.
const PASSING: [(&str, u16); 2] = [("udp", 68), ("udp", 546)];

/// From how far something can be reached.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Reach {
    Here,
    SomeAddresses,
    AllAddresses,
}

impl Reach {
    fn words(self) -> &'static str {
        match self {
            Reach::Here => "on this host alone",
            Reach::SomeAddresses => "on some addresses",
            Reach::AllAddresses => "on all addresses",
        }
    }
}

/// All that listens on one port of one protocol.
#[derive(Default)]
struct Port<'h> {
    reach: Option<Reach>,
    addresses: BTreeSet<&'h str>,
    programs: BTreeSet<&'h str>,
}

type Ports<'h> = BTreeMap<(&'h str, u16), Port<'h>>;

/// Compares both.
pub fn compare(before: &Health, after: &Health, wanted: &HealthDocument, found: &mut Findings) {
    if !before.listeners.is_empty() && after.listeners.is_empty() {
        found.unseen.push("listening ports".into());
        return;
    }
    let ignored: BTreeSet<&str> = wanted.ignore_ports.iter().map(String::as_str).collect();
    let is_ignored = |(protocol, port): (&str, u16)| {
        PASSING.contains(&(protocol, port))
            || ignored.contains(format!("{protocol}/{port}").as_str())
    };
    let (were, are) = (ports(before), ports(after));
    // Without root, or without `ss`, no listener bears its program's name.
    let programs_seen = before.listeners.iter().any(|l| !l.program.is_empty());
    for (&key, was) in were.iter().filter(|(key, _)| !is_ignored(**key)) {
        let name = told(key, was);
        match are.get(&key) {
            Some(is) => widths(&name, was, is, found),
            None if is_by_chance(key, was, programs_seen) => {
                found
                    .notes
                    .push(format!("{name} is gone; its number was drawn by chance"));
            }
            None if key.0 == "tcp" && key.1 >= EPHEMERAL && !was.programs.is_empty() => {}
            None => found
                .broken
                .push(format!("nothing listens on {name} any more")),
        }
    }
    chance_tcp(&were, &are, &is_ignored, found);
    for (&key, is) in &are {
        let drawn = key.1 >= EPHEMERAL;
        if !were.contains_key(&key) && !is_ignored(key) && !drawn {
            found.notes.push(format!("{} is new", told(key, is)));
        }
    }
}

/// Whether nobody can expect a UDP port of this number again.
fn is_by_chance(key: (&str, u16), was: &Port<'_>, programs_seen: bool) -> bool {
    key.0 == "udp" && key.1 >= EPHEMERAL && (!programs_seen || !was.programs.is_empty())
}

/// High TCP ports of programs, by their count.
fn chance_tcp(
    were: &Ports<'_>,
    are: &Ports<'_>,
    is_ignored: &impl Fn((&str, u16)) -> bool,
    found: &mut Findings,
) {
    let (had, has) = (high_tcp(were, is_ignored), high_tcp(are, is_ignored));
    for (program, had) in had {
        let has = has.get(program).copied().unwrap_or(0);
        if has < had {
            found.broken.push(format!(
                "{program} listened on {had} TCP ports from {EPHEMERAL} on, and now on {has}"
            ));
        }
    }
}

fn high_tcp<'h>(
    ports: &Ports<'h>,
    is_ignored: &impl Fn((&str, u16)) -> bool,
) -> BTreeMap<&'h str, usize> {
    let mut out = BTreeMap::new();
    for (key, port) in ports {
        if key.0 == "tcp" && key.1 >= EPHEMERAL && !is_ignored(*key) {
            for program in &port.programs {
                *out.entry(*program).or_insert(0) += 1;
            }
        }
    }
    out
}

/// What listens on as few or as many addresses as it did.
fn widths(name: &str, was: &Port<'_>, is: &Port<'_>, found: &mut Findings) {
    let (Some(before), Some(after)) = (was.reach, is.reach) else {
        return;
    };
    if after < before {
        found.broken.push(format!(
            "{name} listened {}, and now {}",
            before.words(),
            after.words()
        ));
    } else if after > before {
        found.notes.push(format!(
            "{name} listened {}, and now {}",
            before.words(),
            after.words()
        ));
    } else if before == Reach::SomeAddresses && !was.addresses.is_subset(&is.addresses) {
        found
            .notes
            .push(format!("{name} listens on other addresses now"));
    }
}

fn ports(health: &Health) -> Ports<'_> {
    let mut out = Ports::new();
    for listener in &health.listeners {
        let port = out
            .entry((listener.protocol.as_str(), listener.port))
            .or_default();
        port.reach = port.reach.max(Some(reach(listener)));
        port.addresses.insert(&listener.address);
        if !listener.program.is_empty() {
            port.programs.insert(&listener.program);
        }
    }
    out
}

fn reach(listener: &Listener) -> Reach {
    let bare = listener.address.trim_matches(['[', ']']);
    let bare = bare
        .split('%')
        .next()
        .unwrap_or(bare)
        .trim_matches(['[', ']']);
    match bare.parse::<IpAddr>() {
        Ok(address) => {
            let address = match address {
                IpAddr::V6(v6) => v6.to_ipv4_mapped().map_or(IpAddr::V6(v6), IpAddr::V4),
                v4 => v4,
            };
            match address {
                a if a.is_unspecified() => Reach::AllAddresses,
                a if a.is_loopback() => Reach::Here,
                _ => Reach::SomeAddresses,
            }
        }
        Err(_) if matches!(bare, "*" | "") => Reach::AllAddresses,
        Err(_) => Reach::SomeAddresses,
    }
}

fn told(key: (&str, u16), port: &Port<'_>) -> String {
    let programs: Vec<&str> = port.programs.iter().copied().take(3).collect();
    match programs.is_empty() {
        true => format!("{}/{}", key.0, key.1),
        false => format!("{}/{} ({})", key.0, key.1, programs.join(", ")),
    }
}

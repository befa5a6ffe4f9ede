//! `listener`: which sockets may wait for others.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Judgement, Resource, Unfixable};
use crate::document::Words;
use crate::host::intent::Intent;
use crate::host::probe::Queries;
use crate::host::snapshot::{Listener as Socket, Seen, Snapshot};

/// Sockets that wait for others: nothing listens on these ports, or only on the loopback
/// interface.
///
/// It is observed in the kernel's tables of TCP and UDP sockets. It is never changed: which
/// program listens, and why, is for a person to say.
///
/// Traps: inside a container the tables are the container's own. A UDP socket that a program uses
/// to ask others looks as if it waited.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Listener {
    /// Ports: `25`, `tcp/25`, or `*` for all.
    pub ports: Words,
    /// `none`: nothing may listen there. `loopback`: only at loopback addresses.
    #[serde(default)]
    pub only: Only,
    /// What is all right all the same, e.g. `tcp/22`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allow: Option<Words>,
}

/// Where a socket may listen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Only {
    /// At loopback addresses.
    #[default]
    Loopback,
    /// Nowhere.
    None,
}

/// A port that a document names: its protocol, if it says one, and its number, if it is not `*`.
fn parse(text: &str) -> Option<(Option<&str>, Option<u16>)> {
    let (protocol, port) = match text.split_once('/') {
        Some((protocol @ ("tcp" | "udp"), port)) => (Some(protocol), port),
        Some(_) => return None,
        None => (None, text),
    };
    match port {
        "*" => Some((protocol, None)),
        port => Some((protocol, Some(port.parse().ok()?))),
    }
}

fn is_named(words: &[String], socket: &Socket) -> bool {
    words
        .iter()
        .filter_map(|w| parse(w))
        .any(|(protocol, port)| {
            protocol.is_none_or(|p| p == socket.protocol) && port.is_none_or(|p| p == socket.port)
        })
}

fn is_loopback(socket: &Socket) -> bool {
    match socket.address {
        std::net::IpAddr::V4(v4) => v4.is_loopback(),
        std::net::IpAddr::V6(v6) => {
            v6.is_loopback() || v6.to_ipv4_mapped().is_some_and(|v4| v4.is_loopback())
        }
    }
}

impl Resource for Listener {
    fn target(&self) -> String {
        format!("ports {}", self.ports.joined(", "))
    }

    fn problems(&self) -> Vec<(&'static str, String)> {
        let allow = self.allow.iter().flat_map(|w| &w.0).map(|w| ("allow", w));
        let ports = self.ports.0.iter().map(|w| ("ports", w));
        let mut out: Vec<_> = ports
            .chain(allow)
            .filter(|(_, word)| parse(word).is_none())
            .map(|(field, word)| {
                (
                    field,
                    format!("`{word}` is not a port such as 25 or tcp/25"),
                )
            })
            .collect();
        if self.ports.0.is_empty() {
            out.push(("ports", "no port is named".into()));
        }
        out
    }

    fn ask(&self, queries: &mut Queries) {
        queries.listeners = true;
    }

    fn judge(&self, snapshot: &Snapshot) -> Judgement {
        let place = match self.only {
            Only::Loopback => "nothing listens beyond loopback",
            Only::None => "nothing listens",
        };
        let expected = match &self.allow {
            Some(allow) => format!("{place}, but for {}", allow.joined(", ")),
            None => place.to_owned(),
        };
        let sockets = match &snapshot.listeners {
            Seen::Yes(sockets) => sockets,
            Seen::No(why) => return Judgement::unknown(expected, why.clone()),
            Seen::Absent => return Judgement::unknown(expected, "sockets were not seen"),
        };
        let allowed = self
            .allow
            .as_ref()
            .map(|w| w.0.as_slice())
            .unwrap_or_default();
        let found: Vec<String> = sockets
            .iter()
            .filter(|s| is_named(&self.ports.0, s) && !is_named(allowed, s))
            .filter(|s| self.only == Only::None || !is_loopback(s))
            .map(|s| match s.address {
                std::net::IpAddr::V4(a) => format!("{}/{} at {a}", s.protocol, s.port),
                std::net::IpAddr::V6(a) => format!("{}/{} at [{a}]", s.protocol, s.port),
            })
            .collect();
        if found.is_empty() {
            Judgement::pass_if(true, expected, "none")
        } else {
            Judgement::pass_if(false, expected, found.join(", "))
        }
    }

    fn fix(&self, _: &Snapshot) -> Result<Vec<Intent>, Unfixable> {
        Err(Unfixable::new(
            "which program listens there, and whether it should, is for a person to say",
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::*;

    fn rule(yaml: &str) -> Listener {
        serde_yaml::from_str(yaml).unwrap()
    }

    fn host(sockets: &[(&str, &str, u16)]) -> Snapshot {
        let all = sockets.iter().map(|(protocol, address, port)| Socket {
            protocol: (*protocol).into(),
            address: address.parse().unwrap(),
            port: *port,
        });
        Snapshot {
            listeners: Seen::Yes(all.collect()),
            ..Snapshot::default()
        }
    }

    #[test]
    fn ports_places_and_exceptions_count() {
        let mail = rule("{ports: [25, tcp/465], only: loopback}");
        let verdict = |r: &Listener, s: &Snapshot| r.judge(s).verdict;
        assert_eq!(
            verdict(&mail, &host(&[("tcp", "127.0.0.1", 25)])),
            Verdict::Pass
        );
        assert_eq!(
            verdict(&mail, &host(&[("tcp", "::ffff:127.0.0.1", 25)])),
            Verdict::Pass
        );
        assert_eq!(
            verdict(&mail, &host(&[("tcp", "0.0.0.0", 26)])),
            Verdict::Pass
        );
        assert_eq!(verdict(&mail, &host(&[("tcp", "::", 25)])), Verdict::Fail);
        assert_eq!(verdict(&mail, &host(&[("udp", "::", 465)])), Verdict::Pass);
        assert_eq!(verdict(&mail, &Snapshot::default()), Verdict::Unknown);
        let all = rule("{ports: '*', only: none, allow: [tcp/22]}");
        assert_eq!(verdict(&all, &host(&[("tcp", "::", 22)])), Verdict::Pass);
        let s = host(&[("udp", "::1", 22)]);
        assert_eq!(verdict(&all, &s), Verdict::Fail);
        assert_eq!(all.judge(&s).actual, "udp/22 at [::1]");
        assert!(all.fix(&s).is_err());
    }

    #[test]
    fn mistakes_are_told() {
        assert!(rule("{ports: 25}").problems().is_empty());
        assert_eq!(rule("{ports: sctp/1}").problems()[0].0, "ports");
        assert_eq!(rule("{ports: 25, allow: 70000}").problems()[0].0, "allow");
        assert!(serde_yaml::from_str::<Listener>("{ports: 25, only: lan}").is_err());
    }
}

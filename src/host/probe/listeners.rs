//! Sockets that wait for others. One fork: `ss` asks the kernel for those alone; where there is no
//! `ss`, `grep` takes them out of the kernel's tables, which are read whole.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::{Queries, section};
use crate::host::snapshot::{Listener, Snapshot};
use crate::shell::{Frame, NulInText};

const NAME: &str = "listeners";

/// The body of the function that observes.
pub fn script(q: &Queries) -> Result<Option<String>, NulInText> {
    if !q.listeners {
        return Ok(None);
    }
    // 0A: listening (tcp). 07: not connected (udp).
    Ok(Some(format!(
        r#"if have ss && _said=$(ss -H -l -t -u -n 2>/dev/null); then frame section {NAME} 0 "$_said"; return 0; fi
if [ ! -r /proc/net/tcp ]; then frame section {NAME} 1 '/proc/net/tcp may not be read'; return 0; fi
_said=$(grep -s -H -o -E '^ *[0-9]+: [0-9A-F]+:[0-9A-F]+ [0-9A-F]+:[0-9A-F]+ (0A|07) ' -- /proc/net/tcp /proc/net/tcp6 /proc/net/udp /proc/net/udp6)
if [ $? -gt 1 ] && [ -z "$_said" ] && ! have grep; then frame section {NAME} 1 'there is no grep'; return 0; fi
frame section {NAME} 0 "$_said""#
    )))
}

/// Reads what was said. Lines: `/proc/net/TABLE: N: ADDRESS:PORT ADDRESS:PORT STATE `, or those of
/// `ss`: `tcp LISTEN N N ADDRESS:PORT ADDRESS:PORT`.
pub fn read(frames: &[Frame], q: &Queries, out: &mut Snapshot) {
    if q.listeners {
        out.listeners = section::seen(frames, NAME, |text| {
            let mut all = Vec::new();
            for line in text.lines().filter(|l| !l.is_empty()) {
                match parse(line) {
                    Ok(listener) => all.extend(listener),
                    Err(()) => return Err("the table of sockets cannot be read".into()),
                }
            }
            all.sort_by(|a: &Listener, b| {
                (a.port, &a.protocol, a.address).cmp(&(b.port, &b.protocol, b.address))
            });
            all.dedup();
            Ok(all)
        });
    }
}

fn parse(line: &str) -> Result<Option<Listener>, ()> {
    let Some(rest) = line.strip_prefix("/proc/net/") else {
        return parse_ss(line).map(Some).ok_or(());
    };
    let (table, rest) = rest.split_once(':').ok_or(())?;
    let (protocol, state) = match table {
        "tcp" | "tcp6" => ("tcp", "0A"),
        "udp" | "udp6" => ("udp", "07"),
        _ => return Err(()),
    };
    let words: Vec<&str> = rest.split_whitespace().collect();
    let &[_, local, _, seen] = words.as_slice() else {
        return Err(());
    };
    if seen != state {
        return Ok(None);
    }
    let (address, port) = local.split_once(':').ok_or(())?;
    Ok(Some(Listener {
        protocol: protocol.into(),
        address: parse_address(address).ok_or(())?,
        port: u16::from_str_radix(port, 16).map_err(|_| ())?,
    }))
}

/// `0.0.0.0:22`, `[::]:22`, `*:22` (both families), `127.0.0.53%lo:53`, `[fe80::1]%eth0:546`.
fn parse_ss(line: &str) -> Option<Listener> {
    let mut words = line.split_whitespace();
    let protocol = words.next().filter(|p| matches!(*p, "tcp" | "udp"))?;
    let (address, port) = words.nth(3)?.rsplit_once(':')?;
    let address = address.split('%').next()?;
    let address = address
        .strip_prefix('[')
        .map_or(address, |a| a.trim_end_matches(']'));
    Some(Listener {
        protocol: protocol.into(),
        address: match address {
            "*" => Ipv6Addr::UNSPECIFIED.into(),
            text => text.parse().ok()?,
        },
        port: port.parse().ok()?,
    })
}

/// The kernel writes addresses as 32-bit words in the machine's own order. All that we manage is
/// little-endian.
fn parse_address(hex: &str) -> Option<IpAddr> {
    let word = |at: usize| {
        let text = hex.get(at..at + 8)?;
        u32::from_str_radix(text, 16).ok().map(u32::to_le_bytes)
    };
    match hex.len() {
        8 => Some(IpAddr::V4(Ipv4Addr::from(word(0)?))),
        32 => {
            let mut octets = [0u8; 16];
            for (i, part) in octets.chunks_exact_mut(4).enumerate() {
                part.copy_from_slice(&word(i * 8)?);
            }
            Some(IpAddr::V6(Ipv6Addr::from(octets)))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::section::testing;
    use super::*;
    use crate::host::snapshot::Seen;
    use proptest::prelude::*;

    fn asked() -> Queries {
        Queries {
            listeners: true,
            ..Queries::default()
        }
    }

    #[test]
    fn lines_of_ss_are_read_too() {
        for (line, protocol, address, port) in [
            (
                "tcp   LISTEN 0      128          0.0.0.0:22        0.0.0.0:*",
                "tcp",
                "0.0.0.0",
                22,
            ),
            ("tcp LISTEN 0 128 [::]:22 [::]:*", "tcp", "::", 22),
            ("tcp LISTEN 0 511 *:80 *:*", "tcp", "::", 80),
            (
                "udp UNCONN 0 0 127.0.0.53%lo:53 0.0.0.0:*",
                "udp",
                "127.0.0.53",
                53,
            ),
            (
                "udp UNCONN 0 0 [fe80::1]%eth0:546 [::]:*",
                "udp",
                "fe80::1",
                546,
            ),
        ] {
            let l = parse(line).unwrap().unwrap();
            let address: IpAddr = address.parse().unwrap();
            assert_eq!(
                (l.protocol.as_str(), l.address, l.port),
                (protocol, address, port)
            );
        }
        for bad in [
            "tcp LISTEN 0 128 nowhere:x y",
            "raw UNCONN 0 0 0.0.0.0:1 *:*",
            "tcp",
            "x",
        ] {
            assert_eq!(parse(bad), Err(()), "{bad}");
        }
    }

    #[test]
    fn addresses_are_read_as_the_kernel_writes_them() {
        assert_eq!(parse_address("0100007F"), Some(Ipv4Addr::LOCALHOST.into()));
        assert_eq!(
            parse_address("00000000000000000000000001000000"),
            Some(Ipv6Addr::LOCALHOST.into())
        );
        assert_eq!(parse_address("0100007"), None);
        let l = parse(
            "/proc/net/udp6:  12: 00000000000000000000000000000000:0044 00000000000000000000000000000000:0000 07 ",
        );
        assert_eq!(l.unwrap().unwrap().port, 68);
        assert_eq!(
            parse("/proc/net/tcp:  1: 0100007F:0016 0100007F:0000 07 "),
            Ok(None)
        );
    }

    #[test]
    fn a_real_socket_is_seen_under_every_shell() {
        let tcp = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let udp = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let want = [
            ("tcp", tcp.local_addr().unwrap()),
            ("udp", udp.local_addr().unwrap()),
        ];
        let body = script(&asked()).unwrap().unwrap();
        for shell in testing::SHELLS {
            let mut out = Snapshot::default();
            read(&testing::frames(shell, &body), &asked(), &mut out);
            let seen = out.listeners.yes().unwrap();
            for (protocol, at) in want {
                assert!(
                    seen.iter().any(|l| l.protocol == protocol
                        && l.port == at.port()
                        && l.address == at.ip()),
                    "{shell:?} {protocol} {at} {seen:?}"
                );
            }
        }
        let mut out = Snapshot::default();
        read(&[], &asked(), &mut out);
        assert!(matches!(out.listeners, Seen::No(_)));
        read(&[testing::frame(NAME, 0, "noise")], &asked(), &mut out);
        assert!(matches!(out.listeners, Seen::No(_)));
    }

    proptest! {
        #[test]
        fn no_answer_makes_it_panic(data in "(/proc/net/tcp6?|:| |[0-9A-F]{4}|\n|.){0,40}") {
            let mut out = Snapshot::default();
            read(&[testing::frame(NAME, 0, &data)], &asked(), &mut out);
        }
    }
}

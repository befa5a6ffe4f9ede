//! A lab's subnet: a bridge on this machine and a cable (veth) to each host. Nothing is forwarded:
//! the hosts reach the machine and each other, and nothing else.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use super::command::ip;
use super::error::{Doing, LabError};
use super::state::{HostState, Network, State};

/// Hosts are numbered from here, so that a host's number is easy to tell in its address.
pub(super) const FIRST: usize = 10;
pub(super) const MOST_HOSTS: usize = 240;

/// A /24 that neither this machine's routes nor another lab uses, and a bridge name that is free.
pub(super) fn claim(labs: &[State]) -> Result<Network, LabError> {
    let routes = fs::read_to_string("/proc/net/route").doing("reading", "/proc/net/route")?;
    let routes = parse_routes(&routes);
    for second in 213..=219 {
        for third in 0..=255 {
            let prefix = [10, second, third];
            let bridge = format!("swl{second}-{third}");
            let taken = labs.iter().any(|l| l.network.prefix == prefix)
                || routes.iter().any(|r| r.overlaps(prefix))
                || link_exists(&bridge);
            if !taken {
                return Ok(Network { bridge, prefix });
            }
        }
    }
    Err(LabError::NoSubnet)
}

pub(super) fn link_exists(name: &str) -> bool {
    Path::new("/sys/class/net").join(name).exists()
}

pub(super) fn has_ipv6() -> bool {
    Path::new("/proc/sys/net/ipv6/conf/all").exists()
        && fs::read_to_string("/proc/sys/net/ipv6/conf/all/disable_ipv6")
            .is_ok_and(|v| v.trim() == "0")
}

/// The bridge and the machine's own address on it.
pub(super) fn raise(network: &Network) -> Result<(), LabError> {
    let Network { bridge, .. } = network;
    let mut batch = format!(
        "link add name {bridge} type bridge\naddress add {}/24 dev {bridge}\n",
        network.address(1)
    );
    if has_ipv6() {
        let _ = writeln!(
            batch,
            "address add {}/64 dev {bridge} nodad",
            network.address6(1)
        );
    }
    let _ = writeln!(batch, "link set {bridge} up");
    ip("raising the lab's bridge", &batch)
}

/// A cable from the bridge to each host's network namespace, which its process is in.
pub(super) fn connect(network: &Network, hosts: &[(&HostState, u32)]) -> Result<(), LabError> {
    let mut batch = String::new();
    for (HostState { link, .. }, process) in hosts {
        let _ = writeln!(
            batch,
            "link add name {link} type veth peer name eth0 netns {process}"
        );
        let _ = writeln!(batch, "link set {link} master {} up", network.bridge);
    }
    ip("connecting the hosts", &batch)
}

/// What a host does at its own end of the cable.
pub(super) fn inside(host: &HostState) -> String {
    let mut batch = format!(
        "link set lo up\naddress add {}/24 broadcast + dev eth0\n",
        host.address
    );
    if has_ipv6() {
        let _ = writeln!(batch, "address add {}/64 dev eth0 nodad", host.address6);
    }
    batch.push_str("link set eth0 up");
    batch
}

/// Removes the links that are still there. A cable goes by itself when its host's namespace goes,
/// a moment after the host's last process.
pub(super) fn lower(state: &State) -> Result<(), LabError> {
    let links = state.hosts.iter().map(|h| h.link.as_str());
    for name in links.chain([state.network.bridge.as_str()]) {
        if !link_exists(name) {
            continue;
        }
        let removed = ip("removing a link", &format!("link delete {name}"));
        // It may have gone between the look and the act.
        if link_exists(name) {
            removed?;
        }
    }
    Ok(())
}

#[derive(Debug, PartialEq, Eq)]
struct Route {
    destination: u32,
    mask: u32,
}

impl Route {
    fn overlaps(&self, [a, b, c]: [u8; 3]) -> bool {
        let subnet = u32::from_be_bytes([a, b, c, 0]);
        let mask = self.mask & 0xffff_ff00;
        // The default route is everybody's way out, not a use of the subnet.
        self.mask != 0 && self.destination & mask == subnet & mask
    }
}

/// The kernel writes the bytes of an address in the machine's own order, in hexadecimal.
fn parse_routes(text: &str) -> Vec<Route> {
    let number = |word: Option<&&str>| {
        let value = u32::from_str_radix(word?, 16).ok()?;
        Some(u32::from_be_bytes(value.to_ne_bytes()))
    };
    text.lines()
        .skip(1)
        .filter_map(|line| {
            let words: Vec<&str> = line.split_whitespace().collect();
            Some(Route {
                destination: number(words.get(1))?,
                mask: number(words.get(7))?,
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_endian = "little")]
    fn routes_that_lie_over_a_subnet_keep_it_from_being_taken() {
        let head = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\n";
        let text = format!(
            "{head}eth0\t00000000\t0100000A\t0003\t0\t0\t0\t00000000\t0\n\
             eth1\t0000D50A\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\n\
             tun0\t0000D60A\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\n"
        );
        let routes = parse_routes(&text);
        assert_eq!(routes.len(), 3);
        let taken = |prefix| routes.iter().any(|r| r.overlaps(prefix));
        assert!(taken([10, 213, 0]));
        assert!(!taken([10, 213, 1]));
        assert!(taken([10, 214, 77]), "a /16 covers all its /24s");
        assert!(!taken([10, 215, 0]));
    }

    #[test]
    fn names_of_links_fit_into_the_kernels_fifteen_characters() {
        assert!("swl219-255h249".len() <= 15);
    }
}

//! What others need to reach a lab's hosts: the inventory and the known_hosts file.

use std::fmt::Write;
use std::path::Path;

use super::state::{HostState, State};

/// The inventory in Seawall's own format.
pub(super) fn text(state: &State, identity: &Path, known_hosts: &Path) -> String {
    let names: Vec<&str> = state.hosts.iter().map(|h| h.name.as_str()).collect();
    let mut text = format!(
        "inventory: {name}\ndefaults:\n  user: admin\n  identity: {}\n  known_hosts: {}\n  \
         sudo: true\ngroups:\n  {name}:\n    hosts: [{}]\nhosts:\n",
        identity.display(),
        known_hosts.display(),
        names.join(", "),
        name = state.name,
    );
    for host in &state.hosts {
        let _ = writeln!(text, "  {}:\n    address: {}", host.name, host.address);
    }
    text
}

/// A host's lines: by name and by each of its addresses.
pub(super) fn known_hosts(host: &HostState, public: &[String]) -> String {
    let HostState {
        name,
        address,
        address6,
        ..
    } = host;
    let names = format!("{name},{address},{address6}");
    public
        .iter()
        .map(|key| format!("{names} {key}\n"))
        .collect()
}

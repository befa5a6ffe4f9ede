//! Inventories: the hosts, however they were written down.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use super::baseline::Value;
pub use own::InventoryDocument;
pub use read::{load, parse_inventory};
pub use select::{Globs, means, select};

mod ansible;
mod draft;
mod ini;
mod list;
mod own;
mod read;
mod select;
mod words;

/// What every reader of inventories makes, and all that the rest of the program knows.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Inventory {
    /// In the document's order.
    pub hosts: Vec<Host>,
}

impl Inventory {
    /// The names of all hosts and groups, each once, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let groups = self.hosts.iter().flat_map(|host| host.groups.iter());
        let hosts = self.hosts.iter().map(|host| &host.name);
        let all: BTreeSet<&str> = groups.chain(hosts).map(String::as_str).collect();
        all.into_iter()
    }
}

/// One managed host, with what its groups and the defaults say already merged in.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Host {
    pub name: String,
    /// All groups it is in, parents included.
    pub groups: BTreeSet<String>,
    /// Where it is, if not at `name`.
    pub address: Option<String>,
    pub port: Option<u16>,
    pub user: Option<String>,
    pub identities: Vec<PathBuf>,
    pub known_hosts: Vec<PathBuf>,
    /// `[user@]host[:port]`, nearest to us first.
    pub jump: Vec<String>,
    pub sudo: Sudo,
    /// On this machine, without SSH.
    pub local: bool,
    /// Old algorithms are allowed.
    pub legacy: bool,
    pub variables: BTreeMap<String, Value>,
    /// How sensitive what it holds is, e.g. `public`, `internal`, `confidential`, `restricted`.
    pub data: Option<String>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sudo {
    #[default]
    No,
    Yes,
    /// sudo asks for a password.
    Password,
}

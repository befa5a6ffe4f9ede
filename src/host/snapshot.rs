//! What was observed of one host at one time. Serializes to JSON, so that an old snapshot can be
//! judged against a new baseline.
//!
//! Everything in it comes from the host and is untrusted.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

/// One thing that was asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Seen<T> {
    /// It was seen.
    Yes(T),
    /// It was looked for, and does not exist.
    Absent,
    /// It could not be seen; why. Never a pass.
    No(String),
}

impl<T> Seen<T> {
    pub fn yes(&self) -> Option<&T> {
        match self {
            Seen::Yes(value) => Some(value),
            _ => None,
        }
    }

    pub fn as_ref(&self) -> Seen<&T> {
        match self {
            Seen::Yes(value) => Seen::Yes(value),
            Seen::Absent => Seen::Absent,
            Seen::No(why) => Seen::No(why.clone()),
        }
    }
}

impl<T> Default for Seen<T> {
    fn default() -> Self {
        Seen::No("was not asked for".into())
    }
}

/// The whole of it. Maps are keyed by what was asked for ([`crate::host::probe::Queries`]).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Snapshot {
    /// The format of this document; 1.
    pub format: u32,
    /// The host's name in the inventory.
    pub host: String,
    /// When the program was sent, RFC 3339, controller's clock.
    pub taken: String,
    pub facts: Facts,
    /// Running values, by key; white space between words is one space.
    #[serde(default)]
    pub sysctls: BTreeMap<String, Seen<String>>,
    /// By the path that was asked for.
    #[serde(default)]
    pub files: BTreeMap<String, Seen<FileState>>,
    /// Which paths a glob found (each of them is in `files` too), sorted.
    #[serde(default)]
    pub globs: BTreeMap<String, Seen<Vec<String>>>,
    /// By package name. `Absent`: not installed.
    #[serde(default)]
    pub packages: BTreeMap<String, Seen<PackageState>>,
    /// By unit name, e.g. `cron.service`. `Absent`: no such unit.
    #[serde(default)]
    pub units: BTreeMap<String, Seen<UnitState>>,
    #[serde(default)]
    pub modules: Seen<Modules>,
    /// The mount table, in the kernel's order: of two on one path the last counts.
    #[serde(default)]
    pub mounts: Seen<Vec<Mount>>,
    /// `sshd -T`: keys in lower case, each with its values (a key may come several times).
    #[serde(default)]
    pub sshd: Seen<BTreeMap<String, Vec<String>>>,
    #[serde(default)]
    pub accounts: Seen<Accounts>,
    #[serde(default)]
    pub walk: Seen<Walk>,
    #[serde(default)]
    pub listeners: Seen<Vec<Listener>>,
    /// Outcomes of a resource's own checks, by id.
    #[serde(default)]
    pub commands: BTreeMap<String, Seen<CommandOutcome>>,
}

/// What kind of host it is: what conditions and exceptions look at.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Facts {
    /// `ID` of os-release, e.g. `debian`.
    pub os_id: String,
    /// `VERSION_ID` of os-release, e.g. `12`.
    pub os_version: String,
    pub kernel: String,
    pub machine: String,
    pub hostname: String,
    /// `/proc/sys/kernel/random/boot_id`: another one means that the host has rebooted.
    pub boot_id: String,
    /// The numeric user that the program ran as.
    pub uid: u32,
    /// systemd is PID 1.
    pub systemd: bool,
    /// What kind of container the host is itself, e.g. `systemd-nspawn`, `docker`; empty: none.
    pub container: String,
    /// Facts by name that conditions name (see [`FACTS`]), each with how it was found.
    pub found: BTreeMap<String, String>,
    /// A run of ours on this host that is neither kept nor undone.
    pub pending_run: Option<String>,
}

/// The facts that a baseline's conditions may name, and what each means.
pub const FACTS: &[(&str, &str)] = &[
    (
        "container-engine",
        "docker, containerd or podman is on the host",
    ),
    ("snap", "snapd is on the host"),
    ("azure", "the host runs on Azure"),
    ("container", "the host is itself a container"),
    ("lab", "the host is a throwaway lab host of ours"),
    ("systemd", "systemd is PID 1"),
    ("dpkg", "packages are managed by dpkg"),
    (
        "router",
        "the host forwards packets for others (more than one network, a routing daemon or WireGuard)",
    ),
    ("gdm", "the GNOME display manager is installed"),
    ("ipv6", "the kernel has IPv6"),
];

/// One file, directory or other thing in the file system, not followed through a link.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileState {
    pub kind: FileKind,
    /// Permission bits with set-id and sticky, e.g. `0o644`. Stored as a number.
    pub mode: u32,
    pub uid: u32,
    pub gid: u32,
    /// Names, or the number where there is none.
    pub owner: String,
    pub group: String,
    pub size: u64,
    /// Where a symbolic link points.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link: Option<String>,
    /// The text, where it was asked for. `No`: too large, not text, not a file.
    #[serde(default)]
    pub content: Seen<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FileKind {
    File,
    Directory,
    Link,
    Other,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PackageState {
    pub version: String,
    /// dpkg's word: `installed`, `config-files`, `half-configured`…
    pub status: String,
    pub hold: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UnitState {
    /// `loaded`, `not-found`, `masked`…
    pub load: String,
    /// `active`, `inactive`, `failed`…
    pub active: String,
    /// `enabled`, `disabled`, `static`, `masked`… ; empty where systemd says nothing.
    pub file: String,
}

/// Kernel modules: what is loaded, built in, there, and what modprobe is told.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Modules {
    /// Names with `_` for `-`.
    pub loaded: BTreeSet<String>,
    pub builtin: BTreeSet<String>,
    /// Those asked for that the running kernel has as files.
    pub available: BTreeSet<String>,
    /// `install NAME COMMAND` lines of modprobe's configuration in force.
    pub install: BTreeMap<String, String>,
    pub blacklisted: BTreeSet<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mount {
    pub path: String,
    pub source: String,
    pub fstype: String,
    /// Per-mount and super-block options together.
    pub options: BTreeSet<String>,
}

/// passwd, group and what may be known of shadow. Password hashes never leave the host.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Accounts {
    pub users: Vec<User>,
    pub groups: Vec<Group>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct User {
    pub name: String,
    /// Whether passwd's own password field is `x`.
    pub shadowed: bool,
    pub uid: u32,
    pub gid: u32,
    pub home: String,
    pub shell: String,
    /// `None`: not in shadow.
    pub shadow: Option<Shadow>,
    /// Of the home directory, if it exists (asked for interactive accounts).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub home_state: Option<FileState>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shadow {
    pub password: PasswordKind,
    /// Days since 1970-01-01 of the last change.
    pub changed: Option<i64>,
    pub min: Option<i64>,
    pub max: Option<i64>,
    pub warn: Option<i64>,
    pub inactive: Option<i64>,
    pub expires: Option<i64>,
}

/// What stands in shadow's password field, without the hash.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PasswordKind {
    /// Nothing: anyone may log in.
    Empty,
    /// `*` or `!` alone: no password can match.
    None,
    /// A hash with `!` before it.
    Locked,
    /// A hash; its scheme, e.g. `y` or `6`.
    Set(String),
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Group {
    pub name: String,
    pub gid: u32,
    pub members: Vec<String>,
}

/// What one walk over the local file systems found. Lists are cut at 200 entries.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Walk {
    /// World-writable files, and directories that are so without the sticky bit.
    pub world_writable: Vec<String>,
    pub unowned: Vec<String>,
    /// Set-uid and set-gid programs.
    pub set_id: Vec<String>,
    /// Files under /var/log that others may read or write (not the exempt ones).
    pub loose_logs: Vec<String>,
    /// A list was cut.
    pub cut: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Listener {
    /// `tcp` or `udp` (and their IPv6 kin, by the address).
    pub protocol: String,
    pub address: std::net::IpAddr,
    pub port: u16,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CommandOutcome {
    pub status: i32,
    /// At most 8 KiB.
    pub output: String,
}

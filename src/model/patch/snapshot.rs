//! What was seen of one host for the sake of patching. All of it comes from the host, and is
//! bounded and cleaned by who reads it.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The whole of it. A section that could not be seen stands in `unseen`, and what it would have
/// held is empty: unknown is never a pass.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PatchSnapshot {
    /// The format of this document; 1.
    pub format: u32,
    pub host: String,
    /// RFC 3339, the controller's clock, when the program was sent.
    pub taken: String,
    pub os: OsRelease,
    /// As `dpkg --print-architecture` or `uname -m` says it.
    pub arch: String,
    pub kernel: Kernel,
    pub boot_id: String,
    /// Seconds since boot.
    pub uptime: u64,
    pub manager: Manager,
    pub refreshed: Refreshed,
    /// All that is installed.
    pub installed: Vec<Installed>,
    /// What a full upgrade would do, in the manager's order.
    pub offers: Vec<Offer>,
    pub holds: Vec<Hold>,
    /// Packages that are neither installed nor gone.
    pub broken: Vec<Broken>,
    /// Who holds the package manager's lock now.
    #[serde(default)]
    pub lock: Option<LockHolder>,
    /// Why a reboot is due now, in words; empty: none is.
    pub reboot_due: Vec<String>,
    /// Processes that use files which were replaced.
    pub stale: Vec<StaleProcess>,
    /// `needrestart`, or `maps` (files that are mapped and deleted).
    pub stale_by: String,
    pub space: Vec<Space>,
    pub health: Health,
    pub containers: Vec<ContainerSeen>,
    /// Section → why it was not seen. Sections: `os`, `refresh`, `installed`, `offers`, `holds`,
    /// `broken`, `lock`, `reboot`, `stale`, `space`, `health`, `docker`, `podman`.
    pub unseen: BTreeMap<String, String>,
}

/// From os-release.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct OsRelease {
    /// e.g. `debian`.
    pub id: String,
    /// e.g. `12`.
    pub version: String,
    /// e.g. `bookworm`.
    pub codename: String,
    /// e.g. `Debian GNU/Linux 12 (bookworm)`.
    pub pretty: String,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Kernel {
    /// `uname -r`.
    pub running: String,
    /// The newest that is installed; `None`: the host has no kernel of its own (a container).
    #[serde(default)]
    pub newest: Option<String>,
}

/// The package manager.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Manager {
    Apt,
    Dnf,
    /// None that we know.
    #[default]
    None,
}

/// Whether the lists of packages are fresh.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", tag = "was")]
pub enum Refreshed {
    #[default]
    NotAsked,
    Done,
    /// Some archive did not answer: what it offers is not known.
    Failed {
        why: String,
    },
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Installed {
    pub name: String,
    pub arch: String,
    pub version: String,
    /// The source package and its version (Debian), or empty.
    #[serde(default)]
    pub source: String,
    #[serde(default)]
    pub source_version: String,
    /// Brought in by a dependency alone.
    #[serde(default)]
    pub automatic: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum OfferKind {
    #[default]
    Upgrade,
    /// Not installed yet; an upgrade needs it.
    New,
    Remove,
    /// The manager itself holds it back for now, for the reason in `deferred`.
    Deferred,
}

/// One thing that a full upgrade would do.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Offer {
    pub name: String,
    pub arch: String,
    pub kind: OfferKind,
    /// Empty for a new one.
    pub from: String,
    /// Empty for a removed one.
    pub to: String,
    /// e.g. `Debian-Security:12/stable-security`, the repository's id with dnf.
    pub origin: String,
    /// Whether it comes from a security archive or advisory; `None`: not known.
    #[serde(default)]
    pub security: Option<bool>,
    /// Whether it comes from the distribution itself rather than a third party; `None`: not known.
    #[serde(default)]
    pub official: Option<bool>,
    /// Bytes to fetch; 0: they are on the host already. `None`: not known.
    #[serde(default)]
    pub download: Option<u64>,
    /// Bytes that the disk holds more afterwards. `None`: not known.
    #[serde(default)]
    pub grows: Option<i64>,
    /// Why the manager defers it: `phased`, `pinned`, `kept back: needs …`, `held`.
    #[serde(default)]
    pub deferred: String,
    /// Which of the old version's files the host could go back with: `cache`, `archive`; empty: none.
    #[serde(default)]
    pub former: String,
    /// Installed packages that this one takes away. Empty: none, or it could not be told which one
    /// does; then an offered removal counts against all of them.
    #[serde(default)]
    pub removes: Vec<String>,
    /// Offered new packages that this one names as what it depends on. Empty: none, or not known.
    #[serde(default)]
    pub needs: Vec<String>,
    /// What its changelog (of a downloaded package) or the manager's advisories say that it closes.
    /// `None`: neither was there.
    #[serde(default)]
    pub closes: Option<Vec<String>>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Hold {
    pub name: String,
    /// `hold`, `pin`, `versionlock`.
    pub by: String,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Broken {
    pub name: String,
    /// dpkg's word: `half-configured`, `unpacked`, `half-installed`, `triggers-pending`…
    pub state: String,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LockHolder {
    pub pid: u32,
    /// Its program and arguments, cut.
    pub program: String,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StaleProcess {
    pub pid: u32,
    pub program: String,
    /// The systemd unit that it belongs to; empty: none (a log-in, a container).
    pub unit: String,
    /// Some of the replaced files.
    pub files: Vec<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Space {
    /// What it is wanted for: `packages` (the cache of downloads), `root`, `boot`.
    pub what: String,
    /// Where that lies.
    pub mount: String,
    pub free: u64,
}

/// How a host does.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Health {
    /// `systemctl is-system-running`; empty: no systemd.
    pub system: String,
    /// Services, sockets and timers that are loaded and are active or have failed.
    pub units: Vec<Unit>,
    pub listeners: Vec<Listener>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Unit {
    pub name: String,
    /// `active`, `failed`, `activating`…
    pub state: String,
    /// `running`, `exited`, `dead`…
    pub sub: String,
    /// Whether it is started at boot: `enabled`, `static`… Empty: not known.
    #[serde(default)]
    pub enabled: String,
}

#[derive(
    Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
pub struct Listener {
    /// `tcp` or `udp`.
    pub protocol: String,
    pub address: String,
    pub port: u16,
    /// Whose it is, where that could be seen.
    #[serde(default)]
    pub program: String,
}

#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Engine {
    #[default]
    Docker,
    Podman,
}

impl Engine {
    pub fn word(self) -> &'static str {
        match self {
            Engine::Docker => "docker",
            Engine::Podman => "podman",
        }
    }
}

/// One running container.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ContainerSeen {
    pub engine: Engine,
    pub id: String,
    pub name: String,
    /// The reference that it was made with, e.g. `registry.example/app:1.2`.
    pub image: String,
    /// The image's id here.
    pub image_id: String,
    /// The digest that this image had in its registry when it was pulled; `None`: built here.
    #[serde(default)]
    pub digest: Option<String>,
    /// When the image was made, RFC 3339; empty: not known.
    pub created: String,
    /// The digest that the tag has in the registry now; `None`: not known, `registry_why` says why.
    #[serde(default)]
    pub registry_digest: Option<String>,
    #[serde(default)]
    pub registry_why: String,
    /// `running`, `exited`, `restarting`…
    pub state: String,
    /// `healthy`, `unhealthy`, `starting`; empty: it has no HEALTHCHECK.
    pub health: String,
    /// compose's labels, where it made it.
    #[serde(default)]
    pub project: String,
    #[serde(default)]
    pub service: String,
    #[serde(default)]
    pub config_files: String,
    #[serde(default)]
    pub working_dir: String,
    /// The engine's own words of it (`inspect`), for recreating it; secrets in its environment are
    /// **not** in here, but read again on the host.
    #[serde(default)]
    pub inspect: serde_json::Value,
}

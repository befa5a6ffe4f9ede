//! Patch playbooks: what is brought up to date on which hosts, how fast, when, how its health is
//! seen, and what the policy asks of the fleet.

use std::collections::BTreeMap;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::playbook::{Span, WaveSize};
use super::policy::Notify;
use crate::model::Severity;

/// A patch playbook.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Patch {
    /// Its name, e.g. `weekly-patch`. Runs of one name are one history.
    pub patch: String,
    /// A few words for a person.
    pub title: String,
    #[serde(default)]
    pub about: Option<String>,
    /// Host names, group names, globs (`web-*`), `all`; `!name` takes away.
    pub hosts: Vec<String>,
    /// Which packages of the operating system.
    #[serde(default)]
    pub packages: Packages,
    /// Which containers, and how. Without it, images are looked at and reported, and not moved.
    #[serde(default)]
    pub containers: Option<Containers>,
    /// Hosts, groups or globs that go first: they are the first waves' hosts.
    #[serde(default)]
    pub canaries: Vec<String>,
    /// Sizes of the waves, in order; the last one is repeated. With canaries, they are a wave of
    /// their own before these. Default: one wave with everyone.
    #[serde(default)]
    pub waves: Vec<WaveSize>,
    /// How long a wave's hosts must stay healthy before the next wave starts; then their gates are
    /// asked again. Default: 0s.
    #[serde(default = "no_time")]
    pub soak: Span,
    /// How many hosts may fail over the whole run before no further host is begun. Default: 0.
    #[serde(default)]
    pub failure_budget: WaveSize,
    /// Hosts that must not be down together.
    #[serde(default)]
    pub apart: Vec<Apart>,
    /// When hosts may be changed. Empty: at any time. Downloads do not wait for it.
    #[serde(default)]
    pub windows: Vec<Window>,
    /// What windows are told in, e.g. `Europe/Berlin`. Default: UTC.
    #[serde(default)]
    pub time_zone: Option<String>,
    /// Each host begins at a random moment within this time of its wave's start. Default: 0s.
    #[serde(default = "no_time")]
    pub jitter: Span,
    /// How long another process that holds the package manager's lock is waited for. Default: 10m.
    #[serde(default = "ten_minutes")]
    pub lock_wait: Span,
    /// How long one package job on a host may take. Default: 1h.
    #[serde(default = "one_hour")]
    pub limit: Span,
    /// What is run before a host is changed, e.g. to take a snapshot of its disk. If it fails, the
    /// host is left as it is.
    #[serde(default)]
    pub snapshot: Option<Hook>,
    #[serde(default)]
    pub health: HealthDocument,
    /// Default: `due`.
    #[serde(default)]
    pub reboot: Reboot,
    /// How long a host may take to come back from a reboot. Default: 10m.
    #[serde(default = "ten_minutes")]
    pub reboot_wait: Span,
    /// Whether services that still use replaced libraries are restarted. Default: `stale`.
    #[serde(default)]
    pub restart: Restart,
    /// Units that are never restarted by us, as globs; each is reported where it is stale.
    #[serde(default)]
    pub never_restart: Vec<String>,
    /// Exports of Debian's security tracker (JSON), or OSV records (a `.json` file or a directory of
    /// them), relative to this file: what an upgrade closes, and what is open.
    #[serde(default)]
    pub advisories: Vec<String>,
    #[serde(default)]
    pub policy: PatchPolicy,
    /// Who is told how it ended.
    #[serde(default)]
    pub notify: Vec<Notify>,
}

fn no_time() -> Span {
    Span(Duration::ZERO)
}

fn ten_minutes() -> Span {
    Span(Duration::from_secs(600))
}

fn one_hour() -> Span {
    Span(Duration::from_secs(3600))
}

fn thirty_seconds() -> Span {
    Span(Duration::from_secs(30))
}

fn one_minute() -> Span {
    Span(Duration::from_secs(60))
}

fn two_minutes() -> Span {
    Span(Duration::from_secs(120))
}

fn yes() -> bool {
    true
}

/// Which packages of the operating system.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Packages {
    /// Default: `all`.
    #[serde(default)]
    pub scope: Scope,
    /// Only packages of these names; globs. Empty: all that the scope lets through.
    #[serde(default)]
    pub only: Vec<String>,
    /// Never these; globs.
    #[serde(default)]
    pub exclude: Vec<String>,
    /// Not these for now, each with a reason and a last day.
    #[serde(default)]
    pub freeze: Vec<Freeze>,
    /// Whether an upgrade that takes other packages away is made. Default: no, it is reported.
    #[serde(default)]
    pub removals: bool,
    /// Whether lists of packages are fetched first. Default: yes.
    #[serde(default = "yes")]
    pub refresh: bool,
    /// Whether upgrades that a distribution gives out by and by are taken early. Default: no.
    #[serde(default)]
    pub phased: bool,
    /// Of a configuration file that was changed on the host and comes changed: `keep` the host's
    /// and report the difference, or `replace` it. Default: `keep`.
    #[serde(default)]
    pub conffiles: Conffiles,
    /// A set of packages whose host fails its health gate is put back to its former versions.
    /// Default: yes.
    #[serde(default = "yes")]
    pub way_back: bool,
}

impl Default for Packages {
    fn default() -> Self {
        Packages {
            scope: Scope::All,
            only: Vec::new(),
            exclude: Vec::new(),
            freeze: Vec::new(),
            removals: false,
            refresh: true,
            phased: false,
            conffiles: Conffiles::Keep,
            way_back: true,
        }
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Scope {
    #[default]
    All,
    /// What comes from a security archive, or from an advisory that says so.
    Security,
    /// None: containers only.
    None,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Conffiles {
    #[default]
    Keep,
    Replace,
}

/// Packages that stay as they are for a while.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Freeze {
    /// A name or a glob.
    pub package: String,
    /// Which hosts, as in `hosts`. Default: all of the playbook's.
    #[serde(default = "all_hosts")]
    pub hosts: Vec<String>,
    pub reason: String,
    /// Who answers for it.
    pub owner: String,
    /// The last day on which it holds, `YYYY-MM-DD` (UTC).
    pub expires: String,
}

fn all_hosts() -> Vec<String> {
    vec!["all".into()]
}

/// Containers of docker and podman, and compose's projects.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Containers {
    /// Only containers of these names, as globs; `PROJECT/SERVICE` for compose. Empty: all.
    #[serde(default)]
    pub only: Vec<String>,
    #[serde(default)]
    pub exclude: Vec<String>,
    /// Whether a tag that means nothing (`latest`, or none) is followed. Default: no, it is
    /// reported.
    #[serde(default)]
    pub follow_latest: bool,
    /// How long a recreated container may take to become healthy. Default: 2m.
    #[serde(default = "two_minutes")]
    pub healthy_within: Span,
    /// How long a container without a HEALTHCHECK must keep running to count as healthy. Default:
    /// 30s.
    #[serde(default = "thirty_seconds")]
    pub steady_for: Span,
    /// Container, or `PROJECT/SERVICE` → a command (sh) run on the host that must exit with 0.
    #[serde(default)]
    pub checks: BTreeMap<String, String>,
}

/// At most so many of these hosts are being changed (and may be down) at one time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Apart {
    /// As in the playbook's `hosts`.
    pub hosts: Vec<String>,
    /// At least 1.
    pub at_most: u32,
}

/// When hosts may be changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Window {
    /// Which hosts, as in `hosts`. Default: all. A host that no window names may be changed at any
    /// time.
    #[serde(default = "all_hosts")]
    pub hosts: Vec<String>,
    /// The days on which it opens. Empty: every day.
    #[serde(default)]
    pub days: Vec<Day>,
    /// `HH:MM` in the playbook's time zone.
    pub from: String,
    /// `HH:MM`; one that is not after `from` is of the next day. No host is begun after it.
    pub to: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Day {
    Mon,
    Tue,
    Wed,
    Thu,
    Fri,
    Sat,
    Sun,
}

/// A program that is run before a host is changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Hook {
    /// A command (sh) that is run on the host, as root.
    #[serde(default)]
    pub on_host: Option<String>,
    /// A program and its arguments, run on this machine without a shell; `SEAWALL_HOST` and
    /// `SEAWALL_RUN` are in its environment.
    #[serde(default)]
    pub here: Vec<String>,
    /// Default: 10m.
    #[serde(default = "ten_minutes")]
    pub limit: Span,
}

/// What a host's health is, before a change and after it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HealthDocument {
    /// How long things may take to come up again after a change, before the gate is lost. Default:
    /// 60s.
    #[serde(default = "one_minute")]
    pub within: Span,
    /// Units that were up are up, and none has failed that had not. Default: yes.
    #[serde(default = "yes")]
    pub units: bool,
    /// Ports that listened listen. Default: yes.
    #[serde(default = "yes")]
    pub ports: bool,
    /// Units that may stop or fail without harm; globs.
    #[serde(default)]
    pub ignore_units: Vec<String>,
    /// `tcp/PORT` or `udp/PORT`: ports that may come and go.
    #[serde(default)]
    pub ignore_ports: Vec<String>,
    /// Our own: each must pass before and after.
    #[serde(default)]
    pub checks: Vec<HealthCheck>,
}

impl Default for HealthDocument {
    fn default() -> Self {
        HealthDocument {
            within: one_minute(),
            units: true,
            ports: true,
            ignore_units: Vec::new(),
            ignore_ports: Vec::new(),
            checks: Vec::new(),
        }
    }
}

/// One question: `command` or `http`, one of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HealthCheck {
    pub check: String,
    /// Which hosts, as in `hosts`. Default: all.
    #[serde(default = "all_hosts")]
    pub hosts: Vec<String>,
    /// A command (sh) on the host, as root, over SSH; it must exit with 0.
    #[serde(default)]
    pub command: Option<String>,
    /// A URL that is asked from this machine; `{{ host }}` is the host's address.
    #[serde(default)]
    pub http: Option<String>,
    /// Of `http`: the status that is wanted. Default: 200.
    #[serde(default)]
    pub status: Option<u16>,
    /// What the answer must contain.
    #[serde(default)]
    pub contains: Option<String>,
    /// Default: 30s.
    #[serde(default = "thirty_seconds")]
    pub limit: Span,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Reboot {
    /// Where one is due, after the packages.
    #[default]
    Due,
    /// Never; a host that waits for one is reported.
    Never,
    /// Every host, even where none is due.
    Always,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Restart {
    /// Those that still map files that were replaced.
    #[default]
    Stale,
    Never,
}

/// What the policy asks of the fleet: what `patch status` judges by.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PatchPolicy {
    /// How long ago a host's last good patch run may be. Default: 7d.
    #[serde(default = "seven_days")]
    pub patched_within: Span,
    /// Severity → how long an open vulnerability with a fix may stay open. Default: critical 7d,
    /// high 30d, medium 90d, low 180d.
    #[serde(default = "deadlines")]
    pub close_within: BTreeMap<Severity, Span>,
    /// How long a host may wait for a reboot that is due. Default: 7d.
    #[serde(default = "seven_days")]
    pub reboot_within: Span,
}

impl Default for PatchPolicy {
    fn default() -> Self {
        PatchPolicy {
            patched_within: seven_days(),
            close_within: deadlines(),
            reboot_within: seven_days(),
        }
    }
}

fn days(number: u64) -> Span {
    Span(Duration::from_secs(number * 86_400))
}

fn seven_days() -> Span {
    days(7)
}

fn deadlines() -> BTreeMap<Severity, Span> {
    BTreeMap::from([
        (Severity::Critical, days(7)),
        (Severity::High, days(30)),
        (Severity::Medium, days(90)),
        (Severity::Low, days(180)),
    ])
}

//! What is to be done to one host, decided before anything is.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Engine, Manager};
use crate::model::Severity;

/// What one host is to go through. Kept in the run's folder: a run that is resumed does this and
/// nothing else.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HostPlan {
    pub host: String,
    pub manager: Manager,
    /// In the manager's order.
    pub upgrades: Vec<Upgrade>,
    /// What is offered and not taken, each with its reason.
    pub withheld: Vec<Withheld>,
    /// What needs a restart once the upgrades are made, as far as it can be known before.
    pub restarts: Vec<RestartNote>,
    pub reboot: RebootNeed,
    /// Bytes; `None`: not known.
    #[serde(default)]
    pub download: Option<u64>,
    #[serde(default)]
    pub grows: Option<i64>,
    pub images: Vec<ImagePlan>,
    /// Packages that were left half-installed by someone else and are finished first.
    pub repairs: Vec<String>,
    /// Why this host cannot be begun; empty: it can.
    pub blockers: Vec<Blocker>,
    /// What a person should know before: sources that did not answer, what cannot go back, sections
    /// that were not seen.
    pub notes: Vec<String>,
}

impl HostPlan {
    /// Whether nothing is to be done, by us or (a reboot) by people.
    pub fn is_empty(&self) -> bool {
        !self.has_work(true)
    }

    /// Whether anything is to be done to the host; `reboots`: we may reboot it. A service that uses
    /// replaced files and is not ours to restart is no work.
    pub fn has_work(&self, reboots: bool) -> bool {
        !self.upgrades.is_empty()
            || !self.repairs.is_empty()
            || reboots && matches!(self.reboot, RebootNeed::Now { .. })
            || self.restarts.iter().any(|r| r.now && r.by_us)
            || self
                .images
                .iter()
                .any(|i| matches!(i.work, ImageWork::Update { .. }))
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ChangeKind {
    #[default]
    Upgrade,
    /// It may come, where one of the upgrades needs it: the manager is not asked for it by name.
    New,
    Remove,
}

/// One package that is changed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Upgrade {
    pub name: String,
    pub arch: String,
    pub kind: ChangeKind,
    pub from: String,
    pub to: String,
    pub origin: String,
    #[serde(default)]
    pub security: Option<bool>,
    #[serde(default)]
    pub official: Option<bool>,
    pub closes: Closes,
    #[serde(default)]
    pub download: Option<u64>,
    pub way_back: WayBack,
    /// Marked as brought in by a dependency alone; a way back keeps that mark.
    #[serde(default)]
    pub automatic: bool,
}

/// What a change closes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", tag = "known")]
pub enum Closes {
    /// Nobody here can say.
    #[default]
    Unknown,
    Known {
        /// e.g. `CVE-2026-1234`; sorted. Empty: none.
        ids: Vec<String>,
        /// The worst of them, where a source says how bad they are.
        #[serde(default)]
        worst: Option<Severity>,
        /// `changelog`, `tracker`, `osv`, `updateinfo`.
        by: String,
    },
}

/// How a package could be put back.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", tag = "way")]
pub enum WayBack {
    /// The former version's file is on the host.
    Cache,
    /// The archive still has the former version; it is fetched before the change.
    Archive,
    /// A new package is taken away again; one that was taken away is put back.
    Inverse,
    /// There is none: why.
    None { why: String },
    #[default]
    Unknown,
}

#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum WithheldWhy {
    /// On the host itself: held, pinned, version-locked.
    Held,
    /// The distribution gives it out by and by.
    Phased,
    /// The manager keeps it back.
    KeptBack,
    /// The playbook's freeze.
    Frozen,
    /// The playbook's `exclude`, or not in its `only`.
    Excluded,
    /// The playbook takes security upgrades only, and this is none (or not known to be).
    NotSecurity,
    /// It would take other packages away.
    WouldRemove,
    /// It cannot be had without another one that is withheld.
    Needs,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Withheld {
    pub name: String,
    pub from: String,
    pub to: String,
    pub why: WithheldWhy,
    /// In words; of a freeze: reason, owner and last day.
    pub reason: String,
    #[serde(default)]
    pub security: Option<bool>,
    #[serde(default)]
    pub closes: Closes,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RestartNote {
    /// A unit, or a process that no unit owns.
    pub what: String,
    pub why: String,
    /// Whether it needs one already, before anything is upgraded.
    pub now: bool,
    /// `false`: it is only reported (a log-in, `never_restart`, a unit whose restart cuts us off).
    pub by_us: bool,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", tag = "need")]
pub enum RebootNeed {
    #[default]
    No,
    /// It is due now.
    Now {
        reasons: Vec<String>,
    },
    /// The upgrades will make it due.
    After {
        reasons: Vec<String>,
    },
    Unknown {
        why: String,
    },
}

/// One container's image.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ImagePlan {
    pub engine: Engine,
    /// What a person calls it: the container's name, `PROJECT/SERVICE` of compose.
    pub container: String,
    /// All containers that it is about (several replicas of one service).
    pub ids: Vec<String>,
    /// The reference that it was made with.
    pub image: String,
    #[serde(default)]
    pub digest: Option<String>,
    #[serde(default)]
    pub registry_digest: Option<String>,
    /// When the running image was made, RFC 3339; empty: not known.
    pub created: String,
    pub work: ImageWork,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", tag = "work")]
pub enum ImageWork {
    /// The tag means what runs.
    #[default]
    Current,
    /// Pulled and recreated: `with` is `compose` or `options`.
    Update { with: String },
    /// Reported and not moved: pinned to a digest, `latest`, built here, excluded…
    Report { why: String },
    /// It could not be seen.
    Unknown { why: String },
}

/// Why a host cannot be begun.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Blocker {
    /// `space`, `broken`, `manager`, `unseen`, `removal`, `health`, `lock`.
    pub what: String,
    /// In words, with what to do.
    pub why: String,
}

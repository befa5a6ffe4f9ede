//! How a host stands, and how what was done to it ended.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::model::Severity;

/// How a host stands against the policy, as seen at one time. `patch status` is a fold over these.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Standing {
    pub os: String,
    pub kernel: String,
    /// The kernel that it would run after a reboot, where that is another one.
    #[serde(default)]
    pub kernel_waiting: Option<String>,
    pub support: Support,
    /// How many upgrades are offered and not made (withheld ones too), and how many of them are of
    /// security. `None`: not known.
    #[serde(default)]
    pub behind: Option<u32>,
    #[serde(default)]
    pub behind_security: Option<u32>,
    /// Why a reboot is due; empty: none is. `None`: not known.
    #[serde(default)]
    pub reboot_due: Option<Vec<String>>,
    /// Open vulnerabilities that advisories name. `None`: there were no advisories, or they do not
    /// cover this system.
    #[serde(default)]
    pub open: Option<Vec<OpenCve>>,
    /// Images whose tag means something newer: `container: image`. `None`: not known.
    #[serde(default)]
    pub images_behind: Option<Vec<String>>,
    /// Services that still use replaced files.
    #[serde(default)]
    pub stale: Vec<String>,
    /// What was not seen, each with its reason.
    #[serde(default)]
    pub unknown: Vec<String>,
}

/// Whether the release still gets security updates, from a dated table.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", tag = "is")]
pub enum Support {
    Supported {
        /// The last day, `YYYY-MM-DD`.
        until: String,
    },
    /// Only its long-term support (by others than its security team) is left.
    LongTerm { until: String },
    Ended {
        /// The last day that there were updates.
        since: String,
    },
    /// The table does not know it.
    #[default]
    Unknown,
}

/// A vulnerability that is open on a host.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct OpenCve {
    pub id: String,
    #[serde(default)]
    pub severity: Option<Severity>,
    /// The installed package, and the version that closes it; `None`: there is no fix yet.
    pub package: String,
    pub installed: String,
    #[serde(default)]
    pub fixed_in: Option<String>,
    /// When the advisory was published, `YYYY-MM-DD`, where it says so.
    #[serde(default)]
    pub published: Option<String>,
}

/// The parts of one host's treatment, in this order.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum HostPhase {
    /// Lists are fetched, and the host is looked at.
    Observe,
    /// What was left half-done by others is finished.
    Repair,
    /// New versions, and the former ones that a way back needs.
    Download,
    /// For the window, the jitter, and for its turn among hosts that are kept apart.
    Wait,
    /// The gate before.
    Before,
    Snapshot,
    Upgrade,
    Restart,
    Images,
    Reboot,
    /// The gate after.
    After,
    /// To the former versions.
    Back,
    /// A last look, for how the host stands now.
    Prove,
}

impl HostPhase {
    pub fn word(self) -> &'static str {
        match self {
            HostPhase::Observe => "observe",
            HostPhase::Repair => "repair",
            HostPhase::Download => "download",
            HostPhase::Wait => "wait",
            HostPhase::Before => "gate before",
            HostPhase::Snapshot => "snapshot",
            HostPhase::Upgrade => "upgrade",
            HostPhase::Restart => "restart",
            HostPhase::Images => "images",
            HostPhase::Reboot => "reboot",
            HostPhase::After => "gate after",
            HostPhase::Back => "way back",
            HostPhase::Prove => "prove",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum PhaseOutcome {
    Well,
    Failed,
    /// There was nothing to do in it.
    Nothing,
    /// It is not known how it ended.
    Unknown,
}

/// How a job on a host ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", tag = "ended")]
pub enum JobOutcome {
    Well,
    Failed {
        status: i32,
    },
    /// It ran out of its time and was ended.
    TimedOut,
    /// Its process is gone and it left no result: the host went down, or it was killed.
    Died,
}

/// What became of one host.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum PatchOutcome {
    /// Nothing was to be done.
    Current,
    /// Changed, healthy, and proved.
    Patched,
    /// As it was seen by `plan`: there is something to do.
    Behind,
    /// Patched and healthy, and still waits for something that the playbook leaves to people: a
    /// reboot, a service that is not restarted.
    Waiting,
    /// It failed its gate and was put back to the former versions, and is healthy so.
    WentBack,
    /// Left as it was: it was unhealthy, blocked, or its snapshot failed.
    LeftOut,
    /// It failed, and was not put back wholly: a person must look.
    Failed,
    /// Not seen, or not to the end.
    Unknown,
    /// The budget was used up, the window closed, or the run was stopped before it.
    NotStarted,
}

/// What a health gate said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct GateNote {
    pub passed: bool,
    /// What is not as it was, or not as it ought to be, each in words.
    pub broken: Vec<String>,
    /// What could not be seen: counts as not passed.
    pub unseen: Vec<String>,
    /// What is new or odd and does no harm.
    pub notes: Vec<String>,
}

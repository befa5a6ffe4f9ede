//! The events of a patch run. What is about to be done to a host is on disk before it is done; how
//! far it came, the host itself keeps.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::model::patch::{
    Engine, GateNote, HostPhase, HostPlan, JobOutcome, PatchOutcome, PhaseOutcome, Standing,
};

/// One thing that happened in a patch run. Runs of `plan` and `run` write the same events; a plan
/// ends after `Planned`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "patch_event", rename_all = "kebab-case")]
pub enum PatchEvent {
    /// What `Event::RunStarted` does not say. Right behind it.
    Declared {
        /// The playbook's name: runs of one name are one history.
        patch: String,
        /// Hosts in the order of their waves.
        waves: Vec<Vec<String>>,
        /// The policy that the fleet is judged by, in seconds: `patched_within`, `reboot_within`,
        /// and `critical`, `high`, `medium`, `low` of `close_within`.
        policy: BTreeMap<String, u64>,
        /// How many hosts may fail.
        failure_budget: u32,
        /// Advisory file → its own date (or when it was written), `YYYY-MM-DD`.
        advisories: BTreeMap<String, String>,
    },
    /// Another process goes on with the run.
    Resumed {
        by: String,
    },
    PhaseStarted {
        host: String,
        phase: HostPhase,
    },
    PhaseEnded {
        host: String,
        phase: HostPhase,
        outcome: PhaseOutcome,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        detail: Option<String>,
        millis: u64,
    },
    /// How the host stands: before anything is done, and after all is. The last one counts.
    Stands {
        host: String,
        /// `before` or `after`.
        when: String,
        standing: Standing,
    },
    /// What is to be done to the host; on disk before anything is.
    Planned {
        host: String,
        plan: Box<HostPlan>,
    },
    /// A host waits, and for what.
    Waits {
        host: String,
        why: String,
    },
    /// A job is about to be started on the host (or found there, by a run that was resumed).
    JobStarting {
        host: String,
        job: String,
        /// In words.
        what: String,
    },
    JobEnded {
        host: String,
        job: String,
        outcome: JobOutcome,
        /// The end of what it said; cleaned.
        detail: String,
        /// File in the run's folder with all that it said, and its SHA-256.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        log: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        sha256: Option<String>,
        millis: u64,
    },
    /// A package that is now of another version: seen, not believed.
    Changed {
        host: String,
        package: String,
        /// Empty: it was not installed.
        from: String,
        /// Empty: it is gone.
        to: String,
        /// `true`: in going back.
        back: bool,
    },
    /// A configuration file that was changed on the host and comes changed.
    Conffile {
        host: String,
        path: String,
        /// `kept` or `replaced`.
        what: String,
        /// Where the other one lies, e.g. `/etc/x.conf.dpkg-dist`.
        other: String,
    },
    Restarted {
        host: String,
        unit: String,
        well: bool,
        detail: String,
    },
    /// A container's image: what it ran, and what it runs now.
    Image {
        host: String,
        engine: Engine,
        container: String,
        image: String,
        #[serde(default)]
        from: Option<String>,
        #[serde(default)]
        to: Option<String>,
        /// `updated`, `went-back`, `failed`, `unchanged`.
        outcome: String,
        detail: String,
    },
    /// The host is about to be rebooted; on disk before it is.
    Rebooting {
        host: String,
        boot_id: String,
        reasons: Vec<String>,
    },
    /// It came back under another boot id.
    Rebooted {
        host: String,
        boot_id: String,
        millis: u64,
    },
    Gate {
        host: String,
        /// `before`, `after`, `soaked`, `back`.
        when: String,
        gate: GateNote,
    },
    /// The wave's hosts are watched for so long before the next one starts.
    Soaking {
        wave: usize,
        seconds: u64,
    },
    HostEnded {
        host: String,
        outcome: PatchOutcome,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
        /// What a person has to do, e.g. `apt-get …`; empty: nothing.
        #[serde(default)]
        to_do: Vec<String>,
        millis: u64,
    },
    /// Who was told, without the URL.
    Notified {
        whom: String,
        well: bool,
        detail: String,
    },
}

impl PatchEvent {
    /// The host that it is about.
    pub fn host(&self) -> Option<&str> {
        use PatchEvent::*;
        match self {
            PhaseStarted { host, .. }
            | PhaseEnded { host, .. }
            | Stands { host, .. }
            | Planned { host, .. }
            | Waits { host, .. }
            | JobStarting { host, .. }
            | JobEnded { host, .. }
            | Changed { host, .. }
            | Conffile { host, .. }
            | Restarted { host, .. }
            | Image { host, .. }
            | Rebooting { host, .. }
            | Rebooted { host, .. }
            | Gate { host, .. }
            | HostEnded { host, .. } => Some(host),
            Declared { .. } | Resumed { .. } | Soaking { .. } | Notified { .. } => None,
        }
    }
}

/// Whether the event must be on disk before the next thing is done.
pub(super) fn must_be_on_disk(event: &PatchEvent) -> bool {
    use PatchEvent::*;
    matches!(
        event,
        Declared { .. } | Planned { .. } | JobStarting { .. } | Rebooting { .. } | HostEnded { .. }
    )
}

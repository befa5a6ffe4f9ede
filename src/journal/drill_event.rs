//! The events of a drill. Its ledger is among them: what is about to be made is on disk before it
//! is made.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::model::drill::{DrillPhase, Ended, Milestone, ProofOutcome, Verdict};

/// One thing that happened in a drill. `at_ms`: see [`crate::model::drill`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "drill_event", rename_all = "kebab-case")]
pub enum DrillEvent {
    /// The first event of a drill's run.
    Declared {
        /// The run's id.
        run: String,
        version: String,
        /// The drill's name: runs of one name are one history.
        drill: String,
        title: String,
        /// `local` or `aws`.
        provider: String,
        /// The drill's document, as the path that was given.
        playbook: String,
        /// Path → SHA-256 of each document that was read.
        documents: BTreeMap<String, String>,
        by: String,
        lost: String,
        /// Places, paths, hosts that may not be touched.
        off_limits: Vec<String>,
        scratch: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        rto_target_ms: Option<u64>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        rpo_target_ms: Option<u64>,
        assumed: Vec<AssumedNote>,
        parallel: u32,
        steps: Vec<StepNote>,
    },
    /// Something that was looked at before the clock started.
    Preflight {
        check: String,
        /// `false`: the drill is refused.
        met: bool,
        detail: String,
    },
    /// Something that was in the scratch (or is warm, or shared) beforehand: an assumption.
    Preexisting { text: String },
    /// A proof was tried on the empty scratch. It must not pass there.
    Control {
        step: String,
        proof: String,
        /// `false`: it passed on nothing, so it proves nothing.
        can_fail: bool,
        detail: String,
    },
    /// The disaster is declared: the clock runs.
    ClockStarted {
        /// Of this boot of the machine: CLOCK_BOOTTIME means nothing in another.
        boot_id: String,
        /// CLOCK_BOOTTIME at `at_ms` 0, in milliseconds.
        boottime_ms: u64,
        /// RFC 3339: what RPO is reckoned from.
        disaster: String,
    },
    /// Another process goes on with the drill.
    Resumed {
        at_ms: u64,
        boot_id: String,
        /// `false`: the machine was started anew, and the clock is lost.
        same_boot: bool,
        by: String,
    },
    PhaseStarted {
        step: String,
        /// From 1.
        attempt: u32,
        phase: DrillPhase,
        at_ms: u64,
    },
    PhaseEnded {
        step: String,
        attempt: u32,
        phase: DrillPhase,
        at_ms: u64,
        ended: Ended,
        /// Plaintext bytes that were restored in it.
        #[serde(default)]
        bytes: u64,
        #[serde(default)]
        files: u64,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        detail: Option<String>,
    },
    /// Which backup a step takes, and why that one.
    Picked {
        step: String,
        attempt: u32,
        at_ms: u64,
        point: PointNote,
    },
    /// About to be made. On disk before it is.
    Intended {
        token: String,
        /// `None`: the whole drill's.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        step: Option<String>,
        /// `directory`, `process`, …
        kind: String,
        name: String,
        at_ms: u64,
    },
    /// It was made, and is known by this id (a path; a pid with its birth).
    Made {
        token: String,
        id: String,
        at_ms: u64,
    },
    /// It is gone: seen, not only asked for.
    Gone { token: String, at_ms: u64 },
    /// It could not be made to go.
    NotGone {
        token: String,
        at_ms: u64,
        reason: String,
    },
    Proved {
        step: String,
        attempt: u32,
        proof: String,
        /// `sql`, `http`, …
        kind: String,
        outcome: ProofOutcome,
        expected: String,
        /// What was read: bounded, cleaned.
        read: String,
        /// Where it was read: a path, a socket, a URL within the scratch.
        at: String,
        at_ms: u64,
    },
    StepEnded {
        step: String,
        attempt: u32,
        ended: Ended,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
        at_ms: u64,
    },
    /// What was restored came so far. In a cloud a thing can be there long before it can be used,
    /// and can be used before all of its data has come: `works` is when the step's proofs had
    /// passed, and stands in its end.
    Reached {
        step: String,
        attempt: u32,
        milestone: Milestone,
        /// What said so, in words; of `cold`, how far it had come.
        detail: String,
        at_ms: u64,
    },
    /// Something is not as the document asked for, though the document allows it: another instance
    /// type.
    Substituted {
        step: String,
        wanted: String,
        taken: String,
        why: String,
    },
    /// How many requests were made for whom; at the end.
    Requests { by: BTreeMap<String, u64> },
    /// Something makes what was measured doubtful: the verdict is not `met`.
    Doubted {
        /// `None`: the whole drill.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        step: Option<String>,
        reason: String,
        at_ms: u64,
    },
    /// The guard refused to touch what is lost.
    Refused {
        what: String,
        /// Who asked: a step, a proof.
        by: String,
        at_ms: u64,
    },
    /// A place that was used: a store's directory, an endpoint.
    Used { endpoint: String, by: String },
    /// What the guard enforces here, and what it does not.
    Guard {
        enforced: Vec<String>,
        not_enforced: Vec<String>,
    },
    /// The last proof is in (or nothing more can be): the clock stops.
    ClockStopped { at_ms: u64 },
    /// What is left after the teardown: nothing, if all is well.
    Swept { left: Vec<String> },
    /// The verdict. The last one counts.
    Judged { verdict: Verdict },
    /// Who was told, without the URL.
    Notified {
        whom: String,
        well: bool,
        detail: String,
    },
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AssumedNote {
    pub what: String,
    pub ms: u64,
    pub why: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StepNote {
    pub step: String,
    pub needs: Vec<String>,
    /// `restore` (an archive of ours), `recovery-point` (of AWS Backup) or `start` (nothing that
    /// was backed up).
    pub kind: String,
    /// In words: `db from local, into PostgreSQL app`.
    pub what: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rto_target_ms: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rpo_target_ms: Option<u64>,
    pub deadline_ms: u64,
    pub proofs: Vec<String>,
}

impl StepNote {
    pub const RESTORE: &str = "restore";
    pub const RECOVERY_POINT: &str = "recovery-point";
    pub const START: &str = "start";

    /// Whether something that was backed up is restored, so that the data has an age.
    pub fn restores(&self) -> bool {
        self.kind == Self::RESTORE || self.kind == Self::RECOVERY_POINT
    }

    /// Whether a signature of ours is to vouch for the data's time. AWS Backup signs nothing: the
    /// account's own access control vouches for what it says.
    pub fn wants_signature(&self) -> bool {
        self.kind == Self::RESTORE
    }
}

/// A recovery point.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PointNote {
    pub source: String,
    /// Its name in the store.
    pub name: String,
    pub store: String,
    pub place: String,
    /// RFC 3339: before reading began. What RPO is reckoned from. `None`: nobody says it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data_time: Option<String>,
    /// RFC 3339: when the copy came to the store. Shown, never used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub copy_time: Option<String>,
    /// Of the ciphertext, in bytes.
    pub size: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// Whether a signature that counts vouches for it.
    pub signed: bool,
    /// Who else says of when the data is: a service's own clock. Of a recovery point in a vault,
    /// which nobody signs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vouched: Option<String>,
    /// How it was picked, in words: `latest of 7 before the disaster`.
    pub how: String,
    /// Its share of what the policy's source last held: bytes restored ÷ bytes backed up is the
    /// report's to say; this is what the manifest claims.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub files: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
}

/// Whether the event must be on disk before the next thing is done.
pub(super) fn must_be_on_disk(event: &DrillEvent) -> bool {
    use DrillEvent::*;
    matches!(
        event,
        Declared { .. }
            | ClockStarted { .. }
            | Intended { .. }
            | Made { .. }
            | Gone { .. }
            | NotGone { .. }
            | Judged { .. }
    )
}

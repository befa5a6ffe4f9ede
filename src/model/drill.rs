//! The words of a drill that events, decisions and reports share.
//!
//! All times called `at_ms`, `start_ms`, `end_ms` are milliseconds on the drill's one monotonic
//! clock (CLOCK_BOOTTIME), from the moment it started. No wall clock enters a figure.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A timed part of a step. Phases of one step do not overlap; what lies between is a gap.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum DrillPhase {
    /// For the steps that it needs, and for its turn.
    Wait,
    /// Finding the recovery point.
    Locate,
    /// Making what it goes to: a directory, a server.
    Provision,
    /// Fetching, decrypting, decompressing and writing, overlapped.
    Restore,
    /// Fetching alone, where that is a part of its own.
    Fetch,
    Decrypt,
    /// Into a database, or cloning a bundle.
    Load,
    /// A service, until it is healthy; what a restored thing needs to be used (instances of a
    /// cluster, a mount).
    Start,
    /// Waiting until every block of a volume has been fetched.
    Hydrate,
    /// The proofs.
    Verify,
}

/// How far a restored thing in a cloud has come.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Milestone {
    /// The service says that it is there.
    Available,
    /// All of its data has come.
    Initialised,
    /// When the drill ended, not all of its data had come: what was measured is of a cold thing.
    Cold,
}

/// How a phase, or a whole step, ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Ended {
    Well,
    Failed,
    /// By Ctrl-C, SIGTERM, or the death of the controller.
    Interrupted,
    /// Not begun, since something that it needs has failed.
    Skipped,
}

/// What one proof said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ProofOutcome {
    Pass,
    Fail,
    /// It could not be carried out. Never a pass.
    Unknown,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum VerdictWord {
    Met,
    Missed,
    Inconclusive,
}

/// The verdict on a drill.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Verdict {
    pub word: VerdictWord,
    /// Why it is not `met`; each a sentence. Empty where it is.
    pub reasons: Vec<String>,
    /// For the whole, the assumed time in it.
    pub rto: Measure,
    /// The assumed part of it.
    pub assumed_ms: u64,
    /// The oldest data of all steps.
    pub rpo: Measure,
    pub steps: Vec<StepVerdict>,
    /// Back to back from the clock's start to the last proof; gaps are parts without a phase.
    pub critical_path: Vec<PathPart>,
    pub what_if: Vec<WhatIf>,
}

/// A figure and its target.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Measure {
    /// `None`: no objective was set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target_ms: Option<u64>,
    /// `None`: it could not be measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub measured_ms: Option<u64>,
    /// Of RPO: which step's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct StepVerdict {
    pub step: String,
    pub word: VerdictWord,
    pub reasons: Vec<String>,
    /// From the clock's start to its last proof, without assumed time.
    pub rto: Measure,
    pub rpo: Measure,
}

/// A part of the critical path.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PathPart {
    pub step: String,
    /// `None`: a gap, our own overhead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phase: Option<DrillPhase>,
    pub start_ms: u64,
    pub end_ms: u64,
}

/// If this step took half of its time, the whole (assumed time in it) would take so long.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct WhatIf {
    pub step: String,
    pub rto_ms: u64,
}

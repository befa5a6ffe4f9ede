//! What a kind of target must be able to do for a drill: local directories, or a cloud's region.
//!
//! The engine decides which step runs when, keeps the clock and the ledger, and judges. A provider
//! does one phase of one step when it is told to, and writes each thing that it makes into the
//! ledger before it makes it.

use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;

use jiff::Timestamp;

use super::ledger::{Ledger, LedgerEntry};
use crate::backup::Progress;
use crate::document::drill::{Proof, Step};
use crate::journal::PointNote;
use crate::model::drill::{DrillPhase, Ended, ProofOutcome};

/// A boxed future.
pub type Pending<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// What is the same for all steps of one run.
#[derive(Clone)]
pub struct DrillContext {
    /// The run's id: the tag that everything bears.
    pub run: String,
    /// What RPO is reckoned from.
    pub disaster: Timestamp,
    /// The scratch, absolute.
    pub scratch: PathBuf,
    pub ledger: Ledger,
    /// The run was taken up again: what lies in the scratch may be its own, and what was there
    /// beforehand has been said.
    pub again: bool,
}

/// What one attempt at a step is carried out with.
pub struct StepContext<'a> {
    pub drill: &'a DrillContext,
    pub step: &'a Step,
    /// From 1.
    pub attempt: u32,
    /// Bytes and files so far, and the wish to stop.
    pub progress: Arc<Progress>,
}

/// What a phase has brought about.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PhaseDone {
    pub bytes: u64,
    pub files: u64,
    pub detail: Option<String>,
    /// Of `locate`.
    pub point: Option<PointNote>,
    /// Of any phase: what casts doubt on the drill, e.g. a speed that no disk has. Each makes the
    /// step inconclusive.
    pub doubts: Vec<String>,
}

#[derive(Clone, Debug, thiserror::Error)]
#[error("{reason}")]
pub struct StepError {
    pub reason: String,
    /// The guard refused: what was to be touched.
    pub refused: Option<String>,
}

impl StepError {
    pub fn new(reason: impl Into<String>) -> Self {
        StepError {
            reason: reason.into(),
            refused: None,
        }
    }
}

/// What a proof said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProofSaid {
    pub kind: &'static str,
    pub outcome: ProofOutcome,
    pub expected: String,
    pub read: String,
    pub at: String,
}

/// What was looked at before the clock starts.
#[derive(Clone, Debug, Default)]
pub struct Readiness {
    /// What, whether it is met, and what was seen.
    pub checks: Vec<(String, bool, String)>,
    /// What is there beforehand: each an assumption.
    pub preexisting: Vec<String>,
    pub enforced: Vec<String>,
    pub not_enforced: Vec<String>,
    /// Places that will be used.
    pub endpoints: Vec<String>,
}

/// Something that is left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leftover {
    pub kind: String,
    pub name: String,
}

impl Leftover {
    /// The kind of what could not be asked: it is not nothing, unless nothing was ever intended.
    pub const UNKNOWN: &str = "not known";
}

/// What the guard has seen: each a thing, and who asked for it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Watched {
    /// Endpoints.
    pub used: Vec<(String, String)>,
    pub refused: Vec<(String, String)>,
}

pub trait Provider: Send + Sync {
    /// `local`, `aws`.
    fn name(&self) -> &'static str;

    /// The phases of a step, `wait` and `verify` left out (the engine's own), in order.
    fn phases(&self, step: &Step) -> Vec<DrillPhase>;

    /// Takes possession of the scratch (a lock: a second drill is refused) and looks at what is
    /// there, without making anything but the scratch itself.
    fn prepare<'a>(&'a self, drill: &'a DrillContext) -> Pending<'a, Readiness>;

    /// Tries a proof on nothing: an empty directory, an empty database, no service. Before the
    /// clock; takes away what it needed for that.
    fn control<'a>(
        &'a self,
        drill: &'a DrillContext,
        step: &'a Step,
        proof: &'a Proof,
    ) -> Pending<'a, ProofSaid>;

    /// Carries out one phase.
    fn carry_out<'a>(
        &'a self,
        phase: DrillPhase,
        context: &'a StepContext<'a>,
    ) -> Pending<'a, Result<PhaseDone, StepError>>;

    fn prove<'a>(
        &'a self,
        context: &'a StepContext<'a>,
        proof: &'a Proof,
    ) -> Pending<'a, ProofSaid>;

    /// A step's attempt is over: how, and what its proofs said. It counts in the step's time, so
    /// what takes long is done later.
    fn concluded(&self, _context: &StepContext<'_>, _ended: Ended, _proofs: &[ProofOutcome]) {}

    /// After a resume: takes over what an earlier process made for a step that had recovered. An
    /// error says why it is not there any more; then the step is done again.
    fn adopt<'a>(
        &'a self,
        drill: &'a DrillContext,
        step: &'a Step,
        made: &'a [LedgerEntry],
    ) -> Pending<'a, Result<(), String>>;

    /// All of these are about to be destroyed, in this order. What takes long and can go on side by
    /// side may be begun now; [`Provider::destroy`] is asked for each all the same.
    fn begin_destroying<'a>(
        &'a self,
        _drill: &'a DrillContext,
        _entries: &'a [LedgerEntry],
    ) -> Pending<'a, ()> {
        Box::pin(async {})
    }

    /// Destroys what a ledger entry names, whether or not it was ever made, and looks whether it is
    /// gone. Doing it twice is no error.
    fn destroy<'a>(
        &'a self,
        drill: &'a DrillContext,
        entry: &'a LedgerEntry,
    ) -> Pending<'a, Result<(), String>>;

    /// What bears the run's tag and is still there, whatever the ledger says.
    fn leftovers<'a>(&'a self, drill: &'a DrillContext) -> Pending<'a, Vec<Leftover>>;

    /// Destroys a leftover that no ledger entry names.
    fn clear<'a>(
        &'a self,
        drill: &'a DrillContext,
        leftover: &'a Leftover,
    ) -> Pending<'a, Result<(), String>>;

    /// Gives the scratch up: the lock goes, and the scratch's own directory.
    fn release<'a>(&'a self, drill: &'a DrillContext) -> Pending<'a, Result<(), String>>;

    /// What was used and what was refused since the last call.
    fn watched(&self) -> Watched;

    /// How many requests were made for whom, in all.
    fn requests(&self) -> std::collections::BTreeMap<String, u64> {
        std::collections::BTreeMap::new()
    }
}

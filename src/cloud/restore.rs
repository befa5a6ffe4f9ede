//! The phases of a step that restores something of AWS.

use super::provider::{Inner, Work};
use crate::document::drill::Step;
use crate::drill::ledger::LedgerEntry;
use crate::drill::provider::{DrillContext, PhaseDone, StepError};

/// What must be there before the restore: a DB subnet group; or the fresh instance itself.
pub(super) async fn provision(_work: &Work<'_>) -> Result<PhaseDone, StepError> {
    todo!("the making part")
}

/// Restores, and waits until the thing is available (the first of the three times).
pub(super) async fn restore(_work: &Work<'_>) -> Result<PhaseDone, StepError> {
    todo!("the making part")
}

/// Until it can be used: status checks, a log-in, the cluster's instances, attachment, mount.
pub(super) async fn start(_work: &Work<'_>) -> Result<PhaseDone, StepError> {
    todo!("the making part")
}

/// Until every block of its volumes has come.
pub(super) async fn hydrate(_work: &Work<'_>) -> Result<PhaseDone, StepError> {
    todo!("the making part")
}

/// Takes over what an earlier process of this run made for a step that had recovered.
pub(super) async fn adopt(
    _inner: &Inner,
    _drill: &DrillContext,
    _step: &Step,
    _made: &[LedgerEntry],
) -> Result<(), String> {
    todo!("the making part")
}

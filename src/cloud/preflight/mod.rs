//! What is looked at before the clock starts, and what `drill plan` shows. Nothing is made but the
//! lock on the scratch, a file on the controller.

use super::provider::Inner;
use crate::drill::plan::Plan;
use crate::drill::provider::{DrillContext, Readiness};

pub(super) async fn look(_inner: &Inner, _drill: &DrillContext) -> Readiness {
    todo!("the core part")
}

/// Lines for `drill plan`.
pub(super) async fn would(_inner: &Inner, _plan: &Plan) -> Vec<String> {
    todo!("the core part")
}

/// Gives the lock up, and removes the run's own folder below `state_dir/drills`.
pub(super) fn release(_inner: &Inner, _drill: &DrillContext) -> Result<(), String> {
    todo!("the core part")
}

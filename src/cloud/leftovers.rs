//! What bears the run's tag or name and is still there, asked with Describe and List, with what it
//! costs a day.

use super::provider::Inner;
use crate::drill::provider::{DrillContext, Leftover};

pub(super) async fn list(_inner: &Inner, _drill: &DrillContext) -> Vec<Leftover> {
    todo!("the making part")
}

pub(super) async fn clear(
    _inner: &Inner,
    _drill: &DrillContext,
    _leftover: &Leftover,
) -> Result<(), String> {
    todo!("the making part")
}

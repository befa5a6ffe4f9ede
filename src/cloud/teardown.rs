//! Taking things away, each in its kind's own way, and seeing with Describe that it is gone.

use super::provider::Inner;
use crate::drill::ledger::LedgerEntry;
use crate::drill::provider::DrillContext;

/// Begins what takes long for all of them, side by side and in dependency order.
pub(super) async fn begin(_inner: &Inner, _drill: &DrillContext, _entries: &[LedgerEntry]) {
    todo!("the making part")
}

pub(super) async fn destroy(
    _inner: &Inner,
    _drill: &DrillContext,
    _entry: &LedgerEntry,
) -> Result<(), String> {
    todo!("the making part")
}

//! Taking away what a drill has made: the ledger backwards, then what bears the run's tag and
//! stands in no ledger.

use std::time::Duration;

use super::Run;
use crate::drill::ledger::{self, LedgerEntry};
use crate::drill::provider::{DrillContext, Leftover};
use crate::journal::JournalError;
use crate::shell::clean;

/// Removing millions of files takes minutes. What takes so long will not go.
const LIMIT: Duration = Duration::from_secs(30 * 60);

/// Takes all of it away. Gives what is left, and whether all could be written down: what can be
/// taken away is, also when the journal can no longer be written.
pub(super) async fn all(
    run: &Run,
    context: &DrillContext,
) -> (Vec<String>, Result<(), JournalError>) {
    let mut written = Ok(());
    let mut keep = |result: Result<(), JournalError>| {
        if let Err(error) = result
            && written.is_ok()
        {
            written = Err(error);
        }
    };
    let standing = standing(run, |_| true);
    begin(run, context, &standing).await;
    let mut stubborn = Vec::new();
    for entry in standing {
        match destroy(run, context, &entry).await {
            Ok(()) => keep(run.book.ledger.gone(&entry.token)),
            Err(_) => stubborn.push(entry),
        }
    }
    for leftover in run.provider().leftovers(context).await {
        // Whether it went is asked below.
        let cleared = run.provider().clear(context, &leftover);
        let _ = tokio::time::timeout(LIMIT, cleared).await;
    }
    // What stood in their way may have gone meanwhile.
    let mut left = Vec::new();
    for entry in stubborn {
        match destroy(run, context, &entry).await {
            Ok(()) => keep(run.book.ledger.gone(&entry.token)),
            Err(reason) => {
                keep(run.book.ledger.not_gone(&entry.token, &reason));
                left.push(shown(&entry.kind, &entry.name));
            }
        }
    }
    // An intent is on disk before its call: without any, what could not be asked cannot be there.
    let is_untouched = ledger::read(&run.book.records()).is_empty();
    for leftover in run.provider().leftovers(context).await {
        if is_untouched && leftover.kind == Leftover::UNKNOWN {
            continue;
        }
        let name = shown(&leftover.kind, &leftover.name);
        if !left.contains(&name) {
            left.push(name);
        }
    }
    if let Err(reason) = run.provider().release(context).await {
        left.push(format!("the scratch: {}", clean(&reason, 300)));
    }
    (left, written)
}

/// Takes away what was made for these steps. What does not go stays in the ledger.
pub(super) async fn of_steps(
    run: &Run,
    context: &DrillContext,
    steps: &[String],
) -> Result<(), JournalError> {
    let theirs = |entry: &LedgerEntry| entry.step.as_ref().is_some_and(|s| steps.contains(s));
    let entries = standing(run, theirs);
    begin(run, context, &entries).await;
    for entry in entries {
        match destroy(run, context, &entry).await {
            Ok(()) => run.book.ledger.gone(&entry.token)?,
            Err(reason) => run.book.ledger.not_gone(&entry.token, &reason)?,
        }
    }
    Ok(())
}

/// What the ledger has and was not seen gone, the latest first.
fn standing(run: &Run, which: impl Fn(&LedgerEntry) -> bool) -> Vec<LedgerEntry> {
    let mut entries = ledger::read(&run.book.records());
    entries.retain(|entry| !entry.gone && which(entry));
    entries.reverse();
    entries
}

/// What it does not begin is done one by one.
async fn begin(run: &Run, context: &DrillContext, entries: &[LedgerEntry]) {
    let begun = run.provider().begin_destroying(context, entries);
    let _ = tokio::time::timeout(LIMIT, begun).await;
}

async fn destroy(run: &Run, context: &DrillContext, entry: &LedgerEntry) -> Result<(), String> {
    let asked = run.provider().destroy(context, entry);
    match tokio::time::timeout(LIMIT, asked).await {
        Ok(done) => done.map_err(|reason| clean(&reason, 500)),
        Err(_) => Err(format!(
            "it did not go within {} minutes",
            LIMIT.as_secs() / 60
        )),
    }
}

fn shown(kind: &str, name: &str) -> String {
    format!("{} {}", clean(kind, 40), clean(name, 200))
}

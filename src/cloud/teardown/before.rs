//! What is said of things just before they are taken away: how far the blocks of volumes had come,
//! and, to AWS Backup, whether the proofs bore out what its job restored.

use std::time::Duration;

use aws_sdk_backup::types::RestoreValidationStatus;

use crate::cloud::client::Clients;
use crate::cloud::fault::Fault;
use crate::cloud::names::Kind;
use crate::cloud::poll::{Asked, Schedule, until};
use crate::cloud::provider::Inner;
use crate::cloud::volume::{self, Filled};
use crate::drill::ledger::LedgerEntry;
use crate::drill::provider::DrillContext;
use crate::journal::{DrillEvent, Event};
use crate::model::drill::{Ended, Milestone, ProofOutcome};
use crate::shell::clean;

/// It is worth a few questions, and no more: the teardown waits.
const ASKING: Duration = Duration::from_secs(120);

/// What is told AWS Backup: that it holds where all proofs passed, that it does not where one of
/// them said so; else nothing, since it cannot be taken back. Pure.
pub(in crate::cloud) fn validated(ended: Ended, proofs: &[ProofOutcome]) -> Option<bool> {
    if proofs.contains(&ProofOutcome::Fail) {
        return Some(false);
    }
    let all = proofs.iter().all(|one| *one == ProofOutcome::Pass);
    (ended == Ended::Well && all && !proofs.is_empty()).then_some(true)
}

/// Words for volumes of one step. Pure.
fn milestone(all: &[Filled]) -> (Milestone, String) {
    let shown: Vec<&str> = all.iter().map(|one| one.shown.as_str()).collect();
    let shown = shown.join("; ");
    match all.iter().all(|one| one.done) {
        true => (Milestone::Initialised, format!("EC2 says: {shown}")),
        false => (Milestone::Cold, shown),
    }
}

pub(super) async fn say(
    inner: &Inner,
    clients: &Clients,
    drill: &DrillContext,
    entries: &[LedgerEntry],
) {
    // Whatever of it cannot be written: what is ours is to go all the same.
    for (step, attempt, volumes) in filling(inner, entries) {
        let what = "asking how far the volumes' blocks have come";
        let asked = until(
            clients.pace,
            Schedule::QUICK,
            ASKING,
            what,
            false,
            || async {
                let all = volume::initialisation(clients, &volumes).await?;
                Ok(Asked::Ready(all))
            },
        );
        let (milestone, detail) = match asked.await {
            Ok(all) => milestone(&all),
            Err(fault) => (Milestone::Cold, format!("it is not known: {fault}")),
        };
        let _ = drill.ledger.write(|at_ms| DrillEvent::Reached {
            step: step.clone(),
            attempt,
            milestone,
            detail: clean(&detail, 300),
            at_ms,
        });
        inner.know(&step, |known| known.hydrating.clear());
    }
    for (step, job, holds) in judged(inner, entries) {
        if let Err(fault) = tell(clients, &job, holds).await {
            let text = format!(
                "{}: what the proofs said was not written back to AWS Backup: {fault}",
                clean(&step, 80)
            );
            let _ = drill
                .ledger
                .journal()
                .append(&Event::Note { host: None, text });
        }
        inner.know(&step, |known| known.validated = None);
    }
}

/// Steps whose volumes may not be full yet, and are about to go.
fn filling(inner: &Inner, entries: &[LedgerEntry]) -> Vec<(String, u32, Vec<String>)> {
    let going = |step: &str| entries.iter().any(|e| e.step.as_deref() == Some(step));
    let state = inner.state();
    let steps = state.steps.iter();
    steps
        .filter(|(step, known)| !known.hydrating.is_empty() && going(step))
        .map(|(step, known)| (step.clone(), known.attempt, known.hydrating.clone()))
        .collect()
}

/// Jobs that something can be said of.
fn judged(inner: &Inner, entries: &[LedgerEntry]) -> Vec<(String, String, bool)> {
    let state = inner.state();
    let jobs = entries
        .iter()
        .filter(|entry| entry.kind == Kind::RestoreJob.as_str());
    jobs.filter_map(|entry| {
        let step = entry.step.as_ref()?;
        let known = state.steps.get(step)?;
        let job = known
            .restore_job
            .clone()
            .filter(|_| entry.id == known.restore_job)?;
        Some((step.clone(), job, known.validated?))
    })
    .collect()
}

async fn tell(clients: &Clients, job: &str, holds: bool) -> Result<(), Fault> {
    let what = "writing back what the proofs said";
    let (status, message) = match holds {
        true => (
            RestoreValidationStatus::Successful,
            "All proofs of the recovery drill passed.",
        ),
        false => (
            RestoreValidationStatus::Failed,
            "A proof of the recovery drill failed.",
        ),
    };
    until(
        clients.pace,
        Schedule::QUICK,
        ASKING,
        what,
        false,
        || async {
            let call = clients.backup.put_restore_validation_result();
            let call = call.restore_job_id(job).validation_status(status.clone());
            let call = call.validation_status_message(message).send().await;
            call.map_err(|e| Fault::of(what, e))?;
            Ok(Asked::Ready(()))
        },
    )
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_a_proof_said_is_told() {
        use ProofOutcome::{Fail, Pass, Unknown};
        assert_eq!(validated(Ended::Well, &[Pass, Pass]), Some(true));
        assert_eq!(validated(Ended::Failed, &[Pass, Fail]), Some(false));
        assert_eq!(validated(Ended::Failed, &[Unknown, Fail]), Some(false));
        assert_eq!(validated(Ended::Failed, &[Pass, Unknown]), None);
        assert_eq!(validated(Ended::Interrupted, &[Pass]), None);
        assert_eq!(validated(Ended::Failed, &[]), None);
        assert_eq!(validated(Ended::Well, &[]), None);
    }

    #[test]
    fn one_volume_that_is_not_full_makes_the_step_cold() {
        let one = |done, shown: &str| Filled {
            done,
            share: None,
            shown: shown.into(),
        };
        let (word, shown) = milestone(&[one(true, "a: 100 %"), one(false, "b: 3 %")]);
        assert_eq!(
            (word, shown.as_str()),
            (Milestone::Cold, "a: 100 %; b: 3 %")
        );
        assert_eq!(
            milestone(&[one(true, "a: 100 %")]).0,
            Milestone::Initialised
        );
    }
}

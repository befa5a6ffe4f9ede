//! Before the clock starts: whether the drill can be run, what is there beforehand, and whether
//! each proof can fail.

use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use super::Run;
use super::stop::{Cut, within};
use crate::backup::Progress;
use crate::drill::provider::{DrillContext, Readiness};
use crate::journal::{DrillEvent, Event, JournalError};
use crate::model::drill::ProofOutcome;
use crate::shell::clean;

/// Looking around takes seconds. Who hangs for so long will not come back.
const LIMIT: Duration = Duration::from_secs(15 * 60);

/// Takes the scratch and looks at what is there. `false`: the drill is refused, or was stopped.
pub(super) async fn prepare(
    run: &Run,
    context: &DrillContext,
    disaster: Option<Timestamp>,
) -> Result<bool, JournalError> {
    let unmet = readiness(run, context).await?;
    let mut ready = unmet.is_empty();
    if let Some(disaster) = disaster
        && disaster > run.setup.wall.now()
    {
        ready = false;
        run.book.plain(&Event::Drill(DrillEvent::Preflight {
            check: "the disaster is in the past".to_owned(),
            met: false,
            detail: format!("{disaster} is still to come"),
        }))?;
    }
    Ok(ready && run.setup.stop.why().is_none())
}

/// Asks the provider, and writes what it says; gives what is not met.
pub(super) async fn readiness(
    run: &Run,
    context: &DrillContext,
) -> Result<Vec<String>, JournalError> {
    let until = Instant::now() + LIMIT;
    let progress = Progress::default();
    let asked = within(
        run.provider().prepare(context),
        until,
        &run.setup.stop,
        &progress,
    );
    let readiness = match asked.await {
        Cut::Done(readiness) => readiness,
        Cut::Stopped(_) => return Ok(vec!["it was stopped".to_owned()]),
        Cut::Late => Readiness {
            checks: vec![(
                "the scratch can be prepared".to_owned(),
                false,
                format!("it took more than {} minutes", LIMIT.as_secs() / 60),
            )],
            ..Readiness::default()
        },
    };
    let say = |event| run.book.plain(&Event::Drill(event));
    let mut unmet = Vec::new();
    for (check, met, detail) in readiness.checks {
        let (check, detail) = (clean(&check, 200), clean(&detail, 500));
        if !met {
            unmet.push(format!("{check}: {detail}"));
        }
        say(DrillEvent::Preflight { check, met, detail })?;
    }
    if !readiness.endpoints.is_empty() {
        say(DrillEvent::Preflight {
            check: "places that will be used".to_owned(),
            met: true,
            detail: clean(&readiness.endpoints.join(", "), 1000),
        })?;
    }
    for text in readiness.preexisting {
        say(DrillEvent::Preexisting {
            text: clean(&text, 500),
        })?;
    }
    if !readiness.enforced.is_empty() || !readiness.not_enforced.is_empty() {
        let cleaned = |texts: Vec<String>| texts.iter().map(|t| clean(t, 500)).collect();
        say(DrillEvent::Guard {
            enforced: cleaned(readiness.enforced),
            not_enforced: cleaned(readiness.not_enforced),
        })?;
    }
    Ok(unmet)
}

/// Tries each proof where nothing was restored. `false`: the drill was stopped.
pub(super) async fn controls(run: &Run, context: &DrillContext) -> Result<bool, JournalError> {
    for step in run.setup.plan.steps() {
        for proof in &step.proofs {
            let progress = Progress::default();
            let tried = within(
                run.provider().control(context, step, proof),
                Instant::now() + LIMIT,
                &run.setup.stop,
                &progress,
            );
            let (can_fail, detail) = match tried.await {
                Cut::Stopped(_) => return Ok(false),
                Cut::Late => (
                    true,
                    "it came to no end where nothing was restored".to_owned(),
                ),
                // That it cannot be carried out where nothing is, is as good as a failure.
                Cut::Done(said) => (
                    said.outcome != ProofOutcome::Pass,
                    format!("on nothing, it reads: {}", said.read),
                ),
            };
            run.book.watch(run.provider())?;
            run.book.plain(&Event::Drill(DrillEvent::Control {
                step: step.step.clone(),
                proof: proof.proof.clone(),
                can_fail,
                detail: clean(&detail, 500),
            }))?;
        }
    }
    Ok(run.setup.stop.why().is_none())
}

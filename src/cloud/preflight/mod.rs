//! What is looked at before the clock starts, and what `drill plan` shows. Nothing is made but the
//! lock on the scratch, a file on the controller.
//!
//! - `words`: what the document says by itself, and what the guard claims. `identity`: who we are,
//!   and whose vault it is. `capacity`: zones, types, quotas, images, keys, permissions.
//! - `inventory`: what is there beforehand. `fleet`: what the drill needs; pure. `lock`: one drill
//!   at a time. `would`: the lines of `drill plan`.

use futures_util::StreamExt;
use jiff::Timestamp;

use super::client::Life;
use super::points::{self, Found};
use super::provider::Inner;
use crate::drill::plan::Plan;
use crate::drill::provider::{DrillContext, Pending, Readiness, StepError};
use crate::shell::clean;
use inventory::Looking;
use sight::Sight;

mod capacity;
mod fleet;
mod identity;
mod inventory;
mod lock;
mod sight;
mod words;
mod would;

pub(super) use identity::is_own;
pub use lock::Held;
pub use would::Line;

/// So many questions about recovery points are asked side by side.
const SIDE_BY_SIDE: usize = 8;

pub(super) async fn look(inner: &Inner, drill: &DrillContext) -> Readiness {
    let mut sight = Sight::default();
    let name = "the scratch can be taken";
    match hold(inner, drill) {
        Ok(()) => sight.check(name, true, inner.setup.drill.scratch.shown()),
        Err(why) => {
            sight.check(name, false, why);
            return sight.ready;
        }
    }
    let looking = Looking {
        run: &drill.run,
        strict: inner.setup.drill.scratch.strict,
        again: drill.again,
    };
    survey(inner, looking, drill.disaster, &mut sight).await;
    if drill.again {
        // It was said when the drill began.
        sight.ready.preexisting.clear();
    }
    sight.ready
}

/// Takes the lock, unless we have it.
fn hold(inner: &Inner, drill: &DrillContext) -> Result<(), String> {
    let mut state = inner.state();
    if state.lock.is_none() {
        let (account, region) = (&inner.scratch.account, &inner.scratch.region);
        let held = lock::take(&inner.setup.state_dir, account, region, &drill.run)?;
        state.lock = Some(held);
    }
    Ok(())
}

/// All that can be seen without making anything. Where the credentials are those of another
/// account, nothing more is asked there.
async fn survey(inner: &Inner, looking: Looking<'_>, disaster: Timestamp, sight: &mut Sight) {
    words::look(&inner.setup, &inner.scratch, sight);
    let clients = match inner.clients().await {
        Ok(clients) => clients,
        Err(fault) => return sight.check("there are credentials", false, fault.to_string()),
    };
    let rto = inner.setup.drill.objectives.rto.map(|span| span.0);
    // What `aws configure export-credentials` says beside the keys.
    let told = (inner.setup.variable)("AWS_CREDENTIAL_EXPIRATION");
    let life = match (clients.life, told.and_then(|text| text.parse().ok())) {
        (Life::NotKnown, Some(ends)) => Life::Until(ends),
        (life, _) => life,
    };
    identity::credentials(life, rto, Timestamp::now(), sight);
    if !identity::account(clients, &inner.scratch, sight).await {
        return;
    }
    // Whoever asks again is not in need of an answer.
    let _ = inner.ours.set(());
    identity::vault(clients, &inner.scratch, sight).await;
    find_points(inner, disaster, sight).await;
    let used = inventory::look(clients, looking, sight).await;
    capacity::look(clients, inner, looking.run, &used, sight).await;
}

/// Each step's recovery point. What is taken at random is taken anew when the clock runs.
async fn find_points(inner: &Inner, disaster: Timestamp, sight: &mut Sight) {
    let Ok(clients) = inner.clients().await else {
        return;
    };
    let (setup, vault) = (&inner.setup, &inner.scratch.vault);
    let mut questions: Vec<Pending<'_, (&str, Result<Found, StepError>)>> = Vec::new();
    for step in &setup.drill.steps {
        let Some(aws) = step.aws.as_ref().filter(|aws| aws.resource.is_some()) else {
            continue;
        };
        questions.push(Box::pin(async move {
            let found = points::find(clients, vault, aws, disaster, &|_| 0).await;
            (step.step.as_str(), found)
        }));
    }
    let asked: Vec<_> = futures_util::stream::iter(questions)
        .buffered(SIDE_BY_SIDE)
        .collect()
        .await;
    for (step, found) in asked {
        let name = format!("a recovery point for the step {}", clean(step, 80));
        match found {
            Ok(found) => {
                sight.check(&name, true, would::point(&found));
                sight.found.push((step.to_owned(), found));
            }
            Err(error) => sight.check(&name, false, error.reason),
        }
    }
}

/// Lines for `drill plan`.
pub(super) async fn would(inner: &Inner, plan: &Plan) -> Vec<Line> {
    let disaster = plan
        .disaster()
        .ok()
        .flatten()
        .unwrap_or_else(Timestamp::now);
    let mut sight = Sight::default();
    let looking = Looking {
        // No run has this name: whatever bears a drill's tag is another's.
        run: "plan",
        strict: inner.setup.drill.scratch.strict,
        again: false,
    };
    survey(inner, looking, disaster, &mut sight).await;
    would::lines(&inner.setup.drill, &inner.scratch, disaster, &sight)
}

/// Gives the lock up, and removes the run's own folder below `state_dir/drills`.
///
/// # Errors
/// When that folder cannot be removed.
pub(super) fn release(inner: &Inner, drill: &DrillContext) -> Result<(), String> {
    let held = inner.state().lock.take();
    let removed = lock::remove_folder(&inner.setup.state_dir, &drill.run);
    drop(held);
    removed
}

#[cfg(test)]
mod tests;

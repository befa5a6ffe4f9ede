//! Which step begins when: each as soon as all that it needs has recovered and a slot is free, the
//! plan's order first.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tokio::task::{Id, JoinError, JoinSet};

use super::Run;
use super::attempt::attempt;
use crate::drill::provider::DrillContext;
use crate::drill::timeline::Timeline;
use crate::journal::{DrillEvent, JournalError};
use crate::model::drill::{DrillPhase, Ended};
use crate::shell::clean;

/// Where the steps stand when the engine takes them up. At first: nowhere.
#[derive(Clone, Debug, Default)]
pub(super) struct State {
    /// Those that are over.
    pub(super) ended: BTreeMap<String, Ended>,
    /// The number of a step's next attempt. Default: 1.
    pub(super) next: BTreeMap<String, u32>,
    /// Those whose waiting has begun already.
    pub(super) waiting: BTreeSet<String>,
}

/// Brings every step to its end.
///
/// # Errors
/// When the journal cannot be written. Then nothing works any more when this returns.
pub(super) async fn all(
    run: &Arc<Run>,
    context: &Arc<DrillContext>,
    state: State,
) -> Result<(), JournalError> {
    let mut schedule = Schedule {
        run,
        context,
        begun: state.ended.keys().cloned().collect(),
        state,
        tasks: JoinSet::new(),
        who: BTreeMap::new(),
    };
    let result = schedule.carry_out().await;
    if result.is_err() {
        run.setup.stop.stop("the journal cannot be written");
        // They notice it, and end; what they say now has no place.
        while schedule.tasks.join_next().await.is_some() {}
    }
    result
}

struct Schedule<'r> {
    run: &'r Arc<Run>,
    context: &'r Arc<DrillContext>,
    state: State,
    /// Those that need not be begun any more.
    begun: BTreeSet<String>,
    tasks: JoinSet<(String, Result<Ended, JournalError>)>,
    /// Which step a task carries out.
    who: BTreeMap<Id, String>,
}

impl Schedule<'_> {
    fn number(&self, step: &str) -> u32 {
        self.state.next.get(step).copied().unwrap_or(1)
    }

    async fn carry_out(&mut self) -> Result<(), JournalError> {
        let plan = self.run.setup.plan.clone();
        for step in plan.steps() {
            if !self.begun.contains(&step.step) && !self.state.waiting.contains(&step.step) {
                let attempt = self.number(&step.step);
                self.run.book.write(|at_ms| DrillEvent::PhaseStarted {
                    step: step.step.clone(),
                    attempt,
                    phase: DrillPhase::Wait,
                    at_ms,
                })?;
            }
        }
        loop {
            self.leave_out()?;
            self.begin_ready();
            let Some(done) = self.tasks.join_next_with_id().await else {
                return Ok(());
            };
            match done {
                Ok((_, (step, ended))) => {
                    self.state.ended.insert(step, ended?);
                }
                Err(error) => self.broken(&error)?,
            }
        }
    }

    fn begin_ready(&mut self) {
        let plan = self.run.setup.plan.clone();
        let free = plan.parallel().saturating_sub(self.tasks.len());
        let ready: Vec<_> = plan
            .ready(&self.begun, &self.state.ended)
            .take(free)
            .cloned()
            .collect();
        for step in ready {
            let (run, context) = (self.run.clone(), self.context.clone());
            let (name, number) = (step.step.clone(), self.number(&step.step));
            self.begun.insert(name.clone());
            let task = self.tasks.spawn(async move {
                let ended = attempt(&run, &context, &step, number).await;
                (step.step, ended)
            });
            self.who.insert(task.id(), name);
        }
    }

    /// Ends the steps that will never begin: all where the drill is to stop, and those that need
    /// one that did not recover.
    fn leave_out(&mut self) -> Result<(), JournalError> {
        let plan = self.run.setup.plan.clone();
        let stopped = self.run.setup.stop.why();
        for step in plan.steps() {
            if self.begun.contains(&step.step) {
                continue;
            }
            let lost = step.needs.iter().find_map(|need| {
                let ended = self.state.ended.get(need)?;
                (*ended != Ended::Well).then_some((need, *ended))
            });
            let (ended, reason) = match (lost, &stopped) {
                (Some((need, Ended::Interrupted)), _) => (
                    Ended::Interrupted,
                    format!("it needs {need}, which was interrupted"),
                ),
                (Some((need, _)), _) => (
                    Ended::Skipped,
                    format!("it needs {need}, which did not recover"),
                ),
                (None, Some(why)) => (Ended::Interrupted, why.clone()),
                (None, None) => continue,
            };
            let attempt = self.number(&step.step);
            over(self.run, &step.step, attempt, DrillPhase::Wait, ended)?;
            step_over(self.run, &step.step, attempt, ended, &reason)?;
            self.begun.insert(step.step.clone());
            self.state.ended.insert(step.step.clone(), ended);
        }
        Ok(())
    }

    /// A step's task panicked. That is a fault of ours, and says nothing of the recovery.
    fn broken(&mut self, error: &JoinError) -> Result<(), JournalError> {
        let Some(step) = self.who.get(&error.id()).cloned() else {
            return Ok(());
        };
        let reason = format!(
            "a fault of Seawall's own: {}",
            clean(&error.to_string(), 300)
        );
        let line = Timeline::of(&self.run.book.records());
        for (name, attempt, phase) in line.open_phases() {
            if name == step {
                over(self.run, &step, attempt, phase, Ended::Interrupted)?;
            }
        }
        let open = line
            .step(&step)
            .and_then(|s| s.last())
            .filter(|a| a.ended.is_none());
        if let Some(attempt) = open {
            step_over(self.run, &step, attempt.number, Ended::Interrupted, &reason)?;
        }
        self.state.ended.insert(step, Ended::Interrupted);
        Ok(())
    }
}

/// A phase that brought nothing about is over.
pub(super) fn over(
    run: &Run,
    step: &str,
    attempt: u32,
    phase: DrillPhase,
    ended: Ended,
) -> Result<(), JournalError> {
    run.book.write(|at_ms| DrillEvent::PhaseEnded {
        step: step.to_owned(),
        attempt,
        phase,
        at_ms,
        ended,
        bytes: 0,
        files: 0,
        detail: None,
    })
}

pub(super) fn step_over(
    run: &Run,
    step: &str,
    attempt: u32,
    ended: Ended,
    reason: &str,
) -> Result<(), JournalError> {
    run.book.write(|at_ms| DrillEvent::StepEnded {
        step: step.to_owned(),
        attempt,
        ended,
        reason: Some(clean(reason, 1000)),
        at_ms,
    })
}

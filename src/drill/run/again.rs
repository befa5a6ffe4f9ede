//! Taking up a run whose process died: going on with it, or giving it up.
//!
//! Both read in the journal how far it came. A phase that was going on when the process died ended
//! at a time that nobody knows: it is closed as interrupted at the time at which another process
//! takes it up, so that the dead time counts.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::Timestamp;

use super::steps::{self, State, over, step_over};
use super::{End, Run, RunError, Setup, before, conclude, teardown, unless_it_panics};
use crate::drill::ledger;
use crate::drill::provider::DrillContext;
use crate::drill::timeline::Timeline;
use crate::journal::{DrillEvent, Event, JournalError, Record};
use crate::model::drill::{DrillPhase, Ended};
use crate::shell::clean;

/// Goes on with a run to its end.
///
/// The drill's clock has gone on meanwhile, if the machine was not started anew. Steps that had
/// recovered are taken over where they still stand; what was half done is destroyed and done again
/// as another attempt, and so is all that needs it.
///
/// # Errors
/// [`RunError::NotReady`] when something that must be met is not: the run is as it was, and can be
/// resumed again.
pub async fn resume(setup: Setup) -> Result<End, RunError> {
    let (run, past) = take_up(setup)?;
    let context = again(&run, past.disaster);
    if past.is_clear() {
        return conclude(&run, &context, Ok(())).await;
    }
    let unmet = before::readiness(&run, &context).await?;
    if past.is_going_on() && !unmet.is_empty() {
        return Err(RunError::NotReady(unmet.join("; ")));
    }
    let done = match past.is_going_on() {
        true => {
            let work = go_on(run.clone(), Arc::new(context.clone()));
            unless_it_panics(&run, work).await
        }
        false => Ok(()),
    };
    conclude(&run, &context, done).await
}

/// Gives a run up: destroys all that it made, judges what was measured, and ends it.
pub async fn sweep(setup: Setup) -> Result<End, RunError> {
    let (run, past) = take_up(setup)?;
    let context = again(&run, past.disaster);
    if past.is_clear() {
        return conclude(&run, &context, Ok(())).await;
    }
    // Whatever is not met: what is ours is to go.
    let done = match before::readiness(&run, &context).await {
        Ok(_) if past.is_going_on() => give_up(&run),
        Ok(_) => Ok(()),
        Err(error) => Err(error),
    };
    conclude(&run, &context, done).await
}

/// Takes away what a run that is over and sealed has left. `setup` has that run's id and plan, and
/// the journal of another run; `former` is what stands in the sealed journal. Gives what is left.
///
/// # Errors
/// When the journal cannot be written.
pub async fn clear(setup: Setup, former: Vec<Record>) -> Result<Vec<String>, RunError> {
    let now = setup.wall.now();
    let run = Run::over(setup, former);
    let context = again(&run, now);
    // Whatever is not met: what is of that run is to go.
    let asked = before::readiness(&run, &context).await;
    let (left, written) = teardown::all(&run, &context).await;
    asked?;
    written?;
    run.book
        .plain(&Event::Drill(DrillEvent::Swept { left: left.clone() }))?;
    Ok(left)
}

fn again(run: &Run, disaster: Timestamp) -> DrillContext {
    DrillContext {
        again: true,
        ..run.context(disaster)
    }
}

/// How far it came.
struct Past {
    disaster: Timestamp,
    started: bool,
    stopped: bool,
    swept: bool,
    judged: bool,
}

impl Past {
    /// Nothing of it is there any more; only words are missing.
    fn is_clear(&self) -> bool {
        self.judged || self.swept
    }

    /// Whether there are steps to be carried out. One whose clock was never started has none: to
    /// run it anew is the same, and clearer.
    fn is_going_on(&self) -> bool {
        self.started && !self.stopped
    }
}

fn take_up(setup: Setup) -> Result<(Arc<Run>, Past), RunError> {
    let run = Arc::new(Run::new(setup)?);
    let setup = &run.setup;
    let mut past = Past {
        disaster: setup.plan.disaster()?.unwrap_or_else(|| setup.wall.now()),
        started: false,
        stopped: false,
        swept: false,
        judged: false,
    };
    let mut clock: Option<(String, u64)> = None;
    let mut last_ms = 0;
    for record in &run.book.records() {
        let Event::Drill(event) = &record.event else {
            continue;
        };
        last_ms = last_ms.max(at_ms(event).unwrap_or(0));
        match event {
            DrillEvent::ClockStarted {
                boot_id,
                boottime_ms,
                disaster,
            } => {
                past.started = true;
                clock = Some((boot_id.clone(), *boottime_ms));
                if let Ok(disaster) = disaster.parse() {
                    past.disaster = disaster;
                }
            }
            DrillEvent::ClockStopped { .. } => past.stopped = true,
            DrillEvent::Swept { left } => past.swept = left.is_empty(),
            DrillEvent::Judged { .. } => past.judged = true,
            _ => {}
        }
    }
    let mut same_boot = true;
    if let Some((boot_id, zero)) = clock {
        let at_least = zero.saturating_add(last_ms);
        same_boot = boot_id == setup.boot_id && setup.clock.reading_ms() >= at_least;
        match same_boot {
            true => setup.clock.go_on(zero),
            false => setup.clock.go_on_from(last_ms),
        }
    }
    let (boot_id, by) = (setup.boot_id.clone(), setup.by.clone());
    if !past.judged {
        run.book.write(|at_ms| DrillEvent::Resumed {
            at_ms,
            boot_id,
            same_boot,
            by,
        })?;
    }
    Ok((run, past))
}

/// The drill's time of an event, where it has one.
fn at_ms(event: &DrillEvent) -> Option<u64> {
    match event {
        DrillEvent::Resumed { at_ms, .. }
        | DrillEvent::PhaseStarted { at_ms, .. }
        | DrillEvent::PhaseEnded { at_ms, .. }
        | DrillEvent::Picked { at_ms, .. }
        | DrillEvent::Intended { at_ms, .. }
        | DrillEvent::Made { at_ms, .. }
        | DrillEvent::Gone { at_ms, .. }
        | DrillEvent::NotGone { at_ms, .. }
        | DrillEvent::Proved { at_ms, .. }
        | DrillEvent::StepEnded { at_ms, .. }
        | DrillEvent::Doubted { at_ms, .. }
        | DrillEvent::Refused { at_ms, .. }
        | DrillEvent::ClockStopped { at_ms } => Some(*at_ms),
        _ => None,
    }
}

const DIED: &str = "the process that ran the drill died in it";

async fn go_on(run: Arc<Run>, context: Arc<DrillContext>) -> Result<(), JournalError> {
    let line = close(&run, DIED, false)?;
    let plan = run.setup.plan.clone();
    let mut state = State::default();
    let mut again: BTreeSet<String> = BTreeSet::new();
    for step in plan.steps() {
        let last = line.step(&step.step).and_then(|s| s.last());
        let number = last.map_or(0, |a| a.number);
        match last.and_then(|a| a.ended) {
            Some(Ended::Well) if !step.needs.iter().any(|n| again.contains(n)) => {
                let made: Vec<_> = ledger::read(&run.book.records())
                    .into_iter()
                    .filter(|e| e.step.as_deref() == Some(step.step.as_str()) && !e.gone)
                    .collect();
                match run.provider().adopt(&context, step, &made).await {
                    Ok(()) => {
                        state.ended.insert(step.step.clone(), Ended::Well);
                        continue;
                    }
                    Err(reason) => run.book.plain(&Event::Note {
                        host: None,
                        text: format!(
                            "{} had recovered and is done again: {}",
                            clean(&step.step, 80),
                            clean(&reason, 500)
                        ),
                    })?,
                }
            }
            Some(ended @ (Ended::Failed | Ended::Skipped)) => {
                state.ended.insert(step.step.clone(), ended);
                continue;
            }
            // Its waiting goes on.
            None if last.is_some() => {
                state.next.insert(step.step.clone(), number);
                state.waiting.insert(step.step.clone());
                continue;
            }
            _ => {}
        }
        again.insert(step.step.clone());
        state
            .next
            .insert(step.step.clone(), number.saturating_add(1));
    }
    let gone: Vec<String> = again.into_iter().collect();
    teardown::of_steps(&run, &context, &gone).await?;
    steps::all(&run, &context, state).await?;
    run.book.write(|at_ms| DrillEvent::ClockStopped { at_ms })
}

/// Closes everything. The clock is not stopped: nobody saw the end.
fn give_up(run: &Run) -> Result<(), JournalError> {
    let reason = "the drill was given up after its process had died";
    let line = close(run, reason, true)?;
    for step in run.setup.plan.steps() {
        let known = line.step(&step.step).is_some_and(|s| s.last().is_some());
        if !known {
            step_over(run, &step.step, 1, Ended::Interrupted, reason)?;
        }
    }
    Ok(())
}

/// Closes phases and steps that were open when the process died; with `waiting`, also those that
/// had not begun.
fn close(run: &Run, reason: &str, waiting: bool) -> Result<Timeline, JournalError> {
    let line = Timeline::of(&run.book.records());
    for step in &line.steps {
        let Some(attempt) = step.last().filter(|a| a.ended.is_none()) else {
            continue;
        };
        let open = attempt.phases.iter().find(|p| p.end_ms.is_none());
        if open.is_some_and(|p| p.phase == DrillPhase::Wait) && !waiting {
            continue;
        }
        if let Some(open) = open {
            over(
                run,
                &step.step,
                attempt.number,
                open.phase,
                Ended::Interrupted,
            )?;
        }
        step_over(run, &step.step, attempt.number, Ended::Interrupted, reason)?;
    }
    Ok(Timeline::of(&run.book.records()))
}

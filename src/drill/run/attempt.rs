//! One attempt at one step: its phases, then its proofs.

use std::sync::Arc;

use tokio::time::Instant;

use super::Run;
use super::stop::{Cut, within};
use crate::backup::Progress;
use crate::document::drill::Step;
use crate::drill::provider::{DrillContext, PhaseDone, ProofSaid, StepContext};
use crate::journal::{DrillEvent, JournalError, PointNote};
use crate::model::drill::{DrillPhase, Ended, ProofOutcome};
use crate::shell::clean;

/// Tells whoever works, also when this future is dropped, and lets the live view go.
struct AtWork<'r> {
    run: &'r Run,
    step: &'r str,
    progress: Arc<Progress>,
    done: bool,
}

impl Drop for AtWork<'_> {
    fn drop(&mut self) {
        if !self.done {
            self.progress.stop();
        }
        self.run.setup.live.take_away(self.step);
    }
}

/// How a part ended that did not end well, and why.
type Short = (Ended, String);

/// Carries it out, from the end of its waiting to the step's end.
pub(super) async fn attempt(
    run: &Run,
    drill: &DrillContext,
    step: &Step,
    number: u32,
) -> Result<Ended, JournalError> {
    let mut at_work = AtWork {
        run,
        step: &step.step,
        progress: Arc::default(),
        done: false,
    };
    run.setup.live.put(&step.step, at_work.progress.clone());
    let one = One {
        run,
        context: StepContext {
            drill,
            step,
            attempt: number,
            progress: at_work.progress.clone(),
        },
        until: Instant::now() + step.deadline.0,
    };
    one.ended(DrillPhase::Wait, Ended::Well, PhaseDone::default())?;
    let mut said = Vec::new();
    let short = one.work(&mut said).await?;
    at_work.done = true;
    let (ended, reason) = match short {
        None => (Ended::Well, None),
        Some((ended, reason)) => (ended, Some(clean(&reason, 1000))),
    };
    run.provider().concluded(&one.context, ended, &said);
    run.book.watch(run.provider())?;
    run.book.write(|at_ms| DrillEvent::StepEnded {
        step: step.step.clone(),
        attempt: number,
        ended,
        reason,
        at_ms,
    })?;
    Ok(ended)
}

struct One<'r> {
    run: &'r Run,
    context: StepContext<'r>,
    /// The step's deadline.
    until: Instant,
}

impl One<'_> {
    fn name(&self) -> String {
        self.context.step.step.clone()
    }

    /// `said`: what the proofs came to.
    async fn work(&self, said: &mut Vec<ProofOutcome>) -> Result<Option<Short>, JournalError> {
        for phase in self.run.provider().phases(self.context.step) {
            if let Some(short) = self.phase(phase).await? {
                return Ok(Some(short));
            }
        }
        self.verify(said).await
    }

    async fn phase(&self, phase: DrillPhase) -> Result<Option<Short>, JournalError> {
        self.started(phase)?;
        let work = self.run.provider().carry_out(phase, &self.context);
        let (ended, done, short) = match self.within(work).await {
            Cut::Done(Ok(done)) => (Ended::Well, done, None),
            Cut::Done(Err(error)) => {
                if let Some(what) = &error.refused {
                    self.run.book.refused(what, &self.name())?;
                }
                let reason = clean(&error.reason, 1000);
                let done = PhaseDone {
                    detail: Some(reason.clone()),
                    ..PhaseDone::default()
                };
                (Ended::Failed, done, Some((Ended::Failed, reason)))
            }
            cut => {
                let (ended, reason) = self.cut_short(&cut);
                let done = PhaseDone {
                    detail: Some(reason.clone()),
                    ..PhaseDone::default()
                };
                (ended, done, Some((ended, reason)))
            }
        };
        self.run.book.watch(self.run.provider())?;
        let point = done.point.clone();
        for reason in &done.doubts {
            self.run.book.write(|at_ms| DrillEvent::Doubted {
                step: Some(self.name()),
                reason: clean(reason, 500),
                at_ms,
            })?;
        }
        if let Some(point) = point {
            self.run.book.write(|at_ms| DrillEvent::Picked {
                step: self.name(),
                attempt: self.context.attempt,
                at_ms,
                point: cleaned(point),
            })?;
        }
        self.ended(phase, ended, done)?;
        Ok(short)
    }

    /// All proofs, also after one has failed: the report is to say all that is wrong.
    async fn verify(
        &self,
        outcomes: &mut Vec<ProofOutcome>,
    ) -> Result<Option<Short>, JournalError> {
        self.started(DrillPhase::Verify)?;
        let mut failed: Option<String> = None;
        let mut unknown: Option<String> = None;
        let mut short: Option<Short> = None;
        for proof in &self.context.step.proofs {
            let said = match self
                .within(self.run.provider().prove(&self.context, proof))
                .await
            {
                Cut::Done(said) => said,
                cut => {
                    short = Some(self.cut_short(&cut));
                    break;
                }
            };
            self.run.book.watch(self.run.provider())?;
            outcomes.push(said.outcome);
            let shown = format!("the proof `{}`", clean(&proof.proof, 80));
            match said.outcome {
                ProofOutcome::Pass => {}
                ProofOutcome::Fail => {
                    failed.get_or_insert(format!("{shown} failed: {}", said.read));
                }
                ProofOutcome::Unknown => {
                    unknown
                        .get_or_insert(format!("{shown} could not be carried out: {}", said.read));
                }
            }
            self.proved(&proof.proof, said)?;
        }
        let short = short.or_else(|| {
            let reason = failed.or(unknown)?;
            Some((Ended::Failed, reason))
        });
        let (ended, detail) = match &short {
            None => (Ended::Well, None),
            Some((ended, reason)) => (*ended, Some(reason.clone())),
        };
        let done = PhaseDone {
            detail,
            ..PhaseDone::default()
        };
        self.ended(DrillPhase::Verify, ended, done)?;
        Ok(short)
    }

    fn proved(&self, proof: &str, said: ProofSaid) -> Result<(), JournalError> {
        self.run.book.write(|at_ms| DrillEvent::Proved {
            step: self.name(),
            attempt: self.context.attempt,
            proof: proof.to_owned(),
            kind: said.kind.to_owned(),
            outcome: said.outcome,
            expected: clean(&said.expected, 500),
            read: clean(&said.read, 1000),
            at: clean(&said.at, 300),
            at_ms,
        })
    }

    async fn within<T>(&self, work: impl Future<Output = T>) -> Cut<T> {
        within(
            work,
            self.until,
            &self.run.setup.stop,
            &self.context.progress,
        )
        .await
    }

    fn cut_short<T>(&self, cut: &Cut<T>) -> Short {
        match cut {
            Cut::Stopped(why) => (Ended::Interrupted, why.clone()),
            _ => (
                Ended::Failed,
                format!(
                    "it was not done by its deadline of {}",
                    self.context.step.deadline
                ),
            ),
        }
    }

    fn started(&self, phase: DrillPhase) -> Result<(), JournalError> {
        self.run.book.write(|at_ms| DrillEvent::PhaseStarted {
            step: self.name(),
            attempt: self.context.attempt,
            phase,
            at_ms,
        })
    }

    fn ended(&self, phase: DrillPhase, ended: Ended, done: PhaseDone) -> Result<(), JournalError> {
        self.run.book.write(|at_ms| DrillEvent::PhaseEnded {
            step: self.name(),
            attempt: self.context.attempt,
            phase,
            at_ms,
            ended,
            bytes: done.bytes,
            files: done.files,
            detail: done.detail.map(|detail| clean(&detail, 500)),
        })
    }
}

/// What a store says of a backup is a stranger's text.
fn cleaned(point: PointNote) -> PointNote {
    PointNote {
        source: clean(&point.source, 120),
        name: clean(&point.name, 300),
        store: clean(&point.store, 300),
        place: clean(&point.place, 120),
        data_time: point.data_time.map(|t| clean(&t, 60)),
        copy_time: point.copy_time.map(|t| clean(&t, 60)),
        sha256: point.sha256.map(|s| clean(&s, 64)),
        vouched: point.vouched.map(|v| clean(&v, 120)),
        how: clean(&point.how, 300),
        ..point
    }
}

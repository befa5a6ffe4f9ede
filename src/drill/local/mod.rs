//! The local provider: directories, throwaway PostgreSQL servers and services on this machine.
//!
//! - `guard`, `fence`: what is lost stays untouched, by us and by what we start.
//! - `scratch`, `remove`, `teardown`: where everything is made, and how it goes.
//! - `process`, `run`: child processes, found again by their tag.
//! - `carry`, `postgres`, `service`: the phases of a step.
//! - `world`, `nothing`, `proofs`: what proofs are tried on, the restored and the empty.
//! - `prepare`, `cache`: what is looked at before the clock.
//!
//! All of it blocks, on threads that may; the trait's futures wait for those.

mod cache;
mod carry;
mod fence;
pub mod guard;
mod http;
mod nothing;
mod postgres;
mod prepare;
mod process;
mod proofs;
mod remove;
mod run;
mod scratch;
mod service;
mod state;
mod teardown;
mod world;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use self::fence::{Account, Masking};
use self::guard::Guard;
use self::run::{Children, Limits, Program};
use self::state::{State, StepState};
use self::world::World;
use crate::backup::Progress;
use crate::backup::age::Identities;
use crate::document::drill::{Drill, Proof, Step};
use crate::document::policy::Policy;
use crate::drill::ledger::LedgerEntry;
use crate::drill::provider::{
    DrillContext, Leftover, Pending, PhaseDone, ProofSaid, Provider, Readiness, StepContext,
    StepError, Watched,
};
use crate::journal::PointNote;
use crate::model::drill::DrillPhase;
use crate::sign::Trusted;

/// Gives a number below the one that it is given: which of so many is taken at random.
pub type Random = Arc<dyn Fn(usize) -> usize + Send + Sync>;

/// What the local provider is made of.
#[derive(Clone)]
pub struct LocalSetup {
    pub drill: Drill,
    /// The drill's document: what it names relatively is relative to its directory.
    pub drill_path: PathBuf,
    pub policy: Policy,
    /// The policy's document, likewise.
    pub policy_path: PathBuf,
    pub identities: Arc<Identities>,
    /// Whose signatures on backups count.
    pub trusted: Trusted,
    pub random: Random,
}

/// Directories, PostgreSQL and services on this machine.
pub struct LocalProvider {
    inner: Arc<Inner>,
}

/// What the threads share.
struct Inner {
    setup: LocalSetup,
    guard: Guard,
    masking: OnceLock<Masking>,
    state: Mutex<State>,
    /// Held by who makes the stand-ins for controls.
    making: Mutex<()>,
}

/// One attempt at a step.
struct Work<'a> {
    inner: &'a Inner,
    drill: &'a DrillContext,
    step: &'a Step,
    progress: &'a Progress,
}

impl LocalProvider {
    pub fn new(setup: LocalSetup) -> Self {
        let base = directory_of(&setup.drill_path);
        let inner = Arc::new(Inner {
            guard: Guard::new(&setup.drill.lost, &base),
            setup,
            masking: OnceLock::new(),
            state: Mutex::default(),
            making: Mutex::default(),
        });
        watch_logs(&inner);
        LocalProvider { inner }
    }

    /// Which backup a step would take now. Asks the store, and changes nothing. Blocks.
    pub fn would_pick(&self, step: &Step, disaster: jiff::Timestamp) -> Result<PointNote, String> {
        let Some(restore) = &step.restore else {
            return Err("this step restores nothing".into());
        };
        self.inner
            .choose(restore, disaster, &format!("step {}", step.step))
            .map(|(_, point)| point)
            .map_err(|e| e.reason)
    }
}

/// Keeps the logs of services short for as long as the provider lives.
fn watch_logs(inner: &Arc<Inner>) {
    let weak = Arc::downgrade(inner);
    let watch = move || {
        while let Some(inner) = weak.upgrade() {
            inner.shorten_logs();
            drop(inner);
            std::thread::sleep(Duration::from_secs(1));
        }
    };
    // Without it, logs are only longer.
    let _ = std::thread::Builder::new().name("logs".into()).spawn(watch);
}

fn directory_of(path: &Path) -> PathBuf {
    guard::absolute(path)
        .parent()
        .unwrap_or(Path::new("/"))
        .to_owned()
}

impl From<String> for StepError {
    fn from(reason: String) -> Self {
        StepError::new(reason)
    }
}

impl Inner {
    /// A thread that panicked has left whole entries behind.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn drill_base(&self) -> PathBuf {
        directory_of(&self.setup.drill_path)
    }

    fn policy_base(&self) -> PathBuf {
        directory_of(&self.setup.policy_path)
    }

    fn account(&self) -> Result<Option<Account>, StepError> {
        Account::unprivileged().map_err(StepError::new)
    }

    /// How lost paths can be masked here: tried once, on a program that does nothing.
    fn masking(&self) -> Masking {
        *self.masking.get_or_init(|| {
            let way = match fence::is_root() {
                true => Masking::Root,
                false => Masking::UserNamespace,
            };
            let children = Children {
                run: "none".into(),
                home: "/".into(),
                masked: self.guard.to_mask(),
                masking: way,
            };
            let limits = Limits {
                time: Duration::from_secs(30),
                output: 0,
                stop: &|| false,
            };
            match children.run(&Program::new("true"), b"", &limits) {
                Ok(ran) if ran.well() => way,
                _ => Masking::Not,
            }
        })
    }

    fn children(&self, drill: &DrillContext) -> Children {
        Children {
            run: drill.run.clone(),
            home: teardown::home(drill),
            masked: self.guard.to_mask(),
            masking: self.masking(),
        }
    }

    /// Where the restored things are, as far as they are there.
    fn world(&self, drill: &DrillContext) -> World {
        World {
            scratch: drill.scratch.clone(),
            steps: self
                .state()
                .steps
                .iter()
                .map(|(name, step)| (name.clone(), step.kept.place.clone()))
                .collect(),
        }
    }
}

impl Work<'_> {
    /// Who asks, in the journal.
    fn by(&self) -> String {
        format!("step {}", self.step.step)
    }

    fn intend(&self, kind: &str, name: &str) -> Result<String, StepError> {
        let step = Some(self.step.step.as_str());
        Ok(self
            .drill
            .ledger
            .intend(step, kind, name)
            .map_err(journal)?)
    }

    fn made(&self, token: &str, id: &str) -> Result<(), StepError> {
        Ok(self.drill.ledger.made(token, id).map_err(journal)?)
    }

    fn update(&self, change: impl FnOnce(&mut StepState)) {
        let mut state = self.inner.state();
        change(state.steps.entry(self.step.step.clone()).or_default());
    }

    fn carry_out(&self, phase: DrillPhase) -> Result<PhaseDone, StepError> {
        self.inner.hold(self.drill)?;
        self.inner.drop_nothing(self.drill)?;
        let done = match self.step.start {
            Some(_) => self.start()?,
            None => self.phase(phase)?,
        };
        // After the last phase, another process can go on from what is kept.
        if phases(self.step).last() == Some(&phase) {
            let kept = self.inner.state().steps.get(&self.step.step).cloned();
            let kept = kept.unwrap_or_default();
            state::keep(&self.drill.scratch, &self.step.step, &kept)?;
        }
        Ok(done)
    }
}

fn journal(error: crate::journal::JournalError) -> String {
    format!("writing the ledger: {error}")
}

fn phases(step: &Step) -> Vec<DrillPhase> {
    use DrillPhase::{Load, Locate, Provision, Restore, Start};
    match &step.restore {
        None => vec![Start],
        Some(restore) if restore.postgresql.is_some() => vec![Locate, Provision, Load],
        Some(restore) if restore.repository.is_some() => vec![Locate, Restore, Load],
        Some(_) => vec![Locate, Restore],
    }
}

/// Counts work under way on a step, so that nothing is destroyed under its hands; and asks it to
/// stop when nobody waits for it any more.
struct Busy {
    inner: Arc<Inner>,
    step: String,
}

impl Busy {
    fn new(inner: &Arc<Inner>, step: &str) -> Self {
        *inner.state().busy.entry(step.to_owned()).or_default() += 1;
        Busy {
            inner: inner.clone(),
            step: step.to_owned(),
        }
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        let mut state = self.inner.state();
        if let Some(count) = state.busy.get_mut(&self.step) {
            *count = count.saturating_sub(1);
        }
    }
}

struct StopWhenDropped(Arc<Progress>, bool);

impl Drop for StopWhenDropped {
    fn drop(&mut self) {
        if !self.1 {
            self.0.stop();
        }
    }
}

/// Runs what blocks on a thread for that. `lost`: what is said where the thread is lost.
async fn on_thread<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
    lost: impl FnOnce(String) -> T,
) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(value) => value,
        Err(error) => lost(format!("an error of Seawall's own: {error}")),
    }
}

/// The same for one attempt at a step: it is asked to stop if the future is dropped.
async fn at_work<T: Send + 'static>(
    inner: &Arc<Inner>,
    context: &StepContext<'_>,
    work: impl FnOnce(&Work) -> T + Send + 'static,
    lost: impl FnOnce(String) -> T,
) -> T {
    let busy = Busy::new(inner, &context.step.step);
    let (drill, step) = (context.drill.clone(), context.step.clone());
    let progress = context.progress.clone();
    let mut stop = StopWhenDropped(progress.clone(), false);
    let run = move || {
        work(&Work {
            inner: &busy.inner,
            drill: &drill,
            step: &step,
            progress: &progress,
        })
    };
    let value = on_thread(run, lost).await;
    stop.1 = true;
    value
}

impl Provider for LocalProvider {
    fn name(&self) -> &'static str {
        "local"
    }

    fn phases(&self, step: &Step) -> Vec<DrillPhase> {
        phases(step)
    }

    fn prepare<'a>(&'a self, drill: &'a DrillContext) -> Pending<'a, Readiness> {
        let (inner, drill) = (self.inner.clone(), drill.clone());
        Box::pin(on_thread(
            move || inner.ready(&drill),
            |why| Readiness {
                checks: vec![("what there is was looked at".into(), false, why)],
                ..Readiness::default()
            },
        ))
    }

    fn control<'a>(
        &'a self,
        drill: &'a DrillContext,
        step: &'a Step,
        proof: &'a Proof,
    ) -> Pending<'a, ProofSaid> {
        let inner = self.inner.clone();
        let (drill, step, of) = (drill.clone(), step.clone(), proof.clone());
        Box::pin(on_thread(
            move || proofs::control(&inner, &drill, &step, &of),
            |why| proofs::unknown(proof, why),
        ))
    }

    fn carry_out<'a>(
        &'a self,
        phase: DrillPhase,
        context: &'a StepContext<'a>,
    ) -> Pending<'a, Result<PhaseDone, StepError>> {
        Box::pin(at_work(
            &self.inner,
            context,
            move |work| work.carry_out(phase),
            |why| Err(StepError::new(why)),
        ))
    }

    fn prove<'a>(
        &'a self,
        context: &'a StepContext<'a>,
        proof: &'a Proof,
    ) -> Pending<'a, ProofSaid> {
        let of = proof.clone();
        Box::pin(at_work(
            &self.inner,
            context,
            move |work| proofs::prove(work, &of),
            |why| proofs::unknown(proof, why),
        ))
    }

    fn adopt<'a>(
        &'a self,
        drill: &'a DrillContext,
        step: &'a Step,
        made: &'a [LedgerEntry],
    ) -> Pending<'a, Result<(), String>> {
        let inner = self.inner.clone();
        let (drill, step, made) = (drill.clone(), step.clone(), made.to_vec());
        Box::pin(on_thread(
            move || inner.adopt(&drill, &step, &made).map_err(|e| e.reason),
            Err,
        ))
    }

    fn destroy<'a>(
        &'a self,
        drill: &'a DrillContext,
        entry: &'a LedgerEntry,
    ) -> Pending<'a, Result<(), String>> {
        let inner = self.inner.clone();
        let (drill, entry) = (drill.clone(), entry.clone());
        Box::pin(on_thread(move || inner.destroy(&drill, &entry), Err))
    }

    fn leftovers<'a>(&'a self, drill: &'a DrillContext) -> Pending<'a, Vec<Leftover>> {
        let (inner, drill) = (self.inner.clone(), drill.clone());
        Box::pin(on_thread(
            move || inner.leftovers(&drill),
            |why| {
                vec![Leftover {
                    kind: "unknown".into(),
                    name: why,
                }]
            },
        ))
    }

    fn clear<'a>(
        &'a self,
        drill: &'a DrillContext,
        leftover: &'a Leftover,
    ) -> Pending<'a, Result<(), String>> {
        let inner = self.inner.clone();
        let (drill, leftover) = (drill.clone(), leftover.clone());
        Box::pin(on_thread(move || inner.clear(&drill, &leftover), Err))
    }

    fn release<'a>(&'a self, drill: &'a DrillContext) -> Pending<'a, Result<(), String>> {
        let (inner, drill) = (self.inner.clone(), drill.clone());
        Box::pin(on_thread(move || inner.release(&drill), Err))
    }

    fn watched(&self) -> Watched {
        self.inner.guard.take()
    }
}

//! The engine: run, resume, sweep. It knows no kind of target.
//!
//! - `before`: what is looked at before the clock starts, and the proofs' controls.
//! - `steps`: which step begins when. `attempt`: one step, phase by phase, and its proofs.
//! - `teardown`: the ledger backwards, and what bears the run's tag.
//! - `again`: resume and sweep, from what the journal of a dead process says.
//! - `book`: the journal. `stop`: the wish to end early. `live`: what steps are at now.
//!
//! Nothing is remembered but what stands in the journal: that is why a run can be taken up by
//! another process at any of its lines.

mod again;
mod attempt;
mod before;
mod book;
mod live;
mod steps;
mod stop;
mod teardown;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use tokio::task::JoinSet;

use crate::journal::{Clock, DrillEvent, Event, Journal, JournalError, JournalReader, Record};
use crate::model::drill::{Verdict, VerdictWord};
use crate::shell::clean;

use super::clock::DrillClock;
use super::plan::{Plan, PlanError};
use super::provider::{DrillContext, Pending, Provider};
use super::verdict::judge;
use book::Book;

pub use again::{clear, resume, sweep};
pub use live::{Live, Reading};
pub use stop::Stop;

/// The drill as it was checked, kept in the run's folder.
pub const PLAN_FILE: &str = "drill.json";

/// Exit codes of a drill.
pub mod code {
    pub const MET: u8 = 0;
    pub const MISSED: u8 = 1;
    /// It was refused before it started, or interrupted.
    pub const NOT_RUN: u8 = 2;
    pub const INCONCLUSIVE: u8 = 3;
}

/// Tells people of a verdict: whom (without a URL), whether well, and what came of it.
pub type Tell = Arc<dyn Fn(Verdict) -> Pending<'static, Vec<(String, bool, String)>> + Send + Sync>;

/// What a run is carried out with.
#[derive(Clone)]
pub struct Setup {
    /// The run's id.
    pub run: String,
    pub plan: Arc<Plan>,
    pub provider: Arc<dyn Provider>,
    pub journal: Journal,
    pub clock: Arc<DrillClock>,
    /// Which boot of the machine this is.
    pub boot_id: String,
    /// For the disaster's time, and nothing else.
    pub wall: Arc<dyn Clock>,
    /// Who runs it.
    pub by: String,
    pub live: Live,
    pub stop: Stop,
    pub tell: Option<Tell>,
}

/// How a run ended.
#[derive(Clone, Debug)]
pub struct End {
    pub verdict: Verdict,
    /// The exit code.
    pub code: u8,
    /// What is left.
    pub left: Vec<String>,
}

#[derive(Debug, thiserror::Error)]
pub enum RunError {
    #[error(transparent)]
    Journal(#[from] JournalError),
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// A resume; the run is as it was.
    #[error(
        "the drill cannot go on: {0}; mend that and resume again, or give it up with \
         `seawall drill sweep`"
    )]
    NotReady(String),
}

/// What the parts of the engine share.
struct Run {
    setup: Setup,
    book: Book,
}

impl Run {
    /// Reads what stands in the journal already.
    fn new(setup: Setup) -> Result<Run, JournalError> {
        let former = JournalReader::open(&setup.journal.dir())?.collect::<Result<_, _>>()?;
        Ok(Run::over(setup, former))
    }

    /// With what stood in a journal before.
    fn over(setup: Setup, former: Vec<Record>) -> Run {
        let book = Book::new(setup.journal.clone(), setup.clock.clone(), former);
        Run { setup, book }
    }

    fn context(&self, disaster: Timestamp) -> DrillContext {
        DrillContext {
            run: self.setup.run.clone(),
            disaster,
            scratch: self.setup.plan.drill.scratch.shown().into(),
            ledger: self.book.ledger.clone(),
            again: false,
        }
    }

    fn provider(&self) -> &dyn Provider {
        self.setup.provider.as_ref()
    }
}

/// Writes the plan into the run's folder, and the run's first events. Nothing else is done yet.
///
/// # Errors
/// When the journal cannot be written.
fn declare(setup: &Setup) -> Result<(), RunError> {
    let plan = &setup.plan;
    let text = serde_json::to_vec_pretty(plan.as_ref()).unwrap_or_default();
    let hash = setup.journal.put_file(PLAN_FILE, &text)?;
    let mut documents = plan.documents.clone();
    documents.insert(PLAN_FILE.to_owned(), hash);
    setup.journal.append(&Event::RunStarted {
        run: setup.run.clone(),
        verb: "drill".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        playbook: plan.path.clone(),
        playbook_title: plan.drill.title.clone(),
        level: 0,
        hosts: Vec::new(),
        rules: 0,
        documents,
        by: setup.by.clone(),
        data: BTreeMap::new(),
    })?;
    let declared = plan.declared(&setup.run, setup.provider.name(), &setup.by);
    setup.journal.append(&Event::Drill(declared))?;
    Ok(())
}

/// Carries out a drill, from its declaration to its verdict. The journal is left open: sealing it
/// is the caller's.
///
/// Whatever happens after something was made, the teardown runs.
///
/// # Errors
/// When the journal cannot be written. Steps' troubles are in the verdict.
pub async fn run(setup: Setup) -> Result<End, RunError> {
    let given = setup.plan.disaster()?;
    let run = Arc::new(Run::new(setup)?);
    declare(&run.setup)?;
    let early = run.context(given.unwrap_or_else(|| run.setup.wall.now()));
    let work = {
        let (run, early) = (run.clone(), early.clone());
        async move { whole(&run, &early, given).await }
    };
    let done = unless_it_panics(&run, work).await;
    conclude(&run, &early, done).await
}

/// A panic is a fault of ours: it must not keep the teardown from running, nor pass for a drill
/// that went well.
async fn unless_it_panics(
    run: &Run,
    work: impl Future<Output = Result<(), JournalError>> + Send + 'static,
) -> Result<(), JournalError> {
    // In a set, so that the work ends too where we are dropped.
    let mut tasks = JoinSet::new();
    tasks.spawn(work);
    match tasks.join_next().await {
        Some(Ok(done)) => done,
        Some(Err(error)) => run.book.write(|at_ms| DrillEvent::Doubted {
            step: None,
            reason: format!(
                "a fault of Seawall's own: {}",
                clean(&error.to_string(), 300)
            ),
            at_ms,
        }),
        None => Ok(()),
    }
}

async fn whole(
    run: &Arc<Run>,
    early: &DrillContext,
    given: Option<Timestamp>,
) -> Result<(), JournalError> {
    if !before::prepare(run, early, given).await? || !before::controls(run, early).await? {
        return Ok(());
    }
    let disaster = given.unwrap_or_else(|| run.setup.wall.now());
    let boottime_ms = run.book.clock.start();
    run.book.plain(&Event::Drill(DrillEvent::ClockStarted {
        boot_id: run.setup.boot_id.clone(),
        boottime_ms,
        disaster: format!("{disaster:.3}"),
    }))?;
    // What is compared is what is written: whole milliseconds.
    let disaster = Timestamp::from_millisecond(disaster.as_millisecond()).unwrap_or(disaster);
    let context = Arc::new(run.context(disaster));
    steps::all(run, &context, steps::State::default()).await?;
    run.book.write(|at_ms| DrillEvent::ClockStopped { at_ms })
}

/// Tears down, judges, tells, and ends the run, as far as that was not done.
async fn conclude(
    run: &Arc<Run>,
    context: &DrillContext,
    mut done: Result<(), JournalError>,
) -> Result<End, RunError> {
    let told = |records: &[Record]| {
        let mut swept = None;
        let mut judged = None;
        let mut notified = false;
        let mut ended = None;
        for record in records {
            match &record.event {
                Event::Drill(DrillEvent::Swept { left }) => swept = Some(left.clone()),
                Event::Drill(DrillEvent::Judged { verdict }) => judged = Some(verdict.clone()),
                Event::Drill(DrillEvent::Notified { .. }) => notified = true,
                Event::RunEnded { code, .. } => ended = Some(*code),
                _ => {}
            }
        }
        (swept, judged, notified, ended)
    };
    let mut keep = |result: Result<(), JournalError>| {
        if let Err(error) = result
            && done.is_ok()
        {
            done = Err(error);
        }
    };
    keep(run.book.watch(run.provider()));
    let (swept, judged, notified, ended) = told(&run.book.records());
    let left = match swept {
        // What would not go the last time is asked again, until there is a verdict on it.
        Some(left) if left.is_empty() || judged.is_some() => left,
        _ => {
            let (left, written) = teardown::all(run, context).await;
            keep(written);
            keep(run.book.watch(run.provider()));
            let by = run.provider().requests();
            if !by.is_empty() {
                let by = by
                    .into_iter()
                    .map(|(who, n)| (clean(&who, 80), n))
                    .collect();
                keep(run.book.plain(&Event::Drill(DrillEvent::Requests { by })));
            }
            let event = DrillEvent::Swept { left: left.clone() };
            keep(run.book.plain(&Event::Drill(event)));
            left
        }
    };
    // Without its journal a run has no verdict.
    done?;
    let verdict = match judged {
        Some(verdict) => verdict,
        None => {
            let verdict = judge(&run.book.records());
            run.book.plain(&Event::Drill(DrillEvent::Judged {
                verdict: verdict.clone(),
            }))?;
            verdict
        }
    };
    if let Some(tell) = run
        .setup
        .tell
        .as_ref()
        .filter(|_| !notified && ended.is_none())
    {
        for (whom, well, detail) in tell(verdict.clone()).await {
            run.book.plain(&Event::Drill(DrillEvent::Notified {
                whom: clean(&whom, 120),
                well,
                detail: clean(&detail, 300),
            }))?;
        }
    }
    let code = match ended {
        Some(code) => code,
        None => {
            let stopped = run.setup.stop.why();
            let code = code_of(&verdict, stopped.is_some(), &run.book.records());
            run.book.plain(&Event::RunEnded {
                code,
                millis: run.book.clock.now_ms(),
                stopped: stopped.map(|why| clean(&why, 300)),
            })?;
            code
        }
    };
    Ok(End {
        verdict,
        code,
        left,
    })
}

fn code_of(verdict: &Verdict, stopped: bool, records: &[Record]) -> u8 {
    let began = records
        .iter()
        .any(|r| matches!(r.event, Event::Drill(DrillEvent::ClockStarted { .. })));
    match verdict.word {
        VerdictWord::Met => code::MET,
        VerdictWord::Missed => code::MISSED,
        VerdictWord::Inconclusive if stopped || !began => code::NOT_RUN,
        VerdictWord::Inconclusive => code::INCONCLUSIVE,
    }
}

//! Carrying out: many hosts side by side, each through observe, decide, act, prove.

mod apply;
mod confirm;
pub(crate) mod contact;
mod rollback;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::civil::Date;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::document::playbook::WaveSize;
use crate::journal::{Event, HostOutcome};
use crate::model::{Finding, Status};
use crate::reach::{Reach, Target};

use super::act::RunId;
use super::rules::RuleSet;
use super::waves;

pub use apply::file_name;
pub use rollback::{Rollback, rollback};

/// Where events and files of a run go. The journal is one; tests have their own.
pub trait Recorder: Send + Sync {
    /// Takes an event; on disk before it returns where the event says what is about to be done.
    fn event(&self, event: Event) -> Result<(), String>;

    /// Keeps a file in the run's folder; gives its SHA-256.
    fn file(&self, name: &str, bytes: &[u8]) -> Result<String, String>;
}

/// One host to treat.
#[derive(Clone, Debug)]
pub struct Job {
    pub target: Target,
    pub rules: Arc<RuleSet>,
}

/// What is done to each host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Observe and judge; write nothing.
    Check,
    /// Observe, judge and plan; write nothing.
    DryRun,
    /// Also change, confirm and prove.
    Apply,
}

/// How a run is to be done.
#[derive(Clone)]
pub struct Settings {
    pub run: RunId,
    pub mode: Mode,
    /// The day on which waivers are judged, UTC.
    pub today: Date,
    pub waves: Vec<WaveSize>,
    pub failure_budget: WaveSize,
    /// How long hosts wait for the keep.
    pub window: Duration,
    /// Which rules `apply` may change; all are judged.
    pub wanted: Arc<dyn Fn(&str) -> bool + Send + Sync>,
    /// Log-ins under way at once, so that in a large fleet each still ends within its own
    /// time limit. Apart from sessions: a slow program must not keep others from connecting.
    pub handshakes: usize,
    /// Hosts being treated at once.
    pub sessions: usize,
    /// The longest an observation may take.
    pub observe_limit: Duration,
}

impl Settings {
    /// Defaults for a run of this id and mode; `today` is the day in UTC.
    pub fn new(run: RunId, mode: Mode, today: Date) -> Settings {
        Settings {
            run,
            mode,
            today,
            waves: Vec::new(),
            failure_budget: WaveSize::Hosts(0),
            window: Duration::from_secs(120),
            wanted: Arc::new(|_| true),
            handshakes: 48,
            sessions: 64,
            observe_limit: Duration::from_secs(120),
        }
    }
}

/// What became of one host.
#[derive(Clone, Debug)]
pub struct HostEnd {
    pub host: String,
    pub outcome: HostOutcome,
    pub findings: Vec<Finding>,
}

/// What became of a run.
#[derive(Clone, Debug)]
pub struct RunEnd {
    pub hosts: Vec<HostEnd>,
    /// Why it stopped before all waves, if it did.
    pub stopped: Option<String>,
}

/// Exit codes of the program.
pub mod code {
    /// All as demanded.
    pub const WELL: u8 = 0;
    /// Findings, or a change that failed.
    pub const FINDINGS: u8 = 1;
    /// It could not run.
    pub const NOT_RUN: u8 = 2;
    /// Some host was not seen.
    pub const UNKNOWN: u8 = 3;
}

impl RunEnd {
    /// The exit code: a host that was not seen weighs more than a finding.
    pub fn code(&self) -> u8 {
        let any = |f: &dyn Fn(HostOutcome) -> bool| self.hosts.iter().any(|h| f(h.outcome));
        if any(&|o| matches!(o, HostOutcome::Unknown | HostOutcome::NotStarted)) {
            code::UNKNOWN
        } else if any(&|o| !matches!(o, HostOutcome::Clean | HostOutcome::Changed)) {
            code::FINDINGS
        } else {
            code::WELL
        }
    }
}

/// Whether findings leave something to be done: a failure, or something that was not seen.
pub(crate) fn falls_short(findings: &[Finding]) -> bool {
    findings
        .iter()
        .any(|f| matches!(f.status, Status::Fail | Status::Unknown))
}

/// What every host's task shares.
pub(crate) struct Shared {
    pub settings: Settings,
    pub reach: Arc<dyn Reach>,
    pub recorder: Arc<dyn Recorder>,
    pub handshakes: Semaphore,
    /// The log-ins that a host waits for within its window: none of them queues behind hosts that
    /// do not answer a first one.
    pub awaited: Semaphore,
    pub sessions: Semaphore,
}

/// Treats all hosts, wave by wave. `RunStarted` and `RunEnded` are the caller's events.
///
/// Fails only if the journal cannot be written; hosts' troubles are outcomes.
pub async fn run(
    jobs: Vec<Job>,
    settings: Settings,
    reach: Arc<dyn Reach>,
    recorder: Arc<dyn Recorder>,
) -> Result<RunEnd, String> {
    let total = jobs.len();
    let ranges = match settings.mode {
        Mode::Check | Mode::DryRun => waves::waves(total, &[]),
        Mode::Apply => waves::waves(total, &settings.waves),
    };
    let shared = Arc::new(Shared {
        handshakes: Semaphore::new(settings.handshakes.max(1)),
        awaited: Semaphore::new(settings.handshakes.max(1)),
        sessions: Semaphore::new(settings.sessions.max(1)),
        settings,
        reach,
        recorder,
    });
    let mut ends: BTreeMap<usize, HostEnd> = BTreeMap::new();
    let mut stopped = None;
    let of = ranges.len();
    for (number, range) in ranges.into_iter().enumerate() {
        let failed = ends
            .values()
            .filter(|e| matches!(e.outcome, HostOutcome::Failed | HostOutcome::Unknown))
            .count();
        if shared.settings.mode == Mode::Apply
            && waves::is_spent(shared.settings.failure_budget, total, failed)
        {
            let why = format!(
                "{failed} of {total} hosts failed, more than the failure budget of {} allows",
                shared.settings.failure_budget
            );
            not_started(&jobs, range.start, &why, &shared, &mut ends)?;
            stopped = Some(why);
            break;
        }
        if of > 1 {
            shared.recorder.event(Event::WaveStarted {
                wave: number + 1,
                of,
                hosts: jobs[range.clone()]
                    .iter()
                    .map(|j| j.target.name.clone())
                    .collect(),
            })?;
        }
        one_wave(&jobs, range, &shared, &mut ends).await?;
    }
    Ok(RunEnd {
        hosts: ends.into_values().collect(),
        stopped,
    })
}

async fn one_wave(
    jobs: &[Job],
    range: std::ops::Range<usize>,
    shared: &Arc<Shared>,
    ends: &mut BTreeMap<usize, HostEnd>,
) -> Result<(), String> {
    let mut tasks = JoinSet::new();
    for index in range {
        let (job, shared) = (jobs[index].clone(), Arc::clone(shared));
        tasks.spawn(async move {
            let _permit = shared.sessions.acquire().await;
            let begun = Instant::now();
            let end = apply::treat(&job, &shared).await;
            (index, end, begun.elapsed())
        });
    }
    while let Some(done) = tasks.join_next().await {
        // A panic in a host's task is ours; it must not pass for a host that is well.
        let (index, end, took) = done.map_err(|e| format!("a host's task ended badly: {e}"))?;
        let (end, reason) = end?;
        shared.recorder.event(Event::Judged {
            host: end.host.clone(),
            findings: end.findings.clone(),
        })?;
        shared.recorder.event(Event::HostEnded {
            host: end.host.clone(),
            outcome: end.outcome,
            reason,
            millis: took.as_millis() as u64,
        })?;
        ends.insert(index, end);
    }
    Ok(())
}

/// The hosts from `first` on are left as they are.
fn not_started(
    jobs: &[Job],
    first: usize,
    why: &str,
    shared: &Shared,
    ends: &mut BTreeMap<usize, HostEnd>,
) -> Result<(), String> {
    for (index, job) in jobs.iter().enumerate().skip(first) {
        let host = job.target.name.clone();
        let findings = super::judge::unseen(&job.rules, &host, "the run stopped before this host");
        shared.recorder.event(Event::Judged {
            host: host.clone(),
            findings: findings.clone(),
        })?;
        shared.recorder.event(Event::HostEnded {
            host: host.clone(),
            outcome: HostOutcome::NotStarted,
            reason: Some(why.to_owned()),
            millis: 0,
        })?;
        ends.insert(
            index,
            HostEnd {
                host,
                outcome: HostOutcome::NotStarted,
                findings,
            },
        );
    }
    Ok(())
}

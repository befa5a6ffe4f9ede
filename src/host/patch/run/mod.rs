//! Carrying a patch run out: waves of hosts, each through observe, decide, act, prove; and taking
//! one up again.
//!
//! All hosts are looked at, and downloaded to, when the run begins; each is then changed when its
//! wave is open, its window too, and nobody is being changed that it is kept apart from (`turn`).
//! `host` is one host's course. It keeps no state that is not in the journal or on the host: a run
//! that is taken up walks the same course with what `past` has folded from the journal.

mod back;
mod change;
mod finish;
mod gates;
mod host;
mod jobs;
mod link;
mod past;
mod prepare;
mod reboot;
mod speech;
mod turn;
mod verdict;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::document::patch::Patch;
use crate::host::act::RunId;
use crate::host::patch::advisories::Advisories;
use crate::host::patch::schedule::{self, Candidate};
use crate::host::run::Recorder;
use crate::journal::{Event, PatchEvent, Record};
use crate::model::patch::PatchOutcome;
use crate::reach::{Reach, Target};

use past::{HostPast, Past};
use speech::Speech;
use turn::{Now, Turns};

/// One host to patch.
#[derive(Clone, Debug)]
pub struct PatchJob {
    pub target: Target,
    /// Its name and all its groups.
    pub names: BTreeSet<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Observe and decide; the only thing that is written is the manager's own lists.
    Plan,
    Run,
}

/// How a run is to be done.
#[derive(Clone)]
pub struct Settings {
    pub run: RunId,
    pub mode: Mode,
    pub patch: Arc<Patch>,
    pub advisories: Arc<Advisories>,
    /// Hosts that are observed or downloaded to at once, and log-ins under way at once.
    pub sessions: usize,
    pub handshakes: usize,
    /// What another process wrote of this run before it died; empty: it begins.
    pub former: Arc<Vec<Record>>,
    /// The run's folder, for the files that `former` names.
    pub folder: std::path::PathBuf,
}

/// What became of a run.
#[derive(Clone, Debug)]
pub struct PatchEnd {
    pub hosts: Vec<(String, PatchOutcome)>,
    /// Those of them that were begun and lost on the way: the run is not over for them, and is to
    /// be taken up again.
    pub open: Vec<String>,
    /// Why it stopped before all waves, if it did.
    pub stopped: Option<String>,
}

/// How a host's task ended.
pub(super) struct Done {
    index: usize,
    outcome: PatchOutcome,
    /// See [`PatchEnd::open`].
    is_open: bool,
}

/// What every host's task shares.
pub(super) struct Shared {
    settings: Settings,
    reach: Arc<dyn Reach>,
    recorder: Arc<dyn Recorder>,
    speech: Speech,
    handshakes: Semaphore,
    sessions: Semaphore,
    turns: Arc<Turns>,
    /// Hosts that are well and wait for the end of their wave's soak.
    soaking: mpsc::UnboundedSender<usize>,
    /// Tells the files of this process from those of the ones before it: ``, `-r1`, …
    tail: String,
    now: Now,
}

impl Shared {
    fn tell(&self, event: PatchEvent) -> Result<(), String> {
        self.recorder.event(Event::Patch(event))
    }
}

/// Carries it out. `RunStarted`, `Declared` and `RunEnded` are the caller's events.
///
/// # Errors
/// Only where the journal cannot be written; hosts' troubles are outcomes.
pub async fn run(
    jobs: Vec<PatchJob>,
    settings: Settings,
    reach: Arc<dyn Reach>,
    recorder: Arc<dyn Recorder>,
    stop: watch::Receiver<bool>,
) -> Result<PatchEnd, String> {
    let now: Now = Arc::new(jiff::Timestamp::now);
    carry_out(jobs, settings, reach, recorder, stop, speech::SH, now).await
}

async fn carry_out(
    jobs: Vec<PatchJob>,
    settings: Settings,
    reach: Arc<dyn Reach>,
    recorder: Arc<dyn Recorder>,
    stop: watch::Receiver<bool>,
    speech: Speech,
    now: Now,
) -> Result<PatchEnd, String> {
    let mut past = past::fold(&settings.former);
    let candidates: Vec<Candidate> = jobs
        .iter()
        .map(|job| Candidate {
            name: job.target.name.clone(),
            names: job.names.clone(),
        })
        .collect();
    let waves = waves(&candidates, &settings, &past);
    let busy = jobs
        .iter()
        .enumerate()
        .filter(|(_, j)| is_under_way(past.hosts.get(&j.target.name)))
        .map(|(index, _)| index)
        .collect();
    let turns = Turns::new(
        settings.run.as_str(),
        candidates,
        wave_of(&waves, jobs.len()),
        Arc::clone(&settings.patch),
        busy,
        stop,
        Arc::clone(&now),
    );
    let (soaking, soaked) = mpsc::unbounded_channel();
    let tail = match past.processes {
        0 => String::new(),
        more => format!("-r{more}"),
    };
    let shared = Arc::new(Shared {
        handshakes: Semaphore::new(settings.handshakes.max(1)),
        sessions: Semaphore::new(settings.sessions.max(1)),
        turns: Arc::new(turns),
        reach,
        recorder,
        speech,
        soaking,
        tail,
        now,
        settings,
    });
    let mut tasks = JoinSet::new();
    for (index, job) in jobs.iter().enumerate() {
        let past = past.hosts.remove(&job.target.name).unwrap_or_default();
        if let Some(outcome) = past.ended {
            shared.turns.ended(index, past.counts());
            tasks.spawn(host::done_before(
                Arc::clone(&shared),
                job.clone(),
                index,
                past,
                outcome,
            ));
        } else {
            tasks.spawn(host::treat(Arc::clone(&shared), job.clone(), index, past));
        }
    }
    let conductor = Conductor {
        shared: &shared,
        jobs: &jobs,
        waves: &waves,
        tasks,
        soaked,
        ends: BTreeMap::new(),
        open: BTreeSet::new(),
        well: BTreeSet::new(),
    };
    conductor.conduct().await
}

/// Whether another process had begun to change the host, and not ended.
fn is_under_way(past: Option<&HostPast>) -> bool {
    past.is_some_and(|p| p.ended.is_none() && p.begun && p.plan.is_some())
}

/// The waves as they were declared, or as the playbook cuts them.
fn waves(candidates: &[Candidate], settings: &Settings, past: &Past) -> Vec<Vec<usize>> {
    if settings.mode == Mode::Plan {
        return vec![(0..candidates.len()).collect()];
    }
    let Some(declared) = &past.waves else {
        return schedule::waves(candidates, &settings.patch);
    };
    let mut rest: BTreeMap<&str, usize> = candidates
        .iter()
        .enumerate()
        .map(|(index, c)| (c.name.as_str(), index))
        .collect();
    let mut waves: Vec<Vec<usize>> = declared
        .iter()
        .map(|names| {
            names
                .iter()
                .filter_map(|n| rest.remove(n.as_str()))
                .collect()
        })
        .collect();
    waves.push(rest.into_values().collect());
    waves.retain(|wave| !wave.is_empty());
    waves
}

fn wave_of(waves: &[Vec<usize>], total: usize) -> Vec<usize> {
    let mut of = vec![waves.len().saturating_sub(1); total];
    for (number, wave) in waves.iter().enumerate() {
        for index in wave {
            if let Some(slot) = of.get_mut(*index) {
                *slot = number;
            }
        }
    }
    of
}

/// Opens wave after wave, and waits for the hosts of each.
struct Conductor<'a> {
    shared: &'a Arc<Shared>,
    jobs: &'a [PatchJob],
    waves: &'a [Vec<usize>],
    tasks: JoinSet<Result<Done, String>>,
    soaked: mpsc::UnboundedReceiver<usize>,
    ends: BTreeMap<usize, PatchOutcome>,
    /// Those that were lost on their way.
    open: BTreeSet<usize>,
    /// Hosts that wait for the end of the soak.
    well: BTreeSet<usize>,
}

impl Conductor<'_> {
    async fn conduct(mut self) -> Result<PatchEnd, String> {
        let mut stopped = None;
        for (number, wave) in self.waves.iter().enumerate() {
            if stopped.is_none() {
                stopped = self.begin(number, wave)?;
            }
            self.shared
                .turns
                .open
                .send_replace((number + 1, Instant::now()));
            self.wait(wave, true).await?;
            if wave.iter().any(|index| self.well.contains(index)) {
                self.soak(number).await?;
            }
            self.shared.turns.soaked.send_replace(number + 1);
            self.wait(wave, false).await?;
            // A host that was taken up again may be there before its own wave is.
            for index in wave {
                self.well.remove(index);
            }
        }
        // The wave itself may have used the budget up, or the stop may have come in its midst.
        if stopped.is_none() && self.ends.values().any(|o| *o == PatchOutcome::NotStarted) {
            stopped = self.shared.turns.refusal().map(|r| r.0);
        }
        let name = |index: &usize| self.jobs.get(*index).map(|job| job.target.name.clone());
        let hosts = self
            .ends
            .iter()
            .filter_map(|(index, o)| Some((name(index)?, *o)))
            .collect();
        Ok(PatchEnd {
            hosts,
            open: self.open.iter().filter_map(name).collect(),
            stopped,
        })
    }

    /// Says that a wave starts; or why none does any more.
    fn begin(&self, number: usize, wave: &[usize]) -> Result<Option<String>, String> {
        let over = wave.iter().all(|index| self.ends.contains_key(index));
        if over || self.shared.settings.mode == Mode::Plan {
            return Ok(None);
        }
        if let Some(refused) = self.shared.turns.refusal() {
            return Ok(Some(refused.0));
        }
        if self.waves.len() > 1 {
            self.shared.recorder.event(Event::WaveStarted {
                wave: number + 1,
                of: self.waves.len(),
                hosts: wave
                    .iter()
                    .filter_map(|index| Some(self.jobs.get(*index)?.target.name.clone()))
                    .collect(),
            })?;
        }
        Ok(None)
    }

    /// Waits until each host of the wave has ended, or, with `or_well`, waits for its soak.
    async fn wait(&mut self, wave: &[usize], or_well: bool) -> Result<(), String> {
        loop {
            let is_there = |index: &usize| {
                self.ends.contains_key(index) || or_well && self.well.contains(index)
            };
            if wave.iter().all(is_there) {
                return Ok(());
            }
            tokio::select! {
                Some(index) = self.soaked.recv() => {
                    self.well.insert(index);
                }
                done = self.tasks.join_next() => match done {
                    // A panic in a host's task is ours; it must not pass for a host that is well.
                    Some(done) => {
                        let done = done.map_err(|e| format!("a host's task ended badly: {e}"))??;
                        self.ends.insert(done.index, done.outcome);
                        if done.is_open {
                            self.open.insert(done.index);
                        }
                    }
                    None => return Err("a host's task is missing".into()),
                },
            }
        }
    }

    async fn soak(&self, number: usize) -> Result<(), String> {
        let soak = self.shared.settings.patch.soak.0;
        self.shared.tell(PatchEvent::Soaking {
            wave: number + 1,
            seconds: soak.as_secs(),
        })?;
        tokio::select! {
            () = tokio::time::sleep(soak) => {}
            () = self.shared.turns.stopped() => {}
        }
        Ok(())
    }
}

//! One host's course, from its first look to its end.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::document::patch::Patch;
use crate::host::patch::decide::{self, Ground};
use crate::journal::{Event, PatchEvent, file_name, sha256};
use crate::model::patch::{Health, HostPhase, HostPlan, PatchOutcome, PatchSnapshot, PhaseOutcome};
use crate::reach::{ReachError, Via};
use crate::shell::clean;

use super::link::{Halt, Link, Step};
use super::past::{HostPast, Kept};
use super::turn::Turn;
use super::verdict::Verdict;
use super::{Done, PatchJob, Shared};

/// One host on its way.
pub(super) struct Host {
    pub shared: Arc<Shared>,
    pub job: PatchJob,
    pub index: usize,
    pub past: HostPast,
    pub link: Link,
    pub plan: HostPlan,
    /// The snapshot that the plan was made from, in the run's folder.
    pub before: Option<Kept>,
    /// How it did before it was changed, and when that was seen.
    pub health: Health,
    pub health_at: Option<Instant>,
    pub boot_id: String,
    /// The last whole look, until something is changed.
    pub latest: Option<PatchSnapshot>,
    /// Jobs that were begun on the host.
    pub begun_jobs: std::collections::BTreeSet<String>,
    pub rebooted: bool,
    /// It was asked to reboot.
    pub rebooting: bool,
    /// Images that run something newer now, by their place in the plan.
    pub updated: Vec<usize>,
    /// An image that went back by itself, or could not.
    pub image_trouble: Option<Verdict>,
    /// What a person should know although all is well.
    pub told: Vec<String>,
    pub turn: Option<Turn>,
    /// How many files were kept, for those that need names of their own.
    pub files: usize,
    begun: Instant,
    phase: Option<(HostPhase, Instant)>,
}

/// A host that another process had brought to its end.
pub(super) async fn done_before(
    shared: Arc<Shared>,
    job: PatchJob,
    index: usize,
    past: HostPast,
    outcome: PatchOutcome,
) -> Result<Done, String> {
    // It may have died between the host's end and the tidying up behind it.
    let mut host = Host::new(shared, job, index, past);
    host.forget(outcome).await;
    host.link.close().await;
    Ok(Done {
        index,
        outcome,
        is_open: false,
    })
}

/// Treats one host. Fails only if the journal cannot be written.
pub(super) async fn treat(
    shared: Arc<Shared>,
    job: PatchJob,
    index: usize,
    past: HostPast,
) -> Result<Done, String> {
    let mut host = Host::new(shared, job, index, past);
    let verdict = match host.course().await {
        Ok(verdict) | Err(Halt::Ends(verdict)) => verdict,
        Err(Halt::Lost(error)) => host.lost(&error)?,
        Err(Halt::Journal(why)) => return Err(why),
    };
    host.finish(verdict).await
}

impl Host {
    fn new(shared: Arc<Shared>, job: PatchJob, index: usize, past: HostPast) -> Host {
        Host {
            link: Link::new(job.target.clone(), Arc::clone(&shared)),
            plan: HostPlan::default(),
            before: None,
            health: Health::default(),
            health_at: None,
            boot_id: String::new(),
            latest: None,
            begun_jobs: past.jobs.keys().cloned().collect(),
            rebooted: false,
            rebooting: past.reboots.iter().any(|r| r.from.is_some()),
            updated: Vec::new(),
            image_trouble: None,
            told: Vec::new(),
            turn: None,
            files: 0,
            begun: Instant::now(),
            phase: None,
            shared,
            job,
            index,
            past,
        }
    }

    pub fn name(&self) -> &str {
        &self.job.target.name
    }

    pub fn patch(&self) -> Arc<Patch> {
        Arc::clone(&self.shared.settings.patch)
    }

    pub fn is_here(&self) -> bool {
        self.job.target.via == Via::Local
    }

    pub fn tell(&self, event: PatchEvent) -> Step<()> {
        Ok(self.shared.tell(event)?)
    }

    pub fn note(&self, text: String) -> Step<()> {
        Ok(self.shared.recorder.event(Event::Note {
            host: Some(self.name().to_owned()),
            text,
        })?)
    }

    /// From the first look to the verdict.
    async fn course(&mut self) -> Step<Verdict> {
        self.prepare().await?;
        if self.plan.repairs.is_empty() {
            self.download().await?;
        }
        self.wait().await?;
        if let Some(why) = self.past.back.clone() {
            self.recall().await?;
            return self.go_back(&why).await;
        }
        if !self.plan.repairs.is_empty() {
            // Half-installed packages keep the manager from fetching, and to finish them is a
            // change: it has its turn first.
            self.repair().await?;
            self.download().await?;
        }
        self.gate_before().await?;
        self.snapshot_hook().await?;
        if let Some(why) = self.change().await? {
            return self.fall_back(&why).await;
        }
        let verdict = self.prove().await?;
        self.soak(verdict).await
    }

    async fn wait(&mut self) -> Step<()> {
        let turns = Arc::clone(&self.shared.turns);
        if self.past.begun {
            self.turn = Some(turns.take_again(self.index).await);
            return Ok(());
        }
        if let Some(turn) = turns.take_now(self.index) {
            self.turn = Some(turn);
            return Ok(());
        }
        self.link.close().await;
        self.start(HostPhase::Wait)?;
        let (shared, host) = (Arc::clone(&self.shared), self.name().to_owned());
        let say = move |why: String| {
            let host = host.clone();
            shared.tell(PatchEvent::Waits { host, why })
        };
        match turns.take(self.index, &say).await? {
            Ok(turn) => self.turn = Some(turn),
            Err(refused) => {
                self.end(PhaseOutcome::Nothing, Some(refused.0.clone()))?;
                return Err(Halt::Ends(Verdict::of(PatchOutcome::NotStarted, refused.0)));
            }
        }
        self.end(PhaseOutcome::Well, None)
    }

    /// Watches with the whole wave; a host that is no longer healthy then goes back.
    async fn soak(&mut self, verdict: Verdict) -> Step<Verdict> {
        let shared = Arc::clone(&self.shared);
        let is_well = matches!(
            verdict.outcome,
            PatchOutcome::Patched | PatchOutcome::Waiting
        );
        if shared.settings.patch.soak.0.is_zero() || !is_well {
            return Ok(verdict);
        }
        self.turn = None;
        self.link.close().await;
        let mine = shared.turns.wave_of(self.index) + 1;
        let mut soaked = shared.turns.soaked.subscribe();
        let _ = shared.soaking.send(self.index);
        // The sender lives in what is shared.
        let _ = soaked.wait_for(|wave| *wave >= mine).await;
        self.turn = Some(shared.turns.take_again(self.index).await);
        self.latest = None;
        match self.gate_after("soaked").await? {
            None => Ok(verdict),
            Some(why) => self.fall_back(&format!("after the soak: {why}")).await,
        }
    }

    /// The host is not reached any more, or never was.
    fn lost(&mut self, error: &ReachError) -> Result<Verdict, String> {
        let reason = clean(&error.to_string(), 400);
        self.shared.recorder.event(Event::HostUnreachable {
            host: self.name().to_owned(),
            phase: error.phase,
            reason: clean(&error.reason, 400),
            hint: error.hint.as_deref().map(|h| clean(h, 400)),
        })?;
        if let Some((phase, _)) = self.phase
            && let Err(Halt::Journal(why)) = self.end(PhaseOutcome::Unknown, Some(reason.clone()))
        {
            return Err(format!("{why} (in {})", phase.word()));
        }
        let verdict = Verdict::of(PatchOutcome::Unknown, reason);
        Ok(if self.was_touched() {
            verdict.with_to_do(format!(
                "what was begun on the host goes on there by itself: `seawall patch resume {}` looks again",
                self.shared.settings.run.as_str()
            ))
        } else {
            verdict
        })
    }

    /// Whether something was begun on the host that goes on there, or waits to be judged.
    fn was_touched(&self) -> bool {
        !self.begun_jobs.is_empty() || self.rebooting
    }

    pub fn start(&mut self, phase: HostPhase) -> Step<()> {
        self.phase = Some((phase, Instant::now()));
        self.tell(PatchEvent::PhaseStarted {
            host: self.name().to_owned(),
            phase,
        })
    }

    /// Ends the phase that is under way.
    pub fn end(&mut self, outcome: PhaseOutcome, detail: Option<String>) -> Step<()> {
        let Some((phase, begun)) = self.phase.take() else {
            return Ok(());
        };
        if outcome == PhaseOutcome::Well {
            self.past.well.insert(phase);
        }
        self.tell(PatchEvent::PhaseEnded {
            host: self.name().to_owned(),
            phase,
            outcome,
            detail,
            millis: begun.elapsed().as_millis() as u64,
        })
    }

    /// Ends the host in the midst of a phase that failed.
    pub fn end_here<T>(&mut self, outcome: PatchOutcome, reason: String) -> Step<T> {
        self.end(PhaseOutcome::Failed, Some(reason.clone()))?;
        Err(Halt::Ends(Verdict::of(outcome, reason)))
    }

    async fn finish(mut self, verdict: Verdict) -> Result<Done, String> {
        if self.phase.is_some()
            && let Err(Halt::Journal(why)) = self.end(PhaseOutcome::Failed, verdict.reason.clone())
        {
            return Err(why);
        }
        let verdict = self.keep_images(verdict).await?;
        self.shared.turns.ended(self.index, verdict.counts);
        self.turn = None;
        self.shared.tell(PatchEvent::HostEnded {
            host: self.name().to_owned(),
            outcome: verdict.outcome,
            reason: verdict.reason,
            to_do: verdict.to_do,
            millis: self.begun.elapsed().as_millis() as u64,
        })?;
        self.forget(verdict.outcome).await;
        self.link.close().await;
        Ok(Done {
            index: self.index,
            outcome: verdict.outcome,
            is_open: verdict.outcome == PatchOutcome::Unknown && self.was_touched(),
        })
    }

    /// A name in the run's folder that no other file has.
    pub fn file_name(&mut self, what: &str, when: &str, end: &str) -> String {
        let nth = match self.files {
            0 => String::new(),
            more => format!("-{more}"),
        };
        self.files += 1;
        let tail = &self.shared.tail;
        file_name(&format!("{what}-{}-{when}{tail}{nth}.{end}", self.name()))
    }

    /// Keeps a snapshot in the run's folder, and says so.
    pub fn keep(&mut self, snapshot: &PatchSnapshot, when: &str, look: &Looked) -> Step<Kept> {
        let name = self.file_name("snapshot", when, "json");
        let text = serde_json::to_vec(snapshot).map_err(|e| e.to_string())?;
        let sha256 = self.shared.recorder.file(&name, &text)?;
        self.shared.recorder.event(Event::Observed {
            host: self.name().to_owned(),
            snapshot: name.clone(),
            sha256: sha256.clone(),
            millis: look.took.as_millis() as u64,
            bytes: look.bytes,
            when: when.to_owned(),
        })?;
        Ok(Kept { name, sha256 })
    }

    /// Reads back a file of the run's folder. `None`: it is gone, or is not what it was.
    pub fn kept(&self, kept: &Kept) -> Option<Vec<u8>> {
        if file_name(&kept.name) != kept.name {
            return None;
        }
        let bytes = std::fs::read(self.shared.settings.folder.join(&kept.name)).ok()?;
        (sha256(&bytes) == kept.sha256).then_some(bytes)
    }

    /// The snapshot of before, which is kept in its file alone: a fleet's would fill the memory.
    pub fn snapshot_before(&self) -> Option<PatchSnapshot> {
        let bytes = self.kept(self.before.as_ref()?)?;
        serde_json::from_slice(&bytes).ok()
    }

    /// What would be done to a host that looks so.
    pub fn decide(&self, snapshot: &PatchSnapshot) -> HostPlan {
        let settings = &self.shared.settings;
        let ground = Ground {
            patch: &settings.patch,
            advisories: &settings.advisories,
            today: self.today(),
            names: &self.job.names,
        };
        decide::decide(snapshot, &ground)
    }

    pub fn today(&self) -> jiff::civil::Date {
        (self.shared.now)().to_zoned(jiff::tz::TimeZone::UTC).date()
    }
}

/// How a look went.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Looked {
    pub took: Duration,
    pub bytes: u64,
}

//! A stage for the engine: a world of names that a fake provider fills and empties, on a virtual
//! clock, with troubles by script.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::time::Instant;

use super::{End, Live, RunError, Setup, Stop};
use crate::document::drill::{Proof, Step};
use crate::drill::clock::DrillClock;
use crate::drill::ledger::LedgerEntry;
use crate::drill::plan::Plan;
use crate::drill::provider::{
    DrillContext, Leftover, Pending, PhaseDone, ProofSaid, Provider, Readiness, StepContext,
    StepError, Watched,
};
use crate::journal::{Event, FixedClock, Journal, JournalReader, JournalWriter, PointNote, Record};
use crate::model::drill::{DrillPhase, ProofOutcome};

/// What there is: name → kind and content.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct World {
    pub(super) things: BTreeMap<String, (String, Option<u32>)>,
    pub(super) scratch: bool,
    /// The processes that hold the scratch.
    pub(super) locks: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trouble {
    Fail,
    /// Until it is told to stop.
    Hang,
    /// Until the end of time.
    Deaf,
    Panic,
    Doubt,
    /// It reaches for what is lost.
    Refuse,
}

/// What goes how. Default: all well.
#[derive(Clone, Default)]
pub(super) struct Script {
    /// In milliseconds; default 1000.
    pub(super) takes: BTreeMap<(String, DrillPhase), u64>,
    pub(super) trouble: BTreeMap<(String, DrillPhase), Trouble>,
    /// Only in a first attempt.
    pub(super) proofs: BTreeMap<String, ProofOutcome>,
    /// Steps whose proofs pass on nothing.
    pub(super) vacuous: BTreeSet<String>,
    pub(super) unmet: bool,
    /// In the controls.
    pub(super) panics: bool,
    /// Names that never go.
    pub(super) stuck: BTreeSet<String>,
    /// Made, and not in the ledger.
    pub(super) stray: bool,
}

#[derive(Default)]
pub(super) struct Fake {
    pub(super) world: Arc<Mutex<World>>,
    pub(super) script: Script,
    watched: Mutex<Watched>,
    /// What ought not to happen.
    pub(super) wrong: Mutex<Vec<String>>,
    /// Phases of which the future ended by itself.
    pub(super) told_to_stop: AtomicU64,
}

impl Fake {
    fn wrong(&self, text: String) {
        self.wrong.lock().unwrap().push(text);
    }

    fn filled(&self, step: &str) -> bool {
        let world = self.world.lock().unwrap();
        world
            .things
            .get(step)
            .is_some_and(|(_, content)| content.is_some())
    }
}

const GIGABYTE: u64 = 1 << 30;

impl Provider for Fake {
    fn name(&self) -> &'static str {
        "fake"
    }

    fn phases(&self, _: &Step) -> Vec<DrillPhase> {
        vec![
            DrillPhase::Locate,
            DrillPhase::Provision,
            DrillPhase::Restore,
        ]
    }

    fn prepare<'a>(&'a self, drill: &'a DrillContext) -> Pending<'a, Readiness> {
        Box::pin(async move {
            let known = self.world.lock().unwrap().scratch;
            if !known {
                let token = drill.ledger.intend(None, "scratch", "scratch").unwrap();
                self.world.lock().unwrap().scratch = true;
                drill.ledger.made(&token, "/scratch").unwrap();
            }
            self.world.lock().unwrap().locks += 1;
            Readiness {
                checks: vec![("free space".into(), !self.script.unmet, "some".into())],
                preexisting: vec!["warm caches".into()],
                enforced: vec!["paths".into()],
                not_enforced: vec!["the network".into()],
                endpoints: vec!["/store".into()],
            }
        })
    }

    fn control<'a>(
        &'a self,
        _: &'a DrillContext,
        step: &'a Step,
        _: &'a Proof,
    ) -> Pending<'a, ProofSaid> {
        Box::pin(async move {
            tokio::time::sleep(Duration::from_millis(100)).await;
            assert!(!self.script.panics, "the fake was told to panic");
            match self.script.vacuous.contains(&step.step) {
                true => said(ProofOutcome::Pass),
                false => said(ProofOutcome::Unknown),
            }
        })
    }

    fn carry_out<'a>(
        &'a self,
        phase: DrillPhase,
        context: &'a StepContext<'a>,
    ) -> Pending<'a, Result<PhaseDone, StepError>> {
        Box::pin(async move {
            let step = &context.step.step;
            for need in &context.step.needs {
                if !self.filled(need) {
                    self.wrong(format!("{step} works and {need} is not there"));
                }
            }
            let mut done = PhaseDone::default();
            let ledger = &context.drill.ledger;
            let mut token = None;
            if phase == DrillPhase::Provision {
                token = Some(ledger.intend(Some(step), "directory", step).unwrap());
                let known = self.world.lock().unwrap().things.contains_key(step);
                if known {
                    return Err(StepError::new(format!("{step} is there already")));
                }
                let thing = ("directory".to_owned(), None);
                self.world
                    .lock()
                    .unwrap()
                    .things
                    .insert(step.clone(), thing);
            }
            let takes = self.script.takes.get(&(step.clone(), phase));
            for _ in 0..10 {
                tokio::time::sleep(Duration::from_micros(takes.unwrap_or(&1000) * 100)).await;
                if context.progress.is_stopped() {
                    self.told_to_stop.fetch_add(1, Ordering::SeqCst);
                    return Err(StepError::new("told to stop"));
                }
            }
            match self.script.trouble.get(&(step.clone(), phase)) {
                Some(Trouble::Fail) => return Err(StepError::new("no such luck")),
                Some(Trouble::Hang) => {
                    while !context.progress.is_stopped() {
                        tokio::time::sleep(Duration::from_millis(100)).await;
                    }
                    self.told_to_stop.fetch_add(1, Ordering::SeqCst);
                    return Err(StepError::new("told to stop"));
                }
                Some(Trouble::Deaf) => std::future::pending::<()>().await,
                Some(Trouble::Panic) => panic!("the fake was told to panic"),
                Some(Trouble::Doubt) => done.doubts.push("no disk is that fast".into()),
                Some(Trouble::Refuse) => {
                    let seen = ("/primary".to_owned(), step.clone());
                    self.watched.lock().unwrap().refused.push(seen);
                    return Err(StepError {
                        reason: "it is lost".into(),
                        refused: Some("/primary".into()),
                    });
                }
                None => {}
            }
            match phase {
                DrillPhase::Locate => {
                    let seen = ("/store".to_owned(), step.clone());
                    self.watched.lock().unwrap().used.push(seen);
                    done.point = Some(point(step, context.drill));
                }
                DrillPhase::Provision => {
                    ledger.made(&token.unwrap_or_default(), step).unwrap();
                    if self.script.stray {
                        let thing = ("process".to_owned(), None);
                        let name = format!("stray of {step}");
                        self.world.lock().unwrap().things.insert(name, thing);
                    }
                }
                _ => {
                    let mut world = self.world.lock().unwrap();
                    match world.things.get_mut(step) {
                        Some((_, content)) => *content = Some(context.attempt),
                        None => self.wrong(format!("{step} is restored into nothing")),
                    }
                    (done.bytes, done.files) = (GIGABYTE, 7);
                }
            }
            Ok(done)
        })
    }

    fn prove<'a>(&'a self, context: &'a StepContext<'a>, _: &'a Proof) -> Pending<'a, ProofSaid> {
        Box::pin(async move {
            let step = &context.step.step;
            tokio::time::sleep(Duration::from_millis(200)).await;
            match self.script.proofs.get(step) {
                Some(outcome) => said(*outcome),
                None if self.filled(step) => said(ProofOutcome::Pass),
                None => said(ProofOutcome::Fail),
            }
        })
    }

    fn adopt<'a>(
        &'a self,
        _: &'a DrillContext,
        step: &'a Step,
        made: &'a [LedgerEntry],
    ) -> Pending<'a, Result<(), String>> {
        Box::pin(async move {
            match self.filled(&step.step) && made.iter().any(|e| e.name == step.step) {
                true => Ok(()),
                false => Err("it is not there any more".into()),
            }
        })
    }

    fn destroy<'a>(
        &'a self,
        drill: &'a DrillContext,
        entry: &'a LedgerEntry,
    ) -> Pending<'a, Result<(), String>> {
        Box::pin(async move {
            tokio::time::sleep(Duration::from_millis(10)).await;
            let _ = drill;
            if self.script.stuck.contains(&entry.name) {
                return Err("it is stuck".into());
            }
            let mut world = self.world.lock().unwrap();
            if entry.kind == "scratch" {
                if !world.things.is_empty() {
                    return Err("it is not empty".into());
                }
                world.scratch = false;
            } else {
                world.things.remove(&entry.name);
            }
            Ok(())
        })
    }

    fn leftovers<'a>(&'a self, _: &'a DrillContext) -> Pending<'a, Vec<Leftover>> {
        Box::pin(async move {
            let world = self.world.lock().unwrap();
            let left = world.things.iter().map(|(name, (kind, _))| Leftover {
                kind: kind.clone(),
                name: name.clone(),
            });
            left.collect()
        })
    }

    fn clear<'a>(
        &'a self,
        _: &'a DrillContext,
        leftover: &'a Leftover,
    ) -> Pending<'a, Result<(), String>> {
        Box::pin(async move {
            if self.script.stuck.contains(&leftover.name) {
                return Err("it is stuck".into());
            }
            self.world.lock().unwrap().things.remove(&leftover.name);
            Ok(())
        })
    }

    fn release<'a>(&'a self, _: &'a DrillContext) -> Pending<'a, Result<(), String>> {
        Box::pin(async move {
            let mut world = self.world.lock().unwrap();
            world.locks = world.locks.saturating_sub(1);
            Ok(())
        })
    }

    fn watched(&self) -> Watched {
        std::mem::take(&mut *self.watched.lock().unwrap())
    }
}

fn said(outcome: ProofOutcome) -> ProofSaid {
    ProofSaid {
        kind: "manifest",
        outcome,
        expected: "7 files".into(),
        read: "what there is".into(),
        at: "/scratch".into(),
    }
}

/// Of data that is an hour older than the disaster.
fn point(step: &str, drill: &DrillContext) -> PointNote {
    let hour = jiff::SignedDuration::from_hours(1);
    let data_time = drill.disaster.checked_sub(hour).unwrap();
    PointNote {
        source: step.into(),
        name: format!("{step}-1"),
        store: "local".into(),
        place: "here".into(),
        data_time: Some(data_time.to_string()),
        copy_time: None,
        size: GIGABYTE,
        sha256: None,
        signed: true,
        vouched: None,
        how: "latest of 1".into(),
        files: Some(7),
        bytes: Some(GIGABYTE),
    }
}

/// Where a drill is played.
pub(super) struct Stage {
    dir: tempfile::TempDir,
    pub(super) fake: Fake,
    pub(super) plan: Arc<Plan>,
    pub(super) boot_id: String,
    /// CLOCK_BOOTTIME is this, and the virtual time that has passed.
    pub(super) boottime_ms: u64,
    pub(super) wall: Arc<FixedClock>,
    pub(super) stop: Stop,
    pub(super) live: Live,
}

/// What was played.
pub(super) struct Played {
    pub(super) result: Result<End, RunError>,
    pub(super) records: Vec<Record>,
    /// The world right after each record was written.
    pub(super) worlds: Vec<World>,
    pub(super) world: World,
    pub(super) wrong: Vec<String>,
}

impl Played {
    #[track_caller]
    pub(super) fn end(&self) -> &End {
        self.result.as_ref().unwrap()
    }
}

/// How a stage is played.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum How {
    Run,
    Resume,
    Sweep,
    /// What a sealed run has left.
    Clear,
    /// A run whose future is dropped after two seconds.
    Dropped,
}

impl Stage {
    pub(super) fn new(plan: Plan) -> Stage {
        // In memory where that can be had: thousands of lines are synced.
        let dir = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir());
        let start = "2026-11-20T07:35:14Z".parse().unwrap();
        Stage {
            dir: dir.unwrap(),
            fake: Fake::default(),
            plan: Arc::new(plan),
            boot_id: "boot-1".into(),
            boottime_ms: 5_000_000,
            wall: Arc::new(FixedClock::new(start, 0)),
            stop: Stop::default(),
            live: Live::default(),
        }
    }

    /// Plays it on a runtime of its own, on which time is virtual.
    pub(super) fn play(self, how: How, former: &[Record]) -> Played {
        self.play_with(how, former, |_| {})
    }

    /// `beside` may start tasks, with the journal at hand.
    pub(super) fn play_with(
        self,
        how: How,
        former: &[Record],
        beside: impl FnOnce(&Setup),
    ) -> Played {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        let journal_dir = self.dir.path().join("run");
        let wall = self.wall.clone();
        let mut writer = JournalWriter::create(&journal_dir, wall.clone()).unwrap();
        if how != How::Clear {
            for record in former {
                writer.append(&record.event).unwrap();
            }
        }
        let journal = Journal::new(writer);
        let worlds = Arc::new(Mutex::new(Vec::new()));
        let (watch, keep) = (self.fake.world.clone(), worlds.clone());
        let fake = Arc::new(self.fake);
        let result = runtime.block_on(async {
            let (base, boottime) = (Instant::now(), self.boottime_ms);
            let source = move || {
                let passed = base.elapsed().as_millis();
                boottime + u64::try_from(passed).unwrap()
            };
            let setup = Setup {
                run: "20261120-073514-aaaa".into(),
                plan: self.plan.clone(),
                provider: fake.clone(),
                journal: journal.clone(),
                clock: Arc::new(DrillClock::new(source)),
                boot_id: self.boot_id.clone(),
                wall: wall.clone(),
                by: "me@here".into(),
                live: self.live.clone(),
                stop: self.stop.clone(),
                tell: None,
            };
            journal.subscribe(Box::new(move |_| {
                keep.lock().unwrap().push(watch.lock().unwrap().clone());
            }));
            beside(&setup);
            match how {
                How::Run => super::run(setup).await,
                How::Resume => super::resume(setup).await,
                How::Sweep => super::sweep(setup).await,
                How::Clear => super::clear(setup, former.to_vec()).await.map(|left| End {
                    verdict: crate::drill::verdict::judge(former),
                    code: 0,
                    left,
                }),
                How::Dropped => {
                    let limit = Duration::from_secs(2);
                    let done = tokio::time::timeout(limit, super::run(setup)).await;
                    tokio::task::yield_now().await;
                    done.unwrap_or_else(|_| Err(RunError::NotReady("dropped".into())))
                }
            }
        });
        drop(runtime);
        let records: Result<Vec<_>, _> = JournalReader::open(&journal_dir).unwrap().collect();
        let world = fake.world.lock().unwrap().clone();
        let wrong = fake.wrong.lock().unwrap().clone();
        let worlds = worlds.lock().unwrap().clone();
        Played {
            result,
            records: records.unwrap(),
            worlds,
            world,
            wrong,
        }
    }
}

/// The drill's events among records.
pub(super) fn drill_events(records: &[Record]) -> Vec<&crate::journal::DrillEvent> {
    records
        .iter()
        .filter_map(|record| match &record.event {
            Event::Drill(event) => Some(event),
            _ => None,
        })
        .collect()
}

//! Rollback: a run that was kept is taken back, whole or one rule of it.
//!
//! A whole run is undone by the undo program that it left on the host. One rule's share of a
//! file that other rules changed too is taken out by a change of its own, confirmed like any.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::journal::{Event, HostOutcome, StepOutcome};
use crate::reach::{Reach, Session, Target};
use crate::shell::{Nonce, clean};

use crate::host::act::{RunId, rollback_program};
use crate::host::plan::{self, FileWork, Plan, Step, Work};
use crate::host::probe;
use crate::host::prove;
use crate::host::rules::RuleSet;
use crate::host::snapshot::{Seen, Snapshot};

use super::apply::act;
use super::confirm::{await_undo, confirm};
use super::contact::{connect, say};
use super::{HostEnd, Job, Recorder, RunEnd, Settings, Shared};

/// How long the undo of a whole run may take.
const UNDO_LIMIT: Duration = Duration::from_secs(1800);

/// One host of the run that is taken back.
#[derive(Clone, Debug)]
pub struct Rollback {
    pub target: Target,
    /// What that run planned, from its folder.
    pub plan: Plan,
    /// What that run observed with, and what it saw before and after its changes.
    pub rules: Arc<RuleSet>,
    pub before: Snapshot,
    pub after: Snapshot,
}

/// Takes back `original` on all hosts: everything, or one rule's share.
///
/// `force`: also what was changed since by somebody else.
pub async fn rollback(
    hosts: Vec<Rollback>,
    original: RunId,
    rule: Option<String>,
    force: bool,
    settings: Settings,
    reach: Arc<dyn Reach>,
    recorder: Arc<dyn Recorder>,
) -> Result<RunEnd, String> {
    let shared = Arc::new(Shared {
        handshakes: Semaphore::new(settings.handshakes.max(1)),
        awaited: Semaphore::new(settings.handshakes.max(1)),
        sessions: Semaphore::new(settings.sessions.max(1)),
        settings,
        reach,
        recorder,
    });
    let mut tasks = JoinSet::new();
    for host in hosts {
        let task = OneHost {
            host,
            original: original.clone(),
            rule: rule.clone(),
            force,
            shared: Arc::clone(&shared),
        };
        tasks.spawn(async move {
            let _permit = task.shared.sessions.acquire().await;
            let begun = Instant::now();
            let name = task.host.target.name.clone();
            let (outcome, reason) = task.undo().await?;
            task.shared.recorder.event(Event::HostEnded {
                host: name.clone(),
                outcome,
                reason,
                millis: begun.elapsed().as_millis() as u64,
            })?;
            Ok::<HostEnd, String>(HostEnd {
                host: name,
                outcome,
                findings: Vec::new(),
            })
        });
    }
    let mut ends = Vec::new();
    while let Some(done) = tasks.join_next().await {
        ends.push(done.map_err(|e| format!("a host's task ended badly: {e}"))??);
    }
    ends.sort_by(|a, b| a.host.cmp(&b.host));
    Ok(RunEnd {
        hosts: ends,
        stopped: None,
    })
}

struct OneHost {
    host: Rollback,
    original: RunId,
    rule: Option<String>,
    force: bool,
    shared: Arc<Shared>,
}

type Outcome = (HostOutcome, Option<String>);

impl OneHost {
    async fn undo(&self) -> Result<Outcome, String> {
        let target = &self.host.target;
        let mut session = match connect(target, "rollback", &self.shared).await? {
            Ok(session) => session,
            Err(error) => {
                let reason = clean(&error.to_string(), 400);
                self.shared.recorder.event(Event::HostUnreachable {
                    host: target.name.clone(),
                    phase: error.phase,
                    reason: reason.clone(),
                    hint: error.hint,
                })?;
                return Ok((HostOutcome::Unknown, Some(reason)));
            }
        };
        let outcome = match &self.rule {
            None => {
                self.shared.recorder.event(Event::Planned {
                    host: target.name.clone(),
                    changes: self.host.plan.notes(),
                })?;
                self.undo_steps(session.as_mut(), &[]).await?
            }
            Some(rule) => self.undo_rule(session.as_mut(), rule).await?,
        };
        session.close().await;
        if outcome.0 == HostOutcome::Changed {
            return self.prove(outcome).await;
        }
        Ok(outcome)
    }

    /// A new log-in works, and what is seen is what was seen before the run.
    async fn prove(&self, outcome: Outcome) -> Result<Outcome, String> {
        let target = &self.host.target;
        // A daemon that was told to reload may be away for a moment.
        let until = Instant::now() + Duration::from_secs(20);
        let mut session = loop {
            match connect(target, "look", &self.shared).await? {
                Ok(session) => break session,
                Err(_) if Instant::now() < until => {
                    tokio::time::sleep(Duration::from_millis(300)).await;
                }
                Err(error) => {
                    let reason = format!("it was undone, but no new log-in works: {error}");
                    return Ok((HostOutcome::Failed, Some(clean(&reason, 400))));
                }
            }
        };
        let nonce = Nonce::draw();
        let program = self.host.rules.observe_program(&nonce);
        let limit = self.shared.settings.observe_limit;
        let said = say(session.as_mut(), &program, &nonce, limit, &mut |_| {}).await;
        session.close().await;
        let note = |text: String| {
            self.shared.recorder.event(Event::Note {
                host: Some(target.name.clone()),
                text,
            })
        };
        match said {
            Ok(said) if probe::is_whole(&said.frames) => {
                let now = probe::read(&said.frames, &self.host.rules.queries, &target.name, "");
                if self.rule.is_none() {
                    let differences = prove::differences(&self.host.before, &now);
                    if differences.is_empty() {
                        note("all that was observed is as it was before the run".into())?;
                    }
                    for line in differences {
                        note(format!("differs from before the run: {line}"))?;
                    }
                }
                Ok(outcome)
            }
            Ok(_) => Ok((
                HostOutcome::Unknown,
                Some("it was undone, but could not be observed to the end".into()),
            )),
            Err(error) => Ok((
                HostOutcome::Unknown,
                Some(clean(&format!("it was undone, but not seen: {error}"), 400)),
            )),
        }
    }

    /// Runs the undo program that the run left on the host.
    async fn undo_steps(
        &self,
        session: &mut dyn Session,
        steps: &[&str],
    ) -> Result<Outcome, String> {
        let nonce = Nonce::draw();
        let program = rollback_program(&self.original, steps, self.force, &nonce);
        let said = match say(session, &program, &nonce, UNDO_LIMIT, &mut |_| {}).await {
            Ok(said) => said,
            Err(error) => {
                let reason = format!("the undo was not seen to its end: {error}");
                return Ok((HostOutcome::Unknown, Some(clean(&reason, 400))));
            }
        };
        let Some(frame) = said.frames.iter().find(|f| f.kind == "undo") else {
            return Ok((
                HostOutcome::Unknown,
                Some("the host did not say how the undo ended".into()),
            ));
        };
        let text = frame.text();
        self.journal_steps(&text)?;
        if frame.status == 0 {
            return Ok((HostOutcome::Changed, None));
        }
        let reason = match frame.status {
            69 | 71 => clean(&text, 400),
            _ => format!(
                "not everything could be undone (--force undoes what was changed since): {}",
                clean(&failures(&text), 400)
            ),
        };
        Ok((HostOutcome::Failed, Some(reason)))
    }

    fn journal_steps(&self, log: &str) -> Result<(), String> {
        for line in log.lines() {
            let mut words = line.splitn(4, ' ');
            let (Some("step"), Some(step), Some(status)) =
                (words.next(), words.next(), words.next())
            else {
                continue;
            };
            let detail = clean(words.next().unwrap_or_default(), 400);
            let outcome = match status {
                "0" => StepOutcome::Undone,
                "73" => StepOutcome::Skipped,
                "75" => StepOutcome::Stale,
                _ => StepOutcome::UndoFailed,
            };
            self.shared.recorder.event(Event::StepEnded {
                host: self.host.target.name.clone(),
                step: clean(step, 20),
                outcome,
                detail: (!detail.is_empty()).then_some(detail),
            })?;
        }
        Ok(())
    }

    /// Takes one rule's share back: its own steps by the undo program, its share of files that
    /// other rules changed too by a change of its own.
    async fn undo_rule(&self, session: &mut dyn Session, rule: &str) -> Result<Outcome, String> {
        let share = match share_of(&self.host.plan, rule, &self.host.before, &self.host.after) {
            Ok(share) => share,
            Err(why) => return Ok((HostOutcome::Failed, Some(why))),
        };
        if share.own.is_empty() && share.plan.is_empty() {
            let why = format!(
                "run {} changed nothing for rule {rule}",
                self.original.as_str()
            );
            return Ok((HostOutcome::Failed, Some(why)));
        }
        if !share.plan.is_empty() {
            let outcome = self.change_back(session, &share.plan).await?;
            if outcome.0 != HostOutcome::Changed {
                return Ok(outcome);
            }
        }
        if share.own.is_empty() {
            return Ok((HostOutcome::Changed, None));
        }
        if share.plan.is_empty() {
            let mut changes = self.host.plan.notes();
            changes.retain(|note| share.own.contains(&note.step));
            self.shared.recorder.event(Event::Planned {
                host: self.host.target.name.clone(),
                changes,
            })?;
        }
        let own: Vec<&str> = share.own.iter().map(String::as_str).collect();
        self.undo_steps(session, &own).await
    }

    async fn change_back(&self, session: &mut dyn Session, plan: &Plan) -> Result<Outcome, String> {
        let shared = &self.shared;
        let target = &self.host.target;
        shared.recorder.event(Event::Planned {
            host: target.name.clone(),
            changes: plan.notes(),
        })?;
        let job = Job {
            target: target.clone(),
            rules: Arc::clone(&self.host.rules),
        };
        let acted = match act(&job, session, plan, shared).await? {
            Ok(acted) => acted,
            Err(error) => {
                let why = clean(&error.to_string(), 400);
                await_undo(target, shared, &shared.settings.run, &why).await?;
                return Ok((HostOutcome::Failed, Some(why)));
            }
        };
        if let Some(why) = acted.refused {
            return Ok((HostOutcome::Failed, Some(why)));
        }
        if let Some((outcome, detail)) = acted
            .outcomes
            .values()
            .find(|(outcome, _)| *outcome != StepOutcome::Done)
        {
            let why = match outcome {
                StepOutcome::Stale => "a file was changed since by somebody else".to_owned(),
                _ => detail.clone().unwrap_or_default(),
            };
            return Ok((HostOutcome::Failed, Some(why)));
        }
        match confirm(target, shared, &shared.settings.run).await? {
            Ok(()) => Ok((HostOutcome::Changed, None)),
            Err(why) => {
                await_undo(target, shared, &shared.settings.run, &why).await?;
                Ok((HostOutcome::Failed, Some(why)))
            }
        }
    }
}

/// The lines of an undo's log that say what went wrong.
fn failures(log: &str) -> String {
    let mut out = String::new();
    for line in log.lines() {
        let status = line.split(' ').nth(2).unwrap_or_default();
        if status != "0" && status != "73" {
            out.push_str(line);
            out.push_str("; ");
        }
    }
    out
}

/// What of a plan belongs to one rule.
#[derive(Debug, PartialEq, Eq)]
struct Share {
    /// Steps that serve this rule alone.
    own: Vec<String>,
    /// Changes that take this rule's edits out of files that it shares.
    plan: Plan,
}

fn share_of(plan: &Plan, rule: &str, before: &Snapshot, after: &Snapshot) -> Result<Share, String> {
    let mut share = Share {
        own: Vec::new(),
        plan: Plan::default(),
    };
    for step in plan.steps.iter().rev() {
        if !step.rules.iter().any(|r| r == rule) {
            continue;
        }
        if step.rules.len() == 1 {
            share.own.push(step.id.clone());
            continue;
        }
        let others: Vec<&str> = step
            .rules
            .iter()
            .map(String::as_str)
            .filter(|r| *r != rule)
            .collect();
        match &step.work {
            Work::File(work) => {
                let mut back = without(step, work, rule, before, after)?;
                back.id = format!("s{}", share.plan.steps.len() + 1);
                share.plan.steps.push(back);
            }
            Work::Script(_) => {
                return Err(format!(
                    "{} serves {} too, and cannot be undone for one of them alone",
                    step.target,
                    others.join(", ")
                ));
            }
        }
    }
    Ok(share)
}

/// The step that takes one rule's edits out of a file again, leaving the others'.
fn without(
    step: &Step,
    work: &FileWork,
    rule: &str,
    before: &Snapshot,
    after: &Snapshot,
) -> Result<Step, String> {
    let path = &work.path;
    let now = match after.files.get(path) {
        Some(Seen::Yes(state)) => Some(state.clone()),
        Some(Seen::Absent) => None,
        _ => return Err(format!("{path} was not seen after that run")),
    };
    let original = before.files.get(path).and_then(Seen::yes);
    let edits: Vec<_> = work
        .edits
        .iter()
        .filter(|(r, _)| r != rule)
        .cloned()
        .collect();
    let text = crate::host::edit::apply_all(
        edits.iter().map(|(_, e)| e),
        original.and_then(|f| f.content.yes()).map(String::as_str),
    );
    let current = now.as_ref().and_then(|f| f.content.yes()).cloned();
    let start = original.map_or_else(
        || crate::host::intent::Ownership::root(0o644),
        |f| crate::host::intent::Ownership {
            owner: f.owner.clone(),
            group: f.group.clone(),
            mode: f.mode,
        },
    );
    let own = match original {
        Some(_) => plan::ownership(None, &start, edits.iter().map(|(_, e)| e)),
        None => None,
    };
    let back = FileWork {
        path: path.clone(),
        remove: text.is_none() && current.is_some(),
        content: text.filter(|t| Some(t) != current.as_ref()),
        directory: false,
        own,
        before: now,
        edits,
        ..work.clone()
    };
    Ok(Step {
        diff: crate::host::edit::unified_diff(
            path,
            current.as_deref(),
            back.content.as_deref().or(if back.remove {
                None
            } else {
                current.as_deref()
            }),
        ),
        rules: vec![rule.to_owned()],
        work: Work::File(back),
        ..step.clone()
    })
}

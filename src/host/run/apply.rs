//! One host through a check or an apply.

use std::time::{Duration, Instant};

use crate::journal::{Event, HostOutcome, StepOutcome};
use crate::model::Finding;
use crate::reach::{ReachError, Session};
use crate::shell::{Frame, Nonce, clean};

use crate::host::act;
use crate::host::judge::{self, Judged};
use crate::host::plan::{self, Plan};
use crate::host::probe;
use crate::host::prove::{self, Outcomes};
use crate::host::snapshot::Snapshot;

use super::confirm::Settled;
use super::contact::{connect, say};
use super::{HostEnd, Job, Mode, Shared, falls_short};

/// How long the undo of what earlier runs left may take.
const SETTLE_LIMIT: Duration = Duration::from_secs(1800);

/// A host's end, with the reason that its event gives.
type End = (HostEnd, Option<String>);

/// Treats one host. Fails only if the journal cannot be written.
pub(super) async fn treat(job: &Job, shared: &Shared) -> Result<End, String> {
    let mut session = match connect(&job.target, "observe", shared).await? {
        Ok(session) => session,
        Err(error) => return unreachable(job, &error, shared),
    };
    let end = treat_session(job, session.as_mut(), shared).await;
    session.close().await;
    end
}

async fn treat_session(
    job: &Job,
    session: &mut dyn Session,
    shared: &Shared,
) -> Result<End, String> {
    let mut looked = match look(job, session, shared).await {
        Ok(looked) => looked,
        Err(error) => return unreachable(job, &error, shared),
    };
    if let Some(run) = looked.snapshot.facts.pending_run.clone() {
        if shared.settings.mode == Mode::Apply && settle(job, session, shared).await? {
            looked = match look(job, session, shared).await {
                Ok(looked) => looked,
                Err(error) => return unreachable(job, &error, shared),
            };
        } else {
            let text = format!("run {run} is waiting on this host to be kept or undone");
            note(job, shared, text)?;
        }
    }
    let before = looked.keep(job, "before", shared)?;
    let mut judged = judge::judge(&job.rules, &before, shared.settings.today);
    // A check only asks whether each rule could be mended; it puts no plan together.
    let check = shared.settings.mode == Mode::Check;
    let wanted = |rule: &str| !check && (shared.settings.wanted)(rule);
    let plan = plan::plan(&job.rules, &mut judged, &before, &wanted);
    if shared.settings.mode == Mode::DryRun && !plan.is_empty() {
        shared.recorder.event(Event::Planned {
            host: job.target.name.clone(),
            changes: plan.notes(),
        })?;
    }
    if shared.settings.mode != Mode::Apply || plan.is_empty() {
        let findings = only_findings(judged);
        let outcome = if falls_short(&findings) {
            HostOutcome::Findings
        } else {
            HostOutcome::Clean
        };
        return Ok((end(job, outcome, findings), None));
    }
    Change {
        job,
        shared,
        before,
        judged,
        plan,
    }
    .carry_out(session)
    .await
}

/// Has the host undo what runs left that nobody watches over any more; whether there was any.
async fn settle(job: &Job, session: &mut dyn Session, shared: &Shared) -> Result<bool, String> {
    let nonce = Nonce::draw();
    let program = act::settle_program(&nonce);
    let mut frames = Vec::new();
    // Where it fails, the act program says why it cannot begin.
    let _ = say(session, &program, &nonce, SETTLE_LIMIT, &mut |frame| {
        frames.push(frame.clone());
    })
    .await;
    let mut any = false;
    for frame in frames.iter().filter(|f| f.kind == "settled") {
        any = true;
        note_settled(job, shared, frame)?;
    }
    Ok(any)
}

fn note_settled(job: &Job, shared: &Shared, frame: &Frame) -> Result<(), String> {
    let run = clean(&frame.name, 64);
    let text = if frame.status == 0 {
        format!("run {run} was never confirmed and its watchdog is gone: it was undone first")
    } else {
        format!(
            "run {run} was never confirmed and its watchdog is gone: it could not be undone wholly: {}",
            clean(&frame.text(), 400)
        )
    };
    note(job, shared, text)
}

fn note(job: &Job, shared: &Shared, text: String) -> Result<(), String> {
    shared.recorder.event(Event::Note {
        host: Some(job.target.name.clone()),
        text,
    })
}

fn only_findings(judged: Vec<Judged>) -> Vec<Finding> {
    judged.into_iter().map(|j| j.finding).collect()
}

fn end(job: &Job, outcome: HostOutcome, findings: Vec<Finding>) -> HostEnd {
    HostEnd {
        host: job.target.name.clone(),
        outcome,
        findings,
    }
}

/// The host was not seen, or not to the end: every rule is unknown.
fn unreachable(job: &Job, error: &ReachError, shared: &Shared) -> Result<End, String> {
    let host = job.target.name.clone();
    let reason = clean(&error.to_string(), 400);
    shared.recorder.event(Event::HostUnreachable {
        host: host.clone(),
        phase: error.phase,
        reason: clean(&error.reason, 400),
        hint: error.hint.as_deref().map(|h| clean(h, 400)),
    })?;
    let findings = judge::unseen(
        &job.rules,
        &host,
        &format!("the host was not seen: {reason}"),
    );
    Ok((end(job, HostOutcome::Unknown, findings), Some(reason)))
}

/// An observation that is not kept yet.
struct Looked {
    snapshot: Snapshot,
    took: Duration,
    bytes: u64,
}

impl Looked {
    fn keep(self, job: &Job, when: &str, shared: &Shared) -> Result<Snapshot, String> {
        keep_snapshot(job, &self.snapshot, when, self.took, self.bytes, shared)?;
        Ok(self.snapshot)
    }
}

/// Observes, and keeps the snapshot in the run's folder.
async fn observe(
    job: &Job,
    session: &mut dyn Session,
    when: &str,
    shared: &Shared,
) -> Result<Result<Snapshot, ReachError>, String> {
    Ok(match look(job, session, shared).await {
        Ok(looked) => Ok(looked.keep(job, when, shared)?),
        Err(error) => Err(error),
    })
}

async fn look(job: &Job, session: &mut dyn Session, shared: &Shared) -> Result<Looked, ReachError> {
    let nonce = Nonce::draw();
    let program = job.rules.observe_program(&nonce);
    let begun = Instant::now();
    let taken = jiff::Timestamp::now().to_string();
    let limit = shared.settings.observe_limit;
    let said = say(session, &program, &nonce, limit, &mut |_| {}).await?;
    if !probe::is_whole(&said.frames) {
        return Err(ReachError::new(
            crate::model::Phase::Run,
            "the program ended before it had observed everything",
        ));
    }
    let snapshot = probe::read(&said.frames, &job.rules.queries, &job.target.name, &taken);
    Ok(Looked {
        snapshot,
        took: begun.elapsed(),
        bytes: said.bytes,
    })
}

fn keep_snapshot(
    job: &Job,
    snapshot: &Snapshot,
    when: &str,
    took: Duration,
    bytes: u64,
    shared: &Shared,
) -> Result<(), String> {
    let name = file_name("snapshot", &job.target.name, when);
    let text = serde_json::to_vec(snapshot).map_err(|e| e.to_string())?;
    let sha256 = shared.recorder.file(&name, &text)?;
    shared.recorder.event(Event::Observed {
        host: job.target.name.clone(),
        snapshot: name,
        sha256,
        millis: took.as_millis() as u64,
        bytes,
        when: when.to_owned(),
    })
}

/// A file name in the run's folder: hosts' names may hold anything.
pub fn file_name(what: &str, host: &str, when: &str) -> String {
    let safe: String = host
        .chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_') {
                c
            } else {
                '_'
            }
        })
        .collect();
    // Two hosts whose names differ only in replaced characters must not share a file.
    let tail = if safe == host {
        String::new()
    } else {
        format!("-{}", &plan::text_hash(host)[..8])
    };
    format!("{what}-{safe}{tail}-{when}.json")
}

/// A change of one host under way.
struct Change<'a> {
    job: &'a Job,
    shared: &'a Shared,
    before: Snapshot,
    judged: Vec<Judged>,
    plan: Plan,
}

impl Change<'_> {
    async fn carry_out(self, session: &mut dyn Session) -> Result<End, String> {
        let (job, shared) = (self.job, self.shared);
        let host = &job.target.name;
        let text = serde_json::to_vec(&self.plan).map_err(|e| e.to_string())?;
        shared
            .recorder
            .file(&file_name("plan", host, "act"), &text)?;
        let text = serde_json::to_vec(&job.rules.queries).map_err(|e| e.to_string())?;
        shared
            .recorder
            .file(&file_name("queries", host, "act"), &text)?;
        // What it was like before: the report sets the two beside each other.
        shared.recorder.event(Event::Judged {
            host: host.clone(),
            findings: self.judged.iter().map(|j| j.finding.clone()).collect(),
        })?;
        shared.recorder.event(Event::Planned {
            host: host.clone(),
            changes: self.plan.notes(),
        })?;
        let acted = match act(job, session, &self.plan, shared).await? {
            Ok(acted) => acted,
            Err(error) => return self.lost(&error).await,
        };
        if let Some(why) = acted.refused {
            return self.refused(why);
        }
        let any_done = acted.any_done();
        let Some(after) = acted.after else {
            let error = ReachError::new(
                crate::model::Phase::Run,
                "the host did not say how the changes ended",
            );
            return self.lost(&error).await;
        };
        if !any_done {
            let after = judge::judge(&job.rules, &after, shared.settings.today);
            let findings = prove::after_change(&self.judged, after, &self.plan, &acted.outcomes);
            let reason = "none of the changes could be made".to_owned();
            return Ok((end(job, HostOutcome::Failed, findings), Some(reason)));
        }
        match super::confirm::confirm(&job.target, shared, &shared.settings.run).await? {
            Ok(()) => self.kept(&after, &acted.outcomes),
            Err(why) => self.not_kept(&why).await,
        }
    }

    /// Kept: what was observed after the act is what counts.
    fn kept(self, after: &Snapshot, outcomes: &Outcomes) -> Result<End, String> {
        let after = judge::judge(&self.job.rules, after, self.shared.settings.today);
        let findings = prove::after_change(&self.judged, after, &self.plan, outcomes);
        let failed = outcomes
            .values()
            .any(|(o, _)| matches!(o, StepOutcome::Failed | StepOutcome::UndoFailed));
        let outcome = if failed {
            HostOutcome::Failed
        } else if falls_short(&findings) {
            HostOutcome::Findings
        } else {
            HostOutcome::Changed
        };
        let reason = failed.then(|| "some changes could not be made".to_owned());
        Ok((end(self.job, outcome, findings), reason))
    }

    /// The host would not begin: nothing was changed.
    fn refused(self, why: String) -> Result<End, String> {
        let mut findings = only_findings(self.judged);
        for finding in &mut findings {
            if finding.status == crate::model::Status::Fail && finding.fixable {
                finding.reason = Some(why.clone());
            }
        }
        Ok((end(self.job, HostOutcome::Failed, findings), Some(why)))
    }

    /// The connection was lost while the host was being changed. It is not told to keep, so it
    /// undoes the run by itself.
    async fn lost(self, error: &ReachError) -> Result<End, String> {
        let reason = clean(&error.to_string(), 400);
        self.shared.recorder.event(Event::HostUnreachable {
            host: self.job.target.name.clone(),
            phase: error.phase,
            reason: clean(&error.reason, 400),
            hint: error.hint.clone(),
        })?;
        self.not_kept(&reason).await
    }

    /// Waits until the host has undone the run, and looks at it again.
    async fn not_kept(self, why: &str) -> Result<End, String> {
        let (job, shared) = (self.job, self.shared);
        let settled =
            super::confirm::await_undo(&job.target, shared, &shared.settings.run, why).await?;
        let (mut session, how) = match settled {
            Settled::Undone(session) => (session, "the host has undone the run by itself"),
            Settled::NotBegun(session) => (session, "the host knows nothing of the run"),
            Settled::Kept(session) => (session, ""),
            Settled::NotSeen => {
                let reason = format!(
                    "{why}; and the host was not seen to undo the run (it does so by itself, unless it is down)"
                );
                let findings = judge::unseen(&job.rules, &job.target.name, &reason);
                return Ok((end(job, HostOutcome::Unknown, findings), Some(reason)));
            }
        };
        let seen = observe(job, session.as_mut(), "undone", shared).await?;
        session.close().await;
        match seen {
            Ok(snapshot) => {
                let differences = prove::differences(&self.before, &snapshot);
                let reason = match (how, differences.is_empty()) {
                    ("", true) => format!("{why}; nothing that was looked at is changed"),
                    ("", false) => format!(
                        "{why}; but the host has kept the run: rollback {} takes it back",
                        shared.settings.run.as_str()
                    ),
                    (how, _) => format!("{why}; {how}"),
                };
                if how.is_empty() && !differences.is_empty() {
                    shared.recorder.event(Event::Confirmed {
                        host: job.target.name.clone(),
                    })?;
                    note(
                        job,
                        shared,
                        "the host has kept the run: a keep reached it whose answer was lost".into(),
                    )?;
                }
                for line in differences {
                    shared.recorder.event(Event::Note {
                        host: Some(job.target.name.clone()),
                        text: format!("differs from before the run: {line}"),
                    })?;
                }
                let judged = judge::judge(&job.rules, &snapshot, shared.settings.today);
                let findings = only_findings(judged);
                Ok((end(job, HostOutcome::Failed, findings), Some(reason)))
            }
            Err(error) => unreachable(job, &error, shared),
        }
    }
}

/// What the act program said.
pub(super) struct Acted {
    pub outcomes: Outcomes,
    /// The observation after it; `None` if the program did not come to its end.
    pub after: Option<Snapshot>,
    /// Why it would not begin.
    pub refused: Option<String>,
}

impl Acted {
    pub(super) fn any_done(&self) -> bool {
        self.outcomes
            .values()
            .any(|(o, _)| matches!(o, StepOutcome::Done | StepOutcome::UndoFailed))
    }
}

/// Sends the act program, and journals what it says as it says it.
pub(super) async fn act(
    job: &Job,
    session: &mut dyn Session,
    plan: &Plan,
    shared: &Shared,
) -> Result<Result<Acted, ReachError>, String> {
    let settings = &shared.settings;
    let host = &job.target.name;
    let nonce = Nonce::draw();
    let window = settings.window.as_secs();
    let program = act::act_program(
        &settings.run,
        plan,
        window,
        job.rules.observe_parts(),
        &nonce,
    )
    .map_err(|e| e.to_string())?;
    let begun = Instant::now();
    let taken = jiff::Timestamp::now().to_string();
    let mut outcomes = Outcomes::new();
    let mut trouble = None;
    let said = {
        let mut each = |frame: &Frame| {
            let result = match frame.kind.as_str() {
                "armed" => shared.recorder.event(Event::ConfirmArmed {
                    host: host.clone(),
                    window_seconds: window,
                }),
                "step" => {
                    let (outcome, detail) = step_outcome(frame);
                    if frame.status != 0 || !outcomes.contains_key(&frame.name) {
                        outcomes.insert(frame.name.clone(), (outcome, detail.clone()));
                    }
                    shared.recorder.event(Event::StepEnded {
                        host: host.clone(),
                        step: frame.name.clone(),
                        outcome,
                        detail,
                    })
                }
                "settled" => note_settled(job, shared, frame),
                _ => Ok(()),
            };
            if let Err(error) = result {
                trouble = Some(error);
            }
        };
        // The program's own watchdog bounds what it changes; this only bounds our patience.
        let limit = Duration::from_secs(3600 * 4);
        say(session, &program, &nonce, limit, &mut each).await
    };
    if let Some(error) = trouble {
        return Err(error);
    }
    let said = match said {
        Ok(said) => said,
        Err(error) => return Ok(Err(error)),
    };
    let ended = said
        .frames
        .iter()
        .find(|f| f.kind == "end" && f.name == "act");
    let refused = ended
        .filter(|f| f.status != act::ended::WELL)
        .map(|f| clean(&f.text(), 400));
    let after = if ended.is_some() && refused.is_none() && probe::is_whole(&said.frames) {
        let after = probe::read(&said.frames, &job.rules.queries, host, &taken);
        keep_snapshot(job, &after, "after", begun.elapsed(), said.bytes, shared)?;
        Some(after)
    } else {
        None
    };
    Ok(Ok(Acted {
        outcomes,
        after,
        refused,
    }))
}

fn step_outcome(frame: &Frame) -> (StepOutcome, Option<String>) {
    let outcome = match frame.status {
        0 => StepOutcome::Done,
        2 => StepOutcome::UndoFailed,
        73 => StepOutcome::Skipped,
        75 => StepOutcome::Stale,
        _ => StepOutcome::Failed,
    };
    let detail = clean(&frame.text(), 600);
    (outcome, (!detail.is_empty()).then_some(detail))
}

//! Confirm: a fresh connection, log-in and sudo, then "keep". Where that fails, the host undoes
//! the run by itself, and we look whether it has.

use std::time::{Duration, Instant};

use crate::journal::Event;
use crate::model::Phase;
use crate::reach::{ReachError, Session, Target};
use crate::shell::{Nonce, clean};

use crate::host::act::{RunId, keep_program, state_program};

use super::Shared;
use super::contact::{connect, say};

/// Between two attempts to log in.
const PAUSE: Duration = Duration::from_secs(1);

/// How long one question may take.
const QUESTION: Duration = Duration::from_secs(30);

/// Proves that a new log-in with the needed rights works, and tells the host to keep the run.
///
/// `Err` says why it was not kept: the host undoes it.
pub(super) async fn confirm(
    target: &Target,
    shared: &Shared,
    run: &RunId,
) -> Result<Result<(), String>, String> {
    let host = &target.name;
    // Some seconds before the host decides by itself, so that no keep crosses its undo unseen.
    let window = shared.settings.window;
    let until = Instant::now() + window.saturating_sub(Duration::from_secs(3).min(window / 3));
    let mut last;
    loop {
        match tokio::time::timeout_at(until.into(), keep(target, shared, run)).await {
            Ok(answer) => match answer? {
                Ok(()) => {
                    shared
                        .recorder
                        .event(Event::Confirmed { host: host.clone() })?;
                    return Ok(Ok(()));
                }
                Err(Refusal::TooLate(state)) => {
                    last = format!("the host had already decided: {state}");
                    break;
                }
                Err(Refusal::NotReached(error)) => last = clean(&error.to_string(), 400),
            },
            Err(_) => {
                last = "a new log-in did not come about in time".to_owned();
                break;
            }
        }
        if Instant::now() + PAUSE >= until {
            break;
        }
        tokio::time::sleep(PAUSE).await;
    }
    let reason = format!("no new log-in after the change: {last}");
    shared.recorder.event(Event::ConfirmFailed {
        host: host.clone(),
        reason: reason.clone(),
    })?;
    Ok(Err(reason))
}

enum Refusal {
    NotReached(ReachError),
    TooLate(String),
}

async fn keep(
    target: &Target,
    shared: &Shared,
    run: &RunId,
) -> Result<Result<(), Refusal>, String> {
    let mut session = match connect(target, "confirm", shared).await? {
        Ok(session) => session,
        Err(error) => return Ok(Err(Refusal::NotReached(error))),
    };
    let nonce = Nonce::draw();
    let program = keep_program(run, &nonce);
    let said = say(session.as_mut(), &program, &nonce, QUESTION, &mut |_| {}).await;
    session.close().await;
    let said = match said {
        Ok(said) => said,
        Err(error) => return Ok(Err(Refusal::NotReached(error))),
    };
    Ok(match said.frames.iter().find(|f| f.kind == "keep") {
        Some(frame) if frame.status == 0 => Ok(()),
        Some(frame) => Err(Refusal::TooLate(clean(&frame.text(), 100))),
        None => Err(Refusal::NotReached(ReachError::new(
            Phase::Run,
            "the host did not answer the keep",
        ))),
    })
}

/// How a run that was not confirmed ended on its host, with the session over which it was seen.
pub(super) enum Settled {
    Undone(Box<dyn Session>),
    /// The host keeps it: a keep came through whose answer did not, or nothing was changed at all.
    Kept(Box<dyn Session>),
    /// It knows nothing of the run: it was not begun.
    NotBegun(Box<dyn Session>),
    /// It was not seen in time.
    NotSeen,
}

/// Waits until the host has undone the run, or says that it will not.
pub(super) async fn await_undo(
    target: &Target,
    shared: &Shared,
    run: &RunId,
    why: &str,
) -> Result<Settled, String> {
    // The undo itself takes time too (a package that comes back, a service that restarts).
    let until = Instant::now() + shared.settings.window + Duration::from_secs(90);
    let host = &target.name;
    let mut told = false;
    while Instant::now() < until {
        let patience = Instant::now() + Duration::from_secs(30);
        if let Ok(opened) =
            tokio::time::timeout_at(patience.into(), connect(target, "look", shared)).await
            && let Ok(mut session) = opened?
        {
            match ask(session.as_mut(), run).await {
                Some((state, log)) if state.starts_with("undone") => {
                    shared.recorder.event(Event::Undone {
                        host: host.clone(),
                        by: "host".into(),
                        steps: undone_steps(&log),
                        detail: (state != "undone 0").then(|| clean(&log, 600)),
                    })?;
                    return Ok(Settled::Undone(session));
                }
                Some((state, _)) if state == "kept" => return Ok(Settled::Kept(session)),
                Some((state, _)) if state == "gone" => return Ok(Settled::NotBegun(session)),
                Some((state, _)) if !told => {
                    told = true;
                    shared.recorder.event(Event::Note {
                        host: Some(host.clone()),
                        text: format!(
                            "{why}; the run is {state} on the host, waiting for its undo"
                        ),
                    })?;
                }
                _ => {}
            }
            session.close().await;
        }
        tokio::time::sleep(PAUSE).await;
    }
    Ok(Settled::NotSeen)
}

async fn ask(session: &mut dyn Session, run: &RunId) -> Option<(String, String)> {
    let nonce = Nonce::draw();
    let program = state_program(run, &nonce);
    let said = say(session, &program, &nonce, QUESTION, &mut |_| {})
        .await
        .ok()?;
    let text = |kind: &str| {
        said.frames
            .iter()
            .find(|f| f.kind == kind)
            .map(|f| f.text().into_owned())
    };
    Some((text("state")?, text("log").unwrap_or_default()))
}

/// The steps that an undo's log says are undone.
pub(super) fn undone_steps(log: &str) -> Vec<String> {
    log.lines()
        .filter_map(|line| {
            let mut words = line.split(' ');
            match (words.next(), words.next(), words.next()) {
                (Some("step"), Some(step), Some("0")) => Some(clean(step, 20)),
                _ => None,
            }
        })
        .collect()
}

//! One host: opening a connection, and running a program over it, with events.

use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;

use crate::journal::Event;
use crate::model::Phase;
use crate::reach::{Ended, Reach, ReachError, Session, Target};
use crate::shell::{Frame, FrameError, FrameReader, Limits, Nonce, clean};

use super::{Recorder, Shared};

/// Opens a new connection and says so in the journal.
pub(crate) async fn connect(
    target: &Target,
    purpose: &str,
    shared: &Shared,
) -> Result<Result<Box<dyn Session>, ReachError>, String> {
    let permits = match purpose {
        "confirm" => &shared.awaited,
        _ => &shared.handshakes,
    };
    open(
        target,
        purpose,
        permits,
        shared.reach.as_ref(),
        shared.recorder.as_ref(),
    )
    .await
}

/// As [`connect`], for runs of other kinds.
pub(crate) async fn open(
    target: &Target,
    purpose: &str,
    permits: &Semaphore,
    reach: &dyn Reach,
    recorder: &dyn Recorder,
) -> Result<Result<Box<dyn Session>, ReachError>, String> {
    let _permit = permits.acquire().await;
    let begun = Instant::now();
    match reach.connect(target).await {
        Ok(session) => {
            recorder.event(Event::HostConnected {
                host: target.name.clone(),
                purpose: purpose.to_owned(),
                connection: session.facts().clone(),
                millis: begun.elapsed().as_millis() as u64,
            })?;
            Ok(Ok(session))
        }
        Err(error) => Ok(Err(error)),
    }
}

/// What a program said.
pub(crate) struct Said {
    pub frames: Vec<Frame>,
    pub bytes: u64,
}

/// Runs a program and gathers its frames; each goes through `each` as it comes.
///
/// Fails where the stream cannot be believed, or the program ended without a frame.
pub(crate) async fn say(
    session: &mut dyn Session,
    program: &str,
    nonce: &Nonce,
    limit: Duration,
    each: &mut (dyn FnMut(&Frame) + Send),
) -> Result<Said, ReachError> {
    let mut reader = FrameReader::new(nonce, Limits::default());
    let mut frames = Vec::new();
    let mut broken: Option<FrameError> = None;
    let ended = {
        let mut take = |bytes: &[u8]| {
            if let Err(error) = reader.push(bytes) {
                broken = Some(error);
                return ControlFlow::Break(());
            }
            while let Some(frame) = reader.next_frame() {
                each(&frame);
                frames.push(frame);
            }
            ControlFlow::Continue(())
        };
        session.run(program, limit, &mut take).await
    };
    if let Some(error) = broken {
        return Err(ReachError::new(Phase::Run, error.to_string())
            .hint("the host sent what our program never sends: look at it from another side"));
    }
    let ended = match ended {
        Ok(ended) => ended,
        Err(error) => return Err(error),
    };
    if frames.is_empty() {
        return Err(silent(&ended));
    }
    Ok(Said {
        bytes: reader.bytes_seen() as u64,
        frames,
    })
}

/// The program said nothing at all: what we know of why.
fn silent(ended: &Ended) -> ReachError {
    let how = match (ended.status, &ended.signal) {
        (Some(status), _) => format!("with status {status}"),
        (None, Some(signal)) => format!("by signal {}", clean(signal, 20)),
        (None, None) => "without a status".to_owned(),
    };
    let stderr = clean(&String::from_utf8_lossy(&ended.stderr), 300);
    let said = if stderr.is_empty() {
        String::new()
    } else {
        format!(": {stderr}")
    };
    ReachError::new(
        Phase::Start,
        format!("the program ended {how} before it said anything{said}"),
    )
    .hint("is the account's shell a real one, and is there a /bin/sh?")
}

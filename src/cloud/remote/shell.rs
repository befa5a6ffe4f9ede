//! Programs on an instance: sh, over a connection of its own each, with bounded output.

use std::ops::ControlFlow;
use std::time::Duration;

use crate::cloud::fault::{Fault, FaultKind};
use crate::cloud::poll::{Asked, Pace, Schedule, until};
use crate::cloud::provider::Inner;
use crate::reach::{Ended, Phase, ReachError, Session, Target};
use crate::shell::{Nonce, assemble, clean};

/// Longest time that one program of a proof takes.
pub const LONGEST: Duration = Duration::from_secs(3600);
/// How long an instance that was logged in to before may be out of reach.
const AWAY: Duration = Duration::from_secs(60);

/// How a program went.
#[derive(Clone, Debug, Default)]
pub struct Ran {
    pub ended: Ended,
    pub out: Vec<u8>,
    /// There was more output than was wanted, and the program was not let come to its end.
    pub cut: bool,
}

impl Ran {
    pub fn well(&self) -> bool {
        self.ended.status == Some(0)
    }

    /// How it ended, in words.
    pub fn how(&self) -> String {
        match (self.ended.status, &self.ended.signal) {
            (Some(status), _) => format!("exit status {status}"),
            (None, Some(signal)) => format!("ended by signal {}", clean(signal, 20)),
            (None, None) if self.cut => "it said more than is read".into(),
            (None, None) => "it ended without a status".into(),
        }
    }

    /// The beginning of what it wrote, safe to show: standard output, or else standard error.
    pub fn said(&self, most: usize) -> String {
        match self.out.is_empty() {
            true => clean(&String::from_utf8_lossy(&self.ended.stderr), most),
            false => clean(&String::from_utf8_lossy(&self.out), most),
        }
    }

    /// The output as text, where the program ended well.
    pub fn text(&self, doing: &str) -> Result<String, String> {
        match self.well() && !self.cut {
            true => Ok(String::from_utf8_lossy(&self.out).into_owned()),
            false => Err(format!(
                "{doing}: {}: {}",
                self.how(),
                clean(&String::from_utf8_lossy(&self.ended.stderr), 300)
            )),
        }
    }
}

/// Whether the same may go well in a while.
pub fn passes(phase: Phase) -> bool {
    matches!(phase, Phase::Resolve | Phase::Connect | Phase::KeyExchange)
}

/// As the waiting has it.
pub fn fault(what: &str, error: &ReachError, kind: FaultKind) -> Fault {
    let hint = error.hint.as_ref().map(|hint| format!(" ({hint})"));
    Fault {
        what: what.to_owned(),
        kind,
        code: None,
        message: clean(&format!("{error}{}", hint.unwrap_or_default()), 500),
        refused: None,
    }
}

/// A new connection. An instance that is out of reach for a moment is asked again.
pub async fn connect(inner: &Inner, target: &Target) -> Result<Box<dyn Session>, String> {
    let what = format!("reaching {}", target.name);
    let pace = Pace(inner.setup.access.pace);
    until(pace, Schedule::QUICK, AWAY, &what, false, || async {
        match inner.setup.reach.connect(target).await {
            Ok(session) => Ok(Asked::Ready(session)),
            Err(error) => Err(match passes(error.phase) {
                true => fault(&what, &error, FaultKind::Passing),
                false => fault(&what, &error, FaultKind::Ours),
            }),
        }
    })
    .await
    .map_err(|fault| fault.to_string())
}

/// Runs a program of ours: `functions` are definitions, `calls` runs. At most `most` bytes of its
/// standard output are taken.
pub async fn run(
    inner: &Inner,
    target: &Target,
    functions: &str,
    calls: &str,
    limit: Duration,
    most: usize,
) -> Result<Ran, String> {
    let program = assemble(&Nonce::draw(), functions, calls);
    let mut session = connect(inner, target).await?;
    let mut ran = Ran::default();
    let (out, cut) = (&mut ran.out, &mut ran.cut);
    let ended = session
        .run(&program, limit, &mut |bytes| {
            let room = most.saturating_sub(out.len());
            out.extend(bytes.iter().take(room));
            *cut |= bytes.len() > room;
            match *cut {
                true => ControlFlow::Break(()),
                false => ControlFlow::Continue(()),
            }
        })
        .await;
    session.close().await;
    ran.ended = ended.map_err(|error| format!("{}: {error}", target.name))?;
    Ok(ran)
}

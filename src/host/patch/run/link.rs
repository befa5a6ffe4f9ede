//! The connection to one host: opened when something is asked, opened again where it was lost.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::host::run::contact::{Said, open, say};
use crate::model::Phase;
use crate::reach::{ReachError, Session, Target};
use crate::shell::{Nonce, NulInText};

use super::Shared;
use super::verdict::Verdict;

/// Between attempts to reach a host that was lost: from the first to the second.
const PAUSES: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(15));

/// Why a host's course ends before its end.
#[derive(Debug)]
pub(super) enum Halt {
    /// The journal cannot be written: the whole run ends.
    Journal(String),
    /// The host is not reached any more.
    Lost(ReachError),
    /// It ends here, so.
    Ends(Verdict),
}

pub(super) type Step<T> = Result<T, Halt>;

/// The journal's troubles are strings everywhere.
impl From<String> for Halt {
    fn from(why: String) -> Halt {
        Halt::Journal(why)
    }
}

/// Makes a program around a nonce.
pub(super) type Make<'a> = &'a (dyn Fn(&Nonce) -> Result<String, NulInText> + Send + Sync);

pub(super) struct Link {
    target: Target,
    shared: Arc<Shared>,
    session: Option<Box<dyn Session>>,
}

impl Link {
    pub fn new(target: Target, shared: Arc<Shared>) -> Link {
        Link {
            target,
            shared,
            session: None,
        }
    }

    /// Says goodbye, where there is somebody to say it to.
    pub async fn close(&mut self) {
        if let Some(session) = self.session.take() {
            session.close().await;
        }
    }

    /// Sends a program and gathers what it says. All that is sent here may be sent twice: where an
    /// old connection turns out to be dead, a new one is tried once.
    pub async fn ask(&mut self, make: Make<'_>, limit: Duration) -> Step<Said> {
        let is_old = self.session.is_some();
        let begun = Instant::now();
        match self.once(make, limit).await {
            Err(Halt::Lost(_)) if is_old && begun.elapsed() < limit => self.once(make, limit).await,
            other => other,
        }
    }

    async fn once(&mut self, make: Make<'_>, limit: Duration) -> Step<Said> {
        let nonce = Nonce::draw();
        let program = make(&nonce).map_err(|e| {
            Halt::Ends(Verdict::of(
                crate::model::patch::PatchOutcome::Failed,
                format!("a program for this host cannot be written: {e}"),
            ))
        })?;
        let shared = Arc::clone(&self.shared);
        if self.session.is_none() {
            let opened = open(
                &self.target,
                "patch",
                &shared.handshakes,
                shared.reach.as_ref(),
                shared.recorder.as_ref(),
            );
            self.session = Some(opened.await?.map_err(Halt::Lost)?);
        }
        let Some(session) = self.session.as_mut() else {
            return Err(Halt::Lost(ReachError::new(Phase::Start, "no connection")));
        };
        match say(session.as_mut(), &program, &nonce, limit, &mut |_| {}).await {
            Ok(said) => Ok(said),
            Err(error) => {
                // Not closed in good order: a goodbye to a dead host only takes time.
                self.session = None;
                Err(Halt::Lost(error))
            }
        }
    }
}

/// Growing pauses between attempts.
pub(super) struct Pause(Duration);

impl Default for Pause {
    fn default() -> Pause {
        Pause(PAUSES.0)
    }
}

impl Pause {
    /// Waits; the error comes back where there is no time left for another attempt.
    pub async fn sleep(&mut self, until: Instant, error: ReachError) -> Step<()> {
        if Instant::now() + self.0 >= until {
            return Err(Halt::Lost(error));
        }
        tokio::time::sleep(self.0).await;
        self.0 = (self.0 * 2).min(PAUSES.1);
        Ok(())
    }
}

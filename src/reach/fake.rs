//! A place that is not there: for tests of whatever stands above this room.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::AsyncReadExt;

use super::run::unreadable;
use super::{
    ConnectionFacts, Ended, Input, LocalReach, OnOutput, Pending, Reach, ReachError, Session,
    Target,
};

/// What a scripted place answers to a program: its standard output, and how it ended.
pub type Script = Arc<dyn Fn(&Target, &str) -> Result<(Vec<u8>, Ended), ReachError> + Send + Sync>;

/// Says why a connection to a target fails; `None` where it does not.
type Refuse = Arc<dyn Fn(&Target) -> Option<ReachError> + Send + Sync>;

/// Answers by a script, or runs programs in a local sh. Counts its connections.
#[derive(Clone)]
pub struct FakeReach {
    mode: Mode,
    refuse: Option<Refuse>,
    connections: Arc<AtomicUsize>,
}

#[derive(Clone)]
enum Mode {
    Script(Script),
    Local(LocalReach),
}

impl FakeReach {
    /// Each program is answered by the script.
    pub fn scripted(
        script: impl Fn(&Target, &str) -> Result<(Vec<u8>, Ended), ReachError> + Send + Sync + 'static,
    ) -> FakeReach {
        FakeReach::new(Mode::Script(Arc::new(script)))
    }

    /// Each program runs in `sh -s` here, with these variables in its environment, and without
    /// sudo whatever the target asks for.
    pub fn local_sh(environment: Vec<(String, String)>) -> FakeReach {
        FakeReach::new(Mode::Local(LocalReach {
            ask: None,
            environment,
        }))
    }

    fn new(mode: Mode) -> FakeReach {
        FakeReach {
            mode,
            refuse: None,
            connections: Arc::default(),
        }
    }

    /// Connections fail where this gives an error.
    #[must_use]
    pub fn refusing(
        mut self,
        refuse: impl Fn(&Target) -> Option<ReachError> + Send + Sync + 'static,
    ) -> FakeReach {
        self.refuse = Some(Arc::new(refuse));
        self
    }

    /// How many connections were opened so far, over all clones.
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }
}

impl Reach for FakeReach {
    fn connect<'a>(
        &'a self,
        target: &'a Target,
    ) -> Pending<'a, Result<Box<dyn Session>, ReachError>> {
        Box::pin(async move {
            self.connections.fetch_add(1, Ordering::Relaxed);
            if let Some(error) = self.refuse.as_ref().and_then(|refuse| refuse(target)) {
                return Err(error);
            }
            match &self.mode {
                Mode::Local(local) => {
                    let target = Target {
                        become_root: super::Become::No,
                        ..target.clone()
                    };
                    local.connect(&target).await
                }
                Mode::Script(script) => Ok(Box::new(FakeSession {
                    script: Arc::clone(script),
                    target: target.clone(),
                    facts: ConnectionFacts {
                        via: "fake".into(),
                        peer: target.name.clone(),
                        user: target.user.clone().unwrap_or_default(),
                        ..ConnectionFacts::default()
                    },
                }) as Box<dyn Session>),
            }
        })
    }
}

struct FakeSession {
    script: Script,
    target: Target,
    facts: ConnectionFacts,
}

impl Session for FakeSession {
    fn run<'a>(
        &'a mut self,
        program: &'a str,
        _limit: Duration,
        on_output: OnOutput<'a>,
    ) -> Pending<'a, Result<Ended, ReachError>> {
        Box::pin(async move {
            let (out, ended) = (self.script)(&self.target, program)?;
            // In pieces, as a network would bring it.
            for piece in out.chunks(1000) {
                if on_output(piece).is_break() {
                    break;
                }
            }
            Ok(ended)
        })
    }

    /// Takes all of the input, and then answers by the script.
    fn feed<'a>(
        &'a mut self,
        program: &'a str,
        input: Input<'a>,
        limit: Duration,
        on_output: OnOutput<'a>,
    ) -> Pending<'a, Result<Ended, ReachError>> {
        Box::pin(async move {
            let mut piece = vec![0; 32 << 10];
            while input.read(&mut piece).await.map_err(|e| unreadable(&e))? > 0 {}
            self.run(program, limit, on_output).await
        })
    }

    fn facts(&self) -> &ConnectionFacts {
        &self.facts
    }

    fn close(self: Box<Self>) -> Pending<'static, ()> {
        Box::pin(async {})
    }
}

//! Programs over SSH, one channel each, on a connection that is logged in.

use std::time::Duration;

use russh::Disconnect;

use super::run;
use super::ssh::Link;
use super::{
    Become, ConnectionFacts, Ended, Input, OnOutput, Pending, Phase, ReachError, Session,
    SshOptions,
};

/// A logged-in connection, with those that it goes through.
pub(super) struct SshSession {
    pub(super) name: String,
    pub(super) become_root: Become,
    pub(super) options: SshOptions,
    /// The target's own is the last one.
    pub(super) links: Vec<Link>,
    pub(super) facts: ConnectionFacts,
    pub(super) has_run: bool,
}

impl SshSession {
    fn exec(&mut self) -> Result<run::Exec<'_>, ReachError> {
        let Some(link) = self.links.last() else {
            return Err(ReachError::new(Phase::Start, "the connection is closed"));
        };
        Ok(run::Exec {
            handle: &link.handle,
            seen: &link.seen,
            options: &self.options,
            name: &self.name,
            become_root: self.become_root,
            first: !std::mem::replace(&mut self.has_run, true),
        })
    }
}

impl Session for SshSession {
    fn run<'a>(
        &'a mut self,
        program: &'a str,
        limit: Duration,
        on_output: OnOutput<'a>,
    ) -> Pending<'a, Result<Ended, ReachError>> {
        Box::pin(async move { self.exec()?.run(program, None, limit, on_output).await })
    }

    fn feed<'a>(
        &'a mut self,
        program: &'a str,
        input: Input<'a>,
        limit: Duration,
        on_output: OnOutput<'a>,
    ) -> Pending<'a, Result<Ended, ReachError>> {
        Box::pin(async move {
            let exec = self.exec()?;
            exec.run(program, Some(input), limit, on_output).await
        })
    }

    fn facts(&self) -> &ConnectionFacts {
        &self.facts
    }

    fn close(mut self: Box<Self>) -> Pending<'static, ()> {
        Box::pin(async move {
            while let Some(mut link) = self.links.pop() {
                let goodbye = async {
                    let said = link.handle.disconnect(Disconnect::ByApplication, "", "");
                    if said.await.is_ok() {
                        let _ = (&mut link.handle).await;
                    }
                };
                // Only our own side is waited for, unless the network is stuck.
                let _ = tokio::time::timeout(Duration::from_millis(500), goodbye).await;
            }
        })
    }
}

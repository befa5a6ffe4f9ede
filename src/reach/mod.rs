//! How a program gets to a target: over SSH, on this machine, or to a fake for tests.
//!
//! A room below `host`: it knows targets, sessions and bytes, and neither documents nor rules.

mod algorithms;
mod any;
mod client;
mod config;
mod fake;
mod host_key;
mod keys;
pub mod known_hosts;
mod local;
mod login;
mod options;
mod run;
mod session;
mod ssh;
mod start;
mod stream;

use std::future::Future;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::pin::Pin;
use std::time::Duration;

use tokio::io::AsyncRead;

pub use any::AnyReach;
pub use fake::{FakeReach, Script};
pub use local::LocalReach;
pub use options::{Ask, ConfigSource, SshOptions, Timeouts};
pub use ssh::SshReach;

pub use crate::model::{ConnectionFacts, Phase};

/// A boxed future, so that places to reach can stand behind one trait object.
pub type Pending<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// How the program gets its privileges.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Become {
    /// The account that logs in is already privileged enough.
    #[default]
    No,
    /// `sudo`, which must not ask for a password.
    Sudo,
    /// `sudo` with a password, which [`Secrets::sudo_password`] gives.
    SudoWithPassword,
}

/// Whether, and how, the target is on another machine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Via {
    #[default]
    Ssh,
    /// This machine, without SSH.
    Local,
}

/// One place to run programs at. Fields that are `None` are filled from `ssh -G`, then from
/// OpenSSH's defaults.
#[derive(Clone, Debug, Default)]
pub struct Target {
    /// The name in the inventory: what people see.
    pub name: String,
    pub via: Via,
    /// What `ssh -G` is asked for, and where it goes unless `address` says otherwise.
    pub address: Option<String>,
    pub port: Option<u16>,
    pub user: Option<String>,
    /// Private key files, tried in this order. Empty: those that `ssh -G` names, and the agent.
    pub identities: Vec<PathBuf>,
    /// known_hosts files. Empty: those that `ssh -G` names.
    pub known_hosts: Vec<PathBuf>,
    /// `[user@]host[:port]`, nearest to us first; empty: what `ssh -G` says.
    pub jump: Vec<String>,
    pub become_root: Become,
    /// Old algorithms are allowed (no strict key exchange demanded).
    pub legacy: bool,
}

/// What a program said on its way out, and how it ended.
#[derive(Clone, Debug, Default)]
pub struct Ended {
    /// The exit status, if one came.
    pub status: Option<u32>,
    /// The signal that ended it, e.g. `KILL`.
    pub signal: Option<String>,
    /// The beginning of what it wrote to standard error: at most 16 KiB, untrusted.
    pub stderr: Vec<u8>,
}

/// Why a host could not be reached, or a program not be run to its end.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{}: {reason}", .phase.words())]
pub struct ReachError {
    pub phase: Phase,
    /// What went wrong. Already cleaned: safe to show.
    pub reason: String,
    /// What to do about it, if we know.
    pub hint: Option<String>,
}

impl ReachError {
    pub fn new(phase: Phase, reason: impl Into<String>) -> Self {
        ReachError {
            phase,
            reason: reason.into(),
            hint: None,
        }
    }

    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

/// Takes a program's standard output as it comes; `Break` ends the program's channel.
pub type OnOutput<'a> = &'a mut (dyn FnMut(&[u8]) -> ControlFlow<()> + Send);

/// What a program is fed with.
pub type Input<'a> = &'a mut (dyn AsyncRead + Send + Unpin);

/// An open connection to a target, logged in.
pub trait Session: Send {
    /// Runs one sh program (see `shell::assemble`) under `sh -s`, with root's rights where the
    /// target asks for them, and hands its standard output over as it comes.
    ///
    /// `limit` bounds the whole of it. Whatever happens, the channel is closed.
    fn run<'a>(
        &'a mut self,
        program: &'a str,
        limit: Duration,
        on_output: OnOutput<'a>,
    ) -> Pending<'a, Result<Ended, ReachError>>;

    /// Runs a program like [`Session::run`], with `input` as its standard input: it is read as fast
    /// as the program takes it, and ends where it ends. The program's text does not stand in any
    /// argument, so it may hold secrets, as with `run`; but it is read byte by byte at the far end,
    /// so it should be short.
    ///
    /// A program that ends before it has read everything is no error of this call's.
    ///
    /// # Errors
    /// Also when `input` can't be read. The program then never sees a regular end of its own
    /// making, but may well see one that the cut connection makes: what it did may not be believed.
    fn feed<'a>(
        &'a mut self,
        program: &'a str,
        input: Input<'a>,
        limit: Duration,
        on_output: OnOutput<'a>,
    ) -> Pending<'a, Result<Ended, ReachError>>;

    fn facts(&self) -> &ConnectionFacts;

    /// Says goodbye. Dropping a session without it must leak nothing either.
    fn close(self: Box<Self>) -> Pending<'static, ()>;
}

/// A way to reach targets.
pub trait Reach: Send + Sync {
    /// Opens a **new** connection and logs in: nothing is reused, so that success proves that a
    /// log-in is possible now.
    fn connect<'a>(
        &'a self,
        target: &'a Target,
    ) -> Pending<'a, Result<Box<dyn Session>, ReachError>>;
}

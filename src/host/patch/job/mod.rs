//! Jobs: what is done on a host, detached from our connection, so that losing us never ends it.
//!
//! A job of a run lies in `/var/lib/seawall/patch/RUN/JOB/` (root, 0700): `job.sh`, `log`, `pid`
//! (of its supervisor, with birth and boot), `child` (of the job itself), `said`, `ended` (how it
//! ended, written last, by rename). Whoever asks for it may start a supervisor; the one that links
//! `pid` first is the only one that begins the job, so it is begun once, and a starter that died
//! half-way leaves nothing that the next one would stumble over. It runs under systemd (a transient
//! unit) where there is one, else as a session of its own; the supervisor ends it when its time is
//! up.

mod apt;
mod dnf;
pub mod packages;
pub mod services;
mod words;

#[cfg(test)]
mod tests;

use crate::host::act::RunId;
use crate::model::patch::JobOutcome;
use crate::shell::{Frame, Nonce, NulInText, assemble, clean, quote};

pub use words::{Said, said, unsaid};

/// Where patch runs keep what they do on a host.
pub const STORE: &str = "/var/lib/seawall/patch";

/// Where all programs keep what they need on a host.
const BASE: &str = "/var/lib/seawall";

/// How many bytes a job's log may have; what comes after it is dropped, but for the `say` lines.
const LOG_MOST: u64 = 8 << 20;

const ALIVE: &str = include_str!("../../sh/hold_lib.sh");
const HEAD: &str = include_str!("sh/head.sh");
const SUPERVISE: &str = include_str!("sh/supervise.sh");
const JOB_LIB: &str = include_str!("sh/job_lib.sh");
const STORE_LIB: &str = include_str!("sh/store.sh");

/// One job.
///
/// Its program has the prelude's functions but `frame`; instead `say KIND NAME TEXT` writes one
/// line that the controller reads with the log, see [`said`]: KIND and NAME one word each, TEXT
/// cleaned of control characters. It ends with `job_end STATUS`, or with the status of its last
/// call. A function `job_cleanup` of its own is called when it had to be ended, with a time limit.
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
    let text = script(run, job, nonce);
    let calls = format!(
        "{}\nat=0 wait={wait}\njob_bytes={}\njob_text={}\nstart_job\nfollow_job",
        places(run, &job.name),
        text.len(),
        quote(&text)?
    );
    Ok(assemble(nonce, &format!("{ALIVE}\n{STORE_LIB}"), &calls))
}

/// Waits at most `wait` seconds for the job to end, and gives the log from `offset` on, in frames as
/// it grows.
pub fn follow(run: &RunId, job: &str, offset: u64, wait: u64, nonce: &Nonce) -> String {
    let calls = format!("{}\nat={offset} wait={wait}\nfollow_job", places(run, job));
    assemble(nonce, &format!("{ALIVE}\n{STORE_LIB}"), &calls)
}

/// What [`start`] and [`follow`] said. Where the answer broke off after the log had begun, the job
/// counts as running: it was begun, and the next question tells.
///
/// # Errors
/// In words: the job could not be started (not root, no room, no way to detach), or the host did
/// not say how it stands.
pub fn read(frames: &[Frame], offset: u64) -> Result<Followed, String> {
    let mut log = Vec::new();
    let mut at = offset;
    for frame in frames.iter().filter(|f| f.kind == "log") {
        if frame.name.parse() == Ok(at) {
            log.extend_from_slice(&frame.data);
            at = at.saturating_add(frame.data.len() as u64);
        }
    }
    let state = match frames.iter().find(|f| f.kind == "end" && f.name == "job") {
        Some(end) if end.status != 0 => return Err(clean(&end.text(), 400)),
        Some(end) => state(&end.text()),
        None if log.is_empty() => None,
        None => Some(State::Running),
    };
    let state = state.ok_or("the host did not say how the job stands; ask again")?;
    Ok(Followed {
        state,
        log,
        offset: at,
    })
}

fn state(word: &str) -> Option<State> {
    Some(match word {
        "absent" => State::Absent,
        "running" => State::Running,
        "timeout" => State::Ended(JobOutcome::TimedOut),
        "died" => State::Ended(JobOutcome::Died),
        _ => match word.strip_prefix("exit ")?.parse().ok()? {
            0 => State::Ended(JobOutcome::Well),
            status => State::Ended(JobOutcome::Failed { status }),
        },
    })
}

/// The program that forgets a run on the host, once it is over and no job of it runs: frame
/// `end forget`, 0 or 1 (the data says why).
pub fn forget(run: &RunId, nonce: &Nonce) -> String {
    assemble(
        nonce,
        &format!("{ALIVE}\n{STORE_LIB}"),
        &format!("{}\nforget_run", places(run, "none")),
    )
}

/// The variables that name a job's places.
fn places(run: &RunId, job: &str) -> String {
    let job = folder(job);
    format!(
        "base={BASE} run={run} job={job} dir={STORE}/{run}/{job} most={LOG_MOST}",
        run = run.as_str()
    )
}

/// A job's name as it may stand in a path.
fn folder(job: &str) -> String {
    let name: String = job
        .chars()
        .take(64)
        .map(|c| match c {
            'a'..='z' | '0'..='9' | '-' => c,
            _ => '-',
        })
        .collect();
    if name.is_empty() { "-".into() } else { name }
}

/// `job.sh`: `supervise` is what is launched; it runs the parts `main` and `cleanup`.
fn script(run: &RunId, job: &Job, nonce: &Nonce) -> String {
    let token: String = nonce.as_str().chars().take(16).collect();
    format!(
        "# Seawall: a job of run {run}.\n{HEAD}\n{places}\ntoken={token} limit={limit}\n\
         if [ \"${{1:-}}\" = supervise ]; then\n{ALIVE}\n{SUPERVISE}\nsupervise </dev/null\nexit\nfi\n\
         {JOB_LIB}\n{functions}\nmain() {{\n:\n{calls}\n}}\n\
         # Where the supervisor was killed, the job itself still leaves its status.\n\
         left() {{ printf 'exit %s\\n' \"$1\" >\"$dir/status\"; }}\n\
         case ${{1:-}} in\n\
         main) trap 'left \"$?\"' EXIT; main </dev/null ;;\n\
         cleanup) job_cleanup </dev/null ;;\n\
         esac\n",
        run = run.as_str(),
        places = places(run, &job.name),
        limit = job.limit,
        functions = job.functions,
        calls = job.calls,
    )
}

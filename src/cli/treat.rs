//! What `check`, `apply` and `rollback` share: a run with its journal, its reach to the hosts,
//! what a person sees of it while it goes on and at its end.

use std::collections::BTreeMap;
use std::future::Future;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use crate::host::act::RunId;
use crate::host::run::{Recorder, RunEnd, code};
use crate::journal::{Event, Journal, Runs, SystemClock, state_dir};
use crate::reach::{AnyReach, LocalReach, Reach, SshOptions, SshReach};
use crate::report::progress::{self, Progress};
use crate::report::{self, RunView};

use super::ask::Prompt;
use super::signing::signing_key;

/// How a run is carried out and shown.
#[derive(clap::Args, Clone, Debug, Default)]
pub struct Manner {
    /// One JSON document on standard output, and nothing else there
    #[arg(long)]
    pub json: bool,
    /// No progress; the summary only
    #[arg(short, long)]
    pub quiet: bool,
    /// Whole diffs, not only their beginnings; with `check`, those that `apply` would make
    #[arg(long)]
    pub diff: bool,
    /// Write the HTML report here as well
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
    /// Write a JUnit report here as well
    #[arg(long, value_name = "FILE")]
    pub junit: Option<PathBuf>,
    /// Accept and remember the key of a host that no known_hosts file knows
    #[arg(long)]
    pub accept_new: bool,
    /// Let passwords and a host's own questions log us in, and ask for them
    #[arg(long)]
    pub ask_pass: bool,
    /// Hosts treated at once
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = at_least_one)]
    pub at_once: usize,
}

pub fn at_least_one(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) => Err("no host would ever be treated; write 1 or more".to_owned()),
        Ok(number) => Ok(number),
        Err(_) => Err("not a number of hosts".to_owned()),
    }
}

/// What the first event of a run says, beyond what the run knows of itself.
pub struct Heading {
    pub verb: &'static str,
    pub playbook: String,
    pub playbook_title: String,
    pub level: u8,
    pub hosts: Vec<String>,
    pub rules: usize,
    pub documents: BTreeMap<String, String>,
    pub data: BTreeMap<String, String>,
    /// Rule → why it is there, for the report.
    pub why: BTreeMap<String, String>,
    /// What was asked for, for the commands that the summary proposes.
    pub choice: report::Choice,
}

/// The journal, as the place where a run's events go.
pub struct ToJournal(pub Journal);

impl Recorder for ToJournal {
    fn event(&self, event: Event) -> Result<(), String> {
        self.0.append(&event).map(drop).map_err(|e| e.to_string())
    }

    fn file(&self, name: &str, bytes: &[u8]) -> Result<String, String> {
        self.0.put_file(name, bytes).map_err(|e| e.to_string())
    }
}

/// Where runs are kept.
pub fn runs() -> anyhow::Result<Runs> {
    Ok(Runs::new(&state_dir(|name| std::env::var_os(name))?))
}

/// Carries out one run: `work` gets its id, the way to the hosts, and where its events go.
pub fn carry_out<F, W>(manner: &Manner, heading: Heading, work: W) -> anyhow::Result<u8>
where
    W: FnOnce(RunId, Arc<dyn Reach>, Arc<dyn Recorder>) -> F,
    F: Future<Output = Result<RunEnd, String>>,
{
    let begun = Instant::now();
    let key = signing_key(false).map_err(|e| anyhow::anyhow!("{e}; nothing was done"))?;
    let (id, writer) = runs()?
        .create(Arc::new(SystemClock), || {
            uuid::Uuid::new_v4().as_u128() as u32
        })
        .map_err(|e| {
            anyhow::anyhow!(
                "{e}; nothing was done: set SEAWALL_STATE_DIR to a folder that you can write to"
            )
        })?;
    let run = RunId::new(&id).ok_or_else(|| anyhow::anyhow!("the run's id {id} is not one"))?;
    let journal = Journal::new(writer);
    let mut pause = None;
    if !manner.quiet && !manner.json {
        let mut progress = Progress::new(progress_mode());
        pause = progress.pause();
        journal.subscribe(Box::new(move |record| progress.take(record)));
    }
    let changes = heading.verb == "apply" || heading.verb == "rollback";
    journal.append(&Event::RunStarted {
        run: id,
        verb: heading.verb.into(),
        version: env!("CARGO_PKG_VERSION").into(),
        playbook: heading.playbook,
        playbook_title: heading.playbook_title,
        level: heading.level,
        hosts: heading.hosts,
        rules: heading.rules,
        documents: heading.documents,
        by: who(),
        data: heading.data,
    })?;
    if !heading.why.is_empty() {
        journal.append(&Event::RulesExplained { why: heading.why })?;
    }
    let reach: Arc<dyn Reach> = Arc::new(AnyReach {
        ssh: SshReach::new(ssh_options(manner.accept_new, manner.ask_pass, pause)),
        local: LocalReach::default(),
    });
    let recorder: Arc<dyn Recorder> = Arc::new(ToJournal(journal.clone()));
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let (code, stopped) = runtime.block_on(async {
        let signal = interrupted();
        tokio::select! {
            done = work(run, reach, recorder) => match done {
                Ok(end) => (end.code(), end.stopped),
                Err(why) => (code::NOT_RUN, Some(why)),
            },
            signal = signal => (code::NOT_RUN, Some(match changes {
                true => format!(
                    "{signal}; a host that was being changed undoes it by itself when its window ends"
                ),
                false => format!("{signal}; nothing was changed on any host"),
            })),
        }
    });
    // Connections under way are dropped: their hosts were told everything that they must know.
    runtime.shutdown_background();
    journal.append(&Event::RunEnded {
        code,
        millis: begun.elapsed().as_millis() as u64,
        stopped,
    })?;
    super::signing::seal(&journal, key.as_ref(), manner.quiet || manner.json)?;
    tell(manner, &journal, heading.choice)?;
    Ok(code)
}

/// Bars where standard error is a terminal, plain lines elsewhere.
fn progress_mode() -> progress::Mode {
    use std::io::IsTerminal;
    match terminal_size() {
        Some((height, _)) if std::io::stderr().is_terminal() => progress::Mode::Bars { height },
        _ => progress::Mode::Plain(Box::new(std::io::stderr())),
    }
}

/// Lines and columns of the terminal at standard error.
pub fn terminal_size() -> Option<(usize, usize)> {
    let (height, width) = console::Term::stderr().size_checked()?;
    Some((usize::from(height), usize::from(width)))
}

/// What is said at the end, made from the journal alone.
fn tell(manner: &Manner, journal: &Journal, choice: report::Choice) -> anyhow::Result<()> {
    let view = report::load(&journal.dir())?;
    // First what is at hand: a report that cannot be written must not hide how it went.
    if manner.json {
        super::say(&report::json::text(&view)?)?;
    } else {
        super::say(&summary(&view, manner.diff, choice))?;
    }
    let done = |error: anyhow::Error| {
        anyhow::anyhow!(
            "{error}; the run itself is done and kept: `seawall report {}` writes its report again",
            view.run
        )
    };
    if let Some(path) = &manner.html {
        write(path, &report::html::text(&view)?).map_err(done)?;
    }
    if let Some(path) = &manner.junit {
        write(path, &report::junit::text(&view)).map_err(done)?;
    }
    Ok(())
}

/// The terminal summary, as wide and as colourful as standard output allows.
pub fn summary(view: &RunView, full_diff: bool, choice: report::Choice) -> String {
    let width = terminal_size().map_or(100, |(_, width)| width.clamp(60, 160));
    let style = report::Style {
        width,
        color: super::colour(&std::io::stdout()),
        full_diff,
        choice,
        ..report::Style::default()
    };
    report::Terminal::new(style).summary(view)
}

/// Writes a report for its reader alone.
pub fn write(path: &std::path::Path, text: &str) -> anyhow::Result<()> {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;
    std::fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)
        .and_then(|mut file| file.write_all(text.as_bytes()))
        .map_err(|e| anyhow::anyhow!("writing {}: {e}", path.display()))
}

/// How hosts are reached: with `ask_pass`, a person is asked for passwords.
pub fn ssh_options(accept_new: bool, ask_pass: bool, pause: Option<progress::Pause>) -> SshOptions {
    let prompt = Prompt::new(ask_pass, pause);
    SshOptions {
        accept_new,
        passwords: ask_pass,
        ask: super::setup::is_interactive().then(|| Arc::new(prompt) as _),
        ..SshOptions::default()
    }
}

/// Waits for a signal that asks us to stop; its name.
/// Listens from the moment of the call, before any host is reached for.
pub fn interrupted() -> impl Future<Output = &'static str> {
    use tokio::signal::unix::{SignalKind, signal};
    let signals = (
        signal(SignalKind::interrupt()),
        signal(SignalKind::terminate()),
        signal(SignalKind::hangup()),
    );
    async move {
        let (Ok(mut interrupt), Ok(mut terminate), Ok(mut hangup)) = signals else {
            return std::future::pending().await;
        };
        tokio::select! {
            _ = interrupt.recv() => "interrupted",
            _ = terminate.recv() => "terminated",
            // The terminal is gone; the journal is still brought to its end.
            _ = hangup.recv() => "the terminal was closed",
        }
    }
}

/// The local account and machine.
pub fn who() -> String {
    let user = std::env::var("USER")
        .or_else(|_| std::env::var("LOGNAME"))
        // SAFETY: it has no arguments and cannot fail.
        .unwrap_or_else(|_| format!("uid {}", unsafe { libc::getuid() }));
    let machine = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    crate::shell::clean(&format!("{user}@{}", machine.trim()), 100)
}

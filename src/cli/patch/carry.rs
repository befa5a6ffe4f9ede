//! The engine with its journal, its signals, and those who are told at the end.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use tokio::sync::watch;

use super::kept::{KEPT_FILE, Kept};
use super::ready::Read;
use super::{Manner, shown};
use crate::cli::signing::seal;
use crate::cli::treat::{ToJournal, runs, ssh_options, who};
use crate::document::policy::Occasion;
use crate::host::act::RunId;
use crate::host::patch::run::{self, Mode, PatchEnd, PatchJob, Settings};
use crate::host::run::{Recorder, code};
use crate::journal::{Clock, Event, Journal, PatchEvent, Record, SystemClock};
use crate::model::patch::PatchOutcome;
use crate::notify::{self, Message};
use crate::reach::{AnyReach, LocalReach, Reach, SshReach};
use crate::report::patch::{self as report, PatchView, outcome_word};
use crate::report::progress::Pause;
use crate::sign::SigningKey;

/// Log-ins under way at once.
const HANDSHAKES: usize = 48;
/// Of each thread. Only what is used of it takes memory.
const STACK: usize = 8 << 20;

/// What is to be carried out.
pub struct Work {
    pub kept: Kept,
    pub jobs: Vec<PatchJob>,
    pub read: Read,
    pub mode: Mode,
    /// What the journal is to say of how it was begun.
    pub notes: Vec<String>,
    /// What another process wrote before it died; empty: it begins.
    pub former: Arc<Vec<Record>>,
}

/// Begins a run, and carries it out.
pub fn fresh(work: Work, key: Option<SigningKey>, manner: &Manner) -> anyhow::Result<u8> {
    let (id, writer) = runs()?
        .create(Arc::new(SystemClock), || {
            uuid::Uuid::new_v4().as_u128() as u32
        })
        .map_err(|e| {
            anyhow::anyhow!(
                "{e}; nothing was done: set SEAWALL_STATE_DIR to a folder that you can write to"
            )
        })?;
    let journal = Journal::new(writer);
    let pause = shown::listen(&journal, manner);
    start(&id, &journal, &work)?;
    declare(&journal, &work)?;
    go(&id, journal, work, key, pause, manner)
}

/// Goes on with a run whose process has died. `declared`: its journal says already what `Declared`
/// would.
pub fn again(
    id: &str,
    journal: Journal,
    declared: bool,
    work: Work,
    key: Option<SigningKey>,
    manner: &Manner,
) -> anyhow::Result<u8> {
    let pause = shown::listen(&journal, manner);
    journal.append(&Event::Patch(PatchEvent::Resumed { by: who() }))?;
    match declared {
        true => note(&journal, &work.notes)?,
        false => declare(&journal, &work)?,
    }
    go(id, journal, work, key, pause, manner)
}

/// The first events: what a resume needs is on disk before them.
fn start(id: &str, journal: &Journal, work: &Work) -> anyhow::Result<()> {
    let kept = &work.kept;
    let mut documents = kept.documents.clone();
    let mut text = serde_json::to_vec_pretty(kept)?;
    text.push(b'\n');
    documents.insert(KEPT_FILE.to_owned(), journal.put_file(KEPT_FILE, &text)?);
    let data = kept
        .hosts
        .iter()
        .filter_map(|host| Some((host.name.clone(), host.data.clone()?)));
    journal.append(&Event::RunStarted {
        run: id.to_owned(),
        verb: match work.mode {
            Mode::Plan => "patch-plan",
            Mode::Run => "patch",
        }
        .to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        playbook: kept.path.clone(),
        playbook_title: kept.patch.title.clone(),
        level: 0,
        hosts: kept.hosts.iter().map(|host| host.name.clone()).collect(),
        rules: 0,
        documents,
        by: who(),
        data: data.collect::<BTreeMap<_, _>>(),
    })?;
    Ok(())
}

fn declare(journal: &Journal, work: &Work) -> anyhow::Result<()> {
    let declared = work.kept.declared(work.read.dates.clone());
    journal.append(&Event::Patch(declared))?;
    note(journal, &work.notes)
}

fn note(journal: &Journal, notes: &[String]) -> anyhow::Result<()> {
    for text in notes {
        journal.append(&Event::Note {
            host: None,
            text: text.clone(),
        })?;
    }
    Ok(())
}

fn go(
    id: &str,
    journal: Journal,
    work: Work,
    key: Option<SigningKey>,
    pause: Option<Pause>,
    manner: &Manner,
) -> anyhow::Result<u8> {
    let begun = work
        .former
        .first()
        .and_then(|record| record.time.parse::<Timestamp>().ok())
        .unwrap_or_else(|| SystemClock.now());
    let run = RunId::new(id).ok_or_else(|| anyhow::anyhow!("the run's id {id} is not one"))?;
    let notify = work.kept.patch.notify.clone();
    let (patch, mode) = (work.kept.patch.patch.clone(), work.mode);
    let settings = Settings {
        run,
        mode,
        patch: Arc::new(work.kept.patch),
        advisories: work.read.advisories,
        sessions: manner.at_once,
        handshakes: HANDSHAKES,
        former: work.former,
        folder: journal.dir(),
    };
    let reach: Arc<dyn Reach> = Arc::new(AnyReach {
        ssh: SshReach::new(ssh_options(manner.accept_new, manner.ask_pass, pause)),
        local: LocalReach::default(),
    });
    let recorder: Arc<dyn Recorder> = Arc::new(ToJournal(journal.clone()));
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .thread_stack_size(STACK)
        .enable_all()
        .build()?;
    let Judged {
        code,
        stopped,
        open,
    } = runtime.block_on(async {
        let (stop, stopping) = watch::channel(false);
        let (said, mut signal) = watch::channel(None);
        let heed = tokio::spawn(heed(id.to_owned(), mode, stop, said));
        let engine = run::run(work.jobs, settings, reach, recorder, stopping);
        let done = tokio::select! {
            done = engine => done.map(Some),
            // A plan changes nothing that would have to be brought to its end.
            _ = signal.wait_for(|said| said.is_some() && mode == Mode::Plan) => Ok(None),
        };
        heed.abort();
        let said = *signal.borrow();
        judged(mode, done, said)
    });
    if mode == Mode::Run {
        let view = report::load_some(&journal.dir());
        let message = message(&patch, id, code, stopped.as_deref(), &view, manner);
        let occasion = match code {
            code::WELL => Occasion::Success,
            _ => Occasion::Failure,
        };
        for told in runtime.block_on(notify::tell(&notify, occasion, &message)) {
            journal.append(&Event::Patch(PatchEvent::Notified {
                whom: told.whom,
                well: told.well,
                detail: told.detail,
            }))?;
        }
    }
    // Connections that are still open are dropped: jobs on hosts go on without them.
    runtime.shutdown_background();
    if let Some(why) = open {
        // No end and no seal: what is written is all there, and `resume` goes on behind it.
        eprintln!("seawall: {why}; `seawall patch resume {id}` goes on with this run");
        shown::show(&journal.dir(), manner)?;
        return Ok(code);
    }
    let millis = SystemClock.now().duration_since(begun).as_millis();
    journal.append(&Event::RunEnded {
        code,
        millis: u64::try_from(millis).unwrap_or(0),
        stopped,
    })?;
    seal(&journal, key.as_ref(), manner.quiet || manner.json)?;
    shown::show(&journal.dir(), manner)?;
    Ok(code)
}

/// How it came out.
#[derive(Debug)]
struct Judged {
    code: u8,
    /// Why it stopped early, if it did.
    stopped: Option<String>,
    /// Why the run is not at its end, and is to be taken up again, if that is so.
    open: Option<String>,
}

/// `signal`: what asked us to stop.
fn judged(mode: Mode, done: Result<Option<PatchEnd>, String>, signal: Option<&str>) -> Judged {
    let not_run = |stopped: String, open| Judged {
        code: code::NOT_RUN,
        stopped: Some(stopped),
        open,
    };
    let end = match done {
        Ok(Some(end)) => end,
        Ok(None) => {
            let signal = signal.unwrap_or("interrupted");
            let why = format!("{signal}; nothing was changed on any host");
            return not_run(why, None);
        }
        // Hosts may be under way.
        Err(why) if mode == Mode::Run => {
            let open = format!("the run broke off: {why}");
            return not_run(why, Some(open));
        }
        Err(why) => return not_run(why, None),
    };
    let any = |wanted: &[PatchOutcome]| end.hosts.iter().any(|(_, o)| wanted.contains(o));
    use PatchOutcome::*;
    let code = if signal.is_some() {
        code::NOT_RUN
    } else if any(&[Unknown]) {
        code::UNKNOWN
    } else if mode == Mode::Run && any(&[Behind, WentBack, LeftOut, Failed, NotStarted]) {
        code::FINDINGS
    } else {
        code::WELL
    };
    let stopped = match (signal, end.stopped) {
        (Some(signal), _) => Some(format!(
            "{signal}; hosts that were under way were brought to their end"
        )),
        (None, stopped) => stopped,
    };
    Judged {
        code,
        stopped,
        open: (mode == Mode::Run && !end.open.is_empty()).then(|| lost(&end.open)),
    }
}

/// Why a run is not at its end.
fn lost(hosts: &[String]) -> String {
    const MOST: usize = 8;
    let mut names = hosts
        .iter()
        .take(MOST)
        .map(String::as_str)
        .collect::<Vec<_>>()
        .join(", ");
    if hosts.len() > MOST {
        names.push_str(&format!(" and {} more", hosts.len() - MOST));
    }
    format!(
        "the run is not at its end: what was begun on {names} was lost sight of, and may go on \
         there by itself"
    )
}

/// Waits for signals. The first one lets no further host be begun; the second leaves at once.
async fn heed(
    run: String,
    mode: Mode,
    stop: watch::Sender<bool>,
    said: watch::Sender<Option<&'static str>>,
) {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut interrupt), Ok(mut terminate), Ok(mut hangup)) = (
        signal(SignalKind::interrupt()),
        signal(SignalKind::terminate()),
        signal(SignalKind::hangup()),
    ) else {
        return std::future::pending().await;
    };
    let mut before = false;
    loop {
        let what = tokio::select! {
            _ = interrupt.recv() => "interrupted",
            _ = terminate.recv() => "terminated",
            // The terminal is gone; hosts are still brought to their end.
            _ = hangup.recv() => "the terminal was closed",
        };
        if before {
            eprintln!(
                "seawall: left at once; jobs on hosts go on by themselves, and `seawall patch \
                 resume {run}` picks them up"
            );
            std::process::exit(i32::from(code::NOT_RUN));
        }
        before = true;
        if mode == Mode::Run {
            eprintln!(
                "seawall: {what}; no further host is begun, those under way are brought to their \
                 end (once more: leave at once)"
            );
        }
        stop.send_replace(true);
        said.send_replace(Some(what));
    }
}

/// What people are told at the end.
fn message(
    patch: &str,
    id: &str,
    code: u8,
    stopped: Option<&str>,
    view: &PatchView,
    manner: &Manner,
) -> Message {
    let is_plan = view.is_plan();
    let mut lines: Vec<String> = stopped.map(str::to_owned).into_iter().collect();
    let mut well = 0;
    for host in &view.hosts {
        let outcome = host.outcome(is_plan);
        if matches!(outcome, PatchOutcome::Current | PatchOutcome::Patched) {
            well += 1;
            continue;
        }
        let word = outcome_word(outcome);
        lines.push(match host.story(is_plan) {
            Some(why) => format!("{}: {word}: {why}", host.name),
            None => format!("{}: {word}", host.name),
        });
    }
    let of = view.hosts.len();
    let word = match code {
        code::WELL => "done",
        code::UNKNOWN => "SOME HOSTS WERE NOT SEEN",
        code::NOT_RUN => "INTERRUPTED",
        _ => "NOT ALL HOSTS ARE PATCHED",
    };
    Message {
        title: format!("Patch run {patch}: {word}, {well} of {of} hosts are current"),
        lines,
        report: manner.html.as_ref().map(|page| page.display().to_string()),
        run: Some(id.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn end(outcomes: &[PatchOutcome]) -> Result<Option<PatchEnd>, String> {
        Ok(Some(PatchEnd {
            hosts: outcomes.iter().map(|o| ("h".to_owned(), *o)).collect(),
            open: Vec::new(),
            stopped: None,
        }))
    }

    #[test]
    fn the_exit_code_says_the_worst() {
        use PatchOutcome::*;
        let run = |outcomes: &[PatchOutcome]| judged(Mode::Run, end(outcomes), None).code;
        assert_eq!(run(&[Current, Patched, Waiting]), 0);
        for bad in [Behind, WentBack, LeftOut, Failed, NotStarted] {
            assert_eq!(run(&[Patched, bad]), 1, "{bad:?}");
        }
        assert_eq!(run(&[Failed, Unknown]), 3);
        let plan = |outcomes: &[PatchOutcome]| judged(Mode::Plan, end(outcomes), None).code;
        assert_eq!(plan(&[Behind, Current]), 0);
        assert_eq!(plan(&[Behind, Unknown]), 3);
    }

    #[test]
    fn a_run_that_was_interrupted_is_none_that_is_done() {
        let well = end(&[PatchOutcome::Patched]);
        let said = judged(Mode::Run, well, Some("interrupted"));
        assert_eq!((said.code, said.open), (2, None));
        assert!(said.stopped.unwrap().starts_with("interrupted"));
        let said = judged(Mode::Plan, Ok(None), Some("terminated"));
        assert_eq!((said.code, said.open), (2, None));
        assert!(said.stopped.unwrap().contains("nothing was changed"));
        let said = judged(Mode::Plan, Err("no space".into()), None);
        assert_eq!((said.code, said.stopped.as_deref()), (2, Some("no space")));
        assert_eq!(said.open, None, "a plan is made anew");
    }

    #[test]
    fn a_run_is_not_at_its_end_where_hosts_were_lost_on_their_way() {
        let lost = |signal| {
            let mut end = end(&[PatchOutcome::Unknown]).unwrap().unwrap();
            end.open = vec!["db1".into()];
            judged(Mode::Run, Ok(Some(end)), signal)
        };
        let said = lost(None);
        assert_eq!(said.code, 3);
        assert!(said.open.unwrap().contains("db1"));
        let said = lost(Some("interrupted"));
        assert_eq!(said.code, 2);
        assert!(said.open.is_some());
        // Never seen: the next run is as good.
        assert_eq!(
            judged(Mode::Run, end(&[PatchOutcome::Unknown]), None).open,
            None
        );
        let said = judged(Mode::Run, Err("a host's task ended badly".into()), None);
        assert!(said.open.unwrap().contains("ended badly"));
    }
}

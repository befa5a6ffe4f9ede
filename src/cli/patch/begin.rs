//! `plan`, `run` and `resume`: what is to be carried out, and whether somebody wants it.

use std::io::{BufRead, Write};
use std::sync::Arc;

use super::carry::{self, Work};
use super::kept::{Former, kept};
use super::ready::{Ready, jobs_again, read_advisories};
use super::{Documents, Manner, shown};
use crate::cli::setup::is_interactive;
use crate::cli::signing::{seal, signing_key};
use crate::cli::treat::runs;
use crate::document::playbook::WaveSize;
use crate::host::patch::run::Mode;
use crate::host::run::code;
use crate::journal::{Event, Journal, Record, RunFolder, SystemClock};
use crate::sign::SigningKey;

/// What the command line says of a run beyond its documents.
pub struct Wish {
    pub yes: bool,
    pub waves: Vec<WaveSize>,
    pub now: bool,
    pub no_refresh: bool,
}

pub fn plan(documents: &Documents, no_refresh: bool, manner: &Manner) -> anyhow::Result<u8> {
    let mut ready = documents.prepare()?;
    if no_refresh {
        ready.kept.patch.packages.refresh = false;
    }
    carry::fresh(work(ready, Mode::Plan, Vec::new()), key()?, manner)
}

pub fn run(documents: &Documents, wish: &Wish, manner: &Manner) -> anyhow::Result<u8> {
    anyhow::ensure!(
        !wish
            .waves
            .iter()
            .any(|w| matches!(w, WaveSize::Hosts(0) | WaveSize::Percent(0))),
        "--waves: a wave of no hosts would never end; write 1 or more, or a share such as 25%"
    );
    anyhow::ensure!(
        wish.yes || (is_interactive() && !manner.json),
        "nobody can be asked here, so nothing was done: `--yes` patches without asking, `seawall \
         patch plan` shows what would be done"
    );
    let mut ready = documents.prepare()?;
    let notes = wish.heed(&mut ready);
    let key = key()?;
    if !wish.yes && !agreed(&ready, manner)? {
        eprintln!("seawall: nothing was changed");
        return Ok(code::NOT_RUN);
    }
    carry::fresh(work(ready, Mode::Run, notes), key, manner)
}

impl Wish {
    /// Changes the playbook as the command line says; what the journal must say of it.
    fn heed(&self, ready: &mut Ready) -> Vec<String> {
        let patch = &mut ready.kept.patch;
        let mut notes = Vec::new();
        if !self.waves.is_empty() {
            let sizes: Vec<String> = self.waves.iter().map(ToString::to_string).collect();
            notes.push(format!(
                "--waves {}: in the place of the playbook's",
                sizes.join(",")
            ));
            patch.waves = self.waves.clone();
        }
        if self.now && !patch.windows.is_empty() {
            notes.push("--now: the playbook's windows were not waited for".to_owned());
            patch.windows.clear();
        }
        if self.no_refresh {
            notes.push("--no-refresh: the lists of packages are as old as they are".to_owned());
            patch.packages.refresh = false;
        }
        notes
    }
}

/// Shows the plan, as a run of its own, and asks.
fn agreed(ready: &Ready, manner: &Manner) -> anyhow::Result<bool> {
    let looks = Manner {
        html: None,
        junit: None,
        ..manner.clone()
    };
    let ready = ready.clone();
    let hosts = ready.jobs.len();
    let windows = !ready.kept.patch.windows.is_empty();
    let code = carry::fresh(work(ready, Mode::Plan, Vec::new()), key()?, &looks)?;
    if code == code::NOT_RUN {
        return Ok(false);
    }
    let waits = match windows {
        true => " Hosts wait for their windows; `--now` does not.",
        false => "",
    };
    let these = match hosts {
        1 => "this host".to_owned(),
        _ => format!("these {hosts} hosts"),
    };
    // Each host is looked at again: what came out meanwhile is taken too.
    eprint!("\nPatch {these}?{waits} [y/N] ");
    std::io::stderr().flush()?;
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer)?;
    Ok(matches!(
        answer.trim().to_ascii_lowercase().as_str(),
        "y" | "yes"
    ))
}

fn work(ready: Ready, mode: Mode, notes: Vec<String>) -> Work {
    Work {
        kept: ready.kept,
        jobs: ready.jobs,
        read: ready.read,
        mode,
        notes,
        former: Arc::default(),
    }
}

/// The key is asked for before anything is done.
fn key() -> anyhow::Result<Option<SigningKey>> {
    signing_key(false).map_err(|e| anyhow::anyhow!("{e}; nothing was done"))
}

pub fn resume(wanted: &str, inventory: Option<&str>, manner: &Manner) -> anyhow::Result<u8> {
    let folder = runs()?.find(wanted)?;
    let records = folder.open()?.collect::<Result<Vec<_>, _>>()?;
    let former = kept(&folder, &records)?;
    if folder.is_sealed() {
        return ended(&folder, &records, manner);
    }
    let (kept, declared, end) = match former {
        Former::Unbegun => return end_unbegun(&folder, manner),
        Former::Begun {
            kept,
            declared,
            ended,
        } => (*kept, declared, ended),
    };
    let key = key()?;
    if end.is_some() {
        // Only the seal was missing.
        let (folder, writer) = runs()?.resume(&folder.id, Arc::new(SystemClock))?;
        seal(
            &Journal::new(writer),
            key.as_ref(),
            manner.quiet || manner.json,
        )?;
        return ended(&folder, &records, manner);
    }
    let jobs = jobs_again(&kept, inventory)?;
    let read = read_advisories(&kept.advisories)?;
    let mut notes = Vec::new();
    for (file, hash) in &read.hashes {
        if kept.documents.get(file).is_some_and(|then| then != hash) {
            notes.push(format!(
                "the advisories {file} were changed since the run began; hosts that are looked at \
                 from now on are judged by the new ones"
            ));
        }
    }
    let (folder, writer) = runs()?.resume(&folder.id, Arc::new(SystemClock))?;
    // Read again now that nobody else writes: another process may have gone on meanwhile.
    let former = folder.open()?.collect::<Result<Vec<Record>, _>>()?;
    let work = Work {
        kept,
        jobs,
        read,
        mode: Mode::Run,
        notes,
        former: Arc::new(former),
    };
    carry::again(
        &folder.id,
        Journal::new(writer),
        declared,
        work,
        key,
        manner,
    )
}

/// There is nothing to go on with: whoever asks twice gets the same answer.
fn ended(folder: &RunFolder, records: &[Record], manner: &Manner) -> anyhow::Result<u8> {
    eprintln!("seawall: run {} has come to its end already", folder.id);
    let known = records.iter().rev().find_map(|record| match record.event {
        Event::RunEnded { code, .. } => Some(code),
        _ => None,
    });
    shown::show(&folder.path, manner)?;
    Ok(known.unwrap_or(code::NOT_RUN))
}

/// Ends a run whose process died before it said what it was: no host was reached for.
fn end_unbegun(folder: &RunFolder, manner: &Manner) -> anyhow::Result<u8> {
    let key = key()?;
    let (folder, writer) = runs()?.resume(&folder.id, Arc::new(SystemClock))?;
    let journal = Journal::new(writer);
    journal.append(&Event::RunEnded {
        code: code::NOT_RUN,
        millis: 0,
        stopped: Some("its process died before anything was begun".to_owned()),
    })?;
    seal(&journal, key.as_ref(), manner.quiet || manner.json)?;
    eprintln!(
        "seawall: run {} died before anything of it was begun, and is ended",
        folder.id
    );
    Ok(code::NOT_RUN)
}

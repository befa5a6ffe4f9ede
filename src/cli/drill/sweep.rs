//! `seawall drill sweep RUN` and `--all`.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Manner, carry, load};
use crate::cli::say;
use crate::cli::signing::seal;
use crate::cli::treat::{runs, who};
use crate::drill::ledger;
use crate::drill::run;
use crate::journal::{DrillEvent, Event, Journal, Record, RunFolder, SystemClock};
use crate::shell::clean;

/// Exit codes: of the sweep, not of the drill.
const CLEAR: u8 = 0;
const LEFT: u8 = 1;

pub fn one(wanted: &str, manner: &Manner) -> anyhow::Result<u8> {
    let folder = runs()?.find(wanted)?;
    match folder.is_sealed() {
        true => again(&folder, manner),
        false => dead(&folder, manner),
    }
}

pub fn all(manner: &Manner) -> anyhow::Result<u8> {
    let mut code = CLEAR;
    let mut swept = 0;
    // The earliest first, as they came.
    for folder in runs()?.list()?.into_iter().rev() {
        if folder.is_sealed() || !is_drill(&folder) {
            continue;
        }
        if folder.is_going() {
            eprintln!("seawall: run {} is going on, and is left alone", folder.id);
            continue;
        }
        swept += 1;
        match dead(&folder, manner) {
            Ok(one) => code = code.max(one),
            Err(error) => {
                eprintln!("seawall: run {}: {error:#}", folder.id);
                code = LEFT;
            }
        }
    }
    if swept == 0 && !manner.json {
        say("no drill is left to be swept\n")?;
    }
    Ok(code)
}

fn is_drill(folder: &RunFolder) -> bool {
    let Ok(mut records) = folder.open() else {
        return false;
    };
    records.any(|record| {
        matches!(record, Ok(Record { event: Event::RunStarted { verb, .. }, .. }) if verb == "drill")
    })
}

/// Gives up a run that did not come to its end.
fn dead(folder: &RunFolder, manner: &Manner) -> anyhow::Result<u8> {
    let Some(plan) = load::kept(folder)? else {
        carry::end_unbegun(folder, manner)?;
        return Ok(CLEAR);
    };
    let key = carry::key()?;
    let (folder, writer) = runs()?.resume(&folder.id, Arc::new(SystemClock))?;
    let journal = Journal::new(writer);
    let provider = load::means(&plan, load::no_identities()?)?.provider();
    let setup = carry::setup(folder.id, plan, provider, journal, manner)?;
    let end = carry::play(&setup, run::sweep)?;
    carry::finish(&setup, key.as_ref(), manner)?;
    Ok(if end.left.is_empty() { CLEAR } else { LEFT })
}

/// Takes away what a sealed run has left. Its journal is closed, so this is a run of its own.
fn again(folder: &RunFolder, manner: &Manner) -> anyhow::Result<u8> {
    let Some(plan) = load::kept(folder)? else {
        anyhow::bail!("run {} had made nothing", folder.id);
    };
    let former = folder.open()?.collect::<Result<Vec<_>, _>>()?;
    let clear = former.iter().rev().find_map(|record| match &record.event {
        Event::Drill(DrillEvent::Swept { left }) => Some(left.is_empty()),
        _ => None,
    });
    if clear == Some(true) && ledger::read(&former).iter().all(|entry| entry.gone) {
        say(&format!("run {} has left nothing behind\n", folder.id))?;
        return Ok(CLEAR);
    }
    let key = carry::key()?;
    let provider = load::means(&plan, load::no_identities()?)?.provider();
    let (id, writer) = runs()?.create(Arc::new(SystemClock), || {
        uuid::Uuid::new_v4().as_u128() as u32
    })?;
    let journal = Journal::new(writer);
    journal.append(&Event::RunStarted {
        run: id,
        verb: "sweep".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        playbook: plan.path.clone(),
        playbook_title: format!("what the drill {} has left", folder.id),
        level: 0,
        hosts: Vec::new(),
        rules: 0,
        documents: BTreeMap::new(),
        by: who(),
        data: BTreeMap::new(),
    })?;
    let quiet = Manner {
        quiet: true,
        ..manner.clone()
    };
    let setup = carry::setup(folder.id.clone(), plan, provider, journal, &quiet)?;
    let left = carry::play(&setup, |setup| run::clear(setup, former))?;
    let code = if left.is_empty() { CLEAR } else { LEFT };
    setup.journal.append(&Event::RunEnded {
        code,
        millis: 0,
        stopped: None,
    })?;
    seal(&setup.journal, key.as_ref(), manner.quiet || manner.json)?;
    let text = match left.is_empty() {
        true => format!("run {}: nothing of it is left\n", folder.id),
        false => {
            let left: Vec<String> = left.iter().map(|one| clean(one, 200)).collect();
            format!("run {}: left are {}\n", folder.id, left.join(", "))
        }
    };
    say(&text)?;
    Ok(code)
}

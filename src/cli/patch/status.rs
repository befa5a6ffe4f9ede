//! `seawall patch status [PLAYBOOK] [-i INVENTORY]`

use std::path::PathBuf;

use jiff::Timestamp;

use super::shown::look;
use crate::cli::say;
use crate::cli::setup::{read_inventory, refuse_other_kind, tell, today};
use crate::cli::treat::{runs, write};
use crate::document::inventory::Inventory;
use crate::document::{Disk, load_patch};
use crate::host::jobs::select;
use crate::host::run::code;
use crate::report::patch::status::{self, Status, StatusAsk, Word};

#[derive(clap::Args)]
pub struct Args {
    /// Only runs of this patch playbook (default: all patch runs)
    playbook: Option<PathBuf>,
    /// The hosts that ought to be there: those that no run has seen are unknown
    #[arg(short, long, value_name = "FILE|HOSTS")]
    inventory: Option<String>,
    /// One JSON document on standard output
    #[arg(long)]
    json: bool,
    /// Write an HTML page here as well
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Write a JUnit report here as well
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    /// Long lists are not cut
    #[arg(long)]
    full: bool,
    /// What exit code 1 stands for: a host that is behind at all, or one that is overdue by the
    /// policy
    #[arg(long, value_enum, default_value_t = FailOn::Overdue, value_name = "WHAT")]
    fail_on: FailOn,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum FailOn {
    Behind,
    Overdue,
}

pub fn run(args: &Args) -> anyhow::Result<u8> {
    let inventory = match &args.inventory {
        Some(given) => Some(read_inventory(given)?.0),
        None => None,
    };
    let ask = ask(args, inventory.as_ref())?;
    let status = status::gather(&runs()?, &ask)?;
    if args.json {
        say(&status::json(&status)?)?;
    } else {
        say(&status::text(
            &status,
            &look(args.html.as_deref(), args.full),
        ))?;
    }
    if let Some(path) = &args.html {
        write(path, &status::html(&status)?)?;
    }
    if let Some(path) = &args.junit {
        write(path, &status::junit(&status))?;
    }
    Ok(verdict(&status, args.fail_on))
}

fn ask(args: &Args, inventory: Option<&Inventory>) -> anyhow::Result<StatusAsk> {
    let mut ask = StatusAsk {
        patch: None,
        known: Vec::new(),
        now: Timestamp::now(),
    };
    let mut patterns = vec!["all".to_owned()];
    if let Some(path) = &args.playbook {
        refuse_other_kind(path, "patch")?;
        match load_patch(path, &Disk, inventory, Some(today())) {
            Ok(loaded) => {
                tell(&loaded.warnings)?;
                ask.patch = Some(loaded.patch.patch);
                patterns = loaded.patch.hosts;
            }
            Err(found) => {
                tell(&found)?;
                anyhow::bail!("the patch playbook could not be read");
            }
        }
    }
    if let Some(inventory) = inventory {
        let hosts = select(inventory, &patterns, "`hosts`").map_err(anyhow::Error::msg)?;
        ask.known = hosts.iter().map(|host| host.name.clone()).collect();
    }
    Ok(ask)
}

/// What is judged by default is the reports' own code; `behind` is stricter.
fn verdict(status: &Status, fail_on: FailOn) -> u8 {
    let behind = |word: Word| status.hosts.iter().any(|host| host.verdict == word);
    match status::code(status) {
        code::WELL if fail_on == FailOn::Behind && behind(Word::Behind) => code::FINDINGS,
        code => code,
    }
}

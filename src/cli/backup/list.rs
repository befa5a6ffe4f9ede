//! `seawall backup list POLICY`

use std::fmt::Write;
use std::path::PathBuf;

use indicatif::HumanBytes;
use serde::Serialize;

use crate::backup::catalog::{Backup, Vouched, backups};
use crate::host::run::code;
use crate::shell::clean;

use super::super::say;
use super::ground::Ground;

/// List the backups that the stores hold, the newest first
///
/// Exit codes: 0 all stores were asked; 3 one could not be.
#[derive(clap::Args)]
pub struct Args {
    /// The backup policy
    policy: PathBuf,
    /// Only this source; may be given several times
    #[arg(long, value_name = "NAME")]
    source: Vec<String>,
    /// Only this store
    #[arg(long, value_name = "NAME")]
    store: Option<String>,
    /// One JSON document on standard output
    #[arg(long)]
    json: bool,
}

/// What one store holds of one source.
#[derive(Serialize)]
struct Holding {
    source: String,
    store: String,
    place: String,
    endpoint: String,
    backups: Vec<Row>,
    /// Why it is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

#[derive(Serialize)]
struct Row {
    name: String,
    size: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    data_time: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    copied: Option<String>,
    signed: bool,
    /// The fingerprint of the key that signed it.
    #[serde(skip_serializing_if = "Option::is_none")]
    by: Option<String>,
    /// Why nobody who counts vouches for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

pub fn run(args: Args) -> anyhow::Result<u8> {
    let ground = Ground::read(&args.policy)?;
    let trusted = ground.trusted()?;
    let mut all = Vec::new();
    for source in ground.sources(&args.source)? {
        for (name, document) in ground.stores(source, args.store.as_deref())? {
            let (endpoint, found) = match ground.open(document) {
                Ok(store) => (
                    store.endpoint(),
                    backups(&*store, &source.source, &trusted).map_err(|e| e.to_string()),
                ),
                Err(error) => (String::new(), Err(super::super::told(&error))),
            };
            let (backups, error) = match found {
                Ok(backups) => (backups.iter().rev().map(row).collect(), None),
                Err(why) => (Vec::new(), Some(clean(&why, 600))),
            };
            all.push(Holding {
                source: source.source.clone(),
                store: name.to_owned(),
                place: document.place.clone(),
                endpoint,
                backups,
                error,
            });
        }
    }
    match args.json {
        true => say(&format!("{}\n", serde_json::to_string_pretty(&all)?))?,
        false => say(&text(&all))?,
    }
    Ok(match all.iter().any(|holding| holding.error.is_some()) {
        true => code::UNKNOWN,
        false => code::WELL,
    })
}

fn row(backup: &Backup) -> Row {
    let (by, reason) = match &backup.vouched {
        Vouched::Signed(_, by) => (Some(by.clone()), None),
        Vouched::Unsigned(_, why) | Vouched::Nobody(why) => (None, Some(clean(why, 300))),
    };
    Row {
        name: backup.name.clone(),
        size: backup.size,
        data_time: backup.data_time.map(|time| time.to_string()),
        copied: backup.copied.map(|time| time.to_string()),
        signed: by.is_some(),
        by,
        reason,
    }
}

fn text(all: &[Holding]) -> String {
    let mut out = String::new();
    for holding in all {
        let head = format!(
            "{} in {} ({})",
            holding.source, holding.store, holding.endpoint
        );
        let _ = match &holding.error {
            Some(why) => writeln!(out, "{head}: NOT ASKED: {why}"),
            None if holding.backups.is_empty() => writeln!(out, "{head}: none"),
            None => writeln!(out, "{head}"),
        };
        for row in &holding.backups {
            let word = match &row.reason {
                None => "signed".to_owned(),
                Some(why) => format!("NOBODY VOUCHES FOR IT: {why}"),
            };
            let _ = writeln!(
                out,
                "  {}  {:>10}  {word}",
                clean(&row.name, 200),
                HumanBytes(row.size).to_string()
            );
        }
    }
    out
}

//! `seawall runs`

use std::fmt::Write;

use crate::journal::{RunFolder, Signature, signature};
use crate::model::patch::PatchOutcome;
use crate::report::{self, drill, patch};
use crate::sign::Trusted;

use super::say;
use super::signing::own_trusted;
use super::treat::runs;

/// List the runs that are kept, the latest first
#[derive(clap::Args)]
pub struct Args {
    /// How many
    #[arg(short = 'n', long, default_value_t = 20)]
    count: usize,
}

pub fn run(args: Args) -> anyhow::Result<u8> {
    let mut out = String::new();
    let trusted = own_trusted().unwrap_or_default();
    for folder in runs()?.list()?.into_iter().take(args.count) {
        match report::load(&folder.path) {
            Ok(view) => {
                let end = match (&view.ended, folder.is_sealed()) {
                    (Some(end), true) => {
                        format!("exit {}, {}", end.code, signed(&folder.path, &trusted))
                    }
                    (Some(end), false) => format!("exit {}, not sealed", end.code),
                    (None, _) if folder.is_going() => "still going".to_owned(),
                    (None, _) => "did not come to its end".to_owned(),
                };
                let what = match view.verb.as_str() {
                    "drill" => of_drill(&folder),
                    "patch" | "patch-plan" => of_patch(&folder),
                    _ => format!("{:3} hosts", view.hosts.len()),
                };
                writeln!(
                    out,
                    "{}  {:10}  {what}  {end}  {}",
                    folder.id,
                    crate::shell::clean(&view.verb, 20),
                    crate::shell::clean(&view.playbook, 80)
                )?;
            }
            Err(error) => writeln!(out, "{}  cannot be read: {error}", folder.id)?,
        }
    }
    if out.is_empty() {
        let state = crate::journal::state_dir(|name| std::env::var_os(name))?;
        writeln!(out, "no run is kept yet in {}", state.display())?;
    }
    say(&out)?;
    Ok(0)
}

/// How many steps a drill has, and what came of it. The verdict is that of a report: one that did
/// not come to its end is inconclusive.
fn of_drill(folder: &RunFolder) -> String {
    let view = drill::load_some(&folder.path);
    let point = drill::TrendPoint::of(&view);
    let word = drill::verdict_word(point.word);
    match view.steps.len() {
        1 => format!("  1 step   {word}"),
        n => format!("{n:3} steps  {word}"),
    }
}

/// How many hosts a patch run has, and what came of them.
fn of_patch(folder: &RunFolder) -> String {
    let view = patch::load_some(&folder.path);
    let hosts = match view.hosts.len() {
        1 => "  1 host ".to_owned(),
        n => format!("{n:3} hosts"),
    };
    let told: Vec<String> = OUTCOMES
        .iter()
        .filter_map(|outcome| match view.count(*outcome) {
            0 => None,
            count => Some(format!("{count} {}", patch::outcome_word(*outcome))),
        })
        .collect();
    format!("{hosts}  {}", told.join(", "))
}

/// In the order in which a person wants to hear of them.
const OUTCOMES: [PatchOutcome; 9] = [
    PatchOutcome::Failed,
    PatchOutcome::WentBack,
    PatchOutcome::LeftOut,
    PatchOutcome::Unknown,
    PatchOutcome::NotStarted,
    PatchOutcome::Behind,
    PatchOutcome::Waiting,
    PatchOutcome::Patched,
    PatchOutcome::Current,
];

/// Whose word a sealed run is, in a word. Whether the rest fits is `verify`'s to say.
fn signed(path: &std::path::Path, trusted: &Trusted) -> &'static str {
    match signature(path, trusted) {
        Ok(Signature::Good(_)) => "signed",
        Ok(Signature::Missing) => "not signed",
        Ok(Signature::Unknown(_)) => "signed by another key",
        Ok(Signature::Bad(_)) | Err(_) => "BADLY SIGNED",
    }
}

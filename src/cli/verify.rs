//! `seawall verify [RUN|--all]`

use std::fmt::Write;
use std::path::{Path, PathBuf};

use crate::journal::{ChainState, JournalError, RunState, Signature, Verified, verify_with};
use crate::shell::clean;
use crate::sign::Trusted;

use super::say;
use super::signing::own_trusted;
use super::treat::runs;

/// Check that a run is as it was written, whole, and by whose word; or all runs, and that none is
/// missing
#[derive(clap::Args)]
pub struct Args {
    /// The run: its id, a beginning of it, `latest`, or a run's folder. None: all of them
    run: Option<String>,
    /// Every run, and how they follow each other
    #[arg(long, conflicts_with = "run")]
    all: bool,
    /// A public key (or several, one in each line) whose signature counts too
    #[arg(long = "key", value_name = "FILE.pub")]
    keys: Vec<PathBuf>,
}

pub fn run(args: Args) -> anyhow::Result<u8> {
    let mut trusted = own_trusted()?;
    for path in &args.keys {
        trusted = trusted.and(read_keys(path)?);
    }
    let (text, well) = match &args.run {
        None => whole_chain(&runs()?.verify(&trusted)?, &trusted),
        Some(wanted) => {
            let folder = Path::new(wanted);
            let path = match wanted.contains('/') && folder.is_dir() {
                true => folder.canonicalize()?,
                false => runs()?.find(wanted)?.path,
            };
            one(&path, &verify_with(&path, &trusted), &trusted)
        }
    };
    say(&text)?;
    Ok(if well { 0 } else { 1 })
}

fn read_keys(path: &Path) -> anyhow::Result<Trusted> {
    let text = std::fs::read_to_string(path)
        .map_err(|e| anyhow::anyhow!("--key: reading {}: {e}", path.display()))?;
    let keys = Trusted::parse(text.lines())
        .map_err(|e| anyhow::anyhow!("--key: {}: {e}", path.display()))?;
    anyhow::ensure!(
        !keys.is_empty(),
        "--key: {} holds no public key",
        path.display()
    );
    Ok(keys)
}

/// What is said of one run, and whether it is whole and by somebody's word that counts.
fn one(path: &Path, result: &Result<Verified, JournalError>, trusted: &Trusted) -> (String, bool) {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let mut out = format!("run      {}\n", clean(&name, 60));
    let verified = match result {
        Ok(verified) => verified,
        Err(error) => {
            out += &format!("journal  {}\n", altered(&[error.to_string()]));
            return (out, false);
        }
    };
    let (state, whole) = seal_state(verified);
    out += &format!("journal  {state}\n");
    if whole {
        out += &format!(
            "lines    {}, the last with the hash {}\n",
            verified.lines, verified.last
        );
    }
    if !verified.added.is_empty() {
        let names = clean(&verified.added.join(", "), 300);
        out += &format!("added    {names} (after it was sealed; nothing vouches for that)\n");
    }
    let (word, counts) = signature_state(&verified.signature, trusted);
    if verified.sealed {
        out += &format!("signed   {word}\n");
    }
    (out, whole && counts)
}

/// How a run's journal and files stand, in words; and whether they are whole.
pub fn seal_state(verified: &Verified) -> (String, bool) {
    if !verified.problems.is_empty() {
        return (altered(&verified.problems), false);
    }
    if verified.sealed {
        return (
            "whole: every event and file is as it was written".into(),
            true,
        );
    }
    let torn = match &verified.torn {
        Some(torn) => format!("; line {} is torn", torn.line),
        None => String::new(),
    };
    (
        format!("not sealed: the run did not come to its end{torn}"),
        false,
    )
}

fn altered(problems: &[String]) -> String {
    let shown: Vec<String> = problems.iter().take(20).map(|p| clean(p, 500)).collect();
    let more = match problems.len().saturating_sub(shown.len()) {
        0 => String::new(),
        more => format!("; and {more} more"),
    };
    format!("NOT AS IT WAS WRITTEN: {}{more}", shown.join("; "))
}

/// Whose word a sealed run is, in words; and whether that is enough. Where no key counts at all,
/// no signature is expected.
pub fn signature_state(signature: &Signature, trusted: &Trusted) -> (String, bool) {
    match signature {
        Signature::Good(by) => (format!("by {by}, a key that counts here"), true),
        Signature::Missing if trusted.is_empty() => (
            "by nobody: who may write the run's folder may have written it anew".into(),
            true,
        ),
        Signature::Missing => (
            "BY NOBODY, though there is a key; a signed run after it vouches for it if \
             `seawall verify --all` finds the chain whole"
                .into(),
            false,
        ),
        Signature::Unknown(why) => (
            format!(
                "NOT KNOWN BY WHOM: {}; name the key with --key",
                clean(why, 400)
            ),
            false,
        ),
        Signature::Bad(why) => (format!("BADLY: {}", clean(why, 400)), false),
    }
}

/// What is said of all runs, the latest first.
fn whole_chain(state: &ChainState, trusted: &Trusted) -> (String, bool) {
    let mut out = String::new();
    let mut well = state.problems.is_empty();
    // The latest first: those before the first signed run are of before this machine signed.
    let first_signed = state.runs.iter().rposition(
        |run| matches!(&run.verified, Ok(v) if matches!(v.signature, Signature::Good(_))),
    );
    for (at, run) in state.runs.iter().enumerate() {
        let signing = first_signed.is_some_and(|first| at <= first);
        let (word, good) = word_of(run, signing, trusted);
        well &= good;
        let _ = writeln!(out, "{}  {word}", run.folder.id);
    }
    let chained: Vec<&str> = (state.runs.iter())
        .filter(|run| run.chained)
        .map(|run| run.folder.id.as_str())
        .collect();
    let _ = match (chained.last(), chained.first()) {
        _ if !state.problems.is_empty() => writeln!(out, "\nchain    NOT WHOLE"),
        (Some(first), Some(last)) => writeln!(
            out,
            "\nchain    whole: {} from {first} to {last}, and none is missing between them",
            match chained.len() {
                1 => "1 run".to_owned(),
                count => format!("{count} runs"),
            }
        ),
        _ => writeln!(out, "no run is chained yet"),
    };
    for problem in &state.problems {
        let _ = writeln!(out, "  - {}", clean(problem, 500));
    }
    (out, well)
}

fn word_of(run: &RunState, signing: bool, trusted: &Trusted) -> (String, bool) {
    let verified = match &run.verified {
        Ok(verified) => verified,
        Err(error) => return (altered(&[error.to_string()]), false),
    };
    let mut word = if verified.lines == 0 && !verified.sealed {
        "begun, and nothing was written".to_owned()
    } else if run.going && !verified.sealed {
        "still going".to_owned()
    } else if verified.sealed && verified.problems.is_empty() {
        "whole".to_owned()
    } else {
        seal_state(verified).0
    };
    let mut good = verified.problems.is_empty();
    if verified.sealed {
        match &verified.signature {
            Signature::Good(_) => word += ", signed",
            Signature::Missing if signing => {
                word += ", NOT SIGNED, though a run before it is";
                good = false;
            }
            Signature::Missing => word += ", not signed",
            other => {
                let (told, counts) = signature_state(other, trusted);
                word += &format!(", signed {told}");
                good &= counts;
            }
        }
    }
    if !run.chained && verified.lines > 0 {
        word += ", of before the chain began";
    }
    (word, good)
}

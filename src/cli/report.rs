//! `seawall report RUN`

use std::path::{Path, PathBuf};

use crate::journal::{RunFolder, state_dir, verify_with};
use crate::report::{self, RunView, drill, patch};

use super::signing::own_trusted;
use super::treat::{runs, summary, terminal_size, write};
use super::verify::{seal_state, signature_state};
use super::{colour, say};

/// Make a run's report again, from its journal alone: a summary, and one HTML page
#[derive(clap::Args)]
pub struct Args {
    /// The run: its id, a beginning of it, or `latest`
    #[arg(default_value = "latest")]
    run: String,
    /// Where the page goes (default: reports/RUN.html in the state folder)
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Write a JUnit report too
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    /// The JSON document instead of the summary
    #[arg(long)]
    json: bool,
    /// Whole diffs and long lists, not only their beginnings
    #[arg(long)]
    diff: bool,
}

pub fn run(args: Args) -> anyhow::Result<u8> {
    let folder = runs()?.find(&args.run)?;
    let view = report::load(&folder.path)?;
    let path = match args.html.clone() {
        Some(path) => path,
        None => {
            let reports = state_dir(|name| std::env::var_os(name))?.join("reports");
            std::fs::create_dir_all(&reports)?;
            reports.join(format!("{}.html", folder.id))
        }
    };
    let text = match view.verb.as_str() {
        "drill" => of_drill(&folder, &path, &args)?,
        "patch" | "patch-plan" => of_patch(&folder, &path, &args)?,
        _ => of_hosts(&view, &path, &args)?,
    };
    say(&text)?;
    if args.json {
        return Ok(0);
    }
    // A key that cannot be read must not hide the report: the signature is then nobody's.
    let trusted = own_trusted().unwrap_or_default();
    let mut signed = String::new();
    let (state, code) = match verify_with(&folder.path, &trusted) {
        Ok(verified) => {
            let (state, whole) = seal_state(&verified);
            if verified.sealed {
                let (by, _) = signature_state(&verified.signature, &trusted);
                signed = format!("signed   {by}\n");
            }
            (state, u8::from(!whole && !verified.problems.is_empty()))
        }
        Err(error) => (format!("NOT AS IT WAS WRITTEN: {error}"), 1),
    };
    say(&format!(
        "\njournal  {state}\n{signed}page     {}\n",
        path.display()
    ))?;
    Ok(code)
}

/// Writes the files, and says what goes to standard output.
fn of_hosts(view: &RunView, path: &Path, args: &Args) -> anyhow::Result<String> {
    write(path, &report::html::text(view)?)?;
    if let Some(path) = &args.junit {
        write(path, &report::junit::text(view))?;
    }
    if args.json {
        let mut text = serde_json::to_string_pretty(&report::json::document(view))?;
        text.push('\n');
        return Ok(text);
    }
    Ok(summary(view, args.diff, report::Choice::default()))
}

/// The same of a drill.
fn of_drill(folder: &RunFolder, path: &Path, args: &Args) -> anyhow::Result<String> {
    let view = drill::load(&folder.path)?;
    let trend = drill::trend(&runs()?, &view.drill)?;
    write(path, &drill::html(&view, &trend)?)?;
    if let Some(path) = &args.junit {
        write(path, &drill::junit::text(&view))?;
    }
    if args.json {
        return Ok(drill::json::text(&view)?);
    }
    let look = drill::Look {
        color: colour(&std::io::stdout()),
        width: terminal_size().map_or(100, |(_, width)| width.clamp(60, 160)),
        page: None,
    };
    Ok(drill::summary(&view, &look))
}

/// The same of a patch run.
fn of_patch(folder: &RunFolder, path: &Path, args: &Args) -> anyhow::Result<String> {
    let view = patch::load(&folder.path)?;
    write(path, &patch::html(&view)?)?;
    if let Some(path) = &args.junit {
        write(path, &patch::junit::text(&view))?;
    }
    if args.json {
        return Ok(patch::json::text(&view)?);
    }
    let look = patch::Look {
        color: colour(&std::io::stdout()),
        width: terminal_size().map_or(100, |(_, width)| width.clamp(60, 160)),
        page: None,
        full: args.diff,
    };
    Ok(patch::summary(&view, &look))
}

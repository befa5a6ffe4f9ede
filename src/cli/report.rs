//! `seawall report RUN`

use std::path::PathBuf;

use crate::journal::{state_dir, verify};
use crate::report;

use super::say;
use super::treat::{runs, summary, write};

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
    /// Whole diffs, not only their beginnings
    #[arg(long)]
    diff: bool,
}

pub fn run(args: Args) -> anyhow::Result<u8> {
    let folder = runs()?.find(&args.run)?;
    let view = report::load(&folder.path)?;
    let path = match args.html {
        Some(path) => path,
        None => {
            let reports = state_dir(|name| std::env::var_os(name))?.join("reports");
            std::fs::create_dir_all(&reports)?;
            reports.join(format!("{}.html", folder.id))
        }
    };
    write(&path, &report::html::text(&view)?)?;
    if let Some(path) = &args.junit {
        write(path, &report::junit::text(&view))?;
    }
    if args.json {
        let mut text = serde_json::to_string_pretty(&report::json::document(&view))?;
        text.push('\n');
        say(&text)?;
        return Ok(0);
    }
    say(&summary(&view, args.diff, report::Choice::default()))?;
    let mut code = 0;
    let state = match verify(&folder.path) {
        Ok(verified) if verified.is_whole() => {
            "whole: every event and file is as it was written".to_owned()
        }
        Ok(verified) if !verified.problems.is_empty() => {
            code = 1;
            format!("NOT AS IT WAS WRITTEN: {}", verified.problems.join("; "))
        }
        Ok(_) => "not sealed: the run did not come to its end".to_owned(),
        Err(error) => {
            code = 1;
            format!("NOT AS IT WAS WRITTEN: {error}")
        }
    };
    say(&format!(
        "\njournal  {state}\npage     {}\n",
        path.display()
    ))?;
    Ok(code)
}

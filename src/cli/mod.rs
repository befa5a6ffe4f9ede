//! One file per subcommand: arguments → one call → exit code.

mod apply;
mod ask;
mod backup;
mod check;
mod completions;
mod drill;
mod explain;
mod keygen;
mod lab;
mod patch;
mod report;
mod rollback;
mod rules;
mod runs;
mod schema;
mod setup;
mod signing;
mod treat;
mod verify;

use clap::{CommandFactory, Parser, Subcommand};

use crate::host::run::code;

const ABOUT: &str = "Hardens and patches hosts over SSH, and proves it.

Baselines (rules as code) and playbooks (which baselines go to which hosts) are YAML documents.
`check` says what falls short and writes nothing. `apply` changes it with a diff; each host undoes
the change by itself unless a fresh log-in proves that it can still be reached. `rollback` takes a
run back. `patch` brings packages and container images up to date, in waves, with a way back.";

const CODES: &str = "Exit codes:
  0  all as demanded
  1  findings, or a change that failed
  2  it could not run (bad documents, bad arguments, no state folder), or was interrupted
  3  some host was not seen

Environment:
  SEAWALL_STATE_DIR  where runs are kept (default: $XDG_STATE_HOME/seawall or ~/.local/state/seawall)
  SEAWALL_SIGNING_KEY  the key that signs runs and backups: a private key, or the .pub file of one
                     in ssh-agent (default: signing-key in the state folder, see `keygen`)
  SEAWALL_SIGNING_PASSPHRASE  its passphrase, where nobody can be asked
  SEAWALL_AGE_IDENTITY  the text of an age identity file, for opening backups
  AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN  credentials of stores in S3
  NO_COLOR           no colour";

#[derive(Parser)]
#[command(name = "seawall", version, about = ABOUT, after_help = CODES, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Check(check::Args),
    Apply(apply::Args),
    Rollback(rollback::Args),
    Backup(backup::Args),
    Rules(rules::Args),
    Explain(explain::Args),
    Patch(patch::Args),
    Drill(drill::Args),
    Runs(runs::Args),
    Report(report::Args),
    Verify(verify::Args),
    Keygen(keygen::Args),
    Schema(schema::Args),
    Lab(lab::Args),
    Completions(completions::Args),
}

/// Reads the arguments, runs the verb, and gives the exit code.
pub fn main() -> u8 {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let code = if error.use_stderr() {
                code::NOT_RUN
            } else {
                code::WELL
            };
            // A closed pipe is nobody's trouble.
            let _ = error.print();
            return code;
        }
    };
    let result = match cli.command {
        Command::Check(args) => check::run(args),
        Command::Apply(args) => apply::run(args),
        Command::Rollback(args) => rollback::run(args),
        Command::Backup(args) => backup::run(args),
        Command::Rules(args) => rules::run(args),
        Command::Explain(args) => explain::run(args),
        Command::Patch(args) => patch::run(args),
        Command::Drill(args) => drill::run(args),
        Command::Runs(args) => runs::run(args),
        Command::Report(args) => report::run(args),
        Command::Verify(args) => verify::run(args),
        Command::Keygen(args) => keygen::run(args),
        Command::Schema(args) => schema::run(args),
        Command::Lab(args) => lab::run(args),
        Command::Completions(args) => completions::run(args),
    };
    match result {
        Ok(code) => code,
        Err(error) => {
            eprintln!("seawall: {}", told(&error));
            code::NOT_RUN
        }
    }
}

/// An error with its causes; one that already tells its cause does not tell it twice.
fn told(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if text.is_empty() {
            text = cause;
        } else if !text.contains(&cause) {
            text = format!("{text}: {cause}");
        }
    }
    text
}

/// The whole command line, for completions.
fn command() -> clap::Command {
    Cli::command()
}

/// Writes to standard output; a reader that has gone is no error.
fn say(text: &str) -> anyhow::Result<()> {
    use std::io::Write;
    match std::io::stdout().lock().write_all(text.as_bytes()) {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        other => other.map_err(|e| anyhow::anyhow!("writing to standard output: {e}")),
    }
}

/// Whether colours are wanted on a stream.
fn colour(stream: &impl std::io::IsTerminal) -> bool {
    stream.is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty())
}

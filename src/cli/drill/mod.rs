//! `seawall drill plan | run | resume | sweep | report`

mod carry;
mod load;
mod plan;
mod sweep;

use std::path::PathBuf;

use clap::Subcommand;

const CODES: &str = "Exit codes:
  0  met: everything was restored, proved, and in time; nothing is left
  1  missed: a step did not recover, or an objective was not met
  2  it was refused before it started, or was interrupted
  3  inconclusive: it could not be measured, and the report says why

A drill that was killed is in `seawall runs`: `resume` goes on with it, `sweep` gives it up. Both
leave nothing behind.

Environment:
  SEAWALL_AGE_IDENTITY  the text of an age identity file, besides those that the drill names
  AWS_PROFILE, AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN, …
                        credentials of a drill in AWS, as the AWS CLI takes them. The region never
                        comes from there: it stands in the drill
  AWS_ENDPOINT_URL, AWS_ENDPOINT_URL_S3, AWS_ENDPOINT_URL_EC2
                        another service in the place of AWS; the report says so";

/// Rehearse a recovery: restore backups to a scratch, prove them, and time it
#[derive(clap::Args)]
#[command(after_help = CODES)]
pub struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Say what a drill would do, in which order and with which backups; write nothing. Of a drill in
    /// AWS: also what would be created and what it would cost; only questions are sent
    Plan {
        /// The drill's playbook
        file: PathBuf,
    },
    /// Carry a drill out: restore, prove, tear down, judge
    Run {
        /// The drill's playbook
        file: PathBuf,
        #[command(flatten)]
        manner: Manner,
    },
    /// Go on with a drill whose process died; the time in between counts
    Resume {
        /// The run: its id, a beginning of it, or `latest`
        run: String,
        #[command(flatten)]
        manner: Manner,
    },
    /// Give a drill up: destroy all that it made, and end it with a report
    Sweep {
        /// The run: its id, a beginning of it, or `latest`
        #[arg(required_unless_present = "all", conflicts_with = "all")]
        run: Option<String>,
        /// All drills that did not come to their end and whose process is dead
        #[arg(long)]
        all: bool,
        #[command(flatten)]
        manner: Manner,
    },
    /// Make a drill's report again, from its journal alone
    Report(super::report::Args),
}

/// How a drill is shown.
#[derive(clap::Args, Clone, Debug, Default)]
struct Manner {
    /// One JSON document on standard output, and nothing else there
    #[arg(long)]
    json: bool,
    /// No progress; the summary only
    #[arg(short, long)]
    quiet: bool,
    /// Where the page goes (default: reports/RUN.html in the state folder)
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Write a JUnit report too
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
}

pub fn run(args: Args) -> anyhow::Result<u8> {
    match args.verb {
        Verb::Plan { file } => plan::run(&file),
        Verb::Run { file, manner } => carry::run(&file, &manner),
        Verb::Resume { run, manner } => carry::resume(&run, &manner),
        Verb::Sweep {
            run: Some(run),
            manner,
            ..
        } => sweep::one(&run, &manner),
        Verb::Sweep { manner, .. } => sweep::all(&manner),
        Verb::Report(args) => super::report::run(args),
    }
}

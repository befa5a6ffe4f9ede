//! `seawall patch plan | run | resume | status`

mod begin;
mod carry;
mod kept;
mod ready;
mod shown;
mod status;

use std::path::PathBuf;

use clap::Subcommand;

use super::treat::at_least_one;
use crate::document::playbook::WaveSize;

const CODES: &str = "Exit codes:
  0  plan: every host was seen, whatever there is to do. run: every host is current or patched.
     status: the policy is met
  1  a host failed, went back, was left out or was not begun; status: the policy is not met
  2  it could not run (bad documents, bad arguments, nobody said yes), or was interrupted
  3  some host was not seen; that weighs more than 1

The package manager runs on the host by itself: neither a lost connection nor a killed controller
ends it. `seawall patch resume RUN` picks up what became of it.";

/// Bring packages and container images up to date: in waves, with a way back
#[derive(clap::Args)]
#[command(after_help = CODES)]
pub struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Say what a run would do to each host; nothing is changed there but the package manager's
    /// own lists
    Plan {
        #[command(flatten)]
        documents: Documents,
        /// Take the package manager's lists as they are on the hosts
        #[arg(long)]
        no_refresh: bool,
        #[command(flatten)]
        manner: Manner,
    },
    /// Carry it out, in waves; a host that is not healthy afterwards is put back
    Run {
        #[command(flatten)]
        documents: Documents,
        /// Do not show the plan and ask first
        #[arg(short, long)]
        yes: bool,
        /// Sizes of the waves, e.g. 1,25%,100% (default: the playbook's)
        #[arg(long, value_name = "SIZES", value_delimiter = ',')]
        waves: Vec<WaveSize>,
        /// Do not wait for the playbook's windows; the journal says so
        #[arg(long)]
        now: bool,
        /// Take the package manager's lists as they are on the hosts
        #[arg(long)]
        no_refresh: bool,
        #[command(flatten)]
        manner: Manner,
    },
    /// Go on with a run whose process died: what it had decided, and what the hosts have done since
    Resume {
        /// The run: its id, a beginning of it, or `latest`
        run: String,
        /// The inventory, if it is no longer where it was
        #[arg(short, long, value_name = "FILE|HOSTS")]
        inventory: Option<String>,
        #[command(flatten)]
        manner: Manner,
    },
    /// Who is current, who is behind and since when, against the policy: from the journals alone
    Status(status::Args),
}

/// Which playbook, on which hosts.
#[derive(clap::Args, Clone, Debug)]
struct Documents {
    /// The patch playbook
    playbook: PathBuf,
    /// The inventory: our YAML, Ansible's YAML or INI, or a list of user@host:port; or the hosts
    /// themselves, separated by commas
    #[arg(short, long, value_name = "FILE|HOSTS")]
    inventory: Option<String>,
    /// Only these hosts: names, groups, globs, `!name`; separated by commas
    #[arg(long, value_name = "HOSTS", value_delimiter = ',')]
    limit: Vec<String>,
}

/// How it is carried out and shown.
#[derive(clap::Args, Clone, Debug)]
struct Manner {
    /// One JSON document on standard output, and nothing else there
    #[arg(long)]
    json: bool,
    /// No progress; the summary only
    #[arg(short, long)]
    quiet: bool,
    /// Long lists are not cut
    #[arg(long)]
    full: bool,
    /// Write the HTML report here as well
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Write a JUnit report here as well
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    /// Accept and remember the key of a host that no known_hosts file knows
    #[arg(long)]
    accept_new: bool,
    /// Let passwords and a host's own questions log us in, and ask for them
    #[arg(long)]
    ask_pass: bool,
    /// Hosts looked at, or downloaded to, at once
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = at_least_one)]
    at_once: usize,
}

pub fn run(args: Args) -> anyhow::Result<u8> {
    match args.verb {
        Verb::Plan {
            documents,
            no_refresh,
            manner,
        } => begin::plan(&documents, no_refresh, &manner),
        Verb::Run {
            documents,
            yes,
            waves,
            now,
            no_refresh,
            manner,
        } => {
            let wish = begin::Wish {
                yes,
                waves,
                now,
                no_refresh,
            };
            begin::run(&documents, &wish, &manner)
        }
        Verb::Resume {
            run,
            inventory,
            manner,
        } => begin::resume(&run, inventory.as_deref(), &manner),
        Verb::Status(args) => status::run(&args),
    }
}

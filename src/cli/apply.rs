//! `seawall apply PLAYBOOK -i INVENTORY`

use std::sync::Arc;
use std::time::Duration;

use crate::document::playbook::{Span, WaveSize};
use crate::host::run::{self, Mode, Settings};

use super::check::heading;
use super::setup::{Documents, today};
use super::treat::{Manner, carry_out};

/// Bring hosts to the playbook's baselines: with a diff, in waves, and undone by the host itself
/// unless a fresh log-in proves that it can still be reached
#[derive(clap::Args)]
#[command(override_usage = "seawall apply [OPTIONS] <PLAYBOOK> -i <FILE|HOSTS>")]
pub struct Args {
    #[command(flatten)]
    documents: Documents,
    #[command(flatten)]
    manner: Manner,
    /// Say what would be changed, with the diff, and change nothing
    #[arg(long)]
    dry_run: bool,
    /// How long a host waits for our keep before it undoes the run, e.g. 90s (default: the
    /// playbook's)
    #[arg(long, value_name = "TIME")]
    confirm: Option<Span>,
    /// Sizes of the waves, e.g. 1,25%,100% (default: the playbook's)
    #[arg(long, value_name = "SIZES", value_delimiter = ',')]
    waves: Vec<WaveSize>,
}

/// The shortest window in which a log-in can be proved, and the longest that makes sense.
const WINDOW: std::ops::RangeInclusive<Duration> =
    Duration::from_secs(5)..=Duration::from_secs(3600);

pub fn run(args: Args) -> anyhow::Result<u8> {
    let ready = args.documents.prepare()?;
    let playbook = &ready.loaded.playbook;
    let window = args.confirm.unwrap_or(playbook.confirm).0;
    anyhow::ensure!(
        WINDOW.contains(&window),
        "--confirm: a host can wait from 5s to 1h for the keep, not {}",
        crate::document::playbook::Span(window)
    );
    let waves = if args.waves.is_empty() {
        playbook.waves.clone()
    } else {
        args.waves
    };
    anyhow::ensure!(
        !waves
            .iter()
            .any(|w| matches!(w, WaveSize::Hosts(0) | WaveSize::Percent(0))),
        "--waves: a wave of no hosts would never end; write 1 or more, or a share such as 25%"
    );
    let failure_budget = playbook.failure_budget;
    let only = args.documents.clone();
    let verb = if args.dry_run { "dry-run" } else { "apply" };
    let heading = heading(verb, &args.documents, &ready);
    let mode = if args.dry_run {
        Mode::DryRun
    } else {
        Mode::Apply
    };
    let sessions = args.manner.at_once;
    let jobs = ready.jobs;
    carry_out(&args.manner, heading, |id, reach, recorder| {
        let settings = Settings {
            waves,
            failure_budget,
            window,
            sessions,
            wanted: Arc::new(move |rule| only.wants(rule)),
            ..Settings::new(id, mode, today())
        };
        run::run(jobs, settings, reach, recorder)
    })
}

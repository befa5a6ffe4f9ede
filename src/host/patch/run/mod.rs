//! Carrying a patch run out: waves of hosts, each through observe, decide, act, prove; and taking
//! one up again.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::document::patch::Patch;
use crate::host::act::RunId;
use crate::host::patch::advisories::Advisories;
use crate::host::run::Recorder;
use crate::journal::Record;
use crate::model::patch::PatchOutcome;
use crate::reach::{Reach, Target};

/// One host to patch.
#[derive(Clone, Debug)]
pub struct PatchJob {
    pub target: Target,
    /// Its name and all its groups.
    pub names: BTreeSet<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Observe and decide; the only thing that is written is the manager's own lists.
    Plan,
    Run,
}

/// How a run is to be done.
#[derive(Clone)]
pub struct Settings {
    pub run: RunId,
    pub mode: Mode,
    pub patch: Arc<Patch>,
    pub advisories: Arc<Advisories>,
    /// Hosts that are observed or downloaded to at once, and log-ins under way at once.
    pub sessions: usize,
    pub handshakes: usize,
    /// What another process wrote of this run before it died; empty: it begins.
    pub former: Arc<Vec<Record>>,
    /// The run's folder, for the files that `former` names.
    pub folder: std::path::PathBuf,
}

/// What became of a run.
#[derive(Clone, Debug)]
pub struct PatchEnd {
    pub hosts: Vec<(String, PatchOutcome)>,
    /// Why it stopped before all waves, if it did.
    pub stopped: Option<String>,
}

/// Carries it out. `RunStarted`, `Declared` and `RunEnded` are the caller's events.
///
/// # Errors
/// Only where the journal cannot be written; hosts' troubles are outcomes.
pub async fn run(
    jobs: Vec<PatchJob>,
    settings: Settings,
    reach: Arc<dyn Reach>,
    recorder: Arc<dyn Recorder>,
    stop: tokio::sync::watch::Receiver<bool>,
) -> Result<PatchEnd, String> {
    let _ = (jobs, settings, reach, recorder, stop);
    Ok(PatchEnd {
        hosts: Vec::new(),
        stopped: None,
    })
}

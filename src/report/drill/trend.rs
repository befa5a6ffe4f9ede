//! The history of a drill: what came of each run of that name.

use crate::journal::{Runs, RunsError};
use crate::model::drill::VerdictWord;

use super::{DrillView, load_some};

/// One run of the drill. Failed, aborted and spoiled ones are points too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrendPoint {
    pub run: String,
    /// RFC 3339.
    pub started: String,
    pub word: VerdictWord,
    /// It did not come to its end.
    pub aborted: bool,
    /// Assumed time in it. `None`: not measured.
    pub rto_ms: Option<u64>,
    pub rto_target_ms: Option<u64>,
    pub assumed_ms: u64,
    pub rpo_ms: Option<u64>,
    pub rpo_target_ms: Option<u64>,
    pub steps: usize,
    /// Attempts beyond each step's first.
    pub retries: usize,
    /// Plaintext bytes that were restored.
    pub bytes: u64,
    /// The first reason for the verdict, where it is not `met`.
    pub reason: Option<String>,
}

impl TrendPoint {
    pub fn of(view: &DrillView) -> Self {
        let verdict = view.verdict();
        TrendPoint {
            run: view.run.clone(),
            started: view.started.clone(),
            word: verdict.word,
            aborted: view.ended.is_none(),
            rto_ms: verdict.rto.measured_ms,
            rto_target_ms: verdict.rto.target_ms,
            assumed_ms: verdict.assumed_ms,
            rpo_ms: verdict.rpo.measured_ms,
            rpo_target_ms: verdict.rpo.target_ms,
            steps: view.steps.len(),
            retries: view
                .steps
                .iter()
                .map(|step| step.attempts.len().saturating_sub(1))
                .sum(),
            bytes: view.restored().0,
            reason: verdict.reasons.into_iter().next(),
        }
    }
}

/// All runs of the drill of that name, the earliest first. One whose journal is spoiled is there as
/// far as it can be read.
///
/// # Errors
/// When the runs cannot be listed.
pub fn trend(runs: &Runs, drill: &str) -> Result<Vec<TrendPoint>, RunsError> {
    let mut points = Vec::new();
    for folder in runs.list()?.into_iter().rev() {
        let mut view = load_some(&folder.path);
        if view.drill == drill {
            view.run = folder.id;
            points.push(TrendPoint::of(&view));
        }
    }
    Ok(points)
}

//! The history of a drill: what came of each run of that name.

use std::collections::BTreeSet;

use crate::journal::{Event, RunFolder, Runs, RunsError};
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
    /// Another run names it, and it is not there any more.
    pub missing: bool,
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
            missing: false,
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
/// far as it can be read. A run that another one names as the one before it, and that is not there
/// any more, is there too: nobody knows of which drill it was.
///
/// # Errors
/// When the runs cannot be listed.
pub fn trend(runs: &Runs, drill: &str) -> Result<Vec<TrendPoint>, RunsError> {
    let mut points = Vec::new();
    let mut there = BTreeSet::new();
    let mut named = BTreeSet::new();
    for folder in runs.list()?.into_iter().rev() {
        there.insert(folder.id.clone());
        let (former, is_drill) = beginning(&folder);
        named.extend(former);
        if !is_drill {
            continue;
        }
        let mut view = load_some(&folder.path);
        if view.drill == drill {
            view.run = folder.id;
            points.push(TrendPoint::of(&view));
        }
    }
    points.extend(named.difference(&there).map(|run| missing(run)));
    points.sort_by(|a, b| (&a.started, &a.run).cmp(&(&b.started, &b.run)));
    Ok(points)
}

/// The run that it names as the one before it, and whether it is a drill: its first lines say it. One
/// that says neither is looked at as a whole.
fn beginning(folder: &RunFolder) -> (Option<String>, bool) {
    let mut former = None;
    let Ok(reader) = folder.open() else {
        return (None, true);
    };
    for record in reader.take(8) {
        match record.map(|record| record.event) {
            Ok(Event::Chained { former: link }) => former = link.map(|link| link.run),
            Ok(Event::RunStarted { verb, .. }) => return (former, verb == "drill"),
            Ok(_) => {}
            Err(_) => break,
        }
    }
    (former, true)
}

fn missing(run: &str) -> TrendPoint {
    // An id begins with the time: `20261120-073514-k3f9`.
    let digits: String = run.chars().filter(char::is_ascii_digit).take(14).collect();
    let time = jiff::civil::DateTime::strptime("%Y%m%d%H%M%S", &digits);
    TrendPoint {
        run: run.to_owned(),
        started: time.map(|t| format!("{t}Z")).unwrap_or_default(),
        missing: true,
        ..TrendPoint::of(&DrillView::default())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::journal::{JOURNAL_FILE, SystemClock};
    use crate::report::drill::fixture;

    /// Keeps the events as a run of its own, and says its id.
    fn keep(runs: &Runs, events: &[Event], random: u32) -> String {
        let (id, mut writer) = runs.create(Arc::new(SystemClock), || random).unwrap();
        for event in events {
            writer.append(event).unwrap();
        }
        id
    }

    #[test]
    fn lie_12_failed_aborted_spoiled_and_deleted_runs_are_all_in_the_history() {
        let state = tempfile::tempdir().unwrap();
        let runs = Runs::new(state.path());
        let met = keep(&runs, &fixture::met(), 1);
        let aborted = keep(&runs, &fixture::aborted(), 2);
        let deleted = keep(&runs, &fixture::met(), 3);
        let spoiled = keep(&runs, &fixture::met(), 4);
        let other = keep(&runs, &fixture::one(), 5);
        let missed = keep(&runs, &fixture::missed(), 6);
        std::fs::remove_dir_all(state.path().join("runs").join(&deleted)).unwrap();
        let journal = state.path().join("runs").join(&spoiled).join(JOURNAL_FILE);
        let text = std::fs::read_to_string(&journal).unwrap();
        std::fs::write(
            &journal,
            text.replace("184,233 files, 214.0", "184,234 files"),
        )
        .unwrap();
        let points = trend(&runs, "yearly-recovery").unwrap();
        let of = |run: &str| points.iter().find(|p| p.run == *run);
        assert_eq!(of(&met).unwrap().word, VerdictWord::Met);
        assert!(of(&aborted).unwrap().aborted);
        assert!(of(&deleted).unwrap().missing);
        let spoiled = of(&spoiled).unwrap();
        assert_eq!(spoiled.word, VerdictWord::Inconclusive);
        assert_eq!(of(&missed).unwrap().word, VerdictWord::Missed);
        assert_eq!(of(&missed).unwrap().retries, 1);
        assert!(of(&other).is_none());
        assert_eq!(points.len(), 5);
        // The page of the last one says so.
        let view = crate::report::drill::load(&state.path().join("runs").join(&missed)).unwrap();
        let mut view = view;
        view.run = missed;
        let html = crate::report::drill::html(&view, &points).unwrap();
        assert!(html.contains("1 run that was kept here is missing"), "said");
        assert!(html.contains(&deleted), "named");
    }
}

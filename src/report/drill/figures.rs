//! What the readers of drills all say, in figures: a step's standing, the critical path by step.

use std::collections::BTreeMap;

use super::words::{ended_word, span, verdict_word};
use super::{AttemptView, DrillView, PhaseView, StepView};
use crate::model::drill::{DrillPhase, Ended, Measure, ProofOutcome, Verdict, VerdictWord};

/// How a step stands.
#[derive(Clone, Debug, PartialEq)]
pub struct Standing {
    /// `None`: it was not judged.
    pub verdict: Option<VerdictWord>,
    /// The verdict; or, of one that was not judged, how it ended.
    pub word: &'static str,
    pub reasons: Vec<String>,
    /// When its last attempt ended, on the drill's clock.
    pub end_ms: Option<u64>,
    /// How long its last attempt worked, waiting left out.
    pub own_ms: u64,
    pub rto: Measure,
    pub rpo: Measure,
    pub bytes: u64,
    pub files: u64,
    pub passed: usize,
    pub proofs: usize,
}

impl Standing {
    pub fn of(verdict: &Verdict, step: &StepView) -> Self {
        let judged = verdict.steps.iter().find(|s| s.step == step.name);
        let last = step.last();
        let ending = last.and_then(|a| a.ended.as_ref());
        let mut reasons = judged.map(|j| j.reasons.clone()).unwrap_or_default();
        if reasons.is_empty() {
            reasons.extend(ending.and_then(|e| e.reason.clone()));
        }
        let target = |of: fn(&crate::journal::StepNote) -> Option<u64>| Measure {
            target_ms: step.note.as_ref().and_then(of),
            ..Measure::default()
        };
        let proofs = step.proofs();
        let (bytes, files) = last.map(|a| a.restored()).unwrap_or_default();
        Standing {
            verdict: judged.map(|j| j.word),
            word: match (judged, ending) {
                (Some(judged), _) => verdict_word(judged.word),
                (None, Some(end)) if end.ended == Ended::Well => "not judged",
                (None, Some(end)) => ended_word(end.ended),
                (None, None) if last.is_some_and(has_begun) => "not ended",
                (None, None) => "not begun",
            },
            reasons,
            end_ms: ending.map(|e| e.at_ms),
            own_ms: last.map_or(0, |attempt| {
                let own = attempt
                    .phases
                    .iter()
                    .filter(|p| p.phase != DrillPhase::Wait);
                own.map(|p| p.millis()).fold(0, u64::saturating_add)
            }),
            rto: judged.map_or_else(|| target(|n| n.rto_target_ms), |j| j.rto.clone()),
            rpo: judged.map_or_else(|| target(|n| n.rpo_target_ms), |j| j.rpo.clone()),
            bytes,
            files,
            passed: proofs
                .iter()
                .filter(|(_, said)| said.is_some_and(|p| p.outcome == ProofOutcome::Pass))
                .count(),
            proofs: proofs.len(),
        }
    }

    /// What its colour is to say: `good`, `bad`, `warn`, `idle`.
    pub fn key(&self) -> &'static str {
        match self.verdict {
            Some(VerdictWord::Met) => "good",
            Some(VerdictWord::Missed) => "bad",
            Some(VerdictWord::Inconclusive) => "warn",
            None if self.word == "failed" => "bad",
            None if self.word == "not begun" => "idle",
            None => "warn",
        }
    }
}

/// It came further than waiting.
fn has_begun(attempt: &AttemptView) -> bool {
    let worked = |p: &PhaseView| p.phase != DrillPhase::Wait;
    attempt.phases.iter().any(worked) || !attempt.proofs.is_empty()
}

/// Each endpoint once, with all who used it.
pub fn endpoints(view: &DrillView) -> Vec<(&str, Vec<&str>)> {
    let mut at: BTreeMap<&str, usize> = BTreeMap::new();
    let mut endpoints: Vec<(&str, Vec<&str>)> = Vec::new();
    for (endpoint, by) in &view.used {
        let next = endpoints.len();
        let index = *at.entry(endpoint).or_insert(next);
        match endpoints.get_mut(index) {
            Some((_, all)) => all.push(by),
            None => endpoints.push((endpoint, vec![by])),
        }
    }
    endpoints
}

/// The run's id where it is fit to stand in a command that a person copies.
pub fn run_for_commands(view: &DrillView) -> Option<&str> {
    let fit = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let run = view.run.as_str();
    (!run.is_empty() && run.len() <= 40 && run.chars().all(fit) && !run.starts_with('-'))
        .then_some(run)
}

/// How an attempt before the last one ended: `attempt 1 failed after 6 min 00 s: why`.
pub fn earlier_attempts(step: &StepView) -> Vec<String> {
    let all = step.attempts.split_last().map(|(_, earlier)| earlier);
    let words = all.unwrap_or_default().iter().map(|attempt| {
        let (word, at, reason) = match &attempt.ended {
            Some(end) => (
                ended_word(end.ended),
                format!(" at {}", span(end.at_ms)),
                end.reason.as_deref().map(|r| format!(": {r}")),
            ),
            None => ("did not come to its end", String::new(), None),
        };
        format!(
            "attempt {} {word}{at}{}",
            attempt.attempt,
            reason.unwrap_or_default()
        )
    });
    words.collect()
}

/// One step's part of the critical path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathStep {
    pub step: String,
    pub start_ms: u64,
    pub millis: u64,
    /// The parts that took longest first; `None` is a gap.
    pub phases: Vec<(Option<DrillPhase>, u64)>,
}

/// The critical path, step by step.
pub fn path_steps(verdict: &Verdict) -> Vec<PathStep> {
    let mut steps: Vec<PathStep> = Vec::new();
    for part in &verdict.critical_path {
        let millis = part.end_ms.saturating_sub(part.start_ms);
        if steps.last().is_none_or(|last| last.step != part.step) {
            steps.push(PathStep {
                step: part.step.clone(),
                start_ms: part.start_ms,
                millis: 0,
                phases: Vec::new(),
            });
        }
        if let Some(step) = steps.last_mut() {
            step.millis = step.millis.saturating_add(millis);
            match step.phases.iter_mut().find(|(p, _)| *p == part.phase) {
                Some((_, ms)) => *ms = ms.saturating_add(millis),
                None => step.phases.push((part.phase, millis)),
            }
        }
    }
    for step in &mut steps {
        step.phases.sort_by_key(|(_, ms)| std::cmp::Reverse(*ms));
    }
    steps
}

/// Whether that time of that step's phase is on the critical path.
pub fn is_critical(verdict: &Verdict, step: &str, phase: DrillPhase, start: u64, end: u64) -> bool {
    verdict.critical_path.iter().any(|part| {
        part.phase == Some(phase)
            && part.step == step
            && part.start_ms < end.max(start.saturating_add(1))
            && start < part.end_ms.max(part.start_ms.saturating_add(1))
    })
}

/// A step that, were it twice as fast, would change the whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lever {
    pub step: String,
    pub rto_ms: u64,
    /// By how much the whole is shorter then.
    pub gain_ms: u64,
}

/// What twice as fast a step would bring, the greatest gain first; what brings nothing is left out.
pub fn levers(verdict: &Verdict) -> Vec<Lever> {
    let Some(rto) = verdict.rto.measured_ms else {
        return Vec::new();
    };
    let mut levers: Vec<Lever> = verdict
        .what_if
        .iter()
        .map(|what| Lever {
            step: what.step.clone(),
            rto_ms: what.rto_ms,
            gain_ms: rto.saturating_sub(what.rto_ms),
        })
        .filter(|lever| lever.gain_ms > 0)
        .collect();
    levers.sort_by_key(|lever| std::cmp::Reverse(lever.gain_ms));
    levers
}

/// How the ledger came out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LedgerCounts {
    pub intended: usize,
    pub made: usize,
    pub gone: usize,
}

impl LedgerCounts {
    pub fn of(view: &DrillView) -> Self {
        LedgerCounts {
            intended: view.ledger.len(),
            made: view.ledger.iter().filter(|e| e.id.is_some()).count(),
            gone: view.ledger.iter().filter(|e| e.gone).count(),
        }
    }
}

/// What was measured of the RTO: the whole without what is assumed.
pub fn measured_part(verdict: &Verdict) -> Option<u64> {
    let rto = verdict.rto.measured_ms?;
    Some(rto.saturating_sub(verdict.assumed_ms))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::drill::fixture;

    #[test]
    fn the_critical_path_is_told_step_by_step() {
        let view = fixture::fold(&fixture::met());
        let verdict = view.verdict();
        let steps = path_steps(&verdict);
        let names: Vec<&str> = steps.iter().map(|s| s.step.as_str()).collect();
        assert_eq!(names, ["db", "app"]);
        assert_eq!(steps[0].phases[0], (Some(DrillPhase::Load), 21 * 60_000));
        let all: u64 = steps.iter().map(|s| s.millis).sum();
        assert_eq!(Some(all), view.stopped_ms);
        assert!(is_critical(
            &verdict,
            "db",
            DrillPhase::Load,
            300_000,
            900_000
        ));
        assert!(!is_critical(
            &verdict,
            "source",
            DrillPhase::Load,
            0,
            900_000
        ));
    }

    #[test]
    fn only_what_would_help_is_a_lever() {
        let verdict = fixture::fold(&fixture::met()).verdict();
        let levers = levers(&verdict);
        let names: Vec<&str> = levers.iter().map(|l| l.step.as_str()).collect();
        assert_eq!(names, ["db", "app"]);
        assert!(levers[0].gain_ms > levers[1].gain_ms);
    }

    #[test]
    fn a_step_stands_as_it_was_judged_or_as_it_ended() {
        let missed = fixture::fold(&fixture::missed());
        let verdict = missed.verdict();
        let standing = |name: &str| {
            let step = missed.steps.iter().find(|s| s.name == name).unwrap();
            Standing::of(&verdict, step)
        };
        assert_eq!(standing("source").word, "missed");
        assert_eq!(standing("source").passed, 0);
        assert_eq!(standing("db").key(), "bad");
        assert_eq!(standing("documents").word, "met");
        let aborted = fixture::fold(&fixture::aborted());
        let words: Vec<&str> = aborted
            .steps
            .iter()
            .map(|s| Standing::of(&aborted.verdict(), s).word)
            .collect();
        assert_eq!(words, ["not ended", "not ended", "not judged", "not begun"]);
    }
}

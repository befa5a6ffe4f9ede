//! Proving: what the second observation says of what was done. Pure.

use std::collections::BTreeMap;

use crate::journal::StepOutcome;
use crate::model::{Finding, Status};

use super::judge::Judged;
use super::plan::Plan;
use super::snapshot::Snapshot;

/// How each step ended, by its id, with the host's words (cleaned).
pub type Outcomes = BTreeMap<String, (StepOutcome, Option<String>)>;

/// Findings after a change: what failed before and passes now is *changed*; what still fails says
/// why it could not be brought about.
pub fn after_change(
    before: &[Judged],
    after: Vec<Judged>,
    plan: &Plan,
    outcomes: &Outcomes,
) -> Vec<Finding> {
    before
        .iter()
        .zip(after)
        .map(|(before, after)| {
            let mut finding = after.finding;
            let rule = finding.rule.clone();
            if before.finding.status == Status::Fail && finding.status == Status::Pass {
                finding.status = Status::Changed;
                finding.reason = Some(format!("was: {}", before.finding.actual));
            }
            if finding.status == Status::Fail {
                finding.fixable = before.finding.fixable;
                if let Some(why) = not_brought_about(&rule, plan, outcomes) {
                    finding.reason = Some(why);
                }
            }
            finding
        })
        .collect()
}

fn not_brought_about(rule: &str, plan: &Plan, outcomes: &Outcomes) -> Option<String> {
    if let Some(why) = plan.blocked.get(rule) {
        return Some(why.clone());
    }
    plan.steps
        .iter()
        .filter(|step| step.rules.iter().any(|r| r == rule))
        .find_map(|step| match outcomes.get(&step.id) {
            Some((StepOutcome::Done | StepOutcome::Undone, _)) => None,
            Some((StepOutcome::Stale, _)) => Some(format!(
                "{} was changed by somebody else since it was seen; nothing was done to it",
                step.target
            )),
            Some((_, detail)) => Some(format!(
                "{} could not be changed: {}",
                step.target,
                detail.as_deref().unwrap_or("no reason was given")
            )),
            None => Some(format!("{} was not reached", step.target)),
        })
}

/// What differs between two snapshots, one line each, at most 20: the proof that a host is as it
/// was. Times and pending runs do not count.
pub fn differences(before: &Snapshot, after: &Snapshot) -> Vec<String> {
    let value = |s: &Snapshot| {
        let mut s = s.clone();
        s.taken.clear();
        s.facts.pending_run = None;
        serde_json::to_value(s).unwrap_or_default()
    };
    let mut out = Vec::new();
    compare("", &value(before), &value(after), &mut out);
    out.truncate(20);
    out
}

fn compare(path: &str, a: &serde_json::Value, b: &serde_json::Value, out: &mut Vec<String>) {
    use serde_json::Value::{Array, Object};
    match (a, b) {
        (Object(a), Object(b)) => {
            for key in a.keys().chain(b.keys().filter(|k| !a.contains_key(*k))) {
                let null = serde_json::Value::Null;
                compare(
                    &format!("{path}/{key}"),
                    a.get(key).unwrap_or(&null),
                    b.get(key).unwrap_or(&null),
                    out,
                );
            }
        }
        (Array(a), Array(b)) if a.len() == b.len() => {
            for (i, (a, b)) in a.iter().zip(b).enumerate() {
                compare(&format!("{path}/{i}"), a, b, out);
            }
        }
        (a, b) if a != b => out.push(crate::shell::clean(&format!("{path}: {a} is now {b}"), 300)),
        _ => {}
    }
}

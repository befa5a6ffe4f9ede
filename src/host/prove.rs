//! Proving: what the second observation says of what was done. Pure.

use std::collections::BTreeMap;

use crate::journal::StepOutcome;
use crate::model::{Finding, Status};

use super::judge::Judged;
use super::plan::Plan;
use super::snapshot::{Seen, Snapshot};

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
                } else if finding.reason.is_none() {
                    finding.reason = came_about(before.finding.status, &rule, plan);
                }
            }
            finding
        })
        .collect()
}

/// Why something fails although no step did: the run itself, or somebody else, brought it about.
fn came_about(before: Status, rule: &str, plan: &Plan) -> Option<String> {
    let planned = || {
        let mut rules = plan.steps.iter().flat_map(|step| &step.rules);
        rules.any(|r| r == rule)
    };
    let why = match before {
        Status::Pass => "it was not so before this run: apply once more",
        Status::Fail if planned() => "it came about after its steps were done: apply once more",
        _ => return None,
    };
    Some(why.into())
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
/// was.
///
/// What a host does by itself does not count: the time, a pending run, the size of a directory or
/// of a file whose text no rule asks for, and which files there are under /var/log.
pub fn differences(before: &Snapshot, after: &Snapshot) -> Vec<String> {
    let value = |s: &Snapshot, other: &Snapshot| {
        let mut s = s.clone();
        s.taken.clear();
        s.facts.pending_run = None;
        s.globs.retain(|pattern, _| !is_log(pattern));
        s.files
            .retain(|path, _| !is_log(path) || other.files.contains_key(path));
        if let Seen::Yes(walk) = &mut s.walk {
            walk.loose_logs.clear();
        }
        for state in s.files.values_mut() {
            if let Seen::Yes(state) = state
                && state.content.yes().is_none()
            {
                state.size = 0;
            }
        }
        serde_json::to_value(s).unwrap_or_default()
    };
    let mut out = Vec::new();
    compare("", &value(before, after), &value(after, before), &mut out);
    out.truncate(20);
    out
}

fn is_log(path: &str) -> bool {
    path.starts_with("/var/log/")
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::snapshot::{FileKind, FileState};

    fn file(size: u64, text: Option<&str>) -> Seen<FileState> {
        Seen::Yes(FileState {
            kind: FileKind::File,
            mode: 0o644,
            uid: 0,
            gid: 0,
            owner: "root".into(),
            group: "root".into(),
            size,
            link: None,
            content: text.map_or_else(Default::default, |t| Seen::Yes(t.into())),
        })
    }

    #[test]
    fn what_a_run_changed_and_did_not_put_back_is_a_difference() {
        let mut before = Snapshot::default();
        before.sysctls.insert("a".into(), Seen::Yes("0".into()));
        before.files.insert("/etc/x".into(), file(1, Some("x")));
        let mut after = before.clone();
        after.taken = "later".into();
        assert_eq!(differences(&before, &after), Vec::<String>::new());
        after
            .sysctls
            .insert("a".into(), Seen::Yes("1\u{1b}[2J".into()));
        after.files.insert("/etc/x".into(), file(1, Some("y")));
        after.files.insert("/etc/new".into(), file(1, Some("y")));
        let found = differences(&before, &after);
        assert_eq!(found.len(), 3, "{found:?}");
        assert!(found.iter().all(|l| !l.contains('\u{1b}')), "{found:?}");
    }

    #[test]
    fn what_a_host_does_by_itself_is_none() {
        let mut before = Snapshot::default();
        before.files.insert("/var/log/x".into(), file(1, None));
        before.walk = Seen::Yes(Default::default());
        let walk = crate::host::snapshot::Walk {
            loose_logs: vec!["/var/log/new".into()],
            ..Default::default()
        };
        let mut after = Snapshot {
            walk: Seen::Yes(walk),
            ..Snapshot::default()
        };
        after.files.insert("/var/log/x".into(), file(9, None));
        after.files.insert("/var/log/new".into(), file(9, None));
        assert_eq!(differences(&before, &after), Vec::<String>::new());
    }
}

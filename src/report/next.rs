//! What to do next: whole commands, ready to be copied.

use super::group::groups;
use super::{Confirm, RunView};
use crate::journal::{HostOutcome, StepOutcome};
use crate::model::Status;
use crate::shell::{clean, quote};

/// One proposal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NextStep {
    pub command: String,
    pub what_for: String,
}

/// What the run was asked to treat: a command that is proposed must not treat more than that.
#[derive(Clone, Debug, Default)]
pub struct Choice {
    /// What stood after `-i`.
    pub inventory: Option<String>,
    /// What stood after `--limit`.
    pub limit: Option<String>,
    /// Other arguments that chose rules or values, e.g. `--rule`, `ssh.*`.
    pub more: Vec<String>,
}

impl Choice {
    /// `-i INVENTORY`, and what else was chosen; `limit` in place of its own.
    fn words(&self, limit: Option<&str>) -> String {
        let mut out = self.inventory();
        if let Some(limit) = limit.or(self.limit.as_deref()) {
            out.push_str(&format!(" --limit {}", word(limit)));
        }
        for more in &self.more {
            out.push_str(&format!(" {}", word(more)));
        }
        out
    }

    fn inventory(&self) -> String {
        format!(
            "-i {}",
            word(self.inventory.as_deref().unwrap_or("INVENTORY"))
        )
    }
}

/// What to do after this run, the most useful first.
pub fn next_steps(view: &RunView, choice: &Choice) -> Vec<NextStep> {
    let mut steps = Vec::new();
    let mut say = |command: String, what_for: String| steps.push(NextStep { command, what_for });
    let failing = groups(view, |f| f.status == Status::Fail);
    let tail = format!("{} {}", word(&view.playbook), choice.words(None));
    // What is demanded of backups stands in no document that `explain` could be pointed at.
    if view.verb == "backup-verify" {
        return steps;
    }
    if let Some(worst) = failing.first() {
        say(
            // Where the rule is, is for the playbook to say.
            format!(
                "seawall explain {} --in {}",
                word(&worst.finding.rule),
                word(&view.playbook)
            ),
            match view.verb.as_str() {
                "check" | "dry-run" => "why the worst of it matters, and what would be done",
                _ => "why the worst of it matters, and how to accept it for a while (a waiver)",
            }
            .to_owned(),
        );
    }
    let fixable = failing.iter().filter(|g| g.finding.fixable).count();
    if matches!(view.verb.as_str(), "check" | "dry-run") && fixable > 0 {
        say(
            format!("seawall apply {tail}"),
            match failing.len() - fixable {
                0 => format!("brings about all {fixable} that fail"),
                _ => format!(
                    "brings about {fixable} of the {} that fail; the rest is for a person",
                    failing.len()
                ),
            },
        );
    }
    let doubtful: Vec<&str> = view
        .hosts
        .iter()
        .filter(|host| {
            host.standing() == HostOutcome::Unknown
                || matches!(host.confirm, Confirm::Armed { .. } | Confirm::Failed { .. })
        })
        .map(|host| host.name.as_str())
        .collect();
    if !doubtful.is_empty() {
        let limit = (doubtful.len() < view.hosts.len()).then(|| doubtful.join(","));
        let words = choice.words(limit.as_deref());
        say(
            format!("seawall check {} {words}", word(&view.playbook)),
            "looks again at what was not seen".to_owned(),
        );
    }
    let stopped = view.ended.as_ref().is_none_or(|e| e.stopped.is_some());
    if view.verb == "apply" && stopped && doubtful.is_empty() {
        say(
            format!("seawall check {tail}"),
            "shows how the hosts stand, once their windows have ended".to_owned(),
        );
    }
    if view.verb == "rollback" {
        say(
            format!("seawall check {tail}"),
            "shows how the hosts stand now".to_owned(),
        );
    }
    let changed = view.hosts.iter().any(|host| {
        host.changes
            .iter()
            .any(|c| c.outcome == Some(StepOutcome::Done))
    });
    if view.verb == "apply" && changed {
        say(
            format!(
                "seawall rollback {} {}",
                word(&view.run),
                choice.inventory()
            ),
            "brings back what was".to_owned(),
        );
    }
    say(
        format!("seawall report {}", word(&view.run)),
        "all of it, on a page".to_owned(),
    );
    steps
}

/// A word of a command: cleaned, since it may come from a document, and quoted where sh needs it.
fn word(text: &str) -> String {
    let text = clean(text, 300);
    let plain = !text.is_empty()
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "@%+=:,./_-".contains(c));
    if plain {
        return text;
    }
    quote(&text).unwrap_or(text)
}

//! The `--json` document: the run for programs. Its schema is committed; a name in it is never
//! given another meaning, and a new meaning gets a new name.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::fold::Confirm;
use super::{Counts, RunView, Score};
use crate::journal::{HostOutcome, StepOutcome};
use crate::model::{ConnectionFacts, Finding, Phase, Severity};

/// One run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(title = "Seawall run")]
pub struct Document {
    /// The format of this document; 1. It changes when a name loses its meaning.
    pub format: u32,
    pub run: String,
    /// `check`, `apply`, `rollback`…
    pub verb: String,
    /// The version of seawall that ran.
    pub version: String,
    pub playbook: String,
    pub playbook_title: String,
    pub level: u8,
    /// RFC 3339, UTC.
    pub started: String,
    /// RFC 3339, UTC. Missing: the run did not come to its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<String>,
    /// Missing: the run did not come to its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<u8>,
    /// Why it stopped early, if it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stopped: Option<String>,
    pub hosts: Vec<Host>,
    /// Every rule on every host that was seen.
    pub findings: Vec<Finding>,
    pub changes: Vec<Change>,
    pub counts: StatusCounts,
    /// What fails or is unknown, by severity.
    pub open: SeverityCounts,
    pub score: ScoreFigures,
    /// Notes that belong to no host.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// Path → SHA-256 of each document that was read.
    pub documents: BTreeMap<String, String>,
}

/// One host.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Host {
    pub host: String,
    pub outcome: HostOutcome,
    /// Why it stands so, where there is something to say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Whether any rule was judged on it.
    pub seen: bool,
    pub counts: StatusCounts,
    /// The first connection of the run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connection: Option<ConnectionFacts>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unreachable: Option<UnreachableHost>,
    /// Missing: nothing had to be confirmed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confirm: Option<ConfirmState>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    pub millis: u64,
}

/// Why a host could not be reached, or not to the end.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct UnreachableHost {
    pub phase: Phase,
    pub reason: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

/// How the changes of a host came to stay, or did not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ConfirmState {
    /// Armed; neither kept nor undone as far as was seen.
    Armed,
    /// A fresh log-in worked, and the host was told to keep.
    Kept,
    /// No fresh log-in worked; that the host undid it was not seen.
    Failed,
    /// The host is as it was; seen.
    Undone,
}

/// One planned change.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Change {
    pub host: String,
    pub step: String,
    pub target: String,
    pub rules: Vec<String>,
    /// `safe`, `disruptive`, `lock-out`.
    pub risk: String,
    /// Missing: what became of it was not seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<StepOutcome>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    pub diff: String,
    /// What an undo cannot bring back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub no_way_back: Option<String>,
}

/// How many findings there are of each status.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct StatusCounts {
    pub pass: usize,
    pub changed: usize,
    pub fail: usize,
    pub unknown: usize,
    pub waived: usize,
    pub manual: usize,
    pub not_applicable: usize,
}

impl From<Counts> for StatusCounts {
    fn from(counts: Counts) -> Self {
        StatusCounts {
            pass: counts.pass,
            changed: counts.changed,
            fail: counts.fail,
            unknown: counts.unknown,
            waived: counts.waived,
            manual: counts.manual,
            not_applicable: counts.not_applicable,
        }
    }
}

/// How many findings there are of each severity.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SeverityCounts {
    pub critical: usize,
    pub high: usize,
    pub medium: usize,
    pub low: usize,
}

/// See `docs` of the score: the share of what is demanded that is met, by weight.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ScoreFigures {
    /// In percent, rounded down to one decimal; waived rules are left out. Missing: nothing was
    /// judged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub percent: Option<f64>,
    /// The same with each waived rule counted as a failure.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub percent_without_waivers: Option<f64>,
    /// As it was before anything was changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub percent_before: Option<f64>,
    /// Hosts that were not seen; they count as unknown with each rule.
    pub hosts_not_seen: usize,
}

/// The document of a run.
pub fn document(view: &RunView) -> Document {
    let ending = view.ended.as_ref();
    let score = Score::of(view);
    Document {
        format: 1,
        run: view.run.clone(),
        verb: view.verb.clone(),
        version: view.version.clone(),
        playbook: view.playbook.clone(),
        playbook_title: view.playbook_title.clone(),
        level: view.level,
        started: view.started.clone(),
        ended: ending.map(|e| e.time.clone()),
        exit_code: ending.map(|e| e.code),
        stopped: ending.and_then(|e| e.stopped.clone()),
        hosts: view.hosts.iter().map(host).collect(),
        findings: view.findings().cloned().collect(),
        changes: changes(view),
        counts: Counts::of(view.findings()).into(),
        open: open(view),
        score: ScoreFigures {
            percent: score.percent(),
            percent_without_waivers: score.percent_without_waivers(),
            percent_before: Score::before(view).percent(),
            hosts_not_seen: view.not_seen().count(),
        },
        notes: view.notes.clone(),
        documents: view.documents.clone(),
    }
}

/// The document as text, with a newline at its end.
pub fn text(view: &RunView) -> Result<String, serde_json::Error> {
    serde_json::to_string_pretty(&document(view)).map(|text| text + "\n")
}

/// The JSON Schema of the document.
pub fn schema() -> serde_json::Value {
    schemars::schema_for!(Document).to_value()
}

fn host(host: &super::HostView) -> Host {
    Host {
        host: host.name.clone(),
        outcome: host.standing(),
        reason: host.story(),
        seen: host.was_seen(),
        counts: Counts::of(&host.findings).into(),
        connection: host.connection().map(|c| c.facts.clone()),
        unreachable: host.unreachable.as_ref().map(|u| UnreachableHost {
            phase: u.phase,
            reason: u.reason.clone(),
            hint: u.hint.clone(),
        }),
        confirm: match host.confirm {
            Confirm::NotArmed => None,
            Confirm::Armed { .. } => Some(ConfirmState::Armed),
            Confirm::Kept => Some(ConfirmState::Kept),
            Confirm::Failed { .. } => Some(ConfirmState::Failed),
            Confirm::Undone { .. } => Some(ConfirmState::Undone),
        },
        notes: host.notes.clone(),
        millis: host.millis,
    }
}

fn changes(view: &RunView) -> Vec<Change> {
    let of_host = |host: &super::HostView| {
        let name = host.name.clone();
        let changes = host.changes.clone();
        changes.into_iter().map(move |change| Change {
            host: name.clone(),
            step: change.note.step,
            target: change.note.target,
            rules: change.note.rules,
            risk: change.note.risk,
            outcome: change.outcome,
            detail: change.detail,
            diff: change.note.diff,
            no_way_back: change.note.no_way_back,
        })
    };
    view.hosts.iter().flat_map(of_host).collect()
}

fn open(view: &RunView) -> SeverityCounts {
    let mut open = SeverityCounts::default();
    for finding in view.findings().filter(|f| super::is_open(f)) {
        *match finding.severity {
            Severity::Critical => &mut open.critical,
            Severity::High => &mut open.high,
            Severity::Medium => &mut open.medium,
            Severity::Low => &mut open.low,
        } += 1;
    }
    open
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::fixture;

    #[test]
    fn an_apply_as_a_document() {
        let mut document = document(&fixture::fold(&fixture::apply()));
        // All statuses are in the first rules; the rest would only make the snapshot long.
        document.findings.truncate(4);
        insta::assert_json_snapshot!(document);
    }

    #[test]
    fn the_document_comes_back_as_it_went() {
        for events in [fixture::check(), fixture::fifty(), fixture::hostile()] {
            let view = fixture::fold(&events);
            let text = text(&view).unwrap();
            assert!(!text.contains('\u{1b}'));
            assert_eq!(
                serde_json::from_str::<Document>(&text).unwrap(),
                document(&view)
            );
        }
    }

    #[test]
    fn the_schema_names_each_field_of_the_document() {
        let schema = schema();
        let view = fixture::fold(&fixture::apply());
        let value = serde_json::to_value(document(&view)).unwrap();
        for name in value.as_object().unwrap().keys() {
            assert!(schema["properties"].get(name).is_some(), "{name}");
        }
        assert!(schema["$defs"].get("Finding").is_some());
    }
}

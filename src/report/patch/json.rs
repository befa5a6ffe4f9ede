//! The JSON document of a plan or a run.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    ChangedView, ConffileView, Ending, GateView, HostView, ImageView, JobView, PatchView,
    PhaseView, RebootView, RestartView, Unreachable, WaveView,
};
use crate::model::patch::{HostPlan, PatchOutcome, Standing};

/// What a plan found, or what came of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Document {
    /// The format of this document; 1.
    pub format: u32,
    pub run: String,
    /// `patch-plan`: it only looked. `patch`: it changed hosts.
    pub verb: String,
    /// Runs of one name are one history.
    pub patch: String,
    pub title: String,
    /// Of the program that ran it.
    pub version: String,
    pub playbook: String,
    pub by: String,
    /// RFC 3339.
    pub started: String,
    /// Missing: it did not come to its end, or is still going.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<Ending>,
    pub resumed: Vec<Resumed>,
    /// Outcome → how many hosts.
    pub counts: BTreeMap<String, usize>,
    /// How many hosts may fail; missing: nobody said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure_budget: Option<u32>,
    /// What the fleet is judged by, in seconds.
    pub policy: BTreeMap<String, u64>,
    /// Advisory file → its date.
    pub advisories: BTreeMap<String, String>,
    pub waves: Vec<WaveView>,
    pub hosts: Vec<Host>,
    pub notified: Vec<Notified>,
    pub notes: Vec<String>,
    /// Path → SHA-256 of each document that was read.
    pub documents: BTreeMap<String, String>,
    pub journal: Journal,
}

/// One host.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Host {
    pub host: String,
    /// From 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wave: Option<usize>,
    /// `unknown` where it did not come to its end.
    pub outcome: PatchOutcome,
    /// Why, where there is something to say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What a person has to do.
    pub to_do: Vec<String>,
    pub millis: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unreachable: Option<Unreachable>,
    /// Missing: nothing was decided for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<HostPlan>,
    /// How it stood before. Missing: it was not seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<Standing>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<Standing>,
    pub changed: Vec<ChangedView>,
    pub back: Vec<ChangedView>,
    pub conffiles: Vec<ConffileView>,
    pub restarted: Vec<RestartView>,
    pub images: Vec<ImageView>,
    pub reboots: Vec<RebootView>,
    pub gates: Vec<GateView>,
    pub phases: Vec<PhaseView>,
    pub jobs: Vec<JobView>,
    pub waits: Vec<String>,
    pub notes: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Resumed {
    /// RFC 3339.
    pub at: String,
    pub by: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Notified {
    pub whom: String,
    pub well: bool,
    pub detail: String,
}

/// How far the journal was read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Journal {
    pub lines: u64,
    /// SHA-256 of its last line.
    pub last: String,
    pub torn: bool,
}

/// The document of a plan or a run.
pub fn document(view: &PatchView) -> Document {
    let is_plan = view.is_plan();
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for host in &view.hosts {
        let word = super::words::outcome_key(host.outcome(is_plan));
        *counts.entry(word.to_owned()).or_default() += 1;
    }
    Document {
        format: 1,
        run: view.run.clone(),
        verb: view.verb.clone(),
        patch: view.patch.clone(),
        title: view.title.clone(),
        version: view.version.clone(),
        playbook: view.playbook.clone(),
        by: view.by.clone(),
        started: view.started.clone(),
        ended: view.ended.clone(),
        resumed: (view.resumed.iter())
            .map(|(at, by)| Resumed {
                at: at.clone(),
                by: by.clone(),
            })
            .collect(),
        counts,
        failure_budget: view.failure_budget,
        policy: view.policy.clone(),
        advisories: view.advisories.clone(),
        waves: view.waves.clone(),
        hosts: view.hosts.iter().map(|h| host(h, is_plan)).collect(),
        notified: (view.notified.iter())
            .map(|(whom, well, detail)| Notified {
                whom: whom.clone(),
                well: *well,
                detail: detail.clone(),
            })
            .collect(),
        notes: view.notes.clone(),
        documents: view.documents.clone(),
        journal: Journal {
            lines: view.lines,
            last: view.last_hash.clone(),
            torn: view.torn.is_some(),
        },
    }
}

fn host(host: &HostView, is_plan: bool) -> Host {
    Host {
        host: host.name.clone(),
        wave: host.wave,
        outcome: host.outcome(is_plan),
        reason: host.story(is_plan),
        to_do: host.to_do.clone(),
        millis: host.millis,
        unreachable: host.unreachable.clone(),
        plan: host.plan.clone(),
        before: host.before.clone(),
        after: host.after.clone(),
        changed: host.changed.clone(),
        back: host.back.clone(),
        conffiles: host.conffiles.clone(),
        restarted: host.restarted.clone(),
        images: host.images.clone(),
        reboots: host.reboots.clone(),
        gates: host.gates.clone(),
        phases: host.phases.clone(),
        jobs: host.jobs.clone(),
        waits: host.waits.clone(),
        notes: host.notes.clone(),
    }
}

/// The document as text, with a newline at its end.
///
/// # Errors
/// Only where memory is short.
pub fn text(view: &PatchView) -> Result<String, serde_json::Error> {
    serde_json::to_string_pretty(&document(view)).map(|text| text + "\n")
}

/// The JSON Schema of the document.
pub fn schema() -> serde_json::Value {
    schemars::schema_for!(Document).to_value()
}

#[cfg(test)]
mod tests;

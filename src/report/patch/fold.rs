//! The fold: a patch run's events in, what there is to tell out. Pure, total: no order of events
//! makes it fail.

use std::collections::BTreeMap;
use std::path::Path;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::journal::{JournalError, JournalReader, Torn};
use crate::model::patch::{
    Engine, GateNote, HostPhase, HostPlan, JobOutcome, PatchOutcome, PhaseOutcome, Standing,
};

mod take;

/// A patch run (or a plan), as far as it got.
#[derive(Clone, Debug, Default)]
pub struct PatchView {
    pub run: String,
    /// `patch-plan` only looks; all else changes hosts.
    pub verb: String,
    pub version: String,
    /// The playbook's name: runs of one name are one history.
    pub patch: String,
    pub title: String,
    pub playbook: String,
    /// Path → SHA-256.
    pub documents: BTreeMap<String, String>,
    pub by: String,
    /// In the order of the playbook; one that no event announced is put at the end.
    pub hosts: Vec<HostView>,
    /// Those that were declared, or else those that were begun.
    pub waves: Vec<WaveView>,
    /// In seconds; empty: none was declared.
    pub policy: BTreeMap<String, u64>,
    /// `None`: none was declared.
    pub failure_budget: Option<u32>,
    /// File → its date.
    pub advisories: BTreeMap<String, String>,
    /// When another process went on with it (RFC 3339), and who.
    pub resumed: Vec<(String, String)>,
    /// Who was told, whether it went well, and what was said.
    pub notified: Vec<(String, bool, String)>,
    pub notes: Vec<String>,
    /// RFC 3339; empty if the journal does not begin with a run.
    pub started: String,
    /// The time of the last event.
    pub last_event: String,
    /// `None`: the run did not come to its end, or is still going.
    pub ended: Option<Ending>,
    /// Lines of the journal that were read.
    pub lines: u64,
    /// The hash of the last line; empty where events were folded as they came.
    pub last_hash: String,
    /// The last line was torn: the controller died while it wrote.
    pub torn: Option<Torn>,
    /// Why the journal could not be read to its end ([`load_some`] alone).
    pub broken: Option<String>,
    by_name: BTreeMap<String, usize>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Ending {
    /// RFC 3339.
    pub time: String,
    /// The exit code.
    pub code: u8,
    pub millis: u64,
    /// Why it stopped early, if it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stopped: Option<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct WaveView {
    /// From 1.
    pub wave: usize,
    pub hosts: Vec<String>,
    /// Whether it was begun.
    pub begun: bool,
    /// How long its hosts were watched, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub soak_seconds: Option<u64>,
}

/// One host.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct HostView {
    pub name: String,
    /// From 1. `None`: no wave names it.
    pub wave: Option<usize>,
    /// Something was done for it, or with it.
    pub begun: bool,
    /// What the journal says last. What counts is [`HostView::outcome`].
    pub said: Option<PatchOutcome>,
    pub reason: Option<String>,
    /// What a person has to do.
    pub to_do: Vec<String>,
    pub millis: u64,
    /// When its end was written, RFC 3339.
    pub ended_at: String,
    pub unreachable: Option<Unreachable>,
    /// The run itself came to its end.
    pub run_ended: bool,
    pub plan: Option<HostPlan>,
    /// How it stood before anything was done, and after all was.
    pub before: Option<Standing>,
    pub after: Option<Standing>,
    /// When it was last said how it stands, RFC 3339.
    pub stood_at: String,
    pub phases: Vec<PhaseView>,
    pub jobs: Vec<JobView>,
    /// What was changed to another version; some of it may have gone back.
    pub changed: Vec<ChangedView>,
    /// What went back to the former version.
    pub back: Vec<ChangedView>,
    pub conffiles: Vec<ConffileView>,
    pub restarted: Vec<RestartView>,
    pub images: Vec<ImageView>,
    pub reboots: Vec<RebootView>,
    pub gates: Vec<GateView>,
    /// What it waited for.
    pub waits: Vec<String>,
    pub notes: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Unreachable {
    /// At what: in words.
    pub at: String,
    pub reason: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PhaseView {
    pub phase: HostPhase,
    /// Missing: it did not come to its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<PhaseOutcome>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    pub millis: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct JobView {
    pub job: String,
    pub what: String,
    /// Missing: how it ended is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<JobOutcome>,
    pub detail: String,
    /// File in the run's folder, and its SHA-256.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    pub millis: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ChangedView {
    pub package: String,
    /// Empty: it was not installed.
    pub from: String,
    /// Empty: it is gone.
    pub to: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ConffileView {
    pub path: String,
    /// `kept` or `replaced`.
    pub what: String,
    /// Where the other one lies.
    pub other: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RestartView {
    pub unit: String,
    pub well: bool,
    pub detail: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ImageView {
    pub engine: Engine,
    pub container: String,
    pub image: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// `updated`, `went-back`, `failed`, `unchanged`.
    pub outcome: String,
    pub detail: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RebootView {
    pub reasons: Vec<String>,
    /// Empty: that it was about to be rebooted is not in the journal.
    pub old_boot_id: String,
    /// Missing: it was not seen to come back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub new_boot_id: Option<String>,
    pub millis: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct GateView {
    /// `before`, `after`, `soaked`, `back`.
    pub when: String,
    pub gate: GateNote,
}

/// Reads and folds the journal in a run's folder.
///
/// # Errors
/// When it can't be read, or its chain is broken. A torn last line is no error.
pub fn load(dir: &Path) -> Result<PatchView, JournalError> {
    let mut reader = JournalReader::open(dir)?;
    let mut view = PatchView::default();
    for record in &mut reader {
        view.take(&record?);
    }
    view.last_hash = reader.last_hash().to_owned();
    view.torn = reader.torn().cloned();
    Ok(view)
}

/// The same, as far as the journal can be read; why it went no further is in
/// [`PatchView::broken`]. For a history, from which a spoiled run must not be missing.
pub fn load_some(dir: &Path) -> PatchView {
    let mut view = PatchView::default();
    let mut reader = match JournalReader::open(dir) {
        Ok(reader) => reader,
        Err(error) => {
            view.broken = Some(error.to_string());
            return view;
        }
    };
    for record in &mut reader {
        match record {
            Ok(record) => view.take(&record),
            Err(error) => view.broken = Some(error.to_string()),
        }
    }
    view.last_hash = reader.last_hash().to_owned();
    view.torn = reader.torn().cloned();
    view
}

impl PatchView {
    /// Whether the journal is that of a plan or of a patch run.
    pub fn is_patch(&self) -> bool {
        self.verb.starts_with("patch") || !self.patch.is_empty()
    }

    /// Whether it only looked.
    pub fn is_plan(&self) -> bool {
        self.verb == "patch-plan"
    }

    /// The hosts of one outcome.
    pub fn with(&self, outcome: PatchOutcome) -> impl Iterator<Item = &HostView> {
        let is_plan = self.is_plan();
        (self.hosts.iter()).filter(move |host| host.outcome(is_plan) == outcome)
    }

    pub fn count(&self, outcome: PatchOutcome) -> usize {
        self.with(outcome).count()
    }

    /// How many hosts have used up some of the failure budget.
    pub fn failures(&self) -> usize {
        [
            PatchOutcome::Failed,
            PatchOutcome::WentBack,
            PatchOutcome::LeftOut,
            PatchOutcome::Unknown,
        ]
        .map(|outcome| self.count(outcome))
        .iter()
        .sum()
    }

    /// Whether the wave was never begun because none of its hosts needed it.
    pub fn had_no_work(&self, wave: &WaveView) -> bool {
        use PatchOutcome::{Current, Waiting};
        let said = |name: &String| self.host(name).and_then(|host| host.said);
        let needless = |name: &String| matches!(said(name), Some(Current | Waiting));
        !wave.begun && wave.hosts.iter().all(needless)
    }

    pub fn host(&self, name: &str) -> Option<&HostView> {
        self.hosts.get(*self.by_name.get(name)?)
    }
}

impl HostView {
    /// What became of it. A word of the journal that its other events give the lie to is not
    /// repeated, and a host that did not come to its end is unknown, unless its turn never came.
    pub fn outcome(&self, is_plan: bool) -> PatchOutcome {
        match self.said {
            Some(_) if !is_plan && self.doubt().is_some() => PatchOutcome::Unknown,
            Some(said) => said,
            None if self.begun || is_plan && self.run_ended => PatchOutcome::Unknown,
            None => PatchOutcome::NotStarted,
        }
    }

    /// What speaks against a good word.
    pub fn doubt(&self) -> Option<String> {
        let said_well = matches!(
            self.said,
            Some(PatchOutcome::Patched | PatchOutcome::Waiting | PatchOutcome::WentBack)
        );
        if !said_well {
            return None;
        }
        if let Some(gate) = self.gates.last().filter(|gate| !gate.gate.passed) {
            return Some(format!(
                "its last health gate ({}) did not pass, and nothing was said after it",
                gate.when
            ));
        }
        let open = self.reboots.iter().any(|r| r.new_boot_id.is_none());
        open.then(|| "it was not seen to come back from its reboot".to_owned())
    }

    /// Why it ended as it did, in one line, where there is something to say.
    pub fn story(&self, is_plan: bool) -> Option<String> {
        if let Some(doubt) = self.doubt().filter(|_| !is_plan) {
            return Some(doubt);
        }
        if let Some(reason) = &self.reason {
            return Some(reason.clone());
        }
        if let Some(trouble) = &self.unreachable {
            return Some(format!("{}: {}", trouble.at, trouble.reason));
        }
        match (self.said, self.outcome(is_plan)) {
            (None, PatchOutcome::Unknown) => Some(match self.phases.last() {
                Some(phase) => format!(
                    "the run stopped before it was done with this host; it was at: {}",
                    phase.phase.word()
                ),
                None => "the run stopped before it was done with this host".into(),
            }),
            _ => None,
        }
    }

    /// How it stands now, as far as it was seen.
    pub fn standing(&self) -> Option<&Standing> {
        self.after.as_ref().or(self.before.as_ref())
    }

    /// Whether it was seen to come back from a reboot.
    pub fn rebooted(&self) -> bool {
        self.reboots.iter().any(|r| r.new_boot_id.is_some())
    }

    /// The gates that did not pass.
    pub fn lost_gates(&self) -> impl Iterator<Item = &GateView> {
        self.gates.iter().filter(|gate| !gate.gate.passed)
    }
}

#[cfg(test)]
mod tests;

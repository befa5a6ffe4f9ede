//! How the fleet stands against the policy: a fold over all patch runs that are kept.
//!
//! A host that did not answer in the latest run that wanted it is unknown, whatever was seen of it
//! before. A plan is an observation, and never a patch run.

mod gather;
mod html;
mod judge;
mod junit;
mod terminal;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::model::Severity;
use crate::model::patch::{PatchOutcome, Standing};

pub use gather::gather;
pub use html::html;
pub use junit::junit;
pub use terminal::text;

/// What is asked.
#[derive(Clone, Debug)]
pub struct StatusAsk {
    /// Only runs of this playbook's name.
    pub patch: Option<String>,
    /// Hosts that ought to be there, e.g. those of the inventory.
    pub known: Vec<String>,
    pub now: jiff::Timestamp,
}

/// How a host stands against the policy; a worse one is greater.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Word {
    /// Nothing is open, and all was seen.
    Current,
    /// Something is open, and still within the policy's time.
    Behind,
    /// Something is open for longer than the policy allows.
    Overdue,
    /// It was not seen, or not enough of it.
    Unknown,
}

impl Word {
    pub const ALL: [Word; 4] = [Word::Current, Word::Behind, Word::Overdue, Word::Unknown];

    pub fn word(self) -> &'static str {
        match self {
            Word::Current => "current",
            Word::Behind => "behind",
            Word::Overdue => "overdue",
            Word::Unknown => "unknown",
        }
    }
}

/// How the fleet stands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Status {
    /// The format of this document; 1.
    pub format: u32,
    /// Only runs of this playbook's name; missing: all patch runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub patch: Option<String>,
    /// RFC 3339: what ages are reckoned from.
    pub now: String,
    /// The policy of the latest run, in seconds.
    pub policy: BTreeMap<String, u64>,
    /// Advisory file of the latest run → its date.
    pub advisories: BTreeMap<String, String>,
    pub totals: Totals,
    /// The worst first, then by name.
    pub hosts: Vec<HostStatus>,
    /// The earliest first.
    pub history: Vec<RunPoint>,
    /// Runs that cannot be believed, or not wholly.
    pub problems: Vec<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Totals {
    pub current: usize,
    pub behind: usize,
    pub overdue: usize,
    pub unknown: usize,
    /// Hosts whose reboot is due.
    pub reboot_due: usize,
    /// Hosts whose release gets no security updates any more.
    pub end_of_life: usize,
    /// Open vulnerabilities by severity (`critical`, `high`, `medium`, `low`, `unrated`), each host
    /// for itself.
    pub open: BTreeMap<String, usize>,
    /// Of these, those that are open for longer than the policy allows.
    pub open_overdue: BTreeMap<String, usize>,
}

/// One host.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct HostStatus {
    pub host: String,
    pub verdict: Word,
    /// The worst first.
    pub reasons: Vec<Reason>,
    /// When the last good patch run was done with it, RFC 3339; missing: none is kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub patched: Option<String>,
    /// How long ago, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub patched_ago: Option<u64>,
    /// The latest run that wanted it, and what came of it there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_run: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_outcome: Option<PatchOutcome>,
    /// When it was last seen, RFC 3339; missing: never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seen: Option<String>,
    /// How it stood then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub standing: Option<Standing>,
    /// Since when upgrades are offered and not made, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub behind_since: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reboot_since: Option<String>,
    /// Open vulnerabilities, the worst first.
    pub open: Vec<OpenStatus>,
    pub end_of_life: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Reason {
    pub verdict: Word,
    pub text: String,
}

/// An open vulnerability of a host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct OpenStatus {
    pub id: String,
    /// Missing: nobody says how bad it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub severity: Option<Severity>,
    pub package: String,
    pub installed: String,
    /// Missing: there is no fix yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fixed_in: Option<String>,
    /// Published, or first seen here: the earlier. RFC 3339.
    pub since: String,
    /// In seconds.
    pub age: u64,
    /// In seconds; missing: the policy names none, or there is no fix yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline: Option<u64>,
    pub overdue: bool,
}

/// One run of the history.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RunPoint {
    pub run: String,
    pub patch: String,
    /// RFC 3339.
    pub started: String,
    /// It only looked.
    pub plan: bool,
    pub hosts: usize,
    pub current: usize,
    pub patched: usize,
    /// Patched, and waiting for a person.
    pub waiting: usize,
    /// Seen by a plan to have something to do.
    pub behind: usize,
    /// Failed, went back, or left out.
    pub failed: usize,
    pub unknown: usize,
    pub not_started: usize,
    /// How often another process went on with it.
    pub resumed: usize,
    /// It did not come to its end.
    pub aborted: bool,
    /// Its journal cannot be believed: nothing of it counts as a pass.
    pub broken: bool,
}

/// The exit code: 0, 1 where something is overdue, 3 where a host is unknown (that weighs more), or
/// where none is known at all.
pub fn code(status: &Status) -> u8 {
    match status.hosts.iter().map(|host| host.verdict).max() {
        Some(Word::Unknown) | None => 3,
        Some(Word::Overdue) => 1,
        Some(Word::Behind | Word::Current) => 0,
    }
}

/// The status as JSON, with a newline at its end.
///
/// # Errors
/// Only where memory is short.
pub fn json(status: &Status) -> Result<String, serde_json::Error> {
    serde_json::to_string_pretty(status).map(|text| text + "\n")
}

/// The JSON Schema of it.
pub fn schema() -> serde_json::Value {
    schemars::schema_for!(Status).to_value()
}

#[cfg(test)]
mod tests;

//! A finding: one rule judged on one host.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How bad it is when a rule is not met. Ordered: `Low < Critical`.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    Low,
    Medium,
    High,
    Critical,
}

impl Severity {
    /// All of them, worst first: the order in which a person reads them.
    pub const WORST_FIRST: [Severity; 4] = [
        Severity::Critical,
        Severity::High,
        Severity::Medium,
        Severity::Low,
    ];

    /// The word that documents and reports use.
    pub fn word(self) -> &'static str {
        match self {
            Severity::Low => "low",
            Severity::Medium => "medium",
            Severity::High => "high",
            Severity::Critical => "critical",
        }
    }
}

/// What became of one rule on one host. What was not seen is `Unknown`, and that is never a pass.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    /// Observed, and as demanded.
    Pass,
    /// Observed, and not as demanded (an expired waiver does not change that).
    Fail,
    /// Was not as demanded, was changed in this run, observed again and is now as demanded.
    Changed,
    /// Not as demanded, and accepted by a waiver that is in force.
    Waived,
    /// The rule has no meaning on this host; the reason says why.
    NotApplicable,
    /// Only a person can judge it.
    Manual,
    /// It could not be observed.
    Unknown,
}

impl Status {
    /// All of them, in the order in which a tired person wants them.
    pub const WORST_FIRST: [Status; 7] = [
        Status::Fail,
        Status::Unknown,
        Status::Changed,
        Status::Waived,
        Status::Manual,
        Status::NotApplicable,
        Status::Pass,
    ];

    /// The word that documents and reports use.
    pub fn word(self) -> &'static str {
        match self {
            Status::Pass => "pass",
            Status::Fail => "fail",
            Status::Changed => "changed",
            Status::Waived => "waived",
            Status::NotApplicable => "not-applicable",
            Status::Manual => "manual",
            Status::Unknown => "unknown",
        }
    }
}

/// One requirement of a published framework that a rule serves, e.g. `cis-debian-12` `5.1.20`.
#[derive(
    Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
pub struct Control {
    pub framework: String,
    pub id: String,
}

/// The waiver that applies (or applied, if it has expired) to a finding.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct WaiverNote {
    pub reason: String,
    pub owner: String,
    pub approver: String,
    /// The last day on which it holds, `YYYY-MM-DD`, in UTC.
    pub expires: String,
    pub expired: bool,
}

/// One rule judged on one host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Finding {
    pub host: String,
    pub rule: String,
    pub title: String,
    /// The chapter of the baseline that the rule stands in, e.g. `sshd`.
    pub area: String,
    pub severity: Severity,
    pub level: u8,
    pub controls: Vec<Control>,
    pub status: Status,
    /// What is demanded, for a person. Stripped of control characters.
    pub expected: String,
    /// What was seen, for a person. Comes from the host: stripped of control characters, bounded.
    pub actual: String,
    /// Why it is not applicable, unknown, manual, or why it could not be changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Whether `apply` knows how to bring it about on this host.
    #[serde(default)]
    pub fixable: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waiver: Option<WaiverNote>,
}

//! Playbooks: which baselines go to which hosts, how fast, with which exceptions.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::baseline::Value;
use super::scalar::as_text;
use crate::model::Severity;

/// A playbook document.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Playbook {
    /// Its name, e.g. `new-host`.
    pub playbook: String,
    /// A few words for a person.
    pub title: String,
    #[serde(default)]
    pub about: Option<String>,
    /// Host names, group names, globs (`web-*`), `all`; `!name` takes away.
    pub hosts: Vec<String>,
    /// Baseline files, relative to this one.
    pub baselines: Vec<String>,
    /// Rules of this level and below apply; 1 or 2.
    #[serde(default = "level_1")]
    pub level: u8,
    #[serde(default)]
    pub variables: BTreeMap<String, Value>,
    /// Opt-in rules that are wanted.
    #[serde(default)]
    pub opt_in: Vec<String>,
    /// Rules that are changed for this playbook, by id.
    #[serde(default)]
    pub overrides: BTreeMap<String, Override>,
    /// Sizes of the waves, in order; the last one is repeated. Default: one wave with everyone.
    #[serde(default)]
    pub waves: Vec<WaveSize>,
    /// How many hosts may fail over the whole run before no further wave starts. Default: 0.
    #[serde(default)]
    pub failure_budget: WaveSize,
    /// How long a host waits for our "keep" before it undoes the run, e.g. `2m`. 10 s to 1 h.
    #[serde(default = "two_minutes")]
    pub confirm: Span,
    #[serde(default)]
    pub waivers: Vec<Waiver>,
}

fn level_1() -> u8 {
    1
}

fn two_minutes() -> Span {
    Span(Duration::from_secs(120))
}

/// A number of hosts, or a share of all hosts of the run (rounded up): `1`, `25%`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WaveSize {
    Hosts(u32),
    Percent(u32),
}

impl Default for WaveSize {
    fn default() -> Self {
        WaveSize::Hosts(0)
    }
}

/// A length of time: `90s`, `2m`, `1h`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span(pub Duration);

impl FromStr for WaveSize {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is neither a number of hosts (5) nor a share (25%)");
        match text.strip_suffix('%') {
            Some(share) => match share.trim().parse() {
                Ok(percent @ 0..=100) => Ok(WaveSize::Percent(percent)),
                _ => Err(wrong()),
            },
            None => text.parse().map(WaveSize::Hosts).map_err(|_| wrong()),
        }
    }
}

impl fmt::Display for WaveSize {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            WaveSize::Hosts(n) => write!(f, "{n}"),
            WaveSize::Percent(n) => write!(f, "{n}%"),
        }
    }
}

impl FromStr for Span {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is not a length of time such as 90s, 2m or 1h");
        let cut = text.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?;
        let count: u64 = text[..cut].parse().map_err(|_| wrong())?;
        let unit = match text[cut..].trim() {
            "s" => 1,
            "m" | "min" => 60,
            "h" => 3600,
            "d" => 86_400,
            _ => return Err(wrong()),
        };
        let seconds = count.checked_mul(unit).ok_or_else(wrong)?;
        Ok(Span(Duration::from_secs(seconds)))
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self.0.as_secs() {
            s if s > 0 && s % 3600 == 0 => write!(f, "{}h", s / 3600),
            s if s > 0 && s % 60 == 0 => write!(f, "{}m", s / 60),
            s => write!(f, "{s}s"),
        }
    }
}

as_text!(
    WaveSize,
    "^[0-9]+%?$",
    "A number of hosts, or a share of them: 1, 25%."
);
as_text!(
    Span,
    "^[0-9]+ ?(s|m|min|h|d)$",
    "A length of time: 90s, 2m, 1h."
);

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Override {
    #[serde(default)]
    pub severity: Option<Severity>,
    #[serde(default)]
    pub level: Option<u8>,
    /// `true`: the rule does not apply; `reason` must say why.
    #[serde(default)]
    pub off: bool,
    #[serde(default)]
    pub reason: Option<String>,
}

/// An accepted failure.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Waiver {
    /// The rule's id.
    pub rule: String,
    /// Which hosts, as in `hosts`. Default: all of the playbook's.
    #[serde(default = "all_hosts")]
    pub hosts: Vec<String>,
    /// Why the failure is accepted.
    pub reason: String,
    /// Who answers for it.
    pub owner: String,
    /// Who accepted it.
    pub approver: String,
    /// The last day on which it holds, `YYYY-MM-DD` (UTC).
    pub expires: String,
}

fn all_hosts() -> Vec<String> {
    vec!["all".into()]
}

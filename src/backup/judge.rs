//! Whether what the stores hold is as the policy demands. Pure: catalogue + policy + time →
//! findings.
//!
//! A backup counts where someone who counts vouches for it: whoever can write to a store could
//! otherwise put a file there whose name says that it is of tonight.

mod alone;
mod content;
mod outside;
mod rules;
mod schedule;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::age::{Header, Stanza};
use super::catalog::{Backup, Vouched};
use crate::document::policy::{Policy, SourceDocument};
use crate::model::{Finding, Status};
use crate::shell::clean;

pub use content::{Inside, Opened, Unlocked};
pub use rules::{Rule, WITH_KEY, WITHOUT_KEY, explained};

/// Clocks that differ by so much are forgiven, in seconds.
const SKEW: i64 = 60;
/// So many names are told; of more, how many.
const SHOWN: usize = 3;

/// What is known of one store.
#[derive(Clone, Debug)]
pub struct Held {
    /// Its name in the policy.
    pub store: String,
    pub place: String,
    /// What it holds of the source, the oldest first; or why that is not known.
    pub backups: Result<Vec<Backup>, String>,
    /// What writers that died have left there.
    pub leftovers: Vec<String>,
}

/// What was read of one archive in one store, without its key.
#[derive(Clone, Debug)]
pub struct Looked {
    pub store: String,
    pub name: String,
    pub header: Result<Header, String>,
    /// Of the whole ciphertext, in hexadecimal.
    pub sha256: Result<String, String>,
}

/// All that a judgement on one source rests on.
pub struct Facts<'a> {
    pub policy: &'a Policy,
    pub source: &'a SourceDocument,
    pub now: Timestamp,
    pub held: &'a [Held],
    pub looked: &'a [Looked],
    /// What a header for the policy's recipients must hold ([`super::age::Recipients::expected`]).
    pub expected: Result<Vec<Stanza>, String>,
    /// What was opened with a key. `None`: no key was given, and nothing is said of the content.
    pub opened: Option<&'a [Opened]>,
}

/// What came of it.
#[derive(Clone, Debug)]
pub struct Judgement {
    pub findings: Vec<Finding>,
    /// A schedule was missed.
    pub missed: bool,
}

/// Judges one source.
pub fn judge(facts: &Facts) -> Judgement {
    let seen = Seen::new(facts);
    let mut said = vec![
        ("backup.present", outside::present(facts, &seen)),
        ("backup.on-schedule", outside::on_schedule(facts, &seen)),
        ("backup.fresh", outside::fresh(facts, &seen)),
        ("backup.size-plausible", outside::size_plausible(&seen)),
        ("backup.signed", outside::signed(facts, &seen)),
        ("backup.encrypted-to", outside::encrypted_to(facts, &seen)),
        ("backup.hash", outside::hash(facts, &seen)),
        ("backup.places", outside::places(facts, &seen)),
        ("backup.kept", outside::kept(facts, &seen)),
        ("backup.leftovers", outside::leftovers(facts)),
    ];
    if let Some(opened) = facts.opened {
        said.extend(content::judge(facts, &seen, opened));
    }
    let missed = said
        .iter()
        .any(|(rule, said)| *rule == "backup.on-schedule" && said.status == Status::Fail);
    let findings = said
        .into_iter()
        .filter_map(|(rule, said)| rules::finding(rule, &facts.source.source, said))
        .collect();
    Judgement { findings, missed }
}

/// Judges an archive by itself, whoever made it: what can be said of it without a policy. `beside`
/// is the sidecar that lies there.
pub fn foreign(
    subject: &str,
    looked: &Looked,
    beside: Option<&Vouched>,
    opened: Option<&Opened>,
) -> Judgement {
    let mut said = vec![
        ("backup.signed", alone::signed(beside)),
        ("backup.encrypted-to", alone::encrypted_to(looked)),
        ("backup.hash", alone::hash(looked, beside)),
    ];
    if let Some(opened) = opened {
        said.push(("backup.content", alone::content(opened)));
        said.push(("backup.recipients", alone::recipients(opened)));
    }
    let findings = said
        .into_iter()
        .filter_map(|(rule, said)| rules::finding(rule, subject, said))
        .collect();
    Judgement {
        findings,
        missed: false,
    }
}

/// What is said of one rule.
#[derive(Clone, Debug)]
pub struct Said {
    pub status: Status,
    pub expected: String,
    pub actual: String,
    pub reason: Option<String>,
}

impl Said {
    fn new(status: Status, expected: impl Into<String>, actual: impl Into<String>) -> Self {
        Said {
            status,
            expected: expected.into(),
            actual: clean(&actual.into(), 900),
            reason: None,
        }
    }

    fn because(mut self, reason: impl Into<String>) -> Self {
        self.reason = Some(clean(&reason.into(), 600));
        self
    }

    fn pass_or_fail(pass: bool, expected: impl Into<String>, actual: impl Into<String>) -> Self {
        let status = if pass { Status::Pass } else { Status::Fail };
        Said::new(status, expected, actual)
    }
}

/// The backups of all stores, put together by name.
struct Seen<'a> {
    /// Name → the stores that hold it, and what each says of it.
    all: BTreeMap<&'a str, Vec<(&'a Held, &'a Backup)>>,
    /// Those that someone who counts vouches for, with their data's time, the oldest first.
    vouched: Vec<(Timestamp, &'a str)>,
    /// Vouched for, and from the future: they count for nothing.
    future: Vec<&'a str>,
    /// Stores that could not be asked, and why.
    unasked: Vec<String>,
}

impl<'a> Seen<'a> {
    fn new(facts: &Facts<'a>) -> Self {
        let mut seen = Seen {
            all: BTreeMap::new(),
            vouched: Vec::new(),
            future: Vec::new(),
            unasked: Vec::new(),
        };
        for held in facts.held {
            match &held.backups {
                Ok(backups) => {
                    for backup in backups {
                        let copies = seen.all.entry(backup.name.as_str()).or_default();
                        copies.push((held, backup));
                    }
                }
                Err(why) => seen.unasked.push(format!("{}: {why}", held.store)),
            }
        }
        let latest = facts.now.as_second().saturating_add(SKEW);
        for (name, copies) in &seen.all {
            let time = copies.iter().find_map(|(_, backup)| {
                backup.vouched.signed()?;
                backup.data_time
            });
            match time {
                Some(time) if time.as_second() > latest => seen.future.push(name),
                Some(time) => seen.vouched.push((time, name)),
                None => {}
            }
        }
        seen.vouched.sort_unstable();
        seen
    }

    /// The newest that counts.
    fn newest(&self) -> Option<(Timestamp, &'a str)> {
        self.vouched.last().copied()
    }

    fn copies(&self, name: &str) -> &[(&'a Held, &'a Backup)] {
        self.all.get(name).map_or(&[], Vec::as_slice)
    }

    /// What is signed of it.
    fn sidecar(&self, name: &str) -> Option<&'a super::sidecar::Sidecar> {
        self.copies(name)
            .iter()
            .find_map(|(_, backup)| backup.vouched.signed())
    }

    /// Where nothing is known for certain because a store could not be asked.
    fn unknown(&self, expected: impl Into<String>, actual: impl Into<String>) -> Said {
        let said = Said::new(Status::Fail, expected, actual);
        if self.unasked.is_empty() {
            return said;
        }
        Said {
            status: Status::Unknown,
            ..said.because(format!("not asked: {}", self.unasked.join("; ")))
        }
    }

    /// Nothing counts: why.
    fn nothing(&self) -> String {
        let mut text = match self.all.len() {
            0 => "there is no backup".to_owned(),
            1 => "there is one backup, and nobody who counts vouches for it".to_owned(),
            n => format!("there are {n} backups, and nobody who counts vouches for one"),
        };
        if !self.future.is_empty() {
            text = format!("{text}; {} from the future", self.future.len());
        }
        text
    }
}

fn some(names: &[&str]) -> String {
    let shown: Vec<&str> = names.iter().take(SHOWN).copied().collect();
    match names.len().saturating_sub(SHOWN) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

/// A recipient without what means nothing: an SSH key's comment.
fn bare(recipient: &str) -> String {
    recipient
        .split_whitespace()
        .take(2)
        .collect::<Vec<_>>()
        .join(" ")
}

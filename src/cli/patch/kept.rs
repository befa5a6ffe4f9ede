//! What a run keeps in its folder, so that another process can go on with it; and what its journal
//! says of it at the beginning. Pure but for reading the file.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use anyhow::Context;
use serde::{Deserialize, Serialize};

use crate::document::patch::Patch;
use crate::host::patch::schedule::{self, Candidate};
use crate::journal::{Event, PatchEvent, Record, RunFolder, sha256};
use crate::model::Severity;
use crate::shell::clean;

/// The file in the run's folder.
pub const KEPT_FILE: &str = "patch.json";

/// A patch run as it was begun. `resume` goes by this, whatever has become of the documents.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Kept {
    /// The format of this file; 1.
    pub format: u32,
    /// The playbook, with what the command line changed in it.
    pub patch: Patch,
    /// Its path, as it was given.
    pub path: String,
    /// Where paths were given from, absolute: another process may stand elsewhere.
    pub folder: PathBuf,
    /// The inventory, as it was given. It is read again: how hosts are reached may have changed.
    pub inventory: String,
    pub hosts: Vec<KeptHost>,
    /// Where the advisories lie, absolute.
    pub advisories: Vec<PathBuf>,
    /// Path → SHA-256 of each document that was read.
    pub documents: BTreeMap<String, String>,
}

/// A host as the inventory knew it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptHost {
    pub name: String,
    /// Its name and all its groups.
    pub names: BTreeSet<String>,
    /// How sensitive what it holds is, where the inventory says so.
    #[serde(default)]
    pub data: Option<String>,
}

impl Kept {
    /// The hosts in the order of their waves.
    pub fn waves(&self) -> Vec<Vec<String>> {
        let candidates: Vec<Candidate> = self
            .hosts
            .iter()
            .map(|host| Candidate {
                name: host.name.clone(),
                names: host.names.clone(),
            })
            .collect();
        let name = |at: &usize| candidates.get(*at).map(|host| host.name.clone());
        schedule::waves(&candidates, &self.patch)
            .iter()
            .map(|wave| wave.iter().filter_map(name).collect())
            .collect()
    }

    /// What the journal says behind `RunStarted`. `advisories`: file → its date.
    pub fn declared(&self, advisories: BTreeMap<String, String>) -> PatchEvent {
        let policy = &self.patch.policy;
        let mut seconds = BTreeMap::from([
            (
                "patched_within".to_owned(),
                policy.patched_within.0.as_secs(),
            ),
            ("reboot_within".to_owned(), policy.reboot_within.0.as_secs()),
        ]);
        for (severity, span) in &policy.close_within {
            let word = match severity {
                Severity::Critical => "critical",
                Severity::High => "high",
                Severity::Medium => "medium",
                Severity::Low => "low",
            };
            seconds.insert(word.to_owned(), span.0.as_secs());
        }
        PatchEvent::Declared {
            patch: self.patch.patch.clone(),
            waves: self.waves(),
            policy: seconds,
            failure_budget: schedule::allowed_failures(self.patch.failure_budget, self.hosts.len()),
            advisories,
        }
    }
}

/// How far a run had come, by its journal.
pub enum Former {
    /// Its process died before it said what it was.
    Unbegun,
    Begun {
        kept: Box<Kept>,
        /// `Declared` is there.
        declared: bool,
        /// The code of `RunEnded`, if it is there: only the seal is missing then.
        ended: Option<u8>,
    },
}

/// What a run has kept.
///
/// # Errors
/// When the run is none of ours to resume, or its file is not the one that its journal names.
pub fn kept(folder: &RunFolder, records: &[Record]) -> anyhow::Result<Former> {
    let started = records.iter().find_map(|record| match &record.event {
        Event::RunStarted {
            verb, documents, ..
        } => Some((verb, documents)),
        _ => None,
    });
    let Some((verb, documents)) = started else {
        return Ok(Former::Unbegun);
    };
    anyhow::ensure!(
        verb != "patch-plan",
        "run {} only looked: `seawall patch plan` makes it anew",
        folder.id
    );
    anyhow::ensure!(
        verb == "patch",
        "run {} is no patch run but a `{}`",
        folder.id,
        clean(verb, 40)
    );
    let hash = documents
        .get(KEPT_FILE)
        .with_context(|| format!("run {} does not say what it was to do", folder.id))?;
    let path = folder.path.join(KEPT_FILE);
    let text = std::fs::read(&path).with_context(|| format!("reading {}", path.display()))?;
    anyhow::ensure!(
        sha256(&text) == *hash,
        "{} was changed after the run began: nothing is done by it",
        path.display()
    );
    let kept: Kept = serde_json::from_slice(&text)
        .with_context(|| format!("{} is not of this version of Seawall", path.display()))?;
    anyhow::ensure!(
        kept.format == 1,
        "{} has format {}, and this version reads format 1",
        path.display(),
        kept.format
    );
    let declared =
        |record: &Record| matches!(record.event, Event::Patch(PatchEvent::Declared { .. }));
    let end = |record: &Record| match record.event {
        Event::RunEnded { code, .. } => Some(code),
        _ => None,
    };
    Ok(Former::Begun {
        kept: Box::new(kept),
        declared: records.iter().any(declared),
        ended: records.iter().rev().find_map(end),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(more: &str, hosts: usize) -> Kept {
        let text = format!(r#"{{"patch": "weekly", "title": "t", "hosts": ["all"]{more}}}"#);
        let host = |n| KeptHost {
            name: format!("h{n}"),
            names: BTreeSet::from([format!("h{n}")]),
            data: None,
        };
        Kept {
            format: 1,
            patch: serde_json::from_str(&text).unwrap(),
            path: "p.yaml".into(),
            folder: "/".into(),
            inventory: "i.yaml".into(),
            hosts: (0..hosts).map(host).collect(),
            advisories: Vec::new(),
            documents: BTreeMap::new(),
        }
    }

    #[test]
    fn the_declared_policy_is_in_seconds() {
        let more = r#", "policy": {"patched_within": "3d", "close_within": {"high": "2h"}}"#;
        let PatchEvent::Declared { policy, patch, .. } = kept(more, 1).declared(BTreeMap::new())
        else {
            panic!("it declares");
        };
        assert_eq!(patch, "weekly");
        let of = |name: &str| policy.get(name).copied();
        assert_eq!(of("patched_within"), Some(3 * 86_400));
        assert_eq!(of("reboot_within"), Some(7 * 86_400));
        assert_eq!((of("high"), of("critical")), (Some(7200), None));
    }

    #[test]
    fn a_share_of_failures_is_of_this_runs_hosts() {
        let budget = |text: &str, hosts| {
            let kept = kept(&format!(r#", "failure_budget": "{text}""#), hosts);
            match kept.declared(BTreeMap::new()) {
                PatchEvent::Declared { failure_budget, .. } => failure_budget,
                _ => panic!("it declares"),
            }
        };
        assert_eq!(budget("2", 1), 2);
        assert_eq!(budget("10%", 19), 1);
        assert_eq!(budget("10%", 9), 0);
    }

    #[test]
    fn every_host_is_in_one_wave() {
        let all: Vec<String> = kept("", 5).waves().into_iter().flatten().collect();
        assert_eq!(all.len(), 5);
    }
}

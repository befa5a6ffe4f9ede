//! OSV records: one, or a list of them. Pure.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde::Deserialize;
use serde_json::Value;

use super::{Advisories, End, Facts, Flaw, cvss, id};
use crate::model::Severity;

#[derive(Deserialize)]
struct Record {
    id: String,
    #[serde(default)]
    aliases: Option<Vec<String>>,
    #[serde(default)]
    upstream: Option<Vec<String>>,
    #[serde(default)]
    related: Option<Vec<String>>,
    #[serde(default)]
    published: Option<String>,
    #[serde(default)]
    withdrawn: Option<String>,
    affected: Option<Vec<Affected>>,
    #[serde(default)]
    severity: Option<Vec<Score>>,
    #[serde(default)]
    database_specific: Option<Specific>,
}

#[derive(Deserialize)]
struct Affected {
    #[serde(default)]
    package: Option<Package>,
    #[serde(default)]
    ranges: Option<Vec<Range>>,
    #[serde(default)]
    severity: Option<Vec<Score>>,
    #[serde(default)]
    ecosystem_specific: Option<Specific>,
    #[serde(default)]
    database_specific: Option<Specific>,
}

#[derive(Deserialize)]
struct Package {
    #[serde(default)]
    ecosystem: String,
    #[serde(default)]
    name: String,
}

#[derive(Deserialize)]
struct Range {
    #[serde(default, rename = "type")]
    kind: String,
    #[serde(default)]
    events: Vec<Event>,
}

#[derive(Deserialize)]
struct Event {
    #[serde(default)]
    introduced: Option<String>,
    #[serde(default)]
    fixed: Option<String>,
    #[serde(default)]
    last_affected: Option<String>,
}

#[derive(Deserialize)]
struct Score {
    #[serde(default)]
    score: String,
}

/// What a database says in its own words; of any shape.
#[derive(Deserialize)]
#[serde(untagged)]
enum Specific {
    Words {
        #[serde(default)]
        severity: Value,
        #[serde(default)]
        urgency: Value,
    },
    Other(serde::de::IgnoredAny),
}

impl Specific {
    fn word(&self) -> Option<&str> {
        match self {
            Specific::Words { severity, urgency } => severity.as_str().or(urgency.as_str()),
            Specific::Other(_) => None,
        }
    }
}

/// Reads one record, or a list of records.
pub fn read(bytes: &[u8]) -> Result<Advisories, String> {
    let first = bytes.iter().find(|byte| !byte.is_ascii_whitespace());
    let records: Vec<Record> = match first {
        Some(b'[') => serde_json::from_slice(bytes).map_err(|e| e.to_string())?,
        _ => vec![serde_json::from_slice(bytes).map_err(|e| e.to_string())?],
    };
    let mut out = Advisories::default();
    for record in &records {
        put(&mut out, record);
    }
    Ok(out)
}

fn put(out: &mut Advisories, record: &Record) {
    if record.withdrawn.is_some() {
        return;
    }
    let ids = ids(record);
    let own = record.database_specific.as_ref().and_then(Specific::word);
    let told = worst(record.severity.as_deref()).or_else(|| own.and_then(severity_of));
    let published = record.published.as_deref().and_then(|text| text.get(..10));
    let published = published.and_then(|day| day.parse().ok());
    for affected in record.affected.as_deref().unwrap_or_default() {
        let words = [&affected.ecosystem_specific, &affected.database_specific];
        let word = words.into_iter().flatten().find_map(Specific::word);
        let Some(package) = &affected.package else {
            continue;
        };
        let Some(system) = system_of(&package.ecosystem) else {
            continue;
        };
        out.systems
            .entry(system.clone())
            .or_default()
            .sources
            .insert("osv");
        if word == Some("unimportant") {
            continue;
        }
        let here = worst(affected.severity.as_deref()).or_else(|| word.and_then(severity_of));
        for range in affected.ranges.as_deref().unwrap_or_default() {
            if range.kind == "GIT" {
                continue;
            }
            for (introduced, end) in spans(&range.events) {
                for id in &ids {
                    let flaw = Flaw {
                        id: Arc::clone(id),
                        introduced: introduced.map(Box::from),
                        end: end.clone(),
                        severity: here,
                    };
                    out.put(&system, "osv", &package.name, flaw);
                }
            }
        }
    }
    for id in &ids {
        let facts = Facts {
            // An advisory of several says how bad the worst is, not which.
            severity: told.filter(|_| ids.len() == 1),
            published,
        };
        out.learn(id, facts);
    }
}

/// The CVE ids that a record is about; where it names none, its own id.
fn ids(record: &Record) -> Vec<Arc<str>> {
    let own = [&record.id];
    let lists = [&record.aliases, &record.upstream];
    let named = own.into_iter().chain(lists.into_iter().flatten().flatten());
    let mut found = cves(named);
    if found.is_empty() {
        found = cves(record.related.iter().flatten());
    }
    if found.is_empty() {
        found.insert(&record.id);
    }
    found.into_iter().filter_map(id).collect()
}

fn cves<'r>(names: impl Iterator<Item = &'r String>) -> BTreeSet<&'r str> {
    names
        .filter_map(|name| {
            let at = name.find("CVE-")?;
            // `DEBIAN-CVE-…`, `UBUNTU-CVE-…`: the database's own name for it.
            let is_whole = at == 0 || name.get(..at).is_some_and(|head| head.ends_with('-'));
            name.get(at..).filter(|_| is_whole)
        })
        .collect()
}

/// Which versions a range is about, each from the first to its end.
fn spans(events: &[Event]) -> Vec<(Option<&str>, End)> {
    let mut out = Vec::new();
    let mut open: Option<Option<&str>> = None;
    for event in events {
        if let Some(first) = event.introduced.as_deref() {
            open = open.or(Some((first != "0").then_some(first)));
        }
        let end = match (&event.fixed, &event.last_affected) {
            (Some(fixed), _) => End::Fixed(fixed.as_str().into()),
            (None, Some(last)) => End::Last(last.as_str().into()),
            (None, None) => continue,
        };
        if let Some(introduced) = open.take() {
            out.push((introduced, end));
        }
    }
    out.extend(open.map(|introduced| (introduced, End::Open)));
    out
}

/// The worst of some scores.
fn worst(scores: Option<&[Score]>) -> Option<Severity> {
    let scores = scores.unwrap_or_default().iter();
    scores
        .filter_map(|score| cvss::severity(&score.score).or_else(|| severity_of(&score.score)))
        .max()
}

fn severity_of(word: &str) -> Option<Severity> {
    match word.to_ascii_lowercase().as_str() {
        "critical" => Some(Severity::Critical),
        "high" | "important" => Some(Severity::High),
        "medium" | "moderate" => Some(Severity::Medium),
        "low" | "minor" | "negligible" => Some(Severity::Low),
        _ => None,
    }
}

/// The key of the system that an ecosystem is, as `packages::system_of` makes it. What is sold apart
/// (`Ubuntu:Pro`) is no system of ours: its fixes do not come to everyone.
fn system_of(ecosystem: &str) -> Option<String> {
    let (name, rest) = ecosystem.split_once(':')?;
    let id = match name {
        "Debian" => "debian",
        "Ubuntu" => "ubuntu",
        "AlmaLinux" => "almalinux",
        "Rocky Linux" => "rocky",
        "Red Hat" => "rhel",
        _ => return None,
    };
    let rest = match id {
        "rhel" => rest.strip_prefix("enterprise_linux:")?,
        _ => rest,
    };
    let version = rest.split(':').next().unwrap_or_default();
    let version = match id {
        "ubuntu" => version,
        _ => version.split('.').next().unwrap_or_default(),
    };
    let is_number = version.starts_with(|c: char| c.is_ascii_digit()) && version.len() <= 8;
    is_number.then(|| format!("{id}:{version}"))
}

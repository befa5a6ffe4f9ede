//! Debian's security tracker, as it exports itself: source package → vulnerability → release. Pure.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};

use super::packages::debian_number;
use super::{Advisories, End, Flaw, id};
use crate::model::Severity;

#[derive(Deserialize)]
struct Issue {
    #[serde(default)]
    releases: HashMap<String, Release>,
}

#[derive(Deserialize)]
struct Release {
    #[serde(default)]
    status: String,
    #[serde(default)]
    fixed_version: Option<String>,
    #[serde(default)]
    urgency: String,
}

/// Reads an export. Package by package, so that its tens of megabytes are never there twice.
pub fn read(bytes: &[u8]) -> Result<Advisories, String> {
    let mut json = serde_json::Deserializer::from_slice(bytes);
    let read = json.deserialize_map(Export).map_err(|e| e.to_string())?;
    json.end().map_err(|e| e.to_string())?;
    match read.systems.is_empty() {
        true => Err("it names no release of Debian".into()),
        false => Ok(read),
    }
}

struct Export;

impl<'de> Visitor<'de> for Export {
    type Value = Advisories;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("source packages, each with its vulnerabilities")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Advisories, A::Error> {
        let mut out = Advisories::default();
        // One text for a vulnerability, in however many packages and releases.
        let mut ids: HashMap<String, Option<Arc<str>>> = HashMap::new();
        while let Some((package, issues)) = map.next_entry::<String, HashMap<String, Issue>>()? {
            for (name, issue) in issues {
                let known = ids.entry(name).or_insert_with_key(|name| id(name)).clone();
                let Some(known) = known else { continue };
                for (codename, release) in &issue.releases {
                    let Some(number) = debian_number(codename) else {
                        continue;
                    };
                    // That the release was looked at is worth knowing, whatever came of it.
                    let system = format!("debian:{number}");
                    out.systems
                        .entry(system.clone())
                        .or_default()
                        .sources
                        .insert("tracker");
                    if let Some(flaw) = flaw(&known, release) {
                        out.put(&system, "tracker", &package, flaw);
                    }
                }
            }
        }
        Ok(out)
    }
}

/// What the release has of it; `None`: nothing.
fn flaw(id: &Arc<str>, release: &Release) -> Option<Flaw> {
    let severity = match release.urgency.trim_end_matches('*') {
        "unimportant" => return None,
        "high" => Some(Severity::High),
        "medium" => Some(Severity::Medium),
        "low" => Some(Severity::Low),
        _ => None,
    };
    let end = match (release.status.as_str(), release.fixed_version.as_deref()) {
        ("resolved", Some("0") | None) => return None,
        ("resolved", Some(version)) => End::Fixed(version.into()),
        ("open", _) => End::Open,
        _ => return None,
    };
    Some(Flaw {
        id: Arc::clone(id),
        introduced: None,
        end,
        severity,
    })
}

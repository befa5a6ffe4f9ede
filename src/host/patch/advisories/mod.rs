//! What vulnerabilities there are, from exports that a person brings: Debian's security tracker, and
//! OSV records. Offline, and pure: the files come in as bytes.
//!
//! Of Debian and Ubuntu, records name *source* packages and their versions; of the RPM family,
//! binary ones. A package whose source version cannot be told is not judged. What Debian calls
//! unimportant is left out, and so is what its tracker has not looked into yet (`undetermined`).
//! How bad something is: the worst that any record says of it.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use jiff::civil::Date;

use crate::model::Severity;
use crate::model::patch::{Closes, Installed, OpenCve, OsRelease, PatchSnapshot, Upgrade};

mod cvss;
mod osv;
mod packages;
#[cfg(test)]
mod tests;
mod tracker;
mod version;

use version::Rules;

/// The most bytes of one file, and the most entries of all: far more than the real ones have.
const BYTES: usize = 1 << 30;
const ENTRIES: usize = 5_000_000;
/// The longest name or version that is believed.
const TEXT: usize = 128;

/// All that the playbook's advisory files say. Cheap to share behind an `Arc`.
#[derive(Clone, Debug, Default)]
pub struct Advisories {
    /// System (`debian:12`) → what is known of it.
    systems: BTreeMap<String, System>,
    /// What is known of a vulnerability, wherever it is.
    facts: HashMap<Arc<str>, Facts>,
    entries: usize,
}

#[derive(Clone, Debug, Default)]
struct System {
    /// `tracker`, `osv`.
    sources: BTreeSet<&'static str>,
    packages: HashMap<String, Vec<Flaw>>,
}

/// Which versions of a package have a vulnerability.
#[derive(Clone, Debug)]
struct Flaw {
    id: Arc<str>,
    /// The first version; `None`: all from the beginning.
    introduced: Option<Box<str>>,
    end: End,
    severity: Option<Severity>,
}

#[derive(Clone, Debug)]
enum End {
    /// The first version without it.
    Fixed(Box<str>),
    /// The last version with it.
    Last(Box<str>),
    /// There is no version without it yet.
    Open,
}

#[derive(Clone, Copy, Debug, Default)]
struct Facts {
    severity: Option<Severity>,
    published: Option<Date>,
}

impl Flaw {
    fn is_in(&self, version: &str, rules: Rules) -> bool {
        let introduced = self.introduced.as_deref();
        introduced.is_none_or(|first| rules.compare(first, version).is_le())
            && match &self.end {
                End::Fixed(fixed) => rules.compare(version, fixed).is_lt(),
                End::Last(last) => rules.compare(version, last).is_le(),
                End::Open => true,
            }
    }
}

impl Advisories {
    /// Reads one file. `name` is for messages. A file that cannot be read adds nothing.
    ///
    /// # Errors
    /// In words, when it is neither form.
    pub fn add(&mut self, name: &str, bytes: &[u8]) -> Result<(), String> {
        let wrong = |why: String| {
            format!(
                "{name} is neither an export of Debian's security tracker nor OSV records: {why}"
            )
        };
        if bytes.len() > BYTES {
            return Err(wrong(format!("it is larger than {} MB", BYTES >> 20)));
        }
        let more = match tracker::read(bytes) {
            Ok(read) => read,
            // An OSV record is no map of maps: the tracker's reader stops at its first value.
            Err(first) => match osv::read(bytes) {
                Ok(read) => read,
                Err(second) => {
                    return Err(wrong(format!(
                        "as an export: {first}; as records: {second}"
                    )));
                }
            },
        };
        if self.entries + more.entries > ENTRIES {
            return Err(format!(
                "{name} brings the advisories to more than {ENTRIES} entries; leave out what no \
                 host of yours runs"
            ));
        }
        self.merge(more);
        Ok(())
    }

    /// Whether they say anything of such a system.
    pub fn covers(&self, os: &OsRelease) -> bool {
        self.system(os).is_some()
    }

    /// What an upgrade closes by these; `Unknown` where they do not cover the system.
    pub fn closes(&self, os: &OsRelease, upgrade: &Upgrade, snapshot: &PatchSnapshot) -> Closes {
        let Some((system, rules)) = self.system(os) else {
            return Closes::Unknown;
        };
        // The same name from elsewhere is another package.
        if upgrade.official == Some(false) {
            return Closes::Unknown;
        }
        let Some(found) = packages::of_upgrade(upgrade, snapshot, rules) else {
            return Closes::Unknown;
        };
        let flaws = system.packages.get(&found.package);
        let flaws = flaws.map(Vec::as_slice).unwrap_or_default();
        let ids_in = |version: &str| {
            let has = flaws.iter().filter(|flaw| flaw.is_in(version, rules));
            has.map(|flaw| &flaw.id).collect::<BTreeSet<_>>()
        };
        let (before, after) = (ids_in(&found.from), ids_in(&found.to));
        let closed: Vec<&Arc<str>> = before.difference(&after).copied().collect();
        let own = flaws.iter().filter(|flaw| closed.contains(&&flaw.id));
        let own = own.filter_map(|flaw| flaw.severity).max();
        let told = closed.iter().filter_map(|id| self.severity(id)).max();
        Closes::Known {
            ids: closed.iter().map(|id| id.to_string()).collect(),
            worst: own.max(told),
            by: system.told(),
        }
    }

    /// How bad a vulnerability is, where a record says so.
    pub fn severity(&self, id: &str) -> Option<Severity> {
        self.facts.get(id).and_then(|facts| facts.severity)
    }

    /// What is open on a host, worst first. `None`: they do not cover the system. Each
    /// vulnerability of a source package is named once, however many packages come from it.
    pub fn open(&self, snapshot: &PatchSnapshot) -> Option<Vec<OpenCve>> {
        let (system, rules) = self.system(&snapshot.os)?;
        let mut open: BTreeMap<(&str, String), OpenCve> = BTreeMap::new();
        for installed in packages::running(snapshot) {
            let found = packages::of_installed(installed, rules);
            let flaws = system.packages.get(&found.package);
            for flaw in flaws.map(Vec::as_slice).unwrap_or_default() {
                if !flaw.is_in(&found.from, rules) {
                    continue;
                }
                let seen = self.seen(flaw, installed, &found.from);
                let key = (&*flaw.id, found.package.clone());
                match open.get_mut(&key) {
                    None => {
                        open.insert(key, seen);
                    }
                    Some(other) => {
                        other.severity = other.severity.max(seen.severity);
                        other.fixed_in = other.fixed_in.take().or(seen.fixed_in);
                        if installed.name == found.package {
                            other.package = seen.package;
                        }
                    }
                }
            }
        }
        let mut open: Vec<OpenCve> = open.into_values().collect();
        open.sort_by(|a, b| b.severity.cmp(&a.severity).then_with(|| a.cmp(b)));
        Some(open)
    }

    fn seen(&self, flaw: &Flaw, installed: &Installed, version: &str) -> OpenCve {
        let facts = self.facts.get(&flaw.id).copied().unwrap_or_default();
        OpenCve {
            id: flaw.id.to_string(),
            severity: flaw.severity.max(facts.severity),
            package: installed.name.clone(),
            installed: version.to_owned(),
            fixed_in: match &flaw.end {
                End::Fixed(fixed) => Some(fixed.to_string()),
                End::Last(_) | End::Open => None,
            },
            published: facts.published.map(|day| day.to_string()),
        }
    }

    fn system(&self, os: &OsRelease) -> Option<(&System, Rules)> {
        let key = packages::system_of(os)?;
        let rules = match os.id.as_str() {
            "debian" | "ubuntu" => Rules::Debian,
            _ => Rules::Rpm,
        };
        Some((self.systems.get(&key)?, rules))
    }

    /// Puts in one flaw of a system's package, if its words are such as the real ones have.
    fn put(&mut self, system: &str, source: &'static str, package: &str, flaw: Flaw) {
        let version = match &flaw.end {
            End::Fixed(version) | End::Last(version) => version.len(),
            End::Open => 0,
        };
        let first = flaw.introduced.as_ref().map_or(0, |first| first.len());
        if package.is_empty() || package.len() > TEXT || version.max(first) > TEXT {
            return;
        }
        let system = self.systems.entry(system.to_owned()).or_default();
        system.sources.insert(source);
        let flaws = system.packages.entry(package.to_owned()).or_default();
        flaws.push(flaw);
        self.entries += 1;
    }

    fn learn(&mut self, id: &Arc<str>, more: Facts) {
        let facts = self.facts.entry(Arc::clone(id)).or_default();
        facts.severity = facts.severity.max(more.severity);
        facts.published = match (facts.published, more.published) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
    }

    fn merge(&mut self, more: Advisories) {
        for (name, theirs) in more.systems {
            let system = self.systems.entry(name).or_default();
            system.sources.extend(theirs.sources);
            for (package, flaws) in theirs.packages {
                system.packages.entry(package).or_default().extend(flaws);
            }
        }
        for (id, facts) in more.facts {
            self.learn(&id, facts);
        }
        self.entries += more.entries;
    }
}

impl System {
    /// Who told what is known of it.
    fn told(&self) -> String {
        self.sources.iter().copied().collect::<Vec<_>>().join(", ")
    }
}

/// An id as advisories have them (`CVE-2026-1`, `DSA-1-1`, `TEMP-…`), shared; `None`: it is none.
fn id(text: &str) -> Option<Arc<str>> {
    let is_so =
        |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b':');
    let fits = (1..=64).contains(&text.len()) && text.bytes().all(is_so);
    fits.then(|| Arc::from(text))
}

//! From arguments to jobs: documents read and checked, hosts chosen, advisories read. Nothing here
//! contacts a host.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;
use jiff::{Timestamp, tz::TimeZone};

use super::Documents;
use super::kept::{Kept, KeptHost};
use crate::cli::setup::{read_inventory, refuse_other_kind, tell, today};
use crate::document::inventory::{Host, Inventory};
use crate::document::{Disk, load_patch};
use crate::host::jobs::{select, target};
use crate::host::patch::advisories::Advisories;
use crate::host::patch::run::PatchJob;
use crate::journal::sha256;

/// The largest advisory file, and how many of them a directory may hold.
const LARGEST: u64 = 512 << 20;
const MOST_FILES: usize = 100_000;

/// All that a run needs to know before it reaches for a host.
#[derive(Clone)]
pub struct Ready {
    pub kept: Kept,
    pub jobs: Vec<PatchJob>,
    pub read: Read,
}

/// Advisories, read.
#[derive(Clone, Default)]
pub struct Read {
    pub advisories: Arc<Advisories>,
    /// File → the day on which it was written, `YYYY-MM-DD`.
    pub dates: BTreeMap<String, String>,
    /// File → SHA-256.
    pub hashes: BTreeMap<String, String>,
}

impl Documents {
    /// Reads and checks everything, and chooses hosts.
    pub fn prepare(&self) -> anyhow::Result<Ready> {
        let Some(given) = &self.inventory else {
            anyhow::bail!("which hosts? Give an inventory with -i (a file, or host names)");
        };
        refuse_other_kind(&self.playbook, "patch")?;
        let (inventory, mut documents) = read_inventory(given)?;
        let loaded = match load_patch(&self.playbook, &Disk, Some(&inventory), Some(today())) {
            Ok(loaded) => loaded,
            Err(found) => {
                tell(&found)?;
                anyhow::bail!("the patch playbook could not be read");
            }
        };
        tell(&loaded.warnings)?;
        documents.extend(loaded.documents);
        let hosts = self.choose(&inventory, &loaded.patch.hosts)?;
        let folder = std::env::current_dir().context("asking where we are")?;
        let advisories: Vec<PathBuf> = loaded
            .advisories
            .iter()
            .map(|path| folder.join(path))
            .collect();
        let read = read_advisories(&advisories)?;
        documents.extend(read.hashes.clone());
        Ok(Ready {
            jobs: hosts.iter().map(|host| job(host, &inventory)).collect(),
            kept: Kept {
                format: 1,
                patch: loaded.patch,
                path: loaded.path,
                folder,
                inventory: given.clone(),
                hosts: hosts
                    .iter()
                    .map(|host| KeptHost {
                        name: host.name.clone(),
                        names: names(host),
                        data: host.data.clone(),
                    })
                    .collect(),
                advisories,
                documents,
            },
            read,
        })
    }

    fn choose<'i>(
        &self,
        inventory: &'i Inventory,
        patterns: &[String],
    ) -> anyhow::Result<Vec<&'i Host>> {
        let chosen =
            select(inventory, patterns, "the playbook's `hosts`").map_err(anyhow::Error::msg)?;
        anyhow::ensure!(
            !chosen.is_empty(),
            "the playbook's `hosts` ({}) choose none of the inventory's {} hosts",
            patterns.join(", "),
            inventory.hosts.len()
        );
        if self.limit.is_empty() {
            return Ok(chosen);
        }
        let limited = select(inventory, &self.limit, "--limit").map_err(anyhow::Error::msg)?;
        let both: Vec<&Host> = chosen
            .into_iter()
            .filter(|host| limited.iter().any(|l| l.name == host.name))
            .collect();
        anyhow::ensure!(
            !both.is_empty(),
            "--limit leaves none of the playbook's hosts"
        );
        Ok(both)
    }
}

/// The jobs of a run that is taken up: its hosts, reached as the inventory says today.
///
/// # Errors
/// When the inventory cannot be read, or does not know one of them any more.
pub fn jobs_again(kept: &Kept, given: Option<&str>) -> anyhow::Result<Vec<PatchJob>> {
    let there = match given {
        Some(given) => given.to_owned(),
        None => {
            let path = kept.folder.join(&kept.inventory);
            match path.exists() {
                true => path.display().to_string(),
                false => kept.inventory.clone(),
            }
        }
    };
    let (inventory, _) = read_inventory(&there)
        .map_err(|error| anyhow::anyhow!("{error}; name the run's inventory with -i"))?;
    kept.hosts
        .iter()
        .map(|host| {
            let known = inventory.hosts.iter().find(|known| known.name == host.name);
            let known = known.with_context(|| {
                format!(
                    "the inventory {there} has no host {} any more, which the run began with; name \
                     one that has it with -i",
                    host.name
                )
            })?;
            Ok(PatchJob {
                target: target(known, &inventory),
                names: host.names.clone(),
            })
        })
        .collect()
}

fn names(host: &Host) -> BTreeSet<String> {
    let mut names = host.groups.clone();
    names.insert(host.name.clone());
    names
}

fn job(host: &Host, inventory: &Inventory) -> PatchJob {
    PatchJob {
        target: target(host, inventory),
        names: names(host),
    }
}

/// Reads advisory files; of a directory, every `.json` in it.
///
/// # Errors
/// With the first one that cannot be read: a run that was to know of vulnerabilities does not go on
/// without knowing.
pub fn read_advisories(paths: &[PathBuf]) -> anyhow::Result<Read> {
    let mut read = Read::default();
    let mut advisories = Advisories::default();
    for path in paths {
        read.add(path, &mut advisories)
            .with_context(|| format!("reading the advisories {}", path.display()))?;
    }
    read.advisories = Arc::new(advisories);
    Ok(read)
}

impl Read {
    fn add(&mut self, path: &Path, advisories: &mut Advisories) -> anyhow::Result<()> {
        let found = std::fs::metadata(path)?;
        let mut files = Vec::new();
        if found.is_dir() {
            for entry in std::fs::read_dir(path)? {
                let file = entry?.path();
                if file.extension().is_some_and(|e| e == "json") && file.is_file() {
                    files.push(file);
                }
                anyhow::ensure!(
                    files.len() <= MOST_FILES,
                    "it holds more than {MOST_FILES} files"
                );
            }
            files.sort();
            anyhow::ensure!(!files.is_empty(), "there is no .json file in it");
        } else {
            files.push(path.to_owned());
        }
        let mut newest = Timestamp::MIN;
        let mut sums = String::new();
        for file in &files {
            let of = || format!("{}", file.display());
            let found = std::fs::metadata(file).with_context(of)?;
            anyhow::ensure!(
                found.len() <= LARGEST,
                "{} is larger than {} MiB",
                file.display(),
                LARGEST >> 20
            );
            let bytes = std::fs::read(file).with_context(of)?;
            if let Some(written) = found
                .modified()
                .ok()
                .and_then(|t| Timestamp::try_from(t).ok())
            {
                newest = newest.max(written);
            }
            advisories
                .add(&file.display().to_string(), &bytes)
                .map_err(anyhow::Error::msg)?;
            sums.push_str(&sha256(&bytes));
        }
        let name = path.display().to_string();
        let day = newest.to_zoned(TimeZone::UTC).date();
        self.dates.insert(name.clone(), day.to_string());
        // Of a directory: the hash of its files' hashes, in the order of their names.
        let hash = match (files.len(), found.is_dir()) {
            (1, false) => sums,
            _ => sha256(sums.as_bytes()),
        };
        self.hashes.insert(name, hash);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXPORT: &str =
        r#"{"bash": {"CVE-2026-1": {"releases": {"bookworm": {"status": "open"}}}}}"#;

    #[test]
    fn advisories_that_are_not_there_are_no_empty_ones() {
        let folder = tempfile::tempdir().unwrap();
        let gone = folder.path().join("gone.json");
        let error = read_advisories(std::slice::from_ref(&gone)).err().unwrap();
        assert!(format!("{error:#}").contains("gone.json"), "{error:#}");
        let error = read_advisories(&[folder.path().to_owned()]).err().unwrap();
        assert!(format!("{error:#}").contains("no .json file"), "{error:#}");
        std::fs::write(&gone, "a page that says 404").unwrap();
        let error = read_advisories(&[gone]).err().unwrap();
        assert!(
            format!("{error:#}").contains("neither an export"),
            "{error:#}"
        );
    }

    #[test]
    fn advisories_have_a_date_and_a_hash() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["a.json", "b.json", "c.txt"] {
            std::fs::write(folder.path().join(name), EXPORT).unwrap();
        }
        let file = folder.path().join("a.json");
        let read = read_advisories(&[file.clone(), folder.path().to_owned()]).unwrap();
        assert_eq!(read.dates.len(), 2);
        let today = Timestamp::now().to_zoned(TimeZone::UTC).date().to_string();
        assert_eq!(read.dates.values().next(), Some(&today));
        assert_eq!(
            read.hashes.get(&file.display().to_string()),
            Some(&sha256(EXPORT.as_bytes()))
        );
    }
}

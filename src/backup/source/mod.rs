//! Where plaintext comes from: directories, pg_dump, git, any program.
//!
//! - `directory`: walks directories without following a link.
//! - `postgresql`, `git`, `command`: programs whose output is kept, over `child`.
//! - `plant`: the canary, before anything is read.

mod at;
mod child;
mod command;
mod directory;
mod git;
mod glob;
mod plant;
mod postgresql;

use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};

use super::Progress;
use super::archive::write::{ArchiveWriter, WriteError};
use super::archive::{Canary, Kind};
use crate::document::policy::{Policy, SourceDocument};
use crate::shell::clean;

pub(super) use plant::plant;

/// Why a source could not be read, in words for a person.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct SourceError(pub String);

impl From<WriteError> for SourceError {
    fn from(error: WriteError) -> Self {
        SourceError(error.to_string())
    }
}

/// The programs that sources need. Tests put others in their place.
#[derive(Clone, Debug)]
pub struct Programs {
    pub git: String,
    pub pg_dump: String,
    pub psql: String,
    pub ssh: String,
}

impl Default for Programs {
    fn default() -> Self {
        Programs {
            git: "git".to_owned(),
            pg_dump: "pg_dump".to_owned(),
            psql: "psql".to_owned(),
            ssh: "ssh".to_owned(),
        }
    }
}

/// What all sources share while they are read.
pub(super) struct Surroundings<'a> {
    pub programs: &'a Programs,
    pub progress: &'a Progress,
    /// Whoever takes what is read has failed.
    pub abort: &'a AtomicBool,
    /// Variables with secrets of ours, which no program is given.
    pub secrets: Vec<String>,
    /// Device and inode of each directory that is a store.
    pub stores: Vec<(u64, u64)>,
}

impl<'a> Surroundings<'a> {
    pub fn new(
        policy: &Policy,
        programs: &'a Programs,
        progress: &'a Progress,
        abort: &'a AtomicBool,
    ) -> Self {
        let mut secrets = vec!["SEAWALL_AGE_IDENTITY".to_owned()];
        secrets.extend(policy.passphrase_env.clone());
        secrets.extend(policy.notify.iter().map(|notify| notify.url_env.clone()));
        secrets.extend(policy.sources.iter().filter_map(|source| {
            let postgresql = source.postgresql.as_ref()?;
            // libpq's own variable is for whoever uses libpq.
            let name = postgresql.password_env.clone()?;
            (name != "PGPASSWORD").then_some(name)
        }));
        Surroundings {
            programs,
            progress,
            abort,
            secrets,
            stores: Vec::new(),
        }
    }

    /// Where backups go: no directory of that name is read into one.
    pub fn stores_are(&mut self, endpoints: impl Iterator<Item = String>) {
        use std::os::unix::fs::MetadataExt;
        let directories = endpoints.filter(|endpoint| endpoint.starts_with('/'));
        self.stores = directories
            .filter_map(|directory| std::fs::metadata(directory).ok())
            .map(|about| (about.dev(), about.ino()))
            .collect();
    }

    pub fn is_over(&self) -> bool {
        self.progress.is_stopped() || self.abort.load(Ordering::Relaxed)
    }
}

/// What is odd about a backup. Few are kept in memory, all are counted.
#[derive(Debug, Default)]
pub(super) struct Warnings {
    texts: Vec<String>,
    count: u64,
}

/// So many warnings are told one by one.
const TOLD: usize = 500;

impl Warnings {
    pub fn push(&mut self, text: impl AsRef<str>) {
        self.count += 1;
        if self.texts.len() < TOLD {
            self.texts.push(clean(text.as_ref(), 500));
        }
    }

    pub fn texts(&self) -> Vec<String> {
        let mut texts = self.texts.clone();
        let more = self.count - texts.len() as u64;
        if more > 0 {
            texts.push(format!("and {more} more"));
        }
        texts
    }

    pub fn count(&self) -> u64 {
        self.count
    }
}

/// What kind of source it is. The document's own check says more; this one is for whoever went
/// past it.
pub(super) fn kind(source: &SourceDocument) -> Result<Kind, SourceError> {
    let kinds = [
        source.directories.is_some().then_some(Kind::Directories),
        source.postgresql.is_some().then_some(Kind::Postgresql),
        source.git.is_some().then_some(Kind::Git),
        source.command.is_some().then_some(Kind::Command),
    ];
    let mut kinds = kinds.into_iter().flatten();
    match (kinds.next(), kinds.next()) {
        (Some(kind), None) => Ok(kind),
        _ => Err(SourceError(format!(
            "source {} is to be one of directories, postgresql, git and command",
            clean(&source.source, 100)
        ))),
    }
}

/// What the whole of a stream is called when it is restored.
pub(super) fn stream_name(source: &SourceDocument) -> Result<Option<String>, SourceError> {
    let name = match (kind(source)?, &source.command) {
        (Kind::Postgresql, _) => format!("{}.dump", source.source),
        (Kind::Git, _) => format!("{}.bundle", source.source),
        (Kind::Command, Some(command)) => command.file.clone(),
        _ => return Ok(None),
    };
    let is_plain = !matches!(name.as_str(), "" | "." | "..")
        && !name.contains(['/', '\0'])
        && name.len() <= 255;
    match is_plain {
        true => Ok(Some(name)),
        false => Err(SourceError(format!(
            "`{}` is no name of one file: leave out slashes",
            clean(&name, 100)
        ))),
    }
}

/// Reads a source into an archive.
pub(super) fn read<W: Write>(
    source: &SourceDocument,
    canary: Option<&Canary>,
    mtime: i64,
    around: &Surroundings,
    archive: &mut ArchiveWriter<W>,
    warnings: &mut Warnings,
) -> Result<(), SourceError> {
    if let Some(directories) = &source.directories {
        return directory::read(directories, canary, around, archive, warnings);
    }
    let name = stream_name(source)?.unwrap_or_default();
    if let Some(postgresql) = &source.postgresql {
        postgresql::read(postgresql, &name, mtime, around, archive, warnings)
    } else if let Some(git) = &source.git {
        git::read(git, &name, mtime, around, archive)
    } else if let Some(command) = &source.command {
        command::read(command, &name, mtime, around, archive, warnings)
    } else {
        kind(source).map(drop)
    }
}

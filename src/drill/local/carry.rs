//! The phases of a restore: locate, provision, restore, load.

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::postgres;
use super::run::{FeedError, Limits, Program};
use super::scratch;
use super::state::StepState;
use super::{Inner, Work};
use crate::backup::restore::{self, Limits as Bounds, Restored};
use crate::backup::store::Store;
use crate::document::drill::{IntoPostgresql, Restore};
use crate::document::policy::SourceDocument;
use crate::drill::accept::{differs, too_fast};
use crate::drill::pick::{self, Picked};
use crate::drill::provider::{PhaseDone, StepError};
use crate::journal::PointNote;
use crate::model::drill::DrillPhase;
use crate::shell::clean;

/// A program of one phase ends with its step's deadline, at the latest.
pub const OUTPUT: usize = 64 << 10;

/// A store that was opened, with its name and its place.
pub struct Opened {
    pub name: String,
    pub place: String,
    pub store: Arc<dyn Store>,
}

impl Inner {
    pub fn source(&self, name: &str) -> Result<&SourceDocument, StepError> {
        let mut sources = self.setup.policy.sources.iter();
        sources
            .find(|s| s.source == name)
            .ok_or_else(|| StepError::new(format!("the policy has no source {name}")))
    }

    /// The names of the stores that a step may use: the one it names, or those of its source.
    fn stores_of(&self, restore: &Restore) -> Result<Vec<String>, StepError> {
        if let Some(store) = &restore.store {
            return Ok(vec![store.clone()]);
        }
        let source = self.source(&restore.source)?;
        Ok(match source.to.is_empty() {
            true => self.setup.policy.stores.keys().cloned().collect(),
            false => source.to.clone(),
        })
    }

    /// Opens the step's store: the one that it names, else the first that is not lost.
    pub fn open_store(&self, restore: &Restore, by: &str) -> Result<Opened, StepError> {
        let base = self.policy_base();
        let mut lost = Vec::new();
        for name in self.stores_of(restore)? {
            let Some(document) = self.setup.policy.stores.get(&name) else {
                return Err(StepError::new(format!("the policy has no store {name}")));
            };
            if let Some(why) = self.guard.lost_store(document, &base) {
                if restore.store.is_some() {
                    let reason = format!("the store {name} is not to be touched: {why}");
                    return Err(self.guard.refuse(&name, by, reason));
                }
                lost.push(format!("{name}: {why}"));
                continue;
            }
            let store = crate::backup::store::open(document, &base)
                .map_err(|e| StepError::new(clean(&e.to_string(), 500)))?;
            self.guard.used(&store.endpoint(), by);
            return Ok(Opened {
                place: document.place.clone(),
                name,
                store,
            });
        }
        Err(StepError::new(format!(
            "every store of {} is lost ({})",
            restore.source,
            lost.join("; ")
        )))
    }

    /// Which backup the step takes. Asks the store, and changes nothing.
    pub fn choose(
        &self,
        restore: &Restore,
        disaster: jiff::Timestamp,
        by: &str,
    ) -> Result<(Picked, PointNote), StepError> {
        let opened = self.open_store(restore, by)?;
        let trusted = &self.setup.trusted;
        let backups =
            crate::backup::catalog::backups(opened.store.as_ref(), &restore.source, trusted)
                .map_err(|e| StepError::new(clean(&e.to_string(), 500)))?;
        let random = |count| (self.setup.random)(count);
        let picked = pick::pick(&backups, &restore.pick, disaster, &random)
            .map_err(|why| format!("{why} (source {}, store {})", restore.source, opened.name))?;
        pick::belongs(&picked, &restore.source)?;
        let point = pick::note(&picked, &restore.source, opened.name, opened.place);
        Ok((picked, point))
    }
}

impl Work<'_> {
    pub fn restore_document(&self) -> Result<&Restore, StepError> {
        self.step
            .restore
            .as_ref()
            .ok_or_else(|| StepError::new("this step restores nothing"))
    }

    /// One phase of a restore.
    pub fn phase(&self, phase: DrillPhase) -> Result<PhaseDone, StepError> {
        let document = self.restore_document()?;
        match (phase, &document.postgresql, &document.repository) {
            (DrillPhase::Locate, ..) => self.locate(document),
            (DrillPhase::Provision, Some(database), _) => self.provision(database),
            (DrillPhase::Load, Some(database), _) => self.load_dump(document, database),
            (DrillPhase::Restore, None, Some(name)) => self.fetch_bundle(document, name),
            (DrillPhase::Load, None, Some(name)) => self.clone_bundle(name),
            (DrillPhase::Restore, None, None) => self.restore_files(document),
            _ => Err(StepError::new("this step has no such phase")),
        }
    }

    fn locate(&self, document: &Restore) -> Result<PhaseDone, StepError> {
        let (picked, point) = self
            .inner
            .choose(document, self.drill.disaster, &self.by())?;
        let doubts = picked.doubts.clone();
        let mut step = StepState::default();
        step.kept.sidecar = match picked.is_signed() {
            true => picked.sidecar().cloned(),
            false => None,
        };
        step.kept.point = Some(point.clone());
        step.picked = Some(Arc::new(picked));
        self.inner
            .state()
            .steps
            .insert(self.step.step.clone(), step);
        Ok(PhaseDone {
            detail: Some(point.name.clone()),
            point: Some(point),
            doubts,
            ..PhaseDone::default()
        })
    }

    /// What `locate` has found.
    fn picked(&self) -> Result<Arc<Picked>, StepError> {
        let state = self.inner.state();
        let step = state.steps.get(&self.step.step);
        step.and_then(|s| s.picked.clone())
            .ok_or_else(|| StepError::new("nothing was located for this step"))
    }

    fn limits<'l>(&self, stop: &'l (dyn Fn() -> bool + Sync)) -> Limits<'l> {
        Limits {
            time: self.step.deadline.0,
            output: OUTPUT,
            stop,
        }
    }

    // ---- directories, and the output of programs

    fn restore_files(&self, document: &Restore) -> Result<PhaseDone, StepError> {
        let Some(name) = &document.directory else {
            return Err(StepError::new("this step has no directory to restore to"));
        };
        let into = self.drill.scratch.join(name);
        let source = self.inner.source(&document.source)?;
        let stream = source.command.as_ref().map(|c| file_name(&c.file));
        self.unpack(document, &into, |blob| match &stream {
            Some(file) => {
                scratch::directory(&into, &self.drill.scratch, None)
                    .map_err(restore::RestoreError)?;
                self.write_stream(blob, &into.join(file))
            }
            None => restore::directory(
                blob,
                &self.inner.setup.identities,
                &into,
                &bounds(),
                self.progress,
            ),
        })
        .inspect(|_| {
            self.update(|step| step.kept.place.directory = Some(into.clone()));
        })
    }

    /// Restores into a directory that the ledger names, and looks whether what came is what was
    /// picked.
    fn unpack(
        &self,
        document: &Restore,
        into: &Path,
        restore: impl FnOnce(
            Box<dyn crate::backup::store::Blob>,
        ) -> Result<Restored, restore::RestoreError>,
    ) -> Result<PhaseDone, StepError> {
        let picked = self.picked()?;
        if std::fs::symlink_metadata(into).is_ok() {
            return Err(StepError::new(format!(
                "{} is there already: nothing is restored over it",
                into.display()
            )));
        }
        let blob = self.open_blob(document, &picked)?;
        let name = into.display().to_string();
        let token = self.intend("directory", &name)?;
        let begun = Instant::now();
        let restored = restore(blob).map_err(|e| StepError::new(clean(&e.0, 800)))?;
        let took = begun.elapsed();
        self.made(&token, &name)?;
        self.accept(&picked, restored, took)
    }

    fn open_blob(
        &self,
        document: &Restore,
        picked: &Picked,
    ) -> Result<Box<dyn crate::backup::store::Blob>, StepError> {
        let opened = self.inner.open_store(document, &self.by())?;
        let blob = opened
            .store
            .open(&picked.backup.name)
            .map_err(|e| StepError::new(clean(&e.to_string(), 500)))?;
        let total = &self.progress.total;
        total.store(blob.size(), std::sync::atomic::Ordering::Relaxed);
        Ok(blob)
    }

    /// A stream into a file: under another name until it is whole and on disk.
    fn write_stream(
        &self,
        blob: Box<dyn crate::backup::store::Blob>,
        path: &Path,
    ) -> Result<Restored, restore::RestoreError> {
        let wrong =
            |e: std::io::Error| restore::RestoreError(format!("writing {}: {e}", path.display()));
        let temporary = path.with_extension("seawall-new");
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&temporary)
            .map_err(wrong)?;
        let restored = restore::stream(
            blob,
            &self.inner.setup.identities,
            &mut file,
            &bounds(),
            self.progress,
        )?;
        file.flush().and_then(|()| file.sync_all()).map_err(wrong)?;
        std::fs::rename(&temporary, path).map_err(wrong)?;
        Ok(restored)
    }

    /// Whether what was restored is what was picked; then it is kept.
    fn accept(
        &self,
        picked: &Picked,
        restored: Restored,
        took: Duration,
    ) -> Result<PhaseDone, StepError> {
        let document = self.restore_document()?;
        let source = self.inner.source(&document.source)?;
        differs(picked, &restored, source).map_err(StepError::new)?;
        let mut doubts = too_fast(restored.bytes, took);
        if restored.header.is_none() {
            doubts.push(
                "the archive is not one of ours: it says neither what it is nor of which time"
                    .into(),
            );
        }
        let warnings = restored
            .manifest
            .as_ref()
            .map_or(0, |m| m.end().warnings.len());
        let done = PhaseDone {
            bytes: restored.bytes,
            files: restored.files,
            detail: (warnings > 0).then(|| format!("the backup was made with {warnings} warnings")),
            point: None,
            doubts,
        };
        self.update(|step| {
            step.kept.header = restored.header;
            step.manifest = restored.manifest;
        });
        Ok(done)
    }

    // ---- a git repository

    fn bundle(&self) -> PathBuf {
        // No step's directory begins with a dot.
        self.drill
            .scratch
            .join(format!(".bundle.{}", self.step.step))
    }

    fn fetch_bundle(&self, document: &Restore, name: &str) -> Result<PhaseDone, StepError> {
        let into = self.drill.scratch.join(name);
        if std::fs::symlink_metadata(&into).is_ok() {
            return Err(StepError::new(format!(
                "{} is there already: nothing is restored over it",
                into.display()
            )));
        }
        let folder = self.bundle();
        self.unpack(document, &folder, |blob| {
            scratch::directory(&folder, &self.drill.scratch, None)
                .map_err(restore::RestoreError)?;
            self.write_stream(blob, &folder.join("bundle"))
        })
    }

    fn clone_bundle(&self, name: &str) -> Result<PhaseDone, StepError> {
        let into = self.drill.scratch.join(name);
        let path = into.display().to_string();
        let token = self.intend("directory", &path)?;
        let program = git()
            .args([
                "clone",
                "--quiet",
                "--bare",
                "--no-local",
                "--template=",
                "--",
            ])
            .arg(self.bundle().join("bundle"))
            .arg(&into);
        let stop = || self.progress.is_stopped();
        let children = self.inner.children(self.drill);
        let ran = children.run(&program, b"", &self.limits(&stop))?;
        if !ran.well() {
            return Err(StepError::new(format!(
                "git clone of the bundle: {}: {}",
                ran.how(),
                ran.said(400)
            )));
        }
        self.made(&token, &path)?;
        // It goes before the clock stops, as it would in a recovery; the ledger names it still.
        scratch::is_ours(&self.bundle(), &self.drill.scratch, &self.drill.run)
            .then(|| super::remove::remove(&self.bundle()))
            .transpose()?;
        self.update(|step| step.kept.place.directory = Some(into));
        Ok(PhaseDone::default())
    }

    // ---- a database

    fn provision(&self, database: &IntoPostgresql) -> Result<PhaseDone, StepError> {
        let wish = database
            .programs
            .as_ref()
            .map(|p| self.inner.drill_base().join(p));
        let programs = postgres::programs(wish.as_deref())?;
        let folder = self.drill.scratch.join(format!(".pg.{}", self.step.step));
        let stop = || self.progress.is_stopped();
        let server =
            self.inner
                .new_server(self.drill, Some(&self.step.step), folder, programs, &stop)?;
        let children = self.inner.children(self.drill);
        server.create_database(&database.database, &children, &self.limits(&stop))?;
        let detail = format!(
            "PostgreSQL in {}, {}, fsync on, UTF8, C.UTF-8",
            server.programs.display(),
            match &server.account {
                Some(account) => format!("as {}", account.name),
                None => "as ourselves".into(),
            }
        );
        self.update(|step| {
            step.kept.place.socket = Some(server.socket.clone());
            step.kept.place.database = Some(database.database.clone());
            step.kept.server = Some((server.folder.clone(), server.programs.clone()));
            step.server = Some(server);
        });
        Ok(PhaseDone {
            detail: Some(detail),
            ..PhaseDone::default()
        })
    }

    /// From the store into the database in one go. pg_restore's end and the stream's both decide:
    /// it is content with less than the whole, and reads what is not yet known to be whole.
    fn load_dump(
        &self,
        document: &Restore,
        database: &IntoPostgresql,
    ) -> Result<PhaseDone, StepError> {
        let picked = self.picked()?;
        let server = {
            let state = self.inner.state();
            let step = state.steps.get(&self.step.step);
            step.and_then(|s| s.server.clone())
        };
        let Some(server) = server else {
            return Err(StepError::new("there is no server to load into"));
        };
        let blob = self.open_blob(document, &picked)?;
        let program = server
            .client("pg_restore")
            .args([
                "--exit-on-error",
                "--no-owner",
                "--no-privileges",
                "--no-password",
            ])
            .args(["-d", &database.database]);
        let children = self.inner.children(self.drill);
        let stop = || self.progress.is_stopped();
        let begun = Instant::now();
        let fed = children.feed(&program, &self.limits(&stop), |out| {
            restore::stream(
                blob,
                &self.inner.setup.identities,
                out,
                &bounds(),
                self.progress,
            )
            .map_err(|e| clean(&e.0, 600))
        });
        match fed {
            Ok((ran, restored)) if ran.well() => self.accept(&picked, restored, begun.elapsed()),
            Ok((ran, _)) => Err(StepError::new(format!(
                "pg_restore: {}: {}",
                ran.how(),
                ran.said(500)
            ))),
            Err(FeedError {
                ran: Some(ran),
                reason,
            }) if !ran.well() => Err(StepError::new(format!(
                "pg_restore: {}: {}; reading the backup: {reason}",
                ran.how(),
                ran.said(400)
            ))),
            Err(error) => Err(StepError::new(format!(
                "the backup could not be read to its end: {}",
                error.reason
            ))),
        }
    }
}

/// Links that lead out are restored as they were, as a recovery would: what reads through them
/// finds lost places masked, and proofs follow none of them.
fn bounds() -> Bounds {
    Bounds {
        outward_links: true,
        ..Bounds::default()
    }
}

/// git, without what a machine or an account has set for it.
pub fn git() -> Program {
    Program::new("git")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_TERMINAL_PROMPT", "0")
        .args([
            "-c",
            "core.fsmonitor=false",
            "-c",
            "core.hooksPath=/dev/null",
        ])
}

/// A name without directories; what the policy says a program's output is called.
fn file_name(text: &str) -> String {
    match Path::new(text).file_name() {
        Some(name) => name.to_string_lossy().into_owned(),
        None => "stream".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_output_stays_in_its_directory() {
        assert_eq!(file_name("a/../b.txt"), "b.txt");
        assert_eq!(file_name(".."), "stream");
        assert_eq!(file_name("zones.json"), "zones.json");
    }
}

//! What is made, and how it goes again: through the ledger, by the run's tag, and for certain.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::fence::Account;
use super::postgres::{self, Server};
use super::process::{self, Identity, RUN, TOKEN, Wanted};
use super::scratch::{self, Mark};
use super::{Inner, Work, journal, nothing, state};
use crate::document::drill::Step;
use crate::drill::ledger::LedgerEntry;
use crate::drill::provider::{DrillContext, Leftover, StepError};
use crate::shell::clean;

/// Where a socket goes whose path within the scratch is too long.
const ELSEWHERE: &str = "/tmp";
/// What programs get as their home, and for their temporary files.
pub fn home(drill: &DrillContext) -> PathBuf {
    scratch::ours(&drill.scratch).join("home")
}

/// How long work that was told to stop may go on.
const STOPPING: Duration = Duration::from_secs(60);

impl Inner {
    /// Takes the scratch, unless we have it.
    pub fn hold(&self, drill: &DrillContext) -> Result<Mark, StepError> {
        // Not under the state's lock: it writes to the journal. One thread at a time all the same.
        let _one = self.making.lock().unwrap_or_else(|e| e.into_inner());
        if let Some(held) = &self.state().held {
            return Ok(held.mark.clone());
        }
        let known = scratch::mark(&drill.scratch).is_some_and(|m| m.run == drill.run);
        let name = drill.scratch.display().to_string();
        let token = match known {
            true => None,
            false => Some(
                drill
                    .ledger
                    .intend(None, "scratch", &name)
                    .map_err(journal)?,
            ),
        };
        let taken = scratch::take(&drill.scratch, &drill.run);
        if let Some(token) = token {
            match &taken {
                Ok(_) => drill.ledger.made(&token, &name),
                // It was never ours, so there is nothing that a sweep must look for.
                Err(_) => drill.ledger.gone(&token),
            }
            .map_err(journal)?;
        }
        let held = taken?;
        match std::fs::create_dir(home(drill)) {
            Err(e) if e.kind() != std::io::ErrorKind::AlreadyExists => {
                return Err(StepError::new(format!("making a home in the scratch: {e}")));
            }
            _ => {}
        }
        let mark = held.mark.clone();
        self.state().held = Some(held);
        Ok(mark)
    }

    /// Makes a private directory, with its entry in the ledger.
    pub fn new_directory(
        &self,
        drill: &DrillContext,
        step: Option<&str>,
        path: &Path,
        account: Option<&Account>,
    ) -> Result<(), StepError> {
        let name = path.display().to_string();
        let token = drill
            .ledger
            .intend(step, "directory", &name)
            .map_err(journal)?;
        scratch::directory(path, &drill.scratch, account)?;
        Ok(drill.ledger.made(&token, &name).map_err(journal)?)
    }

    /// Takes a directory away before the teardown. Its entry stays, and is found gone.
    pub fn drop_directory(&self, drill: &DrillContext, path: &Path) -> Result<(), StepError> {
        match scratch::is_ours(path, &drill.scratch, &drill.run) {
            true => Ok(super::remove::remove(path)?),
            false => Ok(()),
        }
    }

    /// A PostgreSQL server that takes connections.
    pub fn new_server(
        &self,
        drill: &DrillContext,
        step: Option<&str>,
        folder: PathBuf,
        programs: PathBuf,
        stop: &(dyn Fn() -> bool + Sync),
    ) -> Result<Server, StepError> {
        let account = self.account()?;
        self.new_directory(drill, step, &folder, account.as_ref())?;
        let socket = match postgres::is_short_enough(&folder) {
            true => folder.clone(),
            false => {
                let tail = uuid::Uuid::new_v4().simple().to_string();
                let short = tail.get(..8).unwrap_or_default();
                let path = Path::new(ELSEWHERE).join(format!("{}{short}", prefix(&drill.run)));
                self.new_directory(drill, step, &path, account.as_ref())?;
                path
            }
        };
        let server = Server {
            folder,
            socket,
            programs,
            account,
        };
        let children = self.children(drill);
        let limits = super::run::Limits {
            time: Duration::from_secs(300),
            output: 4096,
            stop,
        };
        server.init(&children, &limits)?;
        let name = server.folder.display().to_string();
        let token = drill
            .ledger
            .intend(step, "postgresql", &name)
            .map_err(journal)?;
        let mut child = server.start(&children, &token)?;
        let pid = i32::try_from(child.id()).unwrap_or(0);
        let id = Identity::of(pid).map_or_else(|| pid.to_string(), |i| i.to_string());
        let made = drill.ledger.made(&token, &id).map_err(journal);
        let ready = made.and_then(|()| server.wait_ready(&mut child, stop));
        self.state().children.push(child);
        ready?;
        Ok(server)
    }

    /// Takes over what an earlier process restored for this step.
    pub fn adopt(
        &self,
        drill: &DrillContext,
        step: &Step,
        made: &[LedgerEntry],
    ) -> Result<(), StepError> {
        self.hold(drill)?;
        for entry in made.iter().filter(|e| !e.gone) {
            is_there(entry)?;
            if entry.kind == "process" {
                let service = entry.id.as_deref().and_then(Identity::parse);
                self.state().services.extend(service);
            }
        }
        let mut recalled = state::recall(&drill.scratch, &step.step)?;
        if let Some((folder, programs)) = recalled.kept.server.clone() {
            let socket = recalled.kept.place.socket.clone();
            recalled.server = Some(Server {
                socket: socket.unwrap_or_else(|| folder.clone()),
                folder,
                programs,
                account: self.account()?,
            });
        }
        self.state().steps.insert(step.step.clone(), recalled);
        if let Some(start) = &step.start {
            let progress = crate::backup::Progress::default();
            let work = Work {
                inner: self,
                drill,
                step,
                progress: &progress,
            };
            work.health(&start.health, &self.world(drill))?;
        }
        Ok(())
    }

    /// Destroys what a ledger entry names, and looks whether it is gone.
    pub fn destroy(&self, drill: &DrillContext, entry: &LedgerEntry) -> Result<(), String> {
        if let Some(step) = &entry.step {
            self.wait_until_idle(step)?;
        }
        let identity = entry.id.as_deref().and_then(Identity::parse);
        let gone = match entry.kind.as_str() {
            "process" => process::end(
                &Wanted {
                    variables: vec![(TOKEN, entry.token.clone())],
                    these: identity.into_iter().collect(),
                    ..Wanted::default()
                },
                libc::SIGTERM,
            ),
            "postgresql" => postgres::stop(Path::new(&entry.name), &entry.token, identity),
            "directory" => self.destroy_directory(drill, Path::new(&entry.name)),
            "scratch" => self.destroy_scratch(drill, Path::new(&entry.name)),
            other => Err(format!("the local provider makes nothing of kind {other}")),
        };
        self.reap();
        gone
    }

    fn wait_until_idle(&self, step: &str) -> Result<(), String> {
        let begun = Instant::now();
        while self.state().busy.get(step).is_some_and(|count| *count > 0) {
            if begun.elapsed() > STOPPING {
                return Err(format!(
                    "the step {step} was asked to stop and still works after {STOPPING:?}"
                ));
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(())
    }

    /// Children of ours that have ended are taken note of, so that they do not stay as zombies.
    fn reap(&self) {
        self.state()
            .children
            .retain_mut(|child| !matches!(child.try_wait(), Ok(Some(_)) | Err(_)));
    }

    fn destroy_directory(&self, drill: &DrillContext, path: &Path) -> Result<(), String> {
        if is_private_elsewhere(path, &drill.run) {
            return super::remove::remove(path);
        }
        if scratch::is_ours(path, &drill.scratch, &drill.run) {
            // What a restore that was killed had not yet given its name.
            for half in half_made(path) {
                super::remove::remove(&half)?;
            }
            return super::remove::remove(path);
        }
        let mark = scratch::mark(&drill.scratch);
        let is_there = std::fs::symlink_metadata(path).is_ok();
        match mark {
            None if is_there => Err(format!(
                "{} is there, and the scratch bears no mark of this drill: look at it, and take it away by hand",
                path.display()
            )),
            _ => Ok(()),
        }
    }

    fn destroy_scratch(&self, drill: &DrillContext, path: &Path) -> Result<(), String> {
        if path != drill.scratch {
            return Err(format!("{} is not this drill's scratch", path.display()));
        }
        scratch::wipe(path, &drill.run)
    }

    /// What bears the run's tag and is still there.
    pub fn leftovers(&self, drill: &DrillContext) -> Vec<Leftover> {
        self.reap();
        let mut left = Vec::new();
        let tagged = Wanted {
            variables: vec![(RUN, drill.run.clone())],
            standing_in: self.servers(drill),
            these: self.state().services.clone(),
        };
        for (pid, stat) in process::find(&tagged) {
            if let Some(identity) = Identity::of(pid) {
                left.push(Leftover {
                    kind: "process".into(),
                    name: format!("{identity} {}", stat.name),
                });
            }
        }
        let mut directory = |path: &Path| {
            left.push(Leftover {
                kind: "directory".into(),
                name: path.display().to_string(),
            });
        };
        let marked = scratch::mark(&drill.scratch).is_some_and(|mark| mark.run == drill.run);
        if marked || scratch::is_half(&drill.scratch, &drill.run) {
            directory(&drill.scratch);
        }
        for entry in std::fs::read_dir(ELSEWHERE).into_iter().flatten().flatten() {
            if is_private_elsewhere(&entry.path(), &drill.run) {
                directory(&entry.path());
            }
        }
        left
    }

    /// Folders of PostgreSQL servers: their processes write over their environment.
    fn servers(&self, drill: &DrillContext) -> Vec<PathBuf> {
        let steps = &self.setup.drill.steps;
        let mut folders: Vec<PathBuf> = steps
            .iter()
            .filter(|s| s.restore.as_ref().is_some_and(|r| r.postgresql.is_some()))
            .map(|s| drill.scratch.join(format!(".pg.{}", s.step)))
            .collect();
        folders.push(drill.scratch.join(nothing::SERVER));
        folders
    }

    /// Destroys something that no ledger entry names.
    pub fn clear(&self, drill: &DrillContext, leftover: &Leftover) -> Result<(), String> {
        let cleared = match leftover.kind.as_str() {
            "process" => {
                let identity = leftover.name.split(' ').next().and_then(Identity::parse);
                let itself = identity.ok_or("this names no process")?;
                process::end(
                    &Wanted {
                        these: vec![itself],
                        ..Wanted::default()
                    },
                    libc::SIGTERM,
                )
            }
            "directory" => {
                let path = Path::new(&leftover.name);
                match path == drill.scratch {
                    true => scratch::wipe(path, &drill.run),
                    false => self.destroy_directory(drill, path),
                }
            }
            other => Err(format!("the local provider makes nothing of kind {other}")),
        };
        self.reap();
        cleared
    }

    /// Gives the scratch up.
    pub fn release(&self, drill: &DrillContext) -> Result<(), String> {
        let held = self.state().held.take();
        let wiped = scratch::wipe(&drill.scratch, &drill.run);
        drop(held);
        wiped
    }

    /// Takes away what controls were tried on: at the latest when the clock has started.
    pub fn drop_nothing(&self, drill: &DrillContext) -> Result<(), StepError> {
        let Some(nothing) = self.state().nothing.take() else {
            return Ok(());
        };
        if let Some(server) = &nothing.server {
            postgres::stop(&server.folder, "", None)?;
            self.drop_directory(drill, &server.folder)?;
            if is_private_elsewhere(&server.socket, &drill.run) {
                super::remove::remove(&server.socket)?;
            }
        }
        self.drop_directory(drill, &drill.scratch.join(nothing::FOLDER))?;
        self.reap();
        Ok(())
    }
}

/// Whether what was made is there still.
fn is_there(entry: &LedgerEntry) -> Result<(), StepError> {
    let name = clean(&entry.name, 200);
    match entry.kind.as_str() {
        "process" | "postgresql" => {
            let identity = entry.id.as_deref().and_then(Identity::parse);
            let tagged = Wanted {
                variables: vec![(TOKEN, entry.token.clone())],
                ..Wanted::default()
            };
            let alive = identity.is_some_and(|i| i.is_alive())
                || (entry.kind == "process" && !process::find(&tagged).is_empty());
            match alive {
                true => Ok(()),
                false => Err(StepError::new(format!("{name} does not run any more"))),
            }
        }
        "directory" => {
            let path = Path::new(&entry.name);
            // What a step took away itself is not missed.
            let hidden = path
                .file_name()
                .is_some_and(|n| n.to_string_lossy().starts_with(".bundle."));
            match hidden || std::fs::symlink_metadata(path).is_ok_and(|m| m.is_dir()) {
                true => Ok(()),
                false => Err(StepError::new(format!("{name} is not there any more"))),
            }
        }
        _ => Ok(()),
    }
}

/// Names of our directories elsewhere begin with this.
fn prefix(run: &str) -> String {
    format!("seawall-{run}-")
}

/// Whether it is one of our own directories outside of the scratch: by its name, and because
/// others cannot have made it.
fn is_private_elsewhere(path: &Path, run: &str) -> bool {
    use std::os::unix::fs::MetadataExt;
    let named = path.parent() == Some(Path::new(ELSEWHERE))
        && path
            .file_name()
            .is_some_and(|n| n.to_string_lossy().starts_with(&prefix(run)));
    // SAFETY: it has no arguments and cannot fail.
    let me = unsafe { libc::geteuid() };
    let account = Account::unprivileged().ok().flatten().map(|a| a.uid);
    named
        && std::fs::symlink_metadata(path)
            .is_ok_and(|m| m.is_dir() && (m.uid() == me || Some(m.uid()) == account))
}

/// Temporary names beside a directory that is being restored.
fn half_made(path: &Path) -> Vec<PathBuf> {
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
        return Vec::new();
    };
    let prefix = format!(".{}.seawall-", name.to_string_lossy());
    std::fs::read_dir(parent)
        .into_iter()
        .flatten()
        .flatten()
        .filter(|e| e.file_name().to_string_lossy().starts_with(&prefix))
        .map(|e| e.path())
        .collect()
}

//! Proofs: each reads restored data, says what it expected and what it read, and where. The same
//! code is tried on nothing first; a proof that passes there proves nothing.

mod canary;
mod command;
mod files;
mod git;
mod http;
mod manifest;
mod meets;
mod sql;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::nothing::Nothing;
use super::postgres::Server;
use super::run::Limits;
use super::state::{Kept, StepState};
use super::world::{Place, World};
use super::{Inner, Work};
use crate::backup::Progress;
use crate::backup::archive::Manifest;
use crate::document::drill::{Proof, Step};
use crate::drill::plan;
use crate::drill::provider::{DrillContext, ProofSaid};
use crate::model::drill::ProofOutcome;
use crate::shell::clean;

/// Most that is shown of what was expected or read, in characters.
const SHOWN: usize = 400;
/// The longest that one proof takes, whatever its step's deadline.
const LONGEST: Duration = Duration::from_secs(3600);

/// What a proof looks at: restored things, or the stand-ins for them.
struct View<'a> {
    work: &'a Work<'a>,
    world: World,
    kept: Kept,
    manifest: Option<Manifest>,
    /// Those that the step can ask: step → server.
    servers: Vec<(String, Server)>,
    is_control: bool,
}

/// What a proof found: an outcome, what was expected, what was read, and where.
struct Found {
    outcome: ProofOutcome,
    expected: String,
    read: String,
    at: String,
}

/// Tries a proof on what was restored.
pub fn prove(work: &Work, proof: &Proof) -> ProofSaid {
    if let Err(error) = work.inner.hold(work.drill) {
        return unknown(proof, error.reason);
    }
    let state = work.inner.state();
    let own = state
        .steps
        .get(&work.step.step)
        .cloned()
        .unwrap_or_default();
    let server = |(name, step): (&String, &StepState)| Some((name.clone(), step.server.clone()?));
    let servers = state.steps.iter().filter_map(server).collect();
    drop(state);
    said(
        &View {
            work,
            world: work.inner.world(work.drill),
            kept: own.kept,
            manifest: own.manifest,
            servers,
            is_control: false,
        },
        proof,
    )
}

/// Tries a proof on nothing.
pub fn control(inner: &Arc<Inner>, drill: &DrillContext, step: &Step, proof: &Proof) -> ProofSaid {
    let progress = Progress::default();
    let work = Work {
        inner,
        drill,
        step,
        progress: &progress,
    };
    let tried = inner
        .hold(drill)
        .and_then(|_| inner.nothing(drill))
        .map(|nothing| said(&view_of_nothing(&work, &nothing), proof));
    let said = tried.unwrap_or_else(|error| unknown(proof, error.reason));
    // The last one takes the stand-ins away, so that the clock does not count it.
    let all: usize = inner.setup.drill.steps.iter().map(|s| s.proofs.len()).sum();
    let done = {
        let mut state = inner.state();
        state.controls += 1;
        state.controls.is_multiple_of(all.max(1))
    };
    if done && let Err(error) = inner.drop_nothing(drill) {
        return unknown(
            proof,
            format!("taking away what it was tried on: {}", error.reason),
        );
    }
    said
}

fn view_of_nothing<'a>(work: &'a Work<'a>, nothing: &Nothing) -> View<'a> {
    let place = nothing.world.steps.get(&work.step.step).cloned();
    let servers = nothing.server.iter().flat_map(|server| {
        let with = |(_, place): &(&String, &Place)| place.database.is_some();
        let steps = nothing.world.steps.iter().filter(with);
        steps.map(|(name, _)| (name.clone(), server.clone()))
    });
    View {
        work,
        kept: Kept {
            place: place.unwrap_or_default(),
            ..Kept::default()
        },
        manifest: None,
        servers: servers.collect(),
        world: nothing.world.clone(),
        is_control: true,
    }
}

fn said(view: &View, proof: &Proof) -> ProofSaid {
    let found = if proof.manifest.is_some() {
        manifest::prove(view)
    } else if let Some(demand) = &proof.files {
        files::prove(view, demand)
    } else if let Some(demand) = &proof.sql {
        sql::prove(view, demand)
    } else if proof.canary.is_some() {
        canary::prove(view)
    } else if let Some(demand) = &proof.http {
        http::prove(view, demand)
    } else if let Some(demand) = &proof.command {
        command::prove(view, demand)
    } else if let Some(demand) = &proof.git {
        git::prove(view, demand)
    } else if let Some(demand) = &proof.meets {
        meets::prove(view, demand)
    } else {
        Err("this proof is of no kind".into())
    };
    match found {
        Ok(found) => ProofSaid {
            kind: plan::kind(proof),
            outcome: found.outcome,
            expected: clean(&found.expected, SHOWN),
            read: clean(&found.read, SHOWN),
            at: clean(&found.at, SHOWN),
        },
        Err(why) => unknown(proof, why),
    }
}

/// A proof that could not be carried out.
pub fn unknown(proof: &Proof, why: impl AsRef<str>) -> ProofSaid {
    ProofSaid {
        kind: plan::kind(proof),
        outcome: ProofOutcome::Unknown,
        expected: clean(&proof.proof, SHOWN),
        read: clean(why.as_ref(), SHOWN),
        at: String::new(),
    }
}

fn outcome(passes: bool) -> ProofOutcome {
    match passes {
        true => ProofOutcome::Pass,
        false => ProofOutcome::Fail,
    }
}

impl View<'_> {
    /// The step's own directory: of files, or a repository.
    fn directory(&self) -> Result<&Path, String> {
        let directory = self.kept.place.directory.as_deref();
        directory.ok_or_else(|| "this step has no restored directory".into())
    }

    /// The step's own database, or that of the one step with a database that it needs.
    fn database(&self) -> Result<(&Server, &str), String> {
        let of = |step: &str| -> Option<(&Server, &str)> {
            let database = self.world.steps.get(step)?.database.as_deref()?;
            let (_, server) = self.servers.iter().find(|(name, _)| name == step)?;
            Some((server, database))
        };
        if let Some(own) = of(&self.work.step.step) {
            return Ok(own);
        }
        let needed: Vec<_> = self.needs().iter().filter_map(|step| of(step)).collect();
        match needed.as_slice() {
            [one] => Ok(*one),
            [] => Err("neither this step nor one that it needs has a restored database".into()),
            _ => Err("it needs more than one step with a database: ask within that step".into()),
        }
    }

    /// All that the step needs, directly or not.
    fn needs(&self) -> Vec<String> {
        let steps = &self.work.inner.setup.drill.steps;
        let mut found: Vec<String> = Vec::new();
        let mut ask = self.work.step.needs.clone();
        while let Some(name) = ask.pop() {
            if found.contains(&name) {
                continue;
            }
            ask.extend(
                steps
                    .iter()
                    .filter(|s| s.step == name)
                    .flat_map(|s| s.needs.clone()),
            );
            found.push(name);
        }
        found
    }

    fn limits<'l>(&self, stop: &'l (dyn Fn() -> bool + Sync), output: usize) -> Limits<'l> {
        Limits {
            time: self.work.step.deadline.0.min(LONGEST),
            output,
            stop,
        }
    }

    fn is_stopped(&self) -> bool {
        self.work.progress.is_stopped()
    }
}

/// Opens a file below a directory: no link on the way may lead out of it.
fn open_beneath(directory: &Path, path: &[u8]) -> std::io::Result<std::fs::File> {
    use std::os::fd::{AsRawFd, FromRawFd};
    let base = std::fs::File::open(directory)?;
    let path = std::ffi::CString::new(path).map_err(std::io::Error::other)?;
    // SAFETY: `how` is valid for the call and of the length that is given; zeroes are valid. What
    // is opened is ours alone. O_NONBLOCK: a FIFO must not keep us.
    let file = unsafe {
        let mut how: libc::open_how = std::mem::zeroed();
        let flags = libc::O_RDONLY | libc::O_CLOEXEC | libc::O_NONBLOCK | libc::O_NOCTTY;
        how.flags = u64::try_from(flags).unwrap_or(0);
        how.resolve = libc::RESOLVE_BENEATH | libc::RESOLVE_NO_MAGICLINKS;
        let fd = libc::syscall(
            libc::SYS_openat2,
            base.as_raw_fd(),
            path.as_ptr(),
            &raw const how,
            std::mem::size_of::<libc::open_how>(),
        );
        if fd < 0 {
            return Err(std::io::Error::last_os_error());
        }
        let fd = i32::try_from(fd).map_err(std::io::Error::other)?;
        std::fs::File::from_raw_fd(fd)
    };
    match file.metadata()?.is_file() {
        true => Ok(file),
        false => Err(std::io::Error::other("it is no regular file")),
    }
}

/// SHA-256 of a file, and its length.
fn hash(mut file: impl std::io::Read, stop: &dyn Fn() -> bool) -> Result<(String, u64), String> {
    let mut context = aws_lc_rs::digest::Context::new(&aws_lc_rs::digest::SHA256);
    let mut buffer = vec![0; 256 << 10];
    let mut length = 0;
    loop {
        let count = file.read(&mut buffer).map_err(|e| e.to_string())?;
        if count == 0 {
            return Ok((crate::model::hex(context.finish().as_ref()), length));
        }
        context.update(buffer.get(..count).unwrap_or_default());
        length += count as u64;
        if stop() {
            return Err("asked to stop".into());
        }
    }
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}

/// A path of the document's, relative to its directory.
fn beside(view: &View, path: &str) -> PathBuf {
    view.work.inner.drill_base().join(path)
}

//! Instances over SSH: log-in with a verified host key, proofs, archives unpacked there, mounts.
//!
//! - `door`, `console`, `enter`: how an instance is logged in to, and the first time.
//! - `shell`: programs there. `world`: what templates may name.
//! - `mount`, `archive`: where data comes to; `pipe`: on its way there. `kept`: what a resume needs to know of that.
//! - `proofs`: of all kinds, over SSH or asked of AWS itself.

pub(super) mod archive;
mod console;
mod door;
mod enter;
mod kept;
mod mount;
mod pipe;
mod proofs;
mod shell;
mod world;

use super::provider::{Inner, Work};
use super::state::Instance;
use crate::document::drill::{Proof, Step};
use crate::drill::provider::{DrillContext, ProofSaid, StepContext, StepError};
use crate::journal::JournalError;

/// What came of something on an instance, for the phase that it is a part of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[must_use = "its doubts belong into PhaseDone"]
pub(super) struct Remarks {
    /// Each a few words.
    pub detail: Vec<String>,
    pub doubts: Vec<String>,
}

/// Tries a proof where nothing is, before the clock: what AWS itself answers. There is no instance
/// yet for the others; they are tried on it before the data comes.
pub(super) async fn control(
    inner: &Inner,
    drill: &DrillContext,
    step: &Step,
    proof: &Proof,
) -> ProofSaid {
    proofs::control(inner, drill, step, proof).await
}

/// Any proof of a step: those over SSH, and those that AWS itself answers (`objects`, `items`).
pub(super) async fn prove(inner: &Inner, context: &StepContext<'_>, proof: &Proof) -> ProofSaid {
    proofs::prove(inner, context, proof).await
}

/// Waits until the instance can be logged in to, with its host key verified. `step`: whose
/// instance it is; one that says nothing of SSH is left alone. On a restored instance a timer is
/// set that ends it at the drill's expiry; whether that went well stands in the detail.
///
/// # Errors
/// When it shows another host key than it should, at once; when there is no key or no log-in in
/// time.
pub(super) async fn log_in(
    work: &Work<'_>,
    step: &str,
    instance: &Instance,
) -> Result<Remarks, StepError> {
    enter::log_in(work, step, instance).await
}

/// Mounts an attached volume read-only on the instance of `on`, after the step's proofs were tried
/// there without it (their negative control), and notes where (`Recovered::placed`).
pub(super) async fn mount_volume(
    work: &Work<'_>,
    on: &str,
    volume: &str,
    device: &str,
    partition: Option<u32>,
    path: &str,
) -> Result<Remarks, StepError> {
    let volume = mount::Volume {
        id: volume,
        device,
        partition,
    };
    mount::volume(work, on, volume, path).await
}

/// Mounts a file system's address (NFS 4.1) likewise.
pub(super) async fn mount_file_system(
    work: &Work<'_>,
    on: &str,
    address: std::net::IpAddr,
    path: &str,
) -> Result<Remarks, StepError> {
    mount::file_system(work, on, address, path).await
}

/// After a resume: takes over what lies on an instance, an archive that was unpacked or what is
/// mounted. `Recovered::placed` says where; an archive's manifest and canary are there again.
pub(super) async fn adopt(inner: &Inner, drill: &DrillContext, step: &Step) -> Result<(), String> {
    kept::adopt(inner, drill, step).await
}

/// Whether a path is one that data may be put at: absolute, and no part of it leads elsewhere.
fn is_place(path: &str) -> Result<(), String> {
    let well = path.starts_with('/')
        && path.len() > 1
        && !path.ends_with('/')
        && !path.contains(['\0', '\n'])
        && path
            .split('/')
            .skip(1)
            .all(|part| !matches!(part, "" | "." | ".."));
    match well {
        true => Ok(()),
        false => Err(format!(
            "{} is no place for data: name it from / on, without `.` and `..`",
            crate::shell::clean(path, 200)
        )),
    }
}

fn journal(error: JournalError) -> StepError {
    StepError::new(format!("writing the ledger: {error}"))
}

#[cfg(test)]
mod tests;

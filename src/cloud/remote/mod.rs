//! Instances over SSH: log-in with a verified host key, proofs, archives unpacked there, mounts.

pub(super) mod archive;

use super::provider::{Inner, Work};
use super::state::Instance;
use crate::document::drill::{Proof, Step};
use crate::drill::provider::{DrillContext, ProofSaid, StepContext, StepError};

/// Tries a proof where nothing is.
pub(super) async fn control(
    _inner: &Inner,
    _drill: &DrillContext,
    _step: &Step,
    _proof: &Proof,
) -> ProofSaid {
    todo!("the remote part")
}

/// Any proof of a step: those over SSH, and those that AWS itself answers (`objects`, `items`).
pub(super) async fn prove(
    _inner: &Inner,
    _context: &StepContext<'_>,
    _proof: &Proof,
) -> ProofSaid {
    todo!("the remote part")
}

/// Waits until the instance can be logged in to, with its host key verified. `step`: whose
/// instance it is.
pub(super) async fn log_in(
    _work: &Work<'_>,
    _step: &str,
    _instance: &Instance,
) -> Result<(), StepError> {
    todo!("the remote part")
}

/// Mounts an attached volume read-only on the instance of `on`, after the step's proofs were tried
/// there without it (their negative control).
pub(super) async fn mount_volume(
    _work: &Work<'_>,
    _on: &str,
    _volume: &str,
    _device: &str,
    _partition: Option<u32>,
    _path: &str,
) -> Result<(), StepError> {
    todo!("the remote part")
}

/// Mounts a file system's address (NFS 4.1) likewise.
pub(super) async fn mount_file_system(
    _work: &Work<'_>,
    _on: &str,
    _address: std::net::IpAddr,
    _path: &str,
) -> Result<(), StepError> {
    todo!("the remote part")
}

//! Backups: archives (tar → zstd → age) that are made as one stream, verified with and without the
//! key, and restored without ever showing bytes that were not authenticated.
//!
//! - `age`: keys, headers, and the encrypted stream.
//! - `archive`: the tar within, its header and manifest; extraction that trusts nothing.
//! - `source`: where plaintext comes from.
//! - `store`: where ciphertext is kept.
//! - `name`, `sidecar`: what a backup is called, and what is said of it in the clear, signed.
//! - `catalog`: what a store holds. `judge`: whether that is as the policy demands (pure).
//! - `create`, `restore`: the two movements.

pub mod age;
pub mod archive;
pub mod catalog;
pub mod create;
pub mod judge;
pub mod name;
pub mod restore;
pub mod sidecar;
pub mod source;
pub mod store;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// How far a backup or a restore has come, and the wish to stop it. Shared between threads.
#[derive(Debug, Default)]
pub struct Progress {
    /// Ciphertext bytes that were read or written.
    pub sealed: AtomicU64,
    /// Plaintext bytes.
    pub bytes: AtomicU64,
    pub files: AtomicU64,
    /// Of the ciphertext, where it is known; else 0.
    pub total: AtomicU64,
    stop: AtomicBool,
}

impl Progress {
    /// Asks whoever works to stop at the next opportunity.
    pub fn stop(&self) {
        self.stop.store(true, Ordering::SeqCst);
    }

    pub fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
pub(crate) mod testing;

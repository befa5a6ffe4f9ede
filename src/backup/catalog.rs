//! What a store holds of one source: backups with their sidecars, the oldest first.

use jiff::Timestamp;

use super::sidecar::Sidecar;
use super::store::{Store, StoreError};
use crate::sign::Trusted;

/// A backup, as far as it can be known without its key.
#[derive(Clone, Debug)]
pub struct Backup {
    /// The archive's name in the store.
    pub name: String,
    pub size: u64,
    /// When the store says that it came there.
    pub copied: Option<Timestamp>,
    /// From its sidecar where that is signed by someone who counts, else from its name.
    pub data_time: Option<Timestamp>,
    pub vouched: Vouched,
}

/// Who says what it is.
#[derive(Clone, Debug)]
pub enum Vouched {
    /// The sidecar, and the fingerprint of the key that signed it.
    Signed(Sidecar, String),
    /// There is a sidecar, and why its signature does not count.
    Unsigned(Sidecar, String),
    /// None, or one that is none; why.
    Nobody(String),
}

/// All backups of a source, the oldest data first.
pub fn backups(
    store: &dyn Store,
    source: &str,
    trusted: &Trusted,
) -> Result<Vec<Backup>, StoreError> {
    let _ = (store, source, trusted);
    todo!()
}

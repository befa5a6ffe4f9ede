//! Making a backup: one stream from the source to all its stores, and no plaintext on any disk.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Progress;
use super::age::Recipients;
use super::sidecar::Sidecar;
use super::store::Store;
use crate::document::policy::{Policy, SourceDocument};
use crate::sign::SigningKey;

/// What a backup is made with.
pub struct Creation<'a> {
    pub policy: &'a Policy,
    pub source: &'a SourceDocument,
    pub recipients: &'a Recipients,
    /// Those of the source, by name.
    pub stores: BTreeMap<String, Arc<dyn Store>>,
    pub signer: &'a SigningKey,
    /// Four characters that tell apart what is made in one millisecond.
    pub random: u32,
    pub progress: &'a Progress,
}

#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct CreateError(pub String);

/// Makes one backup, in all its stores, or in none.
pub fn create(with: &Creation) -> Result<(Sidecar, Vec<String>), CreateError> {
    let _ = with;
    todo!()
}

//! Places that hold backups. A thing is there whole, or it is not there. Calls block: they are made
//! from threads that may.

use std::io::{Read, Write};
use std::sync::Arc;

use crate::document::policy::StoreDocument;

/// One thing that a store holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Object {
    /// With `/`, relative to the store.
    pub name: String,
    pub size: u64,
    /// When it came there.
    pub modified: Option<jiff::Timestamp>,
}

#[derive(Debug, thiserror::Error)]
#[error("{doing} {name} in {store}: {reason}")]
pub struct StoreError {
    pub doing: &'static str,
    pub name: String,
    pub store: String,
    pub reason: String,
    /// It is not there (as opposed to: it could not be asked).
    pub absent: bool,
}

/// Reads one object from its beginning. A short object (the store lied about its size, or the
/// connection ended) is an error, not an end.
pub trait Blob: Read + Send {
    fn size(&self) -> u64;
}

/// Writes one object. Nothing is there until [`Upload::finish`] has returned; dropped without it,
/// what was sent is taken away.
pub trait Upload: Write + Send {
    fn finish(self: Box<Self>) -> Result<(), StoreError>;
}

pub trait Store: Send + Sync {
    /// For a person and for the list of endpoints: `/srv/backups`, `s3://bucket/prefix at
    /// http://127.0.0.1:8333`.
    fn endpoint(&self) -> String;
    /// All whose name begins with `prefix`, sorted by name; what is not whole yet is left out.
    fn list(&self, prefix: &str) -> Result<Vec<Object>, StoreError>;
    fn open(&self, name: &str) -> Result<Box<dyn Blob>, StoreError>;
    /// Never replaces what is there.
    fn create(&self, name: &str) -> Result<Box<dyn Upload>, StoreError>;
    /// A small thing, whole; an error if it is larger than `limit` bytes.
    fn get(&self, name: &str, limit: u64) -> Result<Vec<u8>, StoreError>;
}

/// Opens the store that a policy describes. Relative directories are relative to `base`.
pub fn open(
    document: &StoreDocument,
    base: &std::path::Path,
) -> Result<Arc<dyn Store>, StoreError> {
    let _ = (document, base);
    todo!()
}

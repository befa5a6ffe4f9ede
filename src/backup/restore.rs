//! Restoring: fetching, decrypting, decompressing and writing at the same time, into a temporary
//! name that becomes the real one only after the last byte was authenticated.

use std::io::Write;
use std::path::Path;

use super::Progress;
use super::age::Identities;
use super::archive::{ArchiveHeader, Manifest};
use super::store::Blob;

/// What an archive may make of itself. The defaults are wide; a bomb meets them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Plaintext bytes in all.
    pub bytes: u64,
    pub entries: u64,
    /// Plaintext ÷ ciphertext.
    pub ratio: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            bytes: 64 << 40,
            entries: 100_000_000,
            ratio: 2000,
        }
    }
}

#[derive(Clone, Default)]
pub struct Restored {
    /// `None`: an archive that others made.
    pub header: Option<ArchiveHeader>,
    pub manifest: Option<Manifest>,
    pub files: u64,
    pub bytes: u64,
    /// Of the ciphertext, in hexadecimal.
    pub sha256: String,
}

#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct RestoreError(pub String);

/// Extracts a tar archive to `into`, which must not be there (its parent must).
pub fn directory(
    blob: Box<dyn Blob>,
    identities: &Identities,
    into: &Path,
    limits: &Limits,
    progress: &Progress,
) -> Result<Restored, RestoreError> {
    let _ = (blob, identities, into, limits, progress);
    todo!()
}

/// Writes the stream (a dump, a bundle, a program's output) within an archive to `out`. Nothing of
/// it may be believed before this has returned well.
pub fn stream(
    blob: Box<dyn Blob>,
    identities: &Identities,
    out: &mut (dyn Write + Send),
    limits: &Limits,
    progress: &Progress,
) -> Result<Restored, RestoreError> {
    let _ = (blob, identities, out, limits, progress);
    todo!()
}

/// What came of reading a whole archive without writing anything.
#[derive(Clone, Default)]
pub struct Content {
    pub restored: Restored,
    /// What it is, in words: `tar, zstd, age`; `pg_dump (custom), age`.
    pub form: String,
    /// Where it differs from its own manifest. Empty, and a manifest there: it is as it says.
    pub differences: Vec<String>,
}

/// Decrypts to the end and compares every byte with the manifest.
pub fn examine(
    blob: Box<dyn Blob>,
    identities: &Identities,
    limits: &Limits,
    progress: &Progress,
) -> Result<Content, RestoreError> {
    let _ = (blob, identities, limits, progress);
    todo!()
}

/// Compares a restored directory with the manifest of its archive: every file's size, mode and
/// hash, nothing missing, nothing added. What differs, in words (the first hundred).
pub fn compare(directory: &Path, manifest: &Manifest) -> Result<Vec<String>, RestoreError> {
    let _ = (directory, manifest);
    todo!()
}

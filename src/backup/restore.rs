//! Restoring: fetching, decrypting, decompressing and writing at the same time, into a temporary
//! name that becomes the real one only after the last byte was authenticated.
//!
//! - `plain`, `unpack`: from a blob to plaintext, in threads; limits.
//! - `form`: what the plaintext is.
//! - `walk`: through an archive's members to its end, and what its manifest says of them (`seen`).
//! - `place`: the temporary directory, and its becoming the real one.
//! - `compare`: a restored directory against a manifest.

mod compare;
mod form;
mod place;
mod plain;
mod seen;
#[cfg(test)]
mod tests;
mod unpack;
mod walk;

use std::io::Write;
use std::path::Path;
use std::sync::atomic::Ordering;

use super::Progress;
use super::age::Identities;
use super::archive::again::Again;
use super::archive::extract::{ExtractError, Extractor, Manners};
use super::archive::read::{Pieces, ReadError};
use super::archive::{ArchiveHeader, Manifest};
use super::store::Blob;
pub use compare::compare;
use form::Form;
use place::Place;
use walk::Walked;

/// What an archive may make of itself. The defaults are wide; a bomb meets them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Plaintext bytes in all.
    pub bytes: u64,
    pub entries: u64,
    /// Plaintext ÷ ciphertext. The first 64 MiB of plaintext are free.
    pub ratio: u64,
    /// Makes symbolic links that lead out of what is restored. Without it they are refused, as
    /// whoever reads what was restored might read something else.
    pub outward_links: bool,
    /// SHA-256 that the ciphertext must have, in hexadecimal, where someone vouches for it. What has
    /// another is not restored, however well it opens: anyone can encrypt to a public key.
    pub sha256: Option<String>,
}

impl Limits {
    fn vouched(&self, is: &str) -> Result<(), RestoreError> {
        match &self.sha256 {
            Some(wanted) if !wanted.eq_ignore_ascii_case(is) => Err(RestoreError(format!(
                "it is another file than its sidecar vouches for: its SHA-256 is {is}, and should \
                 be {}",
                crate::shell::clean(wanted, 64)
            ))),
            _ => Ok(()),
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            bytes: 64 << 40,
            entries: 100_000_000,
            ratio: 2000,
            outward_links: false,
            sha256: None,
        }
    }
}

#[derive(Clone, Debug, Default)]
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

impl RestoreError {
    fn stopped() -> Self {
        RestoreError("stopped, as asked".into())
    }

    /// Reading, decrypting or decompressing failed.
    fn reading(error: &std::io::Error, progress: &Progress) -> Self {
        if progress.is_stopped() {
            return RestoreError::stopped();
        }
        RestoreError(format!("reading the backup: {error}"))
    }

    fn of(error: ExtractError, progress: &Progress) -> Self {
        match error {
            ExtractError::Stopped => RestoreError::stopped(),
            ExtractError::Read(ReadError::Below(error)) => RestoreError::reading(&error, progress),
            ExtractError::Read(ReadError::Form(text)) | ExtractError::Refused(text) => {
                RestoreError(format!("the archive can't be restored: {text}"))
            }
            error @ ExtractError::Write { .. } => RestoreError(error.to_string()),
        }
    }
}

/// Threads that make small files.
fn hands() -> usize {
    std::thread::available_parallelism().map_or(2, |n| n.get().min(4))
}

/// Extracts a tar archive to `into`, which must not be there (its parent must).
///
/// What is restored belongs to root alone at its top (0700); below that, our own archives get back
/// their modes and, where we are root, their owners. It is on the disk when this returns. Hashes
/// of the manifest are not computed: each byte was authenticated, and [`compare`] reads what is on
/// the disk.
///
/// # Errors
/// When anything at all is not as it should be. Then nothing is left.
pub fn directory(
    blob: Box<dyn Blob>,
    identities: &Identities,
    into: &Path,
    limits: &Limits,
    progress: &Progress,
) -> Result<Restored, RestoreError> {
    let place = Place::make(into)?;
    match fill(&place, blob, identities, limits, progress) {
        Ok(restored) => {
            place.publish()?;
            Ok(restored)
        }
        Err(error) => Err(place.remove(error)),
    }
}

fn fill(
    place: &Place,
    blob: Box<dyn Blob>,
    identities: &Identities,
    limits: &Limits,
    progress: &Progress,
) -> Result<Restored, RestoreError> {
    let plain = plain::open(blob, identities, limits, progress)?;
    let form = Form::of(plain.beginning());
    if form != Form::Tar {
        return Err(RestoreError(format!(
            "the backup is no archive of files but {}: restore it to a file",
            form.words(plain.compression())
        )));
    }
    let is_ours = walk::is_ours(plain.beginning());
    let shared = plain.shared();
    let manners = Manners {
        is_ours,
        outward_links: limits.outward_links,
    };
    let extractor = Extractor::new(place.top(), manners, hands())
        .map_err(|error| RestoreError::of(error, progress))?;
    let mut visitor = walk::Extract {
        extractor,
        progress,
    };
    let walked = walk::walk(plain, is_ours, limits, progress, &mut visitor)
        .and_then(|walked| {
            visitor.extractor.finish()?;
            Ok(walked)
        })
        .map_err(|error| place.explain(error, progress))?;
    walked.faithful()?;
    limits.vouched(&shared.sha256())?;
    Ok(walked.restored(shared.sha256()))
}

/// Writes the files of an archive anew to `out`, as a plain tar stream for a tar program elsewhere:
/// each member was judged as [`directory`] judges it. Nothing of it may be believed before this has
/// returned well; until then the stream has no end mark.
///
/// # Errors
/// As [`directory`].
pub fn relay(
    blob: Box<dyn Blob>,
    identities: &Identities,
    out: &mut (dyn Write + Send),
    limits: &Limits,
    progress: &Progress,
) -> Result<Restored, RestoreError> {
    let plain = plain::open(blob, identities, limits, progress)?;
    let form = Form::of(plain.beginning());
    if form != Form::Tar {
        return Err(RestoreError(format!(
            "the backup is no archive of files but {}: restore it to a file",
            form.words(plain.compression())
        )));
    }
    let is_ours = walk::is_ours(plain.beginning());
    let shared = plain.shared();
    let manners = Manners {
        is_ours,
        outward_links: limits.outward_links,
    };
    let mut visitor = walk::Relay {
        again: Again::new(out, manners),
        progress,
    };
    let walked = walk::walk(plain, is_ours, limits, progress, &mut visitor)
        .map_err(|error| RestoreError::of(error, progress))?;
    walked.faithful()?;
    limits.vouched(&shared.sha256())?;
    visitor.again.finish().map_err(|e| walk::cannot_write(&e))?;
    Ok(walked.restored(shared.sha256()))
}

/// Writes the stream (a dump, a bundle, a program's output) within an archive to `out`. Nothing of
/// it may be believed before this has returned well. Of an archive that others made: what is there
/// when it is decrypted and decompressed.
///
/// # Errors
/// As [`directory`]; also when the archive holds files.
pub fn stream(
    blob: Box<dyn Blob>,
    identities: &Identities,
    out: &mut (dyn Write + Send),
    limits: &Limits,
    progress: &Progress,
) -> Result<Restored, RestoreError> {
    let mut plain = plain::open(blob, identities, limits, progress)?;
    let shared = plain.shared();
    if walk::is_ours(plain.beginning()) {
        let mut visitor = walk::Join::to(out, progress);
        let walked = walk::walk(plain, true, limits, progress, &mut visitor)
            .map_err(|error| RestoreError::of(error, progress))?;
        walked.faithful()?;
        limits.vouched(&shared.sha256())?;
        visitor.flush()?;
        return Ok(walked.restored(shared.sha256()));
    }
    let mut bytes = 0;
    loop {
        match plain.next_piece() {
            Ok(Some(piece)) => {
                out.write_all(&piece).map_err(|e| walk::cannot_write(&e))?;
                bytes += piece.len() as u64;
                progress.bytes.store(bytes, Ordering::Relaxed);
            }
            Ok(None) => break,
            Err(error) => return Err(RestoreError::reading(&error, progress)),
        }
    }
    limits.vouched(&shared.sha256())?;
    out.flush().map_err(|e| walk::cannot_write(&e))?;
    Ok(Restored {
        files: 1,
        bytes,
        sha256: shared.sha256(),
        ..Restored::default()
    })
}

/// What came of reading a whole archive without writing anything.
#[derive(Clone, Debug, Default)]
pub struct Content {
    pub restored: Restored,
    /// What it is, in words: `tar, zstd, age`; `pg_dump (custom), age`.
    pub form: String,
    /// Where it differs from its own manifest. Empty, and a manifest there: it is as it says.
    pub differences: Vec<String>,
}

/// Decrypts to the end and compares every byte with the manifest. Of an archive that others made
/// there is nothing to compare with: its end was reached, and no more is known.
///
/// # Errors
/// When it can't be read to its end, or could not be restored.
pub fn examine(
    blob: Box<dyn Blob>,
    identities: &Identities,
    limits: &Limits,
    progress: &Progress,
) -> Result<Content, RestoreError> {
    let mut plain = plain::open(blob, identities, limits, progress)?;
    let shared = plain.shared();
    let form = Form::of(plain.beginning());
    let words = form.words(plain.compression());
    if form == Form::Tar {
        let is_ours = walk::is_ours(plain.beginning());
        let mut visitor = walk::Hash::new(limits, progress);
        let walked = walk::walk(plain, is_ours, limits, progress, &mut visitor)
            .map_err(|error| RestoreError::of(error, progress))?;
        return Ok(Content {
            differences: walked.differences.clone(),
            restored: walked.restored(shared.sha256()),
            form: words,
        });
    }
    let mut bytes = 0;
    loop {
        match plain.next_piece() {
            Ok(Some(piece)) => bytes += piece.len() as u64,
            Ok(None) => break,
            Err(error) => return Err(RestoreError::reading(&error, progress)),
        }
        progress.bytes.store(bytes, Ordering::Relaxed);
    }
    Ok(Content {
        restored: Restored {
            files: 1,
            bytes,
            sha256: shared.sha256(),
            ..Restored::default()
        },
        form: words,
        differences: Vec::new(),
    })
}

impl Walked {
    /// An error if the archive is not what its own manifest says.
    fn faithful(&self) -> Result<(), RestoreError> {
        match self.differences.first() {
            None => Ok(()),
            Some(first) => Err(RestoreError(format!(
                "the archive is not what its manifest says, so nothing of it is kept: {first}{}",
                match self.differences.len() {
                    1 => String::new(),
                    more => format!(" (and {} more differences)", more - 1),
                }
            ))),
        }
    }

    fn restored(self, sha256: String) -> Restored {
        Restored {
            header: self.header,
            manifest: self.manifest,
            files: self.files,
            bytes: self.bytes,
            sha256,
        }
    }
}

//! Making a backup: one stream from the source to all its stores, and no plaintext on any disk.
//!
//! Reading, hashing and the tar are one thread; compression has as many as there are cores, and
//! encryption is with whoever drives it; each store has a thread of its own. Between them are a few
//! buffers, so that memory is bounded whatever the size.
//!
//! An archive counts as made once its sidecar is there. So the order is: all stores take all
//! bytes; all keep the archive; all keep the sidecar's signature; all keep the sidecar. Where a
//! store fails before it has kept anything, nothing is in any store. Where one fails later, an
//! archive without a sidecar may stay in others, which a store can't be asked to remove: it is no
//! backup, the error names it, and `verify` does too.

mod chunks;
mod tee;

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use jiff::Timestamp;

use super::age::{EncryptWriter, Recipients};
use super::archive::ArchiveHeader;
use super::archive::write::ArchiveWriter;
use super::sidecar::{FORMAT, Sidecar};
use super::source::{self, Programs, Surroundings, Warnings};
use super::store::Store;
use super::{Progress, name};
use crate::document::policy::{Policy, SourceDocument};
use crate::sign::SigningKey;

/// zstd's own default: higher ones cost more time than they save space.
const LEVEL: i32 = 3;
/// More workers than this take more memory than they save time.
const WORKERS: u32 = 4;

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

impl From<source::SourceError> for CreateError {
    fn from(error: source::SourceError) -> Self {
        CreateError(error.0)
    }
}

/// Makes one backup, in all its stores, or in none. Returns its sidecar, and what is odd about it:
/// each file that is not in it, or not as it was at one moment.
///
/// # Errors
/// When the source can't be read, a program fails, a store fails, or we were asked to stop. What
/// had been begun is gone then.
pub fn create(with: &Creation) -> Result<(Sidecar, Vec<String>), CreateError> {
    create_with(with, &Programs::default())
}

/// The same, with other programs in the place of pg_dump, git, and so on.
pub fn create_with(
    with: &Creation,
    programs: &Programs,
) -> Result<(Sidecar, Vec<String>), CreateError> {
    if with.stores.is_empty() {
        return Err(CreateError(
            "there is no store to write to: name one in the source's `to`".to_owned(),
        ));
    }
    let abort = AtomicBool::new(false);
    let mut around = Surroundings::new(with.policy, programs, with.progress, &abort);
    let stores: Vec<(String, Arc<dyn Store>)> = with
        .stores
        .iter()
        .map(|(label, store)| (label.clone(), store.clone()))
        .collect();
    around.stores_are(stores.iter().map(|(_, store)| store.endpoint()));
    let mut header = ArchiveHeader {
        format: FORMAT,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        policy: with.policy.policy.clone(),
        source: with.source.source.clone(),
        kind: source::kind(with.source)?,
        data_time: String::new(),
        stream: source::stream_name(with.source)?,
        canary: None,
    };
    // Before anything is read or written: whatever is in the backup was so then, or later. Names
    // have milliseconds, and what is signed is to say the same.
    let now = Timestamp::now().as_millisecond();
    let data_time = Timestamp::from_millisecond(now)
        .map_err(|error| CreateError(format!("the clock is out of its mind: {error}")))?;
    header.data_time = data_time.to_string();
    let archive = name::archive(&with.source.source, data_time, with.random);

    let sealed = Arc::new(AtomicU64::new(0));
    let (tee, uploads) =
        tee::begin(&archive, &stores, sealed.clone(), with.progress).map_err(CreateError)?;
    header.canary = source::plant(with.source, &header.data_time, &around)?;

    let mtime = data_time.as_second();
    let (plain, chunks) = chunks::pair();
    let counted = Counted {
        plain,
        sealed: &sealed,
        progress: with.progress,
    };
    let (read, sent) = std::thread::scope(|scope| {
        let reading = scope.spawn(|| read(with.source, &header, mtime, &around, counted));
        let sent = seal(with.recipients, &chunks, tee);
        if sent.is_err() {
            abort.store(true, Ordering::SeqCst);
        }
        // Whoever still sends hears that nobody takes it.
        drop(chunks);
        (reading.join(), sent)
    });
    with.progress
        .sealed
        .store(sealed.load(Ordering::Relaxed), Ordering::Relaxed);
    let stopped = || CreateError("stopped, as was asked: nothing was kept".to_owned());
    let (sent, read) = match (sent, read) {
        _ if with.progress.is_stopped() => {
            uploads.fail();
            return Err(stopped());
        }
        (Err(why), _) => {
            let store = uploads.fail();
            return Err(CreateError(store.unwrap_or(why)));
        }
        (Ok(_), Err(_)) => {
            uploads.fail();
            return Err(CreateError("the thread that reads has broken".to_owned()));
        }
        (Ok(_), Ok(Err(why))) => {
            uploads.fail();
            return Err(why.into());
        }
        (Ok(sent), Ok(Ok(read))) => (sent, read),
    };
    uploads.keep(with.progress).map_err(|why| {
        CreateError(format!(
            "{why} (where {archive} stayed in another store without a sidecar, it is no backup)"
        ))
    })?;

    let recipients = match with.policy.passphrase_env {
        Some(_) => vec!["passphrase".to_owned()],
        None => with.policy.recipients.clone(),
    };
    let sidecar = Sidecar {
        format: FORMAT,
        version: header.version,
        policy: header.policy,
        source: header.source,
        kind: header.kind,
        archive: archive.clone(),
        data_time: header.data_time,
        finished: Timestamp::now().to_string(),
        size: sent.size,
        sha256: sent.sha256,
        recipients,
        files: read.files,
        bytes: read.bytes,
        canary: header.canary.as_ref().map(Into::into),
        warnings: read.warnings.count(),
    };
    let (bytes, signature) = sidecar
        .sign(with.signer)
        .map_err(|error| CreateError(format!("signing the sidecar of {archive}: {error}")))?;
    put(&stores, &name::signature(&archive), signature.as_bytes())?;
    put(&stores, &name::sidecar(&archive), &bytes)?;
    Ok((sidecar, read.warnings.texts()))
}

/// What came of reading.
struct Read {
    files: u64,
    bytes: u64,
    warnings: Warnings,
}

/// The thread that reads: source → tar, hashed.
fn read(
    source: &SourceDocument,
    header: &ArchiveHeader,
    mtime: i64,
    around: &Surroundings,
    out: Counted,
) -> Result<Read, source::SourceError> {
    let mut warnings = Warnings::default();
    let mut archive = ArchiveWriter::new(out, header, mtime, around.progress)?;
    let canary = header.canary.as_ref();
    source::read(source, canary, mtime, around, &mut archive, &mut warnings)?;
    let files = archive.files();
    let (out, manifest) = archive.finish(mtime, &warnings.texts())?;
    let sent = out.plain.finish();
    sent.map_err(|error| source::SourceError(error.to_string()))?;
    Ok(Read {
        files,
        bytes: manifest.end().bytes,
        warnings,
    })
}

/// The calling thread: tar → zstd → age → all stores.
fn seal(
    recipients: &Recipients,
    chunks: &chunks::Reader,
    tee: tee::Tee,
) -> Result<tee::Sent, String> {
    let failed = |what: &str| {
        let what = what.to_owned();
        move |error: std::io::Error| format!("{what}: {error}")
    };
    let encrypt =
        EncryptWriter::new(recipients, tee).map_err(|error| format!("encrypting: {error}"))?;
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let workers = u32::try_from(cores).unwrap_or(WORKERS).min(WORKERS);
    let mut compress =
        zstd::Encoder::new(encrypt, LEVEL).map_err(failed("starting the compression"))?;
    compress
        .multithread(workers)
        .map_err(failed("starting the compression"))?;
    chunks
        .copy(&mut compress)
        .map_err(failed("compressing and encrypting"))?;
    let encrypt = compress
        .finish()
        .map_err(failed("compressing and encrypting"))?;
    let tee = encrypt
        .finish()
        .map_err(|error| format!("encrypting: {error}"))?;
    tee.finish().map_err(failed("sending the last bytes"))
}

/// Writes a small thing to each store.
fn put(stores: &[(String, Arc<dyn Store>)], name: &str, bytes: &[u8]) -> Result<(), CreateError> {
    for (label, store) in stores {
        let put = || {
            let mut upload = store.create(name).map_err(|error| error.to_string())?;
            upload
                .write_all(bytes)
                .map_err(|error| format!("writing {name} to {}: {error}", store.endpoint()))?;
            upload.finish().map_err(|error| error.to_string())
        };
        put().map_err(|why| {
            CreateError(format!(
                "store {label}: {why} (the archive is there without it, and is no backup there)"
            ))
        })?;
    }
    Ok(())
}

/// Passes plaintext on, and tells how much ciphertext has come of it.
struct Counted<'a> {
    plain: chunks::Writer,
    sealed: &'a AtomicU64,
    progress: &'a Progress,
}

impl Write for Counted<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let taken = self.plain.write(bytes)?;
        self.progress
            .sealed
            .store(self.sealed.load(Ordering::Relaxed), Ordering::Relaxed);
        Ok(taken)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests;

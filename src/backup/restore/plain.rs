//! From a blob to plaintext: one thread reads and decrypts, one decompresses, and whoever asked gets
//! pieces. None of them is waited for: who stops, or fails, goes, and they end by themselves.

use std::io::{self, Read};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_lc_rs::digest;
use bytes::Bytes;

use super::{Limits, RestoreError, unpack};
use crate::backup::Progress;
use crate::backup::age::{DecryptReader, Identities};
use crate::backup::archive::read::Pieces;
use crate::backup::store::Blob;

/// Bytes of one piece of plaintext: large enough that a write of it is worth its call.
pub(super) const PIECE: usize = 1 << 20;
/// Pieces that are on their way; with them, what small files hold until they are made.
const POOL: usize = 32;
/// Pieces that wait to be taken: as much as is decompressed while a busy machine runs something else.
const WAITING: usize = 24;
/// The header of an age file is in its first bytes, or we do not accept it.
const BEGINNING: usize = 64 << 10;
/// How often a wait looks whether to stop.
const LOOK: Duration = Duration::from_millis(50);

/// What the threads share.
pub(super) struct Shared {
    /// Of the ciphertext, as the store says; what comes is held to it.
    pub size: u64,
    /// Ciphertext bytes that came.
    pub sealed: AtomicU64,
    stop: AtomicBool,
    hash: Mutex<digest::Context>,
}

impl Shared {
    pub fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}

/// What the decompressing thread says.
pub(super) enum Message {
    /// `zstd`, `gzip`, or none, first.
    Compression(Option<&'static str>),
    Piece(Bytes),
    /// Every layer ended where it should.
    End,
    Failed(io::Error),
}

/// Plaintext, in pieces.
pub(super) struct Plain<'a> {
    receiver: Receiver<Message>,
    shared: Arc<Shared>,
    progress: &'a Progress,
    compression: Option<&'static str>,
    /// The first piece, until it is taken.
    first: Option<Bytes>,
    has_ended: bool,
}

/// The blob, counted and hashed on its way to be decrypted.
struct Tap {
    blob: Box<dyn Blob>,
    shared: Arc<Shared>,
}

impl Read for Tap {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.shared.is_stopped() {
            return Err(io::Error::other("stopped, as asked"));
        }
        let count = self.blob.read(buffer)?;
        let all = self.shared.sealed.load(Ordering::Relaxed) + count as u64;
        if all > self.shared.size || (count == 0 && !buffer.is_empty() && all < self.shared.size) {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                format!(
                    "the store said that the backup has {} bytes, and gave {}{all}",
                    self.shared.size,
                    if count == 0 { "" } else { "at least " }
                ),
            ));
        }
        if let Some(bytes) = buffer.get(..count) {
            self.shared
                .hash
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .update(bytes);
        }
        self.shared.sealed.store(all, Ordering::Relaxed);
        Ok(count)
    }
}

/// Opens a backup and begins to decrypt it.
pub(super) fn open<'a>(
    blob: Box<dyn Blob>,
    identities: &Identities,
    limits: &Limits,
    progress: &'a Progress,
) -> Result<Plain<'a>, RestoreError> {
    let size = blob.size();
    progress.total.store(size, Ordering::Relaxed);
    let shared = Arc::new(Shared {
        size,
        sealed: AtomicU64::new(0),
        stop: AtomicBool::new(false),
        hash: Mutex::new(digest::Context::new(&digest::SHA256)),
    });
    let tap = Tap {
        blob,
        shared: shared.clone(),
    };
    let (beginning, tap) = beginning(tap, &shared, progress)?;
    let input = Box::new(io::Cursor::new(beginning).chain(tap));
    let decrypted = DecryptReader::new(input, identities)
        .map_err(|error| RestoreError(format!("opening the backup: {error}")))?;
    let (sender, receiver) = sync_channel(WAITING);
    let (limits, of_thread) = (limits.clone(), shared.clone());
    spawn("restore-unpack", move || {
        let whole = unpack::unpack(decrypted, &limits, &of_thread, &sender)
            .and_then(|()| has_come(&of_thread));
        let _ = sender.send(match whole {
            Ok(()) => Message::End,
            Err(error) => Message::Failed(error),
        });
    })?;
    let mut plain = Plain {
        receiver,
        shared,
        progress,
        compression: None,
        first: None,
        has_ended: false,
    };
    match plain.next_piece() {
        Ok(first) => plain.first = first,
        Err(error) => return Err(RestoreError::reading(&error, progress)),
    }
    Ok(plain)
}

/// Reads the age header in a thread of its own, as a store may be slow and a person impatient.
fn beginning(
    mut tap: Tap,
    shared: &Shared,
    progress: &Progress,
) -> Result<(Vec<u8>, Tap), RestoreError> {
    let (sender, receiver) = sync_channel(1);
    spawn("restore-begin", move || {
        let mut bytes = Vec::with_capacity(BEGINNING);
        let result = tap.by_ref().take(BEGINNING as u64).read_to_end(&mut bytes);
        let _ = sender.send(result.map(|_| (bytes, tap)));
    })?;
    loop {
        match receiver.recv_timeout(LOOK) {
            Ok(result) => {
                return result
                    .map_err(|error| RestoreError(format!("reading the backup: {error}")));
            }
            Err(RecvTimeoutError::Timeout) if progress.is_stopped() => {
                shared.stop.store(true, Ordering::SeqCst);
                return Err(RestoreError::stopped());
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => {
                return Err(RestoreError(
                    "reading the backup: the thread panicked".into(),
                ));
            }
        }
    }
}

fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> Result<(), RestoreError> {
    std::thread::Builder::new()
        .name(name.into())
        .spawn(work)
        .map(drop)
        .map_err(|error| RestoreError(format!("starting a thread: {error}")))
}

/// Whether what was decrypted is all that the store has.
fn has_come(shared: &Shared) -> io::Result<()> {
    let size = shared.size;
    let came = shared.sealed.load(Ordering::Relaxed);
    if came == size {
        return Ok(());
    }
    Err(io::Error::new(
        io::ErrorKind::InvalidData,
        format!("the backup has {size} bytes, and its encrypted part ends within the first {came}"),
    ))
}

impl Plain<'_> {
    /// The beginning of the plaintext, some thousand bytes of it if there are as many.
    pub fn beginning(&self) -> &[u8] {
        self.first.as_deref().unwrap_or_default()
    }

    pub fn compression(&self) -> Option<&'static str> {
        self.compression
    }

    /// For the ciphertext's hash, after the end.
    pub fn shared(&self) -> Arc<Shared> {
        self.shared.clone()
    }
}

impl Shared {
    /// SHA-256 of the ciphertext that came, in hexadecimal.
    pub fn sha256(&self) -> String {
        let hash = self.hash.lock().unwrap_or_else(PoisonError::into_inner);
        crate::model::hex(hash.clone().finish().as_ref())
    }
}

impl Pieces for Plain<'_> {
    fn next_piece(&mut self) -> io::Result<Option<Bytes>> {
        if let Some(first) = self.first.take() {
            return Ok(Some(first));
        }
        while !self.has_ended {
            let message = self.receiver.recv_timeout(LOOK);
            let sealed = self.shared.sealed.load(Ordering::Relaxed);
            self.progress.sealed.store(sealed, Ordering::Relaxed);
            if self.progress.is_stopped() {
                return Err(io::Error::other("stopped, as asked"));
            }
            match message {
                Ok(Message::Compression(which)) => self.compression = which,
                Ok(Message::Piece(piece)) => return Ok(Some(piece)),
                Ok(Message::Failed(error)) => return Err(error),
                Ok(Message::End) => self.has_ended = true,
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(io::Error::other("the decompressing thread panicked"));
                }
            }
        }
        Ok(None)
    }
}

impl Drop for Plain<'_> {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
    }
}

/// Buffers that come back when the last piece of them is dropped.
pub(super) struct Pool {
    home: SyncSender<Vec<u8>>,
    free: Receiver<Vec<u8>>,
    /// That may still be made.
    unmade: usize,
}

/// A buffer that is filled up to `length`.
struct Lent {
    buffer: Vec<u8>,
    length: usize,
    home: SyncSender<Vec<u8>>,
}

impl AsRef<[u8]> for Lent {
    fn as_ref(&self) -> &[u8] {
        self.buffer.get(..self.length).unwrap_or_default()
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        let _ = self.home.try_send(std::mem::take(&mut self.buffer));
    }
}

impl Pool {
    pub fn new() -> Self {
        let (home, free) = sync_channel(POOL);
        Pool {
            home,
            free,
            unmade: POOL,
        }
    }

    /// A buffer of [`PIECE`] bytes; waits until one comes back.
    pub fn take(&mut self) -> Vec<u8> {
        if let Ok(buffer) = self.free.try_recv() {
            return buffer;
        }
        if self.unmade > 0 {
            self.unmade -= 1;
            return vec![0; PIECE];
        }
        // We hold a sender ourselves, so this does not fail.
        self.free.recv().unwrap_or_else(|_| vec![0; PIECE])
    }

    /// The first `length` bytes of a buffer, which then comes back by itself.
    pub fn lend(&self, buffer: Vec<u8>, length: usize) -> Bytes {
        Bytes::from_owner(Lent {
            buffer,
            length,
            home: self.home.clone(),
        })
    }
}

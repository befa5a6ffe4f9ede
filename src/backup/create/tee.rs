//! Ciphertext on its way to all stores at once: hashed, counted, cut into chunks that the stores
//! share, each store with a thread of its own.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, SyncSender, channel, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use aws_lc_rs::digest::{Context, SHA256};

use crate::backup::Progress;
use crate::backup::store::Store;

/// Bytes in a chunk.
const CHUNK: usize = 1 << 20;
/// Chunks that wait for a store: what it may be slower for a moment.
const WAITING: usize = 8;
/// How often a thread that waits looks whether all is over.
const LOOK: Duration = Duration::from_millis(50);

enum Message {
    Bytes(Arc<Vec<u8>>),
    /// That was all: say when it has been taken.
    End,
    /// All stores have taken all of it: keep it.
    Keep,
}

/// What all stores have been sent, once it was all.
pub(super) struct Sent {
    pub size: u64,
    /// Of the ciphertext, in hexadecimal.
    pub sha256: String,
}

/// Takes ciphertext. An error from it says only that a store failed; which and why,
/// [`Stores::keep`] or [`Stores::fail`] say.
pub(super) struct Tee {
    chunk: Vec<u8>,
    hash: Context,
    size: u64,
    sealed: Arc<AtomicU64>,
    to: Vec<SyncSender<Message>>,
}

/// The stores while they are written to. Dropped, or failed: nothing stays in any of them.
pub(super) struct Stores {
    threads: Vec<(String, JoinHandle<Result<(), String>>)>,
    keep: Vec<SyncSender<Message>>,
    ready: Receiver<()>,
    stop: Arc<AtomicBool>,
}

/// Begins an object in each store, and waits until all have begun: what can't be written is known
/// before anything is read.
pub(super) fn begin(
    name: &str,
    stores: &[(String, Arc<dyn Store>)],
    sealed: Arc<AtomicU64>,
    progress: &Progress,
) -> Result<(Tee, Stores), String> {
    let stop = Arc::new(AtomicBool::new(false));
    let (tell, ready) = channel();
    let mut threads = Vec::new();
    let mut to = Vec::new();
    for (label, store) in stores {
        let (sender, messages) = sync_channel(WAITING);
        let (store, name, stop) = (store.clone(), name.to_owned(), stop.clone());
        let tell = tell.clone();
        let thread = std::thread::Builder::new()
            .name(format!("store {label}"))
            .spawn(move || keep(&*store, &name, &messages, &tell, &stop))
            .map_err(|error| format!("starting a thread: {error}"))?;
        threads.push((label.clone(), thread));
        to.push(sender);
    }
    drop(tell);
    let mut stores = Stores {
        threads,
        keep: to.clone(),
        ready,
        stop,
    };
    if !stores.are_ready(progress) {
        drop(to);
        return Err(stores.fail().unwrap_or_else(stopped));
    }
    let tee = Tee {
        chunk: Vec::with_capacity(CHUNK),
        hash: Context::new(&SHA256),
        size: 0,
        sealed,
        to,
    };
    Ok((tee, stores))
}

fn lost() -> String {
    "it ended without a word".to_owned()
}

fn stopped() -> String {
    "stopped, as was asked".to_owned()
}

/// One store's thread. It tells when it has begun, and when it has all.
fn keep(
    store: &dyn Store,
    name: &str,
    messages: &Receiver<Message>,
    tell: &Sender<()>,
    stop: &AtomicBool,
) -> Result<(), String> {
    let mut upload = store.create(name).map_err(|error| error.to_string())?;
    let failed = |error| format!("writing {name} to {}: {error}", store.endpoint());
    let _ = tell.send(());
    while !stop.load(Ordering::SeqCst) {
        let message = match messages.recv_timeout(LOOK) {
            Ok(message) => message,
            Err(RecvTimeoutError::Timeout) => continue,
            Err(RecvTimeoutError::Disconnected) => break,
        };
        match message {
            Message::End => {
                upload.flush().map_err(failed)?;
                let _ = tell.send(());
            }
            Message::Bytes(bytes) => upload.write_all(&bytes).map_err(failed)?,
            Message::Keep => return upload.finish().map_err(|error| error.to_string()),
        }
    }
    // Dropped without a finish, an upload leaves nothing.
    Ok(())
}

impl Stores {
    /// Waits for a word of every store. `false`: one has failed, or we were asked to stop.
    fn are_ready(&mut self, progress: &Progress) -> bool {
        (0..self.threads.len()).all(|_| self.is_ready(progress))
    }

    fn is_ready(&mut self, progress: &Progress) -> bool {
        loop {
            match self.ready.recv_timeout(LOOK) {
                Ok(()) => return true,
                Err(RecvTimeoutError::Disconnected) => return false,
                // One that has failed says nothing, while the others wait.
                Err(RecvTimeoutError::Timeout) => {
                    let mut threads = self.threads.iter();
                    if progress.is_stopped() || threads.any(|(_, thread)| thread.is_finished()) {
                        return false;
                    }
                }
            }
        }
    }

    /// Keeps what was sent, in all stores: when each has taken all of it, and not before.
    pub fn keep(mut self, progress: &Progress) -> Result<(), String> {
        if !self.are_ready(progress) {
            return Err(self.fail().unwrap_or_else(stopped));
        }
        for sender in self.keep.drain(..) {
            let _ = sender.send(Message::Keep);
        }
        match self.join() {
            Some(why) => Err(why),
            None => Ok(()),
        }
    }

    /// Takes away what was sent. Why a store failed, if one did.
    pub fn fail(mut self) -> Option<String> {
        self.stop.store(true, Ordering::SeqCst);
        self.keep.clear();
        self.join()
    }

    fn join(&mut self) -> Option<String> {
        let mut why = Vec::new();
        for (label, thread) in self.threads.drain(..) {
            match thread.join() {
                Ok(Ok(())) => {}
                Ok(Err(error)) => why.push(format!("store {label}: {error}")),
                Err(_) => why.push(format!("store {label}: {}", lost())),
            }
        }
        (!why.is_empty()).then(|| why.join("; "))
    }
}

impl Drop for Stores {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        self.keep.clear();
        self.join();
    }
}

impl Tee {
    fn send(&mut self) -> io::Result<()> {
        let next = Vec::with_capacity(CHUNK);
        let chunk = Arc::new(std::mem::replace(&mut self.chunk, next));
        self.tell(|| Message::Bytes(chunk.clone()))?;
        self.sealed.fetch_add(chunk.len() as u64, Ordering::Relaxed);
        Ok(())
    }

    fn tell(&self, message: impl Fn() -> Message) -> io::Result<()> {
        let failed = |_| io::Error::other("a store has failed");
        self.to
            .iter()
            .try_for_each(|store| store.send(message()).map_err(failed))
    }

    /// Sends the rest. All of it has been sent, and none is kept yet.
    pub fn finish(mut self) -> io::Result<Sent> {
        if !self.chunk.is_empty() {
            self.send()?;
        }
        self.tell(|| Message::End)?;
        Ok(Sent {
            size: self.size,
            sha256: crate::model::hex(self.hash.finish().as_ref()),
        })
    }
}

impl Write for Tee {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let room = CHUNK - self.chunk.len();
        let taken = bytes.get(..room.min(bytes.len())).unwrap_or_default();
        self.chunk.extend_from_slice(taken);
        self.hash.update(taken);
        self.size += taken.len() as u64;
        if self.chunk.len() >= CHUNK {
            self.send()?;
        }
        Ok(taken.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

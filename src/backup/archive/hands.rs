//! The threads that make small files. Making a file takes the kernel longer than decrypting it, and
//! two threads in two directories do not wait for each other.

use std::ffi::CString;
use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use bytes::Bytes;

use super::beneath::{Attributes, Dir, dress_file};
use super::extract::ExtractError;
use super::read::shown;

/// Jobs that are handed over at once: waking a thread costs as much as making a file.
const BATCH: usize = 32;
/// Bytes in a batch, at most: they hold memory.
const BATCH_BYTES: usize = 256 << 10;
/// Batches that wait for one thread.
const WAITING: usize = 4;

pub enum Job {
    File {
        dir: Arc<Dir>,
        name: CString,
        data: Vec<Bytes>,
        attributes: Attributes,
    },
    Symlink {
        dir: Arc<Dir>,
        name: CString,
        target: CString,
        attributes: Attributes,
    },
    Hardlink {
        dir: Arc<Dir>,
        name: CString,
        from: Arc<Dir>,
        old: CString,
    },
}

impl Job {
    fn name(&self) -> &CString {
        match self {
            Job::File { name, .. } | Job::Symlink { name, .. } | Job::Hardlink { name, .. } => name,
        }
    }

    fn bytes(&self) -> usize {
        match self {
            Job::File { data, .. } => data.iter().map(Bytes::len).sum(),
            _ => 0,
        }
    }

    fn carry_out(&self, umask: u32) -> io::Result<()> {
        match self {
            Job::File {
                dir,
                name,
                data,
                attributes,
            } => {
                let mut file = dir.create(name, attributes.mode & 0o777)?;
                for piece in data {
                    file.write_all(piece)?;
                }
                dress_file(&file, attributes, umask)
            }
            Job::Symlink {
                dir,
                name,
                target,
                attributes,
            } => {
                dir.symlink(name, target)?;
                dir.dress_link(name, attributes)
            }
            Job::Hardlink {
                dir,
                name,
                from,
                old,
            } => dir.hardlink(name, from, old),
        }
    }
}

#[derive(Default)]
struct Shared {
    has_failed: AtomicBool,
    error: Mutex<Option<ExtractError>>,
    /// Links whose target another thread had not made yet.
    late: Mutex<Vec<Job>>,
}

impl Shared {
    fn fail(&self, error: ExtractError) {
        let mut first = self.error.lock().unwrap_or_else(PoisonError::into_inner);
        first.get_or_insert(error);
        self.has_failed.store(true, Ordering::SeqCst);
    }
}

pub struct Hands {
    lines: Vec<Line>,
    shared: Arc<Shared>,
    umask: u32,
}

/// What is handed to one thread.
struct Line {
    sender: Option<SyncSender<Vec<Job>>>,
    thread: Option<JoinHandle<()>>,
    batch: Vec<Job>,
    bytes: usize,
}

impl Hands {
    pub fn new(threads: usize, umask: u32) -> io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let mut lines = Vec::new();
        for _ in 0..threads.max(1) {
            let (sender, receiver) = sync_channel(WAITING);
            let shared = shared.clone();
            let thread = std::thread::Builder::new()
                .name("restore-files".into())
                .spawn(move || work(&receiver, &shared, umask))?;
            lines.push(Line {
                sender: Some(sender),
                thread: Some(thread),
                batch: Vec::with_capacity(BATCH),
                bytes: 0,
            });
        }
        Ok(Hands {
            lines,
            shared,
            umask,
        })
    }

    /// Hands a job over. `place` is the number of the directory where the name lies that must be
    /// there first: what is said for one place is done in order.
    pub fn give(&mut self, place: u32, job: Job) -> Result<(), ExtractError> {
        let which = place as usize % self.lines.len();
        let Some(line) = self.lines.get_mut(which) else {
            return Ok(());
        };
        line.bytes += job.bytes();
        line.batch.push(job);
        if line.batch.len() >= BATCH || line.bytes >= BATCH_BYTES {
            line.send();
            return self.check();
        }
        Ok(())
    }

    /// Hands over what waits for its batch to be full: it holds memory that others wait for.
    pub fn flush(&mut self) -> Result<(), ExtractError> {
        for line in &mut self.lines {
            line.send();
        }
        self.check()
    }

    /// The first thing that went wrong, if anything did.
    pub fn check(&self) -> Result<(), ExtractError> {
        if !self.shared.has_failed.load(Ordering::Relaxed) {
            return Ok(());
        }
        let mut error = self
            .shared
            .error
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        Err(error
            .take()
            .unwrap_or_else(|| ExtractError::Refused("writing has failed before".into())))
    }

    /// Waits until everything is made.
    pub fn finish(&mut self) -> Result<(), ExtractError> {
        self.end();
        self.check()?;
        let late = std::mem::take(
            &mut *self
                .shared
                .late
                .lock()
                .unwrap_or_else(PoisonError::into_inner),
        );
        for job in late {
            job.carry_out(self.umask).map_err(|e| failed(&job, e))?;
        }
        Ok(())
    }

    fn end(&mut self) {
        for line in &mut self.lines {
            line.send();
            line.sender = None;
        }
        for line in &mut self.lines {
            if let Some(thread) = line.thread.take()
                && thread.join().is_err()
            {
                self.shared
                    .fail(ExtractError::Refused("a writing thread panicked".into()));
            }
        }
    }
}

impl Drop for Hands {
    fn drop(&mut self) {
        // What is still in line need not be made any more.
        self.shared.has_failed.store(true, Ordering::SeqCst);
        self.end();
    }
}

impl Line {
    fn send(&mut self) {
        if self.batch.is_empty() {
            return;
        }
        let batch = std::mem::replace(&mut self.batch, Vec::with_capacity(BATCH));
        self.bytes = 0;
        if let Some(sender) = &self.sender {
            // Its thread ends only after us, or by a panic, which `end` tells.
            let _ = sender.send(batch);
        }
    }
}

fn work(receiver: &Receiver<Vec<Job>>, shared: &Shared, umask: u32) {
    for batch in receiver {
        for job in batch {
            // After a failure the line is emptied, so that who fills it does not wait.
            if shared.has_failed.load(Ordering::Relaxed) {
                break;
            }
            match job.carry_out(umask) {
                Ok(()) => {}
                Err(e) if e.kind() == io::ErrorKind::NotFound && is_link(&job) => shared
                    .late
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .push(job),
                Err(e) => shared.fail(failed(&job, e)),
            }
        }
    }
}

fn is_link(job: &Job) -> bool {
    matches!(job, Job::Hardlink { .. })
}

fn failed(job: &Job, error: io::Error) -> ExtractError {
    let name = shown(job.name().as_bytes());
    match (job, error.kind()) {
        (Job::Hardlink { old, .. }, io::ErrorKind::NotFound) => ExtractError::Refused(format!(
            "{name} is another name for {}, which is not in the archive before it",
            shown(old.as_bytes())
        )),
        (_, io::ErrorKind::AlreadyExists) => ExtractError::twice(&name),
        _ => ExtractError::Write {
            name,
            bytes: job.bytes() as u64,
            source: error,
        },
    }
}

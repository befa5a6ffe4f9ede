//! Ciphertext, counted and hashed as it passes.

use std::io::{self, Read, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use aws_lc_rs::digest;

/// The ciphertext as a whole, as it is stored (armor included).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ciphertext {
    pub bytes: u64,
    /// Where it was asked for.
    pub sha256: Option<[u8; 32]>,
}

/// What has passed a [`Tap`], for those who look on.
#[derive(Clone)]
pub(super) struct Meter {
    count: Arc<AtomicU64>,
    hash: Option<Arc<Mutex<digest::Context>>>,
}

impl Meter {
    pub(super) fn new(hash: bool) -> Self {
        Self {
            count: Arc::default(),
            hash: hash.then(|| Arc::new(Mutex::new(digest::Context::new(&digest::SHA256)))),
        }
    }

    pub(super) fn bytes(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }

    /// Of all that has passed so far.
    pub(super) fn total(&self) -> Ciphertext {
        let sha256 = self.hash.as_ref().and_then(|hash| {
            let hash = hash.lock().unwrap_or_else(PoisonError::into_inner).clone();
            hash.finish().as_ref().try_into().ok()
        });
        Ciphertext {
            bytes: self.bytes(),
            sha256,
        }
    }

    fn passed(&self, bytes: &[u8]) {
        self.count.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        if let Some(hash) = &self.hash {
            hash.lock()
                .unwrap_or_else(PoisonError::into_inner)
                .update(bytes);
        }
    }
}

/// Counts, and hashes where asked to, what is read through it or written through it.
pub(super) struct Tap<T> {
    inner: T,
    meter: Meter,
}

impl<T> Tap<T> {
    pub(super) fn new(inner: T, meter: Meter) -> Self {
        Self { inner, meter }
    }

    pub(super) fn into_inner(self) -> T {
        self.inner
    }
}

impl<R: Read> Read for Tap<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        // A reader that claims more than there was room for is refused, not believed.
        let Some(bytes) = buffer.get(..read) else {
            return Err(io::Error::other("the input claims more bytes than it gave"));
        };
        self.meter.passed(bytes);
        Ok(read)
    }
}

impl<W: Write> Write for Tap<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        let Some(bytes) = bytes.get(..written) else {
            return Err(io::Error::other("the output claims more bytes than it got"));
        };
        self.meter.passed(bytes);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

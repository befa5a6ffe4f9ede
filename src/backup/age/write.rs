//! Encryption, beside whoever writes: one thread seals and writes, while the next segment is filled.
//! Plaintext is copied once, to the place where it is sealed and written from.

use std::fmt;
use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::thread::{self, JoinHandle};

use age::armor::{ArmoredWriter, Format};

use super::AgeError;
use super::recipients::Recipients;
use super::stream::{CHUNK, Cipher, SEALED, SEGMENT, TAG, TOGETHER};
use super::tap::{Ciphertext, Meter, Tap};

/// How to write.
#[derive(Clone, Copy, Debug, Default)]
pub struct EncryptOptions {
    /// As text (`-----BEGIN AGE ENCRYPTED FILE-----`), a third larger.
    pub armor: bool,
    /// Hash the ciphertext as it passes.
    pub hash: bool,
}

/// Encrypts what is written to it. [`EncryptWriter::finish`] must be called, or the file is
/// truncated and will not open.
///
/// When it is dropped before, what it has not yet written stays unwritten, and after the drop
/// nothing is written any more.
pub struct EncryptWriter<W: Write + Send + 'static> {
    /// `None` once the last segment was sent.
    segments: Option<SyncSender<Segment>>,
    /// Buffers that come back.
    empty: Receiver<Vec<u8>>,
    /// `None` once it was waited for.
    thread: Option<JoinHandle<Result<W, AgeError>>>,
    abandoned: Arc<AtomicBool>,
    meter: Meter,
    /// Filled chunk by chunk, with room for each one's seal behind it.
    buffer: Vec<u8>,
    chunk: usize,
    filled: usize,
    failed: Option<String>,
}

/// Chunks to seal: full ones, but for the last in the buffer.
struct Segment {
    buffer: Vec<u8>,
    /// With the room for the seals.
    length: usize,
    /// Its last chunk is the file's last.
    last: bool,
}

impl<W: Write + Send + 'static> EncryptWriter<W> {
    /// Writes the header at once.
    ///
    /// # Errors
    /// When writing it fails, a plugin does, or the recipients may not stand side by side.
    pub fn new(recipients: &Recipients, out: W) -> Result<Self, AgeError> {
        Self::with(recipients, out, EncryptOptions::default())
    }

    /// As [`EncryptWriter::new`].
    ///
    /// # Errors
    /// The same, and when no thread can be started.
    pub fn with(
        recipients: &Recipients,
        out: W,
        options: EncryptOptions,
    ) -> Result<Self, AgeError> {
        let meter = Meter::new(options.hash);
        let (head, key) = recipients.seal()?;
        let cipher = Cipher::new(&key)?;
        let tap = Tap::new(out, meter.clone());
        let mut out = if options.armor {
            Out::Armored(ArmoredWriter::wrap_output(tap, Format::AsciiArmor)?)
        } else {
            Out::Binary(tap)
        };
        out.write_all(&head)?;
        // One is filled, one waits, one is sealed and written: three buffers in all.
        let (segments, filled) = sync_channel(1);
        let (recycle, empty) = channel();
        for _ in 0..2 {
            // The receiver is right here.
            let _ = recycle.send(vec![0; SEGMENT]);
        }
        let abandoned = Arc::new(AtomicBool::new(false));
        let theirs = abandoned.clone();
        let thread = thread::Builder::new()
            .name("age-encrypt".into())
            .spawn(move || seal(&cipher, out, &filled, &recycle, &theirs))?;
        Ok(Self {
            segments: Some(segments),
            empty,
            thread: Some(thread),
            abandoned,
            meter,
            buffer: vec![0; SEGMENT],
            chunk: 0,
            filled: 0,
            failed: None,
        })
    }

    /// How many bytes of ciphertext were written so far.
    pub fn ciphertext_bytes(&self) -> u64 {
        self.meter.bytes()
    }

    /// Seals the last chunk, writes all that is left, and gives the output back.
    ///
    /// # Errors
    /// When writing failed, now or before.
    pub fn finish(self) -> Result<W, AgeError> {
        Ok(self.finish_with_total()?.0)
    }

    /// As [`EncryptWriter::finish`], with the size and the hash of what was written.
    ///
    /// # Errors
    /// The same.
    pub fn finish_with_total(mut self) -> Result<(W, Ciphertext), AgeError> {
        self.send(true)?;
        self.segments = None;
        let out = self.wait()?;
        Ok((out, self.meter.total()))
    }

    /// Hands over what is filled, and gets an empty buffer for it.
    fn send(&mut self, last: bool) -> Result<(), AgeError> {
        if let Some(text) = &self.failed {
            return Err(AgeError::Other(format!("writing failed before: {text}")));
        }
        let segment = Segment {
            buffer: std::mem::take(&mut self.buffer),
            length: self.chunk * SEALED + self.filled + TAG,
            last,
        };
        let sent = self
            .segments
            .as_ref()
            .is_some_and(|segments| segments.send(segment).is_ok());
        if sent && last {
            return Ok(());
        }
        (self.chunk, self.filled) = (0, 0);
        if sent && let Ok(buffer) = self.empty.recv() {
            self.buffer = buffer;
            return Ok(());
        }
        // The thread is gone, which it is only when it has failed.
        let error = match self.wait() {
            Err(error) => error,
            Ok(_) => AgeError::Other("the thread that encrypts ended early: this is a bug".into()),
        };
        self.failed = Some(error.to_string());
        Err(error)
    }

    fn wait(&mut self) -> Result<W, AgeError> {
        match self.thread.take().map(JoinHandle::join) {
            Some(Ok(result)) => result,
            Some(Err(_)) => Err(AgeError::Other(
                "the thread that encrypts has panicked: this is a bug".into(),
            )),
            None => Err(AgeError::Other("it has ended already".into())),
        }
    }
}

impl<W: Write + Send + 'static> Write for EncryptWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if bytes.is_empty() {
            return Ok(0);
        }
        // A full chunk waits until it is known not to be the last.
        if self.filled == CHUNK {
            if self.chunk + 1 == TOGETHER {
                self.send(false)?;
            } else {
                self.chunk += 1;
                self.filled = 0;
            }
        }
        let count = bytes.len().min(CHUNK - self.filled);
        let start = self.chunk * SEALED + self.filled;
        let (Some(from), Some(to)) = (
            bytes.get(..count),
            self.buffer.get_mut(start..start + count),
        ) else {
            // Its buffer went with the thread that failed.
            self.send(false)?;
            return Err(io::Error::other("there is no buffer: this is a bug"));
        };
        to.copy_from_slice(from);
        self.filled += count;
        Ok(count)
    }

    /// Nothing to do: a chunk that is not full is sealed only at the end.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<W: Write + Send + 'static> Drop for EncryptWriter<W> {
    fn drop(&mut self) {
        self.abandoned.store(true, Ordering::SeqCst);
        self.segments = None;
        if let Some(thread) = self.thread.take() {
            // Its outcome is nobody's any more.
            let _ = thread.join();
        }
    }
}

impl<W: Write + Send + 'static> fmt::Debug for EncryptWriter<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EncryptWriter").finish_non_exhaustive()
    }
}

/// What the thread does.
fn seal<W: Write>(
    cipher: &Cipher,
    mut out: Out<W>,
    segments: &Receiver<Segment>,
    recycle: &Sender<Vec<u8>>,
    abandoned: &AtomicBool,
) -> Result<W, AgeError> {
    let mut counter = 0;
    while let Ok(mut segment) = segments.recv() {
        if abandoned.load(Ordering::SeqCst) {
            break;
        }
        let bytes = segment.buffer.get_mut(..segment.length).unwrap_or_default();
        let count = bytes.len().div_ceil(SEALED);
        for (index, chunk) in bytes.chunks_mut(SEALED).enumerate() {
            cipher.seal(counter, segment.last && index + 1 == count, chunk)?;
            counter += 1;
        }
        out.write_all(bytes)?;
        if segment.last {
            return Ok(out.finish()?);
        }
        // Nobody there: the writer is being dropped.
        let _ = recycle.send(segment.buffer);
    }
    Err(AgeError::Other("encryption was abandoned".into()))
}

enum Out<W: Write> {
    Binary(Tap<W>),
    Armored(ArmoredWriter<Tap<W>>),
}

impl<W: Write> Out<W> {
    fn finish(self) -> io::Result<W> {
        let tap = match self {
            Self::Binary(out) => out,
            Self::Armored(out) => out.finish()?,
        };
        Ok(tap.into_inner())
    }
}

impl<W: Write> Write for Out<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Binary(out) => out.write(bytes),
            Self::Armored(out) => out.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Binary(out) => out.flush(),
            Self::Armored(out) => out.flush(),
        }
    }
}

//! Encryption.

use std::io::{self, Write};

use age::armor::{ArmoredWriter, Format};

use super::AgeError;
use super::recipients::Recipients;
use super::stream::{CHUNK, Cipher, TAG};
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
pub struct EncryptWriter<W: Write + Send + 'static> {
    out: Out<W>,
    meter: Meter,
    cipher: Cipher,
    chunk: Vec<u8>,
    counter: u64,
}

enum Out<W: Write> {
    Binary(Tap<W>),
    Armored(ArmoredWriter<Tap<W>>),
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

impl<W: Write> Out<W> {
    fn finish(self) -> io::Result<W> {
        Ok(match self {
            Self::Binary(out) => out,
            Self::Armored(out) => out.finish()?,
        }
        .into_inner())
    }
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
    /// The same.
    pub fn with(
        recipients: &Recipients,
        out: W,
        options: EncryptOptions,
    ) -> Result<Self, AgeError> {
        let meter = Meter::new(options.hash);
        let tap = Tap::new(out, meter.clone());
        let mut out = if options.armor {
            Out::Armored(ArmoredWriter::wrap_output(tap, Format::AsciiArmor)?)
        } else {
            Out::Binary(tap)
        };
        let (head, key) = recipients.seal()?;
        out.write_all(&head)?;
        Ok(Self {
            out,
            meter,
            cipher: Cipher::new(&key)?,
            chunk: Vec::with_capacity(CHUNK + TAG),
            counter: 0,
        })
    }

    fn seal(&mut self, last: bool) -> io::Result<()> {
        self.chunk.resize(self.chunk.len() + TAG, 0);
        self.cipher.seal(self.counter, last, &mut self.chunk)?;
        self.out.write_all(&self.chunk)?;
        self.counter += 1;
        self.chunk.clear();
        Ok(())
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
        self.seal(true)?;
        let out = self.out.finish()?;
        Ok((out, self.meter.total()))
    }
}

impl<W: Write + Send + 'static> Write for EncryptWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // A full chunk waits until it is known not to be the last.
        if self.chunk.len() == CHUNK && !bytes.is_empty() {
            self.seal(false)?;
        }
        let count = bytes.len().min(CHUNK - self.chunk.len());
        self.chunk
            .extend_from_slice(bytes.get(..count).unwrap_or_default());
        Ok(count)
    }

    /// Nothing to do: a chunk that is not full is sealed only at the end.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

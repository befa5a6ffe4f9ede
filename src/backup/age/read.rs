//! Decryption, ahead of whoever reads.

use std::io::{self, BufRead, Read};

use super::AgeError;
use super::header::{Head, Unarmored};
use super::identities::Identities;
use super::stream::{Cipher, Opened, SEALED, SEGMENT, TOGETHER, open_segment};
use super::tap::{Ciphertext, Meter, Tap};

/// How to read.
#[derive(Clone, Copy, Debug, Default)]
pub struct DecryptOptions {
    /// Hash the ciphertext as it passes.
    pub hash: bool,
    /// On how many threads; 0: as many as there are cores, up to 4.
    pub threads: usize,
}

/// Decrypts ahead of the reader, on threads of its own. Binary or armored input. An error, also a
/// missing end, comes from `read`; bytes that were read before it are authentic but the whole is
/// not, so they may be used only once `read` has returned 0.
pub struct DecryptReader {
    input: Input,
    cipher: Cipher,
    meter: Meter,
    buffer: Vec<u8>,
    opened: Opened,
    chunk: usize,
    position: usize,
    ended: bool,
}

impl DecryptReader {
    /// Reads the header and opens it.
    ///
    /// # Errors
    /// When reading fails, it is no age file, its header is wrong, or no identity fits.
    pub fn new(input: Box<dyn Read + Send>, identities: &Identities) -> Result<Self, AgeError> {
        Self::open(input, identities, DecryptOptions::default())
    }

    /// As [`DecryptReader::new`].
    ///
    /// # Errors
    /// The same.
    pub fn open(
        input: Box<dyn Read + Send>,
        identities: &Identities,
        options: DecryptOptions,
    ) -> Result<Self, AgeError> {
        let meter = Meter::new(options.hash);
        let mut source = Unarmored::begin(Tap::new(input, meter.clone()))?;
        let head = Head::read(&mut source)?;
        let cipher = Cipher::new(&head.open(identities)?)?;
        Ok(Self {
            input: Input {
                beyond: io::Cursor::new(head.beyond),
                source,
                carry: None,
                segments: 0,
            },
            cipher,
            meter,
            buffer: vec![0; SEGMENT + 1],
            opened: Opened::default(),
            chunk: 0,
            position: 0,
            ended: false,
        })
    }

    /// How many bytes of ciphertext were read so far, armor included.
    pub fn ciphertext_bytes(&self) -> u64 {
        self.meter.bytes()
    }

    /// The ciphertext as a whole, once `read` has returned 0.
    pub fn ciphertext(&self) -> Option<Ciphertext> {
        self.ended.then(|| self.meter.total())
    }
}

/// The payload's ciphertext, in segments.
struct Input {
    beyond: io::Cursor<Vec<u8>>,
    source: Unarmored<Tap<Box<dyn Read + Send>>>,
    /// The byte after the last segment: that it exists shows that the segment was not the last.
    carry: Option<u8>,
    segments: u64,
}

impl Input {
    /// Fills `buffer`, which has a byte more than a segment. The number of its first chunk, its
    /// length, and whether it is the last.
    fn next(&mut self, buffer: &mut [u8]) -> io::Result<(u64, usize, bool)> {
        let mut filled = 0;
        if let (Some(carry), Some(first)) = (self.carry.take(), buffer.first_mut()) {
            *first = carry;
            filled = 1;
        }
        while let Some(room) = buffer.get_mut(filled..).filter(|room| !room.is_empty()) {
            let read = match self.beyond.read(room)? {
                0 => match self.source.read(room) {
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                    other => other?,
                },
                read => read,
            };
            if read == 0 {
                break;
            }
            filled += read;
        }
        let number = self.segments * TOGETHER as u64;
        self.segments += 1;
        if filled > SEGMENT {
            self.carry = buffer.get(SEGMENT).copied();
            Ok((number, SEGMENT, false))
        } else {
            Ok((number, filled, true))
        }
    }
}

impl Read for DecryptReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let ready = self.fill_buf()?;
        let count = ready.len().min(buffer.len());
        if let (Some(from), Some(to)) = (ready.get(..count), buffer.get_mut(..count)) {
            to.copy_from_slice(from);
        }
        self.consume(count);
        Ok(count)
    }
}

/// Without a copy: what `fill_buf` gives lies where it was decrypted.
impl BufRead for DecryptReader {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        while self.chunk >= self.opened.chunks {
            if let Some(failure) = self.opened.failure.take() {
                return Err(failure.into());
            }
            if self.ended {
                return Ok(&[]);
            }
            let (number, length, ends) = self.input.next(&mut self.buffer)?;
            self.ended = ends;
            let sealed = self.buffer.get_mut(..length).unwrap_or_default();
            self.opened = open_segment(&self.cipher, number, sealed, ends);
            (self.chunk, self.position) = (0, 0);
            if self.opened.range(0).is_empty() {
                self.chunk = self.opened.chunks;
            }
        }
        let range = self.opened.range(self.chunk);
        Ok(self
            .buffer
            .get(range.start + self.position..range.end)
            .unwrap_or_default())
    }

    fn consume(&mut self, amount: usize) {
        self.position += amount;
        if self.position >= self.opened.range(self.chunk).len() {
            self.chunk += 1;
            self.position = 0;
        }
    }
}

const _: () = assert!(SEALED * TOGETHER == SEGMENT);

//! Decryption, ahead of whoever reads.
//!
//! All threads do the same: take an empty buffer, read the next segment (one at a time), decrypt it
//! into the buffer (side by side), and put that where the reader finds it in order. So the core that
//! read a segment has it in its cache when it decrypts it, and nobody waits for a hand-over. A
//! segment gets its number only once it has a buffer, so the one that the reader waits for is always
//! under way.

use std::collections::VecDeque;
use std::fmt;
use std::io::{self, BufRead, Read};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

use super::AgeError;
use super::header::{Head, Unarmored};
use super::identities::Identities;
use super::stream::{Cipher, Opened, PLAIN, SEGMENT, TOGETHER, open_segment};
use super::tap::{Ciphertext, Meter, Tap};

/// More cores than this have nothing to do: reading is one after the other.
const MAX_THREADS: usize = 4;

/// How to read.
#[derive(Clone, Copy, Debug, Default)]
pub struct DecryptOptions {
    /// Hash the ciphertext as it passes.
    pub hash: bool,
    /// On how many threads; 0: as many as there are cores, up to 4.
    pub threads: usize,
}

/// Decrypts ahead of the reader, on threads of its own (three megabytes of memory for each, and two
/// more). Binary or armored input. An error, also a missing end, comes from `read`; bytes that were
/// read before it are authentic but the whole is not, so they may be used only once `read` has
/// returned 0. After an error, every further `read` is one.
///
/// When it is dropped, its threads end, each at the latest when the input's `read` that it is in
/// returns.
pub struct DecryptReader {
    shared: Arc<Shared>,
    meter: Meter,
    segment: Segment,
    position: usize,
    end: End,
}

/// How the reader's side stands.
enum End {
    NotYet,
    Reached,
    Failed(io::ErrorKind, String),
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
    /// The same, and when no thread can be started.
    pub fn open(
        input: Box<dyn Read + Send>,
        identities: &Identities,
        options: DecryptOptions,
    ) -> Result<Self, AgeError> {
        let meter = Meter::new(options.hash);
        let mut source = Unarmored::begin(Tap::new(input, meter.clone()))?;
        let head = Head::read(&mut source)?;
        let cipher = Cipher::new(&head.open(identities)?)?;
        let threads = match options.threads {
            0 => thread::available_parallelism().map_or(1, usize::from),
            threads => threads,
        }
        .min(MAX_THREADS);
        let input = Input {
            beyond: io::Cursor::new(head.beyond),
            source,
            carry: None,
            segments: 0,
        };
        let buffers = 2 * threads + 2;
        let shared = Arc::new(Shared {
            input: Mutex::new(Some(input)),
            state: Mutex::new(State {
                free: (0..buffers).map(|_| vec![0; PLAIN]).collect(),
                ..State::default()
            }),
            ready: Condvar::new(),
            room: Condvar::new(),
            cipher,
        });
        for started in 0..threads {
            let theirs = shared.clone();
            let thread = thread::Builder::new()
                .name("age-decrypt".into())
                .spawn(move || theirs.work());
            match thread {
                Ok(_) => {}
                // Fewer do as well.
                Err(_) if started > 0 => break,
                Err(error) => return Err(AgeError::Io(error)),
            }
        }
        Ok(Self {
            shared,
            meter,
            segment: Segment::default(),
            position: 0,
            end: End::NotYet,
        })
    }

    /// How many bytes of ciphertext were read so far (ahead of what was decrypted), armor included.
    pub fn ciphertext_bytes(&self) -> u64 {
        self.meter.bytes()
    }

    /// The ciphertext as a whole, once `read` has returned 0.
    pub fn ciphertext(&self) -> Option<Ciphertext> {
        matches!(self.end, End::Reached).then(|| self.meter.total())
    }
}

#[cfg(test)]
impl DecryptReader {
    /// What its threads hold, to see them let go.
    pub(super) fn shared(&self) -> std::sync::Weak<impl Sized + use<>> {
        Arc::downgrade(&self.shared)
    }
}

impl fmt::Debug for DecryptReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DecryptReader").finish_non_exhaustive()
    }
}

impl Drop for DecryptReader {
    fn drop(&mut self) {
        self.shared.state().stop = true;
        self.shared.room.notify_all();
    }
}

/// A part of the payload's plaintext.
#[derive(Default)]
struct Segment {
    buffer: Vec<u8>,
    opened: Opened,
    /// Nothing follows it.
    ends: bool,
}

/// What the reader and the threads have in common.
struct Shared {
    /// `None` once its end was reached or it failed. Never locked while `state` is.
    input: Mutex<Option<Input>>,
    state: Mutex<State>,
    /// A segment is there.
    ready: Condvar,
    /// A buffer is free.
    room: Condvar,
    cipher: Cipher,
}

#[derive(Default)]
struct State {
    free: Vec<Vec<u8>>,
    /// Segments from number `next` on; `None` is still under way.
    done: VecDeque<Option<Segment>>,
    /// The number of the segment that the reader wants.
    next: u64,
    /// No more segments are to be begun.
    stop: bool,
    /// A thread died and left its segment undone.
    broken: bool,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What each thread does.
    fn work(&self) {
        let _last_will = LastWill(self);
        let mut sealed = vec![0; SEGMENT + 1];
        while let Some(mut buffer) = self.free_buffer() {
            let mut input = self.input.lock().unwrap_or_else(PoisonError::into_inner);
            let Some(reading) = input.as_mut() else {
                return;
            };
            let number = reading.segments;
            let read = reading.next(&mut sealed);
            if !matches!(&read, Ok((_, false))) {
                *input = None;
            }
            drop(input);
            let segment = match read {
                Ok((length, ends)) => {
                    let sealed = sealed.get(..length).unwrap_or_default();
                    let first = number * TOGETHER as u64;
                    let opened = open_segment(&self.cipher, first, sealed, &mut buffer, ends);
                    Segment {
                        buffer,
                        opened,
                        ends,
                    }
                }
                Err(error) => Segment {
                    opened: Opened {
                        failure: Some(error.into()),
                        ..Opened::default()
                    },
                    ..Segment::default()
                },
            };
            self.deliver(number, segment);
        }
    }

    /// Waits for a buffer. `None`: there is nothing more to do.
    fn free_buffer(&self) -> Option<Vec<u8>> {
        let mut state = self.state();
        loop {
            if state.stop {
                return None;
            }
            if let Some(buffer) = state.free.pop() {
                return Some(buffer);
            }
            state = self
                .room
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn deliver(&self, number: u64, segment: Segment) {
        let mut state = self.state();
        if segment.ends || segment.opened.failure.is_some() {
            // All before it have begun: numbers are given in order.
            state.stop = true;
            self.room.notify_all();
        }
        // A segment is never delivered after the reader has passed it, and never far ahead: there
        // are only so many buffers.
        let index = usize::try_from(number.saturating_sub(state.next)).unwrap_or_default();
        while state.done.len() <= index {
            state.done.push_back(None);
        }
        if let Some(place) = state.done.get_mut(index) {
            *place = Some(segment);
        }
        drop(state);
        self.ready.notify_one();
    }

    /// The next segment in order; `empty` is given back.
    fn next(&self, empty: Vec<u8>) -> io::Result<Segment> {
        let mut state = self.state();
        if !empty.is_empty() {
            state.free.push(empty);
            self.room.notify_one();
        }
        loop {
            if matches!(state.done.front(), Some(Some(_)))
                && let Some(Some(segment)) = state.done.pop_front()
            {
                state.next += 1;
                return Ok(segment);
            }
            if state.broken {
                return Err(io::Error::other(
                    "a thread that decrypts has panicked: this is a bug",
                ));
            }
            state = self
                .ready
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }
}

/// Lets the reader know when a thread dies, or it would wait for ever.
struct LastWill<'a>(&'a Shared);

impl Drop for LastWill<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            let mut state = self.0.state();
            state.broken = true;
            state.stop = true;
            drop(state);
            self.0.room.notify_all();
            self.0.ready.notify_all();
        }
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
    /// Fills `buffer`, which has a byte more than a segment. The segment's length, and whether it
    /// is the last.
    fn next(&mut self, buffer: &mut [u8]) -> io::Result<(usize, bool)> {
        self.segments += 1;
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
                return Ok((filled, true));
            }
            filled += read;
        }
        self.carry = buffer.get(SEGMENT).copied();
        Ok((SEGMENT, false))
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

/// Without a copy: what `fill_buf` gives (up to 1 MiB) lies where it was decrypted.
impl BufRead for DecryptReader {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        while self.position >= self.segment.opened.length {
            match &self.end {
                End::NotYet => {}
                End::Reached => return Ok(&[]),
                End::Failed(kind, text) => return Err(io::Error::new(*kind, text.clone())),
            }
            let next = if let Some(failure) = self.segment.opened.failure.take() {
                Err(failure.into())
            } else if self.segment.ends {
                self.end = End::Reached;
                continue;
            } else {
                let empty = std::mem::take(&mut self.segment.buffer);
                self.shared.next(empty)
            };
            self.position = 0;
            match next {
                Ok(segment) => self.segment = segment,
                Err(error) => {
                    self.segment = Segment::default();
                    self.end = End::Failed(error.kind(), error.to_string());
                    return Err(error);
                }
            }
        }
        let ready = self.position..self.segment.opened.length;
        Ok(self.segment.buffer.get(ready).unwrap_or_default())
    }

    fn consume(&mut self, amount: usize) {
        self.position = self
            .position
            .saturating_add(amount)
            .min(self.segment.opened.length);
    }
}

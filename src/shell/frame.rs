//! What a program says, as frames: `@NONCE KIND NAME STATUS LENGTH`, a newline, that many bytes,
//! a newline.
//!
//! The nonce is drawn by the controller for each program, so that nothing else on the host (a
//! noisy rc file, a banner, a hostile file's content) can pass for a frame. Whatever stands
//! between frames is noise and is dropped. All sizes are bounded.

use std::collections::VecDeque;

/// One thing that a program said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// What sort of thing it is: `section`, `step`, `end`…
    pub kind: String,
    /// Which one: a section's or a step's name. Only `[A-Za-z0-9_.:-]`.
    pub name: String,
    /// How it ended; 0 is well.
    pub status: i32,
    /// What it says. Untrusted.
    pub data: Vec<u8>,
}

impl Frame {
    /// The data as text; bytes that are not UTF-8 become U+FFFD.
    pub fn text(&self) -> std::borrow::Cow<'_, str> {
        String::from_utf8_lossy(&self.data)
    }
}

/// How much a program may say.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes in one frame.
    pub frame: usize,
    /// Bytes in all, noise included.
    pub total: usize,
}

impl Default for Limits {
    fn default() -> Self {
        // A full Debian baseline is some 200 kB; a walk that finds a great many files is cut by
        // the program itself at 256 kB.
        Limits {
            frame: 4 << 20,
            total: 16 << 20,
        }
    }
}

/// Why the stream is no longer believed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    #[error("the host sent more than {0} bytes")]
    TooMuch(usize),
    #[error("the host announced a frame of {length} bytes, more than the {limit} allowed")]
    TooLarge { length: usize, limit: usize },
    #[error("the host sent a frame whose head cannot be read")]
    BadHead,
    #[error("a frame does not end where its length says")]
    BadEnd,
}

/// Cuts a stream of bytes into frames. Feed it as bytes arrive.
pub struct FrameReader {
    mark: Vec<u8>,
    limits: Limits,
    buffer: Vec<u8>,
    seen: usize,
    ready: VecDeque<Frame>,
}

/// The longest head that a program of ours writes, with room to spare.
const HEAD_MAX: usize = 300;

impl FrameReader {
    pub fn new(nonce: &super::Nonce, limits: Limits) -> Self {
        FrameReader {
            mark: format!("\n@{} ", nonce.as_str()).into_bytes(),
            limits,
            // A frame begins a line; so does the stream.
            buffer: vec![b'\n'],
            seen: 0,
            ready: VecDeque::new(),
        }
    }

    /// Takes bytes as they came. After an error the reader must not be used again.
    pub fn push(&mut self, bytes: &[u8]) -> Result<(), FrameError> {
        self.seen = self.seen.saturating_add(bytes.len());
        if self.seen > self.limits.total {
            return Err(FrameError::TooMuch(self.limits.total));
        }
        self.buffer.extend_from_slice(bytes);
        while self.cut()? {}
        Ok(())
    }

    /// The next whole frame, if one has arrived.
    pub fn next_frame(&mut self) -> Option<Frame> {
        self.ready.pop_front()
    }

    /// How many bytes have arrived, noise included.
    pub fn bytes_seen(&self) -> usize {
        self.seen
    }

    /// Cuts one frame off the buffer, or drops noise. Whether there may be more to cut.
    fn cut(&mut self) -> Result<bool, FrameError> {
        let Some(start) = find(&self.buffer, &self.mark) else {
            // Keep what may be the beginning of a mark; drop the rest.
            let keep = self.buffer.len().min(self.mark.len() - 1);
            self.buffer.drain(..self.buffer.len() - keep);
            return Ok(false);
        };
        if start > 0 {
            self.buffer.drain(..start);
        }
        let head_start = self.mark.len();
        let Some(head_len) = self.buffer[head_start..].iter().position(|b| *b == b'\n') else {
            return if self.buffer.len() > head_start + HEAD_MAX {
                Err(FrameError::BadHead)
            } else {
                Ok(false)
            };
        };
        let head = std::str::from_utf8(&self.buffer[head_start..head_start + head_len])
            .map_err(|_| FrameError::BadHead)?;
        let mut words = head.split(' ');
        let (Some(kind), Some(name), Some(status), Some(length), None) = (
            words.next(),
            words.next(),
            words.next(),
            words.next(),
            words.next(),
        ) else {
            return Err(FrameError::BadHead);
        };
        if !is_name(kind) || !is_name(name) {
            return Err(FrameError::BadHead);
        }
        let status: i32 = status.parse().map_err(|_| FrameError::BadHead)?;
        let length: usize = length.parse().map_err(|_| FrameError::BadHead)?;
        if length > self.limits.frame {
            return Err(FrameError::TooLarge {
                length,
                limit: self.limits.frame,
            });
        }
        let data_start = head_start + head_len + 1;
        let data_end = data_start + length;
        if self.buffer.len() <= data_end {
            return Ok(false);
        }
        if self.buffer[data_end] != b'\n' {
            return Err(FrameError::BadEnd);
        }
        let frame = Frame {
            kind: kind.to_owned(),
            name: name.to_owned(),
            status,
            data: self.buffer[data_start..data_end].to_vec(),
        };
        self.ready.push_back(frame);
        // The newline that ended this frame may begin the next one's mark.
        self.buffer.drain(..data_end);
        Ok(true)
    }
}

fn is_name(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= 200
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b':' | b'-'))
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|w| w == needle)
}

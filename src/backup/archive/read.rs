//! Reads a tar stream that a stranger may have made: ustar, old tar, GNU long names, PAX. Only what
//! can be understood whole is let through, and a stream that does not end where it should is an
//! error. Nothing is written here.

mod fields;

use std::io;

use bytes::{Buf, Bytes, BytesMut};

use crate::shell::clean;
use fields::{global, number, pax, signed};

/// Size of a tar block, in bytes.
const BLOCK: usize = 512;
/// Largest extended header, in bytes: long names and their like.
const EXTENDED: u64 = 1 << 20;

/// Where plaintext comes from: pieces of any size, in order. `None` is the end, and only a whole
/// stream has one.
pub trait Pieces {
    fn next_piece(&mut self) -> io::Result<Option<Bytes>>;
}

impl<P: Pieces + ?Sized> Pieces for Box<P> {
    fn next_piece(&mut self) -> io::Result<Option<Bytes>> {
        (**self).next_piece()
    }
}

/// Why a stream can't be read on.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The stream is not what a tar stream may be.
    #[error("{0}")]
    Form(String),
    /// What brings the stream failed, or it ends too early.
    #[error(transparent)]
    Below(#[from] io::Error),
}

fn form(text: impl Into<String>) -> ReadError {
    ReadError::Form(text.into())
}

/// A name from an archive as a person may see it.
pub fn shown(name: &[u8]) -> String {
    clean(&String::from_utf8_lossy(name), 200)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MemberKind {
    File,
    Directory,
    Symlink,
    Hardlink,
}

/// One member, as its headers describe it. Nothing of it is checked but its form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    pub path: Bytes,
    pub kind: MemberKind,
    /// Of its data, in bytes; 0 for all but files.
    pub size: u64,
    /// Permission bits with set-uid, set-gid and sticky.
    pub mode: u32,
    pub uid: u32,
    pub gid: u32,
    /// Seconds since 1970.
    pub mtime: i64,
    /// Nanoseconds beyond `mtime`.
    pub mtime_ns: u32,
    /// Where a link points; else empty.
    pub link: Bytes,
}

/// Members, and the data of each, one after the other.
pub struct TarReader<P> {
    pieces: P,
    rest: Bytes,
    /// Bytes of the stream that were taken so far.
    at: u64,
    /// Data of the present member that was not taken yet.
    left: u64,
    /// Zeros that follow it.
    padding: u64,
}

/// What extended headers say about the member after them.
#[derive(Default)]
struct Extended {
    path: Option<Bytes>,
    link: Option<Bytes>,
    size: Option<u64>,
    uid: Option<u64>,
    gid: Option<u64>,
    mtime: Option<(i64, u32)>,
}

impl<P: Pieces> TarReader<P> {
    pub fn new(pieces: P) -> Self {
        TarReader {
            pieces,
            rest: Bytes::new(),
            at: 0,
            left: 0,
            padding: 0,
        }
    }

    /// Bytes of the stream that were taken so far.
    pub fn position(&self) -> u64 {
        self.at
    }

    /// The next member; what was not taken of the present one's data is passed over. `None`: the
    /// archive's end mark was there, and nothing but zeros came after it.
    pub fn next_member(&mut self) -> Result<Option<Member>, ReadError> {
        while self.piece()?.is_some() {}
        let mut extended = Extended::default();
        let mut any_extended = false;
        loop {
            let start = self.at;
            let block = self.block()?;
            if is_zero(&block) {
                if any_extended {
                    return Err(form("the tar stream ends within a member's headers"));
                }
                self.end()?;
                return Ok(None);
            }
            check_sum(&block, start)?;
            let kind = block[156];
            match kind {
                b'L' | b'K' | b'x' | b'g' => {
                    let size = number(&block[124..136]).ok_or_else(|| {
                        form(format!("the tar header at byte {start} has no size"))
                    })?;
                    if size > EXTENDED {
                        return Err(form(format!(
                            "the extended header at byte {start} has {size} bytes; at most {EXTENDED} are taken"
                        )));
                    }
                    let data = self.exactly(size as usize)?;
                    self.zeros(padding(size))?;
                    match kind {
                        b'L' => extended.path = Some(until_nul(&data)),
                        b'K' => extended.link = Some(until_nul(&data)),
                        b'x' => pax(&data, &mut extended, start)?,
                        _ => global(&data, start)?,
                    }
                    any_extended |= kind != b'g';
                }
                _ => return self.member(&block, extended, start).map(Some),
            }
        }
    }

    /// The next piece of the present member's data; `None` when all of it was taken.
    pub fn piece(&mut self) -> Result<Option<Bytes>, ReadError> {
        if self.left == 0 {
            if self.padding > 0 {
                let padding = std::mem::take(&mut self.padding);
                self.zeros(padding as usize)?;
            }
            return Ok(None);
        }
        self.fill()?;
        let take = (self.left).min(self.rest.len() as u64) as usize;
        let piece = self.rest.split_to(take);
        self.left -= take as u64;
        self.at += take as u64;
        Ok(Some(piece))
    }

    /// All of the present member's data. The caller has looked at its size.
    pub fn whole(&mut self) -> Result<Bytes, ReadError> {
        let data = self.exactly(self.left as usize)?;
        self.left = 0;
        self.piece()?;
        Ok(data)
    }

    fn member(
        &mut self,
        block: &Bytes,
        extended: Extended,
        start: u64,
    ) -> Result<Member, ReadError> {
        let mut path = extended.path.unwrap_or_else(|| plain_path(block));
        let name = || shown(&path);
        let kind = match block[156] {
            // Old tar has no type for directories.
            0 | b'0' | b'7' if path.ends_with(b"/") => MemberKind::Directory,
            0 | b'0' | b'7' => MemberKind::File,
            b'1' => MemberKind::Hardlink,
            b'2' => MemberKind::Symlink,
            b'3' => {
                return Err(form(format!(
                    "{} is a character device; those are refused",
                    name()
                )));
            }
            b'4' => {
                return Err(form(format!(
                    "{} is a block device; those are refused",
                    name()
                )));
            }
            b'5' => MemberKind::Directory,
            b'6' => return Err(form(format!("{} is a FIFO; those are refused", name()))),
            b'S' => {
                return Err(form(format!(
                    "{} is a sparse file (GNU); those are refused",
                    name()
                )));
            }
            b'M' => {
                return Err(form(format!(
                    "{} goes on from another volume; such archives are refused",
                    name()
                )));
            }
            b'V' => {
                return Err(form(format!(
                    "{} is a volume's label; such archives are refused",
                    name()
                )));
            }
            b'D' => {
                return Err(form(format!(
                    "{} is an incremental dump's directory; such archives are refused",
                    name()
                )));
            }
            other => {
                return Err(form(format!(
                    "{} is of the unknown kind {}; what is not known is refused",
                    name(),
                    shown(&[other])
                )));
            }
        };
        let field = |from: usize, to: usize, what: &str| {
            number(&block[from..to]).ok_or_else(|| {
                form(format!(
                    "the tar header at byte {start} ({}) has a bad {what}",
                    name()
                ))
            })
        };
        let small = |value: u64, what: &str| {
            u32::try_from(value).map_err(|_| {
                form(format!(
                    "the tar header at byte {start} ({}) has the {what} {value}",
                    name()
                ))
            })
        };
        let size = match extended.size {
            Some(size) => size,
            None => field(124, 136, "size")?,
        };
        if size > i64::MAX as u64 - BLOCK as u64 {
            return Err(form(format!("{} says that it has {size} bytes", name())));
        }
        let uid = match extended.uid {
            Some(uid) => uid,
            None => field(108, 116, "owner")?,
        };
        let gid = match extended.gid {
            Some(gid) => gid,
            None => field(116, 124, "group")?,
        };
        let (mtime, mtime_ns) = match extended.mtime {
            Some(time) => time,
            None => (
                signed(&block[136..148]).ok_or_else(|| {
                    form(format!(
                        "the tar header at byte {start} ({}) has a bad time",
                        name()
                    ))
                })?,
                0,
            ),
        };
        if kind != MemberKind::File && size != 0 {
            return Err(form(format!(
                "{} is a link or directory, and yet has {size} bytes of data",
                name()
            )));
        }
        let is_link = matches!(kind, MemberKind::Symlink | MemberKind::Hardlink);
        let link = match extended.link {
            Some(link) if is_link => link,
            None if is_link => until_nul(&block.slice(157..257)),
            _ => Bytes::new(),
        };
        let (uid, gid) = (small(uid, "owner")?, small(gid, "group")?);
        let mode = (field(100, 108, "mode")? & 0o7777) as u32;
        if kind == MemberKind::Directory {
            while path.ends_with(b"/") && path.len() > 1 {
                path.truncate(path.len() - 1);
            }
        }
        self.left = size;
        self.padding = padding(size) as u64;
        Ok(Member {
            path,
            kind,
            size,
            mode,
            uid,
            gid,
            mtime,
            mtime_ns,
            link,
        })
    }

    /// After the first block of zeros: one more, then zeros to the stream's end.
    fn end(&mut self) -> Result<(), ReadError> {
        let block = self.block()?;
        if !is_zero(&block) {
            return Err(form(format!(
                "a single block of zeros stands at byte {}, where a member or two of them belong",
                self.at - 2 * BLOCK as u64
            )));
        }
        loop {
            if !is_zero(&self.rest) {
                return Err(form(format!(
                    "something follows after the tar stream's end (byte {})",
                    self.at
                )));
            }
            self.at += self.rest.len() as u64;
            match self.pieces.next_piece()? {
                Some(piece) => self.rest = piece,
                None => {
                    self.rest = Bytes::new();
                    return Ok(());
                }
            }
        }
    }

    /// Sees to it that something is there to be taken.
    fn fill(&mut self) -> Result<(), ReadError> {
        while self.rest.is_empty() {
            self.rest = self.pieces.next_piece()?.ok_or_else(|| {
                io::Error::new(
                    io::ErrorKind::UnexpectedEof,
                    format!("the tar stream is cut off after {} bytes", self.at),
                )
            })?;
        }
        Ok(())
    }

    fn exactly(&mut self, count: usize) -> Result<Bytes, ReadError> {
        if self.rest.len() >= count {
            self.at += count as u64;
            return Ok(self.rest.split_to(count));
        }
        // Not reserved beforehand: the count is what a header says.
        let mut all = BytesMut::new();
        while all.len() < count {
            self.fill()?;
            let take = (count - all.len()).min(self.rest.len());
            all.extend_from_slice(&self.rest[..take]);
            self.rest.advance(take);
            self.at += take as u64;
        }
        Ok(all.freeze())
    }

    fn block(&mut self) -> Result<Bytes, ReadError> {
        self.exactly(BLOCK)
    }

    /// Padding is not looked at: some programs leave there what was in their buffer.
    fn zeros(&mut self, count: usize) -> Result<(), ReadError> {
        self.exactly(count).map(drop)
    }
}

fn padding(size: u64) -> usize {
    ((BLOCK as u64 - size % BLOCK as u64) % BLOCK as u64) as usize
}

fn is_zero(bytes: &[u8]) -> bool {
    let (words, rest) = bytes.as_chunks::<16>();
    words.iter().all(|word| u128::from_ne_bytes(*word) == 0) && rest.iter().all(|byte| *byte == 0)
}

fn until_nul(bytes: &Bytes) -> Bytes {
    let end = bytes.iter().position(|b| *b == 0).unwrap_or(bytes.len());
    bytes.slice(..end)
}

/// The name in the header itself: ustar has a prefix for it, GNU tar does not.
fn plain_path(block: &Bytes) -> Bytes {
    let name = until_nul(&block.slice(0..100));
    let is_ustar = &block[257..263] == b"ustar\0";
    let prefix = until_nul(&block.slice(345..500));
    if !is_ustar || prefix.is_empty() {
        // Not a view of the piece: a name that is kept would keep a megabyte.
        return Bytes::copy_from_slice(&name);
    }
    let mut path = BytesMut::with_capacity(256);
    path.extend_from_slice(&prefix);
    path.extend_from_slice(b"/");
    path.extend_from_slice(&name);
    path.freeze()
}

/// The sum of a header's bytes, its own field taken as blanks. Old programs took bytes as signed.
fn check_sum(block: &Bytes, start: u64) -> Result<(), ReadError> {
    let said = number(&block[148..156]);
    let (mut plain, mut signed) = (0u64, 0i64);
    for byte in block.iter() {
        plain += u64::from(*byte);
        signed += i64::from(*byte as i8);
    }
    for byte in &block[148..156] {
        plain -= u64::from(*byte);
        signed -= i64::from(*byte as i8);
    }
    let blanks = 8 * u64::from(b' ');
    match said {
        Some(sum) if sum == plain + blanks || sum as i64 == signed + blanks as i64 => Ok(()),
        _ => Err(form(format!(
            "no tar header stands at byte {start}, where one belongs (its checksum is wrong)"
        ))),
    }
}

/// Whether a block can be the beginning of a tar stream: a header, or the end mark of an empty one.
pub fn looks_like_tar(beginning: &[u8]) -> bool {
    match beginning.get(..BLOCK) {
        Some(block) if is_zero(block) => beginning.get(BLOCK..2 * BLOCK).is_some_and(is_zero),
        Some(block) => check_sum(&Bytes::copy_from_slice(block), 0).is_ok(),
        None => false,
    }
}

#[cfg(test)]
mod tests;

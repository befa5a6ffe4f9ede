//! Writing an archive: entries as they come, hashed while they are copied, and the manifest last.

use std::io::{self, Read, Write};

use aws_lc_rs::digest::{Context, SHA256};

use super::header::{BLOCK, Type, put};
use super::{
    ArchiveHeader, Entry, EntryKind, HEADER, MANIFEST, Manifest, ManifestError, ManifestWriter,
    Meta, PART, escape,
};
use crate::backup::Progress;
use std::sync::atomic::Ordering;

/// Files up to this size, in bytes, are read whole before their size is said.
const BUFFER: usize = 1 << 20;

/// Why an archive can't be gone on with.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    #[error("stopped, as was asked")]
    Stopped,
    /// Of a stream. A file that can't be read is no reason to end: see [`Stored::error`].
    #[error("reading: {0}")]
    Source(io::Error),
    #[error("writing: {0}")]
    Sink(io::Error),
    #[error(transparent)]
    Manifest(#[from] ManifestError),
}

/// What became of a file's content.
#[derive(Debug, Default)]
pub struct Stored {
    /// Bytes in the archive.
    pub size: u64,
    /// Of those, bytes that were read; the rest are zeros.
    pub read: u64,
    /// There was more than was announced; it is not in the archive.
    pub cut: bool,
    /// Why it could not be read to its end.
    pub error: Option<io::Error>,
}

/// Writes a tar archive and its manifest. Errors leave it useless: drop it.
pub struct ArchiveWriter<'a, W: Write> {
    out: W,
    manifest: ManifestWriter,
    files: u64,
    progress: &'a Progress,
    block: Vec<u8>,
    buffer: Vec<u8>,
}

impl<'a, W: Write> ArchiveWriter<'a, W> {
    /// Begins an archive with its header.
    pub fn new(
        out: W,
        header: &ArchiveHeader,
        mtime: i64,
        progress: &'a Progress,
    ) -> Result<Self, WriteError> {
        let mut writer = ArchiveWriter {
            out,
            manifest: ManifestWriter::new(),
            files: 0,
            progress,
            block: Vec::new(),
            buffer: vec![0; BUFFER],
        };
        let json = serde_json::to_vec_pretty(header)
            .map_err(|error| WriteError::Sink(io::Error::from(error)))?;
        writer.begin(
            Type::File,
            HEADER.as_bytes(),
            b"",
            ours(mtime),
            json.len() as u64,
        )?;
        writer.bytes(&json)?;
        writer.pad(json.len() as u64)?;
        Ok(writer)
    }

    pub fn directory(&mut self, path: &[u8], meta: Meta) -> Result<(), WriteError> {
        self.begin(Type::Directory, path, b"", meta, 0)?;
        self.note(EntryKind::Directory, path, None, meta)
    }

    pub fn symlink(&mut self, path: &[u8], target: &[u8], meta: Meta) -> Result<(), WriteError> {
        self.begin(Type::Symlink, path, target, meta, 0)?;
        self.note(EntryKind::Symlink, path, Some(target), meta)
    }

    /// Another name for the entry `first`.
    pub fn hardlink(&mut self, path: &[u8], first: &[u8], meta: Meta) -> Result<(), WriteError> {
        self.begin(Type::Hardlink, path, first, meta, 0)?;
        self.note(EntryKind::Hardlink, path, Some(first), meta)
    }

    fn note(
        &mut self,
        kind: EntryKind,
        path: &[u8],
        link: Option<&[u8]>,
        meta: Meta,
    ) -> Result<(), WriteError> {
        let entry = entry(kind, escape(path), link.map(escape), meta);
        Ok(self.manifest.push(&entry)?)
    }

    /// A file's content. A tar says the size first, and files change while they are read: a small
    /// one is read before its size is said; of a large one, what is missing in the end is stored as
    /// zeros, and what is too much is left out. The manifest has what was stored.
    pub fn file(
        &mut self,
        path: &[u8],
        meta: Meta,
        announced: u64,
        content: &mut dyn Read,
    ) -> Result<Stored, WriteError> {
        let mut stored = Stored::default();
        let mut buffer = std::mem::take(&mut self.buffer);
        let (mut filled, error) = fill(content, &mut buffer);
        let is_whole = error.is_none() && filled < buffer.len();
        stored.error = error;
        stored.size = match is_whole {
            true => filled as u64,
            false => announced.max(filled as u64),
        };
        self.begin(Type::File, path, b"", meta, stored.size)?;
        let mut hash = Context::new(&SHA256);
        loop {
            let left = usize::try_from(stored.size - stored.read).unwrap_or(usize::MAX);
            stored.cut |= filled > left;
            filled = filled.min(left);
            let got = buffer.get(..filled).unwrap_or_default();
            hash.update(got);
            self.bytes(got)?;
            stored.read += filled as u64;
            self.progress
                .bytes
                .fetch_add(filled as u64, Ordering::Relaxed);
            if is_whole || stored.error.is_some() || stored.read == stored.size || filled == 0 {
                break;
            }
            (filled, stored.error) = fill(content, &mut buffer);
        }
        if stored.read < stored.size {
            buffer.fill(0);
            let mut missing = stored.size - stored.read;
            while missing > 0 {
                let zeros = usize::try_from(missing).map_or(buffer.len(), |n| n.min(buffer.len()));
                let zeros = buffer.get(..zeros).unwrap_or_default();
                hash.update(zeros);
                self.bytes(zeros)?;
                missing -= zeros.len() as u64;
            }
        } else if !is_whole && !stored.cut && stored.error.is_none() {
            stored.cut = matches!(content.read(&mut [0]), Ok(1));
        }
        self.buffer = buffer;
        self.pad(stored.size)?;
        let mut entry = entry(EntryKind::File, escape(path), None, meta);
        entry.size = stored.size;
        entry.sha256 = Some(crate::model::hex(hash.finish().as_ref()));
        self.manifest.push(&entry)?;
        self.files += 1;
        self.progress.files.fetch_add(1, Ordering::Relaxed);
        Ok(stored)
    }

    /// Content whose length is not known before its end, in parts. `name`: what the whole is called.
    /// Returns its length in bytes.
    pub fn stream(
        &mut self,
        name: &str,
        mtime: i64,
        content: &mut dyn Read,
    ) -> Result<u64, WriteError> {
        let mut part = vec![0; PART];
        let mut hash = Context::new(&SHA256);
        let mut size = 0;
        for number in 1_u64.. {
            let mut filled = 0;
            while let Some(room) = part.get_mut(filled..).filter(|room| !room.is_empty()) {
                // In small steps, so that the count moves and a wish to stop is heard.
                let step = room.len().min(BUFFER);
                let (got, error) = fill(content, room.get_mut(..step).unwrap_or_default());
                if let Some(error) = error {
                    return Err(match self.progress.is_stopped() {
                        true => WriteError::Stopped,
                        false => WriteError::Source(error),
                    });
                }
                let all = filled + got;
                hash.update(part.get(filled..all).unwrap_or_default());
                filled = all;
                self.progress.bytes.fetch_add(got as u64, Ordering::Relaxed);
                if got < step {
                    break;
                }
            }
            // Also an empty stream has one part, so that `cat stream/*` makes it.
            if filled > 0 || number == 1 {
                let path = format!("stream/{number:06}");
                self.begin(Type::File, path.as_bytes(), b"", ours(mtime), filled as u64)?;
                self.bytes(part.get(..filled).unwrap_or_default())?;
                self.pad(filled as u64)?;
                size += filled as u64;
            }
            if filled < PART {
                break;
            }
        }
        let mut entry = entry(
            EntryKind::Stream,
            escape(name.as_bytes()),
            None,
            ours(mtime),
        );
        entry.size = size;
        entry.sha256 = Some(crate::model::hex(hash.finish().as_ref()));
        self.manifest.push(&entry)?;
        self.files += 1;
        self.progress.files.fetch_add(1, Ordering::Relaxed);
        Ok(size)
    }

    /// Files and streams until now.
    pub fn files(&self) -> u64 {
        self.files
    }

    /// Ends the archive with its manifest.
    pub fn finish(mut self, mtime: i64, warnings: &[String]) -> Result<(W, Manifest), WriteError> {
        let manifest = std::mem::take(&mut self.manifest).finish(warnings)?;
        let size = manifest.length();
        self.begin(Type::File, MANIFEST.as_bytes(), b"", ours(mtime), size)?;
        manifest.write_to(&mut self.out).map_err(WriteError::Sink)?;
        self.pad(size)?;
        self.bytes(&[0; 2 * BLOCK])?;
        Ok((self.out, manifest))
    }

    fn begin(
        &mut self,
        kind: Type,
        path: &[u8],
        link: &[u8],
        meta: Meta,
        size: u64,
    ) -> Result<(), WriteError> {
        self.block.clear();
        put(&mut self.block, kind, path, link, meta, size);
        if self.progress.is_stopped() {
            return Err(WriteError::Stopped);
        }
        self.out.write_all(&self.block).map_err(WriteError::Sink)
    }

    fn bytes(&mut self, bytes: &[u8]) -> Result<(), WriteError> {
        if self.progress.is_stopped() {
            return Err(WriteError::Stopped);
        }
        self.out.write_all(bytes).map_err(WriteError::Sink)
    }

    fn pad(&mut self, size: u64) -> Result<(), WriteError> {
        let over = (size % BLOCK as u64) as usize;
        match over {
            0 => Ok(()),
            _ => self.bytes(&[0; BLOCK][over..]),
        }
    }
}

/// Of entries that no file stands for.
fn ours(mtime: i64) -> Meta {
    Meta {
        mode: 0o600,
        uid: 0,
        gid: 0,
        mtime,
    }
}

fn entry(kind: EntryKind, path: String, link: Option<String>, meta: Meta) -> Entry {
    Entry {
        path,
        kind,
        mode: meta.mode,
        uid: meta.uid,
        gid: meta.gid,
        mtime: meta.mtime,
        size: 0,
        sha256: None,
        link,
    }
}

/// Reads until the buffer is full or nothing comes any more. What was read before an error counts.
fn fill(content: &mut dyn Read, buffer: &mut [u8]) -> (usize, Option<io::Error>) {
    let mut filled = 0;
    while let Some(room) = buffer.get_mut(filled..).filter(|room| !room.is_empty()) {
        match content.read(room) {
            Ok(0) => break,
            Ok(got) => filled += got,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return (filled, Some(error)),
        }
    }
    (filled, None)
}

#[cfg(test)]
mod tests;

//! Through an archive's members to its end: what our own archives must hold, in which order, and
//! what is done with each member.

use std::io::{self, Read, Write};
use std::sync::atomic::Ordering;

use aws_lc_rs::digest;
use bytes::{Buf, Bytes};

use super::seen::{Seen, Thing};
use super::{Limits, RestoreError};
use crate::backup::Progress;
use crate::backup::archive::again::Again;
use crate::backup::archive::extract::{ExtractError, Extractor};
use crate::backup::archive::read::{
    Member, MemberKind, Pieces, ReadError, TarReader, looks_like_tar, shown,
};
use crate::backup::archive::{
    ArchiveHeader, EntryKind, HEADER, Kind, MANIFEST, Manifest, ManifestError, PART, place,
};

/// Largest header of ours, in bytes.
const HEADER_BYTES: u64 = 64 << 10;
/// What of an archive of ours is not data.
const OURS: &[u8] = b".seawall";

/// What is done with each member.
pub(super) trait Visitor {
    /// Before the first member.
    fn begin(&mut self, header: Option<&ArchiveHeader>) -> Result<(), ExtractError>;

    /// Takes a member's data; gives its hash if that was computed.
    fn member<P: Pieces>(
        &mut self,
        member: &Member,
        tar: &mut TarReader<P>,
    ) -> Result<Option<[u8; 32]>, ExtractError>;

    /// The hash of a whole stream, if it was computed.
    fn stream_hash(&mut self) -> Option<[u8; 32]> {
        None
    }
}

/// What was met on the way.
#[derive(Debug)]
pub(super) struct Walked {
    pub header: Option<ArchiveHeader>,
    pub manifest: Option<Manifest>,
    pub files: u64,
    pub bytes: u64,
    /// Between what was there and the manifest.
    pub differences: Vec<String>,
}

/// Whether a tar stream that begins so has our header first.
pub(super) fn is_ours(beginning: &[u8]) -> bool {
    let name = HEADER.as_bytes();
    beginning.starts_with(name)
        && beginning.get(name.len()) == Some(&0)
        && looks_like_tar(beginning)
}

fn refused(text: impl Into<String>) -> ExtractError {
    ExtractError::Refused(text.into())
}

/// Goes through a whole archive.
pub(super) fn walk<P: Pieces, V: Visitor>(
    pieces: P,
    is_ours: bool,
    limits: &Limits,
    progress: &Progress,
    visitor: &mut V,
) -> Result<Walked, ExtractError> {
    let mut tar = TarReader::new(pieces);
    let mut walk = Walk {
        header: None,
        seen: None,
        entries: 0,
        files: 0,
        bytes: 0,
        parts: 0,
    };
    if is_ours {
        walk.header = Some(header(&mut tar)?);
        walk.seen = Some(Seen::new().map_err(ReadError::Below)?);
    }
    visitor.begin(walk.header.as_ref())?;
    while let Some(member) = tar.next_member()? {
        walk.entries += 1;
        if walk.entries > limits.entries {
            return Err(refused(format!(
                "it has more than {} entries, which is the limit",
                limits.entries
            )));
        }
        if progress.is_stopped() {
            return Err(ExtractError::Stopped);
        }
        let names = place::names(&member.path).map_err(ExtractError::Refused)?;
        if walk.header.is_some() && names.first() == Some(&OURS) {
            if member.path != MANIFEST || member.kind != MemberKind::File {
                return Err(refused(format!(
                    "{} has no place in it",
                    shown(&member.path)
                )));
            }
            return walk.manifest(tar, visitor);
        }
        let path = names.join(&b'/');
        walk.member(path, &member, &mut tar, visitor)?;
        progress.files.store(walk.files, Ordering::Relaxed);
    }
    if walk.header.is_some() {
        return Err(refused("it ends without its manifest"));
    }
    Ok(walk.done(None, Vec::new()))
}

fn header<P: Pieces>(tar: &mut TarReader<P>) -> Result<ArchiveHeader, ExtractError> {
    let member = tar.next_member()?;
    let fits = |m: &Member| m.kind == MemberKind::File && m.size <= HEADER_BYTES;
    if !member.as_ref().is_some_and(fits) {
        return Err(refused(format!("{HEADER} is no small file")));
    }
    let bytes = tar.whole()?;
    let header: serde_json::Value = serde_json::from_slice(&bytes)
        .map_err(|error| refused(format!("{HEADER} is no JSON: {error}")))?;
    match header.get("format").and_then(serde_json::Value::as_u64) {
        Some(1) => {}
        Some(other) => {
            return Err(refused(format!(
                "its format is {other}, and this version of seawall knows 1 alone: use the one that made it, or a newer one"
            )));
        }
        None => return Err(refused(format!("{HEADER} does not say its format"))),
    }
    serde_json::from_value(header).map_err(|error| {
        let error = crate::shell::clean(&error.to_string(), 200);
        refused(format!("{HEADER} is not as it should be: {error}"))
    })
}

struct Walk {
    header: Option<ArchiveHeader>,
    seen: Option<Seen>,
    entries: u64,
    files: u64,
    bytes: u64,
    /// Of a stream.
    parts: u64,
}

impl Walk {
    fn member<P: Pieces, V: Visitor>(
        &mut self,
        path: Vec<u8>,
        member: &Member,
        tar: &mut TarReader<P>,
        visitor: &mut V,
    ) -> Result<(), ExtractError> {
        let is_stream = self
            .header
            .as_ref()
            .is_some_and(|h| h.kind != Kind::Directories);
        if is_stream {
            self.parts += 1;
            let expected = format!("stream/{:06}", self.parts);
            let fits = member.kind == MemberKind::File && member.size <= PART as u64;
            if path != expected.as_bytes() || !fits {
                return Err(refused(format!(
                    "{} stands where {expected} should",
                    shown(&path)
                )));
            }
        }
        let hash = visitor.member(member, tar)?;
        self.bytes += member.size;
        if is_stream {
            return Ok(());
        }
        if member.kind == MemberKind::File {
            self.files += 1;
        }
        if let Some(seen) = &mut self.seen {
            let link = match member.kind {
                // As the manifest has it: a path like any other.
                MemberKind::Hardlink => place::names(&member.link)
                    .map_err(ExtractError::Refused)?
                    .join(&b'/'),
                _ => member.link.to_vec(),
            };
            seen.push(&Thing {
                path,
                kind: Some(match member.kind {
                    MemberKind::File => EntryKind::File,
                    MemberKind::Directory => EntryKind::Directory,
                    MemberKind::Symlink => EntryKind::Symlink,
                    MemberKind::Hardlink => EntryKind::Hardlink,
                }),
                mode: member.mode,
                uid: member.uid,
                gid: member.gid,
                mtime: member.mtime,
                size: member.size,
                link,
                hash,
            })
            .map_err(ReadError::Below)?;
        }
        Ok(())
    }

    /// The manifest, the archive's end after it, and the comparison.
    fn manifest<P: Pieces, V: Visitor>(
        mut self,
        mut tar: TarReader<P>,
        visitor: &mut V,
    ) -> Result<Walked, ExtractError> {
        let manifest = Manifest::read(Data {
            tar: &mut tar,
            rest: Bytes::new(),
        })
        .map_err(|error| match error {
            ManifestError::Io(error) => ReadError::Below(error).into(),
            other => refused(other.to_string()),
        })?;
        if let Some(member) = tar.next_member()? {
            return Err(refused(format!(
                "{} follows after the manifest, where nothing should",
                shown(&member.path)
            )));
        }
        let Some(mut seen) = self.seen.take() else {
            return Ok(self.done(Some(manifest), Vec::new()));
        };
        if let Some(header) = &self.header
            && header.kind != Kind::Directories
        {
            let name = header.stream.clone().unwrap_or_default();
            self.files = 1;
            seen.push(&Thing {
                path: crate::backup::archive::unescape(&name).unwrap_or_default(),
                kind: Some(EntryKind::Stream),
                size: self.bytes,
                hash: visitor.stream_hash(),
                ..Thing::default()
            })
            .map_err(ReadError::Below)?;
        }
        let differences = seen.differences(&manifest).map_err(ReadError::Below)?;
        Ok(self.done(Some(manifest), differences))
    }

    fn done(self, manifest: Option<Manifest>, differences: Vec<String>) -> Walked {
        Walked {
            header: self.header,
            manifest,
            files: self.files,
            bytes: self.bytes,
            differences,
        }
    }
}

/// A member's data as something to read from.
struct Data<'a, P> {
    tar: &'a mut TarReader<P>,
    rest: Bytes,
}

impl<P: Pieces> Read for Data<'_, P> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.rest.is_empty() {
            match self.tar.piece() {
                Ok(piece) => self.rest = piece.unwrap_or_default(),
                Err(ReadError::Below(error)) => return Err(error),
                Err(error) => return Err(io::Error::other(error)),
            }
        }
        let count = buffer.len().min(self.rest.len());
        self.rest
            .copy_to_slice(buffer.get_mut(..count).unwrap_or_default());
        Ok(count)
    }
}

fn of_files(header: Option<&ArchiveHeader>) -> Result<(), ExtractError> {
    match header {
        Some(header) if header.kind != Kind::Directories => Err(refused(format!(
            "it is one stream ({}), no archive of files: restore it to a file",
            crate::shell::clean(header.stream.as_deref().unwrap_or_default(), 100)
        ))),
        _ => Ok(()),
    }
}

/// Writes files and directories.
pub(super) struct Extract<'a> {
    pub extractor: Extractor,
    pub progress: &'a Progress,
}

impl Visitor for Extract<'_> {
    fn begin(&mut self, header: Option<&ArchiveHeader>) -> Result<(), ExtractError> {
        of_files(header)
    }

    fn member<P: Pieces>(
        &mut self,
        member: &Member,
        tar: &mut TarReader<P>,
    ) -> Result<Option<[u8; 32]>, ExtractError> {
        let progress = self.progress;
        self.extractor.take(member, tar, &mut |piece| {
            let count = piece.len() as u64;
            progress.bytes.fetch_add(count, Ordering::Relaxed);
            Ok(())
        })?;
        Ok(None)
    }
}

/// Writes members anew, for another's tar.
pub(super) struct Relay<'a, W> {
    pub again: Again<W>,
    pub progress: &'a Progress,
}

impl<W: Write> Visitor for Relay<'_, W> {
    fn begin(&mut self, header: Option<&ArchiveHeader>) -> Result<(), ExtractError> {
        of_files(header)
    }

    fn member<P: Pieces>(
        &mut self,
        member: &Member,
        tar: &mut TarReader<P>,
    ) -> Result<Option<[u8; 32]>, ExtractError> {
        let progress = self.progress;
        self.again.take(member, tar, &mut |piece| {
            let count = piece.len() as u64;
            progress.bytes.fetch_add(count, Ordering::Relaxed);
            Ok(())
        })?;
        Ok(None)
    }
}

/// Joins the parts of a stream.
pub(super) struct Join<'a> {
    out: &'a mut (dyn Write + Send),
    progress: &'a Progress,
}

impl<'a> Join<'a> {
    pub fn to(out: &'a mut (dyn Write + Send), progress: &'a Progress) -> Self {
        Join { out, progress }
    }

    pub fn flush(self) -> Result<(), RestoreError> {
        self.out.flush().map_err(|e| cannot_write(&e))
    }
}

pub(super) fn cannot_write(error: &io::Error) -> RestoreError {
    RestoreError(format!("writing what was restored: {error}"))
}

impl Visitor for Join<'_> {
    fn begin(&mut self, header: Option<&ArchiveHeader>) -> Result<(), ExtractError> {
        match header {
            Some(header) if header.kind == Kind::Directories => Err(refused(
                "it holds files and directories, no single stream: restore it to a directory",
            )),
            _ => Ok(()),
        }
    }

    fn member<P: Pieces>(
        &mut self,
        member: &Member,
        tar: &mut TarReader<P>,
    ) -> Result<Option<[u8; 32]>, ExtractError> {
        while let Some(piece) = tar.piece()? {
            self.out
                .write_all(&piece)
                .map_err(|source| ExtractError::Write {
                    name: shown(&member.path),
                    bytes: member.size,
                    source,
                })?;
            let count = piece.len() as u64;
            self.progress.bytes.fetch_add(count, Ordering::Relaxed);
        }
        Ok(None)
    }
}

/// Writes nothing, and hashes everything.
pub(super) struct Hash<'a> {
    stream: Option<digest::Context>,
    outward_links: bool,
    progress: &'a Progress,
}

impl<'a> Hash<'a> {
    pub fn new(limits: &Limits, progress: &'a Progress) -> Self {
        Hash {
            stream: None,
            outward_links: limits.outward_links,
            progress,
        }
    }
}

fn finished(context: digest::Context) -> Option<[u8; 32]> {
    context.finish().as_ref().try_into().ok()
}

impl Visitor for Hash<'_> {
    fn begin(&mut self, header: Option<&ArchiveHeader>) -> Result<(), ExtractError> {
        if header.is_some_and(|h| h.kind != Kind::Directories) {
            self.stream = Some(digest::Context::new(&digest::SHA256));
        }
        Ok(())
    }

    fn member<P: Pieces>(
        &mut self,
        member: &Member,
        tar: &mut TarReader<P>,
    ) -> Result<Option<[u8; 32]>, ExtractError> {
        // What could not be restored is no good backup.
        Extractor::check(member, self.outward_links)?;
        let mut own = digest::Context::new(&digest::SHA256);
        while let Some(piece) = tar.piece()? {
            match &mut self.stream {
                Some(stream) => stream.update(&piece),
                None => own.update(&piece),
            }
            let count = piece.len() as u64;
            self.progress.bytes.fetch_add(count, Ordering::Relaxed);
        }
        Ok(match (member.kind, &self.stream) {
            (MemberKind::File, None) => finished(own),
            _ => None,
        })
    }

    fn stream_hash(&mut self) -> Option<[u8; 32]> {
        self.stream.take().and_then(finished)
    }
}

//! Makes files and directories from an archive's members, and trusts none of them. What is written
//! lies below one directory that nobody else may enter; no link of the archive is ever followed,
//! nothing is ever replaced.

use std::ffi::CString;
use std::io::{self, Write};
use std::sync::Arc;

use bytes::Bytes;

use super::beneath::{Attributes, Dir, begin_write_back, c_name, dress_file, umask, us};
use super::hands::{Hands, Job};
use super::place;
use super::read::{Member, MemberKind, Pieces, ReadError, TarReader, shown};
use super::tree::{Tree, TreeError};

/// Files up to this size are made by threads of their own, in bytes.
const SMALL: u64 = 256 << 10;

/// After so many bytes of the archive nothing waits for its batch to be full any longer.
const FLUSH: u64 = 512 << 10;

/// So often a large file's bytes are sent to the disk. All of it must be there before we say that it
/// is restored, and the disk has nothing to do while we decompress.
const WRITE_BACK: u64 = 8 << 20;

/// What the archive may ask for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Manners {
    /// It has our header: owners (where we are root) and set-uid bits are its business.
    pub is_ours: bool,
    /// Links that point out of what is restored are made as they are.
    pub outward_links: bool,
}

#[derive(Debug, thiserror::Error)]
pub enum ExtractError {
    /// The archive asks for what it may not have.
    #[error("{0}")]
    Refused(String),
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error("writing {name} ({bytes} bytes): {source}")]
    Write {
        /// Cleaned.
        name: String,
        /// Of the file that was being written.
        bytes: u64,
        source: io::Error,
    },
    #[error("stopped, as asked")]
    Stopped,
}

impl ExtractError {
    pub(super) fn twice(name: &str) -> Self {
        ExtractError::Refused(format!(
            "{name} is in the archive twice, or as two different things; such archives are refused"
        ))
    }
}

pub struct Extractor {
    tree: Tree,
    hands: Hands,
    manners: Manners,
    is_root: bool,
    umask: u32,
    flushed: u64,
}

/// What is told of a file's data while it is written.
pub type OnPiece<'a> = &'a mut dyn FnMut(&Bytes) -> Result<(), ExtractError>;

impl Extractor {
    /// Extracts into `top`, an empty directory of our own.
    pub fn new(top: Arc<Dir>, manners: Manners, threads: usize) -> Result<Self, ExtractError> {
        let umask = umask();
        let hands = Hands::new(threads, umask).map_err(|source| ExtractError::Write {
            name: "(starting threads)".into(),
            bytes: 0,
            source,
        })?;
        Ok(Extractor {
            tree: Tree::new(top),
            hands,
            manners,
            is_root: us().0 == 0,
            umask,
            flushed: 0,
        })
    }

    /// Whether a member could be made, as far as it alone says.
    ///
    /// # Errors
    /// Why it is refused.
    pub fn check(member: &Member, outward_links: bool) -> Result<(), ExtractError> {
        let names = place::names(&member.path).map_err(ExtractError::Refused)?;
        match member.kind {
            MemberKind::Symlink => within(member, names.len().saturating_sub(1), outward_links),
            MemberKind::Hardlink => place::names(&member.link)
                .map(drop)
                .map_err(ExtractError::Refused),
            MemberKind::File | MemberKind::Directory => Ok(()),
        }
    }

    /// Makes one member. `on_piece` is asked before each piece of a file's data is written.
    pub fn take<P: Pieces>(
        &mut self,
        member: &Member,
        tar: &mut TarReader<P>,
        on_piece: OnPiece,
    ) -> Result<(), ExtractError> {
        if tar.position() - self.flushed >= FLUSH {
            self.flushed = tar.position();
            self.hands.flush()?;
        }
        let names = place::names(&member.path).map_err(ExtractError::Refused)?;
        let attributes = self.attributes(member);
        let Some((name, parents)) = names.split_last() else {
            // The top itself is ours: it stays as private as we made it.
            if member.kind == MemberKind::Directory {
                return Ok(());
            }
            return Err(ExtractError::twice(&shown(&member.path)));
        };
        if member.kind == MemberKind::Directory {
            return self
                .tree
                .declare(&names, attributes)
                .map_err(|e| no_directory(e, member));
        }
        let (place, dir) = self
            .tree
            .directory(parents)
            .map_err(|e| no_directory(e, member))?;
        let name = c_name(name).map_err(|e| cannot(e, member))?;
        match member.kind {
            MemberKind::Directory => Ok(()),
            MemberKind::Symlink => {
                let job = self.symlink(member, parents.len(), dir, name, attributes)?;
                self.hands.give(place, job)
            }
            MemberKind::Hardlink => {
                let (place, job) = self.hardlink(member, dir, name)?;
                self.hands.give(place, job)
            }
            MemberKind::File if member.size <= SMALL => {
                let mut data = Vec::with_capacity(1);
                while let Some(piece) = tar.piece()? {
                    on_piece(&piece)?;
                    data.push(piece);
                }
                self.hands.give(
                    place,
                    Job::File {
                        dir,
                        name,
                        data,
                        attributes,
                    },
                )
            }
            MemberKind::File => {
                self.hands.flush()?;
                self.large(member, &dir, &name, &attributes, tar, on_piece)
            }
        }
    }

    /// Waits for all that is being made, and gives the directories their modes and times.
    pub fn finish(mut self) -> Result<(), ExtractError> {
        self.hands.finish()?;
        self.tree
            .dress(self.umask)
            .map_err(|(name, source)| ExtractError::Write {
                name,
                bytes: 0,
                source,
            })
    }

    fn large<P: Pieces>(
        &mut self,
        member: &Member,
        dir: &Dir,
        name: &CString,
        attributes: &Attributes,
        tar: &mut TarReader<P>,
        on_piece: OnPiece,
    ) -> Result<(), ExtractError> {
        let mut file = dir
            .create(name, attributes.mode & 0o777)
            .map_err(|e| cannot(e, member))?;
        let (mut written, mut begun) = (0, 0);
        while let Some(piece) = tar.piece()? {
            on_piece(&piece)?;
            file.write_all(&piece).map_err(|e| cannot(e, member))?;
            written += piece.len() as u64;
            if written - begun >= WRITE_BACK {
                begin_write_back(&file, begun, written - begun);
                begun = written;
            }
        }
        dress_file(&file, attributes, self.umask).map_err(|e| cannot(e, member))
    }

    fn symlink(
        &self,
        member: &Member,
        depth: usize,
        dir: Arc<Dir>,
        name: CString,
        attributes: Attributes,
    ) -> Result<Job, ExtractError> {
        within(member, depth, self.manners.outward_links)?;
        let target = c_name(&member.link).map_err(|e| cannot(e, member))?;
        Ok(Job::Symlink {
            dir,
            name,
            target,
            attributes,
        })
    }

    fn hardlink(
        &mut self,
        member: &Member,
        dir: Arc<Dir>,
        name: CString,
    ) -> Result<(u32, Job), ExtractError> {
        let refused = |text: &str| {
            ExtractError::Refused(format!(
                "{} is another name for {}, {text}",
                shown(&member.path),
                shown(&member.link)
            ))
        };
        let names = place::names(&member.link)
            .map_err(|why| refused(&format!("which is refused: {why}")))?;
        let (old, parents) = names
            .split_last()
            .ok_or_else(|| refused("which is a directory"))?;
        let place = self
            .tree
            .find(parents)
            .ok_or_else(|| refused("which is not in the archive before it"))?;
        if self.tree.find(&names).is_some() {
            return Err(refused("which is a directory"));
        }
        let from = self.tree.opened(place).map_err(|e| cannot(e, member))?;
        let old = c_name(old).map_err(|e| cannot(e, member))?;
        Ok((
            place,
            Job::Hardlink {
                dir,
                name,
                from,
                old,
            },
        ))
    }

    fn attributes(&self, member: &Member) -> Attributes {
        let is_whole = self.manners.is_ours && self.is_root;
        Attributes {
            mode: member.mode & if is_whole { 0o7777 } else { 0o777 },
            owner: is_whole
                .then_some((member.uid, member.gid))
                // What is created is ours already.
                .filter(|owner| member.kind == MemberKind::Directory || *owner != us()),
            mtime: member.mtime,
            mtime_ns: member.mtime_ns,
        }
    }
}

/// Refuses a symbolic link that can't be made, or may lead out. `depth`: of the directories it is in.
fn within(member: &Member, depth: usize, outward_links: bool) -> Result<(), ExtractError> {
    place::target(&member.path, &member.link).map_err(ExtractError::Refused)?;
    if outward_links || place::stays_within(&member.link, depth) {
        return Ok(());
    }
    Err(ExtractError::Refused(format!(
        "{} is a link to {}, which is (or may be) outside of what is restored; allow outward links if the archive is trusted and that is meant",
        shown(&member.path),
        shown(&member.link)
    )))
}

fn cannot(source: io::Error, member: &Member) -> ExtractError {
    if source.kind() == io::ErrorKind::AlreadyExists {
        return ExtractError::twice(&shown(&member.path));
    }
    ExtractError::Write {
        name: shown(&member.path),
        bytes: member.size,
        source,
    }
}

fn no_directory(error: TreeError, member: &Member) -> ExtractError {
    match error {
        TreeError::Io(source) => cannot(source, member),
        TreeError::Twice => ExtractError::twice(&shown(&member.path)),
        TreeError::Taken => ExtractError::Refused(format!(
            "{} needs a directory where the archive has something else (a file or a link); such archives are refused",
            shown(&member.path)
        )),
    }
}

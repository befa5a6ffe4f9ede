//! Writes the members of an archive anew, as a tar stream for a tar program that we do not know:
//! only what our own reader understood and would have made itself. Nothing of the stream leads that
//! program out of the directory that it works in, whatever links the archive holds.

use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};
use std::io::{self, Write};

use super::extract::{ExtractError, Extractor, Manners, OnPiece};
use super::header::{BLOCK, Type, put};
use super::read::{Member, MemberKind, Pieces, TarReader, shown};
use super::{Meta, place};

/// Symbolic links that are remembered: 8 bytes each, and some.
const LINKS: usize = 10_000_000;

pub struct Again<W> {
    out: W,
    manners: Manners,
    links: Links,
    block: Vec<u8>,
}

/// The symbolic links so far, as hashes under a key that nobody knows beforehand: one that is found
/// by chance refuses an archive, and none is missed.
#[derive(Default)]
struct Links {
    key: RandomState,
    hashes: HashSet<u64>,
}

impl Links {
    fn add(&mut self, names: &[&[u8]]) -> bool {
        self.hashes.insert(self.key.hash_one(names.join(&b'/')));
        self.hashes.len() <= LINKS
    }

    fn has(&self, names: &[&[u8]]) -> bool {
        !self.hashes.is_empty() && (self.hashes).contains(&self.key.hash_one(names.join(&b'/')))
    }

    /// Whether the way to a thing, itself left out, goes through a link.
    fn on_the_way(&self, names: &[&[u8]]) -> bool {
        let mut path = Vec::new();
        let parents = names.split_last().map_or(&[][..], |(_, parents)| parents);
        !self.hashes.is_empty()
            && parents.iter().any(|name| {
                if !path.is_empty() {
                    path.push(b'/');
                }
                path.extend_from_slice(name);
                self.hashes.contains(&self.key.hash_one(&path))
            })
    }
}

impl<W: Write> Again<W> {
    /// Owners and set-uid bits are kept where the archive is ours; else all is root's, and plain.
    pub fn new(out: W, manners: Manners) -> Self {
        Again {
            out,
            manners,
            links: Links::default(),
            block: Vec::new(),
        }
    }

    /// Writes one member. `on_piece` is asked before each piece of a file's data is written.
    ///
    /// # Errors
    /// When it may not be made, or can't be written.
    pub fn take<P: Pieces>(
        &mut self,
        member: &Member,
        tar: &mut TarReader<P>,
        on_piece: OnPiece,
    ) -> Result<(), ExtractError> {
        Extractor::check(member, self.manners.outward_links)?;
        let names = place::names(&member.path).map_err(ExtractError::Refused)?;
        if names.is_empty() {
            // The top itself stays as it was made.
            return match member.kind {
                MemberKind::Directory => Ok(()),
                _ => Err(ExtractError::twice(&shown(&member.path))),
            };
        }
        let mut link = member.link.to_vec();
        let through = |names: &[&[u8]], of: &Member| match self.links.on_the_way(names) {
            false => Ok(()),
            true => Err(ExtractError::Refused(format!(
                "{} lies behind a link of the archive; such archives are refused",
                shown(&of.path)
            ))),
        };
        through(&names, member)?;
        if self.links.has(&names) {
            return Err(ExtractError::twice(&shown(&member.path)));
        }
        let kind = match member.kind {
            MemberKind::File => Type::File,
            MemberKind::Directory => Type::Directory,
            MemberKind::Symlink => Type::Symlink,
            MemberKind::Hardlink => {
                let first = place::names(&member.link).map_err(ExtractError::Refused)?;
                through(&first, member)?;
                link = first.join(&b'/');
                Type::Hardlink
            }
        };
        if kind == Type::Symlink && !self.links.add(&names) {
            return Err(ExtractError::Refused(format!(
                "it has more than {LINKS} symbolic links"
            )));
        }
        let is_ours = self.manners.is_ours;
        let meta = Meta {
            mode: member.mode & if is_ours { 0o7777 } else { 0o777 },
            uid: if is_ours { member.uid } else { 0 },
            gid: if is_ours { member.gid } else { 0 },
            mtime: member.mtime,
        };
        self.block.clear();
        let path = names.join(&b'/');
        put(&mut self.block, kind, &path, &link, meta, member.size);
        let cannot = |source: io::Error| ExtractError::Write {
            name: shown(&member.path),
            bytes: member.size,
            source,
        };
        self.out.write_all(&self.block).map_err(cannot)?;
        while let Some(piece) = tar.piece()? {
            on_piece(&piece)?;
            self.out.write_all(&piece).map_err(cannot)?;
        }
        match (member.size % BLOCK as u64) as usize {
            0 => Ok(()),
            over => (self.out).write_all(&[0; BLOCK][over..]).map_err(cannot),
        }
    }

    /// The end mark. Only after all that says whether the archive is to be believed.
    pub fn finish(mut self) -> io::Result<()> {
        self.out.write_all(&[0; 2 * BLOCK])?;
        self.out.flush()
    }
}

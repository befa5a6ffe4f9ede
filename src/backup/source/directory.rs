//! Directories: walked by descriptor and in order of names, so that two backups of the same files
//! are the same. No link is followed, nothing that is not a file is opened, and whatever is left
//! out is said.

use std::collections::HashMap;
use std::ffi::{CStr, CString};
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use super::at::{self, Directory, Stat};
use super::glob::Excludes;
use super::{SourceError, Surroundings, Warnings};
use crate::backup::archive::write::{ArchiveWriter, Stored, WriteError};
use crate::backup::archive::{Canary, escape};
use crate::document::policy::Directories;
use crate::shell::clean;

/// Deepest directory below the one that is backed up: each takes a descriptor.
const DEEPEST: usize = 256;
/// Longest path within an archive, in bytes.
const LONGEST: usize = 4096;

/// Of everything in a directory, the name that it is kept under.
pub(super) fn root_name(path: &Path) -> Result<&[u8], SourceError> {
    let shown = || clean(&path.display().to_string(), 200);
    let name = path.file_name().map(OsStrExt::as_bytes);
    match name {
        Some(b".seawall") => Err(SourceError(format!(
            "{} can't be backed up under its name: in an archive, `.seawall` is ours",
            shown()
        ))),
        Some(name) if path.is_absolute() => Ok(name),
        _ => Err(SourceError(format!(
            "{} has no last name to keep it under: name directories by absolute paths",
            shown()
        ))),
    }
}

pub(super) fn read<W: Write>(
    source: &Directories,
    canary: Option<&Canary>,
    around: &Surroundings,
    archive: &mut ArchiveWriter<W>,
    warnings: &mut Warnings,
) -> Result<(), SourceError> {
    let mut names = Vec::new();
    for path in &source.paths {
        let name = root_name(Path::new(path))?;
        if names.contains(&name) {
            return Err(SourceError(format!(
                "two directories are called `{}`: back them up as two sources",
                clean(&String::from_utf8_lossy(name), 100)
            )));
        }
        names.push(name);
    }
    let mut walk = Walk {
        excludes: Excludes::new(&source.exclude).map_err(SourceError)?,
        one_file_system: source.one_file_system,
        canary: canary.map(|canary| canary.place.as_str()),
        device: 0,
        prefix: 0,
        path: Vec::new(),
        links: HashMap::new(),
        around,
        archive,
        warnings,
    };
    for (path, name) in source.paths.iter().zip(names) {
        walk.root(Path::new(path), name)?;
    }
    match walk.canary {
        Some(place) => Err(SourceError(format!(
            "the canary {} was written, and was not there to be read: is it excluded, or was it \
             removed?",
            clean(place, 200)
        ))),
        None => Ok(()),
    }
}

struct Walk<'a, 'p, W: Write> {
    excludes: Excludes,
    one_file_system: bool,
    /// The canary's place, until it was met.
    canary: Option<&'a str>,
    /// Of the directory that is walked.
    device: libc::dev_t,
    /// Bytes of `path` that are the directory's own name and a slash.
    prefix: usize,
    /// Within the archive, of what is looked at.
    path: Vec<u8>,
    /// Files with several names: device and inode → the first name, and how many are to come.
    links: HashMap<(libc::dev_t, libc::ino_t), (Vec<u8>, libc::nlink_t)>,
    around: &'a Surroundings<'a>,
    archive: &'a mut ArchiveWriter<'p, W>,
    warnings: &'a mut Warnings,
}

/// A directory that is being walked.
struct Level {
    directory: Directory,
    names: std::vec::IntoIter<(CString, u8)>,
    /// Of `path`, its own part.
    length: usize,
}

impl<W: Write> Walk<'_, '_, W> {
    fn root(&mut self, path: &Path, name: &[u8]) -> Result<(), SourceError> {
        let unreadable = |error: io::Error| {
            SourceError(format!(
                "opening the directory {}: {error}",
                clean(&path.display().to_string(), 200)
            ))
        };
        // A link here is the policy's own choice.
        let opened = OpenOptions::new()
            .read(true)
            .custom_flags(libc::O_DIRECTORY)
            .open(path)
            .map_err(unreadable)?;
        let stat = at::stat_file(opened.as_fd()).map_err(unreadable)?;
        self.device = stat.st_dev;
        self.prefix = name.len() + 1;
        self.path = name.to_vec();
        self.is_no_store(&stat)?;
        self.archive.directory(&self.path, at::meta(&stat))?;
        // Nothing at all of a root is no backup: an error, where a directory below is a warning.
        let mut directory = Directory::new(opened.into()).map_err(unreadable)?;
        let names = directory.names().map_err(unreadable)?.into_iter();
        let mut levels = vec![Level {
            directory,
            names,
            length: self.path.len(),
        }];
        while let Some(level) = levels.last_mut() {
            self.path.truncate(level.length);
            let Some((name, hint)) = level.names.next() else {
                levels.pop();
                continue;
            };
            self.path.push(b'/');
            self.path.extend_from_slice(name.to_bytes());
            if self.around.is_over() {
                return Err(WriteError::Stopped.into());
            }
            if self
                .excludes
                .has(self.path.get(self.prefix..).unwrap_or_default())
            {
                continue;
            }
            if self.path.len() > LONGEST {
                self.lacks("its path is longer than 4096 bytes");
                continue;
            }
            let at = level.directory.fd();
            if let Some(below) = self.visit(at, &name, hint)? {
                if levels.len() > DEEPEST {
                    self.lacks(&format!("it is more than {DEEPEST} directories deep"));
                    continue;
                }
                levels.extend(self.open(below));
            }
        }
        Ok(())
    }

    /// A store within its own source would grow with each backup.
    fn is_no_store(&self, stat: &Stat) -> Result<(), SourceError> {
        match self.around.stores.contains(&(stat.st_dev, stat.st_ino)) {
            false => Ok(()),
            true => Err(SourceError(format!(
                "{} is a store of these backups: exclude it, or keep backups elsewhere",
                self.shown()
            ))),
        }
    }

    fn shown(&self) -> String {
        clean(&escape(&self.path), 300)
    }

    /// Says that something (or what is in it) is not in the backup.
    fn lacks(&mut self, why: &str) {
        let text = format!("{} is not in the backup: {why}", self.shown());
        self.warnings.push(text);
    }

    fn failed(&mut self, error: &io::Error) {
        match error.kind() {
            io::ErrorKind::NotFound => self.lacks("it vanished before it was read"),
            // Of something that was a file or a directory a moment ago: now it is a link.
            _ if error.raw_os_error() == Some(libc::ELOOP) => {
                self.lacks("it was replaced while it was read");
            }
            _ => self.lacks(&error.to_string()),
        }
    }

    /// The names of a directory that was opened.
    fn open(&mut self, fd: OwnedFd) -> Option<Level> {
        let opened = Directory::new(fd).and_then(|mut directory| {
            let names = directory.names()?.into_iter();
            Ok(Level {
                directory,
                names,
                length: self.path.len(),
            })
        });
        match opened {
            Ok(level) => Some(level),
            Err(error) => {
                self.lacks(&format!("what is in it can't be listed: {error}"));
                None
            }
        }
    }

    /// Puts one thing into the archive. A directory that is to be walked is given back.
    fn visit(
        &mut self,
        at: BorrowedFd,
        name: &CStr,
        hint: u8,
    ) -> Result<Option<OwnedFd>, SourceError> {
        // A file or directory is opened at once and asked then; the rest is looked at from outside,
        // for to open a device can do something.
        let kind = match hint {
            libc::DT_REG => libc::S_IFREG,
            libc::DT_DIR => libc::S_IFDIR,
            _ => match at::stat_at(at, name) {
                Ok(stat) => at::kind(&stat),
                Err(error) => {
                    self.failed(&error);
                    return Ok(None);
                }
            },
        };
        match kind {
            libc::S_IFREG => self.file(at, name)?,
            libc::S_IFDIR => return self.directory(at, name),
            libc::S_IFLNK => self.symlink(at, name)?,
            libc::S_IFSOCK => self.lacks("it is a socket"),
            libc::S_IFIFO => self.lacks("it is a FIFO"),
            libc::S_IFBLK | libc::S_IFCHR => self.lacks("it is a device"),
            _ => self.lacks("it is of no kind that can be kept"),
        }
        Ok(None)
    }

    fn symlink(&mut self, at: BorrowedFd, name: &CStr) -> Result<(), SourceError> {
        let read = at::stat_at(at, name).and_then(|stat| Ok((stat, at::read_link(at, name)?)));
        match read {
            Ok((stat, target)) => Ok(self.archive.symlink(&self.path, &target, at::meta(&stat))?),
            Err(error) => {
                self.failed(&error);
                Ok(())
            }
        }
    }

    fn directory(&mut self, at: BorrowedFd, name: &CStr) -> Result<Option<OwnedFd>, SourceError> {
        let opened = at::open(at, name, libc::O_RDONLY | libc::O_DIRECTORY, 0)
            .and_then(|fd| Ok((at::stat_file(fd.as_fd())?, fd)));
        let (stat, fd) = match opened {
            Ok(opened) => opened,
            Err(error) => {
                // The directory itself is kept where it can be: what is missing is what is in it.
                match at::stat_at(at, name) {
                    Ok(stat) if at::kind(&stat) == libc::S_IFDIR => {
                        self.archive.directory(&self.path, at::meta(&stat))?;
                        self.lacks(&format!("what is in it can't be read: {error}"));
                    }
                    Ok(_) => self.lacks("it was replaced while it was read"),
                    Err(error) => self.failed(&error),
                }
                return Ok(None);
            }
        };
        self.is_no_store(&stat)?;
        self.archive.directory(&self.path, at::meta(&stat))?;
        let is_other = self.one_file_system && stat.st_dev != self.device;
        Ok((!is_other).then_some(fd))
    }

    fn file(&mut self, at: BorrowedFd, name: &CStr) -> Result<(), SourceError> {
        let opened = at::open(at, name, libc::O_RDONLY, 0)
            .and_then(|fd| Ok((at::stat_file(fd.as_fd())?, File::from(fd))));
        let (before, mut file) = match opened {
            Ok(opened) => opened,
            Err(error) => {
                self.failed(&error);
                return Ok(());
            }
        };
        if at::kind(&before) != libc::S_IFREG {
            self.lacks("it was replaced while it was read");
            return Ok(());
        }
        if self.canary.is_some_and(|place| place == escape(&self.path)) {
            self.canary = None;
        }
        let id = (before.st_dev, before.st_ino);
        if before.st_nlink > 1
            && let Some((first, left)) = self.links.get_mut(&id)
        {
            self.archive
                .hardlink(&self.path, first, at::meta(&before))?;
            *left -= 1;
            if *left == 0 {
                self.links.remove(&id);
            }
            return Ok(());
        }
        let size = u64::try_from(before.st_size).unwrap_or(0);
        if size > 1 << 20 {
            at::sequential(&file);
        }
        let meta = at::meta(&before);
        let stored = self.archive.file(&self.path, meta, size, &mut file)?;
        if before.st_nlink > 1 {
            let left = before.st_nlink - 1;
            self.links.insert(id, (self.path.clone(), left));
        }
        let after = at::stat_file(file.as_fd());
        if let Some(odd) = oddity(&before, after, &stored) {
            let text = format!("{} {odd}", self.shown());
            self.warnings.push(text);
        }
        Ok(())
    }
}

/// What is odd about a file that was read.
fn oddity(before: &Stat, after: io::Result<Stat>, stored: &Stored) -> Option<String> {
    if let Some(error) = &stored.error {
        return Some(format!(
            "is not whole in the backup: it can't be read to its end: {error} ({} of {} bytes, the \
             rest is zeros)",
            stored.read, stored.size
        ));
    }
    if stored.read < stored.size {
        return Some(format!(
            "shrank while it was read ({} of {} bytes, the rest is zeros)",
            stored.read, stored.size
        ));
    }
    if stored.cut {
        return Some(format!(
            "grew while it was read (its first {} bytes are kept)",
            stored.size
        ));
    }
    let changed = match after {
        Ok(after) => {
            let when = |stat: &Stat| {
                let modified = (stat.st_mtime, stat.st_mtime_nsec);
                (stat.st_size, modified)
            };
            when(before) != when(&after)
        }
        Err(_) => false,
    };
    changed.then(|| "changed while it was read: it may be half old and half new".to_owned())
}

#[cfg(test)]
mod tests;

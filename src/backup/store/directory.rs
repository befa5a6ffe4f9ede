//! A directory as a store. Everything below it is reached from its own file descriptor, one part
//! of a name after the other, and no symbolic link on the way is followed: whoever may write into
//! the store must not make us read or write elsewhere.
//!
//! A thing is written under a hidden name and then linked to its own, which fails where that is
//! taken. While it is written the file is locked, so that a leftover can be told from a writer
//! that still lives.

use std::ffi::{CStr, CString, OsStr, OsString};
use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use super::{Blob, Measured, NO_NAME, Object, Store, StoreError, TAKEN, Upload, is_name, whole};

/// How deep a store may be.
const DEEPEST: usize = 8;
/// What a name that is being written begins and ends with.
const HIDDEN: &str = ".";
const PART: &str = ".part";

/// Backups in a directory of this machine.
pub struct DirectoryStore {
    path: PathBuf,
}

impl DirectoryStore {
    /// The directory must be there by the time it is used: a disk that is not mounted must not be
    /// mistaken for an empty store.
    pub fn new(path: &Path) -> Self {
        DirectoryStore {
            path: path.to_owned(),
        }
    }

    fn error(&self, doing: &'static str, name: &str, reason: impl std::fmt::Display) -> StoreError {
        StoreError::new(doing, name, self.endpoint(), reason)
    }

    fn failed(&self, doing: &'static str, name: &str, error: &io::Error) -> StoreError {
        StoreError {
            absent: error.kind() == io::ErrorKind::NotFound,
            ..self.error(doing, name, in_words(error))
        }
    }

    fn root(&self, doing: &'static str) -> Result<File, StoreError> {
        OpenOptions::new()
            .read(true)
            .custom_flags(libc::O_DIRECTORY)
            .open(&self.path)
            .map_err(|error| {
                let hint = match error.kind() {
                    io::ErrorKind::NotFound => {
                        "; mount what it is on, or make it with `mkdir -m 0700`"
                    }
                    _ => "",
                };
                // Not `absent`: that nothing is in a store that is not there is not known.
                self.error(doing, "the store's directory", format!("{error}{hint}"))
            })
    }

    /// The directory that holds `name`, and its last part.
    fn parent<'n>(
        &self,
        doing: &'static str,
        name: &'n str,
        make: bool,
    ) -> Result<(File, &'n str), StoreError> {
        if !is_name(name) {
            return Err(self.error(doing, name, NO_NAME));
        }
        let (folders, last) = match name.rsplit_once('/') {
            Some((folders, last)) => (Some(folders), last),
            None => (None, name),
        };
        let mut at = self.root(doing)?;
        for folder in folders.iter().flat_map(|folders| folders.split('/')) {
            let folder = OsStr::new(folder);
            let next = match subdirectory(&at, folder) {
                Err(error) if make && error.kind() == io::ErrorKind::NotFound => {
                    make_directory(&at, folder).and_then(|()| subdirectory(&at, folder))
                }
                other => other,
            };
            at = next.map_err(|error| self.failed(doing, name, &error))?;
        }
        Ok((at, last))
    }

    fn file(&self, doing: &'static str, name: &str) -> Result<Measured<File>, StoreError> {
        let (parent, last) = self.parent(doing, name, false)?;
        let opened = open_at(
            &parent,
            OsStr::new(last),
            // A FIFO would keep us waiting without O_NONBLOCK.
            libc::O_RDONLY | libc::O_NOFOLLOW | libc::O_NONBLOCK,
            0,
        );
        let file = opened.map_err(|error| self.failed(doing, name, &error))?;
        let about = file
            .metadata()
            .map_err(|error| self.failed(doing, name, &error))?;
        if !about.is_file() {
            return Err(self.error(doing, name, "it is not a file"));
        }
        // SAFETY: a descriptor of ours; the call only gives advice.
        unsafe { libc::posix_fadvise(file.as_raw_fd(), 0, 0, libc::POSIX_FADV_SEQUENTIAL) };
        Ok(Measured::new(file, about.len()))
    }

    /// All files below a folder of the store, hidden ones apart.
    fn walk(
        &self,
        doing: &'static str,
        prefix: &str,
        take: &mut dyn FnMut(&File, &OsStr, String, bool) -> io::Result<()>,
    ) -> Result<(), StoreError> {
        let folder = prefix.rsplit_once('/').map_or("", |(folder, _)| folder);
        let mut at = self.root(doing)?;
        for part in folder.split('/').filter(|part| !part.is_empty()) {
            match subdirectory(&at, OsStr::new(part)) {
                Ok(next) => at = next,
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
                Err(error) => return Err(self.failed(doing, folder, &error)),
            }
        }
        let base = if folder.is_empty() {
            String::new()
        } else {
            format!("{folder}/")
        };
        down(&at, &base, DEEPEST, take).map_err(|error| self.failed(doing, prefix, &error))
    }
}

/// A file that a person named: links are theirs to follow.
pub(super) fn by_itself(path: &Path) -> Result<Box<dyn Blob>, StoreError> {
    let shown = path.display().to_string();
    let wrong = |reason: &dyn std::fmt::Display| {
        StoreError::new("reading", &shown, "the file system", reason)
    };
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NONBLOCK)
        .open(path)
        .map_err(|error| StoreError {
            absent: error.kind() == io::ErrorKind::NotFound,
            ..wrong(&error)
        })?;
    let about = file.metadata().map_err(|error| wrong(&error))?;
    if !about.is_file() {
        return Err(wrong(&"it is not a file"));
    }
    Ok(Box::new(Measured::new(file, about.len())))
}

/// Tells each file below `at`; `base` is what its name begins with.
fn down(
    at: &File,
    base: &str,
    deepest: usize,
    take: &mut dyn FnMut(&File, &OsStr, String, bool) -> io::Result<()>,
) -> io::Result<()> {
    for (name, kind) in entries(at)? {
        let Some(text) = name.to_str() else { continue };
        let hidden = text.starts_with(HIDDEN);
        let full = format!("{base}{text}");
        match kind {
            libc::DT_REG => take(at, &name, full, hidden)?,
            libc::DT_DIR if !hidden && deepest > 0 => match subdirectory(at, &name) {
                Ok(below) => down(&below, &format!("{full}/"), deepest - 1, take)?,
                // It went while we looked.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            },
            _ => {}
        }
    }
    Ok(())
}

impl Store for DirectoryStore {
    fn endpoint(&self) -> String {
        crate::shell::clean(&self.path.display().to_string(), 300)
    }

    fn list(&self, prefix: &str) -> Result<Vec<Object>, StoreError> {
        let mut found = Vec::new();
        self.walk("listing", prefix, &mut |at, last, name, hidden| {
            if !hidden && name.starts_with(prefix) {
                found.extend(object(at, last, name)?);
            }
            Ok(())
        })?;
        found.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(found)
    }

    fn open(&self, name: &str) -> Result<Box<dyn Blob>, StoreError> {
        Ok(Box::new(self.file("reading", name)?))
    }

    fn create(&self, name: &str) -> Result<Box<dyn Upload>, StoreError> {
        const DOING: &str = "writing";
        let (parent, last) = self.parent(DOING, name, true)?;
        let failed = |error: &io::Error| self.failed(DOING, name, error);
        if exists(&parent, OsStr::new(last)).map_err(|e| failed(&e))? {
            return Err(self.error(DOING, name, TAKEN));
        }
        let part = format!(
            "{HIDDEN}{last}.{:08x}{PART}",
            uuid::Uuid::new_v4().as_fields().0
        );
        let part = OsString::from(part);
        let file = open_at(
            &parent,
            &part,
            libc::O_WRONLY | libc::O_CREAT | libc::O_EXCL | libc::O_NOFOLLOW,
            0o600,
        )
        .map_err(|e| failed(&e))?;
        let writing = Writing {
            store: self.endpoint(),
            name: name.to_owned(),
            parent,
            last: OsString::from(last),
            part: Some(part),
            file: BufWriter::with_capacity(256 << 10, file),
            root: self.root(DOING)?,
        };
        // Where a file system knows no locks, a leftover cannot be told from a writer: no harm.
        let _ = lock(writing.file.get_ref());
        Ok(Box::new(writing))
    }

    fn get(&self, name: &str, limit: u64) -> Result<Vec<u8>, StoreError> {
        whole(self.file("reading", name)?, limit).map_err(|why| self.error("reading", name, why))
    }

    fn leftovers(&self, prefix: &str) -> Result<Vec<Object>, StoreError> {
        let mut found = Vec::new();
        self.walk("listing", prefix, &mut |at, last, name, hidden| {
            let is_ours = hidden && last.as_bytes().ends_with(PART.as_bytes());
            // `db/.20261120….part` belongs to `db/`.
            let bare = name.replacen("/.", "/", 1);
            let bare = bare.strip_prefix(HIDDEN).unwrap_or(&bare);
            if is_ours && bare.starts_with(prefix) && is_abandoned(at, last)? {
                found.extend(object(at, last, name)?);
            }
            Ok(())
        })?;
        found.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(found)
    }
}

/// What is being written. Dropped before its end, it is taken away.
struct Writing {
    store: String,
    name: String,
    parent: File,
    last: OsString,
    /// The hidden name; `None` once it is no more.
    part: Option<OsString>,
    file: BufWriter<File>,
    root: File,
}

impl Write for Writing {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes).map_err(told)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush().map_err(told)
    }
}

impl Upload for Writing {
    fn finish(mut self: Box<Self>) -> Result<(), StoreError> {
        let done = (|| {
            self.file.flush()?;
            self.file.get_ref().sync_all()?;
            let Some(part) = &self.part else {
                return Ok(());
            };
            rename_without_replacing(&self.parent, part, &self.last)?;
            self.part = None;
            self.parent.sync_all()?;
            // Where the folder is new, its own name must last too.
            self.root.sync_all()
        })();
        done.map_err(|error| {
            let reason = match error.kind() {
                io::ErrorKind::AlreadyExists => TAKEN.to_owned(),
                _ => in_words(&error),
            };
            StoreError::new("writing", &self.name, &self.store, reason)
        })
    }
}

impl Drop for Writing {
    fn drop(&mut self) {
        if let Some(part) = self.part.take() {
            let _ = remove(&self.parent, &part);
        }
    }
}

/// An error of the file system with what to do about it.
fn in_words(error: &io::Error) -> String {
    let hint = match error.raw_os_error() {
        Some(libc::ENOSPC | libc::EDQUOT) => "; make room on it",
        Some(libc::ELOOP) => " (a symbolic link in a store is not followed)",
        Some(libc::ENOTDIR) => " (or a symbolic link, which is not followed in a store)",
        Some(libc::EROFS) => "; it is mounted read-only",
        _ => "",
    };
    format!("{error}{hint}")
}

fn told(error: io::Error) -> io::Error {
    io::Error::new(error.kind(), in_words(&error))
}

fn c(name: &OsStr) -> io::Result<CString> {
    CString::new(name.as_bytes()).map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))
}

fn result(code: libc::c_int) -> io::Result<libc::c_int> {
    match code {
        -1 => Err(io::Error::last_os_error()),
        code => Ok(code),
    }
}

fn open_at(
    parent: &File,
    name: &OsStr,
    flags: libc::c_int,
    mode: libc::c_uint,
) -> io::Result<File> {
    let name = c(name)?;
    // SAFETY: a descriptor that lives, and a text that ends with NUL and lives as long.
    let fd = result(unsafe {
        libc::openat(
            parent.as_raw_fd(),
            name.as_ptr(),
            flags | libc::O_CLOEXEC,
            mode,
        )
    })?;
    // SAFETY: it was just opened and is nobody else's.
    Ok(File::from(unsafe { OwnedFd::from_raw_fd(fd) }))
}

fn subdirectory(parent: &File, name: &OsStr) -> io::Result<File> {
    open_at(
        parent,
        name,
        libc::O_RDONLY | libc::O_DIRECTORY | libc::O_NOFOLLOW,
        0,
    )
}

fn make_directory(parent: &File, name: &OsStr) -> io::Result<()> {
    let name = c(name)?;
    // SAFETY: as in `open_at`.
    match result(unsafe { libc::mkdirat(parent.as_raw_fd(), name.as_ptr(), 0o700) }) {
        // Another writer was quicker.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        other => other.map(drop),
    }
}

fn exists(parent: &File, name: &OsStr) -> io::Result<bool> {
    match about(parent, name) {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

fn about(parent: &File, name: &OsStr) -> io::Result<libc::stat> {
    let name = c(name)?;
    // SAFETY: `stat` is plain numbers, and is filled in where the call succeeds.
    unsafe {
        let mut stat: libc::stat = std::mem::zeroed();
        result(libc::fstatat(
            parent.as_raw_fd(),
            name.as_ptr(),
            &mut stat,
            libc::AT_SYMLINK_NOFOLLOW,
        ))?;
        Ok(stat)
    }
}

/// `None`: it went while we looked, or is no file.
fn object(parent: &File, last: &OsStr, name: String) -> io::Result<Option<Object>> {
    let stat = match about(parent, last) {
        Ok(stat) => stat,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    if stat.st_mode & libc::S_IFMT != libc::S_IFREG {
        return Ok(None);
    }
    Ok(Some(Object {
        name,
        size: u64::try_from(stat.st_size).unwrap_or(0),
        modified: Timestamp::new(stat.st_mtime, 0).ok(),
    }))
}

fn remove(parent: &File, name: &OsStr) -> io::Result<()> {
    let name = c(name)?;
    // SAFETY: as in `open_at`.
    result(unsafe { libc::unlinkat(parent.as_raw_fd(), name.as_ptr(), 0) }).map(drop)
}

fn rename_without_replacing(parent: &File, from: &OsStr, to: &OsStr) -> io::Result<()> {
    let (from_c, to_c) = (c(from)?, c(to)?);
    let fd = parent.as_raw_fd();
    // SAFETY: as in `open_at`.
    let renamed = result(unsafe {
        libc::renameat2(
            fd,
            from_c.as_ptr(),
            fd,
            to_c.as_ptr(),
            libc::RENAME_NOREPLACE,
        )
    });
    match renamed {
        Err(error) if matches!(error.raw_os_error(), Some(libc::EINVAL | libc::ENOSYS)) => {
            // SAFETY: as in `open_at`.
            result(unsafe { libc::linkat(fd, from_c.as_ptr(), fd, to_c.as_ptr(), 0) })?;
            remove(parent, from)
        }
        other => other.map(drop),
    }
}

fn lock(file: &File) -> io::Result<()> {
    // SAFETY: a descriptor that lives.
    result(unsafe { libc::flock(file.as_raw_fd(), libc::LOCK_EX | libc::LOCK_NB) }).map(drop)
}

/// Whether nobody holds the lock that a writer holds.
fn is_abandoned(parent: &File, name: &OsStr) -> io::Result<bool> {
    match open_at(
        parent,
        name,
        libc::O_RDONLY | libc::O_NOFOLLOW | libc::O_NONBLOCK,
        0,
    ) {
        Ok(file) => Ok(lock(&file).is_ok()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// Names in a directory, with their kinds (`DT_…`), in no order.
fn entries(directory: &File) -> io::Result<Vec<(OsString, u8)>> {
    // A reader of its own: the position in a directory belongs to the open file.
    let fresh = open_at(
        directory,
        OsStr::new("."),
        libc::O_RDONLY | libc::O_DIRECTORY,
        0,
    )?;
    let fd = std::os::fd::IntoRawFd::into_raw_fd(fresh);
    // SAFETY: a directory that is open and ours; on failure we close it ourselves.
    let stream = unsafe { libc::fdopendir(fd) };
    if stream.is_null() {
        let error = io::Error::last_os_error();
        // SAFETY: it was not taken over.
        unsafe { libc::close(fd) };
        return Err(error);
    }
    let mut found = Vec::new();
    let end = loop {
        // SAFETY: errno is this thread's own.
        unsafe { *libc::__errno_location() = 0 };
        // SAFETY: the stream is open and used by this thread alone; an entry lives until the next
        // call, and its name ends with NUL.
        let entry = unsafe { libc::readdir64(stream) };
        if entry.is_null() {
            let error = io::Error::last_os_error();
            break match error.raw_os_error() {
                Some(0) | None => Ok(()),
                _ => Err(error),
            };
        }
        // SAFETY: as above.
        let (name, mut kind) = unsafe {
            let name = CStr::from_ptr((*entry).d_name.as_ptr()).to_bytes();
            (OsString::from_vec(name.to_vec()), (*entry).d_type)
        };
        if name == "." || name == ".." {
            continue;
        }
        if kind == libc::DT_UNKNOWN {
            kind = match about(directory, &name) {
                Ok(stat) if stat.st_mode & libc::S_IFMT == libc::S_IFREG => libc::DT_REG,
                Ok(stat) if stat.st_mode & libc::S_IFMT == libc::S_IFDIR => libc::DT_DIR,
                _ => continue,
            };
        }
        found.push((name, kind));
    };
    // SAFETY: it is open, and not used any more.
    unsafe { libc::closedir(stream) };
    end.map(|()| found)
}

#[cfg(test)]
mod tests;

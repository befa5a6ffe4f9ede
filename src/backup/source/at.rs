//! Directories and files by descriptor, one name at a time, so that no symbolic link is followed
//! and nobody can swap a directory for a link on the way.

use std::ffi::{CStr, CString};
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, IntoRawFd, OwnedFd};

/// What stat says of a thing.
pub(super) type Stat = libc::stat;

/// The type bits of a mode.
pub(super) fn kind(stat: &Stat) -> libc::mode_t {
    stat.st_mode & libc::S_IFMT
}

pub(super) fn meta(stat: &Stat) -> crate::backup::archive::Meta {
    crate::backup::archive::Meta {
        mode: stat.st_mode & 0o7777,
        uid: stat.st_uid,
        gid: stat.st_gid,
        mtime: stat.st_mtime,
    }
}

fn check(code: libc::c_int) -> io::Result<libc::c_int> {
    match code {
        -1 => Err(io::Error::last_os_error()),
        code => Ok(code),
    }
}

/// Opens a name of a directory. `O_NOFOLLOW`, `O_NONBLOCK` (a FIFO would keep us waiting) and
/// `O_CLOEXEC` are always set.
pub(super) fn open(
    at: BorrowedFd,
    name: &CStr,
    flags: libc::c_int,
    mode: libc::mode_t,
) -> io::Result<OwnedFd> {
    let flags = flags | libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_CLOEXEC;
    // SAFETY: `name` ends with a NUL; the descriptor that comes back is new and nobody else's.
    unsafe {
        let fd = check(libc::openat(at.as_raw_fd(), name.as_ptr(), flags, mode))?;
        Ok(OwnedFd::from_raw_fd(fd))
    }
}

pub(super) fn stat_file(file: BorrowedFd) -> io::Result<Stat> {
    let mut stat = std::mem::MaybeUninit::<Stat>::uninit();
    // SAFETY: fstat fills the whole struct where it succeeds.
    unsafe {
        check(libc::fstat(file.as_raw_fd(), stat.as_mut_ptr()))?;
        Ok(stat.assume_init())
    }
}

/// Of a name itself, not of what a link points to.
pub(super) fn stat_at(at: BorrowedFd, name: &CStr) -> io::Result<Stat> {
    let mut stat = std::mem::MaybeUninit::<Stat>::uninit();
    // SAFETY: `name` ends with a NUL, and fstatat fills the whole struct where it succeeds.
    unsafe {
        check(libc::fstatat(
            at.as_raw_fd(),
            name.as_ptr(),
            stat.as_mut_ptr(),
            libc::AT_SYMLINK_NOFOLLOW,
        ))?;
        Ok(stat.assume_init())
    }
}

/// Where a symbolic link points.
pub(super) fn read_link(at: BorrowedFd, name: &CStr) -> io::Result<Vec<u8>> {
    let mut target = vec![0_u8; libc::PATH_MAX as usize];
    // SAFETY: readlinkat writes at most as many bytes as it is told that there are.
    let length = unsafe {
        libc::readlinkat(
            at.as_raw_fd(),
            name.as_ptr(),
            target.as_mut_ptr().cast(),
            target.len(),
        )
    };
    let length = usize::try_from(length).map_err(|_| io::Error::last_os_error())?;
    target.truncate(length);
    Ok(target)
}

pub(super) fn rename(at: BorrowedFd, from: &CStr, to: &CStr) -> io::Result<()> {
    let fd = at.as_raw_fd();
    // SAFETY: both names end with a NUL.
    check(unsafe { libc::renameat(fd, from.as_ptr(), fd, to.as_ptr()) }).map(drop)
}

pub(super) fn remove(at: BorrowedFd, name: &CStr) -> io::Result<()> {
    // SAFETY: the name ends with a NUL.
    check(unsafe { libc::unlinkat(at.as_raw_fd(), name.as_ptr(), 0) }).map(drop)
}

/// An open directory.
pub(super) struct Directory(std::ptr::NonNull<libc::DIR>);

// SAFETY: a DIR may be used by any thread, by one at a time; it is not shared.
unsafe impl Send for Directory {}

impl Drop for Directory {
    fn drop(&mut self) {
        // SAFETY: it is open, and this is the last use.
        unsafe { libc::closedir(self.0.as_ptr()) };
    }
}

impl Directory {
    pub fn new(fd: OwnedFd) -> io::Result<Self> {
        let raw = fd.into_raw_fd();
        // SAFETY: the descriptor is ours to give away; where fdopendir fails it is still ours.
        unsafe {
            match std::ptr::NonNull::new(libc::fdopendir(raw)) {
                Some(dir) => Ok(Directory(dir)),
                None => {
                    let error = io::Error::last_os_error();
                    drop(OwnedFd::from_raw_fd(raw));
                    Err(error)
                }
            }
        }
    }

    pub fn fd(&self) -> BorrowedFd<'_> {
        // SAFETY: the descriptor is open as long as the DIR is.
        unsafe { BorrowedFd::borrow_raw(libc::dirfd(self.0.as_ptr())) }
    }

    /// All names but `.` and `..` with their type (`DT_…`), sorted.
    pub fn names(&mut self) -> io::Result<Vec<(CString, u8)>> {
        let mut names = Vec::new();
        loop {
            // SAFETY: errno is this thread's own; the entry is valid until the next call, and is
            // copied before.
            unsafe {
                *libc::__errno_location() = 0;
                let entry = libc::readdir64(self.0.as_ptr());
                if entry.is_null() {
                    match *libc::__errno_location() {
                        0 => break,
                        error => return Err(io::Error::from_raw_os_error(error)),
                    }
                }
                let name = CStr::from_ptr((*entry).d_name.as_ptr());
                if !matches!(name.to_bytes(), b"." | b"..") {
                    names.push((name.to_owned(), (*entry).d_type));
                }
            }
        }
        names.sort_unstable();
        Ok(names)
    }
}

/// Tells the kernel that a file is read from its beginning to its end.
pub(super) fn sequential(file: &File) {
    // SAFETY: advice about a descriptor that is open.
    unsafe { libc::posix_fadvise(file.as_raw_fd(), 0, 0, libc::POSIX_FADV_SEQUENTIAL) };
}

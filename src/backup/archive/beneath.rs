//! What is done within an open directory: by one name, never through a symbolic link, never
//! replacing anything.

use std::ffi::{CStr, CString};
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// What a file or directory shall be like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attributes {
    pub mode: u32,
    /// `None`: who restores owns it.
    pub owner: Option<(u32, u32)>,
    pub mtime: i64,
    pub mtime_ns: u32,
}

/// An open directory.
#[derive(Debug)]
pub struct Dir(OwnedFd);

fn done(code: libc::c_int) -> io::Result<()> {
    if code < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

fn taken(fd: RawFd) -> io::Result<OwnedFd> {
    done(fd)?;
    // SAFETY: the kernel has just given it to us, and nobody else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// A name as the kernel takes it.
pub fn c_name(name: &[u8]) -> io::Result<CString> {
    CString::new(name)
        .map_err(|_| io::Error::new(io::ErrorKind::InvalidInput, "a NUL byte in a name"))
}

impl Dir {
    /// Opens a directory that the caller trusts: links on the way to it are followed.
    pub fn open(path: &Path) -> io::Result<Dir> {
        let path = c_name(path.as_os_str().as_bytes())?;
        let flags = libc::O_RDONLY | libc::O_DIRECTORY | libc::O_CLOEXEC;
        // SAFETY: the path is a C string that lives until the call returns.
        taken(unsafe { libc::open(path.as_ptr(), flags) }).map(Dir)
    }

    fn fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }

    fn open_at(&self, name: &CStr, flags: libc::c_int, mode: u32) -> io::Result<OwnedFd> {
        let flags = flags | libc::O_NOFOLLOW | libc::O_CLOEXEC;
        // SAFETY: our own descriptor, and a C string that lives until the call returns.
        taken(unsafe { libc::openat(self.fd(), name.as_ptr(), flags, mode) })
    }

    pub fn subdirectory(&self, name: &CStr) -> io::Result<Dir> {
        self.open_at(name, libc::O_RDONLY | libc::O_DIRECTORY, 0)
            .map(Dir)
    }

    /// Makes a directory that only we may enter.
    pub fn make_directory(&self, name: &CStr) -> io::Result<()> {
        // SAFETY: as in `open_at`.
        done(unsafe { libc::mkdirat(self.fd(), name.as_ptr(), 0o700) })
    }

    /// Makes a file; an error if anything has that name.
    pub fn create(&self, name: &CStr, mode: u32) -> io::Result<File> {
        let flags = libc::O_WRONLY | libc::O_CREAT | libc::O_EXCL;
        self.open_at(name, flags, mode).map(File::from)
    }

    /// Opens what should be a plain file for reading. Does not wait for a FIFO's writer.
    pub fn read(&self, name: &CStr) -> io::Result<File> {
        self.open_at(name, libc::O_RDONLY | libc::O_NONBLOCK | libc::O_NOCTTY, 0)
            .map(File::from)
    }

    pub fn symlink(&self, name: &CStr, target: &CStr) -> io::Result<()> {
        // SAFETY: as in `open_at`.
        done(unsafe { libc::symlinkat(target.as_ptr(), self.fd(), name.as_ptr()) })
    }

    /// Gives what is called `old` in `from` another name here.
    pub fn hardlink(&self, name: &CStr, from: &Dir, old: &CStr) -> io::Result<()> {
        // SAFETY: as in `open_at`.
        done(unsafe { libc::linkat(from.fd(), old.as_ptr(), self.fd(), name.as_ptr(), 0) })
    }

    /// What has that name; a link is not followed.
    pub fn stat(&self, name: &CStr) -> io::Result<libc::stat> {
        let mut stat = std::mem::MaybeUninit::uninit();
        let flags = libc::AT_SYMLINK_NOFOLLOW;
        // SAFETY: as in `open_at`; the kernel fills the structure where it returns well.
        unsafe {
            done(libc::fstatat(
                self.fd(),
                name.as_ptr(),
                stat.as_mut_ptr(),
                flags,
            ))?;
            Ok(stat.assume_init())
        }
    }

    /// Where a link points.
    pub fn read_link(&self, name: &CStr) -> io::Result<Vec<u8>> {
        let mut target = vec![0u8; libc::PATH_MAX as usize + 1];
        // SAFETY: as in `open_at`; the kernel writes at most as many bytes as it is told.
        let length = unsafe {
            libc::readlinkat(
                self.fd(),
                name.as_ptr(),
                target.as_mut_ptr().cast(),
                target.len(),
            )
        };
        let length = usize::try_from(length).map_err(|_| io::Error::last_os_error())?;
        target.truncate(length);
        Ok(target)
    }

    pub fn remove_file(&self, name: &CStr) -> io::Result<()> {
        // SAFETY: as in `open_at`.
        done(unsafe { libc::unlinkat(self.fd(), name.as_ptr(), 0) })
    }

    pub fn remove_directory(&self, name: &CStr) -> io::Result<()> {
        // SAFETY: as in `open_at`.
        done(unsafe { libc::unlinkat(self.fd(), name.as_ptr(), libc::AT_REMOVEDIR) })
    }

    /// Sets owner and time of a link itself.
    pub fn dress_link(&self, name: &CStr, wanted: &Attributes) -> io::Result<()> {
        if let Some((uid, gid)) = wanted.owner {
            let flags = libc::AT_SYMLINK_NOFOLLOW;
            // SAFETY: as in `open_at`.
            done(unsafe { libc::fchownat(self.fd(), name.as_ptr(), uid, gid, flags) })?;
        }
        let times = times(wanted);
        // SAFETY: as in `open_at`; `times` are two.
        done(unsafe {
            libc::utimensat(
                self.fd(),
                name.as_ptr(),
                times.as_ptr(),
                libc::AT_SYMLINK_NOFOLLOW,
            )
        })
    }

    /// Sets the directory's own attributes.
    pub fn dress(&self, wanted: &Attributes) -> io::Result<()> {
        dress(self.fd(), wanted, None)
    }

    pub fn own(&self, uid: u32, gid: u32) -> io::Result<()> {
        // SAFETY: our own descriptor.
        done(unsafe { libc::fchown(self.fd(), uid, gid) })
    }

    pub fn set_mode(&self, mode: u32) -> io::Result<()> {
        // SAFETY: our own descriptor.
        done(unsafe { libc::fchmod(self.fd(), mode) })
    }

    /// Gives `old` a name that must be free.
    pub fn rename(&self, old: &CStr, new: &CStr) -> io::Result<()> {
        // SAFETY: as in `open_at`.
        let code = unsafe {
            libc::renameat2(
                self.fd(),
                old.as_ptr(),
                self.fd(),
                new.as_ptr(),
                libc::RENAME_NOREPLACE,
            )
        };
        match done(code) {
            // A file system without that flag: a directory never replaces anything but an empty
            // directory.
            Err(e) if e.raw_os_error() == Some(libc::EINVAL) => {
                if self.stat(new).is_ok() {
                    return Err(io::Error::from_raw_os_error(libc::EEXIST));
                }
                // SAFETY: as in `open_at`.
                done(unsafe { libc::renameat(self.fd(), old.as_ptr(), self.fd(), new.as_ptr()) })
            }
            result => result,
        }
    }

    /// Brings everything on this file system to the disk.
    pub fn sync_file_system(&self) -> io::Result<()> {
        // SAFETY: our own descriptor.
        done(unsafe { libc::syncfs(self.fd()) })
    }

    /// Brings the directory's names to the disk.
    pub fn sync(&self) -> io::Result<()> {
        // SAFETY: our own descriptor.
        done(unsafe { libc::fsync(self.fd()) })
    }

    /// Bytes that are free on this file system, for us.
    pub fn free(&self) -> io::Result<u64> {
        let mut stat = std::mem::MaybeUninit::<libc::statvfs>::uninit();
        // SAFETY: the kernel fills the structure where it returns well.
        let stat = unsafe {
            done(libc::fstatvfs(self.fd(), stat.as_mut_ptr()))?;
            stat.assume_init()
        };
        Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
    }

    /// The names in it.
    pub fn list(&self) -> io::Result<Vec<CString>> {
        let again = self.subdirectory(c".")?;
        let fd = again.0.as_raw_fd();
        // SAFETY: the stream takes the descriptor over, so we forget it where that went well.
        let stream = unsafe { libc::fdopendir(fd) };
        if stream.is_null() {
            return Err(io::Error::last_os_error());
        }
        std::mem::forget(again);
        let mut names = Vec::new();
        let ended = loop {
            // SAFETY: errno tells an error from the end, so it is cleared first; an entry is valid
            // until the next call, and its name is a C string.
            unsafe {
                *libc::__errno_location() = 0;
                let entry = libc::readdir64(stream);
                if entry.is_null() {
                    let error = io::Error::last_os_error();
                    break match error.raw_os_error() {
                        Some(0) => Ok(()),
                        _ => Err(error),
                    };
                }
                let name = CStr::from_ptr((*entry).d_name.as_ptr());
                if name != c"." && name != c".." {
                    names.push(name.to_owned());
                }
            }
        };
        // SAFETY: opened above, and not used after this.
        unsafe { libc::closedir(stream) };
        ended.map(|()| names)
    }

    /// Removes what has that name, and all that is in it. That it was not there is no error.
    pub fn remove_all(&self, name: &CStr) -> io::Result<()> {
        match self.remove_file(name) {
            Ok(()) => return Ok(()),
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
            // Linux says EISDIR, POSIX allows EPERM.
            Err(e) if !matches!(e.raw_os_error(), Some(libc::EISDIR | libc::EPERM)) => {
                return Err(e);
            }
            Err(_) => {}
        }
        let inner = match self.subdirectory(name) {
            Err(e) if e.kind() == io::ErrorKind::PermissionDenied => {
                self.open_up(name)?;
                self.subdirectory(name)?
            }
            result => result?,
        };
        // Without the right to write, its names could not be removed.
        let _ = inner.set_mode(0o700);
        for entry in inner.list()? {
            inner.remove_all(&entry)?;
        }
        self.remove_directory(name)
    }

    /// Lets us into a directory of our own that nobody may enter.
    fn open_up(&self, name: &CStr) -> io::Result<()> {
        let held = self.open_at(name, libc::O_PATH | libc::O_DIRECTORY, 0)?;
        // `fchmod` does not take such a descriptor; its name in /proc leads to what it holds.
        let path = c_name(format!("/proc/self/fd/{}", held.as_raw_fd()).as_bytes())?;
        // SAFETY: a C string that lives until the call returns.
        done(unsafe { libc::chmod(path.as_ptr(), 0o700) })
    }
}

fn times(wanted: &Attributes) -> [libc::timespec; 2] {
    [
        libc::timespec {
            tv_sec: 0,
            tv_nsec: libc::UTIME_OMIT,
        },
        libc::timespec {
            tv_sec: wanted.mtime,
            tv_nsec: i64::from(wanted.mtime_ns),
        },
    ]
}

/// Sets owner, mode and time, in this order: a change of owner clears the set-uid bit. `has`: the
/// mode that it is known to have.
fn dress(fd: RawFd, wanted: &Attributes, has: Option<u32>) -> io::Result<()> {
    if let Some((uid, gid)) = wanted.owner {
        // SAFETY: our own descriptor.
        done(unsafe { libc::fchown(fd, uid, gid) })?;
    }
    if has != Some(wanted.mode) {
        // SAFETY: as above.
        done(unsafe { libc::fchmod(fd, wanted.mode) })?;
    }
    let times = times(wanted);
    // SAFETY: as above; `times` are two.
    done(unsafe { libc::futimens(fd, times.as_ptr()) })
}

/// Sets the attributes of a file that was created with the mode that it shall have, `umask` being
/// ours.
pub fn dress_file(file: &File, wanted: &Attributes, umask: u32) -> io::Result<()> {
    let plain = wanted.mode & 0o777 & !umask;
    dress(file.as_raw_fd(), wanted, Some(plain))
}

/// Asks the kernel to begin to write a part of a file to the disk, without waiting for it. A file
/// system that can't is none the worse for it.
pub fn begin_write_back(file: &File, from: u64, bytes: u64) {
    let (Ok(from), Ok(bytes)) = (i64::try_from(from), i64::try_from(bytes)) else {
        return;
    };
    let flags = libc::SYNC_FILE_RANGE_WRITE;
    // SAFETY: our own descriptor; what it returns does not matter.
    unsafe { libc::sync_file_range(file.as_raw_fd(), from, bytes, flags) };
}

/// The bits that the kernel takes from modes of new files. Read, not set for a moment: other
/// threads make files too.
pub fn umask() -> u32 {
    std::fs::read_to_string("/proc/self/status")
        .ok()
        .and_then(|status| {
            let line = status.lines().find_map(|l| l.strip_prefix("Umask:"))?;
            u32::from_str_radix(line.trim(), 8).ok()
        })
        // Then every mode is set once more.
        .unwrap_or(0o777)
}

/// Who we are: user and group that new files get.
pub fn us() -> (u32, u32) {
    // SAFETY: these always succeed.
    unsafe { (libc::geteuid(), libc::getegid()) }
}

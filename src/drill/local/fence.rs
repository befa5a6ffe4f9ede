//! What is done to a child process before it becomes its program: another account, a session of
//! its own, and the lost paths masked in a mount namespace of its own.
//!
//! A guard against accidents and forgotten settings, not a jail: the network stays, and a program
//! that is root finds the disk if it looks for it.

use std::ffi::CString;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// A system account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    pub name: String,
    pub uid: u32,
    pub gid: u32,
}

impl Account {
    /// The account that a program runs as which refuses root: `nobody`, who has the fewest rights,
    /// else `postgres`. `None` where we are not root ourselves: then we are fit for it.
    pub fn unprivileged() -> Result<Option<Account>, String> {
        if !is_root() {
            return Ok(None);
        }
        let passwd = std::fs::read_to_string("/etc/passwd")
            .map_err(|e| format!("reading /etc/passwd: {e}"))?;
        ["nobody", "postgres"]
            .iter()
            .find_map(|name| find_account(&passwd, name))
            .map(Some)
            .ok_or_else(|| {
                "PostgreSQL refuses to run as root, and /etc/passwd has neither nobody nor \
                 postgres; run the drill as another account"
                    .into()
            })
    }
}

fn find_account(passwd: &str, name: &str) -> Option<Account> {
    passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        (fields.next()? == name).then_some(())?;
        let mut numbers = fields.skip(1);
        Some(Account {
            name: name.to_owned(),
            uid: numbers.next()?.parse().ok().filter(|uid| *uid != 0)?,
            gid: numbers.next()?.parse().ok()?,
        })
    })
}

/// Whether we are root.
pub fn is_root() -> bool {
    // SAFETY: it has no arguments and cannot fail.
    unsafe { libc::geteuid() == 0 }
}

/// How lost paths are kept from child processes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Masking {
    /// We are root: a mount namespace.
    Root,
    /// With a user namespace, in which we may mount.
    UserNamespace,
    /// The kernel lets us do neither.
    Not,
}

/// Everything that [`Fence::enter`] needs, made beforehand: it may not allocate.
pub struct Fence {
    masks: Vec<CString>,
    /// `uid_map` and `gid_map` of a user namespace.
    maps: Option<(Vec<u8>, Vec<u8>)>,
    account: Option<(u32, u32)>,
    /// Our own pid: the child dies when the thread that started it does.
    dies_with: Option<i32>,
}

impl Fence {
    pub fn new(
        masked: &[PathBuf],
        masking: Masking,
        account: Option<&Account>,
        dies_with_us: bool,
    ) -> Self {
        let masks = match masking {
            Masking::Not => Vec::new(),
            _ => masked.iter().filter_map(|p| c_path(p)).collect(),
        };
        // SAFETY: they have no arguments and cannot fail.
        let (uid, gid, pid) = unsafe { (libc::geteuid(), libc::getegid(), libc::getpid()) };
        let maps = (masking == Masking::UserNamespace && !masks.is_empty()).then(|| {
            let map = |id: u32| format!("{id} {id} 1").into_bytes();
            (map(uid), map(gid))
        });
        Fence {
            masks,
            maps,
            account: account.map(|a| (a.uid, a.gid)),
            dies_with: dies_with_us.then_some(pid),
        }
    }

    /// Called in the child, between fork and exec: system calls alone, no allocation, no lock.
    pub fn enter(&self) -> io::Result<()> {
        // SAFETY: system calls with valid arguments; each is async-signal-safe.
        unsafe {
            if libc::setsid() < 0 {
                return Err(io::Error::last_os_error());
            }
            if !self.masks.is_empty() {
                self.mask()?;
            }
            if let Some((uid, gid)) = self.account {
                check(libc::setgroups(1, &raw const gid))?;
                check(libc::setresgid(gid, gid, gid))?;
                check(libc::setresuid(uid, uid, uid))?;
            }
            // After the change of account, which takes it away again.
            if let Some(parent) = self.dies_with {
                check(libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL))?;
                if libc::getppid() != parent {
                    return Err(io::Error::from_raw_os_error(libc::ESRCH));
                }
            }
        }
        Ok(())
    }

    /// # Safety
    /// In a child between fork and exec alone.
    unsafe fn mask(&self) -> io::Result<()> {
        const SYS_ADMIN: libc::c_ulong = 21;
        const SYS_PTRACE: libc::c_ulong = 19;
        // SAFETY: as above; all pointers are to NUL-terminated strings that live through the calls.
        unsafe {
            let spaces = match self.maps {
                Some(_) => libc::CLONE_NEWUSER | libc::CLONE_NEWNS,
                None => libc::CLONE_NEWNS,
            };
            check(libc::unshare(spaces))?;
            if let Some((uids, gids)) = &self.maps {
                write_file(c"/proc/self/setgroups", b"deny")?;
                write_file(c"/proc/self/uid_map", uids)?;
                write_file(c"/proc/self/gid_map", gids)?;
            }
            check(libc::mount(
                std::ptr::null(),
                c"/".as_ptr(),
                std::ptr::null(),
                libc::MS_REC | libc::MS_PRIVATE,
                std::ptr::null(),
            ))?;
            for path in &self.masks {
                mask_one(path)?;
            }
            // So that not even root undoes it, or goes round it through another's /proc/PID/root.
            for capability in [SYS_ADMIN, SYS_PTRACE] {
                check(libc::prctl(libc::PR_CAPBSET_DROP, capability, 0, 0, 0))?;
            }
        }
        Ok(())
    }
}

/// An empty directory over a directory, nothing over anything else. What is not there, or cannot
/// be reached, needs no mask.
///
/// # Safety
/// In a mount namespace of its own.
unsafe fn mask_one(path: &CString) -> io::Result<()> {
    // SAFETY: valid strings; the calls keep none of them.
    let done = unsafe {
        check(libc::mount(
            c"seawall-lost".as_ptr(),
            path.as_ptr(),
            c"tmpfs".as_ptr(),
            libc::MS_RDONLY | libc::MS_NOSUID | libc::MS_NODEV | libc::MS_NOEXEC,
            c"size=4k,mode=000".as_ptr().cast(),
        ))
        .or_else(|error| match error.raw_os_error() {
            Some(libc::ENOTDIR) => check(libc::mount(
                c"/dev/null".as_ptr(),
                path.as_ptr(),
                std::ptr::null(),
                libc::MS_BIND,
                std::ptr::null(),
            )),
            _ => Err(error),
        })
    };
    match done {
        Err(error) if error.raw_os_error() == Some(libc::ENOENT) => Ok(()),
        // Root may search every directory; another whom this one is closed to needs no mask.
        Err(error) if error.raw_os_error() == Some(libc::EACCES) => Ok(()),
        other => other,
    }
}

/// # Safety
/// Async-signal-safe: open, write, close.
unsafe fn write_file(path: &std::ffi::CStr, bytes: &[u8]) -> io::Result<()> {
    // SAFETY: a valid string, a valid buffer, a descriptor of our own.
    unsafe {
        let fd = libc::open(path.as_ptr(), libc::O_WRONLY | libc::O_CLOEXEC);
        check(fd)?;
        let written = libc::write(fd, bytes.as_ptr().cast(), bytes.len());
        let error = io::Error::last_os_error();
        libc::close(fd);
        match usize::try_from(written) {
            Ok(count) if count == bytes.len() => Ok(()),
            _ => Err(error),
        }
    }
}

fn check(code: libc::c_int) -> io::Result<()> {
    match code {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}

pub fn c_path(path: &Path) -> Option<CString> {
    CString::new(path.as_os_str().as_bytes()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_is_found_and_root_is_none() {
        let passwd = "root:x:0:0::/:/bin/sh\nnobody:x:0:0::/:/x\npostgres:x:101:104:P,,:/v:/b\n";
        assert_eq!(find_account(passwd, "nobody"), None);
        assert_eq!(
            find_account(passwd, "postgres"),
            Some(Account {
                name: "postgres".into(),
                uid: 101,
                gid: 104
            })
        );
        assert_eq!(find_account(passwd, "post"), None);
    }
}

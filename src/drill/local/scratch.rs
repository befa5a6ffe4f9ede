//! The scratch: a private directory with a lock and a mark. Nothing is ever removed that does not
//! lie in a scratch that bears the run's mark.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::fence::{Account, c_path};
use super::remove::remove;

/// Our own folder in the scratch. Names of steps' directories never begin with a dot.
pub const OURS: &str = ".seawall";
const MARK: &str = "mark.json";
const LOCK: &str = "lock";
/// So many names of what was there beforehand are listed.
const LISTED: usize = 50;

/// Says whose a scratch is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    pub run: String,
    /// Whether the directory is ours, or only what we put into it.
    pub made: bool,
    /// What was there beforehand.
    pub preexisting: Vec<String>,
}

/// A scratch that is held: nobody else takes it while this lives.
#[derive(Debug)]
pub struct Held {
    pub mark: Mark,
    _lock: File,
}

/// Where our own things are.
pub fn ours(scratch: &Path) -> PathBuf {
    scratch.join(OURS)
}

/// Whose the scratch is, as its mark says.
pub fn mark(scratch: &Path) -> Option<Mark> {
    let path = ours(scratch).join(MARK);
    let bytes = std::fs::read(path).ok()?;
    serde_json::from_slice(&bytes).ok()
}

/// Takes the scratch for a run: makes it where it is not there. One that the same run has marked
/// before is taken again.
///
/// # Errors
/// When another drill has it, or has left things in it; when it is not private; and when it can't
/// be made.
pub fn take(scratch: &Path, run: &str) -> Result<Held, String> {
    for _ in 0..3 {
        let made = match std::fs::symlink_metadata(scratch) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => make(scratch, run)?,
            Err(e) => return Err(format!("looking at {}: {e}", scratch.display())),
            Ok(found) => {
                check_private(scratch, &found)?;
                take_existing(scratch, run)?
            }
        };
        if let Some(held) = made {
            return Ok(held);
        }
    }
    Err(format!(
        "{} comes and goes: something else works on it",
        scratch.display()
    ))
}

fn check_private(scratch: &Path, found: &std::fs::Metadata) -> Result<(), String> {
    let path = scratch.display();
    // SAFETY: it has no arguments and cannot fail.
    let me = unsafe { libc::geteuid() };
    if !found.is_dir() {
        return Err(format!(
            "{path} is no directory; name one that is not there yet, or an empty one"
        ));
    }
    if found.uid() != me {
        return Err(format!(
            "{path} belongs to another account (uid {})",
            found.uid()
        ));
    }
    // Its group may pass through: PostgreSQL's account does.
    if found.mode() & 0o067 != 0 {
        return Err(format!(
            "{path} is open to others (mode {:04o}): `chmod 700 {path}`",
            found.mode() & 0o7777
        ));
    }
    Ok(())
}

/// Makes it under a temporary name with its mark in it, so that it is never there without.
/// `None`: someone else was faster.
fn make(scratch: &Path, run: &str) -> Result<Option<Held>, String> {
    let wrong = |e: io::Error| {
        format!(
            "making the scratch {}: {e}; its parent must be there, and be writable",
            scratch.display()
        )
    };
    let temporary = temporary(scratch, run).ok_or("the scratch is no path of a directory")?;
    remove(&temporary)?;
    let mark = Mark {
        run: run.to_owned(),
        made: true,
        preexisting: Vec::new(),
    };
    let private = |path: &Path| DirBuilder::new().mode(0o700).create(path);
    private(&temporary).map_err(wrong)?;
    private(&ours(&temporary)).map_err(wrong)?;
    let lock = open_lock(&temporary).map_err(wrong)?;
    flock(&lock).map_err(wrong)?;
    write_mark(&temporary, &mark).map_err(wrong)?;
    match rename_new(&temporary, scratch) {
        Ok(()) => Ok(Some(Held { mark, _lock: lock })),
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {
            remove(&temporary)?;
            Ok(None)
        }
        Err(e) => {
            remove(&temporary)?;
            Err(wrong(e))
        }
    }
}

/// Whether it is only half there: being made, or being removed, when its process died.
pub fn is_half(scratch: &Path, run: &str) -> bool {
    temporary(scratch, run).is_some_and(|path| std::fs::symlink_metadata(path).is_ok())
}

/// What the scratch is called until its mark is in it, and while it is removed.
fn temporary(scratch: &Path, run: &str) -> Option<PathBuf> {
    let name = scratch.file_name()?.to_string_lossy().into_owned();
    Some(scratch.parent()?.join(format!(".{name}.seawall-{run}")))
}

fn take_existing(scratch: &Path, run: &str) -> Result<Option<Held>, String> {
    let wrong = |e: io::Error| format!("taking the scratch {}: {e}", scratch.display());
    let path = scratch.display();
    match DirBuilder::new().mode(0o700).create(ours(scratch)) {
        Err(e) if e.kind() != io::ErrorKind::AlreadyExists => return Err(wrong(e)),
        _ => {}
    }
    let folder = std::fs::symlink_metadata(ours(scratch)).map_err(wrong)?;
    if !folder.is_dir() {
        return Err(format!("{path}/{OURS} is no directory: take it away"));
    }
    let lock = match open_lock(scratch) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        other => other.map_err(wrong)?,
    };
    let owner = || match mark(scratch) {
        Some(mark) => format!("the drill {}", crate::shell::clean(&mark.run, 60)),
        None => "another drill".to_owned(),
    };
    match flock(&lock) {
        Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
            return Err(format!(
                "{path} is in use by {}: two drills do not share a scratch",
                owner()
            ));
        }
        other => other.map_err(wrong)?,
    }
    // Whoever had it may have removed the file between our opening and our locking.
    let inode = |m: std::fs::Metadata| (m.dev(), m.ino());
    let held = lock.metadata().map(inode).map_err(wrong)?;
    if std::fs::symlink_metadata(ours(scratch).join(LOCK))
        .map(inode)
        .ok()
        != Some(held)
    {
        return Ok(None);
    }
    if let Some(mark) = mark(scratch) {
        if mark.run == run {
            return Ok(Some(Held { mark, _lock: lock }));
        }
        let other = crate::shell::clean(&mark.run, 60);
        return Err(format!(
            "{path} holds what the drill {other} left: `seawall drill sweep {other}` takes it away"
        ));
    }
    let mark = Mark {
        run: run.to_owned(),
        made: false,
        preexisting: list(scratch).map_err(wrong)?,
    };
    write_mark(scratch, &mark).map_err(wrong)?;
    Ok(Some(Held { mark, _lock: lock }))
}

/// What is in it, apart from our own folder.
fn list(scratch: &Path) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    let mut more = 0;
    for entry in std::fs::read_dir(scratch)? {
        let entry = entry?;
        if entry.file_name() == OURS {
            continue;
        }
        if names.len() >= LISTED {
            more += 1;
            continue;
        }
        let kind = match entry.file_type()? {
            kind if kind.is_dir() => "directory",
            kind if kind.is_file() => "file",
            _ => "other",
        };
        let name = crate::shell::clean(&entry.file_name().to_string_lossy(), 100);
        names.push(format!("{name} ({kind})"));
    }
    names.sort();
    if more > 0 {
        names.push(format!("and {more} more"));
    }
    Ok(names)
}

fn open_lock(scratch: &Path) -> io::Result<File> {
    OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .custom_flags(libc::O_NOFOLLOW)
        .open(ours(scratch).join(LOCK))
}

fn flock(file: &File) -> io::Result<()> {
    // SAFETY: a valid descriptor.
    match unsafe { libc::flock(file.as_raw_fd(), libc::LOCK_EX | libc::LOCK_NB) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

fn write_mark(scratch: &Path, mark: &Mark) -> io::Result<()> {
    let text = serde_json::to_vec_pretty(mark).map_err(io::Error::other)?;
    write_private(&ours(scratch).join(MARK), &text)?;
    File::open(ours(scratch))?.sync_all()
}

/// Writes a file for ourselves alone, whole or not at all.
pub fn write_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    use std::io::Write;
    let temporary = path.with_extension("new");
    let _ = std::fs::remove_file(&temporary);
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&temporary)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    std::fs::rename(&temporary, path)
}

/// Renames onto a name that must not be there.
fn rename_new(from: &Path, to: &Path) -> io::Result<()> {
    let (Some(from), Some(to)) = (c_path(from), c_path(to)) else {
        return Err(io::Error::other("its name holds a NUL"));
    };
    // SAFETY: valid strings.
    let code = unsafe {
        libc::renameat2(
            libc::AT_FDCWD,
            from.as_ptr(),
            libc::AT_FDCWD,
            to.as_ptr(),
            libc::RENAME_NOREPLACE,
        )
    };
    match code {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Makes a private directory in the scratch, for an account of its own where one is given. The
/// scratch itself then lets that account's group pass through.
pub fn directory(path: &Path, scratch: &Path, account: Option<&Account>) -> Result<(), String> {
    let wrong = |e: io::Error| format!("making {}: {e}", path.display());
    DirBuilder::new().mode(0o700).create(path).map_err(wrong)?;
    let Some(account) = account else {
        return Ok(());
    };
    std::os::unix::fs::chown(path, Some(account.uid), Some(account.gid)).map_err(wrong)?;
    if path.starts_with(scratch) {
        use std::os::unix::fs::PermissionsExt;
        std::os::unix::fs::chown(scratch, None, Some(account.gid)).map_err(wrong)?;
        std::fs::set_permissions(scratch, PermissionsExt::from_mode(0o710)).map_err(wrong)?;
    }
    Ok(())
}

/// Takes away everything that a run has made: the scratch itself, if the run made it.
pub fn wipe(scratch: &Path, run: &str) -> Result<(), String> {
    let aside = temporary(scratch, run);
    if let Some(aside) = &aside {
        remove(aside)?;
    }
    match (mark(scratch), aside) {
        (Some(mark), aside) if mark.run == run => match (mark.made, aside) {
            // Were we to die half-way, it would stand there without its mark, and nobody would
            // know whose it is: first it gets a name that says so.
            (true, Some(aside)) => {
                rename_new(scratch, &aside).map_err(|e| {
                    format!("setting {} aside to remove it: {e}", scratch.display())
                })?;
                remove(&aside)
            }
            (true, None) => remove(scratch),
            (false, _) => remove(&ours(scratch)),
        },
        // Another's, or none: nothing of it is ours.
        _ => Ok(()),
    }
}

/// Whether a path in the scratch may be removed for this run.
pub fn is_ours(path: &Path, scratch: &Path, run: &str) -> bool {
    let inside = path
        .strip_prefix(scratch)
        .is_ok_and(|rest| !rest.as_os_str().is_empty() && !has_parents(rest));
    inside && mark(scratch).is_some_and(|mark| mark.run == run)
}

fn has_parents(path: &Path) -> bool {
    path.components()
        .any(|c| !matches!(c, std::path::Component::Normal(_)))
}

/// Bytes free for us on the file system of a directory, and whether it is in memory.
pub fn room(path: &Path) -> Option<(u64, bool)> {
    let path = c_path(path)?;
    // SAFETY: valid for the calls, which fill them; zeroes are valid values.
    unsafe {
        let mut stat: libc::statfs = std::mem::zeroed();
        if libc::statfs(path.as_ptr(), &raw mut stat) != 0 {
            return None;
        }
        let block = u64::try_from(stat.f_bsize).ok()?;
        let memory = matches!(stat.f_type, libc::TMPFS_MAGIC | 0x8584_58f6);
        Some((stat.f_bavail.saturating_mul(block), memory))
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn it_is_made_private_and_marked_and_goes_whole() {
        let dir = tempfile::tempdir().unwrap();
        let scratch = dir.path().join("scratch");
        let held = take(&scratch, "run-1").unwrap();
        assert!(held.mark.made);
        let mode = std::fs::metadata(&scratch).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700);
        std::fs::write(scratch.join("restored"), "x").unwrap();
        // A second drill, and also the same run from another process.
        let error = take(&scratch, "run-2").unwrap_err();
        assert!(error.contains("in use by the drill run-1"), "{error}");
        assert!(take(&scratch, "run-1").is_err());
        drop(held);
        let error = take(&scratch, "run-2").unwrap_err();
        assert!(error.contains("sweep run-1"), "{error}");
        let held = take(&scratch, "run-1").unwrap();
        wipe(&scratch, "run-2").unwrap();
        assert!(scratch.join("restored").exists());
        wipe(&scratch, "run-1").unwrap();
        assert!(!scratch.exists());
        drop(held);
        // Nothing is left beside it either.
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[test]
    fn one_whose_removal_was_cut_short_goes_too() {
        let place = tempfile::tempdir().unwrap();
        let scratch = place.path().join("s");
        drop(take(&scratch, "r1").unwrap());
        let aside = temporary(&scratch, "r1").unwrap();
        std::fs::rename(&scratch, &aside).unwrap();
        std::fs::remove_dir_all(ours(&aside)).unwrap();
        assert!(is_half(&scratch, "r1") && !is_half(&scratch, "r2"));
        wipe(&scratch, "r2").unwrap();
        assert!(aside.exists(), "another run's is not touched");
        wipe(&scratch, "r1").unwrap();
        assert_eq!(std::fs::read_dir(place.path()).unwrap().count(), 0);
    }

    #[test]
    fn what_was_there_beforehand_is_listed_and_stays() {
        let dir = tempfile::tempdir().unwrap();
        let scratch = dir.path().join("scratch");
        std::fs::create_dir(&scratch).unwrap();
        std::fs::write(scratch.join("theirs"), "x").unwrap();
        let error = take(&scratch, "r").unwrap_err();
        assert!(error.contains("chmod 700"), "{error}");
        std::fs::set_permissions(&scratch, PermissionsExt::from_mode(0o700)).unwrap();
        let held = take(&scratch, "r").unwrap();
        assert_eq!(held.mark.preexisting, ["theirs (file)"]);
        assert!(!held.mark.made);
        assert!(is_ours(&scratch.join("x"), &scratch, "r"));
        assert!(!is_ours(&scratch, &scratch, "r"));
        assert!(!is_ours(&scratch.join("../x"), &scratch, "r"));
        assert!(!is_ours(&scratch.join("x"), &scratch, "other"));
        wipe(&scratch, "r").unwrap();
        let left: Vec<_> = std::fs::read_dir(&scratch).unwrap().collect();
        assert_eq!(left.len(), 1);
        drop(held);
    }

    #[test]
    fn a_link_is_no_scratch() {
        let dir = tempfile::tempdir().unwrap();
        let real = dir.path().join("real");
        std::fs::create_dir(&real).unwrap();
        let link = dir.path().join("scratch");
        std::os::unix::fs::symlink(&real, &link).unwrap();
        assert!(take(&link, "r").is_err());
        assert_eq!(std::fs::read_dir(&real).unwrap().count(), 0);
    }
}

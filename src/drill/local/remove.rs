//! Removing a tree that others may have had their hands in: no link is followed, no other file
//! system entered, and at the end it is looked whether it is gone.
//!
//! Files are unlinked, not overwritten: on a journaling or copy-on-write file system, and on an
//! SSD, writing over a file says nothing about the blocks that it had.

use std::ffi::{CString, OsStr};
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::fence::c_path;

/// Directories that are open at once, one in another. What lies deeper is moved up first.
const DEPTH: usize = 64;
/// A process that is just ending may still write: so often it is tried again.
const TRIES: usize = 20;

/// Removes a file, link or directory with all below.
///
/// # Errors
/// When something of it stays: what, and why. What is not there is no error.
pub fn remove(path: &Path) -> Result<(), String> {
    let wrong = |e: io::Error| format!("removing {}: {e}", path.display());
    let mut last = Ok(());
    for turn in 0..TRIES {
        if turn > 0 {
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
        last = remove_once(path);
        match std::fs::symlink_metadata(path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
            _ => {}
        }
        match &last {
            Err(e) if e.raw_os_error() != Some(libc::ENOTEMPTY) => break,
            _ => {}
        }
    }
    last.and(Err(io::Error::other("it is still there")))
        .map_err(wrong)
}

fn remove_once(path: &Path) -> io::Result<()> {
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(io::Error::other("this is no path of a directory"));
    };
    let Some(parent) = c_path(parent) else {
        return Err(io::Error::other("its name holds a NUL"));
    };
    let parent = match open(libc::AT_FDCWD, &parent, false) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
        other => other?,
    };
    let name = c_name(name)?;
    let device = match look(&parent, &name)? {
        None => return Ok(()),
        Some(stat) => stat.st_dev,
    };
    let top = Top {
        device,
        moved: std::cell::Cell::new(0),
    };
    remove_entry(&parent, &name, &top, 0, None)
}

/// What the whole removal shares.
struct Top {
    device: libc::dev_t,
    /// How many were moved up from too deep.
    moved: std::cell::Cell<u64>,
}

fn remove_entry(
    parent: &OwnedFd,
    name: &CString,
    top: &Top,
    depth: usize,
    root: Option<&OwnedFd>,
) -> io::Result<()> {
    let Some(stat) = look(parent, name)? else {
        return Ok(());
    };
    if stat.st_mode & libc::S_IFMT != libc::S_IFDIR {
        return unlink(parent, name, 0);
    }
    if stat.st_dev != top.device {
        return Err(io::Error::other(format!(
            "{} is on another file system, which is not touched: unmount it",
            String::from_utf8_lossy(name.as_bytes())
        )));
    }
    if let (Some(root), true) = (root, depth >= DEPTH) {
        let moved = top.moved.get() + 1;
        top.moved.set(moved);
        let aside = c_name(OsStr::new(&format!(".seawall-deep-{moved}")))?;
        // SAFETY: valid descriptors and strings.
        let code = unsafe {
            libc::renameat(
                parent.as_raw_fd(),
                name.as_ptr(),
                root.as_raw_fd(),
                aside.as_ptr(),
            )
        };
        return result(code);
    }
    let directory = open_writable(parent, name)?;
    let is_root = root.is_none();
    let root = root.unwrap_or(&directory);
    loop {
        let names = list(&directory)?;
        for entry in &names {
            remove_entry(&directory, entry, top, depth + 1, Some(root))?;
        }
        // What was moved up from too deep is found in the next round.
        if !is_root || names.is_empty() {
            break;
        }
    }
    unlink(parent, name, libc::AT_REMOVEDIR)
}

/// Opens a directory, and makes it writable for us where its mode does not let us.
fn open_writable(parent: &OwnedFd, name: &CString) -> io::Result<OwnedFd> {
    let opened = match open(parent.as_raw_fd(), name, true) {
        Err(e) if e.kind() == io::ErrorKind::PermissionDenied => {
            // Between the look and this, it may have become a link: the mode of a link's target
            // is not ours to change.
            let held = open_path(parent, name)?;
            let path = c_name(OsStr::new(&format!("/proc/self/fd/{}", held.as_raw_fd())))?;
            // SAFETY: a valid string.
            result(unsafe { libc::chmod(path.as_ptr(), 0o700) })?;
            open(parent.as_raw_fd(), name, true)?
        }
        other => other?,
    };
    // SAFETY: a valid descriptor. Where it fails, so will the unlinking, and say why.
    unsafe { libc::fchmod(opened.as_raw_fd(), 0o700) };
    Ok(opened)
}

/// A descriptor that needs no permission on the directory itself.
fn open_path(parent: &OwnedFd, name: &CString) -> io::Result<OwnedFd> {
    let flags = libc::O_PATH | libc::O_NOFOLLOW | libc::O_DIRECTORY | libc::O_CLOEXEC;
    // SAFETY: a valid descriptor and string; what is opened is ours alone.
    unsafe {
        let fd = libc::openat(parent.as_raw_fd(), name.as_ptr(), flags);
        result(fd.min(0))?;
        Ok(OwnedFd::from_raw_fd(fd))
    }
}

fn open(at: i32, name: &CString, strict: bool) -> io::Result<OwnedFd> {
    let follow = if strict { libc::O_NOFOLLOW } else { 0 };
    // SAFETY: a valid string; the descriptor is ours alone.
    unsafe {
        let fd = libc::openat(
            at,
            name.as_ptr(),
            libc::O_RDONLY | libc::O_DIRECTORY | libc::O_CLOEXEC | follow,
        );
        result(fd.min(0))?;
        Ok(OwnedFd::from_raw_fd(fd))
    }
}

fn look(parent: &OwnedFd, name: &CString) -> io::Result<Option<libc::stat>> {
    // SAFETY: `stat` is valid for the call, which fills it; zeroes are a valid value.
    unsafe {
        let mut stat: libc::stat = std::mem::zeroed();
        let code = libc::fstatat(
            parent.as_raw_fd(),
            name.as_ptr(),
            &raw mut stat,
            libc::AT_SYMLINK_NOFOLLOW,
        );
        match result(code) {
            Ok(()) => Ok(Some(stat)),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(e),
        }
    }
}

fn unlink(parent: &OwnedFd, name: &CString, flags: i32) -> io::Result<()> {
    // SAFETY: a valid descriptor and string.
    match result(unsafe { libc::unlinkat(parent.as_raw_fd(), name.as_ptr(), flags) }) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

/// The names in an open directory.
fn list(directory: &OwnedFd) -> io::Result<Vec<CString>> {
    std::fs::read_dir(format!("/proc/self/fd/{}", directory.as_raw_fd()))?
        .map(|entry| c_name(&entry?.file_name()))
        .collect()
}

fn c_name(name: &OsStr) -> io::Result<CString> {
    CString::new(name.as_bytes()).map_err(io::Error::other)
}

fn result(code: i32) -> io::Result<()> {
    match code {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    #[test]
    fn links_are_not_followed_and_closed_directories_go_too() {
        let dir = tempfile::tempdir().unwrap();
        let outside = dir.path().join("outside");
        std::fs::create_dir(&outside).unwrap();
        std::fs::write(outside.join("kept"), "x").unwrap();
        let tree = dir.path().join("tree");
        std::fs::create_dir_all(tree.join("a/b")).unwrap();
        std::fs::write(tree.join("a/b/f"), "x").unwrap();
        symlink(&outside, tree.join("link")).unwrap();
        symlink(outside.join("kept"), tree.join("a/file-link")).unwrap();
        std::fs::set_permissions(tree.join("a"), PermissionsExt::from_mode(0o000)).unwrap();
        remove(&tree).unwrap();
        assert!(!tree.exists());
        assert!(outside.join("kept").exists());
        // The tree itself may be a link by now.
        symlink(&outside, &tree).unwrap();
        remove(&tree).unwrap();
        assert!(outside.join("kept").exists());
        remove(&tree).unwrap();
        remove(&tree.join("no/such/place")).unwrap();
    }

    #[test]
    fn a_tree_of_any_depth_goes() {
        let dir = tempfile::tempdir().unwrap();
        let mut path = dir.path().join("tree");
        std::fs::create_dir(&path).unwrap();
        for level in 0..700 {
            path.push("d");
            std::fs::create_dir(&path).unwrap();
            if level % 50 == 0 {
                std::fs::write(path.join("f"), "x").unwrap();
            }
        }
        remove(&dir.path().join("tree")).unwrap();
        assert!(!dir.path().join("tree").exists());
    }
}

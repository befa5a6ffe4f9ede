//! The lock on a scratch: one drill at a time from one controller. A file that is locked as long as
//! the process lives, whatever becomes of it. (A drill of another controller is seen by its tags.)

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use crate::shell::clean;

/// Held while this lives.
#[derive(Debug)]
pub struct Held(#[allow(dead_code, reason = "the lock ends with the file")] File);

/// The folder of drills in AWS below the state directory; private.
pub fn folder(state_dir: &Path) -> PathBuf {
    state_dir.join("drills")
}

/// Takes the lock on a region of an account.
///
/// # Errors
/// When another drill has it, or the file cannot be made.
pub fn take(state_dir: &Path, account: &str, region: &str, run: &str) -> Result<Held, String> {
    let folder = folder(state_dir);
    let safe = |text: &str| -> String {
        let keep = |c: char| c.is_ascii_alphanumeric() || c == '-';
        text.chars().filter(|c| keep(*c)).take(40).collect()
    };
    let path = folder.join(format!("lock-{}-{}", safe(account), safe(region)));
    let shown = path.display();
    let wrong = |e: io::Error| format!("locking the scratch ({shown}): {e}");
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(&folder)
        .map_err(wrong)?;
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .custom_flags(libc::O_NOFOLLOW | libc::O_CLOEXEC)
        .open(&path)
        .map_err(wrong)?;
    // SAFETY: the descriptor is open as long as `file` lives.
    if unsafe { libc::flock(file.as_raw_fd(), libc::LOCK_EX | libc::LOCK_NB) } != 0 {
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::WouldBlock {
            return Err(wrong(error));
        }
        let mut owner = String::new();
        // Best effort: it only makes the message better.
        let _ = file.take(100).read_to_string(&mut owner);
        return Err(format!(
            "{} in account {} is in use by the drill {}: two drills do not share a scratch; wait \
             for its end",
            clean(region, 40),
            clean(account, 20),
            clean(owner.trim(), 60)
        ));
    }
    (file.set_len(0))
        .and_then(|()| file.rewind())
        .and_then(|()| file.write_all(run.as_bytes()))
        .map_err(wrong)?;
    Ok(Held(file))
}

/// Removes the run's own folder with all that is in it: keys, host keys, what archives held.
///
/// # Errors
/// When it cannot be removed.
pub fn remove_folder(state_dir: &Path, run: &str) -> Result<(), String> {
    let path = folder(state_dir).join(run);
    match std::fs::remove_dir_all(&path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => {
            Err(format!("removing {}: {e}", path.display()))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_drill_is_refused_and_the_lock_goes_with_its_process() {
        let dir = tempfile::tempdir().unwrap();
        let take = |region: &str, run: &str| take(dir.path(), "111122223333", region, run);
        let held = take("eu-central-1", "first").unwrap();
        let error = take("eu-central-1", "second").unwrap_err();
        assert!(error.contains("the drill first"), "{error}");
        let other = take("eu-north-1", "second").unwrap();
        drop(held);
        let again = take("eu-central-1", "third").unwrap();
        let error = take("eu-central-1", "fourth").unwrap_err();
        assert!(error.contains("the drill third"), "{error}");
        drop((other, again));
    }

    #[test]
    fn the_runs_folder_goes_with_all_that_is_in_it_and_no_other() {
        let dir = tempfile::tempdir().unwrap();
        remove_folder(dir.path(), "run").unwrap();
        let path = folder(dir.path()).join("run");
        std::fs::create_dir_all(&path).unwrap();
        std::fs::write(path.join("key"), "x").unwrap();
        let other = folder(dir.path()).join("other");
        std::fs::create_dir_all(&other).unwrap();
        remove_folder(dir.path(), "run").unwrap();
        assert!(!path.exists() && other.exists());
    }
}

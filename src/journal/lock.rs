//! One process writes a journal: it holds a lock on it (flock) as long as it lives, and no longer,
//! however it ends.

use std::fs::{File, TryLockError};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, Instant};

use super::JournalError;

/// Whoever only looks whether a run is going holds the lock for a moment.
const PATIENCE: Duration = Duration::from_millis(500);

/// Takes the lock; it is held until the file is closed.
///
/// # Errors
/// [`JournalError::InUse`] where another process writes the file.
pub(super) fn hold(file: &File, path: &Path) -> Result<(), JournalError> {
    let begun = Instant::now();
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(()),
            Err(TryLockError::WouldBlock) if begun.elapsed() < PATIENCE => {
                std::thread::sleep(Duration::from_millis(10));
            }
            Err(TryLockError::WouldBlock) => {
                return Err(JournalError::InUse {
                    path: path.display().to_string(),
                    by: holder(file).unwrap_or_else(|| "another process".into()),
                });
            }
            Err(TryLockError::Error(e)) => return Err(JournalError::io("locking", path, e)),
        }
    }
}

/// Whether a process that lives holds the lock. A file that is not there is held by nobody.
pub(super) fn is_held(path: &Path) -> bool {
    let Ok(file) = File::open(path) else {
        return false;
    };
    matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock))
}

/// `process 4711`, where the kernel says it. Lines of /proc/locks are
/// `1: FLOCK  ADVISORY  WRITE 4711 fe:01:1234 0 EOF`.
fn holder(file: &File) -> Option<String> {
    let inode = file.metadata().ok()?.ino().to_string();
    let locks = std::fs::read_to_string("/proc/locks").ok()?;
    locks.lines().find_map(|line| {
        let mut words = line.split_ascii_whitespace().skip(1);
        let kind = words.next()?;
        let pid = words.nth(2)?;
        let place = words.next()?;
        let ours = kind == "FLOCK" && place.rsplit(':').next() == Some(inode.as_str());
        (ours && pid != "-1" && pid != "0").then(|| format!("process {pid}"))
    })
}

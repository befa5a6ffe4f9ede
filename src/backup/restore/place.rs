//! Where a directory is restored: a temporary name that only we may enter, beside the real one. It
//! becomes the real one when all is well, and goes when anything is not.

use std::cell::Cell;
use std::ffi::CString;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::RestoreError;
use crate::backup::Progress;
use crate::backup::archive::beneath::{Dir, c_name, us};
use crate::backup::archive::extract::ExtractError;

pub(super) struct Place {
    parent: Dir,
    top: Arc<Dir>,
    name: CString,
    temporary: CString,
    /// For messages.
    into: PathBuf,
    /// Bytes that were free when we began.
    free: Option<u64>,
    /// It has its real name, or is gone.
    is_settled: Cell<bool>,
}

impl Place {
    pub fn make(into: &Path) -> Result<Place, RestoreError> {
        let cannot = |error: io::Error| {
            RestoreError(format!(
                "making a place to restore to, for {}: {error}",
                into.display()
            ))
        };
        let name = into
            .file_name()
            .ok_or_else(|| cannot(io::Error::other("that is no name for a new directory")))?;
        let parent = match into.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        let parent = Dir::open(parent).map_err(cannot)?;
        let c_into = c_name(name.as_bytes()).map_err(cannot)?;
        match parent.stat(&c_into) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => {}
            Ok(_) => {
                return Err(RestoreError(format!(
                    "{} is there already, and nothing is ever replaced: name a directory that is not, or move this one away",
                    into.display()
                )));
            }
            Err(error) => return Err(cannot(error)),
        }
        let random = uuid::Uuid::new_v4().simple().to_string();
        let mut temporary = b".".to_vec();
        // A name has 255 bytes at most.
        temporary.extend_from_slice(name.as_bytes().get(..200).unwrap_or(name.as_bytes()));
        temporary.extend_from_slice(b".seawall-");
        temporary.extend_from_slice(random.get(..8).unwrap_or(&random).as_bytes());
        let temporary = c_name(&temporary).map_err(cannot)?;
        parent.make_directory(&temporary).map_err(cannot)?;
        let made = parent.subdirectory(&temporary).and_then(|top| {
            // The parent may hand down its group and set-gid bit.
            let (uid, gid) = us();
            top.own(uid, gid)?;
            top.set_mode(0o700)?;
            Ok(top)
        });
        let top = made.map_err(|error| {
            let _ = parent.remove_directory(&temporary);
            cannot(error)
        })?;
        Ok(Place {
            free: parent.free().ok(),
            parent,
            top: Arc::new(top),
            name: c_into,
            temporary,
            into: into.to_path_buf(),
            is_settled: Cell::new(false),
        })
    }

    pub fn top(&self) -> Arc<Dir> {
        self.top.clone()
    }

    /// Brings everything to the disk, and then gives it its name.
    pub fn publish(self) -> Result<(), RestoreError> {
        if let Err(error) = self.top.sync_file_system() {
            let error = RestoreError(format!(
                "bringing {} to the disk: {error}",
                self.into.display()
            ));
            return Err(self.remove(error));
        }
        if let Err(error) = self.parent.rename(&self.temporary, &self.name) {
            let error = RestoreError(format!(
                "giving what was restored its name, {}: {error}",
                self.into.display()
            ));
            return Err(self.remove(error));
        }
        self.is_settled.set(true);
        self.parent.sync().map_err(|error| {
            RestoreError(format!(
                "{} is restored, but its name may not survive a crash: {error}",
                self.into.display()
            ))
        })
    }

    /// Takes away what was made, and looks whether it is gone. Gives back why, with what is left.
    pub fn remove(&self, why: RestoreError) -> RestoreError {
        self.is_settled.set(true);
        let gone = self.parent.remove_all(&self.temporary).and_then(|()| {
            match self.parent.stat(&self.temporary) {
                Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
                Err(error) => Err(error),
                Ok(_) => Err(io::Error::other("it is still there")),
            }
        });
        match gone {
            Ok(()) => why,
            Err(error) => RestoreError(format!(
                "{why}; and {} beside {} could not be removed: {error}. Remove it by hand",
                self.temporary.to_string_lossy(),
                self.into.display()
            )),
        }
    }

    /// What an error means here: a full disk, above all.
    pub fn explain(&self, error: ExtractError, progress: &Progress) -> RestoreError {
        let ExtractError::Write {
            name,
            bytes,
            source,
        } = &error
        else {
            return RestoreError::of(error, progress);
        };
        let is_full = matches!(source.raw_os_error(), Some(libc::ENOSPC | libc::EDQUOT));
        if !is_full {
            return RestoreError(format!("below {}: {error}", self.into.display()));
        }
        let sealed = progress.sealed.load(Ordering::Relaxed);
        let total = progress.total.load(Ordering::Relaxed);
        let done = progress.bytes.load(Ordering::Relaxed);
        let whole = u128::from(done) * u128::from(total) / u128::from(sealed.max(1));
        let free = match self.free {
            Some(free) => format!("{} were free", megabytes(u128::from(free))),
            None => "how much was free is not known".into(),
        };
        RestoreError(format!(
            "no space left for {}: {source}, while writing {name} ({bytes} bytes), after {} of files from {sealed} of the backup's {total} bytes. The whole needs about {}; {free} when it began. Free some space, or restore elsewhere",
            self.into.display(),
            megabytes(u128::from(done)),
            megabytes(whole.max(u128::from(done) + u128::from(*bytes))),
        ))
    }
}

/// After a panic nothing may be left either.
impl Drop for Place {
    fn drop(&mut self) {
        if !self.is_settled.get() {
            let _ = self.parent.remove_all(&self.temporary);
        }
    }
}

fn megabytes(bytes: u128) -> String {
    format!("{} MB", bytes.div_ceil(1_000_000))
}

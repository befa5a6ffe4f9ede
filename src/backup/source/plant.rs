//! The canary: a token and a time, written into the source before it is read, so that a restore
//! shows of which moment it is.

use std::ffi::{CString, OsStr};
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path};

use super::directory::root_name;
use super::{SourceError, Surroundings, at, postgresql};
use crate::backup::archive::canary::{LARGEST, with};
use crate::backup::archive::{Canary, escape};
use crate::document::policy::{Directories, SourceDocument};
use crate::shell::clean;

/// Writes the canary that the policy demands, if it does.
pub(in crate::backup) fn plant(
    source: &SourceDocument,
    data_time: &str,
    around: &Surroundings,
) -> Result<Option<Canary>, SourceError> {
    let Some(wanted) = &source.canary else {
        return Ok(None);
    };
    let mut token = [0; 16];
    aws_lc_rs::rand::fill(&mut token)
        .map_err(|_| SourceError("there is no randomness for the canary's token".to_owned()))?;
    let mut canary = Canary {
        token: crate::model::hex(&token),
        at: data_time.to_owned(),
        place: String::new(),
    };
    match (
        &source.directories,
        &source.postgresql,
        &wanted.file,
        &wanted.table,
    ) {
        (Some(directories), None, Some(file), None) => {
            let place = Place::of(directories, file)?;
            canary.place = escape(&place.archived);
            place.write(&canary).map_err(|error| {
                SourceError(format!("writing the canary {}: {error}", clean(file, 200)))
            })?;
        }
        (None, Some(database), None, Some(table)) => {
            canary.place.clone_from(table);
            postgresql::plant(database, table, &canary, around)?;
        }
        _ => {
            return Err(SourceError(
                "a canary is a `file` in directories or a `table` in PostgreSQL".to_owned(),
            ));
        }
    }
    Ok(Some(canary))
}

/// Where the canary's file is.
struct Place<'a> {
    root: &'a Path,
    folders: Vec<&'a OsStr>,
    name: &'a OsStr,
    /// Within the archive.
    archived: Vec<u8>,
}

impl<'a> Place<'a> {
    fn of(directories: &'a Directories, file: &'a str) -> Result<Self, SourceError> {
        let wrong = || {
            SourceError(format!(
                "the canary's file {} is to be an absolute path below one of the directories that \
                 are backed up",
                clean(file, 200)
            ))
        };
        // The innermost one, where one lies in another.
        let root = directories
            .paths
            .iter()
            .map(Path::new)
            .filter(|root| Path::new(file).starts_with(root))
            .max_by_key(|root| root.components().count())
            .ok_or_else(wrong)?;
        let below = Path::new(file).strip_prefix(root).map_err(|_| wrong())?;
        let mut archived = root_name(root)?.to_vec();
        let mut folders = Vec::new();
        for part in below.components() {
            let Component::Normal(part) = part else {
                return Err(wrong());
            };
            archived.push(b'/');
            archived.extend_from_slice(part.as_bytes());
            folders.push(part);
        }
        let name = folders.pop().ok_or_else(wrong)?;
        Ok(Place {
            root,
            folders,
            name,
            archived,
        })
    }

    /// Under another name first, then renamed: whoever reads the file finds the old one or the new
    /// one. No link is followed.
    fn write(&self, canary: &Canary) -> io::Result<()> {
        let mut folder: OwnedFd = File::open(self.root)?.into();
        for part in &self.folders {
            let flags = libc::O_RDONLY | libc::O_DIRECTORY;
            folder = at::open(folder.as_fd(), &CString::new(part.as_bytes())?, flags, 0)?;
        }
        let name = CString::new(self.name.as_bytes())?;
        let before = match at::open(folder.as_fd(), &name, libc::O_RDONLY, 0) {
            Ok(file) => {
                if at::kind(&at::stat_file(file.as_fd())?) != libc::S_IFREG {
                    return Err(io::Error::other("it is there, and is not a file"));
                }
                let mut text = String::new();
                File::from(file)
                    .take(LARGEST as u64)
                    .read_to_string(&mut text)
                    .map_err(|_| io::Error::other("it is there, and is not a canary of ours"))?;
                if !text.is_empty() && crate::backup::archive::canary::tokens(&text).is_empty() {
                    return Err(io::Error::other(
                        "it is there, and is not a canary of ours: name a file that is not there",
                    ));
                }
                text
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(error),
        };
        let (ending, _) = canary.token.split_at(8.min(canary.token.len()));
        let part = CString::new(
            [
                b".",
                self.name.as_bytes(),
                b".",
                ending.as_bytes(),
                b".part",
            ]
            .concat(),
        )?;
        let flags = libc::O_WRONLY | libc::O_CREAT | libc::O_EXCL;
        let mut file = File::from(at::open(folder.as_fd(), &part, flags, 0o600)?);
        let written = file
            .write_all(with(&before, canary).as_bytes())
            .and_then(|()| file.sync_data())
            .and_then(|()| at::rename(folder.as_fd(), &part, &name));
        if written.is_err() {
            let _ = at::remove(folder.as_fd(), &part);
        }
        written
    }
}

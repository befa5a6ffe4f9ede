//! Where documents come from. The disk is the only thing outside that this room ever touches,
//! and only here.

use std::io::Read;
use std::path::Path;

use super::spans::MAX_BYTES;

/// Reads documents by path. Tests bring their own.
pub trait Files {
    /// The text of a file; why not, for a person.
    fn read(&self, path: &Path) -> Result<String, String>;

    /// The names of the files in a directory, for "did you mean". Nothing where that is unknown.
    fn names(&self, _directory: &Path) -> Vec<String> {
        Vec::new()
    }
}

/// The real files.
#[derive(Clone, Copy, Debug, Default)]
pub struct Disk;

impl Files for Disk {
    fn read(&self, path: &Path) -> Result<String, String> {
        use std::io::ErrorKind;
        let why = |error: std::io::Error| match error.kind() {
            ErrorKind::NotFound => "there is no such file".to_owned(),
            ErrorKind::PermissionDenied => "it may not be read (permission denied)".to_owned(),
            ErrorKind::IsADirectory => "it is a directory".to_owned(),
            _ => format!("it could not be read: {error}"),
        };
        let file = std::fs::File::open(path).map_err(why)?;
        let mut bytes = Vec::new();
        // One byte more than is allowed, so that the size is seen to be too large.
        let limit = MAX_BYTES as u64 + 1;
        file.take(limit).read_to_end(&mut bytes).map_err(why)?;
        if bytes.len() > MAX_BYTES {
            return Err("it is larger than 1 MiB".into());
        }
        String::from_utf8(bytes).map_err(|_| "it is not text in UTF-8".into())
    }

    fn names(&self, directory: &Path) -> Vec<String> {
        let directory = match directory.as_os_str().is_empty() {
            true => Path::new("."),
            false => directory,
        };
        let Ok(entries) = std::fs::read_dir(directory) else {
            return Vec::new();
        };
        let mut names: Vec<String> = entries
            .flatten()
            .take(1000)
            .filter_map(|entry| entry.file_name().into_string().ok())
            .collect();
        names.sort();
        names
    }
}

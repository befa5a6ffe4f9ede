//! Places that hold backups. A thing is there whole, or it is not there. Calls block: they are made
//! from threads that may.

mod directory;
mod s3;

use std::io::{Read, Write};
use std::sync::Arc;

use crate::document::policy::StoreDocument;

pub use directory::DirectoryStore;
pub use s3::S3Store;

/// One thing that a store holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Object {
    /// With `/`, relative to the store.
    pub name: String,
    pub size: u64,
    /// When it came there.
    pub modified: Option<jiff::Timestamp>,
}

#[derive(Debug, thiserror::Error)]
#[error("{doing} {name} in {store}: {reason}")]
pub struct StoreError {
    pub doing: &'static str,
    pub name: String,
    pub store: String,
    pub reason: String,
    /// It is not there (as opposed to: it could not be asked).
    pub absent: bool,
}

impl StoreError {
    fn new(
        doing: &'static str,
        name: &str,
        store: impl Into<String>,
        reason: impl std::fmt::Display,
    ) -> Self {
        StoreError {
            doing,
            name: match name {
                "" => "everything".to_owned(),
                name => crate::shell::clean(name, 300),
            },
            store: store.into(),
            reason: crate::shell::clean(&reason.to_string(), 600),
            absent: false,
        }
    }
}

/// Reads one object from its beginning. A short object (the store lied about its size, or the
/// connection ended) is an error, not an end.
pub trait Blob: Read + Send {
    fn size(&self) -> u64;
}

/// Writes one object. Nothing is there until [`Upload::finish`] has returned; dropped without it,
/// what was sent is taken away.
pub trait Upload: Write + Send {
    fn finish(self: Box<Self>) -> Result<(), StoreError>;
}

pub trait Store: Send + Sync {
    /// For a person and for the list of endpoints: `/srv/backups`, `s3://bucket/prefix at
    /// http://127.0.0.1:8333`.
    fn endpoint(&self) -> String;
    /// All whose name begins with `prefix`, sorted by name; what is not whole yet is left out.
    fn list(&self, prefix: &str) -> Result<Vec<Object>, StoreError>;
    fn open(&self, name: &str) -> Result<Box<dyn Blob>, StoreError>;
    /// Never replaces what is there.
    fn create(&self, name: &str) -> Result<Box<dyn Upload>, StoreError>;
    /// A small thing, whole; an error if it is larger than `limit` bytes.
    fn get(&self, name: &str, limit: u64) -> Result<Vec<u8>, StoreError>;
    /// What writers that died have left behind under names that begin with `prefix`, as far as the
    /// store can tell. Never listed, never removed by us.
    fn leftovers(&self, prefix: &str) -> Result<Vec<Object>, StoreError> {
        let _ = prefix;
        Ok(Vec::new())
    }
}

/// Opens the store that a policy describes. Relative directories are relative to `base`.
pub fn open(
    document: &StoreDocument,
    base: &std::path::Path,
) -> Result<Arc<dyn Store>, StoreError> {
    match (&document.directory, &document.s3) {
        (Some(directory), None) => Ok(Arc::new(DirectoryStore::new(&base.join(directory)))),
        (None, Some(s3)) => Ok(Arc::new(S3Store::new(
            s3,
            &|name| std::env::var_os(name),
            s3::RETRIES,
        )?)),
        _ => Err(StoreError::new(
            "opening",
            "the store",
            &document.place,
            "it is neither a directory nor S3, or both: say one of them in the policy",
        )),
    }
}

/// A file by itself, wherever it is.
pub fn file(path: &std::path::Path) -> Result<Box<dyn Blob>, StoreError> {
    directory::by_itself(path)
}

/// Whether a thing may bear this name: parts between `/`, none of them empty or hidden.
fn is_name(name: &str) -> bool {
    name.len() <= 1000
        && name.split('/').all(|part| {
            !part.is_empty()
                && part.len() <= 200
                && !part.starts_with('.')
                && !part.chars().any(char::is_control)
        })
}

const NO_NAME: &str = "that is no name of a thing in a store: its parts may be neither empty nor \
                       hidden";

const TAKEN: &str = "there is one of that name already, and nothing is ever replaced";

/// Counts what is read, and holds it against the size that was announced: a shorter or longer
/// object is an error, not an end.
struct Measured<R> {
    inner: R,
    size: u64,
    given: u64,
}

impl<R: Read> Measured<R> {
    fn new(inner: R, size: u64) -> Self {
        Measured {
            inner,
            size,
            given: 0,
        }
    }
}

fn short(size: u64, given: u64) -> std::io::Error {
    std::io::Error::new(
        std::io::ErrorKind::UnexpectedEof,
        format!("the store said {size} bytes and gave {given}"),
    )
}

impl<R: Read> Read for Measured<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        let rest = self.size - self.given;
        if rest == 0 {
            // One byte more than announced is as wrong as one less.
            return match self.inner.read(&mut [0])? {
                0 => Ok(0),
                _ => Err(std::io::Error::other(format!(
                    "the store said {} bytes and gave more",
                    self.size
                ))),
            };
        }
        let room = usize::try_from(rest)
            .unwrap_or(usize::MAX)
            .min(buffer.len());
        let read = self.inner.read(&mut buffer[..room])?;
        if read == 0 {
            return Err(short(self.size, self.given));
        }
        self.given += read as u64;
        Ok(read)
    }
}

impl<R: Read + Send> Blob for Measured<R> {
    fn size(&self) -> u64 {
        self.size
    }
}

fn too_large(size: u64, limit: u64) -> String {
    format!("it has {size} bytes, and at most {limit} are read")
}

/// Reads a small thing whole.
fn whole(mut blob: impl Blob, limit: u64) -> Result<Vec<u8>, String> {
    if blob.size() > limit {
        return Err(too_large(blob.size(), limit));
    }
    let mut bytes = Vec::new();
    blob.read_to_end(&mut bytes).map_err(|e| e.to_string())?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8], size: u64) -> std::io::Result<Vec<u8>> {
        let mut out = Vec::new();
        Measured::new(bytes, size)
            .read_to_end(&mut out)
            .map(|_| out)
    }

    #[test]
    fn a_store_that_lies_about_a_size_is_caught() {
        assert_eq!(read(b"abc", 3).unwrap(), b"abc");
        assert_eq!(read(b"", 0).unwrap(), b"");
        let short = read(b"abc", 4).unwrap_err().to_string();
        assert_eq!(short, "the store said 4 bytes and gave 3");
        let long = read(b"abc", 2).unwrap_err().to_string();
        assert_eq!(long, "the store said 2 bytes and gave more");
    }

    #[test]
    fn names_stay_within_the_store() {
        for good in [
            "a",
            "db/20261120T023000.123Z-aaaa.tar.zst.age.json.sig",
            "a b/é",
        ] {
            assert!(is_name(good), "{good}");
        }
        for bad in [
            "", "/a", "a/", "a//b", "..", "a/../b", ".a", "a/.b", "a\0", "a\n",
        ] {
            assert!(!is_name(bad), "{bad}");
        }
        assert!(!is_name(&"x".repeat(201)));
    }
}

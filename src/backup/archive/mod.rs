//! What is inside a backup: a tar stream, compressed with zstd.
//!
//! 1. `.seawall/archive.json`: [`ArchiveHeader`].
//! 2. Directories: each entry under the last name of the directory that it came from. Streams (a
//!    dump, a bundle, a program's output; their length is not known beforehand): parts
//!    `stream/000001`, `stream/000002`… of at most 16 MiB, which `cat stream/*` joins.
//! 3. `.seawall/manifest.jsonl`: one [`Entry`] in each line, in the order of the stream; at last
//!    an [`End`].
//!
//! The tar is of the GNU form: names and links are raw bytes of any length. In the manifest they
//! are text, as [`escape`] writes it. Extended attributes, ACLs, sparseness and fractions of a
//! second are not kept.

pub mod again;
pub mod beneath;
pub mod canary;
pub mod extract;
mod hands;
mod header;
pub mod manifest;
mod path;
pub mod place;
pub mod read;
mod tree;
pub mod write;

pub use header::Meta;
pub use manifest::{Manifest, ManifestError, ManifestWriter};
pub use path::{escape, unescape};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Name of the first entry.
pub const HEADER: &str = ".seawall/archive.json";
/// Name of the last one.
pub const MANIFEST: &str = ".seawall/manifest.jsonl";
/// Largest part of a stream, in bytes.
pub const PART: usize = 16 << 20;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ArchiveHeader {
    /// 1.
    pub format: u32,
    /// Our own version.
    pub version: String,
    pub policy: String,
    pub source: String,
    pub kind: Kind,
    /// RFC 3339: before reading began.
    pub data_time: String,
    /// Of a stream: what the whole is called when it is restored, e.g. `app.dump`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stream: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub canary: Option<Canary>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    Directories,
    Postgresql,
    Git,
    Command,
}

/// What was written into the source before it was read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Canary {
    pub token: String,
    /// RFC 3339.
    pub at: String,
    /// The file (its path within the archive, escaped; lines as in [`canary`]) or the table.
    pub place: String,
}

/// One thing in the archive.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Entry {
    /// As in the archive, without a slash at its end, [escaped](escape); of a stream,
    /// [`ArchiveHeader::stream`].
    pub path: String,
    pub kind: EntryKind,
    /// Permission bits.
    pub mode: u32,
    pub uid: u32,
    pub gid: u32,
    /// Seconds since 1970.
    pub mtime: i64,
    /// Of a file, in bytes.
    pub size: u64,
    /// Of a file or a whole stream, in hexadecimal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// Where a link points, escaped: of a symbolic link its text, of a hard link the path of the
    /// entry that it is another name for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum EntryKind {
    File,
    Directory,
    Symlink,
    /// Another name for an entry that came before.
    Hardlink,
    Stream,
}

/// The manifest's last line.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct End {
    /// Lines before this one.
    pub entries: u64,
    /// Of all files and streams.
    pub bytes: u64,
    /// What is odd, e.g. files that changed while they were read.
    pub warnings: Vec<String>,
}

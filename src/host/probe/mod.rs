//! Observing: one program for one host, whatever the number of rules.
//!
//! Resources say what they need to know ([`Queries`]); each probe writes one sh function that
//! observes all of its kind at once and says it in frames, and reads those frames into the
//! [`Snapshot`](super::snapshot::Snapshot).

pub mod accounts;
pub mod files;
pub(crate) mod section;
pub mod sshd;

use std::collections::{BTreeMap, BTreeSet};

/// What a set of rules needs to know of a host. Duplicates fall together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Queries {
    pub sysctls: BTreeSet<String>,
    /// Absolute paths; `true`: with the text.
    pub files: BTreeMap<String, bool>,
    /// Absolute sh globs (`*`, `?`, `[…]` only); `true`: with the text of what they find.
    pub globs: BTreeMap<String, bool>,
    pub packages: BTreeSet<String>,
    /// Unit names with their suffix.
    pub units: BTreeSet<String>,
    /// Module names.
    pub modules: BTreeSet<String>,
    pub mounts: bool,
    pub sshd: bool,
    pub accounts: bool,
    pub walk: bool,
    pub listeners: bool,
    /// Own checks: id → sh. Ids hold only `[A-Za-z0-9_.:-]`.
    pub commands: BTreeMap<String, String>,
}

impl Queries {
    /// Owner, group and mode of a path.
    pub fn file(&mut self, path: &str) {
        self.files.entry(path.into()).or_insert(false);
    }

    /// A file with its text.
    pub fn text(&mut self, path: &str) {
        self.files.insert(path.into(), true);
    }

    /// All that a glob finds, without their text.
    pub fn glob(&mut self, pattern: &str) {
        self.globs.entry(pattern.into()).or_insert(false);
    }

    /// All that a glob finds, with their text.
    pub fn texts(&mut self, pattern: &str) {
        self.globs.insert(pattern.into(), true);
    }
}

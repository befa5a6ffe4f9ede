//! What vulnerabilities there are, from exports that a person brings: Debian's security tracker, and
//! OSV records. Offline, and pure: the files come in as bytes.

use crate::model::Severity;
use crate::model::patch::{Closes, OpenCve, OsRelease, PatchSnapshot, Upgrade};

/// All that the playbook's advisory files say. Cheap to share behind an `Arc`.
#[derive(Clone, Debug, Default)]
pub struct Advisories {}

impl Advisories {
    /// Reads one file. `name` is for messages.
    ///
    /// # Errors
    /// In words, when it is neither form.
    pub fn add(&mut self, _name: &str, _bytes: &[u8]) -> Result<(), String> {
        Ok(())
    }

    /// Whether they say anything of such a system.
    pub fn covers(&self, _os: &OsRelease) -> bool {
        false
    }

    /// What an upgrade closes by these; `Unknown` where they do not cover the system.
    pub fn closes(&self, _os: &OsRelease, _upgrade: &Upgrade, _snapshot: &PatchSnapshot) -> Closes {
        Closes::Unknown
    }

    /// How bad a vulnerability is, where a record says so.
    pub fn severity(&self, _id: &str) -> Option<Severity> {
        None
    }

    /// What is open on a host, worst first. `None`: they do not cover the system.
    pub fn open(&self, _snapshot: &PatchSnapshot) -> Option<Vec<OpenCve>> {
        None
    }
}

//! The journal: what happened, append-only and hash-chained. Everything that a person sees is a
//! fold over it.
//!
//! A run is a folder `<state>/runs/<run id>/` of mode 0700. In it:
//!
//! - `journal.jsonl`: one event on each line, a JSON object that begins with `seq` (from 1, the
//!   number of its line), `time` (RFC 3339, UTC, milliseconds) and `prev`.
//! - What events refer to, by file name and SHA-256: snapshots, outputs.
//! - `manifest.json`, written last: size and SHA-256 of each of these files.
//! - `manifest.json.sig`, where this machine has a signing key: an SSH signature of the manifest.
//!
//! **The chain.** `prev` is the SHA-256, in hexadecimal, of the former line's bytes *with* its
//! newline; on the first line it is 64 zeros. So a shell can check it:
//!
//! ```sh
//! prev=$(printf '%064d' 0)
//! while IFS= read -r line; do
//!     case $line in *"\"prev\":\"$prev\""*) ;; *) echo "broken: $line"; exit 1 ;; esac
//!     prev=$(printf '%s\n' "$line" | sha256sum | cut -d' ' -f1)
//! done <journal.jsonl
//! grep "\"last\": \"$prev\"" manifest.json
//! ```
//!
//! A chain proves that nothing was changed or taken out in the middle. That the end was not cut
//! off is the manifest's to say, and that the manifest is ours is a signature's:
//!
//! ```sh
//! echo "seawall ssh-ed25519 AAAA…" >allowed_signers
//! ssh-keygen -Y verify -f allowed_signers -I seawall -n seawall -s manifest.json.sig <manifest.json
//! ```
//!
//! Runs are chained in their turn: see `chain`. One process at a time writes a journal: see `lock`.

mod chain;
mod clock;
mod drill_event;
mod event;
mod handle;
mod lock;
mod manifest;
mod patch_event;
mod reader;
mod resume;
mod runs;
mod writer;

pub use chain::Link;
pub use clock::{Clock, FixedClock, SystemClock};
pub use drill_event::{AssumedNote, DrillEvent, PointNote, StepNote};
pub use event::{ChangeNote, Event, HostOutcome, StepOutcome};
pub use handle::{Journal, Subscriber};
pub use manifest::{
    FileSeal, JournalSeal, Manifest, Signature, Verified, signature, verify, verify_with,
};
pub use patch_event::PatchEvent;
pub use reader::{JournalReader, Torn};
pub use runs::{
    ChainState, NoStateDir, RunFolder, RunState, Runs, RunsError, new_run_id, state_dir,
};
pub use writer::{JournalWriter, Seal, Signed, file_name};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::model::hex;
pub use crate::model::sha256_hex as sha256;

/// The journal's file name within the run's folder.
pub const JOURNAL_FILE: &str = "journal.jsonl";
/// The manifest's.
pub const MANIFEST_FILE: &str = "manifest.json";
/// The signature of the manifest, in SSH's own format.
pub const SIGNATURE_FILE: &str = "manifest.json.sig";
/// `prev` of the first line.
pub const NO_FORMER_LINE: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// One line of the journal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Record {
    /// From 1; the number of its line.
    pub seq: u64,
    /// RFC 3339, UTC, with milliseconds.
    pub time: String,
    /// SHA-256 of the former line's bytes with its newline, in hexadecimal; 64 zeros at first.
    pub prev: String,
    #[serde(flatten)]
    pub event: Event,
}

/// Why a journal could not be written, read or believed.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    #[error("{doing} {path}: {source}")]
    Io {
        doing: &'static str,
        path: String,
        source: std::io::Error,
    },
    #[error("line {line} of {path} is not an event of ours: {reason}")]
    NotAnEvent {
        line: u64,
        path: String,
        reason: String,
    },
    #[error(
        "line {line} of {path} does not follow on the line before it: the journal was changed \
         after it was written (the hash is {found}, and ought to be {expected})"
    )]
    BrokenLink {
        line: u64,
        path: String,
        expected: String,
        found: String,
    },
    #[error("line {line} of {path} says that it is number {found}")]
    WrongNumber { line: u64, path: String, found: u64 },
    #[error("line {line} of {path} is longer than {limit} bytes")]
    TooLong { line: u64, path: String, limit: u64 },
    #[error("{name:?} is no name for a file in a run's folder")]
    BadName { name: String },
    #[error("{by} writes {path} now: wait until it ends, or end it")]
    InUse { path: String, by: String },
    #[error("{path} is of a run that is sealed: nothing can be added to it")]
    Sealed { path: String },
    #[error("the journal cannot be written any more: {reason}")]
    Closed { reason: String },
    #[error("{path} is not a manifest of ours: {reason}")]
    BadManifest { path: String, reason: String },
}

impl JournalError {
    fn io(doing: &'static str, path: &std::path::Path, source: std::io::Error) -> Self {
        JournalError::Io {
            doing,
            path: path.display().to_string(),
            source,
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::sync::Arc;

    use super::*;

    /// 2026-11-20, 07:35:14 UTC, and each time that it is asked the same again.
    pub(crate) fn clock() -> Arc<dyn Clock> {
        let start = "2026-11-20T07:35:14Z".parse().unwrap();
        Arc::new(FixedClock::new(start, 0))
    }

    pub(crate) fn note(text: &str) -> Event {
        Event::Note {
            host: None,
            text: text.to_owned(),
        }
    }

    #[test]
    fn a_record_begins_with_number_time_and_hash() {
        let record = Record {
            seq: 1,
            time: "2026-11-20T07:35:14.000Z".into(),
            prev: NO_FORMER_LINE.into(),
            event: note("x"),
        };
        let text = serde_json::to_string(&record).unwrap();
        assert_eq!(
            text,
            format!(
                r#"{{"seq":1,"time":"2026-11-20T07:35:14.000Z","prev":"{NO_FORMER_LINE}","event":"note","text":"x"}}"#
            )
        );
        assert_eq!(serde_json::from_str::<Record>(&text).unwrap(), record);
    }
}

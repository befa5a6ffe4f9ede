//! When which host is begun: canaries, waves, hosts that are kept apart, windows, jitter. Pure: the
//! time comes in.

use std::collections::BTreeSet;

use jiff::{Span, Timestamp};

use crate::document::patch::{Apart, Patch, Window};

/// A host, as far as its turn is concerned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    pub name: String,
    /// Its name and all its groups.
    pub names: BTreeSet<String>,
}

/// The waves, as indices of `hosts`: canaries first, each host in exactly one.
pub fn waves(hosts: &[Candidate], _patch: &Patch) -> Vec<Vec<usize>> {
    vec![(0..hosts.len()).collect()]
}

/// Whether `next` may be changed beside those that are being changed now.
pub fn may_begin(_next: &Candidate, _busy: &[&Candidate], _apart: &[Apart]) -> bool {
    true
}

/// When a host may be begun.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Opening {
    Now {
        /// `None`: it never closes.
        until: Option<Timestamp>,
    },
    At(Timestamp),
    /// No window of its own ever opens (which a checked document does not have).
    Never,
}

/// When this host's window opens. `zone`: a name that the document's checks know.
pub fn opening(
    _host: &Candidate,
    _windows: &[Window],
    _zone: Option<&str>,
    _now: Timestamp,
) -> Opening {
    Opening::Now { until: None }
}

/// How long a host waits from its wave's start: the same for the same run and host.
pub fn jitter(_run: &str, _host: &str, _most: std::time::Duration) -> Span {
    Span::new()
}

//! Live progress of a drill: bars on a terminal, plain lines where there is none, nothing on
//! `--quiet`. Fed by the drill's events, and by a callback for what has no event: bytes.

use std::io::Write;
use std::sync::Arc;

use crate::journal::Record;

/// A step's name → plaintext bytes so far, bytes in all (0: not known), files so far. It is asked
/// several times in a second, and must be quick.
pub type Poll = Arc<dyn Fn(&str) -> (u64, u64, u64) + Send + Sync>;

/// Where progress goes.
pub enum Mode {
    /// Bars on standard error, which is a terminal of this size.
    Bars {
        height: usize,
        width: usize,
    },
    /// One line for each milestone.
    Plain(Box<dyn Write + Send>),
    Quiet,
}

/// Shows how a drill goes. Give [`Progress::take`] to the journal as a subscriber; bars are gone
/// when it is dropped.
pub struct Progress {
    _mode: Mode,
}

impl Progress {
    pub fn new(mode: Mode, poll: Poll) -> Self {
        let _ = poll;
        Progress { _mode: mode }
    }

    /// Takes one event in.
    pub fn take(&mut self, record: &Record) {
        let _ = record;
    }
}

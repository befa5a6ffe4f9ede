//! How a host is spoken to: the programs that are sent, and how their answers are read. In one
//! place, so that tests can speak with hosts that are not there.

use crate::host::act::RunId;
use crate::host::patch::job::{self, Followed, Job, Said, services};
use crate::host::patch::observe::{self, Ask};
use crate::model::patch::PatchSnapshot;
use crate::shell::{Frame, Nonce, NulInText};

/// A health check on the host: its name, its command, its limit in seconds. Its frame bears its
/// place.
pub(super) type Command = (String, String, u64);

#[derive(Clone, Copy)]
pub(super) struct Speech {
    pub observe: fn(&Ask, &Nonce) -> Result<String, NulInText>,
    /// `None`: the program did not come to its end.
    pub seen: fn(&[Frame], &Ask, &str, &str) -> Option<PatchSnapshot>,
    pub start: fn(&RunId, &Job, u64, &Nonce) -> Result<String, NulInText>,
    pub follow: fn(&RunId, &str, u64, u64, &Nonce) -> String,
    pub read: fn(&[Frame], u64) -> Result<Followed, String>,
    pub said: fn(&[u8]) -> Vec<Said>,
    pub checks: fn(&[Command], &Nonce) -> Result<String, NulInText>,
    pub reboot: fn(&str, &Nonce) -> Result<String, NulInText>,
    pub forget: fn(&RunId, &Nonce) -> String,
}

/// POSIX sh, and the real thing at the other end.
pub(super) const SH: Speech = Speech {
    observe: observe::program,
    seen: |frames, ask, host, taken| {
        observe::is_whole(frames).then(|| observe::read(frames, ask, host, taken))
    },
    start: job::start,
    follow: job::follow,
    read: job::read,
    said: job::said,
    checks: |commands, nonce| {
        let functions = services::check_functions(commands)?;
        Ok(crate::shell::assemble(nonce, &functions, "health_checks"))
    },
    reboot: services::reboot_program,
    forget: job::forget,
};

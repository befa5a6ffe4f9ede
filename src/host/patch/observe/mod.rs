//! Looking at a host for the sake of patching: one program, and what it says as a
//! [`PatchSnapshot`]. Pure.

use crate::model::patch::PatchSnapshot;
use crate::shell::{Frame, Nonce, NulInText};

/// What is looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ask {
    /// Lists of packages are fetched first (`apt-get update`): the one thing that an observation
    /// writes, and only there where the manager itself keeps them.
    pub refresh: bool,
    /// How long another holder of the lists' lock is waited for, in seconds.
    pub lock_wait: u64,
    /// Packages, offers, holds, space, restarts, reboot; otherwise these are left out, and are not
    /// `unseen`.
    pub packages: bool,
    /// Upgrades that are given out by and by are offered too.
    pub phased: bool,
    /// Containers, and what their tags mean in their registries now.
    pub containers: bool,
}

impl Ask {
    /// Only how the host does: for a gate.
    pub const HEALTH: Ask = Ask {
        refresh: false,
        lock_wait: 0,
        packages: false,
        phased: false,
        containers: false,
    };
}

/// The program that looks. It changes nothing but the lists of packages, where `refresh` is asked.
///
/// # Errors
/// Never with what `Ask` can hold; the type is that of all programs.
pub fn program(_ask: &Ask, nonce: &Nonce) -> Result<String, NulInText> {
    Ok(crate::shell::assemble(nonce, "", "frame end observe 0 ''"))
}

/// Whether the program came to its end.
pub fn is_whole(frames: &[Frame]) -> bool {
    frames
        .iter()
        .any(|f| f.kind == "end" && f.name == "observe")
}

/// What it said. `taken`: RFC 3339, when it was sent.
pub fn read(_frames: &[Frame], ask: &Ask, host: &str, taken: &str) -> PatchSnapshot {
    let _ = ask;
    PatchSnapshot {
        format: 1,
        host: host.to_owned(),
        taken: taken.to_owned(),
        ..PatchSnapshot::default()
    }
}

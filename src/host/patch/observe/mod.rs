//! Looking at a host for the sake of patching: one program, and what it says as a
//! [`PatchSnapshot`]. Pure.
//!
//! One section, one frame. A section that did not come, ended badly or cannot be read stands in
//! `unseen` with its reason.

mod apt;
mod apt_offers;
mod changelog;
mod dnf;
mod dnf_offers;
mod health;
mod offers;
mod policy;
mod space;
mod stale;
mod system;
#[cfg(test)]
mod tests;
mod transaction;

use std::collections::BTreeMap;

use super::containers;
use crate::host::probe::section;
use crate::model::patch::{Manager, PatchSnapshot, Refreshed};
use crate::shell::{Frame, Nonce, NulInText, assemble, clean};

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
pub fn program(ask: &Ask, nonce: &Nonce) -> Result<String, NulInText> {
    let (functions, calls) = parts(ask);
    Ok(assemble(nonce, &functions, &calls))
}

/// Its functions, and the calls of them.
fn parts(ask: &Ask) -> (String, String) {
    let mut functions = String::from(concat!(
        include_str!("sh/system.sh"),
        include_str!("sh/health.sh")
    ));
    let mut calls = String::from("observe_boot\n");
    if ask.packages {
        for more in [
            include_str!("sh/apt.sh"),
            include_str!("sh/dnf.sh"),
            include_str!("sh/stale.sh"),
        ] {
            functions.push_str(more);
        }
        calls.push_str("observe_system\n");
        calls.push_str("case $manager in\napt)\n");
        calls.push_str(&apt::calls(ask));
        calls.push_str(";;\ndnf)\n");
        calls.push_str(&dnf::calls(ask));
        calls.push_str(";;\nesac\n");
        calls.push_str("observe_space\nobserve_stale\n");
    }
    calls.push_str("observe_health\n");
    if ask.containers {
        functions.push_str(containers::observe_functions());
        calls.push_str("observe_containers\n");
    }
    calls.push_str("frame end observe 0 ''");
    (functions, calls)
}

/// Whether the program came to its end.
pub fn is_whole(frames: &[Frame]) -> bool {
    frames
        .iter()
        .any(|f| f.kind == "end" && f.name == "observe")
}

/// What it said. `taken`: RFC 3339, when it was sent.
pub fn read(frames: &[Frame], ask: &Ask, host: &str, taken: &str) -> PatchSnapshot {
    let mut out = PatchSnapshot {
        format: 1,
        host: host.to_owned(),
        taken: taken.to_owned(),
        ..PatchSnapshot::default()
    };
    system::read_boot(frames, &mut out);
    if ask.packages {
        let found = system::read(frames, &mut out);
        match out.manager {
            Manager::Apt => apt::read(frames, &found, &mut out),
            Manager::Dnf => dnf::read(frames, &found, &mut out),
            Manager::None => {
                let why = found
                    .err()
                    .unwrap_or_else(|| "there is no package manager that we know".into());
                for section in ["installed", "offers", "holds", "broken", "lock", "reboot"] {
                    out.unseen.insert(section.into(), why.clone());
                }
            }
        }
        if ask.refresh {
            read_refresh(frames, &mut out);
        }
        space::read(frames, &mut out);
        stale::read(frames, &mut out);
        system::read_reboot(&mut out);
    }
    health::read(frames, &mut out);
    if ask.containers {
        let (seen, unseen) = containers::read(frames);
        out.containers = seen;
        out.unseen.extend(unseen);
    }
    out
}

/// Whether the lists are fresh. `apt-get update` ends well with archives that did not answer, where
/// it is old; then it says so.
fn read_refresh(frames: &[Frame], out: &mut PatchSnapshot) {
    const BAD: &[&str] = &["Failed to fetch", "Some index files failed", "NO_PUBKEY"];
    let why = match section::find(frames, "refresh") {
        None => Some("the host did not answer".to_owned()),
        Some(frame) => {
            let text = frame.text();
            let bad = |line: &&str| {
                line.starts_with("E: ")
                    || line.starts_with("Error")
                    || BAD.iter().any(|b| line.contains(b))
            };
            let lines: Vec<&str> = text.lines().filter(bad).take(5).collect();
            if frame.status == 0 && lines.is_empty() {
                None
            } else if lines.is_empty() {
                Some(match clean(&text, 400) {
                    said if said.is_empty() => format!("it ended with status {}", frame.status),
                    said => said,
                })
            } else {
                Some(clean(&lines.join("; "), 600))
            }
        }
    };
    out.refreshed = match why {
        None => Refreshed::Done,
        Some(why) => {
            out.unseen.insert("refresh".into(), why.clone());
            Refreshed::Failed { why }
        }
    };
}

/// How much of each list is kept: far more than any host has.
const MANY: usize = 20_000;

/// A name, a version, an origin: one line, cleaned and cut.
fn word(text: &str) -> String {
    clean(text, 200)
}

/// Reads a section, or says in `unseen` why it could not be.
fn section_of<T>(
    frames: &[Frame],
    frame: &str,
    section: &str,
    unseen: &mut BTreeMap<String, String>,
    parse: impl FnOnce(&str) -> Result<T, String>,
) -> Option<T> {
    match section::answered(frames, frame).and_then(|f| parse(&f.text())) {
        Ok(value) => Some(value),
        Err(why) => {
            unseen.insert(section.to_owned(), why);
            None
        }
    }
}

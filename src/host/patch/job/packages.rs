//! Jobs of the package manager: finishing what others left, fetching, upgrading, going back. Never
//! a prompt, whatever a package wants to ask. Pure.
//!
//! All of them say, with `say`: `package NAME:ARCH FROM TO` (`-` for none) for each package whose
//! version is now another one (read from the manager's own database before and after, not from what
//! was wanted), `conffile PATH kept|replaced OTHER`, `lock PID PROGRAM` while they wait and `busy
//! PID WHY` when they waited too long, `broken NAME:ARCH STATE` for what is half-installed at the
//! end, `error WHAT WHY` for the manager's own complaints, `note WHAT TEXT`.
//!
//! They end with 0 (well), 1 (failed), 3 (the manager refused, or would have made another change than
//! the plan's: nothing was done), 28 (no room, nothing was done), 71 (the database cannot be read),
//! 75 (the lock was held too long, nothing was done).

use crate::document::patch::Patch;
use crate::host::patch::decide::stays_on_the_way_back;
use crate::model::patch::{ChangeKind, HostPlan, Manager, PatchSnapshot, Upgrade};
use crate::shell::{NulInText, clean, quote};

use super::{Job, apt, dnf};

/// What the jobs of all managers share.
pub(super) const MANAGER: &str = include_str!("sh/manager.sh");

/// Which job it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Repair,
    Download,
    Upgrade,
    Back,
}

impl Part {
    /// The job's name, and that of its function.
    pub(super) fn word(self) -> &'static str {
        match self {
            Part::Repair => "repair",
            Part::Download => "download",
            Part::Upgrade => "upgrade",
            Part::Back => "back",
        }
    }

    /// Whether the job is about the package: a way back leaves kernels where they are.
    pub(super) fn takes(self, upgrade: &Upgrade) -> bool {
        self != Part::Back || !stays_on_the_way_back(upgrade)
    }

    fn what(self) -> &'static str {
        match self {
            Part::Repair => "finishing half-installed packages",
            Part::Download => "downloading packages",
            Part::Upgrade => "upgrading packages",
            Part::Back => "putting packages back",
        }
    }
}

/// Finishes what was left half-installed (`dpkg --configure -a`, then `apt-get -f install` where
/// that takes nothing away). Job `repair`.
///
/// # Errors
/// When a text cannot stand in a program; so for all of these.
pub fn repair(plan: &HostPlan, patch: &Patch) -> Result<Job, NulInText> {
    job(Part::Repair, plan, None, patch)
}

/// Fetches the new versions and, for a way back, the former ones, and checks that there is room for
/// both. Says `former NAME:ARCH cache|archive|repack|none`, `closes NAME:ARCH CVE CVE …` (from the
/// new package's own changelog; nothing where it has none) and `space DIR FREE NEED` in bytes where
/// room is short. Job `download`.
pub fn download(plan: &HostPlan, patch: &Patch) -> Result<Job, NulInText> {
    job(Part::Download, plan, None, patch)
}

/// Makes exactly the plan's upgrades, by version; anything else that the manager would do instead
/// (`differs NAME WHAT`) ends it before it begins. Job `upgrade`.
pub fn upgrade(plan: &HostPlan, patch: &Patch) -> Result<Job, NulInText> {
    job(Part::Upgrade, plan, None, patch)
}

/// Puts back what the plan's upgrades changed, by what is installed now: former versions, new ones
/// taken away (not purged; kernels stay), removed ones put back, marks restored. Says `stays NAME:ARCH WHY` for
/// what did not go back. Job `back`.
pub fn back(plan: &HostPlan, before: &PatchSnapshot, patch: &Patch) -> Result<Job, NulInText> {
    job(Part::Back, plan, Some(before), patch)
}

fn job(
    part: Part,
    plan: &HostPlan,
    before: Option<&PatchSnapshot>,
    patch: &Patch,
) -> Result<Job, NulInText> {
    let (functions, calls) = match plan.manager {
        Manager::Apt => apt::program(part, plan, before, patch)?,
        Manager::Dnf => dnf::program(part, plan, before, patch)?,
        Manager::None => (
            String::new(),
            "say error manager 'there is no package manager that we know'\njob_end 1".to_owned(),
        ),
    };
    // Its own waiting for the lock is not the work's time.
    let limit = patch.limit.0.as_secs().max(1) + patch.lock_wait.0.as_secs();
    Ok(Job::new(
        part.word(),
        part.what(),
        &functions,
        &calls,
        limit,
    ))
}

/// The calls of a job that is none, because a word from the host is none that a package manager
/// would have.
pub(super) fn strange(upgrade: &Upgrade) -> Result<String, NulInText> {
    let name = clean(&upgrade.name, 100);
    Ok(format!(
        "say differs {} 'its name, architecture or version is none that a package has'\njob_end 3",
        quote(&name)?
    ))
}

/// The version that a way back leads to: what was seen before, else what the plan says; empty: it
/// was not installed.
pub(super) fn former(upgrade: &Upgrade, before: Option<&PatchSnapshot>) -> String {
    match seen(upgrade, before) {
        Some(installed) => installed.version.clone(),
        None if upgrade.kind == ChangeKind::New => String::new(),
        None => upgrade.from.clone(),
    }
}

/// Whether it was brought in by a dependency alone.
pub(super) fn automatic(upgrade: &Upgrade, before: Option<&PatchSnapshot>) -> bool {
    seen(upgrade, before).map_or(upgrade.automatic, |i| i.automatic)
}

fn seen<'a>(
    upgrade: &Upgrade,
    before: Option<&'a PatchSnapshot>,
) -> Option<&'a crate::model::patch::Installed> {
    before?
        .installed
        .iter()
        .find(|i| i.name == upgrade.name && i.arch == upgrade.arch)
}

/// Whether it can stand in a command line of a package manager and be nothing but a name, an
/// architecture or a version: no option, no pattern, no path.
pub(super) fn is_word(word: &str) -> bool {
    word.len() <= 400
        && word.starts_with(|c: char| c.is_ascii_alphanumeric())
        && word
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "+-._~:^%".contains(c))
}

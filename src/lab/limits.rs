//! Each systemd takes a handful of inotify instances, and the kernel's usual limit of 128 stops
//! sshd from coming up on the 27th host or so. It is raised for many hosts, and put back when the
//! last lab goes.

use std::fs;
use std::path::Path;

use super::error::{Doing, LabError};
use super::state::ROOT;

const LIMIT: &str = "/proc/sys/fs/inotify/max_user_instances";
/// What a host takes, with room to spare.
const EACH: usize = 8;

fn kept() -> std::path::PathBuf {
    Path::new(ROOT).join("inotify-before")
}

/// Makes sure that this many hosts fit. The old value is on record before the new one is set.
pub(super) fn raise(hosts: usize) -> Result<(), LabError> {
    let text = fs::read_to_string(LIMIT).doing("reading", LIMIT)?;
    let needed = 64 + hosts * EACH;
    if hosts <= 10 || text.trim().parse().is_ok_and(|have: usize| have >= needed) {
        return Ok(());
    }
    let kept = kept();
    if !kept.exists() {
        fs::write(&kept, text.trim()).doing("writing", &kept)?;
    }
    fs::write(LIMIT, needed.to_string()).doing("writing", LIMIT)
}

pub(super) fn restore() -> Result<(), LabError> {
    let kept = kept();
    let Ok(before) = fs::read_to_string(&kept) else {
        return Ok(());
    };
    // An empty record is of an `up` that was killed before it changed anything.
    if !before.is_empty() {
        fs::write(LIMIT, before).doing("writing", LIMIT)?;
    }
    fs::remove_file(&kept).doing("removing", &kept)
}

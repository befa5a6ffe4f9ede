//! Which services use files that were replaced, and which of them we may restart. Pure.

use std::collections::{BTreeMap, BTreeSet};

use super::listed;
use crate::document::inventory::Globs;
use crate::document::patch::{Patch, Restart};
use crate::model::patch::{PatchSnapshot, RestartNote};

/// What we do not restart by ourselves: it takes log-ins, the bus, containers or a person's work
/// down with it. `ssh.service` is not among them: its sessions outlive it.
const LEFT: [&str; 29] = [
    "dbus*",
    "systemd-logind*",
    "getty@*",
    "serial-getty@*",
    "console-getty*",
    "container-getty@*",
    "autovt@*",
    "user@*",
    "user-runtime-dir@*",
    "session-*",
    "*.scope",
    "*.slice",
    "gdm*",
    "lightdm*",
    "sddm*",
    "lxdm*",
    "xdm*",
    "slim*",
    "display-manager*",
    "docker*",
    "containerd*",
    "podman*",
    "crio*",
    "libvirtd*",
    "virtqemud*",
    "lxc*",
    "incus*",
    "seawall-*",
    "emergency*",
];

/// The init system: it is asked to take itself up anew, which harms nothing.
const INIT: &str = "systemd-manager";

/// A note for each unit, or program without one, that uses replaced files now.
pub fn restarts(snapshot: &PatchSnapshot, patch: &Patch) -> Vec<RestartNote> {
    let left = Globs::new(&LEFT);
    let never = Globs::new(&patch.never_restart);
    let mut found: BTreeMap<(&str, bool), BTreeSet<&str>> = BTreeMap::new();
    for process in &snapshot.stale {
        let key = match process.unit.as_str() {
            "" => (process.program.as_str(), false),
            "init.scope" => (INIT, true),
            unit => (unit, true),
        };
        let files = process.files.iter().map(String::as_str);
        found.entry(key).or_default().extend(files);
    }
    found
        .into_iter()
        .map(|((what, is_unit), files)| RestartNote {
            what: what.to_owned(),
            why: match files.is_empty() {
                true => "it uses files that were replaced".to_owned(),
                false => format!("it uses replaced files: {}", listed(files)),
            },
            now: true,
            by_us: is_unit
                && patch.restart != Restart::Never
                && !never.take(what)
                && !never.take(what.strip_suffix(".service").unwrap_or(what))
                && !left.take(what),
        })
        .collect()
}

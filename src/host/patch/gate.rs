//! Whether a host is healthy: what was up is up, what listened listens, nothing has failed that had
//! not, and the playbook's own checks pass. Pure.
//!
//! **Units.** A unit that was active must be active again; one that is still `activating` when the
//! waiting ends is not. What has failed, and had not, is broken; what had failed already is noted.
//! Harmless, and noted: a service that had ended well (`exited`), one that systemd or the bus
//! starts when it is asked for. Scopes, log-ins, transient units and our own are not looked at.
//!
//! **Ports.** A (protocol, port) that listened must listen as widely: on all addresses, on some, or
//! on this host alone. Wider is noted. From [`EPHEMERAL`] on ports are drawn by chance: a program
//! must have as many TCP ones as before, whatever their numbers, and UDP ones of a program are not
//! compared. What the kernel itself listens on (WireGuard) bears no program, and must be there.

use crate::document::inventory::Globs;
use crate::document::patch::HealthDocument;
use crate::model::patch::{GateNote, Health, Unit};

mod ports;
#[cfg(test)]
mod tests;

/// The first port that a program may get by chance, rather than by its configuration: Linux's
/// default.
pub const EPHEMERAL: u16 = 32768;

/// Units that come and go, and mean nothing by it.
const PASSING: [&str; 12] = [
    "*.scope",
    "*.slice",
    "*.mount",
    "*.swap",
    "*.device",
    "user@*.service",
    "user-runtime-dir@*.service",
    "run-*.service",
    "run-*.timer",
    "seawall-*",
    "ssh@*.service",
    "sshd@*.service",
];

/// Services that are started when they are asked for, and end when they have nothing to do.
const ON_DEMAND: [&str; 21] = [
    "systemd-hostnamed.service",
    "systemd-localed.service",
    "systemd-timedated.service",
    "systemd-machined.service",
    "systemd-importd.service",
    "systemd-portabled.service",
    "systemd-rfkill.service",
    "systemd-fsckd.service",
    "systemd-initctl.service",
    "systemd-ask-password-*",
    "packagekit.service",
    "fwupd.service",
    "udisks2.service",
    "upower.service",
    "colord.service",
    "geoclue.service",
    "accounts-daemon.service",
    "rtkit-daemon.service",
    "realmd.service",
    "dnf-makecache.service",
    "apt-daily*",
];

/// One of the playbook's own checks, as it went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checked {
    pub check: String,
    /// `Err`: why it does not pass, in words.
    pub result: Result<(), String>,
}

/// What a gate has found so far.
#[derive(Default)]
struct Findings {
    broken: Vec<String>,
    unseen: Vec<String>,
    notes: Vec<String>,
}

impl Findings {
    fn checks(&mut self, checks: &[Checked]) {
        for check in checks {
            if let Err(why) = &check.result {
                self.broken.push(format!("check {}: {why}", check.check));
            }
        }
    }

    fn note(self) -> GateNote {
        GateNote {
            passed: self.broken.is_empty() && self.unseen.is_empty(),
            broken: self.broken,
            unseen: self.unseen,
            notes: self.notes,
        }
    }
}

/// The gate before a change: our own checks pass, and the host could be seen. What has failed
/// already is noted, and is not held against the change.
pub fn before(health: Option<&Health>, wanted: &HealthDocument, checks: &[Checked]) -> GateNote {
    let mut found = Findings::default();
    found.checks(checks);
    let Some(health) = health else {
        found.unseen.push("the host's units and ports".into());
        return found.note();
    };
    if wanted.units {
        match health.system.as_str() {
            "" => found
                .notes
                .push("there is no systemd: units are not looked at".into()),
            "stopping" | "maintenance" => found
                .broken
                .push(format!("the system is in state `{}`", health.system)),
            "starting" | "initializing" => found
                .notes
                .push("the system has not finished booting".into()),
            _ => {}
        }
        if !health.system.is_empty() && health.units.is_empty() {
            found.unseen.push("systemd's units".into());
        }
        let ignored = Ignored::new(wanted);
        for unit in health.units.iter().filter(|unit| !ignored.takes(unit)) {
            if has_failed(unit) {
                found
                    .notes
                    .push(format!("{} has failed already", unit.name));
            }
        }
    }
    found.note()
}

/// The gate after it, against what was seen before.
pub fn after(
    before: &Health,
    after: Option<&Health>,
    wanted: &HealthDocument,
    checks: &[Checked],
) -> GateNote {
    let mut found = Findings::default();
    found.checks(checks);
    let Some(after) = after else {
        found.unseen.push("the host's units and ports".into());
        return found.note();
    };
    if wanted.units {
        system(before, after, &mut found);
        units(before, after, wanted, &mut found);
    }
    if wanted.ports {
        ports::compare(before, after, wanted, &mut found);
    }
    found.note()
}

/// The system as a whole. `degraded` is said by the units that have failed, one by one.
fn system(before: &Health, after: &Health, found: &mut Findings) {
    if before.system == after.system {
        return;
    }
    match after.system.as_str() {
        "" | "unknown" | "offline" => found
            .unseen
            .push("systemd, which answered before, does not answer".into()),
        "starting" | "initializing" => found
            .broken
            .push("the system has not finished booting".into()),
        "stopping" | "maintenance" => found
            .broken
            .push(format!("the system is in state `{}`", after.system)),
        _ => {}
    }
}

fn units(before: &Health, after: &Health, wanted: &HealthDocument, found: &mut Findings) {
    if !before.units.is_empty() && after.units.is_empty() {
        found.unseen.push("systemd's units".into());
        return;
    }
    let ignored = Ignored::new(wanted);
    let on_demand = Globs::new(&ON_DEMAND);
    let now = |name: &str| after.units.iter().find(|unit| unit.name == name);
    for was in before.units.iter().filter(|unit| !ignored.takes(unit)) {
        let is = now(&was.name);
        match is {
            Some(is) if has_failed(is) && has_failed(was) => {
                found
                    .notes
                    .push(format!("{} had failed before, too", was.name));
            }
            Some(is) if has_failed(is) => {
                found
                    .broken
                    .push(format!("{} was {} and has failed", was.name, state(was)))
            }
            Some(is) if is_up(is) && has_failed(was) => {
                found
                    .notes
                    .push(format!("{} had failed and is active now", was.name));
            }
            _ if !is_up(was) || is.is_some_and(is_up) => {}
            _ => {
                let told = format!(
                    "{} was {} and is {}",
                    was.name,
                    state(was),
                    is.map_or_else(|| "not there".into(), state)
                );
                let harmless = was.sub == "exited"
                    || on_demand.take(&was.name)
                    || (was.enabled != "enabled" && waits_in_socket(&was.name, after));
                match harmless && is.is_none_or(|is| is.state == "inactive") {
                    true => found.notes.push(told),
                    false => found.broken.push(told),
                }
            }
        }
    }
    let known = |name: &str| before.units.iter().any(|unit| unit.name == name);
    for is in after.units.iter().filter(|unit| !ignored.takes(unit)) {
        if known(&is.name) {
            continue;
        }
        if has_failed(is) {
            found
                .broken
                .push(format!("{} has failed, and had not", is.name));
        } else if is.sub == "auto-restart" {
            found
                .broken
                .push(format!("{} is started again and again", is.name));
        } else if is_up(is) {
            found.notes.push(format!("{} is new", is.name));
        }
    }
}

/// Whether a service is started by its socket when somebody connects, and the socket listens.
fn waits_in_socket(service: &str, after: &Health) -> bool {
    service.strip_suffix(".service").is_some_and(|stem| {
        let socket = format!("{stem}.socket");
        let mut units = after.units.iter();
        units.any(|unit| unit.name == socket && is_up(unit))
    })
}

fn is_up(unit: &Unit) -> bool {
    matches!(unit.state.as_str(), "active" | "reloading" | "refreshing")
}

fn has_failed(unit: &Unit) -> bool {
    matches!(unit.state.as_str(), "failed" | "maintenance")
}

fn state(unit: &Unit) -> String {
    match unit.sub.as_str() {
        "" => unit.state.clone(),
        sub => format!("{} ({sub})", unit.state),
    }
}

/// Units that are not looked at.
struct Ignored {
    wanted: Globs,
    passing: Globs,
}

impl Ignored {
    fn new(wanted: &HealthDocument) -> Ignored {
        Ignored {
            wanted: Globs::new(&wanted.ignore_units),
            passing: Globs::new(&PASSING),
        }
    }

    fn takes(&self, unit: &Unit) -> bool {
        let stem = unit.name.strip_suffix(".service").unwrap_or(&unit.name);
        self.passing.take(&unit.name) || self.wanted.take(&unit.name) || self.wanted.take(stem)
    }
}

//! What a person should know before it starts. Pure.

use super::reboot::{may_ask_for_reboot, stays_on_the_way_back};
use super::{block, listed};
use crate::document::patch::{Patch, Scope};
use crate::model::patch::{
    ChangeKind, HostPlan, Manager, PatchSnapshot, RebootNeed, Refreshed, Upgrade, WayBack,
};

/// What is to be known of this host and its plan.
pub fn notes(snapshot: &PatchSnapshot, plan: &HostPlan, patch: &Patch) -> Vec<String> {
    let mut out = Vec::new();
    if patch.packages.scope != Scope::None && snapshot.manager != Manager::None {
        packages(snapshot, plan, patch, &mut out);
    }
    for (section, why) in &snapshot.unseen {
        out.push(format!("not seen: {section}: {why}"));
    }
    out
}

fn packages(snapshot: &PatchSnapshot, plan: &HostPlan, patch: &Patch, out: &mut Vec<String>) {
    match &snapshot.refreshed {
        Refreshed::Done => {}
        Refreshed::NotAsked => {
            out.push("the lists of packages were not fetched: newer versions may be out".to_owned())
        }
        Refreshed::Failed { why } => out.push(format!(
            "an archive did not answer, so that what it offers is not known: {why}"
        )),
    }
    if !plan.repairs.is_empty() {
        let broken = snapshot.broken.iter();
        let broken: Vec<String> = broken
            .map(|p| format!("{} ({})", p.name, p.state))
            .collect();
        let names = listed(broken.iter().map(String::as_str));
        out.push(format!(
            "left unfinished by someone else, and finished first: {names}"
        ));
        if snapshot.unseen.contains_key("offers") {
            out.push("what is offered is seen only after that: run it once more".to_owned());
        }
    }
    if let Some(lock) = &snapshot.lock {
        out.push(format!(
            "{} (pid {}) holds the package manager's lock: it is waited for, {} at most",
            lock.program, lock.pid, patch.lock_wait
        ));
    }
    let third = named(plan, |u| u.official == Some(false) && comes(u));
    if !third.is_empty() {
        out.push(format!("from third parties: {third}"));
    }
    let unknown = named(plan, |u| u.official.is_none() && comes(u));
    if !unknown.is_empty() {
        out.push(format!("it is not known where these come from: {unknown}"));
    }
    let gone = named(plan, |u| u.kind == ChangeKind::Remove);
    if !gone.is_empty() {
        out.push(format!("taken away: {gone}"));
    }
    way_back(plan, patch, out);
    let may = may_ask_for_reboot(snapshot, &plan.upgrades);
    if !may.is_empty() && !matches!(plan.reboot, RebootNeed::Now { .. }) {
        out.push(format!(
            "these may ask for a reboot once they are upgraded: {}",
            listed(may)
        ));
    }
    let libraries = block::libraries(plan);
    if !libraries.is_empty() {
        out.push(format!(
            "services that use {} will need a restart",
            listed(libraries)
        ));
    }
    if !plan.upgrades.is_empty() {
        if plan.download.is_none() {
            out.push("how much is downloaded is not known".to_owned());
        }
        if plan.grows.is_none() {
            out.push("how much the disk holds more afterwards is not known".to_owned());
        }
    }
}

fn way_back(plan: &HostPlan, patch: &Patch, out: &mut Vec<String>) {
    if !patch.packages.way_back {
        if !plan.upgrades.is_empty() {
            out.push("the playbook wants no way back for packages".to_owned());
        }
        return;
    }
    let none = named(plan, |u| {
        matches!(u.way_back, WayBack::None { .. } | WayBack::Unknown) && !stays_on_the_way_back(u)
    });
    if !none.is_empty() {
        out.push(format!(
            "these cannot go back, since their former version is nowhere to be had: {none}"
        ));
    }
    let kernels = named(plan, stays_on_the_way_back);
    if !kernels.is_empty() {
        out.push(format!(
            "a way back leaves these, since the kernel that runs is never taken away: {kernels}"
        ));
    }
}

fn comes(upgrade: &Upgrade) -> bool {
    upgrade.kind != ChangeKind::Remove
}

/// The names of those upgrades that are meant.
fn named(plan: &HostPlan, meant: impl Fn(&Upgrade) -> bool) -> String {
    let upgrades = plan.upgrades.iter().filter(|upgrade| meant(upgrade));
    listed(upgrades.map(|upgrade| upgrade.name.as_str()))
}

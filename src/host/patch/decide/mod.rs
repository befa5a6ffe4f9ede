//! From what was seen to what is to be done. Pure.
//!
//! What could not be seen never counts as good: without the list of what is installed, of what is
//! offered or of what is half-installed, no package is changed.

use std::collections::BTreeSet;

use jiff::civil::Date;

use crate::document::patch::{Patch, Scope};
use crate::model::patch::{Closes, HostPlan, Manager, Offer, PatchSnapshot};

use super::advisories::Advisories;
use super::containers;

mod block;
mod choose;
mod notes;
mod reboot;
mod restart;
#[cfg(test)]
mod tests;

pub use reboot::{asks_for_reboot, stays_on_the_way_back};
pub use restart::restarts;

/// What a decision is made from, beside the snapshot.
#[derive(Clone, Copy, Debug)]
pub struct Ground<'a> {
    pub patch: &'a Patch,
    pub advisories: &'a Advisories,
    /// The day on which freezes are judged, UTC.
    pub today: Date,
    /// The host's name and groups, for what names hosts.
    pub names: &'a BTreeSet<String>,
}

/// What is to be done to one host.
pub fn decide(snapshot: &PatchSnapshot, ground: &Ground<'_>) -> HostPlan {
    let wanted = ground.patch.packages.scope != Scope::None;
    let chosen = choose::choose(snapshot, ground);
    let mut plan = HostPlan {
        host: snapshot.host.clone(),
        manager: snapshot.manager,
        download: sum(chosen.upgrades.iter().map(|u| u.download)),
        grows: chosen.grows,
        reboot: reboot::reboot(snapshot, &chosen.upgrades),
        restarts: restart::restarts(snapshot, ground.patch),
        images: containers::decide(&snapshot.containers, ground.patch.containers.as_ref()),
        upgrades: chosen.upgrades,
        withheld: chosen.withheld,
        notes: chosen.notes,
        ..HostPlan::default()
    };
    if wanted && snapshot.manager != Manager::None {
        plan.repairs = block::repairs(snapshot);
    }
    plan.blockers = block::blockers(snapshot, &plan, ground.patch);
    let notes = notes::notes(snapshot, &plan, ground.patch);
    plan.notes.extend(notes);
    plan
}

/// Whether a pattern list of the document (`all`, names, groups, globs, `!name`) means this host.
pub fn means(patterns: &[String], names: &BTreeSet<String>) -> bool {
    crate::document::inventory::means(patterns, names)
}

/// What an offered change closes: by what came with it, and by the advisories.
fn closes(offer: &Offer, snapshot: &PatchSnapshot, advisories: &Advisories) -> Closes {
    let told = advisories.closes(&snapshot.os, &choose::upgrade_of(offer, snapshot), snapshot);
    let Some(own) = &offer.closes else {
        return told;
    };
    let source = match snapshot.manager {
        Manager::Dnf => "updateinfo",
        _ => "changelog",
    };
    let mut ids: BTreeSet<String> = own.iter().cloned().collect();
    let mut by = source.to_owned();
    let mut worst = own.iter().filter_map(|id| advisories.severity(id)).max();
    if let Closes::Known {
        ids: more,
        worst: theirs,
        by: other,
    } = told
    {
        worst = worst.max(theirs);
        ids.extend(more);
        by = format!("{by}, {other}");
    }
    Closes::Known {
        ids: ids.into_iter().collect(),
        worst,
        by,
    }
}

/// The sum, if all of them are known.
fn sum(numbers: impl Iterator<Item = Option<u64>>) -> Option<u64> {
    numbers.into_iter().try_fold(0_u64, |all, number| {
        number.map(|number| all.saturating_add(number))
    })
}

/// The first twenty of some names, and how many more there are.
fn listed<'n>(names: impl IntoIterator<Item = &'n str>) -> String {
    const MOST: usize = 20;
    let names: Vec<&str> = names.into_iter().collect();
    let shown = names.iter().take(MOST).copied().collect::<Vec<_>>();
    match names.len().checked_sub(MOST) {
        None | Some(0) => shown.join(", "),
        Some(more) => format!("{} and {more} more", shown.join(", ")),
    }
}

//! Why a host cannot be begun, and what is finished on it first. Pure.

use std::collections::{BTreeMap, BTreeSet};

use super::listed;
use super::reboot::is_kernel;
use crate::document::inventory::Globs;
use crate::document::patch::{Patch, Scope};
use crate::model::patch::{
    Blocker, ChangeKind, HostPlan, Manager, PatchSnapshot, Upgrade, WayBack,
};

/// What is never taken away, whatever the playbook allows: without it the host cannot be reached,
/// mended or booted.
const PROTECTED: [&str; 16] = [
    "apt",
    "bash",
    "dash",
    "dnf",
    "dnf5",
    "dpkg",
    "glibc",
    "init",
    "libc6",
    "openssh-server",
    "rpm",
    "sudo",
    "systemd",
    "systemd-sysv",
    "sysvinit-core",
    "yum",
];

/// Bytes that stay free on the root file system beside what the packages take.
const MARGIN: u64 = 100 << 20;
/// Bytes that a new kernel with its initramfs takes in /boot.
const KERNEL: u64 = 150 << 20;

/// Sections without which no package is changed.
const NEEDED: [&str; 3] = ["installed", "offers", "broken"];

/// What is finished first. dpkg takes up what was left at any point; rpm leaves packages installed
/// twice, of which a person has to choose one.
pub fn repairs(snapshot: &PatchSnapshot) -> Vec<String> {
    if snapshot.manager != Manager::Apt {
        return Vec::new();
    }
    let names: BTreeSet<&str> = snapshot.broken.iter().map(|p| p.name.as_str()).collect();
    names.into_iter().map(str::to_owned).collect()
}

/// Why it cannot be begun.
pub fn blockers(snapshot: &PatchSnapshot, plan: &HostPlan, patch: &Patch) -> Vec<Blocker> {
    if patch.packages.scope == Scope::None {
        return Vec::new();
    }
    let mut out = Vec::new();
    if snapshot.manager == Manager::None {
        out.push(blocker(
            "manager",
            "neither apt nor dnf was found; take the host out of the playbook's hosts, or set \
             packages.scope to none"
                .into(),
        ));
        return out;
    }
    for section in NEEDED {
        // What is half-installed may be why the manager cannot tell what it offers.
        let may_be_seen_later = section == "offers" && !plan.repairs.is_empty();
        if let Some(why) = snapshot.unseen.get(section).filter(|_| !may_be_seen_later) {
            out.push(blocker(
                "unseen",
                format!("{section} could not be seen: {why}; mend that first"),
            ));
        }
    }
    out.extend(beyond_repair(snapshot));
    out.extend(protected(snapshot, plan));
    out.extend(strangers(snapshot, plan));
    out.extend(space(snapshot, plan, patch));
    out
}

fn blocker(what: &str, why: String) -> Blocker {
    Blocker {
        what: what.to_owned(),
        why,
    }
}

fn beyond_repair(snapshot: &PatchSnapshot) -> Option<Blocker> {
    if snapshot.manager == Manager::Apt || snapshot.broken.is_empty() {
        return None;
    }
    let broken: Vec<String> = snapshot
        .broken
        .iter()
        .map(|package| format!("{} ({})", package.name, package.state))
        .collect();
    let why = format!(
        "an interrupted transaction left {}; see dnf check, and mend it by hand \
         (dnf remove --duplicates)",
        listed(broken.iter().map(String::as_str))
    );
    Some(blocker("broken", why))
}

fn protected(snapshot: &PatchSnapshot, plan: &HostPlan) -> Option<Blocker> {
    let running = &snapshot.kernel.running;
    let must_stay = |name: &str| {
        PROTECTED.contains(&name)
            || (!running.is_empty() && is_kernel(name) && name.ends_with(running.as_str()))
    };
    // The names of dnf's kernels do not bear their version.
    let running_rpm = |upgrade: &Upgrade| {
        snapshot.manager == Manager::Dnf
            && is_kernel(&upgrade.name)
            && !upgrade.from.is_empty()
            && running.starts_with(upgrade.from.trim_start_matches("0:"))
    };
    let gone: Vec<&str> = plan
        .upgrades
        .iter()
        .filter(|u| u.kind == ChangeKind::Remove)
        .filter(|u| must_stay(&u.name) || running_rpm(u))
        .map(|u| u.name.as_str())
        .collect();
    let why = format!(
        "the upgrades would take away {}, which is never done; find out why \
         (apt-get -s dist-upgrade) and freeze or exclude the one that asks for it",
        listed(gone.iter().copied())
    );
    (!gone.is_empty()).then(|| blocker("removal", why))
}

/// Packages of an architecture that nothing installed has.
fn strangers(snapshot: &PatchSnapshot, plan: &HostPlan) -> Option<Blocker> {
    if snapshot.arch.is_empty() {
        return None;
    }
    let mut known: BTreeSet<&str> = snapshot.installed.iter().map(|p| p.arch.as_str()).collect();
    known.extend([snapshot.arch.as_str(), "all", "noarch", ""]);
    let strange: Vec<String> = plan
        .upgrades
        .iter()
        .filter(|upgrade| !known.contains(upgrade.arch.as_str()))
        .map(|upgrade| format!("{}:{}", upgrade.name, upgrade.arch))
        .collect();
    let why = format!(
        "{} is of another architecture than the host ({}) and all that it has; mend its sources",
        listed(strange.iter().map(String::as_str)),
        snapshot.arch
    );
    (!strange.is_empty()).then(|| blocker("manager", why))
}

/// File systems that are too small, each with what it is wanted for.
fn space(snapshot: &PatchSnapshot, plan: &HostPlan, patch: &Patch) -> Vec<Blocker> {
    if plan.upgrades.is_empty() {
        return Vec::new();
    }
    let mut wanted: BTreeMap<&str, (u64, u64)> = BTreeMap::new();
    for space in &snapshot.space {
        let bytes = needed(&space.what, plan, patch);
        let entry = wanted.entry(&space.mount).or_insert((0, space.free));
        entry.0 = entry.0.saturating_add(bytes);
        entry.1 = entry.1.min(space.free);
    }
    wanted
        .into_iter()
        .filter(|(_, (bytes, free))| bytes > free)
        .map(|(mount, (bytes, free))| {
            let why = format!(
                "{mount} has {} MB free, and {} MB are wanted (downloads, what grows, a margin); \
                 make room there",
                free >> 20,
                (bytes >> 20) + 1
            );
            blocker("space", why)
        })
        .collect()
}

/// Bytes that are wanted for this purpose, as far as they are known.
fn needed(what: &str, plan: &HostPlan, patch: &Patch) -> u64 {
    let known = |upgrade: &Upgrade| upgrade.download.unwrap_or(0);
    match what {
        "packages" => plan.upgrades.iter().fold(0_u64, |all, upgrade| {
            // A former version is fetched too, and is about as large as the new one.
            let former = patch.packages.way_back && upgrade.way_back == WayBack::Archive;
            let times = if former { 2 } else { 1 };
            all.saturating_add(known(upgrade).saturating_mul(times))
        }),
        "root" => {
            let grows = u64::try_from(plan.grows.unwrap_or(0)).unwrap_or(0);
            grows.saturating_add(grows / 10).saturating_add(MARGIN)
        }
        "boot" if brings_kernel(plan) => KERNEL,
        _ => 0,
    }
}

fn brings_kernel(plan: &HostPlan) -> bool {
    let comes = |upgrade: &&Upgrade| upgrade.kind != ChangeKind::Remove;
    let mut upgrades = plan.upgrades.iter().filter(comes);
    upgrades.any(|upgrade| is_kernel(&upgrade.name))
}

/// Upgrades of libraries that many services map: those need a restart afterwards.
pub fn libraries(plan: &HostPlan) -> Vec<&str> {
    let common = Globs::new(&[
        "libc6",
        "libssl*",
        "libcrypt1",
        "libgnutls30*",
        "libpam0g",
        "libpam-modules",
        "libstdc++6",
        "libgcc-s1",
        "libsystemd0",
        "zlib1g",
        "liblzma5",
        "libzstd1",
        "libcurl*",
        "libexpat1",
        "libxml2*",
        "glibc",
        "openssl-libs",
        "gnutls",
        "pam",
        "libstdc++",
        "systemd-libs",
        "zlib",
        "xz-libs",
        "libcurl",
        "expat",
        "libxml2",
    ]);
    let upgraded = |upgrade: &&Upgrade| upgrade.kind == ChangeKind::Upgrade;
    let upgrades = plan.upgrades.iter().filter(upgraded);
    let names = upgrades.map(|upgrade| upgrade.name.as_str());
    names
        .filter(|name| common.take(name) && !name.ends_with("-dev"))
        .collect()
}

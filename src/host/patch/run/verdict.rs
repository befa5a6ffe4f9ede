//! What becomes of a host, from what was seen and what was done. Pure.

use crate::document::inventory::Globs;
use crate::document::patch::{Patch, Reboot, Restart};
use crate::host::patch::decide::stays_on_the_way_back;
use crate::model::patch::{
    ChangeKind, Health, HostPlan, ImageWork, Manager, PatchOutcome, PatchSnapshot, RebootNeed,
    Refreshed, RestartNote, Upgrade,
};
use crate::shell::clean;

use super::Mode;

/// How a host ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Verdict {
    pub outcome: PatchOutcome,
    pub reason: Option<String>,
    pub to_do: Vec<String>,
    /// Whether it counts against the failure budget.
    pub counts: bool,
}

impl Verdict {
    /// A verdict that counts as its outcome does.
    pub fn of(outcome: PatchOutcome, reason: impl Into<Option<String>>) -> Verdict {
        Verdict {
            outcome,
            reason: reason.into(),
            to_do: Vec::new(),
            counts: is_failure(outcome),
        }
    }

    pub fn with_to_do(mut self, what: impl Into<String>) -> Verdict {
        self.to_do.push(what.into());
        self
    }
}

/// Whether such an outcome counts against the failure budget.
pub(super) fn is_failure(outcome: PatchOutcome) -> bool {
    use PatchOutcome::*;
    match outcome {
        Failed | WentBack | Unknown | LeftOut => true,
        Current | Patched | Behind | Waiting | NotStarted => false,
    }
}

/// Whether this run has anything to do on the host: a plan may also name what is left to people.
pub(super) fn has_work(plan: &HostPlan, patch: &Patch, is_here: bool) -> bool {
    let reboots = may_reboot(patch, is_here);
    plan.has_work(reboots) || reboots && patch.reboot == Reboot::Always
}

/// Whether the playbook lets us reboot it. This machine is never rebooted by itself.
pub(super) fn may_reboot(patch: &Patch, is_here: bool) -> bool {
    patch.reboot != Reboot::Never && !is_here
}

/// The units that are stale now and that we restart.
pub(super) fn units_to_restart(plan: &HostPlan, patch: &Patch) -> Vec<String> {
    if patch.restart == Restart::Never {
        return Vec::new();
    }
    plan.restarts
        .iter()
        .filter(|r| r.now && r.by_us)
        .map(|r| r.what.clone())
        .collect()
}

/// Services, sockets and timers that were at work and are no more.
pub(super) fn down_since(before: &Health, now: &PatchSnapshot, patch: &Patch) -> Vec<String> {
    if now.unseen.contains_key("health") || !patch.health.units {
        return Vec::new();
    }
    let ignored = Globs::new(&patch.health.ignore_units);
    let never = Globs::new(&patch.never_restart);
    before
        .units
        .iter()
        .filter(|u| {
            u.state == "active" && matches!(u.sub.as_str(), "running" | "listening" | "waiting")
        })
        .filter(|u| {
            [".service", ".socket", ".timer"]
                .iter()
                .any(|end| u.name.ends_with(end))
        })
        .filter(|u| !u.name.starts_with("user@") && !u.name.starts_with("run-"))
        .filter(|u| !ignored.take(&u.name) && !never.take(&u.name))
        .filter(|u| {
            !now.health
                .units
                .iter()
                .any(|n| n.name == u.name && n.state == "active")
        })
        .map(|u| u.name.clone())
        .take(50)
        .collect()
}

/// The places in the plan of images that are updated.
pub(super) fn images(plan: &HostPlan) -> Vec<usize> {
    plan.images
        .iter()
        .enumerate()
        .filter(|(_, i)| matches!(i.work, ImageWork::Update { .. }))
        .map(|(index, _)| index)
        .collect()
}

/// What was not seen and could hide work: such a host is not current.
pub(super) fn doubts(snapshot: &PatchSnapshot, plan: &HostPlan, patch: &Patch) -> Vec<String> {
    let mut doubts = Vec::new();
    if let Refreshed::Failed { why } = &snapshot.refreshed {
        doubts.push(format!("not all lists of packages could be fetched: {why}"));
    }
    if let RebootNeed::Unknown { why } = &plan.reboot
        && patch.reboot != Reboot::Never
    {
        doubts.push(format!("whether a reboot is due is not known: {why}"));
    }
    if patch.containers.is_some() {
        for image in &plan.images {
            if let ImageWork::Unknown { why } = &image.work {
                doubts.push(format!(
                    "what {} of {} means now is not known: {why}",
                    image.image, image.container
                ));
            }
        }
        for engine in ["docker", "podman"] {
            if let Some(why) = snapshot.unseen.get(engine) {
                doubts.push(format!("containers of {engine} were not seen: {why}"));
            }
        }
    }
    doubts
}

/// What the host still waits for although all that is ours to do is done.
fn left_to_people(plan: &HostPlan) -> Vec<String> {
    let stale = stale_services(plan);
    reboot_left(plan).into_iter().chain(stale).collect()
}

fn reboot_left(plan: &HostPlan) -> Option<String> {
    match &plan.reboot {
        RebootNeed::Now { reasons } => Some(format!("a reboot is due: {}", reasons.join("; "))),
        _ => None,
    }
}

/// The services that still use replaced files, in a sentence.
fn stale_services(plan: &HostPlan) -> Option<String> {
    let stale: Vec<&str> = plan
        .restarts
        .iter()
        .filter(|r| r.now && is_service(r))
        .map(|r| r.what.as_str())
        .collect();
    (!stale.is_empty()).then(|| format!("still uses files that were replaced: {}", some_of(&stale)))
}

/// Whether it is a unit that a person would restart: log-ins end by themselves.
fn is_service(note: &RestartNote) -> bool {
    note.what.contains('.')
        && !note.what.starts_with("user@")
        && !note.what.ends_with(".scope")
        && !note.what.ends_with(".slice")
}

/// The first few of many.
pub(super) fn some_of(words: &[&str]) -> String {
    const MOST: usize = 8;
    let shown = words.iter().take(MOST).copied().collect::<Vec<_>>();
    match words.len().checked_sub(MOST) {
        Some(more) if more > 0 => format!("{} and {more} more", shown.join(", ")),
        _ => shown.join(", "),
    }
}

/// The verdict that needs no act; `None`: there is something to do.
pub(super) fn at_once(
    snapshot: &PatchSnapshot,
    plan: &HostPlan,
    patch: &Patch,
    mode: Mode,
    is_here: bool,
) -> Option<Verdict> {
    if !plan.blockers.is_empty() {
        let why: Vec<&str> = plan.blockers.iter().map(|b| b.why.as_str()).collect();
        let unseen = plan.blockers.iter().any(|b| b.what == "unseen");
        let outcome = match mode {
            _ if unseen => PatchOutcome::Unknown,
            Mode::Plan => PatchOutcome::Behind,
            Mode::Run => PatchOutcome::LeftOut,
        };
        // Nothing was tried on it, so it says nothing of the upgrade: other hosts go on.
        return Some(Verdict {
            counts: false,
            ..Verdict::of(outcome, why.join("; "))
        });
    }
    let work = has_work(plan, patch, is_here);
    match mode {
        Mode::Plan if work => {
            return Some(Verdict::of(PatchOutcome::Behind, None));
        }
        Mode::Run if work => return None,
        _ => {}
    }
    let doubts = doubts(snapshot, plan, patch);
    if !doubts.is_empty() {
        return Some(Verdict {
            counts: false,
            ..Verdict::of(PatchOutcome::Unknown, doubts.join("; "))
        });
    }
    if let Some(reboot) = reboot_left(plan) {
        return Some(waiting(vec![reboot]));
    }
    // Nothing came that it does not have: that somebody has yet to log out is only told.
    Some(Verdict::of(PatchOutcome::Current, stale_services(plan)))
}

fn waiting(left: Vec<String>) -> Verdict {
    Verdict {
        to_do: left.clone(),
        ..Verdict::of(PatchOutcome::Waiting, left.join("; "))
    }
}

/// The verdict on a host that was changed and is healthy, from the last look at it. `told`: what
/// went not quite as planned and harms nothing.
pub(super) fn proved(
    plan: &HostPlan,
    after: &PatchSnapshot,
    after_plan: &HostPlan,
    patch: &Patch,
    told: &[String],
) -> Verdict {
    let wrong = not_as(plan, after, |u, now| match u.kind {
        ChangeKind::Remove => None,
        // It comes only where another one needs it.
        ChangeKind::New => now.map(|_| u.to.as_str()),
        ChangeKind::Upgrade => Some(u.to.as_str()),
    });
    if !wrong.is_empty() {
        return Verdict::of(PatchOutcome::Failed, wrong.join("; ")).with_to_do(
            "look at the log of the job `upgrade`: it ended well, and the host does not show it",
        );
    }
    let mut left = told.to_vec();
    left.extend(left_to_people(after_plan));
    left.extend(doubts(after, after_plan, patch));
    if left.is_empty() {
        Verdict::of(PatchOutcome::Patched, None)
    } else {
        waiting(left)
    }
}

/// The verdict on a host that was put back and is healthy so.
pub(super) fn went_back(plan: &HostPlan, after: &PatchSnapshot, why: &str) -> Verdict {
    let wrong = not_as(plan, after, |u, now| match u.kind {
        ChangeKind::New if stays_on_the_way_back(u) => now.map(|_| u.to.as_str()),
        ChangeKind::New => None,
        _ => Some(u.from.as_str()),
    });
    if wrong.is_empty() {
        Verdict::of(PatchOutcome::WentBack, why.to_owned())
    } else {
        let reason = format!(
            "{why}; and it could not be put back wholly: {}",
            wrong.join("; ")
        );
        by_hand(Verdict::of(PatchOutcome::Failed, reason), plan)
    }
}

/// What a person does to put the packages back.
pub(super) fn by_hand(verdict: Verdict, plan: &HostPlan) -> Verdict {
    let former: Vec<&Upgrade> = plan
        .upgrades
        .iter()
        .filter(|u| u.kind != ChangeKind::New && !u.from.is_empty())
        .collect();
    if former.is_empty() {
        return verdict;
    }
    let (command, joint) = match plan.manager {
        Manager::Dnf => ("dnf downgrade", "-"),
        _ => ("apt-get install --allow-downgrades", "="),
    };
    let words: Vec<String> = former
        .iter()
        .map(|u| format!("{}{joint}{}", clean(&u.name, 100), clean(&u.from, 100)))
        .collect();
    let verdict = match plan.manager {
        Manager::Dnf => verdict,
        _ => verdict.with_to_do("dpkg --audit; dpkg --configure -a"),
    };
    verdict.with_to_do(format!("{command} {}", words.join(" ")))
}

/// Packages that are not at the version that they ought to have; `None`: not installed.
fn not_as<'a>(
    plan: &'a HostPlan,
    seen: &PatchSnapshot,
    wanted: impl Fn(&'a Upgrade, Option<&str>) -> Option<&'a str>,
) -> Vec<String> {
    let mut wrong = Vec::new();
    if plan.upgrades.is_empty() {
        return wrong;
    }
    for section in ["installed", "broken"] {
        if let Some(why) = seen.unseen.get(section) {
            wrong.push(format!("the packages were not seen afterwards: {why}"));
            return wrong;
        }
    }
    for upgrade in &plan.upgrades {
        let now = seen
            .installed
            .iter()
            .find(|i| i.name == upgrade.name && (upgrade.arch.is_empty() || i.arch == upgrade.arch))
            .map(|i| i.version.as_str());
        let wanted = wanted(upgrade, now);
        if now != wanted {
            wrong.push(format!(
                "{} is {}, not {}",
                upgrade.name,
                now.unwrap_or("not installed"),
                wanted.unwrap_or("gone")
            ));
        }
    }
    for broken in &seen.broken {
        wrong.push(format!("{} is {}", broken.name, broken.state));
    }
    wrong
}

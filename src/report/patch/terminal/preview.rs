//! What a plan shows: hosts with the same plan once, and of each package all that is known.

use super::super::fold::{HostView, PatchView};
use super::super::groups::{PlanGroup, is_idle, plan_groups};
use super::super::words::{
    closes, digest, download_words, image_age, image_work, no_way_back, origin, outcome_ink,
    outcome_word, reboot_need, restart_note, security, versions, withheld_word,
};
use super::out::Out;
use crate::model::patch::{ChangeKind, HostPlan, PatchOutcome, Upgrade};
use crate::report::drill::words::bytes;
use crate::report::paint::Ink;
use crate::report::words::{count, pad, widest};
use crate::shell::clean;

/// Hosts for which nothing could be decided.
pub fn not_planned(out: &mut Out, view: &PatchView) {
    let hosts: Vec<&HostView> = view.hosts.iter().filter(|h| h.plan.is_none()).collect();
    if hosts.is_empty() {
        return;
    }
    out.heading("Not seen", "nothing of these is known");
    let margin = widest(hosts.iter().map(|h| h.name.as_str()), 24);
    let most = out.rows(hosts.len());
    for host in hosts.iter().take(most) {
        let outcome = host.outcome(true);
        let story = host.story(true).unwrap_or_default();
        out.row(
            &clean(&host.name, 24),
            margin,
            (outcome_word(outcome), outcome_ink(outcome)),
            &clean(&story, 300),
            3,
        );
    }
    out.more(hosts.len(), most);
}

pub fn plans(out: &mut Out, view: &PatchView) {
    let groups = plan_groups(view);
    let most = out.rows(groups.len());
    for group in groups.iter().take(most) {
        plan(out, view, group);
    }
    if groups.len() > most {
        let rest = &groups[most..];
        let hosts = rest.iter().map(|g| g.hosts.len()).sum();
        out.heading("And more", "");
        let text = format!(
            "{} with {} (the JSON document has all)",
            count(hosts, "host"),
            count(rest.len(), "other plan")
        );
        out.item("", 0, &text, None, 2);
    }
    sums(out, &groups);
}

/// What a group is to go through, in a few words.
pub fn gist(plan: &HostPlan, outcome: PatchOutcome, many: bool) -> String {
    let same = if many { "the same " } else { "" };
    let mut parts = Vec::new();
    if !plan.upgrades.is_empty() {
        parts.push(format!("{same}{}", count(plan.upgrades.len(), "upgrade")));
    }
    let images = (plan.images.iter())
        .filter(|i| matches!(i.work, crate::model::patch::ImageWork::Update { .. }))
        .count();
    if images > 0 {
        parts.push(count(images, "image"));
    }
    if !plan.repairs.is_empty() {
        parts.push(format!(
            "{} to finish",
            count(plan.repairs.len(), "package")
        ));
    }
    if reboot_need(&plan.reboot).is_some() {
        parts.push("a reboot".into());
    }
    if parts.is_empty() {
        parts.push("nothing to do".into());
    }
    if !plan.blockers.is_empty() {
        parts.push("BLOCKED".into());
    }
    match outcome {
        PatchOutcome::Behind | PatchOutcome::Current => parts.join(", "),
        other => format!("{}: {}", outcome_word(other), parts.join(", ")),
    }
}

/// One host by its name, several by their number.
pub fn whose(group: &PlanGroup) -> String {
    match group.hosts.as_slice() {
        [one] => clean(&one.name, 40),
        hosts => count(hosts.len(), "host"),
    }
}

const MARGIN: usize = 9;

fn plan(out: &mut Out, view: &PatchView, group: &PlanGroup) {
    let plan = group.plan;
    let many = group.hosts.len() > 1;
    out.heading(&whose(group), &gist(plan, group.outcome, many));
    if many {
        let shown = out.few(group.hosts.len(), 12);
        let names: Vec<String> = (group.hosts.iter().take(shown))
            .map(|h| clean(&h.name, 40))
            .collect();
        let more = match group.hosts.len() - shown {
            0 => String::new(),
            n => format!(" +{n}"),
        };
        let names = format!("{}{more}", names.join(" "));
        let lines = out.few(usize::MAX, 3);
        out.item("", 0, &names, Some(Ink::Dim), lines);
    }
    for blocker in &plan.blockers {
        let text = format!("{}: {}", clean(&blocker.what, 20), clean(&blocker.why, 300));
        out.item("blocked", MARGIN, &text, Some(Ink::Bad), 4);
    }
    for repair in plan.repairs.iter().take(12) {
        let text = format!("{}: was left half-installed", clean(repair, 60));
        out.item("finish", MARGIN, &text, Some(Ink::Warn), 2);
    }
    upgrades(out, plan);
    let most = out.few(plan.withheld.len(), 12);
    for withheld in plan.withheld.iter().take(most) {
        let closing = match &withheld.closes {
            crate::model::patch::Closes::Unknown => String::new(),
            known => format!("; {}", closes(known, 3)),
        };
        let text = format!(
            "{} {}: {}: {}{closing}",
            clean(&withheld.name, 60),
            versions(&withheld.from, &withheld.to),
            withheld_word(withheld.why),
            clean(&withheld.reason, 200),
        );
        out.item("withheld", MARGIN, &text, Some(Ink::Warn), 4);
    }
    out.more(plan.withheld.len(), most);
    let most = out.few(plan.restarts.len(), 12);
    for restart in plan.restarts.iter().take(most) {
        out.item("restart", MARGIN, &restart_note(restart), None, 3);
    }
    out.more(plan.restarts.len(), most);
    if let Some(reboot) = reboot_need(&plan.reboot) {
        out.item("reboot", MARGIN, &reboot, Some(Ink::Warn), 3);
    }
    images(out, view, plan);
    if !is_idle(plan) {
        let text = match group.download {
            Some((least, most)) if least < most => format!(
                "{} to {} are fetched, each for itself",
                bytes(least),
                bytes(most)
            ),
            _ => download_words(plan.download, plan.grows),
        };
        out.item("fetch", MARGIN, &text, None, 2);
    }
    for note in plan.notes.iter().take(12) {
        out.item("note", MARGIN, &clean(note, 300), Some(Ink::Warn), 3);
    }
}

fn upgrades(out: &mut Out, plan: &HostPlan) {
    let most = out.rows(plan.upgrades.len());
    let shown: Vec<&Upgrade> = plan.upgrades.iter().take(most).collect();
    let names: Vec<String> = shown.iter().map(|u| clean(&u.name, 28)).collect();
    let width = widest(names.iter().map(String::as_str), 28).max(MARGIN);
    for (upgrade, name) in shown.iter().zip(&names) {
        let kind = match upgrade.kind {
            ChangeKind::Upgrade => "",
            ChangeKind::New => "new, ",
            ChangeKind::Remove => "REMOVED, ",
        };
        let text = format!(
            "{} · {} · {kind}{} · {}",
            versions(&upgrade.from, &upgrade.to),
            origin(upgrade),
            security(upgrade.security),
            closes(&upgrade.closes, out.few(usize::MAX, 4)),
        );
        out.item(&pad(name, width), width, &text, None, 4);
        if let Some(why) = no_way_back(&upgrade.way_back) {
            let text = format!("no way back: {why}");
            out.item("", width, &text, Some(Ink::Warn), 3);
        }
    }
    out.more(plan.upgrades.len(), most);
}

fn images(out: &mut Out, view: &PatchView, plan: &HostPlan) {
    let most = out.few(plan.images.len(), 20);
    for image in plan.images.iter().take(most) {
        let text = format!(
            "{} {}: {} · now {} ({}), in the registry {} · {}",
            image.engine.word(),
            clean(&image.container, 60),
            clean(&image.image, 120),
            digest(image.digest.as_deref()),
            image_age(image, &view.started),
            digest(image.registry_digest.as_deref()),
            image_work(&image.work),
        );
        out.item("image", MARGIN, &text, None, 5);
    }
    out.more(plan.images.len(), most);
}

/// How much all of it is.
fn sums(out: &mut Out, groups: &[PlanGroup]) {
    let known = groups.iter().flat_map(|g| &g.hosts);
    let mut all = 0_u64;
    let mut unknown = 0;
    for host in known {
        match host.plan.as_ref().and_then(|p| p.download) {
            Some(n) => all = all.saturating_add(n),
            None => unknown += 1,
        }
    }
    let unknown = match unknown {
        0 => String::new(),
        n => format!("; of {} it is not known", count(n, "host")),
    };
    out.heading("In all", "");
    out.item(
        "",
        0,
        &format!("{} are fetched{unknown}", bytes(all)),
        None,
        2,
    );
}

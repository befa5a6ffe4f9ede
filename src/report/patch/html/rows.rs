//! The rows of the page's tables.

use serde::Serialize;

use super::page::{ROWS, name, prose};
use crate::model::patch::{ChangeKind, Closes, HostPlan, ImageWork, JobOutcome};
use crate::report::drill::words::{bytes, more, span};
use crate::report::paint::Ink;
use crate::report::patch::fold::{HostView, PatchView};
use crate::report::patch::groups::{PlanGroup, merged_packages, plan_groups};
use crate::report::patch::terminal::{gist, whose};
use crate::report::patch::words::{
    closes, digest, done, download_words, image_age, image_outcome, image_work, job_outcome,
    no_way_back, origin, outcome_class, outcome_ink, outcome_word, reboot_need, restart_note,
    security, versions, withheld_word, within,
};
use crate::report::words::{count, whom};

/// How many packages of all plans together are on the page.
const PACKAGES: usize = 3000;

#[derive(Debug, Serialize)]
pub struct HostRow {
    name: String,
    wave: String,
    word: &'static str,
    key: &'static str,
    story: String,
    done: String,
    took: String,
    trouble: Vec<String>,
    to_do: Vec<String>,
}

/// The worst first.
pub fn host_rows(view: &PatchView) -> Vec<HostRow> {
    let is_plan = view.is_plan();
    let mut hosts: Vec<&HostView> = view.hosts.iter().collect();
    let badness = |host: &&HostView| {
        let outcome = host.outcome(is_plan);
        let place = super::super::words::WORST_FIRST
            .iter()
            .position(|o| *o == outcome);
        place.unwrap_or(0)
    };
    hosts.sort_by_key(badness);
    let rows = hosts.into_iter().take(ROWS).map(|host| {
        let outcome = host.outcome(is_plan);
        let is_quiet = matches!(outcome_ink(outcome), Ink::Good | Ink::Cool);
        HostRow {
            name: name(&host.name),
            wave: host.wave.map(|w| w.to_string()).unwrap_or_default(),
            word: outcome_word(outcome),
            key: outcome_class(outcome),
            story: prose(&host.story(is_plan).unwrap_or_default()),
            done: match (is_plan, &host.plan) {
                (true, Some(plan)) => gist(plan, outcome, false),
                (true, None) => String::new(),
                (false, _) => done(host).join(", "),
            },
            took: match host.millis {
                0 => "–".into(),
                millis => span(millis),
            },
            trouble: if is_quiet { Vec::new() } else { trouble(host) },
            to_do: host.to_do.iter().take(20).map(|t| prose(t)).collect(),
        }
    });
    rows.collect()
}

fn trouble(host: &HostView) -> Vec<String> {
    let mut out = Vec::new();
    for gate in host.lost_gates().take(6) {
        let broken = gate.gate.broken.iter().map(|b| prose(b));
        let unseen = (gate.gate.unseen.iter()).map(|u| format!("not seen: {}", prose(u)));
        let all: Vec<String> = broken.chain(unseen).take(12).collect();
        out.push(format!("gate {}: {}", name(&gate.when), all.join("; ")));
    }
    let bad = |outcome: &Option<JobOutcome>| !matches!(outcome, Some(JobOutcome::Well));
    for job in host.jobs.iter().filter(|j| bad(&j.outcome)).take(6) {
        let log = job
            .log
            .as_deref()
            .map(|l| format!(" (all of it: {})", name(l)));
        out.push(format!(
            "{}: {}: {}{}",
            name(&job.what),
            job_outcome(job.outcome.as_ref()),
            prose(&job.detail),
            log.unwrap_or_default()
        ));
    }
    for restart in host.restarted.iter().filter(|r| !r.well).take(12) {
        let (unit, detail) = (name(&restart.unit), prose(&restart.detail));
        out.push(format!("restart of {unit} failed: {detail}"));
    }
    if let Some(hint) = host.unreachable.as_ref().and_then(|u| u.hint.as_deref()) {
        out.push(prose(hint));
    }
    out
}

#[derive(Debug, Serialize)]
pub struct GroupRow {
    whose: String,
    gist: String,
    key: &'static str,
    names: String,
    many: bool,
    blockers: Vec<String>,
    repairs: Vec<String>,
    upgrades: Vec<UpgradeRow>,
    upgrades_more: Option<String>,
    withheld: Vec<WithheldRow>,
    restarts: Vec<String>,
    reboot: Option<String>,
    images: Vec<ImageRow>,
    fetch: String,
    notes: Vec<String>,
}

#[derive(Debug, Serialize)]
struct UpgradeRow {
    name: String,
    kind: &'static str,
    versions: String,
    origin: String,
    security: &'static str,
    security_key: &'static str,
    severity: Option<&'static str>,
    closes: String,
    fetch: String,
    no_way_back: Option<String>,
}

#[derive(Debug, Serialize)]
struct WithheldRow {
    name: String,
    versions: String,
    why: &'static str,
    reason: String,
    security: &'static str,
    closes: String,
}

/// The plans, and how many there are in all.
pub fn group_rows(view: &PatchView) -> (Vec<GroupRow>, usize) {
    let groups = plan_groups(view);
    let all = groups.len();
    let mut room = PACKAGES;
    let mut rows = Vec::new();
    for group in groups.iter().take(ROWS / 5) {
        rows.push(group_row(view, group, &mut room));
    }
    (rows, all)
}

fn group_row(view: &PatchView, group: &PlanGroup, room: &mut usize) -> GroupRow {
    let plan = group.plan;
    let shown = plan.upgrades.len().min(*room);
    *room -= shown;
    let names: Vec<String> = group
        .hosts
        .iter()
        .take(500)
        .map(|h| name(&h.name))
        .collect();
    GroupRow {
        whose: whose(group),
        gist: gist(plan, group.outcome, group.hosts.len() > 1),
        key: match plan.blockers.is_empty() {
            true => outcome_class(group.outcome),
            false => "bad",
        },
        names: names.join(", "),
        many: group.hosts.len() > 1,
        blockers: (plan.blockers.iter().take(20))
            .map(|b| format!("{}: {}", name(&b.what), prose(&b.why)))
            .collect(),
        repairs: plan.repairs.iter().take(50).map(|r| name(r)).collect(),
        upgrades: upgrade_rows(plan, shown),
        upgrades_more: more(plan.upgrades.len(), shown),
        withheld: (plan.withheld.iter().take(200))
            .map(|w| WithheldRow {
                name: name(&w.name),
                versions: versions(&w.from, &w.to),
                why: withheld_word(w.why),
                reason: prose(&w.reason),
                security: security(w.security),
                closes: closes(&w.closes, 12),
            })
            .collect(),
        restarts: (plan.restarts.iter().take(100)).map(restart_note).collect(),
        reboot: reboot_need(&plan.reboot),
        images: (plan.images.iter().take(100))
            .map(|image| ImageRow {
                host: String::new(),
                engine: image.engine.word(),
                container: name(&image.container),
                image: name(&image.image),
                from: format!(
                    "{} ({})",
                    digest(image.digest.as_deref()),
                    image_age(image, &view.started)
                ),
                to: digest(image.registry_digest.as_deref()),
                word: image_work(&image.work),
                key: match image.work {
                    ImageWork::Current => "good",
                    ImageWork::Update { .. } => "changed",
                    ImageWork::Report { .. } => "warn",
                    ImageWork::Unknown { .. } => "unknown",
                },
                detail: String::new(),
            })
            .collect(),
        fetch: match group.download {
            Some((least, most)) if least < most => {
                format!("{} to {} each", bytes(least), bytes(most))
            }
            _ => download_words(plan.download, plan.grows),
        },
        notes: plan.notes.iter().take(50).map(|n| prose(n)).collect(),
    }
}

fn upgrade_rows(plan: &HostPlan, shown: usize) -> Vec<UpgradeRow> {
    let rows = plan.upgrades.iter().take(shown).map(|upgrade| UpgradeRow {
        name: name(&upgrade.name),
        kind: match upgrade.kind {
            ChangeKind::Upgrade => "",
            ChangeKind::New => "new",
            ChangeKind::Remove => "REMOVED",
        },
        versions: versions(&upgrade.from, &upgrade.to),
        origin: origin(upgrade),
        security: match upgrade.security {
            Some(true) => "yes",
            Some(false) => "no",
            None => "unknown",
        },
        security_key: match upgrade.security {
            Some(true) => "bad",
            Some(false) => "idle",
            None => "unknown",
        },
        severity: match &upgrade.closes {
            Closes::Known { worst, .. } => worst.map(|w| w.word()),
            Closes::Unknown => None,
        },
        closes: match &upgrade.closes {
            Closes::Unknown => "unknown".into(),
            Closes::Known { ids, .. } if ids.is_empty() => "none known".into(),
            known => closes(known, 24),
        },
        fetch: upgrade.download.map_or("unknown".into(), bytes),
        no_way_back: no_way_back(&upgrade.way_back),
    });
    rows.collect()
}

#[derive(Debug, Serialize)]
pub struct PackageRow {
    package: String,
    versions: String,
    whom: String,
    names: String,
}

/// Packages that were changed, and how many there are in all.
pub fn package_rows(view: &PatchView, back: bool) -> (Vec<PackageRow>, usize) {
    let merged = merged_packages(view, back);
    let rows = merged.iter().take(ROWS).map(|one| PackageRow {
        package: name(one.package),
        versions: versions(one.from, one.to),
        whom: whom(&one.hosts, view.hosts.len()),
        names: (one
            .hosts
            .iter()
            .take(50)
            .map(|h| name(h))
            .collect::<Vec<_>>())
        .join(", "),
    });
    (rows.collect(), merged.len())
}

#[derive(Debug, Serialize)]
pub struct ConffileRow {
    host: String,
    path: String,
    what: String,
    other: String,
}

pub fn conffile_rows(view: &PatchView) -> (Vec<ConffileRow>, usize) {
    let all = (view.hosts.iter()).flat_map(|h| h.conffiles.iter().map(move |c| (h, c)));
    let rows = all.clone().take(ROWS).map(|(host, file)| ConffileRow {
        host: name(&host.name),
        path: prose(&file.path),
        what: name(&file.what),
        other: prose(&file.other),
    });
    (rows.collect(), all.count())
}

#[derive(Debug, Serialize)]
pub struct ImageRow {
    host: String,
    engine: &'static str,
    container: String,
    image: String,
    from: String,
    to: String,
    word: String,
    key: &'static str,
    detail: String,
}

pub fn image_rows(view: &PatchView) -> (Vec<ImageRow>, usize) {
    let all = (view.hosts.iter()).flat_map(|h| h.images.iter().map(move |i| (h, i)));
    let rows = all.clone().take(ROWS).map(|(host, image)| ImageRow {
        host: name(&host.name),
        engine: image.engine.word(),
        container: name(&image.container),
        image: name(&image.image),
        from: digest(image.from.as_deref()),
        to: digest(image.to.as_deref()),
        word: image_outcome(&image.outcome),
        key: match image.outcome.as_str() {
            "updated" => "good",
            "unchanged" => "idle",
            _ => "bad",
        },
        detail: prose(&image.detail),
    });
    (rows.collect(), all.count())
}

#[derive(Debug, Serialize)]
pub struct WaveRow {
    wave: usize,
    many: String,
    names: String,
    state: String,
}

/// Of one wave there is nothing to tell.
pub fn wave_rows(view: &PatchView) -> Vec<WaveRow> {
    if view.waves.len() < 2 || view.is_plan() {
        return Vec::new();
    }
    let rows = view.waves.iter().take(200).map(|wave| WaveRow {
        wave: wave.wave,
        many: count(wave.hosts.len(), "host"),
        names: (wave
            .hosts
            .iter()
            .take(50)
            .map(|h| name(h))
            .collect::<Vec<_>>())
        .join(", "),
        state: match (wave.begun, wave.soak_seconds) {
            (false, _) if view.had_no_work(wave) => "nothing was to be done".into(),
            (false, _) => "not begun".into(),
            (true, Some(seconds)) => format!("watched for {}", within(seconds)),
            (true, None) => "begun".into(),
        },
    });
    rows.collect()
}

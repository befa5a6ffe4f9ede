//! What the page says, ready to be set: texts cleaned and bounded, numbers in words.

use serde::Serialize;

use super::rows::{
    ConffileRow, GroupRow, HostRow, ImageRow, PackageRow, WaveRow, conffile_rows, group_rows,
    host_rows, image_rows, package_rows, wave_rows,
};
use super::{Part, bar};
use crate::model::patch::PatchOutcome;
use crate::report::drill::words::{day_and_time, instant, more, span};
use crate::report::patch::PatchView;
use crate::report::patch::words::{Verdict, WORST_FIRST, outcome_word, run_for_commands, within};
use crate::shell::clean;

/// How many rows of a list are on the page.
pub const ROWS: usize = 1000;

#[derive(Debug, Serialize)]
pub struct Page {
    title: String,
    kind: &'static str,
    is_plan: bool,
    run: String,
    /// Fit to stand in a command.
    command_run: String,
    patch: String,
    when: String,
    took: String,
    by: String,
    playbook: String,
    version: String,
    maker: &'static str,
    code: String,
    budget: String,
    verdict: Banner,
    stopped: Option<String>,
    outcomes: Vec<Part>,
    hosts: Vec<HostRow>,
    hosts_more: Option<String>,
    groups: Vec<GroupRow>,
    groups_more: Option<String>,
    packages: Vec<PackageRow>,
    packages_more: Option<String>,
    back: Vec<PackageRow>,
    conffiles: Vec<ConffileRow>,
    conffiles_more: Option<String>,
    images: Vec<ImageRow>,
    images_more: Option<String>,
    waves: Vec<WaveRow>,
    policy: Vec<(String, String)>,
    advisories: Vec<(String, String)>,
    notes: Vec<String>,
    notes_more: Option<String>,
    documents: Vec<(String, String)>,
    lines: u64,
    last: String,
    torn: Option<String>,
}

#[derive(Debug, Serialize)]
struct Banner {
    kind: &'static str,
    headline: &'static str,
    detail: String,
}

/// A short text: a name, an id.
pub fn name(text: &str) -> String {
    clean(text, 120)
}

/// A sentence or two.
pub fn prose(text: &str) -> String {
    clean(text, 1000)
}

fn bar_key(outcome: PatchOutcome) -> &'static str {
    match outcome {
        PatchOutcome::Current | PatchOutcome::Patched => "pass",
        PatchOutcome::Behind => "changed",
        PatchOutcome::Waiting | PatchOutcome::LeftOut => "waived",
        PatchOutcome::WentBack | PatchOutcome::Failed => "fail",
        PatchOutcome::Unknown => "unknown",
        PatchOutcome::NotStarted => "na",
    }
}

impl Page {
    pub fn of(view: &PatchView) -> Self {
        let verdict = Verdict::of(view);
        let ending = view.ended.as_ref();
        let is_plan = view.is_plan();
        let (packages, all_packages) = package_rows(view, false);
        let (back, _) = package_rows(view, true);
        let (groups, all_groups) = group_rows(view);
        let (images, all_images) = image_rows(view);
        let (conffiles, all_conffiles) = conffile_rows(view);
        let (notes, all_notes) = notes(view);
        let parts: Vec<_> = (WORST_FIRST.iter().rev())
            .map(|o| (bar_key(*o), outcome_word(*o), view.count(*o)))
            .collect();
        Page {
            title: match view.title.is_empty() {
                true => name(&view.patch),
                false => name(&view.title),
            },
            kind: match is_plan {
                true => "Patch plan: what would be done",
                false => "Patch run: what was done",
            },
            is_plan,
            run: name(&view.run),
            command_run: run_for_commands(&view.run).unwrap_or("RUN").to_owned(),
            patch: name(&view.patch),
            when: day_and_time(&view.started),
            took: ending.map_or("it did not end".into(), |e| span(e.millis)),
            by: name(&view.by),
            playbook: name(&view.playbook),
            version: name(&view.version),
            maker: env!("CARGO_PKG_VERSION"),
            code: ending.map_or("none: it did not end".into(), |e| e.code.to_string()),
            budget: match (view.failure_budget, is_plan) {
                (None, _) => "not known".into(),
                (Some(budget), true) => budget.to_string(),
                (Some(budget), false) => format!("{budget}; {} not well", view.failures()),
            },
            verdict: Banner {
                kind: verdict.kind,
                headline: verdict.headline,
                detail: verdict.detail,
            },
            stopped: ending.and_then(|e| e.stopped.as_deref()).map(prose),
            outcomes: bar(&parts),
            hosts: host_rows(view),
            hosts_more: more(view.hosts.len(), ROWS),
            groups_more: more(all_groups, groups.len()),
            groups,
            packages_more: more(all_packages, packages.len()),
            packages,
            back,
            conffiles_more: more(all_conffiles, conffiles.len()),
            conffiles,
            images_more: more(all_images, images.len()),
            images,
            waves: wave_rows(view),
            policy: (view.policy.iter().take(20))
                .map(|(key, seconds)| (name(&key.replace('_', " ")), within(*seconds)))
                .collect(),
            advisories: (view.advisories.iter().take(50))
                .map(|(file, date)| (name(file), name(date)))
                .collect(),
            notes_more: more(all_notes, notes.len()),
            notes,
            documents: (view.documents.iter().take(100))
                .map(|(path, sha256)| (name(path), name(sha256)))
                .collect(),
            lines: view.lines,
            last: name(&view.last_hash),
            torn: view.torn.as_ref().map(|torn| {
                format!(
                    "Line {} of the journal is not whole: the controller died while it wrote. What stands before it holds.",
                    torn.line
                )
            }),
        }
    }
}

fn notes(view: &PatchView) -> (Vec<String>, usize) {
    let mut notes: Vec<String> = Vec::new();
    for (at, by) in &view.resumed {
        notes.push(format!("resumed at {} by {}", instant(at), name(by)));
    }
    for (whom, well, detail) in &view.notified {
        let word = if *well { "told" } else { "could NOT tell" };
        notes.push(format!("{word} {}: {}", name(whom), prose(detail)));
    }
    notes.extend(view.notes.iter().map(|n| prose(n)));
    for host in &view.hosts {
        notes.extend((host.notes.iter()).map(|n| format!("{}: {}", name(&host.name), prose(n))));
    }
    let all = notes.len();
    notes.truncate(ROWS);
    (notes, all)
}

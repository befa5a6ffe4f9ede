//! The rows of the page's tables.

use std::collections::BTreeMap;

use serde::Serialize;

use super::figures::{Part, count_words, framework_bar, state_keys};
use super::page::{name, names, post_quantum, prose, who};
use crate::journal::StepOutcome;
use crate::model::{Finding, Status};
use crate::report::fold::{ConnectionView, HostView};
use crate::report::group::{FindingGroup, frameworks, groups, natural};
use crate::report::words::{MergedChange, diff_line, merge_changes, outcome_word, step_word};
use crate::report::{ControlRow, Counts, RunView};

/// Lines of one diff on the page.
const DIFF_LINES: usize = 400;

#[derive(Debug, Serialize)]
pub struct ChangeRow {
    outcome: &'static str,
    key: &'static str,
    target: String,
    risk: String,
    rules: String,
    whom: String,
    names: Vec<String>,
    detail: Option<String>,
    no_way_back: Option<String>,
    lines: Vec<DiffLine>,
    more: usize,
}

#[derive(Debug, Serialize)]
pub struct DiffLine {
    kind: &'static str,
    text: String,
}

#[derive(Debug, Serialize)]
pub struct Framework {
    title: String,
    parts: Vec<Part>,
    rows: Vec<Requirement>,
}

#[derive(Debug, Serialize)]
pub struct Requirement {
    id: String,
    state: &'static str,
    key: &'static str,
    rules: Vec<RuleName>,
    detail: String,
}

#[derive(Debug, Serialize)]
pub struct RuleName {
    rule: String,
    title: String,
    open: bool,
}

#[derive(Debug, Serialize)]
pub struct WaiverRow {
    title: String,
    rule: String,
    whom: String,
    names: Vec<String>,
    reason: String,
    owner: String,
    approver: String,
    expires: String,
    expired: bool,
}

#[derive(Debug, Serialize)]
pub struct NotSeen {
    title: &'static str,
    head: &'static str,
    rows: Vec<NotSeenRow>,
}

#[derive(Debug, Serialize)]
pub struct NotSeenRow {
    title: String,
    rule: Option<String>,
    whom: String,
    names: Vec<String>,
    reason: String,
    hint: Option<String>,
}

#[derive(Debug, Serialize)]
pub struct Connection {
    host: String,
    purpose: String,
    user: String,
    peer: String,
    jumps: String,
    server: String,
    kex: String,
    pq: &'static str,
    cipher: String,
    host_key: String,
    trusted_by: String,
    login: String,
    millis: u64,
}

#[derive(Debug, Serialize)]
pub struct RuleRow {
    rule: String,
    title: String,
    area: String,
    severity: &'static str,
    detail: String,
}

#[derive(Debug, Serialize)]
pub struct FindingRow {
    severity: &'static str,
    title: String,
    rule: String,
    whom: String,
    names: Vec<String>,
    expected: String,
    actual: String,
    reason: Option<String>,
    expired: Option<String>,
    why: Option<String>,
    controls: String,
    fixable: bool,
}

pub fn finding_row(view: &RunView, group: &FindingGroup) -> FindingRow {
    let finding = group.finding;
    let controls: Vec<String> = finding
        .controls
        .iter()
        .map(|c| format!("{} {}", name(&c.framework), name(&c.id)))
        .collect();
    FindingRow {
        severity: finding.severity.word(),
        title: prose(&finding.title),
        rule: name(&finding.rule),
        whom: who(&group.hosts, view.hosts.len()),
        names: names(&group.hosts),
        expected: prose(&finding.expected),
        actual: prose(&finding.actual),
        reason: finding.reason.as_deref().map(prose),
        expired: finding.waiver.as_ref().filter(|w| w.expired).map(|w| {
            format!(
                "expired on {}; owner {}: {}",
                name(&w.expires),
                name(&w.owner),
                prose(&w.reason)
            )
        }),
        why: view.why.get(&finding.rule).map(|why| prose(why)),
        controls: controls.join(" · "),
        fixable: finding.fixable,
    }
}

pub fn change_rows(view: &RunView) -> Vec<ChangeRow> {
    let row = |merged: MergedChange| {
        let note = &merged.change.note;
        let all = note.diff.lines().count();
        let rules: Vec<String> = note.rules.iter().map(|rule| name(rule)).collect();
        ChangeRow {
            outcome: step_word(merged.change.outcome, view.is_rehearsal()).0,
            key: match merged.change.outcome {
                Some(StepOutcome::Done) => "good",
                Some(StepOutcome::Failed | StepOutcome::UndoFailed) => "bad",
                Some(StepOutcome::Stale | StepOutcome::Undone) => "warn",
                Some(StepOutcome::Skipped) => "idle",
                None => "unknown",
            },
            target: prose(&note.target),
            risk: name(&note.risk),
            rules: rules.join(", "),
            whom: who(&merged.hosts, view.hosts.len()),
            names: names(&merged.hosts),
            detail: merged.change.detail.as_deref().map(prose),
            no_way_back: note.no_way_back.as_deref().map(prose),
            lines: note
                .diff
                .lines()
                .take(DIFF_LINES)
                .map(set_diff_line)
                .collect(),
            more: all.saturating_sub(DIFF_LINES),
        }
    };
    merge_changes(view).into_iter().map(row).collect()
}

fn set_diff_line(line: &str) -> DiffLine {
    let kind = match line {
        l if l.starts_with("+++") || l.starts_with("---") || l.starts_with("@@") => "meta",
        l if l.starts_with('+') => "add",
        l if l.starts_with('-') => "del",
        _ => "same",
    };
    DiffLine {
        kind,
        text: diff_line(line, 1000),
    }
}

/// Counts in words, and how many hosts are not among them.
fn over_all_hosts(view: &RunView, counts: Counts) -> String {
    let missing = view.not_seen().count();
    let words = count_words(counts);
    match missing {
        0 => words,
        n => format!("{words}, {n} not seen"),
    }
}

pub fn framework_rows(view: &RunView) -> Vec<Framework> {
    let row = |row: &ControlRow| Requirement {
        id: name(&row.id),
        state: row.state.word(),
        key: state_keys(row.state).1,
        rules: row
            .rules
            .iter()
            .map(|r| RuleName {
                rule: name(&r.rule),
                title: prose(&r.title),
                open: r.open,
            })
            .collect(),
        detail: over_all_hosts(view, row.counts),
    };
    frameworks(view)
        .iter()
        .map(|framework| Framework {
            title: name(&framework.title()),
            parts: framework_bar(framework),
            rows: framework.rows.iter().map(row).collect(),
        })
        .collect()
}

pub fn waiver_rows(view: &RunView) -> Vec<WaiverRow> {
    let mut rows: Vec<WaiverRow> = groups(view, |f| f.waiver.is_some())
        .into_iter()
        .filter_map(|group| {
            let waiver = group.finding.waiver.as_ref()?;
            Some(WaiverRow {
                title: prose(&group.finding.title),
                rule: name(&group.finding.rule),
                whom: who(&group.hosts, view.hosts.len()),
                names: names(&group.hosts),
                reason: prose(&waiver.reason),
                owner: name(&waiver.owner),
                approver: name(&waiver.approver),
                expires: name(&waiver.expires),
                expired: waiver.expired,
            })
        })
        .collect();
    rows.sort_by(|a, b| (!a.expired, &a.expires).cmp(&(!b.expired, &b.expires)));
    rows
}

pub fn not_seen(view: &RunView) -> Vec<NotSeen> {
    let many = view.hosts.len();
    let hosts = view
        .not_seen()
        .map(|host| NotSeenRow {
            title: name(&host.name),
            rule: None,
            whom: outcome_word(host.standing()).to_owned(),
            names: Vec::new(),
            reason: prose(
                &host
                    .story()
                    .unwrap_or_else(|| "its turn did not come".into()),
            ),
            hint: host
                .unreachable
                .as_ref()
                .and_then(|u| u.hint.as_deref())
                .map(prose),
        })
        .collect();
    let of = |status: Status| -> Vec<NotSeenRow> {
        // The hosts that were not seen are in the table above, once.
        groups(view, |f| f.status == status && view.is_of_seen_host(f))
            .iter()
            .map(|group| NotSeenRow {
                title: prose(&group.finding.title),
                rule: Some(name(&group.finding.rule)),
                whom: who(&group.hosts, many),
                names: names(&group.hosts),
                reason: prose(group.finding.reason.as_deref().unwrap_or("not said")),
                hint: None,
            })
            .collect()
    };
    vec![
        NotSeen {
            title: "Hosts that were not seen",
            head: "Host",
            rows: hosts,
        },
        NotSeen {
            title: "Unknown: could not be observed",
            head: "Rule",
            rows: of(Status::Unknown),
        },
        NotSeen {
            title: "For a person to judge",
            head: "Rule",
            rows: of(Status::Manual),
        },
        NotSeen {
            title: "Not applicable",
            head: "Rule",
            rows: of(Status::NotApplicable),
        },
    ]
}

pub fn connections(view: &RunView) -> Vec<Connection> {
    let text = |text: &Option<String>| text.as_deref().map(name).unwrap_or_default();
    let of_host = |host: &HostView| {
        let connection = |c: &ConnectionView| Connection {
            host: name(&host.name),
            purpose: name(&c.purpose),
            user: name(&c.facts.user),
            peer: name(&c.facts.peer),
            jumps: name(&c.facts.jumps.join(", ")),
            server: text(&c.facts.server),
            kex: c
                .facts
                .key_exchange
                .as_deref()
                .map_or_else(|| name(&c.facts.via), name),
            pq: post_quantum(c.facts.post_quantum),
            cipher: text(&c.facts.cipher),
            host_key: text(&c.facts.host_key),
            trusted_by: text(&c.facts.trusted_by),
            login: text(&c.facts.login),
            millis: c.millis,
        };
        host.connections.iter().map(connection).collect::<Vec<_>>()
    };
    view.hosts.iter().flat_map(of_host).collect()
}

pub fn all_rules(view: &RunView) -> Vec<RuleRow> {
    let mut rules: BTreeMap<&str, (&Finding, Counts)> = BTreeMap::new();
    for finding in view.findings() {
        let (_, counts) = rules
            .entry(&finding.rule)
            .or_insert_with(|| (finding, Counts::default()));
        counts.add(finding.status);
    }
    let mut rows: Vec<_> = rules.into_values().collect();
    rows.sort_by(|(a, _), (b, _)| a.area.cmp(&b.area).then_with(|| natural(&a.rule, &b.rule)));
    rows.into_iter()
        .map(|(finding, counts)| RuleRow {
            rule: name(&finding.rule),
            title: prose(&finding.title),
            area: name(&finding.area),
            severity: finding.severity.word(),
            detail: over_all_hosts(view, counts),
        })
        .collect()
}

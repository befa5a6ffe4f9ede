//! What the page says, ready to be set: texts cleaned and bounded, numbers in words.

use std::collections::BTreeMap;

use serde::Serialize;

use super::figures::{Gauge, Part, count_words, framework_bar, gauge, state_keys, status_bar};
use crate::journal::{HostOutcome, StepOutcome};
use crate::model::{Severity, Status};
use crate::report::fold::{Confirm, HostView};
use crate::report::group::{FindingGroup, areas, frameworks, groups, natural};
use crate::report::words::{
    badness, count, diff_line, duration, merge_changes, outcome_word, step_word, whom,
};
use crate::report::{Counts, RunView, is_open};
use crate::shell::clean;

/// Lines of one diff on the page.
const DIFF_LINES: usize = 400;

/// What is the same on each page.
#[derive(Debug, Serialize)]
pub struct Fixed {
    pub style: &'static str,
    pub script: &'static str,
    pub script_hash: String,
}

#[derive(Debug, Serialize)]
pub struct Whole {
    #[serde(flatten)]
    pub page: Page,
    #[serde(flatten)]
    pub fixed: Fixed,
}

#[derive(Debug, Serialize)]
pub struct Page {
    title: String,
    kind: String,
    run: String,
    when: String,
    took: String,
    by: String,
    playbook: String,
    verb: String,
    version: String,
    maker: &'static str,
    rules: usize,
    level: u8,
    code: String,
    waves: usize,
    stopped: Option<String>,
    changes_hosts: bool,
    verdict: Verdict,
    score: Option<Gauge>,
    severities: Vec<Tile>,
    statuses: Vec<Part>,
    hosts: Vec<HostRow>,
    areas: Vec<Area>,
    findings: Vec<FindingRow>,
    /// How many of the findings `apply` could bring about.
    fixable: usize,
    changes: Vec<ChangeRow>,
    frameworks: Vec<Framework>,
    waivers: Vec<WaiverRow>,
    not_seen: Vec<NotSeen>,
    notes: Vec<String>,
    connections: Vec<Connection>,
    all_rules: Vec<RuleRow>,
    documents: Vec<Item>,
    snapshots: Vec<Item>,
    journal: JournalEnd,
}

#[derive(Debug, Serialize)]
struct Verdict {
    kind: &'static str,
    headline: String,
    detail: String,
}

#[derive(Debug, Serialize)]
struct Tile {
    word: &'static str,
    count: usize,
    rules: String,
}

#[derive(Debug, Serialize)]
struct HostRow {
    name: String,
    data: Option<String>,
    outcome: &'static str,
    key: &'static str,
    seen: bool,
    fail: usize,
    unknown: usize,
    changed: usize,
    met: usize,
    kex: Option<String>,
    pq: &'static str,
    story: Vec<String>,
}

#[derive(Debug, Serialize)]
struct Area {
    area: String,
    open: usize,
    judged: usize,
    worst: Option<&'static str>,
    parts: Vec<Part>,
}

#[derive(Debug, Serialize)]
struct FindingRow {
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

#[derive(Debug, Serialize)]
struct ChangeRow {
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
struct DiffLine {
    kind: &'static str,
    text: String,
}

#[derive(Debug, Serialize)]
struct Framework {
    title: String,
    parts: Vec<Part>,
    rows: Vec<Requirement>,
}

#[derive(Debug, Serialize)]
struct Requirement {
    id: String,
    state: &'static str,
    key: &'static str,
    rules: Vec<RuleName>,
    detail: String,
}

#[derive(Debug, Serialize)]
struct RuleName {
    rule: String,
    title: String,
}

#[derive(Debug, Serialize)]
struct WaiverRow {
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
struct NotSeen {
    title: &'static str,
    head: &'static str,
    rows: Vec<NotSeenRow>,
}

#[derive(Debug, Serialize)]
struct NotSeenRow {
    title: String,
    rule: Option<String>,
    whom: String,
    names: Vec<String>,
    reason: String,
    hint: Option<String>,
}

#[derive(Debug, Serialize)]
struct Connection {
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
struct RuleRow {
    rule: String,
    title: String,
    area: String,
    severity: &'static str,
    detail: String,
}

#[derive(Debug, Serialize)]
struct Item {
    name: String,
    sha256: String,
}

#[derive(Debug, Serialize)]
struct JournalEnd {
    lines: u64,
    last: String,
    torn: Option<String>,
}

/// A short text: a name, an id.
fn name(text: &str) -> String {
    clean(text, 120)
}

/// A sentence or two.
fn prose(text: &str) -> String {
    clean(text, 2000)
}

fn names(hosts: &[&str]) -> Vec<String> {
    hosts.iter().map(|host| name(host)).collect()
}

/// Few hosts by their names, many by their number.
fn who(hosts: &[&str], many: usize) -> String {
    if many > 1 && hosts.len() <= 3 && hosts.len() < many {
        names(hosts).join(", ")
    } else {
        whom(hosts, many)
    }
}

impl Page {
    pub fn of(view: &RunView) -> Self {
        let ending = view.ended.as_ref();
        let failing = groups(view, |f| f.status == Status::Fail);
        let title = if view.playbook_title.is_empty() {
            &view.playbook
        } else {
            &view.playbook_title
        };
        Page {
            title: name(title),
            kind: kind(&view.verb),
            run: name(&view.run),
            when: when(&view.started),
            took: ending.map_or("it did not end".into(), |e| duration(e.millis)),
            by: name(&view.by),
            playbook: name(&view.playbook),
            verb: name(&view.verb),
            version: name(&view.version),
            maker: env!("CARGO_PKG_VERSION"),
            rules: view.rules,
            level: view.level,
            code: ending.map_or("none: it did not end".into(), |e| e.code.to_string()),
            waves: view.waves.len(),
            stopped: ending.and_then(|e| e.stopped.as_deref()).map(prose),
            changes_hosts: view.changes_hosts(),
            verdict: verdict(view),
            score: gauge(view),
            severities: tiles(view),
            statuses: status_bar(Counts::of(view.findings())),
            hosts: host_rows(view),
            areas: area_rows(view),
            fixable: failing.iter().filter(|g| g.finding.fixable).count(),
            findings: failing.iter().map(|g| finding_row(view, g)).collect(),
            changes: change_rows(view),
            frameworks: framework_rows(view),
            waivers: waiver_rows(view),
            not_seen: not_seen(view),
            notes: notes(view),
            connections: connections(view),
            all_rules: all_rules(view),
            documents: view
                .documents
                .iter()
                .map(|(path, sha256)| Item {
                    name: name(path),
                    sha256: name(sha256),
                })
                .collect(),
            snapshots: snapshots(view),
            journal: JournalEnd {
                lines: view.lines,
                last: name(&view.last_hash),
                torn: view.torn.as_ref().map(|torn| {
                    format!(
                        "Line {} of the journal is not whole: the controller died while it wrote. What stands before it holds.",
                        torn.line
                    )
                }),
            },
        }
    }
}

fn kind(verb: &str) -> String {
    match verb {
        "check" => "Hardening report: what was found".into(),
        "apply" => "Hardening report: what was changed and found".into(),
        "rollback" => "Hardening report: what was taken back".into(),
        other => format!("Report: {}", name(other)),
    }
}

/// `20 November 2026, 07:35 UTC`; what is no time stays as it is.
fn when(time: &str) -> String {
    match time.parse::<jiff::Timestamp>() {
        Ok(time) => time.strftime("%-d %B %Y, %H:%M UTC").to_string(),
        Err(_) => name(time),
    }
}

fn verdict(view: &RunView) -> Verdict {
    let counts = Counts::of(view.findings());
    let missing = view.not_seen().count();
    let critical = view
        .findings()
        .filter(|f| f.status == Status::Fail && f.severity == Severity::Critical)
        .count();
    let failed = view
        .hosts
        .iter()
        .filter(|h| h.standing() == HostOutcome::Failed)
        .count();
    let (kind, headline) = if view.ended.is_none() {
        ("bad", "The run did not come to its end")
    } else if failed > 0 {
        ("bad", "Not all went well")
    } else if counts.fail > 0 {
        ("bad", "Not as demanded")
    } else if counts.unknown > 0 || missing > 0 {
        ("warn", "Not all was seen")
    } else {
        ("good", "As demanded")
    };
    let mut said = Vec::new();
    if failed > 0 {
        said.push(format!(
            "On {} a change failed or was taken back.",
            count(failed, "host")
        ));
    }
    if counts.fail > 0 {
        let worst = match critical {
            0 => "none of them critical".to_owned(),
            n => format!("{n} of them critical"),
        };
        let rules = view
            .findings()
            .filter(|f| f.status == Status::Fail)
            .map(|f| f.rule.as_str())
            .collect::<std::collections::BTreeSet<_>>()
            .len();
        said.push(format!(
            "{} of {} judged demands are not met, {worst}: {}.",
            counts.fail,
            counts.judged(),
            count(rules, "rule"),
        ));
    } else if counts.judged() > 0 && counts.unknown == 0 {
        said.push(format!("All {} judged demands are met.", counts.judged()));
    }
    if counts.unknown > 0 {
        said.push(format!(
            "{} could not be observed.",
            count(counts.unknown, "finding")
        ));
    }
    if missing > 0 {
        said.push(format!(
            "{} of {} not seen.",
            missing,
            match view.hosts.len() {
                1 => "1 host was".to_owned(),
                n => format!("{n} hosts were"),
            }
        ));
    }
    if counts.waived > 0 {
        said.push(format!(
            "{} accepted by a waiver.",
            count(counts.waived, "failure")
        ));
    }
    Verdict {
        kind,
        headline: headline.to_owned(),
        detail: said.join(" "),
    }
}

fn tiles(view: &RunView) -> Vec<Tile> {
    let tile = |severity: &Severity| {
        let open: Vec<_> = view
            .findings()
            .filter(|f| f.severity == *severity && is_open(f))
            .collect();
        let rules: std::collections::BTreeSet<&str> =
            open.iter().map(|f| f.rule.as_str()).collect();
        Tile {
            word: severity.word(),
            count: open.len(),
            rules: match open.len() {
                0 => "nothing open".to_owned(),
                _ => format!("open, of {}", count(rules.len(), "rule")),
            },
        }
    };
    Severity::WORST_FIRST.iter().map(tile).collect()
}

fn host_rows(view: &RunView) -> Vec<HostRow> {
    let mut hosts: Vec<&HostView> = view.hosts.iter().collect();
    hosts.sort_by_key(|h| (badness(h.standing()), usize::MAX - h.count(Status::Fail)));
    hosts.into_iter().map(host_row).collect()
}

fn host_row(host: &HostView) -> HostRow {
    let counts = Counts::of(&host.findings);
    let facts = host.connection().map(|c| &c.facts);
    let mut story: Vec<String> = Vec::new();
    if host.confirm == Confirm::Kept {
        story.push("Changes kept after a fresh log-in.".into());
    }
    story.extend(host.story().as_deref().map(prose));
    story.extend(
        host.unreachable
            .as_ref()
            .and_then(|u| u.hint.as_deref())
            .map(|hint| format!("→ {}", prose(hint))),
    );
    HostRow {
        name: name(&host.name),
        data: host.data.as_deref().map(name),
        outcome: outcome_word(host.standing()),
        key: match host.standing() {
            HostOutcome::Clean => "good",
            HostOutcome::Changed => "changed",
            HostOutcome::Findings => "warn",
            HostOutcome::Failed => "bad",
            HostOutcome::Unknown => "unknown",
            HostOutcome::NotStarted => "idle",
        },
        seen: host.was_seen(),
        fail: counts.fail,
        unknown: counts.unknown,
        changed: counts.changed,
        met: counts.met(),
        kex: facts.map(|f| match (&f.key_exchange, f.via.as_str()) {
            (Some(kex), _) => name(kex),
            (None, via) => name(via),
        }),
        pq: facts.map_or("", |f| post_quantum(f.post_quantum)),
        story,
    }
}

fn post_quantum(is: Option<bool>) -> &'static str {
    match is {
        Some(true) => "post-quantum",
        Some(false) => "not post-quantum",
        None => "",
    }
}

fn area_rows(view: &RunView) -> Vec<Area> {
    let row = |row: crate::report::AreaRow| Area {
        area: name(&row.area),
        open: row.counts.fail + row.counts.unknown,
        judged: row.counts.judged(),
        worst: row.worst.map(Severity::word),
        parts: status_bar(row.counts),
    };
    areas(view).into_iter().map(row).collect()
}

fn finding_row(view: &RunView, group: &FindingGroup) -> FindingRow {
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

fn change_rows(view: &RunView) -> Vec<ChangeRow> {
    let row = |merged: crate::report::words::MergedChange| {
        let note = &merged.change.note;
        let all = note.diff.lines().count();
        let rules: Vec<String> = note.rules.iter().map(|rule| name(rule)).collect();
        ChangeRow {
            outcome: step_word(merged.change.outcome).0,
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
        n => format!("{words}, {} not seen", count(n, "host")),
    }
}

fn framework_rows(view: &RunView) -> Vec<Framework> {
    let row = |row: &crate::report::ControlRow| Requirement {
        id: name(&row.id),
        state: row.state.word(),
        key: state_keys(row.state).1,
        rules: row
            .rules
            .iter()
            .map(|(rule, title)| RuleName {
                rule: name(rule),
                title: prose(title),
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

fn waiver_rows(view: &RunView) -> Vec<WaiverRow> {
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

fn not_seen(view: &RunView) -> Vec<NotSeen> {
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
        groups(view, |f| f.status == status)
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

fn notes(view: &RunView) -> Vec<String> {
    let of_hosts = view.hosts.iter().flat_map(|host| {
        host.notes
            .iter()
            .map(|note| format!("{}: {}", name(&host.name), prose(note)))
    });
    view.notes
        .iter()
        .map(|n| prose(n))
        .chain(of_hosts)
        .collect()
}

fn connections(view: &RunView) -> Vec<Connection> {
    let text = |text: &Option<String>| text.as_deref().map(name).unwrap_or_default();
    let of_host = |host: &HostView| {
        let connection = |c: &crate::report::fold::ConnectionView| Connection {
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

fn all_rules(view: &RunView) -> Vec<RuleRow> {
    let mut rules: BTreeMap<&str, (&crate::model::Finding, Counts)> = BTreeMap::new();
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

fn snapshots(view: &RunView) -> Vec<Item> {
    let of_host = |host: &HostView| {
        let item = |s: &crate::report::fold::SnapshotView| Item {
            name: name(&s.file),
            sha256: name(&s.sha256),
        };
        host.snapshots.iter().map(item).collect::<Vec<_>>()
    };
    view.hosts.iter().flat_map(of_host).collect()
}

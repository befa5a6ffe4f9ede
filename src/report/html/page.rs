//! What the page says, ready to be set: texts cleaned and bounded, numbers in words.

use std::collections::BTreeSet;

use serde::Serialize;

use super::figures::{Gauge, Part, gauge, status_bar};
use super::rows::{
    ChangeRow, Connection, FindingRow, Framework, NotSeen, RuleRow, WaiverRow, all_rules,
    change_rows, connections, finding_row, framework_rows, not_seen, waiver_rows,
};
use crate::journal::{HostOutcome, StepOutcome};
use crate::model::{Severity, Status};
use crate::report::fold::{Confirm, HostView, SnapshotView};
use crate::report::group::{areas, groups};
use crate::report::words::{badness, count, duration, outcome_word, whom};
use crate::report::{Counts, RunView, is_open};
use crate::shell::clean;

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
    /// It tried to bring about what it could.
    applied: bool,
    /// It says what it would change.
    rehearsal: bool,
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
pub fn name(text: &str) -> String {
    clean(text, 120)
}

/// A sentence or two.
pub fn prose(text: &str) -> String {
    clean(text, 2000)
}

pub fn names(hosts: &[&str]) -> Vec<String> {
    hosts.iter().map(|host| name(host)).collect()
}

/// Few hosts by their names, many by their number.
pub fn who(hosts: &[&str], many: usize) -> String {
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
            verb: match view.is_rehearsal() {
                true => "apply --dry-run".to_owned(),
                false => name(&view.verb),
            },
            version: name(&view.version),
            maker: env!("CARGO_PKG_VERSION"),
            rules: view.rules,
            level: view.level,
            code: ending.map_or("none: it did not end".into(), |e| e.code.to_string()),
            waves: view.waves.len(),
            stopped: ending.and_then(|e| e.stopped.as_deref()).map(prose),
            changes_hosts: view.changes_hosts(),
            rehearsal: view.is_rehearsal(),
            applied: view.changes_hosts() && !view.is_rehearsal(),
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
        "dry-run" => "Hardening report: what would be changed".into(),
        "backup-verify" => "Backup report: what the stores hold".into(),
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
    } else if view.verb == "rollback" {
        ("good", "Taken back")
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
    let undone = view.hosts.iter().flat_map(|h| &h.changes);
    let undone = undone.filter(|c| c.outcome == Some(StepOutcome::Undone));
    match undone.count() {
        0 => {}
        1 => said.push("1 change was undone.".into()),
        n => said.push(format!("{n} changes were undone.")),
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
            .collect::<BTreeSet<_>>()
            .len();
        said.push(format!(
            "{} of {} judged demands ({}) are not met, {worst}.",
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
        let rules: BTreeSet<&str> = open.iter().map(|f| f.rule.as_str()).collect();
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
        name: clean(&host.name, 48),
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

pub fn post_quantum(is: Option<bool>) -> &'static str {
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

fn snapshots(view: &RunView) -> Vec<Item> {
    let of_host = |host: &HostView| {
        let item = |s: &SnapshotView| Item {
            name: name(&s.file),
            sha256: name(&s.sha256),
        };
        host.snapshots.iter().map(item).collect::<Vec<_>>()
    };
    view.hosts.iter().flat_map(of_host).collect()
}

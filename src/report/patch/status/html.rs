//! The status as one page: of the same make as that of a run.

use serde::Serialize;

use super::terminal::{counts, open, point_words, policy, systems_of, verdict};
use super::{HostStatus, Status, Word};
use crate::report::drill::words::{day_and_time, more, number};
use crate::report::patch::html::{Part, bar, render};
use crate::report::patch::words::{age, day, outcome_class, outcome_word};
use crate::report::words::count;
use crate::shell::clean;

const TEMPLATE: &str = include_str!("../../templates/patch-status.html");

/// How many hosts, runs and vulnerabilities are on the page, each.
const ROWS: usize = 1000;
/// How many of the latest runs are drawn.
const RUNS: usize = 60;

#[derive(Debug, Serialize)]
struct Page {
    patch: String,
    when: String,
    kind: &'static str,
    headline: &'static str,
    detail: String,
    policy: String,
    runs: usize,
    maker: &'static str,
    bar: Vec<Part>,
    tiles: Vec<Tile>,
    hosts: Vec<HostRow>,
    hosts_more: Option<String>,
    open: Option<String>,
    cves: Vec<CveRow>,
    cves_more: Option<String>,
    systems: Vec<(String, String, String, String)>,
    history: Vec<RunRow>,
    history_more: Option<String>,
    problems: Vec<String>,
    advisories: Vec<(String, String)>,
}

#[derive(Debug, Serialize)]
struct Tile {
    figure: String,
    words: &'static str,
    key: &'static str,
}

#[derive(Debug, Serialize)]
struct HostRow {
    name: String,
    word: &'static str,
    key: &'static str,
    patched: String,
    last: String,
    last_key: &'static str,
    seen: String,
    offered: String,
    reboot: String,
    reasons: Vec<(&'static str, String)>,
}

#[derive(Debug, Serialize)]
struct CveRow {
    id: String,
    severity: &'static str,
    package: String,
    fixed: String,
    age: String,
    deadline: String,
    overdue: bool,
    hosts: String,
}

#[derive(Debug, Serialize)]
struct RunRow {
    when: String,
    run: String,
    kind: &'static str,
    words: String,
    bar: Vec<Part>,
}

fn key(word: Word) -> &'static str {
    match word {
        Word::Current => "good",
        Word::Behind => "warn",
        Word::Overdue => "bad",
        Word::Unknown => "unknown",
    }
}

/// The status as one page.
///
/// # Errors
/// Only where the template itself is broken.
pub fn html(status: &Status) -> Result<String, minijinja::Error> {
    let totals = &status.totals;
    let (kind, headline) = verdict(status);
    let (cves, all_cves) = cve_rows(status);
    let tile = |n: usize, words, key| Tile {
        figure: number(n as u64),
        words,
        key: if n == 0 { "idle" } else { key },
    };
    let late = totals.open_overdue.values().sum();
    let page = Page {
        patch: match &status.patch {
            Some(patch) => clean(patch, 60),
            None => "all playbooks".into(),
        },
        when: day_and_time(&status.now),
        kind,
        headline,
        detail: counts(status),
        policy: policy(status),
        runs: status.history.len(),
        maker: env!("CARGO_PKG_VERSION"),
        bar: bar(&[
            ("pass", "current", totals.current),
            ("waived", "behind", totals.behind),
            ("fail", "overdue", totals.overdue),
            ("unknown", "unknown", totals.unknown),
        ]),
        tiles: vec![
            tile(totals.unknown, "hosts of which it is not known", "unknown"),
            tile(totals.overdue, "hosts overdue", "bad"),
            tile(totals.reboot_due, "hosts that wait for a reboot", "warn"),
            tile(late, "open vulnerabilities past their deadline", "bad"),
            tile(totals.end_of_life, "hosts without security updates", "bad"),
        ],
        hosts: status.hosts.iter().take(ROWS).map(host_row).collect(),
        hosts_more: more(status.hosts.len(), ROWS),
        open: open(status),
        cves_more: more(all_cves, cves.len()),
        cves,
        systems: (systems_of(status).into_iter().take(100))
            .map(|(os, support, kernel, n)| (os, support, kernel, number(n as u64)))
            .collect(),
        history: (status.history.iter().rev().take(RUNS))
            .map(|point| RunRow {
                when: day(&point.started),
                run: clean(&point.run, 40),
                kind: if point.plan { "plan" } else { "run" },
                words: point_words(point),
                bar: bar(&[
                    ("pass", "current or patched", point.current + point.patched),
                    ("changed", "behind", point.behind),
                    ("waived", "waiting", point.waiting),
                    ("fail", "failed", point.failed),
                    ("unknown", "unknown", point.unknown),
                    ("na", "not started", point.not_started),
                ]),
            })
            .collect(),
        history_more: more(status.history.len(), RUNS),
        problems: (status.problems.iter().take(ROWS))
            .map(|p| clean(p, 600))
            .collect(),
        advisories: (status.advisories.iter().take(50))
            .map(|(file, date)| (clean(file, 120), clean(date, 20)))
            .collect(),
    };
    render(TEMPLATE, page)
}

fn host_row(host: &HostStatus) -> HostRow {
    let standing = host.standing.as_ref();
    HostRow {
        name: clean(&host.host, 120),
        word: host.verdict.word(),
        key: key(host.verdict),
        patched: match host.patched_ago {
            Some(seconds) => format!("{} ago", age(seconds)),
            None => "never".into(),
        },
        last: host.last_outcome.map_or("–", outcome_word).to_owned(),
        last_key: host.last_outcome.map_or("idle", outcome_class),
        seen: host.seen.as_deref().map_or("never".into(), day),
        offered: match standing.and_then(|s| s.behind) {
            Some(n) => number(n.into()),
            None => "unknown".into(),
        },
        reboot: match standing.and_then(|s| s.reboot_due.as_ref()) {
            None => "unknown".into(),
            Some(why) if why.is_empty() => "no".into(),
            Some(_) => match &host.reboot_since {
                Some(since) => format!("since {}", day(since)),
                None => "yes".into(),
            },
        },
        reasons: (host.reasons.iter().take(20))
            .map(|r| (key(r.verdict), clean(&r.text, 400)))
            .collect(),
    }
}

/// Each vulnerability of a package once, with its hosts: what is late first.
fn cve_rows(status: &Status) -> (Vec<CveRow>, usize) {
    use std::collections::BTreeMap;
    let mut all: BTreeMap<_, (Vec<&str>, &super::OpenStatus)> = BTreeMap::new();
    for host in &status.hosts {
        for cve in &host.open {
            let key = (
                !cve.overdue,
                std::cmp::Reverse(cve.severity),
                &cve.id,
                &cve.package,
            );
            let row = all.entry(key).or_insert_with(|| (Vec::new(), cve));
            row.0.push(&host.host);
            if cve.age > row.1.age {
                row.1 = cve;
            }
        }
    }
    let rows = all.values().take(ROWS).map(|(hosts, cve)| CveRow {
        id: clean(&cve.id, 40),
        severity: cve.severity.map_or("unrated", |s| s.word()),
        package: clean(&cve.package, 80),
        fixed: match &cve.fixed_in {
            Some(version) => clean(version, 60),
            None => "no fix yet".into(),
        },
        age: age(cve.age),
        deadline: match cve.deadline {
            Some(seconds) => crate::report::patch::words::within(seconds),
            None => "none".into(),
        },
        overdue: cve.overdue,
        hosts: match hosts.as_slice() {
            [one] => clean(one, 60),
            hosts => count(hosts.len(), "host"),
        },
    });
    (rows.collect(), all.len())
}

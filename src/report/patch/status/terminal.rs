//! The status for a terminal: what is wrong first, one host a row, then the runs it rests on.

use super::{HostStatus, RunPoint, Status, Word};
use crate::report::drill::words::{instant, number};
use crate::report::paint::Ink;
use crate::report::patch::Look;
use crate::report::patch::terminal::out::Out;
use crate::report::patch::words::{age, day, support, within};
use crate::report::words::{count, pad, widest};
use crate::shell::clean;

/// How many runs of the history are shown.
const RUNS: usize = 12;

pub fn ink(word: Word) -> Ink {
    match word {
        Word::Current => Ink::Good,
        Word::Behind => Ink::Warn,
        Word::Overdue => Ink::Bad,
        Word::Unknown => Ink::Alarm,
    }
}

/// What the whole comes to: a class of the page (`good`, `warn`, `bad`), and words.
pub fn verdict(status: &Status) -> (&'static str, &'static str) {
    let totals = &status.totals;
    if status.hosts.is_empty() {
        ("warn", "No host is known")
    } else if totals.unknown > 0 {
        ("bad", "Not all is known")
    } else if totals.overdue > 0 {
        ("bad", "Overdue")
    } else if totals.behind > 0 {
        ("good", "Within the policy")
    } else {
        ("good", "All are current")
    }
}

/// `12 hosts: 1 unknown, 2 overdue, 9 current`.
pub fn counts(status: &Status) -> String {
    let totals = &status.totals;
    let parts: Vec<String> = [
        (totals.unknown, Word::Unknown),
        (totals.overdue, Word::Overdue),
        (totals.behind, Word::Behind),
        (totals.current, Word::Current),
    ]
    .iter()
    .filter(|(n, _)| *n > 0)
    .map(|(n, word)| format!("{} {}", number(*n as u64), word.word()))
    .collect();
    match parts.is_empty() {
        true => "no host".into(),
        false => format!(
            "{}: {}",
            count(status.hosts.len(), "host"),
            parts.join(", ")
        ),
    }
}

/// The policy in a line.
pub fn policy(status: &Status) -> String {
    const NAMES: [(&str, &str); 6] = [
        ("patched_within", "patched each"),
        ("reboot_within", "rebooted within"),
        ("critical", "critical closed within"),
        ("high", "high"),
        ("medium", "medium"),
        ("low", "low"),
    ];
    let parts: Vec<String> = NAMES
        .iter()
        .filter_map(|(key, word)| Some(format!("{word} {}", within(*status.policy.get(*key)?))))
        .collect();
    match parts.is_empty() {
        true => "none is declared".into(),
        false => parts.join(", "),
    }
}

/// Open vulnerabilities: all, and those past their deadline.
pub fn open(status: &Status) -> Option<String> {
    let totals = &status.totals;
    let parts: Vec<String> = ["critical", "high", "medium", "low", "unrated"]
        .iter()
        .filter_map(|severity| {
            let all = totals.open.get(*severity)?;
            let late = totals.open_overdue.get(*severity);
            let late = late.map(|n| format!(" ({} overdue)", number(*n as u64)));
            let all = number(*all as u64);
            Some(format!("{all} {severity}{}", late.unwrap_or_default()))
        })
        .collect();
    (!parts.is_empty()).then(|| parts.join(", "))
}

/// The status for a terminal, with a newline at its end.
pub fn text(status: &Status, look: &Look) -> String {
    let mut out = Out::new(look);
    let patch = status.patch.as_deref().map(|p| clean(p, 40));
    let facts = [
        patch.unwrap_or_else(|| "all playbooks".into()),
        count(status.hosts.len(), "host"),
        count(status.history.len(), "run"),
    ];
    out.head("patch status", &facts.join(" · "));
    out.dim(&format!("as of {}", instant(&status.now)));
    out.blank();
    let (kind, word) = verdict(status);
    let ink = match kind {
        "good" => Ink::Good,
        "warn" => Ink::Warn,
        _ => Ink::Bad,
    };
    out.verdict(word, &counts(status), ink);
    out.item("policy", 6, &policy(status), None, 3);
    if let Some(open) = open(status) {
        out.item("open", 6, &open, None, 2);
    }
    if status.totals.reboot_due > 0 {
        let text = format!("due on {}", count(status.totals.reboot_due, "host"));
        out.item("reboot", 6, &text, None, 1);
    }
    if status.totals.end_of_life > 0 {
        let text = format!(
            "no security updates any more on {}",
            count(status.totals.end_of_life, "host")
        );
        out.item("end", 6, &text, Some(Ink::Bad), 1);
    }
    hosts(&mut out, status);
    systems(&mut out, status);
    history(&mut out, status);
    if !status.problems.is_empty() {
        out.heading("Problems", "runs that cannot be believed wholly");
        let most = out.rows(status.problems.len());
        for problem in status.problems.iter().take(most) {
            out.item("", 0, &clean(problem, 400), Some(Ink::Bad), 4);
        }
        out.more(status.problems.len(), most);
    }
    out.page(look.page.as_deref());
    out.text
}

fn hosts(out: &mut Out, status: &Status) {
    if status.hosts.is_empty() {
        return;
    }
    out.heading(
        "Hosts",
        "how long ago each was last patched, and what is open",
    );
    let names: Vec<String> = status.hosts.iter().map(|h| clean(&h.host, 24)).collect();
    let margin = widest(names.iter().map(String::as_str), 24);
    for word in Word::ALL.iter().rev() {
        let all: Vec<&HostStatus> = (status.hosts.iter())
            .filter(|h| h.verdict == *word)
            .collect();
        let most = out.rows(all.len());
        for host in all.iter().take(most) {
            host_row(out, host, margin);
        }
        if all.len() > most {
            let left = number((all.len() - most) as u64);
            let text = format!(
                "… and {left} more {} (the JSON document has all)",
                word.word()
            );
            out.item("", margin, &text, None, 1);
        }
    }
}

fn host_row(out: &mut Out, host: &HostStatus, margin: usize) {
    let patched = match host.patched_ago {
        Some(seconds) => format!("{} ago", age(seconds)),
        None => "never".into(),
    };
    let mut said = vec![format!("patched {patched}")];
    said.extend(host.reasons.iter().take(1).map(|r| clean(&r.text, 300)));
    out.row(
        &clean(&host.host, 24),
        margin,
        (&pad(host.verdict.word(), 7), ink(host.verdict)),
        &said.join(" · "),
        4,
    );
    let most = out.few(host.reasons.len(), 6);
    for reason in host.reasons.iter().take(most).skip(1) {
        out.item("", margin + 9, &clean(&reason.text, 300), None, 4);
    }
    if host.reasons.len() > most {
        let text = format!("… and {} more", host.reasons.len() - most);
        out.item("", margin + 9, &text, None, 1);
    }
}

/// Releases and kernels, each once: what, its support, how many hosts.
pub fn systems_of(status: &Status) -> Vec<(String, String, String, usize)> {
    let mut all: std::collections::BTreeMap<(String, String, String), usize> = Default::default();
    for standing in status.hosts.iter().filter_map(|h| h.standing.as_ref()) {
        let kernel = match &standing.kernel_waiting {
            Some(waiting) => format!(
                "{} (waits: {})",
                clean(&standing.kernel, 60),
                clean(waiting, 60)
            ),
            None => clean(&standing.kernel, 60),
        };
        let key = (clean(&standing.os, 60), support(&standing.support), kernel);
        *all.entry(key).or_default() += 1;
    }
    let mut all: Vec<_> = (all.into_iter())
        .map(|((os, support, kernel), n)| (os, support, kernel, n))
        .collect();
    all.sort_by_key(|(.., n)| std::cmp::Reverse(*n));
    all
}

fn systems(out: &mut Out, status: &Status) {
    let all = systems_of(status);
    if all.is_empty() {
        return;
    }
    out.heading("Systems", "release, security updates, kernel");
    let most = out.few(all.len(), 12);
    for (os, support, kernel, n) in all.iter().take(most) {
        let text = format!("{os} · {support} · {kernel}");
        out.item(&number(*n as u64), 5, &text, None, 3);
    }
    out.more(all.len(), most);
}

/// What came of a run, in words.
pub fn point_words(point: &RunPoint) -> String {
    if point.broken {
        return "cannot be believed".into();
    }
    let parts: Vec<String> = [
        (point.failed, "failed"),
        (point.unknown, "unknown"),
        (point.not_started, "not started"),
        (point.waiting, "waiting"),
        (point.behind, "behind"),
        (point.patched, "patched"),
        (point.current, "current"),
    ]
    .iter()
    .filter(|(n, _)| *n > 0)
    .map(|(n, word)| format!("{} {word}", number(*n as u64)))
    .collect();
    let mut text = parts.join(", ");
    if point.resumed > 0 {
        text.push_str(&format!("; resumed {} times", point.resumed));
    }
    if point.aborted {
        text.push_str("; it did not come to its end");
    }
    text
}

fn history(out: &mut Out, status: &Status) {
    if status.history.is_empty() {
        return;
    }
    out.heading("Runs", "the latest first");
    let most = out.few(status.history.len(), RUNS);
    for point in status.history.iter().rev().take(most) {
        let kind = if point.plan { "plan" } else { "run " };
        let text = format!(
            "{kind} {} · {}",
            count(point.hosts, "host"),
            point_words(point)
        );
        let name = match point.started.is_empty() {
            true => point.run.chars().take(10).collect(),
            false => day(&point.started),
        };
        out.item(&name, 10, &text, None, 3);
    }
    out.more(status.history.len(), most);
}

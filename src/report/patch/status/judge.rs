//! How a host is judged: its past, the policy and a time in; a word and its reasons out. Pure.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use super::gather::{Demand, Past};
use super::{HostStatus, OpenStatus, Reason, Totals, Word};
use crate::model::patch::{PatchOutcome, Standing, Support};
use crate::report::drill::words::number;
use crate::report::patch::words::{age, outcome_word, within};
use crate::report::words::{count, some};
use crate::shell::clean;

/// How many seconds ago; what lies in the future is now.
fn ago(now: Timestamp, then: Timestamp) -> u64 {
    u64::try_from(now.as_second().saturating_sub(then.as_second())).unwrap_or(0)
}

/// Judges one host.
pub fn judge(host: &str, past: &Past, now: Timestamp) -> HostStatus {
    let mut reasons = Reasons::default();
    let nothing = Demand::default();
    let demand = (past.last.as_ref()).map_or(&nothing, |last| &*last.demand);
    let behind_since = past.since(|g| g.behind, |_| false);
    let reboot_since = past.since(|g| g.reboot, |g| g.rebooted);
    let standing = past.seen.as_ref().map(|(_, standing)| standing);
    let open = open_cves(past, demand, now);
    let end_of_life = standing.is_some_and(|s| has_ended(&s.support, now));
    match &past.last {
        None => reasons.add(
            Word::Unknown,
            "it is in no patch run that is kept here".into(),
        ),
        Some(last) => {
            if let Some(lost) = &last.lost {
                let run = clean(&last.run, 40);
                reasons.add(Word::Unknown, format!("run {run}: {}", clean(lost, 300)));
            } else if standing.is_none() {
                reasons.add(Word::Unknown, "how it stands was never seen".into());
            }
            let (word, run) = (outcome_word(last.outcome), clean(&last.run, 40));
            if matches!(
                last.outcome,
                PatchOutcome::Failed
                    | PatchOutcome::WentBack
                    | PatchOutcome::LeftOut
                    | PatchOutcome::NotStarted
            ) {
                let story = last
                    .story
                    .as_deref()
                    .map(|s| format!(": {}", clean(s, 200)));
                let text = format!("{word} in run {run}{}", story.unwrap_or_default());
                reasons.add(Word::Behind, text);
            }
            of_patching(&mut reasons, past, demand, now);
        }
    }
    if let Some(standing) = standing {
        of_standing(&mut reasons, standing, demand, behind_since, now);
        of_reboot(&mut reasons, standing, demand, reboot_since, now);
        of_release(&mut reasons, standing, end_of_life);
        of_cves(&mut reasons, &open);
    }
    // A run that left something to do is no reason to call its host current.
    if let (true, Some(last)) = (reasons.0.is_empty(), &past.last) {
        let run = clean(&last.run, 40);
        match last.outcome {
            PatchOutcome::Behind => {
                reasons.add(Word::Behind, format!("run {run} saw something to do"));
            }
            PatchOutcome::Waiting => {
                reasons.add(
                    Word::Behind,
                    format!("it waits for a person since run {run}"),
                );
            }
            _ => {}
        }
    }
    let reasons = reasons.worst_first();
    HostStatus {
        host: host.to_owned(),
        verdict: reasons.first().map_or(Word::Current, |r| r.verdict),
        reasons,
        patched: past.patched.map(|at| at.to_string()),
        patched_ago: past.patched.map(|at| ago(now, at)),
        last_run: past.last.as_ref().map(|last| last.run.clone()),
        last_outcome: past.last.as_ref().map(|last| last.outcome),
        seen: past.seen.as_ref().map(|(at, _)| at.to_string()),
        standing: standing.cloned(),
        behind_since: behind_since.map(|at| at.to_string()),
        reboot_since: reboot_since.map(|at| at.to_string()),
        open,
        end_of_life,
    }
}

#[derive(Default)]
struct Reasons(Vec<Reason>);

impl Reasons {
    fn add(&mut self, verdict: Word, text: String) {
        self.0.push(Reason { verdict, text });
    }

    fn worst_first(mut self) -> Vec<Reason> {
        self.0.sort_by_key(|r| std::cmp::Reverse(r.verdict));
        self.0
    }
}

fn of_patching(reasons: &mut Reasons, past: &Past, demand: &Demand, now: Timestamp) {
    let Some(most) = demand.policy.get("patched_within") else {
        reasons.add(
            Word::Unknown,
            "no policy says how often it is to be patched".into(),
        );
        return;
    };
    match past.patched.map(|at| ago(now, at)) {
        None => reasons.add(
            Word::Overdue,
            format!(
                "no good patch run of it is kept here, and one is wanted each {}",
                within(*most)
            ),
        ),
        Some(since) if since > *most => reasons.add(
            Word::Overdue,
            format!(
                "last patched {} ago, and the policy allows {}",
                age(since),
                within(*most)
            ),
        ),
        Some(_) => {}
    }
}

fn of_standing(
    reasons: &mut Reasons,
    standing: &Standing,
    demand: &Demand,
    since: Option<Timestamp>,
    now: Timestamp,
) {
    for unknown in standing.unknown.iter().take(50) {
        reasons.add(Word::Unknown, format!("not seen: {}", clean(unknown, 200)));
    }
    match standing.behind {
        None => reasons.add(Word::Unknown, "what is offered to it is not known".into()),
        Some(0) => {}
        Some(n) => {
            let security = match standing.behind_security {
                Some(n) => format!("{} of security", number(n.into())),
                None => "how many of security is not known".into(),
            };
            let since = since.map(|at| format!(", for {}", age(ago(now, at))));
            reasons.add(
                Word::Behind,
                format!(
                    "{} not made ({security}){}",
                    upgrades(n),
                    since.unwrap_or_default()
                ),
            );
        }
    }
    match &standing.images_behind {
        None => reasons.add(
            Word::Unknown,
            "whether its images are behind is not known".into(),
        ),
        Some(images) if images.is_empty() => {}
        Some(images) => reasons.add(
            Word::Behind,
            format!(
                "{} behind: {}",
                count(images.len(), "image"),
                some(images, 4)
            ),
        ),
    }
    if !standing.stale.is_empty() {
        reasons.add(
            Word::Behind,
            format!(
                "{} on replaced files: {}",
                match standing.stale.len() {
                    1 => "1 service runs".to_owned(),
                    n => format!("{n} services run"),
                },
                some(&standing.stale, 4)
            ),
        );
    }
    if standing.open.is_none() && demand.has_advisories {
        reasons.add(
            Word::Unknown,
            "the advisories do not cover it: open vulnerabilities are not known".into(),
        );
    }
}

fn upgrades(n: u32) -> String {
    match n {
        1 => "1 upgrade is".into(),
        n => format!("{} upgrades are", number(n.into())),
    }
}

fn of_reboot(
    reasons: &mut Reasons,
    standing: &Standing,
    demand: &Demand,
    since: Option<Timestamp>,
    now: Timestamp,
) {
    let Some(due) = &standing.reboot_due else {
        reasons.add(Word::Unknown, "whether a reboot is due is not known".into());
        return;
    };
    if due.is_empty() {
        return;
    }
    let waits = since.map_or(0, |at| ago(now, at));
    let why = some(due, 2);
    match demand.policy.get("reboot_within") {
        Some(most) if waits > *most => reasons.add(
            Word::Overdue,
            format!(
                "waits for a reboot for {}, and the policy allows {} ({why})",
                age(waits),
                within(*most)
            ),
        ),
        _ => reasons.add(
            Word::Behind,
            format!("waits for a reboot for {} ({why})", age(waits)),
        ),
    }
}

fn has_ended(support: &Support, now: Timestamp) -> bool {
    let today = TimeZone::UTC.to_datetime(now).date();
    match support {
        // The table was read when the host was seen: time has gone on since.
        Support::Supported { until } | Support::LongTerm { until } => {
            until.parse::<Date>().is_ok_and(|until| until < today)
        }
        Support::Ended { .. } => true,
        Support::Unknown => false,
    }
}

fn of_release(reasons: &mut Reasons, standing: &Standing, end_of_life: bool) {
    let os = match standing.os.is_empty() {
        true => "its release".to_owned(),
        false => clean(&standing.os, 60),
    };
    // No upgrade will ever close what is found in it from now on: that is never within a deadline.
    if end_of_life {
        reasons.add(
            Word::Overdue,
            format!("{os} gets no security updates any more"),
        );
    } else if standing.support == Support::Unknown {
        reasons.add(
            Word::Unknown,
            format!("whether {os} still gets security updates is not known"),
        );
    }
}

/// The word of a severity in totals and policies.
fn severity_key(open: &OpenStatus) -> &'static str {
    open.severity.map_or("unrated", |s| s.word())
}

fn open_cves(past: &Past, demand: &Demand, now: Timestamp) -> Vec<OpenStatus> {
    let Some((seen, standing)) = &past.seen else {
        return Vec::new();
    };
    let published = |text: &Option<String>| -> Option<Timestamp> {
        let date: Date = text.as_deref()?.get(..10)?.parse().ok()?;
        date.to_zoned(TimeZone::UTC).ok().map(|z| z.timestamp())
    };
    // One that nobody rates is late once it were late for any rating.
    let longest = ["critical", "high", "medium", "low"]
        .iter()
        .filter_map(|severity| demand.policy.get(*severity))
        .max();
    let mut open: Vec<OpenStatus> = (standing.open.iter().flatten())
        .map(|cve| {
            let first = past.first_open.get(&cve.id).copied().unwrap_or(*seen);
            let since = published(&cve.published).map_or(first, |p| p.min(first));
            let age = ago(now, since);
            let deadline = match (&cve.fixed_in, cve.severity) {
                (None, _) => None,
                (Some(_), Some(severity)) => demand.policy.get(severity.word()),
                (Some(_), None) => longest,
            };
            OpenStatus {
                id: cve.id.clone(),
                severity: cve.severity,
                package: cve.package.clone(),
                installed: cve.installed.clone(),
                fixed_in: cve.fixed_in.clone(),
                since: since.to_string(),
                age,
                deadline: deadline.copied(),
                overdue: deadline.is_some_and(|most| age > *most),
            }
        })
        .collect();
    open.sort_by(|a, b| {
        (!a.overdue, std::cmp::Reverse(a.severity), &a.id, &a.package).cmp(&(
            !b.overdue,
            std::cmp::Reverse(b.severity),
            &b.id,
            &b.package,
        ))
    });
    open
}

/// Severity → distinct ids.
fn by_severity<'a>(
    open: impl Iterator<Item = &'a OpenStatus>,
) -> BTreeMap<&'static str, BTreeSet<&'a str>> {
    let mut by: BTreeMap<&'static str, BTreeSet<&str>> = BTreeMap::new();
    for cve in open {
        by.entry(severity_key(cve)).or_default().insert(&cve.id);
    }
    by
}

const SEVERITIES: [&str; 5] = ["critical", "high", "medium", "low", "unrated"];

fn of_cves(reasons: &mut Reasons, open: &[OpenStatus]) {
    let late = by_severity(open.iter().filter(|cve| cve.overdue));
    for severity in SEVERITIES {
        let Some(ids) = late.get(severity) else {
            continue;
        };
        let deadline = open
            .iter()
            .find(|cve| cve.overdue && severity_key(cve) == severity)
            .and_then(|cve| cve.deadline)
            .map(within)
            .unwrap_or_default();
        let ids: Vec<String> = ids.iter().map(|id| (*id).to_owned()).collect();
        reasons.add(
            Word::Overdue,
            format!(
                "{} {severity} open for more than {deadline}: {}",
                number(ids.len() as u64),
                some(&ids, 3)
            ),
        );
    }
    let fixable = open.iter().filter(|cve| !cve.overdue);
    let rest = by_severity(fixable.filter(|cve| cve.fixed_in.is_some()));
    let parts: Vec<String> = (SEVERITIES.iter())
        .filter_map(|severity| Some((rest.get(severity)?.len(), severity)))
        .map(|(n, severity)| format!("{} {severity}", number(n as u64)))
        .collect();
    if !parts.is_empty() {
        let text = format!(
            "open, with a fix, within the deadline: {}",
            parts.join(", ")
        );
        reasons.add(Word::Behind, text);
    }
}

pub fn worst_first(hosts: &mut [HostStatus]) {
    hosts.sort_by(|a, b| (b.verdict, &a.host).cmp(&(a.verdict, &b.host)));
}

pub fn totals(hosts: &[HostStatus]) -> Totals {
    let mut totals = Totals::default();
    for host in hosts {
        match host.verdict {
            Word::Current => totals.current += 1,
            Word::Behind => totals.behind += 1,
            Word::Overdue => totals.overdue += 1,
            Word::Unknown => totals.unknown += 1,
        }
        let due = host.standing.as_ref().and_then(|s| s.reboot_due.as_ref());
        totals.reboot_due += usize::from(due.is_some_and(|why| !why.is_empty()));
        totals.end_of_life += usize::from(host.end_of_life);
        for (severity, ids) in by_severity(host.open.iter()) {
            *totals.open.entry(severity.into()).or_default() += ids.len();
        }
        for (severity, ids) in by_severity(host.open.iter().filter(|cve| cve.overdue)) {
            *totals.open_overdue.entry(severity.into()).or_default() += ids.len();
        }
    }
    totals
}

//! Findings, grouped as people read them: over hosts, by area, by control.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use super::{Counts, RunView};
use crate::model::{Finding, Severity, Status};

/// One finding that several hosts share.
#[derive(Clone, Debug)]
pub struct FindingGroup<'a> {
    /// The finding of the first of them; all but `host` is the same in the others.
    pub finding: &'a Finding,
    /// In the order of the playbook.
    pub hosts: Vec<&'a str>,
}

/// Findings that `wanted` lets through, merged over the hosts, worst first: by status, severity,
/// how many hosts share them, rule.
pub fn groups<'a>(view: &'a RunView, wanted: impl Fn(&Finding) -> bool) -> Vec<FindingGroup<'a>> {
    let mut groups: Vec<FindingGroup<'a>> = Vec::new();
    let mut by_rule: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for host in &view.hosts {
        for finding in host.findings.iter().filter(|f| wanted(f)) {
            let same = by_rule.entry(&finding.rule).or_default();
            let known = same
                .iter()
                .copied()
                .find(|at| is_shared(groups[*at].finding, finding));
            match known {
                Some(at) => groups[at].hosts.push(&host.name),
                None => {
                    same.push(groups.len());
                    groups.push(FindingGroup {
                        finding,
                        hosts: vec![&host.name],
                    });
                }
            }
        }
    }
    groups.sort_by(worst_first);
    groups
}

fn is_shared(a: &Finding, b: &Finding) -> bool {
    a.status == b.status
        && a.severity == b.severity
        && a.expected == b.expected
        && a.actual == b.actual
        && a.reason == b.reason
        && a.fixable == b.fixable
        && a.waiver == b.waiver
}

fn worst_first(a: &FindingGroup, b: &FindingGroup) -> Ordering {
    rank(a.finding.status)
        .cmp(&rank(b.finding.status))
        .then(b.finding.severity.cmp(&a.finding.severity))
        .then(b.hosts.len().cmp(&a.hosts.len()))
        .then_with(|| natural(&a.finding.rule, &b.finding.rule))
        .then_with(|| a.hosts.cmp(&b.hosts))
}

/// The place of a status in [`Status::WORST_FIRST`].
pub fn rank(status: Status) -> usize {
    Status::WORST_FIRST
        .iter()
        .position(|s| *s == status)
        .unwrap_or(usize::MAX)
}

/// Compares with numbers as numbers: `5.1.9` before `5.1.10`.
pub fn natural(a: &str, b: &str) -> Ordering {
    fn number(text: &str) -> (&str, &str) {
        let end = text
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(text.len());
        text.split_at(end)
    }
    let (mut a, mut b) = (a, b);
    loop {
        let ((an, ar), (bn, br)) = (number(a), number(b));
        if !an.is_empty() && !bn.is_empty() {
            let (at, bt) = (an.trim_start_matches('0'), bn.trim_start_matches('0'));
            let order = at.len().cmp(&bt.len()).then(at.cmp(bt));
            if order != Ordering::Equal {
                return order;
            }
            (a, b) = (ar, br);
            continue;
        }
        let (mut ac, mut bc) = (a.chars(), b.chars());
        match (ac.next(), bc.next()) {
            (Some(x), Some(y)) if x == y => (a, b) = (ac.as_str(), bc.as_str()),
            (x, y) => return x.cmp(&y),
        }
    }
}

/// One area of the baselines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AreaRow {
    pub area: String,
    pub counts: Counts,
    /// Of what fails or is unknown.
    pub worst: Option<Severity>,
}

/// Areas, the one with the most that fails or is unknown first.
pub fn areas(view: &RunView) -> Vec<AreaRow> {
    let mut rows: BTreeMap<&str, AreaRow> = BTreeMap::new();
    // A host that was not seen would be the same in each of them.
    let seen = view.hosts.iter().filter(|host| host.was_seen());
    for finding in seen.flat_map(|host| &host.findings) {
        let row = rows.entry(&finding.area).or_insert_with(|| AreaRow {
            area: finding.area.clone(),
            counts: Counts::default(),
            worst: None,
        });
        row.counts.add(finding.status);
        if super::is_open(finding) {
            row.worst = row.worst.max(Some(finding.severity));
        }
    }
    let mut rows: Vec<AreaRow> = rows.into_values().collect();
    let open = |row: &AreaRow| row.counts.fail + row.counts.unknown;
    rows.sort_by(|a, b| open(b).cmp(&open(a)).then_with(|| a.area.cmp(&b.area)));
    rows
}

/// How a requirement of a framework stands, over all its rules and hosts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    /// A rule fails on a host.
    NotMet,
    /// None fails, but not all was seen.
    Unknown,
    /// None fails but for what a waiver accepts.
    Waived,
    /// A person has to judge it.
    Manual,
    Met,
    /// No rule has a meaning on any host.
    NotApplicable,
}

impl State {
    pub const ALL: [State; 6] = [
        State::NotMet,
        State::Unknown,
        State::Waived,
        State::Manual,
        State::Met,
        State::NotApplicable,
    ];

    pub fn word(self) -> &'static str {
        match self {
            State::NotMet => "not met",
            State::Unknown => "unknown",
            State::Waived => "waived",
            State::Manual => "manual",
            State::Met => "met",
            State::NotApplicable => "not applicable",
        }
    }

    fn of(counts: Counts, host_missing: bool) -> Self {
        if counts.fail > 0 {
            State::NotMet
        } else if counts.unknown > 0 || host_missing {
            State::Unknown
        } else if counts.waived > 0 {
            State::Waived
        } else if counts.manual > 0 {
            State::Manual
        } else if counts.met() > 0 {
            State::Met
        } else {
            State::NotApplicable
        }
    }
}

/// One requirement of a framework.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ControlRow {
    pub id: String,
    /// In order of the ids.
    pub rules: Vec<ControlRule>,
    pub counts: Counts,
    pub state: State,
}

/// One rule that serves a requirement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ControlRule {
    pub rule: String,
    pub title: String,
    /// It fails or is unknown on a host.
    pub open: bool,
}

/// One framework, e.g. `cis-debian-12`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FrameworkView {
    pub framework: String,
    /// By id.
    pub rows: Vec<ControlRow>,
}

impl FrameworkView {
    /// How many of its requirements stand so.
    pub fn count(&self, state: State) -> usize {
        self.rows.iter().filter(|row| row.state == state).count()
    }

    /// A known framework's name as people write it, else the id.
    pub fn title(&self) -> String {
        match self.framework.as_str() {
            "iso-27001" => "ISO/IEC 27001 Annex A".to_owned(),
            "soc-2" => "SOC 2 trust services criteria".to_owned(),
            "nist-800-53" => "NIST SP 800-53".to_owned(),
            "pci-dss" => "PCI DSS".to_owned(),
            other => match other.strip_prefix("cis-") {
                Some(rest) => format!("CIS {}", capitalized(&rest.replace('-', " "))),
                None => other.to_owned(),
            },
        }
    }
}

fn capitalized(text: &str) -> String {
    let mut chars = text.chars();
    match chars.next() {
        Some(first) => first.to_uppercase().chain(chars).collect(),
        None => String::new(),
    }
}

/// Requirement → rules → state, framework by framework. A host that was not seen makes unknown
/// what no other host fails.
pub fn frameworks(view: &RunView) -> Vec<FrameworkView> {
    type Cell<'a> = (BTreeMap<&'a str, (&'a str, bool)>, Counts);
    let mut cells: BTreeMap<&str, BTreeMap<&str, Cell>> = BTreeMap::new();
    for finding in view.findings() {
        for control in &finding.controls {
            let cell = cells
                .entry(&control.framework)
                .or_default()
                .entry(&control.id)
                .or_default();
            let rule = cell.0.entry(&finding.rule);
            rule.or_insert((&finding.title, false)).1 |= super::is_open(finding);
            cell.1.add(finding.status);
        }
    }
    let host_missing = view.not_seen().next().is_some();
    cells
        .into_iter()
        .map(|(framework, requirements)| {
            let mut rows: Vec<ControlRow> = requirements
                .into_iter()
                .map(|(id, (rules, counts))| ControlRow {
                    id: id.to_owned(),
                    rules: rules
                        .into_iter()
                        .map(|(rule, (title, open))| ControlRule {
                            rule: rule.to_owned(),
                            title: title.to_owned(),
                            open,
                        })
                        .collect(),
                    counts,
                    state: State::of(counts, host_missing),
                })
                .collect();
            rows.sort_by(|a, b| natural(&a.id, &b.id));
            FrameworkView {
                framework: framework.to_owned(),
                rows,
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_compared_as_numbers() {
        let mut ids = [
            "5.1.10", "5.1.9", "A.8.2", "5.1", "A.8.20", "5.01.2", "", "x",
        ];
        ids.sort_by(|a, b| natural(a, b));
        assert_eq!(
            ids,
            [
                "", "5.1", "5.01.2", "5.1.9", "5.1.10", "A.8.2", "A.8.20", "x"
            ]
        );
    }

    #[test]
    fn the_worst_decides_how_a_requirement_stands() {
        let of = |statuses: &[Status], missing| {
            let mut counts = Counts::default();
            for status in statuses {
                counts.add(*status);
            }
            State::of(counts, missing)
        };
        use Status::*;
        assert_eq!(of(&[Pass, Changed], false), State::Met);
        assert_eq!(of(&[Pass], true), State::Unknown);
        assert_eq!(of(&[Pass, Unknown], false), State::Unknown);
        assert_eq!(of(&[Pass, Unknown, Fail], true), State::NotMet);
        assert_eq!(of(&[Pass, Waived, Manual], false), State::Waived);
        assert_eq!(of(&[Pass, Manual], false), State::Manual);
        assert_eq!(of(&[NotApplicable, Pass], false), State::Met);
        assert_eq!(of(&[NotApplicable], false), State::NotApplicable);
    }
}

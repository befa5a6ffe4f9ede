//! Counts and the score.

use std::collections::BTreeMap;

use super::RunView;
use crate::model::{Finding, Severity, Status};

/// How much a rule weighs in the score.
pub fn weight(severity: Severity) -> u64 {
    match severity {
        Severity::Critical => 8,
        Severity::High => 4,
        Severity::Medium => 2,
        Severity::Low => 1,
    }
}

/// How many findings there are of each status.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub pass: usize,
    pub changed: usize,
    pub fail: usize,
    pub unknown: usize,
    pub waived: usize,
    pub manual: usize,
    pub not_applicable: usize,
}

impl Counts {
    pub fn of<'a>(findings: impl IntoIterator<Item = &'a Finding>) -> Self {
        let mut counts = Counts::default();
        for finding in findings {
            counts.add(finding.status);
        }
        counts
    }

    pub fn add(&mut self, status: Status) {
        *self.slot(status) += 1;
    }

    fn slot(&mut self, status: Status) -> &mut usize {
        match status {
            Status::Pass => &mut self.pass,
            Status::Changed => &mut self.changed,
            Status::Fail => &mut self.fail,
            Status::Unknown => &mut self.unknown,
            Status::Waived => &mut self.waived,
            Status::Manual => &mut self.manual,
            Status::NotApplicable => &mut self.not_applicable,
        }
    }

    pub fn get(mut self, status: Status) -> usize {
        *self.slot(status)
    }

    /// As demanded, whether found so or made so.
    pub fn met(self) -> usize {
        self.pass + self.changed
    }

    /// What the score is out of: what could be met or not.
    pub fn judged(self) -> usize {
        self.met() + self.fail + self.unknown
    }
}

/// The share of what is demanded that is met, by weight (critical 8, high 4, medium 2, low 1).
///
/// Met are `pass` and `changed`; against them stand `fail` and `unknown`. A host that was not
/// seen counts as unknown with every rule that the other hosts were judged by. `waived` is left
/// out of the first figure and counts as a failure in the second; `not-applicable` and `manual`
/// are in neither. Rounded down, so that 100 means all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Score {
    met: u64,
    open: u64,
    waived: u64,
}

impl Score {
    pub fn of(view: &RunView) -> Self {
        Self::of_judgements(view, |host| &host.findings)
    }

    /// By the first judgement of each host: as it was before anything was changed.
    pub fn before(view: &RunView) -> Self {
        Self::of_judgements(view, |host| {
            if host.findings_before.is_empty() {
                &host.findings
            } else {
                &host.findings_before
            }
        })
    }

    fn of_judgements<'a>(
        view: &'a RunView,
        findings: impl Fn(&'a super::HostView) -> &'a Vec<Finding>,
    ) -> Self {
        let mut score = Score::default();
        let mut rules: BTreeMap<&str, u64> = BTreeMap::new();
        for finding in view.hosts.iter().flat_map(&findings) {
            let weight = weight(finding.severity);
            match finding.status {
                Status::Pass | Status::Changed => score.met += weight,
                Status::Fail | Status::Unknown => score.open += weight,
                Status::Waived => score.waived += weight,
                Status::NotApplicable | Status::Manual => continue,
            }
            rules.insert(&finding.rule, weight);
        }
        let untold = view.not_seen().filter(|host| findings(host).is_empty());
        let not_seen = untold.count() as u64;
        score.open += not_seen * rules.values().sum::<u64>();
        score
    }

    /// In percent, with one decimal. `None`: nothing was judged.
    pub fn percent(self) -> Option<f64> {
        share(self.met, self.met + self.open)
    }

    /// The same with each waiver counted as the failure that it accepts.
    pub fn percent_without_waivers(self) -> Option<f64> {
        share(self.met, self.met + self.open + self.waived)
    }
}

fn share(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| (part * 1000 / whole) as f64 / 10.0)
}

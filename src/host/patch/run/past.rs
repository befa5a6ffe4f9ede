//! What another process wrote of this run before it died, as far as going on needs it. Pure.

use std::collections::{BTreeMap, BTreeSet};

use crate::journal::{Event, PatchEvent, Record};
use crate::model::patch::{HostPhase, HostPlan, JobOutcome, PatchOutcome, PhaseOutcome};

use super::verdict::is_failure;

/// A file in the run's folder, and what it must hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Kept {
    pub name: String,
    pub sha256: String,
}

/// All of it.
#[derive(Clone, Debug, Default)]
pub(super) struct Past {
    pub hosts: BTreeMap<String, HostPast>,
    /// As they were declared.
    pub waves: Option<Vec<Vec<String>>>,
    /// How many processes had the run before this one.
    pub processes: usize,
}

/// A job that was begun.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct JobPast {
    pub ended: Option<JobEnded>,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct JobEnded {
    pub outcome: JobOutcome,
    pub detail: String,
    pub log: Option<Kept>,
}

/// A reboot that was asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct RebootPast {
    /// The boot that it was to end.
    pub from: Option<String>,
    pub came_back: bool,
}

/// What is known of one host.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct HostPast {
    /// It is done, so.
    pub ended: Option<PatchOutcome>,
    pub plan: Option<HostPlan>,
    /// The snapshot that the plan was made from.
    pub before: Option<Kept>,
    /// How the host did right before it was changed, where that was looked at once more.
    pub gate: Option<Kept>,
    pub jobs: BTreeMap<String, JobPast>,
    /// What jobs said, and what is in the journal already.
    pub told: Vec<PatchEvent>,
    /// It had its turn: it goes on before all others, whatever the window and the budget say.
    pub begun: bool,
    pub gate_passed: bool,
    pub well: BTreeSet<HostPhase>,
    /// It was being put back, for this.
    pub back: Option<String>,
    /// The reboot on its way, and that of its way back.
    pub reboots: [RebootPast; 2],
    broken: Vec<String>,
    observed: Option<Kept>,
}

impl HostPast {
    /// Whether a host that ended so counts against the budget.
    pub fn counts(&self) -> bool {
        let blocked = self.plan.as_ref().is_some_and(|p| !p.blockers.is_empty());
        self.ended.is_some_and(is_failure) && !blocked
    }

    /// Whether a job was begun on it, or a reboot.
    fn was_touched(&self) -> bool {
        !self.jobs.is_empty() || self.reboots.iter().any(|r| r.from.is_some())
    }

    pub fn has_begun(&self, job: &str) -> bool {
        self.jobs.contains_key(job)
    }
}

/// Folds the records of a run.
pub(super) fn fold(former: &[Record]) -> Past {
    let mut past = Past::default();
    if !former.is_empty() {
        past.processes = 1;
    }
    for record in former {
        match &record.event {
            Event::Patch(PatchEvent::Declared { waves, .. }) => past.waves = Some(waves.clone()),
            Event::Patch(PatchEvent::Resumed { .. }) => past.processes += 1,
            Event::Patch(event) => {
                if let Some(host) = event.host() {
                    take(past.hosts.entry(host.to_owned()).or_default(), event);
                }
            }
            Event::Observed {
                host,
                snapshot,
                sha256,
                when,
                ..
            } => {
                let past = past.hosts.entry(host.clone()).or_default();
                let kept = Kept {
                    name: snapshot.clone(),
                    sha256: sha256.clone(),
                };
                match when.as_str() {
                    "before" => past.observed = Some(kept),
                    "gate" => past.gate = Some(kept),
                    _ => {}
                }
            }
            _ => {}
        }
    }
    past
}

fn take(past: &mut HostPast, event: &PatchEvent) {
    use PatchEvent::*;
    // Whatever comes after an end takes it up again.
    past.ended = None;
    match event {
        Planned { plan, .. } => {
            past.plan = Some(plan.as_ref().clone());
            past.before = past.observed.clone();
        }
        PhaseStarted { phase, .. } => match phase {
            HostPhase::Before => past.begun = true,
            HostPhase::Repair => past.begun = true,
            HostPhase::Back => past.back = Some(past.broken.join("; ")),
            _ => {}
        },
        PhaseEnded { phase, outcome, .. } => {
            if *outcome == PhaseOutcome::Well {
                past.well.insert(*phase);
            }
        }
        JobStarting { job, .. } => {
            past.jobs.entry(job.clone()).or_default();
        }
        JobEnded {
            job,
            outcome,
            detail,
            log,
            sha256,
            ..
        } => {
            let log = log.clone().zip(sha256.clone());
            past.jobs.entry(job.clone()).or_default().ended = Some(self::JobEnded {
                outcome: outcome.clone(),
                detail: detail.clone(),
                log: log.map(|(name, sha256)| Kept { name, sha256 }),
            });
        }
        Changed { .. } | Conffile { .. } | Restarted { .. } | Image { .. } => {
            past.told.push(event.clone());
        }
        Rebooting { boot_id, .. } => {
            let back = usize::from(past.back.is_some());
            past.reboots[back] = RebootPast {
                from: Some(boot_id.clone()),
                came_back: false,
            };
        }
        Rebooted { .. } => past.reboots[usize::from(past.back.is_some())].came_back = true,
        Gate { when, gate, .. } => {
            if when == "before" {
                past.gate_passed = gate.passed;
            }
            past.broken = gate.broken.iter().chain(&gate.unseen).cloned().collect();
        }
        HostEnded { outcome, .. } => {
            // A host that was lost on its way is looked at again; one that nothing was begun on
            // is not.
            let lost = *outcome == PatchOutcome::Unknown && past.was_touched();
            past.ended = (!lost).then_some(*outcome);
        }
        Declared { .. }
        | Resumed { .. }
        | Stands { .. }
        | Waits { .. }
        | Soaking { .. }
        | Notified { .. } => {}
    }
}

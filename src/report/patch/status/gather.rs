//! Reading the runs that are kept, and folding each host's history out of them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;

use super::judge::{judge, totals, worst_first};
use super::{RunPoint, Status, StatusAsk};
use crate::journal::{Event, MANIFEST_FILE, Manifest, RunFolder, Runs, RunsError};
use crate::model::patch::{PatchOutcome, Standing};
use crate::report::patch::{HostView, PatchView, load_some};
use crate::shell::clean;

/// What a run asks of its hosts.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Demand {
    pub policy: BTreeMap<String, u64>,
    pub has_advisories: bool,
}

/// What the runs say of one host.
#[derive(Debug, Default)]
pub struct Past {
    /// When the last good patch run was done with it.
    pub patched: Option<Timestamp>,
    /// The latest run that wanted it.
    pub last: Option<Last>,
    /// When it was last seen, and how it stood.
    pub seen: Option<(Timestamp, Standing)>,
    pub glimpses: Vec<Glimpse>,
    /// CVE id → when it was first seen to be open.
    pub first_open: BTreeMap<String, Timestamp>,
}

#[derive(Debug)]
pub struct Last {
    pub at: Timestamp,
    pub run: String,
    pub outcome: PatchOutcome,
    pub story: Option<String>,
    /// Why how it stands is not known any more, whatever was seen before.
    pub lost: Option<String>,
    pub demand: Arc<Demand>,
}

/// What counts for `since when`, seen at one time. `None`: not known.
#[derive(Clone, Copy, Debug)]
pub struct Glimpse {
    pub at: Timestamp,
    pub behind: Option<bool>,
    pub reboot: Option<bool>,
    /// It was rebooted since the glimpse before.
    pub rebooted: bool,
}

/// All runs, folded.
#[derive(Debug, Default)]
pub struct Fleet {
    pub hosts: BTreeMap<String, Past>,
    pub history: Vec<RunPoint>,
    pub problems: Vec<String>,
    /// Of the latest run that declares one.
    pub policy: BTreeMap<String, u64>,
    pub advisories: BTreeMap<String, String>,
}

/// Reads all patch runs that are kept, and judges each host.
///
/// # Errors
/// When the runs cannot be listed. A run that cannot be read is told in [`Status::problems`].
pub fn gather(runs: &Runs, ask: &StatusAsk) -> Result<Status, RunsError> {
    let mut fleet = Fleet::default();
    let mut there = BTreeSet::new();
    let mut named = BTreeSet::new();
    for folder in runs.list()?.into_iter().rev() {
        there.insert(folder.id.clone());
        let (former, may_be_patch) = beginning(&folder);
        named.extend(former);
        if may_be_patch {
            fleet.read(&folder, ask);
        }
    }
    for run in named.difference(&there) {
        fleet.problems.push(format!(
            "run {} was kept here and is gone: whether it was a patch run, and what it saw, is not known",
            clean(run, 40)
        ));
    }
    Ok(status(fleet, ask))
}

/// What the folded runs come to at the asked time. Pure.
pub fn status(mut fleet: Fleet, ask: &StatusAsk) -> Status {
    for host in &ask.known {
        fleet.hosts.entry(host.clone()).or_default();
    }
    let mut hosts: Vec<_> = (fleet.hosts.iter())
        .map(|(host, past)| judge(host, past, ask.now))
        .collect();
    worst_first(&mut hosts);
    Status {
        format: 1,
        patch: ask.patch.clone(),
        now: ask.now.to_string(),
        policy: fleet.policy,
        advisories: fleet.advisories,
        totals: totals(&hosts),
        hosts,
        history: fleet.history,
        problems: fleet.problems,
    }
}

/// The run that it names as the one before it, and whether it may be a patch run: its first lines
/// say it. One that says neither is looked at as a whole.
fn beginning(folder: &RunFolder) -> (Option<String>, bool) {
    let mut former = None;
    let Ok(reader) = folder.open() else {
        return (None, true);
    };
    for record in reader.take(8) {
        match record.map(|record| record.event) {
            Ok(Event::Chained { former: link }) => former = link.map(|link| link.run),
            Ok(Event::RunStarted { verb, .. }) => return (former, verb.starts_with("patch")),
            Ok(_) => {}
            Err(_) => break,
        }
    }
    (former, true)
}

/// Whether the seal speaks of another journal than the one that lies there.
fn belies_seal(folder: &RunFolder, view: &PatchView) -> bool {
    let Ok(bytes) = std::fs::read(folder.path.join(MANIFEST_FILE)) else {
        return false;
    };
    match serde_json::from_slice::<Manifest>(&bytes) {
        Ok(manifest) => manifest.journal.last != view.last_hash,
        Err(_) => true,
    }
}

impl Fleet {
    fn read(&mut self, folder: &RunFolder, ask: &StatusAsk) {
        let mut view = load_some(&folder.path);
        view.run.clone_from(&folder.id);
        if view.broken.is_none() && belies_seal(folder, &view) {
            view.broken = Some("its journal is not the one that was sealed".into());
        }
        let is_named = !view.patch.is_empty();
        let is_asked = ask.patch.as_ref().is_none_or(|name| *name == view.patch);
        // One that could not be read up to its name may be of the asked ones.
        if is_asked && view.is_patch() || view.broken.is_some() && !is_named {
            self.take(&view, folder.is_going());
        }
    }

    /// Folds a run in. `going`: a process writes it now.
    pub fn take(&mut self, view: &PatchView, going: bool) {
        if let Some(broken) = &view.broken {
            self.problems.push(format!(
                "run {} cannot be believed: {}",
                clean(&view.run, 40),
                clean(broken, 300)
            ));
        } else if !going && view.torn.is_some() {
            self.problems.push(format!(
                "run {}: the last line of its journal is torn: the controller died while it wrote",
                clean(&view.run, 40)
            ));
        }
        if view.broken.is_none() && !view.policy.is_empty() {
            self.policy.clone_from(&view.policy);
            self.advisories.clone_from(&view.advisories);
        }
        let demand = Arc::new(Demand {
            policy: view.policy.clone(),
            has_advisories: !view.advisories.is_empty(),
        });
        for host in &view.hosts {
            let past = self.hosts.entry(host.name.clone()).or_default();
            past.take(view, host, going, &demand);
        }
        self.history.push(point(view, going));
    }
}

fn point(view: &PatchView, going: bool) -> RunPoint {
    let count = |outcome| match view.broken {
        None => view.count(outcome),
        Some(_) => 0,
    };
    RunPoint {
        run: clean(&view.run, 40),
        patch: view.patch.clone(),
        started: view.started.clone(),
        plan: view.is_plan(),
        hosts: view.hosts.len(),
        current: count(PatchOutcome::Current),
        patched: count(PatchOutcome::Patched),
        waiting: count(PatchOutcome::Waiting),
        behind: count(PatchOutcome::Behind),
        failed: count(PatchOutcome::Failed)
            + count(PatchOutcome::WentBack)
            + count(PatchOutcome::LeftOut),
        unknown: match view.broken {
            None => view.count(PatchOutcome::Unknown),
            Some(_) => view.hosts.len(),
        },
        not_started: count(PatchOutcome::NotStarted),
        resumed: view.resumed.len(),
        aborted: view.ended.is_none() && !going,
        broken: view.broken.is_some(),
    }
}

impl Past {
    fn take(&mut self, view: &PatchView, host: &HostView, going: bool, demand: &Arc<Demand>) {
        let is_plan = view.is_plan();
        let outcome = host.outcome(is_plan);
        let time = |text: &String| text.parse::<Timestamp>().ok();
        let stood_at = time(&host.stood_at);
        let ended_at = time(&host.ended_at);
        let at = [ended_at, stood_at, time(&view.started)];
        let Some(at) = at.into_iter().flatten().max() else {
            return;
        };
        let is_believed = view.broken.is_none();
        // What a run that is going has not ended yet does not speak against what was seen before.
        let is_open = going && host.said.is_none();
        let is_latest = self.last.as_ref().is_none_or(|last| last.at <= at);
        if is_latest && !is_open {
            self.last = Some(Last {
                at,
                run: view.run.clone(),
                outcome,
                story: host.story(is_plan),
                lost: lost(view, host),
                demand: demand.clone(),
            });
        }
        if !is_believed {
            return;
        }
        let is_good = matches!(
            outcome,
            PatchOutcome::Current | PatchOutcome::Patched | PatchOutcome::Waiting
        );
        if is_good && !is_plan {
            self.patched = self.patched.max(ended_at);
        }
        for standing in [&host.before, &host.after].into_iter().flatten() {
            for cve in standing.open.iter().flatten() {
                let first = self.first_open.entry(cve.id.clone()).or_insert(at);
                *first = (*first).min(at);
            }
        }
        if let (Some(at), Some(standing)) = (stood_at, host.standing()) {
            self.glimpses.push(Glimpse {
                at,
                behind: standing.behind.map(|n| n > 0),
                reboot: standing.reboot_due.as_ref().map(|why| !why.is_empty()),
                rebooted: host.rebooted(),
            });
            if self.seen.as_ref().is_none_or(|(seen, _)| *seen <= at) {
                self.seen = Some((at, standing.clone()));
            }
        }
    }

    /// Since when something holds without a break: the first glimpse of the last row that says so.
    /// What is not known breaks no row.
    pub fn since(
        &self,
        holds: impl Fn(&Glimpse) -> Option<bool>,
        breaks: impl Fn(&Glimpse) -> bool,
    ) -> Option<Timestamp> {
        let mut glimpses: Vec<&Glimpse> = self.glimpses.iter().collect();
        glimpses.sort_by_key(|glimpse| glimpse.at);
        let mut since = None;
        for glimpse in glimpses {
            if breaks(glimpse) {
                since = None;
            }
            match holds(glimpse) {
                Some(true) => since = since.or(Some(glimpse.at)),
                Some(false) => since = None,
                None => {}
            }
        }
        since
    }
}

/// Why a run leaves it unknown how the host stands.
fn lost(view: &PatchView, host: &HostView) -> Option<String> {
    if view.broken.is_some() {
        return Some("its journal cannot be believed".into());
    }
    let is_plan = view.is_plan();
    let was_seen = match is_plan {
        true => host.standing().is_some(),
        // What was seen before a change says nothing of what is after it.
        false => host.after.is_some(),
    };
    let was_touched = !host.changed.is_empty() || !host.jobs.is_empty() || host.rebooted();
    match host.outcome(is_plan) {
        PatchOutcome::Unknown if is_plan && host.said.is_none() && was_seen => None,
        PatchOutcome::Unknown => Some(
            host.story(is_plan)
                .unwrap_or_else(|| "it was not seen".into()),
        ),
        PatchOutcome::Failed if !was_seen => Some(match host.story(is_plan) {
            Some(story) => format!("it failed, and was not seen after it: {story}"),
            None => "it failed, and was not seen after it".into(),
        }),
        _ if was_touched && !was_seen => Some("it was changed, and was not seen after it".into()),
        _ => None,
    }
}

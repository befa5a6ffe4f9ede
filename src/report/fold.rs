//! The fold: events in, what there is to tell out. Pure, total: no order of events makes it fail.

use std::collections::BTreeMap;
use std::path::Path;

use crate::journal::{
    ChangeNote, Event, HostOutcome, JournalError, JournalReader, Record, StepOutcome, Torn,
};
use crate::model::{ConnectionFacts, Finding, Phase, Status};

/// A run, as far as it got.
#[derive(Clone, Debug, Default)]
pub struct RunView {
    pub run: String,
    pub verb: String,
    pub version: String,
    pub playbook: String,
    pub playbook_title: String,
    pub level: u8,
    /// How many rules are judged on each host.
    pub rules: usize,
    pub by: String,
    /// Path → SHA-256.
    pub documents: BTreeMap<String, String>,
    /// Rule → why it is there.
    pub why: BTreeMap<String, String>,
    /// RFC 3339; empty if the journal does not begin with a run.
    pub started: String,
    /// The time of the last event.
    pub last_event: String,
    /// `None`: the run did not come to its end, or is still going.
    pub ended: Option<Ending>,
    /// In the order of the playbook.
    pub hosts: Vec<HostView>,
    pub waves: Vec<WaveView>,
    /// Notes that belong to no host.
    pub notes: Vec<String>,
    /// Lines of the journal that were read.
    pub lines: u64,
    /// The hash of the last line; empty where events were folded as they came.
    pub last_hash: String,
    /// The last line was torn: the controller died while it wrote.
    pub torn: Option<Torn>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ending {
    /// RFC 3339.
    pub time: String,
    /// The exit code.
    pub code: u8,
    pub millis: u64,
    pub stopped: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WaveView {
    pub wave: usize,
    pub of: usize,
    pub hosts: Vec<String>,
}

/// One host.
#[derive(Clone, Debug, Default)]
pub struct HostView {
    pub name: String,
    /// Its data classification.
    pub data: Option<String>,
    pub wave: Option<usize>,
    /// What it said last about how it stands. `None`: it did not come to its end.
    pub outcome: Option<HostOutcome>,
    pub reason: Option<String>,
    pub millis: u64,
    pub connections: Vec<ConnectionView>,
    pub unreachable: Option<Unreachable>,
    pub snapshots: Vec<SnapshotView>,
    /// The last judgement: what counts.
    pub findings: Vec<Finding>,
    /// The first judgement, where there were several.
    pub findings_before: Vec<Finding>,
    pub changes: Vec<ChangeView>,
    pub confirm: Confirm,
    pub notes: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectionView {
    pub purpose: String,
    pub facts: ConnectionFacts,
    pub millis: u64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unreachable {
    pub phase: Phase,
    pub reason: String,
    pub hint: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SnapshotView {
    pub file: String,
    pub sha256: String,
    pub when: String,
    pub millis: u64,
    pub bytes: u64,
}

/// A planned change and what became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChangeView {
    pub note: ChangeNote,
    /// `None`: it was never told.
    pub outcome: Option<StepOutcome>,
    pub detail: Option<String>,
}

/// How the changes of a host came to stay, or did not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Confirm {
    /// Nothing was armed.
    #[default]
    NotArmed,
    /// Armed, and nothing more is known: the host undoes it unless it was told to keep.
    Armed { window_seconds: u64 },
    /// A fresh log-in worked, and the host keeps the changes.
    Kept,
    /// No fresh log-in. That the host undid it was not seen.
    Failed { reason: String },
    /// The host is as it was; seen by us.
    Undone {
        by: String,
        /// Why a confirm failed before, if one did.
        reason: Option<String>,
    },
}

/// Reads and folds the journal in a run's folder.
///
/// # Errors
/// When it can't be read, or its chain is broken. A torn last line is no error.
pub fn load(dir: &Path) -> Result<RunView, JournalError> {
    let mut reader = JournalReader::open(dir)?;
    let mut view = RunView::default();
    for record in &mut reader {
        view.take(&record?);
    }
    view.last_hash = reader.last_hash().to_owned();
    view.torn = reader.torn().cloned();
    Ok(view)
}

impl RunView {
    /// Folds one record in.
    pub fn take(&mut self, record: &Record) {
        self.lines = record.seq;
        self.last_event.clone_from(&record.time);
        match &record.event {
            Event::RunStarted { .. } => self.start(record),
            Event::RulesExplained { why } => self.why.extend(why.clone()),
            Event::WaveStarted { wave, of, hosts } => {
                self.waves.push(WaveView {
                    wave: *wave,
                    of: *of,
                    hosts: hosts.clone(),
                });
                for host in hosts {
                    self.host(host).wave = Some(*wave);
                }
            }
            Event::Note { host: None, text } => self.notes.push(text.clone()),
            Event::RunEnded {
                code,
                millis,
                stopped,
            } => {
                self.ended = Some(Ending {
                    time: record.time.clone(),
                    code: *code,
                    millis: *millis,
                    stopped: stopped.clone(),
                });
            }
            event => {
                if let Some(name) = host_of(event) {
                    self.host(name).take(event);
                }
            }
        }
    }

    fn start(&mut self, record: &Record) {
        let Event::RunStarted {
            run,
            verb,
            version,
            playbook,
            playbook_title,
            level,
            hosts,
            rules,
            documents,
            by,
            data,
        } = &record.event
        else {
            return;
        };
        self.started.clone_from(&record.time);
        self.run.clone_from(run);
        self.verb.clone_from(verb);
        self.version.clone_from(version);
        self.playbook.clone_from(playbook);
        self.playbook_title.clone_from(playbook_title);
        self.level = *level;
        self.rules = *rules;
        self.documents.clone_from(documents);
        self.by.clone_from(by);
        for host in hosts {
            self.host(host);
        }
        for host in &mut self.hosts {
            host.data = data.get(&host.name).cloned();
        }
    }

    /// The host of that name. One that no event announced is put at the end.
    fn host(&mut self, name: &str) -> &mut HostView {
        let at = match self.hosts.iter().position(|host| host.name == name) {
            Some(at) => at,
            None => {
                self.hosts.push(HostView {
                    name: name.to_owned(),
                    ..HostView::default()
                });
                self.hosts.len() - 1
            }
        };
        &mut self.hosts[at]
    }

    /// All findings that count, host by host.
    pub fn findings(&self) -> impl Iterator<Item = &Finding> {
        self.hosts.iter().flat_map(|host| &host.findings)
    }

    /// Hosts of which nothing is known ([`HostView::was_seen`]).
    pub fn not_seen(&self) -> impl Iterator<Item = &HostView> {
        self.hosts.iter().filter(|host| !host.was_seen())
    }

    /// Whether a finding is of a host that was seen.
    pub fn is_of_seen_host(&self, finding: &Finding) -> bool {
        !self.not_seen().any(|host| host.name == finding.host)
    }

    /// Whether it is a verb that changes hosts, or says what it would change.
    pub fn changes_hosts(&self) -> bool {
        !matches!(self.verb.as_str(), "check" | "backup-verify")
    }

    /// Whether it says what it would change, and changes nothing.
    pub fn is_rehearsal(&self) -> bool {
        self.verb == "dry-run"
    }
}

/// The host that an event is about.
pub fn host_of(event: &Event) -> Option<&str> {
    match event {
        Event::HostConnected { host, .. }
        | Event::HostUnreachable { host, .. }
        | Event::Observed { host, .. }
        | Event::Judged { host, .. }
        | Event::Planned { host, .. }
        | Event::ConfirmArmed { host, .. }
        | Event::StepEnded { host, .. }
        | Event::Confirmed { host }
        | Event::ConfirmFailed { host, .. }
        | Event::Undone { host, .. }
        | Event::HostEnded { host, .. } => Some(host),
        Event::Note { host, .. } => host.as_deref(),
        Event::Chained { .. }
        | Event::RunStarted { .. }
        | Event::RulesExplained { .. }
        | Event::WaveStarted { .. }
        | Event::Drill(_)
        | Event::Patch(_)
        | Event::BackupMade { .. }
        | Event::BackupFailed { .. }
        | Event::RunEnded { .. } => None,
    }
}

impl HostView {
    /// Whether it was judged, or (where nothing is judged, as in a rollback) did what it was told.
    pub fn was_seen(&self) -> bool {
        // A host that was never observed has findings too: each of its rules, unknown.
        !self.snapshots.is_empty()
            || self.findings.iter().any(|f| f.status != Status::Unknown)
            || matches!(
                self.outcome,
                Some(HostOutcome::Clean | HostOutcome::Changed)
            )
            || self.changes.iter().any(|change| change.outcome.is_some())
    }

    /// How it stands. A host that did not come to its end is unknown, unless its turn never came.
    pub fn standing(&self) -> HostOutcome {
        match self.outcome {
            Some(outcome) => outcome,
            None if self.was_begun() => HostOutcome::Unknown,
            None => HostOutcome::NotStarted,
        }
    }

    fn was_begun(&self) -> bool {
        self.wave.is_some()
            || !self.connections.is_empty()
            || !self.findings.is_empty()
            || self.unreachable.is_some()
    }

    /// The first connection: how we got there.
    pub fn connection(&self) -> Option<&ConnectionView> {
        self.connections.first()
    }

    pub fn count(&self, status: Status) -> usize {
        self.findings.iter().filter(|f| f.status == status).count()
    }

    /// Why it stands as it does, in one line, where there is something to say.
    pub fn story(&self) -> Option<String> {
        if let Some(trouble) = &self.unreachable {
            return Some(format!("{}: {}", trouble.phase.words(), trouble.reason));
        }
        match (&self.confirm, &self.reason) {
            (_, Some(reason)) => Some(reason.clone()),
            (Confirm::Failed { reason }, None) => Some(format!(
                "no fresh log-in ({reason}); the host undoes the changes by itself"
            )),
            (
                Confirm::Undone {
                    by,
                    reason: Some(reason),
                },
                None,
            ) => Some(format!("no fresh log-in ({reason}); undone by the {by}")),
            (Confirm::Armed { window_seconds }, None) => Some(format!(
                "neither kept nor undone as far as was seen; the host undoes it after {window_seconds} s"
            )),
            _ if self.outcome.is_none() && self.was_begun() => {
                Some("the run stopped before it was done with this host".into())
            }
            _ => None,
        }
    }

    fn take(&mut self, event: &Event) {
        match event {
            Event::HostConnected {
                purpose,
                connection,
                millis,
                ..
            } => self.connections.push(ConnectionView {
                purpose: purpose.clone(),
                facts: connection.clone(),
                millis: *millis,
            }),
            Event::HostUnreachable {
                phase,
                reason,
                hint,
                ..
            } => {
                self.unreachable = Some(Unreachable {
                    phase: *phase,
                    reason: reason.clone(),
                    hint: hint.clone(),
                });
            }
            Event::Observed {
                snapshot,
                sha256,
                millis,
                bytes,
                when,
                ..
            } => self.snapshots.push(SnapshotView {
                file: snapshot.clone(),
                sha256: sha256.clone(),
                when: when.clone(),
                millis: *millis,
                bytes: *bytes,
            }),
            Event::Judged { findings, .. } => {
                let former = std::mem::replace(&mut self.findings, findings.clone());
                if self.findings_before.is_empty() {
                    self.findings_before = former;
                }
            }
            Event::HostEnded {
                outcome,
                reason,
                millis,
                ..
            } => {
                self.outcome = Some(*outcome);
                self.reason.clone_from(reason);
                self.millis = *millis;
            }
            Event::Note { text, .. } => self.notes.push(text.clone()),
            _ => self.take_change(event),
        }
    }

    fn take_change(&mut self, event: &Event) {
        match event {
            Event::Planned { changes, .. } => {
                self.changes.extend(changes.iter().map(|note| ChangeView {
                    note: note.clone(),
                    outcome: None,
                    detail: None,
                }));
            }
            Event::StepEnded {
                step,
                outcome,
                detail,
                ..
            } => {
                let change = self.change(step);
                change.outcome = Some(*outcome);
                change.detail.clone_from(detail);
            }
            Event::ConfirmArmed { window_seconds, .. } => {
                self.confirm = Confirm::Armed {
                    window_seconds: *window_seconds,
                };
            }
            Event::Confirmed { .. } => self.confirm = Confirm::Kept,
            Event::ConfirmFailed { reason, .. } => {
                self.confirm = Confirm::Failed {
                    reason: reason.clone(),
                };
                self.doubt_changed(
                    Status::Unknown,
                    "changed, but no fresh log-in worked: the host undoes it by itself, and that was not seen",
                );
            }
            Event::Undone { by, steps, .. } => {
                let reason = match &self.confirm {
                    Confirm::Failed { reason } => Some(reason.clone()),
                    _ => None,
                };
                self.confirm = Confirm::Undone {
                    by: by.clone(),
                    reason,
                };
                for change in &mut self.changes {
                    if steps.is_empty() || steps.contains(&change.note.step) {
                        change.outcome = Some(StepOutcome::Undone);
                    }
                }
                self.doubt_changed(Status::Fail, "changed, then undone");
            }
            _ => {}
        }
    }

    /// A judgement that said `changed` and came before the change was lost says too much.
    fn doubt_changed(&mut self, status: Status, reason: &str) {
        for finding in &mut self.findings {
            let doubtful = finding.status == Status::Changed
                || (finding.status == Status::Unknown
                    && finding
                        .reason
                        .as_deref()
                        .is_some_and(|r| r.starts_with("changed, but no fresh log-in")));
            if doubtful {
                finding.status = status;
                finding.reason = Some(reason.to_owned());
            }
        }
    }

    fn change(&mut self, step: &str) -> &mut ChangeView {
        let at = match self.changes.iter().rposition(|c| c.note.step == step) {
            Some(at) => at,
            None => {
                self.changes.push(ChangeView {
                    note: ChangeNote {
                        step: step.to_owned(),
                        target: step.to_owned(),
                        rules: Vec::new(),
                        risk: String::new(),
                        diff: String::new(),
                        no_way_back: None,
                    },
                    outcome: None,
                    detail: None,
                });
                self.changes.len() - 1
            }
        };
        &mut self.changes[at]
    }
}

#[cfg(test)]
mod tests;

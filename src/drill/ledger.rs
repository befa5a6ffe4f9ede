//! The ledger: what a drill has made. Each thing is in the journal, on disk, before it is made; the
//! id it came to bear, right after. `resume` and `sweep` read it back from the journal.

use std::sync::Arc;

use super::clock::DrillClock;
use crate::journal::{DrillEvent, Event, Journal, JournalError, Record};

/// Writes the ledger's events. Clones write to the same journal.
#[derive(Clone)]
pub struct Ledger {
    journal: Journal,
    clock: Arc<DrillClock>,
}

/// One thing that was intended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LedgerEntry {
    pub token: String,
    /// `None`: the whole drill's.
    pub step: Option<String>,
    /// `directory`, `process`, …
    pub kind: String,
    pub name: String,
    /// `None`: whether it was made is not known.
    pub id: Option<String>,
    pub gone: bool,
}

impl Ledger {
    pub fn new(journal: Journal, clock: Arc<DrillClock>) -> Self {
        Ledger { journal, clock }
    }

    /// Says what is about to be made; gives the token that [`Ledger::made`] wants. When this has
    /// returned, it is on disk.
    pub fn intend(
        &self,
        step: Option<&str>,
        kind: &str,
        name: &str,
    ) -> Result<String, JournalError> {
        let token = uuid::Uuid::now_v7().simple().to_string();
        self.write(|at_ms| DrillEvent::Intended {
            token: token.clone(),
            step: step.map(str::to_owned),
            kind: kind.to_owned(),
            name: name.to_owned(),
            at_ms,
        })?;
        Ok(token)
    }

    /// It was made, and bears this id.
    pub fn made(&self, token: &str, id: &str) -> Result<(), JournalError> {
        self.write(|at_ms| DrillEvent::Made {
            token: token.to_owned(),
            id: id.to_owned(),
            at_ms,
        })
    }

    /// It is gone, as was seen.
    pub fn gone(&self, token: &str) -> Result<(), JournalError> {
        self.write(|at_ms| DrillEvent::Gone {
            token: token.to_owned(),
            at_ms,
        })
    }

    pub fn not_gone(&self, token: &str, reason: &str) -> Result<(), JournalError> {
        self.write(|at_ms| DrillEvent::NotGone {
            token: token.to_owned(),
            at_ms,
            reason: reason.to_owned(),
        })
    }

    /// Writes an event with the clock's time, in the order of these times.
    pub fn write(&self, event: impl FnOnce(u64) -> DrillEvent) -> Result<(), JournalError> {
        self.clock
            .stamped(|at_ms| self.journal.append(&Event::Drill(event(at_ms))))
            .map(drop)
    }

    pub fn clock(&self) -> &DrillClock {
        &self.clock
    }

    pub fn journal(&self) -> &Journal {
        &self.journal
    }
}

/// The ledger as a journal's records tell it, in the order of intent.
pub fn read<'r>(records: impl IntoIterator<Item = &'r Record>) -> Vec<LedgerEntry> {
    let mut entries: Vec<LedgerEntry> = Vec::new();
    for record in records {
        let Event::Drill(event) = &record.event else {
            continue;
        };
        match event {
            DrillEvent::Intended {
                token,
                step,
                kind,
                name,
                ..
            } => entries.push(LedgerEntry {
                token: token.clone(),
                step: step.clone(),
                kind: kind.clone(),
                name: name.clone(),
                id: None,
                gone: false,
            }),
            DrillEvent::Made { token, id, .. } => {
                if let Some(entry) = entries.iter_mut().find(|e| e.token == *token) {
                    entry.id = Some(id.clone());
                }
            }
            DrillEvent::Gone { token, .. } => {
                if let Some(entry) = entries.iter_mut().find(|e| e.token == *token) {
                    entry.gone = true;
                }
            }
            _ => {}
        }
    }
    entries
}

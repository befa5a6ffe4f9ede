//! The journal of a drill as the engine uses it: written in the order of the clock, and read back
//! at any time, since all that is decided is a fold over it.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use crate::drill::clock::DrillClock;
use crate::drill::ledger::Ledger;
use crate::drill::provider::Provider;
use crate::journal::{DrillEvent, Event, Journal, JournalError, Record};
use crate::shell::clean;

/// Clones are the same.
#[derive(Clone)]
pub(super) struct Book {
    pub(super) ledger: Ledger,
    pub(super) clock: Arc<DrillClock>,
    records: Arc<Mutex<Vec<Record>>>,
    /// What was said of the guard already.
    watched: Arc<Mutex<BTreeSet<(String, String)>>>,
}

impl Book {
    /// `former`: what stands in the journal already.
    pub(super) fn new(journal: Journal, clock: Arc<DrillClock>, former: Vec<Record>) -> Book {
        let records = Arc::new(Mutex::new(former));
        let more = records.clone();
        journal.subscribe(Box::new(move |record| {
            let mut records = more.lock().unwrap_or_else(PoisonError::into_inner);
            records.push(record.clone());
        }));
        Book {
            ledger: Ledger::new(journal, clock.clone()),
            clock,
            records,
            watched: Arc::default(),
        }
    }

    pub(super) fn records(&self) -> Vec<Record> {
        let records = self.records.lock().unwrap_or_else(PoisonError::into_inner);
        records.clone()
    }

    /// With the clock's time.
    pub(super) fn write(&self, event: impl FnOnce(u64) -> DrillEvent) -> Result<(), JournalError> {
        self.ledger.write(event)
    }

    pub(super) fn plain(&self, event: &Event) -> Result<(), JournalError> {
        self.ledger.journal().append(event).map(drop)
    }

    /// Writes what the guard has seen since the last time; each thing once.
    pub(super) fn watch(&self, provider: &dyn Provider) -> Result<(), JournalError> {
        let seen = provider.watched();
        for (endpoint, by) in seen.used {
            let (endpoint, by) = (clean(&endpoint, 300), clean(&by, 120));
            if self.is_new(&format!("used {endpoint}"), &by) {
                self.plain(&Event::Drill(DrillEvent::Used { endpoint, by }))?;
            }
        }
        for (what, by) in seen.refused {
            self.refused(&what, &by)?;
        }
        Ok(())
    }

    /// The guard refused something.
    pub(super) fn refused(&self, what: &str, by: &str) -> Result<(), JournalError> {
        let (what, by) = (clean(what, 300), clean(by, 120));
        if !self.is_new(&format!("refused {what}"), &by) {
            return Ok(());
        }
        self.write(|at_ms| DrillEvent::Refused { what, by, at_ms })
    }

    fn is_new(&self, what: &str, by: &str) -> bool {
        let mut watched = self.watched.lock().unwrap_or_else(PoisonError::into_inner);
        watched.insert((what.to_owned(), by.to_owned()))
    }
}

//! One journal that many tasks write to, and that tells those who listen.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{Event, JournalError, JournalWriter, Manifest, Record, Seal};
use crate::sign::SigningKey;

/// Is told each record, in order, right after it was written. It must be quick, and must not
/// write to the journal.
pub type Subscriber = Box<dyn FnMut(&Record) + Send>;

/// A handle to a run's journal. Clones write to the same one.
#[derive(Clone)]
pub struct Journal {
    inner: Arc<Mutex<Inner>>,
}

struct Inner {
    writer: JournalWriter,
    subscribers: Vec<Subscriber>,
}

impl Journal {
    pub fn new(writer: JournalWriter) -> Self {
        Journal {
            inner: Arc::new(Mutex::new(Inner {
                writer,
                subscribers: Vec::new(),
            })),
        }
    }

    /// A task that panicked while it held the lock has left whole lines behind, at worst without
    /// telling a listener: what was written stays true, so the others go on.
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on `subscriber` is told each record.
    pub fn subscribe(&self, subscriber: Subscriber) {
        self.lock().subscribers.push(subscriber);
    }

    /// See [`JournalWriter::append`].
    pub fn append(&self, event: &Event) -> Result<Record, JournalError> {
        let mut guard = self.lock();
        let inner = &mut *guard;
        let record = inner.writer.append(event)?;
        for subscriber in &mut inner.subscribers {
            subscriber(&record);
        }
        Ok(record)
    }

    /// See [`JournalWriter::put_file`].
    pub fn put_file(&self, name: &str, bytes: &[u8]) -> Result<String, JournalError> {
        self.lock().writer.put_file(name, bytes)
    }

    /// See [`JournalWriter::finish`]. Listeners are let go.
    pub fn finish(&self) -> Result<Manifest, JournalError> {
        let mut inner = self.lock();
        inner.subscribers.clear();
        inner.writer.finish()
    }

    /// See [`JournalWriter::seal`]. Listeners are let go.
    pub fn seal(&self, key: Option<&SigningKey>) -> Result<Seal, JournalError> {
        let mut inner = self.lock();
        inner.subscribers.clear();
        inner.writer.seal(key)
    }

    pub fn dir(&self) -> PathBuf {
        self.lock().writer.dir().to_owned()
    }

    /// The hash of the last line.
    pub fn last_hash(&self) -> String {
        self.lock().writer.last_hash().to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::JournalReader;
    use crate::journal::tests::{clock, note};

    #[test]
    fn many_threads_write_one_chain_and_listeners_hear_it_in_order() {
        let state = tempfile::tempdir().unwrap();
        let dir = state.path().join("r");
        let journal = Journal::new(JournalWriter::create(&dir, clock()).unwrap());
        let heard = Arc::new(Mutex::new(Vec::new()));
        let ear = heard.clone();
        journal.subscribe(Box::new(move |record| ear.lock().unwrap().push(record.seq)));
        std::thread::scope(|scope| {
            for thread in 0..8 {
                let journal = journal.clone();
                scope.spawn(move || {
                    for line in 0..50 {
                        journal.append(&note(&format!("{thread} {line}"))).unwrap();
                    }
                });
            }
        });
        let records: Result<Vec<_>, _> = JournalReader::open(&dir).unwrap().collect();
        assert_eq!(records.unwrap().len(), 400);
        assert_eq!(*heard.lock().unwrap(), (1..=400).collect::<Vec<u64>>());
    }
}

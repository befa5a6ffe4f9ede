//! What the steps that run now are at, for those who watch: a drill's live view asks it, some times
//! in a second.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::backup::Progress;

/// Bytes so far, bytes in all (0: not known), files so far. Bytes are the ciphertext's where its
/// size is known, so that the two can be compared; else the plaintext's.
pub type Reading = (u64, u64, u64);

/// The steps that run now. Clones are the same.
#[derive(Clone, Debug, Default)]
pub struct Live {
    steps: Arc<Mutex<BTreeMap<String, Arc<Progress>>>>,
}

impl Live {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Arc<Progress>>> {
        self.steps.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on the step is read from this.
    pub fn put(&self, step: &str, progress: Arc<Progress>) {
        self.lock().insert(step.to_owned(), progress);
    }

    pub fn take_away(&self, step: &str) {
        self.lock().remove(step);
    }

    /// All zero for a step that does not run.
    pub fn read(&self, step: &str) -> Reading {
        let Some(progress) = self.lock().get(step).cloned() else {
            return (0, 0, 0);
        };
        let total = progress.total.load(Ordering::Relaxed);
        let bytes = match total {
            0 => progress.bytes.load(Ordering::Relaxed),
            _ => progress.sealed.load(Ordering::Relaxed),
        };
        (bytes, total, progress.files.load(Ordering::Relaxed))
    }

    #[cfg(test)]
    pub(super) fn of(&self, step: &str) -> Option<Arc<Progress>> {
        self.lock().get(step).cloned()
    }

    /// The same as a function, for a reader that may not know this room.
    pub fn poll(&self) -> impl Fn(&str) -> Reading + Send + Sync + 'static {
        let live = self.clone();
        move |step| live.read(step)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_of_the_kind_that_the_total_is_of() {
        let live = Live::default();
        let progress = Arc::new(Progress::default());
        progress.bytes.store(300, Ordering::Relaxed);
        progress.sealed.store(100, Ordering::Relaxed);
        progress.files.store(7, Ordering::Relaxed);
        live.put("db", progress.clone());
        let poll = live.poll();
        assert_eq!(poll("db"), (300, 0, 7));
        progress.total.store(200, Ordering::Relaxed);
        assert_eq!(poll("db"), (100, 200, 7));
        live.take_away("db");
        assert_eq!(poll("db"), (0, 0, 0));
    }
}

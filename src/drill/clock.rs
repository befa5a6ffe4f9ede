//! The drill's one clock: CLOCK_BOOTTIME, which no one can set and which runs on while the machine
//! sleeps and while no process of ours lives.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Milliseconds since the clock was started. Before that it stands at 0.
pub struct DrillClock {
    running: Mutex<Option<Running>>,
    /// Held while something is written with its time.
    turn: Mutex<()>,
    source: Box<dyn Fn() -> u64 + Send + Sync>,
}

#[derive(Clone, Copy, Debug)]
struct Running {
    /// The source's reading when the clock stood at `from`.
    zero: u64,
    from: u64,
    /// What was told last. The clock never goes back, whatever its source does.
    told: u64,
}

impl std::fmt::Debug for DrillClock {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        f.debug_tuple("DrillClock").field(&*self.lock()).finish()
    }
}

impl DrillClock {
    /// `source` gives CLOCK_BOOTTIME in milliseconds: [`boottime_ms`], or a test's own.
    pub fn new(source: impl Fn() -> u64 + Send + Sync + 'static) -> Self {
        DrillClock {
            running: Mutex::new(None),
            turn: Mutex::new(()),
            source: Box::new(source),
        }
    }

    /// A thread that panicked has left a whole reading behind.
    fn lock(&self) -> MutexGuard<'_, Option<Running>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts it now; gives CLOCK_BOOTTIME, in milliseconds, at 0.
    pub fn start(&self) -> u64 {
        let now = (self.source)();
        self.go_on(now);
        now
    }

    /// Goes on with one that was started at `zero` in the same boot.
    pub fn go_on(&self, zero: u64) {
        *self.lock() = Some(Running {
            zero,
            from: 0,
            told: 0,
        });
    }

    /// Goes on from a reading of its own, in another boot: the time between is lost.
    pub fn go_on_from(&self, at_ms: u64) {
        let zero = (self.source)();
        *self.lock() = Some(Running {
            zero,
            from: at_ms,
            told: at_ms,
        });
    }

    pub fn now_ms(&self) -> u64 {
        let mut running = self.lock();
        let Some(running) = running.as_mut() else {
            return 0;
        };
        let passed = (self.source)().saturating_sub(running.zero);
        running.told = running.told.max(running.from.saturating_add(passed));
        running.told
    }

    /// Does something with the time of now, one caller after the other: what is written in it stands
    /// in the order of its times, so that a journal in which time runs backwards is a false one.
    pub fn stamped<T>(&self, write: impl FnOnce(u64) -> T) -> T {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        write(self.now_ms())
    }

    /// The source's reading: CLOCK_BOOTTIME, in milliseconds.
    pub fn reading_ms(&self) -> u64 {
        (self.source)()
    }
}

/// CLOCK_BOOTTIME in milliseconds.
pub fn boottime_ms() -> u64 {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: `time` is a valid timespec that lives through the call; the call writes only to it.
    let code = unsafe { libc::clock_gettime(libc::CLOCK_BOOTTIME, &raw mut time) };
    if code != 0 {
        return 0;
    }
    let millis = time.tv_sec.saturating_mul(1000) + time.tv_nsec / 1_000_000;
    u64::try_from(millis).unwrap_or(0)
}

/// Which boot of the machine this is.
pub fn boot_id() -> Option<String> {
    let text = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    Some(text.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    #[test]
    fn it_stands_at_zero_until_it_is_started_and_never_goes_back() {
        let source = Arc::new(AtomicU64::new(5000));
        let read = source.clone();
        let clock = DrillClock::new(move || read.load(Ordering::SeqCst));
        assert_eq!(clock.now_ms(), 0);
        assert_eq!(clock.start(), 5000);
        source.store(7500, Ordering::SeqCst);
        assert_eq!(clock.now_ms(), 2500);
        source.store(6000, Ordering::SeqCst);
        assert_eq!(clock.now_ms(), 2500);
    }

    #[test]
    fn another_process_goes_on_with_it_in_the_same_boot() {
        let clock = DrillClock::new(|| 9000);
        clock.go_on(5000);
        assert_eq!(clock.now_ms(), 4000);
        // In another boot the source may say less than it did.
        clock.go_on_from(123_000);
        assert_eq!(clock.now_ms(), 123_000);
    }

    #[test]
    fn this_machine_tells_its_boot_and_its_time() {
        assert!(boottime_ms() > 0);
        assert!(boot_id().is_some_and(|id| id.len() == 36));
    }
}

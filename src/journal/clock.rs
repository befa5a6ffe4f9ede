//! What time it is, as a parameter, so that tests are exact.

use std::sync::atomic::{AtomicI64, Ordering};

use jiff::Timestamp;

/// Tells the time.
pub trait Clock: Send + Sync {
    fn now(&self) -> Timestamp;
}

/// This machine's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }
}

/// Begins at a time that it is told and goes on by a fixed step each time that it is asked.
#[derive(Debug)]
pub struct FixedClock {
    next: AtomicI64,
    step_millis: i64,
}

impl FixedClock {
    pub fn new(start: Timestamp, step_millis: i64) -> Self {
        FixedClock {
            next: AtomicI64::new(start.as_millisecond()),
            step_millis,
        }
    }
}

impl Clock for FixedClock {
    fn now(&self) -> Timestamp {
        let millis = self.next.fetch_add(self.step_millis, Ordering::Relaxed);
        Timestamp::from_millisecond(millis).unwrap_or(Timestamp::MAX)
    }
}

//! The drill's one clock: CLOCK_BOOTTIME, which no one can set and which runs on while the machine
//! sleeps and while no process of ours lives.

use std::sync::atomic::{AtomicU64, Ordering};

/// Milliseconds since the clock was started. Before that it stands at 0.
#[derive(Debug)]
pub struct DrillClock {
    /// CLOCK_BOOTTIME at 0, in milliseconds; `u64::MAX` before the start.
    zero: AtomicU64,
    source: fn() -> u64,
}

impl DrillClock {
    /// `source` gives CLOCK_BOOTTIME in milliseconds: [`boottime_ms`], or a test's own.
    pub fn new(source: fn() -> u64) -> Self {
        DrillClock {
            zero: AtomicU64::new(u64::MAX),
            source,
        }
    }

    /// Starts it now; gives CLOCK_BOOTTIME, in milliseconds, at 0.
    pub fn start(&self) -> u64 {
        let now = (self.source)();
        self.zero.store(now, Ordering::SeqCst);
        now
    }

    /// Goes on with one that was started at `zero` in the same boot.
    pub fn go_on(&self, zero: u64) {
        self.zero.store(zero, Ordering::SeqCst);
    }

    pub fn now_ms(&self) -> u64 {
        match self.zero.load(Ordering::SeqCst) {
            u64::MAX => 0,
            zero => (self.source)().saturating_sub(zero),
        }
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

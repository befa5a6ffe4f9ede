//! The double's own clock: it may run faster than the real one, and can be moved on.

use std::sync::Mutex;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Seconds of this clock. It never runs back.
pub struct Clock {
    start: f64,
    speed: f64,
    began: Instant,
    moved: Mutex<f64>,
}

impl Clock {
    /// `start`: in seconds since 1970; none: the real time. `speed`: seconds here per real second.
    pub fn new(start: Option<f64>, speed: f64) -> Clock {
        let real = || {
            let since = SystemTime::now().duration_since(UNIX_EPOCH);
            since.map(|s| s.as_secs_f64()).unwrap_or_default()
        };
        Clock {
            start: start.unwrap_or_else(real),
            speed: speed.max(0.0),
            began: Instant::now(),
            moved: Mutex::new(0.0),
        }
    }

    /// In seconds since 1970.
    pub fn start(&self) -> f64 {
        self.start
    }

    /// Since the start.
    pub fn elapsed(&self) -> f64 {
        let moved = self.moved.lock().map(|moved| *moved).unwrap_or_default();
        self.began.elapsed().as_secs_f64() * self.speed + moved
    }

    /// In seconds since 1970.
    pub fn now(&self) -> f64 {
        self.start + self.elapsed()
    }

    /// Moves the clock on; never back.
    pub fn advance(&self, seconds: f64) {
        if let Ok(mut moved) = self.moved.lock()
            && seconds.is_finite()
        {
            *moved += seconds.max(0.0);
        }
    }

    /// Until so many seconds of this clock have gone by, whoever moves it.
    pub async fn sleep(&self, seconds: f64) {
        let end = self.elapsed() + seconds;
        loop {
            let left = end - self.elapsed();
            if left <= 0.0 {
                return;
            }
            let real = (left / self.speed.max(0.001)).clamp(0.0005, 0.02);
            tokio::time::sleep(Duration::from_secs_f64(real)).await;
        }
    }
}

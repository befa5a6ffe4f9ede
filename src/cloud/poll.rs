//! Waiting, and asking until something is so.

use std::future::Future;
use std::time::Duration;

use tokio::time::Instant;

use super::fault::{Fault, FaultKind};

/// How many times shorter every wait is: 1 against AWS itself.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pace(pub f64);

impl Pace {
    /// What is waited in truth.
    pub fn scaled(self, time: Duration) -> Duration {
        time.div_f64(self.0.max(1.0))
    }

    pub async fn sleep(self, time: Duration) {
        tokio::time::sleep(self.scaled(time)).await;
    }

    /// What the service's clock did in `real`.
    pub fn stretched(self, real: Duration) -> Duration {
        real.mul_f64(self.0.max(1.0))
    }
}

/// What one question brought.
#[derive(Clone, Debug, PartialEq)]
pub enum Asked<T> {
    Ready(T),
    /// Not yet; how far it is, from 0 to 1, where that is known.
    Wait(Option<f64>),
}

/// How long to wait before the next question. Times in the service's clock.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Schedule {
    pub first: Duration,
    pub longest: Duration,
}

impl Schedule {
    /// For things that take seconds: networks, tags, states.
    pub const QUICK: Schedule = Schedule {
        first: Duration::from_secs(2),
        longest: Duration::from_secs(15),
    };
    /// For restores and databases: minutes to hours.
    pub const LONG: Schedule = Schedule {
        first: Duration::from_secs(5),
        longest: Duration::from_secs(60),
    };

    /// The next wait. `elapsed`: since the first question; `share`: how far it is.
    ///
    /// Where the share is known, half of what is left, so that the end is found after few
    /// questions; else a fiftieth of what has gone by, which is the overhead that it can cost.
    /// Never under 1 % of what has gone by.
    pub fn next(&self, elapsed: Duration, share: Option<f64>) -> Duration {
        let least = elapsed.div_f64(100.0);
        let wanted = match share.filter(|s| s.is_finite() && *s > 0.0 && *s < 1.0) {
            Some(share) => elapsed.mul_f64((1.0 - share) / share / 2.0),
            None => elapsed.div_f64(50.0),
        };
        wanted
            .max(least)
            .clamp(self.first, self.longest.max(self.first))
    }
}

/// Asks until it is so. Faults that pass are waited out within the deadline; `NotFound` too, where
/// `new` says that the thing was made a moment ago (EC2 forgets that for minutes).
///
/// # Errors
/// A fault that does not pass; or, at the deadline, what the last question brought.
pub async fn until<T, F, A>(
    pace: Pace,
    schedule: Schedule,
    deadline: Duration,
    what: &str,
    new: bool,
    mut ask: A,
) -> Result<T, Fault>
where
    F: Future<Output = Result<Asked<T>, Fault>>,
    A: FnMut() -> F,
{
    let begun = Instant::now();
    loop {
        let elapsed = pace.stretched(begun.elapsed());
        let (share, last) = match ask().await {
            Ok(Asked::Ready(found)) => return Ok(found),
            Ok(Asked::Wait(share)) => (share, None),
            Err(fault) if fault.passes() => (None, Some(fault)),
            Err(fault)
                if new
                    && fault.kind == FaultKind::NotFound
                    && elapsed < Duration::from_secs(300) =>
            {
                (None, Some(fault))
            }
            Err(fault) => return Err(fault),
        };
        let wait = schedule.next(elapsed, share);
        if elapsed + wait > deadline {
            let late = format!(
                "it was not so after {} minutes",
                elapsed.as_secs() / 60
            );
            return Err(last.unwrap_or_else(|| Fault::ours(what, &late)));
        }
        pace.sleep(wait).await;
    }
}

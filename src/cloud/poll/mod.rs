//! Waiting, and asking until something is so.

use std::future::Future;
use std::hash::{BuildHasher, Hasher, RandomState};
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

/// Where a share was first seen, and when: what the speed is reckoned from.
type Seen = Option<(Duration, f64)>;

/// Faults that go on are asked after more and more rarely, and at least this often.
const RAREST: Duration = Duration::from_secs(120);
/// EC2 forgets what it has just made for so long.
const FORGETFUL: Duration = Duration::from_secs(300);

impl Schedule {
    /// For things that take seconds: networks, tags, states.
    pub const QUICK: Schedule = Schedule {
        first: Duration::from_secs(2),
        longest: Duration::from_secs(15),
    };
    /// For restores and databases: minutes to hours.
    pub const LONG: Schedule = Schedule {
        first: Duration::from_secs(5),
        longest: Duration::from_secs(90),
    };

    /// The next wait. `elapsed`: since the first question; `share`: how far it is.
    ///
    /// Where the share is known, half of what is left, so that the end is found after few
    /// questions; else a fiftieth of what has gone by, which is the overhead that it can cost.
    /// Never under 0.5 % of what has gone by.
    pub fn next(&self, elapsed: Duration, share: Option<f64>) -> Duration {
        self.next_since(None, elapsed, share)
    }

    /// The same, with the speed since an earlier share: a job that waited for its turn at first is
    /// nearer to its end than its share says.
    fn next_since(&self, seen: Seen, elapsed: Duration, share: Option<f64>) -> Duration {
        let known = share.filter(|s| s.is_finite() && *s > 0.0 && *s < 1.0);
        let Some(share) = known else {
            let wanted = elapsed.div_f64(50.0);
            return wanted.clamp(self.first, self.longest.max(self.first));
        };
        let (since, was) = seen
            .filter(|(at, was)| *at < elapsed && *was < share)
            .unwrap_or_default();
        // Seconds, and bounded: a share of 1e-300 is no reason to panic.
        let speed = (share - was) / elapsed.saturating_sub(since).as_secs_f64().max(1e-3);
        let left = ((1.0 - share) / speed).min(1e6);
        // Close to the end the whole of what is left: one question, right after it.
        let close = left <= 2.0 * self.first.as_secs_f64();
        let wanted = Duration::from_secs_f64(if close { left } else { left / 2.0 });
        let shortest = if close { self.first / 4 } else { self.first };
        wanted
            .clamp(shortest, self.longest.max(shortest))
            .max(elapsed.div_f64(200.0))
    }
}

/// A number from 0 to 1 that differs from one waiter to the next: many that begin together do not
/// go on asking together.
fn chance() -> f64 {
    let drawn = RandomState::new().build_hasher().finish() >> 11;
    drawn as f64 / (1_u64 << 53) as f64
}

/// Asks until it is so. Faults that pass are waited out within the deadline, more and more rarely;
/// `NotFound` too, where `new` says that the thing was made a moment ago (EC2 forgets that for
/// minutes).
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
    let mut seen: Seen = None;
    let mut troubles = 0_u32;
    loop {
        let asked = ask().await;
        let elapsed = pace.stretched(begun.elapsed());
        let (wait, last) = match asked {
            Ok(Asked::Ready(found)) => return Ok(found),
            Ok(Asked::Wait(share)) => {
                troubles = 0;
                let wait = schedule.next_since(seen, elapsed, share);
                if let Some(share) = share.filter(|s| s.is_finite() && *s > 0.0 && *s < 1.0) {
                    // A job that begins anew is measured anew.
                    seen = seen
                        .filter(|(_, was)| *was <= share)
                        .or(Some((elapsed, share)));
                }
                (wait, None)
            }
            Err(fault) if waits_out(&fault, new, elapsed) => {
                troubles += 1;
                let base = schedule.next(elapsed, None);
                let times = 2_u32.saturating_pow(troubles.min(8) - 1);
                let wait = base.saturating_mul(times).min(RAREST.max(base));
                (wait, Some(fault))
            }
            Err(fault) => return Err(fault),
        };
        if elapsed >= deadline {
            return Err(late(what, elapsed, last));
        }
        // Earlier, never later: what it costs at most is what the schedule says.
        let wait = wait.mul_f64(1.0 - 0.15 * chance());
        pace.sleep(wait.min(deadline - elapsed)).await;
    }
}

fn waits_out(fault: &Fault, new: bool, elapsed: Duration) -> bool {
    fault.passes() || (new && fault.kind == FaultKind::NotFound && elapsed < FORGETFUL)
}

/// What is said at the deadline.
fn late(what: &str, elapsed: Duration, last: Option<Fault>) -> Fault {
    let time = match elapsed.as_secs() {
        seconds @ 0..120 => format!("{seconds} seconds"),
        seconds => format!("{} minutes", seconds / 60),
    };
    match last {
        Some(mut fault) => {
            fault.message.push_str(&format!("; it went on for {time}"));
            fault
        }
        None => Fault::ours(what, &format!("it was not so after {time}")),
    }
}

/// Sends something that may be sent again (a question, or a call with an idempotency token) until
/// it is answered: faults that pass are waited out within the deadline.
///
/// # Errors
/// A fault that does not pass; or, at the deadline, the last one.
pub async fn persist<T, F, A>(
    pace: Pace,
    deadline: Duration,
    what: &str,
    mut send: A,
) -> Result<T, Fault>
where
    F: Future<Output = Result<T, Fault>>,
    A: FnMut() -> F,
{
    until(pace, Schedule::QUICK, deadline, what, false, || {
        let sent = send();
        async { sent.await.map(Asked::Ready) }
    })
    .await
}

#[cfg(test)]
mod tests;

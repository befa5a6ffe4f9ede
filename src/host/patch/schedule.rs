//! When which host is begun: canaries, waves, hosts that are kept apart, windows, jitter. Pure: the
//! time comes in.

use std::collections::BTreeSet;

use jiff::civil::{Date, Time, Weekday};
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp, ToSpan};
use sha2::{Digest, Sha256};

use super::decide::means;
use crate::document::patch::{Apart, Day, Patch, Window};
use crate::document::playbook::WaveSize;
use crate::host::waves;

#[cfg(test)]
mod tests;

/// A host, as far as its turn is concerned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    pub name: String,
    /// Its name and all its groups.
    pub names: BTreeSet<String>,
}

/// The waves, as indices of `hosts`: canaries first, each host in exactly one. Shares are of all
/// hosts, canaries too.
pub fn waves(hosts: &[Candidate], patch: &Patch) -> Vec<Vec<usize>> {
    let (canaries, rest): (Vec<usize>, Vec<usize>) = (0..hosts.len()).partition(|index| {
        let host = hosts.get(*index);
        host.is_some_and(|host| means(&patch.canaries, &host.names))
    });
    let sizes: Vec<WaveSize> = patch
        .waves
        .iter()
        .map(|size| waves::hosts_of(*size, hosts.len()))
        .map(|size| WaveSize::Hosts(u32::try_from(size).unwrap_or(u32::MAX)))
        .collect();
    let others = waves::waves(rest.len(), &sizes);
    let others = others
        .into_iter()
        .map(|range| rest.get(range).unwrap_or_default().to_vec());
    std::iter::once(canaries)
        .chain(others)
        .filter(|wave| !wave.is_empty())
        .collect()
}

/// How many hosts may fail before no further one is begun: what `host::waves::is_spent` judges by.
pub fn allowed_failures(budget: WaveSize, hosts: usize) -> u32 {
    u32::try_from(waves::allowed(budget, hosts)).unwrap_or(u32::MAX)
}

/// Whether `next` may be changed beside those that are being changed now.
pub fn may_begin(next: &Candidate, busy: &[&Candidate], apart: &[Apart]) -> bool {
    apart
        .iter()
        .filter(|group| means(&group.hosts, &next.names))
        .all(|group| {
            let down = busy.iter().filter(|host| means(&group.hosts, &host.names));
            down.count() < group.at_most.max(1) as usize
        })
}

/// When a host may be begun.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Opening {
    Now {
        /// `None`: it never closes.
        until: Option<Timestamp>,
    },
    At(Timestamp),
    /// No window of its own ever opens (which a checked document does not have).
    Never,
}

/// How many days ahead a window is looked for. One that is swallowed by a change of the clocks is
/// open a week later.
const AHEAD: i64 = 16;

/// When this host's window opens. `zone`: a name that the document's checks know.
///
/// A window is open from `from` until just before `to`, by the wall clock of that day. A time that
/// the clocks skip counts as the one after the gap, and of one that comes twice, the first counts.
pub fn opening(
    host: &Candidate,
    windows: &[Window],
    zone: Option<&str>,
    now: Timestamp,
) -> Opening {
    let own = windows
        .iter()
        .filter(|window| means(&window.hosts, &host.names));
    let own: Vec<&Window> = own.collect();
    if own.is_empty() {
        return Opening::Now { until: None };
    }
    let zone = match zone {
        None => TimeZone::UTC,
        Some(name) => match TimeZone::get(name) {
            Ok(zone) => zone,
            Err(_) => return Opening::Never,
        },
    };
    let mut spans: Vec<(Timestamp, Timestamp)> = own
        .iter()
        .flat_map(|window| openings(window, &zone, now))
        .collect();
    spans.sort_unstable();
    let mut until: Option<Timestamp> = None;
    for (open, close) in &spans {
        // One window may go over into the next.
        let reached = until.unwrap_or(now);
        if *open <= reached && reached < *close {
            until = Some(*close);
        }
    }
    if until.is_some() {
        return Opening::Now { until };
    }
    let next = spans.iter().map(|(open, _)| *open).find(|open| *open > now);
    next.map_or(Opening::Never, Opening::At)
}

/// Each time that the window opens and closes, from yesterday on.
fn openings(window: &Window, zone: &TimeZone, now: Timestamp) -> Vec<(Timestamp, Timestamp)> {
    let (Some(from), Some(to)) = (time(&window.from), time(&window.to)) else {
        return Vec::new();
    };
    let today = now.to_zoned(zone.clone()).date();
    let at = |date: Date, time: Time| {
        let zoned = date.to_datetime(time).to_zoned(zone.clone()).ok()?;
        Some(zoned.timestamp())
    };
    let span = |ahead: i64| {
        let day = today.checked_add(ahead.days()).ok()?;
        let is_day = |wanted: &Day| weekday(*wanted) == day.weekday();
        if !window.days.is_empty() && !window.days.iter().any(is_day) {
            return None;
        }
        let last = match to > from {
            true => day,
            false => day.tomorrow().ok()?,
        };
        let (open, close) = (at(day, from)?, at(last, to)?);
        (open < close).then_some((open, close))
    };
    // A day is 25 hours at most, and a window ends on the day after it opened.
    (-2..=AHEAD).filter_map(span).collect()
}

/// `HH:MM`; 24:00 is the next day's 00:00.
fn time(text: &str) -> Option<Time> {
    let (hours, minutes) = text.split_once(':')?;
    let two = |part: &str| part.len() == 2 && part.bytes().all(|b| b.is_ascii_digit());
    if !two(hours) || !two(minutes) {
        return None;
    }
    match text {
        "24:00" => Some(Time::midnight()),
        _ => Time::new(hours.parse().ok()?, minutes.parse().ok()?, 0, 0).ok(),
    }
}

fn weekday(day: Day) -> Weekday {
    match day {
        Day::Mon => Weekday::Monday,
        Day::Tue => Weekday::Tuesday,
        Day::Wed => Weekday::Wednesday,
        Day::Thu => Weekday::Thursday,
        Day::Fri => Weekday::Friday,
        Day::Sat => Weekday::Saturday,
        Day::Sun => Weekday::Sunday,
    }
}

/// How long a host waits from its wave's start: the same for the same run and host, and less than
/// `most`.
pub fn jitter(run: &str, host: &str, most: std::time::Duration) -> Span {
    let mut hash = Sha256::new();
    hash.update(run.as_bytes());
    hash.update([0]);
    hash.update(host.as_bytes());
    let drawn = hash
        .finalize()
        .iter()
        .take(8)
        .fold(0_u64, |all, byte| (all << 8) | u64::from(*byte));
    // A fraction of 2^64, so that every moment is as likely as every other.
    let millis = (most.as_millis().min(u128::from(u32::MAX)) * u128::from(drawn)) >> 64;
    let millis = i64::try_from(millis).unwrap_or(0);
    Span::new().try_milliseconds(millis).unwrap_or_default()
}

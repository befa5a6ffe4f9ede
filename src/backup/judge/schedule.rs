//! When backups are due.

use std::str::FromStr;

use croner::Cron;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, Zoned};

/// So many due times are looked at; a schedule of each minute has as many in a year.
const MOST: usize = 600_000;

/// A cron schedule in its time zone.
pub(super) struct Schedule {
    cron: Cron,
    zone: TimeZone,
}

impl Schedule {
    pub fn new(cron: &str, zone: &str) -> Result<Self, String> {
        Ok(Schedule {
            cron: Cron::from_str(cron).map_err(|e| format!("`{cron}` is no schedule: {e}"))?,
            zone: TimeZone::get(zone).map_err(|e| format!("`{zone}` is no time zone: {e}"))?,
        })
    }

    fn at(&self, time: Timestamp) -> Zoned {
        time.to_zoned(self.zone.clone())
    }

    /// The latest due time that is at least `grace` seconds ago.
    pub fn last_before(&self, now: Timestamp, grace: i64) -> Option<Timestamp> {
        let from = now.checked_sub(SignedDuration::from_secs(grace)).ok()?;
        self.cron
            .find_previous_occurrence(&self.at(from), true)
            .ok()
            .map(|zoned| zoned.timestamp())
    }

    /// Due times after `from` and at least `grace` seconds ago for which there is no backup: none
    /// of `times` (sorted, seconds) lies between it and the next. A backup may be `skew` seconds
    /// early.
    pub fn gaps(
        &self,
        times: &[i64],
        from: Timestamp,
        now: Timestamp,
        grace: i64,
        skew: i64,
    ) -> Result<Vec<String>, String> {
        let latest = now.as_second().saturating_sub(grace);
        let mut gaps = Vec::new();
        let mut due: Option<Timestamp> = None;
        for (count, next) in self.cron.iter_after(self.at(from)).enumerate() {
            if count >= MOST {
                return Err(format!("more than {MOST} times were due: keep fewer days"));
            }
            let next = next.timestamp();
            if let Some(due) = due {
                let (begin, end) = (due.as_second() - skew, next.as_second() - skew);
                let at = times.partition_point(|time| *time < begin);
                if times.get(at).is_none_or(|time| *time >= end) {
                    gaps.push(due.to_string());
                }
            }
            if next.as_second() > latest {
                break;
            }
            due = Some(next);
        }
        Ok(gaps)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn a_backup_is_due_when_the_zone_says() {
        let berlin = Schedule::new("30 2 * * *", "Europe/Berlin").unwrap();
        let due = |now: &str, grace| berlin.last_before(time(now), grace).unwrap().to_string();
        assert_eq!(due("2026-11-20T03:00:00Z", 3600), "2026-11-20T01:30:00Z");
        assert_eq!(due("2026-11-20T02:29:59Z", 3600), "2026-11-19T01:30:00Z");
        assert_eq!(due("2026-11-20T02:30:00Z", 3600), "2026-11-20T01:30:00Z");
        // In summer an hour earlier; and on the night that skips 02:30, at the end of the gap.
        assert_eq!(due("2026-07-01T03:00:00Z", 3600), "2026-07-01T00:30:00Z");
        assert_eq!(due("2026-03-29T12:00:00Z", 3600), "2026-03-29T01:00:00Z");
    }

    #[test]
    fn gaps_are_due_times_without_a_backup() {
        let daily = Schedule::new("0 2 * * *", "UTC").unwrap();
        let gaps = |times: &[&str]| {
            let times: Vec<i64> = times.iter().map(|t| time(t).as_second()).collect();
            let from = time("2026-11-17T02:00:05Z");
            let now = time("2026-11-20T12:00:00Z");
            daily.gaps(&times, from, now, 3600, 60).unwrap()
        };
        let all = [
            "2026-11-18T02:00:10Z",
            "2026-11-19T01:59:30Z",
            "2026-11-20T02:45:00Z",
        ];
        assert_eq!(gaps(&all), [""; 0]);
        assert_eq!(gaps(&[all[0], all[2]]), ["2026-11-19T02:00:00Z"]);
        assert_eq!(gaps(&all[..2]), ["2026-11-20T02:00:00Z"]);
        assert_eq!(gaps(&[]).len(), 3);
    }

    #[test]
    fn what_is_no_schedule_is_told() {
        assert!(Schedule::new("often", "UTC").is_err());
        assert!(Schedule::new("0 2 * * *", "Mars/Base").is_err());
    }
}

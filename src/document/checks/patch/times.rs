//! Windows, and lengths of time that make sense.

use std::ops::Range;
use std::time::Duration;

use super::super::super::playbook::Span;
use super::super::super::spans::Node;
use super::{PatchCheck, given, items};

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// A length of time: where it stands, its bounds in seconds, and what it is for.
struct Bound {
    /// Keys from the root.
    path: &'static [&'static str],
    least: u64,
    most: u64,
    why: &'static str,
}

const BOUNDS: &[Bound] = &[
    bound(
        &["soak"],
        0,
        DAY,
        "a run is not a place to stay: what needs days is another playbook",
    ),
    bound(&["jitter"], 0, DAY, "hosts of one wave begin within it"),
    bound(
        &["lock_wait"],
        0,
        6 * HOUR,
        "a host waits so long before it fails; 10m suits most",
    ),
    bound(
        &["limit"],
        MINUTE,
        DAY,
        "a package job that is cut short must be repaired; 1h suits most",
    ),
    bound(
        &["reboot_wait"],
        30,
        6 * HOUR,
        "a host needs some time to come back; 10m suits most",
    ),
    bound(
        &["snapshot", "limit"],
        1,
        DAY,
        "the hook must have time to run",
    ),
    bound(
        &["health", "within"],
        0,
        HOUR,
        "it is how long a host may take to be healthy again",
    ),
    bound(
        &["containers", "healthy_within"],
        1,
        HOUR,
        "a container needs some time to start",
    ),
    bound(
        &["containers", "steady_for"],
        1,
        HOUR,
        "a container that runs for no time proves nothing",
    ),
    bound(
        &["policy", "patched_within"],
        HOUR,
        400 * DAY,
        "it is how long ago a host's last good run may be",
    ),
    bound(
        &["policy", "reboot_within"],
        HOUR,
        400 * DAY,
        "it is how long a due reboot may wait",
    ),
];

const fn bound(path: &'static [&'static str], least: u64, most: u64, why: &'static str) -> Bound {
    Bound {
        path,
        least,
        most,
        why,
    }
}

impl PatchCheck<'_> {
    pub(super) fn times(&mut self) {
        for bound in BOUNDS {
            let [above @ .., key] = bound.path else {
                continue;
            };
            let node = above.iter().try_fold(self.root, |node, key| node.get(key));
            if let Some((text, span)) = node.and_then(|node| node.text_at(key)) {
                self.within(key, text, span, bound);
            }
        }
        let checks = given(self.root, "health").map_or(&[][..], |health| items(health, "checks"));
        for check in checks {
            if let Some((text, span)) = check.text_at("limit") {
                let bound = bound(&["limit"], 1, HOUR, "a check must have time to answer");
                self.within("limit", text, span, &bound);
            }
        }
        self.deadlines();
        let shortest = items(self.root, "windows")
            .iter()
            .filter_map(|window| self.window(window))
            .min_by_key(|(minutes, _)| *minutes);
        if let (Some((minutes, place)), Some((text, span))) =
            (shortest, self.root.text_at("jitter"))
            && let Ok(jitter) = text.trim().parse::<Span>()
            && jitter.0 >= Duration::from_secs(minutes * MINUTE)
        {
            let place = self.check.document.place(&place);
            let message = "hosts may draw a moment after their window has closed";
            let warning = self.check.warning("long-jitter", span, message);
            warning
                .related
                .push((place, "this one is not longer".to_owned()));
            warning.help = Some("make it a small part of the shortest window".to_owned());
        }
    }

    fn within(&mut self, key: &str, text: &str, span: &Range<usize>, bound: &Bound) {
        // What is no length of time at all is the structural pass's to report.
        let Ok(length) = text.trim().parse::<Span>() else {
            return;
        };
        let seconds = length.0.as_secs();
        let label = if seconds < bound.least {
            format!("must be {} or more", words(bound.least))
        } else if seconds > bound.most {
            format!("must be {} or less", words(bound.most))
        } else {
            return;
        };
        let message = format!("`{key}` cannot be {text}");
        let error = self.check.error("bad-span", span, message);
        error.label = label;
        error.help = Some(bound.why.to_owned());
    }

    /// Worse vulnerabilities are not given more time.
    fn deadlines(&mut self) {
        let Some(close) = given(self.root, "policy").and_then(|p| given(p, "close_within")) else {
            return;
        };
        let mut worse: Option<(&str, Duration, Range<usize>)> = None;
        for severity in ["critical", "high", "medium", "low"] {
            let Some((text, span)) = close.text_at(severity) else {
                continue;
            };
            let bound = bound(
                &["close_within"],
                HOUR,
                4000 * DAY,
                "it is a deadline for people",
            );
            self.within(severity, text, span, &bound);
            let Ok(length) = text.trim().parse::<Span>() else {
                continue;
            };
            if let Some((name, longer, place)) = &worse
                && *longer > length.0
            {
                let place = self.check.document.place(place);
                let message = format!("`{severity}` has less time than `{name}`, which is worse");
                let warning = self.check.warning("odd-deadline", span, message);
                warning.related.push((place, "the longer one".to_owned()));
            }
            worse = Some((severity, length.0, span.clone()));
        }
    }

    /// Checks one window; how many minutes it lasts, and where it stands.
    fn window(&mut self, window: &Node) -> Option<(u64, Range<usize>)> {
        self.hosts(
            window,
            "hosts",
            "take the key away to mean all of the playbook's",
        );
        self.named(window, "hosts", "these are");
        let mut days: Vec<&str> = Vec::new();
        for (day, span) in window.texts_at("days") {
            if days.contains(&day) {
                self.check
                    .warning("twice", span, format!("`{day}` stands here twice"));
            }
            days.push(day);
        }
        let mut minute = |key: &str| {
            let (text, span) = window.text_at(key)?;
            // A day's end may be called by its own name.
            let minute = match (key, text) {
                ("to", "24:00") => Some(0),
                _ => minute_of_day(text),
            };
            if minute.is_none() {
                let message = format!("`{text}` is no time of day");
                self.check.error("bad-time", span, message).help =
                    Some("HH:MM in the playbook's time zone, from 00:00 to 23:59".to_owned());
            }
            minute
        };
        let (from, to) = (minute("from"), minute("to"));
        let (from, to) = (from?, to?);
        let lasts = match to > from {
            true => to - from,
            false => 24 * 60 + to - from,
        };
        let place = window.entry("from").map(|entry| entry.key_span.clone())?;
        Some((lasts, place))
    }
}

/// Minutes since midnight of `HH:MM`.
fn minute_of_day(text: &str) -> Option<u64> {
    let (hour, minute) = text.split_once(':')?;
    let number = |text: &str, below: u64| {
        let shaped = text.len() == 2 && text.bytes().all(|b| b.is_ascii_digit());
        let number = shaped.then(|| text.parse::<u64>().ok()).flatten()?;
        (number < below).then_some(number)
    };
    Some(number(hour, 24)? * 60 + number(minute, 60)?)
}

/// A length of time in the unit that a person would take.
fn words(seconds: u64) -> String {
    match seconds {
        s if s >= 2 * DAY && s % DAY == 0 => format!("{}d", s / DAY),
        s => Span(Duration::from_secs(s)).to_string(),
    }
}

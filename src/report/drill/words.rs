//! Words and lengths that the readers of drills share.

use jiff::Timestamp;

use crate::model::drill::{DrillPhase, Ended, ProofOutcome, VerdictWord};
use crate::report::paint::Ink;
use crate::shell::clean;

/// A phase, in a word.
pub fn phase_word(phase: DrillPhase) -> &'static str {
    match phase {
        DrillPhase::Wait => "wait",
        DrillPhase::Locate => "locate",
        DrillPhase::Provision => "provision",
        DrillPhase::Restore => "restore",
        DrillPhase::Fetch => "fetch",
        DrillPhase::Decrypt => "decrypt",
        DrillPhase::Load => "load",
        DrillPhase::Start => "start",
        DrillPhase::Hydrate => "hydrate",
        DrillPhase::Verify => "verify",
    }
}

/// The phases in the order of a step.
pub const PHASES: [DrillPhase; 10] = [
    DrillPhase::Wait,
    DrillPhase::Locate,
    DrillPhase::Provision,
    DrillPhase::Fetch,
    DrillPhase::Decrypt,
    DrillPhase::Restore,
    DrillPhase::Load,
    DrillPhase::Start,
    DrillPhase::Hydrate,
    DrillPhase::Verify,
];

/// What is being done in a phase.
pub fn phase_doing(phase: DrillPhase) -> &'static str {
    match phase {
        DrillPhase::Wait => "waiting",
        DrillPhase::Locate => "locating",
        DrillPhase::Provision => "provisioning",
        DrillPhase::Restore => "restoring",
        DrillPhase::Fetch => "fetching",
        DrillPhase::Decrypt => "decrypting",
        DrillPhase::Load => "loading",
        DrillPhase::Start => "starting",
        DrillPhase::Hydrate => "hydrating",
        DrillPhase::Verify => "verifying",
    }
}

pub fn ended_word(ended: Ended) -> &'static str {
    match ended {
        Ended::Well => "well",
        Ended::Failed => "failed",
        Ended::Interrupted => "interrupted",
        Ended::Skipped => "not begun",
    }
}

pub fn outcome_word(outcome: ProofOutcome) -> &'static str {
    match outcome {
        ProofOutcome::Pass => "pass",
        ProofOutcome::Fail => "fail",
        ProofOutcome::Unknown => "unknown",
    }
}

pub fn verdict_word(word: VerdictWord) -> &'static str {
    match word {
        VerdictWord::Met => "met",
        VerdictWord::Missed => "missed",
        VerdictWord::Inconclusive => "inconclusive",
    }
}

pub fn verdict_ink(word: VerdictWord) -> Ink {
    match word {
        VerdictWord::Met => Ink::Good,
        VerdictWord::Missed => Ink::Bad,
        VerdictWord::Inconclusive => Ink::Warn,
    }
}

/// `0.4 s`, `12 s`, `3 min 05 s`, `1 h 07 min`, `2 d 03 h`. Cut off, never rounded up.
pub fn span(millis: u64) -> String {
    const MINUTE: u64 = 60_000;
    const HOUR: u64 = 60 * MINUTE;
    const DAY: u64 = 24 * HOUR;
    match millis {
        0..10_000 => format!("{}.{} s", millis / 1000, millis % 1000 / 100),
        10_000..MINUTE => format!("{} s", millis / 1000),
        MINUTE..HOUR => format!("{} min {:02} s", millis / MINUTE, millis % MINUTE / 1000),
        HOUR..172_800_000 => format!("{} h {:02} min", millis / HOUR, millis % HOUR / MINUTE),
        172_800_000..864_000_000_000 => {
            format!("{} d {:02} h", millis / DAY, millis % DAY / HOUR)
        }
        // No drill takes a lifetime; a hostile journal says what it likes.
        _ => "over 9999 d".into(),
    }
}

/// The same without what is zero at its end: `4 h`, `40 min`.
pub fn short_span(millis: u64) -> String {
    let text = span(millis);
    for zero in [" 00 s", " 00 min", " 00 h"] {
        if let Some(whole) = text.strip_suffix(zero) {
            return whole.to_owned();
        }
    }
    match text.strip_suffix(".0 s") {
        Some(whole) => format!("{whole} s"),
        None => text,
    }
}

/// `412 B`, `1.9 GB`, `214 GB`; decimal, as disks are sold.
pub fn bytes(number: u64) -> String {
    const UNITS: [&str; 6] = ["kB", "MB", "GB", "TB", "PB", "EB"];
    if number < 1000 {
        return format!("{number} B");
    }
    let mut unit = UNITS[0];
    let mut tenths = number / 100;
    for next in &UNITS[1..] {
        if tenths < 10_000 {
            break;
        }
        tenths /= 1000;
        unit = next;
    }
    match tenths {
        0..1000 => format!("{}.{} {unit}", tenths / 10, tenths % 10),
        _ => format!("{} {unit}", tenths / 10),
    }
}

/// Bytes over a time, e.g. `396 MB/s`. `None`: too short to say.
pub fn rate(number: u64, millis: u64) -> Option<String> {
    let each = u128::from(number) * 1000 / u128::from(millis.max(1));
    let each = u64::try_from(each).ok()?;
    (millis >= 100 && number > 0).then(|| format!("{}/s", bytes(each)))
}

/// `184,233`.
pub fn number(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() + 6);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// `1 file`, `184,233 files`.
pub fn files(count: u64) -> String {
    match count {
        1 => "1 file".into(),
        n => format!("{} files", number(n)),
    }
}

/// `20 Nov 2026, 02:22:58 UTC`; what is no time stays as it is, cleaned.
pub fn instant(time: &str) -> String {
    match time.parse::<Timestamp>() {
        Ok(time) => time.strftime("%-d %b %Y, %H:%M:%S UTC").to_string(),
        Err(_) => clean(time, 60),
    }
}

/// `20 November 2026, 07:35 UTC`.
pub fn day_and_time(time: &str) -> String {
    match time.parse::<Timestamp>() {
        Ok(time) => time.strftime("%-d %B %Y, %H:%M UTC").to_string(),
        Err(_) => clean(time, 60),
    }
}

/// From one time to another, in milliseconds. `None` where one is no time, or they are the wrong
/// way round.
pub fn between(earlier: &str, later: &str) -> Option<u64> {
    let earlier: Timestamp = earlier.parse().ok()?;
    let later: Timestamp = later.parse().ok()?;
    let millis = later
        .as_millisecond()
        .checked_sub(earlier.as_millisecond())?;
    u64::try_from(millis).ok()
}

/// In whole percent; 0 of nothing.
pub fn percent(part: u64, whole: u64) -> u64 {
    let share = u128::from(part) * 100 / u128::from(whole.max(1));
    u64::try_from(share).unwrap_or(u64::MAX)
}

/// A share of a whole out of 100, fit for a chart: never less than 0, never more than 100.
pub fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 {
        return 0.0;
    }
    (part as f64 * 100.0 / whole as f64).clamp(0.0, 100.0)
}

/// `and 3 more`, where there is more.
pub fn more(all: usize, shown: usize) -> Option<String> {
    (all > shown).then(|| format!("… and {} more", number((all - shown) as u64)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_in_words() {
        for (millis, words) in [
            (0, "0.0 s"),
            (9_999, "9.9 s"),
            (12_345, "12 s"),
            (185_000, "3 min 05 s"),
            (3_599_999, "59 min 59 s"),
            (3_600_000, "1 h 00 min"),
            (86_400_000, "24 h 00 min"),
            (172_800_000, "2 d 00 h"),
            (863_999_999_999, "9999 d 23 h"),
            (u64::MAX, "over 9999 d"),
        ] {
            assert_eq!(span(millis), words);
        }
        assert_eq!(short_span(14_400_000), "4 h");
        assert_eq!(short_span(0), "0 s");
        assert_eq!(short_span(5_000), "5 s");
        assert_eq!(short_span(2_400_000), "40 min");
        assert_eq!(short_span(3_600_000 + 60_000), "1 h 01 min");
    }

    #[test]
    fn bytes_and_rates_in_words() {
        for (number, words) in [
            (0, "0 B"),
            (999, "999 B"),
            (1000, "1.0 kB"),
            (99_999, "99.9 kB"),
            (100_000, "100 kB"),
            (1_900_000_000, "1.9 GB"),
            (214_000_000_000, "214 GB"),
            (u64::MAX, "18.4 EB"),
        ] {
            assert_eq!(bytes(number), words);
        }
        assert_eq!(rate(1_000_000, 2000).unwrap(), "500 kB/s");
        assert_eq!(rate(1_000_000, 0), None);
        assert_eq!(rate(u64::MAX, 100), None);
        assert_eq!(number(1_234_567), "1,234,567");
        assert_eq!(number(12), "12");
    }

    #[test]
    fn what_is_no_time_stays_what_it_is() {
        assert_eq!(instant("2026-11-20T02:22:58Z"), "20 Nov 2026, 02:22:58 UTC");
        assert_eq!(instant("\u{1b}[2J"), "·[2J");
        assert_eq!(
            between("2026-11-20T02:00:00Z", "2026-11-20T02:00:01Z"),
            Some(1000)
        );
        assert_eq!(
            between("2026-11-20T02:00:01Z", "2026-11-20T02:00:00Z"),
            None
        );
        assert_eq!(between("then", "now"), None);
    }

    #[test]
    fn shares_never_leave_the_chart() {
        assert_eq!(share(1, 0), 0.0);
        assert_eq!(share(u64::MAX, 1), 100.0);
        assert_eq!(percent(1, 3), 33);
        assert_eq!(percent(u64::MAX, 0), u64::MAX);
    }
}

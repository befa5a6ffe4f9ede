//! Words that the readers of patch runs share.

use jiff::Timestamp;

use super::fold::{HostView, PatchView};
use crate::model::patch::{
    Closes, ImagePlan, ImageWork, JobOutcome, PatchOutcome, RebootNeed, RestartNote, Support,
    Upgrade, WayBack, WithheldWhy,
};
use crate::report::drill::words::{bytes, number, short_span};
use crate::report::paint::Ink;
use crate::report::words::count;
use crate::shell::clean;

/// The outcomes in the order in which a person wants them: the worst first.
pub const WORST_FIRST: [PatchOutcome; 9] = [
    PatchOutcome::Failed,
    PatchOutcome::Unknown,
    PatchOutcome::WentBack,
    PatchOutcome::LeftOut,
    PatchOutcome::NotStarted,
    PatchOutcome::Waiting,
    PatchOutcome::Behind,
    PatchOutcome::Patched,
    PatchOutcome::Current,
];

/// An outcome as a person reads it.
pub fn outcome_word(outcome: PatchOutcome) -> &'static str {
    match outcome {
        PatchOutcome::Current => "current",
        PatchOutcome::Patched => "patched",
        PatchOutcome::Behind => "behind",
        PatchOutcome::Waiting => "waiting",
        PatchOutcome::WentBack => "went back",
        PatchOutcome::LeftOut => "left out",
        PatchOutcome::Failed => "failed",
        PatchOutcome::Unknown => "unknown",
        PatchOutcome::NotStarted => "not started",
    }
}

/// An outcome as documents for programs have it.
pub fn outcome_key(outcome: PatchOutcome) -> &'static str {
    match outcome {
        PatchOutcome::WentBack => "went-back",
        PatchOutcome::LeftOut => "left-out",
        PatchOutcome::NotStarted => "not-started",
        other => outcome_word(other),
    }
}

pub fn outcome_ink(outcome: PatchOutcome) -> Ink {
    match outcome {
        PatchOutcome::Current | PatchOutcome::Patched => Ink::Good,
        PatchOutcome::Behind => Ink::Cool,
        PatchOutcome::Waiting | PatchOutcome::NotStarted | PatchOutcome::LeftOut => Ink::Warn,
        PatchOutcome::WentBack | PatchOutcome::Unknown => Ink::Bad,
        PatchOutcome::Failed => Ink::Alarm,
    }
}

/// The class by which the page colours it.
pub fn outcome_class(outcome: PatchOutcome) -> &'static str {
    match outcome {
        PatchOutcome::Current | PatchOutcome::Patched => "good",
        PatchOutcome::Behind => "changed",
        PatchOutcome::Waiting | PatchOutcome::NotStarted | PatchOutcome::LeftOut => "warn",
        PatchOutcome::WentBack | PatchOutcome::Failed => "bad",
        PatchOutcome::Unknown => "unknown",
    }
}

/// How it went as a whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// `good`, `warn`, `bad`.
    pub kind: &'static str,
    pub headline: &'static str,
    pub detail: String,
}

impl Verdict {
    pub fn of(view: &PatchView) -> Self {
        let has = |outcome| view.count(outcome) > 0;
        let (kind, headline) = if view.ended.is_none() {
            ("bad", "The run did not come to its end")
        } else if has(PatchOutcome::Failed) {
            ("bad", "A person must look")
        } else if has(PatchOutcome::WentBack) {
            ("bad", "Not all could be patched")
        } else if has(PatchOutcome::Unknown) {
            ("warn", "Not all was seen")
        } else if has(PatchOutcome::LeftOut) || has(PatchOutcome::NotStarted) {
            ("warn", "Not all were begun")
        } else if view.hosts.is_empty() {
            ("warn", "There is no host")
        } else if view.ended.as_ref().is_some_and(|e| e.stopped.is_some()) {
            ("warn", "Stopped early")
        } else if has(PatchOutcome::Behind) {
            ("warn", "There is something to do")
        } else if has(PatchOutcome::Waiting) && view.is_plan() {
            ("warn", "Something waits for a person")
        } else if has(PatchOutcome::Waiting) {
            ("warn", "Patched, and something waits for a person")
        } else if withholds_security(view) {
            ("warn", "Security upgrades are withheld")
        } else if has(PatchOutcome::Patched) {
            ("good", "All are patched")
        } else {
            ("good", "All are current")
        };
        Verdict {
            kind,
            headline,
            detail: outcomes(view),
        }
    }

    pub fn ink(&self) -> Ink {
        match self.kind {
            "good" => Ink::Good,
            "warn" => Ink::Warn,
            _ => Ink::Bad,
        }
    }
}

/// Whether some host goes without a security upgrade that it is offered: nothing was to be done there,
/// and yet it is not up to date. A freeze is somebody's decision, with a reason and a last day.
fn withholds_security(view: &PatchView) -> bool {
    view.hosts
        .iter()
        .filter_map(|host| host.plan.as_ref())
        .flat_map(|plan| &plan.withheld)
        .any(|w| w.security == Some(true) && w.why != WithheldWhy::Frozen)
}

/// `6 hosts: 1 failed, 5 patched`.
pub fn outcomes(view: &PatchView) -> String {
    let parts: Vec<String> = WORST_FIRST
        .iter()
        .map(|outcome| (view.count(*outcome), outcome_word(*outcome)))
        .filter(|(count, _)| *count > 0)
        .map(|(count, word)| format!("{count} {word}"))
        .collect();
    match parts.is_empty() {
        true => "no host".into(),
        false => format!("{}: {}", count(view.hosts.len(), "host"), parts.join(", ")),
    }
}

/// `1.0-1 → 1.0-2`, `new: 1.0`, `removed: 1.0`.
pub fn versions(from: &str, to: &str) -> String {
    let (from, to) = (clean(from, 60), clean(to, 60));
    match (from.is_empty(), to.is_empty()) {
        (false, false) => format!("{from} → {to}"),
        (true, false) => format!("new: {to}"),
        (false, true) => format!("removed: {from}"),
        (true, true) => "unknown".into(),
    }
}

/// What it closes; `most` ids are named.
pub fn closes(closes: &Closes, most: usize) -> String {
    match closes {
        Closes::Unknown => "closes: unknown".into(),
        Closes::Known { ids, .. } if ids.is_empty() => "closes no known CVE".into(),
        Closes::Known { ids, worst, by } => {
            let mut shown: Vec<String> = ids.iter().take(most).map(|id| clean(id, 30)).collect();
            if ids.len() > most {
                shown.push(format!("+{}", ids.len() - most));
            }
            let worst = worst.map(|w| format!("{}, ", w.word())).unwrap_or_default();
            format!("{} ({worst}by {})", shown.join(" "), clean(by, 20))
        }
    }
}

/// `security`, `not security`, or that nobody says.
pub fn security(is: Option<bool>) -> &'static str {
    match is {
        Some(true) => "security",
        Some(false) => "not security",
        None => "security: unknown",
    }
}

/// From where an upgrade comes; third parties are named as such.
pub fn origin(upgrade: &Upgrade) -> String {
    let origin = match upgrade.origin.is_empty() {
        true => "origin unknown".to_owned(),
        false => clean(&upgrade.origin, 60),
    };
    match upgrade.official {
        Some(false) => format!("{origin} (third party)"),
        Some(true) => origin,
        None => format!("{origin} (whose: unknown)"),
    }
}

pub fn withheld_word(why: WithheldWhy) -> &'static str {
    match why {
        WithheldWhy::Held => "held on the host",
        WithheldWhy::Phased => "phased",
        WithheldWhy::KeptBack => "kept back",
        WithheldWhy::Frozen => "frozen",
        WithheldWhy::Excluded => "excluded",
        WithheldWhy::NotSecurity => "not of security",
        WithheldWhy::WouldRemove => "would remove others",
        WithheldWhy::Needs => "needs what is withheld",
    }
}

/// What is against going back. `None`: there is a way.
pub fn no_way_back(way: &WayBack) -> Option<String> {
    match way {
        WayBack::Cache | WayBack::Archive | WayBack::Inverse => None,
        WayBack::None { why } => Some(clean(why, 200)),
        WayBack::Unknown => Some("it is not known whether there is one".into()),
    }
}

pub fn reboot_need(need: &RebootNeed) -> Option<String> {
    let said = |reasons: &[String]| {
        let said: Vec<String> = reasons.iter().take(8).map(|r| clean(r, 120)).collect();
        match said.is_empty() {
            true => String::new(),
            false => format!(": {}", said.join("; ")),
        }
    };
    match need {
        RebootNeed::No => None,
        RebootNeed::Now { reasons } => Some(format!("due now{}", said(reasons))),
        RebootNeed::After { reasons } => Some(format!("due after the upgrades{}", said(reasons))),
        RebootNeed::Unknown { why } => Some(format!("unknown: {}", clean(why, 200))),
    }
}

pub fn restart_note(note: &RestartNote) -> String {
    let when = if note.now { "already" } else { "afterwards" };
    let who = match note.by_us {
        true => "",
        false => "; left to a person",
    };
    format!(
        "{} ({when}: {}{who})",
        clean(&note.what, 60),
        clean(&note.why, 160)
    )
}

/// `sha256:0123456789ab…`; what is no digest is cut.
pub fn digest(digest: Option<&str>) -> String {
    match digest {
        None => "unknown".into(),
        Some(text) => match text.strip_prefix("sha256:") {
            Some(hash) if hash.len() > 12 && hash.is_ascii() => {
                format!("sha256:{}…", clean(&hash[..12], 12))
            }
            _ => clean(text, 24),
        },
    }
}

/// How old the image is, reckoned at `now`.
pub fn image_age(image: &ImagePlan, now: &str) -> String {
    match crate::report::drill::words::between(&image.created, now) {
        Some(millis) => format!("{} old", age(millis / 1000)),
        None => "age unknown".into(),
    }
}

pub fn image_work(work: &ImageWork) -> String {
    match work {
        ImageWork::Current => "current".into(),
        ImageWork::Update { with } => match with.as_str() {
            "compose" => "is pulled, and recreated by compose".into(),
            _ => "is pulled, and recreated with the options that it has".into(),
        },
        ImageWork::Report { why } => format!("is left as it is: {}", clean(why, 200)),
        ImageWork::Unknown { why } => format!("unknown: {}", clean(why, 200)),
    }
}

pub fn image_outcome(word: &str) -> String {
    match word {
        "went-back" => "went back".into(),
        other => clean(other, 20),
    }
}

/// `well`, or what is wrong with it.
pub fn job_outcome(outcome: Option<&JobOutcome>) -> String {
    match outcome {
        Some(JobOutcome::Well) => "well".into(),
        Some(JobOutcome::Failed { status }) => format!("failed with status {status}"),
        Some(JobOutcome::TimedOut) => "ran out of its time".into(),
        Some(JobOutcome::Died) => "died without a result".into(),
        None => "its end was not seen".into(),
    }
}

/// `3 d`, `5 h`, `2 min`: for ages in seconds.
pub fn age(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} min", seconds / 60),
        3600..172_800 => format!("{} h", seconds / 3600),
        _ => format!("{} d", number(seconds / 86_400)),
    }
}

/// A length of a policy, in seconds: `7 d`.
pub fn within(seconds: u64) -> String {
    match seconds % 86_400 {
        0 if seconds > 0 => format!("{} d", number(seconds / 86_400)),
        _ => short_span(seconds.saturating_mul(1000)),
    }
}

/// Bytes to fetch and to hold, as far as they are known.
pub fn download_words(download: Option<u64>, grows: Option<i64>) -> String {
    let fetch = match download {
        Some(0) => "nothing is fetched".to_owned(),
        Some(n) => format!("{} are fetched", bytes(n)),
        None => "how much is fetched is not known".into(),
    };
    let disk = match grows {
        Some(0) => "the disk holds as much as before".to_owned(),
        Some(n) if n > 0 => format!("the disk holds {} more", bytes(n.unsigned_abs())),
        Some(n) => format!("the disk holds {} less", bytes(n.unsigned_abs())),
        None => "what it takes on disk is not known".into(),
    };
    format!("{fetch}, {disk}")
}

/// `12m`, `2m 10s`, `1h 05m`: short, for lines.
pub fn brief(millis: u64) -> String {
    let seconds = millis / 1000;
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3600 => format!("{}m {:02}s", seconds / 60, seconds % 60),
        _ => format!("{}h {:02}m", seconds / 3600, seconds % 3600 / 60),
    }
}

/// What was done to a host, in a line: `5 packages, 2 restarts, rebooted`.
pub fn done(host: &HostView) -> Vec<String> {
    let mut parts = Vec::new();
    if !host.changed.is_empty() {
        parts.push(count(host.changed.len(), "package"));
    }
    if !host.back.is_empty() {
        parts.push(format!("{} put back", count(host.back.len(), "package")));
    }
    let restarted = host.restarted.iter().filter(|r| r.well).count();
    if restarted > 0 {
        parts.push(count(restarted, "restart"));
    }
    let images = host.images.iter().filter(|i| i.outcome == "updated");
    match images.count() {
        0 => {}
        n => parts.push(count(n, "image")),
    }
    if let Some(reboot) = host.reboots.iter().rev().find(|r| r.new_boot_id.is_some()) {
        parts.push(format!("rebooted ({})", brief(reboot.millis)));
    }
    parts
}

/// `2026-11-20`, for dates in tables; what is no time stays as it is, cleaned.
pub fn day(time: &str) -> String {
    match time.parse::<Timestamp>() {
        Ok(time) => time.strftime("%Y-%m-%d").to_string(),
        Err(_) => clean(time, 20),
    }
}

pub fn support(support: &Support) -> String {
    match support {
        Support::Supported { until } => format!("until {}", clean(until, 12)),
        Support::LongTerm { until } => format!("long term only, until {}", clean(until, 12)),
        Support::Ended { since } => format!("ended {}", clean(since, 12)),
        Support::Unknown => "unknown".into(),
    }
}

/// `seawall patch resume` and the like take it; a run that is no run is not put into a command.
pub fn run_for_commands(run: &str) -> Option<&str> {
    let fit = |c: char| c.is_ascii_alphanumeric() || c == '-';
    (!run.is_empty() && run.len() <= 40 && run.chars().all(fit)).then_some(run)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_and_lengths() {
        assert_eq!(age(59), "59 s");
        assert_eq!(age(86_400), "24 h");
        assert_eq!(age(9 * 86_400), "9 d");
        assert_eq!(within(604_800), "7 d");
        assert_eq!(within(3_600), "1 h");
        assert_eq!(brief(130_000), "2m 10s");
        assert_eq!(brief(7_500_000), "2h 05m");
        assert_eq!(age(u64::MAX), "213,503,982,334,601 d");
    }

    #[test]
    fn a_security_upgrade_that_is_withheld_is_not_called_current() {
        use crate::model::patch::Withheld;
        use crate::report::patch::fixture;
        let mut view = fixture::fold(&fixture::good());
        // What is frozen there does not count.
        assert_eq!(Verdict::of(&view).headline, "All are patched");
        let plan = view.hosts[0].plan.get_or_insert_default();
        plan.withheld.push(Withheld {
            name: "openssl".into(),
            from: "1".into(),
            to: "2".into(),
            why: WithheldWhy::Held,
            reason: "held on the host".into(),
            security: Some(true),
            closes: Closes::Unknown,
        });
        assert_eq!(
            Verdict::of(&view).headline,
            "Security upgrades are withheld"
        );
    }

    #[test]
    fn digests_are_short_and_hostile_ones_are_harmless() {
        let long = format!("sha256:{}", "ab".repeat(32));
        assert_eq!(digest(Some(&long)), "sha256:abababababab…");
        assert_eq!(digest(None), "unknown");
        assert!(!digest(Some("sha256:ééééééééééééé\u{1b}")).contains('\u{1b}'));
    }

    #[test]
    fn what_nobody_knows_is_said_to_be_unknown() {
        assert_eq!(closes(&Closes::Unknown, 3), "closes: unknown");
        assert_eq!(security(None), "security: unknown");
        assert_eq!(
            download_words(None, None),
            "how much is fetched is not known, what it takes on disk is not known"
        );
        assert!(no_way_back(&WayBack::Unknown).is_some());
        assert!(no_way_back(&WayBack::Archive).is_none());
    }
}

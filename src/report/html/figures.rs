//! Bars and the gauge, as the numbers that the template draws.

use serde::Serialize;

use crate::model::Status;
use crate::report::{Counts, FrameworkView, RunView, Score, State};

/// One part of a stacked bar; `x` and `width` are out of 100.
#[derive(Debug, Serialize)]
pub struct Part {
    pub key: &'static str,
    pub word: &'static str,
    pub count: usize,
    pub x: String,
    pub width: String,
}

/// The class by which the style colours a status.
pub fn status_key(status: Status) -> &'static str {
    match status {
        Status::NotApplicable => "na",
        other => other.word(),
    }
}

/// A status as a person reads it.
pub fn status_words(status: Status) -> &'static str {
    match status {
        Status::NotApplicable => "not applicable",
        other => other.word(),
    }
}

/// The class by which the style colours a requirement's state: in a bar, and as a tag.
pub fn state_keys(state: State) -> (&'static str, &'static str) {
    match state {
        State::NotMet => ("fail", "not-met"),
        State::Unknown => ("unknown", "unknown"),
        State::Waived => ("waived", "waived"),
        State::Manual => ("manual", "manual"),
        State::Met => ("pass", "met"),
        State::NotApplicable => ("na", "na"),
    }
}

/// The order of a bar: what is met on the left, what is open next to it.
const BAR_ORDER: [Status; 7] = [
    Status::Pass,
    Status::Changed,
    Status::Fail,
    Status::Unknown,
    Status::Waived,
    Status::Manual,
    Status::NotApplicable,
];

/// A bar of findings by status.
pub fn status_bar(counts: Counts) -> Vec<Part> {
    stack(
        BAR_ORDER
            .iter()
            .map(|s| (status_key(*s), status_words(*s), counts.get(*s))),
    )
}

/// A bar of a framework's requirements by state.
pub fn framework_bar(framework: &FrameworkView) -> Vec<Part> {
    let order = [
        State::Met,
        State::NotMet,
        State::Unknown,
        State::Waived,
        State::Manual,
        State::NotApplicable,
    ];
    stack(
        order
            .iter()
            .map(|s| (state_keys(*s).0, s.word(), framework.count(*s))),
    )
}

fn stack(parts: impl Iterator<Item = (&'static str, &'static str, usize)>) -> Vec<Part> {
    let parts: Vec<_> = parts.filter(|(.., count)| *count > 0).collect();
    let total: usize = parts.iter().map(|(.., count)| count).sum();
    let mut before = 0;
    let at = |count: usize| format!("{:.3}", count as f64 * 100.0 / total.max(1) as f64);
    parts
        .into_iter()
        .map(|(key, word, count)| {
            let part = Part {
                key,
                word,
                count,
                x: at(before),
                width: at(count),
            };
            before += count;
            part
        })
        .collect()
}

/// `12 fail, 3 pass`: only what there is.
pub fn count_words(counts: Counts) -> String {
    let parts: Vec<String> = Status::WORST_FIRST
        .iter()
        .filter(|s| counts.get(**s) > 0)
        .map(|s| format!("{} {}", counts.get(*s), status_words(*s)))
        .collect();
    parts.join(", ")
}

/// The gauge.
#[derive(Debug, Serialize)]
pub struct Gauge {
    pub percent: String,
    /// The name of a colour of the style.
    pub color: &'static str,
    /// How long the arc is, of a circle with the radius 62.
    pub arc: String,
    /// Where it was before, in degrees from the top.
    pub before_angle: Option<String>,
    pub before: Option<String>,
    /// Without the waivers, where that differs.
    pub without: Option<String>,
    pub not_seen: Option<String>,
}

/// The gauge of a run's score. `None`: nothing was judged.
pub fn gauge(view: &RunView) -> Option<Gauge> {
    const AROUND: f64 = 2.0 * std::f64::consts::PI * 62.0;
    let score = Score::of(view);
    let percent = score.percent()?;
    let differs = |other: &f64| (other - percent).abs() > 0.05;
    let before = Score::before(view).percent().filter(differs);
    let missing = view.not_seen().count();
    Some(Gauge {
        percent: format!("{percent:.1}"),
        color: match percent {
            p if p >= 90.0 => "pass",
            p if p >= 70.0 => "medium",
            _ => "fail",
        },
        arc: format!("{:.2}", AROUND * percent / 100.0),
        before_angle: before.map(|b| format!("{:.1}", b * 3.6)),
        before: before.map(|b| format!("{b:.1}")),
        without: score
            .percent_without_waivers()
            .filter(differs)
            .map(|w| format!("{w:.1}")),
        not_seen: (missing > 0).then(|| match missing {
            1 => "1 host that was not seen counts as unknown".to_owned(),
            n => format!("{n} hosts that were not seen count as unknown"),
        }),
    })
}

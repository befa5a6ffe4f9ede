//! The Gantt chart: one row for each step, its attempts below one another, and on top the whole.
//!
//! Each row is an SVG of its own whose widths are shares of 100, so that rows fit any page, and a
//! long chart breaks between rows in print.

use serde::Serialize;

use super::super::cloud::{Arrival, Data};
use super::super::figures::{Standing, is_critical, path_steps};
use super::super::words::{phase_word, short_span, span};
use super::super::{AttemptView, DrillView, StepView};
use super::page::name;
use super::scale::{Axis, Objective, at};
use crate::model::drill::{DrillPhase, Ended, Verdict};

/// Rows and, in each, attempts that are drawn at most.
const ROWS: usize = 400;
const ATTEMPTS: usize = 6;

#[derive(Debug, Serialize)]
pub struct Gantt {
    ticks: Vec<Tick>,
    /// What is assumed: how wide, what it says, whether the scale is broken.
    assumed: Option<Assumed>,
    /// Where the objective's line stands.
    objective: Option<Mark>,
    /// What is said of an objective that has no line here.
    beyond: Option<String>,
    whole: Vec<Bar>,
    total: String,
    pub rows: Vec<Row>,
    more: Option<String>,
    legend: Vec<&'static str>,
    has_gaps: bool,
    has_open: bool,
    has_failed: bool,
    has_own: bool,
    /// Kinds of milestones that are marked.
    marks: Vec<&'static str>,
    /// How high a bar is.
    lane: usize,
}

#[derive(Debug, Serialize)]
struct Tick {
    x: String,
    words: String,
    anchor: &'static str,
}

#[derive(Debug, Serialize)]
struct Mark {
    x: String,
    words: String,
    /// Its words stand on the left of it.
    left: bool,
}

#[derive(Debug, Serialize)]
struct Assumed {
    width: String,
    words: String,
    broken: bool,
}

#[derive(Debug, Serialize)]
pub struct Row {
    name: String,
    word: &'static str,
    key: &'static str,
    end: String,
    height: usize,
    lanes: Vec<Lane>,
    /// Its own objective.
    own: Option<Mark>,
}

#[derive(Debug, Serialize)]
struct Lane {
    y: usize,
    bars: Vec<Bar>,
    /// How far what is restored in a cloud had come.
    marks: Vec<Milestone>,
    /// What is said at its end.
    failed: Option<String>,
}

#[derive(Debug, Serialize)]
struct Milestone {
    x: String,
    /// `available`, `works`, `initialised`.
    key: &'static str,
    words: String,
}

#[derive(Debug, Serialize)]
struct Bar {
    x: String,
    width: String,
    /// The class of its colour.
    key: &'static str,
    critical: bool,
    open: bool,
    failed: bool,
    /// What a pointer is told.
    words: String,
    /// What stands in it, where there is room.
    label: Option<String>,
}

/// Of so few steps, each has a high bar.
const FEW: usize = 16;

/// How high one attempt's bar is, of `steps` of them.
fn lane_height(steps: usize) -> usize {
    if steps <= FEW { 18 } else { 13 }
}

pub fn gantt(view: &DrillView, verdict: &Verdict) -> Option<Gantt> {
    if view.steps.is_empty() {
        return None;
    }
    let last = view.last_ms();
    let assumed_ms = verdict.assumed_ms;
    let axis = Axis::new(last, assumed_ms, verdict.rto.target_ms);
    let target = short_span(verdict.rto.target_ms.unwrap_or(0));
    let lane = lane_height(view.steps.len());
    let rows: Vec<Row> = view
        .steps
        .iter()
        .take(ROWS)
        .map(|step| row(verdict, step, &axis, last, lane))
        .collect();
    let bars = || rows.iter().flat_map(|r| &r.lanes).flat_map(|l| &l.bars);
    let has = |test: fn(&Bar) -> bool| bars().any(test);
    let phases = super::super::words::PHASES.map(phase_word);
    Some(Gantt {
        ticks: axis
            .ticks()
            .into_iter()
            .map(|(x, words)| Tick {
                x: at(x),
                words,
                anchor: if x < 2.0 { "start" } else { "middle" },
            })
            .collect(),
        assumed: (assumed_ms > 0).then(|| Assumed {
            width: at(axis.zero),
            words: format!("{} assumed", short_span(assumed_ms)),
            broken: axis.broken,
        }),
        objective: match axis.objective {
            Objective::At(x) => Some(Mark {
                x: at(x),
                words: format!("objective {target}"),
                left: x > 60.0,
            }),
            _ => None,
        },
        beyond: match axis.objective {
            Objective::Beyond => Some(format!(
                "The objective of {target} lies beyond the right end."
            )),
            Objective::Within => Some(format!(
                "The objective of {target} lies within the assumed time: no restore could meet it."
            )),
            _ => None,
        },
        whole: whole(verdict, &axis),
        total: match (verdict.rto.measured_ms, view.stopped_ms) {
            (Some(ms), _) => span(ms),
            (None, Some(ms)) => format!("stopped at {}", span(ms)),
            (None, None) => "unknown".into(),
        },
        legend: phases
            .into_iter()
            .filter(|key| bars().any(|bar| bar.key == *key))
            .collect(),
        has_gaps: has(|bar| bar.key == "gap"),
        has_open: has(|bar| bar.open),
        has_failed: has(|bar| bar.failed),
        marks: ["available", "works", "initialised"]
            .into_iter()
            .filter(|key| {
                let mut marks = rows.iter().flat_map(|r| &r.lanes).flat_map(|l| &l.marks);
                marks.any(|mark| mark.key == *key)
            })
            .collect(),
        has_own: rows.iter().any(|row| row.own.is_some()),
        more: super::super::words::more(view.steps.len(), ROWS),
        rows,
        lane,
    })
}

/// The critical path, step by step, back to back.
fn whole(verdict: &Verdict, axis: &Axis) -> Vec<Bar> {
    path_steps(verdict)
        .iter()
        .take(ROWS)
        .map(|part| {
            let end = part.start_ms.saturating_add(part.millis);
            let bar = bar(axis, "path", part.start_ms, end, String::new());
            let wide = axis.place(end) - axis.place(part.start_ms);
            Bar {
                words: format!("{}: {}", name(&part.step), span(part.millis)),
                // A letter takes about one hundredth of the chart.
                label: (wide > 3.0 + part.step.chars().count() as f64 * 1.05)
                    .then(|| name(&part.step)),
                ..bar
            }
        })
        .collect()
}

fn row(verdict: &Verdict, step: &StepView, axis: &Axis, last: u64, height: usize) -> Row {
    let standing = Standing::of(verdict, step);
    let skip = step.attempts.len().saturating_sub(ATTEMPTS);
    let lanes: Vec<Lane> = step
        .attempts
        .iter()
        .skip(skip)
        .enumerate()
        .map(|(number, attempt)| Lane {
            y: 5 + number * (height + 4),
            ..lane(verdict, step, attempt, axis, last)
        })
        .collect();
    Row {
        name: name(&step.name),
        word: standing.word,
        key: standing.key(),
        end: standing.end_ms.map_or_else(|| "–".into(), span),
        height: 6 + lanes.len().max(1) * (height + 4),
        own: standing.rto.target_ms.and_then(|target| {
            let x = axis.place(target);
            (target <= axis.end_ms).then(|| Mark {
                x: at(x),
                words: format!("its own objective: {}", short_span(target)),
                left: false,
            })
        }),
        lanes,
    }
}

fn lane(verdict: &Verdict, step: &StepView, attempt: &AttemptView, axis: &Axis, last: u64) -> Lane {
    let mut bars = Vec::new();
    let mut before: Option<u64> = None;
    // More are in the journal than a chart can show only where nobody wrote it in good faith.
    for phase in attempt.phases.iter().take(60) {
        let Some(start) = phase.start_ms else {
            continue;
        };
        let end = phase.end_ms.unwrap_or(last).max(start);
        if let Some(before) = before.filter(|before| start > *before) {
            let wide = axis.place(start) - axis.place(before);
            if wide > 0.15 {
                let words = format!("gap: {}", span(start - before));
                bars.push(bar(axis, "gap", before, start, words));
            }
        }
        before = Some(end);
        let word = phase_word(phase.phase);
        let mut drawn = bar(axis, word, start, end, String::new());
        drawn.words = format!(
            "{word}: {}, from {} to {}",
            span(end - start),
            span(start),
            span(end)
        );
        drawn.critical = phase.phase != DrillPhase::Wait
            && is_critical(verdict, &step.name, phase.phase, start, end);
        drawn.open = phase.end_ms.is_none();
        drawn.failed = matches!(phase.ended, Some(Ended::Failed | Ended::Interrupted));
        bars.push(drawn);
    }
    let failed = attempt.ended.as_ref().filter(|e| e.ended != Ended::Well);
    let is_last = step.last().is_some_and(|l| l.attempt == attempt.attempt);
    Lane {
        y: 0,
        marks: if is_last {
            marks(step, axis)
        } else {
            Vec::new()
        },
        failed: failed.map(|end| at(axis.place(end.at_ms))),
        bars,
    }
}

/// The milestones that lie on the axis; the others are in the table.
fn marks(step: &StepView, axis: &Axis) -> Vec<Milestone> {
    let Some(arrival) = Arrival::of(step) else {
        return Vec::new();
    };
    let initialised = match arrival.data {
        Data::Whole(at) => Some(at),
        _ => None,
    };
    [
        ("available", arrival.available_ms),
        ("works", arrival.works_ms),
        ("initialised", initialised),
    ]
    .into_iter()
    .filter_map(|(key, at_ms)| {
        let at_ms = at_ms.filter(|at_ms| *at_ms <= axis.end_ms)?;
        Some(Milestone {
            x: at(axis.place(at_ms)),
            key,
            words: format!("{key} at {}", span(at_ms)),
        })
    })
    .collect()
}

fn bar(axis: &Axis, key: &'static str, start: u64, end: u64, words: String) -> Bar {
    let x = axis.place(start);
    // What took no time is still seen.
    let width = (axis.place(end) - x).max(0.18).min(100.0 - x);
    Bar {
        x: at(x),
        width: at(width),
        key,
        critical: false,
        open: false,
        failed: false,
        words,
        label: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::drill::fixture;

    fn chart(events: &[crate::journal::Event]) -> Gantt {
        let view = fixture::fold(events);
        gantt(&view, &view.verdict()).unwrap()
    }

    #[test]
    fn each_attempt_has_a_lane_and_the_critical_path_is_marked() {
        let chart = chart(&fixture::missed());
        assert_eq!(chart.rows[0].lanes.len(), 2);
        assert!(chart.rows[0].lanes[0].failed.is_some());
        let critical: Vec<&str> = chart
            .rows
            .iter()
            .filter(|r| r.lanes.iter().any(|l| l.bars.iter().any(|b| b.critical)))
            .map(|r| r.name.as_str())
            .collect();
        assert_eq!(critical, ["db", "app"]);
        let words: Vec<Option<&str>> = chart.whole.iter().map(|b| b.label.as_deref()).collect();
        assert_eq!(words, [Some("db"), None]);
    }

    #[test]
    fn what_did_not_end_is_drawn_open() {
        let chart = chart(&fixture::aborted());
        assert!(chart.has_open && chart.whole.is_empty());
        assert_eq!(chart.total, "unknown");
    }

    #[test]
    fn what_was_reached_is_marked_where_it_was() {
        let chart = chart(&fixture::cloud());
        assert_eq!(chart.marks, ["available", "works", "initialised"]);
        let marks = |row: usize| chart.rows[row].lanes[0].marks.iter().map(|m| m.key);
        // What is cold never was initialised.
        assert_eq!(marks(0).collect::<Vec<_>>(), ["available", "works"]);
        assert_eq!(marks(3).count(), 0);
        assert!(super::tests::chart(&fixture::met()).marks.is_empty());
    }

    #[test]
    fn bars_stay_within_the_chart() {
        let chart = chart(&fixture::hostile(600));
        assert_eq!(chart.rows.len(), ROWS);
        let bars = chart
            .rows
            .iter()
            .flat_map(|r| &r.lanes)
            .flat_map(|l| &l.bars);
        for bar in bars.chain(&chart.whole) {
            let x: f64 = bar.x.parse().unwrap();
            let width: f64 = bar.width.parse().unwrap();
            assert!(x + width <= 100.001 && x >= 0.0 && width >= 0.0, "{bar:?}");
        }
    }
}

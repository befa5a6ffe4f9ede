//! The trend: RTO and RPO over the runs of a drill, as lines with their target, and as a table.

use serde::Serialize;

use super::super::words::{bytes, day_and_time, short_span, span, verdict_word};
use super::super::{DrillView, TrendPoint};
use super::page::{name, prose};
use super::scale::{at, ceiling};
use crate::model::drill::VerdictWord;

/// Runs in a chart and in the table at most: the latest.
const CHARTED: usize = 60;
const LISTED: usize = 20;

/// How high a chart is, and the room above and below what is plotted.
const HEIGHT: f64 = 168.0;
const TOP: f64 = 14.0;
const BOTTOM: f64 = 152.0;

#[derive(Debug, Serialize)]
pub struct Trend {
    charts: Vec<Chart>,
    rows: Vec<TrendRow>,
    pub runs: usize,
    /// Runs that were kept and are gone.
    missing: Option<String>,
    more: Option<String>,
    /// Kinds of marks that are there.
    legend: Vec<&'static str>,
}

#[derive(Debug, Serialize)]
struct Chart {
    title: &'static str,
    now: String,
    height: f64,
    ticks: Vec<Tick>,
    dates: Vec<Date>,
    lines: Vec<Line>,
    marks: Vec<Mark>,
    target: Option<Target>,
    /// What is said of a target that is off the chart.
    beyond: Option<String>,
}

#[derive(Debug, Serialize)]
struct Tick {
    y: String,
    words: String,
}

#[derive(Debug, Serialize)]
struct Date {
    x: String,
    words: String,
    anchor: &'static str,
}

#[derive(Debug, Serialize)]
struct Line {
    x1: String,
    y1: String,
    x2: String,
    y2: String,
}

#[derive(Debug, Serialize)]
struct Mark {
    x: String,
    y: String,
    key: &'static str,
    now: bool,
    words: String,
}

#[derive(Debug, Serialize)]
struct Target {
    lines: Vec<Line>,
    y: String,
    words: String,
}

#[derive(Debug, Serialize)]
struct TrendRow {
    run: String,
    when: String,
    word: &'static str,
    key: &'static str,
    rto: String,
    rpo: String,
    restored: String,
    retries: usize,
    why: String,
    now: bool,
}

/// The runs up to this one. `None`: there is none but this.
pub fn trend(view: &DrillView, given: &[TrendPoint]) -> Option<Trend> {
    let missing: Vec<&TrendPoint> = given.iter().filter(|p| p.missing).collect();
    let mut points: Vec<TrendPoint> = given
        .iter()
        .filter(|p| {
            !p.missing && p.run != view.run && (&p.started, &p.run) <= (&view.started, &view.run)
        })
        .cloned()
        .collect();
    if points.is_empty() && missing.is_empty() {
        return None;
    }
    points.push(TrendPoint::of(view));
    points.sort_by(|a, b| (&a.started, &a.run).cmp(&(&b.started, &b.run)));
    let skip = points.len().saturating_sub(CHARTED);
    let charted = points.get(skip..).unwrap_or(&points);
    let rto = |p: &TrendPoint| (p.rto_ms, p.rto_target_ms);
    let rpo = |p: &TrendPoint| (p.rpo_ms, p.rpo_target_ms);
    let legend = ["met", "missed", "inconclusive", "aborted"];
    Some(Trend {
        charts: vec![
            chart("RTO", view, charted, rto),
            chart("RPO", view, charted, rpo),
        ],
        legend: legend
            .into_iter()
            .filter(|key| charted.iter().any(|p| self::key(p) == *key))
            .collect(),
        runs: points.len(),
        missing: gone(&missing),
        more: super::super::words::more(points.len(), LISTED),
        rows: points
            .iter()
            .rev()
            .take(LISTED)
            .map(|point| row(view, point))
            .collect(),
    })
}

/// What is said of runs that are gone.
fn gone(missing: &[&TrendPoint]) -> Option<String> {
    if missing.is_empty() {
        return None;
    }
    let names: Vec<String> = missing.iter().take(20).map(|p| name(&p.run)).collect();
    let (what, was) = match missing.len() {
        1 => ("1 run that was kept here is".to_owned(), "it was"),
        n => (format!("{n} runs that were kept here are"), "they were"),
    };
    Some(format!(
        "{what} missing: {}. Whether {was} of this drill, nobody knows.",
        names.join(", ")
    ))
}

fn key(point: &TrendPoint) -> &'static str {
    match point.word {
        _ if point.aborted => "aborted",
        word => verdict_word(word),
    }
}

fn row(view: &DrillView, point: &TrendPoint) -> TrendRow {
    let figure = |measured: Option<u64>| measured.map_or_else(|| "unknown".to_owned(), span);
    TrendRow {
        run: name(&point.run),
        when: day_and_time(&point.started),
        word: key(point),
        key: match point.word {
            VerdictWord::Met => "good",
            VerdictWord::Missed => "bad",
            VerdictWord::Inconclusive => "warn",
        },
        rto: figure(point.rto_ms),
        rpo: figure(point.rpo_ms),
        restored: bytes(point.bytes),
        retries: point.retries,
        why: point.reason.as_deref().map(prose).unwrap_or_default(),
        now: point.run == view.run,
    }
}

type Figures = fn(&TrendPoint) -> (Option<u64>, Option<u64>);

fn chart(title: &'static str, view: &DrillView, points: &[TrendPoint], of: Figures) -> Chart {
    let highest = points.iter().filter_map(|p| of(p).0).max().unwrap_or(0);
    let targets = points.iter().filter_map(|p| of(p).1);
    let target = targets.clone().max();
    // A target far above all figures would press them to the ground.
    let fits = |target: &u64| *target as f64 <= 3.0 * highest as f64 || highest == 0;
    let shown = target.filter(fits);
    let (ceiling, step) = ceiling(highest.max(shown.unwrap_or(0)));
    let y = |ms: u64| {
        let part = (ms as f64 / ceiling as f64).clamp(0.0, 1.0);
        format!("{:.1}", BOTTOM - part * (BOTTOM - TOP))
    };
    let x = |number: usize| match points.len() {
        0 | 1 => 50.0,
        all => 3.0 + 93.0 * number as f64 / (all - 1) as f64,
    };
    let figures: Vec<(usize, u64)> = points
        .iter()
        .enumerate()
        .filter_map(|(number, point)| Some((number, of(point).0?)))
        .collect();
    let line = |from: (f64, u64), to: (f64, u64)| Line {
        x1: at(from.0),
        y1: y(from.1),
        x2: at(to.0),
        y2: y(to.1),
    };
    Chart {
        title,
        now: figures
            .iter()
            .rev()
            .find(|(number, _)| points.get(*number).is_some_and(|p| p.run == view.run))
            .map_or_else(|| "unknown".into(), |(_, ms)| span(*ms)),
        height: HEIGHT,
        ticks: (0..=ceiling / step.max(1))
            .take(8)
            .map(|number| number.saturating_mul(step))
            .map(|ms| Tick {
                y: y(ms),
                words: short_span(ms),
            })
            .collect(),
        dates: dates(points, x),
        lines: figures
            .windows(2)
            .filter_map(|pair| match pair {
                [(a, from), (b, to)] => Some(line((x(*a), *from), (x(*b), *to))),
                _ => None,
            })
            .collect(),
        marks: points
            .iter()
            .enumerate()
            .map(|(number, point)| Mark {
                x: at(x(number)),
                // What has no figure stands on the ground.
                y: y(of(point).0.unwrap_or(0)),
                key: key(point),
                now: point.run == view.run,
                words: format!(
                    "{}: {}, {}",
                    day_and_time(&point.started),
                    key(point),
                    of(point).0.map_or_else(|| "no figure".into(), span)
                ),
            })
            .collect(),
        target: shown.map(|target| Target {
            lines: target_lines(points, of, x, y),
            y: y(target),
            words: format!("objective {}", short_span(target)),
        }),
        beyond: target.filter(|t| !fits(t)).map(|target| {
            format!(
                "The objective of {} lies far above this chart.",
                short_span(target)
            )
        }),
    }
}

/// The target as it was at each run: in steps, where it was changed.
fn target_lines(
    points: &[TrendPoint],
    of: Figures,
    x: impl Fn(usize) -> f64,
    y: impl Fn(u64) -> String,
) -> Vec<Line> {
    let last = points.len().saturating_sub(1);
    let middle = |a: usize, b: usize| (x(a) + x(b)) / 2.0;
    let lines = points.iter().enumerate().filter_map(|(number, point)| {
        let target = of(point).1?;
        Some(Line {
            x1: at(match number {
                0 => 0.0,
                n => middle(n - 1, n),
            }),
            x2: at(match number {
                n if n == last => 100.0,
                n => middle(n, n + 1),
            }),
            y1: y(target),
            y2: y(target),
        })
    });
    lines.collect()
}

/// As many days below the chart as have room.
fn dates(points: &[TrendPoint], x: impl Fn(usize) -> f64) -> Vec<Date> {
    let last = points.len().saturating_sub(1);
    let every = points.len().div_ceil(5).max(1);
    let fits =
        |number: usize| number == last || (number.is_multiple_of(every) && last - number >= every);
    let days = points.iter().enumerate().filter(|(n, _)| fits(*n));
    days.map(|(number, point)| Date {
        x: at(x(number)),
        words: match point.started.parse::<jiff::Timestamp>() {
            Ok(time) => time.strftime("%b %Y").to_string(),
            Err(_) => "?".into(),
        },
        anchor: match number {
            0 => "start",
            n if n == last => "end",
            _ => "middle",
        },
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::drill::fixture;

    #[test]
    fn every_run_has_a_mark_and_only_figures_have_a_line() {
        let view = fixture::fold(&fixture::met());
        let trend = trend(&view, &fixture::history()).unwrap();
        let marks: Vec<&str> = trend.charts[0].marks.iter().map(|m| m.key).collect();
        assert_eq!(
            marks,
            [
                "missed",
                "missed",
                "met",
                "aborted",
                "inconclusive",
                "met",
                "met"
            ]
        );
        assert_eq!(trend.charts[0].lines.len(), 5);
        assert_eq!(trend.charts[1].lines.len(), 4);
        assert!(trend.charts[0].marks.last().unwrap().now);
        assert_eq!(trend.rows[0].word, "met");
        assert_eq!(trend.rows.iter().filter(|r| r.now).count(), 1);
    }

    #[test]
    fn a_later_run_is_no_history_and_one_alone_is_none() {
        let view = fixture::fold(&fixture::met());
        let mut later = fixture::history();
        later.truncate(1);
        later[0].started = "2031-01-01T00:00:00Z".into();
        assert!(trend(&view, &later).is_none());
        assert!(trend(&view, &[]).is_none());
        assert!(trend(&view, &[TrendPoint::of(&view)]).is_none());
    }

    #[test]
    fn a_target_far_above_is_said_and_not_drawn() {
        let view = fixture::fold(&fixture::met());
        let mut points = fixture::history();
        for point in &mut points {
            point.rto_ms = Some(2 * 3_600_000);
            point.rto_target_ms = Some(3_600_000 * 1000);
        }
        let trend = trend(&view, &points).unwrap();
        assert!(trend.charts[0].target.is_none());
        assert!(
            trend.charts[0]
                .beyond
                .as_ref()
                .unwrap()
                .contains("41 d 16 h")
        );
    }

    #[test]
    fn a_thousand_runs_fit() {
        let view = fixture::fold(&fixture::met());
        let mut points = Vec::new();
        for number in 0..1000_u64 {
            let mut point = TrendPoint::of(&view);
            point.run = format!("{number:04}");
            point.started = format!("2026-11-19T07:35:14.{:03}Z", number % 1000);
            point.rto_ms = Some(u64::MAX - number);
            points.push(point);
        }
        let trend = trend(&view, &points).unwrap();
        assert_eq!(trend.charts[0].marks.len(), CHARTED);
        assert_eq!(trend.rows.len(), LISTED);
        assert!(trend.charts[0].dates.len() <= 7);
    }
}

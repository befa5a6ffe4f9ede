//! Axes: where on a chart a time stands, out of 100, and where the marks go.

use super::super::words::short_span;

/// A place on a chart, out of 100, as the template writes it.
pub fn at(place: f64) -> String {
    let place = if place.is_finite() { place } else { 0.0 };
    format!("{:.3}", place.clamp(0.0, 100.0))
}

const SECOND: u64 = 1000;
const MINUTE: u64 = 60 * SECOND;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// Steps that a person counts in.
const STEPS: [u64; 27] = [
    100,
    200,
    500,
    SECOND,
    2 * SECOND,
    5 * SECOND,
    10 * SECOND,
    15 * SECOND,
    30 * SECOND,
    MINUTE,
    2 * MINUTE,
    5 * MINUTE,
    10 * MINUTE,
    15 * MINUTE,
    30 * MINUTE,
    HOUR,
    2 * HOUR,
    3 * HOUR,
    6 * HOUR,
    12 * HOUR,
    DAY,
    2 * DAY,
    7 * DAY,
    14 * DAY,
    30 * DAY,
    90 * DAY,
    365 * DAY,
];

/// The distance of marks, so that at most `most` of them fit.
pub fn step(length_ms: u64, most: u64) -> u64 {
    let most = most.max(1);
    let fits = |step: &&u64| length_ms / **step <= most;
    STEPS
        .iter()
        .find(fits)
        .copied()
        .unwrap_or_else(|| length_ms / most + 1)
}

/// The time axis of a drill: first what is assumed, then the drill's clock from 0. What is assumed
/// is drawn to scale where that leaves room for what was measured, else as a block with a break.
#[derive(Clone, Debug)]
pub struct Axis {
    /// Where the clock's 0 stands, out of 100.
    pub zero: f64,
    /// What the clock's end of the axis shows.
    pub end_ms: u64,
    /// The assumed block is shorter than it ought to be.
    pub broken: bool,
    /// Where the objective stands.
    pub objective: Objective,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Objective {
    None,
    /// On the axis, out of 100.
    At(f64),
    /// Beyond the right end.
    Beyond,
    /// Within the assumed time: nothing could have met it.
    Within,
}

/// How wide a broken block is.
const BROKEN: f64 = 13.0;

impl Axis {
    pub fn new(measured_ms: u64, assumed_ms: u64, target_ms: Option<u64>) -> Self {
        let measured = measured_ms.max(1);
        let broken = assumed_ms as f64 > 0.8 * measured as f64;
        // The objective on the drill's clock.
        let target = target_ms.map(|t| t.checked_sub(assumed_ms));
        // It is drawn where that costs at most a third of the chart.
        let drawn = match target {
            Some(Some(t)) => {
                let whole = if broken { 0.0 } else { assumed_ms as f64 };
                t as f64 + whole <= 1.5 * (measured as f64 + whole)
            }
            _ => false,
        };
        let end = match target {
            Some(Some(t)) if drawn => measured.max(t.saturating_add(t / 50)),
            _ => measured,
        };
        let end = end.saturating_add(end / 100);
        let zero = match (assumed_ms, broken) {
            (0, _) => 0.0,
            (_, true) => BROKEN,
            (assumed, false) => 100.0 * assumed as f64 / (assumed as f64 + end as f64),
        };
        let mut axis = Axis {
            zero,
            end_ms: end,
            broken,
            objective: Objective::None,
        };
        axis.objective = match target {
            None => Objective::None,
            Some(None) => Objective::Within,
            Some(Some(t)) if drawn => Objective::At(axis.place(t)),
            Some(Some(_)) => Objective::Beyond,
        };
        axis
    }

    /// Where a time of the drill's clock stands, out of 100.
    pub fn place(&self, ms: u64) -> f64 {
        let part = ms as f64 / self.end_ms.max(1) as f64;
        (self.zero + part * (100.0 - self.zero)).clamp(0.0, 100.0)
    }

    /// The marks: where, and what they say. None stands so far right that its words are cut off.
    pub fn ticks(&self) -> Vec<(f64, String)> {
        let room = (100.0 - self.zero) / 12.0;
        let step = step(self.end_ms, room as u64);
        let count = self.end_ms / step.max(1);
        (0..=count.min(20))
            .map(|number| number.saturating_mul(step))
            .map(|ms| (self.place(ms), short_span(ms)))
            .filter(|(at, _)| *at <= 95.0)
            .collect()
    }
}

/// The upper end of a chart of values, and the distance of its marks: at most five fit.
pub fn ceiling(highest_ms: u64) -> (u64, u64) {
    let highest = highest_ms.max(10);
    let step = step(highest, 4);
    let ceiling = (highest / step).saturating_add(1).saturating_mul(step);
    (ceiling, step)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_assumed_is_drawn_to_scale_where_there_is_room() {
        let axis = Axis::new(60 * MINUTE, 40 * MINUTE, Some(4 * HOUR));
        assert!(!axis.broken);
        assert_eq!(axis.objective, Objective::Beyond);
        assert!((axis.zero - 39.8).abs() < 0.5, "{}", axis.zero);
        let axis = Axis::new(4 * SECOND, HOUR, Some(4 * HOUR));
        assert!(axis.broken);
        assert_eq!(axis.zero, BROKEN);
    }

    #[test]
    fn the_objective_is_on_the_axis_or_said_to_be_beyond_it() {
        let near = Axis::new(100 * MINUTE, 40 * MINUTE, Some(2 * HOUR));
        let Objective::At(place) = near.objective else {
            panic!("{near:?}");
        };
        assert!(place > near.zero && place < near.place(100 * MINUTE));
        let within = Axis::new(MINUTE, HOUR, Some(MINUTE));
        assert_eq!(within.objective, Objective::Within);
        assert_eq!(Axis::new(MINUTE, 0, None).objective, Objective::None);
        let met = Axis::new(100 * MINUTE, 0, Some(2 * HOUR));
        assert!(matches!(met.objective, Objective::At(at) if at < 100.0));
    }

    #[test]
    fn no_time_leaves_the_chart() {
        for measured in [0, 1, u64::MAX / 2, u64::MAX] {
            for assumed in [0, 1, u64::MAX] {
                for target in [None, Some(0), Some(u64::MAX)] {
                    let axis = Axis::new(measured, assumed, target);
                    for ms in [0, 1, measured, u64::MAX] {
                        let place = axis.place(ms);
                        assert!((0.0..=100.0).contains(&place), "{axis:?} {ms}");
                    }
                    assert!(axis.ticks().len() <= 21);
                }
            }
        }
        assert_eq!(at(f64::NAN), "0.000");
        assert_eq!(at(-3.0), "0.000");
    }

    #[test]
    fn marks_are_numbers_that_a_person_counts_in() {
        assert_eq!(step(27 * MINUTE, 7), 5 * MINUTE);
        assert_eq!(step(4 * SECOND, 7), SECOND);
        let words: Vec<String> = Axis::new(27 * MINUTE, 0, None)
            .ticks()
            .into_iter()
            .map(|(_, word)| word)
            .collect();
        assert_eq!(
            words,
            ["0 s", "5 min", "10 min", "15 min", "20 min", "25 min"]
        );
        assert_eq!(ceiling(70 * MINUTE), (75 * MINUTE, 15 * MINUTE));
        assert!(ceiling(u64::MAX).0 > 0);
    }
}

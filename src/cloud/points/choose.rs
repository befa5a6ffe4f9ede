//! Which recovery point a step takes. Pure.
//!
//! Times are the *data's* where they are known. A copy's time is shown, and decides only whether
//! something can be of before the disaster at all: data is never younger than what holds it.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::shell::clean;

/// A recovery point, as the vault lists it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Candidate {
    pub arn: String,
    /// As AWS Backup calls it.
    pub resource_type: String,
    pub resource: String,
    /// `COMPLETED`, `EXPIRED`…
    pub status: String,
    /// When it came to this vault: of a copy, the copy's.
    pub created: Option<Timestamp>,
    /// Came from another vault.
    pub copied: bool,
    /// Bytes; 0: not said.
    pub size: u64,
    /// `None`: not recorded.
    pub encrypted: Option<bool>,
    pub key: Option<String>,
    /// `None`: not asked yet, see [`Learned`].
    pub learned: Option<Learned>,
}

/// What is asked of a point by itself.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Learned {
    /// The data's time, and which clock says so. `None`: no clock that counts.
    pub data: Option<(Timestamp, &'static str)>,
    /// Why it is not known, or what else was seen.
    pub note: Option<String>,
}

impl Candidate {
    /// Accepted: `COMPLETED` and `AVAILABLE`. All else cannot be restored, or not wholly.
    pub fn is_usable(&self) -> bool {
        matches!(self.status.as_str(), "COMPLETED" | "AVAILABLE")
    }

    pub fn data_time(&self) -> Option<Timestamp> {
        Some(self.learned.as_ref()?.data?.0)
    }

    /// Whether it can have been there when the disaster struck.
    fn is_before(&self, disaster: Timestamp) -> bool {
        match self.data_time() {
            Some(data) => data <= disaster,
            None => self.created.is_some_and(|at| at <= disaster),
        }
    }

    /// What it is ordered by.
    fn time(&self) -> Option<Timestamp> {
        self.data_time().or(self.created)
    }
}

/// A point that was picked.
#[derive(Clone, Debug, PartialEq)]
pub struct Chosen {
    /// Its place in the list.
    pub index: usize,
    /// In words: `latest of 7 before the disaster`.
    pub how: String,
}

/// Picks as the drill says: `latest`, `random`, or an ARN. `random` gives a number below its
/// argument.
///
/// # Errors
/// Why there is none, naming those that cannot be used.
pub fn choose(
    points: &[Candidate],
    wish: &str,
    disaster: Timestamp,
    random: &dyn Fn(usize) -> usize,
) -> Result<Chosen, String> {
    if !matches!(wish, "latest" | "random") {
        return named(points, wish, disaster);
    }
    let mut from: Vec<(usize, &Candidate)> = (points.iter().enumerate())
        .filter(|(_, point)| point.is_usable() && point.is_before(disaster))
        .collect();
    // ARNs make it the same order every time.
    from.sort_by(|(_, a), (_, b)| (a.time(), &a.arn).cmp(&(b.time(), &b.arn)));
    let count = from.len();
    let at = match wish {
        "random" if count > 0 => random(count).min(count - 1),
        _ => count.saturating_sub(1),
    };
    let Some((index, _)) = from.get(at) else {
        return Err(none(points, disaster));
    };
    let how = match wish {
        "random" => format!("one of {count} before the disaster, at random"),
        _ => format!("latest of {count} before the disaster"),
    };
    Ok(Chosen { index: *index, how })
}

fn named(points: &[Candidate], arn: &str, disaster: Timestamp) -> Result<Chosen, String> {
    let found = points.iter().enumerate().find(|(_, p)| p.arn == arn);
    let Some((index, point)) = found else {
        return Err(format!(
            "the vault holds no recovery point {} of this resource; {}",
            clean(arn, 200),
            none(points, disaster)
        ));
    };
    if !point.is_usable() {
        return Err(format!(
            "{} is {}: only COMPLETED and AVAILABLE ones are restored",
            clean(arn, 200),
            clean(&point.status, 40)
        ));
    }
    match point.data_time() {
        Some(data) if data > disaster => Err(format!(
            "{} is of {data}, after the disaster: no recovery could have had it",
            clean(arn, 200)
        )),
        None if point.created.is_some_and(|at| at > disaster) => Err(format!(
            "{} came to the vault after the disaster, and of which time its data is is not known",
            clean(arn, 200)
        )),
        _ => Ok(Chosen {
            index,
            how: "the one that the drill names".into(),
        }),
    }
}

/// Why nothing can be taken.
fn none(points: &[Candidate], disaster: Timestamp) -> String {
    if points.is_empty() {
        return "the vault holds no recovery point of it: look whether its copies arrive".into();
    }
    let mut by_status: BTreeMap<&str, usize> = BTreeMap::new();
    let mut late = 0;
    let mut usable = 0;
    for point in points {
        if !point.is_usable() {
            *by_status.entry(&point.status).or_default() += 1;
            continue;
        }
        usable += 1;
        late += usize::from(!point.is_before(disaster));
    }
    let mut parts: Vec<String> = (by_status.iter())
        .map(|(status, count)| format!("{count} {}", clean(status, 40)))
        .collect();
    if late > 0 {
        parts.push(format!("{late} of after the disaster"));
    }
    if usable > late {
        parts.push(format!("{} usable", usable - late));
    }
    format!(
        "of {} recovery points in the vault: {}",
        points.len(),
        parts.join(", ")
    )
}

/// Whether a later chunk of the list, the newest of which came to the vault at `next`, can hold
/// younger data than what was chosen. Data is never younger than its point.
pub fn is_settled(chosen: &Candidate, next: Option<Timestamp>) -> bool {
    match (chosen.time(), next) {
        (Some(data), Some(next)) => data >= next,
        (None, _) => false,
        (_, None) => true,
    }
}

/// Whether the resource lived elsewhere: its point is a copy then, whatever else is said.
pub fn is_from_elsewhere(resource: &str, region: &str) -> bool {
    let at = resource.split(':').nth(3).unwrap_or_default();
    !at.is_empty() && at != region
}

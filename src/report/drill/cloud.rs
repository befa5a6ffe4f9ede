//! What a drill in a cloud has to tell besides: how far each thing had come and when, what was taken
//! in the place of what was wanted, and how often the cloud was asked.

use super::words::{number, span};
use super::{AttemptView, DrillView, ReachedView, StepView};
use crate::model::drill::Milestone;

/// The three times of a restored thing: that it is there, that it works, and that all of its data
/// has come are not the same.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Arrival {
    /// The service says that it is there.
    pub available_ms: Option<u64>,
    /// Each of its proofs had passed.
    pub works_ms: Option<u64>,
    pub data: Data,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Data {
    /// Nobody says it; of most services nobody can.
    #[default]
    Unsaid,
    /// All of it was there then.
    Whole(u64),
    /// Not all of it had come when it was last looked at: how far.
    Cold(String),
}

impl Arrival {
    /// Of the attempt that counts. `None`: it is no thing of a cloud.
    pub fn of(step: &StepView) -> Option<Arrival> {
        let attempt = step.last()?;
        if attempt.reached.is_empty() {
            return None;
        }
        let ended = attempt.ended.as_ref();
        let latest = |milestone| last(attempt, milestone).map(|reached| reached.at_ms);
        Some(Arrival {
            available_ms: latest(Milestone::Available),
            works_ms: ended.filter(|_| step.recovered()).map(|end| end.at_ms),
            // One volume that is cold is enough.
            data: match (
                last(attempt, Milestone::Cold),
                last(attempt, Milestone::Initialised),
            ) {
                (Some(cold), _) => Data::Cold(cold.detail.clone()),
                (None, Some(whole)) => Data::Whole(whole.at_ms),
                (None, None) => Data::Unsaid,
            },
        })
    }

    /// `available 12 min · works 14 min · all data there 31 min`, or `… · cold: 43 % fetched`.
    pub fn words(&self) -> String {
        let mut parts = Vec::new();
        parts.extend(
            self.available_ms
                .map(|at| format!("available {}", span(at))),
        );
        parts.extend(self.works_ms.map(|at| format!("works {}", span(at))));
        match &self.data {
            Data::Whole(at) => parts.push(format!("all data there {}", span(*at))),
            Data::Cold(far) => parts.push(cold(far)),
            Data::Unsaid => {}
        }
        parts.join(" · ")
    }
}

/// `cold: 43 % fetched`.
pub fn cold(far: &str) -> String {
    match far.is_empty() {
        true => "cold".to_owned(),
        false => format!("cold: {far}"),
    }
}

fn last(attempt: &AttemptView, milestone: Milestone) -> Option<&ReachedView> {
    let all = attempt.reached.iter().filter(|r| r.milestone == milestone);
    all.max_by_key(|r| r.at_ms)
}

/// How often the cloud was asked for a step, retries among it. `None`: nobody counted.
pub fn requests_of(view: &DrillView, step: &str) -> Option<u64> {
    view.requests.get(&format!("step {step}")).copied()
}

/// How often the cloud was asked in all, and by whom most: `1,204 requests: 310 by step orders, …`.
pub fn requests(view: &DrillView) -> Option<String> {
    if view.requests.is_empty() {
        return None;
    }
    let all = view.requests.values().copied().fold(0, u64::saturating_add);
    let mut by: Vec<(&String, u64)> = view.requests.iter().map(|(who, n)| (who, *n)).collect();
    by.sort_by_key(|(_, n)| std::cmp::Reverse(*n));
    let most: Vec<String> = (by.iter().take(6))
        .map(|(who, n)| format!("{} by {who}", number(*n)))
        .collect();
    let more = if by.len() > 6 { ", …" } else { "" };
    Some(format!(
        "{} requests: {}{more}",
        number(all),
        most.join(", ")
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::drill::fixture;

    fn arrival(name: &str) -> Option<Arrival> {
        let view = fixture::fold(&fixture::cloud());
        Arrival::of(view.steps.iter().find(|s| s.name == name).unwrap())
    }

    #[test]
    fn available_works_and_whole_are_three_times() {
        let db = arrival("db").unwrap();
        assert!(db.available_ms < db.works_ms, "{db:?}");
        assert!(matches!(db.data, Data::Whole(at) if Some(at) > db.works_ms));
        let documents = arrival("documents").unwrap();
        assert_eq!(documents.data, Data::Cold("43 % fetched".into()));
        assert!(documents.words().ends_with("· cold: 43 % fetched"));
        assert_eq!(arrival("app"), None);
    }

    /// What did not pass its proofs does not work, however available it is.
    #[test]
    fn what_failed_never_worked() {
        let mut view = fixture::fold(&fixture::cloud());
        let db = view.steps.iter_mut().find(|s| s.name == "db").unwrap();
        let proofs = &mut db.attempts.last_mut().unwrap().proofs;
        proofs[0].outcome = crate::model::drill::ProofOutcome::Unknown;
        let arrival = Arrival::of(db).unwrap();
        assert!(arrival.available_ms.is_some() && arrival.works_ms.is_none());
    }

    #[test]
    fn requests_are_told_with_who_asked_most() {
        let view = fixture::fold(&fixture::cloud());
        assert_eq!(requests_of(&view, "db"), Some(61));
        assert_eq!(requests_of(&view, "app"), None);
        let said = requests(&view).unwrap();
        assert!(said.starts_with("144 requests: 61 by step db, "), "{said}");
        assert_eq!(requests(&fixture::fold(&fixture::met())), None);
    }
}

//! What needs what: steps that exist, no circles, and all that a step needs.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use super::DrillCheck;

impl<'a> DrillCheck<'a> {
    /// Unknown needs, circles, and the closure of what is needed.
    pub(super) fn all_needs(&mut self) {
        let steps = self.steps.clone();
        let there = steps.iter().map(|step| step.name);
        let mut direct: BTreeMap<&'a str, Vec<(&'a str, &'a Range<usize>)>> = BTreeMap::new();
        for step in &steps {
            for (need, span) in step.node.texts_at("needs") {
                if self.check.known("step", need, span, there.clone()) {
                    direct.entry(step.name).or_default().push((need, span));
                }
            }
        }
        let mut told: BTreeSet<&str> = BTreeSet::new();
        for step in &steps {
            if let Some(round) = round_from(step.name, &direct)
                && round.iter().all(|(name, _)| !told.contains(name))
            {
                told.extend(round.iter().map(|(name, _)| *name));
                self.circle(&round);
            }
        }
        for step in &steps {
            let mut all = BTreeSet::new();
            let mut next = vec![step.name];
            while let Some(name) = next.pop() {
                for (need, _) in direct.get(name).into_iter().flatten() {
                    if all.insert(*need) {
                        next.push(need);
                    }
                }
            }
            self.needs.insert(step.name, all);
        }
    }

    fn circle(&mut self, round: &[(&str, &Range<usize>)]) {
        let Some(((_, last), before)) = round.split_last() else {
            return;
        };
        let names: Vec<&str> = round.iter().map(|(name, _)| *name).collect();
        let message = match names.as_slice() {
            [one] => format!("the step `{one}` needs itself"),
            _ => format!("these steps need one another: {}", names.join(", ")),
        };
        let places: Vec<_> = before
            .iter()
            .map(|(name, span)| {
                (
                    self.check.document.place(span),
                    format!("{name} needs this"),
                )
            })
            .collect();
        let error = self.check.error("needs-cycle", last, message);
        error.label = "this closes the circle".into();
        error.related.extend(places);
        error.help = Some("take one of these needs away".into());
    }
}

/// The way from a step back to itself, if there is one: each step on it and the place of the need
/// that leads on.
fn round_from<'a>(
    start: &'a str,
    direct: &BTreeMap<&'a str, Vec<(&'a str, &'a Range<usize>)>>,
) -> Option<Vec<(&'a str, &'a Range<usize>)>> {
    let mut seen = BTreeSet::new();
    let mut way: Vec<(&'a str, &'a Range<usize>, usize)> = Vec::new();
    let (mut at, mut next) = (start, 0);
    loop {
        match direct.get(at).and_then(|needs| needs.get(next)) {
            Some((need, span)) => {
                if *need == start {
                    let mut round: Vec<_> = way.iter().map(|(n, s, _)| (*n, *s)).collect();
                    round.push((at, span));
                    return Some(round);
                }
                if seen.insert(*need) {
                    way.push((at, span, next));
                    at = need;
                    next = 0;
                } else {
                    next += 1;
                }
            }
            None => {
                let (back, _, done) = way.pop()?;
                at = back;
                next = done + 1;
            }
        }
    }
}

//! The critical path, and what would be if one step were faster.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};

use super::{Part, Timeline};
use crate::model::drill::{Ended, PathPart};

/// One attempt at a step, as far as the schedule goes.
struct Node<'t> {
    step: usize,
    start: u64,
    end: u64,
    attempt: &'t super::Attempt,
}

impl Timeline {
    /// From the clock's start to its stop, back to back: the last step's work, before it that of
    /// the step that it waited for (one that it needed, or one that held its slot), and so on.
    /// Between them are gaps, which are our own overhead.
    pub fn critical_path(&self) -> Vec<PathPart> {
        let nodes = self.nodes();
        let Some(mut now) = (0..nodes.len()).max_by_key(|i| (nodes[*i].end, Reverse(*i))) else {
            return Vec::new();
        };
        let total = self.stopped_ms.unwrap_or(nodes[now].end);
        let mut until = total;
        let mut seen = BTreeSet::new();
        // From the end to the beginning; turned round at last.
        let mut out: Vec<PathPart> = Vec::new();
        let part = |step: usize, part: &Part| PathPart {
            step: self.steps[step].step.clone(),
            phase: part.phase,
            start_ms: part.start_ms,
            end_ms: part.end_ms,
        };
        loop {
            seen.insert(now);
            let node = &nodes[now];
            let mut parts = Vec::new();
            node.attempt
                .work_between(node.start, node.end.min(until), &mut parts);
            super::push(&mut parts, None, node.end.min(until), until);
            out.extend(parts.iter().rev().map(|p| part(node.step, p)));
            until = node.start.min(until);
            match self.waited_for(&nodes, now, &seen) {
                Some(before) => {
                    let gap = Part {
                        phase: None,
                        start_ms: nodes[before].end,
                        end_ms: until,
                    };
                    if gap.length() > 0 {
                        out.push(part(node.step, &gap));
                    }
                    until = until.min(nodes[before].end);
                    now = before;
                }
                None => {
                    let gap = Part {
                        phase: None,
                        start_ms: 0,
                        end_ms: until,
                    };
                    if gap.length() > 0 {
                        out.push(part(node.step, &gap));
                    }
                    break;
                }
            }
        }
        out.reverse();
        out
    }

    fn nodes(&self) -> Vec<Node<'_>> {
        let mut nodes = Vec::new();
        for (step, time) in self.steps.iter().enumerate() {
            for attempt in &time.attempts {
                if let (Some(start), Some(end)) = (attempt.start_ms(), attempt.end_ms)
                    && attempt.ended != Some(Ended::Skipped)
                    && start <= end
                {
                    nodes.push(Node {
                        step,
                        start,
                        end,
                        attempt,
                    });
                }
            }
        }
        nodes
    }

    /// What the node waited for last: a step that it needs, an attempt before it, or one that ran
    /// in the slot that it got.
    fn waited_for(&self, nodes: &[Node], now: usize, seen: &BTreeSet<usize>) -> Option<usize> {
        let node = &nodes[now];
        let time = &self.steps[node.step];
        let before = |i: &usize| !seen.contains(i) && *i != now && nodes[*i].end <= node.start;
        let latest = |i: &usize| (nodes[*i].end, nodes[*i].start, Reverse(*i));
        let needed = (0..nodes.len())
            .filter(before)
            .filter(|i| {
                let other = &self.steps[nodes[*i].step];
                nodes[*i].step == node.step || time.needs.contains(&other.step)
            })
            .max_by_key(latest);
        let ready = needed.map_or(0, |i| nodes[i].end);
        let mut freed: Vec<usize> = (0..nodes.len())
            .filter(before)
            .filter(|i| nodes[*i].end > ready)
            .collect();
        freed.sort_by_key(|i| Reverse(latest(i)));
        let slot = freed
            .into_iter()
            .find(|i| self.was_full(nodes, nodes[*i].end));
        slot.or(needed)
    }

    /// Whether, right before this time, as many ran as may.
    fn was_full(&self, nodes: &[Node], at: u64) -> bool {
        let running = nodes.iter().filter(|n| n.start < at && at <= n.end).count();
        running >= usize::try_from(self.parallel.max(1)).unwrap_or(usize::MAX)
    }

    /// How long the whole would have taken, in milliseconds, had this step's own work taken
    /// `numerator`/`denominator` of its time; the steps begin in the same order, in as many slots.
    /// What the measured whole has beyond the schedule (gaps) stays. `None` where the drill was
    /// not one whole: resumed, or with a step that did not recover.
    pub fn what_if(&self, step: &str, numerator: u64, denominator: u64) -> Option<u64> {
        let total = self.stopped_ms?;
        let as_it_was = self.schedule(None)?;
        let index = self.steps.iter().position(|s| s.step == step)?;
        let changed = self.schedule(Some((index, numerator, denominator.max(1))))?;
        Some(changed + total.saturating_sub(as_it_was))
    }

    /// List scheduling of the measured work. In milliseconds, from the start to the last end.
    pub(super) fn schedule(&self, change: Option<(usize, u64, u64)>) -> Option<u64> {
        let mut own = Vec::with_capacity(self.steps.len());
        let mut open = Vec::with_capacity(self.steps.len());
        let index: BTreeMap<&str, usize> = (self.steps.iter().enumerate())
            .map(|(i, s)| (s.step.as_str(), i))
            .collect();
        let mut wanted_by = vec![Vec::new(); self.steps.len()];
        for (i, time) in self.steps.iter().enumerate() {
            let [attempt] = time.attempts.as_slice() else {
                return None;
            };
            if attempt.ended != Some(Ended::Well) {
                return None;
            }
            let work = attempt.end_ms?.saturating_sub(attempt.start_ms()?);
            own.push(match change {
                Some((which, n, d)) if which == i => work.saturating_mul(n) / d,
                _ => work,
            });
            let needs: BTreeSet<usize> = time
                .needs
                .iter()
                .filter_map(|n| index.get(n.as_str()).copied())
                .collect();
            for need in &needs {
                wanted_by[*need].push(i);
            }
            open.push(needs.len());
        }
        let slots = usize::try_from(self.parallel.max(1)).unwrap_or(usize::MAX);
        let mut ready: BTreeSet<usize> = (0..own.len()).filter(|i| open[*i] == 0).collect();
        let mut running = BinaryHeap::new();
        let mut now = 0;
        loop {
            while running.len() < slots
                && let Some(next) = ready.pop_first()
            {
                running.push(Reverse((now + own[next], next)));
            }
            let Some(Reverse((end, done))) = running.pop() else {
                return Some(now);
            };
            now = end;
            for wants in &wanted_by[done] {
                open[*wants] -= 1;
                if open[*wants] == 0 {
                    ready.insert(*wants);
                }
            }
        }
    }
}

impl super::Attempt {
    /// Phases and gaps without the waiting.
    fn work_between(&self, from: u64, to: u64, out: &mut Vec<Part>) {
        let mut at = from;
        for phase in &self.phases {
            if phase.phase == crate::model::drill::DrillPhase::Wait {
                continue;
            }
            let start = phase.start_ms.clamp(at, to.max(at));
            let end = phase.end_ms.unwrap_or(to).clamp(start, to.max(start));
            super::push(out, None, at, start);
            super::push(out, Some(phase.phase), start, end);
            at = end;
        }
        super::push(out, None, at, to);
    }
}

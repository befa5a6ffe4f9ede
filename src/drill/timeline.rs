//! When what happened, as the events of a drill tell it: phases and the gaps between them, for each
//! step and attempt. Pure.
//!
//! Phases and gaps add up to a step's total, and steps to the whole. Events that cannot have
//! happened so (an end before its start, time that runs backwards, a clock that was stopped early)
//! are *games*: what they measure is believed no more.

mod path;
#[cfg(test)]
pub(crate) mod tests;

use std::collections::BTreeMap;

use crate::journal::{DrillEvent, Event, Record, StepNote};
use crate::model::drill::{DrillPhase, Ended};
use crate::shell::clean;

/// What is restored faster than this, in bytes in a millisecond (5 GB/s), was not restored.
const FASTEST: u64 = 5_000_000;
/// Below this, in bytes, a speed says nothing.
const TELLING: u64 = 64 << 20;

/// When what happened.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Timeline {
    /// In the order of the plan.
    pub steps: Vec<StepTime>,
    pub parallel: u32,
    /// The boot in which the clock was started. `None`: it never was.
    pub boot_id: Option<String>,
    /// RFC 3339: what RPO is reckoned from.
    pub disaster: Option<String>,
    /// `None`: the clock was never stopped.
    pub stopped_ms: Option<u64>,
    /// How often another process went on.
    pub resumed: u32,
    /// The machine was started anew in between: the clock is lost.
    pub clock_lost: bool,
    /// What cannot have happened so, each a sentence.
    pub games: Vec<String>,
}

/// The time of one step.
#[derive(Clone, Debug, PartialEq)]
pub struct StepTime {
    pub step: String,
    pub needs: Vec<String>,
    /// In order.
    pub attempts: Vec<Attempt>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Attempt {
    /// From 1.
    pub number: u32,
    /// In order.
    pub phases: Vec<PhaseTime>,
    pub ended: Option<Ended>,
    /// When it ended.
    pub end_ms: Option<u64>,
    pub reason: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PhaseTime {
    pub phase: DrillPhase,
    pub start_ms: u64,
    /// `None`: it did not end.
    pub end_ms: Option<u64>,
    pub ended: Option<Ended>,
    pub bytes: u64,
}

/// A phase, or what lies between two (`None`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    pub phase: Option<DrillPhase>,
    pub start_ms: u64,
    pub end_ms: u64,
}

impl Part {
    pub fn length(&self) -> u64 {
        self.end_ms.saturating_sub(self.start_ms)
    }
}

impl Attempt {
    /// When its own work began: its turn had come.
    pub fn start_ms(&self) -> Option<u64> {
        let waited = self.phases.iter().find(|p| p.phase == DrillPhase::Wait);
        match waited {
            Some(wait) => wait.end_ms,
            None => self.phases.first().map(|p| p.start_ms),
        }
    }

    /// Phases and gaps between two times, back to back.
    fn parts_between(&self, from: u64, to: u64, out: &mut Vec<Part>) {
        let mut at = from;
        for phase in &self.phases {
            let start = phase.start_ms.clamp(at, to.max(at));
            let end = phase.end_ms.unwrap_or(to).clamp(start, to.max(start));
            push(out, None, at, start);
            push(out, Some(phase.phase), start, end);
            at = end;
        }
        push(out, None, at, to);
    }
}

fn push(out: &mut Vec<Part>, phase: Option<DrillPhase>, start_ms: u64, end_ms: u64) {
    if end_ms > start_ms {
        out.push(Part {
            phase,
            start_ms,
            end_ms,
        });
    }
}

impl StepTime {
    pub fn last(&self) -> Option<&Attempt> {
        self.attempts.last()
    }

    /// How its last attempt ended.
    pub fn ended(&self) -> Option<Ended> {
        self.last().and_then(|a| a.ended)
    }

    /// When its last attempt ended: its own RTO, if it ended well.
    pub fn end_ms(&self) -> Option<u64> {
        self.last().and_then(|a| a.end_ms)
    }

    /// From the clock's start to the step's end, back to back. Their lengths add up to
    /// [`StepTime::end_ms`].
    pub fn parts(&self) -> Vec<Part> {
        let mut out = Vec::new();
        let mut at = 0;
        for attempt in &self.attempts {
            let last = attempt.phases.last();
            let end = attempt
                .end_ms
                .or_else(|| last.map(|p| p.end_ms.unwrap_or(p.start_ms)))
                .unwrap_or(at);
            attempt.parts_between(at, end, &mut out);
            at = at.max(end);
        }
        out
    }
}

impl Timeline {
    /// Reads it out of a run's records.
    pub fn of<'r>(records: impl IntoIterator<Item = &'r Record>) -> Timeline {
        let mut fold = Fold::default();
        for record in records {
            fold.number(record.seq);
            if let Event::Drill(event) = &record.event {
                fold.take(event);
            }
        }
        fold.end()
    }

    pub fn step(&self, name: &str) -> Option<&StepTime> {
        self.steps.iter().find(|s| s.step == name)
    }

    /// Phases that have begun and not ended: step, attempt, phase.
    pub fn open_phases(&self) -> Vec<(String, u32, DrillPhase)> {
        let mut out = Vec::new();
        for step in &self.steps {
            for attempt in &step.attempts {
                for phase in attempt.phases.iter().filter(|p| p.end_ms.is_none()) {
                    out.push((step.step.clone(), attempt.number, phase.phase));
                }
            }
        }
        out
    }
}

#[derive(Default)]
struct Fold {
    line: Timeline,
    index: BTreeMap<String, usize>,
    last_at: u64,
    last_seq: Option<u64>,
    declared: bool,
}

impl Fold {
    fn game(&mut self, text: String) {
        // A false journal could bring any number of them; a reader needs a few.
        if self.line.games.len() < 20 {
            self.line.games.push(text);
        }
    }

    fn number(&mut self, seq: u64) {
        let expected = self.last_seq.map_or(1, |last| last.saturating_add(1));
        if seq != expected {
            self.game(format!(
                "line {expected} of the journal is missing: line {seq} stands in its place"
            ));
        }
        self.last_seq = Some(seq);
    }

    /// Time that was written later is not earlier.
    fn at(&mut self, at_ms: u64, what: &str) {
        if at_ms < self.last_at {
            let last = self.last_at;
            self.game(format!(
                "time runs backwards: {what} is said to be at {at_ms} ms, after something at {last} ms"
            ));
        }
        self.last_at = self.last_at.max(at_ms);
    }

    /// Work on a step belongs between the clock's start and its stop.
    fn in_time(&mut self, step: &str, what: &str) {
        let step = clean(step, 80);
        if self.line.boot_id.is_none() {
            self.game(format!(
                "the clock was started late: {what} of {step} stands before its start"
            ));
        } else if self.line.stopped_ms.is_some() {
            self.game(format!(
                "the clock was stopped early: {what} of {step} stands after its stop"
            ));
        }
    }

    fn step(&mut self, name: &str) -> &mut StepTime {
        let index = match self.index.get(name) {
            Some(index) => *index,
            None => {
                if self.declared {
                    self.game(format!(
                        "{} is no step of the drill as it was declared",
                        clean(name, 80)
                    ));
                }
                self.add(name, &[])
            }
        };
        &mut self.line.steps[index]
    }

    fn add(&mut self, name: &str, needs: &[String]) -> usize {
        let index = self.line.steps.len();
        self.index.insert(name.to_owned(), index);
        self.line.steps.push(StepTime {
            step: name.to_owned(),
            needs: needs.to_vec(),
            attempts: Vec::new(),
        });
        index
    }

    /// The attempt of this number, which is the step's last one or the next.
    fn attempt(&mut self, step: &str, number: u32) -> &mut Attempt {
        let shown = clean(step, 80);
        let found = self.step(step);
        let at = found.attempts.iter().position(|a| a.number == number);
        let last = found.attempts.last().map(|a| (a.number, a.end_ms));
        let at = match at {
            Some(at) => at,
            None => {
                found.attempts.push(Attempt {
                    number,
                    phases: Vec::new(),
                    ended: None,
                    end_ms: None,
                    reason: None,
                });
                found.attempts.len() - 1
            }
        };
        match last {
            Some((last, _)) if number < last => {
                self.game(format!(
                    "attempt {number} of {shown} goes on after attempt {last}"
                ));
            }
            Some((last, None)) if number > last => self.game(format!(
                "attempt {number} of {shown} begins before attempt {last} has ended"
            )),
            _ => {}
        }
        &mut self.step(step).attempts[at]
    }

    fn take(&mut self, event: &DrillEvent) {
        match event {
            DrillEvent::Declared {
                parallel, steps, ..
            } => self.declare(*parallel, steps),
            DrillEvent::ClockStarted {
                boot_id, disaster, ..
            } => {
                if self.line.boot_id.is_some() {
                    self.game("the clock was started twice".to_owned());
                }
                self.line.boot_id = Some(boot_id.clone());
                self.line.disaster = Some(disaster.clone());
            }
            DrillEvent::Resumed {
                at_ms, same_boot, ..
            } => {
                self.at(*at_ms, "a resume");
                self.line.resumed += 1;
                self.line.clock_lost |= !same_boot && self.line.boot_id.is_some();
            }
            DrillEvent::ClockStopped { at_ms } => self.stop(*at_ms),
            DrillEvent::PhaseStarted {
                step,
                attempt,
                phase,
                at_ms,
            } => self.phase_started(step, *attempt, *phase, *at_ms),
            DrillEvent::PhaseEnded {
                step,
                attempt,
                phase,
                at_ms,
                ended,
                bytes,
                ..
            } => self.phase_ended(step, *attempt, *phase, *at_ms, (*ended, *bytes)),
            DrillEvent::Picked { step, at_ms, .. } => {
                self.at(*at_ms, "a recovery point's choice");
                self.in_time(step, "a recovery point's choice");
            }
            DrillEvent::Proved {
                step,
                attempt,
                at_ms,
                ..
            } => self.proved(step, *attempt, *at_ms),
            DrillEvent::StepEnded {
                step,
                attempt,
                ended,
                reason,
                at_ms,
            } => self.step_ended(step, *attempt, *ended, reason.clone(), *at_ms),
            DrillEvent::Intended { at_ms, .. }
            | DrillEvent::Made { at_ms, .. }
            | DrillEvent::Gone { at_ms, .. }
            | DrillEvent::NotGone { at_ms, .. }
            | DrillEvent::Doubted { at_ms, .. }
            | DrillEvent::Refused { at_ms, .. } => self.at(*at_ms, "an entry of the ledger"),
            _ => {}
        }
    }

    fn declare(&mut self, parallel: u32, steps: &[StepNote]) {
        if self.declared {
            self.game("the drill was declared twice".to_owned());
            return;
        }
        self.declared = true;
        self.line.parallel = parallel;
        for step in steps {
            if self.index.contains_key(&step.step) {
                self.game(format!("{} was declared twice", clean(&step.step, 80)));
            } else {
                self.add(&step.step, &step.needs);
            }
        }
    }

    fn stop(&mut self, at_ms: u64) {
        self.at(at_ms, "the clock's stop");
        if self.line.stopped_ms.is_some() {
            self.game("the clock was stopped twice".to_owned());
        }
        if self.line.boot_id.is_none() {
            self.game("the clock was stopped and never started".to_owned());
        }
        for (step, _, _) in self.line.open_phases() {
            let step = clean(&step, 80);
            self.game(format!(
                "the clock was stopped while {step} was still at work"
            ));
        }
        self.line.stopped_ms = Some(at_ms);
    }

    fn phase_started(&mut self, step: &str, attempt: u32, phase: DrillPhase, at_ms: u64) {
        self.at(at_ms, "a phase's start");
        self.in_time(step, "a phase");
        let shown = clean(step, 80);
        if phase != DrillPhase::Wait {
            self.needs_first(step);
        }
        let found = self.attempt(step, attempt);
        let open = found.phases.iter().any(|p| p.end_ms.is_none());
        let over = found.end_ms.is_some();
        found.phases.push(PhaseTime {
            phase,
            start_ms: at_ms,
            end_ms: None,
            ended: None,
            bytes: 0,
        });
        if open {
            self.game(format!("two phases of {shown} overlap"));
        }
        if over {
            self.game(format!("a phase of {shown} begins after the step's end"));
        }
    }

    /// A step works on what it needs; that was there before it began.
    fn needs_first(&mut self, step: &str) {
        let missing = self.step(step).needs.clone().into_iter().find(|need| {
            let found = self.index.get(need).and_then(|i| self.line.steps.get(*i));
            found.and_then(StepTime::ended) != Some(Ended::Well)
        });
        if let Some(need) = missing {
            self.game(format!(
                "{} began before {}, which it needs, had recovered",
                clean(step, 80),
                clean(&need, 80)
            ));
        }
    }

    fn phase_ended(
        &mut self,
        step: &str,
        attempt: u32,
        phase: DrillPhase,
        at_ms: u64,
        (ended, bytes): (Ended, u64),
    ) {
        self.at(at_ms, "a phase's end");
        self.in_time(step, "a phase's end");
        let shown = clean(step, 80);
        let found = self.attempt(step, attempt);
        let open = found
            .phases
            .iter_mut()
            .rev()
            .find(|p| p.phase == phase && p.end_ms.is_none());
        let Some(open) = open else {
            self.game(format!("a phase of {shown} ends and had never begun"));
            return;
        };
        let start_ms = open.start_ms;
        open.end_ms = Some(at_ms);
        open.ended = Some(ended);
        open.bytes = bytes;
        if at_ms < start_ms {
            self.game(format!("a phase of {shown} ends before it begins"));
            return;
        }
        let length = at_ms - start_ms;
        // A part of a millisecond is a millisecond here.
        if bytes >= TELLING && bytes / FASTEST > length.saturating_add(1) {
            self.game(format!(
                "{bytes} bytes of {shown} in {length} ms is faster than memory: they were not \
                 restored in that time"
            ));
        }
    }

    fn proved(&mut self, step: &str, attempt: u32, at_ms: u64) {
        self.at(at_ms, "a proof");
        self.in_time(step, "a proof");
        let shown = clean(step, 80);
        let found = self.attempt(step, attempt);
        let verifies = found
            .phases
            .iter()
            .any(|p| p.phase == DrillPhase::Verify && p.end_ms.is_none());
        if !verifies {
            self.game(format!(
                "a proof of {shown} stands outside of its verification"
            ));
        }
    }

    fn step_ended(
        &mut self,
        step: &str,
        attempt: u32,
        ended: Ended,
        reason: Option<String>,
        at_ms: u64,
    ) {
        self.at(at_ms, "a step's end");
        self.in_time(step, "the end");
        let shown = clean(step, 80);
        let found = self.attempt(step, attempt);
        let twice = found.end_ms.is_some();
        let open = found.phases.iter().any(|p| p.end_ms.is_none());
        let verified = found
            .phases
            .iter()
            .any(|p| p.phase == DrillPhase::Verify && p.ended == Some(Ended::Well));
        found.ended = Some(ended);
        found.end_ms = Some(at_ms);
        found.reason = reason;
        if twice {
            self.game(format!("{shown} ended twice"));
        }
        if open {
            self.game(format!("{shown} ended while a phase of it went on"));
        }
        if ended == Ended::Well && !verified {
            self.game(format!(
                "{shown} is said to have recovered without being verified"
            ));
        }
    }

    fn end(mut self) -> Timeline {
        let off: Vec<String> = self
            .line
            .steps
            .iter()
            .filter(|step| {
                let sum: u64 = step.parts().iter().map(Part::length).sum();
                let phases = step.attempts.iter().flat_map(|a| &a.phases);
                let busy = phases.fold(0u64, |sum, p| {
                    let length = p.end_ms.map_or(0, |end| end.saturating_sub(p.start_ms));
                    sum.saturating_add(length)
                });
                // Phases that are longer together than the whole leave room for no gap.
                step.end_ms().is_some_and(|end| end != sum || busy > end)
            })
            .map(|step| clean(&step.step, 80))
            .collect();
        for step in off {
            self.game(format!(
                "the phases and gaps of {step} do not add up to its total"
            ));
        }
        self.line
    }
}

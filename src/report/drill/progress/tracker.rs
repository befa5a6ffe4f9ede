//! What is known of a running drill, and the milestones that are worth a line.

use std::time::Instant;

use super::super::words::{
    bytes, ended_word, files, phase_word, rate, short_span, span, verdict_word,
};
use crate::journal::{DrillEvent, Event, Record};
use crate::model::drill::{DrillPhase, Ended, ProofOutcome, VerdictWord};
use crate::report::words::count;
use crate::shell::clean;

/// A milestone, in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    pub text: String,
    /// It went wrong: shown above the bars too.
    pub alarm: bool,
}

#[derive(Clone, Debug, Default)]
pub struct Tracker {
    pub drill: String,
    pub rto_target_ms: Option<u64>,
    pub assumed_ms: u64,
    pub steps: Vec<Step>,
    /// When the clock's time was last said, and what it was then.
    clock: Option<(Instant, u64)>,
    pub stopped_ms: Option<u64>,
    pub is_over: bool,
}

#[derive(Clone, Debug, Default)]
pub struct Step {
    pub name: String,
    pub rto_target_ms: Option<u64>,
    pub attempt: u32,
    /// The running phase, and since when on the drill's clock.
    pub phase: Option<(DrillPhase, u64)>,
    /// When the running phase began, or the last one ended.
    since_ms: u64,
    pub ended: Option<Ended>,
}

impl Tracker {
    /// The drill's clock, in milliseconds; 0 before it starts.
    pub fn now_ms(&self) -> u64 {
        if let Some(stopped) = self.stopped_ms {
            return stopped;
        }
        self.clock.map_or(0, |(said, at)| {
            let since = u64::try_from(said.elapsed().as_millis()).unwrap_or(u64::MAX);
            at.saturating_add(since)
        })
    }

    pub fn is_running(&self) -> bool {
        self.clock.is_some() && self.stopped_ms.is_none()
    }

    pub fn ended(&self) -> usize {
        self.steps.iter().filter(|s| s.ended.is_some()).count()
    }

    fn step(&mut self, name: &str) -> &mut Step {
        let at = match self.steps.iter().position(|step| step.name == name) {
            Some(at) => at,
            None => {
                self.steps.push(Step {
                    name: name.to_owned(),
                    ..Step::default()
                });
                self.steps.len() - 1
            }
        };
        &mut self.steps[at]
    }

    /// Moves on, and says what is worth saying.
    pub fn take(&mut self, record: &Record) -> Option<Line> {
        match &record.event {
            Event::Drill(event) => self.take_drill(event),
            Event::Note { text, .. } => say(clean(text, 300)),
            Event::RunEnded { .. } => {
                self.is_over = true;
                None
            }
            _ => None,
        }
    }

    fn take_drill(&mut self, event: &DrillEvent) -> Option<Line> {
        match event {
            DrillEvent::Declared {
                run,
                drill,
                title,
                rto_target_ms,
                assumed,
                steps,
                ..
            } => {
                self.drill = clean(drill, 40);
                self.rto_target_ms = *rto_target_ms;
                self.assumed_ms = assumed.iter().fold(0, |all, a| all.saturating_add(a.ms));
                for note in steps {
                    self.step(&note.step).rto_target_ms = note.rto_target_ms;
                }
                say(format!(
                    "drill {}: {}, {}",
                    clean(run, 40),
                    clean(title, 80),
                    count(steps.len(), "step")
                ))
            }
            DrillEvent::Preflight {
                check,
                met: false,
                detail,
            } => alarm(format!(
                "refused: {}: {}",
                clean(check, 120),
                clean(detail, 300)
            )),
            DrillEvent::Preexisting { text } => {
                say(format!("there beforehand: {}", clean(text, 300)))
            }
            DrillEvent::Control {
                step,
                proof,
                can_fail: false,
                ..
            } => alarm(format!(
                "{}: {} passes on nothing: it proves nothing",
                clean(step, 60),
                clean(proof, 120)
            )),
            DrillEvent::ClockStarted { .. } => {
                self.clock = Some((Instant::now(), 0));
                let target = match (self.rto_target_ms, self.assumed_ms) {
                    (None, _) => "there is no objective".to_owned(),
                    (Some(target), 0) => format!("objective {}", short_span(target)),
                    (Some(target), assumed) => format!(
                        "objective {}, {} of it assumed",
                        short_span(target),
                        short_span(assumed)
                    ),
                };
                say(format!("the clock runs; {target}"))
            }
            DrillEvent::Resumed {
                at_ms, same_boot, ..
            } => {
                self.clock = Some((Instant::now(), *at_ms));
                for step in &mut self.steps {
                    step.phase = None;
                }
                match same_boot {
                    true => say(format!("resumed; the clock is at {}", span(*at_ms))),
                    false => alarm("resumed after a restart of the machine: the clock is lost"),
                }
            }
            DrillEvent::ClockStopped { at_ms } => {
                self.stopped_ms = Some(*at_ms);
                say(format!("the clock stops at {}; tearing down", span(*at_ms)))
            }
            DrillEvent::Refused { what, by, at_ms } => alarm(timed(
                *at_ms,
                &format!(
                    "REFUSED: {} (asked for by {})",
                    clean(what, 120),
                    clean(by, 60)
                ),
            )),
            DrillEvent::Substituted {
                step,
                wanted,
                taken,
                why,
            } => alarm(format!(
                "{}: {} in the place of {}: {}",
                clean(step, 80),
                clean(taken, 60),
                clean(wanted, 60),
                clean(why, 200)
            )),
            DrillEvent::Doubted { step, reason, .. } => alarm(format!(
                "{}doubtful: {}",
                step.as_deref()
                    .map(|s| format!("{}: ", clean(s, 60)))
                    .unwrap_or_default(),
                clean(reason, 300)
            )),
            DrillEvent::NotGone { reason, .. } => {
                alarm(format!("could not be destroyed: {}", clean(reason, 300)))
            }
            DrillEvent::Swept { left } => match left.len() {
                0 => say("nothing is left"),
                n => alarm(format!("left behind: {}", count(n, "thing"))),
            },
            DrillEvent::Judged { verdict } => Some(Line {
                text: format!("verdict: {}", verdict_word(verdict.word)),
                alarm: verdict.word != VerdictWord::Met,
            }),
            DrillEvent::Notified {
                whom, well: false, ..
            } => alarm(format!("could not tell {}", clean(whom, 80))),
            event => self.take_step(event),
        }
    }

    fn take_step(&mut self, event: &DrillEvent) -> Option<Line> {
        match event {
            DrillEvent::PhaseStarted {
                step,
                attempt,
                phase,
                at_ms,
            } => {
                let step = self.step(step);
                step.attempt = *attempt;
                step.phase = Some((*phase, *at_ms));
                step.since_ms = *at_ms;
                step.ended = None;
                None
            }
            DrillEvent::PhaseEnded {
                step,
                phase,
                at_ms,
                ended,
                bytes: restored,
                files: count,
                ..
            } => {
                let known = self.step(step);
                let millis = at_ms.saturating_sub(known.since_ms);
                known.phase = None;
                known.since_ms = *at_ms;
                if *phase == DrillPhase::Wait {
                    return None;
                }
                let mut text = format!(
                    "{}: {} {}",
                    clean(step, 60),
                    phase_word(*phase),
                    span(millis)
                );
                if *restored > 0 {
                    text.push_str(&format!(", {}, {}", bytes(*restored), files(*count)));
                    if let Some(rate) = rate(*restored, millis) {
                        text.push_str(&format!(" ({rate})"));
                    }
                }
                if *ended != Ended::Well {
                    text.push_str(&format!(": {}", ended_word(*ended)));
                }
                Some(Line {
                    text: timed(*at_ms, &text),
                    alarm: *ended != Ended::Well,
                })
            }
            DrillEvent::Picked {
                step, at_ms, point, ..
            } => say(timed(
                *at_ms,
                &format!(
                    "{}: takes {} ({})",
                    clean(step, 60),
                    clean(&point.name, 100),
                    clean(&point.how, 100)
                ),
            )),
            DrillEvent::Proved {
                step,
                proof,
                outcome,
                expected,
                read,
                at_ms,
                ..
            } => {
                let name = format!("{}: {}", clean(step, 60), clean(proof, 120));
                if *outcome == ProofOutcome::Pass {
                    return say(timed(*at_ms, &format!("{name}: pass")));
                }
                let word = super::super::words::outcome_word(*outcome).to_uppercase();
                alarm(timed(
                    *at_ms,
                    &format!(
                        "{name}: {word}: expected {}, read {}",
                        clean(expected, 160),
                        clean(read, 160)
                    ),
                ))
            }
            DrillEvent::StepEnded {
                step,
                ended,
                reason,
                at_ms,
                ..
            } => {
                let known = self.step(step);
                known.phase = None;
                known.ended = Some(*ended);
                let name = clean(step, 60);
                let reason = reason.as_deref().map(|r| format!(": {}", clean(r, 300)));
                let reason = reason.unwrap_or_default();
                match ended {
                    Ended::Well => say(timed(*at_ms, &format!("{name}: recovered"))),
                    other => alarm(timed(
                        *at_ms,
                        &format!("{name}: {}{reason}", ended_word(*other)),
                    )),
                }
            }
            _ => None,
        }
    }
}

fn timed(at_ms: u64, text: &str) -> String {
    format!("[{}] {text}", span(at_ms))
}

fn say(text: impl Into<String>) -> Option<Line> {
    Some(Line {
        text: text.into(),
        alarm: false,
    })
}

fn alarm(text: impl Into<String>) -> Option<Line> {
    Some(Line {
        text: text.into(),
        alarm: true,
    })
}

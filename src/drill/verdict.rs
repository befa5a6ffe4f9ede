//! Met, missed, or inconclusive and why: a fold over the events of a drill, and nothing else, so
//! that it can be reckoned again from any journal. Pure.
//!
//! `met` is said only where everything was measured and nothing is in doubt. `missed` is said where
//! something was measured and is over its target, or where a step did not recover. All else is
//! inconclusive.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::ledger;
use super::timeline::{StepTime, Timeline};
use crate::journal::{DrillEvent, Event, PointNote, Record, StepNote};
use crate::model::drill::{
    DrillPhase, Ended, Measure, ProofOutcome, StepVerdict, Verdict, VerdictWord, WhatIf,
};
use crate::shell::clean;

/// Judges a drill by its run's records.
pub fn judge(records: &[Record]) -> Verdict {
    let facts = Facts::of(records);
    let line = Timeline::of(records);
    let stops = stops(&facts, &line);
    let mut steps: Vec<StepJudged> = Vec::new();
    for note in &facts.steps {
        let judged = StepJudged::of(note, &facts, &line, stops.is_empty(), &steps);
        steps.push(judged);
    }
    let mut reasons = stops.clone();
    let mut missed = Vec::new();
    let mut doubts = Vec::new();
    for step in &steps {
        let named = |reason: &String| format!("{}: {reason}", clean(&step.name, 80));
        missed.extend(step.missed.iter().map(named));
        doubts.extend(step.doubts.iter().map(named));
    }
    let recovered = !steps.is_empty() && steps.iter().all(|s| s.recovered);
    let assumed_ms = facts.assumed_ms;
    let rto = Measure {
        target_ms: facts.rto_target_ms,
        measured_ms: line
            .stopped_ms
            .filter(|_| recovered && stops.is_empty())
            .map(|ms| ms.saturating_add(assumed_ms)),
        step: None,
    };
    if let Some(text) = over(&rto, "the whole took", assumed_ms) {
        missed.push(text);
    }
    let rpo = whole_rpo(&facts, &steps);
    if let Some(text) = over(&rpo, "the oldest data was older than the disaster by", 0) {
        missed.push(text);
    }
    if rpo.target_ms.is_some() && rpo.measured_ms.is_none() {
        doubts.push("how old the data was could not be measured for every step".to_owned());
    }
    doubts.extend(facts.doubts(&steps));
    let word = word(&stops, &missed, &doubts);
    reasons.extend(missed);
    reasons.extend(doubts);
    let critical_path = match line.stopped_ms {
        Some(_) if line.games.is_empty() && !line.clock_lost => line.critical_path(),
        _ => Vec::new(),
    };
    let mut what_if: Vec<WhatIf> = Vec::new();
    if rto.measured_ms.is_some() {
        let on_path: BTreeSet<&str> = critical_path.iter().map(|p| p.step.as_str()).collect();
        what_if.extend(on_path.into_iter().filter_map(|step| {
            Some(WhatIf {
                step: step.to_owned(),
                rto_ms: line.what_if(step, 1, 2)?.saturating_add(assumed_ms),
            })
        }));
        what_if.sort_by(|a, b| (a.rto_ms, &a.step).cmp(&(b.rto_ms, &b.step)));
    }
    Verdict {
        word,
        reasons,
        rto,
        assumed_ms,
        rpo,
        steps: steps.into_iter().map(StepJudged::verdict).collect(),
        critical_path,
        what_if,
    }
}

/// What was promised may be believed only without a stop or a doubt; what was missed, in spite of
/// a doubt, but not where the drill itself is not to be believed.
fn word(stops: &[String], missed: &[String], doubts: &[String]) -> VerdictWord {
    if !stops.is_empty() {
        VerdictWord::Inconclusive
    } else if !missed.is_empty() {
        VerdictWord::Missed
    } else if !doubts.is_empty() {
        VerdictWord::Inconclusive
    } else {
        VerdictWord::Met
    }
}

/// A proof, what it said, and what it read.
type Said = (String, ProofOutcome, String);

/// What the events say, apart from time.
#[derive(Default)]
struct Facts {
    declared: bool,
    steps: Vec<StepNote>,
    rto_target_ms: Option<u64>,
    rpo_target_ms: Option<u64>,
    assumed_ms: u64,
    /// Checks before the clock that were not met.
    unmet: Vec<String>,
    /// Step and proof → whether it can fail.
    controls: BTreeMap<(String, String), bool>,
    /// Step and attempt.
    points: BTreeMap<(String, u32), PointNote>,
    proofs: BTreeMap<(String, u32), Vec<Said>>,
    doubted: Vec<(Option<String>, String)>,
    refused: BTreeSet<(String, String)>,
    swept: Option<Vec<String>>,
    /// Of the ledger: what was never seen gone.
    standing: Vec<String>,
    disaster: Option<Timestamp>,
}

impl Facts {
    fn of(records: &[Record]) -> Facts {
        let mut facts = Facts::default();
        for record in records {
            if let Event::Drill(event) = &record.event {
                facts.take(event);
            }
        }
        facts.standing = ledger::read(records)
            .into_iter()
            .filter(|entry| !entry.gone)
            .map(|entry| format!("{} {}", clean(&entry.kind, 40), clean(&entry.name, 120)))
            .collect();
        facts
    }

    fn take(&mut self, event: &DrillEvent) {
        match event {
            DrillEvent::Declared {
                rto_target_ms,
                rpo_target_ms,
                assumed,
                steps,
                ..
            } if !self.declared => {
                self.declared = true;
                self.rto_target_ms = *rto_target_ms;
                self.rpo_target_ms = *rpo_target_ms;
                self.assumed_ms = assumed
                    .iter()
                    .fold(0, |sum: u64, a| sum.saturating_add(a.ms));
                self.steps = steps.clone();
            }
            DrillEvent::Preflight {
                check,
                met: false,
                detail,
            } => self
                .unmet
                .push(format!("{}: {}", clean(check, 120), clean(detail, 300))),
            DrillEvent::Control {
                step,
                proof,
                can_fail,
                ..
            } => {
                // One control that it passed is enough to say that it proves nothing.
                let known = self.controls.entry((step.clone(), proof.clone()));
                *known.or_insert(true) &= *can_fail;
            }
            DrillEvent::ClockStarted { disaster, .. } => self.disaster = disaster.parse().ok(),
            DrillEvent::Picked {
                step,
                attempt,
                point,
                ..
            } => {
                self.points.insert((step.clone(), *attempt), point.clone());
            }
            DrillEvent::Proved {
                step,
                attempt,
                proof,
                outcome,
                read,
                ..
            } => self
                .proofs
                .entry((step.clone(), *attempt))
                .or_default()
                .push((proof.clone(), *outcome, read.clone())),
            DrillEvent::Doubted { step, reason, .. } => {
                self.doubted.push((step.clone(), clean(reason, 300)));
            }
            DrillEvent::Refused { what, by, .. } => {
                self.refused.insert((clean(what, 120), clean(by, 80)));
            }
            DrillEvent::Swept { left } => self.swept = Some(left.clone()),
            _ => {}
        }
    }

    /// What keeps the whole from being `met`, besides its steps.
    fn doubts(&self, steps: &[StepJudged]) -> Vec<String> {
        let mut out = Vec::new();
        let any = self.rto_target_ms.is_some()
            || self.rpo_target_ms.is_some()
            || steps
                .iter()
                .any(|s| s.rto.target_ms.is_some() || s.rpo.target_ms.is_some());
        if !any {
            out.push("no objective is set, so there is nothing to compare with".to_owned());
        }
        let whole = self.doubted.iter().filter(|(step, _)| step.is_none());
        out.extend(whole.map(|(_, reason)| reason.clone()));
        out.extend(
            self.refused
                .iter()
                .map(|(what, by)| format!("{by} reached for what is off limits: {what}")),
        );
        match &self.swept {
            None => out.push("whether something was left behind was not looked at".to_owned()),
            Some(left) if !left.is_empty() => {
                let some: Vec<String> = left.iter().take(5).map(|l| clean(l, 120)).collect();
                out.push(format!(
                    "{} {} left behind: {}",
                    left.len(),
                    if left.len() == 1 {
                        "thing was"
                    } else {
                        "things were"
                    },
                    some.join(", ")
                ));
            }
            Some(_) if !self.standing.is_empty() => out.push(format!(
                "the ledger has what was never seen gone: {}",
                self.standing
                    .iter()
                    .take(5)
                    .cloned()
                    .collect::<Vec<_>>()
                    .join(", ")
            )),
            Some(_) => {}
        }
        out
    }
}

/// Why nothing of it may be believed.
fn stops(facts: &Facts, line: &Timeline) -> Vec<String> {
    let mut out = Vec::new();
    if !facts.declared {
        out.push("the journal does not say which drill it was".to_owned());
    }
    if line.boot_id.is_none() {
        match facts.unmet.is_empty() {
            true => out.push("it ended before its clock was started".to_owned()),
            false => out.extend(
                facts
                    .unmet
                    .iter()
                    .map(|check| format!("it was refused before it started: {check}")),
            ),
        }
        return out;
    }
    if facts.disaster.is_none() {
        out.push("the disaster has no time that can be read".to_owned());
    }
    if line.clock_lost {
        out.push("the machine was started anew during the drill, so its clock is lost".to_owned());
    }
    let cut: Vec<String> = line
        .steps
        .iter()
        .filter(|s| matches!(s.ended(), None | Some(Ended::Interrupted)))
        .map(|s| match s.last().and_then(|a| a.reason.as_deref()) {
            Some(reason) => format!("{} ({})", clean(&s.step, 80), clean(reason, 200)),
            None => clean(&s.step, 80),
        })
        .collect();
    if !cut.is_empty() {
        out.push(format!(
            "it was interrupted before these had ended: {}",
            cut.iter().take(5).cloned().collect::<Vec<_>>().join(", ")
        ));
    } else if line.stopped_ms.is_none() {
        out.push("it did not come to its end: the clock was never stopped".to_owned());
    }
    out.extend(line.games.iter().map(|game| format!("the clock: {game}")));
    out
}

/// A step on the way to its verdict.
struct StepJudged {
    name: String,
    recovered: bool,
    stopped: bool,
    missed: Vec<String>,
    doubts: Vec<String>,
    rto: Measure,
    rpo: Measure,
    restores: bool,
}

impl StepJudged {
    /// `before` has the steps that stand before it; those that it needs are among them.
    fn of(
        note: &StepNote,
        facts: &Facts,
        line: &Timeline,
        believed: bool,
        before: &[StepJudged],
    ) -> StepJudged {
        let time = line.step(&note.step);
        let ended = time.and_then(StepTime::ended);
        let mut judged = StepJudged {
            name: note.step.clone(),
            recovered: ended == Some(Ended::Well),
            stopped: !believed,
            missed: Vec::new(),
            doubts: Vec::new(),
            rto: Measure {
                target_ms: note.rto_target_ms,
                ..Measure::default()
            },
            rpo: Measure {
                target_ms: note.rpo_target_ms,
                ..Measure::default()
            },
            restores: note.restores(),
        };
        let attempt = time.and_then(StepTime::last);
        let number = attempt.map_or(0, |a| a.number);
        let key = (note.step.clone(), number);
        let reason = attempt.and_then(|a| a.reason.as_deref());
        let reason = clean(reason.unwrap_or("no reason was given"), 400);
        let proofs = facts.proofs.get(&key).map_or(&[][..], Vec::as_slice);
        match ended {
            None => judged.doubts.push("it did not come to its end".to_owned()),
            Some(Ended::Interrupted) => judged.doubts.push(format!("it was interrupted: {reason}")),
            Some(Ended::Skipped) => {
                let needs = before.iter().filter(|b| note.needs.contains(&b.name));
                match needs.clone().any(|b| !b.missed.is_empty()) {
                    true => judged.missed.push(format!("it was not begun: {reason}")),
                    false => judged.doubts.push(format!("it was not begun: {reason}")),
                }
            }
            Some(Ended::Failed) if is_unknown(note, attempt, proofs) => judged
                .doubts
                .push(format!("whether it recovered is not known: {reason}")),
            Some(Ended::Failed) => judged.missed.push(format!("it did not recover: {reason}")),
            Some(Ended::Well) => judged.by_proofs(note, facts, proofs),
        }
        if judged.recovered && believed {
            judged.rto.measured_ms = time.and_then(StepTime::end_ms);
            judged.missed.extend(over(&judged.rto, "it took", 0));
        }
        if judged.restores && judged.recovered {
            judged.by_data_time(note, facts.points.get(&key), facts);
        }
        let doubted = facts.doubted.iter();
        judged.doubts.extend(
            doubted
                .filter(|(step, _)| step.as_deref() == Some(note.step.as_str()))
                .map(|(_, reason)| reason.clone()),
        );
        judged
    }

    /// A step has recovered when each of its proofs passed, and each of them could have failed.
    fn by_proofs(&mut self, note: &StepNote, facts: &Facts, proofs: &[Said]) {
        if note.proofs.is_empty() {
            self.doubts
                .push("it has no proof, so nothing says that it recovered".to_owned());
        }
        for name in &note.proofs {
            let shown = clean(name, 80);
            match proofs.iter().rev().find(|(proof, _, _)| proof == name) {
                None => self
                    .doubts
                    .push(format!("the proof `{shown}` was never carried out")),
                Some((_, ProofOutcome::Pass, _)) => {}
                Some((_, ProofOutcome::Fail, read)) => self
                    .missed
                    .push(format!("the proof `{shown}` failed: {}", clean(read, 200))),
                Some((_, ProofOutcome::Unknown, read)) => self.doubts.push(format!(
                    "the proof `{shown}` could not be carried out: {}",
                    clean(read, 200)
                )),
            }
            match facts.controls.get(&(note.step.clone(), name.clone())) {
                Some(true) => {}
                Some(false) => self.doubts.push(format!(
                    "the proof `{shown}` proves nothing: it passes where nothing was restored"
                )),
                None => self.doubts.push(format!(
                    "the proof `{shown}` was not tried where nothing was restored"
                )),
            }
        }
        self.recovered &= self.missed.is_empty();
    }

    /// RPO is the disaster's time less the data's. When a copy came to its store is nothing to it.
    fn by_data_time(&mut self, note: &StepNote, point: Option<&PointNote>, facts: &Facts) {
        let wanted = self.rpo.target_ms.is_some() || facts.rpo_target_ms.is_some();
        let Some(point) = point else {
            self.doubts
                .push("the journal does not say which backup was taken".to_owned());
            return;
        };
        let data_time = point.data_time.as_deref().map(str::parse::<Timestamp>);
        let (Some(Ok(data_time)), Some(disaster)) = (data_time, facts.disaster) else {
            if wanted {
                self.doubts
                    .push("nobody says of when the data is, so its age is not known".to_owned());
            }
            return;
        };
        let age = disaster.as_millisecond() - data_time.as_millisecond();
        let Ok(age) = u64::try_from(age) else {
            self.doubts.push(format!(
                "the data is said to be of {data_time}, after the disaster: it could not have \
                 been there"
            ));
            return;
        };
        self.rpo.measured_ms = Some(age);
        if wanted && note.wants_signature() && !point.signed && point.vouched.is_none() {
            self.doubts.push(
                "of when the data is, is nobody's signed word: its age may be another".to_owned(),
            );
        }
        self.missed.extend(over(
            &self.rpo,
            "its data was older than the disaster by",
            0,
        ));
    }

    fn verdict(self) -> StepVerdict {
        let stops: &[String] = match self.stopped && self.missed.is_empty() {
            true => &["the drill as a whole is not to be believed".to_owned()],
            false => &[],
        };
        let word = word(stops, &self.missed, &self.doubts);
        let mut reasons = self.missed;
        reasons.extend(self.doubts);
        if reasons.is_empty() {
            reasons.extend(stops.iter().cloned());
        }
        StepVerdict {
            step: self.name,
            word,
            reasons,
            rto: self.rto,
            rpo: self.rpo,
        }
    }
}

/// Whether a failed step failed by nothing but proofs that could not be carried out.
fn is_unknown(
    note: &StepNote,
    attempt: Option<&super::timeline::Attempt>,
    proofs: &[Said],
) -> bool {
    let worked = attempt.is_some_and(|a| {
        a.phases
            .iter()
            .filter(|p| p.phase != DrillPhase::Verify)
            .all(|p| p.ended == Some(Ended::Well))
    });
    let any = |wanted| proofs.iter().any(|(_, outcome, _)| *outcome == wanted);
    // Where some were not come to, it was its deadline that it failed by.
    let all = note
        .proofs
        .iter()
        .all(|name| proofs.iter().any(|(proof, _, _)| proof == name));
    worked && all && any(ProofOutcome::Unknown) && !any(ProofOutcome::Fail)
}

/// The oldest data of all steps; not measured where one of them is not.
fn whole_rpo(facts: &Facts, steps: &[StepJudged]) -> Measure {
    let restores = || steps.iter().filter(|s| s.restores);
    let known = restores().all(|s| s.rpo.measured_ms.is_some());
    let oldest = restores().max_by_key(|s| s.rpo.measured_ms);
    Measure {
        target_ms: facts.rpo_target_ms,
        measured_ms: oldest.filter(|_| known).and_then(|s| s.rpo.measured_ms),
        step: oldest.filter(|_| known).map(|s| s.name.clone()),
    }
}

/// A sentence, where the measured is more than the target.
fn over(measure: &Measure, what: &str, assumed_ms: u64) -> Option<String> {
    let (target, measured) = (measure.target_ms?, measure.measured_ms?);
    let assumed = match assumed_ms {
        0 => String::new(),
        ms => format!(" ({} of it assumed)", length(ms)),
    };
    (measured > target).then(|| {
        format!(
            "{what} {}{assumed}, and the objective is {}",
            length(measured),
            length(target)
        )
    })
}

/// `850ms`, `12.3s`, `4m 5s`, `3h 7m`, `2d 4h`.
pub fn length(ms: u64) -> String {
    let seconds = ms / 1000;
    match seconds {
        0 => format!("{ms}ms"),
        1..60 => format!("{seconds}.{}s", ms % 1000 / 100),
        60..3600 => format!("{}m {}s", seconds / 60, seconds % 60),
        3600..86_400 => format!("{}h {}m", seconds / 3600, seconds % 3600 / 60),
        _ => format!("{}d {}h", seconds / 86_400, seconds % 86_400 / 3600),
    }
}

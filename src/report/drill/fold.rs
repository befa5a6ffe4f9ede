//! The fold: a drill's events in, what there is to tell out. Pure, total: no order of events makes
//! it fail.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::journal::{AssumedNote, JournalError, JournalReader, PointNote, StepNote, Torn};
use crate::model::drill::{DrillPhase, Ended, Milestone, ProofOutcome, Verdict, VerdictWord};

/// A drill, as far as it got. Times called `…_ms` are on the drill's clock.
#[derive(Clone, Debug, Default)]
pub struct DrillView {
    pub run: String,
    /// What the run says that it is: `drill`.
    pub verb: String,
    pub version: String,
    /// Its name: drills of one name are one history.
    pub drill: String,
    pub title: String,
    pub provider: String,
    pub playbook: String,
    /// Path → SHA-256.
    pub documents: BTreeMap<String, String>,
    pub by: String,
    pub lost: String,
    pub off_limits: Vec<String>,
    pub scratch: String,
    pub rto_target_ms: Option<u64>,
    pub rpo_target_ms: Option<u64>,
    pub assumed: Vec<AssumedNote>,
    pub parallel: u32,
    /// In the order of the playbook; one that no event announced is put at the end.
    pub steps: Vec<StepView>,
    pub preflight: Vec<PreflightView>,
    pub preexisting: Vec<String>,
    /// What casts doubt on the drill: the step (`None`: the whole drill) and the reason.
    pub doubts: Vec<(Option<String>, String)>,
    /// `None`: the clock never started.
    pub clock: Option<ClockView>,
    pub resumed: Vec<ResumedView>,
    /// `None`: the clock was never stopped.
    pub stopped_ms: Option<u64>,
    pub ledger: Vec<LedgerView>,
    pub refused: Vec<RefusedView>,
    /// Each endpoint and who used it, once, in the order in which they came.
    pub used: Vec<(String, String)>,
    pub enforced: Vec<String>,
    pub not_enforced: Vec<String>,
    /// Who asked a cloud how often, retries among it.
    pub requests: BTreeMap<String, u64>,
    /// What the last sweep found. `None`: nobody looked.
    pub left: Option<Vec<String>>,
    /// As the journal has it. What counts is [`DrillView::verdict`].
    pub judged: Option<Verdict>,
    /// Who was told, whether it went well, and what was said.
    pub notified: Vec<(String, bool, String)>,
    pub notes: Vec<String>,
    /// RFC 3339; empty if the journal does not begin with a run.
    pub started: String,
    /// The time of the last event.
    pub last_event: String,
    /// `None`: the run did not come to its end, or is still going.
    pub ended: Option<Ending>,
    /// Lines of the journal that were read.
    pub lines: u64,
    /// The hash of the last line; empty where events were folded as they came.
    pub last_hash: String,
    /// The last line was torn: the controller died while it wrote.
    pub torn: Option<Torn>,
    /// Why the journal could not be read to its end ([`load_some`] alone).
    pub broken: Option<String>,
    by_name: BTreeMap<String, usize>,
    by_token: BTreeMap<String, usize>,
    seen_endpoints: BTreeSet<(String, String)>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ending {
    /// RFC 3339.
    pub time: String,
    /// The exit code.
    pub code: u8,
    pub millis: u64,
    pub stopped: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PreflightView {
    pub check: String,
    pub met: bool,
    pub detail: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClockView {
    pub boot_id: String,
    pub boottime_ms: u64,
    /// RFC 3339: what RPO is reckoned from.
    pub disaster: String,
    /// RFC 3339: when the clock started, by the wall.
    pub at: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResumedView {
    pub at_ms: u64,
    pub same_boot: bool,
    pub by: String,
    /// RFC 3339.
    pub at: String,
}

/// Something that was to be made, and what became of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LedgerView {
    pub token: String,
    /// `None`: the whole drill's.
    pub step: Option<String>,
    pub kind: String,
    pub name: String,
    /// `None`: whether it was made is not known.
    pub id: Option<String>,
    /// It is gone; seen.
    pub gone: bool,
    /// Why it could not be made to go, where nothing said later that it is gone.
    pub not_gone: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefusedView {
    pub what: String,
    pub by: String,
    pub at_ms: u64,
}

/// One step.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StepView {
    pub name: String,
    /// `None`: no event announced it.
    pub note: Option<StepNote>,
    pub controls: Vec<ControlView>,
    /// What was taken in the place of what was wanted, as the document allows it.
    pub substituted: Vec<SubstituteView>,
    /// In the order of their numbers.
    pub attempts: Vec<AttemptView>,
}

/// What became of a proof that was tried on nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ControlView {
    pub proof: String,
    pub can_fail: bool,
    pub detail: String,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct AttemptView {
    /// From 1.
    pub attempt: u32,
    pub phases: Vec<PhaseView>,
    pub picked: Option<PickedView>,
    pub proofs: Vec<ProofView>,
    /// How far what is restored in a cloud has come.
    pub reached: Vec<ReachedView>,
    /// `None`: it did not come to its end.
    pub ended: Option<StepEnding>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PhaseView {
    pub phase: DrillPhase,
    /// `None`: nobody said that it began.
    pub start_ms: Option<u64>,
    /// `None`: it did not come to its end.
    pub end_ms: Option<u64>,
    pub ended: Option<Ended>,
    pub bytes: u64,
    pub files: u64,
    pub detail: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PickedView {
    pub at_ms: u64,
    pub point: PointNote,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProofView {
    pub proof: String,
    pub kind: String,
    pub outcome: ProofOutcome,
    pub expected: String,
    pub read: String,
    pub at: String,
    pub at_ms: u64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReachedView {
    pub milestone: Milestone,
    pub detail: String,
    pub at_ms: u64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubstituteView {
    pub wanted: String,
    pub taken: String,
    pub why: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StepEnding {
    pub ended: Ended,
    pub reason: Option<String>,
    pub at_ms: u64,
}

/// Reads and folds the journal in a run's folder.
///
/// # Errors
/// When it can't be read, or its chain is broken. A torn last line is no error.
pub fn load(dir: &Path) -> Result<DrillView, JournalError> {
    let mut reader = JournalReader::open(dir)?;
    let mut view = DrillView::default();
    for record in &mut reader {
        view.take(&record?);
    }
    view.last_hash = reader.last_hash().to_owned();
    view.torn = reader.torn().cloned();
    Ok(view)
}

/// The same, as far as the journal can be read; why it went no further is in
/// [`DrillView::broken`]. For a history, from which a spoiled run must not be missing.
pub fn load_some(dir: &Path) -> DrillView {
    let mut view = DrillView::default();
    let mut reader = match JournalReader::open(dir) {
        Ok(reader) => reader,
        Err(error) => {
            view.broken = Some(error.to_string());
            return view;
        }
    };
    for record in &mut reader {
        match record {
            Ok(record) => view.take(&record),
            Err(error) => view.broken = Some(error.to_string()),
        }
    }
    view.last_hash = reader.last_hash().to_owned();
    view.torn = reader.torn().cloned();
    view
}

impl DrillView {
    /// Whether the journal is a drill's.
    pub fn is_drill(&self) -> bool {
        self.verb == "drill" || !self.drill.is_empty()
    }

    /// The assumed time in all, in milliseconds.
    pub fn assumed_ms(&self) -> u64 {
        let all = self.assumed.iter().map(|a| a.ms);
        all.fold(0, u64::saturating_add)
    }

    /// The verdict that counts: the last one of the journal, unless the run did not come to its
    /// end, or the journal's own events do not bear it out. Never better than what was judged.
    pub fn verdict(&self) -> Verdict {
        let mut verdict = self.judged.clone().unwrap_or_else(|| Verdict {
            word: VerdictWord::Inconclusive,
            reasons: Vec::new(),
            rto: self.measure(self.rto_target_ms),
            assumed_ms: self.assumed_ms(),
            rpo: self.measure(self.rpo_target_ms),
            steps: Vec::new(),
            critical_path: Vec::new(),
            what_if: Vec::new(),
        });
        let mut doubts = Vec::new();
        if self.ended.is_none() {
            doubts.push(match self.judged {
                Some(_) => "it was judged, and did not come to its end".to_owned(),
                None => "it did not come to its end".to_owned(),
            });
        } else if self.judged.is_none() {
            doubts.push(match self.stopped() {
                Some(why) => format!("it was stopped before it could be judged: {why}"),
                None => "it ended without a verdict".to_owned(),
            });
        }
        if let Some(broken) = &self.broken {
            doubts.push(format!("its journal cannot be read to the end: {broken}"));
        }
        if verdict.word == VerdictWord::Met {
            doubts.extend(self.contradictions());
        }
        if !doubts.is_empty() {
            verdict.word = VerdictWord::Inconclusive;
            doubts.append(&mut verdict.reasons);
            verdict.reasons = doubts;
        }
        verdict
    }

    fn measure(&self, target_ms: Option<u64>) -> crate::model::drill::Measure {
        crate::model::drill::Measure {
            target_ms,
            ..Default::default()
        }
    }

    fn stopped(&self) -> Option<&str> {
        self.ended.as_ref().and_then(|e| e.stopped.as_deref())
    }

    /// What in the events speaks against a verdict of `met`: a report repeats no word that its own
    /// tables give the lie to.
    fn contradictions(&self) -> Vec<String> {
        let mut found = Vec::new();
        for step in &self.steps {
            let name = &step.name;
            if !step.recovered() {
                found.push(format!("{name}: it is not seen to have recovered"));
            } else if !step.is_proved() {
                found.push(format!(
                    "{name}: no proof is seen to pass that would fail on nothing"
                ));
            }
        }
        match &self.left {
            None => found.push("nobody looked what is left".into()),
            Some(left) if !left.is_empty() => found.push("something is left".into()),
            Some(_) => {}
        }
        found.extend(self.doubts.iter().map(|(step, reason)| match step {
            Some(step) => format!("{step}: {reason}"),
            None => reason.clone(),
        }));
        if self.resumed.iter().any(|r| !r.same_boot) {
            found.push("the clock was lost: the machine was started anew in between".into());
        }
        found
    }

    /// Bytes and files that the attempts that count have restored.
    pub fn restored(&self) -> (u64, u64) {
        let last = self.steps.iter().filter_map(StepView::last);
        last.fold((0, 0), |(bytes, files), attempt| {
            let (b, f) = attempt.restored();
            (bytes.saturating_add(b), files.saturating_add(f))
        })
    }

    /// The latest time that any event names, in milliseconds: the end of a chart's axis.
    pub fn last_ms(&self) -> u64 {
        let mut last = self.stopped_ms.unwrap_or(0);
        for attempt in self.steps.iter().flat_map(|s| &s.attempts) {
            for phase in &attempt.phases {
                last = last.max(phase.end_ms.or(phase.start_ms).unwrap_or(0));
            }
            last = last.max(attempt.ended.as_ref().map_or(0, |e| e.at_ms));
        }
        last
    }
}

impl StepView {
    /// The attempt that counts: the last one.
    pub fn last(&self) -> Option<&AttemptView> {
        self.attempts.last()
    }

    pub fn control(&self, proof: &str) -> Option<&ControlView> {
        self.controls.iter().rev().find(|c| c.proof == proof)
    }

    /// It ended well, and each of its proofs is a pass.
    pub fn recovered(&self) -> bool {
        self.last().is_some_and(|attempt| {
            attempt
                .ended
                .as_ref()
                .is_some_and(|e| e.ended == Ended::Well)
                && attempt
                    .proofs
                    .iter()
                    .all(|p| p.outcome == ProofOutcome::Pass)
        })
    }

    /// Whether a proof passed that was seen to fail on nothing.
    pub fn is_proved(&self) -> bool {
        self.last().is_some_and(|attempt| {
            attempt.proofs.iter().any(|p| {
                p.outcome == ProofOutcome::Pass
                    && self.control(&p.proof).is_some_and(|c| c.can_fail)
            })
        })
    }

    /// Its proofs in the order of the playbook, those that were never tried too.
    pub fn proofs(&self) -> Vec<(&str, Option<&ProofView>)> {
        let said = self.last().map(|a| a.proofs.as_slice()).unwrap_or_default();
        let announced = self.note.as_ref().map(|n| n.proofs.as_slice());
        let mut proofs: Vec<(&str, Option<&ProofView>)> = Vec::new();
        let mut known = BTreeSet::new();
        for name in announced.unwrap_or_default() {
            known.insert(name.as_str());
            proofs.push((name, said.iter().rev().find(|p| p.proof == *name)));
        }
        for proof in said {
            if known.insert(&proof.proof) {
                proofs.push((&proof.proof, Some(proof)));
            }
        }
        proofs
    }
}

impl AttemptView {
    /// Bytes and files that its phases have restored.
    pub fn restored(&self) -> (u64, u64) {
        self.phases.iter().fold((0, 0), |(bytes, files), phase| {
            (bytes.max(phase.bytes), files.max(phase.files))
        })
    }

    /// How long its phases of that kind took, in milliseconds.
    pub fn spent_ms(&self, phase: DrillPhase) -> u64 {
        let of = self.phases.iter().filter(|p| p.phase == phase);
        of.map(PhaseView::millis).fold(0, u64::saturating_add)
    }
}

impl PhaseView {
    /// How long it took, in milliseconds; 0 where that is not known.
    pub fn millis(&self) -> u64 {
        match (self.start_ms, self.end_ms) {
            (Some(start), Some(end)) => end.saturating_sub(start),
            _ => 0,
        }
    }
}

mod take;
#[cfg(test)]
mod tests;

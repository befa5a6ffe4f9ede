//! Taking events in.

use super::{
    AttemptView, ClockView, ControlView, DrillView, Ending, LedgerView, PhaseView, PickedView,
    PreflightView, ProofView, ReachedView, RefusedView, ResumedView, StepEnding, StepView,
    SubstituteView,
};
use std::collections::BTreeMap;

use crate::journal::{DrillEvent, Event, Record};

impl DrillView {
    /// Folds one record in.
    pub fn take(&mut self, record: &Record) {
        self.lines = record.seq;
        self.last_event.clone_from(&record.time);
        match &record.event {
            Event::RunStarted {
                run,
                verb,
                version,
                playbook,
                playbook_title,
                documents,
                by,
                ..
            } => {
                self.started.clone_from(&record.time);
                self.run.clone_from(run);
                self.verb.clone_from(verb);
                self.version.clone_from(version);
                self.playbook.clone_from(playbook);
                self.title.clone_from(playbook_title);
                self.documents.extend(documents.clone());
                self.by.clone_from(by);
            }
            Event::Note { text, .. } => self.notes.push(text.clone()),
            Event::RunEnded {
                code,
                millis,
                stopped,
            } => {
                self.ended = Some(Ending {
                    time: record.time.clone(),
                    code: *code,
                    millis: *millis,
                    stopped: stopped.clone(),
                });
            }
            Event::Drill(event) => self.take_drill(event, &record.time),
            _ => {}
        }
    }

    fn take_drill(&mut self, event: &DrillEvent, time: &str) {
        match event {
            DrillEvent::Declared { .. } => self.declare(event),
            DrillEvent::Preflight { check, met, detail } => self.preflight.push(PreflightView {
                check: check.clone(),
                met: *met,
                detail: detail.clone(),
            }),
            DrillEvent::Requests { by } => self.count(by),
            DrillEvent::Preexisting { text } => self.preexisting.push(text.clone()),
            DrillEvent::ClockStarted {
                boot_id,
                boottime_ms,
                disaster,
            } => {
                self.clock = Some(ClockView {
                    boot_id: boot_id.clone(),
                    boottime_ms: *boottime_ms,
                    disaster: disaster.clone(),
                    at: time.to_owned(),
                });
            }
            DrillEvent::Resumed {
                at_ms,
                same_boot,
                by,
                ..
            } => {
                // What goes on has not come to its end yet.
                self.ended = None;
                self.resumed.push(ResumedView {
                    at_ms: *at_ms,
                    same_boot: *same_boot,
                    by: by.clone(),
                    at: time.to_owned(),
                });
            }
            DrillEvent::Doubted { step, reason, .. } => {
                self.doubts.push((step.clone(), reason.clone()));
            }
            DrillEvent::ClockStopped { at_ms } => self.stopped_ms = Some(*at_ms),
            DrillEvent::Refused { what, by, at_ms } => self.refused.push(RefusedView {
                what: what.clone(),
                by: by.clone(),
                at_ms: *at_ms,
            }),
            DrillEvent::Used { endpoint, by } => {
                let used = (endpoint.clone(), by.clone());
                if self.seen_endpoints.insert(used.clone()) {
                    self.used.push(used);
                }
            }
            DrillEvent::Guard {
                enforced,
                not_enforced,
            } => {
                self.enforced.clone_from(enforced);
                self.not_enforced.clone_from(not_enforced);
            }
            DrillEvent::Swept { left } => self.left = Some(left.clone()),
            DrillEvent::Judged { verdict } => self.judged = Some(verdict.clone()),
            DrillEvent::Notified { whom, well, detail } => {
                self.notified.push((whom.clone(), *well, detail.clone()));
            }
            DrillEvent::Intended { .. }
            | DrillEvent::Made { .. }
            | DrillEvent::Gone { .. }
            | DrillEvent::NotGone { .. } => self.take_ledger(event),
            DrillEvent::Control { .. }
            | DrillEvent::PhaseStarted { .. }
            | DrillEvent::PhaseEnded { .. }
            | DrillEvent::Picked { .. }
            | DrillEvent::Proved { .. }
            | DrillEvent::Reached { .. }
            | DrillEvent::Substituted { .. }
            | DrillEvent::StepEnded { .. } => self.take_step(event),
        }
    }

    fn declare(&mut self, event: &DrillEvent) {
        let DrillEvent::Declared {
            run,
            version,
            drill,
            title,
            provider,
            playbook,
            documents,
            by,
            lost,
            off_limits,
            scratch,
            rto_target_ms,
            rpo_target_ms,
            assumed,
            parallel,
            steps,
        } = event
        else {
            return;
        };
        self.run.clone_from(run);
        self.version.clone_from(version);
        self.drill.clone_from(drill);
        self.title.clone_from(title);
        self.provider.clone_from(provider);
        self.playbook.clone_from(playbook);
        self.documents.extend(documents.clone());
        self.by.clone_from(by);
        self.lost.clone_from(lost);
        self.off_limits.clone_from(off_limits);
        self.scratch.clone_from(scratch);
        self.rto_target_ms = *rto_target_ms;
        self.rpo_target_ms = *rpo_target_ms;
        self.assumed.clone_from(assumed);
        self.parallel = *parallel;
        for note in steps {
            self.step(&note.step).note = Some(note.clone());
        }
    }

    /// Each process of a run counts its own requests, and says so at its end.
    fn count(&mut self, by: &BTreeMap<String, u64>) {
        for (who, number) in by {
            let known = self.requests.entry(who.clone()).or_default();
            *known = known.saturating_add(*number);
        }
    }

    fn take_ledger(&mut self, event: &DrillEvent) {
        match event {
            DrillEvent::Intended {
                token,
                step,
                kind,
                name,
                ..
            } => {
                let entry = self.entry(token);
                entry.step.clone_from(step);
                entry.kind.clone_from(kind);
                entry.name.clone_from(name);
            }
            DrillEvent::Made { token, id, .. } => self.entry(token).id = Some(id.clone()),
            DrillEvent::Gone { token, .. } => {
                let entry = self.entry(token);
                entry.gone = true;
                entry.not_gone = None;
            }
            DrillEvent::NotGone { token, reason, .. } => {
                let entry = self.entry(token);
                entry.gone = false;
                entry.not_gone = Some(reason.clone());
            }
            _ => {}
        }
    }

    fn take_step(&mut self, event: &DrillEvent) {
        match event {
            DrillEvent::Control {
                step,
                proof,
                can_fail,
                detail,
            } => self.step(step).controls.push(ControlView {
                proof: proof.clone(),
                can_fail: *can_fail,
                detail: detail.clone(),
            }),
            DrillEvent::PhaseStarted {
                step,
                attempt,
                phase,
                at_ms,
            } => self.attempt(step, *attempt).phases.push(PhaseView {
                phase: *phase,
                start_ms: Some(*at_ms),
                end_ms: None,
                ended: None,
                bytes: 0,
                files: 0,
                detail: None,
            }),
            DrillEvent::PhaseEnded {
                step,
                attempt,
                phase,
                at_ms,
                ended,
                bytes,
                files,
                detail,
            } => {
                let phases = &mut self.attempt(step, *attempt).phases;
                let mut seen = PhaseView {
                    phase: *phase,
                    start_ms: None,
                    end_ms: Some(*at_ms),
                    ended: Some(*ended),
                    bytes: *bytes,
                    files: *files,
                    detail: detail.clone(),
                };
                let open = |p: &&mut PhaseView| p.phase == *phase && p.end_ms.is_none();
                match phases.iter_mut().rev().find(open) {
                    Some(open) => {
                        seen.start_ms = open.start_ms;
                        *open = seen;
                    }
                    None => phases.push(seen),
                }
            }
            DrillEvent::Picked {
                step,
                attempt,
                at_ms,
                point,
            } => {
                self.attempt(step, *attempt).picked = Some(PickedView {
                    at_ms: *at_ms,
                    point: point.clone(),
                });
            }
            DrillEvent::Proved {
                step,
                attempt,
                proof,
                kind,
                outcome,
                expected,
                read,
                at,
                at_ms,
            } => self.attempt(step, *attempt).proofs.push(ProofView {
                proof: proof.clone(),
                kind: kind.clone(),
                outcome: *outcome,
                expected: expected.clone(),
                read: read.clone(),
                at: at.clone(),
                at_ms: *at_ms,
            }),
            DrillEvent::Reached {
                step,
                attempt,
                milestone,
                detail,
                at_ms,
            } => self.attempt(step, *attempt).reached.push(ReachedView {
                milestone: *milestone,
                detail: detail.clone(),
                at_ms: *at_ms,
            }),
            DrillEvent::Substituted {
                step,
                wanted,
                taken,
                why,
            } => self.step(step).substituted.push(SubstituteView {
                wanted: wanted.clone(),
                taken: taken.clone(),
                why: why.clone(),
            }),
            DrillEvent::StepEnded {
                step,
                attempt,
                ended,
                reason,
                at_ms,
            } => {
                self.attempt(step, *attempt).ended = Some(StepEnding {
                    ended: *ended,
                    reason: reason.clone(),
                    at_ms: *at_ms,
                });
            }
            _ => {}
        }
    }

    /// The step of that name. One that no event announced is put at the end.
    fn step(&mut self, name: &str) -> &mut StepView {
        let next = self.steps.len();
        let at = *self.by_name.entry(name.to_owned()).or_insert(next);
        if at == next {
            self.steps.push(StepView {
                name: name.to_owned(),
                ..StepView::default()
            });
        }
        &mut self.steps[at]
    }

    fn attempt(&mut self, step: &str, number: u32) -> &mut AttemptView {
        let attempts = &mut self.step(step).attempts;
        let at = match attempts.binary_search_by_key(&number, |a| a.attempt) {
            Ok(at) => at,
            Err(at) => {
                attempts.insert(
                    at,
                    AttemptView {
                        attempt: number,
                        ..AttemptView::default()
                    },
                );
                at
            }
        };
        &mut attempts[at]
    }

    fn entry(&mut self, token: &str) -> &mut LedgerView {
        let next = self.ledger.len();
        let at = *self.by_token.entry(token.to_owned()).or_insert(next);
        if at == next {
            self.ledger.push(LedgerView {
                token: token.to_owned(),
                ..LedgerView::default()
            });
        }
        &mut self.ledger[at]
    }
}

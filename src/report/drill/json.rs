//! The JSON document of a drill.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::cloud::{Arrival, Data, requests_of};
use super::figures::{Standing, endpoints};
use super::{AttemptView, DrillView, StepView};
use crate::journal::{AssumedNote, PointNote};
use crate::model::drill::{DrillPhase, Ended, ProofOutcome, Verdict, VerdictWord};

/// What came of a drill. Times called `…_ms` are milliseconds on the drill's one monotonic clock.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Document {
    /// The format of this document; 1.
    pub format: u32,
    pub run: String,
    /// Runs of one name are one history.
    pub drill: String,
    pub title: String,
    /// Of the program that ran it.
    pub version: String,
    pub provider: String,
    pub playbook: String,
    pub by: String,
    /// RFC 3339.
    pub started: String,
    /// RFC 3339. Missing: it did not come to its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<u8>,
    /// Why it stopped early, if it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stopped: Option<String>,
    pub lost: String,
    pub scratch: String,
    pub off_limits: Vec<String>,
    /// RFC 3339: what RPO is reckoned from. Missing: the clock never started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disaster: Option<String>,
    /// When the clock stopped. Missing: it never did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stopped_ms: Option<u64>,
    /// The verdict that counts: inconclusive where the run did not come to its end.
    pub verdict: Verdict,
    pub assumed: Vec<AssumedNote>,
    pub steps: Vec<Step>,
    pub preflight: Vec<Check>,
    /// What was there beforehand.
    pub preexisting: Vec<String>,
    pub guard: Guard,
    pub ledger: Vec<LedgerEntry>,
    /// Of a drill in a cloud: who asked it how often, retries among it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub requests: BTreeMap<String, u64>,
    /// What is left. Missing: nobody looked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub left: Option<Vec<String>>,
    pub resumed: Vec<Resumed>,
    pub doubts: Vec<Doubt>,
    pub notified: Vec<Notified>,
    pub notes: Vec<String>,
    /// Path → SHA-256 of each document that was read.
    pub documents: BTreeMap<String, String>,
    pub journal: Journal,
}

/// One step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Step {
    pub step: String,
    pub needs: Vec<String>,
    /// `restore`, `recovery-point` or `start`; empty where no event says it.
    pub kind: String,
    pub what: String,
    /// Missing: it was not judged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verdict: Option<VerdictWord>,
    pub reasons: Vec<String>,
    /// It ended well, and each of its proofs passed.
    pub recovered: bool,
    /// Of the last attempt.
    pub bytes: u64,
    pub files: u64,
    /// Of a thing in a cloud: when the service said that it was there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub available_ms: Option<u64>,
    /// Of a thing in a cloud: when each of its proofs had passed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub works_ms: Option<u64>,
    /// Of a thing in a cloud: when all of its data had come, where anybody says it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub initialised_ms: Option<u64>,
    /// Not all of its data had come when the drill ended: how far. What was measured is of a cold
    /// thing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cold: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub substituted: Vec<Substituted>,
    /// How often a cloud was asked for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requests: Option<u64>,
    /// The proofs of the last attempt, in the playbook's order.
    pub proofs: Vec<Proof>,
    /// All of them; the last one counts.
    pub attempts: Vec<Attempt>,
}

/// What was taken in the place of what was wanted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Substituted {
    pub wanted: String,
    pub taken: String,
    pub why: String,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Proof {
    pub proof: String,
    /// Missing: it was never tried.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<ProofOutcome>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub read: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<String>,
    /// Whether it failed on nothing, as it must. Missing: that was not tried.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fails_on_nothing: Option<bool>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Attempt {
    pub attempt: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub point: Option<PointNote>,
    pub phases: Vec<Phase>,
    /// Missing: it did not come to its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<Ended>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_ms: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Phase {
    pub phase: DrillPhase,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_ms: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end_ms: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<Ended>,
    pub bytes: u64,
    pub files: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Check {
    pub check: String,
    pub met: bool,
    pub detail: String,
}

/// What was touched, what was refused, and what that proves.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Guard {
    pub used: Vec<Used>,
    pub refused: Vec<Refused>,
    pub enforced: Vec<String>,
    pub not_enforced: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Used {
    pub endpoint: String,
    pub by: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Refused {
    pub what: String,
    pub by: String,
    pub at_ms: u64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct LedgerEntry {
    pub kind: String,
    pub name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<String>,
    /// Missing: whether it was made is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// It was seen to be gone.
    pub gone: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_gone: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Resumed {
    pub at_ms: u64,
    /// `false`: the clock is lost.
    pub same_boot: bool,
    pub by: String,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Doubt {
    /// Missing: the whole drill.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<String>,
    pub reason: String,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Notified {
    pub whom: String,
    pub well: bool,
    pub detail: String,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Journal {
    pub lines: u64,
    /// SHA-256 of the last line; empty while the drill runs.
    pub last: String,
    /// The last line was torn: the controller died while it wrote.
    pub torn: bool,
}

/// The document of a drill.
pub fn document(view: &DrillView) -> Document {
    let verdict = view.verdict();
    let ending = view.ended.as_ref();
    Document {
        format: 1,
        run: view.run.clone(),
        drill: view.drill.clone(),
        title: view.title.clone(),
        version: view.version.clone(),
        provider: view.provider.clone(),
        playbook: view.playbook.clone(),
        by: view.by.clone(),
        started: view.started.clone(),
        ended: ending.map(|e| e.time.clone()),
        exit_code: ending.map(|e| e.code),
        stopped: ending.and_then(|e| e.stopped.clone()),
        lost: view.lost.clone(),
        scratch: view.scratch.clone(),
        off_limits: view.off_limits.clone(),
        disaster: view.clock.as_ref().map(|c| c.disaster.clone()),
        stopped_ms: view.stopped_ms,
        assumed: view.assumed.clone(),
        steps: view.steps.iter().map(|s| step(view, &verdict, s)).collect(),
        verdict,
        preflight: view
            .preflight
            .iter()
            .map(|c| Check {
                check: c.check.clone(),
                met: c.met,
                detail: c.detail.clone(),
            })
            .collect(),
        preexisting: view.preexisting.clone(),
        guard: guard(view),
        ledger: view
            .ledger
            .iter()
            .map(|e| LedgerEntry {
                kind: e.kind.clone(),
                name: e.name.clone(),
                step: e.step.clone(),
                id: e.id.clone(),
                gone: e.gone,
                not_gone: e.not_gone.clone(),
            })
            .collect(),
        requests: view.requests.clone(),
        left: view.left.clone(),
        resumed: view
            .resumed
            .iter()
            .map(|r| Resumed {
                at_ms: r.at_ms,
                same_boot: r.same_boot,
                by: r.by.clone(),
            })
            .collect(),
        doubts: view
            .doubts
            .iter()
            .map(|(step, reason)| Doubt {
                step: step.clone(),
                reason: reason.clone(),
            })
            .collect(),
        notified: view
            .notified
            .iter()
            .map(|(whom, well, detail)| Notified {
                whom: whom.clone(),
                well: *well,
                detail: detail.clone(),
            })
            .collect(),
        notes: view.notes.clone(),
        documents: view.documents.clone(),
        journal: Journal {
            lines: view.lines,
            last: view.last_hash.clone(),
            torn: view.torn.is_some(),
        },
    }
}

/// The document as text, with a newline at its end.
pub fn text(view: &DrillView) -> Result<String, serde_json::Error> {
    serde_json::to_string_pretty(&document(view)).map(|text| text + "\n")
}

/// The JSON Schema of the document.
pub fn schema() -> serde_json::Value {
    schemars::schema_for!(Document).to_value()
}

fn guard(view: &DrillView) -> Guard {
    Guard {
        used: endpoints(view)
            .into_iter()
            .map(|(endpoint, by)| Used {
                endpoint: endpoint.to_owned(),
                by: by.into_iter().map(str::to_owned).collect(),
            })
            .collect(),
        refused: view
            .refused
            .iter()
            .map(|r| Refused {
                what: r.what.clone(),
                by: r.by.clone(),
                at_ms: r.at_ms,
            })
            .collect(),
        enforced: view.enforced.clone(),
        not_enforced: view.not_enforced.clone(),
    }
}

fn step(view: &DrillView, verdict: &Verdict, step: &StepView) -> Step {
    let arrival = Arrival::of(step).unwrap_or_default();
    let standing = Standing::of(verdict, step);
    let note = step.note.as_ref();
    let proofs = step.proofs().into_iter().map(|(proof, said)| Proof {
        proof: proof.to_owned(),
        outcome: said.map(|p| p.outcome),
        kind: said.map(|p| p.kind.clone()),
        expected: said.map(|p| p.expected.clone()),
        read: said.map(|p| p.read.clone()),
        at: said.map(|p| p.at.clone()),
        fails_on_nothing: step.control(proof).map(|c| c.can_fail),
    });
    Step {
        step: step.name.clone(),
        needs: note.map(|n| n.needs.clone()).unwrap_or_default(),
        kind: note.map(|n| n.kind.clone()).unwrap_or_default(),
        what: note.map(|n| n.what.clone()).unwrap_or_default(),
        verdict: standing.verdict,
        reasons: standing.reasons,
        recovered: step.recovered(),
        bytes: standing.bytes,
        files: standing.files,
        available_ms: arrival.available_ms,
        works_ms: arrival.works_ms,
        initialised_ms: match arrival.data {
            Data::Whole(at) => Some(at),
            _ => None,
        },
        cold: match arrival.data {
            Data::Cold(far) => Some(far),
            _ => None,
        },
        substituted: (step.substituted.iter())
            .map(|s| Substituted {
                wanted: s.wanted.clone(),
                taken: s.taken.clone(),
                why: s.why.clone(),
            })
            .collect(),
        requests: requests_of(view, &step.name),
        proofs: proofs.collect(),
        attempts: step.attempts.iter().map(attempt).collect(),
    }
}

fn attempt(attempt: &AttemptView) -> Attempt {
    let ending = attempt.ended.as_ref();
    Attempt {
        attempt: attempt.attempt,
        point: attempt.picked.as_ref().map(|p| p.point.clone()),
        phases: attempt
            .phases
            .iter()
            .map(|p| Phase {
                phase: p.phase,
                start_ms: p.start_ms,
                end_ms: p.end_ms,
                ended: p.ended,
                bytes: p.bytes,
                files: p.files,
                detail: p.detail.clone(),
            })
            .collect(),
        ended: ending.map(|e| e.ended),
        ended_ms: ending.map(|e| e.at_ms),
        reason: ending.and_then(|e| e.reason.clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::drill::fixture;

    #[test]
    fn one_step_as_a_document() {
        insta::assert_json_snapshot!(document(&fixture::fold(&fixture::one())));
    }

    #[test]
    fn the_document_comes_back_as_it_went() {
        for events in [
            fixture::met(),
            fixture::missed(),
            fixture::aborted(),
            fixture::cloud(),
            fixture::hostile(20),
        ] {
            let view = fixture::fold(&events);
            let text = text(&view).unwrap();
            assert!(!text.contains('\u{1b}'));
            let back: Document = serde_json::from_str(&text).unwrap();
            assert_eq!(back, document(&view));
        }
    }

    #[test]
    fn the_schema_names_each_field_of_the_document() {
        let schema = schema();
        let value = serde_json::to_value(document(&fixture::fold(&fixture::cloud()))).unwrap();
        for name in value.as_object().unwrap().keys() {
            assert!(schema["properties"].get(name).is_some(), "{name}");
        }
        assert!(schema["$defs"].get("Verdict").is_some());
    }

    #[test]
    fn a_thing_in_a_cloud_has_three_times() {
        let value = serde_json::to_value(document(&fixture::fold(&fixture::cloud()))).unwrap();
        let steps = &value["steps"];
        assert_eq!(steps[0]["cold"], "43 % fetched");
        assert!(steps[0].get("initialised_ms").is_none());
        assert!(steps[1]["available_ms"].as_u64() < steps[1]["works_ms"].as_u64());
        assert!(steps[1]["works_ms"].as_u64() < steps[1]["initialised_ms"].as_u64());
        assert_eq!(steps[3]["substituted"][0]["taken"], "m6g.large");
        assert_eq!(value["requests"]["step db"], 61);
    }

    /// What is missing is missing, and not `null` or a zero that could be taken for a figure.
    #[test]
    fn what_was_not_measured_is_not_there() {
        let value = serde_json::to_value(document(&fixture::fold(&fixture::aborted()))).unwrap();
        for missing in ["ended", "exit_code", "stopped_ms", "left"] {
            assert!(value.get(missing).is_none(), "{missing}");
        }
        assert_eq!(value["verdict"]["word"], "inconclusive");
        assert!(value["verdict"]["rto"].get("measured_ms").is_none());
        assert!(value["steps"][3]["proofs"][0].get("outcome").is_none());
    }
}

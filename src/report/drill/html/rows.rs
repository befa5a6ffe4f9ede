//! The rows of the page's tables.

use serde::Serialize;

use super::super::cloud::{Arrival, Data, cold, requests_of};
use super::super::figures::{Standing, earlier_attempts, levers, path_steps};
use super::super::words::{
    bytes, files, instant, number, outcome_word, percent, phase_word, rate, share, short_span, span,
};
use super::super::{DrillView, StepView};
use super::page::{name, prose};
use super::scale::at;
use crate::model::drill::{DrillPhase, Measure, ProofOutcome, Verdict, VerdictWord};

/// Rows of one table at most.
pub const ROWS: usize = 1000;

#[derive(Debug, Serialize)]
pub struct StepRow {
    name: String,
    what: String,
    needs: String,
    word: &'static str,
    key: &'static str,
    end: String,
    rto: Option<String>,
    rto_key: &'static str,
    age: String,
    rpo: Option<String>,
    rpo_key: &'static str,
    restored: String,
    rate: Option<String>,
    phases: Vec<String>,
    /// How cold it is.
    cold: Option<String>,
    trouble: Vec<String>,
}

pub fn step_rows(view: &DrillView, verdict: &Verdict) -> Vec<StepRow> {
    let steps = view.steps.iter().take(ROWS);
    steps.map(|step| step_row(verdict, step)).collect()
}

fn step_row(verdict: &Verdict, step: &StepView) -> StepRow {
    let standing = Standing::of(verdict, step);
    let note = step.note.as_ref();
    let target = |measure: &Measure| measure.target_ms.map(|t| format!("of {}", short_span(t)));
    let last = step.last();
    let mut trouble = earlier_attempts(step);
    trouble.truncate(6);
    if standing.verdict != Some(VerdictWord::Met) {
        trouble.extend(standing.reasons.iter().take(6).cloned());
    }
    StepRow {
        name: name(&step.name),
        what: note.map(|n| prose(&n.what)).unwrap_or_default(),
        needs: note
            .map(|n| n.needs.iter().take(20).map(|need| name(need)).collect())
            .map(|needs: Vec<String>| needs.join(", "))
            .unwrap_or_default(),
        word: standing.word,
        key: standing.key(),
        end: standing.end_ms.map_or_else(|| "–".into(), span),
        rto: target(&standing.rto),
        rto_key: over(&standing.rto),
        age: standing.rpo.measured_ms.map_or_else(|| "–".into(), span),
        rpo: target(&standing.rpo),
        rpo_key: over(&standing.rpo),
        restored: match (standing.bytes, standing.files) {
            (0, 0) => "–".into(),
            (b, f) => format!("{}, {}", bytes(b), files(f)),
        },
        rate: last.and_then(|attempt| {
            let ms = attempt.spent_ms(DrillPhase::Restore);
            rate(standing.bytes, ms)
        }),
        phases: last
            .map(|attempt| {
                let phases = attempt.phases.iter().take(40);
                phases
                    .filter(|p| p.millis() > 0 || p.detail.is_some())
                    .map(|p| {
                        let detail = p.detail.as_deref().map(|d| format!(" ({})", prose(d)));
                        let word = phase_word(p.phase);
                        format!("{word} {}{}", span(p.millis()), detail.unwrap_or_default())
                    })
                    .collect()
            })
            .unwrap_or_default(),
        cold: match Arrival::of(step).map(|arrival| arrival.data) {
            Some(Data::Cold(far)) => Some(name(&cold(&far))),
            _ => None,
        },
        trouble: trouble.iter().map(|t| prose(t)).collect(),
    }
}

fn over(measure: &Measure) -> &'static str {
    match (measure.measured_ms, measure.target_ms) {
        (Some(ms), Some(target)) if ms > target => "bad",
        _ => "quiet",
    }
}

/// How far a thing in a cloud has come.
#[derive(Debug, Serialize)]
pub struct ArrivalRow {
    step: String,
    available: String,
    works: String,
    data: String,
    is_cold: bool,
    requests: String,
    substituted: Vec<String>,
}

pub fn arrival_rows(view: &DrillView) -> Vec<ArrivalRow> {
    let rows = view.steps.iter().filter_map(|step| {
        let arrival = Arrival::of(step);
        let requests = requests_of(view, &step.name);
        if arrival.is_none() && step.substituted.is_empty() && requests.is_none() {
            return None;
        }
        let arrival = arrival.unwrap_or_default();
        let time = |at: Option<u64>| at.map_or_else(|| "–".into(), span);
        Some(ArrivalRow {
            step: name(&step.name),
            available: time(arrival.available_ms),
            works: time(arrival.works_ms),
            is_cold: matches!(arrival.data, Data::Cold(_)),
            data: match &arrival.data {
                Data::Whole(at) => span(*at),
                Data::Cold(far) => name(&cold(far)),
                Data::Unsaid => "–".into(),
            },
            requests: requests.map_or_else(|| "–".into(), number),
            substituted: (step.substituted.iter().take(10))
                .map(|s| {
                    let (taken, wanted) = (name(&s.taken), name(&s.wanted));
                    format!("{taken} for {wanted}: {}", prose(&s.why))
                })
                .collect(),
        })
    });
    rows.take(ROWS).collect()
}

#[derive(Debug, Serialize)]
pub struct ProofRow {
    /// Empty where it is that of the row before.
    step: String,
    proof: String,
    kind: String,
    word: &'static str,
    key: &'static str,
    expected: String,
    read: String,
    at: String,
    /// Whether it fails on nothing.
    control: &'static str,
    control_key: &'static str,
    control_detail: String,
}

pub fn proof_rows(view: &DrillView) -> Vec<ProofRow> {
    let mut rows: Vec<ProofRow> = Vec::new();
    for step in &view.steps {
        for (number, (proof, said)) in step.proofs().into_iter().enumerate() {
            if rows.len() >= ROWS {
                return rows;
            }
            let control = step.control(proof);
            let (word, key) = match said.map(|p| p.outcome) {
                Some(ProofOutcome::Pass) => (outcome_word(ProofOutcome::Pass), "good"),
                Some(ProofOutcome::Fail) => (outcome_word(ProofOutcome::Fail), "bad"),
                Some(ProofOutcome::Unknown) => (outcome_word(ProofOutcome::Unknown), "warn"),
                None => ("not tried", "warn"),
            };
            rows.push(ProofRow {
                step: match number {
                    0 => name(&step.name),
                    _ => String::new(),
                },
                proof: name(proof),
                kind: said.map(|p| name(&p.kind)).unwrap_or_default(),
                word,
                key,
                expected: said.map(|p| prose(&p.expected)).unwrap_or_default(),
                read: said.map(|p| prose(&p.read)).unwrap_or_default(),
                at: said.map(|p| prose(&p.at)).unwrap_or_default(),
                control: match control {
                    Some(c) if c.can_fail => "yes",
                    Some(_) => "PROVES NOTHING",
                    None => "not tried",
                },
                control_key: match control {
                    Some(c) if c.can_fail => "good",
                    Some(_) => "bad",
                    None => "warn",
                },
                control_detail: control.map(|c| prose(&c.detail)).unwrap_or_default(),
            });
        }
    }
    rows
}

#[derive(Debug, Serialize)]
pub struct PointRow {
    step: String,
    name: String,
    place: String,
    sha256: String,
    data: String,
    age: Option<String>,
    copy: String,
    size: String,
    whole: Option<String>,
    whole_key: &'static str,
    signed: bool,
    /// What is said where it is not signed.
    unsigned: &'static str,
    unsigned_key: &'static str,
    how: String,
}

pub fn point_rows(view: &DrillView) -> Vec<PointRow> {
    let disaster = view.clock.as_ref().map(|c| c.disaster.as_str());
    let mut rows = Vec::new();
    for step in &view.steps {
        let Some(attempt) = step.last() else { continue };
        let Some(point) = attempt.picked.as_ref().map(|p| &p.point) else {
            continue;
        };
        if rows.len() >= ROWS {
            break;
        }
        let time = |time: &Option<String>| match time {
            Some(time) => instant(time),
            None => "nobody says".into(),
        };
        let restored = attempt.restored().0;
        let wants = step.note.as_ref().is_none_or(|n| n.wants_signature());
        let ago = |time: &String| super::super::words::between(time, disaster?);
        rows.push(PointRow {
            step: name(&step.name),
            name: prose(&point.name),
            place: format!("{}, {}", name(&point.store), name(&point.place)),
            sha256: point.sha256.as_deref().map(name).unwrap_or_default(),
            data: time(&point.data_time),
            age: point
                .data_time
                .as_ref()
                .and_then(ago)
                .map(|ms| format!("{} before the disaster", span(ms))),
            copy: time(&point.copy_time),
            size: bytes(point.size),
            whole: point
                .bytes
                .filter(|claimed| *claimed > 0)
                .map(|claimed| match restored {
                    r if r == claimed => "all of it restored".into(),
                    r => format!(
                        "{} of {} restored ({} %)",
                        bytes(r),
                        bytes(claimed),
                        percent(r, claimed)
                    ),
                }),
            whole_key: match point.bytes {
                Some(claimed) if claimed != restored => "bad",
                _ => "quiet",
            },
            signed: point.signed,
            unsigned: match wants {
                true => "not signed",
                false => "as the vault says",
            },
            unsigned_key: if wants { "warn" } else { "idle" },
            how: prose(&point.how),
        });
    }
    rows
}

#[derive(Debug, Serialize)]
pub struct PathRow {
    step: String,
    millis: String,
    percent: u64,
    phases: Vec<String>,
    x: String,
    width: String,
}

pub fn path_rows(verdict: &Verdict) -> Vec<PathRow> {
    let path = path_steps(verdict);
    let all = path.iter().map(|p| p.millis).fold(0, u64::saturating_add);
    let mut before = 0_u64;
    let rows = path.iter().take(ROWS).map(|part| {
        let x = share(before, all);
        before = before.saturating_add(part.millis);
        PathRow {
            step: name(&part.step),
            millis: span(part.millis),
            percent: percent(part.millis, all),
            phases: part
                .phases
                .iter()
                .filter(|(_, ms)| *ms >= 100 && percent(ms.saturating_mul(2), all) > 0)
                .map(|(phase, ms)| format!("{} {}", phase.map_or("gap", phase_word), span(*ms)))
                .collect(),
            x: at(x),
            width: at(share(part.millis, all).min(100.0 - x)),
        }
    });
    rows.collect()
}

#[derive(Debug, Serialize)]
pub struct LeverRow {
    step: String,
    rto: String,
    gain: String,
    width: String,
    /// Where the RTO stands now, on the same scale.
    meets: bool,
}

pub fn lever_rows(verdict: &Verdict) -> Vec<LeverRow> {
    let rto = verdict.rto.measured_ms.unwrap_or(0);
    let target = verdict.rto.target_ms;
    levers(verdict)
        .iter()
        .take(8)
        .map(|lever| LeverRow {
            step: name(&lever.step),
            rto: span(lever.rto_ms),
            gain: span(lever.gain_ms),
            width: at(share(lever.rto_ms, rto)),
            meets: target.is_some_and(|t| rto > t && lever.rto_ms <= t),
        })
        .collect()
}

#[derive(Debug, Serialize)]
pub struct LedgerRow {
    kind: String,
    name: String,
    id: String,
    step: String,
    word: &'static str,
    key: &'static str,
    why: String,
}

/// What is not known to be gone first.
pub fn ledger_rows(view: &DrillView) -> Vec<LedgerRow> {
    let mut entries: Vec<_> = view.ledger.iter().collect();
    entries.sort_by_key(|e| e.gone);
    let rows = entries.into_iter().take(ROWS).map(|entry| LedgerRow {
        kind: name(&entry.kind),
        name: prose(&entry.name),
        id: entry.id.as_deref().map(prose).unwrap_or_default(),
        step: entry.step.as_deref().map(name).unwrap_or_default(),
        word: match (entry.gone, &entry.not_gone, &entry.id) {
            (true, ..) => "gone",
            (false, Some(_), _) => "NOT GONE",
            (false, None, Some(_)) => "not seen to be gone",
            (false, None, None) => "perhaps never made",
        },
        key: match (entry.gone, &entry.not_gone) {
            (true, _) => "good",
            (false, Some(_)) => "bad",
            (false, None) => "warn",
        },
        why: entry.not_gone.as_deref().map(prose).unwrap_or_default(),
    });
    rows.collect()
}

/// `184,235 files`, or nothing.
pub fn count_of(files: u64) -> String {
    match files {
        0 => String::new(),
        n => format!("{} file{}", number(n), if n == 1 { "" } else { "s" }),
    }
}

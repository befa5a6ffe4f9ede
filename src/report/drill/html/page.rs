//! What the page says, ready to be set: texts cleaned and bounded, numbers in words.

use serde::Serialize;

use super::super::cloud::requests;
use super::super::figures::{LedgerCounts, Standing, endpoints, measured_part, run_for_commands};
use super::super::words::{bytes, day_and_time, instant, more, number, share, short_span, span};
use super::super::{DrillView, TrendPoint};
use super::chart::{Trend, trend};
use super::gantt::{Gantt, gantt};
use super::rows::{
    ArrivalRow, LedgerRow, LeverRow, PathRow, PointRow, ProofRow, ROWS, StepRow, arrival_rows,
    count_of, ledger_rows, lever_rows, path_rows, point_rows, proof_rows, step_rows,
};
use super::scale::at;
use crate::model::drill::{Measure, Verdict, VerdictWord};
use crate::report::words::count;
use crate::shell::clean;

#[derive(Debug, Serialize)]
pub struct Whole {
    #[serde(flatten)]
    pub page: Page,
    pub style: String,
}

#[derive(Debug, Serialize)]
pub struct Page {
    title: String,
    drill: String,
    run: String,
    /// Fit to stand in a command.
    command_run: String,
    when: String,
    took: String,
    by: String,
    playbook: String,
    provider: String,
    version: String,
    maker: &'static str,
    code: String,
    lost: String,
    scratch: String,
    disaster: String,
    verdict: Banner,
    cards: Vec<Card>,
    tiles: Vec<Tile>,
    gantt: Option<Gantt>,
    path: Vec<PathRow>,
    path_total: String,
    levers: Vec<LeverRow>,
    trend: Option<Trend>,
    steps: Vec<StepRow>,
    steps_more: Option<String>,
    arrivals: Vec<ArrivalRow>,
    requests: Option<String>,
    proofs: Vec<ProofRow>,
    proofs_more: Option<String>,
    points: Vec<PointRow>,
    assumed: Vec<AssumedRow>,
    assumed_total: String,
    preexisting: Vec<String>,
    enforced: Vec<String>,
    not_enforced: Vec<String>,
    off_limits: Vec<String>,
    used: Vec<Used>,
    refused: Vec<Refused>,
    left: Option<Vec<String>>,
    counts: Counts,
    ledger: Vec<LedgerRow>,
    preflight: Vec<Check>,
    notes: Vec<String>,
    documents: Vec<Item>,
    journal: JournalEnd,
}

#[derive(Debug, Serialize)]
struct Banner {
    kind: &'static str,
    headline: &'static str,
    detail: String,
    reasons: Vec<String>,
    more: Option<String>,
}

/// RTO or RPO.
#[derive(Debug, Serialize)]
struct Card {
    title: &'static str,
    what: &'static str,
    figure: String,
    of: String,
    /// How far below or over the target.
    note: String,
    key: &'static str,
    bar: Option<CardBar>,
    lines: Vec<CardLine>,
}

#[derive(Debug, Serialize)]
struct CardBar {
    assumed: String,
    x: String,
    measured: String,
    target: Option<String>,
    target_words: String,
    target_left: bool,
}

#[derive(Debug, Serialize)]
struct CardLine {
    /// The class of the dot before it.
    dot: &'static str,
    figure: String,
    words: String,
}

#[derive(Debug, Serialize)]
struct Tile {
    key: &'static str,
    figure: String,
    words: String,
}

#[derive(Debug, Serialize)]
struct AssumedRow {
    what: String,
    takes: String,
    why: String,
}

#[derive(Debug, Serialize)]
struct Used {
    endpoint: String,
    by: String,
}

#[derive(Debug, Serialize)]
struct Refused {
    what: String,
    by: String,
    at: String,
}

#[derive(Debug, Serialize)]
struct Counts {
    intended: String,
    made: String,
    gone: String,
}

#[derive(Debug, Serialize)]
struct Check {
    check: String,
    met: bool,
    detail: String,
}

#[derive(Debug, Serialize)]
struct Item {
    name: String,
    sha256: String,
}

#[derive(Debug, Serialize)]
struct JournalEnd {
    lines: u64,
    last: String,
    torn: Option<String>,
}

/// A short text: a name, an id.
pub fn name(text: &str) -> String {
    clean(text, 120)
}

/// A sentence or two.
pub fn prose(text: &str) -> String {
    clean(text, 1000)
}

fn all(texts: &[String]) -> Vec<String> {
    texts.iter().take(ROWS).map(|text| prose(text)).collect()
}

impl Page {
    pub fn of(view: &DrillView, points: &[TrendPoint]) -> Self {
        let verdict = view.verdict();
        let ending = view.ended.as_ref();
        let title = match view.title.is_empty() {
            true => &view.drill,
            false => &view.title,
        };
        let proofs: usize = view.steps.iter().map(|s| s.proofs().len()).sum();
        let counts = LedgerCounts::of(view);
        let clock = view.clock.as_ref();
        Page {
            title: name(title),
            drill: name(&view.drill),
            run: name(&view.run),
            command_run: run_for_commands(view).unwrap_or("RUN").to_owned(),
            when: day_and_time(&view.started),
            took: ending.map_or("it did not end".into(), |e| span(e.millis)),
            by: name(&view.by),
            playbook: name(&view.playbook),
            provider: name(&view.provider),
            version: name(&view.version),
            maker: env!("CARGO_PKG_VERSION"),
            code: ending.map_or("none: it did not end".into(), |e| e.code.to_string()),
            lost: name(&view.lost),
            scratch: name(&view.scratch),
            disaster: clock.map_or("the clock never started".into(), |c| instant(&c.disaster)),
            cards: vec![rto_card(view, &verdict), rpo_card(view, &verdict)],
            tiles: tiles(view),
            gantt: gantt(view, &verdict),
            path: path_rows(&verdict),
            path_total: view.stopped_ms.map(span).unwrap_or_default(),
            levers: lever_rows(&verdict),
            trend: trend(view, points),
            steps: step_rows(view, &verdict),
            steps_more: more(view.steps.len(), ROWS),
            arrivals: arrival_rows(view),
            requests: requests(view).map(|text| prose(&text)),
            proofs: proof_rows(view),
            proofs_more: more(proofs, ROWS),
            points: point_rows(view),
            assumed: view
                .assumed
                .iter()
                .take(ROWS)
                .map(|assumed| AssumedRow {
                    what: name(&assumed.what),
                    takes: short_span(assumed.ms),
                    why: prose(&assumed.why),
                })
                .collect(),
            assumed_total: short_span(verdict.assumed_ms),
            preexisting: all(&view.preexisting),
            enforced: all(&view.enforced),
            not_enforced: all(&view.not_enforced),
            off_limits: all(&view.off_limits),
            used: endpoints(view)
                .into_iter()
                .take(ROWS)
                .map(|(endpoint, by)| Used {
                    endpoint: prose(endpoint),
                    by: names(&by),
                })
                .collect(),
            refused: view
                .refused
                .iter()
                .take(ROWS)
                .map(|refused| Refused {
                    what: prose(&refused.what),
                    by: name(&refused.by),
                    at: span(refused.at_ms),
                })
                .collect(),
            left: view.left.as_deref().map(all),
            counts: Counts {
                intended: number(counts.intended as u64),
                made: number(counts.made as u64),
                gone: number(counts.gone as u64),
            },
            ledger: ledger_rows(view),
            preflight: view
                .preflight
                .iter()
                .take(ROWS)
                .map(|check| Check {
                    check: name(&check.check),
                    met: check.met,
                    detail: prose(&check.detail),
                })
                .collect(),
            notes: notes(view),
            documents: view
                .documents
                .iter()
                .take(ROWS)
                .map(|(path, sha256)| Item {
                    name: name(path),
                    sha256: name(sha256),
                })
                .collect(),
            journal: JournalEnd {
                lines: view.lines,
                last: name(&view.last_hash),
                torn: view.torn.as_ref().map(|torn| {
                    format!(
                        "Line {} of the journal is not whole: the controller died while it wrote. What stands before it holds.",
                        torn.line
                    )
                }),
            },
            verdict: banner(view, &verdict),
        }
    }
}

fn names(names: &[&str]) -> String {
    let shown: Vec<String> = names.iter().take(20).map(|n| name(n)).collect();
    match more(names.len(), 20) {
        Some(more) => format!("{} {more}", shown.join(", ")),
        None => shown.join(", "),
    }
}

fn banner(view: &DrillView, verdict: &Verdict) -> Banner {
    const REASONS: usize = 16;
    let (kind, headline, detail) = match verdict.word {
        VerdictWord::Met => (
            "good",
            "Objectives met",
            match view.steps.len() {
                1 => "The one step recovered and was proved, in time, and nothing is left behind."
                    .into(),
                n => format!(
                    "Each of the {n} steps recovered and was proved, in time, and nothing is left behind."
                ),
            },
        ),
        VerdictWord::Missed => ("bad", "Objectives missed", String::new()),
        VerdictWord::Inconclusive => (
            "warn",
            "Inconclusive",
            "It is not known whether the objectives would be met, and so they count as not met."
                .into(),
        ),
    };
    let mut reasons: Vec<String> = verdict.reasons.iter().map(|r| prose(r)).collect();
    let stopped = view.ended.as_ref().and_then(|e| e.stopped.as_deref());
    if let Some(stopped) = stopped.filter(|s| !reasons.iter().any(|r| r.contains(*s))) {
        reasons.push(format!("stopped early: {}", prose(stopped)));
    }
    let said = reasons.len();
    reasons.truncate(REASONS);
    Banner {
        kind,
        headline,
        detail,
        reasons,
        more: more(said, REASONS),
    }
}

/// How a figure stands to its target: in words, and its class.
fn compare(measure: &Measure) -> (String, &'static str) {
    match (measure.measured_ms, measure.target_ms) {
        (Some(ms), Some(target)) if ms > target => (format!("{} over", span(ms - target)), "bad"),
        (Some(ms), Some(target)) => (format!("{} to spare", span(target - ms)), "good"),
        (None, Some(_)) => ("not measured".into(), "warn"),
        (_, None) => ("nothing to compare with".into(), "warn"),
    }
}

fn of_target(measure: &Measure) -> String {
    match measure.target_ms {
        Some(target) => format!("of {}", short_span(target)),
        None => "no objective".into(),
    }
}

/// A bar of what is assumed and what was measured, and the target's line.
fn card_bar(measure: &Measure, assumed: u64, measured: u64) -> Option<CardBar> {
    let whole = assumed.saturating_add(measured);
    let top = whole.max(measure.target_ms.unwrap_or(0));
    let top = top.saturating_add(top / 25);
    if top == 0 {
        return None;
    }
    let assumed = share(assumed, top);
    Some(CardBar {
        assumed: at(assumed),
        x: at(assumed),
        measured: at(match measured {
            0 => 0.0,
            ms => share(ms, top).max(0.6).min(100.0 - assumed),
        }),
        target: measure.target_ms.map(|t| at(share(t, top))),
        target_words: measure
            .target_ms
            .map(|t| format!("objective {}", short_span(t)))
            .unwrap_or_default(),
        target_left: measure.target_ms.is_some_and(|t| share(t, top) > 50.0),
    })
}

fn rto_card(view: &DrillView, verdict: &Verdict) -> Card {
    let (note, key) = compare(&verdict.rto);
    let measured = measured_part(verdict).or(view.stopped_ms);
    let mut lines = vec![CardLine {
        dot: "measured",
        figure: measured.map_or_else(|| "not".into(), span),
        words: match (verdict.rto.measured_ms, measured) {
            (None, Some(_)) => "measured, without recovering",
            _ => "measured",
        }
        .into(),
    }];
    lines.push(CardLine {
        dot: "assumed",
        figure: match verdict.assumed_ms {
            0 => "nothing".into(),
            ms => short_span(ms),
        },
        words: "assumed".into(),
    });
    Card {
        title: "Recovery time",
        what: "RTO: from the disaster to the last proof",
        figure: verdict
            .rto
            .measured_ms
            .map_or_else(|| "unknown".into(), span),
        of: of_target(&verdict.rto),
        note,
        key,
        bar: card_bar(&verdict.rto, verdict.assumed_ms, measured.unwrap_or(0)),
        lines,
    }
}

fn rpo_card(view: &DrillView, verdict: &Verdict) -> Card {
    let (note, key) = compare(&verdict.rpo);
    let step = verdict.rpo.step.as_deref();
    let point = step
        .and_then(|step| view.steps.iter().find(|s| s.name == step))
        .and_then(|s| s.last())
        .and_then(|a| a.picked.as_ref())
        .and_then(|p| p.point.data_time.as_deref());
    let mut words = match step {
        Some(step) => format!("the oldest data is that of {}", name(step)),
        None => "the oldest data of all steps".into(),
    };
    if let Some(time) = point {
        words = format!("{words}: {}", instant(time));
    }
    Card {
        title: "Lost data",
        what: "RPO: from the oldest data to the disaster",
        figure: verdict
            .rpo
            .measured_ms
            .map_or_else(|| "unknown".into(), span),
        of: of_target(&verdict.rpo),
        note,
        key,
        bar: card_bar(&verdict.rpo, 0, verdict.rpo.measured_ms.unwrap_or(0)),
        lines: vec![CardLine {
            dot: "measured",
            figure: String::new(),
            words,
        }],
    }
}

fn tiles(view: &DrillView) -> Vec<Tile> {
    let verdict = view.verdict();
    let standings: Vec<Standing> = view
        .steps
        .iter()
        .map(|step| Standing::of(&verdict, step))
        .collect();
    let recovered = view.steps.iter().filter(|s| s.recovered()).count();
    let passed: usize = standings.iter().map(|s| s.passed).sum();
    let proofs: usize = standings.iter().map(|s| s.proofs).sum();
    let (restored, files) = view.restored();
    let all = |part: usize, whole: usize| {
        if part == whole && whole > 0 {
            "good"
        } else {
            "bad"
        }
    };
    let void = view
        .steps
        .iter()
        .flat_map(|s| &s.controls)
        .filter(|c| !c.can_fail)
        .count();
    vec![
        Tile {
            key: all(recovered, view.steps.len()),
            figure: format!("{recovered} of {}", view.steps.len()),
            words: "steps recovered".into(),
        },
        Tile {
            key: if void > 0 { "bad" } else { all(passed, proofs) },
            figure: format!("{passed} of {proofs}"),
            words: match void {
                0 => "proofs passed".into(),
                1 => "proofs passed; 1 proves nothing".into(),
                n => format!("proofs passed; {n} prove nothing"),
            },
        },
        Tile {
            key: "idle",
            figure: bytes(restored),
            words: match count_of(files).as_str() {
                "" => "restored".into(),
                files => format!("restored, {files}"),
            },
        },
        match &view.left {
            None => Tile {
                key: "bad",
                figure: "unknown".into(),
                words: "left behind: nobody looked".into(),
            },
            Some(left) if left.is_empty() => Tile {
                key: "good",
                figure: "nothing".into(),
                words: "left behind".into(),
            },
            Some(left) => Tile {
                key: "bad",
                figure: count(left.len(), "thing"),
                words: "left behind".into(),
            },
        },
    ]
}

fn notes(view: &DrillView) -> Vec<String> {
    let mut notes = Vec::new();
    for resumed in view.resumed.iter().take(ROWS) {
        let clock = match resumed.same_boot {
            true => "the clock went on meanwhile",
            false => "the machine was started anew, and the clock is lost",
        };
        notes.push(format!(
            "Resumed at {} by {}, {}: {clock}.",
            span(resumed.at_ms),
            name(&resumed.by),
            instant(&resumed.at)
        ));
    }
    for (step, reason) in view.doubts.iter().take(ROWS) {
        let whose = step.as_deref().map(|s| format!(" of {}", name(s)));
        let whose = whose.unwrap_or_default();
        notes.push(format!("Doubt{whose}: {}", prose(reason)));
    }
    for (whom, well, detail) in view.notified.iter().take(ROWS) {
        let word = if *well { "Told" } else { "Could NOT tell" };
        notes.push(format!("{word} {}: {}", name(whom), prose(detail)));
    }
    notes.extend(view.notes.iter().take(ROWS).map(|n| prose(n)));
    notes
}

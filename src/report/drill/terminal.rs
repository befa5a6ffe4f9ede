//! The summary at the end of a drill, for a tired person: the verdict first, then what it rests on.

use std::fmt::Write;

use super::figures::{Standing, earlier_attempts, measured_part};
use super::words::{
    bytes, files, instant, more, outcome_word, phase_word, rate, share, short_span, span,
    verdict_ink, verdict_word,
};
use super::{DrillView, StepView};
use crate::model::drill::{DrillPhase, Measure, ProofOutcome, Verdict, VerdictWord};
use crate::report::paint::{Ink, Paint};
use crate::report::words::{count, pad, widest, wrap};
use crate::shell::clean;

/// How the summary is to look.
#[derive(Clone, Debug)]
pub struct Look {
    /// Escapes for colour; never where `NO_COLOR` is set or the output is no terminal.
    pub color: bool,
    /// Columns.
    pub width: usize,
    /// Where the page is, if one was made.
    pub page: Option<String>,
}

impl Default for Look {
    fn default() -> Self {
        Look {
            color: false,
            width: 100,
            page: None,
        }
    }
}

/// How many steps, proofs, reasons are listed at most, each.
const ROWS: usize = 30;
/// Of so many steps, each is told in full; of more, those that met it all have one line.
const FULL_ROWS: usize = 12;

/// The whole summary, with a newline at its end.
pub fn summary(view: &DrillView, look: &Look) -> String {
    let verdict = view.verdict();
    let mut out = Out {
        text: String::new(),
        paint: Paint::new(look.color),
        width: look.width.max(40),
    };
    out.head(view);
    out.verdict(view, &verdict);
    out.objectives(view, &verdict);
    out.steps(view, &verdict);
    out.proofs(view);
    out.path(&verdict);
    out.assumptions(view);
    out.places(view);
    out.left(view);
    out.notes(view);
    out.report(view, look);
    out.text
}

struct Out {
    text: String,
    paint: Paint,
    width: usize,
}

impl Out {
    fn line(&mut self, text: &str) {
        self.text.push_str(text.trim_end());
        self.text.push('\n');
    }

    fn heading(&mut self, text: &str, aside: &str) {
        let aside = match aside {
            "" => String::new(),
            aside => format!("  {}", self.paint.ink(Ink::Dim, aside)),
        };
        let head = self.paint.ink(Ink::Bold, text);
        let _ = writeln!(self.text, "\n{head}{aside}");
    }

    /// A text under a name in the margin; `lines` at most.
    fn item(&mut self, name: &str, margin: usize, text: &str, ink: Option<Ink>, lines: usize) {
        if margin == 0 {
            for line in wrap(text, self.width.saturating_sub(2), lines) {
                let line = ink.map_or(line.clone(), |ink| self.paint.ink(ink, &line));
                self.line(&format!("  {line}"));
            }
            return;
        }
        let room = self.width.saturating_sub(margin + 4);
        for (at, line) in wrap(text, room, lines).iter().enumerate() {
            let name = pad(if at == 0 { name } else { "" }, margin);
            let line = match ink {
                Some(ink) => self.paint.ink(ink, line),
                None => line.clone(),
            };
            self.line(&format!("  {}  {line}", self.paint.ink(Ink::Dim, &name)));
        }
    }

    fn head(&mut self, view: &DrillView) {
        let title = match view.title.is_empty() {
            true => &view.drill,
            false => &view.title,
        };
        let facts = [
            clean(title, 60),
            count(view.steps.len(), "step"),
            clean(&view.provider, 20),
        ];
        let facts = wrap(&facts.join(" · "), self.width.saturating_sub(7), 1).concat();
        let word = self.paint.ink(Ink::Bold, "drill");
        self.line(&format!("{word}  {facts}"));
        let run = format!("run {} of {}", clean(&view.run, 40), clean(&view.drill, 40));
        let run = wrap(&run, self.width, 1).concat();
        let run = self.paint.ink(Ink::Dim, &run);
        self.line(&run);
    }

    fn verdict(&mut self, view: &DrillView, verdict: &Verdict) {
        let word = verdict_word(verdict.word).to_uppercase();
        let ink = verdict_ink(verdict.word);
        let said = match verdict.word {
            VerdictWord::Met => "Each step recovered and was proved, within its objectives.",
            VerdictWord::Missed => "",
            VerdictWord::Inconclusive => "Not known to be met, so not met.",
        };
        self.text.push('\n');
        let lines = wrap(said, self.width.saturating_sub(word.len() + 2), 3);
        let indent = " ".repeat(word.len());
        for (at, line) in lines.iter().enumerate() {
            let word = if at == 0 { &word } else { &indent };
            let line = format!("{}  {line}", self.paint.ink(ink, word));
            self.line(&line);
        }
        for reason in verdict.reasons.iter().take(ROWS) {
            for (at, line) in wrap(&clean(reason, 400), self.width.saturating_sub(4), 4)
                .iter()
                .enumerate()
            {
                let mark = if at == 0 { "-" } else { " " };
                let line = self.paint.ink(ink, line);
                self.line(&format!("  {mark} {line}"));
            }
        }
        if let Some(more) = more(verdict.reasons.len(), ROWS) {
            self.line(&format!("    {more}"));
        }
        if let Some(stopped) = view.ended.as_ref().and_then(|e| e.stopped.as_deref()) {
            let text = format!("Stopped early: {}", clean(stopped, 300));
            self.item("", 0, &text, Some(ink), 4);
        }
        for check in view.preflight.iter().filter(|c| !c.met).take(ROWS) {
            let text = format!(
                "Refused before it started: {}: {}",
                clean(&check.check, 120),
                clean(&check.detail, 300)
            );
            self.item("", 0, &text, Some(Ink::Bad), 4);
        }
    }

    fn objectives(&mut self, view: &DrillView, verdict: &Verdict) {
        self.heading("Objectives", "");
        let measured = measured_part(verdict).or(view.stopped_ms);
        let assumed = verdict.assumed_ms;
        let parts = match (measured, assumed) {
            (Some(measured), 0) => format!("{} measured, nothing assumed", span(measured)),
            (Some(measured), assumed) => {
                format!(
                    "{} measured + {} assumed",
                    span(measured),
                    short_span(assumed)
                )
            }
            (None, assumed) => format!("not measured; {} assumed", short_span(assumed)),
        };
        let parts = match (verdict.rto.measured_ms, measured) {
            (None, Some(_)) => format!("not recovered; {parts}"),
            _ => parts,
        };
        self.measure("RTO", &verdict.rto, assumed, &parts);
        let whose = match &verdict.rpo.step {
            Some(step) => format!("the oldest data: {}", clean(step, 40)),
            None => String::new(),
        };
        self.measure("RPO", &verdict.rpo, 0, &whose);
    }

    fn measure(&mut self, name: &str, measure: &Measure, assumed: u64, aside: &str) {
        let figure = match measure.measured_ms {
            Some(ms) => span(ms),
            None => "unknown".into(),
        };
        let target = match measure.target_ms {
            Some(target) => format!("of {}", short_span(target)),
            None => "no objective".into(),
        };
        let ink = match (measure.measured_ms, measure.target_ms) {
            (Some(ms), Some(target)) if ms > target => Ink::Bad,
            (Some(_), Some(_)) => Ink::Good,
            _ => Ink::Warn,
        };
        let figure = self.paint.ink(ink, &pad(&figure, 12));
        let head = format!("  {name}  {figure}  {}", pad(&target, 14));
        let bar = bar(measure, assumed);
        let used = 2 + 3 + 2 + 12 + 2 + 14 + 2;
        if used + BAR + 2 + aside.chars().count() <= self.width {
            self.line(&format!(
                "{head}  {bar}  {}",
                self.paint.ink(Ink::Dim, aside)
            ));
        } else if used + BAR <= self.width {
            self.line(&format!("{head}  {bar}"));
            self.item("", 3, aside, Some(Ink::Dim), 2);
        } else {
            self.line(&head);
            self.item("", 3, aside, Some(Ink::Dim), 2);
        }
    }

    fn steps(&mut self, view: &DrillView, verdict: &Verdict) {
        if view.steps.is_empty() {
            return;
        }
        self.heading(
            "Steps",
            "verdict, end on the drill's clock, proofs that passed",
        );
        let shown = view.steps.get(..ROWS).unwrap_or(&view.steps);
        let names: Vec<String> = shown.iter().map(|s| clean(&s.name, 28)).collect();
        let width = widest(names.iter().map(String::as_str), 28);
        for (step, name) in shown.iter().zip(&names) {
            self.step(verdict, step, name, width, view.steps.len() <= FULL_ROWS);
        }
        if let Some(more) = more(view.steps.len(), ROWS) {
            let rest = view.steps.get(ROWS..).unwrap_or_default();
            let standings = rest.iter().map(|s| Standing::of(verdict, s));
            let bad = standings
                .filter(|s| s.verdict != Some(VerdictWord::Met))
                .count();
            let text = format!("{more}, {bad} of them not met; the report has all");
            self.item("", 0, &text, None, 2);
        }
    }

    fn step(&mut self, verdict: &Verdict, step: &StepView, name: &str, width: usize, full: bool) {
        let standing = Standing::of(verdict, step);
        let ink = match standing.key() {
            "good" => Ink::Good,
            "bad" => Ink::Bad,
            "idle" => Ink::Dim,
            _ => Ink::Warn,
        };
        let end = match standing.end_ms {
            Some(end) => span(end),
            None => "–".into(),
        };
        let mut facts = vec![format!("{}/{} proofs", standing.passed, standing.proofs)];
        if let Some(target) = standing.rto.target_ms {
            facts.push(format!("RTO objective {}", short_span(target)));
        }
        if let Some(age) = standing.rpo.measured_ms {
            let target = standing.rpo.target_ms.map(short_span);
            let target = target.map(|t| format!(" of {t}")).unwrap_or_default();
            facts.push(format!("RPO {}{target}", span(age)));
        }
        if standing.bytes > 0 {
            facts.push(format!(
                "{}, {}",
                bytes(standing.bytes),
                files(standing.files)
            ));
        }
        if step.attempts.len() > 1 {
            facts.push(format!("{} attempts", step.attempts.len()));
        }
        let margin = width + 12 + 12 + 8;
        let word = self.paint.ink(ink, &pad(standing.word, 12));
        let head = format!("  {}  {word}  {}  ", pad(name, width), pad(&end, 12));
        let facts = facts.join(" · ");
        if margin + facts.chars().count() <= self.width {
            self.line(&format!("{head}{facts}"));
        } else {
            self.line(&head);
            self.below(&facts, None);
        }
        let full = full || standing.verdict != Some(VerdictWord::Met);
        let picked = step.last().and_then(|a| a.picked.as_ref());
        if let Some(picked) = picked.filter(|_| full) {
            let point = &picked.point;
            let data = match &point.data_time {
                Some(time) => format!("data of {}", instant(time)),
                None => "nobody says how old the data is".into(),
            };
            let signed = vouched(step, point.signed);
            let text = format!(
                "{} · {data} · {}, {signed} · {}",
                clean(&point.name, 80),
                bytes(point.size),
                clean(&point.how, 80)
            );
            self.below(&text, Some(Ink::Dim));
        }
        let phases = phases(step);
        if full && !phases.is_empty() {
            self.below(&phases, Some(Ink::Dim));
        }
        self.arrival(step);
        for earlier in earlier_attempts(step).iter().take(5) {
            self.below(&clean(earlier, 300), Some(Ink::Warn));
        }
        if standing.verdict != Some(VerdictWord::Met) {
            for reason in standing.reasons.iter().take(3) {
                self.below(&clean(reason, 300), Some(ink));
            }
        }
    }

    /// Lines below a step's own.
    fn below(&mut self, text: &str, ink: Option<Ink>) {
        for line in wrap(text, self.width.saturating_sub(6), 3) {
            let line = ink.map_or(line.clone(), |ink| self.paint.ink(ink, &line));
            self.line(&format!("      {line}"));
        }
    }

    /// The proofs that are no pass, and those that prove nothing.
    fn proofs(&mut self, view: &DrillView) {
        let mut lines = Vec::new();
        for step in &view.steps {
            let tried = step.last().is_some();
            for (proof, said) in step.proofs() {
                let name = format!("{}: {}", clean(&step.name, 40), clean(proof, 120));
                match said {
                    Some(p) if p.outcome != ProofOutcome::Pass => lines.push((
                        outcome_word(p.outcome),
                        format!(
                            "{name}: expected {}, read {}",
                            clean(&p.expected, 200),
                            clean(&p.read, 200)
                        ),
                    )),
                    None if tried => lines.push(("not tried", name.clone())),
                    _ => {}
                }
                if let Some(control) = step.control(proof).filter(|c| !c.can_fail) {
                    let detail = clean(&control.detail, 200);
                    lines.push(("void", format!("{name}: PROVES NOTHING: {detail}")));
                }
            }
        }
        if lines.is_empty() {
            return;
        }
        self.heading("Proofs", "that are no pass; unknown is not a pass");
        for (word, text) in lines.iter().take(ROWS) {
            self.item(word, 9, text, Some(Ink::Bad), 4);
        }
        if let Some(more) = more(lines.len(), ROWS) {
            self.item("", 9, &more, None, 1);
        }
    }
}

/// Who vouches for what a recovery point says of itself.
fn vouched(step: &StepView, is_signed: bool) -> &'static str {
    let by_us = step.note.as_ref().is_none_or(|n| n.wants_signature());
    match (is_signed, by_us) {
        (true, _) => "signed",
        (false, true) => "NOT SIGNED",
        (false, false) => "as the vault says",
    }
}

/// How wide a bar is.
const BAR: usize = 24;

/// `▒▒▒███·····│`: what is assumed, what was measured, what is left up to the target.
fn bar(measure: &Measure, assumed: u64) -> String {
    let (Some(measured), Some(target)) = (measure.measured_ms, measure.target_ms) else {
        return String::new();
    };
    let whole = measured.max(target);
    let cells = |ms: u64| (share(ms, whole) * BAR as f64 / 100.0).round() as usize;
    let (assumed, measured, target) = (cells(assumed), cells(measured), cells(target));
    (0..BAR)
        .map(|cell| match cell {
            _ if cell + 1 == target => '│',
            _ if cell < assumed && cell < measured => '▒',
            _ if cell < measured => '█',
            _ => '·',
        })
        .collect()
}

/// `restore 9 min 00 s (396 MB/s) · verify 1 min 12 s`.
fn phases(step: &StepView) -> String {
    let Some(last) = step.last() else {
        return String::new();
    };
    let words = last.phases.iter().filter(|p| p.millis() > 0).map(|phase| {
        let rate = match phase.phase {
            DrillPhase::Restore | DrillPhase::Fetch | DrillPhase::Decrypt | DrillPhase::Load => {
                rate(phase.bytes, phase.millis())
            }
            _ => None,
        };
        let rate = rate.map(|r| format!(" ({r})")).unwrap_or_default();
        format!("{} {}{rate}", phase_word(phase.phase), span(phase.millis()))
    });
    words.take(40).collect::<Vec<_>>().join(" · ")
}

mod below;
#[cfg(test)]
mod tests;

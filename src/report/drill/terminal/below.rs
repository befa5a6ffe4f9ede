//! What the verdict rests on: the critical path, what is assumed, what was touched, what is left.

use super::super::cloud::{Arrival, Data, requests};
use super::super::figures::{LedgerCounts, endpoints, levers, path_steps, run_for_commands};
use super::super::words::{more, number, percent, phase_word, short_span, span};
use super::super::{DrillView, StepView};
use super::{Look, Out, ROWS};
use crate::model::drill::Verdict;
use crate::report::paint::Ink;
use crate::report::words::widest;
use crate::shell::clean;

impl Out {
    /// How far a thing in a cloud has come, and what it is instead of what was wanted.
    pub(super) fn arrival(&mut self, step: &StepView) {
        if let Some(arrival) = Arrival::of(step) {
            let ink = match arrival.data {
                Data::Cold(_) => Ink::Warn,
                _ => Ink::Dim,
            };
            self.below(&clean(&arrival.words(), 300), Some(ink));
        }
        for other in step.substituted.iter().take(5) {
            let text = format!(
                "{} in the place of {}: {}",
                clean(&other.taken, 60),
                clean(&other.wanted, 60),
                clean(&other.why, 200)
            );
            self.below(&text, Some(Ink::Warn));
        }
    }

    pub(super) fn path(&mut self, verdict: &Verdict) {
        let path = path_steps(verdict);
        if path.is_empty() {
            return;
        }
        let all: u64 = path.iter().map(|p| p.millis).fold(0, u64::saturating_add);
        self.heading("Critical path", "what made it take as long as it did");
        let names: Vec<String> = path.iter().map(|p| clean(&p.step, 28)).collect();
        let width = widest(names.iter().map(String::as_str), 28);
        for (part, name) in path.iter().zip(&names).take(ROWS) {
            let phases: Vec<String> = part
                .phases
                .iter()
                .filter(|(_, ms)| percent(*ms, all) > 0)
                .map(|(phase, ms)| {
                    let word = phase.map_or("gap", phase_word);
                    format!("{word} {}", span(*ms))
                })
                .collect();
            let text = format!(
                "{} ({} %): {}",
                span(part.millis),
                percent(part.millis, all),
                phases.join(" · ")
            );
            self.item(name, width, &text, None, 3);
        }
        if let Some(more) = more(path.len(), ROWS) {
            self.item("", width, &more, None, 1);
        }
        for lever in levers(verdict).iter().take(5) {
            let text = format!(
                "were {} twice as fast, the RTO would be {} ({} less)",
                clean(&lever.step, 40),
                span(lever.rto_ms),
                span(lever.gain_ms)
            );
            self.item("what if", width.max(7), &text, None, 2);
        }
    }

    pub(super) fn assumptions(&mut self, view: &DrillView) {
        if view.assumed.is_empty() && view.preexisting.is_empty() && view.not_enforced.is_empty() {
            return;
        }
        self.heading("Assumptions", "counted or listed, and proved by nobody");
        for assumed in view.assumed.iter().take(ROWS) {
            let text = format!(
                "{}: {} ({})",
                short_span(assumed.ms),
                clean(&assumed.what, 80),
                clean(&assumed.why, 200)
            );
            self.item("time", 12, &text, None, 3);
        }
        for text in view.preexisting.iter().take(ROWS) {
            self.item("beforehand", 12, &clean(text, 300), None, 3);
        }
        for text in view.not_enforced.iter().take(ROWS) {
            self.item("not enforced", 12, &clean(text, 300), None, 3);
        }
    }

    pub(super) fn places(&mut self, view: &DrillView) {
        if view.used.is_empty() && view.refused.is_empty() {
            return;
        }
        self.heading("Places", "");
        let used = endpoints(view);
        for (endpoint, by) in used.iter().take(ROWS) {
            let by: Vec<String> = by.iter().take(8).map(|b| clean(b, 40)).collect();
            let text = format!("{} (by {})", clean(endpoint, 120), by.join(", "));
            self.item("used", 7, &text, None, 2);
        }
        if let Some(more) = more(used.len(), ROWS) {
            self.item("", 7, &more, None, 1);
        }
        for refused in view.refused.iter().take(ROWS) {
            let text = format!(
                "{} (asked for by {})",
                clean(&refused.what, 120),
                clean(&refused.by, 60)
            );
            self.item("REFUSED", 7, &text, Some(Ink::Bad), 2);
        }
        if let Some(text) = requests(view) {
            self.item("asked", 7, &clean(&text, 300), Some(Ink::Dim), 2);
        }
    }

    pub(super) fn left(&mut self, view: &DrillView) {
        let counts = LedgerCounts::of(view);
        self.heading("Left behind", "");
        let made = format!(
            "{} intended, {} made, {} seen to be gone",
            number(counts.intended as u64),
            number(counts.made as u64),
            number(counts.gone as u64)
        );
        match &view.left {
            None => {
                let text = format!("unknown: nobody looked ({made})");
                self.item("", 0, &text, Some(Ink::Bad), 2);
            }
            Some(left) if left.is_empty() => {
                self.item("", 0, &format!("nothing ({made})"), None, 2);
            }
            Some(left) => {
                for thing in left.iter().take(ROWS) {
                    self.item("", 0, &clean(thing, 300), Some(Ink::Bad), 3);
                }
                self.item("", 0, &made, Some(Ink::Dim), 2);
            }
        }
        for entry in view.ledger.iter().take(1000) {
            if let Some(reason) = &entry.not_gone {
                let text = format!(
                    "{} {}: {}",
                    clean(&entry.kind, 20),
                    clean(&entry.name, 80),
                    clean(reason, 200)
                );
                self.item("", 0, &text, Some(Ink::Bad), 3);
            }
        }
        let is_over = view.ended.is_some() && view.left.as_ref().is_some_and(Vec::is_empty);
        if let Some(run) = run_for_commands(view).filter(|_| !is_over) {
            let command = format!("seawall drill sweep {run}");
            let command = self.paint.ink(Ink::Bold, &command);
            self.line(&format!("  {command}"));
        }
    }

    pub(super) fn notes(&mut self, view: &DrillView) {
        let mut notes: Vec<String> = Vec::new();
        for resumed in &view.resumed {
            let clock = match resumed.same_boot {
                true => "the clock went on",
                false => "the machine was started anew, and the clock is lost",
            };
            notes.push(format!(
                "resumed at {} by {}: {clock}",
                span(resumed.at_ms),
                clean(&resumed.by, 60)
            ));
        }
        for (whom, well, detail) in &view.notified {
            let word = if *well { "told" } else { "could NOT tell" };
            notes.push(format!(
                "{word} {}: {}",
                clean(whom, 80),
                clean(detail, 200)
            ));
        }
        notes.extend(view.notes.iter().map(|n| clean(n, 300)));
        if let Some(torn) = &view.torn {
            notes.push(format!("line {} of the journal is torn", torn.line));
        }
        if notes.is_empty() {
            return;
        }
        self.heading("Notes", "");
        for note in notes.iter().take(ROWS) {
            self.item("", 0, note, None, 3);
        }
        if let Some(more) = more(notes.len(), ROWS) {
            self.item("", 0, &more, None, 1);
        }
    }

    pub(super) fn report(&mut self, view: &DrillView, look: &Look) {
        if let Some(page) = &look.page {
            let head = self.paint.ink(Ink::Bold, "Report");
            // A path is never broken: it is there to be copied.
            self.line(&format!("\n{head}  {}", clean(page, 4096)));
        }
        if let Some(run) = run_for_commands(view).filter(|_| view.ended.is_some()) {
            let verify = format!("seawall verify {run}");
            let head = self.paint.ink(Ink::Dim, "verify");
            let gap = if look.page.is_some() { "" } else { "\n" };
            self.line(&format!("{gap}{head}  {verify}"));
        }
    }
}

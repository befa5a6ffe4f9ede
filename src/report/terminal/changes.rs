//! What was changed, with its diffs, and what could not be.

use std::collections::BTreeSet;
use std::fmt::Write;

use super::Terminal;
use crate::journal::StepOutcome;
use crate::report::RunView;
use crate::report::fold::ChangeView;
use crate::report::paint::Ink;
use crate::report::words::{
    MergedChange, count, diff_line, join, merge_changes, pad, some, step_word, whom, wrap,
};
use crate::shell::clean;

/// Lines of a diff that are shown unless all are asked for.
const DIFF_LINES: usize = 12;

impl Terminal {
    pub(super) fn changes(&self, out: &mut String, view: &RunView) {
        let merged = merge_changes(view);
        if merged.is_empty() {
            let stopped = view.ended.as_ref().is_none_or(|e| e.stopped.is_some());
            if view.verb != "rollback" && !stopped {
                self.heading(
                    out,
                    "Changes",
                    "none: nothing was left to do, or nothing could be",
                );
            }
            return;
        }
        let all: Vec<&ChangeView> = view.hosts.iter().flat_map(|host| &host.changes).collect();
        if view.is_rehearsal() {
            let aside = format!("{}; nothing was changed", count(all.len(), "change"));
            self.heading(out, "Would change", &aside);
            self.change_rows(out, view, &merged);
            return;
        }
        let (heading, wanted, word) = match view.verb.as_str() {
            "rollback" => ("Taken back", StepOutcome::Undone, "undone"),
            _ => ("Changes", StepOutcome::Done, "done"),
        };
        let well = all.iter().filter(|c| c.outcome == Some(wanted)).count();
        let mut aside = format!("{well} {word} of {}", count(all.len(), "change"));
        if view.verb == "rollback" && all.iter().any(|c| !c.note.diff.is_empty()) {
            aside.push_str("; the diffs are of the run that was taken back");
        }
        self.heading(out, heading, &aside);
        self.change_rows(out, view, &merged);
    }

    fn change_rows(&self, out: &mut String, view: &RunView, merged: &[MergedChange]) {
        let many = view.hosts.len();
        let mut shown = BTreeSet::new();
        for merged in merged.iter().take(self.style.rows) {
            self.change(out, merged, many, view.is_rehearsal(), &mut shown);
        }
        if merged.len() > self.style.rows {
            let _ = writeln!(
                out,
                "  … and {} more; the report has all",
                merged.len() - self.style.rows
            );
        }
    }

    /// One change of one or several hosts. A diff that was `shown` is not shown again.
    fn change<'a>(
        &self,
        out: &mut String,
        merged: &MergedChange<'a>,
        many: usize,
        rehearsal: bool,
        shown: &mut BTreeSet<(&'a str, &'a str)>,
    ) {
        let ChangeView {
            note,
            outcome,
            detail,
        } = merged.change;
        let (word, ink) = step_word(*outcome, rehearsal);
        let whom = whom(&merged.hosts, many);
        let rules = some(&note.rules, 4);
        let indent = " ".repeat(15);
        let width = self.style.width.saturating_sub(indent.len());
        let target = clean(&note.target, width.saturating_sub(1));
        let aside = join(&[&whom, &rules], " · ");
        let _ = write!(
            out,
            "  {}  {}",
            self.paint.ink(ink, &pad(word, 11)),
            self.paint.ink(Ink::Bold, &target),
        );
        if target.chars().count() + 2 + aside.chars().count() <= width {
            let _ = writeln!(out, "  {}", self.paint.ink(Ink::Dim, &aside));
        } else {
            let _ = writeln!(out);
            for line in wrap(&aside, width, 2) {
                let _ = writeln!(out, "{indent}{}", self.paint.ink(Ink::Dim, &line));
            }
        }
        if let Some(detail) = detail {
            for line in wrap(&clean(detail, 600), width, 4) {
                let _ = writeln!(out, "{indent}{}", self.paint.ink(ink, &line));
            }
        }
        if let Some(text) = &note.no_way_back {
            for line in wrap(&format!("no way back: {}", clean(text, 300)), width, 2) {
                let _ = writeln!(out, "{indent}{}", self.paint.ink(Ink::Warn, &line));
            }
        }
        if !note.diff.is_empty() && !shown.insert((&note.target, &note.diff)) {
            let text = "the same diff as above";
            let _ = writeln!(out, "{indent}{}", self.paint.ink(Ink::Dim, text));
            return;
        }
        let all: Vec<&str> = note.diff.lines().collect();
        let bound = if self.style.full_diff {
            usize::MAX
        } else {
            DIFF_LINES
        };
        for line in all.iter().take(bound) {
            let ink = match line.as_bytes().first() {
                Some(b'+') => Ink::Good,
                Some(b'-') => Ink::Bad,
                _ => Ink::Dim,
            };
            let line = diff_line(line, width.saturating_sub(1));
            let _ = writeln!(out, "{indent}{}", self.paint.ink(ink, &line));
        }
        if all.len() > bound {
            let text = format!("… {} more lines (--diff shows all)", all.len() - bound);
            let _ = writeln!(out, "{indent}{}", self.paint.ink(Ink::Dim, &text));
        }
    }
}

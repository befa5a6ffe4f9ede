//! Words, lengths and lines that the readers share.

use super::RunView;
use super::fold::ChangeView;
use super::paint::Ink;
use crate::journal::{HostOutcome, StepOutcome};
use crate::shell::clean;

/// The order in which a person wants them: 0 is worst.
pub fn badness(outcome: HostOutcome) -> u8 {
    match outcome {
        HostOutcome::Failed => 0,
        HostOutcome::Unknown => 1,
        HostOutcome::Findings => 2,
        HostOutcome::NotStarted => 3,
        HostOutcome::Changed => 4,
        HostOutcome::Clean => 5,
    }
}

pub fn outcome_word(outcome: HostOutcome) -> &'static str {
    match outcome {
        HostOutcome::Clean => "as demanded",
        HostOutcome::Findings => "findings",
        HostOutcome::Changed => "changed",
        HostOutcome::Failed => "failed",
        HostOutcome::Unknown => "unknown",
        HostOutcome::NotStarted => "not started",
    }
}

/// What became of a step; in a rehearsal nothing does.
pub fn step_word(outcome: Option<StepOutcome>, rehearsal: bool) -> (&'static str, Ink) {
    match outcome {
        None if rehearsal => ("would do", Ink::Cool),
        Some(StepOutcome::Done) => ("done", Ink::Good),
        Some(StepOutcome::Stale) => ("stale", Ink::Warn),
        Some(StepOutcome::Failed) => ("failed", Ink::Bad),
        Some(StepOutcome::Undone) => ("undone", Ink::Warn),
        Some(StepOutcome::UndoFailed) => ("undo failed", Ink::Bad),
        Some(StepOutcome::Skipped) => ("not begun", Ink::Dim),
        None => ("unknown", Ink::Bad),
    }
}

/// `web-1` where there is one, else `2 of 3 hosts`.
pub fn whom(hosts: &[&str], many: usize) -> String {
    match hosts {
        [one] if many > 1 => clean(one, 24),
        _ => format!("{} of {}", hosts.len(), count(many, "host")),
    }
}

pub fn some(texts: &[String], most: usize) -> String {
    let mut shown: Vec<String> = texts.iter().take(most).map(|t| clean(t, 60)).collect();
    if texts.len() > most {
        shown.push(format!("+{}", texts.len() - most));
    }
    shown.join(" ")
}

pub fn join(parts: &[&str], between: &str) -> String {
    let there: Vec<&str> = parts.iter().copied().filter(|p| !p.is_empty()).collect();
    there.join(between)
}

/// One line of a diff: its own spaces stay, what a terminal would act on goes.
pub fn diff_line(line: &str, most: usize) -> String {
    let mut out = String::new();
    for (at, c) in line.chars().enumerate() {
        if at >= most {
            out.push('…');
            break;
        }
        match c {
            '\t' => out.push_str("    "),
            ' ' => out.push(' '),
            c => match clean(c.encode_utf8(&mut [0; 4]), 1).as_str() {
                "" => out.push('·'),
                fit => out.push_str(fit),
            },
        }
    }
    out
}

pub fn count(number: usize, word: &str) -> String {
    format!("{number} {word}{}", if number == 1 { "" } else { "s" })
}

/// `0.4 s`, `12 s`, `3 min 05 s`.
pub fn duration(millis: u64) -> String {
    match millis {
        0..=9_999 => format!("{}.{} s", millis / 1000, millis % 1000 / 100),
        10_000..=59_999 => format!("{} s", millis / 1000),
        _ => format!("{} min {:02} s", millis / 60_000, millis % 60_000 / 1000),
    }
}

pub fn pad(text: &str, width: usize) -> String {
    format!("{text:<width$}")
}

pub fn widest<'a>(texts: impl Iterator<Item = &'a str>, most: usize) -> usize {
    texts
        .map(|text| text.chars().count())
        .max()
        .unwrap_or(0)
        .min(most)
}

/// Breaks between words, at most `lines` lines; `…` marks what is left out.
pub fn wrap(text: &str, width: usize, lines: usize) -> Vec<String> {
    let width = width.max(20);
    let mut out: Vec<String> = vec![String::new()];
    for word in text.split_whitespace() {
        let mut word: Vec<char> = word.chars().collect();
        loop {
            let line = out.last_mut().map(|l| l.chars().count()).unwrap_or(0);
            let space = usize::from(line > 0);
            if line + space + word.len() <= width {
                if let Some(last) = out.last_mut() {
                    if space == 1 {
                        last.push(' ');
                    }
                    last.extend(&word);
                }
                break;
            }
            // A word that fits on no line is broken, and begins where there is room for some of it.
            let room = width.saturating_sub(line + space);
            if line > 0 && (word.len() <= width || room < 12) {
                out.push(String::new());
                continue;
            }
            let rest = word.split_off(room);
            if let Some(last) = out.last_mut() {
                if space == 1 {
                    last.push(' ');
                }
                last.extend(&word);
            }
            out.push(String::new());
            word = rest;
        }
    }
    if out.len() > lines {
        out.truncate(lines);
        if let Some(last) = out.last_mut() {
            while last.chars().count() >= width || last.ends_with(['…', ' ']) {
                last.pop();
            }
            last.push('…');
        }
    }
    out
}

/// A change that several hosts share.
pub struct MergedChange<'a> {
    pub change: &'a ChangeView,
    pub hosts: Vec<&'a str>,
}

/// Changes that several hosts share, once; what went wrong first.
pub fn merge_changes(view: &RunView) -> Vec<MergedChange<'_>> {
    let mut merged: Vec<MergedChange> = Vec::new();
    for host in &view.hosts {
        for change in &host.changes {
            let same = merged.iter_mut().find(|m| {
                m.change.outcome == change.outcome
                    && m.change.detail == change.detail
                    && m.change.note.target == change.note.target
                    && m.change.note.diff == change.note.diff
            });
            match same {
                Some(same) => same.hosts.push(&host.name),
                None => merged.push(MergedChange {
                    change,
                    hosts: vec![&host.name],
                }),
            }
        }
    }
    merged.sort_by_key(|m| match m.change.outcome {
        Some(StepOutcome::UndoFailed) => 0,
        Some(StepOutcome::Failed) => 1,
        None => 2,
        Some(StepOutcome::Stale) => 3,
        Some(StepOutcome::Undone) => 4,
        Some(StepOutcome::Done) => 5,
        Some(StepOutcome::Skipped) => 6,
    });
    merged
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_a_diff_keeps_its_spaces_and_nothing_that_acts() {
        assert_eq!(diff_line("+  a\tb", 80), "+  a    b");
        assert_eq!(diff_line("+a\r\u{85}\u{1b}[2J\u{202e}", 80), "+a···[2J·");
        assert_eq!(diff_line("abcdef", 3), "abc…");
    }

    #[test]
    fn durations_in_words() {
        assert_eq!(duration(0), "0.0 s");
        assert_eq!(duration(9_999), "9.9 s");
        assert_eq!(duration(12_345), "12 s");
        assert_eq!(duration(185_000), "3 min 05 s");
    }
}

//! What is wrong with a document: where, why, and what to do about it.

use std::ops::Range;
use std::sync::Arc;

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};
use serde_json::{Value, json};

use super::spans::Problem;
use crate::shell::{clean, is_dangerous};

/// The longest message, label or help that is shown, in characters.
const MAX_TEXT: usize = 600;

/// A document as it was read, under the name that people know it by.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Source {
    pub name: String,
    pub text: String,
}

/// A piece of a document: a byte range of its text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    pub source: Arc<Source>,
    pub span: Range<usize>,
}

impl Place {
    pub fn new(source: &Arc<Source>, span: Range<usize>) -> Self {
        Place {
            source: Arc::clone(source),
            span,
        }
    }

    /// Line and column of its start, both from 1, the column in characters.
    pub fn line_column(&self) -> (usize, usize) {
        line_column(&self.source.text, self.span.start)
    }
}

fn line_column(text: &str, at: usize) -> (usize, usize) {
    let at = floor(text, at);
    let before = text.get(..at).unwrap_or_default();
    let line_start = before.rfind('\n').map_or(0, |n| n + 1);
    let column = before.get(line_start..).unwrap_or_default().chars().count();
    (before.matches('\n').count() + 1, column + 1)
}

/// The nearest character boundary at or before a byte.
fn floor(text: &str, at: usize) -> usize {
    let mut at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grade {
    Error,
    Warning,
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// Which kind of mistake, e.g. `unknown-key`. Stable.
    pub code: &'static str,
    pub severity: Grade,
    pub message: String,
    /// Where. `None`: not in a document (a file that is not there at all).
    pub place: Option<Place>,
    /// What to say at the place.
    pub label: String,
    /// What to do.
    pub help: Option<String>,
    /// Other places that have to do with it, each with what to say there.
    pub related: Vec<(Place, String)>,
}

impl Diagnostic {
    pub fn error(code: &'static str, place: Place, message: impl Into<String>) -> Self {
        Diagnostic {
            code,
            severity: Grade::Error,
            message: message.into(),
            place: Some(place),
            label: String::new(),
            help: None,
            related: Vec::new(),
        }
    }

    pub fn warning(code: &'static str, place: Place, message: impl Into<String>) -> Self {
        Diagnostic {
            severity: Grade::Warning,
            ..Self::error(code, place, message)
        }
    }

    /// A mistake that no document shows, such as a playbook that is not there.
    pub fn without_place(code: &'static str, message: impl Into<String>) -> Self {
        Diagnostic {
            place: None,
            ..Self::error(code, Place::default(), message)
        }
    }

    /// Two demands that cannot both be met. `text` says what of, e.g.
    /// `sysctl net.ipv4.ip_forward: "0" here, "1" there`.
    pub fn conflict(one: Place, other: Place, text: impl Into<String>) -> Self {
        Self::error("conflict", other, text)
            .label("cannot be met together with the other")
            .related(one, "the other demand")
            .help("take one of the rules away with `overrides: {RULE: {off: true, reason: …}}`, or let both take one variable")
    }

    #[must_use]
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.label = label.into();
        self
    }

    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Says "did you mean" where one of the words is near.
    #[must_use]
    pub fn nearest<'w>(self, wrong: &str, words: impl IntoIterator<Item = &'w str>) -> Self {
        match nearest(wrong, words) {
            Some(word) => self.help(format!("did you mean `{word}`?")),
            None => self,
        }
    }

    #[must_use]
    pub fn related(mut self, place: Place, label: impl Into<String>) -> Self {
        self.related.push((place, label.into()));
        self
    }

    pub(crate) fn of(source: &Arc<Source>, problem: Problem) -> Self {
        let mut diagnostic = Self::error(
            problem.code,
            Place::new(source, problem.span),
            problem.message,
        )
        .label(problem.label);
        diagnostic.help = problem.help;
        if let Some((span, label)) = problem.related {
            diagnostic = diagnostic.related(Place::new(source, span), label);
        }
        diagnostic
    }

    pub fn is_error(&self) -> bool {
        self.severity == Grade::Error
    }

    /// For a person: the file, line and column, the line itself with the place marked, and help.
    /// Ends with a newline.
    pub fn render(&self, color: bool) -> String {
        let level = match self.severity {
            Grade::Error => Level::ERROR,
            Grade::Warning => Level::WARNING,
        };
        let mut group = Group::with_title(level.primary_title(shown(&self.message)).id(self.code));
        for piece in self.pieces() {
            group = group.element(piece);
        }
        if let Some(help) = &self.help {
            group = group.element(Level::HELP.message(shown(help)));
        }
        let renderer = match color {
            true => Renderer::styled(),
            false => Renderer::plain(),
        };
        let mut text = renderer.render(&[group]);
        text.push('\n');
        text
    }

    /// One snippet for each file that is pointed at, the mistake's own first.
    fn pieces(&self) -> Vec<Snippet<'_, annotate_snippets::Annotation<'_>>> {
        let Some(place) = &self.place else {
            return Vec::new();
        };
        let mut marks = vec![(place, &self.label, AnnotationKind::Primary)];
        for (place, label) in &self.related {
            marks.push((place, label, AnnotationKind::Context));
        }
        let mut files: Vec<&Arc<Source>> = Vec::new();
        for (place, ..) in &marks {
            if !files.iter().any(|file| *file == &place.source) {
                files.push(&place.source);
            }
        }
        files
            .into_iter()
            .map(|file| {
                let here = || marks.iter().filter(|(place, ..)| &place.source == file);
                let spans = here().map(|(place, ..)| marked(&file.text, &place.span));
                let shown_part = lines_around(&file.text, spans);
                let notes = here().map(|(place, label, kind)| {
                    let span = marked(&file.text, &place.span);
                    let note = kind
                        .clone()
                        .span(span.start - shown_part.start..span.end - shown_part.start);
                    match label.is_empty() {
                        true => note,
                        false => note.label(shown(label)),
                    }
                });
                let text = file.text.get(shown_part.clone()).unwrap_or_default();
                Snippet::source(defused(text))
                    .line_start(line_column(&file.text, shown_part.start).0)
                    .path(clean(&file.name, MAX_TEXT))
                    .annotations(notes)
            })
            .collect()
    }

    /// For a program. Lines and columns count from 1, columns in characters.
    pub fn to_json(&self) -> Value {
        let at = |place: &Place| {
            let (line, column) = place.line_column();
            let (end_line, end_column) =
                line_column(&place.source.text, place.span.end.max(place.span.start));
            json!({
                "file": place.source.name, "line": line, "column": column,
                "end_line": end_line, "end_column": end_column,
            })
        };
        let related: Vec<Value> = self
            .related
            .iter()
            .map(|(place, label)| json!({"place": at(place), "label": label}))
            .collect();
        json!({
            "code": self.code,
            "severity": match self.severity { Grade::Error => "error", Grade::Warning => "warning" },
            "message": self.message,
            "place": self.place.as_ref().map(at),
            "label": self.label,
            "help": self.help,
            "related": related,
        })
    }
}

/// All of them for a person, a blank line between two, and a last line that counts them.
pub fn render_all(diagnostics: &[Diagnostic], color: bool) -> String {
    let mut text = String::new();
    for diagnostic in diagnostics {
        text.push_str(&diagnostic.render(color));
        text.push('\n');
    }
    let count = |grade: Grade| diagnostics.iter().filter(|d| d.severity == grade).count();
    let words = [
        (count(Grade::Error), "error"),
        (count(Grade::Warning), "warning"),
    ];
    let said: Vec<String> = words
        .iter()
        .filter(|(n, _)| *n > 0)
        .map(|(n, word)| format!("{n} {word}{}", if *n == 1 { "" } else { "s" }))
        .collect();
    if !said.is_empty() {
        text.push_str(&said.join(", "));
        text.push('\n');
    }
    text
}

/// The word of a list that was probably meant, if any is near enough to be worth saying.
pub fn nearest<'w>(wrong: &str, words: impl IntoIterator<Item = &'w str>) -> Option<&'w str> {
    // What is far longer than any of our words is not a slip of the finger, and costs time.
    if wrong.chars().count() > 200 {
        return None;
    }
    let lower = wrong.to_lowercase();
    words
        .into_iter()
        .filter(|word| !word.is_empty())
        .map(|word| {
            let other = word.to_lowercase();
            let contained = other.len() > 3
                && (lower.contains(&other) || (lower.len() > 3 && other.contains(&lower)));
            let likeness = strsim::normalized_damerau_levenshtein(&lower, &other);
            (
                word,
                if contained {
                    likeness.max(0.6)
                } else {
                    likeness
                },
            )
        })
        .filter(|(_, likeness)| *likeness >= 0.5)
        .max_by(|a, b| a.1.total_cmp(&b.1))
        .map(|(word, _)| word)
}

/// A message, fit for a terminal. It may hold pieces of the document.
fn shown(text: &str) -> String {
    clean(text, MAX_TEXT)
}

/// A range that lies in the text, on character boundaries, on one line, and is not empty.
fn marked(text: &str, span: &Range<usize>) -> Range<usize> {
    let start = floor(text, span.start);
    let rest = text.get(start..).unwrap_or_default();
    let line = rest.find('\n').unwrap_or(rest.len());
    let line = rest.get(..line).unwrap_or_default().trim_end().len();
    let end = floor(text, span.end).clamp(start, start + line);
    if end > start {
        return start..end;
    }
    match rest.chars().next() {
        Some(c) if c != '\n' && c != '\r' => start..start + c.len_utf8(),
        _ => start..start,
    }
}

/// The whole lines that the spans stand on, and what is between: a long document is not copied
/// for each of its mistakes.
fn lines_around(text: &str, spans: impl Iterator<Item = Range<usize>>) -> Range<usize> {
    let both = spans.reduce(|a, b| a.start.min(b.start)..a.end.max(b.end));
    let both = both.unwrap_or(0..0);
    let before = text.get(..both.start).unwrap_or_default();
    let after = text.get(both.end..).unwrap_or_default();
    let start = before.rfind('\n').map_or(0, |at| at + 1);
    start..both.end + after.find('\n').unwrap_or(after.len())
}

/// The text with everything that a terminal would act on replaced by something of the same
/// length, so that places stay where they are.
fn defused(text: &str) -> String {
    let harmless = |c: char| matches!(c, '\n' | '\r' | '\t') || !is_dangerous(c);
    text.chars()
        .map(|c| match c.len_utf8() {
            _ if harmless(c) => c,
            1 => '?',
            2 => '·',
            _ => '\u{fffd}',
        })
        .collect()
}

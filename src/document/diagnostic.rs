//! What is wrong with a document: where, why, and what to do about it.

use std::ops::Range;
use std::sync::Arc;

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};
use serde_json::{Value, json};

use super::spans::Problem;
use crate::shell::{clean, is_dangerous};

/// The longest message, label or help that is shown, in characters.
const MAX_TEXT: usize = 600;

/// How many are shown to a person at once.
const MAX_SHOWN: usize = 200;

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
        diagnostic.help = problem.help.map(str::to_owned);
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
            if !files.contains(&&place.source) {
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
                    let note =
                        kind.span(span.start - shown_part.start..span.end - shown_part.start);
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
    for diagnostic in diagnostics.iter().take(MAX_SHOWN) {
        text.push_str(&diagnostic.render(color));
        text.push('\n');
    }
    if let Some(more @ 1..) = diagnostics.len().checked_sub(MAX_SHOWN) {
        text.push_str(&format!("{more} more are not shown\n\n"));
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

/// By file, in the order in which they were first found wrong, then by place.
pub(super) fn in_order(mut found: Vec<Diagnostic>) -> Vec<Diagnostic> {
    let file = |d: &Diagnostic| d.place.as_ref().map(|place| place.source.name.clone());
    let mut files = Vec::new();
    for diagnostic in &found {
        let name = file(diagnostic);
        if !files.contains(&name) {
            files.push(name);
        }
    }
    found.sort_by_cached_key(|d| {
        let at = d.place.as_ref().map_or(0, |place| place.span.start);
        (files.iter().position(|name| *name == file(d)), at)
    });
    found
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
        .filter(|(_, likeness)| *likeness >= 0.55)
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
    let harmless = |c: char| matches!(c, '\n' | '\t') || !is_dangerous(c);
    text.chars()
        .map(|c| match c.len_utf8() {
            _ if c == '\r' => ' ',
            _ if harmless(c) => c,
            1 => '?',
            2 => '·',
            _ => '\u{fffd}',
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn source(text: &str) -> Arc<Source> {
        Arc::new(Source {
            name: "a.yaml".into(),
            text: text.into(),
        })
    }

    #[test]
    fn what_a_terminal_would_act_on_is_not_shown() {
        let evil = source("a: \u{1b}[2J\u{9b}31m\u{202e}x\nb: 1\n");
        let place = Place::new(&evil, 3..9);
        let text = Diagnostic::error("x", place, "is `\u{1b}[2J`\nand more")
            .label("\u{7}")
            .help("\u{9b}H")
            .render(false);
        assert!(
            !text
                .chars()
                .any(|c| c != '\n' && crate::shell::is_dangerous(c)),
            "{text:?}"
        );
        assert!(text.contains("a.yaml:1:4"), "{text}");
    }

    #[test]
    fn color_is_only_there_where_it_is_wanted() {
        let place = Place::new(&source("a: 1\n"), 3..4);
        let error = Diagnostic::warning("x", place, "wrong");
        assert!(error.render(true).contains("\u{1b}["));
        assert!(!error.render(false).contains('\u{1b}'));
    }

    #[test]
    fn json_has_lines_and_columns_in_characters() {
        let text = source("ä: 1\nöö: [wrong, x]\n");
        let start = text.text.find("wrong").unwrap_or_default();
        let json = Diagnostic::error("x", Place::new(&text, start..start + 5), "m")
            .related(Place::new(&text, 0..2), "here")
            .to_json();
        assert_eq!(
            json["place"],
            serde_json::json!({
                "file": "a.yaml", "line": 2, "column": 6, "end_line": 2, "end_column": 11
            })
        );
        assert_eq!(json["related"][0]["place"]["column"], 1);
    }

    #[test]
    fn a_conflict_shows_both_places() {
        let (one, other) = (source("key: \"0\"\n"), source("key: \"1\"\n"));
        let other = Arc::new(Source {
            name: "b.yaml".into(),
            ..(*other).clone()
        });
        let text = Diagnostic::conflict(
            Place::new(&one, 5..8),
            Place::new(&other, 5..8),
            "sysctl net.ipv4.ip_forward: \"0\" in one rule, \"1\" in another",
        )
        .render(false);
        assert!(
            text.contains("b.yaml:1:6") && text.contains("a.yaml:1:6"),
            "{text}"
        );
    }

    #[test]
    fn the_nearest_word_is_near() {
        assert_eq!(nearest("hihg", ["low", "high"]), Some("high"));
        assert_eq!(nearest("docker", ["router", "container-engine"]), None);
        assert_eq!(nearest(&"x".repeat(5000), ["x"]), None);
    }

    proptest! {
        #[test]
        fn rendering_never_panics(
            text in any::<String>(), message in any::<String>(), label in any::<String>(),
            spans in prop::collection::vec((0usize..200, 0usize..200), 1..4), color in any::<bool>(),
        ) {
            let text = source(&text);
            #[expect(clippy::reversed_empty_ranges)]
            let mut error = Diagnostic::error("x", Place::new(&text, usize::MAX..0), message.as_str());
            for (start, end) in spans {
                error = error.related(Place::new(&text, start..end), label.as_str());
            }
            let _ = (error.render(color), error.to_json());
            error.place = None;
            let _ = (error.render(color), error.to_json());
        }
    }
}

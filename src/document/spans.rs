//! The span-keeping pass: a document as a tree that knows where each piece stands.
//!
//! It also refuses what our documents have no use for and what makes YAML a danger: aliases,
//! anchors, merge keys, tags, several documents in one file, great depth and great size.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;

use saphyr_parser::{Event, Marker, Parser, ScalarStyle, ScanError, Span, Tag};

/// The largest document that is read, in bytes.
pub const MAX_BYTES: usize = 1024 * 1024;
/// How deep lists and mappings may stand in one another.
const MAX_DEPTH: usize = 48;

/// What is wrong with a text as YAML, with the byte range it stands at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    pub code: &'static str,
    pub message: String,
    pub label: &'static str,
    pub span: Range<usize>,
    pub help: Option<&'static str>,
    /// Another place that has to do with it, and what to say there.
    pub related: Option<(Range<usize>, &'static str)>,
}

/// A piece of a document. Spans are byte ranges of the text.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    pub kind: Kind,
    pub span: Range<usize>,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Kind {
    Scalar {
        text: String,
        /// Written without quotes and not as a block.
        plain: bool,
    },
    List(Vec<Node>),
    Map(Vec<Entry>),
}

/// One `key: value`. Keys are scalars.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    pub key: String,
    pub key_span: Range<usize>,
    pub value: Node,
}

impl Node {
    /// The scalar's text; `None` for lists, mappings and null.
    pub fn text(&self) -> Option<&str> {
        match &self.kind {
            Kind::Scalar { text, .. } if !self.is_null() => Some(text),
            _ => None,
        }
    }

    /// No value, or `~`, or `null`.
    pub fn is_null(&self) -> bool {
        matches!(&self.kind, Kind::Scalar { text, plain: true }
            if matches!(text.as_str(), "" | "~" | "null" | "Null" | "NULL"))
    }

    /// `true` or `false`, written plainly.
    pub fn boolean(&self) -> Option<bool> {
        match &self.kind {
            Kind::Scalar { text, plain: true } => match text.as_str() {
                "true" | "True" | "TRUE" => Some(true),
                "false" | "False" | "FALSE" => Some(false),
                _ => None,
            },
            _ => None,
        }
    }

    /// The items of a list; nothing for anything else.
    pub fn items(&self) -> &[Node] {
        match &self.kind {
            Kind::List(items) => items,
            _ => &[],
        }
    }

    /// The entries of a mapping; nothing for anything else.
    pub fn entries(&self) -> &[Entry] {
        match &self.kind {
            Kind::Map(entries) => entries,
            _ => &[],
        }
    }

    pub fn entry(&self, key: &str) -> Option<&Entry> {
        self.entries().iter().find(|entry| entry.key == key)
    }

    pub fn get(&self, key: &str) -> Option<&Node> {
        self.entry(key).map(|entry| &entry.value)
    }

    /// The text at a key, with its place.
    pub fn text_at(&self, key: &str) -> Option<(&str, &Range<usize>)> {
        let node = self.get(key)?;
        Some((node.text()?, &node.span))
    }

    /// The texts of a list at a key, with their places.
    pub fn texts_at(&self, key: &str) -> Vec<(&str, &Range<usize>)> {
        let items = self.get(key).map(Node::items).unwrap_or_default();
        let text = |item: &'_ Node| -> Option<()> { item.text().map(drop) };
        items
            .iter()
            .filter(|item| text(item).is_some())
            .map(|item| (item.text().unwrap_or_default(), &item.span))
            .collect()
    }

    /// Where to point when the whole of a mapping is meant: its first key, so that one line is
    /// marked and not a screenful.
    pub fn head(&self) -> Range<usize> {
        match &self.kind {
            Kind::Map(entries) => match entries.first() {
                Some(first) => first.key_span.clone(),
                None => self.span.clone(),
            },
            Kind::List(items) => match items.first() {
                Some(first) => first.head(),
                None => self.span.clone(),
            },
            Kind::Scalar { .. } => self.span.clone(),
        }
    }

    /// Calls `f` for every scalar value in it, with the key it stands under.
    pub fn each_text<'a>(&'a self, key: &'a str, f: &mut dyn FnMut(&'a str, &'a Node)) {
        match &self.kind {
            Kind::Scalar { .. } => f(key, self),
            Kind::List(items) => items.iter().for_each(|item| item.each_text(key, f)),
            Kind::Map(entries) => entries
                .iter()
                .for_each(|entry| entry.value.each_text(&entry.key, f)),
        }
    }
}

/// Where keys and values stand, by path, e.g. `rules[3].resources[0].sysctl.key`. A key that is
/// not a plain word stands in brackets: `overrides["ssh.root"].off`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SpanIndex {
    places: BTreeMap<String, Spans>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spans {
    /// The key that the value stands under; none for list items and the root.
    pub key: Option<Range<usize>>,
    pub value: Range<usize>,
}

impl SpanIndex {
    /// Reads a document. The root's path is empty.
    pub fn of(text: &str) -> Result<SpanIndex, Problem> {
        let mut index = SpanIndex::default();
        if let Some(root) = parse(text)? {
            index.add(String::new(), None, &root);
        }
        Ok(index)
    }

    fn add(&mut self, path: String, key: Option<Range<usize>>, node: &Node) {
        for (at, item) in node.items().iter().enumerate() {
            self.add(format!("{path}[{at}]"), None, item);
        }
        for entry in node.entries() {
            let child = join(&path, &entry.key);
            self.add(child, Some(entry.key_span.clone()), &entry.value);
        }
        let value = node.span.clone();
        self.places.insert(path, Spans { key, value });
    }

    pub fn get(&self, path: &str) -> Option<&Spans> {
        self.places.get(path)
    }

    pub fn paths(&self) -> impl Iterator<Item = (&str, &Spans)> {
        self.places
            .iter()
            .map(|(path, spans)| (path.as_str(), spans))
    }
}

fn join(path: &str, key: &str) -> String {
    let word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    if key.is_empty() || !key.chars().all(word) {
        return format!("{path}[{key:?}]");
    }
    match path {
        "" => key.to_owned(),
        path => format!("{path}.{key}"),
    }
}

/// Reads a document into a tree. `None`: there is nothing in it.
pub fn parse(text: &str) -> Result<Option<Node>, Problem> {
    if text.len() > MAX_BYTES {
        let help = "split it: a baseline may `include` others";
        return Err(Problem {
            help: Some(help),
            ..problem("too-large", "the document is larger than 1 MiB", 0..0)
        });
    }
    let offsets = Offsets::of(text);
    let mut builder = Builder {
        text,
        offsets: &offsets,
        stack: Vec::new(),
        root: None,
        documents: 0,
    };
    // The reader takes a NUL for the end of the text and would leave the rest unseen.
    if let Some(at) = text.find('\0') {
        return Err(problem(
            "not-yaml",
            "there is a NUL byte in the text",
            at..at + 1,
        ));
    }
    let mut parser = Parser::new_from_str(builder_input(text));
    while let Some(event) = parser.next_event() {
        let (event, span) = event.map_err(|error| builder.scan_error(&error))?;
        if event == Event::StreamEnd {
            break;
        }
        builder.event(event, span)?;
    }
    Ok(builder.root)
}

/// A byte order mark is no part of the document.
fn builder_input(text: &str) -> &str {
    text.strip_prefix('\u{feff}').unwrap_or(text)
}

fn problem(code: &'static str, message: impl Into<String>, span: Range<usize>) -> Problem {
    Problem {
        code,
        message: message.into(),
        label: "",
        span,
        help: None,
        related: None,
    }
}

/// From the parser's offsets, which count characters, to ours, which count bytes.
struct Offsets {
    starts: Option<Vec<usize>>,
    skipped: usize,
    len: usize,
}

impl Offsets {
    fn of(text: &str) -> Self {
        let body = builder_input(text);
        let starts = || body.char_indices().map(|(at, _)| at).collect();
        Offsets {
            starts: (!body.is_ascii()).then(starts),
            skipped: text.len() - body.len(),
            len: text.len(),
        }
    }

    fn byte(&self, mark: &Marker) -> usize {
        let at = match &self.starts {
            None => mark.index(),
            Some(starts) => starts.get(mark.index()).copied().unwrap_or(self.len),
        };
        (at + self.skipped).min(self.len)
    }

    fn range(&self, span: &Span) -> Range<usize> {
        let start = self.byte(&span.start);
        start..self.byte(&span.end).max(start)
    }
}

struct Builder<'a> {
    text: &'a str,
    offsets: &'a Offsets,
    stack: Vec<Open>,
    root: Option<Node>,
    documents: usize,
}

/// A list or mapping whose end has not come yet.
struct Open {
    node: Node,
    /// A key that waits for its value.
    key: Option<(String, Range<usize>)>,
    /// The keys so far, each with its place.
    keys: HashMap<String, Range<usize>>,
}

impl Builder<'_> {
    fn scan_error(&self, error: &ScanError) -> Problem {
        let mut at = self.offsets.byte(error.marker());
        // The parser often notices only at the end; the last thing written is what to look at.
        let rest = self.text.get(at..).unwrap_or_default();
        if rest.trim().is_empty() {
            let before = self.text.get(..at).unwrap_or_default().trim_end();
            at = before.char_indices().next_back().map_or(0, |(at, _)| at);
        }
        let line = self.text.get(..at).unwrap_or_default();
        let line = line.rfind('\n').map_or(0, |at| at + 1);
        let text = self.text.get(line..).unwrap_or_default();
        let indent = text.len() - text.trim_start_matches([' ', '\t']).len();
        let tab = text.get(..indent).and_then(|indent| indent.find('\t'));
        if let Some(tab) = tab {
            let found = problem(
                "not-yaml",
                "a tab cannot indent",
                line + tab..line + tab + 1,
            );
            return Problem {
                help: Some("indent with spaces"),
                ..found
            };
        }
        let end = (at + 1..=self.text.len()).find(|end| self.text.is_char_boundary(*end));
        let message = format!("this is not YAML: {}", error.info());
        Problem {
            help: help_for(error.info()),
            ..problem("not-yaml", message, at..end.unwrap_or(at))
        }
    }

    fn refuse(&self, what: &str, help: &'static str, span: Range<usize>) -> Problem {
        Problem {
            label: "not taken here",
            help: Some(help),
            ..problem(
                "yaml-feature",
                format!("{what} are not allowed in our documents"),
                span,
            )
        }
    }

    fn plain(&self, anchor: usize, tag: Option<&Tag>, span: &Range<usize>) -> Result<(), Problem> {
        let at = self.line_before(span);
        if anchor != 0 {
            return Err(self.refuse("anchors (`&name`)", "write the value out", at));
        }
        match tag {
            Some(_) => Err(self.refuse("tags (`!name`)", "leave the tag out", at)),
            None => Ok(()),
        }
    }

    /// Anchors and tags stand before the piece that they belong to: on its line up to it, or on
    /// the line before a block.
    fn line_before(&self, span: &Range<usize>) -> Range<usize> {
        let before = self.text.get(..span.start).unwrap_or_default();
        let cut = before.trim_end();
        let start = cut
            .rfind(|c: char| c.is_whitespace())
            .map_or(0, |at| at + 1);
        match cut.get(start..) {
            Some(word) if word.starts_with(['&', '!']) => start..cut.len(),
            _ => span.clone(),
        }
    }

    fn event(&mut self, event: Event, span: Span) -> Result<(), Problem> {
        let span = self.offsets.range(&span);
        match event {
            Event::DocumentStart(_) => {
                self.documents += 1;
                if self.documents > 1 {
                    let help = "put each document into a file of its own";
                    return Err(self.refuse("several documents in one file", help, span));
                }
                Ok(())
            }
            Event::Alias(_) => Err(self.refuse("aliases (`*name`)", "write the value out", span)),
            Event::Scalar(text, style, anchor, tag) => {
                self.plain(anchor, tag.as_deref(), &span)?;
                let plain = style == ScalarStyle::Plain;
                let text = text.into_owned();
                let span = self.trimmed(span);
                self.add(Node {
                    kind: Kind::Scalar { text, plain },
                    span,
                })
            }
            Event::SequenceStart(anchor, tag) => {
                self.plain(anchor, tag.as_deref(), &span)?;
                self.open(Kind::List(Vec::new()), span)
            }
            Event::MappingStart(anchor, tag) => {
                self.plain(anchor, tag.as_deref(), &span)?;
                self.open(Kind::Map(Vec::new()), span)
            }
            Event::SequenceEnd | Event::MappingEnd => self.close(span),
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => Ok(()),
        }
    }

    /// Without the white space at its end, which block scalars have.
    fn trimmed(&self, span: Range<usize>) -> Range<usize> {
        let text = self.text.get(span.clone()).unwrap_or_default();
        span.start..span.start + text.trim_end().len()
    }

    fn open(&mut self, kind: Kind, span: Range<usize>) -> Result<(), Problem> {
        if self.stack.len() >= MAX_DEPTH {
            let message =
                format!("lists and mappings stand deeper than {MAX_DEPTH} in one another");
            return Err(problem("too-deep", message, span));
        }
        let key_wanted = self.stack.last().is_some_and(Open::wants_key);
        if key_wanted {
            return Err(key_is_no_text(span));
        }
        let node = Node { kind, span };
        let (key, keys) = (None, HashMap::new());
        self.stack.push(Open { node, key, keys });
        Ok(())
    }

    fn close(&mut self, end: Range<usize>) -> Result<(), Problem> {
        let Some(Open { mut node, .. }) = self.stack.pop() else {
            return Ok(());
        };
        let last = match &node.kind {
            Kind::List(items) => items.last().map(|item| item.span.end),
            Kind::Map(entries) => entries.last().map(|e| e.value.span.end.max(e.key_span.end)),
            Kind::Scalar { .. } => None,
        };
        let flow = self.text.get(node.span.start..).unwrap_or_default();
        let ended = if flow.starts_with(['[', '{']) && !end.is_empty() {
            Some(end.end)
        } else {
            last
        };
        let least = node.span.end;
        node.span.end = ended.unwrap_or(least).max(node.span.start);
        self.add(node)
    }

    fn add(&mut self, node: Node) -> Result<(), Problem> {
        let Some(open) = self.stack.last_mut() else {
            self.root = Some(node).filter(|node| !node.is_null());
            return Ok(());
        };
        match &mut open.node.kind {
            Kind::List(items) => items.push(node),
            Kind::Map(entries) => match open.key.take() {
                Some((key, key_span)) => entries.push(Entry {
                    key,
                    key_span,
                    value: node,
                }),
                None => {
                    let Kind::Scalar { text, plain } = node.kind else {
                        return Err(key_is_no_text(node.span));
                    };
                    if plain && text == "<<" {
                        return Err(self.refuse(
                            "merge keys (`<<`)",
                            "write the keys out",
                            node.span,
                        ));
                    }
                    if let Some(first) = open.keys.insert(text.clone(), node.span.clone()) {
                        return Err(Problem {
                            label: "here again",
                            help: Some("keep one of them"),
                            related: Some((first, "first here")),
                            ..problem(
                                "duplicate-key",
                                format!("the key `{text}` stands twice in one mapping"),
                                node.span,
                            )
                        });
                    }
                    open.key = Some((text, node.span));
                }
            },
            Kind::Scalar { .. } => {}
        }
        Ok(())
    }
}

/// What to do about the mistakes that people make, by the words that the parser has for them.
fn help_for(info: &str) -> Option<&'static str> {
    const HELP: &[(&[&str], &str)] = &[
        (
            &[
                "mapping values are not allowed",
                "simple key",
                "did not find expected key",
            ],
            "a text with `: ` in it stands between quotes; the keys of one mapping have the same indent",
        ),
        (
            &["unexpected character", "cannot start with"],
            "a text that begins with a sign of YAML's own stands between quotes",
        ),
        (
            &[
                "illegal placement of ':'",
                "flow sequence",
                "flow mapping",
                "flow construct",
                "misplaced bracket",
            ],
            "look for a `[` or `{` that is not closed, here or on a line before",
        ),
        (
            &["quoted scalar"],
            "look for a quote that is not closed; a quote inside double quotes is written `\\\"`",
        ),
        (
            &[
                "block collection",
                "block sequence",
                "invalid indentation",
                "wrongly indented",
            ],
            "the items of one list, and the keys of one mapping, have the same indent",
        ),
    ];
    let known = |parts: &&[&str]| parts.iter().any(|part| info.contains(part));
    HELP.iter()
        .find(|(parts, _)| known(parts))
        .map(|(_, help)| *help)
}

impl Open {
    fn wants_key(&self) -> bool {
        matches!(self.node.kind, Kind::Map(_)) && self.key.is_none()
    }
}

fn key_is_no_text(span: Range<usize>) -> Problem {
    Problem {
        help: Some("a text that begins with `{` or `[` stands between quotes, e.g. \"{{ name }}\""),
        ..problem("not-yaml", "a key must be a text", span)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at<'t>(text: &'t str, index: &SpanIndex, path: &str) -> (&'t str, &'t str) {
        let spans = index.get(path).unwrap_or_else(|| panic!("no {path}"));
        let key = spans.key.clone().unwrap_or(0..0);
        (&text[key], &text[spans.value.clone()])
    }

    #[test]
    fn paths_lead_to_keys_and_values() {
        let text = "\u{feff}größe: 1\nrules:\n  - id: a\n    resources:\n    - sysctl: {key: \"ä.b\", value: 1}\n  - id: b # last\noverrides:\n  ssh.root: {off: true}\ntext: |\n  one\n  two\n\n# end\n";
        let index = SpanIndex::of(text).unwrap();
        assert_eq!(at(text, &index, "[\"größe\"]"), ("größe", "1"));
        let key = "rules[0].resources[0].sysctl.key";
        assert_eq!(at(text, &index, key), ("key", "\"ä.b\""));
        let sysctl = "rules[0].resources[0].sysctl";
        assert_eq!(
            at(text, &index, sysctl),
            ("sysctl", "{key: \"ä.b\", value: 1}")
        );
        assert_eq!(at(text, &index, "rules[1]").1, "id: b");
        assert_eq!(
            at(text, &index, "overrides[\"ssh.root\"].off"),
            ("off", "true")
        );
        assert_eq!(at(text, &index, "text").1, "one\n  two");
        assert!(index.get("rules[2]").is_none());
    }

    #[test]
    fn what_makes_yaml_a_danger_is_refused() {
        let code = |text: &str| SpanIndex::of(text).unwrap_err().code;
        for text in [
            "a: &x 1",
            "a: !x 1",
            "a: *x",
            "<<: {a: 1}",
            "a: 1\n---\nb: 2",
            "--- &x\n- 1",
            "a: &x\n  b: 1",
        ] {
            let code = code(text);
            assert!(code == "yaml-feature" || text == "a: *x", "{text}: {code}");
        }
        assert_eq!(code("a: &x 1\nb: *x"), "yaml-feature");
        assert_eq!(code(&"[".repeat(60)), "too-deep");
        assert_eq!(code(&format!("a: {}", "x".repeat(MAX_BYTES))), "too-large");
        assert_eq!(code("a: 1\0b: 2"), "not-yaml");
        assert_eq!(code("? [a]\n: b"), "not-yaml");
        assert_eq!(code("a: 1\na: 2"), "duplicate-key");
        assert_eq!(code("a: {{ b }}"), "not-yaml");
    }

    #[test]
    fn a_document_with_nothing_in_it_is_none() {
        for text in ["", "# only this\n", "---\n", "~"] {
            assert_eq!(parse(text), Ok(None), "{text:?}");
        }
    }

    /// Texts that are nearly documents.
    fn nearly() -> impl Strategy<Value = String> {
        let piece = prop_oneof![
            Just("a: ".to_owned()),
            Just("- ".to_owned()),
            Just("\n".to_owned()),
            Just("  ".to_owned()),
            Just("{".to_owned()),
            Just("}".to_owned()),
            Just("[".to_owned()),
            Just("]".to_owned()),
            Just("? ".to_owned()),
            Just(": ".to_owned()),
            Just("|\n".to_owned()),
            Just(">-\n".to_owned()),
            Just("\"".to_owned()),
            Just("'".to_owned()),
            Just("&x ".to_owned()),
            Just("*x".to_owned()),
            Just("!t ".to_owned()),
            Just("---\n".to_owned()),
            Just("...\n".to_owned()),
            Just("%YAML 1.2\n".to_owned()),
            Just("#".to_owned()),
            Just("\t".to_owned()),
            Just("\r\n".to_owned()),
            Just("\u{feff}".to_owned()),
            Just(",".to_owned()),
            Just("<<".to_owned()),
            Just("ä".to_owned()),
            "[a-z0-9]{1,3}",
        ];
        prop::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(500))]

        #[test]
        fn no_text_makes_it_panic(text in any::<String>()) {
            let _ = SpanIndex::of(&text);
        }

        #[test]
        fn every_span_lies_in_the_text(text in nearly()) {
            match SpanIndex::of(&text) {
                Ok(index) => for (path, spans) in index.paths() {
                    prop_assert!(text.get(spans.value.clone()).is_some(), "{path}");
                    let key = spans.key.clone().unwrap_or(0..0);
                    prop_assert!(text.get(key).is_some(), "{path}");
                },
                Err(problem) => prop_assert!(text.get(problem.span.clone()).is_some(), "{problem:?}"),
            }
        }
    }
}

//! Typed values out of YAML. The one module that names serde_yaml.

use std::ops::Range;

use serde::de::DeserializeOwned;

use super::spans::{Kind, Node};

/// Why a text is not a `T`, and where: a byte range, as exact as the reader knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TypeError {
    pub message: String,
    pub span: Range<usize>,
}

/// Reads a document whose shape [`super::spans::parse`] has accepted.
///
/// Call that one first: it is what refuses aliases, tags and great size.
pub fn read<T: DeserializeOwned>(text: &str) -> Result<T, TypeError> {
    serde_yaml::from_str(text).map_err(|error| {
        let at = error
            .location()
            .map_or(0, |place| offset(text, place.line(), place.column()));
        TypeError {
            message: message(&error),
            span: at..at,
        }
    })
}

/// Reads a `T` from one piece of a document, so that a mistake in one resource does not hide
/// those in others.
pub fn read_node<T: DeserializeOwned>(node: &Node) -> Result<T, TypeError> {
    let mut out = Writer::default();
    out.node(node);
    serde_yaml::from_str(&out.text).map_err(|error| {
        let at = error
            .location()
            .map_or(0, |place| offset(&out.text, place.line(), place.column()));
        // The last piece that begins at or before the place that the reader names.
        let piece = out.pieces.iter().rev().find(|(start, _)| *start <= at);
        TypeError {
            message: message(&error),
            span: piece.map_or_else(|| node.head(), |(_, span)| span.clone()),
        }
    })
}

/// The reader's words, without the path before and the place after, which we show better.
fn message(error: &serde_yaml::Error) -> String {
    let mut text = error.to_string();
    if let Some(place) = error.location() {
        let tail = format!(" at line {} column {}", place.line(), place.column());
        if let Some(cut) = text.strip_suffix(&tail) {
            text = cut.to_owned();
        }
    }
    match text.split_once(": ") {
        Some((path, rest)) if !path.is_empty() && !path.contains([' ', '`']) => rest.to_owned(),
        _ => text,
    }
}

/// The byte at a line and column, both counted from 1, the column in characters.
fn offset(text: &str, line: usize, column: usize) -> usize {
    let start: usize = text
        .split_inclusive('\n')
        .take(line.saturating_sub(1))
        .map(str::len)
        .sum();
    let rest = text.get(start..).unwrap_or_default();
    let within = rest
        .char_indices()
        .nth(column.saturating_sub(1))
        .map_or(rest.len(), |(at, _)| at);
    start + within
}

/// Writes a piece again on one line, and remembers where each part came from.
#[derive(Default)]
struct Writer {
    text: String,
    pieces: Vec<(usize, Range<usize>)>,
}

impl Writer {
    fn node(&mut self, node: &Node) {
        self.pieces.push((self.text.len(), node.head()));
        match &node.kind {
            Kind::Scalar { text, plain } => self.scalar(text, *plain),
            Kind::List(items) => {
                self.text.push('[');
                for (at, item) in items.iter().enumerate() {
                    self.text.push_str(if at > 0 { ", " } else { "" });
                    self.node(item);
                }
                self.text.push(']');
            }
            Kind::Map(entries) => {
                self.text.push('{');
                for (at, entry) in entries.iter().enumerate() {
                    self.text.push_str(if at > 0 { ", " } else { "" });
                    self.pieces.push((self.text.len(), entry.key_span.clone()));
                    self.scalar(&entry.key, false);
                    self.text.push_str(": ");
                    self.node(&entry.value);
                }
                self.text.push('}');
            }
        }
    }

    /// A plain number, boolean or null must stay plain to keep its type; anything else keeps its
    /// meaning between quotes.
    fn scalar(&mut self, text: &str, plain: bool) {
        let bare = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '~' | '+' | '-');
        if plain && text.is_empty() {
            self.text.push('~');
        } else if plain && text.chars().all(bare) && text != "-" {
            self.text.push_str(text);
        } else {
            self.text.push('"');
            for c in text.chars() {
                match c {
                    '"' | '\\' => self.text.extend(['\\', c]),
                    ' '..='~' => self.text.push(c),
                    _ => self.text.push_str(&format!("\\U{:08x}", u32::from(c))),
                }
            }
            self.text.push('"');
        }
    }
}

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

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;
    use crate::document::spans::parse;

    /// A document as the typed reader sees it.
    #[derive(Clone, Debug, PartialEq)]
    enum Tree {
        Text(String),
        List(Vec<Tree>),
        Map(BTreeMap<String, Tree>),
    }

    impl<'de> serde::Deserialize<'de> for Tree {
        fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            struct V;
            impl<'de> serde::de::Visitor<'de> for V {
                type Value = Tree;
                fn expecting(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
                    f.write_str("anything")
                }
                fn visit_str<E>(self, v: &str) -> Result<Tree, E> {
                    Ok(Tree::Text(v.to_owned()))
                }
                fn visit_unit<E>(self) -> Result<Tree, E> {
                    Ok(Tree::Text("null".into()))
                }
                fn visit_bool<E>(self, v: bool) -> Result<Tree, E> {
                    Ok(Tree::Text(v.to_string()))
                }
                fn visit_u64<E>(self, v: u64) -> Result<Tree, E> {
                    Ok(Tree::Text(v.to_string()))
                }
                fn visit_seq<A: serde::de::SeqAccess<'de>>(
                    self,
                    mut seq: A,
                ) -> Result<Tree, A::Error> {
                    let mut list = Vec::new();
                    while let Some(item) = seq.next_element()? {
                        list.push(item);
                    }
                    Ok(Tree::List(list))
                }
                fn visit_map<A: serde::de::MapAccess<'de>>(
                    self,
                    mut map: A,
                ) -> Result<Tree, A::Error> {
                    let mut entries = BTreeMap::new();
                    while let Some((key, value)) = map.next_entry()? {
                        entries.insert(key, value);
                    }
                    Ok(Tree::Map(entries))
                }
            }
            deserializer.deserialize_any(V)
        }
    }

    fn tree_of(node: &Node) -> Tree {
        match &node.kind {
            Kind::Scalar { .. } if node.is_null() => Tree::Text("null".into()),
            Kind::Scalar { text, .. } => Tree::Text(text.clone()),
            Kind::List(items) => Tree::List(items.iter().map(tree_of).collect()),
            Kind::Map(entries) => Tree::Map(
                entries
                    .iter()
                    .map(|entry| (entry.key.clone(), tree_of(&entry.value)))
                    .collect(),
            ),
        }
    }

    /// Trees, written down in several styles by [`write`].
    fn trees() -> impl Strategy<Value = Tree> {
        let leaf = prop_oneof![
            "[a-zäß {}\\[\\]:#'\"\\\\-]{0,12}",
            "[1-9][0-9]{0,4}",
            Just("true".to_owned())
        ];
        let leaf = leaf.prop_map(Tree::Text);
        leaf.prop_recursive(4, 32, 5, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 1..5).prop_map(Tree::List),
                prop::collection::btree_map("[a-z.]{1,6}", inner, 1..5).prop_map(Tree::Map),
            ]
        })
    }

    fn write(tree: &Tree, indent: usize, flow: bool, out: &mut String) {
        let pad = " ".repeat(indent);
        match tree {
            Tree::Text(text) => {
                let plain = !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric());
                let quoted = serde_json::Value::String(text.clone()).to_string();
                out.push_str(if plain { text } else { &quoted });
            }
            Tree::List(items) if flow => {
                out.push('[');
                items.iter().for_each(|item| {
                    write(item, 0, true, out);
                    out.push_str(", ");
                });
                out.push(']');
            }
            Tree::Map(entries) if flow => {
                out.push('{');
                entries.iter().for_each(|(key, value)| {
                    out.push_str(&format!("\"{key}\": "));
                    write(value, 0, true, out);
                    out.push_str(", ");
                });
                out.push('}');
            }
            Tree::List(items) => items.iter().for_each(|item| {
                out.push_str(&format!("\n{pad}- "));
                write(item, indent + 2, matches!(item, Tree::Map(_)), out);
            }),
            Tree::Map(entries) => entries.iter().for_each(|(key, value)| {
                out.push_str(&format!("\n{pad}\"{key}\": "));
                write(value, indent + 2, false, out);
            }),
        }
    }

    proptest! {
        #[test]
        fn both_readers_see_the_same(tree in trees(), flow in any::<bool>()) {
            let mut text = String::new();
            write(&tree, 0, flow, &mut text);
            let node = parse(&text).unwrap_or_else(|e| panic!("{text}: {e:?}"));
            // A lone null is no document at all.
            if let Some(node) = node {
                prop_assert_eq!(read::<Tree>(&text).unwrap(), tree_of(&node), "{}", text);
                prop_assert_eq!(read_node::<Tree>(&node).unwrap(), tree_of(&node), "{}", text);
            }
        }

        #[test]
        fn what_both_accept_they_read_alike(text in "([a-c]: |- |\n|  |[0-9]|[x-z]|\"|'|, |\\[|\\]|\\{|\\}|#|\\||>){0,30}") {
            // Every document of ours is a mapping. On a block text that is the whole document,
            // with a `#` in the first column, the two do differ.
            let text = format!("k: 1\n{text}");
            if let (Ok(Some(node)), Ok(tree)) = (parse(&text), read::<Tree>(&text)) {
                // Numbers are compared by their value.
                let same = format!("{:?}", tree_of(&node)) == format!("{tree:?}");
                prop_assert!(same || text.contains('0'), "{text:?}: {:?} is not {tree:?}", tree_of(&node));
            }
        }
    }

    #[test]
    fn an_error_points_at_its_piece() {
        #[derive(Debug, serde::Deserialize)]
        struct Two {
            #[expect(dead_code)]
            größe: u8,
            #[expect(dead_code)]
            list: Vec<u8>,
        }
        let text = "größe: 1\nlist: [1, ä, 3]\n";
        let error = read::<Two>(text).unwrap_err();
        assert_eq!(error.message, "invalid type: string \"ä\", expected u8");
        let node = parse(text).unwrap().unwrap();
        let piece = read_node::<Two>(&node).unwrap_err();
        assert_eq!(text.get(piece.span), Some("ä"));
        assert_eq!(piece.message, error.message);
    }
}

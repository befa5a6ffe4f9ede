//! A playbook or baseline and all that it refers to, as trees: read once each, in order, with
//! missing files and cycles found.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use serde_json::Value;
use sha2::{Digest, Sha256};

use super::diagnostic::{Diagnostic, Place, Source};
use super::files::Files;
use super::spans::{Node, parse};
use super::structure;

/// How many files may include one another in a row.
const MAX_INCLUDES: usize = 16;

/// One document, read.
pub(super) struct Document {
    pub source: Arc<Source>,
    pub root: Node,
    /// Whether its structure is as its schema says.
    pub sound: bool,
    /// The baselines that it includes, near and far, by name of the file.
    pub below: BTreeSet<String>,
}

impl Document {
    pub fn place(&self, span: &Range<usize>) -> Place {
        Place::new(&self.source, span.clone())
    }
}

/// What has been read so far.
pub(super) struct Shelf<'a> {
    pub files: &'a dyn Files,
    pub found: Vec<Diagnostic>,
    /// Included ones before those that include them.
    pub baselines: Vec<Document>,
    /// Something could not be read, so that what seems unknown may only be unseen.
    pub incomplete: bool,
    /// Path → SHA-256 of the text, in hex.
    pub hashes: BTreeMap<String, String>,
    seen: Vec<PathBuf>,
}

impl<'a> Shelf<'a> {
    pub fn new(files: &'a dyn Files) -> Self {
        Shelf {
            files,
            found: Vec::new(),
            baselines: Vec::new(),
            incomplete: false,
            hashes: BTreeMap::new(),
            seen: Vec::new(),
        }
    }

    /// Reads one document and compares its structure.
    pub fn read(&mut self, path: &Path, from: Option<&Place>, schema: &Value) -> Option<Document> {
        let name = path.display().to_string();
        let text = match self.files.read(path) {
            Ok(text) => text,
            Err(why) => {
                self.found.push(self.unreadable(path, from, &why));
                self.incomplete = true;
                return None;
            }
        };
        self.hashes.insert(name.clone(), sha256(&text));
        let source = Arc::new(Source { name, text });
        let root = match parse(&source.text) {
            Ok(Some(root)) => root,
            Ok(None) => {
                let place = Place::new(&source, 0..0);
                let first = schema.pointer("/required/0").and_then(Value::as_str);
                let first = first.unwrap_or("title");
                self.found.push(
                    Diagnostic::error("empty", place, "there is nothing in this document")
                        .help(format!("it begins with `{first}: NAME`")),
                );
                self.incomplete = true;
                return None;
            }
            Err(problem) => {
                self.found.push(Diagnostic::of(&source, problem));
                self.incomplete = true;
                return None;
            }
        };
        let wrong = structure::check(&root, schema, &source);
        let sound = wrong.is_empty();
        self.found.extend(wrong);
        Some(Document {
            source,
            root,
            sound,
            below: BTreeSet::new(),
        })
    }

    fn unreadable(&self, path: &Path, from: Option<&Place>, why: &str) -> Diagnostic {
        let message = format!("cannot read `{}`: {why}", path.display());
        let error = match from {
            Some(place) => Diagnostic::error("unreadable", place.clone(), message),
            None => Diagnostic::without_place("unreadable", message),
        };
        let directory = path.parent().unwrap_or(Path::new(""));
        let wrong = path
            .file_name()
            .map(|name| name.to_string_lossy().into_owned());
        let names = self.files.names(directory);
        let near = super::diagnostic::nearest(
            wrong.as_deref().unwrap_or_default(),
            names
                .iter()
                .map(String::as_str)
                .filter(|name| Some(*name) != wrong.as_deref()),
        );
        match (near, from) {
            (Some(near), _) => error.help(format!(
                "did you mean `{}`?",
                directory.join(near).display()
            )),
            (None, Some(_)) => error.help("paths are relative to the file that they stand in"),
            (None, None) => error,
        }
    }

    /// Reads the baselines that a key of a document names, with all that they include.
    pub fn follow(
        &mut self,
        document: &Document,
        key: &str,
        schema: &Value,
        above: &mut Vec<(PathBuf, Place)>,
    ) {
        for (text, span) in document.root.texts_at(key) {
            let base = Path::new(&document.source.name);
            let path = normal(&base.parent().unwrap_or(Path::new("")).join(text));
            let place = document.place(span);
            self.baseline(path, Some(place), schema, above);
        }
    }

    /// Reads a baseline and all that it includes.
    pub fn baseline(
        &mut self,
        path: PathBuf,
        from: Option<Place>,
        schema: &Value,
        above: &mut Vec<(PathBuf, Place)>,
    ) {
        if let Some(start) = above.iter().position(|(above, _)| *above == path) {
            if let Some(place) = from {
                self.found
                    .push(cycle(&path, place, above.get(start..).unwrap_or_default()));
            }
            return;
        }
        if self.seen.contains(&path) {
            return;
        }
        if above.len() >= MAX_INCLUDES {
            if let Some(place) = from {
                let message = format!("baselines include one another deeper than {MAX_INCLUDES}");
                self.found
                    .push(Diagnostic::error("too-deep", place, message));
            }
            return;
        }
        self.seen.push(path.clone());
        let Some(mut document) = self.read(&path, from.as_ref(), schema) else {
            return;
        };
        let place = from.unwrap_or_else(|| document.place(&(0..0)));
        above.push((path, place));
        self.follow(&document, "include", schema, above);
        above.pop();
        let base = Path::new(&document.source.name)
            .parent()
            .unwrap_or(Path::new(""));
        for (text, _) in document.root.texts_at("include") {
            let name = normal(&base.join(text)).display().to_string();
            let included = self
                .baselines
                .iter()
                .find(|other| other.source.name == name);
            document.below.extend(
                included
                    .iter()
                    .flat_map(|other| other.below.iter().cloned()),
            );
            document.below.insert(name);
        }
        self.baselines.push(document);
    }
}

/// `round` is the way from the baseline to the place that names it again.
fn cycle(path: &Path, place: Place, round: &[(PathBuf, Place)]) -> Diagnostic {
    let message = match round.len() {
        1 => format!("`{}` includes itself", path.display()),
        _ => format!(
            "`{}` includes itself by way of other baselines",
            path.display()
        ),
    };
    let mut error = Diagnostic::error("include-cycle", place, message)
        .label("this closes the circle")
        .help("take one of these includes away");
    for (_, place) in round.iter().skip(1) {
        error = error.related(place.clone(), "which is included from here");
    }
    error
}

fn sha256(text: &str) -> String {
    let digest = Sha256::digest(text.as_bytes());
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// `a/../b/./c` → `b/c`. Only the words: no link is looked at.
pub(super) fn normal(path: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir
                if matches!(out.components().next_back(), Some(Component::Normal(_))) =>
            {
                out.pop();
            }
            Component::ParentDir if out.has_root() => {}
            other => out.push(other),
        }
    }
    out
}

//! The structural pass: a document's tree against the JSON Schema of its kind. It goes on after
//! a mistake, so that all of them are shown in one go.

use std::sync::Arc;

use regex::Regex;
use serde_json::Value;

use super::diagnostic::{Diagnostic, Place, Source, nearest};
use super::spans::{Entry, Kind, Node};

/// After so many mistakes of structure a document is something else altogether.
const MAX_MISTAKES: usize = 500;
/// Schemas are ours and refer to one another; this bounds a mistake of ours, not a document.
const MAX_REFERENCES: usize = 32;

/// Compares a document with its schema.
pub fn check(root: &Node, schema: &Value, source: &Arc<Source>) -> Vec<Diagnostic> {
    let mut walk = Walk {
        schema,
        source,
        found: Vec::new(),
    };
    let title = schema
        .get("title")
        .and_then(Value::as_str)
        .unwrap_or_default();
    let what = title.rsplit(' ').next().unwrap_or_default().to_owned();
    walk.value(
        root,
        schema,
        &At {
            what: with_article(&what),
            key: None,
            kind: false,
        },
    );
    walk.found
}

/// Where the walk is, in words.
#[derive(Clone)]
struct At<'n> {
    /// The nearest thing with a name, e.g. `a rule`.
    what: String,
    /// The key that the value stands under.
    key: Option<&'n str>,
    /// It is a resource, and `what` its kind: the name that people write, not that of a type.
    kind: bool,
}

impl At<'_> {
    /// How a sentence about the value begins.
    fn name(&self) -> String {
        match self.key {
            Some(key) => format!("`{key}`"),
            None => self.what.clone(),
        }
    }
}

struct Walk<'s> {
    schema: &'s Value,
    source: &'s Arc<Source>,
    found: Vec<Diagnostic>,
}

impl<'s> Walk<'s> {
    fn place(&self, span: &std::ops::Range<usize>) -> Place {
        Place::new(self.source, span.clone())
    }

    /// Follows `$ref`; the name of the last one that was followed, if any.
    fn follow(&self, schema: &'s Value) -> (&'s Value, Option<&'s str>) {
        let mut schema = schema;
        let mut name = None;
        for _ in 0..MAX_REFERENCES {
            let Some(reference) = schema.get("$ref").and_then(Value::as_str) else {
                break;
            };
            let Some(pointer) = reference.strip_prefix('#') else {
                break;
            };
            let Some(target) = self.schema.pointer(pointer) else {
                break;
            };
            name = pointer.rsplit('/').next();
            schema = target;
        }
        (schema, name)
    }

    fn value(&mut self, node: &Node, schema: &'s Value, at: &At) {
        if self.found.len() >= MAX_MISTAKES {
            return;
        }
        let (schema, name) = self.follow(schema);
        let at = &match name {
            Some(name) if !at.kind && is_composed(schema) => At {
                what: with_article(&words_of(name)),
                key: at.key,
                kind: false,
            },
            _ => at.clone(),
        };
        if let Some(all) = schema.get("allOf").and_then(Value::as_array) {
            all.iter().for_each(|part| self.value(node, part, at));
        }
        if let Some(words) = self.words(schema) {
            return self.word(node, &words, at);
        }
        if let Some(kinds) = self.kinds(schema) {
            return self.one_kind(node, &kinds);
        }
        if let Some(branches) = branches(schema) {
            return self.branch(node, schema, branches, at);
        }
        if !self.accepts(schema, node) {
            return self.wrong_type(node, schema, at);
        }
        match &node.kind {
            Kind::Scalar { text, plain } => self.scalar(node, text, *plain, schema, at),
            Kind::List(items) => {
                if let Some(schema) = schema.get("items") {
                    items.iter().for_each(|item| self.value(item, schema, at));
                }
            }
            Kind::Map(entries) => self.mapping(node, entries, schema, at),
        }
    }

    /// The words, where only certain words may stand.
    fn words(&self, schema: &'s Value) -> Option<Vec<&'s str>> {
        let (schema, _) = self.follow(schema);
        if let Some(word) = schema.get("const") {
            return Some(vec![word.as_str()?]);
        }
        if let Some(words) = schema.get("enum").and_then(Value::as_array) {
            let word = |word: &'s Value| match word {
                Value::Bool(true) => Some("true"),
                Value::Bool(false) => Some("false"),
                other => other.as_str(),
            };
            return words.iter().map(word).collect();
        }
        let mut all = Vec::new();
        for branch in branches(schema)? {
            all.extend(self.words(branch)?);
        }
        Some(all)
    }

    /// The kinds and their parameters, where a mapping with exactly one of certain keys may
    /// stand: a resource.
    fn kinds(&self, schema: &'s Value) -> Option<Vec<(&'s str, &'s Value)>> {
        let most = schema.get("maxProperties").and_then(Value::as_u64);
        let properties = schema.get("properties")?.as_object()?;
        (most == Some(1)).then(|| properties.iter().map(|(k, v)| (k.as_str(), v)).collect())
    }

    fn one_kind(&mut self, node: &Node, kinds: &[(&'s str, &'s Value)]) {
        let names: Vec<&str> = kinds.iter().map(|(name, _)| *name).collect();
        let all = format!("the kinds are: {}", names.join(", "));
        let Kind::Map(entries) = &node.kind else {
            let message = format!(
                "a resource must be a mapping with its kind as the key, not {}",
                said(node)
            );
            self.found
                .push(Diagnostic::error("wrong-type", self.place(&node.head()), message).help(all));
            return;
        };
        let [entry] = entries.as_slice() else {
            let mut error = Diagnostic::error(
                "one-kind",
                self.place(&node.head()),
                format!("a resource has exactly one kind, and this one has {}", entries.len()),
            )
            .help("write one list item for each: `- kind: {…}`, with its parameters inside the braces, or indented below it");
            for extra in entries.iter().skip(1) {
                error = error.related(self.place(&extra.key_span), "not here");
            }
            self.found.push(error);
            return;
        };
        match kinds.iter().find(|(name, _)| *name == entry.key) {
            Some((name, _)) if entry.value.is_null() => {
                let message = format!("the resource `{name}` has no parameters");
                let error = Diagnostic::error("wrong-type", self.place(&entry.key_span), message)
                    .help(
                        "write them inside braces, `- kind: {…}`, or below it with a deeper indent",
                    );
                self.found.push(error);
            }
            Some((name, schema)) => {
                let at = At {
                    what: format!("the resource `{name}`"),
                    key: None,
                    kind: true,
                };
                self.value(&entry.value, schema, &at);
            }
            None => {
                let message = format!("there is no kind of resource named `{}`", entry.key);
                let error = Diagnostic::error("unknown-kind", self.place(&entry.key_span), message)
                    .help(all)
                    .nearest(&entry.key, names);
                self.found.push(error);
            }
        }
    }

    fn word(&mut self, node: &Node, words: &[&str], at: &At) {
        let list: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
        let all = list.join(", ");
        match node.text() {
            Some(text) if words.contains(&text) => {}
            Some(text) => {
                let message = format!("{} cannot be `{text}`", at.name());
                let error = Diagnostic::error("bad-word", self.place(&node.span), message)
                    .label(format!("must be one of {all}"))
                    .nearest(text, words.iter().copied());
                let error = match truth_help(text).filter(|_| words.contains(&"true")) {
                    Some(help) => error.help(help),
                    None => error,
                };
                self.found.push(error);
            }
            None => {
                let message = format!("{} must be one of {all}, not {}", at.name(), said(node));
                self.found.push(Diagnostic::error(
                    "wrong-type",
                    self.place(&node.head()),
                    message,
                ));
            }
        }
    }

    /// Takes the branch that fits best, and reports what is wrong with that one.
    fn branch(&mut self, node: &Node, whole: &'s Value, branches: &'s [Value], at: &At) {
        let mut best: Option<Vec<Diagnostic>> = None;
        for branch in branches.iter().filter(|branch| self.accepts(branch, node)) {
            let mut trial = Walk {
                schema: self.schema,
                source: self.source,
                found: Vec::new(),
            };
            trial.value(node, branch, at);
            if best
                .as_ref()
                .is_none_or(|best| trial.found.len() < best.len())
            {
                best = Some(trial.found);
            }
        }
        match best {
            Some(found) => self.found.extend(found),
            None => self.wrong_type(node, whole, at),
        }
    }

    /// Whether a value of this type may stand here at all; not what is in it.
    fn accepts(&self, schema: &'s Value, node: &Node) -> bool {
        let (schema, _) = self.follow(schema);
        if let Some(branches) = branches(schema) {
            return branches.iter().any(|branch| self.accepts(branch, node));
        }
        if schema.get("const").is_some() || schema.get("enum").is_some() {
            return node.text().is_some();
        }
        let types = types(schema);
        types.is_empty() || types.iter().any(|name| is_type(node, name))
    }

    fn wrong_type(&mut self, node: &Node, schema: &'s Value, at: &At) {
        let mut wanted = Vec::new();
        self.wanted(schema, &mut wanted);
        wanted.dedup();
        let wanted_text = match wanted.split_last() {
            Some((last, [])) => last.clone(),
            Some((last, rest)) => format!("{} or {last}", rest.join(", ")),
            None => "something else".into(),
        };
        let name = at.name();
        let message = match node.is_null() {
            true => format!("{name} has no value"),
            false => format!("{name} must be {wanted_text}, not {}", said(node)),
        };
        let label = match node.is_null() {
            true => format!("must be {wanted_text}"),
            false => format!("this is {}", said(node)),
        };
        let mut error =
            Diagnostic::error("wrong-type", self.place(&node.head()), message).label(label);
        let wants = |what: &str| wanted.iter().any(|word| word.starts_with(what));
        error.help = match (node.text(), &node.kind) {
            (Some(text), _) if wants("a list") => Some(format!("write `[{text}]`")),
            (Some(text), Kind::Scalar { plain: false, .. })
                if wants("a whole number") && text.parse::<i64>().is_ok() =>
            {
                Some("leave the quotes out".into())
            }
            (Some(text), _) if wants("true or false") => truth_help(text).map(str::to_owned),
            (None, Kind::Map(_)) if wants("a text") && !node.is_null() => Some(
                "a text that begins with `{` stands between quotes, e.g. \"{{ name }}\"".into(),
            ),
            _ => None,
        };
        self.found.push(error);
    }

    /// What may stand here, in words.
    fn wanted(&self, schema: &'s Value, out: &mut Vec<String>) {
        let (schema, _) = self.follow(schema);
        if let Some(branches) = branches(schema) {
            branches.iter().for_each(|branch| self.wanted(branch, out));
            return;
        }
        if let Some(all) = schema.get("allOf").and_then(Value::as_array) {
            all.iter().for_each(|part| self.wanted(part, out));
        }
        for name in types(schema) {
            let word = match name {
                // A number or a boolean where a text may stand is a text too.
                "string" => "a text",
                "number" | "boolean" if out.iter().any(|w| w == "a text") => continue,
                "integer" => "a whole number",
                "number" => "a number",
                "boolean" => "true or false",
                "array" => "a list",
                "object" => "a mapping",
                _ => continue,
            };
            if !out.iter().any(|w| w == word) {
                out.push(word.to_owned());
            }
        }
    }

    fn scalar(&mut self, node: &Node, text: &str, plain: bool, schema: &'s Value, at: &At) {
        if let Some(pattern) = schema.get("pattern").and_then(Value::as_str)
            && let Ok(regex) = Regex::new(pattern)
            && !regex.is_match(text.trim())
        {
            let about = schema.get("description").and_then(Value::as_str);
            let error = Diagnostic::error(
                "bad-value",
                self.place(&node.span),
                format!("{} cannot be `{text}`", at.name()),
            );
            self.found.push(match about {
                Some(about) => error.help(format!(
                    "it is {}",
                    lower_first(about.trim_end_matches('.'))
                )),
                None => error.help(format!("it must match {pattern}")),
            });
            return;
        }
        if let (true, Ok(number)) = (plain, text.parse::<f64>()) {
            let bound = |key: &str| schema.get(key).and_then(Value::as_f64);
            let (least, most) = (bound("minimum"), bound("maximum"));
            if least.is_some_and(|n| number < n) || most.is_some_and(|n| number > n) {
                let range = match (least, most) {
                    (Some(least), Some(most)) => format!("from {least} to {most}"),
                    (Some(least), None) => format!("{least} or more"),
                    (None, Some(most)) => format!("{most} or less"),
                    (None, None) => String::new(),
                };
                let message = format!("{} cannot be {text}", at.name());
                let error = Diagnostic::error("bad-value", self.place(&node.span), message)
                    .label(format!("must be {range}"));
                self.found.push(error);
            }
        }
    }

    fn mapping(&mut self, node: &Node, entries: &[Entry], schema: &'s Value, at: &At) {
        let properties = schema.get("properties").and_then(Value::as_object);
        let others = schema.get("additionalProperties");
        for entry in entries {
            if self.found.len() >= MAX_MISTAKES {
                return;
            }
            let known = properties.and_then(|properties| properties.get(&entry.key));
            let at = At {
                what: at.what.clone(),
                key: Some(&entry.key),
                kind: false,
            };
            match (known, others) {
                (Some(schema), _) => self.value(&entry.value, schema, &at),
                (None, Some(Value::Bool(false))) => {
                    let names = properties
                        .into_iter()
                        .flatten()
                        .map(|(name, _)| name.as_str());
                    let names: Vec<&str> = names.collect();
                    self.unknown_key(entry, entries, &names, &at.what);
                }
                (None, Some(schema)) => self.value(&entry.value, schema, &at),
                (None, None) => {}
            }
        }
        self.missing_keys(node, entries, schema, at);
    }

    fn unknown_key(&mut self, entry: &Entry, all: &[Entry], names: &[&str], what: &str) {
        let message = format!("{what} has no key `{}`", entry.key);
        let free: Vec<&str> = names
            .iter()
            .copied()
            .filter(|name| all.iter().all(|entry| entry.key != *name))
            .collect();
        let error = Diagnostic::error("unknown-key", self.place(&entry.key_span), message)
            .label("unknown key");
        let error = match (nearest(&entry.key, free.iter().copied()), free.is_empty()) {
            (Some(word), _) => error.help(format!("did you mean `{word}`?")),
            (None, false) => error.help(format!("what else may stand here: {}", free.join(", "))),
            (None, true) => error.help("take it away: every key that may stand here does"),
        };
        self.found.push(error);
    }

    fn missing_keys(&mut self, node: &Node, entries: &[Entry], schema: &'s Value, at: &At) {
        let required = schema.get("required").and_then(Value::as_array);
        let names = required.into_iter().flatten().filter_map(Value::as_str);
        for name in names.filter(|name| entries.iter().all(|entry| entry.key != *name)) {
            let message = format!("{} has no `{name}`", at.what);
            let about = schema
                .pointer(&format!("/properties/{name}"))
                .map(|schema| self.about(schema));
            let help = match about {
                Some(about) if !about.is_empty() => {
                    format!("add `{name}: …`: {}", lower_first(&about))
                }
                _ => format!("add `{name}: …`"),
            };
            // A slip of the finger is reported once, as the unknown key that it is.
            let slip = entries.iter().any(|entry| {
                let known = schema
                    .pointer(&format!("/properties/{}", entry.key))
                    .is_some();
                !known && nearest(&entry.key, [name]).is_some()
            });
            if !slip {
                let error = Diagnostic::error("missing-key", self.place(&node.head()), message)
                    .label(format!("`{name}` is missing here"))
                    .help(help);
                self.found.push(error);
            }
        }
    }

    /// The first sentence that the schema says of something.
    fn about(&self, schema: &'s Value) -> String {
        let own = schema.get("description").and_then(Value::as_str);
        let referred = self
            .follow(schema)
            .0
            .get("description")
            .and_then(Value::as_str);
        let text = own.or(referred).unwrap_or_default();
        let line = text
            .split("\n\n")
            .next()
            .unwrap_or_default()
            .replace('\n', " ");
        line.trim_end_matches('.').to_owned()
    }
}

/// Whether it has parts with names.
fn is_composed(schema: &Value) -> bool {
    schema.get("properties").is_some() || branches(schema).is_some()
}

fn branches(schema: &Value) -> Option<&[Value]> {
    let list = schema.get("oneOf").or_else(|| schema.get("anyOf"))?;
    list.as_array().map(Vec::as_slice)
}

fn types(schema: &Value) -> Vec<&str> {
    match schema.get("type") {
        Some(Value::String(name)) => vec![name],
        Some(Value::Array(names)) => names.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}

/// As our reader takes it: any scalar may stand where a text may, by its own spelling.
fn is_type(node: &Node, name: &str) -> bool {
    let plain = |text: &Node| match &text.kind {
        Kind::Scalar { text, plain: true } => Some(text.clone()),
        _ => None,
    };
    match (name, &node.kind) {
        ("null", _) => node.is_null(),
        ("array", Kind::List(_)) | ("object", Kind::Map(_)) => true,
        (_, Kind::Scalar { .. }) if node.is_null() => false,
        ("string", Kind::Scalar { .. }) => true,
        ("boolean", _) => node.boolean().is_some(),
        ("integer", _) => plain(node).is_some_and(|text| text.parse::<i64>().is_ok()),
        ("number", _) => plain(node).is_some_and(|text| text.parse::<f64>().is_ok()),
        _ => false,
    }
}

/// For those who write booleans as YAML once had them.
pub(super) fn truth_help(text: &str) -> Option<&'static str> {
    match text.to_ascii_lowercase().as_str() {
        "yes" | "on" => Some("write `true`"),
        "no" | "off" => Some("write `false`"),
        _ => None,
    }
}

/// What a value is, in words.
fn said(node: &Node) -> &'static str {
    match &node.kind {
        _ if node.is_null() => "empty",
        Kind::Map(_) => "a mapping",
        Kind::List(_) => "a list",
        Kind::Scalar { .. } if node.boolean().is_some() => "true or false",
        Kind::Scalar { text, plain: true } if text.parse::<f64>().is_ok() => "a number",
        Kind::Scalar { .. } => "a text",
    }
}

/// `KeyValueDocument` → `key value`.
fn words_of(name: &str) -> String {
    let name = name.strip_suffix("Document").unwrap_or(name);
    let mut out = String::new();
    for c in name.chars() {
        if c.is_uppercase() && !out.is_empty() {
            out.push(' ');
        }
        out.extend(c.to_lowercase());
    }
    out
}

fn with_article(word: &str) -> String {
    match word.chars().next() {
        _ if word == "defaults" => "`defaults`".into(),
        Some('a' | 'e' | 'i' | 'o' | 'u') => format!("an {word}"),
        _ => format!("a {word}"),
    }
}

fn lower_first(text: &str) -> String {
    let mut chars = text.chars();
    match (chars.next(), text.chars().nth(1)) {
        (Some(first), Some(second)) if first.is_uppercase() && second.is_lowercase() => {
            first.to_lowercase().chain(chars).collect()
        }
        // `A number…`
        (Some(first), Some(' ')) => first.to_lowercase().chain(chars).collect(),
        _ => text.to_owned(),
    }
}

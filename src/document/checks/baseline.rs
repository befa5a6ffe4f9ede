//! One baseline by itself.

use std::ops::Range;

use super::super::baseline::VariableKind;
use super::super::diagnostic::{Diagnostic, nearest};
use super::super::documents::Document;
use super::super::spans::{Kind, Node};
use super::super::variables::{list_in_text, names_in};
use super::{Names, level, rules};

/// The systems that conditions may name, with the versions that our baselines know.
const SYSTEMS: &[&str] = &[
    "debian",
    "debian-11",
    "debian-12",
    "debian-13",
    "ubuntu",
    "ubuntu-20.04",
    "ubuntu-22.04",
    "ubuntu-24.04",
    "ubuntu-26.04",
];

/// One baseline by itself, with the names of all.
pub(in super::super) fn baseline(
    document: &Document,
    names: &Names,
    facts: &[&str],
    incomplete: bool,
    found: &mut Vec<Diagnostic>,
) {
    let mut check = BaselineCheck {
        document,
        names,
        facts,
        incomplete,
        found,
    };
    if let Some(when) = document.root.get("when") {
        check.condition(when);
    }
    for rule in rules(document) {
        check.rule(rule);
    }
    let includes = !document.root.texts_at("include").is_empty();
    if let (true, false, Some(node)) = (
        rules(document).is_empty(),
        includes,
        document.root.entry("rules"),
    ) {
        let place = document.place(&node.key_span);
        check.found.push(Diagnostic::warning(
            "empty-baseline",
            place,
            "this baseline has no rules",
        ));
    }
}

struct BaselineCheck<'a> {
    document: &'a Document,
    names: &'a Names,
    facts: &'a [&'a str],
    incomplete: bool,
    found: &'a mut Vec<Diagnostic>,
}

impl BaselineCheck<'_> {
    fn error(
        &mut self,
        code: &'static str,
        span: &Range<usize>,
        message: String,
    ) -> &mut Diagnostic {
        self.found
            .push(Diagnostic::error(code, self.document.place(span), message));
        let last = self.found.len() - 1;
        &mut self.found[last]
    }

    fn rule(&mut self, rule: &Node) {
        if let Some((id, span)) = rule.text_at("id")
            && !is_rule_id(id)
        {
            self.error("bad-rule-id", span, format!("`{id}` cannot be a rule's id"))
                .help = Some(
                "small letters, digits, `-` and `_`, in words with dots between, e.g. `ssh.root`"
                    .into(),
            );
        }
        level(self.document, rule.get("level"), self.found);
        if let Some(when) = rule.get("when") {
            self.condition(when);
        }
        for exception in rule.get("except").map(Node::items).unwrap_or_default() {
            if let Some((fact, span)) = exception.text_at("fact") {
                self.fact(fact, span);
            }
        }
        let resources = rule.get("resources").map(Node::items).unwrap_or_default();
        // What is no list at all is the structural pass's to report.
        let none = match rule.get("resources").map(|node| &node.kind) {
            None => !rule.entries().is_empty(),
            Some(Kind::List(items)) => items.is_empty(),
            Some(_) => false,
        };
        if none && rule.get("manual").is_none_or(Node::is_null) {
            let span = rule
                .entry("resources")
                .map_or_else(|| rule.head(), |e| e.key_span.clone());
            let error = self.error("no-resources", &span, "this rule demands nothing".into());
            error.label = "it has no resources".into();
            error.help = Some("add `resources: [...]`, or, if only a person can judge it, `manual: what to look at`".into());
        }
        for resource in resources {
            resource.each_text("", &mut |key, node| self.text(key, node));
        }
    }

    fn fact(&mut self, fact: &str, span: &Range<usize>) {
        if self.facts.contains(&fact) {
            return;
        }
        let near = nearest(fact, self.facts.iter().copied());
        let help = match near {
            Some(word) => format!("did you mean `{word}`?"),
            None => format!("the facts are: {}", self.facts.join(", ")),
        };
        self.error("unknown-fact", span, format!("there is no fact `{fact}`"))
            .help = Some(help);
    }

    fn condition(&mut self, when: &Node) {
        for (system, span) in when.texts_at("os") {
            if !is_system(system) {
                let help = match nearest(system, SYSTEMS.iter().copied()) {
                    Some(word) => format!("did you mean `{word}`?"),
                    None => "write `debian`, `ubuntu`, or one of their versions, e.g. `debian-12`"
                        .into(),
                };
                self.error("unknown-os", span, format!("there is no system `{system}`"))
                    .help = Some(help);
            }
        }
        for key in ["facts", "without"] {
            for (fact, span) in when.texts_at(key) {
                self.fact(fact, span);
            }
        }
        for entry in when.get("variables").map(Node::entries).unwrap_or_default() {
            self.known_variable(&entry.key, &entry.key_span);
        }
    }

    fn known_variable(&mut self, name: &str, span: &Range<usize>) -> bool {
        if self.names.variables.contains_key(name) {
            return true;
        }
        if !self.incomplete {
            let near = nearest(name, self.names.variables.keys().map(String::as_str));
            let help = match near {
                Some(word) => format!("did you mean `{word}`?"),
                None => format!("declare it: `variables: {{{name}: {{type: text, default: …}}}}`"),
            };
            self.error(
                "unknown-variable",
                span,
                format!("there is no variable `{name}`"),
            )
            .help = Some(help);
        }
        false
    }

    /// The variables that a text of a resource takes.
    fn text(&mut self, key: &str, node: &Node) {
        let Some(text) = node.text() else {
            return;
        };
        let uses = match names_in(key, text) {
            Ok(uses) => uses,
            Err((span, why)) => {
                let span = self.within(node, text, &span);
                self.error(
                    "bad-expression",
                    &span,
                    format!("this cannot be read: {why}"),
                );
                return;
            }
        };
        for taken in uses {
            let span = self.within(node, text, &taken.span);
            if !self.known_variable(&taken.name, &span) {
                continue;
            }
            let kind = self
                .names
                .variables
                .get(&taken.name)
                .map(|known| known.kind);
            if taken.bare_in_text && kind == Some(VariableKind::List) {
                self.error("list-in-text", &span, list_in_text(&taken.name));
            }
        }
    }

    /// Where a piece of a scalar stands in the document: exactly where the scalar is written as
    /// it reads, else the whole of it.
    fn within(&self, node: &Node, text: &str, piece: &Range<usize>) -> Range<usize> {
        let written = self
            .document
            .source
            .text
            .get(node.span.clone())
            .unwrap_or_default();
        let piece_text = text.get(piece.clone()).unwrap_or_default();
        match (written.find(text), written.find(piece_text)) {
            (Some(at), _) => node.span.start + at + piece.start..node.span.start + at + piece.end,
            (None, Some(at)) if !piece_text.is_empty() => {
                node.span.start + at..node.span.start + at + piece_text.len()
            }
            _ => node.span.clone(),
        }
    }
}

fn is_rule_id(id: &str) -> bool {
    let word = |part: &str| {
        let good = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_');
        !part.is_empty() && part.chars().all(good)
    };
    id.split('.').all(word)
}

/// `debian`, or `debian-12`; `ubuntu-24.04`.
fn is_system(text: &str) -> bool {
    let number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    match text.split_once('-') {
        None => SYSTEMS.contains(&text),
        Some(("debian", version)) => number(version),
        Some(("ubuntu", version)) => {
            matches!(version.split_once('.'), Some((y, m)) if number(y) && y.len() == 2 && number(m) && m.len() == 2)
        }
        Some(_) => false,
    }
}

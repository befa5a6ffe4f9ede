//! A playbook against its baselines and, where it is at hand, the inventory.

use std::ops::Range;

use jiff::civil::Date;

use super::super::diagnostic::{Diagnostic, nearest};
use super::super::documents::Document;
use super::super::inventory::Inventory;
use super::super::playbook::Span;
use super::super::spans::{Kind, Node};
use super::{Names, common, level, mismatch, some};

/// What a playbook is checked against.
pub(in super::super) struct PlaybookCheck<'a> {
    pub document: &'a Document,
    pub names: &'a Names,
    pub inventory: Option<&'a Inventory>,
    pub today: Option<Date>,
    pub incomplete: bool,
    pub found: &'a mut Vec<Diagnostic>,
}

impl PlaybookCheck<'_> {
    pub fn run(&mut self) {
        let root = &self.document.root;
        self.hosts(root);
        self.empty(root);
        level(self.document, root.get("level"), self.found);
        self.variables(root);
        for (id, span) in root.texts_at("opt_in") {
            self.opt_in(id, span);
        }
        for entry in root.get("overrides").map(Node::entries).unwrap_or_default() {
            self.known_rule(&entry.key, &entry.key_span);
            self.override_of(&entry.value, &entry.key_span);
        }
        common::waves(self.document, root, self.found);
        self.confirm(root);
        for waiver in root.get("waivers").map(Node::items).unwrap_or_default() {
            self.waiver(waiver);
        }
    }

    fn error(
        &mut self,
        code: &'static str,
        span: &Range<usize>,
        message: impl Into<String>,
    ) -> &mut Diagnostic {
        self.found
            .push(Diagnostic::error(code, self.document.place(span), message));
        let last = self.found.len() - 1;
        &mut self.found[last]
    }

    fn empty(&mut self, root: &Node) {
        for (key, message, help) in [
            (
                "baselines",
                "this playbook has no baselines, so it demands nothing",
                "name at least one baseline file",
            ),
            (
                "hosts",
                "this playbook has no hosts",
                "write `hosts: [all]` for every host of the inventory",
            ),
        ] {
            if let Some(entry) = root.entry(key)
                && matches!(&entry.value.kind, Kind::List(items) if items.is_empty())
            {
                self.error("empty-playbook", &entry.key_span, message).help = Some(help.into());
            }
        }
        let named = !root.texts_at("baselines").is_empty();
        if let (true, true, false, Some(entry)) = (
            named,
            self.names.rules.is_empty(),
            self.incomplete,
            root.entry("baselines"),
        ) {
            self.error(
                "empty-playbook",
                &entry.key_span,
                "the baselines of this playbook have no rules, so it demands nothing",
            );
        }
    }

    fn hosts(&mut self, node: &Node) {
        let Some(inventory) = self.inventory else {
            return;
        };
        common::unknown_hosts(self.document, node, "hosts", inventory, self.found);
    }

    fn known_rule(&mut self, id: &str, span: &Range<usize>) {
        if self.incomplete || self.names.rules.contains_key(id) {
            return;
        }
        let near = nearest(id, self.names.rules.keys().map(String::as_str));
        let help = match near {
            Some(word) => format!("did you mean `{word}`?"),
            None => "`seawall rules` lists the rules of a playbook".into(),
        };
        let error = self.error(
            "unknown-rule",
            span,
            format!("no baseline of this playbook has a rule `{id}`"),
        );
        error.help = Some(help);
    }

    fn opt_in(&mut self, id: &str, span: &Range<usize>) {
        self.known_rule(id, span);
        if let Some((place, false)) = self.names.rules.get(id) {
            let warning = Diagnostic::warning(
                "not-opt-in",
                self.document.place(span),
                format!("the rule `{id}` applies anyway: it is not opt-in"),
            );
            self.found.push(
                warning
                    .related(place.clone(), "the rule")
                    .help("take it out of `opt_in`"),
            );
        }
    }

    fn override_of(&mut self, node: &Node, key: &Range<usize>) {
        level(self.document, node.get("level"), self.found);
        let off = node.get("off").and_then(Node::boolean) == Some(true);
        let reason = node.get("reason").and_then(Node::text).unwrap_or_default();
        if off && reason.trim().is_empty() {
            let span = node.entry("off").map_or(key, |entry| &entry.key_span);
            let error = self.error("no-reason", span, "a rule is switched off without a reason");
            error.help = Some("add `reason: …`; it stands in the report".into());
        }
    }

    fn variables(&mut self, root: &Node) {
        for entry in root.get("variables").map(Node::entries).unwrap_or_default() {
            match self.names.variables.get(&entry.key) {
                Some(known) => {
                    let wrong = mismatch(self.document, &entry.key, known.kind, &entry.value);
                    self.found.extend(
                        wrong.map(|wrong| wrong.related(known.place.clone(), "declared here")),
                    );
                }
                None if self.incomplete => {}
                None => {
                    let near = nearest(&entry.key, self.names.variables.keys().map(String::as_str));
                    let help = match near {
                        Some(word) => format!("did you mean `{word}`?"),
                        None if self.names.variables.is_empty() => {
                            "the baselines of this playbook declare no variables".into()
                        }
                        None => format!(
                            "the variables are: {}",
                            some(self.names.variables.keys().map(String::as_str))
                        ),
                    };
                    let message = format!(
                        "no baseline of this playbook has a variable `{}`",
                        entry.key
                    );
                    self.error("unknown-variable", &entry.key_span, message)
                        .help = Some(help);
                }
            }
        }
    }

    fn confirm(&mut self, root: &Node) {
        let Some((text, span)) = root.text_at("confirm") else {
            return;
        };
        if let Ok(Span(window)) = text.trim().parse::<Span>()
            && !(10..=3600).contains(&window.as_secs())
        {
            let error = self.error(
                "bad-confirm",
                span,
                format!("the confirm window cannot be {text}"),
            );
            error.label = "must be from 10s to 1h".into();
            error.help = Some("it is how long a host waits for our new log-in before it undoes the run; 2m suits most".into());
        }
    }

    fn waiver(&mut self, waiver: &Node) {
        if let Some((id, span)) = waiver.text_at("rule") {
            self.known_rule(id, span);
        }
        self.hosts(waiver);
        for key in ["reason", "owner", "approver"] {
            if let Some((text, span)) = waiver.text_at(key)
                && text.trim().is_empty()
            {
                let error = self.error(
                    "empty-text",
                    span,
                    format!("a waiver's `{key}` cannot be empty"),
                );
                error.help = Some(
                    "a waiver stands in the evidence: why, whose it is, and who approved it".into(),
                );
            }
        }
        let Some((text, span)) = waiver.text_at("expires") else {
            return;
        };
        match (date(text), self.today) {
            (None, _) => {
                let error = self.error("bad-date", span, format!("`{text}` is not a date"));
                error.help = Some("write it as YYYY-MM-DD, e.g. 2027-03-31: the last day on which the waiver holds".into());
            }
            (Some(day), Some(today)) if day < today => {
                let rule = waiver.text_at("rule").map_or("", |(id, _)| id);
                let warning = Diagnostic::warning(
                    "expired-waiver",
                    self.document.place(span),
                    format!("the waiver of `{rule}` has expired: its findings fail again"),
                );
                self.found.push(warning.help(
                    "have it approved anew with a later date, or mend the hosts and take it away",
                ));
            }
            _ => {}
        }
    }
}

/// `YYYY-MM-DD` and nothing else.
pub(in super::super) fn date(text: &str) -> Option<Date> {
    let shaped = text.len() == 10
        && text.bytes().enumerate().all(|(at, b)| match at {
            4 | 7 => b == b'-',
            _ => b.is_ascii_digit(),
        });
    shaped.then(|| text.parse().ok()).flatten()
}

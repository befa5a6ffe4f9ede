//! Which packages and which containers: patterns that can match, freezes that hold.

use std::ops::Range;

use super::super::super::diagnostic::Diagnostic;
use super::super::super::spans::Node;
use super::super::playbook::date;
use super::{PatchCheck, given, items, unclosed};

/// A freeze that ends within so many days is spoken of.
const SOON: i32 = 14;

impl PatchCheck<'_> {
    pub(super) fn packages(&mut self) {
        let Some(packages) = given(self.root, "packages") else {
            return;
        };
        for key in ["only", "exclude"] {
            for (pattern, span) in packages.texts_at(key) {
                self.package(pattern, span);
            }
        }
        self.both(packages, "packages");
        for freeze in items(packages, "freeze") {
            self.freeze(freeze);
        }
        let none = packages
            .text_at("scope")
            .is_some_and(|(word, _)| word == "none");
        if !none {
            return;
        }
        if given(self.root, "containers").is_none()
            && let Some((_, span)) = packages.text_at("scope")
        {
            let message = "neither packages nor containers: nothing would be done";
            self.check.error("nothing-to-do", span, message).help =
                Some("add `containers: {}`, or take another scope: all, security".to_owned());
        }
        for key in ["only", "exclude", "freeze"] {
            if let Some(entry) = packages.entry(key)
                && !entry.value.items().is_empty()
            {
                let message = "this has no effect: `scope: none` leaves every package alone";
                self.check.warning("no-effect", &entry.key_span, message);
            }
        }
    }

    /// A name of a package, or a glob.
    fn package(&mut self, pattern: &str, span: &Range<usize>) {
        let fits = |c: char| c.is_ascii_alphanumeric() || "+-._~:*?[]!^".contains(c);
        if unclosed(pattern) {
            self.bad_glob(pattern, span);
        } else if pattern.is_empty()
            || pattern.starts_with(['!', '-'])
            || !pattern.chars().all(fits)
        {
            let help = match pattern {
                p if p.contains('=') => {
                    "a name without a version; `freeze` keeps the one that is there"
                }
                p if p.starts_with('!') => "take the `!` away, and put the name under `exclude`",
                p if p.contains(',') => "one name for each item of the list",
                _ => "a package's name such as `nginx`, or a glob such as `linux-image-*`",
            };
            let message = format!("`{pattern}` can be no package's name");
            self.check.error("bad-glob", span, message).help = Some(help.to_owned());
        }
    }

    /// The same pattern under `only` and `exclude`.
    fn both(&mut self, node: &Node, what: &str) {
        let only = node.texts_at("only");
        for (pattern, span) in node.texts_at("exclude") {
            let Some((_, first)) = only.iter().find(|(other, _)| *other == pattern) else {
                continue;
            };
            let place = self.check.document.place(first);
            let message = format!("`{pattern}` is both wanted and left out, so it is left out");
            let error = self.check.error("contradiction", span, message);
            error.related.push((place, "wanted here".to_owned()));
            error.help = Some(format!("take it out of one of the two lists of {what}"));
        }
    }

    fn freeze(&mut self, freeze: &Node) {
        if let Some((pattern, span)) = freeze.text_at("package") {
            self.package(pattern, span);
        }
        self.hosts(
            freeze,
            "hosts",
            "take the key away to mean all of the playbook's",
        );
        self.named(freeze, "hosts", "these are");
        for key in ["reason", "owner"] {
            self.text(
                freeze,
                key,
                &format!("a freeze's `{key}` cannot be empty"),
                "a freeze stands in every report: why, and who answers for it",
            );
        }
        let Some((text, span)) = freeze.text_at("expires") else {
            return;
        };
        let package = freeze.text_at("package").map_or("", |(name, _)| name);
        let Some(day) = date(text) else {
            let message = format!("`{text}` is not a date");
            self.check.error("bad-date", span, message).help = Some(
                "write it as YYYY-MM-DD, e.g. 2027-03-31: the last day on which the freeze holds"
                    .to_owned(),
            );
            return;
        };
        let Some(today) = self.today else {
            return;
        };
        let left = today.until(day).map_or(i32::MAX, |span| span.get_days());
        let (code, message, help) = if day < today {
            (
                "expired-freeze",
                format!("the freeze of `{package}` has expired: it is upgraded again"),
                "take it away, or give it a later day and a reason that still holds",
            )
        } else if left <= SOON {
            (
                "freeze-ends-soon",
                match left {
                    0 => format!("today is the last day of the freeze of `{package}`"),
                    1 => format!("the freeze of `{package}` ends in 1 day"),
                    _ => format!("the freeze of `{package}` ends in {left} days"),
                },
                "after that day it is upgraded; give the freeze a later one if it must hold",
            )
        } else {
            return;
        };
        let place = self.check.document.place(span);
        let warning = Diagnostic::warning(code, place, message).help(help);
        self.check.found.push(warning);
    }

    pub(super) fn containers(&mut self) {
        let Some(containers) = given(self.root, "containers") else {
            return;
        };
        for key in ["only", "exclude"] {
            for (pattern, span) in containers.texts_at(key) {
                if unclosed(pattern) {
                    self.bad_glob(pattern, span);
                } else if !is_container(pattern) {
                    self.no_container(pattern, span);
                }
            }
        }
        self.both(containers, "containers");
        for entry in items_of(containers, "checks") {
            if !is_container(&entry.key) {
                self.no_container(&entry.key, &entry.key_span);
            }
            if entry.value.text().is_none_or(|text| text.trim().is_empty()) {
                let message = format!("the check of `{}` has no command", entry.key);
                self.check
                    .error("empty-text", &entry.key_span, message)
                    .help = Some("a command (sh) that exits with 0 when it is well".to_owned());
            }
        }
    }

    fn no_container(&mut self, name: &str, span: &Range<usize>) {
        let message = format!("`{name}` can be no container's name");
        let help = match name.contains(':') {
            true => "the container's name, not its image's",
            false => "a container's name, or `PROJECT/SERVICE` of compose; globs in lists",
        };
        self.check.error("bad-glob", span, message).help = Some(help.to_owned());
    }
}

fn is_container(pattern: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || "_.-*?[]!^/".contains(c);
    !pattern.is_empty()
        && !pattern.starts_with(['!', '-', '/'])
        && !pattern.ends_with('/')
        && pattern.matches('/').count() < 2
        && pattern.chars().all(fits)
}

fn items_of<'n>(node: &'n Node, key: &str) -> &'n [super::super::super::spans::Entry] {
    node.get(key).map(Node::entries).unwrap_or_default()
}

//! A patch playbook against itself and, where it is at hand, the inventory.

use std::ops::Range;

use jiff::civil::Date;
use jiff::tz::{TimeZone, TimeZoneDatabase};

use super::super::diagnostic::{Diagnostic, nearest};
use super::super::documents::Document;
use super::super::inventory::{Host, Inventory, select};
use super::super::spans::Node;
use super::common;
use super::policy::Check;

mod health;
mod packages;
mod times;

/// What a patch playbook is checked against.
pub(in super::super) struct PatchCheck<'a> {
    check: Check<'a>,
    root: &'a Node,
    inventory: Option<&'a Inventory>,
    /// The day (UTC) on which freezes are judged.
    today: Option<Date>,
}

/// What stands at a key, where it is not null.
fn given<'n>(node: &'n Node, key: &str) -> Option<&'n Node> {
    node.get(key).filter(|value| !value.is_null())
}

fn items<'n>(node: &'n Node, key: &str) -> &'n [Node] {
    node.get(key).map(Node::items).unwrap_or_default()
}

impl<'a> PatchCheck<'a> {
    pub fn new(
        document: &'a Document,
        inventory: Option<&'a Inventory>,
        today: Option<Date>,
        found: &'a mut Vec<Diagnostic>,
    ) -> Self {
        PatchCheck {
            root: &document.root,
            check: Check { document, found },
            inventory,
            today,
        }
    }

    pub fn run(&mut self) {
        let root = self.root;
        if let Some((name, span)) = root.text_at("patch") {
            self.check.name("patch playbook", name, span);
        }
        self.hosts(root, "hosts", "write `[all]` for every host");
        self.known(root, "canaries");
        self.named(root, "canaries", "the canaries are");
        common::waves(self.check.document, root, self.check.found);
        for apart in items(root, "apart") {
            self.apart(apart);
        }
        self.zone();
        self.packages();
        self.containers();
        self.health();
        self.times();
        self.without_effect();
        self.advisories();
        for notify in items(root, "notify") {
            self.check.notify(notify);
        }
    }

    /// A list of hosts that must name somebody.
    fn hosts(&mut self, node: &Node, key: &str, help: &str) {
        if let Some(entry) = node.entry(key)
            && !entry.value.is_null()
            && entry.value.text().is_none()
            && entry.value.items().is_empty()
        {
            let message = format!("`{key}` names no host");
            self.check
                .error("empty-hosts", &entry.key_span, message)
                .help = Some(help.to_owned());
        }
        self.known(node, key);
    }

    /// Patterns of hosts: well formed, and known to the inventory.
    fn known(&mut self, node: &Node, key: &str) {
        for (pattern, span) in node.texts_at(key) {
            if unclosed(pattern) {
                self.bad_glob(pattern, span);
            }
        }
        if let Some(inventory) = self.inventory {
            common::unknown_hosts(self.check.document, node, key, inventory, self.check.found);
        }
    }

    /// Hosts of the inventory that a list means; `None`: it is not at hand, or cannot be read.
    fn chosen(&self, node: &Node, key: &str) -> Option<Vec<&'a Host>> {
        let patterns: Vec<String> = node
            .texts_at(key)
            .iter()
            .map(|(pattern, _)| (*pattern).to_owned())
            .collect();
        select(self.inventory?, &patterns).ok()
    }

    /// Of the playbook's hosts, how many a list means. `None`: not known, or it has none itself.
    fn own(&self, node: &Node, key: &str) -> Option<usize> {
        let all = self.chosen(self.root, "hosts")?;
        if all.is_empty() {
            return None;
        }
        let these = self.chosen(node, key)?;
        let own = these.iter().filter(|host| all.contains(host));
        Some(own.count())
    }

    /// Some of these hosts must be the playbook's own. `what`: e.g. `the canaries are`.
    fn named(&mut self, node: &Node, key: &str, what: &str) {
        if let Some(entry) = node.entry(key)
            && !entry.value.items().is_empty()
            && self.own(node, key) == Some(0)
        {
            let message = format!("{what} none of this playbook's hosts");
            self.check
                .warning("means-nobody", &entry.key_span, message)
                .help = Some("it has no effect: name hosts that `hosts` chooses".to_owned());
        }
    }

    fn apart(&mut self, apart: &Node) {
        self.hosts(
            apart,
            "hosts",
            "name the hosts that must not be down together",
        );
        self.named(apart, "hosts", "these are");
        let Some((count, span)) = apart.text_at("at_most") else {
            return;
        };
        let Ok(at_most) = count.parse::<usize>() else {
            return;
        };
        if at_most == 0 {
            let message = "none of these hosts could ever be changed";
            self.check.error("bad-apart", span, message).help =
                Some("write 1: one of them at a time".to_owned());
        } else if let Some(own) = self.own(apart, "hosts")
            && own > 0
            && own <= at_most
        {
            let message = format!(
                "this keeps nobody apart: {own} of this playbook's hosts {} meant",
                if own == 1 { "is" } else { "are" }
            );
            self.check.warning("no-effect", span, message).help =
                Some("write a smaller number, or take it away".to_owned());
        }
    }

    fn zone(&mut self) {
        let Some((name, span)) = self.root.text_at("time_zone") else {
            return;
        };
        if TimeZone::get(name).is_ok() {
            return;
        }
        let database: &TimeZoneDatabase = jiff::tz::db();
        let all: Vec<String> = database.available().map(|zone| zone.to_string()).collect();
        let help = match nearest(name, all.iter().map(String::as_str)) {
            Some(near) => format!("did you mean `{near}`?"),
            None => "as in the IANA database, e.g. Europe/Berlin, or UTC".to_owned(),
        };
        let message = format!("there is no time zone `{name}`");
        self.check.error("bad-zone", span, message).help = Some(help);
    }

    fn advisories(&mut self) {
        for (file, span) in self.root.texts_at("advisories") {
            if file.trim().is_empty() {
                self.check
                    .error("empty-text", span, "an advisory file has no name");
            } else if file.contains("://") {
                let message = "advisories are read from files, and this is a URL";
                self.check.error("bad-path", span, message).help =
                    Some("fetch it before (cron, curl), and name the file here".to_owned());
            }
        }
    }

    /// What is written and can do nothing.
    fn without_effect(&mut self) {
        let root = self.root;
        let never = |key: &str| root.text_at(key).is_some_and(|(word, _)| word == "never");
        let mut idle: Vec<(&Range<usize>, &str)> = Vec::new();
        if never("restart")
            && let Some(entry) = root.entry("never_restart")
            && !entry.value.items().is_empty()
        {
            idle.push((
                &entry.key_span,
                "`restart: never` leaves every service alone",
            ));
        }
        if never("reboot")
            && let Some(entry) = root.entry("reboot_wait")
        {
            idle.push((&entry.key_span, "`reboot: never` reboots no host"));
        }
        if let Some(entry) = root.entry("time_zone")
            && items(root, "windows").is_empty()
        {
            idle.push((
                &entry.key_span,
                "there are no windows that it is the time of",
            ));
        }
        for (span, why) in idle {
            let message = format!("this has no effect: {why}");
            self.check.warning("no-effect", span, message);
        }
    }

    /// A text that a person must have written.
    fn text(&mut self, node: &Node, key: &str, message: &str, help: &str) {
        if let Some((text, span)) = node.text_at(key)
            && text.trim().is_empty()
        {
            self.check.error("empty-text", span, message).help = Some(help.to_owned());
        }
    }

    fn bad_glob(&mut self, pattern: &str, span: &Range<usize>) {
        let message = format!("`{pattern}` has a `[` without its `]`");
        self.check.error("bad-glob", span, message).help =
            Some("`[ab]` is one of these letters, `*` any number of any".to_owned());
    }
}

/// Whether a `[` of a glob is never closed.
fn unclosed(pattern: &str) -> bool {
    let mut rest = pattern;
    while let Some((_, after)) = rest.split_once('[') {
        // A `]` that comes first stands for itself.
        let body = after.strip_prefix(['!', '^']).unwrap_or(after);
        let body = body.strip_prefix(']').unwrap_or(body);
        match body.split_once(']') {
            Some((_, behind)) => rest = behind,
            None => return true,
        }
    }
    false
}

//! Proofs: of a kind that can read what the step restores, and such that they can fail.

use std::ops::Range;

use super::super::super::playbook::Span;
use super::super::super::spans::Node;
use super::super::policy::is_loopback;
use super::{DrillCheck, StepNode, given};

const KINDS: &[&str] = &[
    "manifest", "files", "sql", "canary", "http", "command", "git", "meets", "objects", "items",
];
/// Those that AWS itself answers.
pub(super) const OF_AWS: &[&str] = &["objects", "items"];

impl<'a> DrillCheck<'a> {
    pub(super) fn proofs(&mut self, step: &StepNode<'a>) {
        let Some(entry) = step.node.entry("proofs") else {
            return;
        };
        let proofs = entry.value.items();
        let mut seen = Vec::new();
        let mut reads_data = false;
        for proof in proofs {
            if let Some((name, span)) = proof.text_at("proof") {
                self.check.unique("proof", &mut seen, name, span);
            }
            let name = proof.text_at("proof").map_or("", |(name, _)| name);
            let kind = self
                .check
                .one_of(&format!("the proof `{name}`"), proof, KINDS);
            if let Some(kind) = kind {
                // Nothing is restored on a fresh instance: that it is as it should be is all.
                reads_data |= kind != "meets" || step.kind == Some("fresh");
                self.proof(kind, proof, step);
            }
        }
        if !reads_data {
            let message = format!(
                "the step `{}` has no proof that reads restored data, so it would not count as recovered",
                step.name
            );
            let help = match step.kind {
                Some("directory") => {
                    "add `- proof: every file is as it was backed up` with `manifest: true`"
                }
                Some("postgresql") => {
                    "add a proof with `sql: {query: SELECT count(*) FROM …, at_least: 1}`"
                }
                Some("repository") => "add a proof with `git: {commits: 1}`",
                Some("fresh") => "add a proof with `command` or `meets`",
                Some("rds" | "aurora") => {
                    "add a proof with `on: STEP` and `sql: {query: SELECT count(*) FROM …, at_least: 1}`"
                }
                Some("s3") => "add a proof with `objects: {at_least: 1}`",
                Some("dynamodb") => "add a proof with `items: {at_least: 1}`",
                Some("volume" | "efs") => {
                    "mount it on an instance, and add a proof with `files: {at_least: 1}`"
                }
                _ => "add a proof with `http`, `command` or `sql` that reads what was restored",
            };
            self.check.error("no-proof", &entry.key_span, message).help = Some(help.into());
        }
    }

    fn proof(&mut self, kind: &str, proof: &'a Node, step: &StepNode<'a>) {
        match self.aws {
            Some(_) => self.proof_in_aws(kind, proof, step),
            None => self.proof_here(kind, proof, step),
        }
        self.demand(kind, proof, step);
    }

    /// Whether it can read what the step restores on this machine.
    fn proof_here(&mut self, kind: &str, proof: &Node, step: &StepNode<'a>) {
        let fits = match kind {
            "manifest" | "files" => matches!(step.kind, None | Some("directory")),
            "canary" => matches!(step.kind, None | Some("directory" | "postgresql")),
            "git" => matches!(step.kind, None | Some("repository")),
            "sql" => self.has_database(step),
            "objects" | "items" => false,
            _ => true,
        };
        if !fits && let Some(entry) = proof.entry(kind) {
            let message = format!("`{kind}` has nothing to read in the step `{}`", step.name);
            let help = match kind {
                "sql" => {
                    "it reads the database of its own step, or of the one step with a database that it needs"
                }
                "canary" => "it reads a restored directory or database whose source bears a canary",
                "git" => "it reads a restored repository",
                "objects" => "it reads a bucket that was restored in AWS",
                "items" => "it reads a table that was restored in AWS",
                _ => "it reads a restored directory",
            };
            self.check
                .error("wrong-proof", &entry.key_span, message)
                .help = Some(help.into());
        }
        if let Some(entry) = proof.entry("on").filter(|e| !e.value.is_null()) {
            let message = "there are no instances in a drill on this machine";
            self.check
                .error("wrong-proof", &entry.key_span, message)
                .help = Some("leave `on` away".into());
        }
        if let Some(meets) = given(proof, "meets")
            && let Some(key) = ["inventory", "host"]
                .into_iter()
                .find(|key| given(meets, key).is_none())
        {
            let message = format!("it does not say how the host is reached: `{key}` is missing");
            self.check.error("no-host", &meets.head(), message).help =
                Some("add `inventory: FILE` and `host: NAME`".into());
        }
    }

    /// What is demanded: something that can fail.
    fn demand(&mut self, kind: &str, proof: &Node, step: &StepNode<'a>) {
        match (kind, proof.get(kind)) {
            ("manifest" | "canary", Some(node)) if node.boolean() == Some(false) => {
                let message = format!("`{kind}: false` proves nothing");
                self.check.error("no-proof", &node.span, message).help =
                    Some("write `true`, or leave the proof out".into());
            }
            ("canary", Some(node)) => self.source_has_canary(step, node),
            ("sql", Some(node)) => self.sql(node),
            ("files" | "objects", Some(node)) if is_no_demand(node) => {
                let message = format!("nothing is demanded of the {kind}");
                self.check.error("no-proof", &node.span, message).help =
                    Some("write `at_least`, `bytes` or `sha256`".into());
            }
            ("items", Some(node)) => self.items(node),
            ("http", Some(node)) => self.http(node, proof, step),
            ("command", Some(node)) => {
                self.check.program(node, "run");
                for (text, span) in node.texts_at("run") {
                    self.template(text, span, step);
                }
            }
            _ => {}
        }
    }

    fn has_database(&self, step: &StepNode) -> bool {
        if matches!(step.kind, Some("postgresql") | None) {
            return true;
        }
        let needs = self.needs.get(step.name);
        let databases = self.steps.iter().filter(|other| {
            other.kind == Some("postgresql") && needs.is_some_and(|n| n.contains(other.name))
        });
        databases.count() == 1
    }

    fn source_has_canary(&mut self, step: &StepNode, node: &Node) {
        let Some(policy) = self.policy else {
            return;
        };
        let Some((name, _)) = step.node.get("restore").and_then(|r| r.text_at("source")) else {
            return;
        };
        let mut sources = policy
            .get("sources")
            .map(Node::items)
            .unwrap_or_default()
            .iter();
        let source = sources.find(|s| s.text_at("source").is_some_and(|(n, _)| n == name));
        if source.is_some_and(|source| source.get("canary").is_none()) {
            let message = format!("the source `{name}` bears no canary");
            self.check.error("no-canary", &node.span, message).help =
                Some("add `canary: {file: …}` or `canary: {table: …}` to it in the policy".into());
        }
    }

    fn sql(&mut self, node: &Node) {
        const DEMANDS: &[&str] = &["equals", "at_least", "at_most", "newer_than"];
        if DEMANDS.iter().all(|key| node.get(key).is_none()) {
            self.check
                .error(
                    "no-proof",
                    &node.head(),
                    "nothing is demanded of the answer",
                )
                .help = Some(format!("add one of: {}", DEMANDS.join(", ")));
        }
        if let Some((query, span)) = node.text_at("query")
            && !query
                .to_ascii_lowercase()
                .split(|c: char| !c.is_alphanumeric())
                .any(|word| word == "from")
        {
            let message = "this query reads no table, so it says nothing of what was restored";
            self.check.error("no-proof", span, message).help =
                Some("ask for data, e.g. SELECT count(*) FROM orders".into());
        }
        if let (Some((low, _)), Some((high, span))) =
            (node.text_at("at_least"), node.text_at("at_most"))
            && let (Ok(low), Ok(high)) = (low.parse::<f64>(), high.parse::<f64>())
            && low > high
        {
            self.check.error("no-proof", span, "no number is both");
        }
        if let Some((text, span)) = node.text_at("newer_than")
            && text.parse::<Span>().is_ok_and(|time| time.0.is_zero())
        {
            self.check
                .error("no-proof", span, "no data is as new as that");
        }
    }

    fn items(&mut self, node: &Node) {
        if is_no_demand(node) {
            let message = "nothing is demanded of the items";
            self.check.error("no-proof", &node.span, message).help =
                Some("write `at_least`, or the `key` of an item that must be there".into());
        } else if let Some(entry) = node.entry("has").filter(|e| !e.value.is_null())
            && given(node, "key").is_none_or(|key| key.entries().is_empty())
        {
            let message = "it does not say which item has these";
            self.check.error("no-proof", &entry.key_span, message).help =
                Some("add the item's `key`".into());
        }
    }

    fn http(&mut self, node: &Node, proof: &Node, step: &StepNode<'a>) {
        if let Some((url, span)) = node.text_at("url") {
            match self.aws {
                Some(_) => self.url_in_aws(url, span, proof, step),
                None => self.url(url, span),
            }
            self.template(url, span, step);
        }
        if let Some((text, span)) = node.text_at("contains")
            && text.trim().is_empty()
        {
            let message = "every page contains nothing: this proof would pass on an error page";
            self.check.error("no-proof", span, message).help =
                Some("write some restored data that the page must show".into());
        }
    }

    /// A check that reaches anything but the restored address may be answered by production.
    pub(super) fn url(&mut self, url: &str, span: &Range<usize>) {
        if !(url.starts_with("http://") || url.starts_with("https://")) {
            self.check
                .error("bad-url", span, format!("`{url}` is no URL"))
                .help = Some("http://127.0.0.1:{{ steps.NAME.ports.PORT }}/…".into());
        } else if !is_loopback(url) {
            let message = "this is not the restored address: what answers there may be production";
            self.check.error("not-restored", span, message).help =
                Some("http://127.0.0.1:{{ steps.NAME.ports.PORT }}/…".into());
        }
    }
}

/// Nothing, or what everything has: at least none.
fn is_no_demand(node: &Node) -> bool {
    node.entries().iter().all(|entry| {
        entry.value.is_null()
            || (matches!(entry.key.as_str(), "at_least" | "bytes")
                && entry.value.text() == Some("0"))
            || (matches!(entry.key.as_str(), "sha256" | "key") && entry.value.entries().is_empty())
    })
}

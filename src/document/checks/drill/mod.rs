//! A drill against its policy: an order of steps that exists, something restored and proved in
//! each, and nothing that touches what is lost.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use super::super::diagnostic::Diagnostic;
use super::super::documents::Document;
use super::super::spans::Node;
use super::policy::{Check, SOURCE_KINDS, is_below};

mod aws;
mod aws_proofs;
mod aws_scratch;
mod order;
mod proofs;
mod template;

const TARGETS: &[&str] = &["directory", "postgresql", "repository"];

/// Checks a drill's tree. `policy` is there where it could be read.
pub(in super::super) fn drill(
    document: &Document,
    policy: Option<&Document>,
    found: &mut Vec<Diagnostic>,
) {
    let root = &document.root;
    let steps: Vec<StepNode> = root
        .get("steps")
        .map(Node::items)
        .unwrap_or_default()
        .iter()
        .map(StepNode::of)
        .collect();
    let mut drill = DrillCheck {
        check: Check { document, found },
        root,
        policy: policy.map(|document| &document.root),
        aws: root
            .get("scratch")
            .and_then(|scratch| given(scratch, "aws")),
        needs: BTreeMap::new(),
        steps,
    };
    drill.run();
}

/// What stands at a key, where it is not null.
fn given<'a>(node: &'a Node, key: &str) -> Option<&'a Node> {
    node.get(key).filter(|value| !value.is_null())
}

/// A step, and what the rest of the drill wants to know of it.
#[derive(Clone)]
struct StepNode<'a> {
    node: &'a Node,
    name: &'a str,
    span: Range<usize>,
    /// `directory`, `postgresql`, `repository` or `start`; or one of [`aws::KINDS`].
    kind: Option<&'static str>,
    ports: Vec<&'a str>,
    /// How its own instance in AWS is logged in to.
    ssh: Option<&'a Node>,
    /// The step on whose instance in AWS it can be looked at: its own, or the one that it is
    /// unpacked onto, attached to or mounted on.
    place: Option<&'a str>,
    /// It has files at a path: in the scratch, or on that instance.
    has_files: bool,
}

impl<'a> StepNode<'a> {
    fn of(node: &'a Node) -> Self {
        let (name, span) = match node.text_at("step") {
            Some((name, span)) => (name, span.clone()),
            None => ("", node.head()),
        };
        let target = |restore: &Node| TARGETS.iter().copied().find(|t| restore.get(t).is_some());
        let kind = match (node.get("restore"), node.get("start")) {
            (Some(restore), None) => target(restore),
            (None, Some(_)) => Some("start"),
            (None, None) => given(node, "aws").and_then(aws::kind),
            _ => None,
        };
        let (ssh, place, has_files) = aws::whereabouts(node, name);
        let ports = node.get("start").map(|start| start.texts_at("ports"));
        StepNode {
            node,
            name,
            span,
            kind,
            ports: ports.unwrap_or_default().iter().map(|(p, _)| *p).collect(),
            ssh,
            place,
            has_files: has_files || kind == Some("directory"),
        }
    }
}

struct DrillCheck<'a> {
    check: Check<'a>,
    root: &'a Node,
    policy: Option<&'a Node>,
    /// `scratch: {aws: …}`: the drill is held in AWS.
    aws: Option<&'a Node>,
    steps: Vec<StepNode<'a>>,
    /// Step → all that it needs, near and far.
    needs: BTreeMap<&'a str, BTreeSet<&'a str>>,
}

impl<'a> DrillCheck<'a> {
    fn run(&mut self) {
        self.names();
        self.all_needs();
        self.scratch();
        self.regions();
        self.needs_policy();
        self.objectives();
        self.disaster();
        for step in self.steps.clone() {
            self.step(&step);
        }
        for notify in self.root.get("notify").map(Node::items).unwrap_or_default() {
            self.check.notify(notify);
        }
        if let Some((count, span)) = self.root.text_at("parallel")
            && count == "0"
        {
            self.check
                .error("bad-parallel", span, "at least one step must run at a time");
        }
    }

    fn names(&mut self) {
        if let Some((name, span)) = self.root.text_at("drill") {
            self.check.name("drill", name, span);
        }
        if let Some(entry) = self.root.entry("steps")
            && entry.value.items().is_empty()
        {
            let error = self.check.error(
                "empty-drill",
                &entry.key_span,
                "this drill restores nothing, so it proves nothing",
            );
            error.help = Some("add a step".into());
        }
        let steps = self.steps.clone();
        let mut seen = Vec::new();
        for step in &steps {
            if !step.name.is_empty() {
                self.check.name("step", step.name, &step.span);
                self.check.unique("step", &mut seen, step.name, &step.span);
            }
        }
    }

    fn lost(&self, key: &str) -> Vec<(&'a str, &'a Range<usize>)> {
        let lost = self.root.get("lost");
        lost.map(|lost| lost.texts_at(key)).unwrap_or_default()
    }

    fn scratch(&mut self) {
        for (path, span) in self.lost("paths") {
            self.check.absolute("what is lost", path, span);
        }
        let Some(scratch) = self.root.get("scratch") else {
            return;
        };
        self.check
            .one_of("`scratch`", scratch, &["directory", "aws"]);
        if let Some(aws) = self.aws {
            self.aws_scratch(aws);
        }
        let Some((directory, span)) = scratch.text_at("directory") else {
            return;
        };
        self.check.absolute("the scratch", directory, span);
        for (path, lost) in self.lost("paths") {
            let message = if is_below(directory, path) {
                "the scratch is in what is lost"
            } else if is_below(path, directory) {
                "what is lost is in the scratch, which is wiped"
            } else {
                continue;
            };
            let place = self.check.document.place(lost);
            let error = self.check.error("scratch-is-lost", span, message);
            error.related.push((place, "lost".into()));
            error.help = Some("put the scratch somewhere else".into());
        }
        let stores = self.policy.and_then(|policy| policy.get("stores"));
        for entry in stores.map(Node::entries).unwrap_or_default() {
            if let Some((path, _)) = entry.value.text_at("directory")
                && is_below(path, directory)
            {
                let message = format!(
                    "the store `{}` is in the scratch, which is wiped",
                    entry.key
                );
                self.check.error("scratch-is-store", span, message).help =
                    Some("put the scratch somewhere else".into());
            }
        }
    }

    /// A drill in AWS can do without a policy, as long as it opens no archive.
    fn needs_policy(&mut self) {
        if self.root.text_at("policy").is_some() {
            return;
        }
        let restores = self.steps.iter().find_map(|s| s.node.entry("restore"));
        let (span, message) = match (restores, self.aws) {
            (Some(entry), _) => (
                entry.key_span.clone(),
                "this restores a source of a backup policy, and the drill names no policy",
            ),
            (None, None) => (
                self.root.head(),
                "a drill on this machine restores from a backup policy, and this one names none",
            ),
            (None, Some(_)) => {
                if let Some(entry) = self.root.entry("identities")
                    && !entry.value.items().is_empty()
                {
                    let message = "these identities open archives of a policy, and there is none";
                    self.check.error("no-policy", &entry.key_span, message).help =
                        Some("add `policy: FILE`, or take `identities` away".into());
                }
                return;
            }
        };
        self.check.error("no-policy", &span, message).help = Some("add `policy: FILE`".into());
    }

    fn objectives(&mut self) {
        let Some(entry) = self.root.entry("objectives") else {
            return;
        };
        let set = |key: &str| entry.value.get(key).is_some_and(|node| !node.is_null());
        if !set("rto") && !set("rpo") {
            let message = "without an objective nothing can be met or missed";
            self.check
                .error("no-objective", &entry.key_span, message)
                .help = Some("write `objectives: {rto: 4h, rpo: 24h}`".into());
        }
    }

    fn disaster(&mut self) {
        if let Some((text, span)) = self.root.text_at("disaster")
            && text.parse::<jiff::Timestamp>().is_err()
        {
            let message = format!("`{text}` is no time");
            self.check.error("bad-time", span, message).help =
                Some("as in RFC 3339, e.g. 2026-11-20T03:00:00Z".into());
        }
    }

    fn step(&mut self, step: &StepNode<'a>) {
        let what = format!("the step `{}`", step.name);
        let (kinds, other): (&[&str], _) = match self.aws {
            Some(_) => (&["restore", "aws"], "start"),
            None => (&["restore", "start"], "aws"),
        };
        if let Some(entry) = step.node.entry(other).filter(|e| !e.value.is_null()) {
            let (message, help) = match self.aws {
                Some(_) => (
                    "services are started on this machine, and this drill is held in AWS",
                    "restore an instance that starts it by itself, and prove that it answers",
                ),
                None => (
                    "this restores to AWS, and the scratch is a directory",
                    "write `scratch: {aws: …}`, or make two drills of it",
                ),
            };
            self.check
                .error("wrong-step", &entry.key_span, message)
                .help = Some(help.into());
        } else {
            let kind = self.check.one_of(&what, step.node, kinds);
            match (kind, step.node.get("restore"), step.node.get("start")) {
                (Some("restore"), Some(restore), _) => self.restore(restore, step, &what),
                (Some("start"), _, Some(start)) => self.start(start, step),
                _ => {}
            }
            if let (Some("aws"), Some(aws)) = (kind, step.node.get("aws")) {
                self.aws_step(aws, step, &what);
            }
        }
        self.proofs(step);
    }

    fn restore(&mut self, restore: &'a Node, step: &StepNode<'a>, what: &str) {
        let target = self.check.one_of(what, restore, TARGETS);
        if self.aws.is_some() {
            self.restore_onto(restore, step);
        } else {
            for key in ["directory", "repository"] {
                if let Some((name, span)) = restore.text_at(key) {
                    self.check.name(key, name, span);
                }
            }
            if let Some(entry) = restore.entry("onto").filter(|e| !e.value.is_null()) {
                let message = "there are no instances in a drill on this machine";
                self.check
                    .error("wrong-step", &entry.key_span, message)
                    .help = Some("leave `onto` away: it goes into the scratch".into());
            }
        }
        let Some(policy) = self.policy else {
            return;
        };
        let sources = policy.get("sources").map(Node::items).unwrap_or_default();
        let named = |node: &'a Node| node.text_at("source").map(|(name, _)| name);
        let Some((name, span)) = restore.text_at("source") else {
            return;
        };
        let all: Vec<&str> = sources.iter().filter_map(named).collect();
        if !self.check.known("source", name, span, all.iter().copied()) {
            return;
        }
        let Some(source) = sources.iter().find(|node| named(node) == Some(name)) else {
            return;
        };
        let kind = SOURCE_KINDS
            .iter()
            .copied()
            .find(|k| source.get(k).is_some());
        let wanted = match kind {
            Some("postgresql") => "postgresql",
            Some("git") => "repository",
            _ => "directory",
        };
        if let (Some(target), Some(kind), Some(entry)) =
            (target, kind, target.and_then(|t| restore.entry(t)))
            && target != wanted
        {
            let message =
                format!("`{name}` is a source of kind `{kind}`, which cannot go into a `{target}`");
            self.check
                .error("wrong-target", &entry.key_span, message)
                .help = Some(match self.aws {
                None => format!("write `{wanted}: …`"),
                Some(_) => "on an instance only files are unpacked; restore it in a drill on this \
                     machine"
                    .to_owned(),
            });
        }
        self.store_of(restore, source, policy, span);
    }

    /// The store that is named, or those of the source: not all of them may be lost.
    fn store_of(&mut self, restore: &Node, source: &Node, policy: &'a Node, at: &Range<usize>) {
        let stores = policy.get("stores").map(Node::entries).unwrap_or_default();
        let lost: BTreeSet<&str> = self.lost("places").iter().map(|(p, _)| *p).collect();
        let lost_paths = self.lost("paths");
        let regions: BTreeSet<&str> = self.lost("regions").iter().map(|(r, _)| *r).collect();
        let is_lost = |name: &str| {
            let Some(entry) = stores.iter().find(|entry| entry.key == name) else {
                return false;
            };
            let place = entry.value.text_at("place").map(|(place, _)| place);
            let directory = entry.value.text_at("directory").map(|(path, _)| path);
            let s3 = entry.value.get("s3");
            let region = s3.and_then(|s3| s3.text_at("region")).map(|(r, _)| r);
            place.is_some_and(|place| lost.contains(place))
                || region.is_some_and(|region| regions.contains(region))
                || directory.is_some_and(|d| lost_paths.iter().any(|(path, _)| is_below(d, path)))
        };
        if let Some((store, span)) = restore.text_at("store") {
            let there = stores.iter().map(|entry| entry.key.as_str());
            if self.check.known("store", store, span, there) && is_lost(store) {
                let message = format!("the store `{store}` is lost in this drill");
                self.check.error("store-is-lost", span, message).help =
                    Some("restore from a store in a place that is left".into());
            }
            return;
        }
        let named = source.texts_at("to");
        let used: Vec<&str> = match named.is_empty() {
            true => stores.iter().map(|entry| entry.key.as_str()).collect(),
            false => named.iter().map(|(name, _)| *name).collect(),
        };
        if !used.is_empty() && used.iter().all(|store| is_lost(store)) {
            let message = "every store of this source is lost in this drill";
            self.check.error("store-is-lost", at, message).help =
                Some("keep its backups in a second place: add a store to the policy".into());
        }
    }

    fn start(&mut self, start: &Node, step: &StepNode<'a>) {
        self.check.program(start, "run");
        let mut seen = Vec::new();
        for (port, span) in start.texts_at("ports") {
            let fits = port.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
            if port.is_empty() || !fits {
                self.check
                    .error("bad-name", span, format!("`{port}` is no name for a port"))
                    .help = Some("letters, digits and `_`".into());
            }
            self.check.unique("port", &mut seen, port, span);
        }
        if let Some(health) = start.get("health") {
            let kinds = &["http", "port", "command"];
            self.check.one_of("`health`", health, kinds);
            if let Some((port, span)) = health.text_at("port") {
                self.check
                    .known("port", port, span, step.ports.iter().copied());
            }
            if let Some((url, span)) = health.text_at("http") {
                self.url(url, span);
                self.template(url, span, step);
            }
            self.check.program(health, "command");
            for (text, span) in health.texts_at("command") {
                self.template(text, span, step);
            }
        }
        for (text, span) in start.texts_at("run") {
            self.template(text, span, step);
        }
        for entry in start
            .get("environment")
            .map(Node::entries)
            .unwrap_or_default()
        {
            if let Some(text) = entry.value.text() {
                self.template(text, &entry.value.span, step);
            }
        }
    }
}

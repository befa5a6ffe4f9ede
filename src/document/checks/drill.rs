//! A drill against its policy: an order of steps that exists, something restored and proved in
//! each, and nothing that touches what is lost.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use minijinja::{Environment, UndefinedBehavior};

use super::super::diagnostic::Diagnostic;
use super::super::documents::Document;
use super::super::playbook::Span;
use super::super::spans::Node;
use super::policy::{Check, SOURCE_KINDS, is_below, is_loopback};

const PROOF_KINDS: &[&str] = &[
    "manifest", "files", "sql", "canary", "http", "command", "git", "meets",
];
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
        needs: BTreeMap::new(),
        steps,
    };
    drill.run();
}

/// A step, and what the rest of the drill wants to know of it.
#[derive(Clone)]
struct StepNode<'a> {
    node: &'a Node,
    name: &'a str,
    span: Range<usize>,
    /// `directory`, `postgresql`, `repository` or `start`.
    kind: Option<&'static str>,
    ports: Vec<&'a str>,
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
            _ => None,
        };
        let ports = node.get("start").map(|start| start.texts_at("ports"));
        StepNode {
            node,
            name,
            span,
            kind,
            ports: ports.unwrap_or_default().iter().map(|(p, _)| *p).collect(),
        }
    }
}

struct DrillCheck<'a> {
    check: Check<'a>,
    root: &'a Node,
    policy: Option<&'a Node>,
    steps: Vec<StepNode<'a>>,
    /// Step → all that it needs, near and far.
    needs: BTreeMap<&'a str, BTreeSet<&'a str>>,
}

impl<'a> DrillCheck<'a> {
    fn run(&mut self) {
        self.names();
        self.all_needs();
        self.scratch();
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

    /// Unknown needs, circles, and the closure of what is needed.
    fn all_needs(&mut self) {
        let steps = self.steps.clone();
        let there = steps.iter().map(|step| step.name);
        let mut direct: BTreeMap<&'a str, Vec<(&'a str, &'a Range<usize>)>> = BTreeMap::new();
        for step in &steps {
            for (need, span) in step.node.texts_at("needs") {
                if self.check.known("step", need, span, there.clone()) {
                    direct.entry(step.name).or_default().push((need, span));
                }
            }
        }
        let mut told: BTreeSet<&str> = BTreeSet::new();
        for step in &steps {
            if let Some(round) = round_from(step.name, &direct)
                && round.iter().all(|(name, _)| !told.contains(name))
            {
                told.extend(round.iter().map(|(name, _)| *name));
                self.circle(&round);
            }
        }
        for step in &steps {
            let mut all = BTreeSet::new();
            let mut next = vec![step.name];
            while let Some(name) = next.pop() {
                for (need, _) in direct.get(name).into_iter().flatten() {
                    if all.insert(*need) {
                        next.push(need);
                    }
                }
            }
            self.needs.insert(step.name, all);
        }
    }

    fn circle(&mut self, round: &[(&str, &Range<usize>)]) {
        let Some(((_, last), before)) = round.split_last() else {
            return;
        };
        let names: Vec<&str> = round.iter().map(|(name, _)| *name).collect();
        let message = match names.as_slice() {
            [one] => format!("the step `{one}` needs itself"),
            _ => format!("these steps need one another: {}", names.join(", ")),
        };
        let places: Vec<_> = before
            .iter()
            .map(|(name, span)| {
                (
                    self.check.document.place(span),
                    format!("{name} needs this"),
                )
            })
            .collect();
        let error = self.check.error("needs-cycle", last, message);
        error.label = "this closes the circle".into();
        error.related.extend(places);
        error.help = Some("take one of these needs away".into());
    }

    fn lost(&self, key: &str) -> Vec<(&'a str, &'a Range<usize>)> {
        let lost = self.root.get("lost");
        lost.map(|lost| lost.texts_at(key)).unwrap_or_default()
    }

    fn scratch(&mut self) {
        for (path, span) in self.lost("paths") {
            self.check.absolute("what is lost", path, span);
        }
        let scratch = self.root.get("scratch");
        let Some((directory, span)) = scratch.and_then(|scratch| scratch.text_at("directory"))
        else {
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
        let kind = self.check.one_of(&what, step.node, &["restore", "start"]);
        match (kind, step.node.get("restore"), step.node.get("start")) {
            (Some("restore"), Some(restore), _) => self.restore(restore, &what),
            (Some("start"), _, Some(start)) => self.start(start, step),
            _ => {}
        }
        self.proofs(step);
    }

    fn restore(&mut self, restore: &Node, what: &str) {
        let target = self.check.one_of(what, restore, TARGETS);
        for key in ["directory", "repository"] {
            if let Some((name, span)) = restore.text_at(key) {
                self.check.name(key, name, span);
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
                .help = Some(format!("write `{wanted}: …`"));
        }
        self.store_of(restore, source, policy, span);
    }

    /// The store that is named, or those of the source: not all of them may be lost.
    fn store_of(&mut self, restore: &Node, source: &Node, policy: &'a Node, at: &Range<usize>) {
        let stores = policy.get("stores").map(Node::entries).unwrap_or_default();
        let lost: BTreeSet<&str> = self.lost("places").iter().map(|(p, _)| *p).collect();
        let lost_paths = self.lost("paths");
        let is_lost = |name: &str| {
            let Some(entry) = stores.iter().find(|entry| entry.key == name) else {
                return false;
            };
            let place = entry.value.text_at("place").map(|(place, _)| place);
            let directory = entry.value.text_at("directory").map(|(path, _)| path);
            place.is_some_and(|place| lost.contains(place))
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

    fn proofs(&mut self, step: &StepNode<'a>) {
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
                .one_of(&format!("the proof `{name}`"), proof, PROOF_KINDS);
            if let Some(kind) = kind {
                reads_data |= kind != "meets";
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
                _ => "add a proof with `http`, `command` or `sql` that reads what was restored",
            };
            self.check.error("no-proof", &entry.key_span, message).help = Some(help.into());
        }
    }

    fn proof(&mut self, kind: &str, proof: &Node, step: &StepNode<'a>) {
        let fits = match kind {
            "manifest" | "files" => matches!(step.kind, None | Some("directory")),
            "canary" => matches!(step.kind, None | Some("directory" | "postgresql")),
            "git" => matches!(step.kind, None | Some("repository")),
            "sql" => self.has_database(step),
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
                _ => "it reads a restored directory",
            };
            self.check
                .error("wrong-proof", &entry.key_span, message)
                .help = Some(help.into());
        }
        match (kind, proof.get(kind)) {
            ("manifest" | "canary", Some(node)) if node.boolean() == Some(false) => {
                let message = format!("`{kind}: false` proves nothing");
                self.check.error("no-proof", &node.span, message).help =
                    Some("write `true`, or leave the proof out".into());
            }
            ("canary", Some(node)) => self.source_has_canary(step, node),
            ("sql", Some(node)) => self.sql(node),
            ("files", Some(node)) if node.entries().iter().all(|e| e.value.is_null()) => {
                self.check
                    .error("no-proof", &node.span, "nothing is demanded of the files")
                    .help = Some("write `at_least`, `bytes` or `sha256`".into());
            }
            ("http", Some(node)) => self.http(node, step),
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

    fn http(&mut self, node: &Node, step: &StepNode<'a>) {
        if let Some((url, span)) = node.text_at("url") {
            self.url(url, span);
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
    fn url(&mut self, url: &str, span: &Range<usize>) {
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

    /// A template that can be filled: syntax, and names that are there.
    fn template(&mut self, text: &str, span: &Range<usize>, step: &StepNode<'a>) {
        if !text.contains("{{") && !text.contains("{%") {
            return;
        }
        let mut seen: Vec<&StepNode> = Vec::new();
        if let Some(own) = self.steps.iter().find(|other| other.name == step.name) {
            seen.push(own);
        }
        let needs = self.needs.get(step.name);
        let needed = |other: &&StepNode| {
            other.name != step.name && needs.is_some_and(|n| n.contains(other.name))
        };
        seen.extend(self.steps.iter().filter(needed));
        let values: BTreeMap<&str, minijinja::Value> =
            seen.iter().map(|s| (s.name, sample(s))).collect();
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        let context = minijinja::context! { scratch => "/scratch", steps => values };
        if let Err(error) = environment.render_str(text, context) {
            let names: Vec<&str> = seen.iter().map(|s| s.name).collect();
            let what = match error.detail() {
                Some(detail) => detail.to_owned(),
                None => error.kind().to_string(),
            };
            let message = format!("this template cannot be filled: {what}");
            self.check.error("bad-template", span, message).help = Some(format!(
                "there are `scratch` and `steps.NAME` of {}: `.directory`, `.socket` and `.database`, `.ports.PORT`; a step sees itself and what it needs",
                names.join(", ")
            ));
        }
    }
}

/// What a template may name of a step.
fn sample(step: &StepNode) -> minijinja::Value {
    match step.kind {
        Some("directory" | "repository") => minijinja::context! { directory => "/d" },
        Some("postgresql") => minijinja::context! { socket => "/s", database => "d" },
        Some("start") => {
            let ports: BTreeMap<&str, u16> = step.ports.iter().map(|port| (*port, 1)).collect();
            minijinja::context! { ports => ports }
        }
        _ => minijinja::context! {},
    }
}

/// The way from a step back to itself, if there is one: each step on it and the place of the need
/// that leads on.
fn round_from<'a>(
    start: &'a str,
    direct: &BTreeMap<&'a str, Vec<(&'a str, &'a Range<usize>)>>,
) -> Option<Vec<(&'a str, &'a Range<usize>)>> {
    let mut seen = BTreeSet::new();
    let mut way: Vec<(&'a str, &'a Range<usize>, usize)> = Vec::new();
    let (mut at, mut next) = (start, 0);
    loop {
        match direct.get(at).and_then(|needs| needs.get(next)) {
            Some((need, span)) => {
                if *need == start {
                    let mut round: Vec<_> = way.iter().map(|(n, s, _)| (*n, *s)).collect();
                    round.push((at, span));
                    return Some(round);
                }
                if seen.insert(*need) {
                    way.push((at, span, next));
                    at = need;
                    next = 0;
                } else {
                    next += 1;
                }
            }
            None => {
                let (back, _, done) = way.pop()?;
                at = back;
                next = done + 1;
            }
        }
    }
}

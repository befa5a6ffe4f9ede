//! What a schema cannot say: names that must exist, values that must make sense together. All
//! of it works on the trees, so that one mistake does not hide another.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use jiff::civil::Date;

use super::baseline::{Value, Variable, VariableKind};
use super::diagnostic::{Diagnostic, Place, nearest};
use super::documents::Document;
use super::inventory::{Inventory, select};
use super::playbook::{Span, WaveSize};
use super::spans::{Kind, Node};
use super::variables::{check_value, list_in_text, names_in};

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

/// What the baselines of one run have between them.
#[derive(Default)]
pub(super) struct Names {
    /// Rule id → where it stands first, and whether it is opt-in.
    pub rules: BTreeMap<String, (Place, bool)>,
    /// Variable → type, whether it has a default, and where it is declared first.
    pub variables: BTreeMap<String, (VariableKind, bool, Place)>,
}

impl Names {
    /// Gathers, and reports what is there twice.
    pub fn of(baselines: &[Document], found: &mut Vec<Diagnostic>) -> Names {
        let mut names = Names::default();
        for document in baselines {
            names.rules_of(document, found);
            names.variables_of(document, found);
        }
        names
    }

    fn rules_of(&mut self, document: &Document, found: &mut Vec<Diagnostic>) {
        for rule in rules(document) {
            let Some((id, span)) = rule.text_at("id") else {
                continue;
            };
            let place = document.place(span);
            if let Some((first, _)) = self.rules.get(id) {
                found.push(
                    Diagnostic::error("duplicate-rule", place, format!("two rules have the id `{id}`"))
                        .label("here again")
                        .related(first.clone(), "first here")
                        .help("give one of them another id; ids are unique over all baselines that are used together"),
                );
                continue;
            }
            let opt_in = rule.get("opt_in").and_then(Node::boolean) == Some(true);
            self.rules.insert(id.to_owned(), (place, opt_in));
        }
    }

    /// An including baseline comes after those that it includes, and may change a default.
    fn variables_of(&mut self, document: &Document, found: &mut Vec<Diagnostic>) {
        for entry in document
            .root
            .get("variables")
            .map(Node::entries)
            .unwrap_or_default()
        {
            let Some(kind) = entry
                .value
                .get("type")
                .and_then(Node::text)
                .and_then(kind_of)
            else {
                continue;
            };
            let place = document.place(&entry.key_span);
            let default = entry.value.get("default").filter(|node| !node.is_null());
            if let Some(wrong) = default.and_then(|node| mismatch(document, &entry.key, kind, node))
            {
                found.push(wrong.related(place.clone(), "declared here"));
            }
            match self.variables.get_mut(&entry.key) {
                Some((first, _, at)) if *first != kind => {
                    let message =
                        format!("the variable `{}` is declared with two types", entry.key);
                    found.push(
                        Diagnostic::error("variable-twice", place, message)
                            .label(format!("as {} here", kind_words(kind)))
                            .related(at.clone(), format!("as {} here", kind_words(*first)))
                            .help("give both the same type, or one of them another name"),
                    );
                }
                Some((_, has_default, _)) => *has_default |= default.is_some(),
                None => {
                    let known = (kind, default.is_some(), place);
                    self.variables.insert(entry.key.clone(), known);
                }
            }
        }
    }
}

pub(super) fn rules(document: &Document) -> &[Node] {
    document
        .root
        .get("rules")
        .map(Node::items)
        .unwrap_or_default()
}

fn kind_of(word: &str) -> Option<VariableKind> {
    match word {
        "text" => Some(VariableKind::Text),
        "integer" => Some(VariableKind::Integer),
        "boolean" => Some(VariableKind::Boolean),
        "list" => Some(VariableKind::List),
        _ => None,
    }
}

fn kind_words(kind: VariableKind) -> &'static str {
    match kind {
        VariableKind::Text => "`text`",
        VariableKind::Integer => "`integer`",
        VariableKind::Boolean => "`boolean`",
        VariableKind::List => "`list`",
    }
}

/// A variable's value as the typed pass would read it.
fn value_of(node: &Node) -> Option<Value> {
    match &node.kind {
        Kind::List(items) => {
            let texts = items.iter().map(|item| item.text().map(str::to_owned));
            texts.collect::<Option<Vec<_>>>().map(Value::List)
        }
        _ => node.text().map(|text| Value::Text(text.to_owned())),
    }
}

fn mismatch(
    document: &Document,
    name: &str,
    kind: VariableKind,
    node: &Node,
) -> Option<Diagnostic> {
    let why = check_value(kind, &value_of(node)?).err()?;
    let error = Diagnostic::error(
        "variable-type",
        document.place(&node.head()),
        format!("the variable `{name}` {why}"),
    );
    Some(match (kind, node.text()) {
        (VariableKind::List, Some(text)) => error.help(format!("write `[{text}]`")),
        (VariableKind::Boolean, Some("yes" | "on")) => error.help("write `true`"),
        (VariableKind::Boolean, Some("no" | "off")) => error.help("write `false`"),
        _ => error,
    })
}

/// One baseline by itself, with the names of all.
pub(super) fn baseline(
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
                .map(|(kind, ..)| *kind);
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

fn level(document: &Document, node: Option<&Node>, found: &mut Vec<Diagnostic>) {
    let Some(node) = node else {
        return;
    };
    // What is no small number at all is the structural pass's to report.
    let number = node.text().and_then(|text| text.parse::<u8>().ok());
    if number.is_some_and(|n| n != 1 && n != 2) {
        let message = format!("there is no level {}", node.text().unwrap_or_default());
        found.push(
            Diagnostic::error("bad-level", document.place(&node.span), message)
                .label("must be 1 or 2")
                .help("1: for every host; 2: defence in depth, which may cost comfort"),
        );
    }
}

/// What a playbook is checked against.
pub(super) struct PlaybookCheck<'a> {
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
        self.waves(root);
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
        for (pattern, span) in node.texts_at("hosts") {
            if select(inventory, &[pattern.to_owned()]).is_ok() {
                continue;
            }
            let bare = pattern.strip_prefix('!').unwrap_or(pattern);
            let near = nearest(bare, inventory.names());
            let help = match near {
                Some(word) => format!("did you mean `{word}`?"),
                None => format!("the inventory has: {}", some(inventory.names())),
            };
            let message = match bare.contains(['*', '?', '[']) {
                true => format!("no host or group of the inventory matches `{bare}`"),
                false => format!("the inventory has no host or group `{bare}`"),
            };
            self.error("unknown-host", span, message).help = Some(help);
        }
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
                Some((kind, _, place)) => {
                    let wrong = mismatch(self.document, &entry.key, *kind, &entry.value);
                    self.found
                        .extend(wrong.map(|wrong| wrong.related(place.clone(), "declared here")));
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

    fn waves(&mut self, root: &Node) {
        for (text, span) in root.texts_at("waves") {
            match text.trim().parse::<WaveSize>() {
                Ok(WaveSize::Hosts(0) | WaveSize::Percent(0)) => {
                    self.error("bad-wave", span, "a wave of no hosts would never end")
                        .help = Some("write 1 or more, or a share such as 25%".into());
                }
                Ok(_) => {}
                Err(why) if is_wave_shaped(text) => {
                    self.error("bad-wave", span, why).help = Some("a share is at most 100%".into());
                }
                Err(_) => {}
            }
        }
        if let Some((text, span)) = root.text_at("failure_budget")
            && is_wave_shaped(text)
            && let Err(why) = text.trim().parse::<WaveSize>()
        {
            self.error("bad-wave", span, why).help = Some("a share is at most 100%".into());
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

fn is_wave_shaped(text: &str) -> bool {
    let text = text.trim();
    let digits = text.strip_suffix('%').unwrap_or(text);
    !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit())
}

/// `YYYY-MM-DD` and nothing else.
pub(super) fn date(text: &str) -> Option<Date> {
    let shaped = text.len() == 10
        && text.bytes().enumerate().all(|(at, b)| match at {
            4 | 7 => b == b'-',
            _ => b.is_ascii_digit(),
        });
    shaped.then(|| text.parse().ok()).flatten()
}

/// The first names, for a help line.
fn some<'n>(names: impl Iterator<Item = &'n str>) -> String {
    const SHOWN: usize = 12;
    let all: Vec<&str> = names.collect();
    let shown: Vec<&str> = all.iter().copied().take(SHOWN).collect();
    match all.len().saturating_sub(SHOWN) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

/// Variables that a rule takes, and that some host of the run would have no value for.
pub(super) fn without_value(
    baselines: &[Document],
    names: &Names,
    set_by_playbook: &BTreeMap<String, Value>,
    hosts: &[(&str, &BTreeMap<String, Value>)],
    applies: &dyn Fn(&str) -> bool,
    found: &mut Vec<Diagnostic>,
) {
    let mut told = BTreeSet::new();
    for document in baselines {
        for rule in rules(document) {
            if !rule.text_at("id").is_some_and(|(id, _)| applies(id)) {
                continue;
            }
            let Some(resources) = rule.get("resources") else {
                continue;
            };
            resources.each_text("", &mut |key, node| {
                let uses = names_in(key, node.text().unwrap_or_default()).unwrap_or_default();
                for taken in uses {
                    let Some((_, false, declared)) = names.variables.get(&taken.name) else {
                        continue;
                    };
                    let lacking: Vec<&str> = hosts
                        .iter()
                        .filter(|(_, values)| !values.contains_key(&taken.name))
                        .map(|(name, _)| *name)
                        .collect();
                    let set = set_by_playbook.contains_key(&taken.name);
                    if set || lacking.is_empty() || !told.insert(taken.name.clone()) {
                        continue;
                    }
                    let message = format!(
                        "the variable `{}` has no value on {}",
                        taken.name,
                        some(lacking.into_iter())
                    );
                    found.push(
                        Diagnostic::error("variable-unset", document.place(&node.span), message)
                            .label("taken here")
                            .related(declared.clone(), "declared here without a default")
                            .help("set it under `variables` of the playbook, a group or the hosts"),
                    );
                }
            });
        }
    }
}

/// The declared variables as types, later documents first to say a default.
pub(super) fn declared(baselines: &[&BTreeMap<String, Variable>]) -> BTreeMap<String, Variable> {
    let mut out: BTreeMap<String, Variable> = BTreeMap::new();
    for variables in baselines {
        for (name, variable) in *variables {
            let before = out.remove(name);
            let mut variable = variable.clone();
            if let (None, Some(before)) = (&variable.default, before) {
                variable.default = before.default;
            }
            out.insert(name.clone(), variable);
        }
    }
    out
}

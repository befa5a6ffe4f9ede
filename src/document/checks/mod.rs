//! What a schema cannot say: names that must exist, values that must make sense together. All
//! of it works on the trees, so that one mistake does not hide another.

use std::collections::BTreeMap;

use super::baseline::{Value, Variable, VariableKind};
use super::diagnostic::{Diagnostic, Place};
use super::documents::Document;
use super::spans::{Kind, Node};
use super::structure::truth_help;
use super::variables::check_value;

mod baseline;
mod common;
mod drill;
mod patch;
mod playbook;
mod policy;

pub(super) use baseline::baseline;
pub(super) use drill::drill;
pub(super) use patch::PatchCheck;
pub(super) use playbook::PlaybookCheck;
pub(super) use policy::{hide_secrets, policy};

/// What the baselines of one run have between them.
#[derive(Default)]
pub(super) struct Names {
    /// Rule id → where it stands first, and whether it is opt-in.
    pub rules: BTreeMap<String, (Place, bool)>,
    pub variables: BTreeMap<String, Known>,
}

/// A variable that is declared.
pub(super) struct Known {
    pub kind: VariableKind,
    pub default: Option<Value>,
    /// Where it is declared last; that one's default holds.
    pub place: Place,
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
            let mut known = Known {
                kind,
                default: default.and_then(value_of),
                place: place.clone(),
            };
            if let Some(before) = self.variables.remove(&entry.key) {
                found.extend(contradiction(document, &entry.key, &before, &known));
                known.default = known.default.or(before.default);
            }
            self.variables.insert(entry.key.clone(), known);
        }
    }
}

/// Two declarations of one variable that cannot both hold. A baseline may give another default
/// to what it includes; baselines side by side may not, since neither comes first.
fn contradiction(
    document: &Document,
    name: &str,
    before: &Known,
    now: &Known,
) -> Option<Diagnostic> {
    let error = |message: String| Diagnostic::error("variable-twice", now.place.clone(), message);
    if before.kind != now.kind {
        let error = error(format!("the variable `{name}` is declared with two types"))
            .label(format!("as {} here", kind_words(now.kind)))
            .related(
                before.place.clone(),
                format!("as {} here", kind_words(before.kind)),
            )
            .help("give both the same type, or one of them another name");
        return Some(error);
    }
    let included = document.below.contains(&before.place.source.name);
    let differ = before.default.is_some() && now.default.is_some() && before.default != now.default;
    (differ && !included).then(|| {
        error(format!(
            "the variable `{name}` is declared with two defaults"
        ))
        .label("with one here")
        .related(before.place.clone(), "with another here")
        .help("give both the same default, or one of them another name")
    })
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
        (VariableKind::Boolean, Some(text)) => match truth_help(text) {
            Some(help) => error.help(help),
            None => error,
        },
        _ => error,
    })
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

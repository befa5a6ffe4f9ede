//! From files to checked playbooks and baselines: all the documents, or all the mistakes.

use std::collections::BTreeMap;
use std::path::Path;

use jiff::civil::Date;
use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::ops::Range;

use super::baseline::{Baseline, Condition, Rule, Value, Variable};
use super::checks::{self, Names, PlaybookCheck};
use super::diagnostic::{Diagnostic, Place, in_order};
use super::documents::{Document, Shelf, normal};
use super::files::Files;
use super::inventory::{Host, Inventory};
use super::playbook::Playbook;
use super::schema::{schema_for_baseline, schema_for_playbook};
use super::spans::Node;
use super::variables::{Variables, resolve, settle};
use super::yaml;

/// What any kind of resource document can do.
pub trait ResourceDocument: DeserializeOwned + Serialize + JsonSchema + Clone {}
impl<R: DeserializeOwned + Serialize + JsonSchema + Clone> ResourceDocument for R {}

/// What the loader must be told.
#[derive(Clone, Copy)]
pub struct Loading<'a> {
    pub files: &'a dyn Files,
    /// The facts that conditions and exceptions may name.
    pub known_facts: &'a [&'a str],
    /// Where it is at hand, host names are checked against it.
    pub inventory: Option<&'a Inventory>,
    /// The day (UTC) against which waivers are seen to have expired.
    pub today: Option<Date>,
}

/// A playbook with all its rules.
#[derive(Clone, Debug)]
pub struct Loaded<R> {
    pub playbook: Playbook,
    pub playbook_path: String,
    /// In the order of the baselines, those of included ones first.
    pub rules: Vec<LoadedRule<R>>,
    pub variables: BTreeMap<String, Variable>,
    /// Every file that was read → SHA-256 of its text, in hex.
    pub documents: BTreeMap<String, String>,
    pub warnings: Vec<Diagnostic>,
}

/// Baselines without a playbook.
#[derive(Clone, Debug)]
pub struct LoadedBaseline<R> {
    /// The name and title of the one that was asked for.
    pub baseline: String,
    pub title: String,
    pub rules: Vec<LoadedRule<R>>,
    pub variables: BTreeMap<String, Variable>,
    pub documents: BTreeMap<String, String>,
    pub warnings: Vec<Diagnostic>,
}

/// A rule and where it stands.
#[derive(Clone, Debug)]
pub struct LoadedRule<R> {
    pub rule: Rule<R>,
    /// The name of its baseline.
    pub baseline: String,
    /// The condition of the whole file, which holds besides the rule's own.
    pub baseline_when: Option<Condition>,
    pub file: String,
    pub id_place: Place,
    /// As many as the rule has resources, in the same order.
    pub resource_places: Vec<ResourcePlace>,
}

/// Where a resource stands.
#[derive(Clone, Debug)]
pub struct ResourcePlace {
    /// Its kind's name, e.g. `sysctl`.
    pub place: Place,
    /// The values of its parameters, by name.
    pub fields: BTreeMap<String, Range<usize>>,
}

impl ResourcePlace {
    /// Where a parameter stands, or the whole resource where it is not written.
    pub fn field(&self, name: &str) -> Place {
        match self.fields.get(name) {
            Some(span) => Place::new(&self.place.source, span.clone()),
            None => self.place.clone(),
        }
    }
}

impl<R> Loaded<R> {
    /// The values that hold for a host: baseline, then playbook, then what its groups and it
    /// itself say, then the command line.
    pub fn variables_for(
        &self,
        host: &Host,
        command_line: &BTreeMap<String, Value>,
    ) -> Result<Variables, Vec<String>> {
        let of_host = format!("the inventory (host {})", host.name);
        let layers = [
            ("the playbook", &self.playbook.variables),
            (of_host.as_str(), &host.variables),
            ("the command line", command_line),
        ];
        settle(&self.variables, &layers)
    }
}

/// Reads a playbook and every baseline that it uses.
pub fn load_playbook<R: ResourceDocument>(
    path: &Path,
    with: &Loading,
) -> Result<Loaded<R>, Vec<Diagnostic>> {
    let mut shelf = Shelf::new(with.files);
    let path = normal(path);
    let schema = schema_for_baseline::<R>();
    let Some(document) = shelf.read(&path, None, &schema_for_playbook()) else {
        return Err(shelf.found);
    };
    shelf.follow(&document, "baselines", &schema, &mut Vec::new());
    let names = check_baselines(&mut shelf, with);
    let mut check = PlaybookCheck {
        document: &document,
        names: &names,
        inventory: with.inventory,
        today: with.today,
        incomplete: shelf.incomplete,
        found: &mut shelf.found,
    };
    check.run();
    let playbook = typed::<Playbook>(&document, &mut shelf.found);
    let baselines = typed_baselines::<R>(&shelf.baselines, &mut shelf.found);
    let warnings = warnings_only(shelf.found)?;
    let Some(playbook) = playbook else {
        return Err(warnings);
    };
    let (rules, variables) = gather(baselines);
    tried(&rules, &Variables::sample(&variables, &playbook.variables))?;
    Ok(Loaded {
        playbook,
        playbook_path: document.source.name.clone(),
        rules,
        variables,
        documents: shelf.hashes,
        warnings,
    })
}

/// Reads one baseline and those that it includes.
pub fn load_baseline<R: ResourceDocument>(
    path: &Path,
    with: &Loading,
) -> Result<LoadedBaseline<R>, Vec<Diagnostic>> {
    let mut shelf = Shelf::new(with.files);
    let schema = schema_for_baseline::<R>();
    shelf.baseline(normal(path), None, &schema, &mut Vec::new());
    check_baselines(&mut shelf, with);
    let baselines = typed_baselines::<R>(&shelf.baselines, &mut shelf.found);
    let warnings = warnings_only(shelf.found)?;
    // The one that was asked for is the last to be complete.
    let Some((_, last)) = baselines.last() else {
        return Err(warnings);
    };
    let (baseline, title) = (last.baseline.clone(), last.title.clone());
    let (rules, variables) = gather(baselines);
    tried(&rules, &Variables::sample(&variables, &BTreeMap::new()))?;
    Ok(LoadedBaseline {
        baseline,
        title,
        rules,
        variables,
        documents: shelf.hashes,
        warnings,
    })
}

fn check_baselines(shelf: &mut Shelf, with: &Loading) -> Names {
    let names = Names::of(&shelf.baselines, &mut shelf.found);
    for document in &shelf.baselines {
        checks::baseline(
            document,
            &names,
            with.known_facts,
            shelf.incomplete,
            &mut shelf.found,
        );
    }
    names
}

pub(super) fn warnings_only(found: Vec<Diagnostic>) -> Result<Vec<Diagnostic>, Vec<Diagnostic>> {
    match found.iter().any(Diagnostic::is_error) {
        true => Err(in_order(found)),
        false => Ok(found),
    }
}

/// The typed value of a document; what is wrong with it that the other passes did not see.
pub(super) fn typed<T: DeserializeOwned>(
    document: &Document,
    found: &mut Vec<Diagnostic>,
) -> Option<T> {
    if !document.sound {
        return None;
    }
    match yaml::read(&document.source.text) {
        Ok(value) => Some(value),
        Err(error) => {
            let place = document.place(&error.span);
            found.push(Diagnostic::error("bad-value", place, error.message));
            None
        }
    }
}

fn typed_baselines<'d, R: ResourceDocument>(
    documents: &'d [Document],
    found: &mut Vec<Diagnostic>,
) -> Vec<(&'d Document, Baseline<R>)> {
    let mut out = Vec::new();
    for document in documents {
        let before = found.len();
        if document.sound {
            for resource in checks::rules(document).iter().flat_map(resources) {
                if let Err(error) = yaml::read_node::<R>(resource) {
                    let place = document.place(&error.span);
                    found.push(Diagnostic::error("bad-value", place, error.message));
                }
            }
        }
        if found.len() > before {
            continue;
        }
        if let Some(baseline) = typed::<Baseline<R>>(document, found) {
            out.push((document, baseline));
        }
    }
    out
}

fn resources(rule: &Node) -> &[Node] {
    rule.get("resources").map(Node::items).unwrap_or_default()
}

fn gather<R>(
    baselines: Vec<(&Document, Baseline<R>)>,
) -> (Vec<LoadedRule<R>>, BTreeMap<String, Variable>) {
    let layers: Vec<&BTreeMap<String, Variable>> =
        baselines.iter().map(|(_, b)| &b.variables).collect();
    let variables = checks::declared(&layers);
    let mut rules = Vec::new();
    for (document, baseline) in baselines {
        for (node, rule) in checks::rules(document).iter().zip(baseline.rules) {
            let id = node
                .text_at("id")
                .map_or_else(|| node.head(), |(_, span)| span.clone());
            rules.push(LoadedRule {
                rule,
                baseline: baseline.baseline.clone(),
                baseline_when: baseline.when.clone(),
                file: document.source.name.clone(),
                id_place: document.place(&id),
                resource_places: resources(node)
                    .iter()
                    .map(|r| resource_place(document, r))
                    .collect(),
            });
        }
    }
    (rules, variables)
}

/// Resources that are right as they are written, and would not be with their variables replaced.
fn tried<R: ResourceDocument>(
    rules: &[LoadedRule<R>],
    variables: &Variables,
) -> Result<(), Vec<Diagnostic>> {
    let mut wrong = Vec::new();
    for rule in rules {
        for (resource, place) in rule.rule.resources.iter().zip(&rule.resource_places) {
            if let Err(why) = resolve(resource, variables) {
                let is_list = why.contains("invalid type: sequence");
                let error = Diagnostic::error("bad-value", place.place.clone(), why);
                wrong.push(match is_list {
                    true => error.help(
                        "a list can stand only where a list of texts may; elsewhere write `{{ name | join(' ') }}`",
                    ),
                    false => error,
                });
            }
        }
    }
    match wrong.is_empty() {
        true => Ok(()),
        false => Err(in_order(wrong)),
    }
}

fn resource_place(document: &Document, resource: &Node) -> ResourcePlace {
    let parameters = resource.entries().first().map(|kind| kind.value.entries());
    let fields = parameters.unwrap_or_default().iter();
    ResourcePlace {
        place: document.place(&resource.head()),
        fields: fields
            .map(|entry| (entry.key.clone(), entry.value.head()))
            .collect(),
    }
}

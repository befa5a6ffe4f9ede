//! Variables that are taken and have no value.

use std::collections::{BTreeMap, BTreeSet};

use super::super::baseline::Value;
use super::super::diagnostic::Diagnostic;
use super::super::documents::Document;
use super::super::variables::names_in;
use super::{Known, Names, rules, some};

/// Variables that a rule takes, and that some host of the run would have no value for.
pub(in super::super) fn without_value(
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
                    let Some(Known {
                        default: None,
                        place: declared,
                        ..
                    }) = names.variables.get(&taken.name)
                    else {
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

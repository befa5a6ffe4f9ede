//! Making rules ready: variables filled in, parameters and demands held against each other. Pure.

use std::collections::BTreeMap;

use crate::document::baseline::Condition;
use crate::document::variables::{Variables, resolve};
use crate::document::{Diagnostic, LoadedRule};
use crate::model::Control;

use super::resource::AnyResource;
use super::rules::ReadyRule;

/// A rule as its document has it, with these variables filled in.
pub fn ready_rule(loaded: &LoadedRule<AnyResource>, variables: &Variables) -> ReadyRule {
    let rule = &loaded.rule;
    let mut unresolved = None;
    let mut resources = Vec::new();
    for resource in &rule.resources {
        match resolve(resource, variables) {
            Ok(resource) => resources.push(resource),
            Err(why) => unresolved = Some(why),
        }
    }
    if unresolved.is_some() {
        // Half a rule must not be judged as the whole.
        resources.clear();
    }
    ReadyRule {
        id: rule.id.clone(),
        title: rule.title.clone(),
        why: rule.why.clone(),
        area: rule.area.clone(),
        severity: rule.severity,
        level: rule.level,
        controls: rule
            .controls
            .iter()
            .flat_map(|(framework, ids)| {
                ids.0.iter().map(|id| Control {
                    framework: framework.clone(),
                    id: id.clone(),
                })
            })
            .collect(),
        when: loaded
            .baseline_when
            .iter()
            .chain(&rule.when)
            .cloned()
            .collect(),
        except: rule.except.clone(),
        manual: rule.manual.clone(),
        off: None,
        resources,
        unresolved,
    }
}

/// What resources say of their own parameters, and demands that contradict one another.
pub fn contradictions(rules: &[ReadyRule], places: &[&LoadedRule<AnyResource>]) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    let mut claimed: BTreeMap<String, (String, usize, usize)> = BTreeMap::new();
    for (r, (rule, loaded)) in rules.iter().zip(places).enumerate() {
        if rule.off.is_some() || rule.unresolved.is_some() {
            continue;
        }
        for (i, resource) in rule.resources.iter().enumerate() {
            let (Some(resource), Some(place)) = (resource.get(), loaded.resource_places.get(i))
            else {
                continue;
            };
            for (field, message) in resource.problems() {
                found.push(Diagnostic::error("value", place.field(field), message));
            }
            for claim in resource.claims() {
                match claimed.get(&claim.key) {
                    Some((value, other, at))
                        if *value != claim.value && may_meet(&rules[*other].when, &rule.when) =>
                    {
                        let text = format!(
                            "rules `{}` and `{}` demand different values of {}",
                            rules[*other].id, rule.id, claim.key
                        );
                        let first = places[*other].resource_places[*at].place.clone();
                        found.push(Diagnostic::conflict(place.place.clone(), first, text));
                    }
                    Some(_) => {}
                    None => {
                        claimed.insert(claim.key, (claim.value, r, i));
                    }
                }
            }
        }
    }
    found
}

/// Whether two rules can both apply to one host: not where their systems, facts or variables
/// exclude each other.
fn may_meet(one: &[Condition], other: &[Condition]) -> bool {
    let apart = |a: &Condition, b: &Condition| {
        let systems =
            !a.os.is_empty() && !b.os.is_empty() && !a.os.iter().any(|os| b.os.contains(os));
        let facts = a.facts.iter().any(|f| b.without.contains(f))
            || b.facts.iter().any(|f| a.without.contains(f));
        let variables = a
            .variables
            .iter()
            .any(|(name, value)| b.variables.get(name).is_some_and(|v| v != value));
        systems || facts || variables
    };
    !one.iter().any(|a| other.iter().any(|b| apart(a, b)))
}

//! The JSON Schemas of our documents: what editors complete from, and what the structural pass
//! checks against.

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, SchemaGenerator};
use serde_json::{Value, json};

use super::baseline::Baseline;
use super::drill::Drill;
use super::inventory::InventoryDocument;
use super::patch::Patch;
use super::playbook::Playbook;
use super::policy::Policy;

/// The schema of a playbook.
pub fn schema_for_playbook() -> Value {
    schema_for::<Playbook>(
        "Seawall playbook",
        "Which baselines go to which hosts, how fast, and with which exceptions.",
    )
}

/// The schema of a baseline with these resources.
pub fn schema_for_baseline<R: JsonSchema>() -> Value {
    schema_for::<Baseline<R>>(
        "Seawall baseline",
        "Rules as code: what good looks like for one kind of system.",
    )
}

/// The schema of an inventory in our own form.
pub fn schema_for_inventory() -> Value {
    schema_for::<InventoryDocument>(
        "Seawall inventory",
        "The hosts, their groups, and how to reach them.",
    )
}

/// The schema of a backup policy.
pub fn schema_for_policy() -> Value {
    schema_for::<Policy>(
        "Seawall policy",
        "What is backed up, how often, for whom it is encrypted, and where it is kept.",
    )
}

/// The schema of a drill playbook.
pub fn schema_for_drill() -> Value {
    schema_for::<Drill>(
        "Seawall drill",
        "What is assumed lost, what is restored to where, how it is proved, and how long it may take.",
    )
}

/// The schema of a patch playbook.
pub fn schema_for_patch() -> Value {
    schema_for::<Patch>(
        "Seawall patch playbook",
        "What is brought up to date on which hosts, how fast, when, and what the policy asks.",
    )
}

fn schema_for<T: JsonSchema>(title: &str, about: &str) -> Value {
    let settings = SchemaSettings::draft2020_12();
    let schema = SchemaGenerator::new(settings).into_root_schema_for::<T>();
    let mut schema = schema.to_value();
    if let Some(object) = schema.as_object_mut() {
        object.insert("title".into(), json!(title));
        object.insert("description".into(), json!(about));
    }
    tidy(&mut schema);
    schema
}

/// `Rule_for_Something` says nothing to a person who reads the schema: it is a `Rule`.
fn tidy(schema: &mut Value) {
    let Some(Value::Object(definitions)) = schema.get("$defs") else {
        return;
    };
    let mut names = Vec::new();
    for name in definitions.keys() {
        if let Some((short, _)) = name.split_once("_for_")
            && !definitions.contains_key(short)
        {
            names.push((name.clone(), short.to_owned()));
        }
    }
    rename(schema, &names);
}

fn rename(value: &mut Value, names: &[(String, String)]) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(|item| rename(item, names)),
        Value::Object(object) => {
            for (long, short) in names {
                if let Some(Value::Object(definitions)) = object.get_mut("$defs")
                    && let Some(definition) = definitions.remove(long)
                {
                    definitions.insert(short.clone(), definition);
                }
                let (from, to) = (format!("#/$defs/{long}"), format!("#/$defs/{short}"));
                if object.get("$ref").and_then(Value::as_str) == Some(from.as_str()) {
                    object.insert("$ref".into(), Value::String(to));
                }
            }
            object.values_mut().for_each(|value| rename(value, names));
        }
        _ => {}
    }
}

//! `--json` against `schemas/findings.json`.

use serde_json::Value;

use super::Desk;
use crate::end_to_end::site::Site;

#[test]
fn the_document_of_a_host_out_of_reach_is_as_its_schema_says() {
    let desk = Desk::new();
    let said = desk.run(&["check", "playbook.yaml", "-i", "hosts.yaml", "--json"]);
    let document: Value = serde_json::from_str(&said.out).expect("one JSON document");
    assert_eq!(faults(&document), Vec::<String>::new());
    assert_eq!(document["hosts"][0]["seen"], false, "{said}");
    assert_eq!(document["score"]["hosts_not_seen"], 1, "{said}");
    assert_eq!(document["findings"][0]["status"], "unknown", "{said}");
}

#[test]
fn the_documents_of_a_real_check_and_apply_are_as_their_schema_says() {
    let site = Site::of(1);
    let playbook = site.playbook(&["file: {path: /etc/motd, content: \"x\\n\"}"]);
    for (verb, code) in [("check", 1), ("apply", 0)] {
        let ran = site.treat(verb, &playbook, &[]);
        assert_eq!(ran.code, code, "{ran}");
        assert_eq!(faults(&ran.json), Vec::<String>::new(), "{ran}");
    }
}

#[test]
fn a_wrong_document_is_found_out() {
    let desk = Desk::new();
    let said = desk.run(&["check", "playbook.yaml", "-i", "hosts.yaml", "--json"]);
    let good: Value = serde_json::from_str(&said.out).expect("one JSON document");
    for (pointer, wrong) in [
        ("/run", Value::from(1)),
        ("/findings/0/status", Value::from("fine")),
        ("/hosts/0/seen", Value::Null),
        ("/counts/pass", Value::from(-1)),
    ] {
        let mut document = good.clone();
        *document.pointer_mut(pointer).expect("it is there") = wrong;
        assert_eq!(
            faults(&document).len(),
            1,
            "{pointer}: {:?}",
            faults(&document)
        );
    }
    let mut document = good;
    document
        .as_object_mut()
        .expect("an object")
        .remove("findings");
    assert_eq!(faults(&document), ["/: `findings` is missing"]);
}

/// What the committed schema does not allow in a document.
fn faults(document: &Value) -> Vec<String> {
    faults_of("findings.json", document)
}

/// What a committed schema does not allow in a document.
pub fn faults_of(schema: &str, document: &Value) -> Vec<String> {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("schemas")
        .join(schema);
    let text = std::fs::read_to_string(path).expect("the schema is committed");
    let schema: Value = serde_json::from_str(&text).expect("the schema is JSON");
    let mut found = Vec::new();
    judge(&schema, &schema, document, "/", &mut found);
    found
}

/// As much of JSON Schema as our schema uses; a word that is not known here is a fault too.
fn judge(root: &Value, schema: &Value, value: &Value, at: &str, found: &mut Vec<String>) {
    let Some(words) = schema.as_object() else {
        if schema == &Value::Bool(false) {
            found.push(format!("{at}: may not be there"));
        }
        return;
    };
    for (word, says) in words {
        match word.as_str() {
            "$schema" | "$defs" | "title" | "description" | "default" | "format" => {}
            "$ref" => {
                let path = says.as_str().unwrap_or_default().trim_start_matches('#');
                match root.pointer(path) {
                    Some(schema) => judge(root, schema, value, at, found),
                    None => found.push(format!("{at}: the schema has no {path}")),
                }
            }
            "type" => {
                let types: Vec<&Value> = match says {
                    Value::Array(types) => types.iter().collect(),
                    one => vec![one],
                };
                if !types
                    .iter()
                    .any(|t| is(value, t.as_str().unwrap_or_default()))
                {
                    found.push(format!("{at}: {value} is not of type {says}"));
                }
            }
            "enum" => {
                if !says.as_array().is_some_and(|all| all.contains(value)) {
                    found.push(format!("{at}: {value} is none of {says}"));
                }
            }
            "const" => {
                if says != value {
                    found.push(format!("{at}: {value} is not {says}"));
                }
            }
            "minimum" | "maximum" => {
                if let (Some(bound), Some(number)) = (says.as_f64(), value.as_f64())
                    && (word == "minimum" && number < bound || word == "maximum" && number > bound)
                {
                    found.push(format!("{at}: {value} is beyond the {word} {says}"));
                }
            }
            "required" => {
                for name in says
                    .as_array()
                    .into_iter()
                    .flatten()
                    .filter_map(Value::as_str)
                {
                    if value.is_object() && value.get(name).is_none() {
                        found.push(format!("{at}: `{name}` is missing"));
                    }
                }
            }
            "properties" => {
                for (name, schema) in says.as_object().into_iter().flatten() {
                    if let Some(value) = value.get(name) {
                        judge(root, schema, value, &format!("{at}{name}/"), found);
                    }
                }
            }
            "additionalProperties" => {
                let known = words.get("properties").and_then(Value::as_object);
                for (name, value) in value.as_object().into_iter().flatten() {
                    if known.is_none_or(|known| !known.contains_key(name)) {
                        judge(root, says, value, &format!("{at}{name}/"), found);
                    }
                }
            }
            "items" => {
                for (index, value) in value.as_array().into_iter().flatten().enumerate() {
                    judge(root, says, value, &format!("{at}{index}/"), found);
                }
            }
            "anyOf" | "oneOf" => {
                let fits = |schema: &&Value| {
                    let mut found = Vec::new();
                    judge(root, schema, value, at, &mut found);
                    found.is_empty()
                };
                if !says
                    .as_array()
                    .is_some_and(|all| all.iter().any(|s| fits(&s)))
                {
                    found.push(format!("{at}: {value} fits none of {}", word));
                }
            }
            word => found.push(format!("{at}: this test does not know `{word}`")),
        }
    }
}

fn is(value: &Value, kind: &str) -> bool {
    match kind {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        "number" => value.is_number(),
        "integer" => value.is_i64() || value.is_u64(),
        _ => false,
    }
}

//! The committed JSON Schemas are those of the types, and what is shipped obeys them.

use std::path::Path;
use std::process::Command;

fn seawall(args: &[&str]) -> std::process::Output {
    Command::new(env!("CARGO_BIN_EXE_seawall"))
        .args(args)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("the program can be run")
}

#[test]
fn the_committed_schemas_are_those_of_the_types() {
    for kind in [
        "baseline",
        "playbook",
        "inventory",
        "policy",
        "drill",
        "patch",
        "findings",
        "drill-report",
        "patch-report",
        "patch-status",
    ] {
        let now = seawall(&["schema", kind]);
        assert!(now.status.success(), "{kind}");
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("schemas/{kind}.json"));
        let committed = std::fs::read_to_string(&path).expect("a schema is committed");
        assert!(
            committed.as_bytes() == now.stdout,
            "schemas/{kind}.json is not what the types say: run `cargo run -- schema --write schemas`"
        );
    }
}

#[test]
fn every_shipped_document_names_its_schema_and_is_sound() {
    let mut documents = Vec::new();
    for folder in ["baselines", "baselines/debian-12", "playbooks"] {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
        for entry in std::fs::read_dir(folder).expect("a folder that is shipped") {
            let path = entry.expect("its entry").path();
            if path.extension().is_some_and(|e| e == "yaml") {
                documents.push(path);
            }
        }
    }
    assert!(documents.len() > 6, "{documents:?}");
    for path in &documents {
        let text = std::fs::read_to_string(path).expect("a document can be read");
        let first = text.lines().next().unwrap_or_default();
        let schema = first
            .strip_prefix("# yaml-language-server: $schema=")
            .unwrap_or_else(|| panic!("{} does not name its schema", path.display()));
        let named = path.parent().unwrap_or(path).join(schema);
        assert!(named.is_file(), "{} names {schema}", path.display());
        let told = |found: &[seawall::document::Diagnostic]| {
            panic!("{}", seawall::document::render_all(found, false))
        };
        if schema.ends_with("policy.json") {
            let loaded = seawall::document::load_policy(path, &seawall::document::Disk);
            loaded.map(drop).unwrap_or_else(|found| told(&found));
            continue;
        }
        if schema.ends_with("drill.json") {
            let loaded = seawall::document::load_drill(path, &seawall::document::Disk);
            loaded.map(drop).unwrap_or_else(|found| told(&found));
            continue;
        }
        if schema.ends_with("patch.json") {
            let disk = &seawall::document::Disk;
            let loaded = seawall::document::load_patch(path, disk, None, None);
            loaded.map(drop).unwrap_or_else(|found| told(&found));
            continue;
        }
        let out = seawall(&["rules", path.to_str().expect("a path of ours is text")]);
        assert!(
            out.status.success(),
            "{}: {}",
            path.display(),
            String::from_utf8_lossy(&out.stderr)
        );
    }
}

#[test]
fn the_shipped_baselines_hold_what_the_readme_says() {
    let out = seawall(&["rules", "--json"]);
    let rules: serde_json::Value = serde_json::from_slice(&out.stdout).expect("JSON");
    let rules = rules.as_array().expect("a list");
    assert!(rules.len() >= 130, "{} rules", rules.len());
    for rule in rules {
        let why = rule["why"].as_str().unwrap_or_default();
        assert!(why.len() > 20, "{} says no why", rule["id"]);
        assert!(
            rule["resources"].as_array().is_some_and(|r| !r.is_empty())
                || rule["manual"].is_string(),
            "{} demands nothing",
            rule["id"]
        );
        assert!(
            rule["controls"].as_object().is_some_and(|c| !c.is_empty()),
            "{} serves no control",
            rule["id"]
        );
    }
}

#[test]
fn every_rule_and_every_kind_is_explained() {
    let out = seawall(&["rules", "--json"]);
    let rules: serde_json::Value = serde_json::from_slice(&out.stdout).expect("JSON");
    let id = rules[0]["id"].as_str().expect("an id");
    let out = seawall(&["explain", id]);
    assert!(String::from_utf8_lossy(&out.stdout).contains("demands"));
    for kind in seawall::host::resource::KINDS {
        let text = seawall::host::resource::docs(kind).expect("a kind has docs");
        let about = text.lines().nth(2).unwrap_or_default();
        assert!(about.len() > 20, "{kind} is not documented: {text}");
    }
    let out = seawall(&["explain", "ssh.rooot"]);
    assert_eq!(out.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&out.stderr).contains("ssh.root"));
}

//! Each directory below `fixtures` is one case: the documents as a person wrote them, and in
//! `said.snap` what they are told.

use std::path::{Path, PathBuf};

use seawall::document::inventory::{self, Inventory};
use seawall::document::{Diagnostic, Files, Loading, load_baseline, load_playbook, render_all};

use super::resource::Resource;

pub const FACTS: &[&str] = &[
    "container-engine",
    "snap",
    "azure",
    "container",
    "systemd",
    "router",
    "ipv6",
];

/// The documents of one case, under the names that a person would know them by.
pub struct Folder(pub PathBuf);

impl Files for Folder {
    fn read(&self, path: &Path) -> Result<String, String> {
        std::fs::read_to_string(self.0.join(path)).map_err(|_| "there is no such file".to_owned())
    }

    fn names(&self, directory: &Path) -> Vec<String> {
        let entries = std::fs::read_dir(self.0.join(directory));
        let entries = entries.into_iter().flatten().flatten();
        let mut names: Vec<String> = entries
            .map(|e| e.file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    }
}

pub fn folder(case: &str) -> Folder {
    Folder(
        Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("tests/document/fixtures")
            .join(case),
    )
}

fn inventory_of(folder: &Folder) -> Option<Result<Inventory, Vec<Diagnostic>>> {
    let names = ["inventory.yaml", "inventory.ini", "inventory.txt"];
    names.iter().find_map(|name| {
        let text = folder.read(Path::new(name)).ok()?;
        Some(inventory::load(name, &text, Some(Path::new("/home/me"))))
    })
}

fn told(case: &str) -> Vec<Diagnostic> {
    let folder = folder(case);
    let inventory = match inventory_of(&folder) {
        Some(Err(found)) => return found,
        Some(Ok(inventory)) => Some(inventory),
        None => None,
    };
    let loading = Loading {
        files: &folder,
        known_facts: FACTS,
        inventory: inventory.as_ref(),
        today: Some(jiff::civil::date(2026, 11, 20)),
    };
    let has = |name: &str| folder.0.join(name).exists();
    if has("baseline.yaml") && !has("playbook.yaml") {
        let loaded = load_baseline::<Resource>(Path::new("baseline.yaml"), &loading);
        return loaded.map_or_else(|found| found, |loaded| loaded.warnings);
    }
    if inventory.is_some() && !has("playbook.yaml") {
        return Vec::new();
    }
    let loaded = load_playbook::<Resource>(Path::new("playbook.yaml"), &loading);
    loaded.map_or_else(|found| found, |loaded| loaded.warnings)
}

fn check(case: &str, codes: &[&str]) {
    let found = told(case);
    insta::with_settings!({
        snapshot_path => folder(case).0,
        prepend_module_to_snapshot => false,
        omit_expression => true,
    }, {
        insta::assert_snapshot!("said", render_all(&found, false));
    });
    let mut seen: Vec<&str> = found.iter().map(|diagnostic| diagnostic.code).collect();
    seen.sort_unstable();
    seen.dedup();
    assert_eq!(seen, codes, "the kinds of mistake in {case}");
    for diagnostic in &found {
        let json = diagnostic.to_json();
        assert_eq!(json["code"], diagnostic.code);
        assert_eq!(json["place"].is_null(), diagnostic.place.is_none());
    }
}

macro_rules! cases {
    ($($case:ident: $codes:expr;)*) => {
        $(#[test]
        fn $case() {
            check(stringify!($case), &$codes);
        })*

        #[test]
        fn every_case_is_run() {
            let cases = [$(stringify!($case)),*];
            let all = std::fs::read_dir(folder("").0).unwrap();
            for case in all.flatten().map(|entry| entry.file_name()) {
                let name = case.to_string_lossy().into_owned();
                assert!(cases.contains(&name.as_str()), "nobody runs the case {name}");
            }
        }
    };
}

cases! {
    many_mistakes: ["bad-word", "missing-key", "one-kind", "unknown-key", "unknown-kind", "wrong-type"];
    resource_values: ["bad-value"];
    not_yaml: ["not-yaml"];
    not_yaml_tab: ["not-yaml"];
    not_yaml_quote: ["not-yaml"];
    not_yaml_bracket: ["not-yaml"];
    not_yaml_braces: ["not-yaml"];
    not_yaml_indent: ["not-yaml"];
    not_yaml_at: ["not-yaml"];
    crlf: ["unknown-key", "unreadable"];
    anchors: ["yaml-feature"];
    merge_key: ["yaml-feature"];
    tag: ["yaml-feature"];
    two_documents: ["yaml-feature"];
    duplicate_key: ["duplicate-key"];
    duplicate_rule: ["duplicate-rule"];
    include_cycle: ["include-cycle"];
    missing_files: ["unreadable"];
    unknown_rules: ["not-opt-in", "unknown-rule"];
    conditions: ["bad-level", "bad-rule-id", "no-resources", "unknown-fact", "unknown-os", "unknown-variable"];
    variables: ["bad-expression", "list-in-text", "unknown-variable", "variable-twice", "variable-type"];
    variable_defaults: ["empty-baseline", "variable-twice"];
    list_in_scalar: ["bad-value"];
    wide: ["bad-word", "unknown-key"];
    playbook_values: ["bad-confirm", "bad-date", "bad-level", "bad-value", "bad-wave", "empty-text", "missing-key", "no-reason"];
    expired_waiver: ["expired-waiver"];
    unknown_hosts: ["unknown-host"];
    empty_playbook: ["empty-playbook"];
    no_rules: ["empty-baseline", "empty-playbook"];
    inventory_mistakes: ["bad-value", "bad-word", "unknown-group", "unknown-host", "unknown-key", "wrong-type"];
    inventory_twice: ["bad-host", "duplicate-host"];
    inventory_cycle: ["group-cycle"];
    inventory_ini: ["bad-value"];
    inventory_list: ["bad-host"];
    inventory_ansible: ["bad-host", "bad-value", "unknown-key"];
    empty_document: ["empty"];
}

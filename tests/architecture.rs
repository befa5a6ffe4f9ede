//! The shape of the house: which room may know which, what stays pure, and how long a file gets.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// A room, and those that it may name. What is not here may not be named.
const ROOMS: &[(&str, &[&str])] = &[
    ("model", &[]),
    ("shell", &[]),
    ("sign", &["model"]),
    ("document", &["model", "shell"]),
    ("journal", &["model", "shell", "sign"]),
    ("reach", &["model", "shell"]),
    ("lab", &[]),
    ("notify", &["model", "shell", "document"]),
    ("host", &["model", "shell", "document", "journal", "reach"]),
    ("backup", &["model", "shell", "sign", "document", "reach"]),
    (
        "drill",
        &[
            "model", "shell", "sign", "document", "journal", "reach", "host", "backup",
        ],
    ),
    (
        "cloud",
        &[
            "model", "shell", "sign", "document", "journal", "reach", "host", "backup", "drill",
        ],
    ),
    ("report", &["model", "shell", "sign", "journal"]),
    (
        "cli",
        &[
            "model", "shell", "sign", "document", "journal", "reach", "lab", "host", "backup",
            "drill", "cloud", "notify", "report",
        ],
    ),
];

/// Where decisions are made: no I/O, no clock, no async.
const PURE: &[&str] = &[
    "src/model",
    "src/shell",
    "src/document",
    "src/backup/archive/manifest.rs",
    "src/backup/judge.rs",
    "src/backup/judge",
    "src/cloud/names.rs",
    "src/backup/name.rs",
    "src/drill/plan.rs",
    "src/drill/timeline.rs",
    "src/drill/timeline",
    "src/drill/verdict.rs",
    "src/host/resource",
    "src/host/probe",
    "src/host/act.rs",
    "src/host/edit.rs",
    "src/host/intent.rs",
    "src/host/judge.rs",
    "src/host/plan.rs",
    "src/host/patch/advisories",
    "src/host/patch/containers",
    "src/host/patch/decide",
    "src/host/patch/gate.rs",
    "src/host/patch/job",
    "src/host/patch/observe",
    "src/host/patch/schedule.rs",
    "src/host/patch/standing.rs",
    "src/host/patch/support.rs",
    "src/host/pattern.rs",
    "src/host/prove.rs",
    "src/host/ready.rs",
    "src/host/rules.rs",
    "src/host/snapshot.rs",
    "src/host/waves.rs",
];

/// The one place of a pure room that reads files.
const IMPURE_BY_DESIGN: &[&str] = &["src/document/files.rs"];

/// What a decision may not name.
const EFFECTS: &[&str] = &[
    "tokio::",
    "russh::",
    "std::fs",
    "std::net::Tcp",
    "std::process",
    "std::env",
    "SystemTime::now",
    "Instant::now",
    "Timestamp::now",
    "Zoned::now",
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn rust_files(under: &Path, out: &mut Vec<PathBuf>) {
    if under.is_file() {
        out.push(under.to_path_buf());
        return;
    }
    for entry in fs::read_dir(under).expect("a source folder can be listed") {
        let path = entry.expect("a folder's entry can be read").path();
        if path.is_dir() || path.extension().is_some_and(|e| e == "rs") {
            rust_files(&path, out);
        }
    }
}

/// The file's code without comments and without its test module.
fn code(path: &Path) -> String {
    let text = fs::read_to_string(path).expect("a source file can be read");
    let text = text.split("#[cfg(test)]").next().unwrap_or_default();
    text.lines()
        .map(|line| line.split("//").next().unwrap_or_default())
        .collect::<Vec<_>>()
        .join("\n")
}

fn relative(path: &Path) -> String {
    path.strip_prefix(root())
        .unwrap_or(path)
        .display()
        .to_string()
}

#[test]
fn no_arrow_runs_up() {
    let mut wrong = Vec::new();
    for (room, allowed) in ROOMS {
        let mut files = Vec::new();
        rust_files(&root().join("src").join(room), &mut files);
        for file in files {
            let code = code(&file);
            for (other, _) in ROOMS {
                let named = code.contains(&format!("crate::{other}::"))
                    || code.contains(&format!("crate::{other};"));
                if named && other != room && !allowed.contains(other) {
                    wrong.push(format!("{} names {other}", relative(&file)));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "arrows that run up: {wrong:#?}");
}

#[test]
fn every_room_is_known() {
    let known: BTreeSet<&str> = ROOMS.iter().map(|(room, _)| *room).collect();
    for entry in fs::read_dir(root().join("src")).expect("src can be listed") {
        let path = entry.expect("an entry of src can be read").path();
        if path.is_dir() {
            let name = path
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            assert!(
                known.contains(name.as_str()),
                "room {name} has no place in ROOMS"
            );
        }
    }
}

#[test]
fn decisions_have_no_effects() {
    let mut wrong = Vec::new();
    for place in PURE {
        let mut files = Vec::new();
        rust_files(&root().join(place), &mut files);
        for file in files {
            // A test module may run what it tests.
            let is_tests = file.file_name().is_some_and(|name| name == "tests.rs");
            if is_tests || IMPURE_BY_DESIGN.contains(&relative(&file).as_str()) {
                continue;
            }
            let code = code(&file);
            for effect in EFFECTS {
                if code.contains(effect) {
                    wrong.push(format!("{} names {effect}", relative(&file)));
                }
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "effects where decisions are made: {wrong:#?}"
    );
}

#[test]
fn every_test_file_is_a_module() {
    let tests = root().join("tests");
    let main = fs::read_to_string(tests.join("main.rs")).expect("tests/main.rs can be read");
    for entry in fs::read_dir(&tests).expect("tests can be listed") {
        let path = entry.expect("an entry of tests can be read").path();
        let name = path
            .file_stem()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let is_module =
            path.extension().is_some_and(|e| e == "rs") || path.join("mod.rs").is_file();
        if is_module && name != "main" {
            assert!(
                main.contains(&format!("mod {name};")),
                "tests/{name} is not in tests/main.rs"
            );
        }
    }
}

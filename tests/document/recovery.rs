//! Backup policies and drills: those that are shipped, and mistakes with what is told of them.

use std::path::Path;

use proptest::prelude::*;
use seawall::document::{Disk, Files, load_drill, load_policy, render_all};

use super::fixtures::Folder;

struct Text(String);

impl Files for Text {
    fn read(&self, _: &Path) -> Result<String, String> {
        Ok(self.0.clone())
    }
}

fn folder(case: &str) -> Folder {
    Folder(shipped("tests/document/recovery_fixtures").join(case))
}

fn shipped(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

#[test]
fn the_shipped_policy_and_drill_are_sound() {
    let policy = load_policy(&shipped("playbooks/backup-policy.yaml"), &Disk);
    let policy = policy.unwrap_or_else(|found| panic!("{}", render_all(&found, false)));
    assert!(policy.warnings.is_empty(), "{:?}", policy.warnings);
    let drill = load_drill(&shipped("playbooks/dr-drill.yaml"), &Disk);
    let drill = drill.unwrap_or_else(|found| panic!("{}", render_all(&found, false)));
    assert!(drill.warnings.is_empty(), "{:?}", drill.warnings);
    assert_eq!(drill.policy.policy, "nightly");
    assert_eq!(drill.documents.len(), 2);
}

#[test]
fn mistakes_in_a_policy_are_told_all_at_once() {
    let files = folder("policy");
    let found = load_policy(Path::new("policy.yaml"), &files).expect_err("it is full of mistakes");
    let text = render_all(&found, false);
    assert!(
        !text.contains("SECRETSECRET"),
        "a secret was repeated: {text}"
    );
    insta::assert_snapshot!("policy_mistakes", text);
}

#[test]
fn mistakes_in_a_drill_are_told_all_at_once() {
    let files = folder("drill");
    let found = load_drill(Path::new("drill.yaml"), &files).expect_err("it is full of mistakes");
    insta::assert_snapshot!("drill_mistakes", render_all(&found, false));
}

/// Any line of the shipped documents taken out, doubled or moved: mistakes, never a panic.
fn mangled(path: &'static str) -> impl Strategy<Value = String> {
    let text = std::fs::read_to_string(shipped(path)).expect("a shipped document");
    let lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let count = lines.len();
    proptest::collection::vec((0..count, 0..count, 0..4_u8), 1..6).prop_map(move |changes| {
        let mut lines = lines.clone();
        for (at, other, how) in changes {
            let (at, other) = (at.min(lines.len() - 1), other.min(lines.len() - 1));
            match how {
                0 if lines.len() > 1 => drop(lines.remove(at)),
                1 => lines.insert(other, lines[at].clone()),
                2 => lines.swap(at, other),
                _ => lines[at] = lines[at].replace(':', " ").replace('{', "["),
            }
        }
        lines.join("\n")
    })
}

proptest! {
    #[test]
    fn a_mangled_policy_is_no_panic(text in mangled("playbooks/backup-policy.yaml")) {
        let _ = load_policy(Path::new("p.yaml"), &Text(text));
    }

    #[test]
    fn a_mangled_drill_is_no_panic(text in mangled("playbooks/dr-drill.yaml")) {
        let _ = load_drill(Path::new("d.yaml"), &Text(text));
    }
}

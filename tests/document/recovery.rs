//! Backup policies and drills: those that are shipped, and mistakes with what is told of them.

use std::collections::BTreeSet;
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

#[test]
fn the_shipped_drill_in_aws_is_sound() {
    let drill = load_drill(&shipped("playbooks/dr-drill-aws.yaml"), &Disk);
    let drill = drill.unwrap_or_else(|found| panic!("{}", render_all(&found, false)));
    assert!(drill.warnings.is_empty(), "{:?}", drill.warnings);
    let kinds = drill.drill.steps.iter().filter_map(|s| s.aws.as_ref());
    let named: BTreeSet<String> = kinds
        .flat_map(|aws| match serde_json::to_value(aws) {
            Ok(serde_json::Value::Object(fields)) => fields,
            _ => panic!("it is a mapping"),
        })
        .filter(|(_, value)| value.is_object())
        .map(|(key, _)| key)
        .collect();
    // An example of each thing that can be restored.
    let all = "aurora dynamodb efs fresh instance rds s3 volume";
    assert_eq!(Vec::from_iter(named).join(" "), all);
}

/// Who follows the guide gets no mistakes of ours.
#[test]
fn the_drill_in_the_guide_is_sound() {
    let guide = std::fs::read_to_string(shipped("docs/drill-aws.md")).expect("it is shipped");
    let (_, rest) = guide.split_once("```yaml\n").expect("it has a drill");
    let (drill, _) = rest.split_once("```").expect("which ends");
    let loaded = load_drill(Path::new("first.yaml"), &Text(drill.to_owned()));
    let loaded = loaded.unwrap_or_else(|found| panic!("{}", render_all(&found, false)));
    assert!(loaded.warnings.is_empty(), "{:?}", loaded.warnings);
    assert!(loaded.drill.policy.is_none() && loaded.policy_path.is_empty());
}

#[test]
fn mistakes_in_a_drill_in_aws_are_told_all_at_once() {
    let files = folder("aws");
    let found = load_drill(Path::new("drill.yaml"), &files).expect_err("it is full of mistakes");
    insta::assert_snapshot!("drill_in_aws_mistakes", render_all(&found, false));
}

/// A drill in AWS with one line of it changed, and what is said of it: nothing, or one code.
fn changed(from: &str, to: &str) -> Vec<&'static str> {
    let text = std::fs::read_to_string(shipped("playbooks/dr-drill-aws.yaml")).expect("shipped");
    assert!(text.contains(from), "there is no `{from}`");
    // The policy that it names is beside it.
    struct Beside(String);
    impl Files for Beside {
        fn read(&self, path: &Path) -> Result<String, String> {
            match path.ends_with("drill.yaml") {
                true => Ok(self.0.clone()),
                false => Disk.read(&shipped("playbooks").join(path)),
            }
        }
    }
    match load_drill(Path::new("drill.yaml"), &Beside(text.replace(from, to))) {
        Ok(loaded) => loaded.warnings.iter().map(|d| d.code).collect(),
        Err(found) => found.iter().map(|d| d.code).collect(),
    }
}

#[test]
fn one_change_in_a_drill_in_aws_is_one_mistake_or_none() {
    let policy = "policy: backup-policy.yaml";
    for (from, to, said) in [
        (
            "account: \"111122223333\"\n    region",
            "account: \"111122223333\"\n    region",
            "",
        ),
        ("cidr: 10.213.0.0/16", "cidr: 10.213.0.0/23", ""),
        ("cidr: 10.213.0.0/16", "cidr: 10.213.0.0/24", "bad-network"),
        ("regions: [eu-west-1]", "regions: []", "no-region"),
        (
            "production: [eu-north-1]",
            "production: [eu-central-1]",
            "scratch-is-lost",
        ),
        ("gateway: controller", "gateway: internet", ""),
        ("gateway: controller", "gateway: none", "no-way-in"),
        ("      controller: 198.51.100.7/32\n", "", "no-way-in"),
        ("expires: 12h", "expires: 7d", ""),
        ("expires: 12h", "expires: 3h", "bad-expiry"),
        (
            "aws:\n    account",
            "directory: /srv/x\n  aws:\n    account",
            "two-kinds",
        ),
        (
            "      s3: {}\n",
            "      s3: {restore_time: \"2026-11-20T03:00:00Z\"}\n",
            "",
        ),
        (
            "http://127.0.0.1:8080/",
            "http://{{ steps.shop.address }}:8080/",
            "",
        ),
        (
            "http://127.0.0.1:8080/",
            "https://www.example.org/",
            "not-restored",
        ),
        (
            "http://127.0.0.1:8080/",
            "http://{{ steps.jump.address }}/",
            "bad-template",
        ),
        (
            "store: other-region,",
            "store: machine-room,",
            "store-is-lost",
        ),
        (
            "meets: {playbook: new-host.yaml}",
            "git: {commits: 1}",
            "wrong-proof",
        ),
        (policy, "about: twice", "duplicate-key"),
        ("identities: [/root/recovery-key.txt]", "", ""),
    ] {
        let expected: Vec<&str> = said.split_whitespace().collect();
        assert_eq!(changed(from, to), expected, "`{from}` → `{to}`");
    }
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

    #[test]
    fn a_mangled_drill_in_aws_is_no_panic(text in mangled("playbooks/dr-drill-aws.yaml")) {
        let _ = load_drill(Path::new("d.yaml"), &Text(text));
    }
}

//! The verbs at the command line: a backup is made, listed, verified and restored; and each finding
//! fails when its thing is broken.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use seawall::backup::age::generate_identity;
use seawall::backup::name;
use seawall::backup::sidecar::Sidecar;
use seawall::sign::SigningKey;
use secrecy::ExposeSecret;

use crate::cli::Said;

/// A desk with a site, two stores, a policy and keys.
struct Desk {
    dir: tempfile::TempDir,
    recipient: String,
}

impl Desk {
    fn new() -> Desk {
        let dir = tempfile::tempdir().expect("a folder for the test");
        let (identity, recipient) = generate_identity();
        let desk = Desk { dir, recipient };
        for folder in ["site/sub", "near", "far", "state"] {
            fs::create_dir_all(desk.path(folder)).expect("a folder");
        }
        for page in 0..30 {
            desk.write(
                &format!("site/sub/{page}.html"),
                &format!("<h1>{page}</h1>\n"),
            );
        }
        // No compression makes these smaller: sizes are what they are.
        let noise: Vec<u8> = (0..200_000_u32)
            .map(|n| (n.wrapping_mul(2_654_435_761).rotate_left(n % 31) >> 13) as u8)
            .collect();
        fs::write(desk.path("site/noise"), noise).expect("a file");
        desk.secret("key.txt", identity.expose_secret());
        desk.write_policy(&[desk.recipient.as_str()], "places: 2");
        desk
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap_or_else(|e| panic!("writing {name}: {e}"));
    }

    fn secret(&self, name: &str, text: &str) {
        self.write(name, text);
        let private = fs::Permissions::from_mode(0o600);
        fs::set_permissions(self.path(name), private).expect("its mode");
    }

    /// A policy for those recipients; `more` stands in both sources.
    fn write_policy(&self, recipients: &[&str], more: &str) {
        let root = self.dir.path().display();
        self.write(
            "policy.yaml",
            &format!(
                "policy: nightly
title: A test's backups
recipients: [{}]
stores:
  near: {{place: room, directory: near}}
  far: {{place: hill, directory: {root}/far}}
sources:
  - source: files
    directories: {{paths: [{root}/site]}}
    schedule: '0 0 * * *'
    rpo: 26h
    canary: {{file: {root}/site/.canary}}
    {more}
  - source: words
    command: {{run: [echo, all the words], file: words.txt}}
    schedule: '0 0 * * *'
    rpo: 26h
    {more}
",
                recipients.join(", ")
            ),
        );
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_seawall"));
        command
            .args(args)
            .current_dir(self.dir.path())
            .env("SEAWALL_STATE_DIR", self.path("state"))
            .env("HOME", self.dir.path())
            .env_remove("SEAWALL_AGE_IDENTITY")
            .env_remove("SEAWALL_SIGNING_KEY")
            .stdin(Stdio::null());
        command
    }

    fn run(&self, args: &[&str]) -> Said {
        Said::of(self.command(args).output().expect("the program can be run"))
    }

    /// Must end with this code.
    fn ends(&self, code: i32, args: &[&str]) -> Said {
        let said = self.run(args);
        assert_eq!(said.code, code, "{args:?}: {said}");
        said
    }

    fn create(&self) {
        self.ends(0, &["backup", "create", "policy.yaml"]);
    }

    /// Rule → status of the source `files`.
    fn verify(&self, more: &[&str]) -> BTreeMap<String, String> {
        let mut args = vec![
            "backup",
            "verify",
            "policy.yaml",
            "--json",
            "--source",
            "files",
        ];
        args.extend(more);
        let said = self.run(&args);
        let document: serde_json::Value =
            serde_json::from_str(&said.out).unwrap_or_else(|e| panic!("{args:?}: {e}: {said}"));
        let findings = document["findings"].as_array().expect("findings");
        let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
        findings
            .iter()
            .map(|f| (text(&f["rule"]), text(&f["status"])))
            .collect()
    }

    /// What is neither a pass nor without meaning.
    fn troubles(&self, more: &[&str]) -> Vec<String> {
        self.verify(more)
            .into_iter()
            .filter(|(_, status)| status != "pass" && status != "not-applicable")
            .map(|(rule, status)| format!("{rule} {status}"))
            .collect()
    }

    /// The newest archive of `files`.
    fn newest(&self) -> String {
        self.archives("near").pop().expect("a backup")
    }

    fn archives(&self, store: &str) -> Vec<String> {
        let entries = fs::read_dir(self.path(store).join("files")).expect("a store");
        let mut all: Vec<String> = entries
            .flatten()
            .map(|e| format!("files/{}", e.file_name().to_string_lossy()))
            .filter(|n| n.ends_with(".age"))
            .collect();
        all.sort();
        all
    }

    fn signing_key(&self) -> SigningKey {
        SigningKey::load(&self.path("state/signing-key"), &mut || None).expect("the signing key")
    }

    /// Puts the newest backup into a store under another time, `change`d and signed anew.
    fn copy_as(
        &self,
        store: &str,
        time: Timestamp,
        key: &SigningKey,
        change: impl Fn(&mut Sidecar),
    ) {
        let newest = self.newest();
        let from = |n: String| fs::read(self.path("near").join(n)).expect("a file of the store");
        let mut sidecar = Sidecar::read(&from(name::sidecar(&newest))).expect("a sidecar");
        let other = name::archive("files", time, 7);
        sidecar.archive = other.clone();
        sidecar.data_time = time.to_string();
        change(&mut sidecar);
        let (bytes, signature) = sidecar.sign(key).expect("signed");
        for (name, bytes) in [
            (other.clone(), from(newest)),
            (name::sidecar(&other), bytes),
            (name::signature(&other), signature.into_bytes()),
        ] {
            fs::write(self.path(store).join(name), bytes).expect("written to the store");
        }
    }

    fn remove(&self, store: &str, archive: &str) {
        for name in [
            archive.to_owned(),
            name::sidecar(archive),
            name::signature(archive),
        ] {
            fs::remove_file(self.path(store).join(name)).expect("removed from the store");
        }
    }
}

fn milliseconds(time: Timestamp) -> Timestamp {
    Timestamp::from_millisecond(time.as_millisecond()).expect("a time")
}

fn ago(hours: i64) -> Timestamp {
    milliseconds(Timestamp::now() - SignedDuration::from_hours(hours))
}

fn same(one: &Path, two: &Path) {
    let out = Command::new("diff")
        .arg("-r")
        .args([one, two])
        .output()
        .expect("diff runs");
    assert!(
        out.status.success(),
        "{}",
        String::from_utf8_lossy(&out.stdout)
    );
}

#[test]
fn made_listed_verified_and_restored() {
    let desk = Desk::new();
    let said = desk.ends(0, &["backup", "create", "policy.yaml", "--json"]);
    let made: serde_json::Value = serde_json::from_str(&said.out).expect("a JSON document");
    assert_eq!(made["sources"].as_array().map(Vec::len), Some(2), "{said}");
    assert_eq!(
        made["sources"][0]["stores"],
        serde_json::json!(["far", "near"])
    );

    let said = desk.ends(0, &["backup", "list", "policy.yaml"]);
    assert_eq!(said.out.matches(" signed").count(), 4, "{said}");
    let said = desk.ends(
        0,
        &["backup", "list", "policy.yaml", "--json", "--store", "far"],
    );
    let listed: serde_json::Value = serde_json::from_str(&said.out).expect("a JSON document");
    assert_eq!(listed[0]["backups"][0]["signed"], true, "{said}");

    let said = desk.ends(0, &["backup", "verify", "policy.yaml"]);
    assert!(said.out.contains("without a key"), "{said}");
    desk.ends(
        0,
        &["backup", "verify", "policy.yaml", "--full", "-i", "key.txt"],
    );
    let found = desk.verify(&["-i", "key.txt"]);
    for rule in [
        "content",
        "recipients",
        "canary",
        "hash",
        "places",
        "signed",
        "fresh",
    ] {
        assert_eq!(found[&format!("backup.{rule}")], "pass", "{found:?}");
    }
    // What the journal has is sealed and signed, and its report is made again from it.
    desk.ends(0, &["report", "latest", "--html", "page.html"]);

    let restore = ["backup", "restore", "policy.yaml"];
    let with = |more: &[&'static str]| [&restore[..], more].concat();
    desk.ends(0, &with(&["files", "--into", "back", "-i", "key.txt"]));
    same(&desk.path("site"), &desk.path("back/site"));
    desk.ends(0, &with(&["words", "--output", "words", "-i", "key.txt"]));
    assert_eq!(fs::read(desk.path("words")).unwrap(), b"all the words\n");
    let said = desk.ends(
        0,
        &with(&["words", "--output", "-", "-i", "key.txt", "--quiet"]),
    );
    assert_eq!(
        (said.out.as_str(), said.err.as_str()),
        ("all the words\n", "")
    );
    // Nothing is ever replaced.
    desk.ends(2, &with(&["files", "--into", "back", "-i", "key.txt"]));
    desk.ends(2, &with(&["words", "--output", "words", "-i", "key.txt"]));
    // From the environment; and without any key.
    let out = desk
        .command(&with(&["words", "--output", "-"]))
        .env(
            "SEAWALL_AGE_IDENTITY",
            fs::read_to_string(desk.path("key.txt")).unwrap(),
        )
        .output()
        .unwrap();
    assert_eq!(out.stdout, b"all the words\n");
    let said = desk.ends(2, &with(&["words", "--output", "-"]));
    assert!(said.err.contains("--identity"), "{said}");
}

#[test]
fn a_stale_backup_fails_and_its_schedule_was_missed() {
    let desk = Desk::new();
    desk.create();
    let (key, newest) = (desk.signing_key(), desk.newest());
    let time = ago(49);
    for store in ["near", "far"] {
        desk.copy_as(store, time, &key, |_| {});
    }
    for store in ["near", "far"] {
        desk.remove(store, &newest);
    }
    let found = desk.verify(&[]);
    assert_eq!(found["backup.on-schedule"], "fail");
    assert_eq!(found["backup.fresh"], "fail");
    assert_eq!(found["backup.signed"], "pass");
}

#[test]
fn a_swapped_archive_fails() {
    let desk = Desk::new();
    desk.create();
    let key = desk.signing_key();
    let time = ago(1);
    for store in ["near", "far"] {
        desk.copy_as(store, time, &key, |_| {});
    }
    assert_eq!(desk.troubles(&[]), [""; 0]);
    // The older archive's bytes under the newest one's name: truly encrypted, truly of this source.
    let newest = desk.newest();
    let smaller = desk.path("site/noise");
    fs::write(smaller, vec![b'x'; 200_000]).unwrap();
    desk.create();
    let latest = desk.newest();
    fs::copy(
        desk.path("near").join(&newest),
        desk.path("near").join(&latest),
    )
    .unwrap();
    let troubles = desk.troubles(&[]);
    assert!(
        troubles.contains(&"backup.signed fail".to_owned()),
        "{troubles:?}"
    );
    assert!(
        troubles.contains(&"backup.hash fail".to_owned()),
        "{troubles:?}"
    );
    assert!(
        troubles.contains(&"backup.places fail".to_owned()),
        "{troubles:?}"
    );
}

#[test]
fn a_flipped_byte_fails_and_nothing_of_it_is_restored() {
    let desk = Desk::new();
    desk.create();
    let path = desk.path("near").join(desk.newest());
    let mut bytes = fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&path, bytes).unwrap();
    assert_eq!(
        desk.troubles(&[]),
        ["backup.hash fail", "backup.places fail"]
    );
    let args = [
        "backup",
        "restore",
        "policy.yaml",
        "files",
        "--store",
        "near",
        "-i",
        "key.txt",
    ];
    let said = desk.ends(2, &[&args[..], &["--into", "back"]].concat());
    assert!(!desk.path("back").exists(), "{said}");
    let left: Vec<_> = fs::read_dir(desk.dir.path())
        .unwrap()
        .flatten()
        .filter(|e| e.file_name().to_string_lossy().starts_with('.'))
        .collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn another_archive_under_a_vouched_name_is_not_restored() {
    let desk = Desk::new();
    desk.create();
    // Whole, encrypted to the right key, and as long as its sidecar says: only its hash is another
    // than the one that was signed.
    desk.copy_as(
        "near",
        milliseconds(Timestamp::now()),
        &desk.signing_key(),
        |sidecar| {
            sidecar.sha256 = "ab".repeat(32);
        },
    );
    let args = [
        "backup",
        "restore",
        "policy.yaml",
        "files",
        "--store",
        "near",
        "-i",
        "key.txt",
    ];
    let said = desk.ends(2, &[&args[..], &["--into", "back"]].concat());
    assert!(said.err.contains("another file than its sidecar"), "{said}");
    assert!(!desk.path("back").exists());
}

#[test]
fn a_missing_second_place_fails() {
    let desk = Desk::new();
    desk.create();
    desk.remove("far", &desk.newest());
    assert_eq!(desk.troubles(&[]), ["backup.places fail"]);
    fs::rename(desk.path("far"), desk.path("gone")).unwrap();
    let troubles = desk.troubles(&[]);
    assert!(
        troubles.contains(&"backup.places unknown".to_owned()),
        "{troubles:?}"
    );
    desk.ends(3, &["backup", "list", "policy.yaml"]);
    fs::rename(desk.path("near"), desk.path("gone too")).unwrap();
    desk.ends(3, &["backup", "verify", "policy.yaml"]);
}

#[test]
fn a_recipient_too_many_fails() {
    let desk = Desk::new();
    let (_, other) = generate_identity();
    desk.write_policy(&[desk.recipient.as_str(), other.as_str()], "places: 2");
    desk.create();
    assert_eq!(desk.troubles(&[]), [""; 0]);
    desk.write_policy(&[desk.recipient.as_str()], "places: 2");
    assert_eq!(desk.troubles(&[]), ["backup.encrypted-to fail"]);
    // One that is demanded since, and to whom it is not encrypted.
    let (_, third) = generate_identity();
    desk.write_policy(
        &[desk.recipient.as_str(), other.as_str(), third.as_str()],
        "places: 2",
    );
    assert_eq!(desk.troubles(&[]), ["backup.encrypted-to fail"]);
}

#[test]
fn what_is_not_signed_or_by_another_fails() {
    let desk = Desk::new();
    desk.create();
    let key = desk.signing_key();
    let stranger = SigningKey::generate("stranger").unwrap();
    desk.copy_as("near", ago(1), &stranger, |_| {});
    assert_eq!(desk.troubles(&[]), ["backup.signed fail"]);
    for store in ["near", "far"] {
        fs::remove_file(desk.path(store).join(name::signature(&desk.newest()))).unwrap();
    }
    let troubles = desk.troubles(&[]);
    assert!(
        troubles.contains(&"backup.signed fail".to_owned()),
        "{troubles:?}"
    );
    // Nothing that counts is left: nothing is fresh.
    assert!(
        troubles.contains(&"backup.fresh fail".to_owned()),
        "{troubles:?}"
    );
    // Nor is it restored, unless it is named.
    let args = [
        "backup",
        "restore",
        "policy.yaml",
        "files",
        "-i",
        "key.txt",
        "--into",
        "back",
    ];
    let said = desk.ends(2, &args);
    assert!(said.err.contains("nobody vouches"), "{said}");
    let newest = desk.newest();
    let said = desk.ends(0, &[&args[..], &["--name", &newest]].concat());
    assert!(said.err.contains("WARNING"), "{said}");
    // A policy that wants another's signature refuses to make what would not count.
    let line = stranger.public_line();
    let text = fs::read_to_string(desk.path("policy.yaml")).unwrap();
    desk.write("policy.yaml", &format!("{text}signers: [\"{line}\"]\n"));
    let said = desk.ends(2, &["backup", "create", "policy.yaml"]);
    assert!(said.err.contains(&key.public_line()), "{said}");
}

#[test]
fn a_gap_and_a_collapsed_size_fail() {
    let desk = Desk::new();
    desk.write_policy(&[desk.recipient.as_str()], "keep: {at_least: 2, days: 10}");
    desk.create();
    let key = desk.signing_key();
    for days in [1, 2, 3, 4, 5] {
        let time = ago(24 * days);
        for store in ["near", "far"] {
            desk.copy_as(store, time, &key, |_| {});
        }
    }
    assert_eq!(desk.troubles(&[]), [""; 0]);
    let third = desk.archives("near")[2].clone();
    for store in ["near", "far"] {
        desk.remove(store, &third);
    }
    assert_eq!(desk.troubles(&[]), ["backup.kept fail"]);
    // A night in which the site had gone.
    fs::remove_file(desk.path("site/noise")).unwrap();
    desk.create();
    assert_eq!(
        desk.troubles(&[]),
        ["backup.kept fail", "backup.size-plausible fail"]
    );
}

#[test]
fn what_a_dead_writer_left_is_named() {
    let desk = Desk::new();
    desk.create();
    desk.write("near/files/.x.0123abcd.part", "half");
    assert_eq!(desk.troubles(&[]), ["backup.leftovers fail"]);
}

#[test]
fn with_a_wrong_key_it_does_not_open() {
    let desk = Desk::new();
    desk.create();
    let (identity, _) = generate_identity();
    desk.secret("other.txt", identity.expose_secret());
    assert_eq!(
        desk.troubles(&["-i", "other.txt"]),
        [
            "backup.canary unknown",
            "backup.content fail",
            "backup.recipients fail"
        ]
    );
    // Two keys, of which one fits: it opens, and the other is named.
    assert_eq!(
        desk.troubles(&["-i", "other.txt", "-i", "key.txt"]),
        ["backup.recipients fail"]
    );
    let args = [
        "backup",
        "restore",
        "policy.yaml",
        "files",
        "-i",
        "other.txt",
        "--into",
        "back",
    ];
    desk.ends(2, &args);
    assert!(!desk.path("back").exists());
}

#[test]
fn archives_of_others_are_verified_and_restored() {
    let desk = Desk::new();
    let shell = |script: String| {
        let out = Command::new("bash")
            .args(["-euo", "pipefail", "-c", &script])
            .current_dir(desk.dir.path())
            .output()
            .expect("bash runs");
        assert!(
            out.status.success(),
            "{script}: {} (scripts/install-deps has what tests need)",
            String::from_utf8_lossy(&out.stderr)
        );
    };
    let to = format!("age -r {}", desk.recipient);
    shell(format!("tar -cz site | {to} -o theirs.tar.gz.age"));
    let said = desk.ends(
        1,
        &[
            "backup",
            "verify",
            "--file",
            "theirs.tar.gz.age",
            "-i",
            "key.txt",
        ],
    );
    assert!(said.out.contains("manifest"), "{said}");
    let args = [
        "backup",
        "restore",
        "--file",
        "theirs.tar.gz.age",
        "-i",
        "key.txt",
    ];
    desk.ends(0, &[&args[..], &["--into", "back"]].concat());
    same(&desk.path("site"), &desk.path("back/site"));
    // Cut off: it fails, and is not there.
    shell("head -c 100000 theirs.tar.gz.age >cut.age".to_owned());
    desk.ends(
        1,
        &["backup", "verify", "--file", "cut.age", "-i", "key.txt"],
    );
    let args = [
        "backup", "restore", "--file", "cut.age", "-i", "key.txt", "--into", "cut",
    ];
    desk.ends(2, &args);
    assert!(!desk.path("cut").exists());
    // One of ours by itself, its sidecar beside it.
    desk.create();
    let ours = format!("near/{}", desk.newest());
    let said = desk.run(&[
        "backup", "verify", "--file", &ours, "-i", "key.txt", "--json",
    ]);
    let document: serde_json::Value = serde_json::from_str(&said.out).expect("a JSON document");
    let findings = document["findings"].as_array().expect("findings");
    let bad = findings
        .iter()
        .filter(|f| f["status"] == "fail" || f["status"] == "unknown");
    assert_eq!(bad.count(), 0, "{said}");
}

#[test]
fn a_source_that_fails_is_told_and_the_others_are_made() {
    let desk = Desk::new();
    fs::rename(desk.path("site"), desk.path("elsewhere")).unwrap();
    let said = desk.ends(1, &["backup", "create", "policy.yaml"]);
    assert!(said.err.contains("files: NOT MADE"), "{said}");
    assert!(said.err.contains("words: words/"), "{said}");
    let said = desk.ends(2, &["backup", "create", "policy.yaml", "--source", "file"]);
    assert!(said.err.contains("did you mean `files`"), "{said}");
}

#[test]
fn an_interrupted_backup_leaves_nothing() {
    let desk = Desk::new();
    let root = desk.dir.path().display();
    let text = fs::read_to_string(desk.path("policy.yaml")).unwrap();
    let text = text.replace("run: [echo, all the words]", "run: [sh, -c, \"yes | cat\"]");
    desk.write("policy.yaml", &text);
    let child = desk
        .command(&["backup", "create", "policy.yaml", "--source", "words"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it begins");
    let folder = desk.path("near/words");
    let patience = Instant::now() + Duration::from_secs(60);
    while fs::read_dir(&folder).map_or(0, Iterator::count) == 0 {
        assert!(
            Instant::now() < patience,
            "nothing was begun in {root}/near"
        );
        std::thread::sleep(Duration::from_millis(20));
    }
    // SAFETY: our own child, which nobody has waited for.
    unsafe { libc::kill(child.id() as i32, libc::SIGINT) };
    let said = Said::of(child.wait_with_output().expect("it ends"));
    assert_eq!(said.code, 2, "{said}");
    for store in ["near", "far"] {
        let left = fs::read_dir(desk.path(store).join("words")).map_or(0, Iterator::count);
        assert_eq!(left, 0, "{said}");
    }
    // The run is in the journal, as one that was interrupted.
    let said = desk.ends(0, &["runs"]);
    assert!(
        said.out.contains("backup-create") && said.out.contains("exit 2"),
        "{said}"
    );
}

#[test]
fn a_passphrase_from_the_environment_goes_round() {
    let desk = Desk::new();
    let text = fs::read_to_string(desk.path("policy.yaml")).unwrap();
    let line = format!("recipients: [{}]", desk.recipient);
    desk.write("policy.yaml", &text.replace(&line, "passphrase_env: WORDS"));
    let with = |args: &[&str]| {
        let out = desk.command(args).env("WORDS", "four words of it").output();
        Said::of(out.expect("the program can be run"))
    };
    let source = ["--source", "words"];
    let said = desk.ends(2, &["backup", "create", "policy.yaml"]);
    assert!(said.err.contains("$WORDS"), "{said}");
    let said = with(&[&["backup", "create", "policy.yaml"], &source[..]].concat());
    assert_eq!(said.code, 0, "{said}");
    assert_eq!(
        desk.run(&[&["backup", "verify", "policy.yaml"], &source[..]].concat())
            .code,
        0
    );
    let said = with(&[&["backup", "verify", "policy.yaml"], &source[..]].concat());
    assert_eq!(said.code, 0, "{said}");
    let said = with(&["backup", "restore", "policy.yaml", "words", "--output", "-"]);
    assert_eq!(said.out, "all the words\n", "{said}");
}

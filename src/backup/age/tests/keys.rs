//! Where keys come from, and what is said of those that are of no use.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;

use super::*;

fn key_file(text: &str, mode: u32) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("key");
    fs::write(&path, text).expect("a file");
    fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("a mode");
    (folder, path)
}

fn gather(path: &std::path::Path) -> Result<Identities, AgeError> {
    let sources = IdentitySources {
        files: vec![path.to_path_buf()],
        ..IdentitySources::default()
    };
    Identities::gather(sources, &nobody)
}

fn told(outcome: Result<Identities, AgeError>) -> String {
    match outcome {
        Err(AgeError::Key(text)) => text,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_key_that_others_can_read_is_refused_and_a_groups_is_warned_of() {
    let (identity, recipient) = generate_identity();
    let text = format!("# created: today\n\n{}\n", identity.expose_secret());
    for mode in [0o400, 0o600] {
        let (_folder, path) = key_file(&text, mode);
        let identities = gather(&path).expect("a private file");
        assert_eq!(identities.recipients(), std::slice::from_ref(&recipient));
        assert!(identities.warnings().is_empty());
    }
    let (_folder, path) = key_file(&text, 0o640);
    let warnings = gather(&path).expect("a group's file").warnings().to_vec();
    assert!(
        matches!(&warnings[..], [one] if one.contains("0640")),
        "{warnings:?}"
    );
    for mode in [0o644, 0o604, 0o602] {
        let (_folder, path) = key_file(&text, mode);
        let error = told(gather(&path));
        assert!(
            error.contains("chmod 600") && error.contains(&format!("{mode:04o}")),
            "{error}"
        );
    }
}

#[test]
fn what_is_no_identity_is_told_by_line_and_never_shown() {
    let (identity, _) = generate_identity();
    let mut broken = identity.expose_secret().to_owned();
    broken.replace_range(30..31, if &broken[30..31] == "Q" { "P" } else { "Q" });
    for (text, says) in [
        (
            format!("# a comment\n{broken}\n"),
            "line 2, is not an identity",
        ),
        ("# nothing\n".to_owned(), "holds no identity"),
        (String::new(), "holds no identity"),
        (
            "AGE-SECRET-KEY-PQ-1QQ".to_owned(),
            "age-plugin-pq -identity",
        ),
        (
            "-----BEGIN RSA PRIVATE KEY-----\nx\n".to_owned(),
            "not an SSH key",
        ),
        (
            "-----BEGIN PRIVATE KEY-----\nMC4=\n".to_owned(),
            "not an SSH key",
        ),
    ] {
        let (_folder, path) = key_file(&text, 0o600);
        let error = told(gather(&path));
        assert!(error.contains(says), "{error}");
        assert!(!error.contains(&broken[20..40]), "{error}");
    }
    let (_folder, path) = key_file("x", 0o600);
    assert!(told(gather(&path.with_extension("no"))).contains("reading"));
    assert!(told(gather(path.parent().expect("a folder"))).contains("is a directory"));
    fs::write(&path, vec![b'#'; 1024 * 1024 + 1]).expect("a large file");
    assert!(told(gather(&path)).contains("larger"));
}

#[test]
fn a_backup_is_no_identity_file() {
    let (_, recipients) = pair();
    let file = encrypt(
        &recipients,
        b"plain",
        EncryptOptions {
            armor: true,
            hash: false,
        },
    );
    let (_folder, path) = key_file(&String::from_utf8(file).expect("armor"), 0o600);
    assert!(told(gather(&path)).contains("not a backup"));
}

fn field(bytes: &[u8]) -> Vec<u8> {
    let length = u32::try_from(bytes.len()).expect("a short field");
    [&length.to_be_bytes()[..], bytes].concat()
}

#[test]
fn numbers_that_are_zero_do_not_kill_the_parser() {
    // Zeros alone make the crate's parser read beyond their end.
    let public = [field(b"ssh-rsa"), field(&[1, 0, 1]), field(&[0])].concat();
    let line = format!("ssh-rsa {}", BASE64_STANDARD.encode(&public));
    match Recipients::parse(&[line]) {
        Err(AgeError::Key(text)) => assert!(text.contains("malformed"), "{text}"),
        other => panic!("{other:?}"),
    }
    let zeros: Vec<u8> = (0..6).flat_map(|_| field(&[0])).collect();
    let private = [&[7; 8][..], &field(b"ssh-rsa"), &zeros, &field(b"")].concat();
    let file = [
        b"openssh-key-v1\0".to_vec(),
        field(b"none"),
        field(b"none"),
        field(b""),
        1u32.to_be_bytes().to_vec(),
        field(&public),
        field(&private),
    ]
    .concat();
    let lines: Vec<String> = BASE64_STANDARD
        .encode(file)
        .as_bytes()
        .chunks(70)
        .map(|line| String::from_utf8_lossy(line).into_owned())
        .collect();
    let text = format!(
        "-----BEGIN OPENSSH PRIVATE KEY-----\n{}\n-----END OPENSSH PRIVATE KEY-----\n",
        lines.join("\n")
    );
    let (_folder, path) = key_file(&text, 0o600);
    assert!(told(gather(&path)).contains("not an SSH key"));
}

#[test]
fn what_is_no_recipient_is_told() {
    let (identity, recipient) = generate_identity();
    let mut broken = recipient.clone();
    broken.replace_range(20..21, if &broken[20..21] == "q" { "p" } else { "q" });
    for (line, says) in [
        (broken.as_str(), "checksum"),
        (identity.expose_secret(), "is a private key"),
        ("somebody", "must begin with age1"),
        ("ssh-rsa", "malformed"),
        ("ssh-ed25519 AAAA", "must begin with"),
        (
            "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAAAA",
            "of kind ecdsa-sha2-nistp256",
        ),
        ("# only a comment", "no recipient"),
    ] {
        let error = match Recipients::parse(&[line.to_owned()]) {
            Err(AgeError::Key(text)) => text,
            other => panic!("{other:?}"),
        };
        assert!(error.contains(says), "{line}: {error}");
        assert!(!error.contains(identity.expose_secret()), "{error}");
    }
    let lines = [
        "# ours".to_owned(),
        String::new(),
        format!("  {recipient} "),
    ];
    assert_eq!(Recipients::parse(&lines).expect("one").expected().len(), 1);
}

#[test]
fn without_a_key_the_error_says_for_whom_the_file_is() {
    let (_, recipients) = pair();
    let file = encrypt(&recipients, b"plain", EncryptOptions::default());
    let error = decrypt(&file, &Identities::default())
        .1
        .expect_err("no key");
    let text = error.to_string();
    assert!(matches!(error, AgeError::NoMatch(_)), "{text}");
    assert!(
        text.contains("no key was given") && text.contains("1 recipient (1 × X25519)"),
        "{text}"
    );
}

#[test]
fn a_person_gives_the_passphrase_that_a_file_turns_out_to_need() {
    struct Someone;
    impl Person for Someone {
        fn passphrase(&self, what: &str) -> Option<SecretString> {
            assert!(what.contains("backup"), "{what}");
            Some("correct horse".into())
        }
    }
    let recipients = Recipients::passphrase("correct horse".into()).with_work_factor(4);
    let file = encrypt(&recipients, b"plain", EncryptOptions::default());
    let identities = pair().0.with_person(Arc::new(Someone));
    assert_eq!(decrypt(&file, &identities).0, b"plain");
}

#[test]
fn keys_can_be_shared_between_threads_and_are_never_shown() {
    fn shared<T: Send + Sync>(_: &T) {}
    let (identity, recipient) = generate_identity();
    let sources = IdentitySources {
        text: Some(identity.clone()),
        passphrase: Some("correct horse".into()),
        ..IdentitySources::default()
    };
    let identities = Identities::gather(sources, &nobody).expect("a key");
    let recipients = Recipients::parse(&[recipient]).expect("a recipient");
    shared(&identities);
    shared(&recipients);
    let shown = format!("{identities:?} {recipients:?}");
    assert!(shown.contains("1 age key, a passphrase"), "{shown}");
    assert!(!shown.contains(identity.expose_secret()) && !shown.contains("horse"));
}

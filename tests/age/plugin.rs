//! Plugins, as a program that speaks their protocol; it "wraps" a file key by showing it.

use std::fs;
use std::io::{Cursor, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::sync::Arc;

use seawall::backup::age::{
    AgeError, DecryptReader, EncryptWriter, Identities, IdentitySources, Person, Recipients,
    generate_identity, inspect,
};
use secrecy::SecretString;

const RECIPIENT: &str = "age1swtest1zwmkwh";
const IDENTITY: &str = "AGE-PLUGIN-SWTEST-1FTLFDU";
const POST_QUANTUM: &str = "age1pq1kvzza2";

const PLUGIN: &str = r#"#!/bin/sh
# Stanzas: "-> command arguments", then base64 until a line of less than 64 characters.
stanza() { read -r arrow command rest || exit 1; body=; while read -r line; do body=$body$line; [ ${#line} -ge 64 ] || return 0; done; }
say() { printf -- '-> %s\n%s\n' "$1" "$2"; }
case $1 in
--age-plugin=recipient-v1)
    while stanza; do
        case $command in wrap-file-key) key=$body ;; esac
        [ "$command" != done ] || break
    done
    say 'recipient-stanza 0 swtest shown' "$key"; stanza
    say done '' ;;
--age-plugin=identity-v1)
    while stanza; do
        case $command in recipient-stanza) case $rest in '0 swtest'*) key=$body ;; esac ;; esac
        [ "$command" != done ] || break
    done
    # "touch\e[31m it"
    say msg dG91Y2gbWzMxbSBpdA; stanza
    # "PIN"
    say request-secret UElO; stanza
    # "1234"
    if [ "$command $body" = 'ok MTIzNA' ]; then
        [ -z "$key" ] || { say 'file-key 0' "$key"; stanza; }
    else
        # "wrong PIN"
        say 'error identity 0' d3JvbmcgUElO; stanza
    fi
    say done '' ;;
esac
"#;

struct Someone(Option<&'static str>);

impl Person for Someone {
    fn passphrase(&self, what: &str) -> Option<SecretString> {
        assert!(what.contains("PIN"), "{what}");
        self.0.map(SecretString::from)
    }

    fn tell(&self, message: &str) {
        // A plugin's text is a stranger's.
        assert_eq!(message, "touch·[31m it");
    }
}

/// PATH belongs to the whole process, so the test runs in one of its own.
fn in_a_process_with(path: Option<&str>, test: &str) {
    let folder = tempfile::tempdir().expect("a folder");
    if let Some(script) = path {
        let file = folder.path().join("age-plugin-swtest");
        fs::write(&file, script).expect("a plugin");
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).expect("a mode");
    }
    let own = std::env::current_exe().expect("this program");
    let output = Command::new(own)
        .args(["--exact", "--ignored", test])
        .env("PATH", format!("{}:/usr/bin:/bin", folder.path().display()))
        .output()
        .expect("it starts");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && said.contains("1 passed"),
        "{said}{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

fn encrypt(lines: &[&str]) -> Result<Vec<u8>, AgeError> {
    let lines: Vec<String> = lines.iter().map(|line| (*line).to_owned()).collect();
    let mut writer = EncryptWriter::new(&Recipients::parse(&lines)?, Vec::new())?;
    writer.write_all(b"plain")?;
    writer.finish()
}

fn decrypt(file: &[u8], text: &str, person: Someone) -> Result<Vec<u8>, AgeError> {
    let sources = IdentitySources {
        text: Some(text.into()),
        ..IdentitySources::default()
    };
    let identities = Identities::gather(sources, &|_| None)?.with_person(Arc::new(person));
    let mut plain = Vec::new();
    DecryptReader::new(Box::new(Cursor::new(file.to_vec())), &identities)?
        .read_to_end(&mut plain)?;
    Ok(plain)
}

#[test]
fn a_plugin_wraps_asks_and_opens() {
    in_a_process_with(Some(PLUGIN), "age::plugin::with_the_plugin");
}

#[test]
#[ignore = "a part of another test, run with a PATH of its own"]
fn with_the_plugin() {
    let file = encrypt(&[RECIPIENT]).expect("the plugin wraps");
    assert_eq!(inspect(&file).expect("a header").kinds(), "1 × swtest");
    let right = decrypt(&file, IDENTITY, Someone(Some("1234")));
    assert_eq!(right.expect("the PIN is right"), b"plain");
    for pin in [Some("4321"), None] {
        match decrypt(&file, IDENTITY, Someone(pin)) {
            Err(AgeError::Plugin(text)) => assert!(text.contains("wrong PIN"), "{text}"),
            other => panic!("{other:?}"),
        }
    }
    // Beside a key of age's own, either opens it.
    let (identity, recipient) = generate_identity();
    let file = encrypt(&[RECIPIENT, &recipient]).expect("both wrap");
    let own = secrecy::ExposeSecret::expose_secret(&identity);
    let plain = decrypt(&file, own, Someone(None)).expect("the key");
    assert_eq!(plain, b"plain");
    let plain = decrypt(&file, IDENTITY, Someone(Some("1234"))).expect("the plugin");
    assert_eq!(plain, b"plain");
}

#[test]
fn a_plugin_that_dies_is_told() {
    in_a_process_with(
        Some("#!/bin/sh\nexit 3\n"),
        "age::plugin::with_a_dead_plugin",
    );
}

#[test]
#[ignore = "a part of another test, run with a PATH of its own"]
fn with_a_dead_plugin() {
    let (_, recipient) = generate_identity();
    let file = encrypt(&[&recipient]).expect("a file");
    for end in [
        encrypt(&[RECIPIENT]),
        decrypt(&file, IDENTITY, Someone(None)),
    ] {
        match end {
            Err(AgeError::Plugin(text)) => assert!(text.contains("broke off"), "{text}"),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_plugin_that_is_missing_is_named() {
    in_a_process_with(None, "age::plugin::without_the_plugin");
}

#[test]
#[ignore = "a part of another test, run with a PATH of its own"]
fn without_the_plugin() {
    for (recipient, binary) in [
        (RECIPIENT, "age-plugin-swtest is needed"),
        (POST_QUANTUM, "age-plugin-pq is needed"),
    ] {
        match encrypt(&[recipient]) {
            Err(AgeError::Plugin(text)) => {
                assert!(
                    text.contains(binary) && text.contains("install it"),
                    "{text}"
                );
            }
            other => panic!("{other:?}"),
        }
    }
    let (identity, recipient) = generate_identity();
    let file = encrypt(&[&recipient]).expect("a file");
    match decrypt(&file, IDENTITY, Someone(None)) {
        Err(AgeError::Plugin(text)) => assert!(text.contains("age-plugin-swtest"), "{text}"),
        other => panic!("{other:?}"),
    }
    // That it is missing does not keep another key from opening the file.
    let own = secrecy::ExposeSecret::expose_secret(&identity);
    let plain = decrypt(&file, &format!("{IDENTITY}\n{own}"), Someone(None));
    assert_eq!(plain.expect("the other key"), b"plain");
}

#[test]
fn a_post_quantum_stanza_names_its_plugin() {
    // A file for such a recipient, as age 1.3 begins it; only the kind matters here.
    let share = "A".repeat(43);
    let body = "A".repeat(43);
    let file = format!(
        "age-encryption.org/v1\n-> mlkem768x25519 {share}\n{body}\n--- {}\n0123456789abcdefpayload",
        "A".repeat(43)
    );
    let (identity, _) = generate_identity();
    let own = secrecy::ExposeSecret::expose_secret(&identity);
    match decrypt(file.as_bytes(), own, Someone(None)) {
        Err(AgeError::NoMatch(text)) => assert!(
            text.contains("1 × mlkem768x25519") && text.contains("age-plugin-pq -identity"),
            "{text}"
        ),
        other => panic!("{other:?}"),
    }
    match decrypt(file.as_bytes(), "AGE-SECRET-KEY-PQ-1QQQQ", Someone(None)) {
        Err(AgeError::Key(text)) => assert!(text.contains("age-plugin-pq -identity"), "{text}"),
        other => panic!("{other:?}"),
    }
}

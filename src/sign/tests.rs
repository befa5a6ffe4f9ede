use std::os::unix::fs::PermissionsExt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use proptest::prelude::*;
use russh::keys::ssh_key::{HashAlg, LineEnding, PrivateKey};

use super::*;

fn key() -> SigningKey {
    SigningKey::generate("a test").unwrap()
}

fn armored(bytes: &[u8]) -> String {
    let body = STANDARD.encode(bytes);
    format!("-----BEGIN SSH SIGNATURE-----\n{body}\n-----END SSH SIGNATURE-----\n")
}

fn blob(signature: &str) -> Vec<u8> {
    let body: String = signature.lines().filter(|l| !l.starts_with('-')).collect();
    STANDARD.decode(body).unwrap()
}

#[test]
fn what_is_signed_is_verified_and_nothing_else_is() {
    let (mine, other) = (key(), key());
    let signature = mine.sign(b"the manifest").unwrap();
    let trusted = mine.trusted().unwrap();
    assert_eq!(
        trusted.verify(b"the manifest", &signature).unwrap(),
        mine.fingerprint()
    );
    assert_eq!(made_by(&signature).unwrap(), mine.fingerprint());
    assert!(matches!(
        trusted.verify(b"the manifest.", &signature),
        Err(SignError::DoesNotFit { .. })
    ));
    assert!(matches!(
        other.trusted().unwrap().verify(b"the manifest", &signature),
        Err(SignError::NotTrusted { known: 1, .. })
    ));
    assert!(matches!(
        Trusted::default().verify(b"the manifest", &signature),
        Err(SignError::NotTrusted { known: 0, .. })
    ));
    let both = other.trusted().unwrap().and(trusted);
    assert_eq!(both.fingerprints().len(), 2);
    both.verify(b"the manifest", &signature).unwrap();
}

#[test]
fn another_namespace_or_hash_does_not_count() {
    let state = tempfile::tempdir().unwrap();
    let path = state.path().join("k");
    let mine = key();
    mine.write(&path).unwrap();
    let raw = PrivateKey::read_openssh_file(&path).unwrap();
    let sign = |namespace: &str, hash| {
        let signature = raw.sign(namespace, hash, b"x").unwrap();
        signature.to_pem(LineEnding::LF).unwrap()
    };
    let trusted = mine.trusted().unwrap();
    trusted
        .verify(b"x", &sign("seawall", HashAlg::Sha512))
        .unwrap();
    assert!(matches!(
        trusted.verify(b"x", &sign("git", HashAlg::Sha512)),
        Err(SignError::WrongNamespace { found }) if found == "git"
    ));
    assert!(matches!(
        trusted.verify(b"x", &sign("seawall", HashAlg::Sha256)),
        Err(SignError::WeakSignature(_))
    ));
}

#[test]
fn a_key_file_is_private_and_never_written_over() {
    let state = tempfile::tempdir().unwrap();
    let path = state.path().join("k");
    let mine = key();
    mine.write(&path).unwrap();
    let mode = |path: &std::path::Path| path.metadata().unwrap().permissions().mode() & 0o777;
    let public = state.path().join("k.pub");
    assert_eq!((mode(&path), mode(&public)), (0o600, 0o644));
    let before = std::fs::read(&path).unwrap();
    assert!(matches!(key().write(&path), Err(SignError::Exists { .. })));
    // Its public half alone is reason enough: two that do not belong together mislead.
    std::fs::rename(&path, state.path().join("elsewhere")).unwrap();
    assert!(matches!(key().write(&path), Err(SignError::Exists { .. })));
    assert!(!path.exists());
    // So is a link that leads nowhere.
    std::os::unix::fs::symlink("/nowhere", state.path().join("l")).unwrap();
    assert!(matches!(
        key().write(&state.path().join("l")),
        Err(SignError::Exists { .. })
    ));
    assert_eq!(
        std::fs::read(state.path().join("elsewhere")).unwrap(),
        before
    );
    let names = std::fs::read_dir(state.path()).unwrap().count();
    assert_eq!(names, 3, "nothing temporary is left");
}

#[test]
fn a_key_file_is_read_only_where_nobody_else_can() {
    let state = tempfile::tempdir().unwrap();
    let path = state.path().join("k");
    let mine = key();
    mine.write(&path).unwrap();
    let load = || SigningKey::load(&path, &mut || panic!("it has no passphrase"));
    assert_eq!(load().unwrap().fingerprint(), mine.fingerprint());
    assert_eq!(load().unwrap().public_line(), mine.public_line());
    for mode in [0o640, 0o604, 0o620] {
        std::fs::set_permissions(&path, PermissionsExt::from_mode(mode)).unwrap();
        let error = load().unwrap_err();
        assert!(error.to_string().contains("chmod 600"), "{error}");
    }
}

#[test]
fn a_passphrase_is_asked_for_where_there_is_one() {
    let state = tempfile::tempdir().unwrap();
    let path = state.path().join("k");
    key().write(&path).unwrap();
    let raw = PrivateKey::read_openssh_file(&path).unwrap();
    let locked = raw
        .encrypt(&mut russh::keys::key::safe_rng(), "hunter2")
        .unwrap();
    locked.write_openssh_file(&path, LineEnding::LF).unwrap();
    let load = |given: Option<&str>| SigningKey::load(&path, &mut || given.map(Into::into));
    load(Some("hunter2")).unwrap().sign(b"x").unwrap();
    assert!(matches!(
        load(Some("hunter3")),
        Err(SignError::WrongPassphrase { .. })
    ));
    assert!(matches!(load(None), Err(SignError::NoPassphrase { .. })));
    // Whose signatures count can be said without it.
    std::fs::remove_file(state.path().join("k.pub")).unwrap();
    assert_eq!(
        SigningKey::public_of(&path).unwrap().fingerprints().len(),
        1
    );
}

#[test]
fn what_is_no_key_is_told_as_such() {
    let state = tempfile::tempdir().unwrap();
    let path = state.path().join("k");
    let load = || SigningKey::load(&path, &mut || None).unwrap_err();
    assert!(matches!(load(), SignError::Io { .. }));
    for text in [
        "",
        "hello",
        "-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n",
        "\u{0}\u{1}",
    ] {
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o600)).unwrap();
        assert!(matches!(load(), SignError::NotAKey { .. }), "{text:?}");
    }
    std::fs::remove_file(&path).unwrap();
    std::fs::create_dir(&path).unwrap();
    assert!(matches!(load(), SignError::NotAKey { .. }));
}

#[test]
fn a_comment_cannot_begin_another_line() {
    let line = SigningKey::generate("a\nssh-ed25519 AAAA")
        .unwrap()
        .public_line();
    assert_eq!(line.lines().count(), 1);
}

#[test]
fn public_keys_are_read_as_people_keep_them() {
    let (a, b) = (key().public_line(), key().public_line());
    let text = format!("# those who sign\n\n{a}\r\n  {b}\n");
    assert_eq!(
        Trusted::parse(text.lines()).unwrap().fingerprints().len(),
        2
    );
    let bare: String = a.split(' ').take(2).collect::<Vec<_>>().join(" ");
    assert!(!Trusted::parse([bare.as_str()]).unwrap().is_empty());
    let refused = [
        "hello",
        "ssh-ed25519",
        "ssh-ed25519 AAAA",
        "ssh-rsa AAAAC3NzaC1lZDI1NTE5AAAAIJJJ",
        "-----BEGIN OPENSSH PRIVATE KEY-----",
    ];
    for line in refused {
        match Trusted::parse([a.as_str(), line]) {
            Err(SignError::NotAPublicKey { line: 2, .. }) => {}
            other => panic!("{line}: {other:?}"),
        }
    }
    let options = format!("no-pty {a}");
    assert!(Trusted::parse([options.as_str()]).is_err());
}

/// Each certificate holds a key, which may be a certificate. Parsed as deep as a stranger likes,
/// this ends the process.
#[test]
fn certificates_within_certificates_end_at_once() {
    const NAME: &[u8] = b"ssh-ed25519-cert-v01@openssh.com";
    let string = |bytes: &[u8]| [&(bytes.len() as u32).to_be_bytes(), bytes].concat();
    let mut inner = Vec::new();
    for _ in 0..60 {
        let mut outer = string(NAME);
        outer.extend(string(&[0; 32]));
        outer.extend(string(&[0; 32]));
        outer.extend([0; 8]);
        outer.extend(1u32.to_be_bytes());
        outer.extend(string(b""));
        outer.extend(string(b""));
        outer.extend([0; 16]);
        outer.extend(string(b""));
        outer.extend(string(b""));
        outer.extend(string(b""));
        outer.extend(string(&inner));
        inner = outer;
    }
    let mut bytes = b"SSHSIG\0\0\0\x01".to_vec();
    bytes.extend(string(&inner));
    let error = made_by(&armored(&bytes)).unwrap_err();
    assert!(error.to_string().contains("certificate"), "{error}");
    let line = format!("ssh-ed25519 {}", STANDARD.encode(&inner));
    let error = Trusted::parse([line.as_str()]).unwrap_err();
    assert!(error.to_string().contains("certificate"), "{error}");
}

#[test]
fn nothing_hides_behind_a_signature() {
    let mine = key();
    let signature = mine.sign(b"x").unwrap();
    let trusted = mine.trusted().unwrap();
    let mut longer = blob(&signature);
    longer.push(0);
    for text in [
        armored(&longer),
        format!("{signature}more"),
        format!("more\n{signature}"),
        format!("{signature}{signature}"),
        signature.replace("-----END SSH SIGNATURE-----", ""),
        "x".repeat(1 << 20),
    ] {
        assert!(matches!(
            trusted.verify(b"x", &text),
            Err(SignError::NotASignature(_))
        ));
    }
    // How its lines are broken is nobody's matter.
    trusted.verify(b"x", &armored(&blob(&signature))).unwrap();
    trusted
        .verify(b"x", &signature.replace('\n', "\r\n"))
        .unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..Default::default() })]

    /// Whatever byte of a signature is changed, put in or taken out: it does not count, and
    /// nothing panics.
    #[test]
    fn no_changed_signature_counts(
        place: proptest::sample::Index,
        byte: u8,
        how in 0..3,
    ) {
        let mine = key();
        let before = blob(&mine.sign(b"x").unwrap());
        let mut after = before.clone();
        let at = place.index(before.len());
        match how {
            0 => after[at] = byte,
            1 => after.insert(at, byte),
            _ => { after.remove(at); }
        }
        let counts = mine.trusted().unwrap().verify(b"x", &armored(&after)).is_ok();
        prop_assert_eq!(counts, before == after);
    }

    #[test]
    fn strangers_texts_never_panic(
        bytes in proptest::collection::vec(any::<u8>(), 0..600),
        text in "\\PC{0,200}",
        after_head: bool,
    ) {
        let mut blob = if after_head { b"SSHSIG\0\0\0\x01".to_vec() } else { Vec::new() };
        blob.extend(&bytes);
        prop_assert!(made_by(&armored(&blob)).is_err());
        prop_assert!(made_by(&text).is_err());
        let line = format!("ssh-ed25519 {}", STANDARD.encode(&bytes));
        prop_assert!(Trusted::parse([line.as_str()]).is_err());
        let _ = Trusted::parse([text.as_str()]);
    }

    /// Lengths that lie, within an otherwise good signature.
    #[test]
    fn lengths_that_lie_never_panic(places in proptest::collection::vec(any::<(proptest::sample::Index, u32)>(), 1..4)) {
        let mut bytes = blob(&key().sign(b"x").unwrap());
        for (place, length) in places {
            let at = place.index(bytes.len() - 4);
            bytes[at..at + 4].copy_from_slice(&length.to_be_bytes());
        }
        let _ = made_by(&armored(&bytes));
    }
}

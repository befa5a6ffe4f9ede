//! Both ways with the real `ssh-keygen`: it believes what we sign, we believe what it signs, and
//! neither believes anything else.

use std::path::Path;

use seawall::sign::{SignError, SigningKey, Trusted};

use super::{openssh, well};

/// Kind, bits.
const KINDS: &[(&str, &str)] = &[
    ("ed25519", "256"),
    ("ecdsa", "256"),
    ("ecdsa", "384"),
    ("ecdsa", "521"),
    ("rsa", "2048"),
    ("rsa", "4096"),
];

fn make(dir: &Path, kind: &str, bits: &str, passphrase: &str) {
    let args = [
        "-q", "-t", kind, "-b", bits, "-N", passphrase, "-C", "a test", "-f", "k",
    ];
    let made = openssh("ssh-keygen", &args, dir, b"");
    assert!(well(&made), "{kind} {bits}: {made:?}");
}

fn trusted(dir: &Path) -> Trusted {
    let text = std::fs::read_to_string(dir.join("k.pub")).expect("its public half");
    Trusted::parse(text.lines()).expect("it is one that counts")
}

/// What `ssh-keygen -Y verify` says of `signature` over `bytes`.
fn believed(dir: &Path, signature: &str, bytes: &[u8]) -> bool {
    let public = std::fs::read_to_string(dir.join("k.pub")).expect("its public half");
    std::fs::write(dir.join("allowed"), format!("seawall {public}")).expect("written");
    std::fs::write(dir.join("s"), signature).expect("written");
    let args = [
        "-Y", "verify", "-f", "allowed", "-I", "seawall", "-n", "seawall", "-s", "s",
    ];
    well(&openssh("ssh-keygen", &args, dir, bytes))
}

#[test]
fn openssh_believes_what_we_sign() {
    for (kind, bits) in KINDS {
        let dir = tempfile::tempdir().expect("a folder");
        make(dir.path(), kind, bits, "");
        let key = SigningKey::load(&dir.path().join("k"), &mut || None).expect("it loads");
        let bytes = b"line\n\0\xff";
        let signature = key.sign(bytes).expect("it signs");
        assert!(believed(dir.path(), &signature, bytes), "{kind} {bits}");
        assert!(!believed(dir.path(), &signature, b"line\n\0\xfe"));
        assert!(!believed(dir.path(), &signature, b""));
    }
}

#[test]
fn we_believe_what_openssh_signs() {
    for (kind, bits) in KINDS {
        let dir = tempfile::tempdir().expect("a folder");
        make(dir.path(), kind, bits, "");
        let args = ["-Y", "sign", "-n", "seawall", "-f", "k"];
        let signed = openssh("ssh-keygen", &args, dir.path(), b"text\n");
        assert!(well(&signed), "{signed:?}");
        let signature = String::from_utf8(signed.stdout).expect("it is text");
        let trusted = trusted(dir.path());
        let by = trusted.verify(b"text\n", &signature).expect("it counts");
        let shown = openssh("ssh-keygen", &["-l", "-f", "k.pub"], dir.path(), b"");
        assert!(String::from_utf8_lossy(&shown.stdout).contains(&by));
        assert!(matches!(
            trusted.verify(b"text", &signature),
            Err(SignError::DoesNotFit { .. })
        ));
    }
}

#[test]
fn what_openssh_signs_for_something_else_does_not_count() {
    let dir = tempfile::tempdir().expect("a folder");
    make(dir.path(), "rsa", "2048", "");
    let trusted = trusted(dir.path());
    let sign = |args: &[&str]| {
        let args = [&["-Y", "sign", "-f", "k"], args].concat();
        let signed = openssh("ssh-keygen", &args, dir.path(), b"x");
        assert!(well(&signed), "{signed:?}");
        trusted.verify(b"x", &String::from_utf8_lossy(&signed.stdout))
    };
    assert!(matches!(
        sign(&["-n", "git"]),
        Err(SignError::WrongNamespace { .. })
    ));
    assert!(matches!(
        sign(&["-n", "seawall", "-O", "hashalg=sha256"]),
        Err(SignError::WeakSignature(_))
    ));
    sign(&["-n", "seawall", "-O", "hashalg=sha512"]).expect("the same as without");
}

#[test]
fn short_rsa_keys_do_not_count() {
    let dir = tempfile::tempdir().expect("a folder");
    make(dir.path(), "rsa", "1024", "");
    let text = std::fs::read_to_string(dir.path().join("k.pub")).expect("its public half");
    let error = Trusted::parse(text.lines()).expect_err("it is too short");
    assert!(error.to_string().contains("2048"), "{error}");
    assert!(SigningKey::load(&dir.path().join("k"), &mut || None).is_err());
}

#[test]
fn a_key_under_a_passphrase_signs_once_it_is_given() {
    let dir = tempfile::tempdir().expect("a folder");
    make(dir.path(), "ed25519", "256", "correct horse");
    let path = dir.path().join("k");
    let key = SigningKey::load(&path, &mut || Some("correct horse".into())).expect("it opens");
    assert!(believed(
        dir.path(),
        &key.sign(b"x").expect("it signs"),
        b"x"
    ));
    let error = SigningKey::load(&path, &mut || Some("wrong".into())).expect_err("it is not");
    assert!(!error.to_string().contains("wrong\""), "{error}");
    assert!(matches!(error, SignError::WrongPassphrase { .. }));
}

#[test]
fn openssh_uses_the_keys_that_we_make() {
    let dir = tempfile::tempdir().expect("a folder");
    let key = SigningKey::generate("of ours").expect("made");
    key.write(&dir.path().join("k")).expect("written");
    let shown = openssh("ssh-keygen", &["-y", "-f", "k"], dir.path(), b"");
    assert!(well(&shown), "{shown:?}");
    assert_eq!(
        String::from_utf8_lossy(&shown.stdout).trim(),
        key.public_line()
    );
    let args = ["-Y", "sign", "-n", "seawall", "-f", "k"];
    let signed = openssh("ssh-keygen", &args, dir.path(), b"x");
    let signature = String::from_utf8_lossy(&signed.stdout).into_owned();
    assert_eq!(
        trusted(dir.path()).verify(b"x", &signature).expect("ours"),
        key.fingerprint()
    );
}

#[test]
fn an_old_pem_key_is_told_how_to_become_a_new_one() {
    let dir = tempfile::tempdir().expect("a folder");
    let args = [
        "-q", "-t", "rsa", "-b", "2048", "-m", "PEM", "-N", "", "-f", "k",
    ];
    assert!(well(&openssh("ssh-keygen", &args, dir.path(), b"")));
    let error = SigningKey::load(&dir.path().join("k"), &mut || None).expect_err("it is not read");
    assert!(error.to_string().contains("ssh-keygen -p"), "{error}");
}

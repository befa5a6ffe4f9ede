//! Both ways with Debian's `age`: what it makes we open, what we make it opens.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use seawall::backup::age::{
    AgeError, DecryptReader, EncryptOptions, EncryptWriter, Identities, IdentitySources,
    Recipients, inspect,
};
use secrecy::SecretString;

const SIZES: [usize; 8] = [0, 1, 65535, 65536, 65537, 131_072, 1_048_576, 1_500_000];

fn run(program: &str, arguments: &[&str], input: &str) -> Output {
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| {
            panic!("{program} does not start ({error}): scripts/install-deps installs it")
        });
    let mut stdin = child.stdin.take().expect("a pipe");
    stdin.write_all(input.as_bytes()).expect("its input");
    drop(stdin);
    child.wait_with_output().expect("its end")
}

fn succeed(program: &str, arguments: &[&str], input: &str) -> Vec<u8> {
    let output = run(program, arguments, input);
    assert!(
        output.status.success(),
        "{program} {arguments:?}: {}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    output.stdout
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a name in UTF-8")
}

/// A folder with one kind of key in it.
struct Bench {
    folder: tempfile::TempDir,
    identity: PathBuf,
    recipient: String,
}

impl Bench {
    fn x25519() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let identity = folder.path().join("key");
        succeed("age-keygen", &["-o", text(&identity)], "");
        let recipient = succeed("age-keygen", &["-y", text(&identity)], "");
        Self {
            recipient: String::from_utf8(recipient).expect("text").trim().into(),
            folder,
            identity,
        }
    }

    fn ssh(kind: &str, bits: &str, passphrase: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let identity = folder.path().join("key");
        let file = text(&identity);
        let arguments = [
            "-q", "-t", kind, "-b", bits, "-N", passphrase, "-C", "a test", "-f", file,
        ];
        succeed("ssh-keygen", &arguments, "");
        let public = fs::read_to_string(folder.path().join("key.pub")).expect("a public key");
        Self {
            recipient: public.trim().into(),
            folder,
            identity,
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn identities(&self, passphrase: Option<&'static str>) -> Result<Identities, AgeError> {
        let sources = IdentitySources {
            files: vec![self.identity.clone()],
            ..IdentitySources::default()
        };
        Identities::gather(sources, &move |_| passphrase.map(SecretString::from))
    }

    fn both_ways(&self, sizes: &[usize], passphrase: Option<&'static str>) {
        let identities = self.identities(passphrase).expect("the key is sound");
        let recipients =
            Recipients::parse(std::slice::from_ref(&self.recipient)).expect("a recipient");
        for (size, armor) in sizes
            .iter()
            .flat_map(|size| [(*size, false), (*size, true)])
        {
            let plain: Vec<u8> = (0..size).map(|at| (at % 251) as u8).collect();
            let (file, out) = (self.path("plain"), self.path("out"));
            fs::write(&file, &plain).expect("a plaintext");

            // Theirs, with us.
            let mut arguments = vec!["-r", &self.recipient, "-o", text(&out), text(&file)];
            if armor {
                arguments.insert(0, "-a");
            }
            succeed("age", &arguments, "");
            assert!(
                read(&fs::read(&out).expect("age's file"), &identities) == plain,
                "{size} bytes of age's, armor {armor}"
            );

            // Ours, with them. (Debian's age asks for an SSH key's passphrase on a terminal.)
            if passphrase.is_none() {
                let options = EncryptOptions { armor, hash: false };
                write(&recipients, &plain, options, &out);
                let back = succeed("age", &["-d", "-i", text(&self.identity), text(&out)], "");
                assert!(back == plain, "{size} bytes of ours, armor {armor}");
            }
        }
        // What a header must hold for these recipients is what it holds.
        let file = fs::read(self.path("out")).expect("the last file");
        let header = inspect(&file).expect("a header");
        let [expected] = &recipients.expected()[..] else {
            panic!("one recipient is one stanza");
        };
        let [found] = &header.stanzas[..] else {
            panic!("one recipient is one stanza: {header:?}");
        };
        assert_eq!(found.kind, expected.kind);
        assert!(found.args.starts_with(&expected.args), "{found:?}");
    }
}

fn write(recipients: &Recipients, plain: &[u8], options: EncryptOptions, to: &Path) {
    let out = fs::File::create(to).expect("a file");
    let mut writer = EncryptWriter::with(recipients, out, options).expect("a header");
    writer.write_all(plain).expect("a payload");
    writer.finish().expect("an end");
}

fn read(file: &[u8], identities: &Identities) -> Vec<u8> {
    let input = Box::new(std::io::Cursor::new(file.to_vec()));
    let mut reader = DecryptReader::new(input, identities).expect("it opens");
    let mut plain = Vec::new();
    reader.read_to_end(&mut plain).expect("it is whole");
    plain
}

#[test]
fn x25519() {
    let bench = Bench::x25519();
    assert_eq!(
        bench.identities(None).expect("a key").recipients(),
        std::slice::from_ref(&bench.recipient)
    );
    bench.both_ways(&SIZES, None);
}

#[test]
fn ssh_ed25519() {
    let bench = Bench::ssh("ed25519", "256", "");
    let known = bench.identities(None).expect("a key").recipients();
    assert!(bench.recipient.starts_with(&known[0]), "{known:?}");
    bench.both_ways(&[0, 65537], None);
}

#[test]
fn ssh_rsa() {
    Bench::ssh("rsa", "2048", "").both_ways(&[0, 65537], None);
}

#[test]
fn an_ssh_key_with_a_passphrase_asks_for_it() {
    let bench = Bench::ssh("ed25519", "256", "correct horse");
    bench.both_ways(&[5], Some("correct horse"));
    let error = |passphrase| match bench.identities(passphrase) {
        Err(AgeError::Key(text)) => text,
        other => panic!("it must not open: {}", other.is_ok()),
    };
    assert!(error(Some("wrong")).contains("does not open"));
    assert!(error(None).contains("nobody is there"));
}

#[test]
fn one_of_several_recipients_is_enough() {
    let (one, two) = (Bench::x25519(), Bench::ssh("ed25519", "256", ""));
    let lines = [one.recipient.clone(), two.recipient.clone()];
    let recipients = Recipients::parse(&lines).expect("two");
    let out = one.path("out");
    write(&recipients, b"plain", EncryptOptions::default(), &out);
    let file = fs::read(&out).expect("a file");
    for bench in [&one, &two] {
        assert_eq!(
            read(&file, &bench.identities(None).expect("a key")),
            b"plain"
        );
        let back = succeed("age", &["-d", "-i", text(&bench.identity), text(&out)], "");
        assert_eq!(back, b"plain");
    }
    let other = Bench::x25519().identities(None).expect("a key");
    let error = DecryptReader::new(Box::new(std::io::Cursor::new(file)), &other);
    let text = error.expect_err("it is not for this one").to_string();
    assert!(
        text.contains("none of the given keys (1 age key) fits")
            && text.contains("2 recipients (1 × X25519, 1 × ssh-ed25519)"),
        "{text}"
    );
}

/// `age` asks on its terminal: `script` gives it one, and types what it asks for.
fn on_a_terminal(command: &str, typed: &str) -> String {
    let output = run("script", &["-qec", command, "/dev/null"], typed);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{command}: {said}");
    said
}

#[test]
fn a_passphrase() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name);
    fs::write(path("plain"), b"plain").expect("a plaintext");
    let identities = || {
        let sources = IdentitySources {
            passphrase: Some("correct horse".into()),
            ..IdentitySources::default()
        };
        Identities::gather(sources, &|_| None).expect("a passphrase")
    };

    let (plain, theirs) = (path("plain"), path("theirs"));
    let command = format!("age -p -o {} {}", theirs.display(), plain.display());
    on_a_terminal(&command, "correct horse\ncorrect horse\n");
    assert_eq!(
        read(&fs::read(theirs).expect("age's"), &identities()),
        b"plain"
    );

    let recipients = Recipients::passphrase("correct horse".into()).with_work_factor(10);
    let (ours, back) = (path("ours"), path("back"));
    write(&recipients, b"plain", EncryptOptions::default(), &ours);
    let command = format!("age -d -o {} {}", back.display(), ours.display());
    on_a_terminal(&command, "correct horse\n");
    assert_eq!(fs::read(back).expect("what age has opened"), b"plain");
}

#[test]
fn an_identity_file_with_a_passphrase_asks_for_it() {
    let bench = Bench::x25519();
    let out = bench.path("out");
    let recipients = Recipients::parse(std::slice::from_ref(&bench.recipient)).expect("one");
    write(&recipients, b"plain", EncryptOptions::default(), &out);
    let file = fs::read(&out).expect("a file");
    let key = fs::read(&bench.identity).expect("an identity");
    for armor in [false, true] {
        let closed = bench.path("closed");
        let lock = Recipients::passphrase("correct horse".into()).with_work_factor(8);
        write(&lock, &key, EncryptOptions { armor, hash: false }, &closed);
        // It is protected, so that others can read it is nothing to refuse.
        fs::set_permissions(&closed, fs::Permissions::from_mode(0o644)).expect("a mode");
        let gather = |passphrase: Option<&'static str>| {
            let sources = IdentitySources {
                files: vec![closed.clone()],
                ..IdentitySources::default()
            };
            Identities::gather(sources, &move |what| {
                assert!(what.contains("closed"), "{what}");
                passphrase.map(SecretString::from)
            })
        };
        assert_eq!(
            read(&file, &gather(Some("correct horse")).expect("a key")),
            b"plain"
        );
        for wrong in [None, Some("wrong")] {
            assert!(matches!(gather(wrong), Err(AgeError::Key(_))));
        }
        // Debian's age opens it as an identity file, too.
        let opened = bench.path("opened");
        let command = format!(
            "age -d -i {} -o {} {}",
            closed.display(),
            opened.display(),
            out.display()
        );
        on_a_terminal(&command, "correct horse\n");
        assert_eq!(fs::read(opened).expect("what age has opened"), b"plain");
    }
}

//! What Debian's tar, zstd, gzip and age made is restored; and a full disk is told, with nothing
//! left on it.

use std::fs;
use std::io::{self, Cursor, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use seawall::backup::Progress;
use seawall::backup::age::{
    EncryptWriter, Identities, IdentitySources, Recipients, generate_identity,
};
use seawall::backup::restore::{Limits, RestoreError, Restored, directory};
use seawall::backup::store::Blob;
use secrecy::{ExposeSecret, SecretString};

struct Memory(Cursor<Vec<u8>>);

impl Read for Memory {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

impl Blob for Memory {
    fn size(&self) -> u64 {
        self.0.get_ref().len() as u64
    }
}

fn identities(secret: &SecretString) -> Identities {
    let sources = IdentitySources {
        text: Some(SecretString::from(secret.expose_secret())),
        ..IdentitySources::default()
    };
    Identities::gather(sources, &|_: &str| None).expect("a new identity can be read")
}

fn restore(bytes: Vec<u8>, secret: &SecretString, into: &Path) -> Result<Restored, RestoreError> {
    directory(
        Box::new(Memory(Cursor::new(bytes))),
        &identities(secret),
        into,
        &Limits::default(),
        &Progress::default(),
    )
}

/// Runs a line of sh in a directory; what it prints.
fn sh(directory: &Path, line: &str, env: &[(&str, &str)]) -> Vec<u8> {
    let output = Command::new("bash")
        .args(["-euo", "pipefail", "-c", line])
        .envs(env.iter().copied())
        .current_dir(directory)
        .stdin(Stdio::null())
        .output()
        .expect("bash runs");
    assert!(
        output.status.success(),
        "{line}: {} (scripts/install-deps installs what tests need)",
        String::from_utf8_lossy(&output.stderr)
    );
    output.stdout
}

/// Everything that a tar may keep, but for names that ustar has no room for.
fn make_tree(at: &Path) {
    let long = "n".repeat(90);
    sh(
        at,
        &format!(
            "mkdir -p t/sub/{long}; cd t; umask 022
             head -c 3000000 /dev/urandom >large; echo small >small; : >empty
             ln small hard; ln -s small soft; ln -s ../small sub/up
             echo deep >sub/{long}/f; printf x >'sub/a b\\c'; chmod 0750 sub; chmod 0400 small
             touch -d '2001-02-03 04:05:06 UTC' small sub/{long}/f; touch -d 2002-02-02 sub"
        ),
        &[],
    );
}

/// Names, kinds, modes, times, links and contents of what lies below.
fn look(at: &Path) -> String {
    let listed = sh(
        at,
        "find . -mindepth 1 -printf '%p %y %m %T@ %l %n\\n' | sed 's/\\.0* / /' | sort; \
         find . -type f -print0 | sort -z | xargs -0 sha256sum",
        &[],
    );
    String::from_utf8_lossy(&listed).into_owned()
}

#[test]
fn what_other_programs_made_is_restored_as_it_was() {
    let place = tempfile::tempdir().expect("a temporary directory");
    make_tree(place.path());
    let (secret, recipient) = generate_identity();
    for (format, extra) in [("gnu", "n"), ("pax", "n"), ("ustar", ""), ("oldgnu", "n")] {
        // A name that needs a header of its own.
        let name = place.path().join("t").join("l".repeat(200));
        if extra.is_empty() {
            let _ = fs::remove_file(&name);
        } else {
            fs::write(&name, "long").expect("a file can be written");
            sh(place.path(), "touch -d 2003-03-03 t/lll*", &[]);
        }
        for packer in ["cat", "zstd -c", "zstd -c --ultra -20", "gzip -c"] {
            let bytes = sh(
                place.path(),
                &format!("tar c --format={format} t | {packer} | age -r \"$TO\""),
                &[("TO", &recipient)],
            );
            let into = place.path().join("restored");
            restore(bytes, &secret, &into)
                .unwrap_or_else(|error| panic!("{format}, {packer}: {error}"));
            let (was, is) = (look(&place.path().join("t")), look(&into.join("t")));
            // Pax alone keeps fractions of a second.
            let whole = |text: &str| match format {
                "pax" => text.to_owned(),
                _ => text
                    .lines()
                    .map(|line| match line.split_once('.') {
                        Some((_, _)) => without_fraction(line) + "\n",
                        None => line.to_owned() + "\n",
                    })
                    .collect(),
            };
            assert_eq!(whole(&was), whole(&is), "{format}, {packer}");
            fs::remove_dir_all(&into).expect("it can be removed");
        }
    }
}

/// Without what stands behind the dot of the fourth word.
fn without_fraction(line: &str) -> String {
    line.split(' ')
        .map(|word| match word.split_once('.') {
            Some((seconds, fraction))
                if !seconds.is_empty()
                    && seconds.bytes().all(|b| b.is_ascii_digit())
                    && fraction.bytes().all(|b| b.is_ascii_digit()) =>
            {
                seconds
            }
            _ => word,
        })
        .collect::<Vec<_>>()
        .join(" ")
}

/// A file system of its own, in memory; it goes with the test.
struct Disk {
    at: tempfile::TempDir,
}

impl Disk {
    fn new(options: &str) -> Self {
        let at = tempfile::tempdir().expect("a temporary directory");
        let status = Command::new("mount")
            .args(["-t", "tmpfs", "-o", options, "seawall-test"])
            .arg(at.path())
            .status()
            .expect("mount runs");
        assert!(
            status.success(),
            "mounting needs root: run this test as root"
        );
        Disk { at }
    }

    fn goal(&self) -> PathBuf {
        self.at.path().join("restored")
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.at.path()).status();
    }
}

/// A tar of `count` files of `size` bytes, encrypted.
fn files(count: usize, size: usize, recipient: &str) -> Vec<u8> {
    let recipients = Recipients::parse(&[recipient.to_owned()]).expect("a recipient");
    let writer = EncryptWriter::new(&recipients, Vec::new()).expect("a header");
    let mut builder = tar::Builder::new(writer);
    for i in 0..count {
        let mut header = tar::Header::new_gnu();
        header.set_size(size as u64);
        header.set_mode(0o644);
        let data = vec![7u8; size];
        builder
            .append_data(&mut header, format!("d{}/f{i}", i % 3), data.as_slice())
            .expect("memory");
    }
    let mut writer = builder.into_inner().expect("memory");
    writer.flush().expect("memory");
    writer.finish().expect("an end")
}

#[test]
fn a_full_disk_is_told_and_nothing_is_left_on_it() {
    let (secret, recipient) = generate_identity();
    for (options, count, size) in [
        ("size=4m", 1, 9_000_000),
        ("size=4m", 3_000, 3_000),
        ("size=64m,nr_inodes=50", 200, 10),
    ] {
        let disk = Disk::new(options);
        let said = restore(files(count, size, &recipient), &secret, &disk.goal())
            .expect_err("it has no room")
            .to_string();
        assert!(said.starts_with("no space left for"), "{said}");
        assert!(said.contains("The whole needs about"), "{said}");
        let left: Vec<_> = fs::read_dir(disk.at.path()).expect("it is there").collect();
        assert!(left.is_empty(), "{left:?}");
        // With room it works.
        if count == 1 {
            let room = Disk::new("size=16m");
            restore(files(count, size, &recipient), &secret, &room.goal()).expect("it has room");
        }
    }
}

//! The published vectors: each must end as it says, but for the deviations that `docs/age.md` names.

use std::collections::BTreeSet;
use std::fs;
use std::io::{Cursor, Read};
use std::path::Path;

use seawall::backup::age::{AgeError, DecryptOptions, DecryptReader, Identities, IdentitySources};
use sha2::{Digest, Sha256};

struct Vector {
    name: String,
    expect: String,
    /// SHA-256, in hex, of all plaintext that may come out, also before a failure.
    payload: Option<String>,
    identities: Vec<String>,
    passphrases: Vec<String>,
    file: Vec<u8>,
}

impl Vector {
    fn read(path: &Path) -> Self {
        let name = path.file_name().expect("a name").to_string_lossy();
        let bytes = fs::read(path).expect("a vector can be read");
        let blank = bytes
            .windows(2)
            .position(|window| window == b"\n\n")
            .unwrap_or_else(|| panic!("{name} has no blank line"));
        let mut vector = Self {
            name: name.into_owned(),
            expect: String::new(),
            payload: None,
            identities: Vec::new(),
            passphrases: Vec::new(),
            file: bytes[blank + 2..].to_vec(),
        };
        let mut compressed = false;
        for line in String::from_utf8_lossy(&bytes[..blank]).lines() {
            let (key, value) = line.split_once(": ").expect("a key and a value");
            let value = value.to_owned();
            match key {
                "expect" => vector.expect = value,
                "payload" => vector.payload = Some(value),
                "identity" => vector.identities.push(value),
                "passphrase" => vector.passphrases.push(value),
                "compressed" => compressed = value == "zlib",
                "armored" | "comment" | "file key" => {}
                other => panic!("{}: unknown key {other}", vector.name),
            }
        }
        if compressed {
            let packed = std::mem::take(&mut vector.file);
            flate2::read::ZlibDecoder::new(packed.as_slice())
                .read_to_end(&mut vector.file)
                .expect("zlib");
        }
        vector
    }

    /// How it ends with us, in the vectors' words, and the plaintext that came out.
    fn run(&self, threads: usize) -> (&'static str, Vec<u8>) {
        let sources = IdentitySources {
            text: (!self.identities.is_empty()).then(|| self.identities.join("\n").into()),
            passphrase: self.passphrases.first().map(|text| text.clone().into()),
            ..IdentitySources::default()
        };
        let identities = Identities::gather(sources, &|_| None).expect("its identities are sound");
        let options = DecryptOptions {
            hash: false,
            threads,
        };
        let input = Box::new(Cursor::new(self.file.clone()));
        let mut plain = Vec::new();
        let end = DecryptReader::open(input, &identities, options)
            .and_then(|mut reader| Ok(reader.read_to_end(&mut plain)?));
        let word = match end {
            Ok(_) => "success",
            Err(AgeError::Header(_)) => "header failure",
            Err(AgeError::HeaderSeal(_)) => "HMAC failure",
            Err(AgeError::NoMatch(_)) => "no match",
            Err(AgeError::Armor(_)) => "armor failure",
            Err(AgeError::Payload(_)) => "payload failure",
            Err(other) => panic!("{}: {other:?}", self.name),
        };
        (word, plain)
    }
}

/// The names in the list of deviations.
fn documented() -> BTreeSet<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = fs::read_to_string(root.join("docs/age.md")).expect("docs/age.md");
    let (_, section) = text
        .split_once("## Where we differ from the published vectors\n")
        .expect("the section is there");
    section
        .split("\n## ")
        .next()
        .unwrap_or_default()
        .lines()
        .filter_map(|line| line.strip_prefix("- `")?.split('`').next())
        .map(str::to_owned)
        .collect()
}

#[test]
fn the_published_vectors_end_as_they_say_but_for_what_is_documented() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/age/testkit");
    let mut paths: Vec<_> = fs::read_dir(folder)
        .expect("the vectors can be listed")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_none())
        .collect();
    paths.sort();
    // A folder that lost its files proves nothing.
    assert_eq!(paths.len(), 123);
    let mut differ = BTreeSet::new();
    for path in paths {
        let vector = Vector::read(&path);
        for threads in [1, 3] {
            let (end, plain) = vector.run(threads);
            let hash: String = Sha256::digest(&plain)
                .iter()
                .map(|byte| format!("{byte:02x}"))
                .collect();
            // Where no payload is named, none may come out.
            let same = match &vector.payload {
                Some(payload) => *payload == hash,
                None => plain.is_empty(),
            };
            if end != vector.expect || !same {
                println!(
                    "{}: expected {}, got {end} and {} bytes",
                    vector.name,
                    vector.expect,
                    plain.len()
                );
                differ.insert(vector.name.clone());
            }
        }
    }
    assert_eq!(differ, documented());
}

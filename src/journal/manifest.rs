//! The manifest: what a sealed run consists of; and the check of a run's folder against it.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{JournalError, JournalReader, MANIFEST_FILE, SIGNATURE_FILE, Torn, hex};
use crate::shell::clean;
use crate::sign::{SignError, Trusted};

/// A manifest larger than this is not one of ours.
const LARGEST_MANIFEST: u64 = 16 << 20;

/// What a sealed run consists of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// The format of this document; 1.
    pub format: u32,
    /// The run's id: the folder's name.
    pub run: String,
    /// When it was sealed, RFC 3339.
    pub sealed: String,
    pub journal: JournalSeal,
    /// By name, all but the manifest itself and its signature.
    pub files: BTreeMap<String, FileSeal>,
}

/// How the journal ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct JournalSeal {
    pub lines: u64,
    /// SHA-256 of the last line with its newline.
    pub last: String,
}

/// One file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FileSeal {
    pub sha256: String,
    /// In bytes.
    pub size: u64,
}

/// What came of checking a run's folder.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verified {
    /// Whole lines in the journal.
    pub lines: u64,
    /// The hash of the last of them.
    pub last: String,
    pub torn: Option<Torn>,
    /// There is a manifest. Without one, the end of the journal may have been cut off.
    pub sealed: bool,
    /// Whose word the manifest is.
    pub signature: Signature,
    /// What is not as the manifest says, in words.
    pub problems: Vec<String>,
    /// Files that came after the seal, e.g. a report.
    pub added: Vec<String>,
}

/// Whose word a sealed run's manifest is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Signature {
    /// There is none (or no manifest).
    #[default]
    Missing,
    /// By a key that counts: its fingerprint.
    Good(String),
    /// By another key, as it says itself, or of a kind that does not count. What it is worth is
    /// not known.
    Unknown(String),
    /// It does not fit the manifest, or is no signature.
    Bad(String),
}

impl Verified {
    /// Sealed, and all of it as the manifest says.
    pub fn is_whole(&self) -> bool {
        self.sealed && self.problems.is_empty()
    }
}

/// Checks the chain of a run's journal and, where the run is sealed, each file against the
/// manifest.
///
/// # Errors
/// When the chain is broken, or something cannot be read. That a file differs from the manifest
/// is in [`Verified::problems`], so that all of it is told at once.
pub fn verify(dir: &Path) -> Result<Verified, JournalError> {
    verify_with(dir, &Trusted::default())
}

/// As [`verify`], and whose signature the manifest bears. One that does not fit it is a problem;
/// one that is missing or unknown is the caller's to weigh.
pub fn verify_with(dir: &Path, trusted: &Trusted) -> Result<Verified, JournalError> {
    verify_lines(dir, trusted, |_, _| {})
}

/// As [`verify_with`]; `line` is told the number and the hash of each line.
pub(super) fn verify_lines(
    dir: &Path,
    trusted: &Trusted,
    mut line: impl FnMut(u64, &str),
) -> Result<Verified, JournalError> {
    let mut reader = JournalReader::open(dir)?;
    while let Some(record) = reader.next() {
        record?;
        line(reader.lines(), reader.last_hash());
    }
    let mut verified = Verified {
        lines: reader.lines(),
        last: reader.last_hash().to_owned(),
        torn: reader.torn().cloned(),
        ..Verified::default()
    };
    let Some(manifest) = read_manifest(dir)? else {
        return Ok(verified);
    };
    verified.sealed = true;
    compare(&mut verified, &manifest, &seal_files(dir)?, dir);
    verified.signature = signature(dir, trusted)?;
    if let Signature::Bad(why) = &verified.signature {
        verified.problems.push(why.clone());
    }
    Ok(verified)
}

/// Whose word a run's manifest is. It reads the manifest and its signature alone: that the rest is
/// as the manifest says is [`verify_with`]'s to tell.
pub fn signature(dir: &Path, trusted: &Trusted) -> Result<Signature, JournalError> {
    let read = |name: &str| {
        let path = dir.join(name);
        let mut bytes = Vec::new();
        match File::open(&path) {
            Ok(file) => file
                .take(LARGEST_MANIFEST)
                .read_to_end(&mut bytes)
                .map(|_| Some(bytes))
                .map_err(|e| JournalError::io("reading", &path, e)),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(JournalError::io("opening", &path, e)),
        }
    };
    let (Some(manifest), Some(signature)) = (read(MANIFEST_FILE)?, read(SIGNATURE_FILE)?) else {
        return Ok(Signature::Missing);
    };
    let told = |why: SignError| format!("{SIGNATURE_FILE}: {}", clean(&why.to_string(), 300));
    let judged = String::from_utf8(signature)
        .map_err(|_| SignError::NotASignature("it is not text".into()))
        .and_then(|text| trusted.verify(&manifest, &text));
    Ok(match judged {
        Ok(by) => Signature::Good(by),
        Err(why @ (SignError::NotTrusted { .. } | SignError::WeakSignature(_))) => {
            Signature::Unknown(told(why))
        }
        Err(why) => Signature::Bad(told(why)),
    })
}

fn compare(
    verified: &mut Verified,
    manifest: &Manifest,
    there: &BTreeMap<String, FileSeal>,
    dir: &Path,
) {
    let mut say = |text: String| verified.problems.push(text);
    if manifest.run != folder_name(dir) {
        say(format!("the manifest is of the run {:?}", manifest.run));
    }
    if manifest.journal.lines != verified.lines || manifest.journal.last != verified.last {
        say(format!(
            "the journal ends at line {}, and the manifest says {} with the hash {}",
            verified.lines, manifest.journal.lines, manifest.journal.last
        ));
    }
    if let Some(torn) = &verified.torn {
        say(format!("line {} of the journal is torn", torn.line));
    }
    for (name, seal) in &manifest.files {
        match there.get(name) {
            None => say(format!("{name} is missing")),
            Some(found) if found != seal => say(format!("{name} was changed")),
            Some(_) => {}
        }
    }
    verified.added = there
        .keys()
        .filter(|name| !manifest.files.contains_key(*name))
        .cloned()
        .collect();
}

fn read_manifest(dir: &Path) -> Result<Option<Manifest>, JournalError> {
    let path = dir.join(MANIFEST_FILE);
    let file = match File::open(&path) {
        Ok(file) => file,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(JournalError::io("opening", &path, e)),
    };
    let mut text = Vec::new();
    file.take(LARGEST_MANIFEST)
        .read_to_end(&mut text)
        .map_err(|e| JournalError::io("reading", &path, e))?;
    let bad = |reason: String| JournalError::BadManifest {
        path: path.display().to_string(),
        reason,
    };
    let manifest: Manifest = serde_json::from_slice(&text).map_err(|e| bad(e.to_string()))?;
    if manifest.format != 1 {
        return Err(bad(format!("its format is {}", manifest.format)));
    }
    Ok(Some(manifest))
}

/// Size and hash of each file in a run's folder, but for the manifest and its signature.
pub(super) fn seal_files(dir: &Path) -> Result<BTreeMap<String, FileSeal>, JournalError> {
    let mut files = BTreeMap::new();
    let entries =
        std::fs::read_dir(dir).map_err(|e| JournalError::io("listing the run's folder", dir, e))?;
    for entry in entries {
        let entry = entry.map_err(|e| JournalError::io("listing the run's folder", dir, e))?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if name == MANIFEST_FILE || name == SIGNATURE_FILE {
            continue;
        }
        let path = entry.path();
        let seal = entry
            .file_type()
            .and_then(|kind| {
                if kind.is_file() {
                    seal_file(&path)
                } else {
                    Err(std::io::Error::other("it is not a plain file"))
                }
            })
            .map_err(|e| JournalError::io("reading", &path, e))?;
        files.insert(name, seal);
    }
    Ok(files)
}

fn seal_file(path: &Path) -> std::io::Result<FileSeal> {
    let mut file = File::open(path)?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 1 << 16];
    let mut size = 0;
    loop {
        let count = file.read(&mut buffer)?;
        if count == 0 {
            break;
        }
        hasher.update(buffer.get(..count).unwrap_or_default());
        size += count as u64;
    }
    Ok(FileSeal {
        sha256: hex(&hasher.finalize()),
        size,
    })
}

pub(super) fn folder_name(dir: &Path) -> String {
    dir.file_name()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::tests::{clock, note};
    use crate::journal::{JOURNAL_FILE, JournalWriter};
    use crate::sign::SigningKey;

    fn sealed() -> (tempfile::TempDir, std::path::PathBuf) {
        let state = tempfile::tempdir().unwrap();
        let dir = state.path().join("r");
        let mut writer = JournalWriter::create(&dir, clock()).unwrap();
        writer.append(&note("a")).unwrap();
        let sum = writer.put_file("web.json", b"abc").unwrap();
        assert_eq!(
            sum,
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
        writer.append(&note("b")).unwrap();
        writer.finish().unwrap();
        (state, dir)
    }

    #[test]
    fn a_sealed_run_is_whole_and_may_get_a_report() {
        let (_state, dir) = sealed();
        std::fs::write(dir.join("report.html"), "x").unwrap();
        let verified = verify(&dir).unwrap();
        assert!(verified.is_whole(), "{verified:?}");
        assert_eq!(verified.lines, 2);
        assert_eq!(verified.added, ["report.html"]);
    }

    #[test]
    fn what_was_changed_cut_off_or_taken_away_is_told() {
        let (_state, dir) = sealed();
        std::fs::write(dir.join("web.json"), "abd").unwrap();
        let verified = verify(&dir).unwrap();
        assert_eq!(verified.problems, ["web.json was changed"]);
        std::fs::remove_file(dir.join("web.json")).unwrap();
        let text = std::fs::read_to_string(dir.join(JOURNAL_FILE)).unwrap();
        let first = text.split_inclusive('\n').next().unwrap();
        std::fs::write(dir.join(JOURNAL_FILE), first).unwrap();
        let verified = verify(&dir).unwrap();
        assert_eq!(verified.problems.len(), 3, "{verified:?}");
        assert!(!verified.is_whole());
    }

    #[test]
    fn a_run_without_a_seal_is_readable_and_not_whole() {
        let (_state, dir) = sealed();
        std::fs::remove_file(dir.join(MANIFEST_FILE)).unwrap();
        let verified = verify(&dir).unwrap();
        assert!(!verified.sealed && !verified.is_whole() && verified.problems.is_empty());
    }

    #[test]
    fn whose_word_it_is_is_told() {
        let state = tempfile::tempdir().unwrap();
        let dir = state.path().join("r");
        let (key, other) = (
            SigningKey::generate("").unwrap(),
            SigningKey::generate("").unwrap(),
        );
        let mut writer = JournalWriter::create(&dir, clock()).unwrap();
        writer.append(&note("a")).unwrap();
        writer.seal(Some(&key)).unwrap();
        let of = |key: &SigningKey| verify_with(&dir, &key.trusted().unwrap()).unwrap();
        assert_eq!(of(&key).signature, Signature::Good(key.fingerprint()));
        let strange = of(&other);
        assert!(
            matches!(&strange.signature, Signature::Unknown(why) if why.contains(&key.fingerprint()))
        );
        assert!(strange.is_whole(), "whose word it is is another question");
        // A manifest that was written anew, with the journal, is whole in itself alone.
        let path = dir.join(MANIFEST_FILE);
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, text.replace("2026-11-20T07", "2026-11-20T08")).unwrap();
        assert!(matches!(of(&key).signature, Signature::Bad(_)));
        assert_eq!(of(&key).problems.len(), 1);
        std::fs::write(dir.join(SIGNATURE_FILE), [0xff, 0]).unwrap();
        assert!(matches!(of(&key).signature, Signature::Bad(_)));
        std::fs::remove_file(dir.join(SIGNATURE_FILE)).unwrap();
        assert_eq!(of(&key).signature, Signature::Missing);
    }

    #[test]
    fn the_documented_shell_check_agrees() {
        let (_state, dir) = sealed();
        let script = r#"
            prev=$(printf '%064d' 0)
            while IFS= read -r line; do
                case $line in *"\"prev\":\"$prev\""*) ;; *) exit 1 ;; esac
                prev=$(printf '%s\n' "$line" | sha256sum | cut -d' ' -f1)
            done <journal.jsonl
            grep -q "\"last\": \"$prev\"" manifest.json"#;
        let holds = || {
            std::process::Command::new("sh")
                .args(["-c", script])
                .current_dir(&dir)
                .status()
                .unwrap()
                .success()
        };
        assert!(holds());
        let path = dir.join(JOURNAL_FILE);
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, text.replace("\"a\"", "\"A\"")).unwrap();
        assert!(!holds());
    }

    proptest::proptest! {
        #![proptest_config(proptest::prelude::ProptestConfig {
            cases: 128,
            failure_persistence: None,
            ..Default::default()
        })]

        /// Whatever byte is changed, put in, or cut off, of the journal or a file: it is noticed.
        #[test]
        fn no_byte_changes_unnoticed(
            file in proptest::sample::select(vec![JOURNAL_FILE, "web.json"]),
            place: proptest::sample::Index,
            byte: u8,
            how in 0..3,
        ) {
            let (_state, dir) = sealed();
            let path = dir.join(file);
            let before = std::fs::read(&path).unwrap();
            let mut after = before.clone();
            let at = place.index(before.len());
            match how {
                0 => after[at] = byte,
                1 => after.insert(at, byte),
                _ => after.truncate(at),
            }
            std::fs::write(&path, &after).unwrap();
            let whole = verify(&dir).is_ok_and(|verified| verified.is_whole());
            proptest::prop_assert_eq!(whole, before == after);
        }
    }
}

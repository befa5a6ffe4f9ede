//! Writing a run's folder.

use std::fs::{DirBuilder, File, OpenOptions, Permissions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::manifest::{self, JournalSeal, Manifest};
use super::{
    Clock, Event, JOURNAL_FILE, JournalError, MANIFEST_FILE, NO_FORMER_LINE, Record,
    SIGNATURE_FILE, lock, sha256,
};
use crate::sign::SigningKey;

/// How the temporary names of files in a run's folder begin.
pub(super) const UNFINISHED: &str = ".unfinished-";

/// A run that was sealed.
#[derive(Debug)]
pub struct Seal {
    pub manifest: Manifest,
    pub signed: Signed,
}

/// Whether the seal bears a signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Signed {
    /// The key's fingerprint.
    By(String),
    /// No key was given.
    No,
    /// The key did not sign. The run is sealed all the same.
    Failed(String),
}

/// Appends events to a run's journal. Each is one line, written with one call. As long as it lives
/// it holds the journal's lock.
pub struct JournalWriter {
    pub(super) dir: PathBuf,
    pub(super) path: PathBuf,
    pub(super) file: File,
    pub(super) clock: Arc<dyn Clock>,
    /// Lines written so far.
    pub(super) lines: u64,
    /// Bytes written so far.
    pub(super) bytes: u64,
    pub(super) last: String,
    /// Why nothing may be written any more.
    pub(super) closed: Option<String>,
}

impl JournalWriter {
    /// Makes the folder (which must not be there, while its parent must) and an empty journal.
    ///
    /// # Errors
    /// [`JournalError::Io`]; of kind `AlreadyExists` when the folder is there.
    pub fn create(dir: &Path, clock: Arc<dyn Clock>) -> Result<Self, JournalError> {
        DirBuilder::new()
            .mode(0o700)
            .create(dir)
            .map_err(|e| JournalError::io("making the run's folder", dir, e))?;
        let path = dir.join(JOURNAL_FILE);
        let file = OpenOptions::new()
            .append(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)
            .map_err(|e| JournalError::io("making", &path, e))?;
        lock::hold(&file, &path)?;
        Ok(JournalWriter {
            dir: dir.to_owned(),
            path,
            file,
            clock,
            lines: 0,
            bytes: 0,
            last: NO_FORMER_LINE.to_owned(),
            closed: None,
        })
    }

    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The hash that the next line will bear.
    pub fn last_hash(&self) -> &str {
        &self.last
    }

    /// Appends one event. Those that must outlive a crash before anything is done about them
    /// (`planned`, `confirm-armed`, `run-ended`) are on disk when this returns.
    ///
    /// # Errors
    /// When the line could not be written whole. What was written of it is taken back; where
    /// that fails too, nothing more is written, so that no torn line can stand in the middle.
    pub fn append(&mut self, event: &Event) -> Result<Record, JournalError> {
        if let Some(reason) = &self.closed {
            return Err(JournalError::Closed {
                reason: reason.clone(),
            });
        }
        let record = Record {
            seq: self.lines + 1,
            time: format!("{:.3}", self.clock.now()),
            prev: self.last.clone(),
            event: event.clone(),
        };
        let mut line = serde_json::to_vec(&record).map_err(|e| JournalError::NotAnEvent {
            line: record.seq,
            path: self.path.display().to_string(),
            reason: e.to_string(),
        })?;
        line.push(b'\n');
        if let Err(error) = self.write_line(&line, must_be_on_disk(event)) {
            if let Err(again) = self.file.set_len(self.bytes) {
                self.closed = Some(format!("a line was written in part ({error}; {again})"));
            }
            return Err(JournalError::io("writing", &self.path, error));
        }
        self.lines += 1;
        self.bytes += line.len() as u64;
        self.last = sha256(&line);
        Ok(record)
    }

    fn write_line(&mut self, line: &[u8], sync: bool) -> std::io::Result<()> {
        self.file.write_all(line)?;
        if sync {
            self.file.sync_data()?;
        }
        Ok(())
    }

    /// Writes a new file beside the journal, mode 0600, whole or not at all, and says its SHA-256.
    /// It never replaces one that holds something else. [`file_name`] makes a fit name out of any
    /// text.
    pub fn put_file(&mut self, name: &str, bytes: &[u8]) -> Result<String, JournalError> {
        if file_name(name) != name || is_reserved(name) {
            return Err(JournalError::BadName {
                name: name.to_owned(),
            });
        }
        let path = self.dir.join(name);
        let done = self.unfinished().and_then(|mut file| {
            file.write_all(bytes)?;
            file.persist_noclobber(&path).map_err(|e| e.error)
        });
        match done {
            Ok(_) => Ok(sha256(bytes)),
            // A process that died after it wrote the file and before it said so.
            Err(e) if e.kind() == ErrorKind::AlreadyExists && holds(&path, bytes) => {
                Ok(sha256(bytes))
            }
            Err(e) => Err(JournalError::io("writing", &path, e)),
        }
    }

    fn unfinished(&self) -> std::io::Result<tempfile::NamedTempFile> {
        tempfile::Builder::new()
            .prefix(UNFINISHED)
            .permissions(Permissions::from_mode(0o600))
            .tempfile_in(&self.dir)
    }

    /// Seals the run without a signature. See [`JournalWriter::seal`].
    pub fn finish(&mut self) -> Result<Manifest, JournalError> {
        self.seal(None).map(|seal| seal.manifest)
    }

    /// Seals the run: writes the manifest, and its signature before it, so that what dies in
    /// between leaves a run that can be taken up and sealed again. Nothing can be appended
    /// afterwards.
    ///
    /// # Errors
    /// When the manifest could not be written. A key that fails is no error: see [`Signed`].
    pub fn seal(&mut self, key: Option<&SigningKey>) -> Result<Seal, JournalError> {
        if let Some(reason) = &self.closed {
            return Err(JournalError::Closed {
                reason: reason.clone(),
            });
        }
        self.file
            .sync_all()
            .map_err(|e| JournalError::io("writing", &self.path, e))?;
        let manifest = Manifest {
            format: 1,
            run: manifest::folder_name(&self.dir),
            sealed: format!("{:.3}", self.clock.now()),
            journal: JournalSeal {
                lines: self.lines,
                last: self.last.clone(),
            },
            files: manifest::seal_files(&self.dir)?,
        };
        let mut text = serde_json::to_vec_pretty(&manifest).unwrap_or_default();
        text.push(b'\n');
        let signed = match key.map(|key| (key, key.sign(&text))) {
            None => Signed::No,
            Some((key, Ok(signature))) => {
                self.put_for_good(SIGNATURE_FILE, signature.as_bytes())?;
                Signed::By(key.fingerprint())
            }
            Some((_, Err(error))) => Signed::Failed(error.to_string()),
        };
        self.put_for_good(MANIFEST_FILE, &text)?;
        self.closed = Some("the run is sealed".to_owned());
        Ok(Seal { manifest, signed })
    }

    /// A new file that is on disk, with its name, when this returns.
    fn put_for_good(&self, name: &str, bytes: &[u8]) -> Result<(), JournalError> {
        let path = self.dir.join(name);
        let mut file = self
            .unfinished()
            .map_err(|e| JournalError::io("writing", &path, e))?;
        file.write_all(bytes)
            .and_then(|()| file.as_file().sync_all())
            .and_then(|()| file.persist_noclobber(&path).map_err(|e| e.error))
            .and_then(|_| File::open(&self.dir)?.sync_all())
            .map_err(|e| JournalError::io("writing", &path, e))
    }
}

fn holds(path: &Path, bytes: &[u8]) -> bool {
    let plain = path.symlink_metadata().is_ok_and(|about| about.is_file());
    plain && std::fs::read(path).is_ok_and(|found| found == bytes)
}

fn must_be_on_disk(event: &Event) -> bool {
    match event {
        Event::Drill(event) => super::drill_event::must_be_on_disk(event),
        Event::Patch(event) => super::patch_event::must_be_on_disk(event),
        Event::Chained { .. }
        | Event::Planned { .. }
        | Event::ConfirmArmed { .. }
        | Event::RunEnded { .. } => true,
        _ => false,
    }
}

fn is_reserved(name: &str) -> bool {
    [JOURNAL_FILE, MANIFEST_FILE, SIGNATURE_FILE].contains(&name)
}

/// A file name for any text, e.g. a host's name with `.before.json` after it: letters, digits,
/// `.`, `_`, `-`, at most 128 bytes, never hidden. A text that had to be changed gets eight
/// digits of its hash at the end, so that two hosts never share a file.
pub fn file_name(text: &str) -> String {
    const LONGEST: usize = 128;
    let fit: String = text
        .chars()
        .map(|c| match c {
            'a'..='z' | 'A'..='Z' | '0'..='9' | '.' | '_' | '-' => c,
            _ => '_',
        })
        .collect();
    let hidden = fit.starts_with('.') || fit.is_empty();
    if fit == text && fit.len() <= LONGEST && !hidden {
        return fit;
    }
    let hash = sha256(text.as_bytes());
    let short: String = fit.trim_start_matches('.').chars().take(100).collect();
    format!("{short}_{}", hash.get(..8).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::journal::tests::{clock, note};

    #[test]
    fn the_folder_is_private_and_the_chain_is_over_whole_lines() {
        let state = tempfile::tempdir().unwrap();
        let dir = state.path().join("run");
        let mut writer = JournalWriter::create(&dir, clock()).unwrap();
        let first = writer.append(&note("one")).unwrap();
        let second = writer.append(&note("two")).unwrap();
        assert_eq!(first.prev, NO_FORMER_LINE);
        assert_eq!(first.time, "2026-11-20T07:35:14.000Z");
        let text = std::fs::read_to_string(dir.join(JOURNAL_FILE)).unwrap();
        let lines: Vec<&str> = text.split_inclusive('\n').collect();
        assert_eq!(lines.len(), 2);
        assert_eq!(second.prev, sha256(lines[0].as_bytes()));
        assert_eq!(writer.last_hash(), sha256(lines[1].as_bytes()));
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&dir), 0o700);
        assert_eq!(mode(&dir.join(JOURNAL_FILE)), 0o600);
    }

    #[test]
    fn a_run_is_never_written_over() {
        let state = tempfile::tempdir().unwrap();
        let dir = state.path().join("run");
        let mut writer = JournalWriter::create(&dir, clock()).unwrap();
        assert!(JournalWriter::create(&dir, clock()).is_err());
        writer.put_file("a.json", b"1").unwrap();
        assert!(writer.put_file("a.json", b"2").is_err());
        for name in [
            "../x",
            "journal.jsonl",
            "manifest.json",
            "",
            ".x",
            "a/b",
            "a\n",
        ] {
            assert!(
                matches!(
                    writer.put_file(name, b""),
                    Err(JournalError::BadName { .. })
                ),
                "{name:?}"
            );
        }
        writer.finish().unwrap();
        assert!(matches!(
            writer.append(&note("late")),
            Err(JournalError::Closed { .. })
        ));
    }

    #[test]
    fn file_names_are_fit_and_differ() {
        assert_eq!(file_name("web-1.before.json"), "web-1.before.json");
        assert_ne!(file_name("a/b"), file_name("a:b"));
        assert!(!file_name("../../etc/passwd").contains('/'));
        assert!(!file_name("..").starts_with('.'));
        let long = file_name(&"x".repeat(500));
        assert!(long.len() <= 128);
        for text in ["../..", "", "ü", &"y".repeat(300)] {
            let once = file_name(text);
            assert_eq!(file_name(&once), once);
        }
    }
}

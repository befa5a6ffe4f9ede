//! Taking up the journal of a run whose process has died.

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;

use super::writer::UNFINISHED;
use super::{
    Clock, Event, JOURNAL_FILE, JournalError, JournalReader, JournalWriter, MANIFEST_FILE,
    SIGNATURE_FILE, lock,
};

impl JournalWriter {
    /// Goes on with the journal of a run whose process has died. A torn last line is cut off, and
    /// the first new event (a note) says so; what was left unfinished beside it is removed. Where
    /// there is no whole line at all, `first` gives the one to begin with.
    ///
    /// # Errors
    /// [`JournalError::InUse`] while another process writes it, [`JournalError::Sealed`] where it
    /// has come to its end, and whatever is wrong with its chain.
    pub(super) fn resume<E: From<JournalError>>(
        dir: &Path,
        clock: Arc<dyn Clock>,
        first: impl FnOnce(&mut Self) -> Result<(), E>,
    ) -> Result<Self, E> {
        let path = dir.join(JOURNAL_FILE);
        let file = OpenOptions::new()
            .append(true)
            .custom_flags(libc::O_NOFOLLOW)
            .open(&path)
            .map_err(|e| JournalError::io("opening the journal", &path, e))?;
        lock::hold(&file, &path)?;
        if dir.join(MANIFEST_FILE).symlink_metadata().is_ok() {
            let path = path.display().to_string();
            return Err(JournalError::Sealed { path }.into());
        }
        let mut reader = JournalReader::open(dir)?;
        for record in &mut reader {
            record?;
        }
        let torn = reader.torn().cloned();
        let failed = |e| JournalError::io("writing", &path, e);
        let whole = file.metadata().map_err(failed)?.len();
        let bytes = whole.saturating_sub(torn.as_ref().map_or(0, |torn| torn.bytes));
        if torn.is_some() {
            file.set_len(bytes).map_err(failed)?;
        }
        // What the dead process wrote may be in memory only: from here on it is built upon.
        file.sync_all().map_err(failed)?;
        remove_unfinished(dir)?;
        let mut writer = JournalWriter {
            dir: dir.to_owned(),
            file,
            clock,
            lines: reader.lines(),
            bytes,
            last: reader.last_hash().to_owned(),
            closed: None,
            path,
        };
        if writer.lines == 0 {
            first(&mut writer)?;
        }
        if let Some(torn) = torn {
            writer.append(&Event::Note {
                host: None,
                text: format!(
                    "line {} was torn when the journal was taken up again; its {} bytes were cut \
                     off",
                    torn.line, torn.bytes
                ),
            })?;
        }
        Ok(writer)
    }
}

/// What a process that died was writing; and its signature of a manifest that never came.
fn remove_unfinished(dir: &Path) -> Result<(), JournalError> {
    let entries =
        std::fs::read_dir(dir).map_err(|e| JournalError::io("listing the run's folder", dir, e))?;
    for entry in entries {
        let entry = entry.map_err(|e| JournalError::io("listing the run's folder", dir, e))?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.starts_with(UNFINISHED) || name == SIGNATURE_FILE {
            let path = entry.path();
            std::fs::remove_file(&path).map_err(|e| JournalError::io("removing", &path, e))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;
    use crate::journal::tests::{clock, note};
    use crate::journal::{Signature, Signed, verify, verify_with};
    use crate::sign::SigningKey;

    fn unchained(_: &mut JournalWriter) -> Result<(), JournalError> {
        Ok(())
    }

    fn begun(texts: &[&str]) -> (tempfile::TempDir, std::path::PathBuf) {
        let state = tempfile::tempdir().unwrap();
        let dir = state.path().join("r");
        let mut writer = JournalWriter::create(&dir, clock()).unwrap();
        for text in texts {
            writer.append(&note(text)).unwrap();
        }
        (state, dir)
    }

    fn texts(dir: &Path) -> Vec<String> {
        JournalReader::open(dir)
            .unwrap()
            .map(|record| match record.unwrap().event {
                Event::Note { text, .. } => text,
                other => panic!("{other:?}"),
            })
            .collect()
    }

    #[test]
    fn a_journal_goes_on_where_it_ended() {
        let (_state, dir) = begun(&["a", "b"]);
        let mut writer = JournalWriter::resume(&dir, clock(), unchained).unwrap();
        assert_eq!(writer.append(&note("c")).unwrap().seq, 3);
        writer.finish().unwrap();
        assert_eq!(texts(&dir), ["a", "b", "c"]);
        assert!(verify(&dir).unwrap().is_whole());
    }

    #[test]
    fn a_torn_line_is_cut_off_and_that_is_said() {
        let (_state, dir) = begun(&["a", "b"]);
        let path = dir.join(JOURNAL_FILE);
        let whole = std::fs::read(&path).unwrap();
        // Wherever it was torn, even right before the end of the line.
        for length in 1..whole.len() {
            std::fs::write(&path, &whole[..length]).unwrap();
            let lines = whole[..length].iter().filter(|b| **b == b'\n').count();
            let torn = whole[length - 1] != b'\n';
            let mut writer = JournalWriter::resume(&dir, clock(), unchained).unwrap();
            writer.append(&note("c")).unwrap();
            let told = texts(&dir);
            assert_eq!(told.len(), lines + 1 + usize::from(torn), "{length}");
            if torn {
                assert!(told[lines].contains("was torn"), "{told:?}");
            }
        }
    }

    #[test]
    fn an_empty_journal_can_be_taken_up() {
        let (_state, dir) = begun(&[]);
        let mut writer = JournalWriter::resume(&dir, clock(), unchained).unwrap();
        assert_eq!(writer.append(&note("a")).unwrap().seq, 1);
    }

    #[test]
    fn what_was_changed_is_not_taken_up() {
        let (_state, dir) = begun(&["a", "b"]);
        let path = dir.join(JOURNAL_FILE);
        let text = std::fs::read_to_string(&path).unwrap();
        let changed = text.replace("\"a\"", "\"A\"");
        std::fs::write(&path, &changed).unwrap();
        assert!(matches!(
            JournalWriter::resume(&dir, clock(), unchained),
            Err(JournalError::BrokenLink { line: 2, .. })
        ));
        assert_eq!(std::fs::read_to_string(&path).unwrap(), changed);
    }

    #[test]
    fn a_sealed_run_is_not_taken_up() {
        let (_state, dir) = begun(&["a"]);
        JournalWriter::resume(&dir, clock(), unchained)
            .unwrap()
            .finish()
            .unwrap();
        assert!(matches!(
            JournalWriter::resume(&dir, clock(), unchained),
            Err(JournalError::Sealed { .. })
        ));
    }

    #[test]
    fn two_never_write_one_journal() {
        let state = tempfile::tempdir().unwrap();
        let dir = state.path().join("r");
        let first = JournalWriter::create(&dir, clock()).unwrap();
        let error = JournalWriter::resume(&dir, clock(), unchained)
            .err()
            .unwrap();
        let us = format!("process {} writes", std::process::id());
        assert!(error.to_string().contains(&us), "{error}");
        drop(first);
        let second = JournalWriter::resume(&dir, clock(), unchained).unwrap();
        assert!(matches!(
            JournalWriter::resume(&dir, clock(), unchained),
            Err(JournalError::InUse { .. })
        ));
        drop(second);
        JournalWriter::resume(&dir, clock(), unchained).unwrap();
    }

    #[test]
    fn what_was_left_unfinished_goes_and_what_was_finished_stays() {
        let (_state, dir) = begun(&["a"]);
        {
            let mut writer = JournalWriter::resume(&dir, clock(), unchained).unwrap();
            writer.put_file("web.json", b"abc").unwrap();
        }
        // It died while it wrote a file, and after it had signed a manifest.
        std::fs::write(dir.join(format!("{UNFINISHED}x")), "ab").unwrap();
        std::fs::write(dir.join(SIGNATURE_FILE), "of another manifest").unwrap();
        let mut writer = JournalWriter::resume(&dir, clock(), unchained).unwrap();
        // The same again is no harm; something else is.
        writer.put_file("web.json", b"abc").unwrap();
        assert!(writer.put_file("web.json", b"abd").is_err());
        let key = SigningKey::generate("").unwrap();
        let seal = writer.seal(Some(&key)).unwrap();
        assert_eq!(seal.signed, Signed::By(key.fingerprint()));
        assert_eq!(seal.manifest.files.len(), 2, "{:?}", seal.manifest.files);
        let verified = verify_with(&dir, &key.trusted().unwrap()).unwrap();
        assert!(verified.is_whole(), "{verified:?}");
        assert_eq!(verified.signature, Signature::Good(key.fingerprint()));
    }

    #[test]
    fn rubbish_at_the_end_is_not_taken_for_a_torn_line() {
        let (_state, dir) = begun(&["a"]);
        let path = dir.join(JOURNAL_FILE);
        let mut file = OpenOptions::new().append(true).open(&path).unwrap();
        file.write_all(b"no JSON\n").unwrap();
        assert!(matches!(
            JournalWriter::resume(&dir, clock(), unchained),
            Err(JournalError::NotAnEvent { line: 2, .. })
        ));
    }
}

//! Reading a journal back, and checking its chain on the way.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use super::{JOURNAL_FILE, JournalError, NO_FORMER_LINE, Record, sha256};

/// The longest line that is read. The findings of one host are some hundred kilobytes.
const LONGEST_LINE: u64 = 64 << 20;

/// A last line without its end: the controller died while it wrote. What stands before it holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Torn {
    /// The line's number, from 1.
    pub line: u64,
    /// How many bytes of it there are.
    pub bytes: u64,
}

/// Streams the records of a run. After an error it yields nothing more.
pub struct JournalReader {
    path: PathBuf,
    input: BufReader<File>,
    lines: u64,
    last: String,
    torn: Option<Torn>,
    ended: bool,
}

impl JournalReader {
    /// Opens the journal in a run's folder.
    pub fn open(dir: &Path) -> Result<Self, JournalError> {
        let path = dir.join(JOURNAL_FILE);
        let file =
            File::open(&path).map_err(|e| JournalError::io("opening the journal", &path, e))?;
        Ok(JournalReader {
            path,
            input: BufReader::with_capacity(1 << 16, file),
            lines: 0,
            last: NO_FORMER_LINE.to_owned(),
            torn: None,
            ended: false,
        })
    }

    /// The hash of the last whole line that was read.
    pub fn last_hash(&self) -> &str {
        &self.last
    }

    /// How many whole lines were read.
    pub fn lines(&self) -> u64 {
        self.lines
    }

    /// The torn last line, once the end was reached.
    pub fn torn(&self) -> Option<&Torn> {
        self.torn.as_ref()
    }

    fn read(&mut self) -> Result<Option<Record>, JournalError> {
        let number = self.lines + 1;
        let path = || self.path.display().to_string();
        let mut line = Vec::new();
        (&mut self.input)
            .take(LONGEST_LINE)
            .read_until(b'\n', &mut line)
            .map_err(|e| JournalError::io("reading", &self.path, e))?;
        if line.is_empty() {
            return Ok(None);
        }
        if line.last() != Some(&b'\n') {
            if line.len() as u64 >= LONGEST_LINE {
                return Err(JournalError::TooLong {
                    line: number,
                    path: path(),
                    limit: LONGEST_LINE,
                });
            }
            self.torn = Some(Torn {
                line: number,
                bytes: line.len() as u64,
            });
            return Ok(None);
        }
        let record: Record =
            serde_json::from_slice(&line).map_err(|e| JournalError::NotAnEvent {
                line: number,
                path: path(),
                reason: e.to_string(),
            })?;
        if record.prev != self.last {
            return Err(JournalError::BrokenLink {
                line: number,
                path: path(),
                expected: self.last.clone(),
                found: crate::shell::clean(&record.prev, 64),
            });
        }
        if record.seq != number {
            return Err(JournalError::WrongNumber {
                line: number,
                path: path(),
                found: record.seq,
            });
        }
        self.lines = number;
        self.last = sha256(&line);
        Ok(Some(record))
    }
}

impl Iterator for JournalReader {
    type Item = Result<Record, JournalError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let next = self.read().transpose();
        self.ended = !matches!(next, Some(Ok(_)));
        next
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;
    use crate::journal::JournalWriter;
    use crate::journal::tests::{clock, note};

    fn run_of(texts: &[&str]) -> tempfile::TempDir {
        let state = tempfile::tempdir().unwrap();
        let mut writer = JournalWriter::create(&state.path().join("r"), clock()).unwrap();
        for text in texts {
            writer.append(&note(text)).unwrap();
        }
        state
    }

    fn read_all(state: &tempfile::TempDir) -> (Vec<Record>, Option<JournalError>, Option<Torn>) {
        let mut reader = JournalReader::open(&state.path().join("r")).unwrap();
        let (mut good, mut bad) = (Vec::new(), None);
        for record in &mut reader {
            match record {
                Ok(record) => good.push(record),
                Err(error) => bad = Some(error),
            }
        }
        let torn = reader.torn().cloned();
        (good, bad, torn)
    }

    #[test]
    fn what_was_written_is_read() {
        let state = run_of(&["a", "b", "c"]);
        let (good, bad, torn) = read_all(&state);
        assert!(bad.is_none() && torn.is_none());
        assert_eq!(good.len(), 3);
        assert_eq!(good[2].event, note("c"));
    }

    #[test]
    fn a_torn_last_line_is_told_and_the_rest_used() {
        let state = run_of(&["a", "b"]);
        let path = state.path().join("r").join(JOURNAL_FILE);
        let mut file = std::fs::OpenOptions::new()
            .append(true)
            .open(&path)
            .unwrap();
        file.write_all(b"{\"seq\":3,\"ti").unwrap();
        let (good, bad, torn) = read_all(&state);
        assert!(bad.is_none());
        assert_eq!(good.len(), 2);
        assert_eq!(torn, Some(Torn { line: 3, bytes: 12 }));
    }

    #[test]
    fn a_changed_line_is_named() {
        let state = run_of(&["a", "b", "c"]);
        let path = state.path().join("r").join(JOURNAL_FILE);
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, text.replace("\"b\"", "\"B\"")).unwrap();
        let (good, bad, _) = read_all(&state);
        assert_eq!(good.len(), 2);
        assert!(matches!(
            bad,
            Some(JournalError::BrokenLink { line: 3, .. })
        ));
    }

    #[test]
    fn a_line_taken_out_is_noticed_and_so_is_rubbish() {
        let state = run_of(&["a", "b", "c"]);
        let path = state.path().join("r").join(JOURNAL_FILE);
        let text = std::fs::read_to_string(&path).unwrap();
        let lines: Vec<&str> = text.split_inclusive('\n').collect();
        std::fs::write(&path, [lines[0], lines[2]].concat()).unwrap();
        assert!(matches!(
            read_all(&state).1,
            Some(JournalError::BrokenLink { line: 2, .. })
        ));
        std::fs::write(&path, [lines[0], "no JSON\n"].concat()).unwrap();
        assert!(matches!(
            read_all(&state).1,
            Some(JournalError::NotAnEvent { line: 2, .. })
        ));
    }

    #[test]
    fn a_line_with_a_wrong_number_is_named() {
        let state = run_of(&["a"]);
        let path = state.path().join("r").join(JOURNAL_FILE);
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, text.replace("\"seq\":1", "\"seq\":7")).unwrap();
        assert!(matches!(
            read_all(&state).1,
            Some(JournalError::WrongNumber {
                line: 1,
                found: 7,
                ..
            })
        ));
    }
}

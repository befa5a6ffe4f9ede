//! The manifest: a line of JSON for each entry of an archive, and one that ends it. Kept compressed,
//! so that a million files are some 50 MB of memory. What is read is a stranger's text until it
//! has been found whole.

use std::io::{BufRead, BufReader, Read, Write};
use std::sync::Arc;

use super::path::unescape;
use super::{End, Entry, EntryKind};
use crate::shell::clean;

/// Longest line, in bytes, its newline left out.
pub const LINE: usize = 64 << 10;
/// Most that a manifest takes in memory, compressed, in bytes.
const MEMORY: u64 = 1 << 30;
/// Room for the warnings in the last line, in bytes.
const WARNINGS: usize = 48 << 10;

#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    #[error("reading the manifest: {0}")]
    Io(#[from] std::io::Error),
    #[error("the manifest's line {line} {wrong}")]
    Line { line: u64, wrong: String },
    #[error("the manifest {0}")]
    Whole(String),
}

/// The manifest of a whole archive, in memory.
#[derive(Clone, Default)]
pub struct Manifest {
    lines: Arc<Vec<u8>>,
    length: u64,
    end: End,
}

impl std::fmt::Debug for Manifest {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        f.debug_struct("Manifest")
            .field("length", &self.length)
            .field("end", &self.end)
            .finish_non_exhaustive()
    }
}

impl Manifest {
    /// Reads a manifest to its end, and checks each line and the sums.
    ///
    /// # Errors
    /// When it can't be read, is cut off, has a line that is too long or none of ours, or does not
    /// hold what its last line says.
    pub fn read(input: impl Read) -> Result<Self, ManifestError> {
        let mut input = BufReader::with_capacity(LINE, input);
        let mut writer = ManifestWriter::new();
        // The last line is known as such only when nothing follows.
        let mut held: Option<Vec<u8>> = None;
        let mut line = Vec::new();
        let mut number = 0;
        while read_line(&mut input, &mut line, number + 1)? {
            if let Some(before) = &held {
                writer.push(&entry(before, number)?)?;
            }
            number += 1;
            std::mem::swap(held.get_or_insert_default(), &mut line);
        }
        let Some(last) = held else {
            return Err(ManifestError::Whole("is empty".to_owned()));
        };
        let end: End = serde_json::from_slice(&last).map_err(|_| {
            ManifestError::Whole("is cut off: its last line is not the one that ends it".to_owned())
        })?;
        let (entries, bytes) = (writer.entries, writer.bytes);
        if (end.entries, end.bytes) != (entries, bytes) {
            return Err(ManifestError::Whole(format!(
                "says {} entries with {} bytes, and has {entries} with {bytes}",
                end.entries, end.bytes
            )));
        }
        writer.close(end)
    }

    /// Each entry, in the order of the archive.
    pub fn entries(&self) -> Entries<'_> {
        Entries {
            left: self.end.entries,
            number: 0,
            line: Vec::new(),
            input: zstd::Decoder::with_buffer(self.lines.as_slice())
                .ok()
                .map(|decoder| BufReader::with_capacity(LINE, decoder)),
        }
    }

    pub fn end(&self) -> &End {
        &self.end
    }

    /// Of the text, in bytes.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// Writes the text, as it stands in an archive; [`Manifest::read`] reads it again.
    pub fn write_to(&self, mut out: impl Write) -> std::io::Result<()> {
        if self.lines.is_empty() {
            return Ok(());
        }
        let mut decoder = zstd::Decoder::with_buffer(self.lines.as_slice())?;
        std::io::copy(&mut decoder, &mut out).map(|_| ())
    }
}

/// One line without its newline. `false`: nothing is left.
fn read_line(
    input: &mut impl BufRead,
    line: &mut Vec<u8>,
    number: u64,
) -> Result<bool, ManifestError> {
    line.clear();
    let mut bounded = input.take(LINE as u64 + 1);
    if bounded.read_until(b'\n', line)? == 0 {
        return Ok(false);
    }
    if line.pop() == Some(b'\n') {
        return Ok(true);
    }
    Err(ManifestError::Line {
        line: number,
        wrong: if line.len() >= LINE {
            format!("is longer than {LINE} bytes")
        } else {
            "is cut off".to_owned()
        },
    })
}

fn entry(line: &[u8], number: u64) -> Result<Entry, ManifestError> {
    let wrong = |wrong: String| ManifestError::Line {
        line: number,
        wrong,
    };
    let entry: Entry = serde_json::from_slice(line)
        .map_err(|error| wrong(format!("is no entry: {}", clean(&error.to_string(), 200))))?;
    check(&entry).map_err(|text| wrong(format!("{text} ({})", clean(&entry.path, 100))))?;
    Ok(entry)
}

/// Whether an entry says what its kind must say, and nothing else.
fn check(entry: &Entry) -> Result<(), &'static str> {
    let path = unescape(&entry.path).ok_or("has a path that is not escaped as ours are")?;
    if path.is_empty() || path.contains(&0) {
        return Err("has an impossible path");
    }
    if entry.mode > 0o7777 {
        return Err("has an impossible mode");
    }
    let has_bytes = matches!(entry.kind, EntryKind::File | EntryKind::Stream);
    let is_link = matches!(entry.kind, EntryKind::Symlink | EntryKind::Hardlink);
    match &entry.sha256 {
        Some(hash) if has_bytes => {
            let digit = |b: u8| matches!(b, b'0'..=b'9' | b'a'..=b'f');
            if hash.len() != 64 || !hash.bytes().all(digit) {
                return Err("has a hash that is none");
            }
        }
        None if !has_bytes => {}
        _ => return Err("has a hash and no bytes, or bytes and no hash"),
    }
    if entry.size > 0 && !has_bytes {
        return Err("has a size and no bytes");
    }
    match &entry.link {
        Some(link) if is_link => match unescape(link) {
            Some(link) if !link.is_empty() && !link.contains(&0) => Ok(()),
            _ => Err("has an impossible link"),
        },
        None if !is_link => Ok(()),
        _ => Err("is a link that points nowhere, or points somewhere and is none"),
    }
}

/// Reads a manifest's entries one by one.
pub struct Entries<'a> {
    left: u64,
    number: u64,
    line: Vec<u8>,
    input: Option<BufReader<zstd::Decoder<'static, &'a [u8]>>>,
}

impl Iterator for Entries<'_> {
    type Item = Result<Entry, ManifestError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        self.number += 1;
        let next = match &mut self.input {
            Some(input) => read_line(input, &mut self.line, self.number),
            None => Ok(false),
        };
        let next = next.and_then(|there| match there {
            true => entry(&self.line, self.number),
            false => Err(ManifestError::Whole("is cut off in memory".to_owned())),
        });
        if next.is_err() {
            self.left = 0;
        }
        Some(next)
    }
}

/// Makes a manifest while its archive is made.
pub struct ManifestWriter {
    /// `None` only after it could not be made, which [`ManifestWriter::push`] then says.
    out: Option<zstd::Encoder<'static, Vec<u8>>>,
    length: u64,
    entries: u64,
    bytes: u64,
}

impl Default for ManifestWriter {
    fn default() -> Self {
        Self::new()
    }
}

impl ManifestWriter {
    pub fn new() -> Self {
        ManifestWriter {
            out: zstd::Encoder::new(Vec::new(), 1).ok(),
            length: 0,
            entries: 0,
            bytes: 0,
        }
    }

    /// # Errors
    /// When the entry is one that no reader would take, or there are too many.
    pub fn push(&mut self, entry: &Entry) -> Result<(), ManifestError> {
        self.entries += 1;
        let wrong = |line, wrong: &str| ManifestError::Line {
            line,
            wrong: format!("{wrong} ({})", clean(&entry.path, 100)),
        };
        check(entry).map_err(|text| wrong(self.entries, text))?;
        self.bytes = self
            .bytes
            .checked_add(entry.size)
            .ok_or_else(|| wrong(self.entries, "has an impossible size"))?;
        let line = serde_json::to_vec(entry).map_err(std::io::Error::from)?;
        if line.len() > LINE {
            return Err(wrong(self.entries, "is too long: its path or link is"));
        }
        self.line(&line)
    }

    fn line(&mut self, line: &[u8]) -> Result<(), ManifestError> {
        let out = self
            .out
            .as_mut()
            .ok_or_else(|| std::io::Error::other("no memory to compress it"))?;
        out.write_all(line)?;
        out.write_all(b"\n")?;
        self.length += line.len() as u64 + 1;
        if out.get_ref().len() as u64 > MEMORY {
            return Err(ManifestError::Whole(format!(
                "takes more than {} MiB of memory: make a source of fewer files",
                MEMORY >> 20
            )));
        }
        Ok(())
    }

    /// Entries and their bytes until now.
    pub fn so_far(&self) -> (u64, u64) {
        (self.entries, self.bytes)
    }

    /// Writes the last line, and gives the whole. Warnings that have no room in it are counted.
    pub fn finish(self, warnings: &[String]) -> Result<Manifest, ManifestError> {
        let mut kept = Vec::new();
        let mut room = WARNINGS;
        for (index, warning) in warnings.iter().enumerate() {
            let warning = clean(warning, 500);
            // In JSON, a quote or a backslash is two bytes.
            match room.checked_sub(warning.len() * 2 + 3) {
                Some(left) => room = left,
                None => {
                    kept.push(format!("and {} more", warnings.len() - index));
                    break;
                }
            }
            kept.push(warning);
        }
        let end = End {
            entries: self.entries,
            bytes: self.bytes,
            warnings: kept,
        };
        self.close(end)
    }

    fn close(mut self, end: End) -> Result<Manifest, ManifestError> {
        let line = serde_json::to_vec(&end).map_err(std::io::Error::from)?;
        self.line(&line)?;
        let lines = match self.out {
            Some(out) => out.finish()?,
            None => Vec::new(),
        };
        Ok(Manifest {
            lines: Arc::new(lines),
            length: self.length,
            end,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::path::escape;
    use super::*;

    fn file(path: &str) -> Entry {
        Entry {
            path: path.to_owned(),
            kind: EntryKind::File,
            mode: 0o644,
            uid: 0,
            gid: 0,
            mtime: 1,
            size: 3,
            sha256: Some("ab".repeat(32)),
            link: None,
        }
    }

    fn text(manifest: &Manifest) -> Vec<u8> {
        let mut out = Vec::new();
        manifest.write_to(&mut out).unwrap();
        out
    }

    fn two() -> Manifest {
        let mut writer = ManifestWriter::new();
        writer.push(&file("a")).unwrap();
        writer.push(&file("b")).unwrap();
        writer.finish(&["odd".to_owned()]).unwrap()
    }

    #[test]
    fn what_is_not_whole_is_refused() {
        let whole = text(&two());
        assert!(Manifest::read(whole.as_slice()).is_ok());
        for cut in 0..whole.len() {
            assert!(Manifest::read(&whole[..cut]).is_err(), "cut at {cut}");
        }
        let lines: Vec<&[u8]> = whole.split_inclusive(|b| *b == b'\n').collect();
        for wrong in [
            [lines[0], lines[2]].concat(),
            [lines[0], lines[0], lines[1], lines[2]].concat(),
            [lines[0], lines[1], lines[2], lines[2]].concat(),
            [lines[0], lines[1], lines[2], b"\n"].concat(),
        ] {
            assert!(Manifest::read(wrong.as_slice()).is_err());
        }
    }

    #[test]
    fn a_line_without_end_takes_no_memory() {
        let endless = std::io::repeat(b'a').take(1 << 40);
        let error = Manifest::read(endless).unwrap_err().to_string();
        assert!(error.contains("longer than 65536"), "{error}");
    }

    #[test]
    fn entries_that_contradict_themselves_are_refused() {
        let wrong = |change: fn(&mut Entry)| {
            let mut entry = file("a");
            change(&mut entry);
            ManifestWriter::new().push(&entry).unwrap_err().to_string()
        };
        assert!(wrong(|e| e.sha256 = None).contains("no hash"));
        assert!(wrong(|e| e.sha256 = Some("AB".repeat(32))).contains("hash that is none"));
        assert!(wrong(|e| e.kind = EntryKind::Directory).contains("hash and no bytes"));
        assert!(wrong(|e| e.link = Some("b".to_owned())).contains("is none"));
        assert!(wrong(|e| e.path = r"\x41".to_owned()).contains("not escaped"));
        assert!(wrong(|e| e.path = String::new()).contains("impossible path"));
        assert!(wrong(|e| e.path = "a".repeat(LINE)).contains("too long"));
        assert!(wrong(|e| e.mode = 0o10000).contains("mode"));
    }

    #[test]
    fn many_warnings_fit_into_the_last_line() {
        let warnings = vec!["\"é\\".repeat(300); 5000];
        let manifest = ManifestWriter::new().finish(&warnings).unwrap();
        let again = Manifest::read(text(&manifest).as_slice()).unwrap();
        let last = again.end().warnings.last().unwrap();
        assert!(
            last.starts_with("and ") && last.ends_with(" more"),
            "{last}"
        );
    }

    fn any_entry() -> impl Strategy<Value = Entry> {
        let name = || proptest::collection::vec(1_u8.., 1..30).prop_map(|name| escape(&name));
        let kind = prop_oneof![
            Just(EntryKind::File),
            Just(EntryKind::Directory),
            Just(EntryKind::Symlink),
            Just(EntryKind::Hardlink),
            Just(EntryKind::Stream),
        ];
        let numbers = (0_u32..=0o7777, any::<u32>(), any::<i64>(), 0_u64..1 << 50);
        (name(), name(), kind, numbers, any::<[u8; 32]>()).prop_map(
            |(path, link, kind, (mode, uid, mtime, size), hash)| {
                let has_bytes = matches!(kind, EntryKind::File | EntryKind::Stream);
                let is_link = matches!(kind, EntryKind::Symlink | EntryKind::Hardlink);
                Entry {
                    path,
                    kind,
                    mode,
                    uid,
                    gid: uid,
                    mtime,
                    size: if has_bytes { size } else { 0 },
                    sha256: has_bytes.then(|| crate::model::hex(&hash)),
                    link: is_link.then_some(link),
                }
            },
        )
    }

    proptest! {
        #[test]
        fn what_was_pushed_is_read_again(
            entries in proptest::collection::vec(any_entry(), 0..20),
            warnings in proptest::collection::vec(".{0,20}", 0..3),
        ) {
            let mut writer = ManifestWriter::new();
            for entry in &entries {
                writer.push(entry).unwrap();
            }
            let made = writer.finish(&warnings).unwrap();
            let bytes = text(&made);
            prop_assert_eq!(bytes.len() as u64, made.length());
            let again = Manifest::read(bytes.as_slice()).unwrap();
            prop_assert_eq!(again.end(), made.end());
            prop_assert_eq!(again.length(), made.length());
            let read: Vec<Entry> = again.entries().collect::<Result<_, _>>().unwrap();
            prop_assert_eq!(read, entries);
        }

        #[test]
        fn a_strangers_bytes_are_an_error_and_no_more(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            prop_assert!(Manifest::read(bytes.as_slice()).is_err());
        }

        #[test]
        fn a_changed_byte_never_panics(at in any::<prop::sample::Index>(), to in any::<u8>()) {
            let mut bytes = text(&two());
            let at = at.index(bytes.len());
            bytes[at] = to;
            if let Ok(manifest) = Manifest::read(bytes.as_slice()) {
                prop_assert!(manifest.entries().all(|entry| entry.is_ok()));
            }
        }
    }
}

use super::*;
use crate::backup::archive::{End, Kind};
use crate::model::sha256_hex;

fn header() -> ArchiveHeader {
    ArchiveHeader {
        format: 1,
        version: "0".to_owned(),
        policy: "p".to_owned(),
        source: "s".to_owned(),
        kind: Kind::Directories,
        data_time: "2026-11-20T02:30:00.123Z".to_owned(),
        stream: None,
        canary: None,
    }
}

/// A file that does what its steps say: gives so many bytes, or fails.
struct Told(Vec<io::Result<usize>>);

impl Read for Told {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.0.is_empty() {
            return Ok(0);
        }
        match self.0.remove(0) {
            Ok(there) => {
                let now = there.min(buffer.len());
                buffer[..now].fill(b'x');
                if there > now {
                    self.0.insert(0, Ok(there - now));
                }
                Ok(now)
            }
            Err(error) => Err(error),
        }
    }
}

/// Writes one file, and reads the archive with another reader.
fn one(announced: u64, steps: Vec<io::Result<usize>>) -> (Stored, Vec<u8>, Entry) {
    let progress = Progress::default();
    let mut writer = ArchiveWriter::new(Vec::new(), &header(), 0, &progress).unwrap();
    let stored = writer
        .file(b"d/f", Meta::default(), announced, &mut Told(steps))
        .unwrap();
    let (bytes, manifest) = writer.finish(0, &[]).unwrap();
    let entry = manifest.entries().next().unwrap().unwrap();
    let mut archive = tar::Archive::new(bytes.as_slice());
    let mut content = Vec::new();
    let mut names = Vec::new();
    for entry in archive.entries().unwrap() {
        let mut entry = entry.unwrap();
        let name = String::from_utf8(entry.path_bytes().into_owned()).unwrap();
        if name == "d/f" {
            entry.read_to_end(&mut content).unwrap();
        }
        names.push(name);
    }
    assert_eq!(names, [HEADER, "d/f", MANIFEST]);
    // Whatever happened, the manifest has what is in the archive.
    assert_eq!(entry.size, content.len() as u64);
    assert_eq!(entry.sha256.as_deref(), Some(sha256_hex(&content).as_str()));
    assert_eq!(stored.size, content.len() as u64);
    assert_eq!(progress.bytes.load(Ordering::Relaxed), stored.read);
    (stored, content, entry)
}

#[test]
fn a_file_is_kept_whatever_its_size() {
    for size in [
        0,
        1,
        511,
        512,
        513,
        BUFFER - 1,
        BUFFER,
        BUFFER + 1,
        3 * BUFFER + 7,
    ] {
        let (stored, content, _) = one(size as u64, vec![Ok(size)]);
        assert_eq!(content, vec![b'x'; size]);
        assert_eq!(stored.read, size as u64);
        assert!(!stored.cut && stored.error.is_none(), "{size}");
    }
}

#[test]
fn a_small_file_that_changes_is_kept_as_it_was_read() {
    let (stored, content, _) = one(10, vec![Ok(4)]);
    assert_eq!((content.len(), stored.cut), (4, false));
    let (stored, content, _) = one(10, vec![Ok(4), Ok(5000)]);
    assert_eq!((content.len(), stored.cut), (5004, false));
}

#[test]
fn a_large_file_that_shrinks_is_filled_with_zeros_and_said_so() {
    let (stored, content, _) = one(5 * BUFFER as u64, vec![Ok(2 * BUFFER + 3)]);
    assert_eq!(content.len(), 5 * BUFFER);
    assert_eq!(stored.read, 2 * BUFFER as u64 + 3);
    assert!(content[2 * BUFFER + 3..].iter().all(|b| *b == 0));
    assert!(!stored.cut);
}

#[test]
fn a_large_file_that_grows_is_cut_and_said_so() {
    for more in [1, 100, BUFFER, 10 * BUFFER] {
        for announced in [2 * BUFFER, 2 * BUFFER + 5] {
            let (stored, content, _) = one(announced as u64, vec![Ok(announced + more)]);
            assert_eq!(content.len(), announced);
            assert!(stored.cut, "{announced} and {more}");
        }
    }
}

#[test]
fn a_file_that_fails_in_the_middle_says_so() {
    let broken = || Err(io::Error::from_raw_os_error(libc::EIO));
    // (A step of nothing would be the file's end.)
    for before in [1, 10, BUFFER, 2 * BUFFER + 1] {
        let (stored, content, _) = one(3 * BUFFER as u64, vec![Ok(before), broken()]);
        assert_eq!(stored.read, before as u64);
        assert_eq!(content.len(), 3 * BUFFER);
        assert!(stored.error.is_some(), "after {before}");
    }
}

#[test]
fn a_stream_is_its_parts_joined() {
    for size in [0, 1, PART - 1, PART, PART + 1, 2 * PART] {
        let progress = Progress::default();
        let mut writer = ArchiveWriter::new(Vec::new(), &header(), 0, &progress).unwrap();
        let mut told = Told(vec![Ok(size)]);
        assert_eq!(writer.stream("a.dump", 0, &mut told).unwrap(), size as u64);
        let (bytes, manifest) = writer.finish(0, &[]).unwrap();
        let mut joined = 0;
        let mut parts = Vec::new();
        for entry in tar::Archive::new(bytes.as_slice()).entries().unwrap() {
            let mut entry = entry.unwrap();
            let name = String::from_utf8(entry.path_bytes().into_owned()).unwrap();
            if name.starts_with("stream/") {
                assert!(entry.size() <= PART as u64);
                joined += io::copy(&mut entry, &mut io::sink()).unwrap();
                parts.push(name);
            }
        }
        assert_eq!(joined, size as u64);
        assert_eq!(parts.len(), size.div_ceil(PART).max(1));
        assert!(parts.is_sorted());
        let entry = manifest.entries().next().unwrap().unwrap();
        assert_eq!(entry.sha256, Some(sha256_hex(&vec![b'x'; size])));
        assert_eq!((entry.path.as_str(), entry.size), ("a.dump", size as u64));
    }
}

#[test]
fn a_stream_that_fails_fails_the_archive() {
    let progress = Progress::default();
    let mut writer = ArchiveWriter::new(Vec::new(), &header(), 0, &progress).unwrap();
    let mut told = Told(vec![Ok(100), Err(io::Error::other("gone"))]);
    let error = writer.stream("a", 0, &mut told).unwrap_err();
    assert!(matches!(error, WriteError::Source(_)), "{error}");
}

#[test]
fn a_wish_to_stop_is_heard() {
    let progress = Progress::default();
    let mut writer = ArchiveWriter::new(Vec::new(), &header(), 0, &progress).unwrap();
    progress.stop();
    let file = writer.file(b"f", Meta::default(), 0, &mut Told(vec![]));
    assert!(matches!(file, Err(WriteError::Stopped)));
}

#[test]
fn links_and_directories_are_in_the_manifest_with_their_names() {
    let progress = Progress::default();
    let mut writer = ArchiveWriter::new(Vec::new(), &header(), 0, &progress).unwrap();
    writer.directory(b"d", Meta::default()).unwrap();
    writer
        .symlink(b"d/\xff", b"../\\x", Meta::default())
        .unwrap();
    writer.hardlink(b"d/h", b"d/f", Meta::default()).unwrap();
    let (_, manifest) = writer.finish(0, &["odd".to_owned()]).unwrap();
    let all: Vec<Entry> = manifest.entries().map(Result::unwrap).collect();
    assert_eq!(all[0].path, "d");
    assert_eq!(all[1].path, r"d/\xff");
    assert_eq!(all[1].link.as_deref(), Some(r"../\\x"));
    assert_eq!(all[2].kind, EntryKind::Hardlink);
    let end = End {
        entries: 3,
        bytes: 0,
        warnings: vec!["odd".to_owned()],
    };
    assert_eq!(manifest.end(), &end);
}

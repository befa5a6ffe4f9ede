//! Archives that are whole, and every way in which they are not.

mod attacks;
mod comparing;
mod damage;
mod forms;
mod relaying;
mod whole;

use std::fs;
use std::path::{Path, PathBuf};

use super::*;
use crate::backup::archive::write::ArchiveWriter;
use crate::backup::archive::{ArchiveHeader, HEADER, Kind, MANIFEST, Meta};
use crate::backup::testing::blobs::{Given, keys, sealed, stranger, zstd};

/// A directory to restore into, and nothing beside it.
struct Target {
    parent: tempfile::TempDir,
}

impl Target {
    fn new() -> Self {
        Target {
            parent: tempfile::tempdir().expect("a temporary directory"),
        }
    }

    fn goal(&self) -> PathBuf {
        self.parent.path().join("restored")
    }

    /// What lies beside where it is restored, and itself.
    fn left(&self) -> Vec<String> {
        names(self.parent.path())
    }

    fn restore_with(&self, bytes: Vec<u8>, limits: &Limits) -> Result<Restored, RestoreError> {
        let progress = Progress::default();
        directory(
            Given::boxed(bytes),
            &keys().0,
            &self.goal(),
            limits,
            &progress,
        )
    }

    fn restore(&self, bytes: Vec<u8>) -> Result<Restored, RestoreError> {
        self.restore_with(bytes, &Limits::default())
    }
}

fn names(directory: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(directory)
        .expect("a directory can be listed")
        .map(|entry| {
            entry
                .expect("an entry")
                .file_name()
                .to_string_lossy()
                .into_owned()
        })
        .collect();
    names.sort();
    names
}

/// Restores what must be refused, and gives back why. Nothing may be left of it.
fn refusal(bytes: Vec<u8>) -> String {
    refusal_with(bytes, &Limits::default())
}

fn refusal_with(bytes: Vec<u8>, limits: &Limits) -> String {
    let target = Target::new();
    let said = match target.restore_with(bytes, limits) {
        Ok(restored) => panic!("it was restored: {restored:?}"),
        Err(error) => error.to_string(),
    };
    assert_eq!(target.left(), [""; 0], "{said}");
    assert!(!said.contains(|c: char| c.is_control()), "{said:?}");
    said
}

fn header_of(kind: Kind, stream: Option<&str>) -> ArchiveHeader {
    ArchiveHeader {
        format: 1,
        version: "0.1.0".into(),
        policy: "site".into(),
        source: "files".into(),
        kind,
        data_time: "2026-11-20T02:30:00.123Z".into(),
        stream: stream.map(str::to_owned),
        canary: None,
    }
}

/// An attribute set that whoever runs the tests may give.
fn meta(mode: u32) -> Meta {
    let (uid, gid) = crate::backup::archive::beneath::us();
    Meta {
        mode,
        uid,
        gid,
        mtime: 1_700_000_000,
    }
}

/// The plaintext of an archive of ours.
fn ours(fill: impl FnOnce(&mut ArchiveWriter<Vec<u8>>)) -> Vec<u8> {
    let progress = Progress::default();
    let header = header_of(Kind::Directories, None);
    let mut writer = ArchiveWriter::new(Vec::new(), &header, 0, &progress).expect("memory");
    fill(&mut writer);
    writer.finish(0, &[]).expect("memory").0
}

fn our_stream(bytes: &[u8]) -> Vec<u8> {
    let progress = Progress::default();
    let header = header_of(Kind::Command, Some("app.dump"));
    let mut writer = ArchiveWriter::new(Vec::new(), &header, 0, &progress).expect("memory");
    writer
        .stream("app.dump", 7, &mut { bytes })
        .expect("memory");
    writer.finish(0, &[]).expect("memory").0
}

/// A small archive of ours with one of each kind.
fn sample() -> Vec<u8> {
    ours(|w| {
        w.directory(b"d", meta(0o750)).expect("memory");
        let mut file = |path: &[u8], bytes: &[u8]| {
            w.file(path, meta(0o640), bytes.len() as u64, &mut { bytes })
                .expect("memory");
        };
        file(b"d/small", b"small");
        file(b"d/large", &noise(3_000_000));
        file(b"d/empty", b"");
        w.symlink(b"d/link", b"small", meta(0o777)).expect("memory");
        w.hardlink(b"d/hard", b"d/small", meta(0o640))
            .expect("memory");
    })
}

/// Bytes that do not compress and do not repeat.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 1u64;
    (0..length)
        .map(|_| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (state >> 56) as u8
        })
        .collect()
}

/// As it lies in a store.
fn packed(plain: &[u8]) -> Vec<u8> {
    sealed(&zstd(plain))
}

/// One header of a tar archive, as an attacker writes it.
fn block(name: &[u8], kind: u8, size: u64, link: &[u8]) -> Vec<u8> {
    let mut header = tar::Header::new_gnu();
    let raw = header.as_mut_bytes();
    raw[..name.len()].copy_from_slice(name);
    raw[157..157 + link.len()].copy_from_slice(link);
    header.set_entry_type(tar::EntryType::new(kind));
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(1_700_000_000);
    header.set_size(size);
    header.set_cksum();
    header.as_bytes().to_vec()
}

fn file_of(name: &[u8], data: &[u8]) -> Vec<u8> {
    let mut bytes = block(name, b'0', data.len() as u64, b"");
    bytes.extend_from_slice(data);
    bytes.resize(bytes.len().next_multiple_of(512), 0);
    bytes
}

/// A tar of these members, with its end mark.
fn tar_of(members: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = members.concat();
    bytes.resize(bytes.len() + 1024, 0);
    bytes
}

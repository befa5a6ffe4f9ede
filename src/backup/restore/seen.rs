//! What an archive held, kept small until its manifest comes at the end, and the comparison of the
//! two.

use std::io::{self, BufReader, Read, Write};

use crate::backup::archive::read::shown;
use crate::backup::archive::{Entry, EntryKind, Manifest, unescape};
use crate::model::hex;

/// Differences that are told one by one.
const TOLD: usize = 100;

/// One thing that was in the archive.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Thing {
    pub path: Vec<u8>,
    pub kind: Option<EntryKind>,
    pub mode: u32,
    pub uid: u32,
    pub gid: u32,
    pub mtime: i64,
    pub size: u64,
    pub link: Vec<u8>,
    /// `None`: was not computed.
    pub hash: Option<[u8; 32]>,
}

/// All things that were there, in order, compressed.
pub(super) struct Seen {
    out: zstd::Encoder<'static, Vec<u8>>,
    count: u64,
    record: Vec<u8>,
}

impl Seen {
    pub fn new() -> io::Result<Self> {
        Ok(Seen {
            out: zstd::Encoder::new(Vec::new(), 1)?,
            count: 0,
            record: Vec::new(),
        })
    }

    pub fn push(&mut self, thing: &Thing) -> io::Result<()> {
        let record = &mut self.record;
        record.clear();
        record.push(number_of(thing.kind));
        for number in [thing.mode, thing.uid, thing.gid] {
            record.extend_from_slice(&number.to_le_bytes());
        }
        record.extend_from_slice(&thing.mtime.to_le_bytes());
        record.extend_from_slice(&thing.size.to_le_bytes());
        for text in [&thing.path, &thing.link] {
            record.extend_from_slice(&(text.len() as u32).to_le_bytes());
            record.extend_from_slice(text);
        }
        record.push(u8::from(thing.hash.is_some()));
        record.extend_from_slice(&thing.hash.unwrap_or_default());
        self.count += 1;
        self.out.write_all(record)
    }

    /// Where this differs from the manifest, in words. Empty: they agree in everything.
    pub fn differences(self, manifest: &Manifest) -> io::Result<Vec<String>> {
        let count = self.count;
        let bytes = self.out.finish()?;
        let mut things = BufReader::new(zstd::Decoder::with_buffer(bytes.as_slice())?);
        let mut told = Told::default();
        if count != manifest.end().entries {
            told.add(format!(
                "it holds {count} entries, and its manifest lists {}",
                manifest.end().entries
            ));
        }
        let mut left = count;
        for entry in manifest.entries() {
            let entry = entry.map_err(io::Error::other)?;
            let Some(next) = left.checked_sub(1) else {
                told.add(format!("{} is missing", entry.path));
                continue;
            };
            left = next;
            let thing = read(&mut things)?;
            if let Some(text) = difference(&thing, &entry) {
                told.add(text);
            }
        }
        for _ in 0..left {
            let thing = read(&mut things)?;
            told.add(format!("{} is not in the manifest", shown(&thing.path)));
        }
        Ok(told.finish())
    }
}

/// The first hundred, and how many there are.
#[derive(Default)]
pub(super) struct Told {
    texts: Vec<String>,
    more: u64,
}

impl Told {
    pub fn add(&mut self, text: String) {
        if self.texts.len() < TOLD {
            self.texts.push(crate::shell::clean(&text, 500));
        } else {
            self.more += 1;
        }
    }

    pub fn finish(mut self) -> Vec<String> {
        if self.more > 0 {
            self.texts.push(format!("and {} more", self.more));
        }
        self.texts
    }
}

/// How a thing differs from its entry, if it does. Pure.
pub(super) fn difference(thing: &Thing, entry: &Entry) -> Option<String> {
    let path = unescape(&entry.path).unwrap_or_default();
    if thing.path != path {
        return Some(format!(
            "{} stands where the manifest has {}",
            shown(&thing.path),
            entry.path
        ));
    }
    let mut wrong = Vec::new();
    let mut check = |what: &str, is: String, should: String| {
        if is != should {
            wrong.push(format!("{what} is {is}, in the manifest {should}"));
        }
    };
    check("its kind", word(thing.kind), word(Some(entry.kind)));
    if entry.kind != EntryKind::Stream {
        check(
            "its mode",
            format!("{:04o}", thing.mode),
            format!("{:04o}", entry.mode),
        );
        check(
            "its owner",
            format!("{}:{}", thing.uid, thing.gid),
            format!("{}:{}", entry.uid, entry.gid),
        );
        check("its time", thing.mtime.to_string(), entry.mtime.to_string());
    }
    check("its size", thing.size.to_string(), entry.size.to_string());
    let link = entry.link.as_deref().and_then(unescape).unwrap_or_default();
    check("its link", shown(&thing.link), shown(&link));
    if let (Some(hash), Some(should)) = (&thing.hash, &entry.sha256) {
        check("its SHA-256", hex(hash), should.clone());
    }
    if wrong.is_empty() && thing.link != link {
        wrong.push("its link is another one".into());
    }
    (!wrong.is_empty()).then(|| format!("{}: {}", entry.path, wrong.join("; ")))
}

pub(super) fn word(kind: Option<EntryKind>) -> String {
    match kind {
        Some(EntryKind::File) => "a file",
        Some(EntryKind::Directory) => "a directory",
        Some(EntryKind::Symlink) => "a symbolic link",
        Some(EntryKind::Hardlink) => "a hard link",
        Some(EntryKind::Stream) => "a stream",
        None => "something else",
    }
    .into()
}

fn number_of(kind: Option<EntryKind>) -> u8 {
    match kind {
        None => 0,
        Some(EntryKind::File) => 1,
        Some(EntryKind::Directory) => 2,
        Some(EntryKind::Symlink) => 3,
        Some(EntryKind::Hardlink) => 4,
        Some(EntryKind::Stream) => 5,
    }
}

/// One record of our own memory.
fn read(from: &mut impl Read) -> io::Result<Thing> {
    let kind = match bytes::<1>(from)? {
        [1] => Some(EntryKind::File),
        [2] => Some(EntryKind::Directory),
        [3] => Some(EntryKind::Symlink),
        [4] => Some(EntryKind::Hardlink),
        [5] => Some(EntryKind::Stream),
        _ => None,
    };
    let mut small = || Ok::<_, io::Error>(u32::from_le_bytes(bytes(from)?));
    let (mode, uid, gid) = (small()?, small()?, small()?);
    let mtime = i64::from_le_bytes(bytes(from)?);
    let size = u64::from_le_bytes(bytes(from)?);
    let mut text = || {
        let length = u32::from_le_bytes(bytes(from)?);
        let mut text = vec![0; length as usize];
        from.read_exact(&mut text)?;
        Ok::<_, io::Error>(text)
    };
    let (path, link) = (text()?, text()?);
    let has_hash = bytes::<1>(from)? == [1];
    let hash = bytes::<32>(from)?;
    Ok(Thing {
        path,
        kind,
        mode,
        uid,
        gid,
        mtime,
        size,
        link,
        hash: has_hash.then_some(hash),
    })
}

fn bytes<const N: usize>(from: &mut impl Read) -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    from.read_exact(&mut bytes)?;
    Ok(bytes)
}

//! What a tar stream may be, and what it may not.

use proptest::prelude::*;

use super::fields::time;
use super::*;

/// A stream in pieces of one size.
struct Cut {
    bytes: Bytes,
    size: usize,
}

impl Pieces for Cut {
    fn next_piece(&mut self) -> io::Result<Option<Bytes>> {
        if self.bytes.is_empty() {
            return Ok(None);
        }
        let size = self.size.min(self.bytes.len());
        Ok(Some(self.bytes.split_to(size)))
    }
}

type Read = (Vec<(Member, Vec<u8>)>, Option<String>);

/// All members with their data, and why it ended early.
fn read(bytes: &[u8], size: usize) -> Read {
    let mut tar = TarReader::new(Cut {
        bytes: Bytes::copy_from_slice(bytes),
        size,
    });
    let mut all = Vec::new();
    loop {
        let member = match tar.next_member() {
            Ok(Some(member)) => member,
            Ok(None) => return (all, None),
            Err(error) => return (all, Some(error.to_string())),
        };
        let mut data = Vec::new();
        loop {
            match tar.piece() {
                Ok(Some(piece)) => data.extend_from_slice(&piece),
                Ok(None) => break,
                Err(error) => return (all, Some(error.to_string())),
            }
        }
        all.push((member, data));
    }
}

fn header(size: u64) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    header.set_size(size);
    header.set_mode(0o4755);
    header.set_uid(1000);
    header.set_gid(3_000_000_000);
    header.set_mtime(1_700_000_000);
    header
}

fn sample() -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    let long = "n/".repeat(100) + "end";
    for name in ["short", &long] {
        builder
            .append_data(&mut header(1000), name, [7u8; 1000].as_slice())
            .expect("memory");
    }
    let mut link = header(0);
    link.set_entry_type(tar::EntryType::Symlink);
    builder
        .append_link(&mut link, "link", &long)
        .expect("memory");
    let records = [
        ("path", b"p\xc3\xa4x".as_slice()),
        ("mtime", b"-1.25"),
        ("comment", b"=\n="),
    ];
    builder.append_pax_extensions(records).expect("memory");
    builder
        .append_data(&mut header(3), "replaced", b"pax".as_slice())
        .expect("memory");
    builder.into_inner().expect("memory")
}

#[test]
fn members_are_read_however_they_are_cut() {
    let bytes = sample();
    let (all, why) = read(&bytes, bytes.len());
    assert_eq!(why, None);
    let names: Vec<&[u8]> = all.iter().map(|(m, _)| &m.path[..]).collect();
    let long = "n/".repeat(100) + "end";
    assert_eq!(
        names,
        [b"short", long.as_bytes(), b"link", "päx".as_bytes()]
    );
    let first = &all[0].0;
    assert_eq!(
        (first.mode, first.uid, first.gid),
        (0o4755, 1000, 3_000_000_000)
    );
    assert_eq!((first.mtime, first.mtime_ns), (1_700_000_000, 0));
    assert_eq!(all[1].1, [7; 1000]);
    assert_eq!(&all[2].0.link[..], long.as_bytes());
    // A quarter before, and one second more: -1.25 is -2 and three quarters of a second.
    assert_eq!((all[3].0.mtime, all[3].0.mtime_ns), (-2, 750_000_000));
    for size in [1, 7, 511, 512, 513, 1000] {
        assert_eq!(read(&bytes, size).0, all, "{size}");
    }
}

#[test]
fn a_stream_that_is_cut_off_is_no_shorter_stream() {
    let bytes = sample();
    for cut in (0..bytes.len() - 1).step_by(61) {
        let (_, why) = read(&bytes[..cut], 512);
        assert!(why.is_some_and(|why| why.contains("cut off")), "{cut}");
    }
}

#[test]
fn the_end_is_two_blocks_of_zeros_and_nothing_but_zeros() {
    let whole = sample();
    let with = |more: &[u8]| read(&[&whole, more].concat(), 700).1;
    assert_eq!(with(&[0; 512]), None);
    assert_eq!(with(&[0; 1]), None);
    assert!(with(b"x").is_some_and(|why| why.contains("follows after")));
    let mut lone = whole[..1536].to_vec();
    lone.extend_from_slice(&[0; 512]);
    lone.extend_from_slice(&whole);
    let (_, why) = read(&lone, 512);
    assert!(why.is_some_and(|why| why.contains("single block of zeros")));
}

#[test]
fn numbers_of_every_kind() {
    assert_eq!(signed(b"0000644\0"), Some(0o644));
    assert_eq!(signed(b"   644 \0"), Some(0o644));
    assert_eq!(signed(b"\0\0\0\0\0\0\0\0"), Some(0));
    assert_eq!(signed(b"0000648\0"), None);
    assert_eq!(signed(b"-000001\0"), None);
    assert_eq!(signed(&[0x80, 0, 0, 0, 0, 0, 1, 0]), Some(256));
    assert_eq!(signed(&[0xff; 12]), Some(-1));
    assert_eq!(number(&[0xff; 12]), None);
    let mut large = [0xff; 12];
    large[0] = 0x80;
    assert_eq!(signed(&large), None);
    assert_eq!(time(b"1.5"), Some((1, 500_000_000)));
    assert_eq!(time(b"1.0000000009"), Some((1, 0)));
    assert_eq!(time(b"-1"), Some((-1, 0)));
    for wrong in [&b"1.x"[..], b"", b"x", b"1.-5", b"99999999999999999999"] {
        assert_eq!(time(wrong), None);
    }
}

proptest! {
    #[test]
    fn a_strangers_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..3000), size in 1_usize..1000) {
        let _ = read(&bytes, size);
    }

    #[test]
    fn a_changed_byte_never_panics_and_is_cut_alike(at in any::<prop::sample::Index>(), to in any::<u8>(), size in 1_usize..1000) {
        let mut bytes = sample();
        let at = at.index(bytes.len());
        bytes[at] = to;
        prop_assert_eq!(read(&bytes, size), read(&bytes, 1 << 20));
    }
}

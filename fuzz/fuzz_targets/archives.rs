//! Whatever an archive holds: reading it does not panic, and restoring writes nothing outside of
//! where it is restored to.
#![no_main]

use std::fs;
use std::io;
use std::sync::Arc;

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use seawall::backup::archive::beneath::Dir;
use seawall::backup::archive::extract::{Extractor, Manners};
use seawall::backup::archive::read::{Pieces, TarReader};

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

/// Checksums that fit, so that more than the first header is reached.
fn mend(bytes: &mut [u8]) {
    for block in bytes.chunks_exact_mut(512) {
        if block.iter().all(|b| *b == 0) {
            continue;
        }
        block[148..156].fill(b' ');
        let sum: u32 = block.iter().map(|b| u32::from(*b)).sum();
        block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    }
}

fuzz_target!(|data: (u16, bool, bool, bool, Vec<u8>)| {
    let (size, mended, is_ours, outward_links, mut bytes) = data;
    if mended {
        mend(&mut bytes);
    }
    let place = tempfile::tempdir().expect("a temporary directory");
    let top = place.path().join("top");
    fs::create_dir(&top).expect("a directory");
    let dir = Arc::new(Dir::open(&top).expect("it can be opened"));
    let manners = Manners { is_ours, outward_links };
    let mut tar = TarReader::new(Cut { bytes: bytes.into(), size: usize::from(size).max(1) });
    let mut extractor = Extractor::new(dir, manners, 2).expect("threads start");
    let mut written = 0;
    while let Ok(Some(member)) = tar.next_member() {
        let mut count = |piece: &Bytes| {
            written += piece.len();
            Ok(())
        };
        if extractor.take(&member, &mut tar, &mut count).is_err() {
            break;
        }
    }
    let _ = extractor.finish();
    let beside: Vec<_> = fs::read_dir(place.path())
        .expect("it can be listed")
        .map(|entry| entry.expect("an entry").file_name())
        .collect();
    assert_eq!(beside, ["top"]);
});

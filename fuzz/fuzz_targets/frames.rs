//! Whatever a host sends: frames are bounded, and nothing panics.
#![no_main]

use libfuzzer_sys::fuzz_target;
use seawall::shell::{FrameReader, Limits, Nonce};

fuzz_target!(|data: (u8, Vec<u8>)| {
    let (cut, bytes) = data;
    let Some(nonce) = Nonce::fixed("0123456789abcdef") else {
        return;
    };
    let limits = Limits { frame: 4096, total: 1 << 16 };
    let mut reader = FrameReader::new(&nonce, limits);
    // Half of the inputs begin as a frame does, so that the head is reached.
    if cut & 1 == 1 {
        let _ = reader.push(b"@0123456789abcdef ");
    }
    for piece in bytes.chunks(usize::from(cut).max(1)) {
        if reader.push(piece).is_err() {
            break;
        }
    }
    while let Some(frame) = reader.next_frame() {
        assert!(frame.data.len() <= 4096);
        let _ = frame.text();
    }
});

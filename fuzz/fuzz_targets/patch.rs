//! Whatever a host says of its packages, containers and jobs, and whatever an advisory file holds:
//! nothing panics.
#![no_main]

use libfuzzer_sys::fuzz_target;
use seawall::host::patch::{advisories::Advisories, containers, job, observe};
use seawall::shell::Frame;

fuzz_target!(|data: (Vec<(String, String, i32, Vec<u8>)>, Vec<u8>)| {
    let (said, bytes) = data;
    let frames: Vec<Frame> = said
        .into_iter()
        .map(|(kind, name, status, data)| Frame {
            kind,
            name,
            status,
            data,
        })
        .collect();
    let ask = observe::Ask {
        packages: true,
        containers: true,
        ..observe::Ask::HEALTH
    };
    let snapshot = observe::read(&frames, &ask, "host", "2026-11-20T00:00:00Z");
    let (seen, _) = containers::read(&frames);
    let _ = containers::decide(&seen, None);
    let _ = job::read(&frames, 0);
    let _ = job::said(&bytes);
    let mut advisories = Advisories::default();
    if advisories.add("fuzz.json", &bytes).is_ok() {
        let _ = advisories.open(&snapshot);
    }
});

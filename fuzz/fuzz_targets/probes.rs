//! Whatever a section holds: it is read into a snapshot without a panic.
#![no_main]

use libfuzzer_sys::fuzz_target;
use seawall::host::probe::{self, Queries};
use seawall::shell::Frame;

const SECTIONS: &[&str] = &[
    "facts", "sysctls", "modules", "mounts", "listeners", "accounts", "files", "packages", "units",
    "sshd", "walk",
];

fuzz_target!(|data: Vec<(u8, i32, Vec<u8>)>| {
    let mut queries = Queries {
        mounts: true,
        sshd: true,
        accounts: true,
        walk: true,
        listeners: true,
        ..Queries::default()
    };
    queries.text("/etc/passwd");
    queries.texts("/etc/sysctl.d/*.conf");
    queries.sysctls.insert("net.ipv4.ip_forward".into());
    queries.packages.insert("sudo".into());
    queries.units.insert("cron.service".into());
    queries.modules.insert("cramfs".into());
    let frames: Vec<Frame> = data
        .into_iter()
        .map(|(section, status, data)| Frame {
            kind: "section".into(),
            name: SECTIONS[usize::from(section) % SECTIONS.len()].into(),
            status,
            data,
        })
        .collect();
    let snapshot = probe::read(&frames, &queries, "fuzz", "");
    // What was asked for has an answer, if only that it was not seen.
    assert!(snapshot.sysctls.contains_key("net.ipv4.ip_forward"));
});

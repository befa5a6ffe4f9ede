//! Whatever stands in a known_hosts file.
#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;
use seawall::reach::known_hosts::KnownHosts;

fuzz_target!(|text: &str| {
    let _ = KnownHosts::parse(Path::new("known_hosts"), text);
});

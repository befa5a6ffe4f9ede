//! Whatever stands in a document: spans and inventories are read without a panic, and every
//! diagnostic can be shown.
#![no_main]

use libfuzzer_sys::fuzz_target;
use seawall::document::{SpanIndex, inventory, render_all};

fuzz_target!(|text: &str| {
    let _ = SpanIndex::of(text);
    if let Err(found) = inventory::parse_inventory(text) {
        let _ = render_all(&found, true);
    }
});

//! A quoted word read back by the rules of POSIX single quotes is the text itself.
#![no_main]

use libfuzzer_sys::fuzz_target;
use seawall::shell::quote;

fuzz_target!(|text: &str| {
    let Ok(word) = quote(text) else {
        assert!(text.contains('\0'));
        return;
    };
    let mut out = String::new();
    let mut rest = word.as_str();
    while !rest.is_empty() {
        if let Some(after) = rest.strip_prefix("\\'") {
            out.push('\'');
            rest = after;
        } else {
            let inner = rest.strip_prefix('\'').expect("a quote opens");
            let (text, after) = inner.split_once('\'').expect("and closes");
            out.push_str(text);
            rest = after;
        }
    }
    assert_eq!(out, text);
});

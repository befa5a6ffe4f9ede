//! Regular expressions of documents, compiled once: the same few are asked for again with every
//! host, and with every pair of rules that change one file.

use std::cell::RefCell;
use std::collections::HashMap;

use regex::{Regex, RegexBuilder};

/// A compiled expression may take this many bytes: enough for any setting, too little to hurt.
const SIZE_LIMIT: usize = 1 << 20;

/// How many are kept before all are forgotten.
const KEPT: usize = 1000;

thread_local! {
    static KNOWN: RefCell<HashMap<String, Result<Regex, regex::Error>>> = RefCell::default();
}

/// The expression, with a bound on its size.
pub(crate) fn compile(pattern: &str) -> Result<Regex, regex::Error> {
    KNOWN.with_borrow_mut(|known| {
        if let Some(compiled) = known.get(pattern) {
            return compiled.clone();
        }
        let compiled = RegexBuilder::new(pattern).size_limit(SIZE_LIMIT).build();
        if known.len() >= KEPT {
            known.clear();
        }
        known.insert(pattern.to_owned(), compiled.clone());
        compiled
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_expression_is_the_same_the_second_time_and_a_wrong_one_stays_wrong() {
        for _ in 0..2 {
            assert!(compile("^a+$").is_ok_and(|r| r.is_match("aa")));
            assert!(compile("(").is_err());
            assert!(compile("(x{1000}){1000}").is_err());
        }
        for n in 0..2 * KEPT {
            assert!(compile(&format!("^{n}$")).is_ok_and(|r| r.is_match(&n.to_string())));
        }
    }
}

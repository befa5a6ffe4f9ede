//! Names of files in JSON. A file's name is any bytes but NUL; JSON's text is Unicode. So a
//! backslash is written `\\`, and each byte that is not part of valid UTF-8 `\xNN` (two lower-case
//! digits). Every name has exactly one such text, and [`unescape`] takes no other.

/// A file's name as text.
pub fn escape(name: &[u8]) -> String {
    let mut out = String::with_capacity(name.len());
    for chunk in name.utf8_chunks() {
        for c in chunk.valid().chars() {
            if c == '\\' {
                out.push('\\');
            }
            out.push(c);
        }
        for byte in chunk.invalid() {
            out.push_str("\\x");
            out.push_str(&crate::model::hex(&[*byte]));
        }
    }
    out
}

/// The file's name that a text stands for. `None`: [`escape`] makes no such text.
pub fn unescape(text: &str) -> Option<Vec<u8>> {
    if !text.contains('\\') {
        return Some(text.as_bytes().to_vec());
    }
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        rest = match (first, after) {
            (b'\\', [b'\\', after @ ..]) => {
                out.push(b'\\');
                after
            }
            (b'\\', [b'x', high, low, after @ ..]) => {
                out.push(nibble(*high)? << 4 | nibble(*low)?);
                after
            }
            (b'\\', _) => return None,
            (byte, after) => {
                out.push(*byte);
                after
            }
        };
    }
    // `\x41`, or the bytes of a whole character one by one, would be second names for one thing.
    (escape(&out) == text).then_some(out)
}

fn nibble(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn odd_names_are_told_apart() {
        assert_eq!(escape(b"caf\xc3\xa9/a b"), "café/a b");
        assert_eq!(escape(b"caf\xe9"), r"caf\xe9");
        assert_eq!(escape(br"caf\xe9"), r"caf\\xe9");
        assert_eq!(unescape(r"caf\xe9").unwrap(), b"caf\xe9");
        for wrong in [r"\x41", r"\xE9", r"\", r"\x4", r"\n", r"\xc3\xa9"] {
            assert_eq!(unescape(wrong), None, "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn every_name_comes_back(name in proptest::collection::vec(any::<u8>(), 0..40)) {
            prop_assert_eq!(unescape(&escape(&name)), Some(name));
        }

        #[test]
        fn what_is_taken_is_what_would_be_written(text in r"[a\\x0-9e-f]{0,12}") {
            if let Some(name) = unescape(&text) {
                prop_assert_eq!(escape(&name), text);
            }
        }
    }
}

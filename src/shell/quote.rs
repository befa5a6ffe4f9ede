//! The one door through which text enters a program.

/// A NUL cannot be carried by any word of a shell program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the text holds a NUL byte, which no shell word can carry")]
pub struct NulInText;

/// Writes `text` as exactly one word of POSIX sh that means these bytes and nothing else.
///
/// Everything stands between single quotes; a single quote itself becomes `'\''`. The result is
/// safe at any place where a word may stand (not inside other quotes, not in a here-document).
pub fn quote(text: &str) -> Result<String, NulInText> {
    if text.contains('\0') {
        return Err(NulInText);
    }
    let mut out = String::with_capacity(text.len() + 2);
    out.push('\'');
    for (i, part) in text.split('\'').enumerate() {
        if i > 0 {
            out.push_str("'\\''");
        }
        out.push_str(part);
    }
    out.push('\'');
    Ok(out)
}

/// Writes several words, separated by one space each.
pub fn quote_all<'a>(words: impl IntoIterator<Item = &'a str>) -> Result<String, NulInText> {
    let mut out = String::new();
    for word in words {
        if !out.is_empty() {
            out.push(' ');
        }
        out.push_str(&quote(word)?);
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_are_escaped_and_nothing_else_is() {
        assert_eq!(quote("").unwrap(), "''");
        assert_eq!(quote("a b").unwrap(), "'a b'");
        assert_eq!(quote("it's").unwrap(), r"'it'\''s'");
        assert_eq!(quote("$(x) `y` \\ \n").unwrap(), "'$(x) `y` \\ \n'");
        assert_eq!(quote("a\0b"), Err(NulInText));
        assert_eq!(quote_all(["a", "b c"]).unwrap(), "'a' 'b c'");
    }
}

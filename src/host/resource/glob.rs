//! Shell patterns: `*`, `?`, `[…]`. Pure, and linear enough for a stranger's text.

/// Whether a pattern matches the whole of a text. A slash is matched only by a slash or, where
/// `any_depth` is set, by `*` and `?` too.
pub(crate) fn matches(pattern: &str, text: &str, any_depth: bool) -> bool {
    let pattern: Vec<char> = pattern.chars().collect();
    let text: Vec<char> = text.chars().collect();
    let (mut p, mut t) = (0, 0);
    // Where to go on after a mismatch: behind the last star, and one more character for it.
    let mut retry: Option<(usize, usize)> = None;
    while t < text.len() {
        let c = text[t];
        let free = any_depth || c != '/';
        let step = match pattern.get(p) {
            Some('*') => {
                retry = Some((p + 1, t));
                p += 1;
                continue;
            }
            Some('?') if free => Some(1),
            Some('[') => match class(&pattern[p..], c) {
                Some((true, length)) if free => Some(length),
                Some(_) => None,
                None if c == '[' => Some(1),
                None => None,
            },
            Some(literal) if *literal == c => Some(1),
            _ => None,
        };
        match (step, retry) {
            (Some(length), _) => {
                p += length;
                t += 1;
            }
            (None, Some((after, from))) if any_depth || text[from] != '/' => {
                retry = Some((after, from + 1));
                p = after;
                t = from + 1;
            }
            _ => return false,
        }
    }
    pattern[p..].iter().all(|c| *c == '*')
}

/// Whether a text has any of a pattern's characters.
pub(crate) fn is_pattern(text: &str) -> bool {
    text.contains(['*', '?', '['])
}

/// Reads `[abc]`, `[a-z]`, `[!x]` at the beginning of `pattern`: whether `c` is of it, and how
/// long it is. `None`: it has no end, so it is a plain bracket.
fn class(pattern: &[char], c: char) -> Option<(bool, usize)> {
    let negated = matches!(pattern.get(1), Some('!' | '^'));
    let start = if negated { 2 } else { 1 };
    // A bracket that comes first stands for itself.
    let end = start + 1 + pattern.get(start + 1..)?.iter().position(|c| *c == ']')?;
    let mut found = false;
    let mut i = start;
    while i < end {
        if i + 2 < end && pattern[i + 1] == '-' {
            found |= pattern[i] <= c && c <= pattern[i + 2];
            i += 3;
        } else {
            found |= pattern[i] == c;
            i += 1;
        }
    }
    Some((found != negated, end + 1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn patterns_match_as_the_shell_does() {
        assert!(matches("a*c", "abbbc", false));
        assert!(!matches("a*c", "ab/c", false));
        assert!(matches("a*c", "ab/c", true));
        assert!(matches("/var/*/x?", "/var/lib/x1", false));
        assert!(!matches("/var/*/x?", "/var/lib/y/x1", false));
        assert!(matches("[a-c][!x]", "by", false));
        assert!(!matches("[a-c][!x]", "bx", false));
        assert!(matches("[]a]", "]", false));
        assert!(matches("[", "[", false));
        assert!(matches("**", "", false));
        assert!(!matches("", "a", false));
        assert!(matches("*a*b*c", "xxaxxbxxc", false));
    }

    #[test]
    fn many_stars_end_soon() {
        let pattern = "*a".repeat(50);
        assert!(!matches(&format!("{pattern}z"), &"a".repeat(5000), true));
    }

    proptest! {
        #[test]
        fn a_text_matches_itself_and_stars(text in "[a-z./]{0,30}") {
            prop_assert!(matches(&text, &text, false));
            prop_assert!(matches("*", &text, true));
            prop_assert_eq!(matches("*", &text, false), !text.contains('/'));
        }

        #[test]
        fn nothing_makes_it_panic(pattern in "[\\[\\]!*?a-c/-]{0,12}", text in "[a-c\\[\\]/]{0,12}") {
            matches(&pattern, &text, false);
            matches(&pattern, &text, true);
        }
    }
}

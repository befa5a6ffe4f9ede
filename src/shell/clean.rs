//! Text from a stranger, made fit for a terminal, a log or a report.

/// Strips what a terminal would act on and bounds the length.
///
/// Control characters (C0, DEL, C1), bidirectional overrides and zero-width characters are
/// replaced: tab and newline by a space, the rest by `·`. Runs of white space become one space.
/// At most `max` characters remain; `…` marks a cut.
pub fn clean(text: &str, max: usize) -> String {
    let mut out = String::with_capacity(text.len().min(max));
    let mut count = 0;
    let mut space = false;
    for c in text.chars() {
        if c.is_whitespace() {
            space = count > 0;
            continue;
        }
        if space {
            out.push(' ');
            count += 1;
            space = false;
        }
        if count >= max {
            out.push('…');
            return out;
        }
        out.push(if is_dangerous(c) { '·' } else { c });
        count += 1;
    }
    out
}

/// Whether a terminal would act on the character, or a reader would be misled by it.
pub fn is_dangerous(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_defused_and_length_is_bounded() {
        assert_eq!(clean("\u{1b}[31mred\u{1b}[0m\u{7}", 80), "·[31mred·[0m·");
        assert_eq!(clean("  a\n\tb  ", 80), "a b");
        assert_eq!(clean("abcdef", 3), "abc…");
        assert_eq!(clean("\u{9b}2J\u{202e}x", 80), "·2J·x");
    }
}

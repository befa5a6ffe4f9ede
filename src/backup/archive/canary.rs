//! The canary's file: a line for each of the last backups, its token and its time, the newest last.

use super::Canary;

/// So many canaries are kept, in a file as in a table.
pub const KEPT: usize = 10;
/// Longest canary file that is read, in bytes.
pub const LARGEST: usize = 16 << 10;

/// The file's text with one more canary. Lines that are none of ours are not kept.
pub fn with(before: &str, canary: &Canary) -> String {
    let mut all = tokens(before);
    all.push((canary.token.as_str(), canary.at.as_str()));
    let from = all.len().saturating_sub(KEPT);
    all.iter()
        .skip(from)
        .map(|(token, at)| format!("{token} {at}\n"))
        .collect()
}

/// Each token of a file and its time, the newest last.
pub fn tokens(text: &str) -> Vec<(&str, &str)> {
    text.lines()
        .filter_map(|line| line.split_once(' '))
        .filter(|(token, at)| {
            token.len() == 32
                && token.bytes().all(|b| b.is_ascii_hexdigit())
                && at.len() <= 40
                && at.bytes().all(|b| b.is_ascii_graphic())
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_ten_are_kept_and_the_newest_is_last() {
        let mut text = "not ours\n".to_owned();
        for n in 0..12 {
            let canary = Canary {
                token: format!("{n:032x}"),
                at: "2026-11-20T02:30:00.123Z".to_owned(),
                place: "data/.canary".to_owned(),
            };
            text = with(&text, &canary);
        }
        let all = tokens(&text);
        assert_eq!(all.len(), KEPT);
        assert_eq!(all[0].0, format!("{:032x}", 2));
        assert_eq!(all[9].0, format!("{:032x}", 11));
        assert!(text.len() < LARGEST);
    }
}

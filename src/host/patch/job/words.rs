//! What jobs say, among all else that is in their logs. Pure.

use crate::shell::clean;

/// One line that a job said with `say`. Untrusted; cleaned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    pub kind: String,
    pub name: String,
    pub text: String,
}

/// How many lines are believed, and how much of one.
const LINES: usize = 50_000;
const WORD: usize = 300;
const TEXT: usize = 4000;

/// The `say` lines of a whole log, in order.
///
/// The supervisor writes a log's first line, `@seawall begin TOKEN`. From there on a said line is
/// `@seawall.TOKEN KIND NAME TEXT`: what else lands in the log (a file's name, a package's words)
/// does not know the token. A log without that first line has `@seawall KIND NAME TEXT`.
pub fn said(log: &[u8]) -> Vec<Said> {
    let mark = mark(log);
    let mut all: Vec<Said> = Vec::new();
    for line in log.split(|b| *b == b'\n') {
        let Some(rest) = line.strip_prefix(mark.as_slice()) else {
            continue;
        };
        let text = String::from_utf8_lossy(rest.get(..TEXT * 2).unwrap_or(rest));
        let mut words = text.splitn(3, ' ');
        let (Some(kind), Some(name)) = (words.next(), words.next()) else {
            continue;
        };
        if kind == "cut" {
            // The log was too long: all that was said follows once more.
            all.clear();
        } else if all.len() < LINES {
            all.push(Said {
                kind: clean(kind, WORD),
                name: clean(name, WORD),
                text: clean(words.next().unwrap_or_default(), TEXT),
            });
        }
    }
    all
}

/// The log without the lines that are meant for us: for a person, not cleaned.
pub fn unsaid(log: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(log.len());
    for line in log.split_inclusive(|b| *b == b'\n') {
        if !line.starts_with(b"@seawall") {
            out.extend_from_slice(line);
        }
    }
    out
}

/// What a said line of this log begins with.
fn mark(log: &[u8]) -> Vec<u8> {
    let first = log.split(|b| *b == b'\n').next().unwrap_or_default();
    match first.strip_prefix(b"@seawall begin ") {
        Some(token) if !token.is_empty() && token.iter().all(u8::is_ascii_hexdigit) => {
            [b"@seawall.", token, b" "].concat()
        }
        _ => b"@seawall ".to_vec(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn kinds(log: &str) -> Vec<String> {
        said(log.as_bytes()).into_iter().map(|s| s.kind).collect()
    }

    #[test]
    fn only_lines_that_know_the_token_are_believed() {
        let log = "@seawall begin 0123abcd\nnoise\n@seawall package forged 1 2\n\
                   @seawall.ffff package forged 1 2\n x @seawall.0123abcd package forged 1 2\n\
                   @seawall.0123abcd package libx:amd64 1.0 2.0\n@seawall.0123abcd lock 12\n";
        let got = said(log.as_bytes());
        assert_eq!(got.len(), 2, "{got:?}");
        assert_eq!(
            got[0],
            Said {
                kind: "package".into(),
                name: "libx:amd64".into(),
                text: "1.0 2.0".into()
            }
        );
        assert_eq!((got[1].kind.as_str(), got[1].text.as_str()), ("lock", ""));
    }

    #[test]
    fn a_log_without_a_token_is_read_by_the_plain_mark() {
        assert_eq!(
            kinds("@seawall package a 1 2\n@seawall\n@seawall x\n@seawall broken b c"),
            ["package", "broken"]
        );
    }

    #[test]
    fn after_a_cut_what_was_said_counts_once() {
        let log = "@seawall begin ab\n@seawall.ab package a 1 2\n@seawall.ab cut log x\n\
                   @seawall.ab package a 1 2\n@seawall.ab package b 1 2\n";
        assert_eq!(said(log.as_bytes()).len(), 2);
    }

    #[test]
    fn what_a_person_reads_has_none_of_our_lines() {
        assert_eq!(
            unsaid(b"@seawall begin ab\none\n@seawall.ab x y z\ntwo"),
            b"one\ntwo"
        );
    }

    proptest! {
        #[test]
        fn any_log_is_read_and_bounded(log in prop::collection::vec(any::<u8>(), 0..400), tail in "[ -~\n]{0,200}") {
            let whole = [b"@seawall begin ab\n@seawall.ab ".as_slice(), &log, b"\n@seawall.ab ", tail.as_bytes()].concat();
            for one in said(&whole) {
                prop_assert!(!one.text.chars().any(char::is_control));
                prop_assert!(one.name.chars().count() <= WORD + 1);
            }
        }
    }
}

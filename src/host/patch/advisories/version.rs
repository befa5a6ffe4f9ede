//! Which of two versions is the later one, as dpkg and as rpm see it. Pure.

use std::cmp::Ordering;

/// Whose rules a system's versions follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rules {
    Debian,
    Rpm,
}

impl Rules {
    pub fn compare(self, a: &str, b: &str) -> Ordering {
        match self {
            Rules::Debian => debian(a, b),
            Rules::Rpm => rpm(a, b),
        }
    }
}

/// `[epoch:]upstream[-revision]`, as `dpkg --compare-versions` does it.
pub fn debian(a: &str, b: &str) -> Ordering {
    let (a_epoch, a) = epoch(a);
    let (b_epoch, b) = epoch(b);
    let halves = |text| match str::rsplit_once(text, '-') {
        Some((upstream, revision)) => (upstream, revision),
        None => (text, ""),
    };
    let (a_upstream, a_revision) = halves(a);
    let (b_upstream, b_revision) = halves(b);
    numbers(a_epoch, b_epoch)
        .then_with(|| debian_part(a_upstream, b_upstream))
        .then_with(|| debian_part(a_revision, b_revision))
}

/// `[epoch:]version[-release]`, as rpm does it. Where one of them names no release, releases are
/// not compared.
pub fn rpm(a: &str, b: &str) -> Ordering {
    let (a_epoch, a) = epoch(a);
    let (b_epoch, b) = epoch(b);
    let halves = |text| match str::rsplit_once(text, '-') {
        Some((version, release)) => (version, release),
        None => (text, ""),
    };
    let (a_version, a_release) = halves(a);
    let (b_version, b_release) = halves(b);
    numbers(a_epoch, b_epoch)
        .then_with(|| rpm_part(a_version, b_version))
        .then_with(|| match a_release.is_empty() || b_release.is_empty() {
            true => Ordering::Equal,
            false => rpm_part(a_release, b_release),
        })
}

/// The epoch (none is 0) and the rest.
fn epoch(text: &str) -> (&str, &str) {
    match text.split_once(':') {
        Some((epoch, rest)) if epoch.bytes().all(|b| b.is_ascii_digit()) => (epoch, rest),
        _ => ("", text),
    }
}

/// Compares digits as numbers, however many they are.
fn numbers(a: &str, b: &str) -> Ordering {
    let (a, b) = (a.trim_start_matches('0'), b.trim_start_matches('0'));
    a.len().cmp(&b.len()).then_with(|| a.cmp(b))
}

/// The longest beginning of which every byte is so, and the rest. Cuts at ASCII only.
fn take(text: &str, is_so: impl Fn(u8) -> bool) -> (&str, &str) {
    let end = text.bytes().position(|byte| !is_so(byte));
    text.split_at_checked(end.unwrap_or(text.len()))
        .unwrap_or((text, ""))
}

/// What stands between numbers: `~` before the end, the end before letters, letters before the
/// rest.
fn debian_order(byte: Option<u8>) -> i32 {
    match byte {
        Some(b'~') => -1,
        None => 0,
        Some(byte) if byte.is_ascii_alphabetic() => i32::from(byte),
        Some(byte) => i32::from(byte) + 256,
    }
}

fn debian_part(mut a: &str, mut b: &str) -> Ordering {
    while !a.is_empty() || !b.is_empty() {
        let (a_words, a_rest) = take(a, |byte| !byte.is_ascii_digit());
        let (b_words, b_rest) = take(b, |byte| !byte.is_ascii_digit());
        let (mut a_bytes, mut b_bytes) = (a_words.bytes(), b_words.bytes());
        loop {
            let (one, other) = (a_bytes.next(), b_bytes.next());
            match debian_order(one).cmp(&debian_order(other)) {
                Ordering::Equal if one.is_none() && other.is_none() => break,
                Ordering::Equal => {}
                unequal => return unequal,
            }
        }
        let (a_number, a_next) = take(a_rest, |byte| byte.is_ascii_digit());
        let (b_number, b_next) = take(b_rest, |byte| byte.is_ascii_digit());
        match numbers(a_number, b_number) {
            Ordering::Equal => (a, b) = (a_next, b_next),
            unequal => return unequal,
        }
    }
    Ordering::Equal
}

/// What stands at the head of a part of rpm's, in its order: a tilde is before everything, the end
/// too; a caret is after the end and before all else; a word is before a number.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Head {
    Tilde,
    End,
    Caret,
    Word,
    Number,
}

fn head(text: &str) -> Head {
    match text.bytes().next() {
        None => Head::End,
        Some(b'~') => Head::Tilde,
        Some(b'^') => Head::Caret,
        Some(byte) if byte.is_ascii_digit() => Head::Number,
        Some(_) => Head::Word,
    }
}

fn rpm_part(mut a: &str, mut b: &str) -> Ordering {
    let means = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'~' | b'^');
    loop {
        a = take(a, |byte| !means(byte)).1;
        b = take(b, |byte| !means(byte)).1;
        let kind = head(a);
        match kind.cmp(&head(b)) {
            Ordering::Equal => {}
            unequal => return unequal,
        }
        let (a_part, a_rest, b_part, b_rest);
        match kind {
            Head::End => return Ordering::Equal,
            Head::Tilde | Head::Caret => {
                (a_part, a_rest) = a.split_at(1);
                (b_part, b_rest) = b.split_at(1);
            }
            Head::Word => {
                (a_part, a_rest) = take(a, |byte| byte.is_ascii_alphabetic());
                (b_part, b_rest) = take(b, |byte| byte.is_ascii_alphabetic());
            }
            Head::Number => {
                (a_part, a_rest) = take(a, |byte| byte.is_ascii_digit());
                (b_part, b_rest) = take(b, |byte| byte.is_ascii_digit());
            }
        }
        let order = match kind {
            Head::Number => numbers(a_part, b_part),
            _ => a_part.cmp(b_part),
        };
        match order {
            Ordering::Equal => (a, b) = (a_rest, b_rest),
            unequal => return unequal,
        }
    }
}

#[cfg(test)]
mod tests;

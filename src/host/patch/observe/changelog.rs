//! Which vulnerabilities a new version closes, by its own changelog.

use std::collections::{BTreeMap, BTreeSet};

/// Most ids that one package's changelog may name.
const IDS: usize = 300;

/// The changelogs of downloaded packages: `@NAME_VERSION_ARCH`, then of each the heads of its
/// entries (newest first) and the lines that name a vulnerability.
pub(super) fn by_file(text: &str) -> BTreeMap<&str, Vec<&str>> {
    let mut out: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    let mut file = None;
    for line in text.lines() {
        if let Some(name) = line.strip_prefix('@') {
            file = Some(name);
            out.entry(name).or_default();
        } else if let Some(name) = file
            && let Some(lines) = out.get_mut(name)
        {
            lines.push(line);
        }
    }
    out
}

/// The ids in entries that are newer than the installed version (of the source package). `None`
/// where that version is not in the changelog: then nobody can say where the news end.
pub(super) fn closes(lines: &[&str], installed: &str) -> Option<Vec<String>> {
    let mut ids = BTreeSet::new();
    for line in lines {
        if let Some(version) = version_of(line)
            && version == installed
        {
            return Some(ids.into_iter().collect());
        }
        if ids.len() < IDS {
            ids.extend(ids_in(line));
        }
    }
    None
}

/// `NAME (VERSION) SUITE; urgency=…`
fn version_of(line: &str) -> Option<&str> {
    let (name, rest) = line.split_once(" (")?;
    if name.contains(char::is_whitespace) || name.is_empty() {
        return None;
    }
    let (version, rest) = rest.split_once(')')?;
    rest.contains(';').then_some(version)
}

/// `CVE-YEAR-NUMBER`, wherever it stands.
pub(super) fn ids_in(line: &str) -> Vec<String> {
    line.match_indices("CVE-")
        .filter_map(|(at, _)| {
            let rest = line.get(at + 4..)?;
            let (year, rest) = rest.split_once('-')?;
            let number: String = rest.chars().take_while(char::is_ascii_digit).collect();
            let is_year = year.len() == 4 && year.bytes().all(|b| b.is_ascii_digit());
            (is_year && (4..=9).contains(&number.len())).then(|| format!("CVE-{year}-{number}"))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TEXT: &str = "@openssl_3.0.15-1~deb12u1_amd64
openssl (3.0.15-1~deb12u1) bookworm; urgency=medium
    - CVE-2023-5678 (Fix excessive time), CVE-2024-0727
openssl (3.0.11-1~deb12u2) bookworm-security; urgency=medium
    - CVE-2023-5363
@other_1_all
other (1) x; urgency=low";

    #[test]
    fn only_what_is_newer_than_the_installed_one_counts() {
        let all = by_file(TEXT);
        let lines = &all["openssl_3.0.15-1~deb12u1_amd64"];
        assert_eq!(
            closes(lines, "3.0.11-1~deb12u2").unwrap(),
            ["CVE-2023-5678", "CVE-2024-0727"]
        );
        assert_eq!(
            closes(lines, "3.0.15-1~deb12u1").unwrap(),
            Vec::<String>::new()
        );
        assert_eq!(closes(lines, "3.0.9-1"), None);
        assert_eq!(all["other_1_all"].len(), 1);
    }

    #[test]
    fn only_whole_ids_are_taken() {
        assert_eq!(
            ids_in("CVE-2024-1 CVE-20-1234 (CVE-2024-12345) CVE-2024-123456x"),
            ["CVE-2024-12345", "CVE-2024-123456"]
        );
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "(CVE-|2024|-|@|x \\(1\\) y;|\n|.){0,60}") {
            for (_, lines) in by_file(&text) {
                let _ = closes(&lines, "1");
            }
        }
    }
}

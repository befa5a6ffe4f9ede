//! What `dnf upgrade --assumeno` says that it would do: a table, whose long rows dnf wraps.

use crate::model::patch::OfferKind;

/// One row.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Row {
    pub kind: OfferKind,
    pub name: String,
    pub arch: String,
    /// `[EPOCH:]VERSION-RELEASE`: of what comes, or of what goes.
    pub version: String,
    pub repo: String,
    /// Of a deferred one: why.
    pub why: String,
}

/// In dnf's order.
///
/// # Errors
/// When dnf did not come to a table, in its own words; or when a row cannot be read.
pub(super) fn parse(text: &str) -> Result<Vec<Row>, String> {
    if text.lines().any(|l| l.trim() == "Nothing to do.") {
        return Ok(Vec::new());
    }
    if !text.contains("Operation aborted") {
        let mut lines = text.lines().skip_while(|l| !l.starts_with("Error"));
        let said: Vec<&str> = lines.by_ref().take(4).collect();
        return Err(match crate::shell::clean(&said.join(" "), 400) {
            said if said.is_empty() => "dnf did not say what it would do".into(),
            said => said,
        });
    }
    let problems: Vec<&str> = text
        .lines()
        .filter_map(|l| l.trim_start().strip_prefix("- "))
        .take(200)
        .collect();
    let mut rows = Vec::new();
    let mut kind = None;
    let mut words: Vec<&str> = Vec::new();
    for line in text.lines() {
        let is_row = line.starts_with(' ') && !line.starts_with("  ");
        if line.starts_with("  ") && kind.is_some() {
            let more: Vec<&str> = line.split_whitespace().collect();
            if more.first() == Some(&"replacing") {
                replaced(&more, &words, &mut rows);
            } else {
                words.extend(more);
            }
            continue;
        }
        flush(kind, &mut words, &problems, &mut rows)?;
        if is_row && kind.is_some() {
            words = line.split_whitespace().collect();
        } else {
            kind = heading(line.trim_end());
        }
        if rows.len() > super::MANY {
            return Err("dnf would do too many things".into());
        }
    }
    flush(kind, &mut words, &problems, &mut rows)?;
    // What is replaced stands before its successor was read.
    if rows.is_empty() {
        return Err("dnf's table cannot be read".into());
    }
    Ok(rows)
}

fn heading(line: &str) -> Option<OfferKind> {
    let heading = line.strip_suffix(':')?;
    match heading {
        "Upgrading" | "Downgrading" | "Reinstalling" => Some(OfferKind::Upgrade),
        _ if heading.starts_with("Installing") => Some(OfferKind::New),
        _ if heading.starts_with("Removing") => Some(OfferKind::Remove),
        _ if heading.starts_with("Skipping") => Some(OfferKind::Deferred),
        _ => None,
    }
}

/// `NAME ARCH VERSION REPOSITORY SIZE UNIT`, once all of its lines were read.
fn flush(
    kind: Option<OfferKind>,
    words: &mut Vec<&str>,
    problems: &[&str],
    rows: &mut Vec<Row>,
) -> Result<(), String> {
    let words = std::mem::take(words);
    let Some(kind) = kind.filter(|_| !words.is_empty()) else {
        return Ok(());
    };
    let [name, arch, version, repo, ..] = words.as_slice() else {
        return Err("dnf's table cannot be read".into());
    };
    let about = format!("{name}-{version}");
    let why = match problems.iter().find(|p| p.contains(&about)) {
        Some(problem) if kind == OfferKind::Deferred => format!("kept back: {problem}"),
        _ if kind == OfferKind::Deferred => "kept back".into(),
        _ => String::new(),
    };
    rows.push(Row {
        kind,
        name: (*name).to_owned(),
        arch: (*arch).to_owned(),
        version: (*version).to_owned(),
        repo: (*repo).to_owned(),
        why,
    });
    Ok(())
}

/// `replacing  old.noarch 1.0-1` of dnf 4; dnf 5 writes a whole row, and also one for the former
/// version of the very package.
fn replaced(more: &[&str], by: &[&str], rows: &mut Vec<Row>) {
    let Some(first) = more.get(1) else { return };
    let (name, arch, version) = match more.len() {
        3 => match first.rsplit_once('.') {
            Some((name, arch)) => (name, arch, more.get(2)),
            None => return,
        },
        _ => (
            *first,
            more.get(2).copied().unwrap_or_default(),
            more.get(3),
        ),
    };
    if by.first() == Some(&name) {
        return;
    }
    rows.push(Row {
        kind: OfferKind::Remove,
        name: name.to_owned(),
        arch: arch.to_owned(),
        version: version.copied().unwrap_or_default().to_owned(),
        ..Row::default()
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Of dnf 4.14.0 with a repository of ours; one row made longer, as dnf wraps it.
    const TABLE: &str = "Last metadata expiration check: 0:00:02 ago on Fri Nov 20 17:30:38 2026.
Dependencies resolved.

 Problem: cannot install the best update candidate for package kept-1.0-1.noarch
  - nothing provides nowhere needed by kept-2.0-1.noarch
================================================================================
 Package           Architecture       Version             Repository       Size
================================================================================
Upgrading:
 app               noarch             2.0-1               sea             5.4 k
 a-package-whose-name-is-rather-long
                   noarch             1:2.0-1             sea             5.4 k
 newer             noarch             2.0-1               sea             5.4 k
     replacing  old.noarch 1.0-1
Installing dependencies:
 fresh             noarch             1.0-1               sea             5.4 k
Skipping packages with broken dependencies:
 kept              noarch             2.0-1               sea             5.4 k

Transaction Summary
================================================================================
Install  1 Package
Upgrade  3 Packages
Skip     1 Package

Total size: 22 k
Operation aborted.
";

    #[test]
    fn the_table_is_read() {
        let rows = parse(TABLE).unwrap();
        let short: Vec<_> = rows
            .iter()
            .map(|r| (r.name.as_str(), r.kind, r.version.as_str()))
            .collect();
        assert_eq!(
            short,
            [
                ("app", OfferKind::Upgrade, "2.0-1"),
                (
                    "a-package-whose-name-is-rather-long",
                    OfferKind::Upgrade,
                    "1:2.0-1"
                ),
                ("old", OfferKind::Remove, "1.0-1"),
                ("newer", OfferKind::Upgrade, "2.0-1"),
                ("fresh", OfferKind::New, "1.0-1"),
                ("kept", OfferKind::Deferred, "2.0-1"),
            ]
        );
        assert_eq!(rows[1].arch, "noarch");
        assert_eq!(
            rows[5].why,
            "kept back: nothing provides nowhere needed by kept-2.0-1.noarch"
        );
    }

    #[test]
    fn rows_of_dnf_5_are_read() {
        // Written by hand after dnf 5's documentation: no such host was at hand.
        let rows = parse(
            "Package Arch Version Repository Size\nUpgrading:\n app noarch 2.0-1 sea 0.0 B\n   replacing app noarch 1.0-1 sea 0.0 B\n   replacing old noarch 1.0-1 sea 0.0 B\n\nTransaction Summary:\nOperation aborted by the user.",
        )
        .unwrap();
        let names: Vec<_> = rows.iter().map(|r| (r.name.as_str(), r.kind)).collect();
        assert_eq!(
            names,
            [("old", OfferKind::Remove), ("app", OfferKind::Upgrade)]
        );
    }

    #[test]
    fn nothing_and_failure_are_told_apart() {
        assert_eq!(
            parse("Dependencies resolved.\nNothing to do.\nComplete!"),
            Ok(vec![])
        );
        let why = parse("Error: Cache-only enabled but no cache for 'sea'").unwrap_err();
        assert!(why.contains("Cache-only"), "{why}");
        assert!(parse("").is_err());
        assert!(parse("Upgrading:\n app\nOperation aborted.").is_err());
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "(Upgrading:\n|Skipping x:\n|Operation aborted\n| a b c d|     replacing | x\\.y |\n|.){0,40}") {
            let _ = parse(&text);
        }
    }
}

//! What is free on the disks.

use super::{section_of, word};
use crate::model::patch::{PatchSnapshot, Space};
use crate::shell::Frame;

pub(super) fn read(frames: &[Frame], out: &mut PatchSnapshot) {
    if let Some(space) = section_of(frames, "space", "space", &mut out.unseen, parse) {
        out.space = space;
    }
}

/// First what each line is wanted for, in one line; then df's own table.
fn parse(text: &str) -> Result<Vec<Space>, String> {
    let mut lines = text.lines();
    let wanted: Vec<&str> = lines.next().unwrap_or_default().split(' ').collect();
    let wanted: Vec<&str> = wanted.into_iter().filter(|w| !w.is_empty()).collect();
    let rows: Vec<&str> = lines.skip(1).filter(|l| !l.trim().is_empty()).collect();
    if rows.len() != wanted.len() || rows.is_empty() {
        return Err("what df says cannot be read".into());
    }
    wanted
        .iter()
        .zip(rows)
        .map(|(what, row)| row_of(what, row).ok_or_else(|| "what df says cannot be read".into()))
        .collect()
}

/// `SOURCE BLOCKS USED FREE PERCENT MOUNT`; a source or a mount may hold spaces, so the percentage
/// is what is looked for.
fn row_of(what: &str, row: &str) -> Option<Space> {
    let words: Vec<&str> = row.split_whitespace().collect();
    let percent = (4..words.len()).find(|at| {
        words
            .get(*at)
            .and_then(|w| w.strip_suffix('%'))
            .is_some_and(|n| n == "-" || n.parse::<u64>().is_ok())
    });
    let percent = percent.or_else(|| (words.get(4) == Some(&"-")).then_some(4))?;
    let free: i64 = words.get(percent - 1)?.parse().ok()?;
    let mount = words.get(percent + 1..).filter(|m| !m.is_empty())?;
    Some(Space {
        what: word(what),
        mount: word(&mount.join(" ")),
        // df tells less than nothing where root's reserve is used up.
        free: u64::try_from(free).unwrap_or(0).saturating_mul(1024),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str =
        "packages root \nFilesystem 1024-blocks Used Available Capacity Mounted on\n";

    #[test]
    fn rows_are_told_by_their_order() {
        let said = format!(
            "{HEAD}overlay 12345 345 12000 3% /\n//nas/my share 100 100 -5 100% /srv/my data\n"
        );
        let space = parse(&said).unwrap();
        assert_eq!(
            (space[0].what.as_str(), space[0].free),
            ("packages", 12_288_000)
        );
        assert_eq!(
            (space[1].mount.as_str(), space[1].free),
            ("/srv/my data", 0)
        );
    }

    #[test]
    fn a_missing_row_is_no_answer() {
        assert!(parse(&format!("{HEAD}overlay 1 1 1 3% /\n")).is_err());
        assert!(parse(&format!("{HEAD}overlay 1 1 1 3% /\nx\n")).is_err());
        assert!(parse("").is_err());
    }
}

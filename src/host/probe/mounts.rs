//! The mount table. One fork: `cat` (`read` takes a system call for each byte).

use std::collections::BTreeSet;

use super::{Queries, section};
use crate::host::snapshot::{Mount, Snapshot};
use crate::shell::{Frame, NulInText};

const NAME: &str = "mounts";

/// The body of the function that observes.
pub fn script(q: &Queries) -> Result<Option<String>, NulInText> {
    if !q.mounts {
        return Ok(None);
    }
    Ok(Some(format!(
        r#"if _mounts=$(cat /proc/self/mountinfo 2>/dev/null) && [ -n "$_mounts" ]; then
  frame section {NAME} 0 "$_mounts"
else
  frame section {NAME} 1 '/proc/self/mountinfo may not be read'
fi"#
    )))
}

/// Reads what was said: /proc/self/mountinfo as it is.
pub fn read(frames: &[Frame], q: &Queries, out: &mut Snapshot) {
    if q.mounts {
        out.mounts = section::seen(frames, NAME, |text| {
            let mounts: Vec<Mount> = text.lines().filter_map(parse).collect();
            match mounts.len() {
                0 => Err("the mount table cannot be read".into()),
                _ => Ok(mounts),
            }
        });
    }
}

/// `ID PARENT MAJOR:MINOR ROOT PATH OPTIONS [TAG…] - TYPE SOURCE OPTIONS`
fn parse(line: &str) -> Option<Mount> {
    let (mount, system) = line.split_once(" - ")?;
    let mut mount = mount.split(' ');
    let path = mount.nth(4)?;
    let own = mount.next()?;
    let mut system = system.split(' ');
    let fstype = system.next()?;
    let source = system.next()?;
    let shared = system.next().unwrap_or_default();
    let options: BTreeSet<String> = own
        .split(',')
        .chain(shared.split(','))
        .filter(|o| !o.is_empty())
        .map(unescape)
        .collect();
    Some(Mount {
        path: unescape(path),
        source: unescape(source),
        fstype: fstype.to_owned(),
        options,
    })
}

/// Undoes the kernel's (and fstab's) `\040` for characters that would end a word.
pub(crate) fn unescape(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut i = 0;
    while let Some(b) = bytes.get(i) {
        let octal = match bytes.get(i..i + 4) {
            Some([b'\\', a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7']) => {
                Some((a - b'0') * 64 + (b - b'0') * 8 + (c - b'0'))
            }
            _ => None,
        };
        out.push(octal.unwrap_or(*b));
        i += if octal.is_some() { 4 } else { 1 };
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// Writes a word as the mount table and fstab do.
pub(crate) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            ' ' | '\t' | '\n' | '\\' | '#' => out.push_str(&format!("\\{:03o}", u32::from(c))),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::super::section::testing;
    use super::*;
    use crate::host::snapshot::Seen;
    use proptest::prelude::*;

    fn asked() -> Queries {
        Queries {
            mounts: true,
            ..Queries::default()
        }
    }

    #[test]
    fn a_line_is_read_with_or_without_tags() {
        let m = parse(
            "27 1 254:0 / /my\\040disk rw,nodev shared:1 master:2 - ext4 /dev/vda rw,discard",
        )
        .unwrap();
        assert_eq!((m.path.as_str(), m.fstype.as_str()), ("/my disk", "ext4"));
        assert_eq!(
            m.options,
            ["discard", "nodev", "rw"].map(String::from).into()
        );
        let m = parse("22 27 0:21 / /proc rw,relatime - proc proc rw,hidepid=invisible").unwrap();
        assert!(m.options.contains("hidepid=invisible"));
        assert_eq!(parse("22 27 0:21 / /proc rw"), None);
    }

    #[test]
    fn it_runs_under_every_shell() {
        let body = script(&asked()).unwrap().unwrap();
        for shell in testing::SHELLS {
            let mut out = Snapshot::default();
            read(&testing::frames(shell, &body), &asked(), &mut out);
            let mounts = out.mounts.yes().unwrap();
            assert!(mounts.iter().any(|m| m.path == "/proc"), "{shell:?}");
        }
        assert_eq!(script(&Queries::default()), Ok(None));
        let mut out = Snapshot::default();
        read(&[], &asked(), &mut out);
        assert_eq!(out.mounts, Seen::No("the host did not answer".into()));
        read(&[testing::frame(NAME, 0, "noise")], &asked(), &mut out);
        assert!(matches!(out.mounts, Seen::No(_)));
    }

    proptest! {
        #[test]
        fn escapes_come_back(text in any::<String>()) {
            prop_assert_eq!(unescape(&escape(&text)), text);
        }

        #[test]
        fn no_answer_makes_it_panic(data in "[-0-9a-z/\\\\, \n]{0,80}|.{0,80}") {
            let mut out = Snapshot::default();
            read(&[testing::frame(NAME, 0, &data)], &asked(), &mut out);
        }
    }
}

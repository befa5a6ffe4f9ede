//! Where a member of an archive may go: below the place that is restored to, and nowhere else.

use super::read::shown;

/// Longest path, in bytes, as the kernel takes it.
const PATH: usize = 4095;
/// Longest name of one thing, in bytes.
const NAME: usize = 255;
/// Directories within directories.
const DEPTH: usize = 256;

/// The names from the top to the thing; none for the top itself (`./`).
pub fn names(path: &[u8]) -> Result<Vec<&[u8]>, String> {
    if path.is_empty() {
        return Err("a member of the archive has no name".into());
    }
    if path.starts_with(b"/") {
        return Err(format!(
            "{} is an absolute path; those are refused",
            shown(path)
        ));
    }
    if path.contains(&0) {
        return Err(format!("{} has a NUL byte in its name", shown(path)));
    }
    if path.len() > PATH {
        return Err(format!(
            "{} is a path of {} bytes; {PATH} are the most",
            shown(path),
            path.len()
        ));
    }
    let mut names = Vec::with_capacity(8);
    for name in path.split(|b| *b == b'/') {
        match name {
            b"" | b"." => {}
            b".." => {
                return Err(format!(
                    "{} leads upwards ('..'); such paths are refused",
                    shown(path)
                ));
            }
            name if name.len() > NAME => {
                return Err(format!(
                    "{} has a name of {} bytes; {NAME} are the most",
                    shown(path),
                    name.len()
                ));
            }
            name => names.push(name),
        }
    }
    if names.len() > DEPTH {
        return Err(format!(
            "{} is {} levels deep; {DEPTH} are the most",
            shown(path),
            names.len()
        ));
    }
    Ok(names)
}

/// Whether a symbolic link stays within what is restored, whatever other links there are. `depth`:
/// how many directories it lies in.
///
/// `..` counts only at the beginning, where it leaves real directories. After a name it could
/// leave the target of another link, and that one's depth is not known.
pub fn stays_within(target: &[u8], depth: usize) -> bool {
    if target.starts_with(b"/") {
        return false;
    }
    let (mut up, mut named) = (0, false);
    for name in target.split(|b| *b == b'/') {
        match name {
            b"" | b"." => {}
            b".." if named => return false,
            b".." => up += 1,
            _ => named = true,
        }
    }
    up <= depth
}

/// A symbolic link's target that can be made at all.
pub fn target(path: &[u8], target: &[u8]) -> Result<(), String> {
    if target.is_empty() || target.len() > PATH || target.contains(&0) {
        return Err(format!(
            "{} is a link whose target is empty, too long or has a NUL byte",
            shown(path)
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_that_leave_are_refused() {
        for (path, why) in [
            (&b"/etc/passwd"[..], "absolute"),
            (b"../x", "'..'"),
            (b"a/../../x", "'..'"),
            (b"a/..", "'..'"),
            (b"", "no name"),
            (b"a\0b", "NUL"),
            (&[b'x'; 256], "256 bytes"),
            (&[b'x', b'/'].repeat(257), "257 levels"),
            (&b"aaaaaaa/".repeat(512), "4096 bytes"),
        ] {
            let said = names(path).expect_err("it must be refused");
            assert!(said.contains(why), "{said}");
        }
        assert_eq!(names(b"./a//b/./c/"), Ok(vec![&b"a"[..], b"b", b"c"]));
        assert_eq!(names(b"./"), Ok(vec![]));
        assert_eq!(names(b"..."), Ok(vec![&b"..."[..]]));
    }

    #[test]
    fn a_refused_name_cannot_act_on_a_terminal() {
        let said = names(b"/\x1b]0;x\x07\nok").expect_err("it is absolute");
        assert!(!said.contains(|c: char| c.is_control()), "{said:?}");
    }

    #[test]
    fn links_that_may_leave_are_told_from_those_that_cannot() {
        for (target, depth, within) in [
            (&b"b"[..], 0, true),
            (b"./b/c", 0, true),
            (b"..", 0, false),
            (b"..", 1, true),
            (b"../..", 1, false),
            (b"../../x", 2, true),
            (b"/etc", 5, false),
            // Through another link that leads to the top, `..` would leave it.
            (b"up/../x", 5, false),
            (b"", 0, true),
        ] {
            assert_eq!(
                stays_within(target, depth),
                within,
                "{} at {depth}",
                shown(target)
            );
        }
    }
}

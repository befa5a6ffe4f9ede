//! Globs of what is left out: `*` and `?` stop at a slash, `**` does not, `[a-z]` and `[!a-z]` are
//! one character. A glob is held against the whole path below the directory that is backed up; a
//! directory that matches is left out with all that is in it.

use regex::bytes::RegexSet;

/// What is left out of a directory.
pub(super) struct Excludes(RegexSet);

impl Excludes {
    /// # Errors
    /// When one is no glob; says which.
    pub fn new(globs: &[String]) -> Result<Self, String> {
        let patterns: Vec<String> = globs
            .iter()
            .map(|glob| pattern(glob).ok_or_else(|| wrong(glob)))
            .collect::<Result<_, _>>()?;
        RegexSet::new(&patterns)
            .map(Excludes)
            .map_err(|_| wrong(&globs.join("`, `")))
    }

    /// Whether a path (below the directory, without a slash before or after) is left out.
    pub fn has(&self, path: &[u8]) -> bool {
        !self.0.is_empty() && self.0.is_match(path)
    }
}

fn wrong(glob: &str) -> String {
    format!(
        "`{}` is no glob: mind its brackets, and write it relative to the directory, as in \
         `cache/**` or `**/*.tmp`",
        crate::shell::clean(glob, 200)
    )
}

/// A glob as a regular expression over bytes.
fn pattern(glob: &str) -> Option<String> {
    let glob = glob.strip_prefix("./").unwrap_or(glob);
    let glob = glob.strip_suffix('/').unwrap_or(glob);
    if glob.is_empty() || glob.starts_with('/') || glob.contains('\0') {
        return None;
    }
    let mut out = String::from(r"(?s-u)\A");
    let mut rest = glob;
    while let Some(c) = rest.chars().next() {
        // `**/` is any number of directories, also none; `**` at the end is all below.
        let at_start = rest.len() == glob.len() || glob[..glob.len() - rest.len()].ends_with('/');
        if let (true, Some(after)) = (at_start, rest.strip_prefix("**/")) {
            out.push_str("(?:.*/)?");
            rest = after;
            continue;
        }
        if let Some(after) = rest.strip_prefix("**") {
            out.push_str(if after.is_empty() { ".+" } else { ".*" });
            rest = after;
            continue;
        }
        let after = &rest[c.len_utf8()..];
        rest = after;
        match c {
            '*' => out.push_str("[^/]*"),
            // One character is one to four bytes, or a byte that is none.
            '?' => out.push_str(r"(?:[^/\x80-\xff]|[\xc2-\xf4][\x80-\xbf]{1,3}|[\x80-\xff])"),
            '[' => {
                let end = after.get(1..)?.find(']')? + 1;
                let class = &after[..end];
                rest = &after[end + 1..];
                let (negated, class) = match class.strip_prefix(['!', '^']) {
                    Some(class) => (true, class),
                    None => (false, class),
                };
                if class.is_empty() || !class.is_ascii() {
                    return None;
                }
                out.push_str(if negated { "[^/" } else { "[" });
                for c in class.chars() {
                    // A hyphen keeps its meaning; all that a class of expressions knows is escaped.
                    if !c.is_ascii_alphanumeric() && c != '-' {
                        out.push('\\');
                    }
                    out.push(c);
                }
                out.push(']');
            }
            '\\' => {
                let c = rest.chars().next()?;
                out.push_str(&literal(c));
                rest = &rest[c.len_utf8()..];
            }
            c => out.push_str(&literal(c)),
        }
    }
    out.push_str(r"\z");
    Some(out)
}

/// A character as its bytes.
fn literal(c: char) -> String {
    let mut bytes = [0; 4];
    c.encode_utf8(&mut bytes)
        .bytes()
        .map(|byte| format!(r"\x{byte:02x}"))
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn has(glob: &str, path: &str) -> bool {
        Excludes::new(&[glob.to_owned()])
            .unwrap()
            .has(path.as_bytes())
    }

    #[test]
    fn globs_mean_what_people_expect() {
        for (glob, yes, no) in [
            (
                "cache/**",
                vec!["cache/a", "cache/a/b"],
                vec!["cache", "x/cache/a"],
            ),
            ("cache/", vec!["cache"], vec!["cache/a", "cachet"]),
            ("*.tmp", vec!["a.tmp", ".tmp"], vec!["d/a.tmp", "a.tmp2"]),
            (
                "**/*.tmp",
                vec!["a.tmp", "d/a.tmp", "d/e/a.tmp"],
                vec!["a.tmp/b"],
            ),
            (
                "**/node_modules",
                vec!["node_modules", "a/node_modules"],
                vec!["xnode_modules"],
            ),
            (
                "a/**/z",
                vec!["a/z", "a/b/z", "a/b/c/z"],
                vec!["az", "a/bz"],
            ),
            ("log?", vec!["log1", "logé"], vec!["log", "log/", "log12"]),
            ("[a-c]x[!0-9]", vec!["bxy"], vec!["dxy", "bx1", "bx/"]),
            (r"a\*b", vec!["a*b"], vec!["axb"]),
            ("a.b+(c)", vec!["a.b+(c)"], vec!["aXb+(c)"]),
            ("./x", vec!["x"], vec!["./x"]),
            ("é", vec!["é"], vec!["e"]),
        ] {
            for path in yes {
                assert!(has(glob, path), "{glob} should leave out {path}");
            }
            for path in no {
                assert!(!has(glob, path), "{glob} should keep {path}");
            }
        }
        assert!(Excludes::new(&["*.x".into()]).unwrap().has(b"\xff\xfe.x"));
        assert!(!Excludes::new(&[]).unwrap().has(b""));
    }

    #[test]
    fn what_is_no_glob_is_refused() {
        for wrong in ["", "/abs", "a[", "a[]", "a[z-a]", "x\\", "./"] {
            assert!(Excludes::new(&[wrong.to_owned()]).is_err(), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn no_glob_panics(glob in r"[a-z*?\[\]!\\/.é-]{0,12}", path in proptest::collection::vec(any::<u8>(), 0..12)) {
            if let Ok(excludes) = Excludes::new(&[glob]) {
                excludes.has(&path);
            }
        }
    }
}

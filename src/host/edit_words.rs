//! The edit of one word among several in a line: a mount option in fstab, say. Pure.
//!
//! Several rules may each want a word of the same line, so the edit says the words and not the
//! line: edits of many rules add up.

/// What [`super::edit::Edit::Words`] does to a text.
pub(super) fn apply(
    matches: &str,
    add: &[String],
    remove: &[String],
    otherwise: &str,
    before: Option<&str>,
) -> String {
    let mut text = before.unwrap_or_default().to_owned();
    let Ok(pattern) = super::pattern::compile(matches) else {
        return text;
    };
    if !text.lines().any(|line| pattern.is_match(line)) {
        if !text.is_empty() && !text.ends_with('\n') {
            text.push('\n');
        }
        text.push_str(otherwise);
        if !text.ends_with('\n') {
            text.push('\n');
        }
    }
    text.split_inclusive('\n')
        .map(|line| {
            let body = line.trim_end_matches(['\n', '\r']);
            let Some(field) = pattern.captures(body).and_then(|c| c.get(1)) else {
                return line.to_owned();
            };
            let old: Vec<&str> = field.as_str().split(',').collect();
            let mut new: Vec<&str> = old
                .iter()
                .copied()
                .filter(|w| !w.is_empty() && !remove.iter().any(|r| r == w))
                .collect();
            new.extend(add.iter().map(String::as_str).filter(|w| !old.contains(w)));
            let (head, tail) = (
                line.get(..field.start()).unwrap_or_default(),
                line.get(field.end()..).unwrap_or_default(),
            );
            format!("{head}{}{tail}", new.join(","))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const FSTAB: &str = r"^\s*[^#\s]\S*\s+/tmp\s+\S+\s+(\S+)";

    fn words(list: &[&str]) -> Vec<String> {
        list.iter().map(|w| (*w).to_owned()).collect()
    }

    #[test]
    fn words_add_up_and_the_rest_of_the_line_stays() {
        let before = "# /tmp\nUUID=1 / ext4 errors=remount-ro 0 1\nUUID=2\t/tmp  ext4\tdefaults,exec 0 2\r\n";
        let one = apply(FSTAB, &words(&["nodev"]), &[], "", Some(before));
        let two = apply(
            FSTAB,
            &words(&["noexec"]),
            &words(&["exec"]),
            "",
            Some(&one),
        );
        assert_eq!(
            two,
            before.replace("defaults,exec", "defaults,nodev,noexec")
        );
        assert_eq!(
            apply(
                FSTAB,
                &words(&["noexec"]),
                &words(&["exec"]),
                "",
                Some(&two)
            ),
            two
        );
    }

    #[test]
    fn a_line_that_is_missing_is_appended_once() {
        let new = "tmpfs /tmp tmpfs defaults 0 0";
        let one = apply(FSTAB, &words(&["nodev"]), &[], new, Some("a b c d"));
        assert_eq!(one, "a b c d\ntmpfs /tmp tmpfs defaults,nodev 0 0\n");
        let two = apply(FSTAB, &words(&["nosuid"]), &[], new, Some(&one));
        assert_eq!(two, "a b c d\ntmpfs /tmp tmpfs defaults,nodev,nosuid 0 0\n");
        assert!(apply(FSTAB, &words(&["nodev"]), &[], new, None).starts_with("tmpfs"));
    }
}

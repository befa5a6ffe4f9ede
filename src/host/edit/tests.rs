use super::*;
use proptest::prelude::*;

fn set(section: Option<&str>, key: &str, value: &str, separator: Separator) -> Edit {
    Edit::SetKey {
        section: section.map(str::to_owned),
        key: key.into(),
        value: value.into(),
        separator,
        fold: false,
    }
}

fn line(line: &str, replaces: Option<&str>, first: bool) -> Edit {
    Edit::Line {
        line: line.into(),
        replaces: replaces.map(str::to_owned),
        first,
    }
}

fn after(edit: &Edit, before: &str) -> String {
    apply(edit, Some(before)).unwrap()
}

#[test]
fn the_first_setting_is_changed_and_further_ones_go() {
    let edit = set(None, "minlen", "14", Separator::Equals);
    assert_eq!(
        after(&edit, "# minlen = 8\nminlen=8\n\nother = 1\nminlen = 9\n"),
        "# minlen = 8\nminlen = 14\n\nother = 1\n"
    );
    // What is right already stays as it is spelled.
    assert_eq!(after(&edit, "  minlen=14\n"), "  minlen=14\n");
}

#[test]
fn a_commented_key_shows_where_to_put_it() {
    assert_eq!(
        after(
            &set(
                Some("Journal"),
                "Storage",
                "persistent",
                Separator::TightEquals
            ),
            "[Journal]\n#Storage=auto\n#Compress=yes\n"
        ),
        "[Journal]\n#Storage=auto\nStorage=persistent\n#Compress=yes\n"
    );
    // Prose is no setting.
    assert_eq!(
        after(
            &set(None, "UMASK", "027", Separator::Tab),
            "# UMASK is the mask\n"
        ),
        "# UMASK is the mask\nUMASK\t027\n"
    );
}

#[test]
fn sections_are_kept_apart_and_made_where_missing() {
    let edit = set(Some("B"), "k", "2", Separator::TightEquals);
    assert_eq!(
        after(&edit, "[A]\nk=1\n\n[B]\n\n[C]\nk=3\n"),
        "[A]\nk=1\n\n[B]\nk=2\n\n[C]\nk=3\n"
    );
    assert_eq!(after(&edit, "[B]\nx=1\n\n[C]\n"), "[B]\nx=1\nk=2\n\n[C]\n");
    assert_eq!(after(&edit, "[A]\nk=1"), "[A]\nk=1\n\n[B]\nk=2\n");
    assert_eq!(
        apply(&edit, None).unwrap(),
        format!("{MANAGED}\n\n[B]\nk=2\n")
    );
}

#[test]
fn line_endings_and_flags() {
    let edit = set(None, "k", "2", Separator::Equals);
    assert_eq!(after(&edit, "a = 1\r\nk = 1\r\n"), "a = 1\r\nk = 2\r\n");
    assert_eq!(after(&edit, "a = 1\r\n"), "a = 1\r\nk = 2\r\n");
    assert_eq!(after(&edit, "k = 1"), "k = 2");
    assert_eq!(after(&edit, "a = 1"), "a = 1\nk = 2\n");
    assert_eq!(after(&edit, ""), "k = 2\n");
    let flag = set(None, "enforce_for_root", "", Separator::Equals);
    assert_eq!(after(&flag, ""), "enforce_for_root\n");
    assert_eq!(after(&flag, "enforce_for_root\n"), "enforce_for_root\n");
}

#[test]
fn keys_are_taken_away() {
    let edit = Edit::UnsetKey {
        section: None,
        key: "port".into(),
        separator: Separator::Space,
        fold: true,
    };
    assert_eq!(
        after(&edit, "Port 22\n#Port 1\nX y\nPORT 23\n"),
        "#Port 1\nX y\n"
    );
    assert_eq!(apply(&edit, None), None);
}

#[test]
fn lines_are_appended_replaced_put_first_and_removed() {
    assert_eq!(after(&line("b", None, false), "a\n"), "a\nb\n");
    assert_eq!(after(&line("b", None, false), "b\na\n"), "b\na\n");
    assert_eq!(
        after(
            &line("umask 027", Some("^umask"), false),
            "umask 1\nx\numask 2\n"
        ),
        "umask 027\nx\n"
    );
    assert_eq!(
        after(
            &line("umask 027", Some("^umask"), false),
            "umask 1\numask 027\n"
        ),
        "umask 027\n"
    );
    assert_eq!(after(&line("I", None, true), "# c\na\nI\n"), "I\n# c\na\n");
    assert_eq!(
        after(&line("I", None, true), "# c\n\nI\na\n"),
        "# c\n\nI\na\n"
    );
    assert_eq!(
        apply(&line("#!/bin/sh", None, true), None).unwrap(),
        "#!/bin/sh\n"
    );
    assert_eq!(
        apply(&line("x", None, false), None).unwrap(),
        format!("{MANAGED}\nx\n")
    );
    let no = Edit::NoLine {
        matches: "^nul".into(),
    };
    assert_eq!(after(&no, "a\nnullok\nb"), "a\nb");
}

#[test]
fn what_contradicts_is_seen() {
    let content = |t: &str| Edit::Content(t.into());
    let own = |mode, clear| Edit::Own {
        owner: None,
        group: None,
        mode,
        clear,
    };
    let k1 = set(None, "k", "1", Separator::Equals);
    let k2 = set(None, "k", "2", Separator::Equals);
    assert!(conflict(&k1, &k2));
    assert!(!conflict(&k1, &k1));
    assert!(!conflict(&k1, &set(Some("A"), "k", "2", Separator::Equals)));
    assert!(conflict(&content("x\n"), &k1));
    assert!(!conflict(&k1, &content("k = 1\n")));
    assert!(conflict(&Edit::Absent, &k1));
    assert!(!conflict(
        &Edit::Absent,
        &Edit::NoLine {
            matches: "x".into()
        }
    ));
    assert!(conflict(
        &k1,
        &Edit::NoLine {
            matches: "^k".into()
        }
    ));
    assert!(conflict(&line("k = 3", None, false), &k1));
    assert!(!conflict(&line("other", None, false), &k1));
    assert!(conflict(
        &line("a", Some("^[ab]$"), false),
        &line("b", None, false)
    ));
    assert!(conflict(&own(Some(0o644), 0), &own(None, 0o022 | 0o004)));
    assert!(!conflict(&own(Some(0o600), 0), &own(None, 0o077)));
    assert!(conflict(&own(Some(0o600), 0), &own(Some(0o640), 0)));
}

#[test]
fn diffs_name_the_file_and_show_no_escapes() {
    assert_eq!(unified_diff("/f", Some("a\n"), Some("a\n")), "");
    assert_eq!(
        unified_diff("/f", Some("a\nb\n"), Some("a\nc\u{1b}\n")),
        "--- /f\n+++ /f\n@@ -1,2 +1,2 @@\n a\n-b\n+c·\n"
    );
    assert!(unified_diff("/f", None, Some("a\n")).starts_with("--- /dev/null\n+++ /f\n"));
}

fn separators() -> impl Strategy<Value = Separator> {
    prop_oneof![
        Just(Separator::Equals),
        Just(Separator::TightEquals),
        Just(Separator::Space),
        Just(Separator::Tab)
    ]
}

fn edits() -> impl Strategy<Value = Edit> {
    let key = "[a-cA-C]{1,2}";
    let section = proptest::option::of("[AB]");
    prop_oneof![
        (
            section.clone(),
            key,
            "[ -~\n\r]{0,6}",
            separators(),
            any::<bool>()
        )
            .prop_map(|(section, key, value, separator, fold)| Edit::SetKey {
                section,
                key,
                value,
                separator,
                fold
            }),
        (section, key, separators(), any::<bool>()).prop_map(|(section, key, separator, fold)| {
            Edit::UnsetKey {
                section,
                key,
                separator,
                fold,
            }
        }),
        (
            "[a-c#=][a-c #=\n]{0,3}",
            proptest::option::of("[a-c]"),
            any::<bool>()
        )
            .prop_map(|(line, replaces, first)| Edit::Line {
                line,
                replaces,
                first
            }),
        "[a-c#]{1,2}".prop_map(|matches| Edit::NoLine { matches }),
        "\\PC{0,9}".prop_map(Edit::Content),
        Just(Edit::Absent),
    ]
}

fn texts() -> impl Strategy<Value = Option<String>> {
    proptest::option::of("([#;]? ?[a-cA-C]{0,2} ?=? ?[a-c0-9]{0,2}(\n|\r\n|\n\\[[AB]\\]\n)?){0,8}")
}

proptest! {
    #[test]
    fn an_edit_twice_is_an_edit_once(edit in edits(), before in texts()) {
        let once = apply(&edit, before.as_deref());
        let twice = apply(&edit, once.as_deref());
        prop_assert_eq!(once, twice);
    }

    #[test]
    fn a_key_that_is_set_is_read_back_once(
        section in proptest::option::of("[AB]"), key in "[a-c]{1,2}", value in "[a-z0-9][ -~]{0,5}",
        separator in separators(), before in texts()
    ) {
        let edit = Edit::SetKey { section: section.clone(), key: key.clone(), value: value.clone(), separator, fold: false };
        let after = apply(&edit, before.as_deref()).unwrap();
        let read = read_keys(&after, section.as_deref(), separator, false);
        let values: Vec<_> = read.into_iter().filter(|(_, k, _)| *k == key).map(|(_, _, v)| v).collect();
        prop_assert_eq!(values, vec![value.trim().to_owned()]);
    }

    #[test]
    fn what_is_not_the_key_stays(before in texts(), key in "[xyz]") {
        let before = before.unwrap_or_default();
        let edit = set(None, &key, "1", Separator::Equals);
        let after = apply(&edit, Some(&before)).unwrap();
        let end = if before.contains("\r\n") { after.trim_end().to_owned() } else { after };
        prop_assert!(end.starts_with(before.trim_end()));
    }

    #[test]
    fn nothing_panics(edit in edits(), other in edits(), text in "\\PC*") {
        let after = apply(&edit, Some(&text));
        conflict(&edit, &other);
        unified_diff("/f", Some(&text), after.as_deref());
    }
}

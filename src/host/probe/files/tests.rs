use super::*;
use crate::host::probe::section::testing::{SHELLS, frames};
use proptest::prelude::*;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::process::Command;

fn observe(shell: &[&str], q: &Queries) -> Snapshot {
    let mut out = Snapshot::default();
    let body = script(q).unwrap().unwrap();
    read(&frames(shell, &body), q, &mut out);
    out
}

fn text<'s>(s: &'s Snapshot, path: &str) -> &'s Seen<String> {
    &s.files[path].yes().unwrap().content
}

#[test]
fn what_is_there_is_seen_to_the_byte() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| format!("{}/{name}", dir.path().display());
    let put = |name: &str, bytes: &[u8]| std::fs::write(at(name), bytes).unwrap();
    put("plain.conf", b"a = 1\n");
    put(
        "it's $(odd) `x`.conf",
        "no newline, \u{1b}[31m ümlaut".as_bytes(),
    );
    put("empty.conf", b"");
    put("latin.conf", b"\xff\n");
    put("large.conf", &vec![b'x'; TEXT_MAX as usize + 1]);
    put("-rf", b"meta only\n");
    std::fs::hard_link(at("plain.conf"), at("twin.conf")).unwrap();
    std::fs::create_dir(at("dir.conf")).unwrap();
    symlink("../../etc/../dev/null", at("null.conf")).unwrap();
    symlink("plain.conf", at("link.conf")).unwrap();
    symlink("nowhere", at("dangling.conf")).unwrap();
    std::fs::set_permissions(at("plain.conf"), PermissionsExt::from_mode(0o4751)).unwrap();
    let fifo = Command::new("mkfifo")
        .arg(at("pipe.conf"))
        .status()
        .unwrap();
    assert!(fifo.success());

    let mut q = Queries::default();
    q.texts(&at("*.conf"));
    q.glob(&at("nothing-*"));
    q.file(&at("-rf"));
    q.text(&at("missing/deeper"));
    q.text("/etc/shadow");
    for shell in SHELLS {
        let s = observe(shell, &q);
        let found = s.globs[&at("*.conf")].yes().unwrap();
        assert_eq!(found.len(), 11, "{shell:?} {found:?}");
        assert_eq!(s.globs[&at("nothing-*")], Seen::Yes(vec![]));
        assert_eq!(s.files[&at("missing/deeper")], Seen::Absent);

        let plain = s.files[&at("plain.conf")].yes().unwrap();
        assert_eq!(
            (plain.mode, plain.kind, plain.size),
            (0o4751, FileKind::File, 6)
        );
        assert_eq!(plain.content, Seen::Yes("a = 1\n".into()));
        assert_eq!(text(&s, &at("twin.conf")), &Seen::Yes("a = 1\n".into()));
        assert_eq!(text(&s, &at("empty.conf")), &Seen::Yes(String::new()));
        assert_eq!(
            text(&s, &at("it's $(odd) `x`.conf")),
            &Seen::Yes("no newline, \u{1b}[31m ümlaut".into())
        );
        for name in ["latin", "large", "dir", "pipe", "dangling"] {
            let seen = text(&s, &at(&format!("{name}.conf")));
            assert!(matches!(seen, Seen::No(_)), "{name} {seen:?}");
        }
        assert_eq!(text(&s, &at("null.conf")), &Seen::Yes(String::new()));
        assert_eq!(text(&s, &at("-rf")), &Seen::default());
        assert!(matches!(text(&s, "/etc/shadow"), Seen::No(_)));

        let link = s.files[&at("link.conf")].yes().unwrap();
        assert_eq!(
            (link.kind, link.link.as_deref()),
            (FileKind::Link, Some("plain.conf"))
        );
        assert_eq!(link.content, Seen::Yes("a = 1\n".into()));
        let (end, state) = followed(&s, &at("link.conf"));
        assert_eq!(end, at("plain.conf"));
        assert_eq!(state.yes().unwrap().mode, 0o4751);
    }
}

#[test]
fn names_come_from_the_accounts_where_they_are_asked_for() {
    let mut q = Queries {
        accounts: true,
        ..Queries::default()
    };
    q.file("/etc/passwd");
    let body = script(&q).unwrap().unwrap();
    for shell in SHELLS {
        let mut said = frames(shell, &body);
        let mut s = Snapshot::default();
        read(&said, &q, &mut s);
        assert!(matches!(s.files["/etc/passwd"], Seen::No(_)));
        said.push(Frame {
            kind: "section".into(),
            name: "accounts".into(),
            status: 2,
            data: b"u:root:1:0:0:/root:/bin/sh\nu:toor:1:0:0:/:/bin/sh\ng:wheel:0:\n".to_vec(),
        });
        read(&said, &q, &mut s);
        let state = s.files["/etc/passwd"].yes().unwrap();
        assert_eq!(
            (state.owner.as_str(), state.group.as_str()),
            ("root", "wheel")
        );
    }
}

#[test]
fn a_link_brings_its_end_with_it() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| format!("{}/{name}", dir.path().display());
    std::fs::create_dir(at("d")).unwrap();
    std::fs::write(at("real"), "x\n").unwrap();
    symlink("../real", at("d/link")).unwrap();
    let mut q = Queries::default();
    q.text(&at("d/link"));
    for shell in SHELLS {
        let s = observe(shell, &q);
        let (end, state) = followed(&s, &at("d/link"));
        assert_eq!(end, at("real"));
        assert_eq!(state.yes().unwrap().content, Seen::Yes("x\n".into()));
    }
}

#[test]
fn names_with_a_newline_are_said_and_forge_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let forged = format!("{}/x\n644:0:0:81a4:1:root:root:", dir.path().display());
    std::fs::create_dir(&forged).unwrap();
    let mut q = Queries::default();
    q.texts(&format!("{}/*", dir.path().display()));
    q.text("/a\nb");
    for shell in SHELLS {
        let s = observe(shell, &q);
        assert!(s.globs.values().all(|g| matches!(g, Seen::No(_))), "{s:?}");
        assert!(matches!(s.files["/a\nb"], Seen::No(_)));
    }
}

#[test]
fn silence_is_not_absence() {
    let mut q = Queries::default();
    q.text("/etc/passwd");
    q.texts("/etc/*.conf");
    let mut s = Snapshot::default();
    read(&[], &q, &mut s);
    assert!(matches!(s.files["/etc/passwd"], Seen::No(_)));
    assert!(matches!(s.globs["/etc/*.conf"], Seen::No(_)));
    assert_eq!(script(&Queries::default()).unwrap(), None);
    q.text("/nul\0");
    assert_eq!(script(&q), Err(NulInText));
}

#[test]
fn a_glob_is_not_believed_beyond_its_pattern() {
    let mut q = Queries::default();
    q.glob("/etc/*.conf");
    let frame = Frame {
        kind: "section".into(),
        name: "files.glob.0".into(),
        status: 0,
        data: b"/etc/a.conf\n/etc/shadow\n".to_vec(),
    };
    let mut s = Snapshot::default();
    read(&[frame], &q, &mut s);
    assert!(matches!(s.globs["/etc/*.conf"], Seen::No(_)));
}

#[test]
fn patterns_match_as_in_sh() {
    for (pattern, path, matches) in [
        ("/etc/*.conf", "/etc/a.conf", true),
        ("/etc/*.conf", "/etc/.conf", false),
        ("/etc/*.conf", "/etc/d/a.conf", false),
        ("/home/*/.[!.]*", "/home/ann/.netrc", true),
        ("/home/*/.[!.]*", "/home/ann/..x", false),
        ("/a?c", "/abc", true),
        ("/a?c", "/ac", false),
        ("/[a-c]x", "/bx", true),
        ("/[a-c]x", "/dx", false),
        ("/[x", "/[x", true),
        ("/a*b*c", "/a1b2b3c", true),
        ("/a*b*c", "/a1b2b3", false),
    ] {
        assert_eq!(glob_match(pattern, path), matches, "{pattern} {path}");
    }
}

proptest! {
    #[test]
    fn hostile_frames_do_no_harm(
        names in proptest::collection::vec("files\\.(stat|absent|hidden|links|targets|tar|glob\\.0)", 0..8),
        data in proptest::collection::vec(any::<u8>(), 0..300), raw in any::<bool>()
    ) {
        let mut q = Queries::default();
        q.text("/etc/a");
        q.texts("/etc/*");
        let frames: Vec<Frame> = names.into_iter().map(|name| Frame {
            kind: "section".into(), name, status: 0,
            data: if raw { data.clone() } else { STANDARD.encode(&data).into_bytes() },
        }).collect();
        let mut s = Snapshot::default();
        read(&frames, &q, &mut s);
        prop_assert!(s.files.contains_key("/etc/a") && s.globs.contains_key("/etc/*"));
        followed(&s, "/etc/a");
    }

    #[test]
    fn matching_never_panics(pattern in "[/a*?\\[\\]!.-]{0,12}", path in "[/a.b]{0,12}") {
        glob_match(&pattern, &path);
    }
}

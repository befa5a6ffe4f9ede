use super::super::paths::tests::{applied, file as state, snapshot};
use super::*;

fn rule(yaml: &str) -> File {
    let rule: File = serde_yaml::from_str(yaml).unwrap();
    assert_eq!(rule.problems(), vec![], "{yaml}");
    rule
}

fn host(path: &str, state: Seen<FileState>) -> Snapshot {
    let mut out = Snapshot::default();
    out.files.insert(path.into(), state);
    out
}

fn edits(rule: &File, s: &Snapshot) -> Vec<Edit> {
    let intents = rule.fix(s).unwrap();
    let edit = |i: Intent| match i {
        Intent::File(f) => f.edit,
        Intent::Script(s) => panic!("{s:?}"),
    };
    intents.into_iter().map(edit).collect()
}

#[test]
fn a_mode_is_a_bound() {
    let rule = rule("{path: /etc/x, owner: root, group: [root, shadow], mode: '0640'}");
    let verdict = |s: FileState| rule.judge(&host("/etc/x", Seen::Yes(s))).verdict;
    assert_eq!(verdict(state(0o640, "")), Verdict::Pass);
    assert_eq!(verdict(state(0o600, "")), Verdict::Pass);
    let shadow = FileState {
        group: "shadow".into(),
        gid: 42,
        ..state(0o640, "")
    };
    assert_eq!(verdict(shadow), Verdict::Pass);
    let sticky = FileState {
        kind: FileKind::Directory,
        ..state(0o1640, "")
    };
    assert_eq!(verdict(sticky), Verdict::Pass);
    assert_eq!(verdict(state(0o1640, "")), Verdict::Fail);
    let loose = FileState {
        owner: "bob".into(),
        ..state(0o4644, "")
    };
    assert_eq!(verdict(loose.clone()), Verdict::Fail);
    let s = host("/etc/x", Seen::Yes(loose));
    assert_eq!(rule.judge(&s).actual, "/etc/x bob:root 4644");
    assert_eq!(
        edits(&rule, &s),
        [Edit::Own {
            owner: Some("root".into()),
            group: None,
            mode: None,
            clear: 0o7137
        }]
    );
}

#[test]
fn an_exact_mode_is_set() {
    let rule = rule("{path: /etc/x, mode: '0644', exact: true}");
    let s = host("/etc/x", Seen::Yes(state(0o600, "")));
    assert_eq!(rule.judge(&s).verdict, Verdict::Fail);
    assert_eq!(
        edits(&rule, &s),
        [Edit::Own {
            owner: None,
            group: None,
            mode: Some(0o644),
            clear: 0
        }]
    );
}

#[test]
fn missing_and_unseen_are_told_apart() {
    let bound = rule("{path: /etc/x, mode: '0640'}");
    assert_eq!(
        bound.judge(&host("/etc/x", Seen::Absent)).verdict,
        Verdict::NotApplicable
    );
    assert_eq!(
        bound.judge(&host("/etc/x", Seen::No("why".into()))).verdict,
        Verdict::Unknown
    );
    assert_eq!(bound.judge(&Snapshot::default()).verdict, Verdict::Unknown);
    let pass = rule("{path: /etc/x, mode: '0640', if_missing: pass}");
    assert_eq!(
        pass.judge(&host("/etc/x", Seen::Absent)).verdict,
        Verdict::Pass
    );
    let present = rule("{path: /etc/x, mode: '0640', group: crontab, state: present}");
    let s = host("/etc/x", Seen::Absent);
    assert_eq!(present.judge(&s).verdict, Verdict::Fail);
    let [Intent::File(intent)] = &present.fix(&s).unwrap()[..] else {
        panic!()
    };
    assert_eq!(intent.edit, Edit::Content(String::new()));
    assert_eq!(
        (intent.create.group.as_str(), intent.create.mode),
        ("crontab", 0o640)
    );
}

#[test]
fn content_is_compared_to_the_byte() {
    let rule = rule("{path: /etc/motd, content: \"hello\\n\"}");
    let s = snapshot(&[("/etc/motd", "hello")], &[]);
    assert_eq!(rule.judge(&s).verdict, Verdict::Fail);
    let after = applied(&s, &rule.fix(&s).unwrap());
    assert_eq!(rule.judge(&after).verdict, Verdict::Pass);
    let large = FileState {
        content: Seen::No("is larger".into()),
        ..state(0o644, "")
    };
    assert_eq!(
        rule.judge(&host("/etc/motd", Seen::Yes(large))).verdict,
        Verdict::Unknown
    );
    let missing = host("/etc/motd", Seen::Absent);
    assert_eq!(
        rule.judge(&applied(&missing, &rule.fix(&missing).unwrap()))
            .verdict,
        Verdict::Pass
    );
}

#[test]
fn absence_removes_files_and_links_and_nothing_else() {
    let rule = rule("{path: /etc/at.deny, state: absent}");
    assert_eq!(
        rule.judge(&host("/etc/at.deny", Seen::Absent)).verdict,
        Verdict::Pass
    );
    let link = FileState {
        kind: FileKind::Link,
        link: Some("x".into()),
        ..state(0o777, "")
    };
    let s = host("/etc/at.deny", Seen::Yes(link));
    assert_eq!(rule.judge(&s).verdict, Verdict::Fail);
    assert_eq!(edits(&rule, &s), [Edit::Absent]);
    let dir = FileState {
        kind: FileKind::Directory,
        ..state(0o755, "")
    };
    assert!(rule.fix(&host("/etc/at.deny", Seen::Yes(dir))).is_err());
}

#[test]
fn a_link_is_followed() {
    let rule = rule("{path: /etc/l, mode: '0600'}");
    let link = FileState {
        kind: FileKind::Link,
        link: Some("d/real".into()),
        ..state(0o777, "")
    };
    let mut s = host("/etc/l", Seen::Yes(link));
    assert_eq!(rule.judge(&s).verdict, Verdict::Unknown);
    s.files
        .insert("/etc/d/real".into(), Seen::Yes(state(0o644, "")));
    assert_eq!(rule.judge(&s).verdict, Verdict::Fail);
    let [Intent::File(intent)] = &rule.fix(&s).unwrap()[..] else {
        panic!()
    };
    assert_eq!(intent.path, "/etc/d/real");
}

#[test]
fn a_pattern_stands_for_what_it_finds() {
    let rule = rule("{path: '/etc/ssh/*_key', mode: '0600', exclude: /etc/ssh/old_key}");
    let mut s = snapshot(
        &[
            ("/etc/ssh/a_key", ""),
            ("/etc/ssh/b_key", ""),
            ("/etc/ssh/old_key", ""),
        ],
        &["/etc/ssh/*_key"],
    );
    s.files
        .insert("/etc/ssh/a_key".into(), Seen::Yes(state(0o600, "")));
    assert_eq!(rule.judge(&s).actual, "/etc/ssh/b_key root:root 0644");
    let [Intent::File(intent)] = &rule.fix(&s).unwrap()[..] else {
        panic!()
    };
    assert_eq!(
        (intent.path.as_str(), intent.risk),
        ("/etc/ssh/b_key", Risk::LockOut)
    );
    s.globs.insert("/etc/ssh/*_key".into(), Seen::Yes(vec![]));
    assert_eq!(rule.judge(&s).verdict, Verdict::NotApplicable);
    s.globs
        .insert("/etc/ssh/*_key".into(), Seen::No("hidden".into()));
    assert_eq!(rule.judge(&s).verdict, Verdict::Unknown);
}

#[test]
fn directories_are_made() {
    let rule = rule("{path: /etc/d, state: directory, mode: '0750'}");
    let s = host("/etc/d", Seen::Absent);
    assert_eq!(rule.judge(&s).verdict, Verdict::Fail);
    assert_eq!(edits(&rule, &s), [Edit::Directory(Ownership::root(0o750))]);
    assert!(
        rule.fix(&host("/etc/d", Seen::Yes(state(0o750, ""))))
            .is_err()
    );
}

#[test]
fn wrong_parameters_are_named() {
    for (yaml, field) in [
        ("{path: etc/x, mode: '0640'}", "path"),
        ("{path: /etc/x}", "path"),
        ("{path: /etc/x, mode: u+x}", "mode"),
        ("{path: /etc/x, owner: root, exact: true}", "exact"),
        ("{path: /etc/x, content: a, template: b}", "template"),
        ("{path: '/etc/*', content: a}", "path"),
        ("{path: /etc/x, state: absent, mode: '0600'}", "state"),
    ] {
        let rule: File = serde_yaml::from_str(yaml).unwrap();
        assert_eq!(rule.problems().first().map(|p| p.0), Some(field), "{yaml}");
    }
    assert!(serde_yaml::from_str::<File>("{path: /x, oner: root}").is_err());
}

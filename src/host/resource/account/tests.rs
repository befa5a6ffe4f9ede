use super::super::paths::tests::applied;
use super::*;
use crate::host::snapshot::{FileKind, FileState, Group, Shadow};

const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIA ann";

pub fn user(name: &str, uid: u32, password: PasswordKind) -> User {
    User {
        name: name.into(),
        shadowed: true,
        uid,
        gid: uid,
        home: format!("/home/{name}"),
        shell: "/bin/bash".into(),
        shadow: Some(Shadow {
            password,
            changed: Some(19_000),
            min: Some(0),
            max: Some(99_999),
            warn: Some(7),
            inactive: None,
            expires: None,
        }),
        home_state: Some(FileState {
            kind: FileKind::Directory,
            mode: 0o700,
            uid,
            gid: uid,
            owner: name.into(),
            group: name.into(),
            size: 0,
            link: None,
            content: Seen::default(),
        }),
    }
}

pub fn group(name: &str, gid: u32, members: &[&str]) -> Group {
    Group {
        name: name.into(),
        gid,
        members: members.iter().map(|m| (*m).to_owned()).collect(),
    }
}

pub fn host(users: Vec<User>, groups: Vec<Group>) -> Snapshot {
    Snapshot {
        taken: "2026-11-20T08:00:00Z".into(),
        accounts: Seen::Yes(Accounts { users, groups }),
        ..Snapshot::default()
    }
}

fn rule(yaml: &str) -> Account {
    let rule: Account = serde_yaml::from_str(yaml).unwrap();
    assert_eq!(rule.problems(), vec![], "{yaml}");
    rule
}

fn ann(password: PasswordKind) -> Snapshot {
    host(
        vec![user("ann", 1000, password)],
        vec![group("ann", 1000, &[]), group("sudo", 27, &["bob"])],
    )
}

fn targets(rule: &Account, s: &Snapshot) -> Vec<String> {
    let target = |i: &Intent| match i {
        Intent::Script(s) => s.target.clone(),
        Intent::File(f) => f.path.clone(),
    };
    rule.fix(s).unwrap().iter().map(target).collect()
}

#[test]
fn what_is_wrong_is_named_and_mended() {
    let rule = rule("{name: ann, locked: true, shell: /usr/sbin/nologin, groups: sudo}");
    let s = ann(PasswordKind::Set("y".into()));
    let judged = rule.judge(&s);
    assert_eq!(judged.verdict, Verdict::Fail);
    assert_eq!(
        judged.actual,
        "password set (y), shell /bin/bash, not in sudo"
    );
    assert_eq!(
        targets(&rule, &s),
        [
            "account ann password",
            "account ann shell",
            "account ann groups"
        ]
    );
}

#[test]
fn locked_means_that_no_password_matches() {
    let rule = rule("{name: ann, locked: true}");
    for (kind, verdict) in [
        (PasswordKind::None, Verdict::Pass),
        (PasswordKind::Locked, Verdict::Pass),
        (PasswordKind::Empty, Verdict::Fail),
        (PasswordKind::Set("6".into()), Verdict::Fail),
    ] {
        assert_eq!(rule.judge(&ann(kind)).verdict, verdict);
    }
    let mut s = ann(PasswordKind::None);
    if let Seen::Yes(accounts) = &mut s.accounts {
        accounts.users[0].shadowed = false;
    }
    assert_eq!(rule.judge(&s).verdict, Verdict::Fail);
    assert!(rule.fix(&s).is_err());
}

#[test]
fn accounts_come_and_go() {
    let present = rule("{name: dan, present: true, groups: sudo}");
    let s = ann(PasswordKind::None);
    assert_eq!(present.judge(&s).verdict, Verdict::Fail);
    let [Intent::Script(step)] = &present.fix(&s).unwrap()[..] else {
        panic!()
    };
    assert!(
        step.act
            .contains("useradd -m -G 'sudo' -d '/home/dan' -s '/bin/bash' -- 'dan'"),
        "{}",
        step.act
    );
    let absent = rule("{name: ann, absent: true}");
    assert_eq!(absent.judge(&s).verdict, Verdict::Fail);
    assert_eq!(targets(&absent, &s), ["account ann"]);
    assert_eq!(
        rule("{name: dan, absent: true}").judge(&s).verdict,
        Verdict::Pass
    );
    assert_eq!(
        rule("{name: dan, locked: true}").judge(&s).verdict,
        Verdict::NotApplicable
    );
    assert!(rule("{name: ann, groups: nogroup-here}").fix(&s).is_err());
    assert_eq!(absent.judge(&Snapshot::default()).verdict, Verdict::Unknown);
    let root = host(vec![user("toor", 0, PasswordKind::None)], vec![]);
    assert!(rule("{name: toor, absent: true}").fix(&root).is_err());
}

#[test]
fn keys_are_added_and_made_exclusive() {
    let other = "command=\"x y\" ssh-rsa AAAAB3 eve";
    let mut s = ann(PasswordKind::None);
    let path = "/home/ann/.ssh/authorized_keys";
    let plain = rule(&format!("{{name: ann, keys: ['{KEY}']}}"));
    assert_eq!(plain.judge(&s).verdict, Verdict::Unknown);
    s.files.insert("/home/ann/.ssh".into(), Seen::Absent);
    s.files.insert(path.into(), Seen::Absent);
    assert_eq!(plain.judge(&s).actual, "1 keys missing");
    assert_eq!(targets(&plain, &s), ["/home/ann/.ssh", path]);
    let [_, Intent::File(intent)] = &plain.fix(&s).unwrap()[..] else {
        panic!()
    };
    assert_eq!(
        (
            intent.create.owner.as_str(),
            intent.create.mode,
            intent.risk
        ),
        ("ann", 0o600, Risk::LockOut)
    );

    let state = super::super::paths::tests::file(0o600, &format!("{other}\n"));
    s.files
        .insert("/home/ann/.ssh".into(), Seen::Yes(state.clone()));
    s.files.insert(path.into(), Seen::Yes(state));
    let after = applied(&s, &plain.fix(&s).unwrap());
    assert_eq!(
        after.files[path].yes().unwrap().content,
        Seen::Yes(format!("{other}\n{KEY}\n"))
    );
    assert_eq!(plain.judge(&after).verdict, Verdict::Pass);
    let only = rule(&format!("{{name: ann, keys: ['{KEY}'], exclusive: true}}"));
    assert_eq!(only.judge(&after).actual, "1 other keys");
    let after = applied(&after, &only.fix(&after).unwrap());
    assert_eq!(only.judge(&after).verdict, Verdict::Pass);

    let elsewhere = rule(&format!("{{name: ann, home: /srv/ann, keys: ['{KEY}']}}"));
    assert_eq!(elsewhere.judge(&s).verdict, Verdict::Unknown);
}

#[test]
fn wrong_parameters_are_named() {
    for (yaml, field) in [
        ("{name: 'a b', locked: true}", "name"),
        ("{name: ann}", "name"),
        ("{name: ann, absent: true, locked: true}", "absent"),
        ("{name: ann, shell: bash}", "shell"),
        ("{name: ann, keys: 'not a key'}", "keys"),
        ("{name: ann, exclusive: true}", "exclusive"),
        ("{name: ann, groups: 'a,b'}", "groups"),
    ] {
        let rule: Account = serde_yaml::from_str(yaml).unwrap();
        assert_eq!(rule.problems().first().map(|p| p.0), Some(field), "{yaml}");
    }
}

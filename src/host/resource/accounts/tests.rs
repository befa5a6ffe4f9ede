use super::super::account::tests::{group, host, user};
use super::*;
use crate::host::snapshot::{CommandOutcome, Group};
use proptest::prelude::*;

fn rule(yaml: &str) -> AccountsRule {
    let rule: AccountsRule = serde_yaml::from_str(yaml).unwrap();
    assert_eq!(rule.problems(), vec![], "{yaml}");
    rule
}

fn set() -> PasswordKind {
    PasswordKind::Set("y".into())
}

fn root() -> User {
    User {
        home: "/root".into(),
        ..user("root", 0, set())
    }
}

/// A host on which all demands but those of files hold.
fn good() -> (Vec<User>, Vec<Group>) {
    let bin = User {
        shell: NOLOGIN.into(),
        ..user("bin", 2, PasswordKind::None)
    };
    let sync = User {
        gid: 65_534,
        shell: "/bin/sync".into(),
        ..user("sync", 4, PasswordKind::None)
    };
    let users = vec![root(), bin, sync, user("ann", 1000, set())];
    let groups = vec![
        group("root", 0, &[]),
        group("bin", 2, &[]),
        group("nogroup", 65_534, &[]),
        group("ann", 1000, &[]),
        group("shadow", 42, &[]),
    ];
    (users, groups)
}

fn with_shells(mut s: Snapshot) -> Snapshot {
    let shells = super::super::paths::tests::file(0o644, "# valid\n/bin/sh\n/bin/bash\n");
    s.files.insert(SHELLS.into(), Seen::Yes(shells));
    for pattern in DOTFILES {
        s.globs.insert(pattern.into(), Seen::Yes(vec![]));
    }
    s
}

const PLAIN: &[&str] = &[
    "passwords_shadowed",
    "no_empty_password",
    "groups_exist",
    "shadow_group_empty",
    "unique_uids",
    "unique_gids",
    "unique_user_names",
    "unique_group_names",
    "homes",
    "dotfiles",
    "uid_0_only_root",
    "gid_0_only_root",
    "gid_0_group_only_root",
    "root_has_password_or_locked",
    "system_shells",
    "no_shell_locked",
    "password_changed_in_past",
];

#[test]
fn a_good_host_passes_and_a_silent_one_is_unknown() {
    let (users, groups) = good();
    let s = with_shells(host(users, groups));
    for demand in PLAIN {
        let rule = rule(&format!("{{demand: {demand}}}"));
        assert_eq!(
            rule.judge(&s).verdict,
            Verdict::Pass,
            "{demand} {:?}",
            rule.judge(&s)
        );
        assert_eq!(
            rule.judge(&Snapshot::default()).verdict,
            Verdict::Unknown,
            "{demand}"
        );
    }
}

#[test]
fn each_demand_finds_its_offender() {
    type Break = fn(&mut Vec<User>, &mut Vec<Group>);
    let cases: &[(&str, &str, bool, Break)] = &[
        (
            "passwords_shadowed",
            "ann: password in /etc/passwd",
            false,
            |u, _| u[3].shadowed = false,
        ),
        ("no_empty_password", "ann", true, |u, _| {
            u[3] = user("ann", 1000, PasswordKind::Empty)
        }),
        ("groups_exist", "ann: group 77", false, |u, _| u[3].gid = 77),
        ("shadow_group_empty", "ann", false, |_, g| {
            g[4].members.push("ann".into())
        }),
        ("unique_uids", "1000: ann, bob", false, |u, _| {
            u.push(user("bob", 1000, set()))
        }),
        ("unique_gids", "42: shadow, x", false, |_, g| {
            g.push(group("x", 42, &[]))
        }),
        ("unique_user_names", "ann: ann, ann", false, |u, _| {
            u.push(user("ann", 1001, set()))
        }),
        ("unique_group_names", "bin: bin, bin", false, |_, g| {
            g.push(group("bin", 43, &[]))
        }),
        ("homes", "ann: /home/ann is not there", true, |u, _| {
            u[3].home_state = None
        }),
        ("uid_0_only_root", "toor", false, |u, _| {
            u.push(user("toor", 0, set()))
        }),
        ("gid_0_only_root", "ann", false, |u, _| u[3].gid = 0),
        ("gid_0_group_only_root", "x", false, |_, g| {
            g.push(group("x", 0, &[]))
        }),
        (
            "root_has_password_or_locked",
            "empty password",
            true,
            |u, _| u[0] = user("root", 0, PasswordKind::Empty),
        ),
        ("system_shells", "bin: /bin/sh", true, |u, _| {
            u[1].shell = "/bin/sh".into()
        }),
        (
            "no_shell_locked",
            "ann: /usr/sbin/nologin, password set (y)",
            true,
            |u, _| u[3].shell = NOLOGIN.into(),
        ),
        (
            "password_changed_in_past",
            "ann: 100 days from now",
            false,
            |u, _| {
                // 2026-11-20 is day 20777.
                if let Some(s) = &mut u[3].shadow {
                    s.changed = Some(20_877)
                }
            },
        ),
    ];
    for (demand, actual, fixable, broken) in cases {
        let (mut users, mut groups) = good();
        broken(&mut users, &mut groups);
        let s = with_shells(host(users, groups));
        let rule = rule(&format!("{{demand: {demand}}}"));
        let judged = rule.judge(&s);
        assert_eq!(
            (judged.verdict, judged.actual.as_str()),
            (Verdict::Fail, *actual),
            "{demand}"
        );
        assert_eq!(
            rule.fix(&s).is_ok_and(|f| !f.is_empty()),
            *fixable,
            "{demand}"
        );
    }
}

#[test]
fn ages_count_where_a_password_is_set() {
    let max = rule("{demand: max_days, value: {at_least: 1, at_most: 365, set: 365}}");
    let (mut users, groups) = good();
    users.push(user("key-only", 1001, PasswordKind::Locked));
    users[0].shadow.as_mut().unwrap().max = Some(90);
    let s = host(users, groups);
    assert_eq!(max.judge(&s).actual, "ann: 99999");
    let [Intent::Script(step)] = &max.fix(&s).unwrap()[..] else {
        panic!()
    };
    assert!(step.act.contains("chage -M '365' -- 'ann'"), "{}", step.act);
    assert_eq!(
        (step.before.as_str(), step.after.as_str()),
        ("99999", "365")
    );
    let inactive =
        rule("{demand: inactive_days, value: {at_least: 0, at_most: 45, set: 45}, except: root}");
    assert_eq!(inactive.judge(&s).actual, "ann: not set");
    let warn = rule("{demand: warn_days, value: {at_least: 7, set: 7}}");
    assert_eq!(warn.judge(&s).verdict, Verdict::Pass);
}

#[test]
fn homes_are_closed() {
    let rule = rule("{demand: homes}");
    let (mut users, groups) = good();
    let state = users[3].home_state.as_mut().unwrap();
    (state.mode, state.uid, state.owner) = (0o777, 0, "root".into());
    let s = host(users, groups);
    assert_eq!(rule.judge(&s).actual, "ann: /home/ann root 0777");
    let [Intent::File(intent)] = &rule.fix(&s).unwrap()[..] else {
        panic!()
    };
    assert_eq!(
        intent.edit,
        Edit::Own {
            owner: Some("ann".into()),
            group: None,
            mode: None,
            clear: 0o027
        }
    );
    assert_eq!(intent.path, "/home/ann");
}

#[test]
fn dot_files_are_judged_by_their_owner() {
    let rule = rule("{demand: dotfiles}");
    let (users, groups) = good();
    let mut s = with_shells(host(users.clone(), groups.clone()));
    let file = |uid, mode| {
        Seen::Yes(FileState {
            uid,
            owner: uid.to_string(),
            ..super::super::paths::tests::file(mode, "")
        })
    };
    let paths = [
        ("/home/ann/.netrc", file(1000, 0o640)),
        ("/home/ann/.profile", file(1000, 0o644)),
        ("/home/ann/.x", file(5, 0o644)),
    ];
    let found = paths.iter().map(|(p, _)| (*p).to_owned()).collect();
    s.globs.insert(DOTFILES[0].into(), Seen::Yes(found));
    for (path, state) in paths {
        s.files.insert(path.into(), state);
    }
    assert_eq!(
        rule.judge(&s).actual,
        "/home/ann/.netrc 1000 0640; /home/ann/.x 5 0644"
    );
    assert_eq!(rule.fix(&s).unwrap().len(), 2);
    // A home that is not looked into is not a pass.
    let mut users = users;
    users[3].home = "/srv/ann".into();
    assert_eq!(
        rule.judge(&with_shells(host(users, groups))).verdict,
        Verdict::Unknown
    );
}

#[test]
fn roots_path_is_asked_of_the_host() {
    let rule = rule("{demand: root_path}");
    let mut q = Queries::default();
    rule.ask(&mut q);
    assert!(q.commands.contains_key(ROOT_PATH_ID) && !q.accounts);
    let mut s = Snapshot::default();
    let mut say = |status, output: &str| {
        let outcome = CommandOutcome {
            status,
            output: output.into(),
        };
        s.commands.insert(ROOT_PATH_ID.into(), Seen::Yes(outcome));
        rule.judge(&s)
    };
    assert_eq!(say(0, "").verdict, Verdict::Pass);
    assert_eq!(say(0, ".: not absolute\n").actual, ".: not absolute");
    assert_eq!(say(127, "").verdict, Verdict::Fail);
}

#[test]
fn names_from_the_host_are_never_given_to_tools_unchecked() {
    let (mut users, groups) = good();
    users.push(user("-x $(reboot)", 1002, PasswordKind::Empty));
    let s = with_shells(host(users, groups));
    assert!(rule("{demand: no_empty_password}").fix(&s).is_err());
}

#[test]
fn wrong_parameters_are_named() {
    for yaml in [
        "{demand: max_days}",
        "{demand: homes, value: 3}",
        "{demand: max_days, value: {at_most: 3}}",
        "{demand: min_days, value: soon}",
    ] {
        let rule: AccountsRule = serde_yaml::from_str(yaml).unwrap();
        assert_eq!(
            rule.problems().first().map(|p| p.0),
            Some("value"),
            "{yaml}"
        );
    }
    assert!(serde_yaml::from_str::<AccountsRule>("{demand: nothing}").is_err());
}

proptest! {
    #[test]
    fn hostile_accounts_do_no_harm(name in "\\PC{0,9}", home in "\\PC{0,9}", uid in any::<u32>(), day in any::<i64>(), kind in 0..3) {
        let mut hostile = user(&name, uid, [PasswordKind::Empty, PasswordKind::None, set()][kind as usize].clone());
        hostile.home = home;
        hostile.shadow.as_mut().unwrap().changed = Some(day);
        let s = with_shells(host(vec![hostile], vec![group(&name, uid, &[&name])]));
        for demand in PLAIN {
            let rule = rule(&format!("{{demand: {demand}}}"));
            if rule.judge(&s).verdict == Verdict::Fail {
                let _ = rule.fix(&s);
            }
        }
    }
}

use super::super::paths::tests::{applied, snapshot};
use super::*;
use proptest::prelude::*;

fn rule(yaml: &str) -> Sshd {
    let rule: Sshd = serde_yaml::from_str(yaml).unwrap();
    assert_eq!(rule.problems(), vec![], "{yaml}");
    rule
}

/// A host with this `sshd -T` and these files.
fn host(said: &[(&str, &str)], files: &[(&str, &str)]) -> Snapshot {
    let mut s = snapshot(files, &[DROP_INS]);
    s.files.entry(OURS.into()).or_insert(Seen::Absent);
    let mut options = std::collections::BTreeMap::new();
    for (key, value) in said {
        let values: &mut Vec<String> = options.entry((*key).to_owned()).or_default();
        values.push((*value).to_owned());
    }
    s.sshd = Seen::Yes(options);
    s
}

fn verdict(rule: &Sshd, said: &[(&str, &str)]) -> Verdict {
    rule.judge(&host(said, &[(MAIN, "")])).verdict
}

fn text<'s>(s: &'s Snapshot, path: &str) -> &'s str {
    s.files[path].yes().unwrap().content.yes().unwrap()
}

const DEBIAN: &str = "# Debian's\nInclude /etc/ssh/sshd_config.d/*.conf\n\n#PermitRootLogin prohibit-password\nX11Forwarding yes\n";

#[test]
fn values_are_compared_as_sshd_says_them() {
    let root = rule("{option: permitrootlogin, value: prohibit-password}");
    assert_eq!(
        verdict(&root, &[("permitrootlogin", "without-password")]),
        Verdict::Pass
    );
    assert_eq!(verdict(&root, &[("permitrootlogin", "yes")]), Verdict::Fail);
    let grace = rule("{option: LoginGraceTime, value: {at_least: 1, at_most: 60, set: 60}}");
    assert_eq!(verdict(&grace, &[("logingracetime", "120")]), Verdict::Fail);
    assert_eq!(verdict(&grace, &[("logingracetime", "60")]), Verdict::Pass);
    let minute = rule("{option: LoginGraceTime, value: 1m}");
    assert_eq!(verdict(&minute, &[("logingracetime", "60")]), Verdict::Pass);
    let log = rule("{option: LogLevel, value: {one_of: [INFO, VERBOSE], set: VERBOSE}}");
    assert_eq!(verdict(&log, &[("loglevel", "INFO")]), Verdict::Pass);
    let macs = rule("{option: MACs, value: {subset_of: [a-etm, b-etm], set: [a-etm, b-etm]}}");
    assert_eq!(verdict(&macs, &[("macs", "a-etm,b-etm")]), Verdict::Pass);
    assert_eq!(verdict(&macs, &[("macs", "a-etm,md5")]), Verdict::Fail);
    let startups = rule("{option: MaxStartups, stricter_than: '10:30:60'}");
    assert_eq!(
        verdict(&startups, &[("maxstartups", "10:30:60")]),
        Verdict::Pass
    );
    assert_eq!(
        verdict(&startups, &[("maxstartups", "4:30:60")]),
        Verdict::Pass
    );
    assert_eq!(
        verdict(&startups, &[("maxstartups", "10:30:100")]),
        Verdict::Fail
    );
    assert_eq!(verdict(&startups, &[("maxstartups", "4")]), Verdict::Fail);
}

#[test]
fn what_is_not_there_not_known_and_not_seen() {
    let x = rule("{option: RequiredRSASize, value: {at_least: 2048, set: 3072}}");
    assert_eq!(verdict(&x, &[("port", "22")]), Verdict::NotApplicable);
    let users = rule("{option: AllowUsers, value: ann}");
    assert_eq!(verdict(&users, &[("port", "22")]), Verdict::Fail);
    let mut s = Snapshot::default();
    assert_eq!(x.judge(&s).verdict, Verdict::Unknown);
    s.sshd = Seen::Absent;
    assert_eq!(x.judge(&s).verdict, Verdict::NotApplicable);
    s.sshd = Seen::No("sshd -T failed".into());
    assert_eq!(x.judge(&s).reason.as_deref(), Some("sshd -T failed"));
    // A pass needs the Match blocks to have been seen.
    let mut s = host(&[("x11forwarding", "no")], &[]);
    s.files.insert(MAIN.into(), Seen::No("too large".into()));
    let x11 = rule("{option: X11Forwarding, value: no}");
    assert_eq!(x11.judge(&s).verdict, Verdict::Unknown);
}

#[test]
fn a_match_block_that_says_otherwise_fails() {
    let rule = rule("{option: X11Forwarding, value: no}");
    let files = [(MAIN, "Match User bob\n  X11Forwarding yes\n")];
    let s = host(&[("x11forwarding", "no")], &files);
    let judged = rule.judge(&s);
    assert_eq!(judged.verdict, Verdict::Fail);
    assert_eq!(
        judged.actual,
        "no, but yes in a Match block (/etc/ssh/sshd_config:2)"
    );
    assert!(
        rule.fix(&s)
            .unwrap_err()
            .0
            .contains("/etc/ssh/sshd_config:2")
    );
}

#[test]
fn the_drop_in_is_written_validated_and_reloaded() {
    let rule = rule("{option: x11forwarding, value: no}");
    let s = host(&[("x11forwarding", "yes")], &[(MAIN, DEBIAN)]);
    let intents = rule.fix(&s).unwrap();
    let [Intent::File(intent)] = &intents[..] else {
        panic!("{intents:?}")
    };
    assert_eq!((intent.path.as_str(), intent.risk), (OURS, Risk::LockOut));
    assert_eq!(intent.create.mode, 0o600);
    assert!(
        intent
            .validate_placed
            .as_ref()
            .unwrap()
            .ends_with("sshd -t")
    );
    assert_eq!(intent.reaction.as_ref().unwrap().name, "reload.ssh");
    assert!(text(&applied(&s, &intents), OURS).ends_with("\nX11Forwarding no\n"));
}

#[test]
fn the_include_is_put_first_where_it_is_missing_or_late() {
    let rule = rule("{option: X11Forwarding, value: no}");
    for main in [
        "X11Forwarding yes\n",
        "X11Forwarding yes\nInclude /etc/ssh/sshd_config.d/*.conf\n",
        "Match User x\nInclude /etc/ssh/sshd_config.d/*.conf\n",
        "#Include /etc/ssh/sshd_config.d/*.conf\n",
    ] {
        let s = host(&[("x11forwarding", "yes")], &[(MAIN, main)]);
        let after = applied(&s, &rule.fix(&s).unwrap());
        assert!(
            text(&after, MAIN).starts_with(&format!("{INCLUDE}\n")),
            "{main}"
        );
        assert_eq!(
            text(&after, MAIN).matches(&format!("\n{INCLUDE}")).count(),
            0
        );
    }
}

#[test]
fn an_earlier_drop_in_is_named() {
    let rule = rule("{option: X11Forwarding, value: no}");
    let early = "/etc/ssh/sshd_config.d/00-a.conf";
    let s = host(
        &[("x11forwarding", "yes")],
        &[(MAIN, DEBIAN), (early, "X11Forwarding=yes\n")],
    );
    assert!(
        rule.fix(&s)
            .unwrap_err()
            .0
            .starts_with("/etc/ssh/sshd_config.d/00-a.conf:1 sets")
    );
}

#[test]
fn what_adds_up_is_set_in_one_place() {
    let rule = rule("{option: Port, value: 2222}");
    let s = host(
        &[("port", "22")],
        &[
            (MAIN, &format!("{INCLUDE}\nPort 22\n#Port 1\n")),
            ("/etc/ssh/sshd_config.d/x.conf", "port 23\n"),
        ],
    );
    let after = applied(&s, &rule.fix(&s).unwrap());
    let config = Config::of(&after);
    let ports: Vec<_> = config.global("port").map(|s| s.value.as_str()).collect();
    assert_eq!(ports, ["2222"]);
    assert!(text(&after, MAIN).contains("#Port 1"));
    let odd = host(
        &[("port", "22")],
        &[(MAIN, &format!("{INCLUDE}\nPort=22\n"))],
    );
    assert!(
        rule.fix(&odd)
            .unwrap_err()
            .0
            .starts_with("/etc/ssh/sshd_config:2")
    );
}

#[test]
fn any_of_several_options_will_do() {
    let rule = rule(
        "{any_of_options: [AllowUsers, AllowGroups], set_option: AllowGroups, set: [sudo, admins]}",
    );
    assert_eq!(verdict(&rule, &[("allowusers", "ann")]), Verdict::Pass);
    let s = host(&[("port", "22")], &[(MAIN, DEBIAN)]);
    assert_eq!(rule.judge(&s).verdict, Verdict::Fail);
    let after = applied(&s, &rule.fix(&s).unwrap());
    assert!(text(&after, OURS).ends_with("\nAllowGroups sudo admins\n"));
}

#[test]
fn wrong_parameters_are_named() {
    for (yaml, field) in [
        ("{option: PermitRotLogin, value: no}", "option"),
        ("{value: no}", "option"),
        ("{option: Port}", "value"),
        ("{option: Port, stricter_than: '1:2:3'}", "stricter_than"),
        (
            "{option: MaxStartups, stricter_than: '1:2'}",
            "stricter_than",
        ),
        ("{option: MaxAuthTries, value: {at_most: 4}}", "value"),
        (
            "{any_of_options: AllowUsers, set_option: AllowGroups, set: x}",
            "set_option",
        ),
        (
            "{any_of_options: AllowUsers, set_option: AllowUsers}",
            "set",
        ),
        ("{option: Banner, value: \"a\\nPort 1\"}", "value"),
    ] {
        let rule: Sshd = serde_yaml::from_str(yaml).unwrap();
        assert_eq!(rule.problems().first().map(|p| p.0), Some(field), "{yaml}");
    }
    let rule: Sshd = serde_yaml::from_str("{option: PermitRotLogin, value: no}").unwrap();
    assert!(rule.problems()[0].1.contains("`PermitRootLogin`"));
}

proptest! {
    #[test]
    fn whatever_the_files_hold_a_fix_makes_ours_win(
        main in "((Port|X11Forwarding|Match all|Match User a|Include /etc/ssh/sshd_config.d/\\*.conf)[ =]?(yes|no)?\n){0,6}",
        other in "(X11Forwarding yes\n|Match User a\n|\\PC){0,3}"
    ) {
        let rule = rule("{option: X11Forwarding, value: no}");
        let s = host(&[("x11forwarding", "yes")], &[(MAIN, &main), ("/etc/ssh/sshd_config.d/50.conf", &other)]);
        if let Ok(intents) = rule.fix(&s) {
            let after = applied(&s, &intents);
            let config = Config::of(&after);
            prop_assert_eq!(config.global("x11forwarding").next().map(|s| s.path.as_str()), Some(OURS));
        }
    }

    #[test]
    fn times_never_panic(text in "[0-9smhdwx]{0,30}") {
        seconds(&text);
    }
}

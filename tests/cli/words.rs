//! Arguments, documents, exit codes, and what is said of them.

use super::{Desk, Said};

const VERBS: [&str; 13] = [
    "check",
    "apply",
    "rollback",
    "patch",
    "rules",
    "explain",
    "runs",
    "report",
    "verify",
    "keygen",
    "schema",
    "lab",
    "completions",
];

#[test]
fn each_verb_has_a_help_text_and_the_whole_names_each_verb_and_exit_code() {
    let desk = Desk::new();
    let whole = desk.run(&["--help"]);
    assert_eq!(whole.code, 0, "{whole}");
    for verb in VERBS {
        assert!(whole.out.contains(&format!("\n  {verb} ")), "{whole}");
        let own = desk.run(&[verb, "--help"]);
        assert_eq!(own.code, 0, "{verb}: {own}");
        assert!(own.out.contains(&format!("seawall {verb}")), "{own}");
    }
    for code in ["0  ", "1  ", "2  ", "3  "] {
        assert!(whole.out.contains(&format!("\n  {code}")), "{whole}");
    }
}

#[test]
fn completions_are_there_for_each_shell() {
    let desk = Desk::new();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let said = desk.run(&["completions", shell]);
        assert_eq!(said.code, 0, "{shell}: {said}");
        for verb in VERBS {
            assert!(said.out.contains(verb), "{shell} does not know {verb}");
        }
    }
}

#[test]
fn what_cannot_run_ends_with_2_and_says_what_to_do() {
    let desk = Desk::new();
    let check = ["check", "playbook.yaml", "-i", "hosts.yaml"];
    let apply = ["apply", "playbook.yaml", "-i", "hosts.yaml"];
    let with = |base: &[&'static str], more: &[&'static str]| [base, more].concat();
    let cases: Vec<(Vec<&str>, &str)> = vec![
        (vec![], "Usage: seawall"),
        (vec!["chekc"], "'check'"),
        (vec!["check"], "-i <FILE|HOSTS>"),
        (vec!["check", "playbook.yaml"], "Give an inventory with -i"),
        (
            vec!["check", "nope.yaml", "-i", "hosts.yaml"],
            "there is no such file",
        ),
        (
            vec!["check", "playbok.yaml", "-i", "hosts.yaml"],
            "did you mean `playbook.yaml`",
        ),
        (
            vec!["check", "one.yaml", "-i", "hosts.yaml"],
            "one.yaml is a baseline, and a playbook is wanted here",
        ),
        (
            vec!["check", "hosts.yaml", "-i", "playbook.yaml"],
            "playbook.yaml is a playbook, and an inventory is wanted here",
        ),
        (
            vec!["check", "playbook.yaml", "-i", "nobody"],
            "write `-i nobody,`",
        ),
        (with(&check, &["--limit", "nobdy"]), "did you mean `nobody`"),
        (with(&check, &["--limit", "all,!all"]), "leaves none"),
        (with(&check, &["--rule", "t.mot"]), "did you mean `t.motd`"),
        (with(&check, &["--level", "3"]), "1..=2"),
        (
            with(&check, &["--set", "x=1"]),
            "no baseline has a variable `x`",
        ),
        (with(&check, &["--set", "x"]), "name=value"),
        (with(&check, &["--at-once", "0"]), "1 or more"),
        (
            with(&check, &["--snapshot", "nope"]),
            "reading the snapshot",
        ),
        (
            with(&check, &["--snapshot", "one.yaml"]),
            "is not a snapshot",
        ),
        (with(&apply, &["--waves", "0"]), "--waves"),
        (with(&apply, &["--waves", "1,x"]), "a share (25%)"),
        (with(&apply, &["--confirm", "1s"]), "from 5s to 1h"),
        (with(&apply, &["--confirm", "x"]), "90s, 2m or 1h"),
        (
            vec!["rollback", "latest", "-i", "hosts.yaml"],
            "`seawall runs` lists them",
        ),
        (vec!["rollback", "20200101", "-i", "hosts.yaml"], "run"),
        (vec!["report"], "no run"),
        (vec!["rules"], "name a baseline or a playbook"),
        (vec!["rules", "nope.yaml"], "reading nope.yaml"),
        (vec!["rules", "one.yaml", "--area", "x"], "there are t"),
        (vec!["rules", "one.yaml", "--control", "x"], "--control"),
        (
            vec!["explain", "t.mot", "--in", "one.yaml"],
            "did you mean `t.motd`",
        ),
        (vec!["schema"], "KIND"),
        (vec!["completions", "tcl"], "bash"),
        (vec!["lab", "up", "0"], "1 to 240 hosts"),
    ];
    for (args, expected) in cases {
        let said = desk.run(&args);
        assert_eq!(said.code, 2, "{args:?}: {said}");
        assert!(said.err.contains(expected), "{args:?}: {said}");
        assert_eq!(said.out, "", "{args:?}: nothing is for a pipe");
    }
    assert!(
        !desk.dir.path().join("state").exists(),
        "what could not run has left no run"
    );
}

#[test]
fn every_mistake_of_a_document_is_told_at_once() {
    let desk = Desk::new();
    desk.write(
        "playbook.yaml",
        "playbook: t\ntitle: T\nhosts: [all]\nbaselines: [one.yaml]\nlevle: 1\nwaivers:\n  - {rule: t.mot, reason: r, owner: o, approver: a, expires: 2099-01-01}\n",
    );
    let said = desk.run(&["check", "playbook.yaml", "-i", "hosts.yaml"]);
    assert_eq!(said.code, 2, "{said}");
    for expected in [
        "did you mean `level`?",
        "t.motd",
        "playbook.yaml:5:1",
        "2 mistakes",
    ] {
        assert!(said.err.contains(expected), "{expected}: {said}");
    }
}

#[test]
fn an_empty_state_has_no_runs_and_one_that_cannot_be_written_is_said() {
    let desk = Desk::new();
    let said = desk.run(&["runs"]);
    assert_eq!(said.code, 0, "{said}");
    assert!(said.out.starts_with("no run is kept yet in "), "{said}");
    desk.write("a-file", "");
    let state = desk.dir.path().join("a-file/state");
    let said = desk.run_with_state(&["check", "playbook.yaml", "-i", "hosts.yaml"], &state);
    assert_eq!(said.code, 2, "{said}");
    assert!(said.err.contains("set SEAWALL_STATE_DIR to"), "{said}");
    let causes = said.err.matches("Not a directory").count();
    assert_eq!(causes, 1, "the cause is told once: {said}");
}

#[test]
fn a_host_out_of_reach_is_told_once_and_ends_with_3() {
    let desk = Desk::new();
    let said = desk.run(&["check", "playbook.yaml", "-i", "hosts.yaml", "-q"]);
    assert_eq!(said.code, 3, "{said}");
    assert!(said.out.contains("nothing of 1 host (nobody)"), "{said}");
    assert!(
        !said.out.contains("t.motd"),
        "its rules are no news: {said}"
    );
    assert_eq!(said.err, "", "--quiet says the summary only");
    let limited = desk.run(&[
        "check",
        "playbook.yaml",
        "-i",
        "hosts.yaml",
        "-q",
        "--limit",
        "nobody",
        "--rule",
        "t.*",
    ]);
    assert!(
        limited
            .out
            .contains("check playbook.yaml -i hosts.yaml --limit nobody --rule 't.*'"),
        "what is proposed treats no more than what was asked for: {limited}"
    );
    let runs = desk.run(&["runs"]);
    assert!(runs.out.contains("exit 3"), "{runs}");
}

#[test]
fn ctrl_c_ends_a_run_with_2_and_its_journal_is_whole() {
    let desk = Desk::new();
    // Somebody who answers and then says nothing.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").expect("a port of our own");
    let port = silent.local_addr().expect("its number").port();
    desk.write(
        "hosts.yaml",
        &format!("inventory: t\nhosts:\n  silent: {{address: 127.0.0.1, port: {port}}}\n"),
    );
    for (verb, says) in [
        ("check", "interrupted; nothing was changed"),
        (
            "apply",
            "interrupted; a host that was being changed undoes it",
        ),
    ] {
        let child = desk
            .command(&[verb, "playbook.yaml", "-i", "hosts.yaml", "-q"])
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::piped())
            .spawn()
            .expect("the program can be run");
        let connection = silent.accept().expect("it reaches for the host");
        let id = i32::try_from(child.id()).expect("a process id");
        // SAFETY: it is our child, and has not been waited for.
        unsafe { libc::kill(id, libc::SIGINT) };
        let said = Said::of(child.wait_with_output().expect("it ends"));
        drop(connection);
        assert_eq!(said.code, 2, "{verb}: {said}");
        assert!(said.out.contains(says), "{verb}: {said}");
        let report = desk.run(&["report", "latest"]);
        assert!(report.out.contains("journal  whole"), "{report}");
    }
}

#[test]
fn a_report_that_cannot_be_written_hides_no_result() {
    let desk = Desk::new();
    let said = desk.run(&[
        "check",
        "playbook.yaml",
        "-i",
        "hosts.yaml",
        "-q",
        "--html",
        "no-folder/x.html",
    ]);
    assert_eq!(said.code, 2, "{said}");
    assert!(said.out.contains("nobody"), "{said}");
    assert!(said.err.contains("writes its report again"), "{said}");
}

#[test]
fn the_drill_says_where_credentials_of_aws_come_from_and_keeps_its_tests_to_itself() {
    let desk = Desk::new();
    let said = desk.run(&["drill", "--help"]);
    assert_eq!(said.code, 0, "{said}");
    for word in ["AWS_PROFILE", "AWS_ENDPOINT_URL", "SEAWALL_AGE_IDENTITY"] {
        assert!(said.out.contains(word), "{word}: {said}");
    }
    assert!(!said.out.contains("SEAWALL_TEST"), "{said}");
}

/// Nothing is asked of AWS for a document that is wrong.
#[test]
fn a_drill_in_aws_that_is_wrong_is_told_with_its_place() {
    let desk = Desk::new();
    let example = concat!(env!("CARGO_MANIFEST_DIR"), "/playbooks/dr-drill-aws.yaml");
    let text = std::fs::read_to_string(example).expect("it is shipped");
    let policy = concat!(env!("CARGO_MANIFEST_DIR"), "/playbooks/backup-policy.yaml");
    let wrong = (text.replace("region: eu-central-1", "region: eu-west-1"))
        .replace("backup-policy.yaml", policy);
    desk.write("aws.yaml", &wrong);
    for verb in ["plan", "run"] {
        let said = desk.run(&["drill", verb, "aws.yaml"]);
        assert_eq!(said.code, 2, "{said}");
        assert!(said.err.contains("scratch-is-lost"), "{said}");
        assert!(said.err.contains("aws.yaml:"), "{said}");
    }
}

#[cfg(not(feature = "aws"))]
#[test]
fn a_program_without_aws_says_so() {
    let desk = Desk::new();
    let example = concat!(env!("CARGO_MANIFEST_DIR"), "/playbooks/dr-drill-aws.yaml");
    let said = desk.run(&["drill", "plan", example]);
    assert_eq!(said.code, 2, "{said}");
    assert!(said.err.contains("built without AWS"), "{said}");
}

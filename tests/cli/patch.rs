//! `seawall patch` at the command line: what it refuses, and what it leaves.

use super::{Desk, Said};

const PATCH: &str = "patch: weekly\ntitle: T\nhosts: [all]\n";

fn desk() -> Desk {
    let desk = Desk::new();
    desk.write("weekly.yaml", PATCH);
    desk
}

#[test]
fn what_cannot_be_patched_ends_with_2_and_says_what_to_do() {
    let desk = desk();
    desk.write("empty.yaml", "patch: t\ntitle: T\nhosts: [nobdy]\n");
    desk.write(
        "osv.yaml",
        "patch: t\ntitle: T\nhosts: [all]\nadvisories: [gone.json]\n",
    );
    let run = ["patch", "run", "weekly.yaml", "-i", "hosts.yaml"];
    let plan = ["patch", "plan", "weekly.yaml", "-i", "hosts.yaml"];
    let with = |base: &[&'static str], more: &[&'static str]| [base, more].concat();
    let cases: Vec<(Vec<&str>, &str)> = vec![
        (vec!["patch"], "Usage: seawall patch"),
        (vec!["patch", "plan"], "<PLAYBOOK>"),
        (
            vec!["patch", "plan", "weekly.yaml"],
            "Give an inventory with -i",
        ),
        (
            vec!["patch", "plan", "nope.yaml", "-i", "hosts.yaml"],
            "there is no such file",
        ),
        (
            vec!["patch", "plan", "playbook.yaml", "-i", "hosts.yaml"],
            "playbook.yaml is a playbook, and a patch playbook is wanted here; `check` and `apply`",
        ),
        (
            vec!["check", "weekly.yaml", "-i", "hosts.yaml"],
            "weekly.yaml is a patch playbook, and a playbook is wanted here; `seawall patch plan`",
        ),
        (
            vec!["patch", "plan", "empty.yaml", "-i", "hosts.yaml"],
            "did you mean `nobody`",
        ),
        (
            vec!["patch", "plan", "osv.yaml", "-i", "hosts.yaml"],
            "gone.json",
        ),
        (with(&plan, &["--limit", "nobdy"]), "did you mean `nobody`"),
        (with(&plan, &["--limit", "all,!all"]), "leaves none"),
        (with(&plan, &["--at-once", "0"]), "1 or more"),
        (with(&plan, &["--waves", "1"]), "--waves"),
        (with(&run, &[]), "nobody can be asked here"),
        (with(&run, &["--json"]), "`--yes` patches without asking"),
        (with(&run, &["--yes", "--waves", "0"]), "--waves"),
        (with(&run, &["--yes", "--waves", "x"]), "a share (25%)"),
        (vec!["patch", "resume"], "<RUN>"),
        (vec!["patch", "resume", "latest"], "no run"),
        (
            vec!["patch", "status", "playbook.yaml"],
            "a patch playbook is wanted here",
        ),
        (vec!["patch", "status", "--fail-on", "x"], "overdue"),
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
fn its_help_says_what_each_exit_code_stands_for() {
    let said = desk().run(&["patch", "--help"]);
    assert_eq!(said.code, 0, "{said}");
    for text in [
        "\n  0  plan",
        "\n  1  ",
        "\n  2  ",
        "\n  3  ",
        "patch resume RUN",
        "status",
    ] {
        assert!(said.out.contains(text), "{text}: {said}");
    }
}

#[test]
fn a_host_out_of_reach_is_unknown_in_a_plan_a_run_and_the_status() {
    let desk = desk();
    for args in [
        vec!["patch", "plan", "weekly.yaml", "-i", "hosts.yaml", "-q"],
        vec![
            "patch",
            "run",
            "weekly.yaml",
            "-i",
            "hosts.yaml",
            "-q",
            "--yes",
        ],
        vec!["patch", "status", "weekly.yaml", "-i", "hosts.yaml"],
        vec!["patch", "status"],
    ] {
        let said = desk.run(&args);
        assert_eq!(said.code, 3, "{args:?}: {said}");
        assert!(said.out.contains("nobody"), "{args:?}: {said}");
        assert!(said.out.contains("unknown"), "{args:?}: {said}");
        // What is not signed is said on standard error, unless it is to be quiet.
        assert_eq!(said.err, "", "{args:?}: {said}");
    }
    let runs = desk.run(&["runs"]);
    assert!(runs.out.contains("patch-plan"), "{runs}");
    assert_eq!(
        runs.out.matches("1 host   1 unknown  exit 3").count(),
        2,
        "{runs}"
    );
    let report = desk.run(&["report", "latest"]);
    assert_eq!(report.code, 0, "{report}");
    assert!(report.out.contains("whole: every event"), "{report}");
    // It is over: whoever asks again is told the same.
    let again = desk.run(&["patch", "resume", "latest", "-q"]);
    assert_eq!(again.code, 3, "{again}");
    assert!(again.err.contains("has come to its end already"), "{again}");
}

#[test]
fn a_host_that_no_run_has_seen_is_unknown() {
    let desk = desk();
    let said = desk.run(&["patch", "status", "-i", "hosts.yaml"]);
    assert_eq!(said.code, 3, "{said}");
    assert!(said.out.contains("nobody"), "{said}");
    let said = desk.run(&["patch", "status", "-i", "hosts.yaml", "--json"]);
    let status: serde_json::Value = serde_json::from_str(&said.out).expect("JSON alone");
    assert_eq!(status["hosts"][0]["verdict"], "unknown", "{said}");
}

#[test]
fn only_a_patch_run_is_resumed() {
    let desk = desk();
    let plan = desk.run(&["patch", "plan", "weekly.yaml", "-i", "hosts.yaml", "-q"]);
    assert_eq!(plan.code, 3, "{plan}");
    let said = desk.run(&["patch", "resume", "latest"]);
    assert_eq!(said.code, 2, "{said}");
    assert!(said.err.contains("only looked"), "{said}");
    let check = desk.run(&["check", "playbook.yaml", "-i", "hosts.yaml", "-q"]);
    assert_eq!(check.code, 3, "{check}");
    let said = desk.run(&["patch", "resume", "latest"]);
    assert_eq!(said.code, 2, "{said}");
    assert!(said.err.contains("is no patch run but a `check`"), "{said}");
}

/// The run's folder, as if its controller had been killed: cut off behind an event.
fn cut(desk: &Desk, behind: &str) -> std::path::PathBuf {
    let runs = desk.dir.path().join("state/runs");
    let mut folders: Vec<_> = std::fs::read_dir(runs)
        .expect("runs")
        .map(|entry| entry.expect("a run").path())
        .collect();
    folders.sort();
    let folder = folders.pop().expect("a run");
    let journal = folder.join("journal.jsonl");
    let text = std::fs::read_to_string(&journal).expect("its journal");
    let mut kept = String::new();
    for line in text.lines() {
        kept += line;
        kept += "\n";
        if line.contains(behind) {
            break;
        }
    }
    assert!(kept.len() < text.len(), "{behind} is not in {text}");
    std::fs::write(&journal, kept).expect("cut");
    for sealed in ["manifest.json", "manifest.json.sig"] {
        let _ = std::fs::remove_file(folder.join(sealed));
    }
    folder
}

#[test]
fn a_run_whose_controller_died_goes_on_by_what_it_kept() {
    let run = [
        "patch",
        "run",
        "weekly.yaml",
        "-i",
        "hosts.yaml",
        "-q",
        "--yes",
    ];
    for behind in ["\"run-started\"", "\"declared\""] {
        let desk = desk();
        assert_eq!(desk.run(&run).code, 3);
        cut(&desk, behind);
        // Nobody needs the playbook any more.
        std::fs::remove_file(desk.dir.path().join("weekly.yaml")).expect("removed");
        let said = desk.run(&["patch", "resume", "latest", "-q"]);
        assert_eq!(said.code, 3, "{behind}: {said}");
        assert!(said.out.contains("nobody"), "{behind}: {said}");
        let report = desk.run(&["report", "latest", "--json"]);
        let report: serde_json::Value = serde_json::from_str(&report.out).expect("JSON");
        assert_eq!(report["patch"], "weekly", "{behind}");
        assert_eq!(
            report["resumed"].as_array().map(Vec::len),
            Some(1),
            "{behind}"
        );
        assert_eq!(report["waves"][0]["hosts"][0], "nobody", "{behind}");
        let verify = desk.run(&["verify", "latest"]);
        assert_eq!(verify.code, 0, "{behind}: {verify}");
    }
}

#[test]
fn nothing_is_resumed_by_a_file_that_somebody_changed_or_an_inventory_without_the_host() {
    let desk = desk();
    let run = [
        "patch",
        "run",
        "weekly.yaml",
        "-i",
        "hosts.yaml",
        "-q",
        "--yes",
    ];
    assert_eq!(desk.run(&run).code, 3);
    let folder = cut(&desk, "\"declared\"");
    desk.write(
        "others.yaml",
        "inventory: t\nhosts:\n  somebody: {address: 127.0.0.1}\n",
    );
    let said = desk.run(&["patch", "resume", "latest", "-i", "others.yaml"]);
    assert_eq!(said.code, 2, "{said}");
    assert!(said.err.contains("has no host nobody any more"), "{said}");
    let kept = folder.join("patch.json");
    let text = std::fs::read_to_string(&kept).expect("what it kept");
    std::fs::write(&kept, text.replace("\"weekly\"", "\"other\"")).expect("changed");
    let said = desk.run(&["patch", "resume", "latest"]);
    assert_eq!(said.code, 2, "{said}");
    assert!(
        said.err.contains("was changed after the run began"),
        "{said}"
    );
}

#[test]
fn a_run_that_died_before_it_said_what_it_was_is_ended() {
    let desk = desk();
    let run = [
        "patch",
        "run",
        "weekly.yaml",
        "-i",
        "hosts.yaml",
        "-q",
        "--yes",
    ];
    assert_eq!(desk.run(&run).code, 3);
    cut(&desk, "\"chained\"");
    let said = desk.run(&["patch", "resume", "latest", "-q"]);
    assert_eq!(said.code, 2, "{said}");
    assert!(
        said.err.contains("died before anything of it was begun"),
        "{said}"
    );
    let said = desk.run(&["runs"]);
    assert!(said.out.contains("exit 2"), "{said}");
}

#[test]
fn windows_that_are_not_waited_for_are_said_in_the_journal() {
    let desk = desk();
    desk.write(
        "weekly.yaml",
        &format!("{PATCH}windows: [{{days: [mon], from: \"01:00\", to: \"02:00\"}}]\n"),
    );
    let run = [
        "patch",
        "run",
        "weekly.yaml",
        "-i",
        "hosts.yaml",
        "-q",
        "--yes",
        "--now",
        "--waves",
        "1",
    ];
    assert_eq!(desk.run(&run).code, 3);
    let report = desk.run(&["report", "latest", "--json"]);
    for text in ["--now: the playbook's windows", "--waves 1: in the place"] {
        assert!(report.out.contains(text), "{text}: {report}");
    }
}

#[test]
fn ctrl_c_ends_a_plan_at_once_and_a_run_before_its_next_host() {
    let desk = desk();
    // Somebody who answers and then says nothing.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").expect("a port of our own");
    let port = silent.local_addr().expect("its number").port();
    desk.write(
        "hosts.yaml",
        &format!("inventory: t\nhosts:\n  silent: {{address: 127.0.0.1, port: {port}}}\n"),
    );
    let interrupt = |args: &[&str], times: usize| {
        let child = desk
            .command(args)
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::piped())
            .spawn()
            .expect("the program can be run");
        let connection = silent.accept().expect("it reaches for the host");
        let id = i32::try_from(child.id()).expect("a process id");
        for _ in 0..times {
            // SAFETY: it is our child, and has not been waited for.
            unsafe { libc::kill(id, libc::SIGINT) };
            // Two that come together are one.
            std::thread::sleep(std::time::Duration::from_millis(300));
        }
        let said = Said::of(child.wait_with_output().expect("it ends"));
        drop(connection);
        said
    };
    let plan = ["patch", "plan", "weekly.yaml", "-i", "hosts.yaml", "-q"];
    let said = interrupt(&plan, 1);
    assert_eq!(said.code, 2, "{said}");
    assert!(said.out.contains("nothing was changed"), "{said}");
    let run = [
        "patch",
        "run",
        "weekly.yaml",
        "-i",
        "hosts.yaml",
        "-q",
        "--yes",
    ];
    let said = interrupt(&run, 2);
    assert_eq!(said.code, 2, "{said}");
    assert!(said.err.contains("no further host is begun"), "{said}");
    assert!(said.err.contains("seawall patch resume"), "{said}");
}

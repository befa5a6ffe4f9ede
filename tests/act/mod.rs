//! The act program, its undo and its watchdog, run for real: by sh, as root, in a mount namespace
//! of their own where `/var/lib` is empty and belongs to the test.

mod attack;

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use seawall::host::act::{RunId, act_program, keep_program, rollback_program, state_program};
use seawall::host::intent::{Ownership, Reaction, Risk, ScriptIntent, Stage};
use seawall::host::plan::{FileWork, Plan, Step, Work};
use seawall::host::snapshot::{FileKind, FileState, Seen};
use seawall::shell::{Frame, FrameReader, Limits, Nonce};

/// A mount namespace with an empty `/var/lib`.
struct Sandbox {
    keeper: Child,
}

impl Sandbox {
    fn new() -> Sandbox {
        let mut keeper = Command::new("unshare")
            .args(["--mount", "--propagation", "private", "sh", "-c"])
            .arg("mount -t tmpfs -o size=8m tmpfs /var/lib && mkdir /var/lib/t && echo ready && exec sleep 600")
            .stdout(Stdio::piped())
            .spawn()
            .expect("unshare can be run (these tests need root and util-linux)");
        let mut line = String::new();
        BufReader::new(keeper.stdout.take().expect("its output is a pipe"))
            .read_line(&mut line)
            .expect("the namespace answers");
        assert_eq!(
            line, "ready\n",
            "a mount namespace could be made (root is needed)"
        );
        Sandbox { keeper }
    }

    fn sh(&self, program: &str) -> String {
        let mut child = Command::new("nsenter")
            .args(["--mount", "--wdns=/", "-t", &self.keeper.id().to_string()])
            .args(["sh", "-s"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("nsenter can be run");
        child
            .stdin
            .take()
            .expect("its input is a pipe")
            .write_all(program.as_bytes())
            .expect("the program can be sent");
        let out = child.wait_with_output().expect("the program ends");
        String::from_utf8_lossy(&out.stdout).into_owned()
    }

    fn frames(&self, program: &str, nonce: &Nonce) -> Vec<Frame> {
        let mut reader = FrameReader::new(nonce, Limits::default());
        reader
            .push(self.sh(program).as_bytes())
            .expect("what our program says can be read");
        std::iter::from_fn(|| reader.next_frame()).collect()
    }

    /// Everything below `/var/lib/t`: type, mode, owner, name, and the texts.
    fn state(&self) -> String {
        self.sh("cd /var/lib/t && /usr/bin/find . -printf '%y %m %u:%g %p %l\\n' | sort && /usr/bin/find . -type f | sort | xargs -r sha256sum")
    }

    fn act(&self, run: &RunId, plan: &Plan, window: u64) -> BTreeMap<String, i32> {
        let nonce = Nonce::draw();
        let program =
            act_program(run, plan, window, ("", ""), &nonce).expect("the program can be written");
        self.frames(&program, &nonce)
            .into_iter()
            .map(|f| (format!("{} {}", f.kind, f.name), f.status))
            .collect()
    }

    fn keep(&self, run: &RunId) -> i32 {
        let nonce = Nonce::draw();
        self.frames(&keep_program(run, &nonce), &nonce)
            .first()
            .expect("the host answers a keep")
            .status
    }

    fn how_far(&self, run: &RunId) -> String {
        let nonce = Nonce::draw();
        let frames = self.frames(&state_program(run, &nonce), &nonce);
        frames
            .first()
            .expect("the host says its state")
            .text()
            .into_owned()
    }

    fn await_state(&self, run: &RunId, wanted: &str) {
        let until = Instant::now() + Duration::from_secs(30);
        while self.how_far(run) != wanted {
            assert!(
                Instant::now() < until,
                "the run is never {wanted}: {}",
                self.how_far(run)
            );
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    fn rollback(&self, run: &RunId, steps: &[&str], force: bool) -> (i32, String) {
        let nonce = Nonce::draw();
        let frames = self.frames(&rollback_program(run, steps, force, &nonce), &nonce);
        let frame = frames.first().expect("the host says how the undo ended");
        (frame.status, frame.text().into_owned())
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        let _ = self.keeper.kill();
        let _ = self.keeper.wait();
    }
}

fn run_id(text: &str) -> RunId {
    RunId::new(text).expect("a good run id")
}

fn seen(mode: u32, text: &str) -> FileState {
    FileState {
        kind: FileKind::File,
        mode,
        uid: 0,
        gid: 0,
        owner: "root".into(),
        group: "root".into(),
        size: text.len() as u64,
        link: None,
        content: Seen::Yes(text.into()),
    }
}

fn file(path: &str, before: Option<FileState>, content: Option<&str>) -> FileWork {
    FileWork {
        path: path.into(),
        own: before.is_none().then(|| Ownership::root(0o640)),
        before,
        content: content.map(str::to_owned),
        remove: false,
        directory: false,
        validate_new: Vec::new(),
        validate_placed: Vec::new(),
        edits: Vec::new(),
    }
}

fn step(id: &str, work: Work) -> Step {
    Step {
        id: id.into(),
        target: id.into(),
        rules: vec![format!("rule.{id}")],
        risk: Risk::Safe,
        stage: Stage::File,
        diff: String::new(),
        no_way_back: None,
        work,
        reaction: None,
    }
}

fn script(act: &str, undo: &str) -> Work {
    Work::Script(ScriptIntent {
        target: "script".into(),
        before: "a".into(),
        after: "b".into(),
        risk: Risk::Safe,
        stage: Stage::Kernel,
        guard: "true".into(),
        act: act.into(),
        undo: undo.into(),
        unchanged_since: String::new(),
        no_way_back: None,
        reaction: None,
    })
}

const TEXT: &str = "one\n  two $x `y` 'z' \\n\n";

/// One of each kind of change.
fn plan() -> Plan {
    let mut own = file("/var/lib/t/own", Some(seen(0o666, "o\n")), None);
    own.own = Some(Ownership {
        group: "daemon".into(),
        ..Ownership::root(0o600)
    });
    let mut gone = file("/var/lib/t/gone", Some(seen(0o751, "g\n")), None);
    gone.remove = true;
    let mut directory = file("/var/lib/t/d/e", None, None);
    directory.directory = true;
    directory.own = Some(Ownership::root(0o700));
    let mut steps = vec![
        step(
            "s1",
            Work::File(file(
                "/var/lib/t/old",
                Some(seen(0o604, "old\n")),
                Some(TEXT),
            )),
        ),
        step(
            "s2",
            Work::File(file("/var/lib/t/a/b/new", None, Some("new\n"))),
        ),
        step("s3", Work::File(own)),
        step("s4", Work::File(gone)),
        step("s5", Work::File(directory)),
        step(
            "s6",
            script(
                "cp /var/lib/t/value \"$store/$step.value\" && echo 1 >/var/lib/t/value",
                "cat \"$store/$step.value\" >/var/lib/t/value",
            ),
        ),
    ];
    steps[0].reaction = Some(Reaction {
        name: "tell".into(),
        run: "echo told >>/var/lib/told".into(),
    });
    Plan {
        steps,
        blocked: BTreeMap::new(),
    }
}

fn prepared() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.sh(
        "cd /var/lib/t && printf 'old\\n' >old && chmod 604 old && touch -d 2001-02-03 old && \
         printf 'o\\n' >own && chmod 666 own && printf 'g\\n' >gone && chmod 751 gone && echo 0 >value",
    );
    sandbox
}

#[test]
fn every_kind_of_change_is_made_kept_and_rolled_back_to_the_byte() {
    let sandbox = prepared();
    let before = sandbox.state();
    let run = run_id("20260101-000000-aaaa");
    let said = sandbox.act(&run, &plan(), 60);
    for id in ["s1", "s2", "s3", "s4", "s5", "s6"] {
        assert_eq!(said.get(&format!("step {id}")), Some(&0), "{said:?}");
    }
    assert_eq!(said.get("reaction tell"), Some(&0), "{said:?}");
    assert_eq!(sandbox.sh("cat /var/lib/t/old"), TEXT);
    assert_eq!(
        sandbox.sh(
            "cd /var/lib/t; stat -c '%a %U:%G' old a/b/new own d/e; ls gone 2>&1 | wc -l; cat value"
        ),
        "604 root:root\n640 root:root\n600 root:daemon\n700 root:root\n1\n1\n"
    );
    assert_eq!(sandbox.how_far(&run), "pending");
    assert_eq!(sandbox.keep(&run), 0);
    assert_eq!(sandbox.how_far(&run), "kept");
    let (status, log) = sandbox.rollback(&run, &[], false);
    assert_eq!(status, 0, "{log}");
    assert_eq!(sandbox.state(), before);
    assert_eq!(sandbox.sh("cat /var/lib/told"), "told\ntold\n");
    // A second time there is nothing left to undo.
    let (status, log) = sandbox.rollback(&run, &[], false);
    assert_eq!(status, 0);
    assert!(log.lines().all(|l| l.contains(" 73 ")), "{log}");
}

#[test]
fn what_is_not_kept_is_undone_by_the_host_itself() {
    let sandbox = prepared();
    let before = sandbox.state();
    let run = run_id("20260101-000000-bbbb");
    sandbox.act(&run, &plan(), 1);
    assert_ne!(sandbox.state(), before);
    sandbox.await_state(&run, "undone 0");
    assert_eq!(sandbox.state(), before);
    assert_eq!(
        sandbox.keep(&run),
        1,
        "a keep that comes too late is refused"
    );
}

#[test]
fn the_undo_does_not_need_the_program_that_acted() {
    let sandbox = prepared();
    let before = sandbox.state();
    let run = run_id("20260101-000000-cccc");
    // The program is killed in the middle of its last step.
    let mut plan = plan();
    plan.steps.push(step("s7", script("kill -9 $$", "true")));
    sandbox.act(&run, &plan, 1);
    sandbox.sh("echo 0 >/var/lib/seawall/20260101-000000-cccc/deadline");
    sandbox.await_state(&run, "undone 0");
    assert_eq!(sandbox.state(), before);
}

#[test]
fn what_changed_since_it_was_seen_is_left_alone() {
    let sandbox = prepared();
    sandbox.sh("echo other >/var/lib/t/old; chmod 644 /var/lib/t/own; mkdir -p /var/lib/t/a/b; echo x >/var/lib/t/a/b/new");
    let said = sandbox.act(&run_id("20260101-000000-dddd"), &plan(), 60);
    for (id, status) in [("s1", 75), ("s2", 75), ("s3", 75), ("s4", 0)] {
        assert_eq!(said.get(&format!("step {id}")), Some(&status), "{said:?}");
    }
    assert_eq!(sandbox.sh("cat /var/lib/t/old"), "other\n");
}

#[test]
fn a_rollback_does_not_trample_on_later_work_unless_forced() {
    let sandbox = prepared();
    let before = sandbox.state();
    let run = run_id("20260101-000000-eeee");
    sandbox.act(&run, &plan(), 60);
    sandbox.keep(&run);
    sandbox.sh("echo later >>/var/lib/t/old");
    let (status, log) = sandbox.rollback(&run, &[], false);
    assert_eq!(status, 1);
    assert!(log.contains("step s1 75"), "{log}");
    assert!(log.contains("step s2 0"), "{log}");
    assert_eq!(sandbox.sh("tail -n 1 /var/lib/t/old"), "later\n");
    assert_eq!(sandbox.rollback(&run, &[], true).0, 0);
    assert_eq!(sandbox.state(), before);
}

#[test]
fn a_file_that_its_validator_refuses_never_takes_its_place_or_leaves_it_at_once() {
    for (new, placed) in [(Some("false"), None), (None, Some("false"))] {
        let sandbox = prepared();
        let before = sandbox.state();
        let mut plan = plan();
        plan.steps.truncate(1);
        if let Work::File(work) = &mut plan.steps[0].work {
            work.validate_new = new
                .iter()
                .map(|c| format!("grep -q two \"$new\" && {c}"))
                .collect();
            work.validate_placed = placed
                .iter()
                .map(|c| format!("grep -q two \"$path\" && {c}"))
                .collect();
        }
        let run = run_id("20260101-000000-ffff");
        let said = sandbox.act(&run, &plan, 60);
        assert_eq!(said.get("step s1"), Some(&1), "{said:?}");
        assert_eq!(said.get("reaction tell"), None, "{said:?}");
        assert_eq!(sandbox.state(), before);
        assert_eq!(sandbox.how_far(&run), "kept", "nothing is left to confirm");
    }
}

#[test]
fn a_reaction_that_fails_takes_its_files_back() {
    let sandbox = prepared();
    let before = sandbox.state();
    let mut plan = plan();
    plan.steps.truncate(1);
    plan.steps[0].reaction = Some(Reaction {
        name: "restart".into(),
        run: "! grep -q two /var/lib/t/old".into(),
    });
    let said = sandbox.act(&run_id("20260101-000000-abab"), &plan, 60);
    assert_eq!(said.get("reaction restart"), Some(&1), "{said:?}");
    assert_eq!(
        said.get("step s1"),
        Some(&1),
        "the last word on the step: {said:?}"
    );
    assert_eq!(sandbox.state(), before);
}

#[test]
fn two_runs_cannot_be_pending_at_once() {
    let sandbox = prepared();
    let mut first = plan();
    let second = Plan {
        steps: first.steps.split_off(3),
        blocked: BTreeMap::new(),
    };
    sandbox.act(&run_id("first"), &first, 60);
    let before = sandbox.state();
    let said = sandbox.act(&run_id("second"), &second, 60);
    assert_eq!(said.get("end act"), Some(&71), "{said:?}");
    assert_eq!(sandbox.state(), before);
    assert_eq!(sandbox.how_far(&run_id("first")), "pending");
}

#[test]
fn a_program_that_is_cut_anywhere_changes_nothing() {
    let sandbox = prepared();
    let before = sandbox.state();
    let nonce = Nonce::draw();
    let program = act_program(&run_id("cut"), &plan(), 60, ("", ""), &nonce)
        .expect("the program can be written");
    let lines: Vec<usize> = program.match_indices('\n').map(|(i, _)| i).collect();
    for cut in lines.iter().step_by(lines.len() / 25) {
        if program.is_char_boundary(*cut) && *cut + 1 < program.len() {
            sandbox.sh(&program[..*cut]);
        }
    }
    assert_eq!(sandbox.state(), before);
    assert_eq!(sandbox.sh("ls /var/lib"), "t\n");
}

#[test]
fn a_full_disk_is_told_and_leaves_everything_as_it_was() {
    let sandbox = prepared();
    let before = sandbox.state();
    sandbox.sh("dd if=/dev/zero of=/var/lib/fill bs=1M count=64 2>/dev/null; sync");
    let said = sandbox.act(&run_id("full"), &plan(), 60);
    assert_eq!(said.get("end act"), Some(&73), "{said:?}");
    assert_eq!(sandbox.state(), before);
    assert_eq!(
        sandbox.sh("ls /var/lib/seawall/"),
        "",
        "nothing is left behind"
    );
}

#[test]
fn a_step_that_fails_is_undone_at_once_and_the_others_go_on() {
    let sandbox = prepared();
    let mut plan = plan();
    plan.steps.truncate(2);
    plan.steps.insert(
        0,
        step(
            "s9",
            script(
                "echo half >/var/lib/t/half; echo why >&2; false",
                "rm -f /var/lib/t/half",
            ),
        ),
    );
    let said = sandbox.act(&run_id("some"), &plan, 60);
    assert_eq!(said.get("step s9"), Some(&1), "{said:?}");
    assert_eq!(said.get("step s1"), Some(&0), "{said:?}");
    assert_eq!(
        sandbox.sh("ls /var/lib/t/half 2>&1 | grep -c 'No such'"),
        "1\n"
    );
}

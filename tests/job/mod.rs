//! Jobs, run for real: by each shell that a host may have as /bin/sh, as root, in a mount namespace
//! of their own where `/var/lib` is empty and belongs to the test.

mod guard;

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use proptest::prelude::*;
use seawall::host::act::RunId;
use seawall::host::patch::job::services::{check_functions, hook};
use seawall::host::patch::job::{Followed, Job, State, follow, forget, read, said, start};
use seawall::model::patch::JobOutcome;
use seawall::shell::{Frame, FrameReader, Limits, Nonce, assemble, quote};

const SHELLS: &[&str] = &["dash", "bash", "busybox"];

/// A mount namespace with an empty `/var/lib`, where `sh` is the shell that is tried.
struct Host {
    keeper: Child,
}

impl Host {
    fn new(shell: &str) -> Host {
        let mut keeper = Command::new("unshare")
            .args(["--mount", "--propagation", "private", "sh", "-c"])
            .arg(
                "mount -t tmpfs -o size=64m,mode=755 tmpfs /var/lib && mkdir /var/lib/t && \
                 mount --bind \"$(command -v \"$0\")\" \"$(readlink -f /bin/sh)\" && \
                 echo ready && exec sleep 600",
            )
            .arg(shell)
            .stdout(Stdio::piped())
            .spawn()
            .expect("unshare can be run (these tests need root and util-linux)");
        let mut line = String::new();
        BufReader::new(keeper.stdout.take().expect("its output is a pipe"))
            .read_line(&mut line)
            .expect("the namespace answers");
        assert_eq!(line, "ready\n", "a mount namespace could be made");
        Host { keeper }
    }

    fn begin(&self, program: &str) -> Child {
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
        child
    }

    fn sh(&self, program: &str) -> Vec<u8> {
        self.begin(program)
            .wait_with_output()
            .expect("the program ends")
            .stdout
    }

    fn text(&self, program: &str) -> String {
        String::from_utf8_lossy(&self.sh(program)).into_owned()
    }

    fn start(&self, job: &Job, wait: u64) -> Result<Followed, String> {
        let nonce = Nonce::draw();
        let program = start(&run_id(), job, wait, &nonce).expect("the program can be written");
        read(&frames(&self.sh(&program), &nonce), 0)
    }

    fn follow(&self, job: &str, offset: u64, wait: u64) -> Followed {
        let nonce = Nonce::draw();
        let program = follow(&run_id(), job, offset, wait, &nonce);
        read(&frames(&self.sh(&program), &nonce), offset).expect("the host says how it stands")
    }

    fn forget(&self) -> i32 {
        let nonce = Nonce::draw();
        frames(&self.sh(&forget(&run_id(), &nonce)), &nonce)[0].status
    }

    fn await_state(&self, job: &str, wanted: &State) {
        let until = Instant::now() + Duration::from_secs(40);
        while self.follow(job, 0, 0).state != *wanted {
            assert!(Instant::now() < until, "it is never {wanted:?}");
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        let _ = self.keeper.kill();
        let _ = self.keeper.wait();
    }
}

fn run_id() -> RunId {
    RunId::new("20260101-000000-aaaa").expect("a good run id")
}

const DIR: &str = "/var/lib/seawall/patch/20260101-000000-aaaa";

fn job(calls: &str) -> Job {
    Job::new("try", "trying", "", calls, 30)
}

fn frames(bytes: &[u8], nonce: &Nonce) -> Vec<Frame> {
    let mut reader = FrameReader::new(nonce, Limits::default());
    reader
        .push(bytes)
        .expect("what our program says can be read");
    std::iter::from_fn(|| reader.next_frame()).collect()
}

const WELL: State = State::Ended(JobOutcome::Well);
const DIED: State = State::Ended(JobOutcome::Died);

#[test]
fn what_a_job_says_and_how_it_ends_arrives_whole_in_every_shell() {
    for shell in SHELLS {
        let host = Host::new(shell);
        assert_eq!(host.follow("try", 0, 0).state, State::Absent, "{shell}");
        let calls = "printf 'a\\000b\\n'; printf 'no newline'; say package 'x y' 'one\ntwo'; \
                     id -u; cat; job_end 7; echo never";
        let got = host.start(&job(calls), 20).expect("it starts");
        assert_eq!(
            got.state,
            State::Ended(JobOutcome::Failed { status: 7 }),
            "{shell}: {}",
            String::from_utf8_lossy(&got.log)
        );
        assert_eq!(got.offset, got.log.len() as u64, "{shell}");
        let text = String::from_utf8_lossy(&got.log);
        assert!(
            text.contains("a\0b\nno newline\n") && text.ends_with("\n0\n"),
            "{shell}: {text}"
        );
        let words = said(&got.log);
        assert_eq!(words.len(), 1, "{shell}: {text}");
        assert_eq!(
            (words[0].name.as_str(), words[0].text.as_str()),
            ("x?y", "one two"),
            "{shell}"
        );
        // From the middle on, by another connection.
        let rest = host.follow("try", 20, 5);
        assert_eq!(rest.log, got.log[20..], "{shell}");
        assert_eq!(rest.state, got.state, "{shell}");
        // A job that has ended is found, not made.
        let again = host
            .start(&job("touch /var/lib/t/again"), 5)
            .expect("it is found");
        assert_eq!(again, got, "{shell}");
        assert_eq!(host.text("ls -A /var/lib/t"), "", "{shell}");
        assert_eq!(
            host.text(&format!(
                "stat -c '%a %u' /var/lib/seawall {DIR} {DIR}/try {DIR}/try/log"
            )),
            "700 0\n700 0\n700 0\n600 0\n",
            "{shell}"
        );
        assert_eq!(host.forget(), 0, "{shell}");
        assert_eq!(host.follow("try", 0, 0).state, State::Absent, "{shell}");
    }
}

#[test]
fn of_many_starters_at_once_one_begins_the_job() {
    for shell in SHELLS {
        let host = Host::new(shell);
        let job = job("echo x >>/var/lib/t/count; sleep 1");
        let starters: Vec<(Child, Nonce)> = (0..8)
            .map(|_| {
                let nonce = Nonce::draw();
                let program = start(&run_id(), &job, 20, &nonce).expect("it can be written");
                (host.begin(&program), nonce)
            })
            .collect();
        for (child, nonce) in starters {
            let out = child.wait_with_output().expect("it ends");
            let got = read(&frames(&out.stdout, &nonce), 0).expect("it says how the job stands");
            assert_eq!(got.state, WELL, "{shell}");
        }
        assert_eq!(host.text("cat /var/lib/t/count"), "x\n", "{shell}");
    }
}

#[test]
fn a_starter_that_died_half_way_leaves_nothing_to_stumble_over() {
    let host = Host::new("dash");
    host.sh(&format!(
        "umask 077; mkdir -p {DIR}/try; printf half >{DIR}/try/job.99"
    ));
    assert_eq!(host.follow("try", 0, 0).state, State::Absent);
    assert_eq!(host.start(&job("true"), 10).expect("it starts").state, WELL);
}

#[test]
fn losing_the_starter_does_not_end_the_job() {
    let host = Host::new("dash");
    let nonce = Nonce::draw();
    let job = job("sleep 2; say note end x");
    let mut starter = host.begin(&start(&run_id(), &job, 20, &nonce).expect("it can be written"));
    host.await_state("try", &State::Running);
    starter.kill().expect("it can be killed");
    starter.wait().expect("it is gone");
    let got = host.follow("try", 0, 20);
    assert_eq!(got.state, WELL);
    assert_eq!(said(&got.log).len(), 1);
}

#[test]
fn a_killed_supervisor_loses_nothing_and_a_killed_job_has_died() {
    let host = Host::new("dash");
    let first = job("sleep 2; job_end 4");
    assert_eq!(
        host.start(&first, 0).expect("it starts").state,
        State::Running
    );
    host.sh(&format!("read -r p x <{DIR}/try/pid; kill -KILL $p"));
    assert_eq!(host.follow("try", 0, 0).state, State::Running);
    let four = State::Ended(JobOutcome::Failed { status: 4 });
    assert_eq!(host.follow("try", 0, 20).state, four);

    let second = Job::new("other", "", "", "sleep 20", 30);
    assert_eq!(
        host.start(&second, 0).expect("it starts").state,
        State::Running
    );
    // Only the job: its supervisor says how it ended.
    host.sh(&format!(
        "for f in child; do read -r p x <{DIR}/other/$f; kill -KILL $p; done"
    ));
    assert_eq!(
        host.follow("other", 0, 20).state,
        State::Ended(JobOutcome::Failed { status: 137 })
    );

    let third = Job::new("both", "", "", "sleep 20", 30);
    assert_eq!(
        host.start(&third, 0).expect("it starts").state,
        State::Running
    );
    host.sh(&format!(
        "for f in pid child; do read -r p x <{DIR}/both/$f; kill -KILL $p; done"
    ));
    assert_eq!(host.follow("both", 0, 20).state, DIED);
    // It is not begun again behind anybody's back.
    assert_eq!(host.start(&third, 0).expect("it is found").state, DIED);
}

#[test]
fn a_job_of_another_boot_has_died() {
    let host = Host::new("dash");
    let job = job("sleep 3");
    assert_eq!(
        host.start(&job, 0).expect("it starts").state,
        State::Running
    );
    host.sh(&format!(
        "sed -i 's/[^ ]*$/another-boot/' {DIR}/try/pid {DIR}/try/child"
    ));
    assert_eq!(host.follow("try", 0, 0).state, DIED);
    assert_eq!(host.follow("try", 0, 20).state, DIED);
}

#[test]
fn a_job_whose_time_is_up_is_ended_with_all_that_it_started() {
    for shell in SHELLS {
        let host = Host::new(shell);
        let slow = Job::new(
            "try",
            "",
            "job_cleanup() { say note cleaned up; touch /var/lib/t/cleaned; }",
            "(setsid sh -c 'echo $$ >/var/lib/t/child; exec sleep 60') & wait",
            1,
        );
        let got = host.start(&slow, 40).expect("it starts");
        assert_eq!(got.state, State::Ended(JobOutcome::TimedOut), "{shell}");
        assert_eq!(said(&got.log).len(), 1, "{shell}");
        assert_eq!(
            host.text(
                "grep -q ') [^ZX]' /proc/$(cat /var/lib/t/child)/stat 2>/dev/null && echo lives; ls /var/lib/t"
            ),
            "child\ncleaned\n",
            "{shell}"
        );
    }
}

#[test]
fn a_log_without_end_is_cut_and_what_was_said_is_not() {
    for shell in SHELLS {
        let host = Host::new(shell);
        let calls = "say package first 'x'; head -c 20000000 /dev/zero | tr '\\000' 'x'; sleep 2; \
                     head -c 9000000 /dev/zero | tr '\\000' 'y'; say package last 'y'";
        let got = host.start(&job(calls), 60).expect("it starts");
        assert_eq!(got.state, WELL, "{shell}");
        assert!(
            got.log.len() < (8 << 20) + 1000,
            "{shell}: {} bytes",
            got.log.len()
        );
        let names: Vec<String> = said(&got.log).into_iter().map(|s| s.name).collect();
        assert_eq!(names, ["first", "last"], "{shell}");
    }
}

#[test]
fn a_run_is_forgotten_only_when_none_of_its_jobs_runs() {
    let host = Host::new("dash");
    assert_eq!(
        host.start(&job("sleep 3"), 0).expect("it starts").state,
        State::Running
    );
    assert_eq!(host.forget(), 1);
    assert_eq!(host.follow("try", 0, 20).state, WELL);
    assert_eq!(host.forget(), 0);
    assert_eq!(host.text("ls -A /var/lib/seawall/patch"), "");
}

#[test]
fn what_somebody_else_has_put_in_the_way_is_refused() {
    for set_up in [
        "mkdir /var/lib/t/x; ln -s /var/lib/t/x /var/lib/seawall",
        "mkdir -p /var/lib/seawall /var/lib/t/x; ln -s /var/lib/t/x /var/lib/seawall/patch",
        "mkdir /var/lib/seawall; chown 1 /var/lib/seawall",
        "chmod 777 /var/lib",
        "mkdir -p /var/lib/seawall; mount -t tmpfs -o ro tmpfs /var/lib/seawall",
    ] {
        let host = Host::new("dash");
        host.sh(set_up);
        let why = host
            .start(&job("touch /var/lib/t/done"), 5)
            .expect_err(set_up);
        assert!(why.contains("/var/lib"), "{set_up}: {why}");
        assert_eq!(
            host.text("cd /var/lib/t; ls -A x 2>/dev/null; ls done 2>/dev/null"),
            "",
            "{set_up}"
        );
    }
}

#[test]
fn an_answer_that_broke_off_is_no_end() {
    let nonce = Nonce::fixed("0123456789abcdef").expect("a good nonce");
    assert!(read(&frames(b"", &nonce), 0).is_err());
    let begun = b"\n@0123456789abcdef log 5 0 2\nab\n\n@0123456789abcdef log 9 0 1\nz\n";
    let got = read(&frames(begun, &nonce), 5).expect("it was begun");
    // What does not join on is not taken for what was asked.
    assert_eq!(
        (got.state, got.log, got.offset),
        (State::Running, b"ab".to_vec(), 7)
    );
    let odd = b"\n@0123456789abcdef end job 0 4\nwell\n";
    assert!(read(&frames(odd, &nonce), 0).is_err());
}

#[test]
fn checks_say_how_they_ended_and_are_bounded() {
    for shell in SHELLS {
        let host = Host::new(shell);
        let check = |c: &str, s: u64| ("a name".to_owned(), c.to_owned(), s);
        let functions = check_functions(&[
            check("echo it\\'s fine; echo err >&2", 5),
            check("exit 9", 5),
            check("sleep 30", 1),
            check("head -c 1000000 /dev/zero | tr '\\000' x", 9),
        ])
        .expect("there is no NUL");
        let nonce = Nonce::draw();
        let got = frames(
            &host.sh(&assemble(&nonce, &functions, "health_checks")),
            &nonce,
        );
        let ends: Vec<(&str, bool)> = got
            .iter()
            .map(|f| (f.name.as_str(), f.status == 0))
            .collect();
        assert_eq!(
            ends,
            [("0", true), ("1", false), ("2", false), ("3", true)],
            "{shell}"
        );
        assert_eq!(got[0].text(), "it's fine\nerr\n", "{shell}");
        assert_eq!(got[1].status, 9, "{shell}");
        assert_eq!(got[3].data.len(), 16384, "{shell}");
    }
}

#[test]
fn a_hook_is_a_job_that_fails_with_its_command() {
    let host = Host::new("dash");
    let got = host
        .start(&hook("echo \"it's $0\"; false", 10).expect("no NUL"), 10)
        .expect("it starts");
    assert_eq!(got.state, State::Ended(JobOutcome::Failed { status: 1 }));
    assert!(String::from_utf8_lossy(&got.log).contains("it's sh\n"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8))]

    #[test]
    fn no_text_of_a_job_is_anything_but_text(text in "[ -~\n\t]{0,60}|['\"`$\\\\!*@\n ]{0,30}|\\PC{0,30}", shell in 0..3_usize) {
        let host = Host::new(SHELLS[shell]);
        let word = quote(&text).expect("there is no NUL");
        let calls = format!("say note {word} {word}; printf '%s' {word} >/var/lib/t/text");
        let got = host.start(&job(&calls), 20).expect("it starts");
        prop_assert_eq!(&got.state, &WELL);
        prop_assert_eq!(said(&got.log).len(), 1, "{}", String::from_utf8_lossy(&got.log));
        prop_assert_eq!(host.sh("cat /var/lib/t/text"), text.as_bytes());
    }
}

//! Programs whose standard input is a stream of ours, on the machine's own OpenSSH.

use std::ops::ControlFlow;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use seawall::reach::{Become, Ended, Phase, Reach, ReachError, Session};
use tokio::io::{AsyncRead, ReadBuf};

use super::support::{Answers, LONG, Sshd, asking, reach, run};

/// So many bytes, counted as they are taken; then an end, or an error.
struct Source {
    left: u64,
    taken: Arc<AtomicU64>,
    fails: bool,
}

impl Source {
    fn new(bytes: u64) -> (Source, Arc<AtomicU64>) {
        let taken = Arc::new(AtomicU64::new(0));
        let source = Source {
            left: bytes,
            taken: taken.clone(),
            fails: false,
        };
        (source, taken)
    }
}

impl AsyncRead for Source {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        if self.left == 0 && self.fails {
            return Poll::Ready(Err(std::io::Error::other("the store is gone")));
        }
        let count = self.left.min(buffer.remaining() as u64);
        buffer.initialize_unfilled_to(count as usize).fill(b'\n');
        buffer.advance(count as usize);
        self.left -= count;
        self.taken.fetch_add(count, Ordering::SeqCst);
        Poll::Ready(Ok(()))
    }
}

async fn feed(
    session: &mut Box<dyn Session>,
    program: &str,
    source: &mut Source,
    limit: Duration,
) -> (Result<Ended, ReachError>, String) {
    let mut out = Vec::new();
    let result = session
        .feed(program, source, limit, &mut |bytes| {
            out.extend_from_slice(bytes);
            ControlFlow::Continue(())
        })
        .await;
    (result, String::from_utf8_lossy(&out).into_owned())
}

#[tokio::test]
async fn a_hundred_megabytes_arrive_and_nothing_of_them_is_taken_for_the_program() {
    let sshd = Sshd::start("");
    let mut session = reach().connect(&sshd.target()).await.unwrap();
    let (mut source, _) = Source::new(100 << 20);
    let program = "f() { wc -c; }\nf\necho \"it's over\"\nexit 3\n";
    let (result, out) = feed(&mut session, program, &mut source, LONG).await;
    assert_eq!(result.unwrap().status, Some(3));
    let words: Vec<&str> = out.split_whitespace().collect();
    assert_eq!(words, ["104857600", "it's", "over"]);
    // The connection is as good as before.
    let (result, out) = run(&mut session, "echo still\n", LONG).await;
    assert_eq!((result.unwrap().status, out.as_str()), (Some(0), "still\n"));
    session.close().await;
}

#[tokio::test]
async fn nothing_is_read_ahead_of_a_program_that_does_not_take_it() {
    let sshd = Sshd::start("");
    let mut session = reach().connect(&sshd.target()).await.unwrap();
    let (mut source, taken) = Source::new(1 << 40);
    let limit = Duration::from_secs(2);
    let (result, out) = feed(&mut session, "echo begun; sleep 60\n", &mut source, limit).await;
    let error = result.unwrap_err();
    assert_eq!(error.phase, Phase::Run);
    assert!(error.reason.contains("within its time"), "{error}");
    assert_eq!(out, "begun\n");
    let taken = taken.load(Ordering::SeqCst);
    assert!(taken < 16 << 20, "{taken} bytes were read");
    session.close().await;
}

#[tokio::test]
async fn output_comes_while_the_program_is_fed() {
    let sshd = Sshd::start("");
    let mut session = reach().connect(&sshd.target()).await.unwrap();
    let (mut source, taken) = Source::new(20 << 20);
    let mut seen = 0;
    let mut first = None;
    let result = session
        .feed("exec cat\n", &mut source, LONG, &mut |bytes| {
            first.get_or_insert(taken.load(Ordering::SeqCst));
            seen += bytes.len();
            ControlFlow::Continue(())
        })
        .await;
    assert_eq!(result.unwrap().status, Some(0));
    assert_eq!(seen, 20 << 20);
    assert!(first.unwrap() < 20 << 20);
    session.close().await;
}

#[tokio::test]
async fn a_program_that_ends_early_a_target_that_dies_and_a_source_that_fails_are_told_apart() {
    let sshd = Sshd::start("");
    let mut session = reach().connect(&sshd.target()).await.unwrap();
    let (mut source, _) = Source::new(1 << 40);
    let early = "head -c 10 >/dev/null; echo 'disk full' >&2; exit 2\n";
    let (result, _) = feed(&mut session, early, &mut source, LONG).await;
    let ended = result.unwrap();
    assert_eq!(
        (ended.status, ended.stderr),
        (Some(2), b"disk full\n".to_vec())
    );

    let (mut source, _) = Source::new(5 << 20);
    source.fails = true;
    let (result, out) = feed(&mut session, "wc -c; echo done\n", &mut source, LONG).await;
    let error = result.unwrap_err();
    assert!(error.reason.contains("the store is gone"), "{error}");
    assert_eq!(out, "");

    let (mut source, _) = Source::new(1 << 40);
    let dies = "head -c 1000000 >/dev/null; kill -KILL $PPID; sleep 5\n";
    let (result, _) = feed(&mut session, dies, &mut source, LONG).await;
    let error = result.unwrap_err();
    assert_eq!(error.phase, Phase::Run);
    assert!(error.reason.contains("connection was lost"), "{error}");
    session.close().await;
}

#[tokio::test]
async fn sudo_gets_its_password_the_program_its_stream_and_neither_the_other() {
    let sshd = Sshd::start("ForceCommand {}/shell");
    super::programs::shell(&sshd, "echo noise", super::programs::SUDO);
    for (password, wanted) in [("pa ss$w\"ord", true), ("wrong", false)] {
        let answers = Arc::new(Answers {
            sudo: Some(password),
            ..Answers::default()
        });
        let mut target = sshd.target();
        target.become_root = Become::SudoWithPassword;
        let mut session = asking(&answers).connect(&target).await.unwrap();
        let (mut source, taken) = Source::new(5 << 20);
        let (result, out) = feed(&mut session, "wc -c\n", &mut source, LONG).await;
        match wanted {
            true => {
                assert_eq!(result.unwrap().status, Some(0));
                assert_eq!(out.trim(), "5242880");
            }
            false => {
                assert_eq!(result.unwrap_err().phase, Phase::Sudo);
                assert_eq!(taken.load(Ordering::SeqCst), 0);
            }
        }
        session.close().await;
    }
    let argv = std::fs::read_to_string(sshd.path("bin/argv")).unwrap();
    assert!(!argv.contains("pa ss") && !argv.contains("wc"), "{argv}");
}

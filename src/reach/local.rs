//! This machine, without SSH.

use std::os::unix::process::ExitStatusExt;
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use secrecy::SecretString;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, Command};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

use super::run::{check_password, unreadable};
use super::start::{PIECE, Start, keep};
use super::{
    Ask, Become, ConnectionFacts, Ended, Input, OnOutput, Pending, Phase, Reach, ReachError,
    Session, Target,
};

/// Runs programs on this machine.
#[derive(Clone, Default)]
pub struct LocalReach {
    /// Whom to ask for sudo's password.
    pub ask: Option<Arc<dyn Ask>>,
    /// Added to the environment of what is run: for tests.
    pub environment: Vec<(String, String)>,
}

impl Reach for LocalReach {
    fn connect<'a>(
        &'a self,
        target: &'a Target,
    ) -> Pending<'a, Result<Box<dyn Session>, ReachError>> {
        Box::pin(async move {
            let user = super::config::Me::find().user;
            Ok(Box::new(LocalSession {
                reach: self.clone(),
                name: target.name.clone(),
                become_root: target.become_root,
                facts: ConnectionFacts {
                    via: "local".into(),
                    peer: "localhost".into(),
                    user,
                    ..ConnectionFacts::default()
                },
            }) as Box<dyn Session>)
        })
    }
}

struct LocalSession {
    reach: LocalReach,
    name: String,
    become_root: Become,
    facts: ConnectionFacts,
}

/// A process group that does not outlive this value.
struct Group {
    child: Child,
    id: Option<i32>,
}

impl Drop for Group {
    fn drop(&mut self) {
        // Once the leader has been waited for, its number may be another's.
        if let Some(id) = self.id.take() {
            // SAFETY: kill takes two numbers and touches no memory of ours. The group is that of
            // a child of ours that has not been waited for, so the number is still its own.
            unsafe {
                libc::kill(-id, libc::SIGKILL);
            }
        }
    }
}

impl LocalSession {
    async fn password(&self) -> Result<Option<SecretString>, ReachError> {
        if self.become_root != Become::SudoWithPassword {
            return Ok(None);
        }
        let ask = self.reach.ask.clone();
        let name = self.name.clone();
        let answer =
            tokio::task::spawn_blocking(move || ask.and_then(|ask| ask.sudo_password(&name)));
        let password = answer
            .await
            .ok()
            .flatten()
            .ok_or_else(|| ReachError::new(Phase::Sudo, "there is no password for sudo"))?;
        check_password(&password)?;
        Ok(Some(password))
    }

    fn spawn(&self, start: &Start) -> Result<Group, ReachError> {
        let words = start.words();
        let mut words = words.iter();
        let mut command = Command::new(words.next().map_or("sh", String::as_str));
        let child = command
            .args(words)
            .envs(self.reach.environment.iter().map(|(k, v)| (k, v)))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .map_err(|e| ReachError::new(Phase::Start, format!("sh does not start: {e}")))?;
        let id = child.id().and_then(|id| i32::try_from(id).ok());
        Ok(Group { child, id })
    }

    async fn run(
        &self,
        program: &str,
        fed_with: Option<Input<'_>>,
        limit: Duration,
        on_output: OnOutput<'_>,
    ) -> Result<Ended, ReachError> {
        let start = match fed_with {
            Some(_) => Start::fed(self.become_root, program)?,
            None => Start::new(self.become_root),
        };
        let password = self.password().await?;
        let end = Instant::now() + limit;
        let mut group = self.spawn(&start)?;
        let gone = || ReachError::new(Phase::Start, "sh has no standard input or output");
        let mut input = group.child.stdin.take().ok_or_else(gone)?;
        let mut output = group.child.stdout.take().ok_or_else(gone)?;
        let mut errors = group.child.stderr.take().ok_or_else(gone)?;
        let ready = Notify::new();
        let feed = async {
            let opening = start.opening(password.as_ref());
            // A reader that is gone shows in how the program ends.
            let _ = input.write_all(&opening).await;
            let _ = input.flush().await;
            if start.waits() {
                ready.notified().await;
            }
            let _ = input.write_all(&start.program(program)).await;
            if let Some(from) = fed_with {
                let mut piece = vec![0; PIECE];
                loop {
                    let count = from.read(&mut piece).await?;
                    let piece = piece.get(..count).unwrap_or_default();
                    if piece.is_empty() || input.write_all(piece).await.is_err() {
                        break;
                    }
                }
            }
            let _ = input.shutdown().await;
            drop(input);
            Ok::<(), std::io::Error>(())
        };
        tokio::pin!(feed);
        let mut gate = start.gate();
        let mut ended = Ended::default();
        let (mut fed, mut out_open, mut err_open, mut status) = (false, true, true, None);
        let (mut out, mut err) = (vec![0; 32 << 10], vec![0; 8 << 10]);
        let mut linger: Option<Instant> = None;
        while out_open || status.is_none() {
            let deadline = linger.map_or(end, |l| l.min(end));
            tokio::select! {
                result = &mut feed, if !fed => match result {
                    Ok(()) => fed = true,
                    Err(error) => return Err(unreadable(&error)),
                },
                n = output.read(&mut out), if out_open => {
                    let n = n.unwrap_or(0);
                    out_open = n > 0;
                    let bytes = gate.feed(out.get(..n).unwrap_or_default())?;
                    if gate.is_open() {
                        ready.notify_one();
                    }
                    if !bytes.is_empty() && on_output(&bytes).is_break() {
                        return Ok(ended);
                    }
                }
                n = errors.read(&mut err), if err_open => {
                    let n = n.unwrap_or(0);
                    err_open = n > 0;
                    keep(&mut ended.stderr, err.get(..n).unwrap_or_default());
                    if !gate.is_open() && start.is_refused(&ended.stderr) {
                        return Err(start.wrong_password());
                    }
                }
                s = group.child.wait(), if status.is_none() => {
                    status = s.ok();
                    // Something in the background may hold the output open for ever.
                    linger = Some(Instant::now() + Duration::from_secs(3));
                }
                () = sleep_until(deadline) => {
                    if linger.is_some() {
                        break;
                    }
                    return Err(ReachError::new(
                        Phase::Run,
                        "the program did not end within its time",
                    ));
                }
            }
        }
        // What was already written to standard error is there to be read.
        while err_open {
            let read = tokio::time::timeout(Duration::from_millis(50), errors.read(&mut err));
            match read.await {
                Ok(Ok(n)) if n > 0 => keep(&mut ended.stderr, err.get(..n).unwrap_or_default()),
                _ => err_open = false,
            }
        }
        group.id = None;
        ended.stderr = start.tidy(ended.stderr);
        if let Some(status) = status {
            set_status(&mut ended, status);
        }
        if gate.is_open() {
            Ok(ended)
        } else {
            Err(start.failure(&ended))
        }
    }
}

fn set_status(ended: &mut Ended, status: ExitStatus) {
    ended.status = status.code().and_then(|c| u32::try_from(c).ok());
    ended.signal = status.signal().map(signal_name);
}

/// Names as SSH has them.
fn signal_name(number: i32) -> String {
    let name = match number {
        libc::SIGABRT => "ABRT",
        libc::SIGALRM => "ALRM",
        libc::SIGFPE => "FPE",
        libc::SIGHUP => "HUP",
        libc::SIGILL => "ILL",
        libc::SIGINT => "INT",
        libc::SIGKILL => "KILL",
        libc::SIGPIPE => "PIPE",
        libc::SIGQUIT => "QUIT",
        libc::SIGSEGV => "SEGV",
        libc::SIGTERM => "TERM",
        libc::SIGUSR1 => "USR1",
        _ => return number.to_string(),
    };
    name.to_owned()
}

impl Session for LocalSession {
    fn run<'a>(
        &'a mut self,
        program: &'a str,
        limit: Duration,
        on_output: OnOutput<'a>,
    ) -> Pending<'a, Result<Ended, ReachError>> {
        Box::pin(LocalSession::run(self, program, None, limit, on_output))
    }

    fn feed<'a>(
        &'a mut self,
        program: &'a str,
        input: Input<'a>,
        limit: Duration,
        on_output: OnOutput<'a>,
    ) -> Pending<'a, Result<Ended, ReachError>> {
        Box::pin(LocalSession::run(
            self,
            program,
            Some(input),
            limit,
            on_output,
        ))
    }

    fn facts(&self) -> &ConnectionFacts {
        &self.facts
    }

    fn close(self: Box<Self>) -> Pending<'static, ()> {
        Box::pin(async {})
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ops::ControlFlow;

    async fn run(program: &str, limit: Duration) -> (Result<Ended, ReachError>, Vec<u8>) {
        let reach = LocalReach::default();
        let mut session = reach.connect(&Target::default()).await.unwrap();
        let mut out = Vec::new();
        let result = session
            .run(program, limit, &mut |bytes| {
                out.extend_from_slice(bytes);
                ControlFlow::Continue(())
            })
            .await;
        session.close().await;
        (result, out)
    }

    const LONG: Duration = Duration::from_secs(60);

    #[tokio::test]
    async fn output_errors_and_status_come_back() {
        let (result, out) = run("echo out; echo err >&2; exit 7\n", LONG).await;
        let ended = result.unwrap();
        assert_eq!(out, b"out\n");
        assert_eq!(ended.status, Some(7));
        assert_eq!(ended.stderr, b"err\n");
        let (result, _) = run("kill -KILL $$\n", LONG).await;
        assert_eq!(result.unwrap().signal.as_deref(), Some("KILL"));
    }

    #[tokio::test]
    async fn a_program_larger_than_any_pipe_that_answers_as_it_is_read_does_not_hang() {
        let line = "echo 0123456789012345678901234567890123456789\n";
        let (result, out) = run(&line.repeat(10_000), LONG).await;
        assert_eq!(result.unwrap().status, Some(0));
        assert_eq!(out.len(), 41 * 10_000);
    }

    #[tokio::test]
    async fn what_does_not_end_is_ended_with_all_that_it_started() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("pid");
        let program = format!("sleep 1000 & echo $! >{}; wait\n", file.display());
        let (result, _) = run(&program, Duration::from_millis(500)).await;
        assert_eq!(result.unwrap_err().phase, Phase::Run);
        let pid = std::fs::read_to_string(&file).unwrap();
        let stat = format!("/proc/{}/stat", pid.trim());
        let is_gone = || {
            // A zombie that nobody has collected yet is gone as well.
            std::fs::read_to_string(&stat).map_or(true, |s| s.contains(") Z "))
        };
        for _ in 0..500 {
            if is_gone() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("the background process still runs");
    }
}

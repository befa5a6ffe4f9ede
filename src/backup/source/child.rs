//! A program whose output is read. It does not outlive us: its process group is ended when the
//! value is dropped, and the kernel ends it where we are killed.

use std::io::{self, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::{Duration, Instant};

use super::{SourceError, Surroundings};
use crate::shell::clean;

/// Of what a program says on stderr, in bytes: its beginning is dropped.
const STDERR: usize = 8 << 10;
/// How often a wish to stop is looked for while a program is silent.
const LOOK: Duration = Duration::from_millis(100);
/// How long a program that has closed its output may take to end.
const END: Duration = Duration::from_secs(600);

pub(super) struct Child<'a> {
    /// In words, e.g. `pg_dump`.
    name: String,
    child: std::process::Child,
    stdout: std::process::ChildStdout,
    stderr: Receiver<Vec<u8>>,
    around: &'a Surroundings<'a>,
    ended: Option<ExitStatus>,
}

impl<'a> Child<'a> {
    /// Starts a program. `input` is its stdin, and may be a secret.
    ///
    /// # Errors
    /// When it does not start.
    pub fn start(
        name: &str,
        mut command: Command,
        input: Vec<u8>,
        around: &'a Surroundings<'a>,
    ) -> Result<Self, SourceError> {
        for secret in &around.secrets {
            let is_given = command
                .get_envs()
                .any(|(key, value)| key == secret.as_str() && value.is_some());
            if !is_given {
                command.env_remove(secret);
            }
        }
        // SAFETY: getpid has no effects. In the child, between fork and exec: prctl, getppid and
        // _exit are plain system calls, safe there.
        unsafe {
            let us = libc::getpid();
            command.pre_exec(move || {
                if libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) != 0 {
                    return Err(io::Error::last_os_error());
                }
                if libc::getppid() != us {
                    // We are gone already.
                    libc::_exit(1);
                }
                Ok(())
            });
        }
        let mut child = command
            .stdin(match input.is_empty() {
                true => Stdio::null(),
                false => Stdio::piped(),
            })
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn()
            .map_err(|error| {
                let hint = match error.kind() {
                    io::ErrorKind::NotFound => ": install it, or put it on the PATH",
                    _ => "",
                };
                SourceError(format!("{name} does not start: {error}{hint}"))
            })?;
        let (Some(stdout), Some(mut stderr)) = (child.stdout.take(), child.stderr.take()) else {
            return Err(SourceError(format!("{name} has no output to read")));
        };
        // SAFETY: a larger pipe, where the kernel grants it; a refusal does no harm.
        unsafe { libc::fcntl(stdout.as_raw_fd(), libc::F_SETPIPE_SZ, 1 << 20) };
        // Both in threads of their own, which end with the pipes: a program that neither reads nor
        // ends must not keep us.
        let (said, heard) = sync_channel(1);
        std::thread::spawn(move || {
            let mut tail = Vec::new();
            let mut piece = [0; 4096];
            while let Ok(got @ 1..) = stderr.read(&mut piece) {
                tail.extend_from_slice(piece.get(..got).unwrap_or_default());
                let over = tail.len().saturating_sub(STDERR);
                tail.drain(..over);
            }
            let _ = said.send(tail);
        });
        if let Some(mut stdin) = child.stdin.take() {
            // A program that does not read its input says why itself.
            std::thread::spawn(move || {
                let _ = stdin.write_all(&input);
                zeroize::Zeroizing::new(input);
            });
        }
        Ok(Child {
            name: name.to_owned(),
            child,
            stdout,
            stderr: heard,
            around,
            ended: None,
        })
    }

    /// Waits for the end. What it said on stderr, cleaned.
    ///
    /// # Errors
    /// When it failed, was killed, does not end, or we were asked to stop.
    pub fn finish(mut self) -> Result<String, SourceError> {
        let since = Instant::now();
        let status = loop {
            match self.child.try_wait() {
                Ok(Some(status)) => break status,
                Ok(None) if self.around.is_over() => {
                    return Err(SourceError("stopped, as was asked".to_owned()));
                }
                Ok(None) if since.elapsed() > END => {
                    return Err(SourceError(format!(
                        "{} has closed its output and does not end",
                        self.name
                    )));
                }
                Ok(None) => std::thread::sleep(Duration::from_millis(2)),
                Err(error) => {
                    return Err(SourceError(format!("waiting for {}: {error}", self.name)));
                }
            }
        };
        self.ended = Some(status);
        // Whatever it left behind in its group could hold its stderr open.
        let said = self
            .stderr
            .recv_timeout(Duration::from_millis(500))
            .unwrap_or_default();
        let said = clean(&String::from_utf8_lossy(&said), 1000);
        if status.success() {
            return Ok(said);
        }
        let how = match (status.code(), status.signal()) {
            (Some(code), _) => format!("failed (exit code {code})"),
            (_, Some(signal)) => format!("was ended by signal {signal}"),
            _ => "failed".to_owned(),
        };
        let said = match said.is_empty() {
            true => "it said nothing".to_owned(),
            false => said,
        };
        Err(SourceError(format!("{} {how}: {said}", self.name)))
    }

    /// Reads all that it prints, which must not be more than `limit` bytes, and waits for its end.
    pub fn output(mut self, limit: u64) -> Result<String, SourceError> {
        let mut out = Vec::new();
        let read = (&mut self).take(limit + 1).read_to_end(&mut out);
        let name = self.name.clone();
        if let Err(error) = read {
            return Err(SourceError(format!("reading what {name} prints: {error}")));
        }
        if out.len() as u64 > limit {
            return Err(SourceError(format!("{name} prints more than it should")));
        }
        self.finish()?;
        Ok(String::from_utf8_lossy(&out).into_owned())
    }
}

impl Read for Child<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            if self.around.is_over() {
                return Err(io::Error::other("stopped, as was asked"));
            }
            let mut poll = libc::pollfd {
                fd: self.stdout.as_raw_fd(),
                events: libc::POLLIN,
                revents: 0,
            };
            // SAFETY: one entry, and it is there.
            let ready = unsafe { libc::poll(&raw mut poll, 1, LOOK.as_millis() as i32) };
            match ready {
                0 => {}
                1.. => return self.stdout.read(buffer),
                _ => {
                    let error = io::Error::last_os_error();
                    if error.kind() != io::ErrorKind::Interrupted {
                        return Err(error);
                    }
                }
            }
        }
    }
}

impl Drop for Child<'_> {
    fn drop(&mut self) {
        let Ok(group) = i32::try_from(self.child.id()) else {
            return;
        };
        if self.ended.is_none() {
            // SAFETY: two numbers. The leader has not been waited for, so the group is still its
            // own.
            unsafe { libc::kill(-group, libc::SIGKILL) };
            let _ = self.child.wait();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::super::Programs;
    use super::*;
    use crate::backup::Progress;

    fn with<T>(test: impl FnOnce(&Surroundings) -> T) -> T {
        let (programs, progress) = (Programs::default(), Progress::default());
        test(&Surroundings {
            programs: &programs,
            progress: &progress,
            abort: &AtomicBool::new(false),
            secrets: vec!["SEAWALL_TEST_SECRET".to_owned()],
            stores: vec![],
        })
    }

    fn sh(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn output_is_read_and_a_failure_says_why() {
        with(|around| {
            let child = Child::start("sh", sh("echo out; echo err >&2"), vec![], around).unwrap();
            assert_eq!(child.output(100).unwrap(), "out\n");
            let script = "printf '\\033[1mno\\n' >&2; exit 3";
            let child = Child::start("sh", sh(script), vec![], around).unwrap();
            let error = child.output(100).unwrap_err().to_string();
            assert_eq!(error, "sh failed (exit code 3): ·[1mno");
            let child = Child::start("sh", sh("kill -9 $$"), vec![], around).unwrap();
            let error = child.output(100).unwrap_err().to_string();
            assert_eq!(error, "sh was ended by signal 9: it said nothing");
            let child = Child::start("sh", sh("cat"), b"in".to_vec(), around).unwrap();
            assert_eq!(child.output(100).unwrap(), "in");
            let child = Child::start("sh", sh("yes"), vec![], around).unwrap();
            assert!(child.output(100).is_err());
            let mut env = sh("echo ${SEAWALL_TEST_SECRET-none} ${GIVEN-none}");
            env.env("GIVEN", "given");
            // SAFETY: no other test reads or writes a variable of this name.
            unsafe { std::env::set_var("SEAWALL_TEST_SECRET", "s3cret") };
            let child = Child::start("sh", env, vec![], around).unwrap();
            assert_eq!(child.output(100).unwrap(), "none given\n");
            let none = Child::start("none", Command::new("/no/such"), vec![], around);
            assert!(none.err().unwrap().to_string().contains("install it"));
        });
    }

    #[test]
    fn a_silent_program_does_not_outlive_a_wish_to_stop() {
        with(|around| {
            let script = "sleep 1000 & echo $!; wait";
            let mut child = Child::start("sh", sh(script), vec![], around).unwrap();
            let mut line = [0; 20];
            let got = child.read(&mut line).unwrap();
            let grandchild: u32 = String::from_utf8_lossy(&line[..got])
                .trim()
                .parse()
                .unwrap();
            around.abort.store(true, Ordering::SeqCst);
            assert!(child.read(&mut line).is_err());
            drop(child);
            // The group was sent SIGKILL; whoever adopted the grandchild may not have waited yet.
            let gone = || {
                let stat = std::fs::read_to_string(format!("/proc/{grandchild}/stat"));
                stat.map_or(true, |stat| stat.contains(") Z"))
            };
            let is_gone = (0..4000).any(|_| {
                std::thread::sleep(Duration::from_millis(5));
                gone()
            });
            assert!(is_gone, "process {grandchild} lives on");
        });
    }
}

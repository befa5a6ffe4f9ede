//! Running programs: bounded in time and output, in a small environment, behind the fence.

use std::ffi::OsString;
use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use super::fence::{Account, Fence, Masking};
use super::process;

/// Where programs are looked for, where the environment does not say.
pub const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// How often a running program is looked at.
const LOOK: Duration = Duration::from_millis(5);

/// What all children of one drill share.
#[derive(Clone, Debug)]
pub struct Children {
    pub run: String,
    /// `HOME` and `TMPDIR` of what we start.
    pub home: PathBuf,
    pub masked: Vec<PathBuf>,
    pub masking: Masking,
}

/// A program that is to be started.
#[derive(Clone, Debug, Default)]
pub struct Program {
    pub program: OsString,
    pub arguments: Vec<OsString>,
    /// Besides the small base.
    pub environment: Vec<(String, String)>,
    /// Default: the drill's home.
    pub directory: Option<PathBuf>,
    pub account: Option<Account>,
}

impl Program {
    pub fn new(program: impl Into<OsString>) -> Self {
        Program {
            program: program.into(),
            ..Program::default()
        }
    }

    #[must_use]
    pub fn arg(mut self, argument: impl Into<OsString>) -> Self {
        self.arguments.push(argument.into());
        self
    }

    #[must_use]
    pub fn args<A: Into<OsString>>(mut self, arguments: impl IntoIterator<Item = A>) -> Self {
        self.arguments.extend(arguments.into_iter().map(Into::into));
        self
    }

    #[must_use]
    pub fn env(mut self, name: &str, value: impl Into<String>) -> Self {
        self.environment.push((name.into(), value.into()));
        self
    }

    #[must_use]
    pub fn account(mut self, account: Option<&Account>) -> Self {
        self.account = account.cloned();
        self
    }

    fn name(&self) -> String {
        let name = Path::new(&self.program).file_name().unwrap_or_default();
        crate::shell::clean(&name.to_string_lossy(), 60)
    }
}

/// How a program ended, and what it said.
#[derive(Clone, Debug)]
pub struct Ran {
    pub status: ExitStatus,
    /// At most as much as was asked for.
    pub stdout: Vec<u8>,
    /// It said more.
    pub cut: bool,
    pub stderr: Vec<u8>,
}

impl Ran {
    pub fn well(&self) -> bool {
        self.status.success()
    }

    /// How it ended, in words.
    pub fn how(&self) -> String {
        match (self.status.code(), self.status.signal()) {
            (Some(code), _) => format!("exit status {code}"),
            (None, Some(signal)) => format!("signal {signal}"),
            (None, None) => "an unknown end".into(),
        }
    }

    /// What it said on standard error, cleaned; what it said otherwise, if nothing.
    pub fn said(&self, max: usize) -> String {
        let said = clean_bytes(&self.stderr, max);
        match said.is_empty() {
            true => clean_bytes(&self.stdout, max),
            false => said,
        }
    }
}

/// Bytes of a stranger, fit to be shown.
pub fn clean_bytes(bytes: &[u8], max: usize) -> String {
    crate::shell::clean(&String::from_utf8_lossy(bytes), max)
}

/// Bounds of one run.
pub struct Limits<'a> {
    pub time: Duration,
    /// Bytes of each of its outputs that are kept.
    pub output: usize,
    pub stop: &'a (dyn Fn() -> bool + Sync),
}

/// Where a program that outlives us writes to.
pub struct Outputs {
    pub log: File,
}

impl Children {
    fn command(&self, program: &Program, dies_with_us: bool) -> Command {
        let mut command = Command::new(&program.program);
        command.args(&program.arguments).env_clear();
        let path = std::env::var_os("PATH").unwrap_or_else(|| PATH.into());
        command
            .env("PATH", path)
            .env("HOME", &self.home)
            .env("TMPDIR", &self.home)
            .env("LANG", "C.UTF-8")
            .env("TZ", "UTC")
            .env(process::RUN, &self.run)
            .envs(program.environment.iter().map(|(n, v)| (n, v)))
            .current_dir(program.directory.as_ref().unwrap_or(&self.home));
        let fence = Fence::new(
            &self.masked,
            self.masking,
            program.account.as_ref(),
            dies_with_us,
        );
        // SAFETY: `enter` makes system calls alone, and allocates nothing.
        unsafe { command.pre_exec(move || fence.enter()) };
        command
    }

    /// Starts a program that outlives us, in a session of its own; it writes to the log.
    pub fn start(&self, program: &Program, outputs: Outputs) -> Result<Child, String> {
        let failed = |e| format!("starting {}: {e}", program.name());
        let errors = outputs.log.try_clone().map_err(failed)?;
        self.command(program, false)
            .stdin(Stdio::null())
            .stdout(outputs.log)
            .stderr(errors)
            .spawn()
            .map_err(failed)
    }

    /// Runs a program to its end, with these bytes as its input. It dies with us.
    ///
    /// # Errors
    /// When it could not be started, took longer than it may, or we were asked to stop.
    pub fn run(&self, program: &Program, input: &[u8], limits: &Limits) -> Result<Ran, String> {
        self.feed(program, limits, |out| {
            // One that does not care for its input is no error.
            let _ = out.write_all(input);
            Ok(())
        })
        .map(|(ran, ())| ran)
        .map_err(|error| error.reason)
    }

    /// Runs a program that reads what `write` gives it. Its own error and the program's end are
    /// both told.
    pub fn feed<T: Send>(
        &self,
        program: &Program,
        limits: &Limits,
        write: impl FnOnce(&mut (dyn Write + Send)) -> Result<T, String> + Send,
    ) -> Result<(Ran, T), FeedError> {
        let name = program.name();
        let mut child = self
            .command(program, true)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|e| FeedError::not_run(format!("starting {name}: {e}")))?;
        let group = i32::try_from(child.id()).unwrap_or(0);
        let (stdin, stdout, stderr) =
            (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let (status, out, err, written) = std::thread::scope(|scope| {
            let out = scope.spawn(|| keep(stdout, limits.output));
            let err = scope.spawn(|| keep(stderr, limits.output.min(64 << 10)));
            let written = scope.spawn(|| {
                let mut stdin = stdin.ok_or("it has no input")?;
                wide(&stdin);
                write(&mut stdin)
            });
            let status = wait(&mut child, group, limits, &name);
            (status, out.join(), err.join(), written.join())
        });
        let panicked = |_| FeedError::not_run(format!("reading what {name} says failed"));
        let (stdout, cut) = out.map_err(panicked)?;
        let (stderr, _) = err.map_err(panicked)?;
        let written = written.unwrap_or_else(|_| Err("feeding it failed".into()));
        let status = status.map_err(FeedError::not_run)?;
        let ran = Ran {
            status,
            stdout,
            cut,
            stderr,
        };
        match written {
            Ok(value) => Ok((ran, value)),
            Err(input) => Err(FeedError {
                ran: Some(ran),
                reason: input,
            }),
        }
    }
}

/// What went wrong when a program was fed.
#[derive(Debug)]
pub struct FeedError {
    /// How it ended, if it was run at all.
    pub ran: Option<Ran>,
    pub reason: String,
}

impl FeedError {
    fn not_run(reason: String) -> Self {
        FeedError { ran: None, reason }
    }
}

fn wait(child: &mut Child, group: i32, limits: &Limits, name: &str) -> Result<ExitStatus, String> {
    let begun = Instant::now();
    let stopped = loop {
        if has_ended(group) {
            break None;
        }
        if begun.elapsed() > limits.time {
            break Some(format!(
                "{name} took longer than {:?}, and was ended",
                limits.time
            ));
        }
        if (limits.stop)() {
            break Some(format!("{name} was ended, as we were asked to stop"));
        }
        std::thread::sleep(LOOK);
    };
    // Before it is reaped: its number is its group's, and is free for others afterwards. Whoever
    // of them still holds its outputs would keep us waiting.
    kill_group(group);
    let status = child
        .wait()
        .map_err(|e| format!("waiting for {name}: {e}"))?;
    stopped.map_or(Ok(status), Err)
}

/// Whether a child of ours has ended, without reaping it.
fn has_ended(pid: i32) -> bool {
    let Ok(id) = libc::id_t::try_from(pid) else {
        return true;
    };
    // SAFETY: `info` is valid for the call, which writes to it alone; zeroes are a valid value.
    unsafe {
        let mut info: libc::siginfo_t = std::mem::zeroed();
        let options = libc::WEXITED | libc::WNOHANG | libc::WNOWAIT;
        let code = libc::waitid(libc::P_PID, id, &raw mut info, options);
        code != 0 || info.si_pid() != 0
    }
}

/// Kills a child's process group: its own, since each child leads a session.
fn kill_group(group: i32) {
    if group > 1 {
        // SAFETY: no pointers.
        unsafe { libc::kill(-group, libc::SIGKILL) };
    }
}

/// Reads to the end, and keeps the beginning.
fn keep(from: Option<impl Read>, most: usize) -> (Vec<u8>, bool) {
    let mut kept = Vec::new();
    let mut cut = false;
    let Some(mut from) = from else {
        return (kept, cut);
    };
    let mut buffer = vec![0; 64 << 10];
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        let bytes = buffer.get(..count).unwrap_or_default();
        let room = most - kept.len();
        cut |= count > room;
        kept.extend_from_slice(bytes.get(..count.min(room)).unwrap_or_default());
    }
    (kept, cut)
}

/// A pipe as wide as the system lets us have it.
fn wide(pipe: &impl std::os::fd::AsRawFd) {
    // SAFETY: a valid descriptor; no pointers.
    unsafe { libc::fcntl(pipe.as_raw_fd(), libc::F_SETPIPE_SZ, 1 << 20) };
}

#[cfg(test)]
mod tests {
    use super::super::fence::is_root;
    use super::*;

    fn children(masked: Vec<PathBuf>) -> Children {
        Children {
            run: "r".into(),
            home: "/".into(),
            masking: match (masked.is_empty(), is_root()) {
                (true, _) => Masking::Not,
                (_, true) => Masking::Root,
                (_, false) => Masking::UserNamespace,
            },
            masked,
        }
    }

    fn limits(time: Duration) -> Limits<'static> {
        Limits {
            time,
            output: 1000,
            stop: &|| false,
        }
    }

    fn sh(script: &str) -> Program {
        Program::new("sh").args(["-c", script])
    }

    #[test]
    fn a_program_is_fed_and_what_it_says_is_bounded() {
        let children = children(vec![]);
        let ran = children
            .run(
                &sh("cat; echo oops >&2; exit 3"),
                b"hello",
                &limits(Duration::from_secs(60)),
            )
            .unwrap();
        assert_eq!(ran.stdout, b"hello");
        assert_eq!(ran.said(100), "oops");
        assert_eq!(ran.how(), "exit status 3");
        let ran = children
            .run(
                &sh("yes | head -c 100000"),
                b"",
                &limits(Duration::from_secs(60)),
            )
            .unwrap();
        assert_eq!((ran.stdout.len(), ran.cut), (1000, true));
        let ran = children
            .run(&sh("env"), b"", &limits(Duration::from_secs(60)))
            .unwrap();
        let text = String::from_utf8(ran.stdout).unwrap();
        assert!(text.contains("SEAWALL_DRILL=r\n"), "{text}");
        assert!(!text.contains("CARGO"), "{text}");
    }

    #[test]
    fn a_program_that_takes_too_long_is_ended_with_all_that_it_started() {
        let children = children(vec![]);
        let begun = Instant::now();
        let error = children
            .run(
                &sh("sleep 600 & sleep 600"),
                b"",
                &limits(Duration::from_millis(200)),
            )
            .unwrap_err();
        assert!(error.contains("took longer"), "{error}");
        // One that ends and leaves another with its outputs does not keep us either.
        let ran = children
            .run(
                &sh("sleep 600 & echo x"),
                b"",
                &limits(Duration::from_secs(300)),
            )
            .unwrap();
        assert_eq!(ran.stdout, b"x\n");
        assert!(begun.elapsed() < Duration::from_secs(300));
    }

    #[test]
    fn a_reader_that_dies_and_a_writer_that_fails_are_both_told() {
        let children = children(vec![]);
        let error = children
            .feed(
                &sh("echo broken >&2; exit 1"),
                &limits(Duration::from_secs(60)),
                |out| {
                    let chunk = [0; 4096];
                    for _ in 0..10_000 {
                        out.write_all(&chunk).map_err(|e| e.to_string())?;
                    }
                    Ok(())
                },
            )
            .unwrap_err();
        assert_eq!(error.ran.unwrap().said(100), "broken");
        let error = children
            .feed(&sh("cat"), &limits(Duration::from_secs(60)), |_| {
                Err::<(), _>("the archive is cut off".to_owned())
            })
            .unwrap_err();
        assert_eq!(error.reason, "the archive is cut off");
        assert!(error.ran.unwrap().well());
    }

    #[test]
    fn what_is_lost_is_masked_for_children_and_their_children() {
        let dir = tempfile::tempdir().unwrap();
        let (lost, kept) = (dir.path().join("lost"), dir.path().join("kept"));
        std::fs::create_dir(&lost).unwrap();
        std::fs::write(lost.join("secret"), "primary").unwrap();
        std::fs::write(&kept, "kept").unwrap();
        let file = dir.path().join("socket");
        std::fs::write(&file, "primary").unwrap();
        let gone = dir.path().join("gone");
        let masked = children(vec![lost.clone(), file.clone(), gone]);
        let script = format!(
            "umount {0} 2>&1; cat {0}/secret {1}; ls {0}; cat {2}; \
             cat /proc/$PPID/root{0}/secret; cat /proc/1/root{0}/secret; :",
            lost.display(),
            file.display(),
            kept.display()
        );
        let ran = masked
            .run(&sh(&script), b"", &limits(Duration::from_secs(60)))
            .unwrap();
        let text = String::from_utf8_lossy(&ran.stdout).into_owned();
        assert!(text.contains("kept"), "{text} {ran:?}");
        assert!(!text.contains("primary"), "{text}");
        // Without the mask it is seen: the test can fail.
        let ran = children(vec![])
            .run(&sh(&script), b"", &limits(Duration::from_secs(60)))
            .unwrap();
        assert!(String::from_utf8_lossy(&ran.stdout).contains("primary"));
    }
}

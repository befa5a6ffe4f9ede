//! Fresh hosts for a test: `take(1)` raises a lab of the test's own and takes it down when dropped.
//! A host costs a quarter of a second, so no two tests need share one.

use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use std::os::unix::process::CommandExt;

use seawall::lab::{Lab, Options};

/// A lab that goes when the test is over, also when it panics.
pub struct Hosts {
    pub lab: Lab,
}

/// A lab of so many hosts. Fails, and says why, without root or the programs that a lab needs.
pub fn take(count: usize) -> Hosts {
    let options = Options {
        name: name(),
        prefix: Some("host".to_owned()),
        ..Options::default()
    };
    match Lab::up(count, &options) {
        Ok(lab) => Hosts { lab },
        Err(error) => panic!("the test needs {count} lab hosts: {error}"),
    }
}

/// A name that no other lab has, and that the watcher takes down if this process can't.
pub fn name() -> String {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    watch();
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    format!("t{}-f{number}", std::process::id())
}

pub fn seawall() -> Command {
    Command::new(env!("CARGO_BIN_EXE_seawall"))
}

/// Starts, once, a process that waits for the end of this one and takes down what labs it left.
/// It holds the reading end of a pipe that the kernel closes whatever way we end.
#[expect(
    clippy::zombie_processes,
    reason = "it outlives this process, and the machine's init takes its exit code"
)]
fn watch() {
    static WATCHER: OnceLock<std::process::ChildStdin> = OnceLock::new();
    WATCHER.get_or_init(|| {
        let script = "read -r _; for lab in /run/seawall/lab/\"$1\"-*; do \
                      [ -d \"$lab\" ] && \"$2\" lab down --name \"${lab##*/}\"; done";
        let mut command = Command::new("sh");
        command
            .args(["-c", script, "watcher"])
            .arg(format!("t{}", std::process::id()))
            .arg(env!("CARGO_BIN_EXE_seawall"))
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        // A group of its own: a Ctrl-C at the terminal is not for it.
        command.process_group(0);
        let child = command.spawn().expect("the watcher can be started");
        child.stdin.expect("the watcher has a pipe")
    });
}

impl Hosts {
    pub fn name(&self, number: usize) -> String {
        self.lab.hosts()[number].name.clone()
    }

    /// A program in the host, from outside, as root.
    pub fn exec(&self, number: usize, script: &str) -> Output {
        self.lab
            .exec(&self.name(number), &["sh", "-c", script])
            .expect("the host can be looked into")
    }

    /// The same through sshd, with the machine's own ssh, as one of the lab's accounts.
    pub fn ssh(&self, number: usize, account: &str, script: &str) -> Output {
        let option = |name: &str, value: PathBuf| format!("{name}={}", value.display());
        Command::new("ssh")
            .args([
                "-F",
                "none",
                "-o",
                "BatchMode=yes",
                "-o",
                "ConnectTimeout=20",
            ])
            .args(["-o", "IdentitiesOnly=yes", "-o", "IdentityAgent=none"])
            .args(["-o", "StrictHostKeyChecking=yes"])
            .args(["-o", "GlobalKnownHostsFile=/dev/null"])
            .args(["-o", &option("UserKnownHostsFile", self.lab.known_hosts())])
            .args(["-o", &option("IdentityFile", self.lab.identity())])
            .args(["-l", account, &self.lab.hosts()[number].address, script])
            .stdin(Stdio::null())
            .output()
            .expect("ssh can be run")
    }
}

impl Drop for Hosts {
    fn drop(&mut self) {
        let downed = Lab::down(self.lab.name());
        // A second panic while one is under way would hide the first.
        if !std::thread::panicking() {
            downed.expect("the lab can be taken down");
        }
    }
}

/// What a program printed, and that it went well.
pub fn good(output: Output) -> String {
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {errors}", output.status);
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

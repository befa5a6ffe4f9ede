//! Evidence: signatures that OpenSSH makes and believes, runs that are checked from outside, and
//! what is told when somebody has been at them.

mod runs;
mod ssh_keygen;

use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

/// Runs a program of OpenSSH with this on its standard input.
fn openssh(program: &str, args: &[&str], dir: &Path, input: &[u8]) -> Output {
    let mut child = Command::new(program)
        .args(args)
        .current_dir(dir)
        .env_remove("SSH_AUTH_SOCK")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|e| panic!("{program} (openssh-client; scripts/install-deps): {e}"));
    let mut to = child.stdin.take().expect("its input is a pipe");
    // It may end before it has read all.
    let _ = to.write_all(input);
    drop(to);
    child.wait_with_output().expect("it ends")
}

fn well(output: &Output) -> bool {
    output.status.success()
}

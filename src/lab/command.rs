//! Running the machine's programs: `ip`, `mount`, `mmdebstrap` and the like.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use super::error::LabError;

/// Where programs are looked for. Fixed, because an ordinary user's PATH lacks the sbin folders.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// What a lab runs, and the Debian package that brings it.
const NEEDS: [(&str, &str); 9] = [
    ("mmdebstrap", "mmdebstrap"),
    ("systemd-nspawn", "systemd-container"),
    ("ip", "iproute2"),
    ("nft", "nftables"),
    ("mount", "mount"),
    ("umount", "mount"),
    ("nsenter", "util-linux"),
    ("unshare", "util-linux"),
    ("ssh-keygen", "openssh-client"),
];

/// A program with our PATH and messages in English, so that they can be shown and matched.
pub(super) fn program(name: &str) -> Command {
    let mut command = Command::new(find(name).unwrap_or_else(|| name.to_owned()));
    command.env("PATH", PATH).env("LC_ALL", "C.UTF-8");
    command
}

fn find(name: &str) -> Option<String> {
    PATH.split(':')
        .map(|folder| format!("{folder}/{name}"))
        .find(|path| Path::new(path).is_file())
}

/// Fails unless we are root and the machine has all that a lab runs.
pub(super) fn require() -> Result<(), LabError> {
    // SAFETY: geteuid has no preconditions and can't fail.
    if unsafe { libc::geteuid() } != 0 {
        return Err(LabError::NotRoot);
    }
    let missing = NEEDS.iter().filter(|(name, _)| find(name).is_none());
    let (programs, mut packages): (Vec<_>, Vec<_>) = missing.copied().unzip();
    if programs.is_empty() {
        return Ok(());
    }
    packages.dedup();
    Err(LabError::Missing { programs, packages })
}

/// Runs a command to its end, with `input` on its standard input.
pub(super) fn run(doing: &str, command: &mut Command, input: &str) -> Result<Output, LabError> {
    let shown = show(command);
    let failed = |ended: String, output: String| LabError::Command {
        doing: doing.to_owned(),
        command: shown.clone(),
        ended,
        output,
    };
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|e| failed(format!("could not be started: {e}"), String::new()))?;
    if let Some(mut stdin) = child.stdin.take() {
        // A program that ends without reading says why in its exit code.
        let _ = stdin.write_all(input.as_bytes());
    }
    let output = child
        .wait_with_output()
        .map_err(|e| failed(format!("was lost: {e}"), String::new()))?;
    if output.status.success() {
        return Ok(output);
    }
    let mut said = String::from_utf8_lossy(&output.stdout).into_owned();
    said.push_str(&String::from_utf8_lossy(&output.stderr));
    Err(failed(
        format!("failed with {}", output.status),
        last_lines(&said, 12),
    ))
}

/// `ip -batch`: many changes in one process.
pub(super) fn ip(doing: &str, batch: &str) -> Result<(), LabError> {
    run(doing, program("ip").args(["-batch", "-"]), batch).map(drop)
}

pub(super) fn last_lines(text: &str, count: usize) -> String {
    let lines: Vec<&str> = text.lines().filter(|l| !l.trim().is_empty()).collect();
    let from = lines.len().saturating_sub(count);
    lines.get(from..).unwrap_or_default().join("\n")
}

fn show(command: &Command) -> String {
    let name = Path::new(command.get_program())
        .file_name()
        .unwrap_or(command.get_program());
    let mut shown = name.to_string_lossy().into_owned();
    for arg in command.get_args() {
        shown.push(' ');
        shown.push_str(&arg.to_string_lossy());
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_names_the_act_the_command_and_what_it_said() {
        let mut command = program("sh");
        command.args(["-c", "echo no such thing >&2; exit 3"]);
        let message = run("looking", &mut command, "").unwrap_err().to_string();
        assert!(message.starts_with("while looking: `sh -c"), "{message}");
        assert!(message.contains("exit status: 3"), "{message}");
        assert!(message.ends_with("no such thing"), "{message}");
    }

    #[test]
    fn a_missing_program_is_said_to_be_missing() {
        let mut command = program("seawall-has-no-such-program");
        let message = run("trying", &mut command, "").unwrap_err().to_string();
        assert!(message.contains("could not be started"), "{message}");
    }

    #[test]
    fn only_the_last_lines_are_kept() {
        assert_eq!(last_lines("a\n\nb\nc\n", 2), "b\nc");
        assert_eq!(last_lines("a", 2), "a");
    }
}

//! How sh is started at the far end, with root's rights where they are asked for. Pure.
//!
//! sh says a line with a random mark before it does anything else. What comes before that line is
//! the login shell's noise and is dropped; where the line never comes, the start failed, and what
//! stands on standard error says why.

use secrecy::{ExposeSecret, SecretString};

use super::{Become, Ended, Phase, ReachError};
use crate::shell::clean;

/// How much a login shell may say before sh begins.
const NOISE_MAX: usize = 1 << 20;
/// How much of standard error is kept.
pub(super) const STDERR_MAX: usize = 16 << 10;

/// Largest program that is sent before a stream, in bytes: it is read byte by byte.
const FED_MAX: usize = 256 << 10;
/// Bytes of a stream that are sent at once.
pub(super) const PIECE: usize = 32 << 10;

pub(super) struct Start {
    mark: String,
    become_root: Become,
    /// Bytes of the program, where its standard input is a stream of the caller's.
    fed: Option<usize>,
}

impl Start {
    pub(super) fn new(become_root: Become) -> Start {
        Start {
            mark: uuid::Uuid::new_v4().simple().to_string(),
            become_root,
            fed: None,
        }
    }

    /// For a program that is followed by a stream.
    pub(super) fn fed(become_root: Become, program: &str) -> Result<Start, ReachError> {
        if program.len() > FED_MAX {
            return Err(ReachError::new(
                Phase::Prepare,
                format!("a program before a stream may have {FED_MAX} bytes at most"),
            ));
        }
        let mut start = Start::new(become_root);
        start.fed = Some(start.whole(program).len());
        Ok(start)
    }

    /// The program of a fed start, with the mark that shows that all of it came.
    fn whole(&self, program: &str) -> String {
        format!("{program}\n# {}", self.mark)
    }

    /// The words of the command, for a start without a shell around it.
    pub(super) fn words(&self) -> Vec<String> {
        let prompt = self.prompt();
        let before: &[&str] = match self.become_root {
            Become::No => &[],
            Become::Sudo => &["env", "LC_ALL=C", "sudo", "-n", "--"],
            // -k: a password that was typed before must not count, so that it is always asked
            // for, and the prompt tells us when it was refused.
            Become::SudoWithPassword => {
                &["env", "LC_ALL=C", "sudo", "-k", "-S", "-p", &prompt, "--"]
            }
        };
        let length = self.fed.unwrap_or_default().to_string();
        let sh: &[&str] = match (self.fed, self.become_root) {
            (Some(_), _) => &["sh", "-c", READ_PROGRAM, &self.mark, &length],
            (None, Become::SudoWithPassword) => &["sh", "-c", WAIT_FOR_MARK, &self.mark],
            (None, _) => &["sh", "-s"],
        };
        before.iter().chain(sh).map(|w| (*w).to_owned()).collect()
    }

    /// The command line, for whatever shell the account has: all words but plain ones stand in
    /// single quotes and hold neither quotes, backslashes nor `!`, so that sh, csh and fish agree.
    pub(super) fn command(&self) -> String {
        let words: Vec<String> = self
            .words()
            .into_iter()
            .map(|w| {
                let plain = w
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'='));
                if plain { w } else { format!("'{w}'") }
            })
            .collect();
        format!("exec {}", words.join(" "))
    }

    /// Whether the program may only be sent once the ready line has come: before that, the reader
    /// may still be sudo, which would take the program's first lines for passwords.
    pub(super) fn waits(&self) -> bool {
        self.become_root == Become::SudoWithPassword || self.fed.is_some()
    }

    /// What is sent at once.
    pub(super) fn opening(&self, password: Option<&SecretString>) -> Vec<u8> {
        match (self.become_root, password) {
            (Become::SudoWithPassword, Some(password)) => {
                format!("{}\n", password.expose_secret()).into_bytes()
            }
            (Become::SudoWithPassword, None) => Vec::new(),
            _ if self.fed.is_some() => Vec::new(),
            _ => format!("echo READY-{}\n", self.mark).into_bytes(),
        }
    }

    /// What is sent then.
    pub(super) fn program(&self, program: &str) -> Vec<u8> {
        if self.fed.is_some() {
            format!("{}\n{}", self.mark, self.whole(program)).into_bytes()
        } else if self.waits() {
            // Where sudo did not ask, sh reads the password, finds that it is not the mark, and
            // drops it.
            format!("{}\n{program}", self.mark).into_bytes()
        } else {
            program.as_bytes().to_vec()
        }
    }

    fn prompt(&self) -> String {
        format!("ASK-{}", self.mark)
    }

    pub(super) fn gate(&self) -> Gate {
        Gate {
            line: format!("READY-{}\n", self.mark).into_bytes(),
            tail: Vec::new(),
            noise: 0,
            open: false,
        }
    }

    /// Whether sudo asked a second time, so that the password was wrong.
    pub(super) fn is_refused(&self, stderr: &[u8]) -> bool {
        let asks = self.become_root == Become::SudoWithPassword;
        asks && count(stderr, self.prompt().as_bytes()) > 1
    }

    /// Whoever was waited for said nothing at all.
    pub(super) fn silence(&self) -> ReachError {
        match self.become_root {
            Become::No => ReachError::new(Phase::Start, "sh neither started nor said why not"),
            _ => ReachError::new(Phase::Sudo, "sudo neither started sh nor said why not"),
        }
    }

    pub(super) fn wrong_password(&self) -> ReachError {
        ReachError::new(Phase::Sudo, "sudo did not accept the password")
    }

    /// Standard error without our own prompt in it.
    pub(super) fn tidy(&self, stderr: Vec<u8>) -> Vec<u8> {
        let prompt = self.prompt().into_bytes();
        if count(&stderr, &prompt) == 0 {
            return stderr;
        }
        String::from_utf8_lossy(&stderr)
            .replace(&self.prompt(), "")
            .into_bytes()
    }

    /// Why sh never said that it was ready.
    pub(super) fn failure(&self, ended: &Ended) -> ReachError {
        let said = String::from_utf8_lossy(&ended.stderr);
        let last = said
            .lines()
            .map(str::trim)
            .rfind(|l| !l.is_empty())
            .map(|l| clean(l, 300));
        let how = match (ended.status, &ended.signal) {
            (Some(status), _) => format!("it ended with status {status}"),
            (None, Some(signal)) => format!("signal {} ended it", clean(signal, 20)),
            (None, None) => "it ended without a status".to_owned(),
        };
        let detail = match &last {
            Some(line) => format!("{how}: {line}"),
            None => how,
        };
        if self.become_root == Become::No {
            return ReachError::new(Phase::Start, format!("sh did not start: {detail}"))
                .hint("the account needs a login shell that can run commands");
        }
        sudo_failure(&said, ended.status, &detail)
    }
}

/// Reads lines until one is the mark, then becomes the sh that reads the program. It says that it
/// is there first: from then on nobody else reads.
const WAIT_FOR_MARK: &str =
    "echo READY-$0;while IFS= read -r l;do [ \"$l\" = \"$0\" ]&&exec sh -s;done;exit 97";

/// The same for a program of `$1` bytes that is followed by a stream: what is read here, by `read`
/// and by dd in blocks of one byte, is not a byte more. A program that did not come whole is not
/// run.
const READ_PROGRAM: &str = "echo READY-$0;while IFS= read -r l;do [ \"$l\" = \"$0\" ]&&break;done;p=$(dd bs=1 count=$1 2>/dev/null);case \"$p\" in *\"$0\")eval \"$p\";exit;;esac;exit 97";

/// sudo's reasons, under `LC_ALL=C`.
fn sudo_failure(said: &str, status: Option<u32>, detail: &str) -> ReachError {
    let has = |words: &[&str]| words.iter().any(|w| said.contains(w));
    let error = |reason: &str| ReachError::new(Phase::Sudo, reason);
    if has(&["you must have a tty"]) {
        error("sudo demands a terminal on this host").hint("remove requiretty for this account")
    } else if has(&[
        "a password is required",
        "a terminal is required to read",
        "no password was provided",
    ]) {
        error("sudo asks for a password on this host")
            .hint("say that sudo takes a password, or allow the account NOPASSWD")
    } else if has(&[
        "incorrect password",
        "Sorry, try again",
        "incorrect authentication",
    ]) {
        error("sudo did not accept the password")
    } else if has(&[
        "is not in the sudoers file",
        "may not run sudo",
        "is not allowed to",
    ]) {
        error("sudo does not allow this account what it needs")
            .hint("the account must be allowed to run sh as root")
    } else if status == Some(127) || has(&["No such file or directory", "not found"]) {
        error("sudo is not installed on the host").hint("log in as root, or install sudo")
    } else {
        ReachError::new(Phase::Sudo, format!("sudo did not start sh: {detail}"))
    }
}

/// Lets standard output through from the ready line on.
pub(super) struct Gate {
    line: Vec<u8>,
    /// The end of the noise so far, in which the line may have begun.
    tail: Vec<u8>,
    noise: usize,
    open: bool,
}

impl Gate {
    pub(super) fn is_open(&self) -> bool {
        self.open
    }

    /// What of `bytes` is the program's own output.
    pub(super) fn feed(&mut self, bytes: &[u8]) -> Result<Vec<u8>, ReachError> {
        if self.open {
            return Ok(bytes.to_vec());
        }
        self.tail.extend_from_slice(bytes);
        if let Some(at) = position(&self.tail, &self.line) {
            self.open = true;
            let rest = self.tail.split_off(at + self.line.len());
            self.tail = Vec::new();
            return Ok(rest);
        }
        let keep = self.tail.len().min(self.line.len());
        self.tail.drain(..self.tail.len() - keep);
        self.noise = self.noise.saturating_add(bytes.len());
        if self.noise > NOISE_MAX {
            return Err(ReachError::new(
                Phase::Start,
                format!("the host said more than {NOISE_MAX} bytes before sh began"),
            ));
        }
        Ok(Vec::new())
    }
}

/// Adds to what is kept of standard error, up to its bound.
pub(super) fn keep(stderr: &mut Vec<u8>, bytes: &[u8]) {
    let room = STDERR_MAX.saturating_sub(stderr.len()).min(bytes.len());
    stderr.extend(bytes.iter().take(room));
}

fn position(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|w| w == needle)
}

fn count(haystack: &[u8], needle: &[u8]) -> usize {
    haystack
        .windows(needle.len())
        .filter(|w| *w == needle)
        .count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ended(status: u32, stderr: &str) -> Ended {
        Ended {
            status: Some(status),
            signal: None,
            stderr: stderr.as_bytes().to_vec(),
        }
    }

    #[test]
    fn commands_hold_nothing_that_any_login_shell_would_read_otherwise() {
        for how in [Become::No, Become::Sudo, Become::SudoWithPassword] {
            let start = Start::new(how);
            for word in start.words() {
                assert!(!word.contains(['\'', '\\', '!', '\n']), "{word}");
            }
            assert!(start.command().starts_with("exec "));
        }
        assert_eq!(Start::new(Become::No).command(), "exec sh -s");
        for how in [Become::No, Become::Sudo, Become::SudoWithPassword] {
            let start = Start::fed(how, "cat #secret\n").unwrap();
            for word in start.words() {
                assert!(!word.contains(['\'', '\\', '!', '\n']), "{word}");
                assert!(!word.contains("secret"), "{word}");
            }
        }
        assert!(Start::fed(Become::No, &"x".repeat(FED_MAX + 1)).is_err());
    }

    #[test]
    fn noise_is_dropped_wherever_the_ready_line_is_cut() {
        let start = Start::new(Become::No);
        let text = format!(
            "Welcome!\nREADY-\nno newline here READY-{}\nout\nput",
            start.mark
        );
        for size in 1..40 {
            let mut gate = start.gate();
            let mut out = Vec::new();
            for piece in text.as_bytes().chunks(size) {
                out.extend(gate.feed(piece).unwrap());
            }
            assert!(gate.is_open());
            assert_eq!(out, b"out\nput", "in pieces of {size}");
        }
    }

    #[test]
    fn endless_noise_is_an_error_and_is_not_kept() {
        let mut gate = Start::new(Become::No).gate();
        let piece = vec![b'x'; 64 << 10];
        let mut result = Ok(Vec::new());
        for _ in 0..20 {
            result = gate.feed(&piece);
            assert!(gate.tail.len() <= gate.line.len());
            if result.is_err() {
                break;
            }
        }
        assert_eq!(result.unwrap_err().phase, Phase::Start);
    }

    #[test]
    fn the_password_is_neither_in_the_command_nor_in_the_program() {
        let start = Start::new(Become::SudoWithPassword);
        let secret = SecretString::from("hunter2");
        assert!(!start.command().contains("hunter2"));
        assert_eq!(start.opening(Some(&secret)), b"hunter2\n");
        assert!(start.program("echo x\n").starts_with(start.mark.as_bytes()));
    }

    #[test]
    fn reasons_for_which_sudo_fails_are_told_apart() {
        let sudo = Start::new(Become::Sudo);
        let reason = |status, text: &str| {
            let error = sudo.failure(&ended(status, text));
            assert_eq!(error.phase, Phase::Sudo);
            error.reason
        };
        assert!(reason(1, "sudo: a password is required\n").contains("asks for a password"));
        assert!(reason(1, "bob is not in the sudoers file.\n").contains("does not allow"));
        assert!(reason(127, "env: 'sudo': No such file or directory\n").contains("not installed"));
        assert!(reason(1, "sudo: sorry, you must have a tty\n").contains("terminal"));
        assert!(reason(1, "odd\u{1b}[2J\n").contains("odd·[2J"));
        let plain = Start::new(Become::No).failure(&ended(1, "This account is locked.\n"));
        assert_eq!(plain.phase, Phase::Start);
        assert!(plain.reason.contains("locked"));
    }

    #[test]
    fn a_second_prompt_means_a_wrong_password() {
        let start = Start::new(Become::SudoWithPassword);
        let prompt = start.prompt();
        assert!(!start.is_refused(prompt.as_bytes()));
        assert!(start.is_refused(format!("{prompt}Sorry\n{prompt}").as_bytes()));
        assert_eq!(start.tidy(format!("{prompt}x").into_bytes()), b"x");
    }

    #[test]
    fn standard_error_is_bounded() {
        let mut kept = Vec::new();
        for _ in 0..5 {
            keep(&mut kept, &[b'e'; 5000]);
        }
        assert_eq!(kept.len(), STDERR_MAX);
    }
}

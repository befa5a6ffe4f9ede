//! Signing with a key that we do not hold: `ssh-keygen -Y sign` asks ssh-agent or the token.

use std::io::{Read, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::{NAMESPACE, SignError, armor};

/// For whoever has to touch a token or say yes to the agent.
const PATIENCE: Duration = Duration::from_secs(120);

/// The armored signature. `key` is the public key's file (or a token's handle).
pub(super) fn sign(key: &Path, bytes: &[u8]) -> Result<String, SignError> {
    let failed = |reason: String| SignError::NotSigned {
        path: key.display().to_string(),
        reason,
    };
    let mut child = Command::new("ssh-keygen")
        .args(["-Y", "sign", "-n", NAMESPACE, "-f"])
        .arg(key)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|e| failed(format!("ssh-keygen (openssh-client) could not be run: {e}")))?;
    // It reads all of its input before it writes; each pipe has a thread all the same, so that
    // none can wait for another.
    let input = child.stdin.take().map(|mut to| {
        let bytes = bytes.to_vec();
        std::thread::spawn(move || drop(to.write_all(&bytes)))
    });
    let out = child.stdout.take().map(read_aside);
    let said = child.stderr.take().map(read_aside);
    let begun = Instant::now();
    let status = loop {
        match child.try_wait() {
            Ok(Some(status)) => break Ok(status),
            Ok(None) if begun.elapsed() < PATIENCE => {
                std::thread::sleep(Duration::from_millis(5));
            }
            Ok(None) => {
                let _ = child.kill();
                let _ = child.wait();
                break Err(format!("no answer in {} seconds", PATIENCE.as_secs()));
            }
            Err(e) => break Err(e.to_string()),
        }
    }
    .map_err(failed)?;
    let text = |thread: Option<std::thread::JoinHandle<String>>| {
        thread.and_then(|t| t.join().ok()).unwrap_or_default()
    };
    if let Some(input) = input {
        let _ = input.join();
    }
    let (out, said) = (text(out), text(said));
    if !status.success() {
        let said: String = said
            .trim()
            .chars()
            .map(|c| if c.is_control() { ' ' } else { c })
            .take(300)
            .collect();
        return Err(failed(format!(
            "ssh-keygen says: {said}; is the key in ssh-agent (`ssh-add -l`)?"
        )));
    }
    Ok(out)
}

fn read_aside(from: impl Read + Send + 'static) -> std::thread::JoinHandle<String> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = from.take(armor::LONGEST as u64).read_to_end(&mut bytes);
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

//! Secrets from a prompt on the terminal, each asked for once.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Mutex;

use secrecy::SecretString;

use crate::reach::Ask;
use crate::report::progress::Pause;
use crate::shell::clean;

/// Asks at the terminal. Hosts are treated side by side: one question at a time, and what was
/// answered for all hosts is not asked again.
pub struct Prompt {
    answers: Mutex<HashMap<String, SecretString>>,
    /// Whether log-in passwords may be asked for.
    passwords: bool,
    /// Takes the bars away while a question stands there.
    pause: Option<Pause>,
}

impl Prompt {
    pub fn new(passwords: bool, pause: Option<Pause>) -> Prompt {
        Prompt {
            answers: Mutex::default(),
            passwords,
            pause,
        }
    }

    /// Asks once per `key`.
    fn once(&self, key: &str, question: &str) -> Option<SecretString> {
        let mut answers = self.answers.lock().ok()?;
        if let Some(known) = answers.get(key) {
            return Some(known.clone());
        }
        let ask = || rpassword::prompt_password(format!("{question}: ")).ok();
        let answer = match &self.pause {
            Some(pause) => pause.during(ask),
            None => ask(),
        }?;
        let secret = SecretString::from(answer);
        answers.insert(key.to_owned(), secret.clone());
        Some(secret)
    }
}

impl Ask for Prompt {
    fn passphrase(&self, key: &Path) -> Option<SecretString> {
        let key = key.display().to_string();
        self.once(
            &format!("key {key}"),
            &format!("Passphrase of {}", clean(&key, 200)),
        )
    }

    fn password(&self, who: &str) -> Option<SecretString> {
        self.passwords
            .then(|| {
                self.once(
                    &format!("password {who}"),
                    &format!("Password of {}", clean(who, 100)),
                )
            })
            .flatten()
    }

    fn sudo_password(&self, _host: &str) -> Option<SecretString> {
        // One for all hosts, as one account is used on all of them.
        self.once("sudo", "Password for sudo on the hosts")
    }

    fn answer(&self, host: &str, prompt: &str, _echo: bool) -> Option<SecretString> {
        self.passwords
            .then(|| {
                let question = format!("{}: {}", clean(host, 100), clean(prompt, 200));
                self.once(&format!("answer {question}"), &question)
            })
            .flatten()
    }
}

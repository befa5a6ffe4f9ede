//! What the person at the controller chose for all SSH connections of a run.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use secrecy::SecretString;

/// Asks a person (or a test) for a secret. Called on a thread that may block.
///
/// `None` means that there is nobody to ask, or that they would not say. Hosts are connected to
/// side by side, so an implementation that talks to a terminal must take its callers in turn.
pub trait Ask: Send + Sync {
    /// The passphrase of a private key file. Asked for once per file.
    fn passphrase(&self, key: &Path) -> Option<SecretString>;

    /// The password that logs `who` (`user@host`) in.
    fn password(&self, who: &str) -> Option<SecretString>;

    /// The password that sudo wants on `host`.
    fn sudo_password(&self, host: &str) -> Option<SecretString>;

    /// The answer to a question that the host asked while logging in. `prompt` is cleaned.
    fn answer(&self, host: &str, prompt: &str, echo: bool) -> Option<SecretString>;
}

/// How long each part of the way may take. Time in which a person is asked does not count.
#[derive(Clone, Copy, Debug)]
pub struct Timeouts {
    /// Looking up the address, and the TCP connection.
    pub connect: Duration,
    /// The server's first line and the key exchange.
    pub key_exchange: Duration,
    /// All of the log-in, and the start of sudo where it asks for a password.
    pub login: Duration,
    /// Opening a channel, and the server's answer to the command.
    pub channel_open: Duration,
    /// How long to wait for the end of a channel whose program has ended but whose output
    /// something in the background still holds.
    pub linger: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Timeouts {
            connect: Duration::from_secs(10),
            key_exchange: Duration::from_secs(15),
            login: Duration::from_secs(30),
            channel_open: Duration::from_secs(15),
            linger: Duration::from_secs(3),
        }
    }
}

/// Whose OpenSSH client configuration counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ConfigSource {
    /// `~/.ssh/config` and `/etc/ssh/ssh_config`.
    #[default]
    User,
    /// This file, and no other.
    File(PathBuf),
    /// None: OpenSSH's defaults.
    None,
}

/// Choices for all SSH connections of a run.
#[derive(Clone)]
pub struct SshOptions {
    /// A host that no known_hosts file knows is accepted, and written down in the first one. A
    /// host whose key differs from the known one never is.
    pub accept_new: bool,
    pub timeouts: Timeouts,
    /// How often a silent server is asked whether it is still there.
    pub keepalive: Duration,
    /// How many such questions may go without an answer.
    pub keepalive_max: usize,
    /// Whom to ask for secrets; without it nothing is asked.
    pub ask: Option<Arc<dyn Ask>>,
    /// Whether a password, or the answers to a server's questions, may log us in.
    pub passwords: bool,
    pub config: ConfigSource,
    /// The agent's socket; `None` takes what the configuration says, then `SSH_AUTH_SOCK`.
    pub agent: Option<PathBuf>,
}

impl Default for SshOptions {
    fn default() -> Self {
        SshOptions {
            accept_new: false,
            timeouts: Timeouts::default(),
            keepalive: Duration::from_secs(15),
            keepalive_max: 4,
            ask: None,
            passwords: false,
            config: ConfigSource::default(),
            agent: None,
        }
    }
}

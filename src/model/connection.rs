//! What is known of one connection, and where on the way it can go wrong.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Facts of one connection, for the journal.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ConnectionFacts {
    /// `ssh` or `local`.
    pub via: String,
    /// Where it went, `address:port`.
    pub peer: String,
    pub user: String,
    /// The server's own name for itself. Untrusted, cleaned, at most 200 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_exchange: Option<String>,
    /// Whether the key exchange resists a quantum computer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub post_quantum: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cipher: Option<String>,
    /// `SHA256:…` of the host key that was accepted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host_key: Option<String>,
    /// How the host key came to be trusted: `known_hosts FILE:LINE`, `certificate …`, `accepted as new`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trusted_by: Option<String>,
    /// How we logged in: `publickey (agent)`, `publickey FILE`, `certificate FILE`, `password`…
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub login: Option<String>,
    /// The machines that it went through, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub jumps: Vec<String>,
}

/// Where on the way it went wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// The user's own configuration, key files, known_hosts.
    Prepare,
    Resolve,
    Connect,
    /// Banner and key exchange.
    KeyExchange,
    HostKey,
    Login,
    /// Opening a channel and starting sh.
    Start,
    /// Getting root's rights.
    Sudo,
    /// The program was running.
    Run,
}

impl Phase {
    /// As a person reads it: "while …".
    pub fn words(self) -> &'static str {
        match self {
            Phase::Prepare => "preparing to connect",
            Phase::Resolve => "looking up the address",
            Phase::Connect => "connecting",
            Phase::KeyExchange => "exchanging keys",
            Phase::HostKey => "checking the host key",
            Phase::Login => "logging in",
            Phase::Start => "starting sh on the host",
            Phase::Sudo => "getting root's rights through sudo",
            Phase::Run => "running the program",
        }
    }
}

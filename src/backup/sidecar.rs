//! The sidecar: what can be known of a backup without its key, signed by who made it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::archive::{Canary, Kind};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Sidecar {
    /// 1.
    pub format: u32,
    pub version: String,
    pub policy: String,
    pub source: String,
    pub kind: Kind,
    /// The archive's name in the store.
    pub archive: String,
    /// RFC 3339: before reading began.
    pub data_time: String,
    /// RFC 3339: when the archive was whole.
    pub finished: String,
    /// Of the ciphertext.
    pub size: u64,
    /// Of the ciphertext, in hexadecimal.
    pub sha256: String,
    /// As in the policy; `passphrase` for a passphrase.
    pub recipients: Vec<String>,
    /// Plaintext.
    pub files: u64,
    pub bytes: u64,
    /// The canary's token is a secret of the archive: here stands its SHA-256.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub canary: Option<CanaryClaim>,
    pub warnings: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CanaryClaim {
    /// SHA-256 of the token, in hexadecimal.
    pub token_sha256: String,
    pub at: String,
    pub place: String,
}

impl From<&Canary> for CanaryClaim {
    fn from(canary: &Canary) -> Self {
        CanaryClaim {
            token_sha256: crate::model::sha256_hex(canary.token.as_bytes()),
            at: canary.at.clone(),
            place: canary.place.clone(),
        }
    }
}

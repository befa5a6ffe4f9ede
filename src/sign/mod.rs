//! Signatures in SSH's own format (`ssh-keygen -Y sign`): whose word a sealed run or a backup's
//! sidecar is. The lowest room: bytes and keys, nothing of what they mean.
//!
//! - `key`: a private key that signs: one that we hold, or one that ssh-agent or a FIDO token holds,
//!   for which `ssh-keygen -Y sign` is run.
//! - `trusted`: public keys, and the check of a signature against them.
//!
//! Plain OpenSSH checks them too, with a line `seawall ssh-ed25519 AAAA…` in `allowed_signers`:
//!
//! ```sh
//! ssh-keygen -Y verify -f allowed_signers -I seawall -n seawall -s FILE.sig <FILE
//! ```

mod armor;
mod key;
mod program;
mod trusted;

#[cfg(test)]
mod tests;

pub use key::SigningKey;
pub use trusted::{Trusted, made_by};

/// The namespace of all our signatures: `ssh-keygen -Y verify -n seawall …`.
pub const NAMESPACE: &str = "seawall";

/// Why something was not signed, or a signature does not count.
#[derive(Debug, thiserror::Error)]
pub enum SignError {
    #[error("{doing} {path}: {source}")]
    Io {
        doing: &'static str,
        path: String,
        source: std::io::Error,
    },
    #[error(
        "{path} can be read by others (mode {mode:04o}), so its signature proves nothing: \
         `chmod 600 {path}`"
    )]
    Open { path: String, mode: u32 },
    #[error("{path} belongs to another account (uid {owner}), so its signature is not yours")]
    NotOurs { path: String, owner: u32 },
    #[error("{path} is not a key in OpenSSH's format: {reason}; `seawall keygen` makes one")]
    NotAKey { path: String, reason: String },
    #[error(
        "{path} is protected by a passphrase, and none was given; add the key to ssh-agent and \
         name {path}.pub instead"
    )]
    NoPassphrase { path: String },
    #[error("{path} does not open with this passphrase")]
    WrongPassphrase { path: String },
    #[error("{path} is there already, and a key is never written over: name another file")]
    Exists { path: String },
    #[error("line {line} is no public key: {reason} (`ssh-ed25519 AAAA…` is wanted)")]
    NotAPublicKey { line: usize, reason: String },
    #[error("signing with {path}: {reason}")]
    NotSigned { path: String, reason: String },
    #[error("a new key could not be made: {0}")]
    NotMade(String),
    #[error("this is not a signature in SSH's format: {0}")]
    NotASignature(String),
    #[error("the signature is for {found:?}, and not for {NAMESPACE:?}")]
    WrongNamespace { found: String },
    #[error("the signature is of a kind that does not count: {0}")]
    WeakSignature(String),
    #[error("it is signed by {fingerprint}, which is none of the {known} keys that count")]
    NotTrusted { fingerprint: String, known: usize },
    #[error("the signature by {fingerprint} does not fit what it is said to sign: one was changed")]
    DoesNotFit { fingerprint: String },
}

impl SignError {
    /// There is no such file: not one that cannot be read.
    pub fn is_missing(&self) -> bool {
        use std::io::ErrorKind;
        matches!(self, SignError::Io { source, .. }
            if matches!(source.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory))
    }
}

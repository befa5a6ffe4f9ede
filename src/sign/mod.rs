//! Signatures in SSH's own format (`ssh-keygen -Y sign`): whose word a sealed run or a backup's
//! sidecar is. The lowest room: bytes and keys, nothing of what they mean.

use secrecy::SecretString;
use std::path::Path;

/// The namespace of all our signatures: `ssh-keygen -Y verify -n seawall …`.
pub const NAMESPACE: &str = "seawall";

/// A private key that signs.
pub struct SigningKey {
    _key: (),
}

/// Keys whose signatures count.
#[derive(Clone, Debug, Default)]
pub struct Trusted {
    _keys: Vec<()>,
}

#[derive(Debug, thiserror::Error)]
pub enum SignError {
    #[error("{0}")]
    Other(String),
}

impl SigningKey {
    /// A new ed25519 key.
    pub fn generate(comment: &str) -> Result<Self, SignError> {
        let _ = comment;
        todo!()
    }

    /// Reads an OpenSSH private key file. `passphrase` is asked for only where it is needed.
    pub fn load(
        path: &Path,
        passphrase: &mut dyn FnMut() -> Option<SecretString>,
    ) -> Result<Self, SignError> {
        let _ = (path, passphrase);
        todo!()
    }

    /// Writes it (0600, never over another) and its `.pub` beside it.
    pub fn write(&self, path: &Path) -> Result<(), SignError> {
        let _ = path;
        todo!()
    }

    /// `ssh-ed25519 AAAA… comment`.
    pub fn public_line(&self) -> String {
        todo!()
    }

    /// The armored signature (`-----BEGIN SSH SIGNATURE-----`).
    pub fn sign(&self, bytes: &[u8]) -> Result<String, SignError> {
        let _ = bytes;
        todo!()
    }
}

impl Trusted {
    /// Public keys, one in each line, as in `.pub` files.
    pub fn parse<'a>(lines: impl IntoIterator<Item = &'a str>) -> Result<Self, SignError> {
        let _ = lines.into_iter().count();
        todo!()
    }

    pub fn is_empty(&self) -> bool {
        self._keys.is_empty()
    }

    /// The fingerprint (`SHA256:…`) of the key that made the signature.
    ///
    /// # Errors
    /// When the signature is not one, does not fit the bytes, or is of a key that does not count.
    pub fn verify(&self, bytes: &[u8], signature: &str) -> Result<String, SignError> {
        let _ = (bytes, signature);
        todo!()
    }
}

//! Public keys, and the check of a signature against them.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use russh::keys::ssh_key::public::KeyData;
use russh::keys::ssh_key::{Algorithm, HashAlg, PublicKey, SshSig};

use super::armor::{self, names_a_certificate};
use super::{NAMESPACE, SignError};

/// Keys of fewer bits sign nothing that is kept for years.
const SHORTEST_RSA: usize = 2048;
/// A line with the longest key that there is, and a comment.
const LONGEST_LINE: usize = 16 << 10;

/// Keys whose signatures count.
#[derive(Clone, Debug, Default)]
pub struct Trusted {
    keys: Vec<PublicKey>,
}

impl Trusted {
    /// Public keys, one in each line, as in `.pub` files. Empty lines and those that begin with
    /// `#` are passed over.
    ///
    /// # Errors
    /// At the first line that is not a key which may sign.
    pub fn parse<'a>(lines: impl IntoIterator<Item = &'a str>) -> Result<Self, SignError> {
        let mut keys = Vec::new();
        for (index, line) in lines.into_iter().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let key = public_key(line).map_err(|reason| SignError::NotAPublicKey {
                line: index + 1,
                reason,
            })?;
            keys.push(key);
        }
        Ok(Trusted { keys })
    }

    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// These and those.
    pub fn and(mut self, others: Trusted) -> Self {
        self.keys.extend(others.keys);
        self
    }

    /// `ssh-ed25519 AAAA… comment` of each.
    pub fn lines(&self) -> Vec<String> {
        (self.keys.iter())
            .filter_map(|key| key.to_openssh().ok())
            .collect()
    }

    /// `SHA256:…` of each.
    pub fn fingerprints(&self) -> Vec<String> {
        self.keys
            .iter()
            .map(|k| fingerprint(k.key_data()))
            .collect()
    }

    /// The fingerprint (`SHA256:…`) of the key that made the signature.
    ///
    /// # Errors
    /// When the signature is not one, does not fit the bytes, or is of a key that does not count.
    pub fn verify(&self, bytes: &[u8], signature: &str) -> Result<String, SignError> {
        let signature = armor::parse(signature)?;
        let by = fingerprint(signature.public_key());
        if signature.namespace() != NAMESPACE {
            return Err(SignError::WrongNamespace {
                found: signature.namespace().chars().take(40).collect(),
            });
        }
        strong(&signature)?;
        let Some(key) = self
            .keys
            .iter()
            .find(|key| key.key_data() == signature.public_key())
        else {
            return Err(SignError::NotTrusted {
                fingerprint: by,
                known: self.keys.len(),
            });
        };
        match key.verify(NAMESPACE, bytes, &signature) {
            Ok(()) => Ok(by),
            Err(_) => Err(SignError::DoesNotFit { fingerprint: by }),
        }
    }
}

/// The fingerprint of the key that a signature says it is by. It proves nothing.
pub fn made_by(signature: &str) -> Result<String, SignError> {
    Ok(fingerprint(armor::parse(signature)?.public_key()))
}

pub(super) fn fingerprint(key: &KeyData) -> String {
    key.fingerprint(HashAlg::Sha256).to_string()
}

/// What `ssh-keygen` writes by itself and nothing weaker.
fn strong(signature: &SshSig) -> Result<(), SignError> {
    let weak = |why: &str| Err(SignError::WeakSignature(why.to_owned()));
    if signature.version() != SshSig::VERSION || !signature.reserved().is_empty() {
        return weak("its version is not 1");
    }
    if signature.hash_alg() != HashAlg::Sha512 {
        return weak("it is over another hash than SHA-512");
    }
    match signature.algorithm() {
        Algorithm::Ed25519 | Algorithm::Ecdsa { .. } | Algorithm::Rsa { hash: Some(_) } => Ok(()),
        // The byte before the counter: 1 is set where somebody touched the token.
        Algorithm::SkEd25519 | Algorithm::SkEcdsaSha2NistP256 => {
            match signature.signature_bytes().iter().rev().nth(4) {
                Some(flags) if flags & 1 == 1 => Ok(()),
                _ => weak("nobody touched the token that made it"),
            }
        }
        _ => weak("its algorithm is not ed25519, ecdsa, or RSA with SHA-2"),
    }
}

/// One line of a `.pub` file, as a key that may sign.
pub(super) fn public_key(line: &str) -> Result<PublicKey, String> {
    if line.len() > LONGEST_LINE {
        return Err("it is too long".into());
    }
    if line.contains("PRIVATE KEY") {
        return Err("it is of a private key: name the .pub file".into());
    }
    let blob = line.split_ascii_whitespace().nth(1).unwrap_or_default();
    let blob = STANDARD.decode(blob).map_err(|_| "it is cut or changed")?;
    if names_a_certificate(&blob) || line.contains("-cert-v") {
        return Err("it is a certificate: name the key itself".into());
    }
    let key = PublicKey::from_openssh(line).map_err(|e| e.to_string())?;
    may_sign(key.key_data())?;
    Ok(key)
}

/// Whether a signature of this key would count.
pub(super) fn may_sign(key: &KeyData) -> Result<(), String> {
    match key {
        KeyData::Ed25519(_)
        | KeyData::Ecdsa(_)
        | KeyData::SkEd25519(_)
        | KeyData::SkEcdsaSha2NistP256(_) => Ok(()),
        KeyData::Rsa(rsa) if rsa.key_size() as usize >= SHORTEST_RSA => Ok(()),
        KeyData::Rsa(_) => Err(format!("an RSA key of fewer than {SHORTEST_RSA} bits")),
        _ => Err("no key of its kind may sign; ed25519 is best".into()),
    }
}

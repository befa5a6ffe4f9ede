//! The sidecar: what can be known of a backup without its key, signed by who made it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::archive::{Canary, Kind};
use super::catalog::Vouched;
use crate::sign::{SignError, SigningKey, Trusted};

/// The format that this version writes, and the only one that it reads.
pub const FORMAT: u32 = 1;
/// The largest that is read, in bytes.
pub const LARGEST: u64 = 1 << 20;
/// The largest signature that is read, in bytes.
pub const LARGEST_SIGNATURE: u64 = 64 << 10;

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

impl Sidecar {
    /// As it is kept and signed. The same sidecar gives the same bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        // Text, numbers and lists of text: there is nothing in it that JSON could not hold.
        let mut bytes = serde_json::to_vec_pretty(self).unwrap_or_default();
        bytes.push(b'\n');
        bytes
    }

    /// Its bytes, and their signature.
    pub fn sign(&self, key: &SigningKey) -> Result<(Vec<u8>, String), SignError> {
        let bytes = self.to_bytes();
        let signature = key.sign(&bytes)?;
        Ok((bytes, signature))
    }

    /// Reads one, without asking whose it is. What it says may be anyone's.
    pub fn read(bytes: &[u8]) -> Result<Sidecar, String> {
        #[derive(Deserialize)]
        struct Format {
            format: u32,
        }
        let wrong = |e: serde_json::Error| format!("the sidecar is not one: {e}");
        let Format { format } = serde_json::from_slice(bytes).map_err(wrong)?;
        if format != FORMAT {
            return Err(format!(
                "the sidecar has format {format}, and this version reads {FORMAT}"
            ));
        }
        serde_json::from_slice(bytes).map_err(wrong)
    }
}

/// What a sidecar and its signature are worth. That they belong to the archive beside them is for
/// [`super::catalog`] to see.
pub fn check(bytes: &[u8], signature: Option<&[u8]>, trusted: &Trusted) -> Vouched {
    let sidecar = match Sidecar::read(bytes) {
        Ok(sidecar) => sidecar,
        Err(why) => return Vouched::Nobody(why),
    };
    let Some(signature) = signature else {
        return Vouched::Unsigned(sidecar, "it has no signature".into());
    };
    let Ok(signature) = std::str::from_utf8(signature) else {
        return Vouched::Unsigned(sidecar, "its signature is not text".into());
    };
    match trusted.verify(bytes, signature) {
        Ok(fingerprint) => Vouched::Signed(sidecar, fingerprint),
        Err(error) => Vouched::Unsigned(sidecar, error.to_string()),
    }
}

/// A sidecar of an archive of that name and size, as `create` would write it.
#[cfg(test)]
pub(crate) fn sample(archive: &str, size: u64) -> Sidecar {
    let (source, time) = super::name::parse(archive).expect("an archive's name");
    Sidecar {
        format: FORMAT,
        version: "0.1.0".into(),
        policy: "nightly".into(),
        source,
        kind: Kind::Directories,
        archive: archive.into(),
        data_time: time.to_string(),
        finished: (time + jiff::SignedDuration::from_secs(60)).to_string(),
        size,
        sha256: "00".repeat(32),
        recipients: Vec::new(),
        files: 3,
        bytes: size * 2,
        canary: None,
        warnings: 0,
    }
}

#[cfg(test)]
mod tests {
    use super::sample as sidecar;
    use super::*;

    #[test]
    fn bytes_are_stable_and_read_back() {
        let one = sidecar("db/20261120T023000.123Z-aaaa.tar.zst.age", 10);
        let bytes = one.to_bytes();
        assert_eq!(bytes, one.clone().to_bytes());
        assert_eq!(Sidecar::read(&bytes).unwrap(), one);
        assert!(bytes.ends_with(b"}\n"));
    }

    #[test]
    fn another_format_is_not_read() {
        let mut one = sidecar("db/20261120T023000.123Z-aaaa.tar.zst.age", 10);
        one.format = 2;
        let why = Sidecar::read(&one.to_bytes()).unwrap_err();
        assert!(why.contains("format 2"), "{why}");
        assert!(matches!(
            check(b"{\"format\":1}", None, &Trusted::default()),
            Vouched::Nobody(_)
        ));
    }

    #[test]
    fn without_a_signature_nobody_vouches() {
        let one = sidecar("db/20261120T023000.123Z-aaaa.tar.zst.age", 10);
        let vouched = check(&one.to_bytes(), None, &Trusted::default());
        assert!(matches!(vouched, Vouched::Unsigned(found, _) if found == one));
    }
}

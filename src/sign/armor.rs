//! From the armored text to a signature. The text may come from a stranger.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use russh::keys::ssh_encoding::{Decode, Encode};
use russh::keys::ssh_key::SshSig;

use super::SignError;

/// A signature by an RSA key of 16384 bits is shorter.
pub(super) const LONGEST: usize = 16 << 10;
const BEGIN: &str = "-----BEGIN SSH SIGNATURE-----";
const END: &str = "-----END SSH SIGNATURE-----";

/// Reads an armored signature. Its bytes have one reading: what would be written again is the same.
pub(super) fn parse(text: &str) -> Result<SshSig, SignError> {
    let wrong = |why: &str| SignError::NotASignature(why.to_owned());
    if text.len() > LONGEST {
        return Err(wrong("it is too long"));
    }
    let body = text
        .trim_end()
        .strip_prefix(BEGIN)
        .and_then(|rest| rest.strip_suffix(END))
        .ok_or_else(|| wrong("its first or last line is missing"))?;
    let body: String = body.chars().filter(|c| !matches!(c, '\n' | '\r')).collect();
    let bytes = STANDARD
        .decode(body)
        .map_err(|_| wrong("it is not base64"))?;
    if names_a_certificate(&bytes) {
        return Err(wrong("it is by a certificate; sign with the key itself"));
    }
    let mut rest = bytes.as_slice();
    let signature =
        SshSig::decode(&mut rest).map_err(|e| SignError::NotASignature(e.to_string()))?;
    let again = signature
        .encode_vec()
        .map_err(|e| SignError::NotASignature(e.to_string()))?;
    if !rest.is_empty() || again != bytes {
        return Err(wrong("it holds more than a signature"));
    }
    Ok(signature)
}

/// Whether a key's or a signature's bytes hold a certificate. A certificate holds a key, which may
/// be a certificate: the parser goes down as deep as a stranger likes, and the stack ends first.
pub(super) fn names_a_certificate(bytes: &[u8]) -> bool {
    const MARK: &[u8] = b"-cert-v";
    bytes.windows(MARK.len()).any(|part| part == MARK)
}

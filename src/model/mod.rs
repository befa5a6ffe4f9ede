//! The words that every room shares: severity, status, finding. Plain data, no behaviour that
//! reaches outside.

mod connection;
pub mod drill;
mod finding;
pub mod patch;

pub use connection::{ConnectionFacts, Phase};
pub use finding::{Control, Finding, Severity, Status, WaiverNote};

/// SHA-256, in hexadecimal.
pub fn sha256_hex(bytes: &[u8]) -> String {
    use sha2::{Digest, Sha256};
    hex(&Sha256::digest(bytes))
}

/// Bytes in hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut out = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        for nibble in [byte >> 4, byte & 15] {
            out.push(char::from(DIGITS[usize::from(nibble)]));
        }
    }
    out
}

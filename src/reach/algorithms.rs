//! Which algorithms are offered, in which order, and what is refused afterwards.

use std::borrow::Cow;

use russh::keys::{Algorithm, EcdsaCurve, HashAlg};
use russh::{Names, Preferred, cipher, compression, kex, mac};

const KEX: &[kex::Name] = &[
    kex::MLKEM768X25519_SHA256,
    kex::CURVE25519,
    kex::CURVE25519_PRE_RFC_8731,
    kex::ECDH_SHA2_NISTP256,
    kex::ECDH_SHA2_NISTP384,
    kex::ECDH_SHA2_NISTP521,
    kex::DH_G16_SHA512,
    kex::DH_G14_SHA256,
    kex::DH_GEX_SHA256,
];

const KEX_LEGACY: &[kex::Name] = &[kex::DH_G14_SHA1];

const KEX_EXTENSIONS: &[kex::Name] = &[
    kex::EXTENSION_SUPPORT_AS_CLIENT,
    kex::EXTENSION_OPENSSH_STRICT_KEX_AS_CLIENT,
];

const CIPHERS: &[cipher::Name] = &[
    cipher::AES_256_GCM,
    cipher::AES_128_GCM,
    cipher::CHACHA20_POLY1305,
    cipher::AES_256_CTR,
];

const CIPHERS_LEGACY: &[cipher::Name] = &[cipher::AES_128_CTR, cipher::AES_256_CBC];

const MACS: &[mac::Name] = &[
    mac::HMAC_SHA512_ETM,
    mac::HMAC_SHA256_ETM,
    mac::HMAC_SHA512,
    mac::HMAC_SHA256,
];

const MACS_LEGACY: &[mac::Name] = &[mac::HMAC_SHA1];

const HOST_KEYS: &[Algorithm] = &[
    Algorithm::Ed25519,
    Algorithm::Ecdsa {
        curve: EcdsaCurve::NistP256,
    },
    Algorithm::Ecdsa {
        curve: EcdsaCurve::NistP384,
    },
    Algorithm::Ecdsa {
        curve: EcdsaCurve::NistP521,
    },
    Algorithm::Rsa {
        hash: Some(HashAlg::Sha512),
    },
    Algorithm::Rsa {
        hash: Some(HashAlg::Sha256),
    },
];

/// What to offer to one server.
///
/// `known` are the types of its keys that known_hosts has: they come first, so that the server
/// shows a key that can be recognised. Certificates are asked for only where an authority is
/// trusted for this name.
pub(super) fn preferred(known: &[Algorithm], authority: bool, legacy: bool) -> Preferred {
    let mut kex: Vec<kex::Name> = KEX.to_vec();
    let mut ciphers: Vec<cipher::Name> = CIPHERS.to_vec();
    let mut macs: Vec<mac::Name> = MACS.to_vec();
    let mut key = HOST_KEYS.to_vec();
    if legacy {
        kex.extend_from_slice(KEX_LEGACY);
        ciphers.extend_from_slice(CIPHERS_LEGACY);
        macs.extend_from_slice(MACS_LEGACY);
        key.push(Algorithm::Rsa { hash: None });
    }
    kex.extend_from_slice(KEX_EXTENSIONS);
    // A stable sort: within the known ones, and within the others, our own order stays.
    key.sort_by_key(|offered| !known.iter().any(|k| same_kind(k, offered)));
    let certificates = if authority { key.clone() } else { Vec::new() };
    Preferred {
        kex: Cow::Owned(kex),
        key: Cow::Owned(key),
        host_key_certificates: Cow::Owned(certificates),
        cipher: Cow::Owned(ciphers),
        mac: Cow::Owned(macs),
        compression: Cow::Borrowed(&[compression::NONE]),
    }
}

/// One RSA key serves every RSA signature algorithm.
fn same_kind(known: &Algorithm, offered: &Algorithm) -> bool {
    match (known, offered) {
        (Algorithm::Rsa { .. }, Algorithm::Rsa { .. }) => true,
        (a, b) => a == b,
    }
}

/// Whether a key exchange resists a quantum computer.
pub(super) fn is_post_quantum(kex: &str) -> bool {
    kex.starts_with("mlkem") || kex.starts_with("sntrup")
}

/// Whether what was agreed on can be tampered with before the encryption begins (Terrapin,
/// CVE-2023-48795): ChaCha20-Poly1305, or encrypt-then-MAC, without the strict key exchange.
pub(super) fn is_open_to_terrapin(names: &Names) -> bool {
    let cipher: &str = names.cipher.as_ref();
    let aead = cipher.contains("gcm");
    let etm = |mac: &mac::Name| AsRef::<str>::as_ref(mac).contains("-etm");
    !names.strict_kex()
        && (cipher.starts_with("chacha20")
            || (!aead && (etm(&names.client_mac) || etm(&names.server_mac))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(list: &[Algorithm]) -> Vec<String> {
        list.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn known_types_come_first_and_sha1_is_never_offered() {
        let rsa = Algorithm::Rsa { hash: None };
        let preferred = preferred(std::slice::from_ref(&rsa), false, false);
        assert_eq!(
            names(&preferred.key)[..3],
            ["rsa-sha2-512", "rsa-sha2-256", "ssh-ed25519"]
        );
        assert!(!preferred.key.contains(&rsa));
        assert!(preferred.host_key_certificates.is_empty());
    }

    #[test]
    fn post_quantum_is_first_and_strict_key_exchange_is_asked_for() {
        let preferred = preferred(&[], true, false);
        assert_eq!(preferred.kex[0], kex::MLKEM768X25519_SHA256);
        assert!(
            preferred
                .kex
                .contains(&kex::EXTENSION_OPENSSH_STRICT_KEX_AS_CLIENT)
        );
        assert!(!preferred.kex.contains(&kex::DH_G14_SHA1));
        assert_eq!(preferred.host_key_certificates.len(), 6);
        assert_eq!(preferred.cipher[0], cipher::AES_256_GCM);
    }

    #[test]
    fn legacy_adds_old_algorithms_at_the_end_only() {
        let preferred = preferred(&[], false, true);
        assert_eq!(preferred.kex[0], kex::MLKEM768X25519_SHA256);
        assert!(preferred.kex.contains(&kex::DH_G14_SHA1));
        assert_eq!(preferred.key.last(), Some(&Algorithm::Rsa { hash: None }));
    }
}

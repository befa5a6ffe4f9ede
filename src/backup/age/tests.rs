//! Round trips, and what must not open.

use std::io::{Cursor, Read, Write};

use secrecy::SecretString;

use super::*;

fn nobody(_: &str) -> Option<SecretString> {
    None
}

fn pair() -> (Identities, Recipients) {
    let (identity, recipient) = generate_identity();
    let sources = IdentitySources {
        text: Some(identity),
        ..IdentitySources::default()
    };
    let identities = Identities::gather(sources, &nobody).expect("a new identity can be read");
    assert_eq!(identities.recipients(), [recipient.clone()]);
    let recipients = Recipients::parse(&[recipient]).expect("a new recipient can be read");
    (identities, recipients)
}

fn encrypt(recipients: &Recipients, plain: &[u8], options: EncryptOptions) -> Vec<u8> {
    let mut writer = EncryptWriter::with(recipients, Vec::new(), options).expect("a header");
    writer.write_all(plain).expect("a payload");
    writer.finish().expect("an end")
}

fn decrypt(file: &[u8], identities: &Identities) -> (Vec<u8>, Result<(), AgeError>) {
    let mut plain = Vec::new();
    let input = Box::new(Cursor::new(file.to_vec()));
    let read = DecryptReader::new(input, identities)
        .and_then(|mut reader| Ok(reader.read_to_end(&mut plain)?));
    (plain, read.map(|_| ()))
}

/// Bytes that do not repeat with a chunk.
fn data(length: usize) -> Vec<u8> {
    let mut state = 1u32;
    (0..length)
        .map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        })
        .collect()
}

#[test]
fn what_was_encrypted_is_decrypted() {
    let (identities, recipients) = pair();
    for length in [
        0, 1, 65535, 65536, 65537, 131_071, 131_072, 131_073, 1_048_575, 1_048_576, 1_048_577,
        2_097_152, 3_300_000,
    ] {
        let plain = data(length);
        for armor in [false, true] {
            let options = EncryptOptions { armor, hash: false };
            let file = encrypt(&recipients, &plain, options);
            let header = inspect(&file).expect("a header");
            assert_eq!(
                (header.armored, header.kinds()),
                (armor, "1 × X25519".into())
            );
            let (back, read) = decrypt(&file, &identities);
            read.unwrap_or_else(|error| panic!("{length} bytes, armor {armor}: {error}"));
            assert!(back == plain, "{length} bytes, armor {armor}");
            // The crate is of the same opinion.
            if !armor {
                assert_eq!(
                    file.len() as u64,
                    header.length + sealed_length(length as u64)
                );
            }
        }
    }
}

fn sealed_length(plain: u64) -> u64 {
    plain + plain.div_ceil(65536).max(1) * 16
}

#[test]
fn a_passphrase_opens_what_it_closed_and_no_other_does() {
    let recipients =
        Recipients::passphrase(SecretString::from("correct horse")).with_work_factor(4);
    let file = encrypt(&recipients, b"plain", EncryptOptions::default());
    let with = |passphrase: &str| {
        let sources = IdentitySources {
            passphrase: Some(SecretString::from(passphrase)),
            ..IdentitySources::default()
        };
        Identities::gather(sources, &nobody).expect("a passphrase")
    };
    assert_eq!(decrypt(&file, &with("correct horse")).0, b"plain");
    let (plain, read) = decrypt(&file, &with("wrong horse"));
    assert!(plain.is_empty());
    assert!(matches!(read, Err(AgeError::NoMatch(_))), "{read:?}");
}

//! Round trips, and what must not open.

mod keys;

use std::io::{BufRead, Cursor, Read, Write};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use proptest::prelude::*;
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};

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
    assert_eq!(identities.recipients(), std::slice::from_ref(&recipient));
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
fn the_crate_reads_what_we_write_and_we_read_what_it_writes() {
    let (identity, recipient) = generate_identity();
    let theirs: ::age::x25519::Identity = identity.expose_secret().parse().expect("an identity");
    let sources = IdentitySources {
        text: Some(identity),
        ..IdentitySources::default()
    };
    let identities = Identities::gather(sources, &nobody).expect("an identity");
    let recipients = Recipients::parse(&[recipient]).expect("a recipient");
    for length in [0, 1, 65535, 65536, 65537, 1_048_576, 1_048_577] {
        let plain = data(length);
        let ours = encrypt(&recipients, &plain, EncryptOptions::default());
        assert!(::age::decrypt(&theirs, &ours).expect("the crate opens it") == plain);
        let file = ::age::encrypt(&theirs.to_public(), &plain).expect("the crate makes one");
        let (back, read) = decrypt(&file, &identities);
        read.expect("we open it");
        assert!(back == plain, "{length} bytes");
    }
}

#[test]
fn a_file_that_was_cut_off_anywhere_is_an_error() {
    let (identities, recipients) = pair();
    let plain = data(17 * 65536);
    let file = encrypt(&recipients, &plain, EncryptOptions::default());
    let head = inspect(&file).expect("a header").length as usize;
    let mut lengths: Vec<usize> = (0..head + 40).collect();
    for chunk in 1..=17 {
        let end = head + chunk * 65552;
        lengths.extend([
            end - 17,
            end - 16,
            end - 15,
            end - 1,
            end,
            end + 1,
            end + 15,
            end + 16,
        ]);
    }
    for length in lengths.into_iter().filter(|length| *length < file.len()) {
        let (got, read) = decrypt(&file[..length], &identities);
        let error = read.expect_err("a cut file must not open");
        let header = length < head;
        assert_eq!(
            matches!(error, AgeError::Header(_)),
            header,
            "cut at {length} of {head}: {error:?}"
        );
        // What came before the error is whole chunks from the beginning.
        assert_eq!(got.len(), length.saturating_sub(head) / 65552 * 65536);
        assert!(plain.starts_with(&got));
    }
}

#[test]
fn what_follows_the_end_is_an_error() {
    let (identities, recipients) = pair();
    for length in [0, 5, 65536, 16 * 65536, 16 * 65536 + 1] {
        let file = encrypt(&recipients, &data(length), EncryptOptions::default());
        for more in [1, 16, 17, 65552] {
            let mut file = file.clone();
            file.extend(vec![0; more]);
            let (_, read) = decrypt(&file, &identities);
            let Err(AgeError::Payload(text)) = read else {
                panic!("{more} bytes after {length}: {read:?}");
            };
            // Where the end was a full chunk, it is seen for what it is.
            assert!(
                length == 0 || length % 65536 != 0 || text.contains("follows"),
                "{text}"
            );
        }
        // A second file after the first is no part of it either.
        let twice = [file.clone(), file].concat();
        assert!(decrypt(&twice, &identities).1.is_err());
    }
}

#[test]
fn a_changed_bit_anywhere_is_an_error() {
    let (identities, recipients) = pair();
    let plain = data(3 * 65536 + 100);
    let file = encrypt(&recipients, &plain, EncryptOptions::default());
    let head = inspect(&file).expect("a header").length as usize;
    let chunks = (0..4).flat_map(|chunk| {
        let start = head + chunk * 65552;
        [start, start + 1, start + 99, start + 100, start + 115]
    });
    for at in (0..head).chain(chunks) {
        for bit in [0, 5] {
            let mut file = file.clone();
            file[at] ^= 1 << bit;
            let (got, read) = decrypt(&file, &identities);
            assert!(read.is_err(), "byte {at}, bit {bit}");
            assert!(plain.starts_with(&got) && got.len() < plain.len());
            assert!(at >= head || got.is_empty());
        }
    }
}

#[test]
fn chunks_cannot_change_places_nor_files() {
    let (identities, recipients) = pair();
    let plain = data(4 * 65536);
    let file = encrypt(&recipients, &plain, EncryptOptions::default());
    let other = encrypt(&recipients, &plain, EncryptOptions::default());
    let head = inspect(&file).expect("a header").length as usize;
    let chunk = |number: usize| head + number * 65552..head + (number + 1) * 65552;

    let mut swapped = file.clone();
    swapped[chunk(0)].copy_from_slice(&file[chunk(1)]);
    swapped[chunk(1)].copy_from_slice(&file[chunk(0)]);
    assert!(decrypt(&swapped, &identities).1.is_err());

    let mut without = file.clone();
    without.drain(chunk(1));
    assert_eq!(decrypt(&without, &identities).0.len(), 65536);
    assert!(decrypt(&without, &identities).1.is_err());

    let foreign = inspect(&other).expect("a header").length as usize;
    let mut mixed = file.clone();
    mixed[chunk(2)].copy_from_slice(&other[foreign + 2 * 65552..foreign + 3 * 65552]);
    assert!(decrypt(&mixed, &identities).1.is_err());
}

#[test]
fn a_failure_stays_one() {
    let (identities, recipients) = pair();
    let mut file = encrypt(&recipients, &data(200_000), EncryptOptions::default());
    file.pop();
    let mut reader =
        DecryptReader::new(Box::new(Cursor::new(file)), &identities).expect("its header is whole");
    let mut plain = Vec::new();
    reader.read_to_end(&mut plain).expect_err("it was cut off");
    // Whoever reads on must not take it for the end.
    reader.read_to_end(&mut plain).expect_err("it still is");
    reader.fill_buf().expect_err("and here");
    assert_eq!(reader.ciphertext(), None);
}

/// Gives what it is told to, byte by byte or so, and then fails, panics or ends.
struct Moody {
    bytes: Cursor<Vec<u8>>,
    step: usize,
    then: fn() -> io::Result<usize>,
    gone: Arc<AtomicBool>,
}

impl Read for Moody {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = buffer.len().min(self.step);
        match self.bytes.read(&mut buffer[..count])? {
            0 => (self.then)(),
            read => Ok(read),
        }
    }
}

impl Drop for Moody {
    fn drop(&mut self) {
        self.gone.store(true, Ordering::SeqCst);
    }
}

fn moody(bytes: &[u8], then: fn() -> io::Result<usize>) -> Moody {
    Moody {
        bytes: Cursor::new(bytes.to_vec()),
        step: 100_000,
        then,
        gone: Arc::default(),
    }
}

#[test]
fn an_input_that_fails_or_panics_is_told_and_nobody_waits_for_ever() {
    let (identities, recipients) = pair();
    let file = encrypt(&recipients, &data(5_000_000), EncryptOptions::default());
    for threads in 1..=4 {
        let options = DecryptOptions {
            hash: true,
            threads,
        };
        let cut = &file[..4_000_000];
        let broken = || Err(io::Error::new(io::ErrorKind::TimedOut, "the store is slow"));
        let input = Box::new(moody(cut, broken));
        let mut reader = DecryptReader::open(input, &identities, options).expect("a header");
        let error = reader.read_to_end(&mut Vec::new()).expect_err("it failed");
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert!(error.to_string().contains("slow"), "{error}");

        let input = Box::new(moody(cut, || panic!("a test's panic")));
        let mut reader = DecryptReader::open(input, &identities, options).expect("a header");
        let error = reader.read_to_end(&mut Vec::new()).expect_err("it died");
        assert!(error.to_string().contains("panicked"), "{error}");
    }
}

#[test]
fn threads_end_when_the_reader_is_dropped() {
    let (identities, recipients) = pair();
    let file = encrypt(&recipients, &data(20_000_000), EncryptOptions::default());
    for read in [0, 1, 3_000_000] {
        let input = moody(&file, || Ok(0));
        let gone = input.gone.clone();
        let mut reader = DecryptReader::new(Box::new(input), &identities).expect("a header");
        reader
            .read_exact(&mut vec![0; read])
            .expect("the beginning");
        let shared = reader.shared();
        drop(reader);
        // All of them let go, and the input with them; a hang would be the test's.
        while shared.strong_count() > 0 || !gone.load(Ordering::SeqCst) {
            std::thread::yield_now();
        }
    }
}

/// Takes so many bytes and then fails.
struct Full(usize);

impl Write for Full {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 = self
            .0
            .checked_sub(bytes.len())
            .ok_or(io::ErrorKind::StorageFull)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn an_output_that_fails_is_told() {
    let (_, recipients) = pair();
    assert!(EncryptWriter::new(&recipients, Full(10)).is_err());
    for room in [500, 1_100_000, 3_000_000, 5_000_000] {
        let mut writer = EncryptWriter::new(&recipients, Full(room)).expect("room for a header");
        let written = writer.write_all(&data(5_000_000));
        let again = written.as_ref().err().map(|_| writer.write_all(b"more"));
        assert!(!matches!(again, Some(Ok(()))), "a failure stays one");
        let finished = writer.finish().map(|_| ());
        let error = written.map_err(AgeError::from).and(finished);
        let error = error.expect_err("there was no room");
        assert!(
            matches!(&error, AgeError::Io(io) if io.kind() == io::ErrorKind::StorageFull),
            "{error:?}"
        );
    }
}

#[test]
fn a_writer_that_was_not_finished_leaves_what_does_not_open() {
    #[derive(Clone, Default)]
    struct Shared(Arc<Mutex<Vec<u8>>>);
    impl Write for Shared {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().expect("a lock").write(bytes)
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let (identities, recipients) = pair();
    for length in [0, 100, 65536, 4_000_000] {
        let out = Shared::default();
        let mut writer = EncryptWriter::new(&recipients, out.clone()).expect("a header");
        writer.write_all(&data(length)).expect("a payload");
        drop(writer);
        let file = out.0.lock().expect("a lock").clone();
        assert_eq!(Arc::strong_count(&out.0), 1, "its thread has ended");
        assert!(decrypt(&file, &identities).1.is_err(), "{length} bytes");
    }
}

#[test]
fn the_ciphertext_is_counted_and_hashed_as_it_is_stored() {
    let (identities, recipients) = pair();
    let plain = data(2_500_000);
    for armor in [false, true] {
        let options = EncryptOptions { armor, hash: true };
        let mut writer = EncryptWriter::with(&recipients, Vec::new(), options).expect("a header");
        writer.write_all(&plain).expect("a payload");
        let (file, total) = writer.finish_with_total().expect("an end");
        let expected = Ciphertext {
            bytes: file.len() as u64,
            sha256: Some(Sha256::digest(&file).into()),
        };
        assert_eq!(total, expected);

        let options = DecryptOptions {
            hash: true,
            threads: 3,
        };
        let input = Box::new(moody(&file, || Ok(0)));
        let mut reader = DecryptReader::open(input, &identities, options).expect("a header");
        assert_eq!(reader.ciphertext(), None);
        reader.read_to_end(&mut Vec::new()).expect("the end");
        assert_eq!(reader.ciphertext(), Some(expected));
        assert_eq!(reader.ciphertext_bytes(), file.len() as u64);
    }
}

#[test]
fn a_header_that_never_ends_is_refused() {
    let mut file = b"age-encryption.org/v1\n".to_vec();
    for _ in 0..20_000 {
        file.extend(b"-> x\n\n");
    }
    assert!(matches!(inspect(&file), Err(AgeError::Header(_))));
    let mut many = b"age-encryption.org/v1\n".to_vec();
    for _ in 0..5_000 {
        many.extend(b"-> x\n\n");
    }
    many.extend(b"--- AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n0123456789abcdef");
    assert!(matches!(inspect(&many), Err(AgeError::Header(text)) if text.contains("4096 lines")));
}

#[test]
fn what_is_no_age_file_is_told_with_its_beginning() {
    for (bytes, says) in [
        (&b""[..], "empty"),
        (b"\x1f\x8b\x08\x1b[2J", "begins with “·"),
        (
            b"age-encryption.org/v2\n--- x\n0123456789abcdef",
            "not known here",
        ),
        (b"age-encryption.org/v1\n", "cut off"),
        (b"-----BEGIN PGP MESSAGE-----\n", "armor"),
    ] {
        let error = inspect(bytes).expect_err("it is none");
        assert!(error.to_string().contains(says), "{error}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn pieces_of_any_size_in_and_out_give_the_same_bytes(
        pieces in prop::collection::vec(1usize..300_000, 0..12),
        step in 1usize..200_000,
        threads in 1usize..5,
        take in 1usize..200_000,
    ) {
        let (identities, recipients) = pair();
        let plain = data(pieces.iter().sum());
        let mut writer = EncryptWriter::new(&recipients, Vec::new()).expect("a header");
        let mut rest = plain.as_slice();
        for piece in pieces {
            let (now, later) = rest.split_at(piece);
            writer.write_all(now).expect("a payload");
            rest = later;
        }
        let file = writer.finish().expect("an end");
        let mut input = moody(&file, || Ok(0));
        input.step = step.max(100);
        let options = DecryptOptions { hash: false, threads };
        let mut reader =
            DecryptReader::open(Box::new(input), &identities, options).expect("a header");
        let mut back = Vec::new();
        loop {
            let ready = reader.fill_buf().expect("more").to_vec();
            if ready.is_empty() {
                break;
            }
            let some = ready.len().min(take);
            back.extend_from_slice(&ready[..some]);
            reader.consume(some);
        }
        prop_assert!(back == plain);
    }

    #[test]
    fn no_beginning_makes_the_header_panic(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        let _ = inspect(&bytes);
        let mut file = b"age-encryption.org/v1\n-> ".to_vec();
        file.extend(&bytes);
        let _ = inspect(&file);
    }

    #[test]
    fn no_change_of_a_header_makes_it_panic_or_open(
        at in 0usize..400,
        with in prop::collection::vec(any::<u8>(), 0..8),
        cut in 0usize..8,
    ) {
        let (identities, recipients) = pair();
        let file = encrypt(&recipients, b"plain", EncryptOptions::default());
        let head = inspect(&file).expect("a header").length as usize - 16;
        let at = at % head;
        let mut changed = file.clone();
        changed.splice(at..(at + cut).min(head), with);
        if changed != file {
            let _ = inspect(&changed);
            prop_assert!(decrypt(&changed, &identities).1.is_err());
        }
    }
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
    let (_, read) = decrypt(&file, &pair().0);
    let error = read.expect_err("a key does not open it").to_string();
    assert!(error.contains("give the passphrase"), "{error}");
}

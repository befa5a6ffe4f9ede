//! Archives that others made: what can be said of them.

use super::*;

fn gzip(plain: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(plain).expect("memory");
    encoder.finish().expect("memory")
}

fn examined(bytes: Vec<u8>) -> Result<Content, RestoreError> {
    examine(
        Given::boxed(bytes),
        &keys().0,
        &Limits::default(),
        &Progress::default(),
    )
}

fn streamed(bytes: Vec<u8>) -> Result<Vec<u8>, RestoreError> {
    let mut out = Vec::new();
    stream(
        Given::boxed(bytes),
        &keys().0,
        &mut out,
        &Limits::default(),
        &Progress::default(),
    )
    .map(|_| out)
}

#[test]
fn tars_of_others_are_restored_whatever_compressed_them() {
    let plain = tar_of(&[
        block(b"./", b'5', 0, b""),
        file_of(b"./d/f", b"text"),
        file_of(b"large", &noise(1_500_000)),
    ]);
    for (bytes, form) in [
        (sealed(&plain), "tar, age"),
        (sealed(&gzip(&plain)), "tar, gzip, age"),
        (packed(&plain), "tar, zstd, age"),
    ] {
        let target = Target::new();
        let restored = target.restore(bytes.clone()).expect("it is restored");
        assert!(restored.header.is_none() && restored.manifest.is_none());
        assert_eq!((restored.files, restored.bytes), (2, 1_500_004));
        assert_eq!(names(&target.goal()), ["d", "large"]);
        let content = examined(bytes.clone()).expect("it is whole");
        assert_eq!(content.form, form);
        assert!(content.restored.manifest.is_none());
        assert_eq!(content.restored.files, 2);
        // As a stream, it is the tar itself.
        assert!(streamed(bytes).expect("it is whole") == plain);
    }
}

#[test]
fn dumps_and_bundles_are_told_by_their_beginning() {
    for (plain, form) in [
        (&b"PGDMP\x01\x0e\x00rest"[..], "pg_dump (custom), age"),
        (b"# v2 git bundle\nrest", "git bundle, age"),
        (b"# v3 git bundle\nrest", "git bundle, age"),
        (b"CREATE TABLE", "something unknown, age"),
        (b"", "something unknown, age"),
    ] {
        let content = examined(sealed(plain)).expect("it is whole");
        assert_eq!(content.form, form);
        assert_eq!(content.restored.bytes, plain.len() as u64);
        assert_eq!(streamed(sealed(plain)).expect("it is whole"), plain);
        assert_eq!(streamed(packed(plain)).expect("it is whole"), plain);
        let said = refusal(sealed(plain));
        assert!(said.contains("no archive of files but"), "{said}");
    }
    let said = refusal(packed(b"PGDMP"));
    assert!(said.contains("pg_dump (custom), zstd, age"), "{said}");
}

#[test]
fn what_follows_after_gzip_is_an_error() {
    let plain = tar_of(&[file_of(b"f", b"x")]);
    let mut compressed = gzip(&plain);
    let whole = compressed.len();
    for cut in 0..whole {
        refusal(sealed(&compressed[..cut]));
    }
    compressed.push(b'x');
    refusal(sealed(&compressed));
    compressed[whole - 5] ^= 1;
    compressed.truncate(whole);
    refusal(sealed(&compressed));
}

#[test]
fn an_empty_tar_is_an_empty_directory() {
    let target = Target::new();
    target.restore(packed(&tar_of(&[]))).expect("it is a tar");
    assert_eq!(names(&target.goal()), [""; 0]);
}

#[test]
fn a_tar_that_could_not_be_restored_is_told_when_examined() {
    for member in [
        file_of(b"../x", b""),
        block(b"x", b'2', 0, b"/etc"),
        block(b"x", b'3', 0, b""),
    ] {
        let said = examined(packed(&tar_of(&[member]))).expect_err("it would be refused");
        assert!(said.to_string().contains("can't be restored"), "{said}");
    }
}

#[test]
fn what_is_not_encrypted_is_not_opened() {
    let said = refusal(tar_of(&[file_of(b"f", b"x")]));
    assert!(said.starts_with("opening the backup"), "{said}");
}

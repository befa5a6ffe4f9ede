//! Truncated, flipped, swapped: at every layer, and never believed.

use proptest::prelude::*;

use super::*;

/// Small, so that it can be cut everywhere.
fn little() -> Vec<u8> {
    ours(|w| {
        w.directory(b"d", meta(0o755)).expect("memory");
        w.file(b"d/f", meta(0o644), 5, &mut &b"small"[..])
            .expect("memory");
    })
}

#[test]
fn cut_anywhere() {
    let plain = little();
    let compressed = zstd(&plain);
    let whole = sealed(&compressed);
    for cut in 0..whole.len() {
        refusal(whole[..cut].to_vec());
    }
    for cut in 0..compressed.len() {
        refusal(sealed(&compressed[..cut]));
    }
    // At each border of a block, beside it, and within.
    for block in (0..plain.len()).step_by(512) {
        for cut in [block, block + 1, block + 257, block + 511] {
            refusal(packed(&plain[..cut.min(plain.len() - 1)]));
        }
    }
}

#[test]
fn cut_between_chunks_and_parts() {
    let whole = packed(&ours(|w| {
        let bytes = noise(400_000);
        w.file(b"f", meta(0o644), 400_000, &mut bytes.as_slice())
            .expect("memory");
    }));
    let header = crate::backup::age::inspect(&whole)
        .expect("a header")
        .length as usize;
    for chunks in 0..6 {
        let cut = header + chunks * (65536 + 16);
        refusal(whole[..cut].to_vec());
    }
    let stream_of = our_stream(b"abc");
    for cut in (512..stream_of.len()).step_by(512) {
        let mut out = Vec::new();
        stream(
            Given::boxed(packed(&stream_of[..cut])),
            &keys().0,
            &mut out,
            &Limits::default(),
            &Progress::default(),
        )
        .expect_err("it is cut off");
    }
}

#[test]
fn something_after_the_end() {
    let plain = little();
    let with = |mut bytes: Vec<u8>, more: &[u8]| {
        bytes.extend_from_slice(more);
        bytes
    };
    refusal(with(packed(&plain), b"x"));
    refusal(with(packed(&plain), &packed(&plain)));
    refusal(sealed(&with(zstd(&plain), b"x")));
    // A second frame is part of the stream, and its bytes follow after the tar's end.
    let said = refusal(sealed(&with(zstd(&plain), &zstd(b"x"))));
    assert!(said.contains("after the tar stream's end"), "{said}");
    refusal(packed(&with(plain.clone(), b"x")));
    let said = refusal(packed(&with(plain.clone(), &little())));
    assert!(said.contains("after the tar stream's end"), "{said}");
    // Zeros are how tar fills its records.
    let target = Target::new();
    target
        .restore(packed(&with(plain, &[0; 10_240])))
        .expect("zeros may follow");
}

#[test]
fn a_wrong_key() {
    let target = Target::new();
    let said = directory(
        Given::boxed(packed(&little())),
        &stranger(),
        &target.goal(),
        &Limits::default(),
        &Progress::default(),
    )
    .expect_err("the key is another one");
    assert!(said.to_string().starts_with("opening the backup"), "{said}");
    assert_eq!(target.left(), [""; 0]);
}

#[test]
fn a_manifest_of_something_else() {
    let end = |entries: &str, count: u32, bytes: u32| {
        format!("{entries}{{\"entries\":{count},\"bytes\":{bytes},\"warnings\":[]}}\n")
    };
    let entry = |path: &str, size: u32, mode: u32| {
        let hash = crate::model::sha256_hex(b"small");
        format!(
            "{{\"path\":\"{path}\",\"kind\":\"file\",\"mode\":{mode},\"uid\":0,\"gid\":0,\"mtime\":1700000000,\"size\":{size},\"sha256\":\"{hash}\"}}\n"
        )
    };
    let header = serde_json::to_vec(&header_of(Kind::Directories, None)).expect("JSON");
    let with = |manifest: String| {
        tar_of(&[
            file_of(HEADER.as_bytes(), &header),
            file_of(b"f", b"small"),
            file_of(MANIFEST.as_bytes(), manifest.as_bytes()),
        ])
    };
    let good = end(&entry("f", 5, 0o644), 1, 5);
    Target::new()
        .restore(packed(&with(good.clone())))
        .expect("this one is right");
    for (manifest, why) in [
        (end(&entry("f", 6, 0o644), 1, 6), "its size is 5"),
        (end(&entry("f", 5, 0o600), 1, 5), "its mode is 0644"),
        (
            end(&entry("g", 5, 0o644), 1, 5),
            "f stands where the manifest has g",
        ),
        (end("", 0, 0), "holds 1 entries, and its manifest lists 0"),
        (
            end(&(entry("f", 5, 0o644) + &entry("g", 5, 0o644)), 2, 10),
            "lists 2",
        ),
        (
            good.replace("\"entries\":1", "\"entries\":2"),
            "says 2 entries",
        ),
        (entry("f", 5, 0o644), "cut off"),
        (String::new(), "is empty"),
    ] {
        let said = refusal(packed(&with(manifest)));
        assert!(said.contains(why), "{said}");
    }
    // Another hash: whoever examines it says so, and a restored directory shows it.
    let hash = crate::model::sha256_hex(b"other");
    let lying = with(good.replace(&crate::model::sha256_hex(b"small"), &hash));
    let content = examine(
        Given::boxed(packed(&lying)),
        &keys().0,
        &Limits::default(),
        &Progress::default(),
    )
    .expect("it can be read");
    assert_eq!(content.differences.len(), 1);
    assert!(
        content.differences[0].contains("its SHA-256"),
        "{content:?}"
    );
    // Nothing may follow it.
    let mut after = with(good);
    after.truncate(after.len() - 1024);
    let said = refusal(packed(&tar_of(&[after, file_of(b"late", b"x")])));
    assert!(said.contains("late follows after the manifest"), "{said}");
}

#[test]
fn a_stream_with_a_part_missing() {
    let header = serde_json::to_vec(&header_of(Kind::Command, Some("x"))).expect("JSON");
    for (parts, why) in [
        (
            vec![file_of(b"stream/000002", b"x")],
            "where stream/000001 should",
        ),
        (
            vec![
                file_of(b"stream/000001", b"x"),
                file_of(b"stream/000003", b"x"),
            ],
            "where stream/000002 should",
        ),
        (
            vec![
                file_of(b"stream/000001", b"x"),
                file_of(b"stream/000001", b"x"),
            ],
            "where stream/000002 should",
        ),
        (vec![file_of(b"other", b"x")], "where stream/000001 should"),
    ] {
        let mut members = vec![file_of(HEADER.as_bytes(), &header)];
        members.extend(parts);
        let mut out = Vec::new();
        let said = stream(
            Given::boxed(packed(&tar_of(&members))),
            &keys().0,
            &mut out,
            &Limits::default(),
            &Progress::default(),
        )
        .expect_err("a part is missing");
        assert!(said.to_string().contains(why), "{said}");
    }
}

#[test]
fn a_store_that_lies_fails_or_gives_too_much() {
    let bytes = packed(&sample());
    let with = |change: &dyn Fn(&mut Given)| {
        let mut given = Given::new(bytes.clone());
        change(&mut given);
        let target = Target::new();
        let said = directory(
            Box::new(given),
            &keys().0,
            &target.goal(),
            &Limits::default(),
            &Progress::default(),
        )
        .expect_err("the store is not to be trusted")
        .to_string();
        assert_eq!(target.left(), [""; 0], "{said}");
        said
    };
    let size = bytes.len() as u64;
    let said = with(&|given| given.says = size + 1);
    assert!(
        said.contains("the store said that the backup has"),
        "{said}"
    );
    let said = with(&|given| given.says = size - 1);
    assert!(
        said.contains("the store said that the backup has"),
        "{said}"
    );
    with(&|given| given.says = 0);
    for at in [0, 100, 70_000, size / 2, size - 1] {
        let said = with(&|given| given.fails_at = Some(at));
        assert!(said.contains("the connection was reset"), "{said}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn a_flipped_bit_in_the_ciphertext(at in any::<prop::sample::Index>(), bit in 0_u8..8) {
        let mut bytes = packed(&little());
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        refusal(bytes);
    }

    /// As whoever has the public key may do. Nothing breaks, and the manifest's hashes tell what
    /// no checksum covers.
    #[test]
    fn a_flipped_bit_below_the_encryption(at in any::<prop::sample::Index>(), bit in 0_u8..8) {
        let mut bytes = little();
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        let target = Target::new();
        match target.restore(packed(&bytes)) {
            Ok(_) => prop_assert_eq!(target.left(), ["restored"]),
            Err(_) => prop_assert_eq!(target.left(), [""; 0]),
        }
        let content = examine(
            Given::boxed(packed(&bytes)),
            &keys().0,
            &Limits::default(),
            &Progress::default(),
        );
        // Where the data of the one file is, its hash tells.
        let data = bytes.windows(5).position(|five| five == b"small");
        if data.is_none()
            && let Ok(content) = content
            && content.restored.manifest.is_some()
        {
            prop_assert_ne!(content.differences, [""; 0]);
        }
    }

    #[test]
    fn any_bytes_are_no_archive(plain in proptest::collection::vec(any::<u8>(), 0..3000)) {
        let said = refusal(sealed(&plain));
        prop_assert!(!said.is_empty());
    }
}

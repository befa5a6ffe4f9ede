//! What an attacker may put into an archive. Each is refused with its name, and nothing is left.

use std::os::unix::fs::MetadataExt;

use super::*;

/// Refused as a tar that others made.
fn refused(members: &[Vec<u8>]) -> String {
    refusal(packed(&tar_of(members)))
}

#[test]
fn paths_that_escape() {
    let outside = Target::new();
    let absolute = outside.parent.path().join("x");
    let absolute = absolute.to_string_lossy();
    assert!(refused(&[file_of(absolute.as_bytes(), b"x")]).contains("absolute"));
    assert!(refused(&[file_of(b"../x", b"x")]).contains("../x leads upwards"));
    assert!(refused(&[file_of(b"a/../../x", b"x")]).contains("leads upwards"));
    assert!(refused(&[block(b"../d/", b'5', 0, b"")]).contains("leads upwards"));
    assert!(refused(&[block(b"..", b'2', 0, b"x")]).contains("leads upwards"));
    assert_eq!(outside.left(), [""; 0]);
}

#[test]
fn a_path_that_escapes_in_an_extended_header() {
    let long = |kind: u8, data: &[u8]| {
        let mut bytes = block(b"x", kind, data.len() as u64, b"");
        bytes.extend_from_slice(data);
        bytes.resize(bytes.len().next_multiple_of(512), 0);
        bytes
    };
    let harmless = file_of(b"harmless", b"x");
    let said = refused(&[long(b'L', b"../evil\0"), harmless.clone()]);
    assert!(said.contains("../evil"), "{said}");
    let said = refused(&[long(b'x', b"16 path=../evil\n"), harmless.clone()]);
    assert!(said.contains("../evil"), "{said}");
    let said = refused(&[long(b'g', b"16 path=../evil\n"), harmless.clone()]);
    assert!(said.contains("sets path for all"), "{said}");
    let said = refused(&[long(b'x', b"99 path=../evil\n"), harmless]);
    assert!(said.contains("malformed"), "{said}");
}

#[test]
fn writing_through_a_link() {
    let outside = Target::new();
    let target = outside.parent.path().to_string_lossy().into_owned();
    let through = [
        block(b"d", b'2', 0, target.as_bytes()),
        file_of(b"d/evil", b"x"),
    ];
    // The link alone is refused; and where it is let through, nothing follows it.
    assert!(refused(&through).contains("outside"));
    let limits = Limits {
        outward_links: true,
        ..Limits::default()
    };
    let said = refusal_with(packed(&tar_of(&through)), &limits);
    assert!(
        said.contains("needs a directory") || said.contains("twice"),
        "{said}"
    );
    // Also within.
    let within = [
        block(b"real/", b'5', 0, b""),
        block(b"d", b'2', 0, b"real"),
        file_of(b"d/evil", b"x"),
    ];
    let said = refused(&within);
    assert!(
        said.contains("needs a directory") || said.contains("twice"),
        "{said}"
    );
    // A file where a link stands is not written to what it points to.
    let over = [block(b"d", b'2', 0, b"real"), file_of(b"d", b"x")];
    assert!(refused(&over).contains("d is in the archive twice"));
    assert_eq!(outside.left(), [""; 0]);
}

#[test]
fn links_that_point_out() {
    for target in [&b"/etc/passwd"[..], b"..", b"../x", b"a/../../x"] {
        let said = refused(&[block(b"link", b'2', 0, target)]);
        assert!(said.contains("link is a link to"), "{said}");
    }
    let said = refused(&[block(b"link", b'1', 0, b"/etc/passwd")]);
    assert!(said.contains("/etc/passwd"), "{said}");
    let said = refused(&[block(b"link", b'1', 0, b"../x")]);
    assert!(said.contains("../x"), "{said}");
    let said = refused(&[block(b"link", b'1', 0, b"nowhere")]);
    assert!(
        said.contains("nowhere, which is not in the archive before it"),
        "{said}"
    );
    let said = refused(&[block(b"link", b'1', 0, b"no/where")]);
    assert!(
        said.contains("no/where, which is not in the archive before it"),
        "{said}"
    );
    let said = refused(&[block(b"d/", b'5', 0, b""), block(b"link", b'1', 0, b"d")]);
    assert!(said.contains("which is a directory"), "{said}");
    // Each of two links stays within, and both together do not.
    let pair = [
        block(b"a/b/up", b'2', 0, b"../.."),
        block(b"out", b'2', 0, b"a/b/up/../x"),
    ];
    assert!(refused(&pair).contains("out is a link to"));
}

#[test]
fn a_hard_link_does_not_follow_a_symbolic_one() {
    let limits = Limits {
        outward_links: true,
        ..Limits::default()
    };
    let target = Target::new();
    let bytes = packed(&tar_of(&[
        block(b"out", b'2', 0, b"/etc/hostname"),
        block(b"hard", b'1', 0, b"out"),
    ]));
    target.restore_with(bytes, &limits).expect("links are made");
    let stat = fs::symlink_metadata(target.goal().join("hard")).expect("it is there");
    assert!(stat.file_type().is_symlink());
}

#[test]
fn things_that_are_no_files() {
    for (kind, what) in [
        (b'3', "character device"),
        (b'4', "block device"),
        (b'6', "FIFO"),
        (b'S', "sparse"),
        (b'M', "another volume"),
        (b'V', "volume's label"),
        (b'D', "incremental"),
        (b'Z', "unknown kind Z"),
    ] {
        let said = refused(&[block(b"thing", kind, 0, b"")]);
        assert!(
            said.contains("thing is") || said.contains("thing goes"),
            "{said}"
        );
        assert!(said.contains(what), "{said}");
    }
}

#[test]
fn names_that_come_twice() {
    let file = || file_of(b"d/x", b"1");
    let dir = || block(b"d/x/", b'5', 0, b"");
    let link = || block(b"d/x", b'2', 0, b"y");
    for pair in [
        [file(), file()],
        [file(), dir()],
        [dir(), file()],
        [dir(), dir()],
        [link(), file()],
        [file(), link()],
        [link(), dir()],
        [link(), link()],
        [file(), file_of(b"./d//x", b"2")],
        [file(), file_of(b"d/x/y", b"2")],
        [file_of(b"d/x/y", b"2"), file()],
    ] {
        let said = refused(&pair);
        assert!(
            said.contains("twice") || said.contains("needs a directory"),
            "{said}"
        );
        assert!(said.contains("d/x") || said.contains("x is"), "{said}");
    }
}

#[test]
fn set_uid_bits_and_owners_of_others_are_not_taken_over() {
    let mut member = tar::Header::new_gnu();
    member.set_path("suid").expect("a short name");
    member.set_mode(0o6755);
    member.set_uid(12_345);
    member.set_gid(12_345);
    member.set_size(0);
    member.set_entry_type(tar::EntryType::Regular);
    member.set_cksum();
    let target = Target::new();
    target
        .restore(packed(&tar_of(&[member.as_bytes().to_vec()])))
        .expect("it is restored");
    let stat = fs::metadata(target.goal().join("suid")).expect("it is there");
    assert_eq!(stat.mode() & 0o7777, 0o755);
    assert_eq!(
        (stat.uid(), stat.gid()),
        crate::backup::archive::beneath::us()
    );
}

#[test]
fn owners_and_set_uid_bits_of_ours_are_restored_by_root() {
    assert_eq!(
        crate::backup::archive::beneath::us().0,
        0,
        "owners can be given by root alone: run this test as root"
    );
    let plain = ours(|w| {
        let theirs = Meta {
            uid: 12_345,
            gid: 54_321,
            ..meta(0o6711)
        };
        w.directory(b"d", theirs).expect("memory");
        w.file(b"d/f", theirs, 1, &mut &b"x"[..]).expect("memory");
        w.symlink(b"d/l", b"f", theirs).expect("memory");
    });
    let target = Target::new();
    let restored = target.restore(packed(&plain)).expect("it is restored");
    for (name, mode) in [("d", 0o6711), ("d/f", 0o6711), ("d/l", 0o777)] {
        let stat = fs::symlink_metadata(target.goal().join(name)).expect("it is there");
        assert_eq!((stat.uid(), stat.gid()), (12_345, 54_321), "{name}");
        assert_eq!(stat.mode() & 0o7777, mode, "{name}");
    }
    let manifest = restored.manifest.expect("ours has one");
    assert_eq!(
        compare(&target.goal(), &manifest).expect("it can be read"),
        [""; 0]
    );
}

#[test]
fn names_that_are_too_long_or_too_deep() {
    let long = |name: &[u8]| {
        let mut bytes = block(b"././@LongLink", b'L', name.len() as u64, b"");
        bytes.extend_from_slice(name);
        bytes.resize(bytes.len().next_multiple_of(512), 0);
        bytes
    };
    let harmless = file_of(b"harmless", b"x");
    assert!(refused(&[long(&[b'x'; 256]), harmless.clone()]).contains("256 bytes"));
    assert!(refused(&[long(&b"/d".repeat(300)[1..]), harmless.clone()]).contains("levels deep"));
    assert!(
        refused(&[long(&b"/dddddddd".repeat(500)[1..]), harmless.clone()]).contains("4499 bytes")
    );
    let said = refused(&[block(b"x", b'L', 1 << 30, b""), harmless]);
    assert!(said.contains("at most 1048576"), "{said}");
}

#[test]
fn bombs_meet_their_limits() {
    let zeros = vec![0; 256 << 20];
    let bomb = || packed(&tar_of(&[file_of(b"zeros", &zeros)]));
    let said = refusal(bomb());
    assert!(said.contains("beyond 2000 times"), "{said}");
    let limits = Limits {
        bytes: 1 << 20,
        ratio: u64::MAX,
        ..Limits::default()
    };
    assert!(refusal_with(bomb(), &limits).contains("more than 1048576 bytes"));
    let limits = Limits {
        entries: 3,
        ..Limits::default()
    };
    let many: Vec<Vec<u8>> = (0..4).map(|i| file_of(&[b'0' + i], b"")).collect();
    let said = refusal_with(packed(&tar_of(&many)), &limits);
    assert!(said.contains("more than 3 entries"), "{said}");
    // What the ratio lets through is restored.
    let limits = Limits {
        ratio: 1_000_000,
        ..Limits::default()
    };
    let target = Target::new();
    target
        .restore_with(bomb(), &limits)
        .expect("it is restored");
}

#[test]
fn a_window_that_takes_all_memory() {
    let mut encoder = zstd::Encoder::new(Vec::new(), 1).expect("memory");
    encoder.window_log(28).expect("a window of 256 MiB");
    encoder.long_distance_matching(true).expect("it can");
    encoder.write_all(&noise(1 << 20)).expect("memory");
    let said = refusal(sealed(&encoder.finish().expect("memory")));
    assert!(said.contains("window of more than 128 MiB"), "{said}");
}

#[test]
fn a_size_that_no_disk_has() {
    let extended = |data: &[u8]| {
        let mut bytes = block(b"x", b'x', data.len() as u64, b"");
        bytes.extend_from_slice(data);
        bytes.resize(bytes.len().next_multiple_of(512), 0);
        bytes
    };
    for (record, why) in [
        (&b"29 size=18446744073709551615\n"[..], "says that it has"),
        (b"29 size=99999999999999999999\n", "bad size"),
        (b"11 size=-1\n", "bad size"),
    ] {
        let said = refused(&[extended(record), file_of(b"x", b"")]);
        assert!(said.contains(why), "{said}");
    }
    let said = refused(&[block(b"x", b'0', 1 << 62, b"")]);
    assert!(said.contains("cut off") || said.contains("bytes"), "{said}");
}

#[test]
fn a_name_cannot_write_to_the_terminal() {
    let said = refused(&[file_of(b"../\x1b]0;owned\x07\x1b[2J", b"x")]);
    assert!(said.contains("../·]0;owned··[2J"), "{said}");
}

#[test]
fn what_poses_as_ours_is_held_to_it() {
    let header = serde_json::to_vec(&header_of(Kind::Directories, None)).expect("JSON");
    let ours = || file_of(HEADER.as_bytes(), &header);
    let said = refused(&[ours(), file_of(b"f", b"x")]);
    assert!(said.contains("ends without its manifest"), "{said}");
    let said = refused(&[ours(), file_of(b".seawall/other", b"x")]);
    assert!(said.contains("has no place in it"), "{said}");
    let said = refused(&[ours(), block(b".seawall/manifest.jsonl", b'2', 0, b"x")]);
    assert!(said.contains("has no place in it"), "{said}");
    let said = refused(&[file_of(HEADER.as_bytes(), b"{\"format\": 2}")]);
    assert!(said.contains("its format is 2"), "{said}");
    let said = refused(&[file_of(HEADER.as_bytes(), b"{}")]);
    assert!(said.contains("does not say its format"), "{said}");
    let said = refused(&[file_of(HEADER.as_bytes(), b"\x1b[2J")]);
    assert!(said.contains("is no JSON"), "{said}");
    let large = vec![b' '; 70_000];
    let said = refused(&[file_of(HEADER.as_bytes(), &large)]);
    assert!(said.contains("is no small file"), "{said}");
    let _ = MANIFEST;
}

//! What is whole comes back as it was.

use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::*;

#[test]
fn an_archive_of_ours_comes_back_with_everything() {
    let target = Target::new();
    let bytes = packed(&sample());
    let restored = target.restore(bytes.clone()).expect("it is restored");
    assert_eq!(target.left(), ["restored"]);
    let into = target.goal();
    assert_eq!(names(&into), ["d"]);
    assert_eq!(
        names(&into.join("d")),
        ["empty", "hard", "large", "link", "small"]
    );
    let read = |name: &str| fs::read(into.join("d").join(name)).expect("a file");
    assert_eq!(read("small"), b"small");
    assert!(read("large") == noise(3_000_000));
    assert_eq!(read("empty"), b"");
    assert_eq!(read("link"), b"small");
    let stat = |name: &str| fs::symlink_metadata(into.join(name)).expect("it is there");
    assert_eq!(stat("d/hard").ino(), stat("d/small").ino());
    assert_eq!(stat("d").mode() & 0o7777, 0o750);
    assert_eq!(stat("d/small").mode() & 0o7777, 0o640);
    for name in ["d", "d/small", "d/large", "d/link"] {
        assert_eq!(stat(name).mtime(), 1_700_000_000, "{name}");
    }
    assert_eq!(stat("").mode() & 0o7777, 0o700);
    assert_eq!(restored.files, 3);
    assert_eq!(restored.bytes, 3_000_005);
    assert_eq!(restored.sha256, crate::model::sha256_hex(&bytes));
    let manifest = restored.manifest.expect("ours has one");
    assert_eq!(manifest.end().entries, 6);
    assert_eq!(restored.header.expect("ours has one").source, "files");
    assert_eq!(compare(&into, &manifest).expect("it can be read"), [""; 0]);
}

#[test]
fn what_is_there_is_never_replaced() {
    let target = Target::new();
    fs::create_dir(target.goal()).expect("a directory");
    let said = target.restore(packed(&sample())).expect_err("it is there");
    assert!(said.to_string().contains("is there already"), "{said}");
    assert_eq!(names(&target.goal()), [""; 0]);
    assert_eq!(target.left(), ["restored"]);
}

#[test]
fn a_stream_is_joined_from_its_parts() {
    // More than one part, and a last one that is short.
    let whole = noise(PART_AND_A_BIT);
    let progress = Progress::default();
    let mut out = Vec::new();
    let restored = stream(
        Given::boxed(packed(&our_stream(&whole))),
        &keys().0,
        &mut out,
        &Limits::default(),
        &progress,
    )
    .expect("it is restored");
    assert!(out == whole);
    assert_eq!((restored.files, restored.bytes), (1, whole.len() as u64));
    assert_eq!(
        restored.header.and_then(|h| h.stream).as_deref(),
        Some("app.dump")
    );
}

const PART_AND_A_BIT: usize = crate::backup::archive::PART + 12_345;

#[test]
fn files_and_streams_are_not_taken_for_each_other() {
    let said = refusal(packed(&our_stream(b"x")));
    assert!(said.contains("one stream (app.dump)"), "{said}");
    let mut out = Vec::new();
    let said = stream(
        Given::boxed(packed(&sample())),
        &keys().0,
        &mut out,
        &Limits::default(),
        &Progress::default(),
    )
    .expect_err("it holds files");
    assert!(
        said.to_string().contains("restore it to a directory"),
        "{said}"
    );
    assert_eq!(out, b"");
}

#[test]
fn examining_compares_every_byte_and_writes_nothing() {
    for plain in [sample(), our_stream(&noise(20_000_000))] {
        let content = examine(
            Given::boxed(packed(&plain)),
            &keys().0,
            &Limits::default(),
            &Progress::default(),
        )
        .expect("it is whole");
        assert_eq!(content.form, "tar, zstd, age");
        assert_eq!(content.differences, [""; 0]);
        assert!(content.restored.manifest.is_some());
    }
}

#[test]
fn a_directory_that_shuts_us_out_is_restored_and_can_be_removed() {
    let plain = ours(|w| {
        w.directory(b"shut", meta(0o000)).expect("memory");
        w.directory(b"shut/in", meta(0o500)).expect("memory");
        w.file(b"shut/in/f", meta(0o000), 1, &mut &b"x"[..])
            .expect("memory");
    });
    let target = Target::new();
    target.restore(packed(&plain)).expect("it is restored");
    let mode = fs::metadata(target.goal().join("shut"))
        .expect("it is there")
        .permissions()
        .mode();
    assert_eq!(mode & 0o7777, 0);
    let parent =
        crate::backup::archive::beneath::Dir::open(target.parent.path()).expect("it can be opened");
    parent.remove_all(c"restored").expect("it can be removed");
    assert_eq!(target.left(), [""; 0]);
}

#[test]
fn a_restore_stops_when_it_is_asked_to() {
    let target = Target::new();
    let mut slow = Given::new(packed(&sample()));
    slow.waits = Some(Duration::from_millis(20));
    let progress = Progress::default();
    let result = std::thread::scope(|scope| {
        let worker = scope.spawn(|| {
            let limits = Limits::default();
            directory(
                Box::new(slow),
                &keys().0,
                &target.goal(),
                &limits,
                &progress,
            )
        });
        std::thread::sleep(Duration::from_millis(200));
        progress.stop();
        let asked = Instant::now();
        let result = worker.join().expect("it does not panic");
        // The slow store would take ten minutes.
        assert!(asked.elapsed() < Duration::from_secs(60));
        result
    });
    let said = result.expect_err("it was stopped").to_string();
    assert_eq!(said, "stopped, as asked");
    assert_eq!(target.left(), [""; 0]);
}

#[derive(Clone, Debug)]
enum Node {
    File(Vec<u8>, u32),
    Directory(Vec<(String, Node)>, u32),
    Link(String),
}

fn node() -> impl Strategy<Value = Node> {
    let size = prop_oneof![0_usize..2000, 200_000_usize..400_000, Just(1 << 20)];
    let leaf = prop_oneof![
        6 => (size, 0_u32..0o1000).prop_map(|(n, mode)| Node::File(noise(n), mode)),
        1 => "[a-z]{1,9}".prop_map(Node::Link),
    ];
    leaf.prop_recursive(4, 40, 8, |inner| {
        let name = prop_oneof!["[a-z]{1,3}", "[a-z]{120,200}", "[ \\\\\u{1}-\u{20}é…]{1,9}",];
        (
            proptest::collection::vec((name, inner), 0..8),
            0_u32..0o1000,
        )
            .prop_map(|(mut nodes, mode)| {
                nodes.sort_by(|a, b| a.0.cmp(&b.0));
                nodes.dedup_by(|a, b| a.0 == b.0);
                Node::Directory(nodes, mode)
            })
    })
}

fn write(writer: &mut ArchiveWriter<Vec<u8>>, path: &str, node: &Node) {
    let name = path.as_bytes();
    match node {
        Node::File(bytes, mode) => {
            let mut content = bytes.as_slice();
            writer
                .file(name, meta(*mode), bytes.len() as u64, &mut content)
                .expect("memory");
        }
        Node::Link(target) => writer
            .symlink(name, target.as_bytes(), meta(0o777))
            .expect("memory"),
        Node::Directory(nodes, mode) => {
            writer.directory(name, meta(*mode)).expect("memory");
            for (name, node) in nodes {
                write(writer, &format!("{path}/{name}"), node);
            }
        }
    }
}

/// Whoever owns a directory may be shut out of it.
fn look(path: &Path, node: &Node) -> Result<(), String> {
    let stat = fs::symlink_metadata(path).map_err(|e| format!("{path:?}: {e}"))?;
    let mode = stat.mode() & 0o7777;
    let is_as = |wanted: &u32| match mode == *wanted && stat.mtime() == 1_700_000_000 {
        true => Ok(()),
        false => Err(format!("{path:?}: {mode:o}, not {wanted:o}, or its time")),
    };
    let open = |bits| fs::set_permissions(path, fs::Permissions::from_mode(bits));
    match node {
        Node::File(bytes, wanted) => {
            is_as(wanted)?;
            open(0o600).map_err(|e| e.to_string())?;
            match fs::read(path) {
                Ok(read) if read == *bytes => Ok(()),
                other => Err(format!("{path:?}: {} bytes", other.map_or(0, |b| b.len()))),
            }
        }
        Node::Link(target) => match fs::read_link(path) {
            Ok(read) if read == Path::new(target) => Ok(()),
            other => Err(format!("{path:?}: {other:?}")),
        },
        Node::Directory(nodes, wanted) => {
            is_as(wanted)?;
            open(0o700).map_err(|e| e.to_string())?;
            let mut expected: Vec<&String> = nodes.iter().map(|(name, _)| name).collect();
            expected.sort();
            let there = names(path);
            if there.iter().collect::<Vec<_>>() != expected {
                return Err(format!("{path:?} holds {there:?}"));
            }
            nodes
                .iter()
                .try_for_each(|(name, node)| look(&path.join(name), node))
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn any_tree_comes_back_as_it_was(nodes in proptest::collection::vec(node(), 1..3)) {
        let plain = ours(|w| {
            for (i, node) in nodes.iter().enumerate() {
                write(w, &format!("top{i}"), node);
            }
        });
        let target = Target::new();
        let restored = target.restore(packed(&plain)).expect("it is restored");
        let manifest = restored.manifest.expect("ours has one");
        // As root nothing shuts us out; else a file of mode 0 can't be read, which is told.
        if crate::backup::archive::beneath::us().0 == 0 {
            prop_assert_eq!(compare(&target.goal(), &manifest).expect("it can be read"), [""; 0]);
        }
        for (i, node) in nodes.iter().enumerate() {
            let seen = look(&target.goal().join(format!("top{i}")), node);
            prop_assert!(seen.is_ok(), "{:?}", seen);
        }
    }
}

//! A restored directory against its manifest: each thing that may differ is told.

use std::os::unix::fs::{PermissionsExt, symlink};

use super::*;

/// What is told after a change of a restored sample.
fn told(change: impl FnOnce(&Path)) -> Vec<String> {
    let target = Target::new();
    let restored = target.restore(packed(&sample())).expect("it is restored");
    let manifest = restored.manifest.expect("ours has one");
    assert_eq!(
        compare(&target.goal(), &manifest).expect("it can be read"),
        [""; 0]
    );
    change(&target.goal().join("d"));
    compare(&target.goal(), &manifest).expect("it can be read")
}

/// A change, and how what is told of it begins.
type Way<'a> = (&'a dyn Fn(&Path), &'a str);

#[test]
fn every_change_is_told() {
    let ways: [Way; 11] = [
        (
            &|d| fs::write(d.join("small"), "smalL").unwrap(),
            "d/small: its SHA-256 is",
        ),
        (
            &|d| fs::write(d.join("small"), "small!").unwrap(),
            "d/small: its size is 6",
        ),
        (
            &|d| fs::remove_file(d.join("large")).unwrap(),
            "d/large is missing",
        ),
        (
            &|d| fs::write(d.join("new"), "").unwrap(),
            "d/new is not in the manifest",
        ),
        (
            &|d| {
                fs::create_dir_all(d.join("new/deep")).unwrap();
            },
            "d/new is not in the manifest",
        ),
        (
            &|d| fs::set_permissions(d.join("small"), PermissionsExt::from_mode(0o604)).unwrap(),
            "d/small: its mode is 0604",
        ),
        (
            &|d| fs::set_permissions(d, PermissionsExt::from_mode(0o700)).unwrap(),
            "d: its mode is 0700",
        ),
        (
            &|d| {
                fs::remove_file(d.join("link")).unwrap();
                symlink("large", d.join("link")).unwrap();
            },
            "d/link: its link is large",
        ),
        (
            &|d| {
                fs::rename(d.join("small"), d.join("kept")).unwrap();
                symlink("kept", d.join("small")).unwrap();
            },
            "d/small: its kind is a symbolic link",
        ),
        (
            &|d| {
                fs::remove_file(d.join("hard")).unwrap();
                fs::copy(d.join("small"), d.join("hard")).unwrap();
            },
            "d/hard is not the same file as d/small",
        ),
        (
            &|d| {
                fs::remove_file(d.join("empty")).unwrap();
                fs::create_dir(d.join("empty")).unwrap();
            },
            "d/empty: its kind is a directory",
        ),
    ];
    for (change, expected) in ways {
        let said = told(change);
        assert!(
            said.iter().any(|line| line.starts_with(expected)),
            "{expected:?} is not in {said:#?}"
        );
    }
}

#[test]
fn a_link_in_the_place_of_a_directory_is_not_followed() {
    let elsewhere = Target::new();
    elsewhere
        .restore(packed(&sample()))
        .expect("it is restored");
    let said = told(|d| {
        fs::remove_dir_all(d).unwrap();
        symlink(elsewhere.goal().join("d"), d).unwrap();
    });
    // All that lies in it can't be reached, and it is none itself.
    assert_eq!(said.len(), 6, "{said:#?}");
}

#[test]
fn an_empty_directory_is_nothing_like_its_manifest() {
    let target = Target::new();
    let restored = target.restore(packed(&sample())).expect("it is restored");
    let empty = Target::new();
    fs::create_dir(empty.goal()).unwrap();
    let said =
        compare(&empty.goal(), &restored.manifest.expect("ours has one")).expect("it can be read");
    assert_eq!(said.len(), 6, "{said:#?}");
    assert!(
        said.iter().all(|line| line.contains("is missing")),
        "{said:#?}"
    );
}

#[test]
fn thousands_of_differences_are_counted() {
    let plain = ours(|w| {
        for i in 0..300 {
            let name = format!("f{i}");
            w.file(name.as_bytes(), meta(0o644), 0, &mut &b""[..])
                .expect("memory");
        }
    });
    let target = Target::new();
    let restored = target.restore(packed(&plain)).expect("it is restored");
    let empty = Target::new();
    fs::create_dir(empty.goal()).unwrap();
    let said =
        compare(&empty.goal(), &restored.manifest.expect("ours has one")).expect("it can be read");
    assert_eq!(said.len(), 101);
    assert_eq!(said.last().map(String::as_str), Some("and 200 more"));
}

#[test]
fn a_manifest_may_not_lead_elsewhere() {
    let mut writer = crate::backup::archive::ManifestWriter::new();
    for path in ["../../etc/passwd", "/etc/passwd"] {
        writer
            .push(&crate::backup::archive::Entry {
                path: path.into(),
                kind: crate::backup::archive::EntryKind::File,
                mode: 0o644,
                uid: 0,
                gid: 0,
                mtime: 0,
                size: 1,
                sha256: Some("0".repeat(64)),
                link: None,
            })
            .expect("it is an entry");
    }
    let manifest = writer.finish(&[]).expect("memory");
    let empty = Target::new();
    fs::create_dir(empty.goal()).unwrap();
    let said = compare(&empty.goal(), &manifest).expect("it can be read");
    assert!(said[0].contains("leads upwards"), "{said:#?}");
    assert!(said[1].contains("absolute"), "{said:#?}");
}

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;

use super::super::Programs;
use super::*;
use crate::backup::Progress;
use crate::backup::archive::{ArchiveHeader, Entry, EntryKind, Kind};

struct Made {
    entries: BTreeMap<String, Entry>,
    warnings: Vec<String>,
}

fn try_make(source: &Directories, canary: Option<&Canary>) -> Result<Made, SourceError> {
    let (programs, progress) = (Programs::default(), Progress::default());
    let around = Surroundings {
        programs: &programs,
        progress: &progress,
        abort: &AtomicBool::new(false),
        secrets: vec![],
        stores: vec![],
    };
    let header = ArchiveHeader {
        format: 1,
        version: String::new(),
        policy: String::new(),
        source: String::new(),
        kind: Kind::Directories,
        data_time: String::new(),
        stream: None,
        canary: canary.cloned(),
    };
    let mut archive = ArchiveWriter::new(io::sink(), &header, 0, &progress)?;
    let mut warnings = Warnings::default();
    read(source, canary, &around, &mut archive, &mut warnings)?;
    let (_, manifest) = archive.finish(0, &[])?;
    let entries = manifest.entries().map(|entry| entry.unwrap());
    Ok(Made {
        entries: entries.map(|entry| (entry.path.clone(), entry)).collect(),
        warnings: warnings.texts(),
    })
}

fn make(root: &Path, exclude: &[&str]) -> Made {
    let source = Directories {
        paths: vec![root.display().to_string()],
        exclude: exclude.iter().map(|glob| (*glob).to_owned()).collect(),
        one_file_system: false,
    };
    try_make(&source, None).unwrap()
}

/// A directory called `data`.
fn data() -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    fs::create_dir(&data).unwrap();
    (dir, data)
}

fn c(name: &str) -> CString {
    CString::new(name).unwrap()
}

#[test]
fn files_directories_and_links_are_kept_as_they_are() {
    let (_dir, data) = data();
    fs::create_dir(data.join("sub")).unwrap();
    fs::write(data.join("sub/a"), "hello").unwrap();
    fs::set_permissions(data.join("sub/a"), fs::Permissions::from_mode(0o4751)).unwrap();
    fs::hard_link(data.join("sub/a"), data.join("sub/b")).unwrap();
    symlink("../../etc", data.join("out")).unwrap();
    symlink("/nowhere/at/all", data.join("dangling")).unwrap();
    let made = make(&data, &[]);
    assert_eq!(made.warnings, Vec::<String>::new());
    let kinds: Vec<(&str, EntryKind)> = made
        .entries
        .iter()
        .map(|(path, entry)| (path.as_str(), entry.kind))
        .collect();
    assert_eq!(
        kinds,
        [
            ("data", EntryKind::Directory),
            ("data/dangling", EntryKind::Symlink),
            ("data/out", EntryKind::Symlink),
            ("data/sub", EntryKind::Directory),
            ("data/sub/a", EntryKind::File),
            ("data/sub/b", EntryKind::Hardlink),
        ]
    );
    let a = &made.entries["data/sub/a"];
    let stat = fs::metadata(data.join("sub/a")).unwrap();
    assert_eq!((a.mode, a.uid, a.size), (0o4751, stat.uid(), 5));
    assert_eq!(a.mtime, stat.mtime());
    assert_eq!(
        a.sha256.as_deref(),
        Some(crate::model::sha256_hex(b"hello").as_str())
    );
    assert_eq!(made.entries["data/out"].link.as_deref(), Some("../../etc"));
    assert_eq!(
        made.entries["data/sub/b"].link.as_deref(),
        Some("data/sub/a")
    );
}

#[test]
fn what_is_no_file_is_left_out_and_said() {
    let (_dir, data) = data();
    let fifo = c(data.join("fifo").to_str().unwrap());
    // SAFETY: the path ends with a NUL.
    assert_eq!(unsafe { libc::mkfifo(fifo.as_ptr(), 0o600) }, 0);
    let _socket = std::os::unix::net::UnixListener::bind(data.join("socket")).unwrap();
    let device = c(data.join("null").to_str().unwrap());
    // SAFETY: the path ends with a NUL. (Only root may; others have one kind less here.)
    let has_device =
        unsafe { libc::mknod(device.as_ptr(), libc::S_IFCHR | 0o600, libc::makedev(1, 3)) } == 0;
    let made = make(&data, &[]);
    assert_eq!(made.entries.len(), 1);
    let mut expected = vec!["data/fifo is not in the backup: it is a FIFO"];
    if has_device {
        expected.push("data/null is not in the backup: it is a device");
    }
    expected.push("data/socket is not in the backup: it is a socket");
    assert_eq!(made.warnings, expected);
}

#[test]
fn what_cannot_be_read_is_said() {
    let (dir, data) = data();
    for open in [dir.path(), &data] {
        fs::set_permissions(open, fs::Permissions::from_mode(0o755)).unwrap();
    }
    fs::write(data.join("secret"), "x").unwrap();
    fs::set_permissions(data.join("secret"), fs::Permissions::from_mode(0o0)).unwrap();
    fs::create_dir(data.join("closed")).unwrap();
    fs::write(data.join("closed/in"), "x").unwrap();
    fs::set_permissions(data.join("closed"), fs::Permissions::from_mode(0o0)).unwrap();
    fs::write(data.join("open"), "x").unwrap();
    // SAFETY: this thread alone becomes somebody else for files; a number is all that is passed.
    let before = unsafe { libc::setfsuid(65534) };
    let made = make(&data, &[]);
    // SAFETY: as before.
    unsafe { libc::setfsuid(before as libc::uid_t) };
    fs::set_permissions(data.join("closed"), fs::Permissions::from_mode(0o700)).unwrap();
    let denied = "Permission denied (os error 13)";
    assert_eq!(
        made.warnings,
        [
            format!("data/closed is not in the backup: what is in it can't be read: {denied}"),
            format!("data/secret is not in the backup: {denied}"),
        ]
    );
    let kept: Vec<&str> = made.entries.keys().map(String::as_str).collect();
    assert_eq!(kept, ["data", "data/closed", "data/open"]);
}

#[test]
fn excludes_prune_and_the_canary_must_not_be_among_them() {
    let (_dir, data) = data();
    for path in ["cache/a/b", "keep/a", "keep/x.tmp", "y.tmp"] {
        let path = data.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "x").unwrap();
    }
    let made = make(&data, &["cache/**", "*.tmp"]);
    let kept: Vec<&str> = made.entries.keys().map(String::as_str).collect();
    let expected = [
        "data",
        "data/cache",
        "data/keep",
        "data/keep/a",
        "data/keep/x.tmp",
    ];
    assert_eq!(kept, expected);

    let canary = |place: &str| Canary {
        token: "0".repeat(32),
        at: String::new(),
        place: place.to_owned(),
    };
    let source = Directories {
        paths: vec![data.display().to_string()],
        exclude: vec!["*.tmp".to_owned()],
        one_file_system: false,
    };
    assert!(try_make(&source, Some(&canary("data/keep/a"))).is_ok());
    let error = try_make(&source, Some(&canary("data/y.tmp")))
        .err()
        .unwrap();
    assert!(error.to_string().contains("is it excluded"), "{error}");
}

#[test]
fn directories_that_would_be_one_are_refused() {
    let source = |paths: &[&str]| Directories {
        paths: paths.iter().map(|path| (*path).to_owned()).collect(),
        exclude: vec![],
        one_file_system: false,
    };
    for (paths, why) in [
        (vec!["/a/data", "/b/data"], "two directories"),
        (vec!["/"], "no last name"),
        (vec!["/a/.."], "no last name"),
        (vec!["data"], "absolute"),
        (vec!["/a/.seawall"], "is ours"),
        (vec!["/no/such/directory"], "opening the directory"),
    ] {
        let error = try_make(&source(&paths), None).err().unwrap().to_string();
        assert!(error.contains(why), "{error}");
    }
}

#[test]
fn other_file_systems_are_left_out_where_that_is_asked_for() {
    // /dev has others below it wherever there is a /dev/pts or /dev/shm.
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap();
    if !mounts.contains(" /dev/pts ") {
        panic!("this test needs /dev/pts, a file system below /dev");
    }
    let source = |one_file_system| Directories {
        paths: vec!["/dev".to_owned()],
        exclude: vec![
            "shm/**".to_owned(),
            "mqueue/**".to_owned(),
            "hugepages/**".to_owned(),
        ],
        one_file_system,
    };
    let pts = "dev/pts/ptmx";
    let said = |made: &Made| made.warnings.iter().any(|text| text.starts_with(pts));
    assert!(said(&try_make(&source(false), None).unwrap()));
    let made = try_make(&source(true), None).unwrap();
    assert!(!said(&made));
    assert!(made.entries.contains_key("dev/pts"));
}

#[test]
fn what_vanishes_or_is_swapped_while_we_look_is_said() {
    let (_dir, data) = data();
    symlink("/etc/passwd", data.join("swapped")).unwrap();
    fs::write(data.join("a"), "x").unwrap();
    let (programs, progress) = (Programs::default(), Progress::default());
    let around = Surroundings {
        programs: &programs,
        progress: &progress,
        abort: &AtomicBool::new(false),
        secrets: vec![],
        stores: vec![],
    };
    let header = serde_json::json!({"format": 1, "version": "", "policy": "", "source": "",
        "kind": "directories", "data_time": ""});
    let header = serde_json::from_value(header).unwrap();
    let mut archive = ArchiveWriter::new(io::sink(), &header, 0, &progress).unwrap();
    let mut warnings = Warnings::default();
    let mut walk = Walk {
        excludes: Excludes::new(&[]).unwrap(),
        one_file_system: false,
        canary: None,
        device: 0,
        prefix: 5,
        path: b"data/x".to_vec(),
        links: HashMap::new(),
        around: &around,
        archive: &mut archive,
        warnings: &mut warnings,
    };
    let at = File::open(&data).unwrap();
    for (name, hint) in [
        ("gone", libc::DT_REG),
        ("gone", libc::DT_DIR),
        ("gone", libc::DT_UNKNOWN),
        ("gone", libc::DT_LNK),
        ("swapped", libc::DT_REG),
        ("swapped", libc::DT_DIR),
        ("a", libc::DT_DIR),
    ] {
        assert!(walk.visit(at.as_fd(), &c(name), hint).unwrap().is_none());
    }
    let vanished = "data/x is not in the backup: it vanished before it was read";
    let replaced = "data/x is not in the backup: it was replaced while it was read";
    let mut expected = vec![vanished; 4];
    expected.extend([replaced; 3]);
    assert_eq!(warnings.texts(), expected);
    let (_, manifest) = archive.finish(0, &[]).unwrap();
    assert_eq!(manifest.end().entries, 0);
}

#[test]
fn a_deep_directory_is_said_to_be_too_deep() {
    let (_dir, data) = data();
    let deep: PathBuf = std::iter::once(data.clone())
        .chain((0..300).map(|_| PathBuf::from("d")))
        .collect();
    fs::create_dir_all(&deep).unwrap();
    let made = make(&data, &[]);
    assert_eq!(made.entries.len(), 258);
    assert_eq!(made.warnings.len(), 1);
    assert!(made.warnings[0].contains("more than 256 directories deep"));
}

#[test]
fn a_file_that_changed_is_told_from_one_that_did_not() {
    let (_dir, data) = data();
    fs::write(data.join("a"), "x").unwrap();
    let stat = || at::stat_file(File::open(data.join("a")).unwrap().as_fd()).unwrap();
    let whole = |size, read, cut| Stored {
        size,
        read,
        cut,
        error: None,
    };
    let before = stat();
    assert_eq!(oddity(&before, Ok(stat()), &whole(1, 1, false)), None);
    let said = oddity(&before, Ok(stat()), &whole(9, 1, false)).unwrap();
    assert!(said.contains("shrank") && said.contains("1 of 9"), "{said}");
    let said = oddity(&before, Ok(stat()), &whole(1, 1, true)).unwrap();
    assert!(said.contains("grew"), "{said}");
    fs::write(data.join("a"), "xy").unwrap();
    let said = oddity(&before, Ok(stat()), &whole(1, 1, false)).unwrap();
    assert!(said.contains("changed while"), "{said}");
    let broken = Stored {
        error: Some(io::Error::from_raw_os_error(libc::EIO)),
        ..whole(9, 1, false)
    };
    let said = oddity(&before, Ok(stat()), &broken).unwrap();
    assert!(said.contains("not whole"), "{said}");
}

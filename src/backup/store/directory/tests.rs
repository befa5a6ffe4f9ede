use std::io::{Read, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

use super::*;

fn store() -> (tempfile::TempDir, DirectoryStore) {
    let dir = tempfile::tempdir().unwrap();
    let store = DirectoryStore::new(dir.path());
    (dir, store)
}

fn put(store: &DirectoryStore, name: &str, bytes: &[u8]) -> Result<(), StoreError> {
    let mut upload = store.create(name)?;
    upload.write_all(bytes).unwrap();
    upload.finish()
}

fn names(objects: Vec<Object>) -> Vec<String> {
    objects.into_iter().map(|o| o.name).collect()
}

/// Everything below, hidden things too.
fn all_files(dir: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(all_files(&path));
        } else {
            found.push(path.display().to_string());
        }
    }
    found
}

#[test]
fn what_was_written_is_listed_and_read() {
    let (dir, store) = store();
    put(&store, "db/b", b"two").unwrap();
    put(&store, "db/a", b"one!").unwrap();
    put(&store, "dbs/c", b"").unwrap();
    put(&store, "top", b"t").unwrap();
    let listed = store.list("db/").unwrap();
    assert_eq!(listed[0].size, 4);
    assert!(listed[0].modified.is_some());
    assert_eq!(names(listed), ["db/a", "db/b"]);
    assert_eq!(
        names(store.list("").unwrap()),
        ["db/a", "db/b", "dbs/c", "top"]
    );
    assert_eq!(names(store.list("db").unwrap()), ["db/a", "db/b", "dbs/c"]);
    assert_eq!(names(store.list("nothing/").unwrap()), [""; 0]);
    let mut blob = store.open("db/b").unwrap();
    let mut read = String::new();
    blob.read_to_string(&mut read).unwrap();
    assert_eq!((blob.size(), read.as_str()), (3, "two"));
    assert_eq!(store.get("db/a", 4).unwrap(), b"one!");
    let error = store.get("db/a", 3).unwrap_err();
    assert!(error.to_string().contains("4 bytes"), "{error}");
    let mode = |path: &str| std::fs::metadata(dir.path().join(path)).unwrap().mode() & 0o777;
    assert_eq!((mode("db"), mode("db/a")), (0o700, 0o600));
}

#[test]
fn nothing_is_there_before_its_end() {
    let (dir, store) = store();
    let mut upload = store.create("db/a").unwrap();
    upload.write_all(&vec![7; 1 << 20]).unwrap();
    assert_eq!(names(store.list("").unwrap()), [""; 0]);
    assert!(store.open("db/a").is_err_and(|e| e.absent));
    // Its writer lives.
    assert_eq!(names(store.leftovers("db/").unwrap()), [""; 0]);
    drop(upload);
    assert_eq!(all_files(dir.path()), [""; 0]);
}

#[test]
fn nothing_is_replaced() {
    let (dir, store) = store();
    put(&store, "a", b"one").unwrap();
    let error = store.create("a").err().unwrap();
    assert!(error.to_string().contains("ever replaced"), "{error}");
    // Two writers at once: the second to end is refused.
    let (mut first, mut second) = (store.create("b").unwrap(), store.create("b").unwrap());
    first.write_all(b"first").unwrap();
    second.write_all(b"second").unwrap();
    first.finish().unwrap();
    let error = second.finish().unwrap_err();
    assert!(error.to_string().contains("ever replaced"), "{error}");
    assert_eq!(store.get("b", 10).unwrap(), b"first");
    assert_eq!(all_files(dir.path()).len(), 2);
}

#[test]
fn what_a_dead_writer_left_is_named_and_not_listed() {
    let (dir, store) = store();
    put(&store, "db/a", b"one").unwrap();
    let part = dir.path().join("db/.b.0123abcd.part");
    std::fs::write(&part, b"half").unwrap();
    std::fs::write(dir.path().join(".top.0123abcd.part"), b"").unwrap();
    std::fs::write(dir.path().join("db/.hidden"), b"another's").unwrap();
    assert_eq!(names(store.list("").unwrap()), ["db/a"]);
    assert_eq!(
        names(store.leftovers("db/").unwrap()),
        ["db/.b.0123abcd.part"]
    );
    assert_eq!(
        names(store.leftovers("").unwrap()),
        [".top.0123abcd.part", "db/.b.0123abcd.part"]
    );
    assert!(part.exists());
}

#[test]
fn symbolic_links_are_not_followed() {
    let (dir, store) = store();
    let outside = tempfile::tempdir().unwrap();
    std::fs::write(outside.path().join("secret"), b"secret").unwrap();
    symlink(outside.path(), dir.path().join("folder")).unwrap();
    symlink(outside.path().join("secret"), dir.path().join("file")).unwrap();
    assert_eq!(names(store.list("").unwrap()), [""; 0]);
    assert!(store.list("folder/").is_err());
    assert!(store.open("folder/secret").is_err());
    let error = store.open("file").err().unwrap();
    assert!(error.to_string().contains("symbolic link"), "{error}");
    assert!(store.create("folder/new").is_err());
    assert!(store.create("file").is_err());
    assert_eq!(std::fs::read_dir(outside.path()).unwrap().count(), 1);
}

#[test]
fn what_is_no_file_is_no_backup() {
    let (dir, store) = store();
    std::fs::create_dir(dir.path().join("d")).unwrap();
    let fifo = c(dir.path().join("fifo").as_os_str()).unwrap();
    // SAFETY: a path that ends with NUL.
    assert_eq!(unsafe { libc::mkfifo(fifo.as_ptr(), 0o600) }, 0);
    assert_eq!(names(store.list("").unwrap()), [""; 0]);
    for name in ["d", "fifo"] {
        let error = store.open(name).err().unwrap();
        assert!(error.to_string().contains("not a file"), "{error}");
        assert!(!error.absent);
    }
}

#[test]
fn names_that_lead_out_are_refused() {
    let (_dir, store) = store();
    for name in ["../a", "a/../../b", "/etc/passwd", "", "a//b", ".hidden"] {
        assert!(store.open(name).is_err(), "{name}");
        assert!(store.create(name).is_err(), "{name}");
        assert!(store.get(name, 10).is_err(), "{name}");
    }
}

#[test]
fn a_store_that_is_not_there_is_not_an_empty_one() {
    let dir = tempfile::tempdir().unwrap();
    let store = DirectoryStore::new(&dir.path().join("unmounted"));
    for error in [
        store.list("").unwrap_err(),
        store.open("a").err().unwrap(),
        store.create("a").err().unwrap(),
    ] {
        assert!(!error.absent);
        assert!(error.to_string().contains("mount"), "{error}");
    }
    assert!(!dir.path().join("unmounted").exists());
}

#[test]
fn a_file_that_shrinks_while_it_is_read_is_an_error() {
    let (dir, store) = store();
    put(&store, "a", &[1; 1000]).unwrap();
    let mut blob = store.open("a").unwrap();
    let file = OpenOptions::new()
        .write(true)
        .open(dir.path().join("a"))
        .unwrap();
    file.set_len(400).unwrap();
    let error = blob.read_to_end(&mut Vec::new()).unwrap_err();
    assert_eq!(error.to_string(), "the store said 1000 bytes and gave 400");
}

#[test]
fn a_full_disk_leaves_nothing() {
    let (dir, store) = store();
    let mount = MiniDisk::new(dir.path());
    let mut upload = store.create("db/a").unwrap();
    let error = (0..64)
        .find_map(|_| upload.write_all(&[1; 256 << 10]).err())
        .expect("the disk is full");
    assert!(error.to_string().contains("make room"), "{error}");
    drop(upload);
    assert_eq!(all_files(dir.path()), [""; 0]);
    drop(mount);
}

/// A file system of one megabyte.
struct MiniDisk(CString);

impl MiniDisk {
    fn new(at: &Path) -> MiniDisk {
        let at = c(at.as_os_str()).unwrap();
        // SAFETY: texts that end with NUL.
        let code = unsafe {
            libc::mount(
                c"tmpfs".as_ptr(),
                at.as_ptr(),
                c"tmpfs".as_ptr(),
                libc::MS_NOSUID | libc::MS_NODEV,
                c"size=1m".as_ptr().cast(),
            )
        };
        assert_eq!(
            code,
            0,
            "mounting a tmpfs needs root: {}",
            io::Error::last_os_error()
        );
        MiniDisk(at)
    }
}

impl Drop for MiniDisk {
    fn drop(&mut self) {
        // SAFETY: a text that ends with NUL.
        unsafe { libc::umount2(self.0.as_ptr(), libc::MNT_DETACH) };
    }
}

#[test]
fn a_writable_folder_of_others_is_no_reason_to_make_files_for_others() {
    let (dir, store) = store();
    std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o777)).unwrap();
    put(&store, "a", b"x").unwrap();
    let mode = std::fs::metadata(dir.path().join("a")).unwrap().mode();
    assert_eq!(mode & 0o777, 0o600);
}

//! Making backups of directories, repositories and programs; other programs read them.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use seawall::backup::archive::{ArchiveHeader, Entry, EntryKind, HEADER, MANIFEST, Manifest};
use seawall::backup::archive::{canary, unescape};

use super::support::{Site, script};
use crate::recovery::world::run;

/// Path → what is there, in words.
fn tree(root: &Path) -> BTreeMap<Vec<u8>, String> {
    let mut found = BTreeMap::new();
    let mut left = vec![root.to_owned()];
    while let Some(path) = left.pop() {
        let about = fs::symlink_metadata(&path).expect("it is there");
        let place = path.strip_prefix(root).expect("it is below");
        let place = place.as_os_str().as_bytes().to_vec();
        let mut said = format!(
            "{:o} {} {} {}",
            about.mode(),
            about.uid(),
            about.gid(),
            about.mtime()
        );
        if about.is_dir() {
            left.extend(fs::read_dir(&path).unwrap().map(|e| e.unwrap().path()));
        } else if about.is_symlink() {
            said = format!("{:?}", fs::read_link(&path).unwrap());
        } else {
            let content = fs::read(&path).unwrap();
            said += &format!(" {} {}", about.nlink(), hash(&content));
        }
        found.insert(place, said);
    }
    found
}

fn hash(bytes: &[u8]) -> String {
    seawall::model::sha256_hex(bytes)
}

fn manifest(extracted: &Path) -> Vec<Entry> {
    let file = fs::File::open(extracted.join(MANIFEST)).expect("a manifest");
    let manifest = Manifest::read(file).expect("a good one");
    manifest.entries().map(|entry| entry.unwrap()).collect()
}

fn header(extracted: &Path) -> ArchiveHeader {
    let bytes = fs::read(extracted.join(HEADER)).expect("a header");
    serde_json::from_slice(&bytes).expect("a good one")
}

/// Bytes that look random and are always the same.
fn noise(seed: u64, count: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    (0..count)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 32) as u8
        })
        .collect()
}

#[test]
fn age_zstd_and_tar_restore_what_was_there() {
    let site = Site::new();
    let data = site.path("data");
    for directory in ["data/a/b", "data/empty"] {
        fs::create_dir_all(site.path(directory)).unwrap();
    }
    for (name, size) in [
        ("none", 0),
        ("block", 512),
        ("small", 700),
        ("big", 3_000_001),
    ] {
        fs::write(data.join("a").join(name), noise(size as u64, size)).unwrap();
    }
    let modes = [("none", 0o600), ("block", 0o4755), ("small", 0o640)];
    for (name, mode) in modes {
        let path = data.join("a").join(name);
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }
    fs::set_permissions(data.join("empty"), fs::Permissions::from_mode(0o1777)).unwrap();
    symlink("../../../etc/passwd", data.join("a/out")).unwrap();
    symlink("x".repeat(150), data.join("a/far")).unwrap();
    fs::hard_link(data.join("a/big"), data.join("z-same")).unwrap();
    let long: PathBuf = (0..20).map(|_| "n".repeat(90)).collect();
    fs::create_dir_all(data.join(&long)).unwrap();
    fs::write(data.join(&long).join("deep"), "x").unwrap();
    let before = tree(&data);
    let (backup, warnings) = site.create(&format!("directories: {{paths: [{}]}}", data.display()));
    assert_eq!(warnings, Vec::<String>::new());
    let extracted = site.extract(&backup, "out");
    assert_eq!(tree(&extracted.join("data")), before);
    assert_eq!(backup.files, 5);
    let all = manifest(&extracted);
    assert_eq!(all.len(), before.len());
    for entry in all.iter().filter(|entry| entry.kind == EntryKind::File) {
        let content = fs::read(extracted.join(&entry.path)).unwrap();
        assert_eq!(entry.sha256.as_deref(), Some(hash(&content).as_str()));
    }
    assert_eq!(header(&extracted).data_time, backup.data_time);
}

#[test]
fn ten_thousand_odd_names_come_back() {
    let site = Site::new();
    let data = site.path("data");
    fs::create_dir(&data).unwrap();
    for n in 0..10_000_u64 {
        let length = 1 + (n % 130) as usize;
        let mut name = n.to_be_bytes()[5..].to_vec();
        name.extend(noise(n, length));
        name.retain(|byte| !matches!(byte, 0 | b'/'));
        name.extend(n.to_string().bytes());
        fs::write(data.join(OsString::from_vec(name)), n.to_string()).unwrap();
    }
    let before = tree(&data);
    let (backup, warnings) = site.create(&format!("directories: {{paths: [{}]}}", data.display()));
    assert_eq!((warnings.len(), backup.files), (0, 10_000));
    let extracted = site.extract(&backup, "out");
    assert_eq!(tree(&extracted.join("data")), before);
    let names = manifest(&extracted);
    for entry in names.iter().filter(|entry| entry.kind == EntryKind::File) {
        let path = unescape(&entry.path).expect("a name");
        let path = path.strip_prefix(b"data/").expect("below");
        assert!(before.contains_key(path), "{}", entry.path);
    }
}

#[test]
fn a_stream_is_cat_of_its_parts() {
    let site = Site::new();
    let wanted = noise(3, 40_000_000);
    fs::write(site.path("big"), &wanted).unwrap();
    let source = format!(
        "command: {{run: [cat, {}], file: big.bin}}",
        site.path("big").display()
    );
    let (backup, warnings) = site.create(&source);
    assert_eq!(warnings, Vec::<String>::new());
    let extracted = site.extract(&backup, "out");
    assert_eq!(fs::read_dir(extracted.join("stream")).unwrap().count(), 3);
    assert!(site.joined(&extracted) == wanted);
    let all = manifest(&extracted);
    assert_eq!(all.len(), 1);
    assert_eq!((all[0].path.as_str(), all[0].size), ("big.bin", 40_000_000));
    assert_eq!(all[0].sha256, Some(hash(&wanted)));
    assert_eq!(header(&extracted).stream.as_deref(), Some("big.bin"));
}

#[test]
fn a_program_that_prints_nothing_is_said_to() {
    let site = Site::new();
    let (backup, warnings) = site.create("command: {run: ['true'], file: x}");
    assert_eq!(warnings, ["true printed nothing: the backup is empty"]);
    assert_eq!((backup.bytes, backup.warnings), (0, 1));
    assert!(
        site.fails("command: {run: ['false'], file: x}")
            .contains("exit code 1")
    );
    let error = site.fails("command: {run: [/no/such/program], file: x}");
    assert!(error.contains("does not start"), "{error}");
    let error = site.fails("command: {run: ['true'], file: a/b}");
    assert!(error.contains("name of one file"), "{error}");
}

#[test]
fn a_store_is_not_backed_up_into_itself() {
    let site = Site::new();
    let source = format!("directories: {{paths: [{}]", site.path("").display());
    let error = site.fails(&format!("{source}}}"));
    assert!(error.contains("is a store of these backups"), "{error}");
    site.create(&format!("{source}, exclude: [near, far]}}"));
}

#[test]
fn a_canary_is_written_kept_and_pruned() {
    let site = Site::new();
    let data = site.path("data");
    fs::create_dir_all(data.join("sub")).unwrap();
    let file = data.join("sub/.canary");
    let source = format!(
        "directories: {{paths: [{}]}}, canary: {{file: {}}}",
        data.display(),
        file.display()
    );
    for round in 1..=12 {
        let (backup, warnings) = site.create(&source);
        assert_eq!(warnings, Vec::<String>::new());
        let text = fs::read_to_string(&file).unwrap();
        let all = canary::tokens(&text);
        assert_eq!(all.len(), round.min(canary::KEPT));
        let (token, at) = *all.last().unwrap();
        let claim = backup.canary.clone().expect("a claim");
        assert_eq!(claim.token_sha256, hash(token.as_bytes()));
        assert_eq!(
            (claim.at.as_str(), claim.place.as_str()),
            (at, "data/sub/.canary")
        );
        assert_eq!(at, backup.data_time);
        assert_eq!(fs::metadata(&file).unwrap().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(data.join("sub")).unwrap().count(), 1);
        if round == 12 {
            let extracted = site.extract(&backup, "out");
            let kept = fs::read_to_string(extracted.join("data/sub/.canary")).unwrap();
            assert_eq!(kept, text);
            assert_eq!(header(&extracted).canary.unwrap().token, token);
        }
    }
    // Nobody who may write into the source can turn us elsewhere.
    let victim = site.path("victim");
    fs::write(&victim, "").unwrap();
    fs::remove_file(&file).unwrap();
    symlink(&victim, &file).unwrap();
    assert!(site.fails(&source).contains("writing the canary"));
    assert_eq!(fs::read(&victim).unwrap(), b"");
    let elsewhere = source.replace("sub/.canary", "../victim");
    assert!(site.fails(&elsewhere).contains("absolute path below"));
}

/// Git, with nothing of the user's.
fn git(at: &Path, args: &[&str]) -> String {
    let out = run(Command::new("git")
        .args(["-c", "user.name=t", "-c", "user.email=t@localhost"])
        .args(["-c", "init.defaultBranch=main", "-c", "safe.directory=*"])
        .args(["-c", "protocol.file.allow=always"])
        .args(args)
        .current_dir(at));
    String::from_utf8_lossy(&out.stdout).trim().to_owned()
}

#[test]
fn a_repository_can_be_cloned_from_its_backup() {
    let site = Site::new();
    let repository = site.path("code");
    let source = format!("git: {{repository: {}}}", repository.display());
    fs::create_dir(&repository).unwrap();
    git(&repository, &["init", "-q"]);
    assert!(site.fails(&source).contains("is empty"));
    fs::write(repository.join("a"), "x").unwrap();
    git(&repository, &["add", "a"]);
    for n in 0..3 {
        git(
            &repository,
            &["commit", "-q", "--allow-empty", "-m", &n.to_string()],
        );
    }
    git(&repository, &["branch", "other"]);
    git(&repository, &["tag", "v1"]);
    // What belongs to somebody else is backed up too, and runs nothing.
    let trap = script(&site.path("trap"), "touch \"$0.sprung\"");
    git(&repository, &["config", "core.fsmonitor", &trap]);
    run(Command::new("chown")
        .args(["-R", "nobody"])
        .arg(&repository));
    let (backup, warnings) = site.create(&source);
    assert_eq!(warnings, Vec::<String>::new());
    assert!(!site.path("trap.sprung").exists());
    let extracted = site.extract(&backup, "out");
    let bundle = site.path("s.bundle");
    fs::write(&bundle, site.joined(&extracted)).unwrap();
    git(&site.path(""), &["clone", "-q", "s.bundle", "clone"]);
    let clone = site.path("clone");
    assert_eq!(git(&clone, &["rev-list", "--count", "HEAD"]), "3");
    assert_eq!(git(&clone, &["tag"]), "v1");
    let branches = git(&clone, &["branch", "-r"]);
    assert!(branches.contains("origin/other"), "{branches}");
}

#[test]
fn a_repository_that_is_not_whole_is_refused() {
    let site = Site::new();
    let repository = site.path("code");
    fs::create_dir(&repository).unwrap();
    git(&repository, &["init", "-q"]);
    for n in 0..3 {
        git(
            &repository,
            &["commit", "-q", "--allow-empty", "-m", &n.to_string()],
        );
    }
    let from = format!("file://{}", repository.display());
    git(
        &site.path(""),
        &["clone", "-q", "--depth", "1", &from, "shallow"],
    );
    let source = |name: &str| format!("git: {{repository: {}}}", site.path(name).display());
    assert!(site.fails(&source("shallow")).contains("is shallow"));
    // A directory within a repository is not that repository.
    fs::create_dir(repository.join("sub")).unwrap();
    let error = site.fails(&source("code/sub"));
    assert!(error.contains("not a git repository"), "{error}");
    assert!(site.fails(&source("none")).contains("none"));
    // An object that is missing.
    let commit = git(&repository, &["rev-parse", "HEAD~1"]);
    let (two, rest) = commit.split_at(2);
    fs::remove_file(repository.join(".git/objects").join(two).join(rest)).unwrap();
    let error = site.fails(&source("code"));
    assert!(error.contains("git bundle failed"), "{error}");
}

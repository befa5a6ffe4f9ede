//! The base root: a Debian 12 that all hosts lie on, made once by mmdebstrap and kept.

use std::ffi::OsString;
use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::command::{program, run};
use super::error::{Doing, LabError};
use super::mirror;

/// Where bases are kept unless `SEAWALL_LAB_CACHE` names another place.
const CACHE: &str = "/var/cache/seawall/lab";
const SUITE: &str = "bookworm";
/// Raised when the recipe changes in a way that the texts below don't show.
const RECIPE: &str = "1";
const FINISH: &str = include_str!("finish.sh");

/// What a small Debian 12 server has.
const PACKAGES: [&str; 25] = [
    "apt",
    "ca-certificates",
    "cron",
    "dbus",
    "debian-archive-keyring",
    "e2fsprogs",
    "iproute2",
    "iputils-ping",
    "kmod",
    "less",
    "libpam-modules",
    "libpam-systemd",
    "login",
    "logrotate",
    "nano",
    "netbase",
    "nftables",
    "openssh-server",
    "passwd",
    "procps",
    "rsyslog",
    "sudo",
    "systemd",
    "systemd-sysv",
    "tzdata",
];

/// Manuals and translations are two thirds of the files and no rule asks for them.
const DPKG: [&str; 4] = [
    "force-unsafe-io",
    "path-exclude=/usr/share/man/*",
    "path-exclude=/usr/share/doc/*",
    "path-exclude=/usr/share/locale/*",
];

/// The folder that bases are kept in.
pub(super) fn cache(chosen: Option<&Path>) -> PathBuf {
    match (chosen, std::env::var_os("SEAWALL_LAB_CACHE")) {
        (Some(chosen), _) => chosen.to_owned(),
        (None, Some(named)) if !named.is_empty() => PathBuf::from(named),
        _ => PathBuf::from(CACHE),
    }
}

/// The base with these packages on top of ours, made if it isn't there. Two that ask at once get
/// the same: the second waits for the first.
pub(super) fn provide(
    cache: &Path,
    extra: &[String],
    say: &dyn Fn(&str),
) -> Result<PathBuf, LabError> {
    let base = cache.join(key(extra));
    if base.is_dir() {
        return Ok(base);
    }
    fs::create_dir_all(cache).doing("making", cache)?;
    let lock_path = cache.join(".lock");
    let lock = File::create(&lock_path).doing("making", &lock_path)?;
    if lock.try_lock().is_err() {
        say("waiting for another run that makes the base");
        lock.lock().doing("locking", &lock_path)?;
    }
    // Ours is the only run that builds here: what is half-made is of one that was killed.
    for entry in fs::read_dir(cache).doing("reading", cache)?.flatten() {
        if entry.file_name().to_string_lossy().starts_with(".building") {
            let path = entry.path();
            fs::remove_dir_all(&path).doing("removing", &path)?;
        }
    }
    if !base.is_dir() {
        say("making the Debian 12 base (once; about half a minute)");
        build(cache, &base, extra)?;
    }
    Ok(base)
}

fn packages(extra: &[String]) -> Vec<&str> {
    let mut packages = PACKAGES.to_vec();
    packages.extend(extra.iter().map(String::as_str));
    packages.sort_unstable();
    packages.dedup();
    packages
}

/// The same recipe has the same name; another recipe, another.
fn key(extra: &[String]) -> String {
    let mut hash = Sha256::new();
    for part in [SUITE, std::env::consts::ARCH, RECIPE, FINISH]
        .into_iter()
        .chain(DPKG)
        .chain(packages(extra))
    {
        hash.update(part.as_bytes());
        hash.update([0]);
    }
    let digest = hash.finalize();
    let hex: String = digest.iter().take(8).map(|b| format!("{b:02x}")).collect();
    format!("{SUITE}-{hex}")
}

fn build(cache: &Path, base: &Path, extra: &[String]) -> Result<(), LabError> {
    let building = cache.join(".building");
    fs::create_dir_all(&building).doing("making", &building)?;
    let finish = building.join("finish");
    fs::write(&finish, FINISH).doing("writing", &finish)?;
    fs::set_permissions(&finish, fs::Permissions::from_mode(0o755)).doing("changing", &finish)?;
    let root = building.join("root");
    run(
        "making the base root",
        // In a mount and a process namespace of its own, and killed with its parent: an
        // interrupted build leaves no mount and no process.
        program("unshare")
            .args(["--mount", "--pid", "--fork", "--kill-child", "--mount-proc"])
            .args(["--propagation", "private"])
            .args(arguments(&root, &finish, extra)?),
        "",
    )?;
    fs::rename(&root, base).doing("renaming to", base)?;
    fs::remove_dir_all(&building).doing("removing", &building)
}

fn arguments(root: &Path, finish: &Path, extra: &[String]) -> Result<Vec<OsString>, LabError> {
    let mut args: Vec<OsString> = ["mmdebstrap", "--quiet", "--mode=root", "--variant=minbase"]
        .into_iter()
        .map(OsString::from)
        .collect();
    args.push("--format=directory".into());
    args.push(format!("--include={}", packages(extra).join(",")).into());
    args.extend(DPKG.map(|o| format!("--dpkgopt={o}").into()));
    let dump = run(
        "reading apt's settings",
        program("apt-config").arg("dump"),
        "",
    )?;
    let mut settings = mirror::settings(&String::from_utf8_lossy(&dump.stdout));
    settings.push("Acquire::Languages \"none\"".to_owned());
    settings.push("APT::Install-Recommends \"false\"".to_owned());
    args.extend(settings.iter().map(|o| format!("--aptopt={o}").into()));
    let mut hook = OsString::from("--customize-hook=");
    hook.push(finish);
    args.push(hook);
    args.push(SUITE.into());
    args.push(root.into());
    let lines = mirror::sources(&source_texts(), SUITE, mirror::keyring_exists());
    args.extend(lines.into_iter().map(OsString::from));
    Ok(args)
}

fn source_texts() -> Vec<String> {
    let mut files = vec![PathBuf::from("/etc/apt/sources.list")];
    if let Ok(entries) = fs::read_dir("/etc/apt/sources.list.d") {
        files.extend(entries.flatten().map(|e| e.path()));
    }
    files.sort();
    files
        .iter()
        .filter_map(|f| fs::read_to_string(f).ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_recipe_is_another_base() {
        let none = key(&[]);
        let one = key(&["python3".to_owned()]);
        assert_ne!(none, one);
        assert_eq!(none, key(&["sudo".to_owned()]), "sudo is in every base");
        assert_eq!(
            key(&["a".to_owned(), "b".to_owned()]),
            key(&["b".to_owned(), "a".to_owned()])
        );
    }

    #[test]
    fn what_is_half_made_is_never_given_out() {
        let cache = tempfile::tempdir().unwrap();
        let base = cache.path().join(key(&[]));
        fs::create_dir_all(cache.path().join(".building/root/etc")).unwrap();
        fs::create_dir(&base).unwrap();
        let found = provide(cache.path(), &[], &|_| panic!("nothing is to be made")).unwrap();
        assert_eq!(found, base);
    }
}

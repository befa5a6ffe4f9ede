//! `kernel.*`, `fs.*`, `vm.*` and `dev.*` are the machine's, not a namespace's. A host gets private
//! copies of their files, with the machine's values: a write succeeds and reads back, and the
//! machine stays as it was. `net.*` is the host's own.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::error::{Doing, LabError};

pub(super) const AREAS: [&str; 4] = ["kernel", "fs", "vm", "dev"];

/// Keys that a Debian kernel has and the machine's may lack, with Debian's values: a lab host is
/// to look like a Debian server, whatever kernel it happens to run on.
const DEBIAN: [(&str, &str); 6] = [
    ("kernel/yama/ptrace_scope", "0"),
    ("kernel/sysrq", "438"),
    ("kernel/kexec_load_disabled", "0"),
    ("kernel/modules_disabled", "0"),
    ("kernel/unprivileged_userns_clone", "1"),
    ("dev/tty/ldisc_autoload", "1"),
];

/// Files that stay the kernel's own: what they say differs between hosts or at every read.
pub(super) const LIVE: [&str; 4] = [
    "kernel/hostname",
    "kernel/domainname",
    "kernel/ns_last_pid",
    "kernel/random/uuid",
];

/// Copies the files of all areas from `source` (/proc/sys) to `target`.
pub(super) fn copy(source: &Path, target: &Path) -> Result<(), LabError> {
    for area in AREAS {
        copy_folder(&source.join(area), &target.join(area))?;
    }
    for name in LIVE {
        put(&target.join(name), &[], 0o644)?;
    }
    for (name, value) in DEBIAN {
        if !source.join(name).exists() {
            put(&target.join(name), format!("{value}\n").as_bytes(), 0o644)?;
        }
    }
    Ok(())
}

fn copy_folder(source: &Path, target: &Path) -> Result<(), LabError> {
    fs::create_dir_all(target).doing("making", target)?;
    let Ok(entries) = fs::read_dir(source) else {
        return Ok(());
    };
    for entry in entries.flatten() {
        let (from, to) = (entry.path(), target.join(entry.file_name()));
        let Ok(meta) = entry.metadata() else {
            continue;
        };
        if meta.is_dir() {
            // A mount within, such as binfmt_misc, is something else than sysctls.
            if entry.file_name() != "binfmt_misc" {
                copy_folder(&from, &to)?;
            }
            continue;
        }
        // Some can only be written (vm.drop_caches), some are refused to anyone.
        let value = fs::read(&from).unwrap_or_default();
        put(&to, &value, meta.permissions().mode() & 0o777)?;
    }
    Ok(())
}

fn put(path: &Path, value: &[u8], mode: u32) -> Result<(), LabError> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).doing("making", parent)?;
    }
    if !path.exists() {
        fs::write(path, value).doing("writing", path)?;
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).doing("changing", path)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_values_and_modes_and_adds_what_debian_has() {
        let (source, target) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let from = |name: &str| source.path().join(name);
        for area in AREAS {
            fs::create_dir(from(area)).unwrap();
        }
        put(&from("kernel/sysrq"), b"1\n", 0o644).unwrap();
        put(&from("kernel/osrelease"), b"6.1\n", 0o444).unwrap();
        put(&from("fs/binfmt_misc/status"), b"enabled\n", 0o644).unwrap();
        copy(source.path(), target.path()).unwrap();
        let to = |name: &str| target.path().join(name);
        assert_eq!(fs::read(to("kernel/sysrq")).unwrap(), b"1\n");
        assert_eq!(fs::read(to("kernel/yama/ptrace_scope")).unwrap(), b"0\n");
        let mode = fs::metadata(to("kernel/osrelease")).unwrap().permissions();
        assert_eq!(mode.mode() & 0o777, 0o444);
        assert!(!to("fs/binfmt_misc").exists());
        assert!(LIVE.iter().all(|name| to(name).exists()));
    }
}

//! Each host has a cgroup of its own. It is how a host's processes are found, frozen and killed
//! with certainty: a process can leave its parent and its session, not its cgroup.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::error::{Doing, LabError};

/// The roots of the hierarchies that hold hosts: the unified one first, and on a machine with
/// both versions the named one of version 1, in which systemd-nspawn makes folders too.
pub(super) fn roots() -> Result<Vec<PathBuf>, LabError> {
    let mounts = fs::read_to_string("/proc/self/mounts").doing("reading", "/proc/self/mounts")?;
    parse_roots(&mounts).ok_or(LabError::NoCgroup)
}

fn parse_roots(mounts: &str) -> Option<Vec<PathBuf>> {
    let (mut unified, mut named) = (None, None);
    for line in mounts.lines() {
        let mut words = line.split(' ');
        let (Some(_), Some(place), Some(kind), Some(options)) =
            (words.next(), words.next(), words.next(), words.next())
        else {
            continue;
        };
        // A lab's own hosts mount theirs in namespaces of their own, which are not seen here.
        if kind == "cgroup2" {
            unified.get_or_insert_with(|| PathBuf::from(place));
        } else if kind == "cgroup" && options.split(',').any(|o| o == "name=systemd") {
            named.get_or_insert_with(|| PathBuf::from(place));
        }
    }
    Some(std::iter::once(unified?).chain(named).collect())
}

/// The processes of a cgroup and of all below it.
pub(super) fn processes(cgroup: &Path) -> Vec<i32> {
    let mut found = Vec::new();
    for folder in folders(cgroup) {
        let text = fs::read_to_string(folder.join("cgroup.procs")).unwrap_or_default();
        found.extend(text.lines().filter_map(|l| l.parse::<i32>().ok()));
    }
    found
}

/// Stops all processes of a cgroup where they are, or lets them go on.
pub(super) fn freeze(cgroup: &Path, frozen: bool) -> Result<(), LabError> {
    let file = cgroup.join("cgroup.freeze");
    fs::write(&file, if frozen { "1" } else { "0" }).doing("writing", &file)?;
    let events = cgroup.join("cgroup.events");
    let wanted = if frozen { "frozen 1" } else { "frozen 0" };
    wait(Duration::from_secs(5), || {
        fs::read_to_string(&events).is_ok_and(|text| text.lines().any(|l| l == wanted))
    });
    Ok(())
}

/// Kills every process in the cgroups, those that are born meanwhile included, and returns when
/// none is left. Cgroups that do not exist are as good as empty ones.
pub(super) fn kill(cgroups: &[PathBuf]) -> Result<(), LabError> {
    for cgroup in cgroups {
        if fs::write(cgroup.join("cgroup.kill"), "1").is_err() {
            kill_each(cgroup);
        }
    }
    for cgroup in cgroups {
        let gone = wait(Duration::from_secs(10), || {
            let left = processes(cgroup).is_empty();
            if !left && !cgroup.join("cgroup.kill").exists() {
                kill_each(cgroup);
            }
            left
        });
        if !gone {
            let source = io::Error::other("processes are left after SIGKILL");
            return Err(source).doing("killing all in", cgroup);
        }
    }
    Ok(())
}

/// For kernels before 5.14, which have no cgroup.kill.
fn kill_each(cgroup: &Path) {
    for pid in processes(cgroup) {
        // SAFETY: kill only sends a signal; a pid that is gone is an error that is of no matter.
        unsafe { libc::kill(pid, libc::SIGKILL) };
    }
}

/// Removes a cgroup and all below it. It must be empty of processes.
pub(super) fn remove(cgroup: &Path) -> Result<(), LabError> {
    for folder in folders(cgroup).into_iter().rev() {
        // The kernel may take a moment to see that the last process has left.
        let mut last = Ok(());
        wait(Duration::from_secs(2), || {
            last = match fs::remove_dir(&folder) {
                Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
                other => other,
            };
            last.is_ok()
        });
        last.doing("removing", &folder)?;
    }
    Ok(())
}

/// The cgroup's folder and all below it, parents before children; none if it does not exist.
fn folders(top: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut next = vec![top.to_owned()];
    while let Some(folder) = next.pop() {
        let Ok(entries) = fs::read_dir(&folder) else {
            continue;
        };
        let below = entries.flatten();
        next.extend(
            below
                .filter(|e| e.file_type().is_ok_and(|t| t.is_dir()))
                .map(|e| e.path()),
        );
        found.push(folder);
    }
    found
}

/// Asks again and again until it is so. False: it never was.
pub(super) fn wait(most: Duration, mut so: impl FnMut() -> bool) -> bool {
    let start = Instant::now();
    let mut pause = Duration::from_micros(500);
    loop {
        if so() {
            return true;
        }
        if start.elapsed() > most {
            return false;
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(10));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_hierarchies_of_a_hybrid_and_of_a_unified_machine() {
        let hybrid = "tmpfs /sys/fs/cgroup tmpfs rw 0 0\n\
            cgroup /sys/fs/cgroup/cpu cgroup rw,cpu 0 0\n\
            cgroup /sys/fs/cgroup/systemd cgroup rw,relatime,name=systemd 0 0\n\
            cgroup2 /sys/fs/cgroup/unified cgroup2 rw 0 0\n";
        let expected = ["/sys/fs/cgroup/unified", "/sys/fs/cgroup/systemd"];
        assert_eq!(
            parse_roots(hybrid),
            Some(expected.map(PathBuf::from).to_vec())
        );
        let unified = "cgroup2 /sys/fs/cgroup cgroup2 rw,nosuid 0 0\n";
        assert_eq!(
            parse_roots(unified),
            Some(vec![PathBuf::from("/sys/fs/cgroup")])
        );
        assert_eq!(parse_roots("proc /proc proc rw 0 0\nshort\n"), None);
    }

    #[test]
    fn folders_come_before_what_is_in_them() {
        let top = tempfile::tempdir().unwrap();
        fs::create_dir_all(top.path().join("a/b/c")).unwrap();
        fs::write(top.path().join("a/file"), "").unwrap();
        let found = folders(top.path());
        let names: Vec<_> = found
            .iter()
            .map(|p| p.strip_prefix(top.path()).unwrap().to_str().unwrap())
            .collect();
        assert_eq!(names, ["", "a", "a/b", "a/b/c"]);
        assert!(folders(Path::new("/seawall/no/such")).is_empty());
    }
}

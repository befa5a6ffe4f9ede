//! Processes that use files which were replaced: from all maps, and from needrestart, which also
//! knows of interpreters' scripts, where that is installed.

use std::collections::BTreeMap;

use super::{section, section_of, word};
use crate::model::patch::{PatchSnapshot, StaleProcess};
use crate::shell::Frame;

/// Most processes and files of each that are kept.
const PROCESSES: usize = 1000;
const FILES: usize = 10;

/// What is said of process 1: it is made new by `systemctl daemon-reexec`.
const MANAGER: &str = "systemd-manager";

pub(super) fn read(frames: &[Frame], out: &mut PatchSnapshot) {
    let Some(stale) = section_of(frames, "stale", "stale", &mut out.unseen, |text| {
        Ok(from_maps(text))
    }) else {
        return;
    };
    out.stale = stale;
    out.stale_by = "maps".into();
    // Without the section there is no needrestart; if it fails, maps are what we have.
    if let Ok(frame) = section::answered(frames, "needrestart") {
        let text = frame.text();
        if text.lines().any(|l| l.starts_with("NEEDRESTART-VER:")) {
            add_needrestart(&text, out);
            out.stale_by = "needrestart".into();
        }
    }
}

/// Lines of grep (`/proc/PID/maps:RANGE rwxp OFFSET DEVICE INODE PATH (deleted)`); then for each
/// process `@PID host|inside NAME` and the lines of its cgroup.
fn from_maps(text: &str) -> Vec<StaleProcess> {
    let mut files: BTreeMap<u32, Vec<String>> = BTreeMap::new();
    let mut all = Vec::new();
    // The process whose cgroup is being read, if it is the host's.
    let mut open: Option<StaleProcess> = None;
    let mut group = Group::default();
    let mut close = |open: &mut Option<StaleProcess>, group: &mut Group| {
        let group = std::mem::take(group);
        if let Some(mut process) = open.take()
            && !group.container
        {
            process.unit = match process.pid {
                1 => MANAGER.into(),
                _ => group.unit,
            };
            all.push(process);
        }
    };
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("/proc/") {
            let found = rest.split_once("/maps:").and_then(|(pid, map)| {
                let at = map.find(" /")?;
                let path = map.get(at + 1..)?.strip_suffix(" (deleted)")?;
                Some((pid.parse().ok()?, path))
            });
            if let Some((pid, path)) = found {
                let files = files.entry(pid).or_default();
                // rpm gives a file that it replaces a suffix of this form.
                let path = word(path.rsplit_once(';').map_or(path, |(before, _)| before));
                if files.len() < FILES && !files.contains(&path) {
                    files.push(path);
                }
            }
        } else if let Some(rest) = line.strip_prefix('@') {
            close(&mut open, &mut group);
            let mut words = rest.splitn(3, ' ');
            let pid = words.next().and_then(|p| p.parse().ok());
            let own = words.next() == Some("host");
            open = pid.filter(|_| own).map(|pid: u32| StaleProcess {
                pid,
                program: word(words.next().unwrap_or_default()),
                unit: String::new(),
                files: files.remove(&pid).unwrap_or_default(),
            });
        } else {
            group.read(line);
        }
    }
    close(&mut open, &mut group);
    all.truncate(PROCESSES);
    all
}

#[derive(Default)]
struct Group {
    unit: String,
    container: bool,
}

impl Group {
    /// A line of /proc/PID/cgroup: `N:CONTROLLERS:PATH`.
    fn read(&mut self, line: &str) {
        const CONTAINERS: &[&str] = &[
            "docker",
            "libpod",
            "kubepods",
            "lxc",
            "machine.slice",
            "cri-containerd",
        ];
        let mut words = line.splitn(3, ':');
        let (Some(_), Some(controller), Some(path)) = (words.next(), words.next(), words.next())
        else {
            return;
        };
        if !(controller.is_empty() || controller == "name=systemd") {
            return;
        }
        for part in path.split('/') {
            // The engine itself (`docker.service`) is the host's; what it runs is in `docker-ID.scope`
            // or below `docker/`.
            let is_unit = part.ends_with(".service");
            if !is_unit && CONTAINERS.iter().any(|c| part.starts_with(c)) {
                self.container = true;
            }
            if is_unit && self.unit.is_empty() {
                self.unit = word(part);
            }
        }
    }
}

/// `NEEDRESTART-SVC: UNIT`, and what it says of kernels.
fn add_needrestart(text: &str, out: &mut PatchSnapshot) {
    let mut kernel = (String::new(), String::new());
    for line in text.lines().take(5000) {
        let Some((key, value)) = line.split_once(':') else {
            continue;
        };
        let value = value.trim();
        match key {
            "NEEDRESTART-SVC" if out.stale.len() < PROCESSES => {
                let unit = word(value);
                if !out.stale.iter().any(|p| p.unit == unit) {
                    out.stale.push(StaleProcess {
                        unit,
                        ..StaleProcess::default()
                    });
                }
            }
            "NEEDRESTART-KSTA" => kernel.0 = word(value),
            "NEEDRESTART-KEXP" => kernel.1 = word(value),
            _ => {}
        }
    }
    // 2: a newer build of the same kernel, 3: a newer kernel. In a container it speaks of the
    // machine's.
    if matches!(kernel.0.as_str(), "2" | "3") && out.kernel.newest.is_some() {
        out.reboot_due
            .push(format!("needrestart expects kernel {}", kernel.1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::probe::section::testing::frame;

    const SAID: &str = "/proc/1/maps:7f0-7f1 r-xp 00026000 00:2f 123 /usr/lib/x86_64-linux-gnu/libc.so.6 (deleted)
/proc/77/maps:7f0-7f1 r-xp 00026000 00:2f 123                  /usr/lib/libsea1.so.1 (deleted)
/proc/77/maps:7f2-7f3 r-xp 00026000 00:2f 123                  /usr/lib/libsea1.so.1 (deleted)
/proc/77/maps:7f4-7f5 r-xp 00026000 fd:00 123                  /usr/lib64/libc.so.6;65a1b2c3 (deleted)
/proc/80/maps:7f0-7f1 r-xp 00026000 00:2f 9                  /usr/lib/libc.so (deleted)
/proc/81/maps:7f0-7f1 r-xp 00026000 00:2f 9                  /usr/lib/libc.so (deleted)
/proc/90/maps:7f0-7f1 r-xp 00026000 00:2f 9                  /usr/bin/bash (deleted)
@1 host systemd
0::/init.scope
@77 host sea d
12:cpu:/other.service
1:name=systemd:/system.slice/sea@1.service
0::/
@80 inside nginx
0::/system.slice/docker-aa.scope
@81 host pause
0::/machine.slice/libpod-1234.scope/container
@90 host bash
0::/user.slice/user-0.slice/session-2.scope";

    #[test]
    fn processes_of_the_host_are_told_with_their_units() {
        let stale = from_maps(SAID);
        let short: Vec<_> = stale.iter().map(|p| (p.pid, p.unit.as_str())).collect();
        assert_eq!(short, [(1, MANAGER), (77, "sea@1.service"), (90, "")]);
        assert_eq!(
            stale[1].files,
            ["/usr/lib/libsea1.so.1", "/usr/lib64/libc.so.6"]
        );
        assert_eq!(stale[1].program, "sea d");
    }

    #[test]
    fn an_engine_is_the_hosts_and_what_it_runs_is_not() {
        let mut engine = Group::default();
        engine.read("0::/system.slice/docker.service");
        assert_eq!(
            (engine.unit.as_str(), engine.container),
            ("docker.service", false)
        );
        let mut inner = Group::default();
        inner.read("1:name=systemd:/docker/0123abc");
        assert!(inner.container);
    }

    #[test]
    fn needrestart_adds_what_maps_do_not_show() {
        let mut out = PatchSnapshot::default();
        out.kernel.newest = Some("6.1.0-40-amd64".into());
        read(
            &[
                frame("stale", 0, SAID),
                frame(
                    "needrestart",
                    0,
                    "NEEDRESTART-VER: 3.6\nNEEDRESTART-KCUR: 6.1.0-39-amd64\nNEEDRESTART-KEXP: 6.1.0-40-amd64\nNEEDRESTART-KSTA: 3\nNEEDRESTART-SVC: sea@1.service\nNEEDRESTART-SVC: fail2ban.service\nNEEDRESTART-SESS: root @ session #2",
                ),
            ],
            &mut out,
        );
        assert_eq!(out.stale.len(), 4);
        assert_eq!(out.stale[3].unit, "fail2ban.service");
        assert_eq!(out.stale_by, "needrestart");
        assert_eq!(
            out.reboot_due,
            ["needrestart expects kernel 6.1.0-40-amd64"]
        );
    }

    #[test]
    fn a_needrestart_that_fails_leaves_the_maps() {
        let mut out = PatchSnapshot::default();
        read(
            &[frame("stale", 0, ""), frame("needrestart", 124, "")],
            &mut out,
        );
        assert_eq!(
            (out.stale.len(), out.stale_by.as_str(), out.unseen.len()),
            (0, "maps", 0)
        );
        let mut out = PatchSnapshot::default();
        read(&[frame("stale", 1, "no root")], &mut out);
        assert_eq!(out.unseen["stale"], "no root");
        assert!(out.stale_by.is_empty());
    }
}

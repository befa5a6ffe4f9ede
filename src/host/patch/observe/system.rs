//! Which system it is, its kernels, and whether a reboot is due.

use std::cmp::Ordering;

use super::{section, section_of, word};
use crate::model::patch::{Kernel, Manager, OsRelease, PatchSnapshot};
use crate::shell::Frame;

/// What the system said that others need too.
pub(super) struct System {
    /// `/proc/version`, cleaned.
    pub version: String,
}

pub(super) fn read_boot(frames: &[Frame], out: &mut PatchSnapshot) {
    let Ok(frame) = section::answered(frames, "boot") else {
        return;
    };
    let text = frame.text();
    let (boot, up) = text.trim().split_once(' ').unwrap_or((text.trim(), ""));
    let is_id = boot.len() == 36 && boot.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-');
    if is_id {
        out.boot_id = boot.to_owned();
    }
    out.uptime = up
        .split('.')
        .next()
        .and_then(|s| s.parse().ok())
        .unwrap_or(0);
}

/// Fills in os, architecture, kernels and manager. Why not, where they could not be seen.
pub(super) fn read(frames: &[Frame], out: &mut PatchSnapshot) -> Result<System, String> {
    if let Some(os) = section_of(frames, "os", "os", &mut out.unseen, read_os) {
        out.os = os;
    }
    let text = match section::answered(frames, "system") {
        Ok(frame) => frame.text().into_owned(),
        Err(why) => {
            out.unseen.insert("os".into(), why.clone());
            return Err(why);
        }
    };
    let value = |key: &str| {
        text.lines()
            .find_map(|l| l.strip_prefix(key)?.strip_prefix(' '))
            .unwrap_or_default()
    };
    out.arch = word(value("arch"));
    out.manager = match value("manager") {
        "apt" => Manager::Apt,
        "dnf" => Manager::Dnf,
        _ => Manager::None,
    };
    let installed: Vec<&str> = text
        .lines()
        .filter_map(|l| l.strip_prefix("installed "))
        .filter(|k| !k.contains("rescue"))
        .take(200)
        .collect();
    out.kernel = Kernel {
        running: word(value("running")),
        newest: if value("inside").is_empty() {
            newest(value("running"), &installed).map(word)
        } else {
            None
        },
    };
    Ok(System {
        version: word(value("version")),
    })
}

fn read_os(text: &str) -> Result<OsRelease, String> {
    let value = |key: &str| {
        let raw = text
            .lines()
            .find_map(|l| l.trim().strip_prefix(key)?.strip_prefix('='))
            .unwrap_or_default();
        word(raw.trim_matches(|c| c == '"' || c == '\''))
    };
    let os = OsRelease {
        id: value("ID").to_lowercase(),
        version: value("VERSION_ID"),
        codename: value("VERSION_CODENAME"),
        pretty: value("PRETTY_NAME"),
    };
    if os.id.is_empty() {
        return Err("there is no /etc/os-release that says which system it is".into());
    }
    Ok(os)
}

/// Of the installed kernels, the newest of the running one's flavour (`amd64`, `cloud-amd64`,
/// `generic`): that is what the next boot brings. Without one of its flavour, the newest of all.
fn newest<'a>(running: &str, installed: &[&'a str]) -> Option<&'a str> {
    let kind = flavour(running);
    let newest_of = |all: &mut dyn Iterator<Item = &&'a str>| {
        all.copied()
            .max_by(|a, b| compare_releases(a, b).then_with(|| a.cmp(b)))
    };
    newest_of(&mut installed.iter().filter(|k| flavour(k) == kind))
        .or_else(|| newest_of(&mut installed.iter()))
}

/// What follows the last number of a Debian or Ubuntu kernel's release.
fn flavour(release: &str) -> &str {
    release
        .match_indices('-')
        .find(|(at, _)| {
            release[at + 1..]
                .chars()
                .next()
                .is_some_and(|c| c.is_ascii_alphabetic())
        })
        .map_or("", |(at, _)| &release[at + 1..])
}

/// Numbers as numbers, the rest as text.
fn compare_releases(a: &str, b: &str) -> Ordering {
    let (mut a, mut b) = (pieces(a), pieces(b));
    loop {
        return match (a.next(), b.next()) {
            (None, None) => Ordering::Equal,
            (None, Some(_)) => Ordering::Less,
            (Some(_), None) => Ordering::Greater,
            (Some(x), Some(y)) => {
                let number = |t: &str| t.parse::<u64>().ok();
                let order = match (number(x), number(y)) {
                    (Some(x), Some(y)) => x.cmp(&y),
                    _ => x.cmp(y),
                };
                if order == Ordering::Equal {
                    continue;
                }
                order
            }
        };
    }
}

/// Runs of digits, and runs of anything else.
fn pieces(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let digit = rest.chars().next()?.is_ascii_digit();
        let end = rest
            .find(|c: char| c.is_ascii_digit() != digit)
            .unwrap_or(rest.len());
        let (piece, after) = rest.split_at(end);
        rest = after;
        Some(piece)
    })
}

/// What tells of a reboot beyond the manager's own mark: a newer kernel, and a message bus that
/// uses replaced files, which nothing but a reboot makes new.
pub(super) fn read_reboot(out: &mut PatchSnapshot) {
    if let Some(newest) = &out.kernel.newest
        && !out.kernel.running.is_empty()
        && compare_releases(newest, &out.kernel.running) == Ordering::Greater
    {
        out.reboot_due.push(format!(
            "kernel {newest} is installed and {} runs",
            out.kernel.running
        ));
    }
    let bus = ["dbus.service", "dbus-broker.service"];
    if let Some(process) = out.stale.iter().find(|p| bus.contains(&p.unit.as_str())) {
        let why = format!(
            "{} uses replaced files and cannot be restarted alone",
            process.unit
        );
        out.reboot_due.push(why);
    }
}

/// A kernel of the same name that was built anew: Debian's kernels say their package's version.
pub(super) fn rebuilt_kernel(system: &System, out: &PatchSnapshot) -> Option<String> {
    out.kernel.newest.as_ref()?;
    let (_, rest) = system.version.rsplit_once(" Debian ")?;
    let running = rest.split(' ').next()?;
    let base = format!("linux-image-{}", out.kernel.running);
    let package = out
        .installed
        .iter()
        .find(|p| p.name == base || p.name == format!("{base}-unsigned"))?;
    let installed = match package.version.rsplit_once("+b") {
        Some((before, n)) if n.bytes().all(|b| b.is_ascii_digit()) => before,
        _ => &package.version,
    };
    (installed != running).then(|| {
        format!(
            "{base} {} is installed and {running} of it runs",
            package.version
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::probe::section::testing::frame;
    use crate::model::patch::{Installed, StaleProcess};

    #[test]
    fn the_newest_kernel_is_of_the_running_ones_flavour() {
        let have = ["6.1.0-9-amd64", "6.1.0-18-amd64", "6.9.0-1-cloud-amd64"];
        assert_eq!(newest("6.1.0-9-amd64", &have), Some("6.1.0-18-amd64"));
        assert_eq!(
            newest("5.0.0-1-rt-amd64", &have),
            Some("6.9.0-1-cloud-amd64")
        );
        let rhel = [
            "5.14.0-362.8.1.el9_3.x86_64",
            "5.14.0-427.13.1.el9_4.x86_64",
        ];
        assert_eq!(
            newest("5.14.0-362.8.1.el9_3.x86_64", &rhel),
            Some("5.14.0-427.13.1.el9_4.x86_64")
        );
        assert_eq!(newest("x", &[]), None);
        assert_eq!(flavour("6.1.0-18-cloud-amd64"), "cloud-amd64");
    }

    fn seen(inside: &str) -> PatchSnapshot {
        let mut out = PatchSnapshot::default();
        let system = format!(
            "arch amd64\nmanager apt\nrunning 6.1.0-9-amd64\nversion Linux version 6.1.0-9-amd64 (x) #1 SMP PREEMPT_DYNAMIC Debian 6.1.27-1 (2023-05-08)\ninside {inside}\ninstalled 6.1.0-9-amd64\ninstalled 6.1.0-18-amd64"
        );
        let frames = [
            frame(
                "os",
                0,
                "ID=debian\nVERSION_ID=\"12\"\nPRETTY_NAME=\"Debian \u{1b}[1m12\"\nVERSION_CODENAME=bookworm",
            ),
            frame("system", 0, &system),
            frame("boot", 0, "0b3ccd02-4b73-4d5e-8c64-b37deb7c8ee6 1234.56"),
        ];
        read_boot(&frames, &mut out);
        let system = read(&frames, &mut out).ok().unwrap();
        out.installed = vec![Installed {
            name: "linux-image-6.1.0-9-amd64".into(),
            version: "6.1.38-4+b1".into(),
            ..Installed::default()
        }];
        read_reboot(&mut out);
        out.reboot_due.extend(rebuilt_kernel(&system, &out));
        out
    }

    #[test]
    fn a_newer_kernel_makes_a_reboot_due_but_not_in_a_container() {
        let host = seen("");
        assert_eq!(host.os.id, "debian");
        assert_eq!(host.os.pretty, "Debian ·[1m12");
        assert_eq!((host.uptime, host.boot_id.len()), (1234, 36));
        assert_eq!(host.kernel.newest.as_deref(), Some("6.1.0-18-amd64"));
        assert_eq!(host.reboot_due.len(), 2, "{:?}", host.reboot_due);
        assert!(host.reboot_due[1].contains("6.1.27-1 of it runs"));
        let inside = seen("1");
        assert_eq!((inside.kernel.newest, inside.reboot_due), (None, vec![]));
    }

    #[test]
    fn a_stale_message_bus_makes_a_reboot_due() {
        let mut out = PatchSnapshot::default();
        out.stale.push(StaleProcess {
            unit: "cron.service".into(),
            ..StaleProcess::default()
        });
        read_reboot(&mut out);
        assert_eq!(out.reboot_due.len(), 0);
        out.stale[0].unit = "dbus.service".into();
        read_reboot(&mut out);
        assert_eq!(out.reboot_due.len(), 1);
    }

    #[test]
    fn silence_is_unseen() {
        let mut out = PatchSnapshot::default();
        assert!(read(&[], &mut out).is_err());
        assert!(out.unseen.contains_key("os"));
        let mut out = PatchSnapshot::default();
        let _ = read(&[frame("os", 0, "NAME=x")], &mut out);
        assert!(out.unseen.contains_key("os"));
    }
}

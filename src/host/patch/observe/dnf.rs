//! dnf and rpm: what is installed, locked and offered.
//!
//! Proved with Debian's own dnf 4.14 and a repository of ours; dnf 5 is read after its
//! documentation.

use std::collections::BTreeSet;

use super::system::System;
use super::{Ask, MANY, apt, dnf_offers, section, section_of, word};
use crate::model::patch::{Broken, Hold, Installed, Manager, PatchSnapshot};
use crate::shell::Frame;

/// What is called where dnf manages the packages.
pub(super) fn calls(ask: &Ask) -> String {
    let mut calls = String::from("observe_dnf_lock\n");
    if ask.refresh {
        calls.push_str(&format!("observe_dnf_refresh {}\n", ask.lock_wait));
    }
    calls.push_str("observe_dnf_installed\nobserve_dnf_offers\n");
    calls
}

pub(super) fn read(frames: &[Frame], _system: &Result<System, String>, out: &mut PatchSnapshot) {
    debug_assert_eq!(out.manager, Manager::Dnf);
    apt::read_lock(frames, out);
    let packages = section_of(frames, "rpm", "installed", &mut out.unseen, read_rpm);
    let Some(packages) = packages else {
        let why = out.unseen.get("installed").cloned().unwrap_or_default();
        for section in ["holds", "broken", "offers", "reboot"] {
            out.unseen.insert(section.into(), why.clone());
        }
        return;
    };
    out.broken = twice(&packages);
    let up = section_of(frames, "reboot", "reboot", &mut out.unseen, |t| {
        let since: u64 = t
            .trim()
            .parse()
            .map_err(|_| "when it came up is not known")?;
        Ok(since)
    });
    if let Some(up) = up {
        out.reboot_due.extend(reboot_due(&packages, up));
    }
    out.holds = section_of(frames, "versionlock", "holds", &mut out.unseen, |t| {
        Ok(read_locks(t))
    })
    .unwrap_or_default();
    // Asked only where there is an offer: without, nobody marks what came along by itself.
    let wanted = section::answered(frames, "wanted").map(|f| f.text().into_owned());
    let wanted: Option<BTreeSet<&str>> = wanted
        .as_deref()
        .ok()
        .map(|t| t.lines().map(str::trim).collect());
    dnf_offers::read(frames, &packages, out);
    out.installed = packages
        .into_iter()
        .map(|mut p| {
            p.installed.automatic = wanted
                .as_ref()
                .is_some_and(|w| !w.is_empty() && !w.contains(p.installed.name.as_str()));
            p.installed
        })
        .collect();
}

/// An installed package, and what the snapshot does not keep of it.
pub(super) struct Package {
    pub installed: Installed,
    pub size: i64,
    /// Unix time.
    pub since: u64,
}

/// `NAME EPOCH:VERSION-RELEASE ARCH SOURCERPM SIZE INSTALLTIME`, by tabs.
fn read_rpm(text: &str) -> Result<Vec<Package>, String> {
    let mut all = Vec::new();
    for line in text.lines().filter(|l| !l.is_empty()) {
        let fields: Vec<&str> = line.split('\t').collect();
        let &[name, version, arch, source, size, since] = fields.as_slice() else {
            return Err("rpm's list of packages cannot be read".into());
        };
        // A key that was imported is no package.
        if name == "gpg-pubkey" {
            continue;
        }
        let source = source
            .strip_suffix(".src.rpm")
            .or_else(|| source.strip_suffix(".nosrc.rpm"))
            .and_then(split_nevr);
        let (source, source_version) = source.unwrap_or_default();
        all.push(Package {
            installed: Installed {
                name: word(name),
                arch: word(arch),
                version: word(version.strip_prefix("0:").unwrap_or(version)),
                source: word(source),
                source_version: word(&source_version),
                automatic: false,
            },
            size: size.parse().unwrap_or(0),
            since: since.parse().unwrap_or(0),
        });
        if all.len() > MANY {
            return Err("there are too many packages".into());
        }
    }
    if all.is_empty() {
        return Err("rpm named no package".into());
    }
    Ok(all)
}

/// `NAME-[EPOCH:]VERSION-RELEASE`
pub(super) fn split_nevr(text: &str) -> Option<(&str, String)> {
    let (rest, release) = text.rsplit_once('-')?;
    let (name, version) = rest.rsplit_once('-')?;
    let version = version.strip_prefix("0:").unwrap_or(version);
    Some((name, format!("{version}-{release}")))
}

/// Packages that may be installed in several versions at once.
fn is_side_by_side(name: &str) -> bool {
    name.starts_with("kernel") || name.starts_with("kmod-")
}

/// A transaction that was cut off leaves a package in two versions.
fn twice(packages: &[Package]) -> Vec<Broken> {
    let mut seen = BTreeSet::new();
    let mut out = BTreeSet::new();
    for package in packages {
        let key = (&package.installed.name, &package.installed.arch);
        if !is_side_by_side(key.0) && !seen.insert(key) {
            out.insert(key.0.clone());
        }
    }
    out.into_iter()
        .map(|name| Broken {
            name,
            state: "installed twice".into(),
        })
        .collect()
}

/// What cannot be made new but by a reboot, as dnf's `needs-restarting -r` has it.
fn reboot_due(packages: &[Package], up: u64) -> Option<String> {
    const BASE: &[&str] = &[
        "kernel",
        "kernel-core",
        "kernel-rt",
        "glibc",
        "linux-firmware",
        "systemd",
        "dbus",
        "dbus-broker",
        "dbus-daemon",
        "microcode_ctl",
    ];
    let newer: BTreeSet<&str> = packages
        .iter()
        .filter(|p| p.since > up && BASE.contains(&p.installed.name.as_str()))
        .map(|p| p.installed.name.as_str())
        .collect();
    let newer: Vec<&str> = newer.into_iter().collect();
    (!newer.is_empty()).then(|| format!("{} came since the host is up", newer.join(", ")))
}

/// versionlock's list (`NAME-EPOCH:VERSION-RELEASE.ARCH`, `!` before what is barred), dnf 5's toml
/// (`name = "…"`), and `exclude=` of dnf.conf.
fn read_locks(text: &str) -> Vec<Hold> {
    let mut out = BTreeSet::new();
    for line in text.lines().map(str::trim).take(MANY) {
        if line.is_empty() || line.starts_with('#') || line.starts_with('[') {
            continue;
        }
        if let Some((key, value)) = line.split_once('=') {
            match key.trim() {
                "name" => {
                    out.insert((word(value.trim().trim_matches('"')), "versionlock"));
                }
                "exclude" | "excludepkgs" => {
                    for name in value.split([',', ' ']).filter(|n| !n.is_empty()) {
                        out.insert((word(name), "pin"));
                    }
                }
                _ => {}
            }
        } else {
            let pattern = line.trim_start_matches('!');
            let name = match split_nevr(pattern) {
                Some((name, _)) => name,
                None => pattern,
            };
            out.insert((word(name), "versionlock"));
        }
    }
    out.into_iter()
        .map(|(name, by)| Hold {
            name,
            by: by.into(),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::probe::section::testing::frame;
    use crate::model::patch::OfferKind;

    // Of dnf 4.14.0 and rpm 4.18 with a repository of ours, on a host that is told to be Alma's.
    const RPM: &str = "old\t0:1.0-1\tnoarch\told-1.0-1.src.rpm\t10\t1795195143
newer\t0:1.0-1\tnoarch\tnewer-1.0-1.src.rpm\t0\t1795195143
kept\t0:1.0-1\tnoarch\tkept-1.0-1.src.rpm\t0\t1795195143
held\t0:1.0-1\tnoarch\theld-1.0-1.src.rpm\t0\t1795195143
app\t1:1.0-1\tnoarch\tapp-1.0-1.src.rpm\t7\t1795195143
gpg-pubkey\t0:1-1\t(none)\t(none)\t0\t1795195143
kernel\t0:5.14-1\tx86_64\tkernel-5.14-1.src.rpm\t0\t1795195143
kernel\t0:5.14-2\tx86_64\tkernel-5.14-2.src.rpm\t0\t1795195150";
    const TABLE: &str = "Upgrading:
 app               noarch             1:2.0-1             sea             5.4 k
 newer             noarch             2.0-1               sea             5.4 k
     replacing  old.noarch 1.0-1
Installing dependencies:
 fresh             noarch             1.0-1               sea             5.4 k

Transaction Summary
Operation aborted.";
    const AVAILABLE: &str = "app|1:1.0-1|noarch|sea|5501|7|AlmaLinux

app|1:2.0-1|noarch|sea|5501|17|AlmaLinux
fresh|0:1.0-1|noarch|third|5505|30|
newer|0:2.0-1|noarch|sea|5573|0|Somebody";

    fn seen(rpm: &str, table: (i32, &str)) -> PatchSnapshot {
        let mut out = PatchSnapshot {
            manager: Manager::Dnf,
            ..PatchSnapshot::default()
        };
        out.os.id = "almalinux".into();
        let frames = [
            frame("lock", 0, "12 dnf upgrade"),
            frame("rpm", 0, rpm),
            frame("reboot", 0, "1795195145"),
            frame(
                "versionlock",
                0,
                "\n# x\nheld-0:1.0-1.*\nexclude=vim* foo\n",
            ),
            frame("transaction", table.0, table.1),
            frame("upgrades", 0, AVAILABLE),
            frame(
                "locked",
                0,
                "held|0:2.0-1|noarch|sea|5505|0|AlmaLinux\napp|1:2.0-1|noarch|sea|5501|17|AlmaLinux",
            ),
            frame(
                "advisories",
                0,
                "SEA-2026:1 Important/Sec. app-1:2.0-1.noarch\nSEA-2026:2 bugfix newer-2.0-1.noarch",
            ),
            frame(
                "cves",
                0,
                "CVE-2026-1111 Important/Sec. app-1:2.0-1.noarch\nCVE-2026-1112 Important/Sec. app-1:2.0-1.noarch",
            ),
            frame("wanted", 0, "app\n\nheld\nkept\nnewer\nkernel"),
            frame(
                "archives",
                0,
                "5501 /var/cache/dnf/sea-1/packages/app-2.0-1.noarch.rpm",
            ),
        ];
        read(&frames, &Err(String::new()), &mut out);
        out
    }

    #[test]
    fn a_host_with_dnf_is_read() {
        let out = seen(RPM, (1, TABLE));
        assert_eq!(out.unseen.len(), 0, "{:?}", out.unseen);
        assert_eq!(out.installed.len(), 7);
        assert!(out.installed[0].automatic && !out.installed[1].automatic);
        let names: Vec<_> = out.offers.iter().map(|o| o.name.as_str()).collect();
        assert_eq!(names, ["app", "old", "newer", "fresh", "held"]);
        let app = &out.offers[0];
        assert_eq!((app.from.as_str(), app.to.as_str()), ("1:1.0-1", "1:2.0-1"));
        assert_eq!((app.security, app.official), (Some(true), Some(true)));
        assert_eq!(app.closes.as_ref().unwrap().len(), 2);
        assert_eq!((app.download, app.grows), (Some(0), Some(10)));
        assert_eq!(app.former, "archive");
        let old = &out.offers[1];
        assert_eq!((old.kind, old.grows), (OfferKind::Remove, Some(-10)));
        let newer = &out.offers[2];
        assert_eq!((newer.security, newer.official), (Some(false), Some(false)));
        assert_eq!(newer.former, "");
        let fresh = &out.offers[3];
        assert_eq!((fresh.security, fresh.official), (None, None));
        assert_eq!((fresh.closes.as_ref(), fresh.grows), (None, Some(30)));
        let held = &out.offers[4];
        assert_eq!(
            (held.kind, held.deferred.as_str()),
            (OfferKind::Deferred, "held")
        );
        let holds: Vec<_> = out
            .holds
            .iter()
            .map(|h| (h.name.as_str(), h.by.as_str()))
            .collect();
        assert_eq!(
            holds,
            [("foo", "pin"), ("held", "versionlock"), ("vim*", "pin")]
        );
        assert_eq!(out.lock.unwrap().pid, 12);
        assert_eq!(out.reboot_due, ["kernel came since the host is up"]);
        assert_eq!(out.broken.len(), 0);
    }

    #[test]
    fn a_package_that_is_there_twice_is_broken() {
        let twice = format!("{RPM}\napp\t1:2.0-1\tnoarch\tapp-2.0-1.src.rpm\t7\t1");
        assert_eq!(seen(&twice, (0, "Nothing to do.")).broken[0].name, "app");
    }

    #[test]
    fn what_cannot_be_read_is_unseen() {
        let out = seen(RPM, (1, "Error: Failed to download metadata"));
        assert!(out.unseen["offers"].contains("metadata"));
        assert_eq!(out.offers.len(), 0);
        let out = seen("noise", (0, "Nothing to do."));
        for section in ["installed", "offers", "holds", "broken", "reboot"] {
            assert!(out.unseen.contains_key(section), "{section}");
        }
    }
}

//! apt and dpkg: what is installed, held, broken and offered.

use std::collections::{BTreeMap, BTreeSet};

use super::policy::{self, Archives};
use super::system::{self, System};
use super::{Ask, MANY, apt_offers, section, section_of, word};
use crate::model::patch::{Broken, Hold, Installed, LockHolder, Manager, PatchSnapshot};
use crate::shell::{Frame, clean};

/// What is called where apt manages the packages.
pub(super) fn calls(ask: &Ask) -> String {
    let mut calls = String::from("observe_apt_lock\n");
    if ask.refresh {
        calls.push_str(&format!("observe_apt_refresh {}\n", ask.lock_wait));
    }
    let phased = if ask.phased {
        " -o APT::Get::Always-Include-Phased-Updates=true"
    } else {
        ""
    };
    calls.push_str("observe_apt_installed\n");
    calls.push_str(&format!("observe_apt_offers{phased}\n"));
    calls.push_str("observe_apt_reboot\n");
    calls
}

pub(super) fn read(frames: &[Frame], system: &Result<System, String>, out: &mut PatchSnapshot) {
    debug_assert_eq!(out.manager, Manager::Apt);
    read_lock(frames, out);
    let sizes = read_installed(frames, out);
    let archives = match section::find(frames, "policy") {
        // It is asked only where there is an offer or a pin.
        None => Archives::default(),
        Some(_) => section_of(frames, "policy", "holds", &mut out.unseen, |t| {
            Ok(policy::archives(t))
        })
        .unwrap_or_default(),
    };
    apt_offers::read(frames, &archives, &sizes, out);
    read_reboot(frames, system, out);
}

pub(super) fn read_lock(frames: &[Frame], out: &mut PatchSnapshot) {
    let holder = section_of(frames, "lock", "lock", &mut out.unseen, |text| {
        let text = text.trim();
        if text.is_empty() {
            return Ok(None);
        }
        let (pid, program) = text.split_once(' ').unwrap_or((text, ""));
        let pid = pid.parse().map_err(|_| "who holds it cannot be read")?;
        Ok(Some(LockHolder {
            pid,
            program: clean(program, 120),
        }))
    });
    out.lock = holder.flatten();
}

/// Name and architecture → what it takes on the disk, in bytes.
pub(super) type Sizes = BTreeMap<(String, String), i64>;

/// `dpkg-query`: NAME ARCH VERSION WANT STATUS SOURCE SOURCE-VERSION INSTALLED-SIZE, by tabs.
fn read_installed(frames: &[Frame], out: &mut PatchSnapshot) -> Sizes {
    struct Read {
        installed: Vec<Installed>,
        holds: Vec<Hold>,
        broken: Vec<Broken>,
        sizes: Sizes,
    }
    let automatic: BTreeSet<(String, String)> = section_of(
        frames,
        "automatic",
        // Without the marks, what is installed is not known whole.
        "installed",
        &mut out.unseen,
        |text| Ok(automatic(text)),
    )
    .unwrap_or_default();
    let arch = out.arch.clone();
    let read = section_of(frames, "dpkg", "installed", &mut out.unseen, |text| {
        let mut read = Read {
            installed: Vec::new(),
            holds: Vec::new(),
            broken: Vec::new(),
            sizes: Sizes::new(),
        };
        for line in text.lines().filter(|l| !l.is_empty()) {
            let fields: Vec<&str> = line.split('\t').collect();
            let &[
                name,
                its_arch,
                version,
                want,
                status,
                source,
                source_version,
                size,
            ] = fields.as_slice()
            else {
                return Err("dpkg's list of packages cannot be read".into());
            };
            if matches!(status, "not-installed" | "config-files") {
                continue;
            }
            if read.installed.len() >= MANY {
                return Err("there are too many packages".into());
            }
            if want == "hold" {
                read.holds.push(Hold {
                    name: word(name),
                    by: "hold".into(),
                });
            }
            if status != "installed" {
                read.broken.push(Broken {
                    name: word(name),
                    state: word(status),
                });
            }
            // Its files are not all there.
            if status == "half-installed" {
                continue;
            }
            let kib: i64 = size.parse().unwrap_or(0);
            let key = (word(name), word(its_arch));
            // Packages for all architectures are marked with the host's own.
            let marked = if its_arch == "all" {
                (key.0.clone(), arch.clone())
            } else {
                key.clone()
            };
            read.installed.push(Installed {
                name: key.0.clone(),
                arch: key.1.clone(),
                version: word(version),
                source: word(source),
                source_version: word(source_version),
                automatic: automatic.contains(&marked),
            });
            read.sizes.insert(key, kib.saturating_mul(1024));
        }
        if read.installed.is_empty() {
            return Err("dpkg named no package".into());
        }
        Ok(read)
    });
    let updates = section_of(frames, "updates", "broken", &mut out.unseen, |t| {
        Ok(!t.trim().is_empty())
    });
    if updates == Some(true) {
        // dpkg was ended in the middle of writing; `dpkg --configure -a` takes it up.
        out.broken.push(Broken {
            name: "dpkg".into(),
            state: "interrupted".into(),
        });
    }
    let Some(read) = read else {
        let why = out.unseen.get("installed").cloned().unwrap_or_default();
        out.unseen.insert("holds".into(), why.clone());
        out.unseen.insert("broken".into(), why);
        return Sizes::new();
    };
    out.installed = read.installed;
    out.holds = read.holds;
    out.broken.extend(read.broken);
    read.sizes
}

/// apt's extended_states: stanzas of `Package:`, `Architecture:`, `Auto-Installed: 1`.
fn automatic(text: &str) -> BTreeSet<(String, String)> {
    let mut out = BTreeSet::new();
    let (mut name, mut arch) = ("", "");
    for line in text.lines().take(3 * MANY) {
        match line.split_once(": ") {
            Some(("Package", value)) => (name, arch) = (value.trim(), ""),
            Some(("Architecture", value)) => arch = value.trim(),
            Some(("Auto-Installed", value)) if value.trim() == "1" => {
                out.insert((word(name), word(arch)));
            }
            _ => {}
        }
    }
    out
}

fn read_reboot(frames: &[Frame], system: &Result<System, String>, out: &mut PatchSnapshot) {
    let reasons = section_of(frames, "reboot", "reboot", &mut out.unseen, |text| {
        let mut lines = text.lines();
        if lines.next() != Some("required") {
            return Ok(None);
        }
        let packages: BTreeSet<String> = lines
            .filter(|l| !l.trim().is_empty())
            .take(200)
            .map(word)
            .collect();
        let mut why = "a package asks for it".to_owned();
        if !packages.is_empty() {
            let names: Vec<String> = packages.into_iter().take(20).collect();
            why = format!("asked for by {}", names.join(", "));
        }
        Ok(Some(why))
    });
    out.reboot_due.extend(reasons.flatten());
    if let Ok(system) = system {
        out.reboot_due.extend(system::rebuilt_kernel(system, out));
    }
}

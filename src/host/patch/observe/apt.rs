//! apt and dpkg: what is installed, held, broken and offered.

use std::collections::{BTreeMap, BTreeSet};

use super::policy::{self, Archives, Version};
use super::system::{self, System};
use super::{Ask, MANY, changelog, offers, section, section_of, word};
use crate::model::patch::{
    Broken, Hold, Installed, LockHolder, Manager, Offer, OfferKind, PatchSnapshot,
};
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
    read_offers(frames, &archives, &sizes, out);
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
type Sizes = BTreeMap<(String, String), i64>;

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

/// What is told apart about the offers: sizes, files that are there, archives, changelogs.
struct About<'a> {
    archives: &'a Archives,
    versions: Option<BTreeMap<String, Vec<Version>>>,
    /// (name, version, architecture) → (bytes to fetch, bytes on the disk).
    new_sizes: BTreeMap<(String, String, String), (Option<u64>, Option<i64>)>,
    old_sizes: &'a Sizes,
    /// Files in apt's cache, without `.deb`, and their bytes.
    cached: BTreeMap<String, u64>,
    changelogs: BTreeMap<&'a str, Vec<&'a str>>,
}

fn read_offers(frames: &[Frame], archives: &Archives, old_sizes: &Sizes, out: &mut PatchSnapshot) {
    let simulated = match section::find(frames, "simulated") {
        Some(frame) if frame.status != 0 => Err(why_apt_failed(frame)),
        _ => section::answered(frames, "simulated").and_then(|f| offers::parse(&f.text())),
    };
    let steps = match simulated {
        Ok(steps) => steps,
        Err(why) => {
            out.unseen.insert("offers".into(), why);
            return;
        }
    };
    let text = |name: &str| section::answered(frames, name).map(|f| f.text().into_owned());
    let changelogs = text("changelogs").unwrap_or_default();
    let about = About {
        archives,
        versions: text("versions").ok().map(|t| policy::versions(&t)),
        new_sizes: text("sizes").map_or_else(|_| BTreeMap::new(), |t| new_sizes(&t)),
        old_sizes,
        cached: text("archives").map_or_else(|_| BTreeMap::new(), |t| cached(&t)),
        changelogs: changelog::by_file(&changelogs),
    };
    for step in &steps {
        out.offers.push(offer(step, &about, out));
    }
    if let Ok(gentle) = text("gentle").and_then(|t| offers::parse(&t)) {
        blame(&mut out.offers, &gentle);
    }
    let pinned = pinned(&about, out);
    for offer in &pinned {
        out.holds.push(Hold {
            name: offer.name.clone(),
            by: "pin".into(),
        });
    }
    // One that is both pinned and kept back is told once.
    for offer in pinned {
        match out.offers.iter_mut().find(|o| o.name == offer.name) {
            Some(known) => known.deferred = "pinned".into(),
            None if !offer.to.is_empty() => out.offers.push(offer),
            None => {}
        }
    }
}

/// Says which offers take others away: those that apt leaves out where it may take nothing. Which of
/// them takes which is not known, so all of them are said to take all.
fn blame(offers: &mut [Offer], gentle: &[offers::Step]) {
    let of_kind = |o: &&Offer| o.kind == OfferKind::Remove;
    let gone: Vec<String> = offers
        .iter()
        .filter(of_kind)
        .map(|o| o.name.clone())
        .collect();
    let stays: BTreeSet<(&str, &str)> = gentle
        .iter()
        .filter(|s| matches!(s.kind, OfferKind::Upgrade | OfferKind::New))
        .map(|s| (s.name(), s.to.as_str()))
        .collect();
    for offer in offers {
        let comes = matches!(offer.kind, OfferKind::Upgrade | OfferKind::New);
        if comes && !stays.contains(&(offer.name.as_str(), offer.to.as_str())) {
            offer.removes.clone_from(&gone);
        }
    }
}

fn why_apt_failed(frame: &Frame) -> String {
    if frame.status == 124 {
        return "apt-get did not end in time".into();
    }
    let text = frame.text();
    // "You might want to run…" stands on a line of its own, and tells less.
    let lines: Vec<&str> = text
        .lines()
        .filter(|l| l.starts_with("E: "))
        .take(3)
        .collect();
    match clean(&lines.join("; "), 400) {
        said if said.is_empty() => format!("apt-get failed with status {}", frame.status),
        said => said,
    }
}

fn offer(step: &offers::Step, about: &About, snapshot: &PatchSnapshot) -> Offer {
    let installed = installed_of(step, snapshot);
    let held = snapshot.holds.iter().any(|h| h.name == step.name());
    let versions = about.versions.as_ref().and_then(|v| v.get(&step.full_name));
    let target = versions.and_then(|v| v.iter().find(|v| v.version == step.to));
    let deferred = match step.kind {
        OfferKind::Deferred if held => "held",
        OfferKind::Deferred if step.phased || target.is_some_and(|t| t.phased) => "phased",
        OfferKind::Deferred => "kept back",
        _ => "",
    };
    let arch = if step.arch.is_empty() {
        installed.map(|i| i.arch.clone()).unwrap_or_default()
    } else {
        word(&step.arch)
    };
    let mut offer = Offer {
        name: word(step.name()),
        arch,
        kind: step.kind,
        from: word(&step.from),
        to: word(&step.to),
        origin: word(&step.origin),
        deferred: deferred.into(),
        ..Offer::default()
    };
    judge_source(&mut offer, versions, about, snapshot);
    let old = about.old_sizes.get(&(
        offer.name.clone(),
        installed.map(|i| i.arch.clone()).unwrap_or_default(),
    ));
    if offer.kind == OfferKind::Remove {
        offer.grows = old.map(|o| o.saturating_neg());
        offer.download = Some(0);
    } else {
        judge_size(&mut offer, old.copied(), target, about);
    }
    if let Some(installed) = installed {
        let file = file_of(&installed.name, &installed.version, &installed.arch);
        let in_archive = versions
            .into_iter()
            .flatten()
            .any(|v| v.version == installed.version && !v.sources.is_empty());
        offer.former = if about.cached.get(&file).is_some_and(|size| *size > 0) {
            "cache".into()
        } else if in_archive {
            "archive".into()
        } else {
            String::new()
        };
        let file = file_of(&offer.name, &offer.to, &offer.arch);
        offer.closes = about
            .changelogs
            .get(file.as_str())
            .and_then(|lines| changelog::closes(lines, &installed.source_version));
    }
    offer
}

fn installed_of<'a>(step: &offers::Step, snapshot: &'a PatchSnapshot) -> Option<&'a Installed> {
    let foreign = step.full_name.split_once(':').map(|(_, arch)| arch);
    let of_name = |i: &&Installed| i.name == step.name();
    let mut all = snapshot.installed.iter().filter(of_name);
    match foreign {
        Some(arch) => all.find(|i| i.arch == arch),
        None => all.find(|i| i.arch == "all" || i.arch == snapshot.arch),
    }
}

/// Where it comes from: whether that is a security archive, and the distribution's own.
fn judge_source(
    offer: &mut Offer,
    versions: Option<&Vec<Version>>,
    about: &About,
    snapshot: &PatchSnapshot,
) {
    if offer.kind == OfferKind::Remove {
        return;
    }
    let releases = |v: &Version| -> Option<Vec<&policy::Release>> {
        let all: Option<Vec<_>> = v
            .sources
            .iter()
            .map(|s| about.archives.releases.get(s))
            .collect();
        all.filter(|a| !a.is_empty())
    };
    // All that is newer than what is installed, up to what is offered: a security upgrade may be
    // followed by another one before it was taken.
    let mut on_the_way = Vec::new();
    for version in versions.into_iter().flatten() {
        if version.installed {
            break;
        }
        if version.version == offer.to || !on_the_way.is_empty() {
            on_the_way.push(version);
        }
    }
    let Some(target) = on_the_way.first().and_then(|v| releases(v)) else {
        return;
    };
    offer.official = Some(target.iter().any(|r| r.is_official(&snapshot.os.id)));
    if offer.origin.is_empty() {
        let words: Vec<String> = target.iter().map(|r| r.words()).collect();
        offer.origin = word(&words.join(", "));
    }
    let all: Option<Vec<_>> = on_the_way.iter().map(|v| releases(v)).collect();
    let security = |all: &[&policy::Release]| all.iter().any(|r| r.is_security());
    offer.security = match all {
        Some(all) => Some(all.iter().any(|r| security(r))),
        None if security(&target) => Some(true),
        None => None,
    };
}

fn judge_size(offer: &mut Offer, old: Option<i64>, target: Option<&Version>, about: &About) {
    let key = (offer.name.clone(), offer.to.clone(), offer.arch.clone());
    let (fetch, disk) = about.new_sizes.get(&key).copied().unwrap_or((None, None));
    let cached = about
        .cached
        .get(&file_of(&offer.name, &offer.to, &offer.arch));
    // What lies in a `file:` archive is used from there.
    let is_here = target
        .is_some_and(|t| !t.sources.is_empty() && t.sources.iter().all(|s| s.starts_with("file:")));
    offer.download = match fetch {
        Some(size) if cached == Some(&size) || is_here => Some(0),
        other => other,
    };
    offer.grows = match (disk, old, offer.kind) {
        (Some(new), _, OfferKind::New) => Some(new),
        (Some(new), Some(old), _) => Some(new.saturating_sub(old)),
        _ => None,
    };
}

/// Pinned packages that are installed and not offered. A pin that lets the newest version through
/// holds nothing back.
fn pinned(about: &About, snapshot: &PatchSnapshot) -> Vec<Offer> {
    let is_offered = |name: &str| {
        let taken = |o: &Offer| o.kind != OfferKind::Deferred && o.name == name;
        snapshot.offers.iter().any(taken)
    };
    let mut names: Vec<&String> = about.archives.pinned.iter().collect();
    names.sort();
    names.dedup();
    let mut out = Vec::new();
    for name in names.into_iter().take(MANY) {
        let step = offers::Step {
            full_name: name.clone(),
            kind: OfferKind::Deferred,
            ..offers::Step::default()
        };
        let Some(installed) = installed_of(&step, snapshot) else {
            continue;
        };
        if is_offered(step.name()) {
            continue;
        }
        let newest = about
            .versions
            .as_ref()
            .and_then(|v| v.get(name))
            .and_then(|v| v.first())
            .filter(|v| !v.installed);
        let step = offers::Step {
            from: installed.version.clone(),
            to: newest.map(|v| v.version.clone()).unwrap_or_default(),
            ..step
        };
        let mut offer = offer(&step, about, snapshot);
        offer.deferred = "pinned".into();
        out.push(offer);
    }
    out
}

/// The name of a package's file in apt's cache, without `.deb`.
fn file_of(name: &str, version: &str, arch: &str) -> String {
    format!("{name}_{}_{arch}", version.replace(':', "%3a"))
}

/// `BYTES /var/cache/apt/archives/FILE.deb`
fn cached(text: &str) -> BTreeMap<String, u64> {
    text.lines()
        .take(MANY)
        .filter_map(|line| {
            let (size, path) = line.split_once(' ')?;
            let file = path.rsplit('/').next()?.strip_suffix(".deb")?;
            Some((file.to_owned(), size.parse().ok()?))
        })
        .collect()
}

/// Fields of `apt-cache show`, a package after the other.
fn new_sizes(text: &str) -> BTreeMap<(String, String, String), (Option<u64>, Option<i64>)> {
    let mut out = BTreeMap::new();
    let mut fields: BTreeMap<&str, &str> = BTreeMap::new();
    let mut close = |fields: &mut BTreeMap<&str, &str>| {
        let get = |key: &str| fields.get(key).copied().unwrap_or_default();
        let key = (
            word(get("Package")),
            word(get("Version")),
            word(get("Architecture")),
        );
        let disk: Option<i64> = get("Installed-Size").parse().ok();
        let size = (
            get("Size").parse().ok(),
            disk.map(|kib| kib.saturating_mul(1024)),
        );
        if !key.0.is_empty() && out.len() < MANY {
            out.entry(key).or_insert(size);
        }
        fields.clear();
    };
    for line in text.lines() {
        let Some((key, value)) = line.split_once(':') else {
            continue;
        };
        if key == "Package" {
            close(&mut fields);
        }
        fields.insert(key, value.trim());
    }
    close(&mut fields);
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

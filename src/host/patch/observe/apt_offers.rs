//! What apt offers, and what its archives, its cache and changelogs tell of it.

use std::collections::{BTreeMap, BTreeSet};

use super::apt::Sizes;
use super::policy::{self, Archives, Version};
use super::{MANY, changelog, offers, section, word};
use crate::model::patch::{Hold, Installed, Offer, OfferKind, PatchSnapshot};
use crate::shell::{Frame, clean};

/// Name, version and architecture → bytes to fetch, and bytes on the disk.
type NewSizes = BTreeMap<(String, String, String), (Option<u64>, Option<i64>)>;

/// What is told apart about the offers: sizes, files that are there, archives, changelogs.
struct About<'a> {
    archives: &'a Archives,
    versions: Option<BTreeMap<String, Vec<Version>>>,
    new_sizes: NewSizes,
    old_sizes: &'a Sizes,
    /// Files in apt's cache, without `.deb`, and their bytes.
    cached: BTreeMap<String, u64>,
    changelogs: BTreeMap<&'a str, Vec<&'a str>>,
}

pub(super) fn read(
    frames: &[Frame],
    archives: &Archives,
    old_sizes: &Sizes,
    out: &mut PatchSnapshot,
) {
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
    if let Ok(shown) = text("sizes") {
        tell_needs(&mut out.offers, &shown);
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

/// Says which offers depend on new ones: whether those come along depends on whether these do.
fn tell_needs(offers: &mut [Offer], shown: &str) {
    let new: BTreeSet<String> = offers
        .iter()
        .filter(|o| o.kind == OfferKind::New)
        .map(|o| o.name.clone())
        .collect();
    if new.is_empty() {
        return;
    }
    let mut needs: BTreeMap<(&str, &str), BTreeSet<&str>> = BTreeMap::new();
    let (mut name, mut version) = ("", "");
    for line in shown.lines() {
        let Some((key, value)) = line.split_once(':') else {
            continue;
        };
        match key {
            "Package" => (name, version) = (value.trim(), ""),
            "Version" => version = value.trim(),
            "Depends" | "Pre-Depends" | "Recommends" => {
                // `a (>= 1), b | c:any`: each of them may be what it is.
                let words = value
                    .split([',', '|'])
                    .filter_map(|one| one.trim().split([' ', ':', '(']).next())
                    .filter(|word| new.contains(*word));
                needs.entry((name, version)).or_default().extend(words);
            }
            _ => {}
        }
    }
    for offer in offers {
        let found = needs.get(&(offer.name.as_str(), offer.to.as_str()));
        offer.needs = found.into_iter().flatten().map(|w| word(w)).collect();
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
fn new_sizes(text: &str) -> NewSizes {
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

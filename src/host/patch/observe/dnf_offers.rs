//! What dnf offers, and what its repositories and advisories tell of it.

use std::collections::{BTreeMap, BTreeSet};

use super::dnf::{Package, split_nevr};
use super::{MANY, changelog, section, transaction, word};
use crate::model::patch::{Installed, Offer, OfferKind, PatchSnapshot};
use crate::shell::Frame;

/// A package that a repository has.
struct Available {
    name: String,
    version: String,
    arch: String,
    repo: String,
    download: Option<u64>,
    size: Option<i64>,
    vendor: String,
}

/// `NAME|EPOCH:VERSION-RELEASE|ARCH|REPO|BYTES|BYTES|VENDOR`
fn read_available(text: &str) -> Vec<Available> {
    text.lines()
        .take(10 * MANY)
        .filter_map(|line| {
            let fields: Vec<&str> = line.splitn(7, '|').collect();
            let &[name, version, arch, repo, download, size, vendor] = fields.as_slice() else {
                return None;
            };
            Some(Available {
                name: word(name),
                version: word(version.strip_prefix("0:").unwrap_or(version)),
                arch: word(arch),
                repo: word(repo),
                download: download.parse().ok(),
                size: size.parse().ok(),
                vendor: word(vendor),
            })
        })
        .collect()
}

/// Name and architecture → whether one of its advisories is of security, and the ids that they name.
type Advisories = BTreeMap<(String, String), (bool, BTreeSet<String>)>;

/// `ID TYPE NAME-VERSION-RELEASE.ARCH` of dnf 4, where the type is `Important/Sec.`, `bugfix`…;
/// dnf 5 has type and severity apart.
fn read_advisories(text: &str, out: &mut Advisories) {
    for line in text.lines().take(10 * MANY) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let package = words.iter().skip(2).find_map(|w| {
            let (nevr, arch) = w.rsplit_once('.')?;
            Some((split_nevr(nevr)?.0, arch))
        });
        let Some((name, arch)) = package else {
            continue;
        };
        let entry = out.entry((word(name), word(arch))).or_default();
        entry.0 |= words
            .iter()
            .skip(1)
            .any(|w| w.ends_with("/Sec.") || *w == "security");
        entry
            .1
            .extend(words.first().into_iter().flat_map(|w| changelog::ids_in(w)));
    }
}

pub(super) fn read(frames: &[Frame], packages: &[Package], out: &mut PatchSnapshot) {
    // dnf ends with 1 where it was told not to go on: its words count.
    let rows = match section::find(frames, "transaction") {
        None => Err("the host did not answer".into()),
        Some(frame) => transaction::parse(&frame.text()),
    };
    let rows = match rows {
        Ok(rows) => rows,
        Err(why) => {
            out.unseen.insert("offers".into(), why);
            return;
        }
    };
    let list = |name: &str| {
        section::answered(frames, name).map_or_else(|_| Vec::new(), |f| read_available(&f.text()))
    };
    let available = list("upgrades");
    let mut advisories = Advisories::new();
    for name in ["advisories", "cves"] {
        if let Ok(frame) = section::answered(frames, name) {
            read_advisories(&frame.text(), &mut advisories);
        }
    }
    let cached: BTreeMap<String, u64> = section::answered(frames, "archives").map_or_else(
        |_| BTreeMap::new(),
        |f| {
            f.text()
                .lines()
                .take(MANY)
                .filter_map(|l| {
                    let (size, path) = l.split_once(' ')?;
                    Some((path.rsplit('/').next()?.to_owned(), size.parse().ok()?))
                })
                .collect()
        },
    );
    let about = About {
        packages,
        available: &available,
        advisories: &advisories,
        cached: &cached,
        os: &out.os.id,
    };
    let mut offers: Vec<Offer> = rows.iter().map(|row| offer(row, &about)).collect();
    // What a lock hides from the table.
    let locked = list("locked");
    let hidden = About {
        available: &locked,
        ..about
    };
    for package in &locked {
        if offers.iter().any(|o| o.name == package.name) {
            continue;
        }
        let row = transaction::Row {
            kind: OfferKind::Deferred,
            name: package.name.clone(),
            arch: package.arch.clone(),
            version: package.version.clone(),
            repo: package.repo.clone(),
            why: "held".into(),
        };
        offers.push(offer(&row, &hidden));
    }
    out.offers = offers;
}

#[derive(Clone, Copy)]
struct About<'a> {
    packages: &'a [Package],
    available: &'a [Available],
    advisories: &'a Advisories,
    cached: &'a BTreeMap<String, u64>,
    os: &'a str,
}

fn offer(row: &transaction::Row, about: &About) -> Offer {
    let name = word(&row.name);
    let arch = word(&row.arch);
    let version = word(row.version.strip_prefix("0:").unwrap_or(&row.version));
    let installed = about
        .packages
        .iter()
        .filter(|p| p.installed.name == name)
        .find(|p| p.installed.arch == arch || row.kind != OfferKind::New);
    let available = about
        .available
        .iter()
        .find(|a| a.name == name && a.arch == arch && a.version == version);
    let from = match row.kind {
        OfferKind::New => String::new(),
        OfferKind::Remove => version.clone(),
        _ => installed
            .map(|i| i.installed.version.clone())
            .unwrap_or_default(),
    };
    let mut offer = Offer {
        kind: row.kind,
        from,
        deferred: crate::shell::clean(&row.why, 200),
        ..Offer::default()
    };
    if let Some(old) = installed.filter(|_| row.kind != OfferKind::New) {
        let old = &old.installed;
        let is_old =
            |a: &&Available| a.name == old.name && a.arch == old.arch && a.version == old.version;
        if about.cached.get(&file_of(old)).is_some_and(|s| *s > 0) {
            offer.former = "cache".into();
        } else if about.available.iter().any(|a| is_old(&a)) {
            offer.former = "archive".into();
        }
    }
    let old_size = installed.map(|i| i.size);
    if row.kind == OfferKind::Remove {
        offer.download = Some(0);
        offer.grows = old_size.map(i64::saturating_neg);
    } else {
        offer.to = version;
        offer.origin = word(&row.repo);
        offer.official = available.and_then(|a| is_official(&a.vendor, about.os));
        offer.download = available.and_then(|a| a.download).map(|size| {
            let file = file_of(&Installed {
                name: name.clone(),
                arch: arch.clone(),
                version: offer.to.clone(),
                ..Installed::default()
            });
            if about.cached.get(&file) == Some(&size) {
                0
            } else {
                size
            }
        });
        offer.grows = match (available.and_then(|a| a.size), old_size, row.kind) {
            (Some(new), _, OfferKind::New) => Some(new),
            (Some(new), Some(old), _) => Some(new.saturating_sub(old)),
            _ => None,
        };
        // A repository without advisories says nothing of its packages.
        if let Some((security, ids)) = about.advisories.get(&(name.clone(), arch.clone())) {
            offer.security = Some(*security);
            offer.closes = Some(ids.iter().take(300).cloned().collect());
        }
    }
    offer.name = name;
    offer.arch = arch;
    offer
}

/// `NAME-VERSION-RELEASE.ARCH.rpm`: a file's name has no epoch.
fn file_of(package: &Installed) -> String {
    let version = package
        .version
        .split_once(':')
        .map_or(package.version.as_str(), |(_, v)| v);
    format!("{}-{version}.{}.rpm", package.name, package.arch)
}

/// Whether the vendor in the package is the distribution itself.
fn is_official(vendor: &str, os: &str) -> Option<bool> {
    let names: &[&str] = match os {
        "rhel" => &["Red Hat"],
        "fedora" => &["Fedora Project"],
        "centos" => &["CentOS", "Red Hat"],
        "almalinux" => &["AlmaLinux"],
        "rocky" => &["Rocky"],
        "ol" => &["Oracle"],
        "amzn" => &["Amazon"],
        _ => return None,
    };
    if vendor.is_empty() || vendor == "(none)" {
        return None;
    }
    Some(names.iter().any(|n| vendor.contains(n)))
}

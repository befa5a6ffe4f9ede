//! How a host stands, from what was seen and decided. Pure.

use std::collections::BTreeSet;

use jiff::civil::Date;

use super::advisories::Advisories;
use super::support::support;
use crate::model::patch::{
    HostPlan, ImagePlan, ImageWork, Manager, OfferKind, PatchSnapshot, Refreshed, Standing,
};

/// How it stands.
pub fn standing(
    snapshot: &PatchSnapshot,
    plan: &HostPlan,
    advisories: &Advisories,
    today: Date,
) -> Standing {
    let kernel = &snapshot.kernel;
    let offers = seen_offers(snapshot);
    Standing {
        os: snapshot.os.pretty.clone(),
        kernel: kernel.running.clone(),
        kernel_waiting: kernel
            .newest
            .clone()
            .filter(|newest| !newest.is_empty() && *newest != kernel.running),
        support: support(&snapshot.os, today),
        behind: offers.as_ref().map(|offers| count(offers.len())),
        behind_security: offers.as_ref().and_then(|offers| security(offers)),
        reboot_due: reboot(snapshot),
        open: (is_seen(snapshot, "installed") && !snapshot.installed.is_empty())
            .then(|| advisories.open(snapshot))
            .flatten(),
        images_behind: images(snapshot, &plan.images),
        stale: stale(snapshot),
        unknown: unknown(snapshot, plan),
    }
}

fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

fn is_seen(snapshot: &PatchSnapshot, section: &str) -> bool {
    !snapshot.unseen.contains_key(section)
}

/// Whether packages were looked at: every host with a package manager has some.
fn has_packages(snapshot: &PatchSnapshot) -> bool {
    snapshot.manager != Manager::None
        && is_seen(snapshot, "installed")
        && !snapshot.installed.is_empty()
}

/// For each upgrade that is offered, taken or not: whether it is one of security. `None`: what is
/// offered is not known.
fn seen_offers(snapshot: &PatchSnapshot) -> Option<Vec<Option<bool>>> {
    let offers: Vec<Option<bool>> = snapshot
        .offers
        .iter()
        .filter(|offer| matches!(offer.kind, OfferKind::Upgrade | OfferKind::Deferred))
        .map(|offer| offer.security)
        .collect();
    // An archive that did not answer may offer more; so "none" is not known then.
    let whole =
        is_seen(snapshot, "refresh") && !matches!(snapshot.refreshed, Refreshed::Failed { .. });
    let seen = has_packages(snapshot) && is_seen(snapshot, "offers");
    (seen && (whole || !offers.is_empty())).then_some(offers)
}

fn security(offers: &[Option<bool>]) -> Option<u32> {
    let known = offers.iter().filter(|security| **security == Some(true));
    let known = count(known.count());
    (known > 0 || offers.iter().all(Option::is_some)).then_some(known)
}

fn reboot(snapshot: &PatchSnapshot) -> Option<Vec<String>> {
    let seen = is_seen(snapshot, "reboot") && has_packages(snapshot);
    (seen || !snapshot.reboot_due.is_empty()).then(|| snapshot.reboot_due.clone())
}

fn images(snapshot: &PatchSnapshot, images: &[ImagePlan]) -> Option<Vec<String>> {
    let behind: Vec<String> = images
        .iter()
        .filter(|image| is_behind(image))
        .map(|image| format!("{}: {}", image.container, image.image))
        .collect();
    let whole = is_seen(snapshot, "docker")
        && is_seen(snapshot, "podman")
        && !images.iter().any(is_unknown);
    (whole || !behind.is_empty()).then_some(behind)
}

/// Whether its tag means something newer, moved or not.
fn is_behind(image: &ImagePlan) -> bool {
    match &image.work {
        ImageWork::Update { .. } => true,
        ImageWork::Report { .. } => match (&image.digest, &image.registry_digest) {
            (Some(ours), Some(theirs)) => ours != theirs,
            _ => false,
        },
        ImageWork::Current | ImageWork::Unknown { .. } => false,
    }
}

fn is_unknown(image: &ImagePlan) -> bool {
    matches!(image.work, ImageWork::Unknown { .. })
}

/// Units, and programs without one, that use replaced files; each once.
fn stale(snapshot: &PatchSnapshot) -> Vec<String> {
    let names: BTreeSet<&str> = snapshot
        .stale
        .iter()
        .map(|process| match process.unit.as_str() {
            "" => process.program.as_str(),
            unit => unit,
        })
        .collect();
    names.into_iter().map(str::to_owned).collect()
}

fn unknown(snapshot: &PatchSnapshot, plan: &HostPlan) -> Vec<String> {
    let mut out: Vec<String> = snapshot
        .unseen
        .iter()
        .map(|(section, why)| format!("{section}: {why}"))
        .collect();
    if let Refreshed::Failed { why } = &snapshot.refreshed {
        out.push(format!("refresh: {why}"));
    }
    for image in &plan.images {
        if let ImageWork::Unknown { why } = &image.work {
            out.push(format!("image of {}: {why}", image.container));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::patch::{Installed, Kernel, Offer, StaleProcess};

    fn seen() -> PatchSnapshot {
        let offer = |name: &str, kind, security| Offer {
            name: name.into(),
            kind,
            security,
            ..Offer::default()
        };
        PatchSnapshot {
            manager: Manager::Apt,
            refreshed: Refreshed::Done,
            kernel: Kernel {
                running: "6.1.0-18-amd64".into(),
                newest: Some("6.1.0-25-amd64".into()),
            },
            installed: vec![Installed::default()],
            offers: vec![
                offer("a", OfferKind::Upgrade, Some(true)),
                offer("b", OfferKind::Upgrade, Some(false)),
                offer("c", OfferKind::Deferred, Some(true)),
                offer("d", OfferKind::New, Some(true)),
                offer("e", OfferKind::Remove, None),
            ],
            reboot_due: vec!["a newer kernel".into()],
            ..PatchSnapshot::default()
        }
    }

    fn stands(snapshot: &PatchSnapshot, plan: &HostPlan) -> Standing {
        let today = Date::constant(2026, 11, 20);
        standing(snapshot, plan, &Advisories::default(), today)
    }

    fn without(section: &str) -> Standing {
        let mut snapshot = seen();
        let why = "no such program".to_owned();
        snapshot.unseen.insert(section.into(), why);
        if section == "reboot" {
            snapshot.reboot_due.clear();
        }
        stands(&snapshot, &HostPlan::default())
    }

    #[test]
    fn what_is_offered_and_not_made_is_counted() {
        let said = stands(&seen(), &HostPlan::default());
        assert_eq!((said.behind, said.behind_security), (Some(3), Some(2)));
        assert_eq!(said.kernel_waiting.as_deref(), Some("6.1.0-25-amd64"));
        assert_eq!(said.reboot_due, Some(vec!["a newer kernel".into()]));
        assert_eq!(said.open, None, "no advisories");
        assert_eq!(said.images_behind, Some(Vec::new()));
        let mut snapshot = seen();
        snapshot.kernel.newest = Some(snapshot.kernel.running.clone());
        assert_eq!(stands(&snapshot, &HostPlan::default()).kernel_waiting, None);
    }

    #[test]
    fn what_was_not_seen_is_not_known() {
        for section in ["offers", "installed"] {
            let said = without(section);
            assert_eq!((said.behind, said.behind_security), (None, None));
            assert_eq!(said.unknown.len(), 1);
        }
        assert_eq!(without("reboot").reboot_due, None);
        for engine in ["docker", "podman"] {
            assert_eq!(without(engine).images_behind, None);
        }
        // Packages were not looked at.
        let mut snapshot = seen();
        snapshot.installed.clear();
        snapshot.offers.clear();
        assert_eq!(stands(&snapshot, &HostPlan::default()).behind, None);
    }

    #[test]
    fn an_archive_that_did_not_answer_leaves_no_host_current() {
        let mut snapshot = seen();
        let why = "502".to_owned();
        snapshot.refreshed = Refreshed::Failed { why };
        assert_eq!(stands(&snapshot, &HostPlan::default()).behind, Some(3));
        snapshot.offers.clear();
        let said = stands(&snapshot, &HostPlan::default());
        assert_eq!((said.behind, said.behind_security), (None, None));
        assert_eq!(said.unknown, ["refresh: 502"]);
    }

    #[test]
    fn upgrades_of_unknown_kind_are_not_counted_as_harmless() {
        let mut snapshot = seen();
        for offer in &mut snapshot.offers {
            offer.security = offer.security.filter(|security| !security);
        }
        let said = stands(&snapshot, &HostPlan::default());
        assert_eq!((said.behind, said.behind_security), (Some(3), None));
    }

    #[test]
    fn images_are_behind_whether_they_are_moved_or_not() {
        let image = |name: &str, work, now: Option<&str>| ImagePlan {
            container: name.into(),
            image: "app:1".into(),
            digest: Some("sha256:a".into()),
            registry_digest: now.map(str::to_owned),
            work,
            ..ImagePlan::default()
        };
        let report = || ImageWork::Report { why: "x".into() };
        let mut plan = HostPlan {
            images: vec![
                image("web", ImageWork::Update { with: "x".into() }, None),
                image("same", report(), Some("sha256:a")),
                image("pinned", report(), Some("sha256:b")),
                image("cur", ImageWork::Current, Some("sha256:a")),
            ],
            ..HostPlan::default()
        };
        let behind = stands(&seen(), &plan).images_behind;
        let both = vec!["web: app:1".to_owned(), "pinned: app:1".to_owned()];
        assert_eq!(behind, Some(both));
        let why = "no answer".to_owned();
        plan.images = vec![image("odd", ImageWork::Unknown { why }, None)];
        let said = stands(&seen(), &plan);
        assert_eq!(said.images_behind, None);
        assert_eq!(said.unknown, ["image of odd: no answer"]);
    }

    #[test]
    fn stale_services_are_named_once() {
        let process = |unit: &str, program: &str| StaleProcess {
            unit: unit.into(),
            program: program.into(),
            ..StaleProcess::default()
        };
        let mut snapshot = seen();
        snapshot.stale = vec![
            process("nginx.service", "nginx"),
            process("nginx.service", "nginx"),
            process("", "bash"),
        ];
        let said = stands(&snapshot, &HostPlan::default());
        assert_eq!(said.stale, ["bash", "nginx.service"]);
    }
}

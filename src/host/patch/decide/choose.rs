//! Which offers are taken, and why the others are not. Pure.

use std::collections::BTreeSet;

use jiff::civil::Date;

use super::reboot::is_part_of_kernel;
use super::{Ground, closes, listed, means};
use crate::document::inventory::Globs;
use crate::document::patch::{Freeze, Scope};
use crate::model::patch::{
    ChangeKind, Installed, Offer, OfferKind, PatchSnapshot, Upgrade, WayBack, Withheld, WithheldWhy,
};

/// What became of the offers.
pub struct Chosen {
    pub upgrades: Vec<Upgrade>,
    pub withheld: Vec<Withheld>,
    /// Bytes that the disk holds more; `None`: not known.
    pub grows: Option<i64>,
    pub notes: Vec<String>,
}

/// Parts every offer into what is taken and what is withheld.
pub fn choose(snapshot: &PatchSnapshot, ground: &Ground<'_>) -> Chosen {
    let filter = Filter::new(snapshot, ground);
    let mut taken: Vec<&Offer> = Vec::new();
    let mut withheld: Vec<(&Offer, WithheldWhy, String)> = Vec::new();
    for offer in &snapshot.offers {
        match filter.refuses(offer) {
            Some((why, reason)) => withheld.push((offer, why, reason)),
            None => taken.push(offer),
        }
    }
    filter.hold_back_removals(&mut taken, &mut withheld);
    drop_newcomers(&mut taken, &mut withheld);
    Chosen {
        grows: taken
            .iter()
            .try_fold(0_i64, |all, offer| Some(all.saturating_add(offer.grows?))),
        notes: filter.notes(&taken, &withheld),
        upgrades: taken
            .iter()
            .map(|offer| Upgrade {
                closes: closes(offer, snapshot, ground.advisories),
                ..upgrade_of(offer, snapshot)
            })
            .collect(),
        withheld: withheld
            .into_iter()
            .map(|(offer, why, reason)| Withheld {
                name: offer.name.clone(),
                from: offer.from.clone(),
                to: offer.to.clone(),
                why,
                reason,
                security: offer.security,
                closes: closes(offer, snapshot, ground.advisories),
            })
            .collect(),
    }
}

/// An offer as a change, but for what it closes.
pub fn upgrade_of(offer: &Offer, snapshot: &PatchSnapshot) -> Upgrade {
    let kind = match offer.kind {
        OfferKind::New => ChangeKind::New,
        OfferKind::Remove => ChangeKind::Remove,
        OfferKind::Upgrade | OfferKind::Deferred => ChangeKind::Upgrade,
    };
    Upgrade {
        name: offer.name.clone(),
        arch: offer.arch.clone(),
        kind,
        from: offer.from.clone(),
        to: offer.to.clone(),
        origin: offer.origin.clone(),
        security: offer.security,
        official: offer.official,
        download: match kind {
            ChangeKind::Remove => Some(0),
            _ => offer.download,
        },
        way_back: way_back(offer),
        // What is new was asked for by nobody but a dependency.
        automatic: kind == ChangeKind::New
            || installed(snapshot, offer).is_some_and(|package| package.automatic),
        closes: Default::default(),
    }
}

/// The installed package that an offer is about.
fn installed<'s>(snapshot: &'s PatchSnapshot, offer: &Offer) -> Option<&'s Installed> {
    let named = || snapshot.installed.iter().filter(|p| p.name == offer.name);
    named()
        .find(|package| package.arch == offer.arch)
        .or_else(|| named().next())
}

fn way_back(offer: &Offer) -> WayBack {
    match (offer.kind, offer.former.as_str()) {
        (OfferKind::New, _) if is_part_of_kernel(&offer.name) => WayBack::None {
            why: "the kernel that runs is never taken away: it stays beside the former one".into(),
        },
        (OfferKind::New, _) | (OfferKind::Remove, "cache" | "archive") => WayBack::Inverse,
        (_, "cache") => WayBack::Cache,
        (_, "archive") => WayBack::Archive,
        _ => WayBack::None {
            why: format!(
                "version {} is neither in the host's cache nor in an archive",
                offer.from
            ),
        },
    }
}

/// Whether `names` of the document mean the offered package: `NAME` or `NAME:ARCH`.
fn names_it(globs: &Globs, offer: &Offer) -> bool {
    globs.take(&offer.name) || globs.take(&format!("{}:{}", offer.name, offer.arch))
}

/// A freeze of this host, and its last day.
struct Frozen<'a> {
    freeze: &'a Freeze,
    globs: Globs,
    /// `None`: the day cannot be read, so it holds.
    last: Option<Date>,
}

/// What the host and the playbook say against an offer.
struct Filter<'a> {
    ground: &'a Ground<'a>,
    holds: Vec<(&'a str, &'a str)>,
    only: Globs,
    exclude: Globs,
    freezes: Vec<Frozen<'a>>,
}

impl<'a> Filter<'a> {
    fn new(snapshot: &'a PatchSnapshot, ground: &'a Ground<'a>) -> Filter<'a> {
        let packages = &ground.patch.packages;
        Filter {
            ground,
            holds: snapshot
                .holds
                .iter()
                .map(|hold| (hold.name.as_str(), hold.by.as_str()))
                .collect(),
            only: Globs::new(&packages.only),
            exclude: Globs::new(&packages.exclude),
            freezes: packages
                .freeze
                .iter()
                .filter(|freeze| means(&freeze.hosts, ground.names))
                .map(|freeze| Frozen {
                    freeze,
                    globs: Globs::new(&[&freeze.package]),
                    last: freeze.expires.parse().ok(),
                })
                .collect(),
        }
    }

    /// Why this offer is not taken, for what it is in itself.
    fn refuses(&self, offer: &Offer) -> Option<(WithheldWhy, String)> {
        if offer.kind == OfferKind::Deferred {
            return Some(deferred(&offer.deferred));
        }
        if let Some(by) = self.held(offer) {
            return Some((WithheldWhy::Held, format!("on the host: {by}")));
        }
        if let Some(frozen) = self.frozen(offer) {
            let Freeze {
                reason,
                owner,
                expires,
                ..
            } = frozen.freeze;
            let reason = format!("{reason} (owner {owner}, until {expires})");
            return Some((WithheldWhy::Frozen, reason));
        }
        let packages = &self.ground.patch.packages;
        let excluded = |reason: &str| Some((WithheldWhy::Excluded, reason.to_owned()));
        if packages.scope == Scope::None {
            return excluded("the playbook takes no packages");
        }
        if names_it(&self.exclude, offer) {
            return excluded("the playbook's `exclude`");
        }
        // A package that is new, or is taken away, comes along with what needs it.
        if offer.kind != OfferKind::Upgrade {
            return None;
        }
        if !self.only.is_empty() && !names_it(&self.only, offer) {
            return excluded("not in the playbook's `only`");
        }
        if packages.scope == Scope::Security && offer.security != Some(true) {
            let reason = match offer.security {
                Some(_) => "it is no security upgrade",
                None => "it is not known to be a security upgrade",
            };
            return Some((WithheldWhy::NotSecurity, reason.to_owned()));
        }
        None
    }

    fn held(&self, offer: &Offer) -> Option<&str> {
        let qualified = format!("{}:{}", offer.name, offer.arch);
        self.holds
            .iter()
            .find(|(name, _)| *name == offer.name || *name == qualified)
            .map(|(_, by)| *by)
    }

    fn frozen(&self, offer: &Offer) -> Option<&Frozen<'a>> {
        self.freezes
            .iter()
            .find(|frozen| names_it(&frozen.globs, offer) && self.holds_today(frozen))
    }

    fn holds_today(&self, frozen: &Frozen<'_>) -> bool {
        frozen.last.is_none_or(|last| self.ground.today <= last)
    }

    /// Withholds what would take packages away that must stay: all of the upgrades, where it could
    /// not be told which of them does.
    fn hold_back_removals<'o>(
        &self,
        taken: &mut Vec<&'o Offer>,
        withheld: &mut Vec<(&'o Offer, WithheldWhy, String)>,
    ) {
        let allowed = self.ground.patch.packages.removals;
        let is_removal = |offer: &&Offer| offer.kind == OfferKind::Remove;
        let mut stays: BTreeSet<&str> = withheld
            .iter()
            .map(|(offer, ..)| *offer)
            .filter(is_removal)
            .map(|offer| offer.name.as_str())
            .collect();
        if !allowed {
            let removals = taken.iter().copied().filter(is_removal);
            stays.extend(removals.map(|offer| offer.name.as_str()));
        }
        // What is said to take something away is believed, whether the removal is listed or not.
        let takes = |offer: &Offer| {
            let gone = |name: &&String| !allowed || stays.contains(name.as_str());
            listed(offer.removes.iter().filter(gone).map(String::as_str))
        };
        let explained: BTreeSet<&str> = taken
            .iter()
            .flat_map(|offer| offer.removes.iter().map(String::as_str))
            .chain(
                withheld
                    .iter()
                    .flat_map(|(offer, ..)| offer.removes.iter().map(String::as_str)),
            )
            .collect();
        let unexplained = listed(
            stays
                .iter()
                .copied()
                .filter(|name| !explained.contains(name)),
        );
        let why = WithheldWhy::WouldRemove;
        let offers = std::mem::take(taken);
        for offer in offers {
            let known = takes(offer);
            if offer.kind == OfferKind::Remove && !allowed {
                let reason = "the playbook takes nothing away (`removals`)".to_owned();
                withheld.push((offer, why, reason));
            } else if !known.is_empty() {
                withheld.push((offer, why, format!("it would take away {known}")));
            } else if offer.kind == OfferKind::Upgrade && !unexplained.is_empty() {
                let reason = format!(
                    "one of the upgrades would take away {unexplained}, and it is not known which"
                );
                withheld.push((offer, why, reason));
            } else {
                taken.push(offer);
            }
        }
    }

    fn notes(&self, taken: &[&Offer], withheld: &[(&Offer, WithheldWhy, String)]) -> Vec<String> {
        let mut notes = Vec::new();
        for frozen in &self.freezes {
            let named = taken.iter().filter(|offer| names_it(&frozen.globs, offer));
            if !self.holds_today(frozen) && named.count() > 0 {
                notes.push(format!(
                    "the freeze of {} ended on {} and no longer holds: {} may take it out",
                    frozen.freeze.package, frozen.freeze.expires, frozen.freeze.owner
                ));
            }
        }
        let security = withheld
            .iter()
            .filter(|(offer, ..)| offer.security == Some(true));
        let security = listed(security.map(|(offer, ..)| offer.name.as_str()));
        if !security.is_empty() {
            notes.push(format!("security upgrades that are withheld: {security}"));
        }
        if !taken.is_empty() && !withheld.is_empty() {
            notes.push(format!(
                "{} of {} offers are withheld: the manager is asked for the rest, and refuses \
                 before it changes anything if that needs a withheld one",
                withheld.len(),
                withheld.len() + taken.len()
            ));
        }
        notes
    }
}

/// What the manager itself says against it.
fn deferred(text: &str) -> (WithheldWhy, String) {
    let says = |word: &str| text.starts_with(word);
    let (why, bare) = if says("held") {
        (WithheldWhy::Held, "held on the host")
    } else if says("pinned") {
        (WithheldWhy::Held, "pinned on the host")
    } else if says("phased") {
        (WithheldWhy::Phased, "given out by and by, and not yet here")
    } else {
        (WithheldWhy::KeptBack, "the package manager keeps it back")
    };
    let is_bare = matches!(text, "" | "held" | "pinned" | "phased" | "kept back");
    let reason = if is_bare { bare } else { text };
    (why, reason.to_owned())
}

/// New packages and removals that only withheld upgrades ask for stay away, and so do all of them
/// where no upgrade is left. One that nobody is known to ask for comes along.
fn drop_newcomers<'o>(
    taken: &mut Vec<&'o Offer>,
    withheld: &mut Vec<(&'o Offer, WithheldWhy, String)>,
) {
    let mut wanted: BTreeSet<&str> = BTreeSet::new();
    let mut asking: Vec<&Offer> = taken
        .iter()
        .copied()
        .filter(|offer| offer.kind == OfferKind::Upgrade)
        .collect();
    let none_is_left = asking.is_empty();
    while let Some(offer) = asking.pop() {
        for name in offer.needs.iter().chain(&offer.removes) {
            if wanted.insert(name) {
                asking.extend(taken.iter().filter(|other| other.name == *name));
            }
        }
    }
    let mut unwanted: BTreeSet<&str> = BTreeSet::new();
    let mut refused: Vec<&Offer> = withheld.iter().map(|(offer, ..)| *offer).collect();
    while let Some(offer) = refused.pop() {
        for name in offer.needs.iter().chain(&offer.removes) {
            if !wanted.contains(name.as_str()) && unwanted.insert(name) {
                refused.extend(taken.iter().filter(|other| other.name == *name));
            }
        }
    }
    for offer in std::mem::take(taken) {
        let comes_along = offer.kind != OfferKind::Upgrade;
        if comes_along && (none_is_left || unwanted.contains(offer.name.as_str())) {
            let reason = "it comes only with upgrades that are withheld".to_owned();
            withheld.push((offer, WithheldWhy::Needs, reason));
        } else {
            taken.push(offer);
        }
    }
}

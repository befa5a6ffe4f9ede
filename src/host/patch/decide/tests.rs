use proptest::prelude::*;

use super::*;
use crate::document::patch::Freeze;
use crate::model::Severity;
use crate::model::patch::{
    ChangeKind, Hold, Installed, Kernel, OfferKind, OsRelease, Refreshed, Space, WayBack,
    WithheldWhy,
};

/// What the host's own state asks for, whatever is offered.
mod state;

fn patch(yaml: &str) -> Patch {
    let head = "patch: weekly\ntitle: t\nhosts: [all]\n";
    serde_yaml::from_str(&format!("{head}{yaml}")).unwrap()
}

fn offer(name: &str) -> Offer {
    Offer {
        name: name.into(),
        arch: "amd64".into(),
        from: "1.0".into(),
        to: "2.0".into(),
        security: Some(false),
        official: Some(true),
        download: Some(1000),
        grows: Some(10),
        former: "cache".into(),
        ..Offer::default()
    }
}

fn host(offers: Vec<Offer>) -> PatchSnapshot {
    PatchSnapshot {
        host: "web-1".into(),
        arch: "amd64".into(),
        manager: Manager::Apt,
        refreshed: Refreshed::Done,
        installed: offers
            .iter()
            .filter(|offer| offer.kind != OfferKind::New)
            .map(|offer| Installed {
                name: offer.name.clone(),
                arch: offer.arch.clone(),
                version: offer.from.clone(),
                ..Installed::default()
            })
            .collect(),
        offers,
        space: [("packages", "/var"), ("root", "/"), ("boot", "/boot")]
            .map(|(what, mount)| Space {
                what: what.into(),
                mount: mount.into(),
                free: 1 << 30,
            })
            .to_vec(),
        ..PatchSnapshot::default()
    }
}

fn decided(snapshot: &PatchSnapshot, patch: &Patch) -> HostPlan {
    let names = ["web-1", "web"].map(str::to_owned);
    decide(
        snapshot,
        &Ground {
            patch,
            advisories: &Advisories::default(),
            today: Date::constant(2026, 11, 20),
            names: &names.into_iter().collect(),
        },
    )
}

fn taken(plan: &HostPlan) -> Vec<&str> {
    plan.upgrades.iter().map(|u| u.name.as_str()).collect()
}

fn why(plan: &HostPlan) -> Vec<(&str, WithheldWhy)> {
    let withheld = plan.withheld.iter();
    withheld.map(|w| (w.name.as_str(), w.why)).collect()
}

fn blocked(plan: &HostPlan) -> Vec<&str> {
    plan.blockers.iter().map(|b| b.what.as_str()).collect()
}

fn noted(plan: &HostPlan, words: &str) -> bool {
    plan.notes.iter().any(|note| note.contains(words))
}

#[test]
fn all_that_is_offered_is_taken_in_the_managers_order() {
    let mut automatic = host(vec![offer("zlib1g"), offer("app")]);
    automatic.installed[0].automatic = true;
    let plan = decided(&automatic, &patch(""));
    assert_eq!(taken(&plan), ["zlib1g", "app"]);
    assert!(plan.upgrades[0].automatic && !plan.upgrades[1].automatic);
    assert_eq!((plan.download, plan.grows), (Some(2000), Some(20)));
    assert!(
        plan.withheld.is_empty() && plan.blockers.is_empty(),
        "{plan:?}"
    );
    assert_eq!(plan.host, "web-1");
    assert!(noted(&plan, "services that use zlib1g"));
    assert!(decided(&host(Vec::new()), &patch("")).is_empty());
}

#[test]
fn what_the_manager_defers_is_withheld_with_its_reason() {
    let deferred = |name: &str, text: &str| Offer {
        kind: OfferKind::Deferred,
        deferred: text.into(),
        ..offer(name)
    };
    let plan = decided(
        &host(vec![
            deferred("a", "held"),
            deferred("b", "phased"),
            deferred("c", "pinned"),
            deferred("d", "kept back: needs x"),
            deferred("e", ""),
        ]),
        &patch(""),
    );
    use WithheldWhy::*;
    let expected = [
        ("a", Held),
        ("b", Phased),
        ("c", Held),
        ("d", KeptBack),
        ("e", KeptBack),
    ];
    assert_eq!(why(&plan), expected);
    assert_eq!(plan.withheld[3].reason, "kept back: needs x");
    assert!(plan.withheld.iter().all(|w| !w.reason.is_empty()));
    assert!(plan.is_empty());
}

#[test]
fn holds_of_the_host_are_honoured() {
    let mut held = host(vec![offer("app"), offer("lib"), offer("other")]);
    held.holds = [
        ("app", "hold"),
        ("lib:amd64", "versionlock"),
        ("other:i386", "hold"),
    ]
    .map(|(name, by)| Hold {
        name: name.into(),
        by: by.into(),
    })
    .to_vec();
    let plan = decided(&held, &patch(""));
    assert_eq!(taken(&plan), ["other"]);
    assert_eq!(
        why(&plan),
        [("app", WithheldWhy::Held), ("lib", WithheldWhy::Held)]
    );
    assert!(plan.withheld[1].reason.contains("versionlock"));
}

#[test]
fn the_scope_and_the_lists_of_names_say_what_is_taken() {
    let security = |name: &str, security| Offer {
        security,
        ..offer(name)
    };
    let snapshot = host(vec![
        security("openssl", Some(true)),
        security("app", Some(false)),
        security("vendor-x", None),
        security("libc6", Some(true)),
    ]);
    let of = |yaml: &str| {
        let plan = decided(&snapshot, &patch(yaml));
        taken(&plan).join(" ")
    };
    assert_eq!(of("packages: {scope: security}"), "openssl libc6");
    assert_eq!(of("packages: {scope: none}"), "");
    assert_eq!(of("packages: {only: ['lib*', app]}"), "app libc6");
    assert_eq!(
        of("packages: {exclude: ['vendor-*', 'libc6:amd64']}"),
        "openssl app"
    );
    assert_eq!(
        of("packages: {scope: security, exclude: [openssl]}"),
        "libc6"
    );
    let plan = decided(&snapshot, &patch("packages: {scope: security}"));
    use WithheldWhy::*;
    assert_eq!(
        why(&plan),
        [("app", NotSecurity), ("vendor-x", NotSecurity)]
    );
    assert!(plan.withheld[1].reason.contains("not known"));
    assert!(noted(&plan, "2 of 4 offers are withheld"));
    let plan = decided(&snapshot, &patch("packages: {only: [app]}"));
    assert_eq!(why(&plan)[0], ("openssl", Excluded));
    assert!(noted(
        &plan,
        "security upgrades that are withheld: openssl, libc6"
    ));
}

fn frozen(hosts: &str, expires: &str) -> Patch {
    let mut patch = patch("");
    patch.packages.freeze = vec![Freeze {
        package: "php*".into(),
        hosts: vec![hosts.into()],
        reason: "a release is under way".into(),
        owner: "ops".into(),
        expires: expires.into(),
    }];
    patch
}

#[test]
fn a_freeze_holds_until_its_last_day_and_only_for_its_hosts() {
    let snapshot = host(vec![offer("php8.2"), offer("app")]);
    let of = |hosts: &str, expires: &str| decided(&snapshot, &frozen(hosts, expires));
    for (hosts, expires) in [
        ("all", "2026-11-20"),
        ("web", "2026-12-01"),
        ("web-1", "never"),
    ] {
        let plan = of(hosts, expires);
        assert_eq!(
            why(&plan),
            [("php8.2", WithheldWhy::Frozen)],
            "{hosts} {expires}"
        );
        let reason = &plan.withheld[0].reason;
        for word in ["a release is under way", "ops", expires] {
            assert!(reason.contains(word), "{reason}");
        }
    }
    let late = of("all", "2026-11-19");
    assert_eq!(taken(&late), ["php8.2", "app"]);
    assert!(noted(&late, "freeze of php* ended on 2026-11-19"));
    let others = of("db", "2026-12-01");
    assert_eq!(taken(&others), ["php8.2", "app"]);
    assert!(!noted(&others, "freeze"));
}

fn removal(name: &str) -> Offer {
    Offer {
        kind: OfferKind::Remove,
        to: String::new(),
        ..offer(name)
    }
}

#[test]
fn nothing_is_taken_away_unless_the_playbook_says_so() {
    let mut taker = offer("new-app");
    taker.removes = vec!["old-app".into()];
    let known = host(vec![taker, removal("old-app"), offer("other")]);
    let plan = decided(&known, &patch(""));
    use WithheldWhy::WouldRemove;
    assert_eq!(taken(&plan), ["other"]);
    assert_eq!(
        why(&plan),
        [("new-app", WouldRemove), ("old-app", WouldRemove)]
    );
    assert!(plan.withheld[0].reason.contains("old-app"));
    // It is not known which one does: none is made.
    let unknown = host(vec![offer("new-app"), removal("old-app"), offer("other")]);
    let plan = decided(&unknown, &patch(""));
    assert!(taken(&plan).is_empty());
    assert_eq!(plan.withheld.len(), 3);
    // Allowed.
    for snapshot in [known, unknown] {
        let plan = decided(&snapshot, &patch("packages: {removals: true}"));
        assert_eq!(taken(&plan), ["new-app", "old-app", "other"]);
        assert_eq!(plan.upgrades[1].kind, ChangeKind::Remove);
        assert_eq!(plan.upgrades[1].way_back, WayBack::Inverse);
        assert!(noted(&plan, "taken away: old-app") && plan.blockers.is_empty());
    }
}

#[test]
fn what_only_a_withheld_upgrade_asks_for_stays_away() {
    let fresh = |name: &str| Offer {
        kind: OfferKind::New,
        from: String::new(),
        ..offer(name)
    };
    let mut app = offer("app");
    app.needs = vec!["lib".into()];
    app.removes = vec!["old-app".into()];
    let mut lib = fresh("lib");
    lib.needs = vec!["data".into()];
    let offers = vec![
        app,
        lib,
        fresh("data"),
        fresh("whose"),
        removal("old-app"),
        offer("other"),
    ];
    let snapshot = host(offers);
    let all = decided(&snapshot, &patch("packages: {removals: true}"));
    assert_eq!(taken(&all).len(), 6);
    let one = decided(
        &snapshot,
        &patch("packages: {removals: true, only: [other]}"),
    );
    // Who asks for the last one is not known.
    assert_eq!(taken(&one), ["whose", "other"]);
    use WithheldWhy::{Excluded, Needs};
    assert_eq!(
        why(&one),
        [
            ("app", Excluded),
            ("lib", Needs),
            ("data", Needs),
            ("old-app", Needs)
        ]
    );
}

#[test]
fn a_frozen_package_is_not_taken_away_either() {
    let mut taker = offer("app");
    taker.removes = vec!["php8.2".into()];
    let snapshot = host(vec![taker, removal("php8.2"), offer("other")]);
    let mut patch = frozen("all", "2026-12-01");
    patch.packages.removals = true;
    let plan = decided(&snapshot, &patch);
    assert_eq!(taken(&plan), ["other"]);
}

#[test]
fn what_a_host_cannot_be_without_is_never_taken_away() {
    let allowed = patch("packages: {removals: true}");
    for name in [
        "sudo",
        "openssh-server",
        "systemd",
        "libc6",
        "linux-image-6.1.0-18-amd64",
    ] {
        let mut snapshot = host(vec![offer("app"), removal(name)]);
        snapshot.kernel = Kernel {
            running: "6.1.0-18-amd64".into(),
            newest: None,
        };
        assert_eq!(
            blocked(&decided(&snapshot, &allowed)),
            ["removal"],
            "{name}"
        );
        // Not asked for: nothing is taken away, and nothing is in the way.
        assert!(decided(&snapshot, &patch("")).blockers.is_empty());
    }
    let mut snapshot = host(vec![offer("app"), removal("linux-image-6.1.0-17-amd64")]);
    snapshot.kernel.running = "6.1.0-18-amd64".into();
    assert!(decided(&snapshot, &allowed).blockers.is_empty());
    for (version, blocks) in [("5.14.0-427.el9", true), ("5.14.0-400.el9", false)] {
        let mut kernel = removal("kernel-core");
        kernel.from = version.into();
        let mut snapshot = host(vec![offer("app"), kernel]);
        snapshot.manager = Manager::Dnf;
        snapshot.kernel.running = "5.14.0-427.el9.x86_64".into();
        let plan = decided(&snapshot, &allowed);
        assert_eq!(!plan.blockers.is_empty(), blocks, "{version}");
    }
}

#[test]
fn new_packages_come_along_with_upgrades_and_never_alone() {
    let new = Offer {
        kind: OfferKind::New,
        from: String::new(),
        former: String::new(),
        ..offer("libnew1")
    };
    let both = host(vec![new, offer("app")]);
    for yaml in ["", "packages: {only: [app]}"] {
        let plan = decided(&both, &patch(yaml));
        assert_eq!(taken(&plan), ["libnew1", "app"]);
        let upgrade = &plan.upgrades[0];
        assert_eq!(
            (upgrade.kind, &upgrade.way_back),
            (ChangeKind::New, &WayBack::Inverse)
        );
        assert!(upgrade.automatic);
    }
    let plan = decided(&both, &patch("packages: {exclude: [app]}"));
    use WithheldWhy::{Excluded, Needs};
    assert_eq!(why(&plan), [("app", Excluded), ("libnew1", Needs)]);
    let plan = decided(&both, &patch("packages: {exclude: ['lib*']}"));
    assert_eq!(why(&plan), [("libnew1", Excluded)]);
}

#[test]
fn what_cannot_go_back_is_said_before() {
    let mut lost = offer("lost");
    lost.former.clear();
    let mut far = offer("far");
    far.former = "archive".into();
    let snapshot = host(vec![offer("near"), far, lost]);
    let plan = decided(&snapshot, &patch(""));
    let ways: Vec<&WayBack> = plan.upgrades.iter().map(|u| &u.way_back).collect();
    assert!(matches!(
        ways[..],
        [WayBack::Cache, WayBack::Archive, WayBack::None { .. }]
    ));
    assert!(noted(&plan, "cannot go back") && noted(&plan, "had: lost"));
    let plan = decided(&snapshot, &patch("packages: {way_back: false}"));
    assert!(noted(&plan, "no way back") && !noted(&plan, "cannot go back"));
}

#[test]
fn a_new_kernel_stays_where_it_is_on_the_way_back_and_the_plan_says_so() {
    let new = |name: &str| Offer {
        kind: OfferKind::New,
        from: String::new(),
        former: String::new(),
        ..offer(name)
    };
    let offers = vec![
        new("linux-image-6.1.0-40-amd64"),
        new("libnew1"),
        offer("app"),
    ];
    let plan = decided(&host(offers), &patch(""));
    let ways: Vec<&WayBack> = plan.upgrades.iter().map(|u| &u.way_back).collect();
    assert!(matches!(
        ways[..],
        [WayBack::None { .. }, WayBack::Inverse, WayBack::Cache]
    ));
    assert!(noted(&plan, "never taken away: linux-image-6.1.0-40-amd64"));
    assert!(!noted(&plan, "cannot go back"));
}

#[test]
fn what_an_upgrade_closes_is_from_all_who_know() {
    let tracker = r#"{"app": {"CVE-2026-1": {"releases": {"bookworm":
        {"status": "resolved", "fixed_version": "2.0", "urgency": "high"}}}}}"#;
    let mut advisories = Advisories::default();
    advisories.add("tracker.json", tracker.as_bytes()).unwrap();
    let of = |closes: Option<&[&str]>, manager| {
        let mut snapshot = host(vec![offer("app")]);
        snapshot.manager = manager;
        snapshot.os = OsRelease {
            id: "debian".into(),
            version: "12".into(),
            ..OsRelease::default()
        };
        snapshot.offers[0].closes = closes.map(|ids| ids.iter().map(|i| (*i).into()).collect());
        let patch = patch("");
        let names = BTreeSet::from(["web-1".to_owned()]);
        let ground = Ground {
            patch: &patch,
            advisories: &advisories,
            today: Date::constant(2026, 11, 20),
            names: &names,
        };
        decide(&snapshot, &ground).upgrades.remove(0).closes
    };
    let Closes::Known { ids, worst, by } = of(Some(&["CVE-2026-2"]), Manager::Apt) else {
        panic!();
    };
    assert_eq!(ids, ["CVE-2026-1", "CVE-2026-2"]);
    assert_eq!(
        (worst, by.as_str()),
        (Some(Severity::High), "changelog, tracker")
    );
    let Closes::Known { ids, by, .. } = of(None, Manager::Dnf) else {
        panic!();
    };
    assert_eq!((ids.len(), by.as_str()), (1, "tracker"));
    // Without advisories, what came with the package; without that, nobody knows.
    let mut own = host(vec![offer("app"), offer("b")]);
    own.offers[0].closes = Some(Vec::new());
    let plan = decided(&own, &patch(""));
    assert!(matches!(&plan.upgrades[0].closes, Closes::Known { ids, .. } if ids.is_empty()));
    assert_eq!(plan.upgrades[1].closes, Closes::Unknown);
}

#[test]
fn third_parties_and_unknown_origins_are_shown() {
    let from = |name: &str, official| Offer {
        official,
        ..offer(name)
    };
    let snapshot = host(vec![
        from("docker-ce", Some(false)),
        from("odd", None),
        offer("app"),
    ]);
    let plan = decided(&snapshot, &patch(""));
    assert_eq!(taken(&plan), ["docker-ce", "odd", "app"]);
    assert!(noted(&plan, "from third parties: docker-ce"));
    assert!(noted(&plan, "not known where these come from: odd"));
}

fn any_offer() -> impl Strategy<Value = Offer> {
    let kind = prop_oneof![
        4 => Just(OfferKind::Upgrade),
        1 => Just(OfferKind::New),
        1 => Just(OfferKind::Remove),
        1 => Just(OfferKind::Deferred),
    ];
    let bytes = prop::option::of(any::<u64>());
    let grows = prop::option::of(any::<i64>());
    let removes = prop::collection::vec("[a-f]|sudo", 0..2);
    (
        "[a-f]|sudo|libc6",
        kind,
        prop::option::of(any::<bool>()),
        bytes,
        grows,
        removes,
    )
        .prop_map(|(name, kind, security, download, grows, removes)| Offer {
            kind,
            security,
            download,
            grows,
            removes,
            ..offer(&name)
        })
}

proptest! {
    #[test]
    fn every_offer_is_taken_or_withheld_and_nothing_goes_unasked(
        offers in prop::collection::vec(any_offer(), 0..8),
        removals in any::<bool>(),
        scope in prop_oneof!["all", "security", "none"],
        exclude in "[a-f]",
    ) {
        let snapshot = host(offers);
        let text = format!("packages: {{removals: {removals}, scope: {scope}, exclude: [{exclude}]}}");
        let plan = decided(&snapshot, &patch(&text));
        prop_assert_eq!(plan.upgrades.len() + plan.withheld.len(), snapshot.offers.len());
        for upgrade in &plan.upgrades {
            prop_assert!(upgrade.name != exclude);
            prop_assert!(removals || upgrade.kind != ChangeKind::Remove);
            let only_security = scope == "security" && upgrade.kind == ChangeKind::Upgrade;
            prop_assert!(!only_security || upgrade.security == Some(true));
            let gone = upgrade.kind == ChangeKind::Remove;
            let protected = gone && ["sudo", "libc6"].contains(&upgrade.name.as_str());
            prop_assert!(!protected || blocked(&plan).contains(&"removal"));
        }
        prop_assert!(scope != "none" || plan.upgrades.is_empty());
        prop_assert!(plan.withheld.iter().all(|w| !w.reason.is_empty()));
    }
}

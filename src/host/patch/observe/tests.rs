//! The whole of it: the program under every shell, and hosts that say odd things.

use proptest::prelude::*;

use super::*;
use crate::host::probe::section::testing::{SHELLS, frame, run};
use crate::model::patch::OfferKind;
use crate::shell::{FrameReader, Limits, quote};

const ALL: Ask = Ask {
    refresh: false,
    lock_wait: 0,
    packages: true,
    phased: false,
    containers: false,
};

fn frames_of(shell: &[&str], functions: &str, calls: &str) -> Vec<Frame> {
    let nonce = Nonce::draw();
    let (said, _) = run(shell, &assemble(&nonce, functions, calls));
    let mut reader = FrameReader::new(&nonce, Limits::default());
    reader.push(&said).unwrap();
    std::iter::from_fn(|| reader.next_frame()).collect()
}

/// This machine has apt (the tests need Debian) and may lack systemd. No list is fetched, and apt is
/// not asked what it would do: with a desktop's lists that takes half a minute.
#[test]
fn this_machine_is_seen_the_same_under_every_shell() {
    for shell in SHELLS {
        let (functions, calls) = parts(&ALL);
        assert!(calls.contains("\nobserve_apt_offers\n"));
        let calls = calls.replace("\nobserve_apt_offers\n", "\n");
        let frames = frames_of(shell, &functions, &calls);
        assert!(is_whole(&frames), "{shell:?}");
        let seen = read(&frames, &ALL, "here", "now");
        assert_eq!(seen.manager, Manager::Apt, "{shell:?}");
        assert_eq!(seen.boot_id.len(), 36);
        assert!(seen.uptime > 0 && !seen.os.id.is_empty() && !seen.kernel.running.is_empty());
        assert!(seen.installed.iter().any(|p| p.name == "dpkg"), "{shell:?}");
        assert!(seen.space.iter().any(|s| s.what == "root" && s.free > 0));
        for section in ["os", "installed", "holds", "broken", "space"] {
            assert_eq!(seen.unseen.get(section), None, "{shell:?} {section}");
        }
    }
}

#[test]
fn a_gate_asks_for_health_alone() {
    for shell in SHELLS {
        let tcp = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let frames = {
            let (functions, calls) = parts(&Ask::HEALTH);
            frames_of(shell, &functions, &calls)
        };
        assert!(is_whole(&frames), "{shell:?}");
        assert!(frames.iter().all(|f| f.name != "dpkg" && f.name != "os"));
        let seen = read(&frames, &Ask::HEALTH, "here", "now");
        let port = tcp.local_addr().unwrap().port();
        assert!(
            seen.health
                .listeners
                .iter()
                .any(|l| l.port == port && l.address == "127.0.0.1"),
            "{shell:?}"
        );
        assert!(seen.unseen.keys().all(|k| k == "health"));
        assert_eq!(seen.installed.len(), 0);
    }
}

#[test]
fn a_host_that_says_nothing_is_unseen_throughout() {
    let ask = Ask {
        refresh: true,
        ..ALL
    };
    let seen = read(&[], &ask, "h", "t");
    for section in [
        "os",
        "refresh",
        "installed",
        "offers",
        "holds",
        "broken",
        "lock",
        "reboot",
        "stale",
        "space",
        "health",
    ] {
        assert!(seen.unseen.contains_key(section), "{section}");
    }
    assert!(matches!(seen.refreshed, Refreshed::Failed { .. }));
    assert!(!is_whole(&[]));
    // The same where apt is known and then nothing comes.
    let frames = [frame("system", 0, "arch amd64\nmanager apt")];
    let seen = read(&frames, &ask, "h", "t");
    for section in ["installed", "offers", "holds", "broken", "lock", "reboot"] {
        assert!(seen.unseen.contains_key(section), "{section}");
    }
}

#[test]
fn lists_that_were_not_all_fetched_are_not_fresh() {
    let ask = Ask {
        refresh: true,
        ..ALL
    };
    let refreshed = |status, text: &str| read(&[frame("refresh", status, text)], &ask, "h", "t");
    // Of a lab host without a way out.
    let failed = refreshed(
        100,
        "E: Failed to fetch http://deb.debian.org/debian/dists/bookworm/InRelease  Temporary failure resolving 'deb.debian.org'\nE: Some index files failed to download. They have been ignored, or old ones used instead.",
    );
    assert!(
        matches!(&failed.refreshed, Refreshed::Failed { why } if why.contains("Temporary failure"))
    );
    // An old apt ends well all the same.
    let old = refreshed(
        0,
        "W: Failed to fetch http://x/InRelease  Could not connect\nW: Some index files failed to download.",
    );
    assert!(old.unseen.contains_key("refresh"));
    let other = refreshed(
        0,
        "W: http://x/InRelease: Key is stored in legacy trusted.gpg keyring",
    );
    assert_eq!(other.refreshed, Refreshed::Done);
    let unsigned = refreshed(
        100,
        "W: noise\nE: The repository 'http://x InRelease' is not signed.",
    );
    assert_eq!(
        unsigned.unseen["refresh"],
        "E: The repository 'http://x InRelease' is not signed."
    );
    assert_eq!(
        refreshed(100, "the lists are locked by 12 apt-get update").unseen["refresh"],
        "the lists are locked by 12 apt-get update"
    );
    assert_eq!(read(&[], &ALL, "h", "t").refreshed, Refreshed::NotAsked);
}

/// Answers of a lab host (Debian 12, apt 2.6.1) with archives of ours, in the place of apt's own
/// programs: all of them are called through `limited`.
const FAKES: &str = r#"
has_pins() { return 1; }
limited() {
  shift
  _keep=$IFS IFS=' '
  _what="$*"
  IFS=$_keep
  case $_what in
  apt-get*' -s '*) printf '%s' "$simulated" ;;
  'apt-cache policy') printf '%s' "$policy" ;;
  'apt-cache policy '*) printf '# %s\n%s' "$_what" "$versions" ;;
  'apt-cache show '*) printf 'Size: %s\n%s' "$_what" "$sizes" ;;
  *) return 1 ;;
  esac
}
"#;
const SIMULATED: &str = "The following packages have been kept back:
   held (1.0-1 => 2.0-1)
   kept (1.0-1 => 2.0-1)
   phased (1.0-1 => 2.0-1)
The following packages will be upgraded:
   app (1.0-1 => 2.0-1)
Remv old [1.0-1]
Inst app [1.0-1] (2.0-1 Debian:12/stable [all])
Inst fresh (1.0-1 Debian:12/stable [all])
Inst libsea1 [1:1.0-1] (1:1.2-1 Debian:12/stable [amd64])
Inst vendor [1.0-1] (1.5-1 Vendor:12/main [all])
Conf app (2.0-1 Debian:12/stable [all])
";
const POLICY: &str = "Package files:
 100 /var/lib/dpkg/status
     release a=now
 500 file:/srv/r/third ./ Packages
     release v=12,o=Vendor Inc.,a=main,n=main,l=Vendor,c=
 500 copy:/srv/r/sec ./ Packages
     release v=12,o=Debian,a=stable-security,n=bookworm-security,l=Debian-Security,c=
 500 copy:/srv/r/repo ./ Packages
     release v=12,o=Debian,a=stable,n=bookworm,l=Debian,c=
Pinned packages:
     pinned -> 1.0-1 with priority 1001
     elsewhere -> 1.0-1 with priority 1001
";
const VERSIONS: &str = "app:
  Version table:
     2.0-1 500
        500 copy:/srv/r/repo ./ Packages
 *** 1.0-1 500
        500 copy:/srv/r/repo ./ Packages
        100 /var/lib/dpkg/status
libsea1:
  Version table:
     1:1.2-1 500
        500 copy:/srv/r/repo ./ Packages
     1:1.1-1 500
        500 copy:/srv/r/sec ./ Packages
 *** 1:1.0-1 100
        100 /var/lib/dpkg/status
pinned:
  Version table:
     2.0-1 500
        500 copy:/srv/r/sec ./ Packages
 *** 1.0-1 1001
        500 copy:/srv/r/repo ./ Packages
        100 /var/lib/dpkg/status
phased:
  Version table:
     2.0-1 500 (phased 0%)
        500 copy:/srv/r/repo ./ Packages
 *** 1.0-1 500
        100 /var/lib/dpkg/status
vendor:
  Version table:
     1.5-1 500
        500 file:/srv/r/third ./ Packages
 *** 1.0-1 500
        100 /var/lib/dpkg/status
";
const SIZES: &str = "Package: app
Version: 2.0-1
Architecture: all
Installed-Size: 40
Size: 920
Package: libsea1
Version: 1:1.2-1
Architecture: amd64
Installed-Size: 5
Size: 940
Package: vendor
Version: 1.5-1
Architecture: all
Size: 924
";

fn dpkg() -> Vec<Frame> {
    let row = |name: &str, arch: &str, version: &str, want: &str, status: &str| {
        format!("{name}\t{arch}\t{version}\t{want}\t{status}\t{name}\t{version}\t10\n")
    };
    let rows = [
        row("app", "all", "1.0-1", "install", "installed"),
        row("libsea1", "amd64", "1:1.0-1", "install", "triggers-pending"),
        row("held", "all", "1.0-1", "hold", "installed"),
        row("kept", "all", "1.0-1", "install", "half-configured"),
        row("phased", "all", "1.0-1", "install", "installed"),
        row("pinned", "all", "1.0-1", "install", "installed"),
        row("vendor", "all", "1.0-1", "install", "installed"),
        row("old", "all", "1.0-1", "install", "installed"),
        row("torn", "amd64", "1", "install", "half-installed"),
        row("gone", "all", "1", "deinstall", "config-files"),
    ];
    vec![
        frame("system", 0, "arch amd64\nmanager apt\nrunning 1"),
        frame("os", 0, "ID=debian"),
        frame("dpkg", 0, &rows.concat()),
        frame(
            "automatic",
            0,
            "Package: libsea1\nArchitecture: amd64\nAuto-Installed: 1\nPackage: app\nArchitecture: amd64\nAuto-Installed: 1\nPackage: kept\nArchitecture: amd64\nAuto-Installed: 0",
        ),
        frame("updates", 0, "0001 "),
        frame("lock", 0, ""),
        frame("reboot", 0, "required\nlinux-base\nlinux-base\n"),
    ]
}

/// dpkg's frames, and what the program makes of apt's answers.
fn apt_host(shell: &[&str], simulated: &str) -> (Vec<Frame>, PatchSnapshot) {
    let (functions, _) = parts(&ALL);
    let texts = [
        ("simulated", simulated),
        ("policy", POLICY),
        ("versions", VERSIONS),
        ("sizes", SIZES),
    ];
    let texts: Vec<String> = texts
        .iter()
        .map(|(name, text)| format!("{name}={}", quote(text).unwrap()))
        .collect();
    let fakes = format!("{functions}{FAKES}{}\n", texts.join("\n"));
    let mut frames = dpkg();
    frames.extend(frames_of(shell, &fakes, "observe_apt_offers"));
    let seen = read(&frames, &ALL, "h", "t");
    (frames, seen)
}

#[test]
fn offers_are_told_with_all_that_is_known_of_them() {
    for shell in SHELLS {
        let (frames, seen) = apt_host(shell, SIMULATED);
        let asked = |name: &str| {
            let text = section::find(&frames, name).unwrap().text().into_owned();
            text.lines().next().unwrap().to_owned()
        };
        assert_eq!(
            asked("versions"),
            "# apt-cache policy -- pinned elsewhere held kept phased app old app fresh libsea1 vendor",
            "{shell:?}"
        );
        assert_eq!(
            asked("sizes"),
            "Size: apt-cache show -- app=2.0-1 fresh=1.0-1 libsea1=1:1.2-1 vendor=1.5-1"
        );
        let short: Vec<_> = seen
            .offers
            .iter()
            .map(|o| (o.name.as_str(), o.kind, o.deferred.as_str()))
            .collect();
        assert_eq!(
            short,
            [
                ("old", OfferKind::Remove, ""),
                ("app", OfferKind::Upgrade, ""),
                ("fresh", OfferKind::New, ""),
                ("libsea1", OfferKind::Upgrade, ""),
                ("vendor", OfferKind::Upgrade, ""),
                ("held", OfferKind::Deferred, "held"),
                ("kept", OfferKind::Deferred, "kept back"),
                ("phased", OfferKind::Deferred, "phased"),
                ("pinned", OfferKind::Deferred, "pinned"),
            ],
            "{shell:?}"
        );
        let of = |name: &str| seen.offers.iter().find(|o| o.name == name).unwrap();
        let app = of("app");
        assert_eq!((app.security, app.official), (Some(false), Some(true)));
        assert_eq!((app.download, app.grows), (Some(920), Some(30 << 10)));
        assert_eq!(app.former, "archive");
        // The version on the way to it came from the security archive; the former one is nowhere.
        let sea = of("libsea1");
        assert_eq!((sea.security, sea.former.as_str()), (Some(true), ""));
        assert_eq!(sea.grows, Some(-(5 << 10)));
        let vendor = of("vendor");
        assert_eq!((vendor.official, vendor.download), (Some(false), Some(0)));
        assert_eq!(vendor.grows, None);
        // Nothing is known of where it comes from: not a pass.
        assert_eq!((of("fresh").security, of("fresh").official), (None, None));
        let pinned = of("pinned");
        assert_eq!((pinned.security, pinned.to.as_str()), (Some(true), "2.0-1"));
        assert_eq!(pinned.origin, "Debian-Security:12/stable-security");
        let holds: Vec<_> = seen
            .holds
            .iter()
            .map(|h| (h.name.as_str(), h.by.as_str()))
            .collect();
        assert_eq!(holds, [("held", "hold"), ("pinned", "pin")]);
    }
}

#[test]
fn what_dpkg_left_undone_is_told() {
    let seen = read(&dpkg(), &ALL, "h", "t");
    let broken: Vec<_> = seen
        .broken
        .iter()
        .map(|b| (b.name.as_str(), b.state.as_str()))
        .collect();
    assert_eq!(
        broken,
        [
            ("dpkg", "interrupted"),
            ("libsea1", "triggers-pending"),
            ("kept", "half-configured"),
            ("torn", "half-installed")
        ]
    );
    let automatic: Vec<_> = seen
        .installed
        .iter()
        .filter(|i| i.automatic)
        .map(|i| i.name.as_str())
        .collect();
    assert_eq!(automatic, ["app", "libsea1"]);
    assert_eq!(seen.installed.len(), 8);
    assert_eq!(seen.reboot_due, ["asked for by linux-base"]);
    assert_eq!(seen.unseen["offers"], "the host did not answer");
}

#[test]
fn where_nothing_is_offered_nothing_more_is_asked() {
    for shell in SHELLS {
        let (frames, seen) = apt_host(shell, "Calculating upgrade...\n0 upgraded");
        assert_eq!(seen.offers.len(), 0);
        assert!(!seen.unseen.contains_key("offers"), "{shell:?}");
        for more in ["policy", "versions", "sizes"] {
            assert!(section::find(&frames, more).is_none(), "{shell:?} {more}");
        }
    }
}

#[test]
fn an_apt_that_fails_offers_nothing_that_is_known() {
    let mut frames = dpkg();
    frames.push(frame(
        "simulated",
        100,
        "Reading package lists...\nE: Unmet dependencies. Try 'apt --fix-broken install' with no packages (or specify a solution).",
    ));
    let seen = read(&frames, &ALL, "h", "t");
    assert!(seen.unseen["offers"].starts_with("E: Unmet dependencies"));
}

#[test]
fn who_asks_for_a_new_package_is_read_from_what_apt_shows() {
    let simulated = "Inst app [1] (2 Debian:12/stable [all])\nInst fresh (2 Debian:12/stable [all])\n\
                     Inst more (2 Debian:12/stable [all])\nInst other [1] (2 Debian:12/stable [all])";
    let shown = "Package: app\nVersion: 1\nDepends: more\n\nPackage: app\nVersion: 2\n\
                 Pre-Depends: dpkg\nDepends: libc6 (>= 2), old | fresh:any (>= 1)\n\
                 Package: fresh\nVersion: 2\nRecommends: more\nPackage: other\nVersion: 2\n";
    let frames = [
        frame("system", 0, "arch amd64\nmanager apt"),
        frame("simulated", 0, simulated),
        frame("sizes", 0, shown),
    ];
    let offers = read(&frames, &ALL, "h", "t").offers;
    let needs: Vec<(&str, Vec<&str>)> = offers
        .iter()
        .map(|o| {
            (
                o.name.as_str(),
                o.needs.iter().map(String::as_str).collect(),
            )
        })
        .collect();
    assert_eq!(
        needs,
        [
            ("app", vec!["fresh"]),
            ("fresh", vec!["more"]),
            ("more", vec![]),
            ("other", vec![])
        ]
    );
}

/// apt leaves out what takes something away where it may not: those are the ones.
#[test]
fn what_takes_others_away_is_told_from_what_does_not() {
    let simulated = "Remv old [1.0-1]\nInst app [1] (2 Debian:12/stable [all])\n\
                     Inst new [1] (2 Debian:12/stable [all])\nInst fresh (2 Debian:12/stable [all])";
    let gentle = "The following packages have been kept back:\n   new (1 => 2)\n\
                  Inst app [1] (2 Debian:12/stable [all])\n";
    let removes = |gentle: Option<Frame>| -> Vec<(String, Vec<String>)> {
        let mut frames = vec![
            frame("system", 0, "arch amd64\nmanager apt"),
            frame("simulated", 0, simulated),
        ];
        frames.extend(gentle);
        let offers = read(&frames, &ALL, "h", "t").offers;
        offers.into_iter().map(|o| (o.name, o.removes)).collect()
    };
    let told = removes(Some(frame("gentle", 0, gentle)));
    for (name, taken) in told {
        let takes = matches!(name.as_str(), "new" | "fresh");
        assert_eq!(taken, if takes { vec!["old"] } else { vec![] }, "{name}");
    }
    for untold in [None, Some(frame("gentle", 100, "E: broken"))] {
        assert!(removes(untold).iter().all(|(_, taken)| taken.is_empty()));
    }
}

const NAMES: &[&str] = &[
    "boot",
    "os",
    "system",
    "lock",
    "refresh",
    "dpkg",
    "automatic",
    "updates",
    "simulated",
    "gentle",
    "policy",
    "versions",
    "sizes",
    "archives",
    "changelogs",
    "reboot",
    "space",
    "stale",
    "needrestart",
    "running",
    "units",
    "enabled",
    "listeners",
    "rpm",
    "transaction",
    "upgrades",
    "advisories",
    "versionlock",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_host_makes_it_panic_and_all_is_bounded(
        manager in prop_oneof![Just("apt"), Just("dnf"), Just("none")],
        said in prop::collection::vec((0..NAMES.len(), prop_oneof![4 => Just(0), 1 => Just(1)],
            "(Inst |Remv |a |\\[|\\]|\\(|\\)| => |  |kept back:|\t|installed|hold|/proc/1/maps:|@1 host |500|Package: |\\*\\*\\*|: |\n|\u{1b}|.){0,40}"), 0..8),
    ) {
        let mut frames: Vec<Frame> = said
            .iter()
            .map(|(name, status, text)| frame(NAMES[*name], *status, text))
            .collect();
        let system = format!("arch amd64\nmanager {manager}\nrunning 1\n");
        frames.push(frame("system", 0, &system));
        let ask = Ask { refresh: true, ..ALL };
        let seen = read(&frames, &ask, "h", "t");
        let text = serde_json::to_string(&seen).unwrap();
        prop_assert!(!text.contains("\\u001b") && text.len() < 200_000);
    }
}

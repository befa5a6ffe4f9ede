use proptest::prelude::*;

use super::*;
use crate::model::patch::Kernel;

/// In the form of the tracker's own export, with all of its kinds of entries.
const TRACKER: &str = r#"{
  "openssl": {
    "CVE-2024-0001": {"scope": "remote", "description": "x", "debianbug": 1, "releases": {
      "bookworm": {"status": "resolved", "repositories": {"bookworm": "3.0.11-1"},
        "fixed_version": "3.0.13-1~deb12u1", "urgency": "high"},
      "sid": {"status": "resolved", "fixed_version": "3.1-1", "urgency": "high"},
      "trixie": {"status": "resolved", "fixed_version": "0", "urgency": "not yet assigned"}}},
    "CVE-2024-0002": {"releases": {
      "bookworm": {"status": "open", "repositories": {}, "urgency": "not yet assigned",
        "nodsa": "Minor issue", "nodsa_reason": ""}}},
    "CVE-2024-0003": {"releases": {
      "bookworm": {"status": "open", "urgency": "unimportant"}}},
    "CVE-2024-0004": {"releases": {
      "bookworm": {"status": "undetermined", "urgency": "not yet assigned"}}},
    "CVE-2024-0005": {"releases": {
      "bookworm": {"status": "resolved", "fixed_version": "3.0.14-1~deb12u1", "urgency": "low"}}}
  },
  "linux": {
    "CVE-2024-1000": {"scope": "local", "releases": {
      "bookworm": {"status": "resolved", "fixed_version": "6.1.90-1", "urgency": "medium"}}}
  }
}"#;

const OSV: &str = r#"{
  "schema_version": "1.6.0", "id": "DEBIAN-CVE-2024-0002", "upstream": ["CVE-2024-0002"],
  "published": "2024-03-05T10:00:00Z", "modified": "2024-04-01T00:00:00Z", "details": "x",
  "severity": [{"type": "CVSS_V3", "score": "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"}],
  "affected": [
    {"package": {"ecosystem": "Debian:12", "name": "openssl", "purl": "pkg:deb/debian/openssl"},
     "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}]}],
     "ecosystem_specific": {"urgency": "not yet assigned"}},
    {"package": {"ecosystem": "Debian:13", "name": "openssl"},
     "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "3.2-1"}]}]}]
}"#;

fn debian() -> OsRelease {
    OsRelease {
        id: "debian".into(),
        version: "12".into(),
        codename: "bookworm".into(),
        ..OsRelease::default()
    }
}

fn installed(name: &str, version: &str, source: &str, source_version: &str) -> Installed {
    Installed {
        name: name.into(),
        arch: "amd64".into(),
        version: version.into(),
        source: source.into(),
        source_version: source_version.into(),
        automatic: false,
    }
}

fn host(packages: &[Installed]) -> PatchSnapshot {
    PatchSnapshot {
        os: debian(),
        installed: packages.to_vec(),
        ..PatchSnapshot::default()
    }
}

fn upgrade(name: &str, from: &str, to: &str) -> Upgrade {
    Upgrade {
        name: name.into(),
        arch: "amd64".into(),
        from: from.into(),
        to: to.into(),
        official: Some(true),
        ..Upgrade::default()
    }
}

fn with(files: &[&str]) -> Advisories {
    let mut out = Advisories::default();
    for file in files {
        out.add("file.json", file.as_bytes()).unwrap();
    }
    out
}

fn open(advisories: &Advisories, host: &PatchSnapshot) -> Vec<String> {
    let open = advisories.open(host).unwrap();
    open.iter()
        .map(|cve| {
            let fixed = cve.fixed_in.as_deref().unwrap_or("-");
            let severity = cve.severity.map_or("?", Severity::word);
            format!(
                "{} {severity} {} {} {fixed}",
                cve.id, cve.package, cve.installed
            )
        })
        .collect()
}

fn known(closes: Closes) -> (Vec<String>, Option<Severity>, String) {
    match closes {
        Closes::Known { ids, worst, by } => (ids, worst, by),
        Closes::Unknown => panic!("unknown"),
    }
}

#[test]
fn the_tracker_says_what_is_open_worst_first_and_once_for_a_source() {
    let ssl = "3.0.11-1~deb12u2";
    let host = host(&[
        installed("libssl3", ssl, "openssl", ssl),
        installed("openssl", ssl, "", ""),
        installed("bash", "5.2.15-2", "", ""),
    ]);
    assert_eq!(
        open(&with(&[TRACKER]), &host),
        [
            format!("CVE-2024-0001 high openssl {ssl} 3.0.13-1~deb12u1"),
            format!("CVE-2024-0005 low openssl {ssl} 3.0.14-1~deb12u1"),
            format!("CVE-2024-0002 ? openssl {ssl} -"),
        ]
    );
}

#[test]
fn an_osv_record_adds_how_bad_it_is_and_since_when() {
    let host = host(&[installed("openssl", "3.0.14-1~deb12u1", "", "")]);
    for files in [[TRACKER, OSV], [OSV, TRACKER]] {
        let advisories = with(&files);
        assert_eq!(
            open(&advisories, &host),
            ["CVE-2024-0002 critical openssl 3.0.14-1~deb12u1 -"]
        );
        let seen = advisories.open(&host).unwrap();
        assert_eq!(seen[0].published.as_deref(), Some("2024-03-05"));
        assert_eq!(
            advisories.severity("CVE-2024-0002"),
            Some(Severity::Critical)
        );
    }
    // An advisory that comes later does not make it younger.
    let later = OSV.replace("2024-03-05", "2025-01-01");
    let later = later.as_str();
    for files in [[OSV, later], [later, OSV]] {
        let seen = with(&files).open(&host).unwrap();
        assert_eq!(seen[0].published.as_deref(), Some("2024-03-05"));
    }
    let list = format!("[{OSV}]");
    assert_eq!(open(&with(&[&list]), &host).len(), 1);
}

#[test]
fn an_upgrade_closes_what_its_new_version_has_no_more() {
    let from = "3.0.11-1~deb12u2";
    let host = host(&[
        installed("libssl3", "3.0.11-1~deb12u2+b1", "openssl", from),
        installed("dmsetup", "2:1.02.185-2", "lvm2", "2.03.16-2"),
        installed("bash", "5.2.15-2", "", ""),
    ]);
    let advisories = with(&[TRACKER]);
    let closes = |name: &str, from: &str, to: &str| {
        advisories.closes(&debian(), &upgrade(name, from, to), &host)
    };
    let (ids, worst, by) = known(closes("libssl3", from, "3.0.13-1~deb12u1"));
    assert_eq!(
        (ids.as_slice(), worst),
        (["CVE-2024-0001".into()].as_slice(), Some(Severity::High))
    );
    assert_eq!(by, "tracker");
    let (ids, ..) = known(closes("libssl3", from, "3.0.14-1~deb12u1+b3"));
    assert_eq!(ids, ["CVE-2024-0001", "CVE-2024-0005"]);
    let (ids, worst, _) = known(closes("bash", "5.2.15-2", "5.2.15-3"));
    assert_eq!((ids.len(), worst), (0, None));
    // Its source has another version, of which the offer says nothing.
    assert_eq!(
        closes("dmsetup", "2:1.02.185-2", "2:1.02.185-3"),
        Closes::Unknown
    );
    assert_eq!(closes("absent", "1", "2"), Closes::Unknown);
    let mut third = upgrade("libssl3", from, "3.0.13-1~deb12u1");
    third.official = Some(false);
    assert_eq!(advisories.closes(&debian(), &third, &host), Closes::Unknown);
    // What knows nothing of the system knows nothing.
    let other = OsRelease {
        version: "10".into(),
        ..debian()
    };
    let bash = upgrade("bash", "5.2.15-2", "5.2.15-3");
    assert_eq!(advisories.closes(&other, &bash, &host), Closes::Unknown);
}

#[test]
fn only_systems_that_they_name_are_covered() {
    let advisories = with(&[TRACKER]);
    let os = |id: &str, version: &str, codename: &str| OsRelease {
        id: id.into(),
        version: version.into(),
        codename: codename.into(),
        ..OsRelease::default()
    };
    for covered in [
        os("debian", "12", ""),
        os("debian", "", "bookworm"),
        os("debian", "13", ""),
    ] {
        assert!(advisories.covers(&covered), "{covered:?}");
    }
    for not in [
        os("debian", "11", ""),
        os("ubuntu", "12", ""),
        os("", "", ""),
        os("debian", "", ""),
    ] {
        assert!(!advisories.covers(&not), "{not:?}");
        let host = PatchSnapshot {
            os: not,
            ..PatchSnapshot::default()
        };
        assert_eq!(advisories.open(&host), None);
    }
    assert!(!Advisories::default().covers(&debian()));
}

#[test]
fn the_kernel_that_runs_is_the_one_that_counts() {
    let image = |abi: &str, version: &str| {
        let name = format!("linux-image-{abi}-amd64");
        installed(
            &name,
            version,
            "linux-signed-amd64",
            &format!("{version}+1"),
        )
    };
    let old = image("6.1.0-18", "6.1.76-1");
    let new = image("6.1.0-22", "6.1.94-1");
    let libc = installed("linux-libc-dev", "6.1.76-1", "linux", "6.1.76-1");
    let mut host = host(&[old, new, libc]);
    let advisories = with(&[TRACKER]);
    host.kernel = Kernel {
        running: "6.1.0-22-amd64".into(),
        newest: None,
    };
    assert!(open(&advisories, &host).is_empty());
    host.kernel.running = "6.1.0-18-amd64".into();
    let expected = "CVE-2024-1000 medium linux-image-6.1.0-18-amd64 6.1.76-1 6.1.90-1";
    assert_eq!(open(&advisories, &host), [expected]);
    // It is not known which one runs: none is left out.
    host.kernel.running = "custom".into();
    assert_eq!(open(&advisories, &host), [expected]);
    let upgrade = upgrade("linux-image-6.1.0-18-amd64", "6.1.76-1", "6.1.90-1");
    let (ids, ..) = known(advisories.closes(&debian(), &upgrade, &host));
    assert_eq!(ids, ["CVE-2024-1000"]);
}

#[test]
fn records_of_the_rpm_family_name_binary_packages() {
    let record = r#"[{"id": "ALSA-2024:1", "related": ["CVE-2024-7", "CVE-2024-8"],
      "database_specific": {"severity": "Important"},
      "affected": [{"package": {"ecosystem": "AlmaLinux:9", "name": "openssl-libs"},
        "ranges": [{"type": "ECOSYSTEM", "events":
          [{"introduced": "0"}, {"fixed": "1:3.0.7-27.el9"}]}]}]},
     {"id": "RHSA-2024:2", "aliases": ["CVE-2024-9"], "withdrawn": "2024-05-05T00:00:00Z",
      "affected": [{"package": {"ecosystem": "AlmaLinux:9", "name": "openssl-libs"},
        "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}]}]}]},
     {"id": "RHSA-2024:3", "database_specific": {"severity": "Moderate"},
      "affected": [{"package": {"ecosystem": "Red Hat:enterprise_linux:9::baseos", "name": "sudo"},
        "ranges": [{"type": "ECOSYSTEM", "events":
          [{"introduced": "1.9"}, {"last_affected": "1.9.5-9"}]}]}]}]"#;
    let advisories = with(&[record]);
    let mut host = host(&[installed("openssl-libs", "1:3.0.7-24.el9", "", "")]);
    host.os = OsRelease {
        id: "almalinux".into(),
        version: "9.4".into(),
        ..OsRelease::default()
    };
    assert_eq!(
        open(&advisories, &host),
        [
            "CVE-2024-7 ? openssl-libs 1:3.0.7-24.el9 1:3.0.7-27.el9",
            "CVE-2024-8 ? openssl-libs 1:3.0.7-24.el9 1:3.0.7-27.el9"
        ]
    );
    host.installed[0].version = "1:3.0.7-27.el9".into();
    assert!(open(&advisories, &host).is_empty());
    host.os.id = "rhel".into();
    for (version, is_open) in [("1.8.9-1", false), ("1.9.5-9", true), ("1.9.5-10", false)] {
        host.installed = vec![installed("sudo", version, "", "")];
        assert_eq!(!open(&advisories, &host).is_empty(), is_open, "{version}");
    }
    assert_eq!(advisories.severity("RHSA-2024:3"), Some(Severity::Medium));
}

#[test]
fn what_is_neither_form_adds_nothing() {
    let mut advisories = Advisories::default();
    for text in [
        "",
        "x",
        "null",
        "{}",
        "[1]",
        "{\"openssl\": {\"CVE-1\": {}}}",
        "{\"openssl\": {\"CVE-2024-1\": {\"releases\": {\"bookworm\": 7}}}}",
        "{\"id\": 7}",
        &TRACKER[..TRACKER.len() - 2],
        &format!("{TRACKER} more"),
    ] {
        let said = advisories.add("exports/x.json", text.as_bytes());
        assert!(
            said.is_err_and(|why| why.contains("exports/x.json")),
            "{text}"
        );
    }
    assert!(advisories.systems.is_empty() && advisories.entries == 0);
}

#[test]
fn names_and_versions_that_no_real_one_has_are_left_out() {
    let long = "9".repeat(TEXT + 1);
    let text = TRACKER
        .replace("3.0.13-1~deb12u1", &long)
        .replace("CVE-2024-0002", "CVE \\u001b[31m")
        .replace("CVE-2024-0005", &"C".repeat(65));
    let host = host(&[installed("openssl", "3.0.11-1~deb12u2", "", "")]);
    assert!(open(&with(&[&text]), &host).is_empty());
}

proptest! {
    #[test]
    fn no_file_makes_it_panic(
        cut in 0..TRACKER.len(),
        other in "\\PC{0,20}",
        is_osv in any::<bool>(),
        end in 0..4_usize,
    ) {
        let whole = if is_osv { OSV } else { TRACKER };
        let cut = cut.min(whole.len());
        let text = format!("{}{other}{}", &whole[..cut], &whole[(cut + end).min(whole.len())..]);
        let mut advisories = Advisories::default();
        if advisories.add("x", text.as_bytes()).is_ok() {
            let host = host(&[installed("openssl", &other, "", "")]);
            advisories.open(&host);
            advisories.closes(&debian(), &upgrade("openssl", &other, "3.0.13-1"), &host);
        }
    }
}

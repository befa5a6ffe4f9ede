//! Patch playbooks: the one that is shipped, and mistakes with what is told of them.

use std::path::{Path, PathBuf};

use jiff::civil::{Date, date};
use proptest::prelude::*;
use seawall::document::inventory::{self, Inventory};
use seawall::document::{Diagnostic, Disk, Files, LoadedPatch, load_patch, render_all};

struct Text(String);

impl Files for Text {
    fn read(&self, _: &Path) -> Result<String, String> {
        Ok(self.0.clone())
    }
}

fn shipped(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

const TODAY: Date = date(2026, 11, 20);

fn hosts() -> Inventory {
    let text = "[web]\nweb-1\nweb-2\n\n[db]\ndb-1\ndb-2\n\n[old]\nold-1\n";
    inventory::load("hosts.ini", text, None).expect("an inventory")
}

fn load(text: &str) -> Result<LoadedPatch, Vec<Diagnostic>> {
    load_patch(
        Path::new("play/weekly.yaml"),
        &Text(text.to_owned()),
        Some(&hosts()),
        Some(TODAY),
    )
}

/// A playbook that says nearly everything.
const FULL: &str = r#"patch: weekly
title: All of it
hosts: [web, db]
packages:
  scope: security
  only: [nginx, "lib*"]
  exclude: ["linux-image-*"]
  freeze:
    - package: "postgresql-[0-9]*"
      hosts: [db]
      reason: the upgrade is planned for spring
      owner: data team
      expires: 2027-03-31
containers:
  only: [shop/web, cache]
  exclude: [registry]
  checks: {shop/web: "curl -f http://127.0.0.1/"}
canaries: [web-1]
waves: [1, 50%]
soak: 5m
failure_budget: 1
apart:
  - {hosts: [db], at_most: 1}
windows:
  - {hosts: [db], days: [sat, sun], from: "22:00", to: "04:00"}
  - {hosts: [web], from: "02:00", to: "03:00"}
time_zone: Europe/Berlin
jitter: 10m
lock_wait: 10m
limit: 1h
snapshot: {here: [snap, now], limit: 5m}
health:
  within: 1m
  ignore_units: ["apt-daily*"]
  ignore_ports: [udp/68]
  checks:
    - {check: the site, hosts: [web], http: "http://{{ host }}:8080/ok", status: 204}
    - {check: the data, hosts: [db], command: check-db, contains: fine}
reboot: due
reboot_wait: 5m
restart: stale
never_restart: ["postgresql@*"]
advisories: [../osv, /srv/debian.json]
policy:
  patched_within: 7d
  close_within: {critical: 3d, high: 14d}
  reboot_within: 2d
notify:
  - {url_env: HOOK}
"#;

#[test]
fn the_shipped_patch_playbook_is_sound() {
    let loaded = load_patch(
        &shipped("playbooks/weekly-patch.yaml"),
        &Disk,
        None,
        Some(TODAY),
    );
    let loaded = loaded.unwrap_or_else(|found| panic!("{}", render_all(&found, false)));
    assert!(loaded.warnings.is_empty(), "{:?}", loaded.warnings);
    assert_eq!(loaded.patch.patch, "weekly-patch");
    assert_eq!(loaded.documents.len(), 1);
}

/// What is only a comment there must work when somebody takes the `#` away.
#[test]
fn what_is_commented_out_in_the_shipped_patch_playbook_is_sound_too() {
    let text = std::fs::read_to_string(shipped("playbooks/weekly-patch.yaml")).expect("shipped");
    let is_key = |line: &str| {
        let body = line.trim_start();
        let key = body.split(':').next().unwrap_or_default();
        body.starts_with("- ")
            || body.contains(": [")
            || ["freeze", "apart", "snapshot", "checks", "notify"].contains(&key)
            || [
                "hosts", "reason", "owner", "expires", "here", "limit", "shop/web",
            ]
            .contains(&key)
    };
    let all: String = text
        .lines()
        .map(|line| {
            let at = line.len() - line.trim_start().len();
            match line.trim_start().strip_prefix("# ") {
                Some(rest) if is_key(rest) => format!("{}{rest}\n", &line[..at]),
                _ => format!("{line}\n"),
            }
        })
        .collect();
    let loaded = load_patch(Path::new("w.yaml"), &Text(all.clone()), None, Some(TODAY));
    let loaded = loaded.unwrap_or_else(|found| panic!("{}", render_all(&found, false)));
    let patch = &loaded.patch;
    assert_eq!(patch.packages.freeze.len(), 1, "{all}");
    assert_eq!(patch.health.checks.len(), 2, "{all}");
    assert!(patch.snapshot.is_some() && patch.canaries.len() == 2);
    assert!(patch.apart.len() == 1 && patch.notify.len() == 1 && patch.advisories.len() == 1);
    let containers = patch.containers.as_ref().expect("containers");
    assert!(containers.exclude.len() == 1 && containers.checks.len() == 1);
}

#[test]
fn a_full_one_is_sound_and_its_files_are_found() {
    let loaded = load(FULL).unwrap_or_else(|found| panic!("{}", render_all(&found, false)));
    assert!(
        loaded.warnings.is_empty(),
        "{}",
        render_all(&loaded.warnings, false)
    );
    let expected = [PathBuf::from("osv"), PathBuf::from("/srv/debian.json")];
    assert_eq!(loaded.advisories, expected);
    // What is kept for a resume is the same playbook.
    let kept = serde_json::to_string(&loaded.patch).expect("JSON");
    let again: seawall::document::patch::Patch = serde_json::from_str(&kept).expect("the same");
    assert_eq!(again, loaded.patch);
}

#[test]
fn the_smallest_one_is_sound() {
    let loaded = load("patch: small\ntitle: Small\nhosts: [all]\n");
    let loaded = loaded.unwrap_or_else(|found| panic!("{}", render_all(&found, false)));
    assert!(loaded.warnings.is_empty(), "{:?}", loaded.warnings);
}

/// What is said of `FULL` with one piece of it changed: the codes.
fn changed(from: &str, to: &str) -> String {
    assert_eq!(
        FULL.matches(from).count(),
        1,
        "`{from}` must stand there once"
    );
    let found = match load(&FULL.replace(from, to)) {
        Ok(loaded) => loaded.warnings,
        Err(found) => found,
    };
    let said = |d: &Diagnostic| format!("{}{}", d.code, if d.is_error() { "" } else { "?" });
    found.iter().map(said).collect::<Vec<_>>().join(" ")
}

#[test]
fn one_change_is_one_mistake_or_none() {
    let mut wrong = String::new();
    for (from, to, said) in CHANGES {
        let really = changed(from, to);
        if really != *said {
            wrong += &format!("`{from}` → `{to}`: said `{really}`, and not `{said}`\n");
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

/// What is changed to what, and what is said: codes, those of warnings with a `?`.
const CHANGES: &[(&str, &str, &str)] = &[
    // Hosts.
    ("patch: weekly", "patch: a/b", "bad-name"),
    ("hosts: [web, db]\n", "hosts: []\n", "empty-hosts"),
    ("hosts: [web, db]\n", "hosts: [web, dbs]\n", "unknown-host"),
    ("hosts: [web, db]\n", "hosts: [all, '!old-*']\n", ""),
    (
        "hosts: [web, db]\n",
        "hosts: [all, 'x[']\n",
        "bad-glob unknown-host",
    ),
    ("[web-1]", "[web-9]", "unknown-host"),
    ("[web-1]", "[old-1]", "means-nobody?"),
    ("[web-1]", "['web-?']", ""),
    // Waves and turns.
    ("[1, 50%]", "[0, 50%]", "bad-wave"),
    ("[1, 50%]", "[1, 150%]", "bad-wave"),
    ("failure_budget: 1", "failure_budget: 200%", "bad-wave"),
    ("failure_budget: 1", "failure_budget: 0", ""),
    ("at_most: 1", "at_most: 0", "bad-apart"),
    ("at_most: 1", "at_most: 2", "no-effect?"),
    (
        "{hosts: [db], at_most",
        "{hosts: [], at_most",
        "empty-hosts",
    ),
    (
        "{hosts: [db], at_most",
        "{hosts: [dv], at_most",
        "unknown-host",
    ),
    (
        "{hosts: [db], at_most",
        "{hosts: [old], at_most",
        "means-nobody?",
    ),
    // Packages.
    ("scope: security", "scope: some", "bad-word"),
    (
        "only: [nginx, \"lib*\"]",
        "only: [nginx, linux-image-*]",
        "contradiction",
    ),
    ("only: [nginx", "only: [nginx=1.2", "bad-glob"),
    ("only: [nginx", "only: [\"!nginx\"", "bad-glob"),
    ("only: [nginx", "only: [\"ng[inx\"", "bad-glob"),
    ("only: [nginx", "only: [\"\"", "bad-glob"),
    ("[\"linux-image-*\"]", "[\"g++-1[0-2]:amd64\"]", ""),
    (
        "hosts: [db]\n      reason",
        "hosts: [dbx]\n      reason",
        "unknown-host",
    ),
    (
        "hosts: [db]\n      reason",
        "hosts: [old]\n      reason",
        "means-nobody?",
    ),
    ("the upgrade is planned for spring", "\"  \"", "empty-text"),
    ("owner: data team", "owner: \"\"", "empty-text"),
    ("2027-03-31", "31.3.2027", "bad-date"),
    ("2027-03-31", "2027-02-30", "bad-date"),
    ("2027-03-31", "2026-11-19", "expired-freeze?"),
    ("2027-03-31", "2026-11-20", "freeze-ends-soon?"),
    ("2027-03-31", "2026-12-04", "freeze-ends-soon?"),
    ("2027-03-31", "2026-12-05", ""),
    ("2027-03-31", "2027-11-20", ""),
    // Containers.
    ("[shop/web, cache]", "[shop/web, registry]", "contradiction"),
    ("[shop/web, cache]", "[\"nginx:1.2\"]", "bad-glob"),
    ("[shop/web, cache]", "[\"a/b/c\"]", "bad-glob"),
    ("[shop/web, cache]", "[\"shop/*\"]", ""),
    ("\"curl -f http://127.0.0.1/\"", "\" \"", "empty-text"),
    // Windows.
    ("from: \"22:00\"", "from: \"24:00\"", "bad-time"),
    ("from: \"22:00\"", "from: \"2:00\"", "bad-time"),
    ("from: \"22:00\"", "from: 22h", "bad-time"),
    ("from: \"22:00\"", "from: 22:00", ""),
    ("days: [sat, sun]", "days: [sat, sat]", "twice?"),
    ("days: [sat, sun]", "days: [saturday]", "bad-word"),
    ("{hosts: [db], days", "{hosts: [d], days", "unknown-host"),
    ("{hosts: [db], days", "{hosts: [], days", "empty-hosts"),
    ("Europe/Berlin", "Europe/Berln", "bad-zone"),
    ("jitter: 10m", "jitter: 1h", "long-jitter?"),
    ("jitter: 10m", "jitter: 59m", ""),
    ("jitter: 10m", "jitter: 2d", "bad-span long-jitter?"),
    // Lengths of time.
    ("soak: 5m", "soak: 25h", "bad-span"),
    ("lock_wait: 10m", "lock_wait: 0s", ""),
    ("lock_wait: 10m", "lock_wait: 2d", "bad-span"),
    ("limit: 1h\nsnap", "limit: 0s\nsnap", "bad-span"),
    ("limit: 1h\nsnap", "limit: 59s\nsnap", "bad-span"),
    ("limit: 1h\nsnap", "limit: soon\nsnap", "bad-value"),
    ("limit: 5m", "limit: 0s", "bad-span"),
    ("reboot_wait: 5m", "reboot_wait: 29s", "bad-span"),
    ("within: 1m", "within: 2h", "bad-span"),
    ("exclude: [registry]", "healthy_within: 0s", "bad-span"),
    ("exclude: [registry]", "steady_for: 0s", "bad-span"),
    ("patched_within: 7d", "patched_within: 0s", "bad-span"),
    ("reboot_within: 2d", "reboot_within: 500d", "bad-span"),
    ("high: 14d", "high: 2d", "odd-deadline?"),
    ("high: 14d", "high: 0s", "bad-span odd-deadline?"),
    // The hook.
    (
        "{here: [snap, now], limit",
        "{here: [], limit",
        "no-program",
    ),
    ("{here: [snap, now], limit", "{on_host: snap, limit", ""),
    (
        "{here: [snap, now], limit",
        "{on_host: \"\", limit",
        "empty-text",
    ),
    ("{here: [snap, now], limit", "{limit", "no-kind"),
    (
        "{here: [snap, now], limit",
        "{on_host: snap, here: [snap], limit",
        "two-kinds",
    ),
    // Health.
    ("[udp/68]", "[udp/0]", "bad-port"),
    ("[udp/68]", "[68]", "bad-port"),
    ("[udp/68]", "[sctp/68]", "bad-port"),
    ("[udp/68]", "[tcp/65536]", "bad-port"),
    ("[\"apt-daily*\"]", "[\"apt daily\"]", "bad-glob"),
    ("[\"apt-daily*\"]", "[\"apt[daily\"]", "bad-glob"),
    ("check: the data", "check: the site", "twice"),
    ("check: the data", "check: \"\"", "empty-text"),
    ("hosts: [web], http", "hosts: [wep], http", "unknown-host"),
    ("hosts: [web], http", "hosts: [old], http", "means-nobody?"),
    ("http: \"http://{{ host }}:8080/ok\", ", "", "no-kind"),
    (
        "command: check-db",
        "command: check-db, http: \"http://x/\"",
        "two-kinds",
    ),
    (
        "command: check-db",
        "command: check-db, status: 200",
        "no-effect",
    ),
    ("command: check-db", "command: \"\"", "empty-text"),
    ("contains: fine", "contains: \"\"", "empty-text"),
    ("status: 204", "status: 99", "bad-status"),
    ("http://{{ host }}:8080/ok", "ftp://{{ host }}/", "bad-url"),
    ("http://{{ host }}:8080/ok", "http://{{ name }}/", "bad-url"),
    ("http://{{ host }}:8080/ok", "http://{{ host/", "bad-url"),
    ("http://{{ host }}:8080/ok", "http:///x", "bad-url"),
    (
        "http://{{ host }}:8080/ok",
        "https://me:secret@{{ host }}/",
        "bad-url",
    ),
    (
        "http://{{ host }}:8080/ok",
        "https://[{{ host }}]:1/?a=b",
        "",
    ),
    // Together.
    ("reboot: due", "reboot: never", "no-effect?"),
    ("restart: stale", "restart: never", "no-effect?"),
    ("[\"postgresql@*\"]", "[\"a b\"]", "bad-glob"),
    ("[../osv, ", "[https://example.org/x, ", "bad-path"),
    ("[../osv, ", "[\"\", ", "empty-text"),
    (
        "url_env: HOOK",
        "url_env: \"https://hooks.example/x\"",
        "bad-variable",
    ),
];

#[test]
fn what_would_do_nothing_or_see_nothing_is_refused() {
    let codes = |more: &str| {
        let text = format!("patch: small\ntitle: Small\nhosts: [all]\n{more}");
        match load(&text) {
            Ok(loaded) => loaded.warnings.iter().map(|d| d.code).collect::<Vec<_>>(),
            Err(found) => found.iter().map(|d| d.code).collect(),
        }
    };
    assert_eq!(codes("packages: {scope: none}"), ["nothing-to-do"]);
    assert_eq!(codes("packages: {scope: none}\ncontainers: {}"), [""; 0]);
    assert_eq!(
        codes("packages: {scope: none, exclude: [x]}\ncontainers: {}"),
        ["no-effect"]
    );
    assert_eq!(codes("health: {units: false, ports: false}"), ["no-health"]);
    assert_eq!(codes("health: {units: false}"), [""; 0]);
    assert_eq!(
        codes("health: {units: false, ports: false, checks: [{check: a, command: b}]}"),
        [""; 0]
    );
    assert_eq!(
        codes("health: {ports: false, ignore_ports: [tcp/1]}"),
        ["no-effect"]
    );
    assert_eq!(codes("time_zone: UTC"), ["no-effect"]);
}

#[test]
fn the_nearest_right_word_is_told_at_the_line() {
    let text = FULL
        .replace("Europe/Berlin", "Europe/Berln")
        .replace("at_most: 1", "at_most: 0")
        .replace("[web-1]", "[web-l]")
        .replace("https://", "http://")
        .replace("http://{{ host }}:8080/ok", "http://me:SECRET@{{ host }}/");
    let told = render_all(&load(&text).expect_err("mistakes"), false);
    assert!(!told.contains("SECRET"), "a password was repeated: {told}");
    insta::assert_snapshot!("patch_mistakes", told);
}

#[test]
fn without_an_inventory_and_a_day_names_and_freezes_are_not_judged() {
    let text = FULL
        .replace("2027-03-31", "2020-01-01")
        .replace("[web-1]", "[nobody]");
    let loaded = load_patch(Path::new("w.yaml"), &Text(text), None, None);
    let loaded = loaded.unwrap_or_else(|found| panic!("{}", render_all(&found, false)));
    assert!(loaded.warnings.is_empty(), "{:?}", loaded.warnings);
}

proptest! {
    #[test]
    fn a_mangled_patch_playbook_is_no_panic(
        line in 0usize..60,
        with in prop_oneof![
            Just(String::new()),
            Just("  hosts: ~".to_owned()),
            Just("windows: [{}]".to_owned()),
            Just("health: {checks: [~, {check: ~}]}".to_owned()),
            Just("snapshot: ~".to_owned()),
            "[ -~]{0,40}",
            "\\PC{0,20}",
        ],
    ) {
        let mut lines: Vec<&str> = FULL.lines().collect();
        if let Some(place) = lines.get_mut(line) {
            *place = &with;
        }
        let _ = load(&lines.join("\n"));
    }
}

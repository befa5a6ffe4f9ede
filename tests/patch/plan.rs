//! What `patch plan` says of real hosts, and that it leaves them as they are.

use std::process::Command;

use serde_json::{Value, json};

use super::yard::{Yard, host, named, names, outcome};

/// Everything that a plan may not touch, with owner, mode, size and time of change: all but what
/// the manager keeps of its archives, and what a log-in itself writes.
fn untouched(yard: &Yard) -> String {
    let kept = yard.site.upper();
    let lists = |l: &&str| {
        !l.starts_with("var/lib/apt/")
            && !l.starts_with("var/cache/apt/")
            && !l.contains("/.sudo_as_admin_successful ")
    };
    kept.lines().filter(lists).collect::<Vec<_>>().join("\n")
}

const MANY: &str = "sea-app sea-daemon sea-conf sea-new sea-old sea-needs sea-held sea-pinned \
                    sea-phased sea-acme sea-orphan sea-kernel";

fn withheld<'a>(plan: &'a Value, name: &str) -> &'a str {
    named(&plan["withheld"], name)["why"]
        .as_str()
        .unwrap_or("not withheld")
}

#[test]
fn a_plan_says_all_and_changes_nothing() {
    let yard = Yard::of(1, MANY);
    yard.on(
        0,
        "apt-mark hold sea-held; \
         printf 'Package: sea-pinned\\nPin: version 1.0*\\nPin-Priority: 1001\\n' >/etc/apt/preferences.d/sea; \
         rm /var/cache/apt/archives/sea-orphan_*; rm /var/cache/apt/archives/sea-app_*",
    );
    let name = yard.name(0);
    let before = untouched(&yard);
    let all = yard.patch("plan", "", &[]);
    assert_eq!(all.code, 0, "{all}");
    assert_eq!(outcome(&all, &name), "behind", "{all}");
    let plan = &host(&all, &name)["plan"];
    assert_eq!(
        names(&plan["upgrades"]),
        [
            "libsea1",
            "sea-acme",
            "sea-app",
            "sea-conf",
            "sea-fresh",
            "sea-kernel",
            "sea-needs",
            "sea-orphan"
        ],
        "{plan:#}"
    );
    let upgrade = |of: &str| named(&plan["upgrades"], of);
    assert_eq!(upgrade("libsea1")["from"], "1.0-1");
    assert_eq!(upgrade("libsea1")["to"], "2.0-1");
    assert_eq!(upgrade("libsea1")["security"], true);
    assert_eq!(upgrade("sea-app")["security"], false);
    assert_eq!(upgrade("sea-app")["official"], true);
    assert_eq!(upgrade("sea-acme")["official"], false);
    assert_eq!(upgrade("sea-fresh")["kind"], "new");
    assert_eq!(upgrade("sea-app")["way_back"]["way"], "archive");
    assert_eq!(upgrade("sea-conf")["way_back"]["way"], "cache");
    assert_eq!(upgrade("sea-orphan")["way_back"]["way"], "none", "{plan:#}");
    assert_eq!(upgrade("sea-fresh")["way_back"]["way"], "inverse");
    // Nothing here says what it closes before it is fetched, and that is not "nothing".
    assert_eq!(upgrade("libsea1")["closes"]["known"], "unknown");
    assert_eq!(withheld(plan, "sea-held"), "held");
    assert_eq!(withheld(plan, "sea-pinned"), "held");
    assert_eq!(withheld(plan, "sea-phased"), "phased");
    assert_eq!(withheld(plan, "sea-new"), "would-remove");
    assert!(
        plan["download"].as_u64().is_some_and(|bytes| bytes > 1000),
        "{plan:#}"
    );
    assert!(
        plan["blockers"].as_array().is_some_and(Vec::is_empty),
        "{plan:#}"
    );
    let notes = plan["notes"].to_string();
    assert!(
        notes.contains("Acme") || notes.contains("sea-acme"),
        "third party: {notes}"
    );
    assert!(
        notes.contains("sea-orphan"),
        "no way back is said before: {notes}"
    );

    let security = yard.patch("plan", "packages: {scope: security}", &[]);
    let plan = &host(&security, &name)["plan"];
    assert_eq!(names(&plan["upgrades"]), ["libsea1"], "{plan:#}");
    assert_eq!(withheld(plan, "sea-app"), "not-security");

    let scope = "packages:\n  exclude: [sea-a*]\n  freeze:\n    \
                 - {package: sea-conf, reason: release week, owner: ops, expires: 2030-01-01}\n    \
                 - {package: sea-needs, reason: long over, owner: ops, expires: 2020-01-01}";
    let scoped = yard.patch("plan", scope, &[]);
    let plan = &host(&scoped, &name)["plan"];
    assert_eq!(withheld(plan, "sea-app"), "excluded");
    assert_eq!(withheld(plan, "sea-acme"), "excluded");
    assert_eq!(withheld(plan, "sea-conf"), "frozen");
    let reason = named(&plan["withheld"], "sea-conf")["reason"].to_string();
    for part in ["release week", "ops", "2030-01-01"] {
        assert!(reason.contains(part), "{reason}");
    }
    assert_eq!(
        named(&plan["upgrades"], "sea-needs")["to"],
        "2.0-1",
        "{plan:#}"
    );

    let only = yard.patch("plan", "packages: {only: [sea-conf], removals: true}", &[]);
    let plan = &host(&only, &name)["plan"];
    assert_eq!(names(&plan["upgrades"]), ["sea-conf"], "{plan:#}");

    assert_eq!(untouched(&yard), before, "a plan changes nothing");
    assert_eq!(yard.on(0, "ls -A /var/lib/seawall 2>/dev/null; true"), "");
    assert_eq!(yard.version(0, "sea-app"), "1.0-1");
    yard.site.lab.kill(&name).expect("it can be killed");
    let down = yard.patch("plan", "", &[]);
    assert_eq!((down.code, outcome(&down, &name)), (3, "unknown"), "{down}");
    assert_eq!(
        host(&down, &name)["plan"],
        json!(null),
        "nothing is made up"
    );
}

#[test]
fn an_archive_that_does_not_answer_is_no_current_host() {
    let yard = Yard::of(1, "sea-app");
    yard.archive.break_down(true);
    let name = yard.name(0);
    let silent = yard.patch("plan", "", &[]);
    assert_ne!(outcome(&silent, &name), "current", "{silent}");
    assert_eq!(silent.code, 3, "{silent}");
    yard.archive.break_down(false);
    let heard = yard.patch("plan", "", &[]);
    assert_eq!(
        (heard.code, outcome(&heard, &name)),
        (0, "behind"),
        "{heard}"
    );
    let pool = "curl -s -o /dev/null -w '%{http_code}'";
    let url = format!("http://{}/../../etc/passwd", yard.archive.address);
    let out = Command::new("sh")
        .args(["-c", &format!("{pool} --path-as-is {url}")])
        .output();
    let out = out.expect("curl can be run");
    assert_eq!(
        String::from_utf8_lossy(&out.stdout),
        "404",
        "the fixture gives out its own alone"
    );
}

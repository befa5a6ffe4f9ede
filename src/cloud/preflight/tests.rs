use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::fleet::{self, Wanted, Zone};
use super::inventory::{Whose, whose};
use super::*;
use crate::cloud::names::{TAG_DRILL, TAG_EXPIRES};
use crate::document::drill::Drill;

fn drill(more: serde_json::Value) -> Drill {
    let mut all = serde_json::json!({
        "drill": "yearly", "title": "T", "lost": {"what": "eu-west-1", "regions": ["eu-west-1"]},
        "scratch": {"aws": {
            "account": "111122223333", "region": "eu-central-1", "vault": "dr",
            "restore_role": "arn:aws:iam::111122223333:role/restore",
        }},
        "objectives": {"rto": "2h"},
        "steps": [
            step("jump", serde_json::json!({"fresh": {
                "image": "ami-1", "type": "t3.micro", "ssh": {"user": "admin"}}})),
            step("app", serde_json::json!({"resource": "arn:aws:ec2:eu-west-1:1:instance/i-1",
                "instance": {"type": "m7g.large", "substitutes": ["m6g.large"]}})),
            step("data", serde_json::json!({"resource": "arn:aws:ec2:eu-west-1:1:volume/v",
                "volume": {"by": "ec2"}})),
            step("db", serde_json::json!({"resource": "arn:aws:rds:eu-west-1:1:db:x", "rds": {}})),
            step("cluster", serde_json::json!({"resource": "arn:aws:rds:eu-west-1:1:cluster:y",
                "aurora": {"engine": "aurora-postgresql", "class": "db.r6g.large", "instances": 2}})),
        ],
    });
    for (key, value) in more.as_object().into_iter().flatten() {
        all[key] = value.clone();
    }
    serde_json::from_value(all).unwrap()
}

fn step(name: &str, aws: serde_json::Value) -> serde_json::Value {
    serde_json::json!({"step": name, "aws": aws, "proofs": [{"proof": "p", "command": {"run": ["x"]}}]})
}

fn wanted(kind: &str, substitutes: &[&str]) -> Wanted {
    Wanted {
        step: "s".into(),
        kind: kind.into(),
        substitutes: substitutes.iter().map(|s| (*s).to_owned()).collect(),
    }
}

fn offered(of: &[(&str, &[&str])]) -> BTreeMap<String, BTreeSet<String>> {
    let set = |kinds: &[&str]| kinds.iter().map(|k| (*k).to_owned()).collect();
    of.iter()
        .map(|(zone, kinds)| ((*zone).to_owned(), set(kinds)))
        .collect()
}

#[test]
fn lie_09_one_zone_must_offer_the_whole_fleet_or_its_substitutes() {
    let zones: Vec<String> = ["b", "a", "c"].map(String::from).into();
    let fleet = [wanted("m7g.large", &["m6g.large"]), wanted("t3.micro", &[])];
    let take = |of: &[(&str, &[&str])], named| fleet::zone(&fleet, &zones, &offered(of), named);
    let all = [
        ("a", &["t3.micro"][..]),
        ("b", &["t3.micro", "m6g.large"]),
        ("c", &["m7g.large", "t3.micro"]),
    ];
    // The type itself is better than a substitute in an earlier zone.
    let zone = take(&all, None).unwrap();
    assert_eq!(
        zone,
        Zone {
            name: "c".into(),
            substituted: vec![]
        }
    );
    let zone = take(&all[..2], None).unwrap();
    assert_eq!(zone.name, "b");
    assert_eq!(zone.substituted, [("s".to_owned(), "m6g.large".to_owned())]);
    let error = take(&all[..1], None).unwrap_err();
    assert!(error.contains("a has no m7g.large"), "{error}");
    assert_eq!(take(&all, Some("b")).unwrap().name, "b");
    assert!(take(&all, Some("a")).is_err());
    let error = take(&all, Some("z")).unwrap_err();
    assert!(error.contains("no available zone"), "{error}");
    assert_eq!(
        fleet::zone(&[], &zones, &offered(&[]), None).unwrap().name,
        "a"
    );
}

#[test]
fn lie_09_vcpus_are_summed_by_quota() {
    let counts = [
        ("m7g.large", 2),
        ("c5.xlarge", 4),
        ("p4d.24xlarge", 96),
        ("g5.xlarge", 4),
    ];
    let counts = counts.map(|(kind, n)| (kind.to_owned(), n)).into();
    let kinds = [
        "m7g.large",
        "m7g.large",
        "c5.xlarge",
        "p4d.24xlarge",
        "zz1.large",
        "t3.micro",
    ];
    let (needed, unknown) = fleet::vcpus(kinds.into_iter(), &counts);
    assert_eq!(needed, [("L-1216C47A", 8), ("L-417A185B", 96)].into());
    assert_eq!(unknown, ["t3.micro", "zz1.large"]);
    for (kind, code) in [
        ("t4g.nano", Some("L-1216C47A")),
        ("im4gn.large", Some("L-1216C47A")),
        ("is4gen.large", Some("L-1216C47A")),
        ("g5.xlarge", Some("L-DB2E81BA")),
        ("vt1.3xlarge", Some("L-DB2E81BA")),
        ("x2iedn.large", Some("L-7295265B")),
        ("u-6tb1.metal", Some("L-43DA4232")),
        ("inf2.xlarge", Some("L-1945791B")),
        ("mac1.metal", None),
        ("", None),
    ] {
        assert_eq!(fleet::quota_of(kind).map(|(code, _)| code), code, "{kind}");
    }
}

#[test]
fn whose_something_is_is_read_from_its_tags() {
    let now: Timestamp = "2026-11-20T12:00:00Z".parse().unwrap();
    let of = |pairs: &[(&'static str, &'static str)]| {
        whose(&pairs.iter().copied().collect(), "ours", now)
    };
    assert_eq!(of(&[("Name", "x")]), Whose::Nobody);
    assert_eq!(of(&[(TAG_DRILL, "ours")]), Whose::Ours);
    let other = |ends| of(&[(TAG_DRILL, "other"), (TAG_EXPIRES, ends)]);
    assert_eq!(
        other("2026-11-20T13:00:00Z"),
        Whose::Running("other".into())
    );
    assert_eq!(other("2026-11-20T11:00:00Z"), Whose::Left("other".into()));
    // What says nothing of its end may be going on.
    assert_eq!(other("soon"), Whose::Running("other".into()));
    assert_eq!(of(&[(TAG_DRILL, "other")]), Whose::Running("other".into()));
}

fn met(sight: &Sight, name: &str) -> bool {
    let found = sight
        .ready
        .checks
        .iter()
        .find(|(check, ..)| check.contains(name));
    found
        .unwrap_or_else(|| panic!("no check {name}: {:?}", sight.ready.checks))
        .1
}

#[test]
fn credentials_must_last_for_the_objective() {
    let now: Timestamp = "2026-11-20T12:00:00Z".parse().unwrap();
    let hour = Some(Duration::from_secs(3600));
    let at = |text: &str| text.parse::<Timestamp>().unwrap();
    for (life, rto, good) in [
        (Life::Endless, hour, true),
        (Life::NotKnown, hour, true),
        (Life::Until(at("2026-11-20T13:00:00Z")), hour, true),
        (Life::Until(at("2026-11-20T12:59:59Z")), hour, false),
        (Life::Renewed(at("2026-11-20T12:59:59Z")), hour, true),
        (Life::Renewed(at("2026-11-20T11:00:00Z")), hour, false),
        (Life::Until(at("2026-11-20T11:00:00Z")), hour, false),
        (Life::Until(at("2026-11-20T11:00:00Z")), None, false),
        (Life::Until(at("2026-11-20T12:10:00Z")), None, true),
    ] {
        let mut sight = Sight::default();
        identity::credentials(life, rto, now, &mut sight);
        assert_eq!(met(&sight, "credentials"), good, "{life:?}");
        // What is not known is listed as an assumption.
        let assumed = !sight.ready.preexisting.is_empty();
        let sure = matches!(life, Life::Endless) || !good;
        assert!(!(sure && assumed), "{life:?}");
        assert!(assumed || life != Life::NotKnown);
    }
}

fn setup(drill: Drill, dir: &std::path::Path) -> crate::cloud::CloudSetup {
    let policy = serde_json::json!({"policy": "p", "title": "P", "stores": {}, "sources": []});
    crate::cloud::CloudSetup {
        drill,
        drill_path: dir.join("drill.yaml"),
        policy: serde_json::from_value(policy).unwrap(),
        policy_path: dir.join("policy.yaml"),
        identities: Default::default(),
        trusted: Default::default(),
        random: std::sync::Arc::new(|_| 0),
        access: Default::default(),
        state_dir: dir.to_owned(),
        reach: std::sync::Arc::new(crate::reach::FakeReach::scripted(|_, _| {
            panic!("nobody logs in")
        })),
        variable: std::sync::Arc::new(|name| (name == "DB_PASSWORD").then(|| "x".to_owned())),
    }
}

fn words_of(drill: Drill, access: crate::cloud::Access) -> Sight {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("key"), "x").unwrap();
    let scratch = drill.scratch.aws.clone().unwrap();
    let mut sight = Sight::default();
    let setup = crate::cloud::CloudSetup {
        access,
        ..setup(drill, dir.path())
    };
    words::look(&setup, &scratch, &mut sight);
    sight
}

#[test]
fn a_scratch_that_is_lost_or_productions_is_refused() {
    let good = words_of(drill(serde_json::json!({})), Default::default());
    assert!(
        good.ready.checks.iter().all(|(_, met, _)| *met),
        "{:?}",
        good.ready.checks
    );
    let here = serde_json::json!({"lost": {"what": "x", "regions": ["eu-central-1"]}});
    assert!(!met(
        &words_of(drill(here), Default::default()),
        "is not lost"
    ));
    let none = serde_json::json!({"lost": {"what": "x"}});
    assert!(!met(
        &words_of(drill(none), Default::default()),
        "is not lost"
    ));
    let mut one = drill(serde_json::json!({}));
    let aws = one.scratch.aws.as_mut().unwrap();
    aws.production = vec!["eu-central-1".into()];
    aws.restore_role = "arn:aws:iam::999999999999:role/restore".into();
    aws.kms_key = Some("arn:aws:kms:eu-west-1:111122223333:key/k".into());
    aws.network.gateway = crate::document::drill::aws::Gateway::Controller;
    let sight = words_of(one, Default::default());
    for name in [
        "production",
        "restore role",
        "the key is in",
        "controller's address",
    ] {
        assert!(!met(&sight, name), "{name}");
    }
}

#[test]
fn passwords_and_keys_must_be_at_hand() {
    let with = |password: &str, identity: &str| {
        let steps = serde_json::json!({"steps": [
            step("jump", serde_json::json!({"fresh": {"image": "ami-1", "type": "t3.micro",
                "ssh": {"user": "admin", "identity": identity}}})),
            step("db", serde_json::json!({"resource": "arn:aws:rds:eu-west-1:1:db:x",
                "rds": {"login": {"user": "u", "database": "d", "password_env": password}}})),
        ]});
        words_of(drill(steps), Default::default())
    };
    let good = with("DB_PASSWORD", "key");
    assert!(met(&good, "DB_PASSWORD") && met(&good, "key can be read"));
    let bad = with("OTHER", "gone");
    assert!(!met(&bad, "OTHER") && !met(&bad, "gone can be read"));
    // The password itself is nowhere.
    assert!(!format!("{:?}", good.ready).contains("\"x\""));
}

#[test]
fn lie_05_what_the_guard_does_not_prove_is_said() {
    let plain = words_of(drill(serde_json::json!({})), Default::default());
    let says = |sight: &Sight, word: &str| {
        sight
            .ready
            .not_enforced
            .iter()
            .any(|text| text.contains(word))
    };
    assert!(says(&plain, "CloudTrail") && says(&plain, "credential_process"));
    assert!(!says(&plain, "this was not AWS"));
    assert!(
        plain
            .ready
            .endpoints
            .contains(&"backup.eu-central-1.amazonaws.com".to_owned())
    );
    let access = crate::cloud::Access {
        endpoint: Some("http://127.0.0.1:4566".into()),
        pace: 600.0,
        ..Default::default()
    };
    let double = words_of(drill(serde_json::json!({})), access);
    assert!(says(&double, "this was not AWS") && says(&double, "600 times"));
    assert_eq!(double.ready.endpoints, ["http://127.0.0.1:4566"]);
    let mut open = drill(serde_json::json!({}));
    open.scratch.aws.as_mut().unwrap().network.gateway =
        crate::document::drill::aws::Gateway::Internet;
    assert!(says(
        &words_of(open, Default::default()),
        "a way to the internet"
    ));
}

#[test]
fn what_would_be_made_is_counted_and_what_it_costs_is_reckoned() {
    let drill = drill(serde_json::json!({}));
    let made: BTreeMap<_, _> = fleet::made(&drill).into_iter().collect();
    for (what, count) in [
        ("VPC", 1),
        ("subnet", 2),
        ("restore job", 3),
        ("volume", 1),
        ("EC2 instance", 2),
        ("RDS instance", 1),
        ("Aurora cluster", 1),
        ("Aurora instance", 2),
        ("key pair", 1),
    ] {
        assert_eq!(made.get(what), Some(&count), "{what}");
    }
    assert!(!made.contains_key("internet gateway"));
    let mut sight = Sight::default();
    sight.check("one thing", true, "it is");
    sight.check("another", false, "it is not");
    sight.assume("a third", "nobody may ask");
    let at: Timestamp = "2026-11-20T12:00:00Z".parse().unwrap();
    let lines = would::lines(&drill, drill.scratch.aws.as_ref().unwrap(), at, &sight);
    let about = |word: &str| {
        let found = lines.iter().find(|(about, _)| *about == word);
        found
            .unwrap_or_else(|| panic!("{word}: {lines:#?}"))
            .1
            .as_str()
    };
    assert!(about("needs").starts_with("1 of 3 are NOT met: the drill would be refused"));
    assert!(about("needs").contains("1 of 3 could not be asked"));
    assert_eq!(about("NOT MET"), "another: it is not");
    assert_eq!(about("ASSUMED"), "a third: not known: nobody may ask");
    assert_eq!(about("met"), "one thing: it is");
    assert!(about("makes").contains("2 × EC2 instance"));
    assert!(about("costs").contains("its RTO of 2h"));
    assert!(about("data").contains("of no recovery point"));
    // RDS without a class: the price is not known, and not guessed.
    let unknown = "db (database class as it was)";
    assert!(
        lines.iter().any(|(_, text)| text.contains(unknown)),
        "{lines:#?}"
    );
    // m7g.large, t3.micro, two db.r6g.large of Aurora, 8 GiB: about 17.6 USD a day.
    assert!(about("costs").contains("17."), "{}", about("costs"));
}

#[test]
fn what_may_not_be_asked_is_an_assumption_and_never_silent() {
    let denied = crate::cloud::fault::Fault {
        kind: crate::cloud::fault::FaultKind::Denied,
        ..crate::cloud::fault::Fault::ours("asking", "no")
    };
    let mut sight = Sight::default();
    sight.fault("the quota", &denied);
    assert!(met(&sight, "the quota"));
    assert!(
        sight
            .ready
            .preexisting
            .first()
            .unwrap()
            .contains("the quota")
    );
    let mut sight = Sight::default();
    sight.fault(
        "the quota",
        &crate::cloud::fault::Fault::ours("asking", "no"),
    );
    assert!(!met(&sight, "the quota"));
    assert!(sight.ready.preexisting.is_empty());
}

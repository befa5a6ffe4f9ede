use std::time::Duration;

use super::*;
use crate::backup::age::Recipients;
use crate::backup::archive::{ArchiveHeader, Canary, Kind};
use crate::backup::catalog::Vouched;
use crate::backup::sidecar::{CanaryClaim, Sidecar, sample};
use crate::document::playbook::Span;

const NOW: &str = "2026-11-20T12:00:00Z";
const RECIPIENT: &str = "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p";
const OTHER: &str =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIIjo9gFWRelBSTCpiNe2LSUWHuuC9oTNR+WB4fc1pi3q me@here";

/// A room with five good nights in two stores, for one test to spoil.
struct Room {
    policy: Policy,
    now: Timestamp,
    held: Vec<Held>,
    looked: Vec<Looked>,
    opened: Option<Vec<Opened>>,
}

fn archive(day: u32) -> String {
    format!("db/202611{day:02}T023001.000Z-aaaa.tar.zst.age")
}

fn policy() -> Policy {
    serde_yaml::from_str(&format!(
        "policy: nightly
title: T
recipients: [{RECIPIENT}]
stores:
  near: {{place: here, directory: /srv/near}}
  far: {{place: there, directory: /srv/far}}
sources:
  - source: db
    command: {{run: [dump], file: d}}
    schedule: '30 2 * * *'
    rpo: 26h
    places: 2
    keep: {{at_least: 3, days: 30}}
    canary: {{file: /x}}
"
    ))
    .unwrap()
}

fn good_sidecar(day: u32) -> Sidecar {
    let mut sidecar = sample(&archive(day), 1000);
    sidecar.recipients = vec![RECIPIENT.into()];
    sidecar.sha256 = format!("{day:064}");
    sidecar.canary = Some(CanaryClaim {
        token_sha256: crate::model::sha256_hex(b"token"),
        at: "2026-11-20T02:30:01Z".into(),
        place: "db/.canary".into(),
    });
    sidecar
}

fn backup(day: u32) -> Backup {
    let sidecar = good_sidecar(day);
    Backup {
        name: archive(day),
        size: sidecar.size,
        copied: None,
        data_time: sidecar.data_time.parse().ok(),
        vouched: Vouched::Signed(sidecar, "SHA256:key".into()),
    }
}

fn header(recipients: &[&str]) -> Header {
    let lines: Vec<String> = recipients.iter().map(|r| (*r).to_owned()).collect();
    Header {
        stanzas: Recipients::parse(&lines).unwrap().expected(),
        ..Header::default()
    }
}

impl Room {
    fn new() -> Room {
        let days = 16..=20;
        let held = |store: &str, place: &str| Held {
            store: store.into(),
            place: place.into(),
            backups: Ok(days.clone().map(backup).collect()),
            leftovers: Vec::new(),
        };
        let looked = |store: &str| Looked {
            store: store.into(),
            name: archive(20),
            header: Ok(header(&[RECIPIENT])),
            sha256: Ok(good_sidecar(20).sha256),
        };
        Room {
            policy: policy(),
            now: NOW.parse().unwrap(),
            held: vec![held("near", "here"), held("far", "there")],
            looked: vec![looked("near"), looked("far")],
            opened: None,
        }
    }

    fn opened() -> Room {
        let mut room = Room::new();
        room.opened = Some(vec![Opened {
            name: archive(20),
            store: "near".into(),
            inside: Ok(Inside {
                form: "tar, zstd, age".into(),
                header: Some(ArchiveHeader {
                    format: 1,
                    version: "0".into(),
                    policy: "nightly".into(),
                    source: "db".into(),
                    kind: Kind::Directories,
                    data_time: good_sidecar(20).data_time,
                    stream: None,
                    canary: Some(Canary {
                        token: "token".into(),
                        at: "2026-11-20T02:30:01Z".into(),
                        place: "db/.canary".into(),
                    }),
                }),
                has_manifest: true,
                files: 3,
                bytes: 2000,
                differences: Vec::new(),
                canary_file: Some(true),
            }),
            unlocked: vec![Unlocked {
                label: "key.txt".into(),
                recipients: vec![RECIPIENT.into()],
                opens: Ok(()),
            }],
        }]);
        room
    }

    fn judge(&self) -> Judgement {
        let expected = Recipients::parse(&self.policy.recipients)
            .map(|r| r.expected())
            .map_err(|e| e.to_string());
        judge(&Facts {
            policy: &self.policy,
            source: &self.policy.sources[0],
            now: self.now,
            held: &self.held,
            looked: &self.looked,
            expected,
            opened: self.opened.as_deref(),
        })
    }

    /// Exactly these are not a pass, each with its status; what they say.
    fn only(&self, wanted: &[(&str, Status)]) -> String {
        let findings = self.judge().findings;
        let mut found: Vec<(&str, Status)> = findings
            .iter()
            .filter(|f| f.status != Status::Pass)
            .map(|f| (f.rule.strip_prefix("backup.").unwrap(), f.status))
            .collect();
        let mut wanted = wanted.to_vec();
        found.sort_unstable();
        wanted.sort_unstable();
        assert_eq!(found, wanted, "{findings:#?}");
        findings
            .iter()
            .filter(|f| f.status != Status::Pass)
            .map(|f| format!("{} {}\n", f.actual, f.reason.as_deref().unwrap_or("")))
            .collect()
    }

    fn each(&mut self, change: impl Fn(&mut Vec<Backup>)) {
        for held in &mut self.held {
            change(held.backups.as_mut().unwrap());
        }
    }

    fn inside(&mut self) -> &mut Inside {
        self.opened.as_mut().unwrap()[0].inside.as_mut().unwrap()
    }
}

fn resign(backup: &mut Backup, change: impl Fn(&mut Sidecar)) {
    if let Vouched::Signed(sidecar, _) = &mut backup.vouched {
        change(sidecar);
    }
}

const F: Status = Status::Fail;
const U: Status = Status::Unknown;

#[test]
fn five_good_nights_are_a_pass_with_and_without_the_key() {
    Room::new().only(&[]);
    Room::opened().only(&[]);
    assert!(!Room::new().judge().missed);
    assert_eq!(Room::new().judge().findings.len(), WITHOUT_KEY.len());
    let all = Room::opened().judge().findings;
    assert_eq!(all.len(), WITHOUT_KEY.len() + WITH_KEY.len());
    assert!(all.iter().all(|f| !f.controls.is_empty() && f.host == "db"));
}

#[test]
fn a_night_that_was_missed_is_told_apart() {
    let mut room = Room::new();
    room.each(|all| drop(all.pop()));
    for looked in &mut room.looked {
        looked.name = archive(19);
        looked.sha256 = Ok(good_sidecar(19).sha256);
    }
    let said = room.only(&[("on-schedule", F), ("fresh", F), ("kept", F)]);
    assert!(said.contains("one was due 2026-11-20T02:30:00Z"), "{said}");
    assert!(said.contains("1d 9h old"), "{said}");
    assert!(room.judge().missed);
    // Within the grace nothing is missed yet, and the data is not too old.
    room.now = "2026-11-20T03:29:00Z".parse().unwrap();
    room.only(&[]);
}

#[test]
fn an_rpo_shorter_than_the_schedule_fails_between_two_backups() {
    let mut room = Room::new();
    room.policy.sources[0].rpo = Span(Duration::from_secs(3600));
    room.only(&[("fresh", F)]);
    assert!(!room.judge().missed);
}

#[test]
fn a_name_that_nobody_vouches_for_makes_nothing_fresh() {
    let mut room = Room::new();
    room.each(|all| {
        all.pop();
        let mut fake = backup(20);
        fake.vouched = Vouched::Nobody("it has no sidecar".into());
        all.push(fake);
    });
    for looked in &mut room.looked {
        looked.name = archive(19);
        looked.sha256 = Ok(good_sidecar(19).sha256);
    }
    room.only(&[("on-schedule", F), ("fresh", F), ("kept", F), ("signed", F)]);
}

#[test]
fn a_backup_from_the_future_counts_for_nothing() {
    let mut room = Room::new();
    room.each(|all| all.push(backup(25)));
    let said = room.only(&[("signed", F)]);
    assert!(said.contains("from the future"), "{said}");
}

#[test]
fn a_collapsed_size_fails_and_a_short_history_says_nothing() {
    for (size, fails) in [
        (1000, false),
        (334, false),
        (333, true),
        (3000, false),
        (3001, true),
    ] {
        let mut room = Room::new();
        room.each(|all| resign(all.last_mut().unwrap(), |s| s.size = size));
        match fails {
            false => drop(room.only(&[])),
            true => drop(room.only(&[("size-plausible", F)])),
        }
    }
    let mut room = Room::new();
    room.each(|all| drop(all.drain(..2)));
    let said = room.only(&[("size-plausible", Status::NotApplicable)]);
    assert!(said.contains("2 before this one"), "{said}");
    // Empty is empty, whatever the history.
    room.each(|all| resign(all.last_mut().unwrap(), |s| s.bytes = 0));
    room.only(&[("size-plausible", F)]);
}

#[test]
fn a_recipient_too_many_or_too_few_fails() {
    let mut room = Room::new();
    for looked in &mut room.looked {
        looked.header = Ok(header(&[RECIPIENT, OTHER]));
    }
    let said = room.only(&[("encrypted-to", F)]);
    assert!(said.contains("too many"), "{said}");

    // The header alone does not say whose an X25519 recipient is; the sidecar does.
    let mut room = Room::new();
    room.each(|all| {
        resign(all.last_mut().unwrap(), |s| {
            s.recipients = vec!["age1other".into()]
        })
    });
    let said = room.only(&[("encrypted-to", F)]);
    assert!(
        said.contains("not encrypted to age1ql3z") && said.contains("age1other"),
        "{said}"
    );

    // One that the policy demands since.
    let mut room = Room::new();
    room.policy.recipients.push(OTHER.into());
    room.only(&[("encrypted-to", F)]);

    // An SSH key has a tag in the header: its comment means nothing, another key does.
    let mut room = Room::new();
    room.policy.recipients = vec![OTHER.into()];
    room.each(|all| {
        resign(all.last_mut().unwrap(), |s| {
            s.recipients = vec![OTHER.replace("me@here", "else")];
        });
    });
    for looked in &mut room.looked {
        looked.header = Ok(header(&[OTHER]));
    }
    room.only(&[]);
    for looked in &mut room.looked {
        looked.header.as_mut().unwrap().stanzas[0].args[0] = "AAAAAA".into();
    }
    room.only(&[("encrypted-to", F)]);

    let mut room = Room::new();
    room.looked[1].header = Err("cut".into());
    room.only(&[("encrypted-to", U)]);
}

#[test]
fn a_flipped_byte_in_one_store_fails_there() {
    let mut room = Room::new();
    room.looked[1].sha256 = Ok("ff".repeat(32));
    let said = room.only(&[("hash", F), ("places", F)]);
    assert!(said.contains("in far"), "{said}");
    room.looked[1].sha256 = Err("the line was cut".into());
    room.only(&[("hash", U), ("places", U)]);
}

#[test]
fn two_stores_in_one_place_are_one_place() {
    let mut room = Room::new();
    room.held[1].place = "here".into();
    let said = room.only(&[("places", F)]);
    assert!(said.contains("1 of 2"), "{said}");
}

#[test]
fn a_second_place_without_it_fails() {
    let mut room = Room::new();
    room.held[1].backups.as_mut().unwrap().pop();
    room.looked.pop();
    room.only(&[("places", F)]);
}

#[test]
fn a_store_that_cannot_be_asked_makes_unknown_and_never_a_pass() {
    let mut room = Room::new();
    room.held[1].backups = Err("not mounted".into());
    room.looked.pop();
    room.only(&[("places", U), ("signed", U), ("leftovers", U)]);
    room.held[0].backups = Err("not mounted either".into());
    room.looked.clear();
    let findings = room.judge().findings;
    assert!(findings.iter().all(|f| f.status == U), "{findings:#?}");
    assert!(!room.judge().missed);
}

#[test]
fn no_backup_at_all_fails() {
    let mut room = Room::new();
    room.each(Vec::clear);
    room.looked.clear();
    let findings = room.judge().findings;
    let of = |rule: &str| findings.iter().find(|f| f.rule == rule).unwrap().status;
    for rule in ["present", "on-schedule", "fresh", "places", "kept"] {
        assert_eq!(of(&format!("backup.{rule}")), F, "{rule}");
    }
    let passes = findings.iter().filter(|f| f.status == Status::Pass);
    assert_eq!(
        passes.map(|f| f.rule.as_str()).collect::<Vec<_>>(),
        ["backup.leftovers"]
    );
}

#[test]
fn a_gap_in_what_is_kept_fails() {
    let mut room = Room::new();
    room.each(|all| drop(all.remove(2)));
    let said = room.only(&[("kept", F)]);
    assert!(
        said.contains("none for 1 scheduled: 2026-11-18T02:30:00Z"),
        "{said}"
    );
    // Further back than is demanded, it does not matter.
    room.policy.sources[0].keep.days = Some(2);
    room.only(&[]);
    room.policy.sources[0].keep.at_least = 5;
    room.only(&[("kept", F)]);
}

#[test]
fn one_that_is_not_signed_fails() {
    let mut room = Room::new();
    let all = room.held[0].backups.as_mut().unwrap();
    all[0].vouched = Vouched::Unsigned(good_sidecar(16), "signed by another".into());
    let said = room.only(&[("signed", F)]);
    assert!(said.contains("signed by another"), "{said}");
}

#[test]
fn what_a_dead_writer_left_fails() {
    let mut room = Room::new();
    room.held[0].leftovers.push("db/.x.part".into());
    let said = room.only(&[("leftovers", F)]);
    assert!(said.contains("db/.x.part in near"), "{said}");
}

#[test]
fn what_is_inside_must_be_what_it_says() {
    let mut room = Room::opened();
    room.inside().differences.push("a: other bytes".into());
    room.only(&[("content", F)]);

    let mut room = Room::opened();
    room.inside().header.as_mut().unwrap().source = "files".into();
    let said = room.only(&[("content", F)]);
    assert!(said.contains("a backup of files"), "{said}");

    let mut room = Room::opened();
    room.inside().header.as_mut().unwrap().data_time = "2026-11-01T00:00:00Z".into();
    room.only(&[("content", F)]);

    let mut room = Room::opened();
    room.inside().has_manifest = false;
    room.only(&[("content", U)]);

    let mut room = Room::opened();
    room.opened.as_mut().unwrap()[0].inside = Err("cut off".into());
    room.only(&[("content", F), ("canary", U)]);
}

#[test]
fn a_key_that_opens_nothing_fails() {
    let mut room = Room::opened();
    room.opened.as_mut().unwrap()[0].unlocked.push(Unlocked {
        label: "old.txt".into(),
        recipients: vec![OTHER.into()],
        opens: Err("none of your keys fits".into()),
    });
    let said = room.only(&[("recipients", F)]);
    assert!(said.contains("old.txt"), "{said}");
    room.opened = Some(Vec::new());
    room.only(&[("recipients", U), ("content", U), ("canary", U)]);
}

#[test]
fn another_canary_fails() {
    let mut room = Room::opened();
    room.inside()
        .header
        .as_mut()
        .unwrap()
        .canary
        .as_mut()
        .unwrap()
        .token = "other".into();
    room.only(&[("canary", F)]);
    let mut room = Room::opened();
    room.inside().canary_file = Some(false);
    room.only(&[("canary", F)]);
    let mut room = Room::opened();
    room.inside().header.as_mut().unwrap().canary = None;
    room.only(&[("canary", F)]);
    room.policy.sources[0].canary = None;
    room.only(&[("canary", Status::NotApplicable)]);
}

#[test]
fn an_archive_by_itself_says_what_can_be_said() {
    let looked = Looked {
        store: "file".into(),
        name: "a.age".into(),
        header: Ok(header(&[RECIPIENT])),
        sha256: Ok("ab".repeat(32)),
    };
    let of = |judgement: &Judgement, rule: &str| {
        let found = judgement.findings.iter().find(|f| f.rule == rule);
        found.map(|f| f.status)
    };
    let alone = foreign("a.age", &looked, None, None);
    assert_eq!(of(&alone, "backup.signed"), Some(U));
    assert_eq!(of(&alone, "backup.hash"), Some(U));
    assert_eq!(of(&alone, "backup.encrypted-to"), Some(Status::Manual));
    assert_eq!(of(&alone, "backup.content"), None);
    let mut opened = Room::opened().opened.unwrap();
    opened[0].inside.as_mut().unwrap().has_manifest = false;
    let with = foreign("a.age", &looked, None, Some(&opened[0]));
    assert_eq!(of(&with, "backup.content"), Some(U));
    assert_eq!(of(&with, "backup.recipients"), Some(Status::Pass));
    let vouched = backup(20).vouched;
    let beside = foreign("a.age", &looked, Some(&vouched), None);
    assert_eq!(of(&beside, "backup.signed"), Some(Status::Pass));
    assert_eq!(of(&beside, "backup.hash"), Some(F));
}

//! A request that was carried out, and whose answer never came: it is not made twice.

use std::collections::BTreeSet;

use super::*;
use crate::fake_aws::log::Entry;

/// How many things requests of this kind have made: those with one token make one.
fn made(log: &[Entry], operation: &str) -> usize {
    let done = log.iter().filter(|entry| {
        // Carried out, whether or not that was answered.
        let done = matches!(entry.status, 0 | 200) && entry.error.is_none();
        entry.operation == operation && done && !is_dry(entry)
    });
    let each: BTreeSet<String> = done
        .enumerate()
        .map(|(number, entry)| {
            let token = ["ClientToken", "IdempotencyToken", "CreationToken"];
            let token = token.iter().find_map(|key| entry.params[key].as_str());
            token.map_or_else(|| number.to_string(), str::to_owned)
        })
        .collect();
    each.len()
}

/// The preflight's question whether it would be allowed.
fn is_dry(entry: &Entry) -> bool {
    let dry = &entry.params["DryRun"];
    dry.as_bool() == Some(true) || dry.as_str() == Some("true")
}

/// The first answers to this operation are lost. `count`: how many a calm drill makes.
fn lost(operation: &str, count: usize, word: VerdictWord, steps: impl Fn(&str) -> Vec<String>) {
    let script = Script {
        requests: vec![RequestTrouble {
            service: "*".into(),
            operation: operation.into(),
            from_s: 0.0,
            until_s: f64::INFINITY,
            share: 1.0,
            // A question whether it is allowed may be the first; and who asks again is not heard at
            // once.
            times: Some(3),
            answer: WrongAnswer::LoseAnswer,
        }],
        ..Script::default()
    };
    let ran = ran(script, steps);
    ran.ends(word);
    assert!(ran.troubled() > 0, "{operation} was never sent");
    let log = ran.stage.aws.log();
    assert_eq!(made(&log, operation), count, "{operation}: {}", ran.told());
}

fn by_ec2(url: &str) -> Vec<String> {
    vec![
        steps::jump("[]"),
        steps::volume(url, "by: ec2, ", "usable", ""),
    ]
}

#[test]
fn of_the_network() {
    for operation in [
        "CreateVpc",
        "CreateSubnet",
        "CreateSecurityGroup",
        "CreateInternetGateway",
        "CreateRouteTable",
        "ImportKeyPair",
    ] {
        lost(operation, 1, VerdictWord::Met, |_| {
            vec![steps::jump("[]"), steps::carts()]
        });
    }
}

#[test]
fn of_instances_and_volumes() {
    for operation in ["RunInstances", "CreateVolume"] {
        lost(operation, 1, VerdictWord::Met, by_ec2);
    }
    lost("AttachVolume", 1, VerdictWord::Met, by_ec2);
}

#[test]
fn of_restore_jobs() {
    lost("StartRestoreJob", 1, VerdictWord::Met, |_| {
        vec![steps::carts()]
    });
}

#[test]
fn of_databases() {
    let cluster = |url: &str| vec![steps::jump("[]"), steps::ledger(url)];
    lost("CreateDBSubnetGroup", 1, VerdictWord::Met, cluster);
    lost("CreateDBInstance", 1, VerdictWord::Met, cluster);
}

#[test]
fn of_mount_targets() {
    // Nothing can be mounted on the machine that plays the instance; the mount target is made
    // before that is known.
    lost("CreateMountTarget", 1, VerdictWord::Missed, |url| {
        let place = concat!(env!("CARGO_TARGET_TMPDIR"), "/shared-by-a-drill");
        let mount = format!("{{mount: {{on: jump, path: {place}}}}}");
        vec![steps::jump("[]"), steps::shared(url, &mount)]
    });
}

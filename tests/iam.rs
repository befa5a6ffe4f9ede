//! The policy in `docs/iam` has the operations that `src/cloud` calls, and no other: what is missing
//! stops a drill in the middle, and what is too much is a right that nobody needs.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use regex::Regex;
use serde_json::Value;

/// Clients, as `Clients` calls them, and their services in a policy.
const SERVICES: &[(&str, &str)] = &[
    ("backup", "backup"),
    ("ec2", "ec2"),
    ("rds", "rds"),
    ("s3", "s3"),
    ("dynamodb", "dynamodb"),
    ("efs", "elasticfilesystem"),
    ("kms", "kms"),
    ("sts", "sts"),
    ("quotas", "servicequotas"),
];

/// Operations whose right has another name.
const OTHERWISE: &[(&str, &str, &[&str])] = &[
    ("s3", "list_objects_v2", &["ListBucket"]),
    ("s3", "head_bucket", &["ListBucket"]),
    ("s3", "list_object_versions", &["ListBucketVersions"]),
    (
        "s3",
        "list_multipart_uploads",
        &["ListBucketMultipartUploads"],
    ),
    ("s3", "list_buckets", &["ListAllMyBuckets"]),
    (
        "s3",
        "delete_object",
        &["DeleteObject", "DeleteObjectVersion"],
    ),
    (
        "s3",
        "delete_objects",
        &["DeleteObject", "DeleteObjectVersion"],
    ),
];

/// Rights that an operation needs besides its own.
const BESIDES: &[(&str, &str)] = &[
    (
        "iam:PassRole",
        "StartRestoreJob hands the restore role to AWS Backup",
    ),
    (
        "ec2:CreateNetworkInterface",
        "CreateMountTarget makes one in the caller's name",
    ),
    (
        "ec2:DeleteNetworkInterface",
        "DeleteMountTarget takes it away",
    ),
    (
        "kms:CreateGrant",
        "volumes and databases with a key of the account's own",
    ),
    ("kms:Decrypt", "the same"),
    ("kms:GenerateDataKeyWithoutPlaintext", "the same"),
    ("kms:ReEncryptFrom", "the same"),
    ("kms:ReEncryptTo", "the same"),
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn policy(name: &str) -> Value {
    let path = root().join("docs/iam").join(name);
    let text = std::fs::read_to_string(&path).expect("a policy can be read");
    serde_json::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

fn listed(value: &Value) -> Vec<&str> {
    match value {
        Value::String(one) => vec![one],
        Value::Array(all) => all.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}

fn statements(policy: &Value) -> &[Value] {
    policy["Statement"].as_array().expect("statements")
}

/// Its actions, with how often each is allowed.
fn actions(policy: &Value) -> BTreeSet<String> {
    let all = statements(policy).iter();
    all.flat_map(|s| listed(&s["Action"]))
        .map(str::to_owned)
        .collect()
}

fn sources(under: &Path, out: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(under).expect("a source folder can be listed") {
        let path = entry.expect("its entry").path();
        if path.is_dir() {
            sources(&path, out);
        } else if !matches!(
            path.file_stem().and_then(|s| s.to_str()),
            Some("tests" | "testing")
        ) {
            out.push(path);
        }
    }
}

/// `create_db_instance` → `CreateDBInstance`.
fn operation(call: &str) -> String {
    let words = call.split('_').map(|word| match word {
        "db" | "aws" => word.to_uppercase(),
        word => {
            let (first, rest) = word.split_at(word.len().min(1));
            first.to_uppercase() + rest
        }
    });
    words.collect()
}

/// The rights that a call on a client needs.
fn rights(client: &str, call: &str) -> Vec<String> {
    let service = SERVICES.iter().find(|(name, _)| *name == client);
    let service = service.map_or("", |(_, service)| service);
    let otherwise = OTHERWISE.iter().find(|o| o.0 == client && o.1 == call);
    match otherwise {
        Some((_, _, names)) => names.iter().map(|n| format!("{service}:{n}")).collect(),
        None => vec![format!("{service}:{}", operation(call))],
    }
}

/// A call that looks like one of an operation.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Call {
    /// Where it is named right before.
    client: Option<String>,
    name: String,
    /// It is sent in the same statement: no getter of an answer.
    is_sent: bool,
}

fn calls(code: &str) -> BTreeSet<Call> {
    let names: Vec<&str> = SERVICES.iter().map(|(name, _)| *name).collect();
    let verbs = "abort|add|assign|associate|attach|authorize|copy|create|delete|deregister|describe|\
                 detach|disassociate|enable|get|head|import|list|modify|put|release|remove|replace|\
                 revoke|run|start|stop|tag|terminate|untag|update";
    let call = Regex::new(&format!(
        r"(?:\b({})(?:\(\))?)?\s*\.\s*((?:(?:{verbs})_[a-z0-9_]+)|scan|query)\(\)",
        names.join("|")
    ))
    .expect("an expression of ours");
    let found = call.captures_iter(code).map(|m| {
        let rest = m.get(0).and_then(|all| code.get(all.end()..));
        let rest = rest.and_then(|rest| rest.split(';').next());
        Call {
            client: m.get(1).map(|client| client.as_str().to_owned()),
            name: m[2].to_owned(),
            is_sent: rest.is_some_and(|r| r.contains(".send()") || r.contains("into_paginator")),
        }
    });
    found.collect()
}

#[test]
fn the_policy_allows_what_is_called_and_nothing_else() {
    let allowed = actions(&policy("drill-policy.json"));
    let mut files = Vec::new();
    sources(&root().join("src/cloud"), &mut files);
    let mut used: BTreeSet<String> = BESIDES.iter().map(|(right, _)| (*right).into()).collect();
    let mut missing: BTreeMap<String, String> = BTreeMap::new();
    for file in files {
        let text = std::fs::read_to_string(&file).expect("a source can be read");
        let code = text.split("#[cfg(test)]").next().unwrap_or_default();
        for call in calls(code) {
            // A client under another name: whichever service has an operation of that name here.
            let clients: Vec<&str> = match &call.client {
                Some(client) => vec![client],
                None => SERVICES.iter().map(|(name, _)| *name).collect(),
            };
            let wanted = clients.iter().map(|client| rights(client, &call.name));
            let granted: Vec<Vec<String>> = wanted
                .filter(|rights| rights.iter().all(|right| allowed.contains(right)))
                .collect();
            if granted.is_empty() && (call.client.is_some() || call.is_sent) {
                missing.insert(call.name, file.display().to_string());
            }
            used.extend(granted.into_iter().flatten());
        }
    }
    assert!(missing.is_empty(), "no right to call these: {missing:#?}");
    let unused: Vec<&String> = allowed.difference(&used).collect();
    assert!(unused.is_empty(), "rights that nothing needs: {unused:#?}");
}

/// A right without any bound would hold in production's region too.
#[test]
fn each_right_is_bound_to_a_region_a_tag_or_a_name() {
    for statement in statements(&policy("drill-policy.json")) {
        let sid = &statement["Sid"];
        let actions = listed(&statement["Action"]);
        assert!(
            !actions.is_empty() && actions.iter().all(|a| !a.contains('*')),
            "{sid}"
        );
        // Which buckets there are is asked of no region.
        if actions == ["s3:ListAllMyBuckets"] {
            continue;
        }
        let is_anywhere = listed(&statement["Resource"]).contains(&"*");
        let region = &statement["Condition"]["StringEquals"]["aws:RequestedRegion"];
        assert!(
            !is_anywhere || region == "eu-central-1",
            "{sid} is bound to nothing"
        );
        for resource in listed(&statement["Resource"]) {
            let is_everything = resource.contains("eu-west-1") || resource == "arn:aws:s3:::*";
            assert!(!is_everything, "{sid}: {resource}");
        }
    }
}

/// What a role can hold inline: 10240 characters, white space left out.
#[test]
fn every_policy_is_one_and_fits() {
    let folder = std::fs::read_dir(root().join("docs/iam")).expect("policies are shipped");
    let mut seen = 0;
    for entry in folder {
        let name = entry.expect("its entry").file_name();
        let name = name.to_str().expect("a name of ours is text");
        let policy = policy(name);
        assert_eq!(policy["Version"], "2012-10-17", "{name}");
        let mut sids = BTreeSet::new();
        for statement in statements(&policy) {
            assert!(
                matches!(statement["Effect"].as_str(), Some("Allow" | "Deny")),
                "{name}"
            );
            let sid = statement["Sid"].as_str().unwrap_or_default();
            assert!(
                sid.chars().all(|c| c.is_ascii_alphanumeric()),
                "{name}: {sid}"
            );
            assert!(sid.is_empty() || sids.insert(sid), "{name}: {sid} twice");
        }
        assert!(policy.to_string().len() <= 10_240, "{name} is too long");
        seen += 1;
    }
    assert!(seen >= 6, "{seen} policies");
}

#[test]
fn calls_are_seen_however_they_are_written() {
    let code = "clients.ec2.describe_vpcs().send(); self.ec2()\n    .create_vpc()\n; \
                client\n.run_instances(); table.scan(); x.get(1); answer.vpc_id(); \
                inner.efs.tag_resource()";
    let seen: Vec<String> = calls(code)
        .into_iter()
        .map(|call| format!("{}.{}", call.client.unwrap_or_default(), call.name))
        .collect();
    let expected = [
        ".run_instances",
        ".scan",
        "ec2.create_vpc",
        "ec2.describe_vpcs",
        "efs.tag_resource",
    ];
    assert_eq!(seen, expected);
    assert_eq!(operation("create_db_instance"), "CreateDBInstance");
    let quota = operation("get_aws_default_service_quota");
    assert_eq!(quota, "GetAWSDefaultServiceQuota");
    assert_eq!(rights("s3", "list_objects_v2"), ["s3:ListBucket"]);
    assert_eq!(
        rights("efs", "tag_resource"),
        ["elasticfilesystem:TagResource"]
    );
}

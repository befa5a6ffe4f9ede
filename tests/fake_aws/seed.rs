//! What is there at the beginning, from JSON:
//!
//! ```json
//! {"accounts": {"111122223333": {"regions": {"eu-central-1": {
//!   "vaults": [{
//!     "name": "dr-copies", "key": "arn:aws:kms:…", "tags": {"seawall:scratch": "yes"},
//!     "created": -8640000, "policy": "{…}", "lock": {"Locked": true, "MinRetentionDays": 7},
//!     "points": [{
//!       "resource": "arn:aws:ec2:eu-west-1:111122223333:volume/vol-…", "type": "EBS",
//!       "created": -3600, "data_time": -6000, "size": 107374182400, "status": "COMPLETED",
//!       "encrypted": true, "key": "arn:aws:kms:…", "delete_at": 2592000,
//!       "source_vault": "arn:aws:backup:eu-west-1:111122223333:backup-vault:prod",
//!       "tags": {}, "data_time_tag": true, "…": "what the type needs, see below"
//!     }]
//!   }],
//!   "keys": [{"arn": "arn:aws:kms:…", "alias": "alias/dr", "state": "Enabled"}],
//!   "quotas": {"ec2/L-1216C47A": 64},
//!   "db_classes": ["db.m7g.large"],
//!   "ec2": {"…": "as `ec2::seed` says"}
//! }}}}}
//! ```
//!
//! All but a point's `resource`, `type` and `created` may be left out. A time is a number of seconds
//! since 1970, or, below 10⁹, before or after the beginning of the double's clock (`-3600`: an hour
//! before it), or RFC 3339. `data_time_tag` writes the data's time on the point, as the tag
//! `seawall:data-time`. With `source_vault` the point is a copy.
//!
//! Further words of a point, by its type: EBS `gib`, `snapshot`; EC2 `image`, `snapshot`, `gib`,
//! `instance_type`, `architecture`, `profile`; RDS and Aurora `engine`, `engine_version`, `class`, `address` and
//! `port` of a real database that the restored one is to be found at; S3 `objects`
//! (`[{"key", "body" | "size"}]`), `continuous`; DynamoDB `table_key` (`[{"name", "type"}]`),
//! `items` (in DynamoDB's JSON); of all, `arn`, `status_message`, `cold_at`, `role`, and
//! `restore_metadata`, which is laid over what GetRecoveryPointRestoreMetadata returns. Snapshots
//! and images that points name are made in EC2 and RDS as well.

mod behind;
mod example;
#[cfg(test)]
mod tests;

pub use example::example;

use serde_json::{Value, json};

use super::ask::{Tags, tag_map, text, uuid};
use super::backup::{Point, Vault};
use super::world::World;
use super::{ec2, kms};

const REGION: &[&str] = &["vaults", "keys", "quotas", "db_classes", "ec2"];
const VAULT: &[&str] = &["name", "key", "tags", "created", "policy", "lock", "points"];
const POINT: &[&str] = &[
    "resource",
    "type",
    "created",
    "data_time",
    "size",
    "status",
    "encrypted",
    "key",
    "delete_at",
    "source_vault",
    "tags",
    "data_time_tag",
    "gib",
    "snapshot",
    "image",
    "instance_type",
    "architecture",
    "profile",
    "engine",
    "engine_version",
    "class",
    "address",
    "port",
    "objects",
    "continuous",
    "table_key",
    "items",
    "arn",
    "status_message",
    "cold_at",
    "role",
    "restore_metadata",
];
/// The services that have a key of their own.
const OWN_KEYS: &[&str] = &[
    "ebs",
    "rds",
    "s3",
    "dynamodb",
    "elasticfilesystem",
    "backup",
];

/// Puts it into the world, beside what is there.
pub fn apply(world: &mut World, seed: &Value) -> Result<(), String> {
    only(seed, &["accounts"], "the seed")?;
    for (account, spec) in entries(seed, "accounts") {
        only(spec, &["regions"], account)?;
        for (name, spec) in entries(spec, "regions") {
            region(world, account, name, spec).map_err(|why| format!("{account} {name}: {why}"))?;
        }
    }
    Ok(())
}

fn entries<'a>(value: &'a Value, name: &str) -> Vec<(&'a String, &'a Value)> {
    let map = value.get(name).and_then(Value::as_object);
    map.into_iter().flatten().collect()
}

fn items<'a>(value: &'a Value, name: &str) -> Vec<&'a Value> {
    let items = value.get(name).and_then(Value::as_array);
    items.into_iter().flatten().collect()
}

/// A word that nobody reads is a mistake.
fn only(value: &Value, known: &[&str], what: &str) -> Result<(), String> {
    let map = value
        .as_object()
        .ok_or_else(|| format!("{what} is no object"))?;
    match map.keys().find(|key| !known.contains(&key.as_str())) {
        Some(key) => Err(format!("{what} has an unknown `{key}`")),
        None => Ok(()),
    }
}

/// Seconds since 1970.
fn time(world: &World, value: Option<&Value>) -> Result<Option<f64>, String> {
    match value {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => match text.parse::<jiff::Timestamp>() {
            Ok(time) => Ok(Some(time.as_millisecond() as f64 / 1000.0)),
            Err(why) => Err(format!("{text}: {why}")),
        },
        Some(value) => match value.as_f64() {
            Some(seconds) if seconds < 1e9 => Ok(Some(world.began + seconds)),
            Some(seconds) => Ok(Some(seconds)),
            None => Err(format!("{value} is no time")),
        },
    }
}

fn region(world: &mut World, account: &str, name: &str, spec: &Value) -> Result<(), String> {
    only(spec, REGION, "the region")?;
    let mut in_ec2 = spec.get("ec2").cloned().unwrap_or_else(|| json!({}));
    if in_ec2.get("zones").is_none() {
        in_ec2["zones"] = json!(["a", "b", "c"].map(|letter| format!("{name}{letter}")));
    }
    for service in OWN_KEYS {
        let id = uuid(world).to_lowercase();
        key(
            world,
            account,
            name,
            &json!({
                "arn": format!("arn:aws:kms:{name}:{account}:key/{id}"),
                "alias": format!("alias/aws/{service}"),
                "manager": "AWS",
            }),
        )?;
    }
    for spec in items(spec, "keys") {
        key(world, account, name, spec)?;
    }
    for spec in items(spec, "vaults") {
        only(spec, VAULT, "a vault")?;
        let vault_name = text(spec, "name").ok_or("a vault has no name")?;
        let mut vault = Vault {
            name: vault_name.to_owned(),
            arn: format!("arn:aws:backup:{name}:{account}:backup-vault:{vault_name}"),
            key: text(spec, "key").map(str::to_owned),
            created: time(world, spec.get("created"))?.unwrap_or(world.began - 1e7),
            tags: tag_map(spec.get("tags")),
            lock: spec
                .get("lock")
                .and_then(Value::as_object)
                .cloned()
                .unwrap_or_default(),
            policy: text(spec, "policy").map(str::to_owned),
            points: Vec::new(),
        };
        for spec in items(spec, "points") {
            let place = Place {
                account,
                region: name,
            };
            vault
                .points
                .push(point(world, &place, &vault, spec, &mut in_ec2)?);
        }
        let state = &mut world.region_of(account, name).backup;
        state.vaults.insert(vault_name.to_owned(), vault);
    }
    let here = world.region_of(account, name);
    for (quota, value) in entries(spec, "quotas") {
        let value = value
            .as_f64()
            .ok_or_else(|| format!("the quota {quota} is no number"))?;
        here.quotas.applied.insert(quota.clone(), value);
    }
    here.rds
        .classes
        .extend(super::ask::list(spec, "db_classes"));
    ec2::seed(&mut here.ec2, &in_ec2);
    Ok(())
}

fn key(world: &mut World, account: &str, region: &str, spec: &Value) -> Result<(), String> {
    only(spec, &["arn", "alias", "state", "manager"], "a key")?;
    let arn = text(spec, "arn").ok_or("a key has no arn")?.to_owned();
    let key = kms::Key {
        arn: arn.clone(),
        alias: text(spec, "alias").map(str::to_owned),
        state: text(spec, "state").unwrap_or("Enabled").to_owned(),
        manager: text(spec, "manager").unwrap_or("CUSTOMER").to_owned(),
        created: world.began - 1e7,
    };
    world.region_of(account, region).kms.keys.insert(arn, key);
    Ok(())
}

struct Place<'a> {
    account: &'a str,
    region: &'a str,
}

fn point(
    world: &mut World,
    place: &Place<'_>,
    vault: &Vault,
    spec: &Value,
    in_ec2: &mut Value,
) -> Result<Point, String> {
    only(spec, POINT, "a point")?;
    let resource = text(spec, "resource")
        .ok_or("a point has no resource")?
        .to_owned();
    let kind = text(spec, "type").ok_or("a point has no type")?.to_owned();
    let created = time(world, spec.get("created"))?;
    let created = created.ok_or_else(|| format!("a point of {resource} has no `created`"))?;
    let data = time(world, spec.get("data_time"))?;
    let mut words = spec.clone();
    let (mut tags, is_copy) = (
        tag_map(spec.get("tags")),
        text(spec, "source_vault").is_some(),
    );
    if spec.get("data_time_tag").and_then(Value::as_bool) == Some(true) {
        mark(
            &mut tags,
            data.ok_or("`data_time_tag` without `data_time`")?,
        )?;
    }
    for (name, prefix, on) in [("snapshot", "snap", "EBS EC2"), ("image", "ami", "EC2")] {
        if on.split(' ').any(|on| on == kind) && words.get(name).is_none() {
            words[name] = json!(world.new_id(prefix));
        }
    }
    let id = uuid(world);
    let Place { account, region } = *place;
    let job = if is_copy { "copyjob" } else { "job" };
    let low = id.to_lowercase();
    let arn = match kind.as_str() {
        "EBS" => format!(
            "arn:aws:ec2:{region}::snapshot/{}",
            word(&words, "snapshot")
        ),
        "EC2" => format!("arn:aws:ec2:{region}::image/{}", word(&words, "image")),
        "RDS" => format!("arn:aws:rds:{region}:{account}:snapshot:awsbackup:{job}-{low}"),
        "Aurora" => {
            format!("arn:aws:rds:{region}:{account}:cluster-snapshot:awsbackup:{job}-{low}")
        }
        _ => format!("arn:aws:backup:{region}:{account}:recovery-point:{id}"),
    };
    let point = Point {
        arn: text(spec, "arn").map_or(arn, str::to_owned),
        resource,
        kind,
        status: text(spec, "status").unwrap_or("COMPLETED").to_owned(),
        status_message: text(spec, "status_message").map(str::to_owned),
        created,
        size: spec.get("size").and_then(Value::as_u64).unwrap_or(1 << 30),
        encrypted: spec
            .get("encrypted")
            .and_then(Value::as_bool)
            .unwrap_or(vault.key.is_some()),
        key: text(spec, "key")
            .map(str::to_owned)
            .or_else(|| vault.key.clone()),
        source_vault: text(spec, "source_vault").map(str::to_owned),
        delete_at: time(world, spec.get("delete_at"))?,
        cold_at: time(world, spec.get("cold_at"))?,
        role: Some(text(spec, "role").map_or_else(
            || format!("arn:aws:iam::{account}:role/service-role/AWSBackupDefaultServiceRole"),
            str::to_owned,
        )),
        tags,
        last_restore: None,
        spec: words,
    };
    match point.kind.as_str() {
        "EBS" | "EC2" => behind::in_ec2(&point, is_copy, data, in_ec2),
        "RDS" | "Aurora" => behind::in_rds(world, place, &point, data),
        _ => {}
    }
    Ok(point)
}

fn word<'a>(spec: &'a Value, name: &str) -> &'a str {
    text(spec, name).unwrap_or_default()
}

fn mark(tags: &mut Tags, data: f64) -> Result<(), String> {
    let time = jiff::Timestamp::from_second(data as i64).map_err(|why| why.to_string())?;
    tags.insert("seawall:data-time".into(), time.to_string());
    Ok(())
}

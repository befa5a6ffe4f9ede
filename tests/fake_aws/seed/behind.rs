//! What EC2 and RDS have of a recovery point.

use serde_json::{Map, Value, json};

use super::super::backup::Point;
use super::super::rds;
use super::super::world::World;
use super::Place;

/// The snapshot, and the image, that the point stands for. A copy began when it was made; what it
/// is a copy of began with the data.
pub fn in_ec2(point: &Point, is_copy: bool, data: Option<f64>, spec: &mut Value) {
    let began = if is_copy {
        point.created
    } else {
        data.unwrap_or(point.created)
    };
    let gib = (point.spec.get("gib").and_then(Value::as_u64))
        .unwrap_or_else(|| point.size.div_ceil(1 << 30));
    let volume = point.resource.rsplit('/').next().unwrap_or_default();
    let mut snapshot = Map::new();
    snapshot.insert("id".into(), json!(point.word("snapshot")));
    snapshot.insert("size_gib".into(), json!(gib));
    snapshot.insert("started".into(), json!(began));
    snapshot.insert("encrypted".into(), json!(point.encrypted));
    snapshot.insert(
        "key".into(),
        json!(point.key.as_ref().filter(|_| point.encrypted)),
    );
    snapshot.insert("backup".into(), json!(true));
    snapshot.insert("tags".into(), json!(point.tags));
    if point.kind == "EBS" {
        snapshot.insert("volume".into(), json!(volume));
    }
    add(spec, "snapshots", Value::Object(snapshot));
    if point.kind == "EC2" {
        add(
            spec,
            "images",
            json!({
                "id": point.word("image"),
                "name": format!("AwsBackup_{volume}"),
                "backup": true,
                "tags": point.tags,
                "created": began,
                "source_instance": volume,
                "architecture": point.word("architecture").unwrap_or("arm64"),
                "devices": [{
                    "device": "/dev/xvda",
                    "snapshot": point.word("snapshot"),
                    "size_gib": gib,
                    "encrypted": point.encrypted,
                }],
            }),
        );
    }
}

fn add(spec: &mut Value, name: &str, item: Value) {
    match spec.get_mut(name).and_then(Value::as_array_mut) {
        Some(items) => items.push(item),
        None => spec[name] = json!([item]),
    }
}

/// The snapshot that the point stands for.
pub fn in_rds(world: &mut World, place: &Place<'_>, point: &Point, data: Option<f64>) {
    let id = point
        .arn
        .splitn(7, ':')
        .last()
        .unwrap_or_default()
        .to_owned();
    let cluster = point.kind == "Aurora";
    let engine = if cluster {
        "aurora-postgresql"
    } else {
        "postgres"
    };
    let source = point
        .source_vault
        .as_deref()
        .and_then(|arn| arn.split(':').nth(3));
    let snapshot = rds::Snapshot {
        id: id.clone(),
        arn: point.arn.clone(),
        cluster,
        of: point
            .resource
            .rsplit(':')
            .next()
            .unwrap_or_default()
            .to_owned(),
        kind: "awsbackup".into(),
        engine: point.word("engine").unwrap_or(engine).to_owned(),
        version: point.word("engine_version").unwrap_or("15.7").to_owned(),
        created: point.created,
        original: data.map(|data| data + 30.0),
        data,
        storage: point.size.div_ceil(1 << 30),
        encrypted: point.encrypted,
        key: point.key.clone().filter(|_| point.encrypted),
        source_region: source.map(str::to_owned),
        tags: point.tags.clone(),
        seeded: true,
    };
    let state = &mut world.region_of(place.account, place.region).rds;
    state.snapshots.insert(id, snapshot);
}

//! A small shop that has lost eu-west-1.

use serde_json::{Map, Value, json};

const ACCOUNT: &str = "111122223333";
const LOST: &str = "eu-west-1";
const SCRATCH: &str = "eu-central-1";
const HOUR: i64 = 3600;
const GIB: u64 = 1 << 30;

/// The account 111122223333: `eu-west-1` is lost, with the vault `prod` and the originals in it;
/// `eu-central-1` is the scratch, with the vault `dr-copies`, marked `seawall:scratch` = `yes`, and
/// copies of the last three days: data of 2, 26 and 50 hours before the clock begins, each copied 40
/// minutes later. In both there is a customer's key, `alias/dr`.
///
/// - Volumes `vol-0000000000000d001` (also a point that is EXPIRED), `…d002`, `…d003`, and
///   `…d004`: its newest point is PARTIAL, and nothing says what time its data is of.
/// - Instances `i-0000000000000a001` and `…a002`.
/// - The database `orders`, the Aurora cluster `ledger`.
/// - The bucket `shop-documents` (12 objects), the table `carts` (250 items, key `id`), the file
///   system `fs-0000000000000e001`.
/// - The images `ami-0000000000000f001` (arm64) and `…f002` (x86_64), for fresh instances.
pub fn example() -> Value {
    json!({"accounts": {ACCOUNT: {"regions": {
        LOST: region(LOST, "prod", json!({"team": "platform"})),
        SCRATCH: region(SCRATCH, "dr-copies", json!({"seawall:scratch": "yes"})),
    }}}})
}

fn key(region: &str) -> String {
    format!("arn:aws:kms:{region}:{ACCOUNT}:key/11111111-2222-3333-4444-555555555555")
}

fn region(name: &str, vault: &str, tags: Value) -> Value {
    json!({
        "vaults": [{
            "name": vault,
            "key": key(name),
            "tags": tags,
            "created": -400 * 24 * HOUR,
            "points": points(name == SCRATCH),
        }],
        "keys": [{"arn": key(name), "alias": "alias/dr"}],
        "quotas": {
            "ec2/L-1216C47A": 256,
            "vpc/L-F678F1CE": 5,
            "rds/L-7B6409FD": 40,
        },
        "ec2": {"images": [
            image("ami-0000000000000f001", "debian-12-arm64", "arm64"),
            image("ami-0000000000000f002", "debian-12-amd64", "x86_64"),
        ]},
    })
}

/// Of a stranger's: Debian's account.
fn image(id: &str, name: &str, architecture: &str) -> Value {
    json!({"id": id, "name": name, "architecture": architecture, "owner": "136693071363"})
}

/// What was backed up: its ARN, its type, GiB of data, and what the type needs.
fn resources() -> Vec<(String, &'static str, u64, Value)> {
    let arn = |service: &str, rest: &str| format!("arn:aws:{service}:{LOST}:{ACCOUNT}:{rest}");
    let volume = |number: u32| arn("ec2", &format!("volume/vol-0000000000000d{number:03}"));
    let instance = |number: u32| arn("ec2", &format!("instance/i-0000000000000a{number:03}"));
    let objects: Vec<Value> = (1..=12)
        .map(|n| json!({"key": format!("invoices/2026/{n:04}.txt"), "body": format!("invoice {n}\n")}))
        .collect();
    let carts: Vec<Value> = (1..=250)
        .map(|n| json!({"id": {"S": format!("cart-{n:04}")}, "total": {"N": (n * 5).to_string()}}))
        .collect();
    vec![
        (volume(1), "EBS", 100, json!({})),
        (volume(2), "EBS", 50, json!({})),
        (volume(3), "EBS", 20, json!({})),
        (volume(4), "EBS", 8, json!({})),
        (
            instance(1),
            "EC2",
            16,
            json!({"instance_type": "m7g.large", "profile": "shop-app"}),
        ),
        (
            instance(2),
            "EC2",
            8,
            json!({"instance_type": "t4g.medium"}),
        ),
        (
            arn("rds", "db:orders"),
            "RDS",
            40,
            json!({"engine": "postgres", "class": "db.m7g.large"}),
        ),
        (
            arn("rds", "cluster:ledger"),
            "Aurora",
            60,
            json!({"engine": "aurora-postgresql"}),
        ),
        (
            "arn:aws:s3:::shop-documents".into(),
            "S3",
            2,
            json!({"objects": objects}),
        ),
        (
            arn("dynamodb", "table/carts"),
            "DynamoDB",
            1,
            json!({"items": carts, "table_key": [{"name": "id", "type": "S"}]}),
        ),
        (
            arn("elasticfilesystem", "file-system/fs-0000000000000e001"),
            "EFS",
            10,
            json!({}),
        ),
    ]
}

fn points(copies: bool) -> Vec<Value> {
    let mut points = Vec::new();
    for (resource, kind, gib, more) in resources() {
        let awkward = resource.ends_with("d004");
        let mut ages: Vec<(i64, &str)> = [2, 26, 50]
            .into_iter()
            .map(|hours| (hours * HOUR, "COMPLETED"))
            .collect();
        if awkward {
            ages.insert(0, (HOUR, "PARTIAL"));
        }
        if resource.ends_with("d001") {
            ages.push((800 * HOUR, "EXPIRED"));
        }
        for (age, status) in ages {
            let mut point = Map::new();
            point.insert("resource".into(), json!(resource));
            point.insert("type".into(), json!(kind));
            point.insert("data_time".into(), json!(-age));
            point.insert("size".into(), json!(gib * GIB));
            point.insert("status".into(), json!(status));
            if matches!(kind, "EBS" | "EC2") {
                point.insert("gib".into(), json!(gib));
            }
            let lives = 35 * 24 * HOUR;
            let created = if copies { 40 * 60 - age } else { 60 - age };
            point.insert("created".into(), json!(created));
            point.insert("delete_at".into(), json!(created + lives));
            if copies {
                let vault = format!("arn:aws:backup:{LOST}:{ACCOUNT}:backup-vault:prod");
                point.insert("source_vault".into(), json!(vault));
            }
            if !awkward {
                point.insert("data_time_tag".into(), json!(true));
            }
            if let Some(more) = more.as_object() {
                point.extend(more.clone());
            }
            points.push(Value::Object(point));
        }
    }
    points
}

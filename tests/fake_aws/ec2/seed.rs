//! What is there at the beginning. A region's `ec2` is an object, all of it optional:
//!
//! ```json
//! {
//!   "zones": ["eu-central-1a", {"name": "eu-central-1b", "id": "euc1-az2"}],
//!   "instance_types": {"t3.small": {"vcpus": 2, "memory_mib": 2048, "architecture": "x86_64",
//!                                   "zones": ["eu-central-1a"]}},
//!   "images": [{"id": "ami-…", "name": "…", "architecture": "x86_64", "root": "/dev/xvda",
//!               "owner": "136693071363", "backup": true, "created": 1767225600,
//!               "source_instance": "i-…", "tags": {"k": "v"},
//!               "devices": [{"device": "/dev/xvda", "snapshot": "snap-…", "size_gib": 8,
//!                            "encrypted": true}]}],
//!   "snapshots": [{"id": "snap-…", "size_gib": 8, "started": 1767225600, "encrypted": true,
//!                  "key": "arn:aws:kms:…", "backup": true, "volume": "vol-…",
//!                  "description": "…", "tags": {}}],
//!   "volumes": [{"id": "vol-…", "zone": "eu-central-1a", "size_gib": 8, "tags": {}}],
//!   "default_vpc": true,
//!   "quotas": {"vcpus": 64, "vpcs": 5, "volumes_gib": 51200},
//!   "addresses": ["127.0.0.1", "127.0.0.2"],
//!   "host_keys": {"127.0.0.1": ["ssh-ed25519 AAAA…"]},
//!   "consoles": {"127.0.0.1": "all that the console shows"},
//!   "initialisation_mib_s": 50
//! }
//! ```
//!
//! - `zones` default to the region's a, b and c, once it is asked (a default VPC has subnets in the
//!   seeded ones only); `instance_types` to a list of usual ones. An image without `owner` is the account's own; one with `backup` is a recovery
//!   point: it and its snapshots can't be deleted through EC2.
//! - `addresses` are given to instances in turn, as private address, and as public one where they
//!   have one. `host_keys` are shown on the console of the instance with that address, as cloud-init
//!   prints them. Without either, instances have addresses of their subnet, and silent consoles.

use serde_json::Value;

use super::state::{Base, Group, Image, ImageDevice, InstanceType, Limits, NO_VOLUME, Snapshot};
use super::state::{State, Subnet, Tag, Vpc, Zone};
use super::turn::texts;
use super::volumes::Disk;

/// Adds what a spec of that shape says to a region.
pub fn seed(state: &mut State, spec: &Value) {
    for zone in items(spec, "zones") {
        let name = zone
            .as_str()
            .map_or_else(|| text(zone, "name"), str::to_owned);
        let id = zone.get("id").and_then(Value::as_str);
        let id = id.map_or_else(|| zone_id(&name), str::to_owned);
        state.zones.push(Zone { name, id });
    }
    for (name, kind) in members(spec, "instance_types") {
        let zones = kind.get("zones").map(|zones| {
            let zones = texts(Some(zones)).into_iter();
            zones.map(str::to_owned).collect()
        });
        let kind = InstanceType {
            vcpus: number(kind, "vcpus").unwrap_or(2),
            memory_mib: number(kind, "memory_mib").unwrap_or(2048),
            architecture: text_or(kind, "architecture", "x86_64"),
            zones,
        };
        state.types.insert(name.clone(), kind);
    }
    for one in items(spec, "snapshots") {
        let snapshot = Snapshot {
            base: base(one),
            size_gib: number(one, "size_gib").unwrap_or(8),
            started: seconds(one, "started"),
            encrypted: truth(one, "encrypted"),
            key: one.get("key").and_then(Value::as_str).map(str::to_owned),
            backup: truth(one, "backup"),
            volume: text_or(one, "volume", NO_VOLUME),
            description: text(one, "description"),
            owner: None,
        };
        state.snapshots.insert(text(one, "id"), snapshot);
    }
    for one in items(spec, "images") {
        image(state, one);
    }
    for one in items(spec, "volumes") {
        let disk = Disk {
            size_gib: number(one, "size_gib").unwrap_or(8),
            ..Disk::default()
        };
        let volume = state.volume(disk, base(one), &text(one, "zone"), 0.0);
        state.volumes.insert(text(one, "id"), volume);
    }
    if truth(spec, "default_vpc") {
        default_vpc(state);
    }
    if let Some(quotas) = spec.get("quotas") {
        state.limits = Limits {
            vcpus: number(quotas, "vcpus"),
            vpcs: number(quotas, "vpcs"),
            volumes_gib: number(quotas, "volumes_gib"),
        };
    }
    let addresses = texts(spec.get("addresses")).into_iter();
    state.addresses.extend(addresses.map(str::to_owned));
    for (address, keys) in members(spec, "host_keys") {
        let keys = texts(Some(keys));
        state.consoles.insert(address.clone(), cloud_init(&keys));
    }
    for (address, output) in members(spec, "consoles") {
        let output = output.as_str().unwrap_or_default().to_owned();
        state.consoles.insert(address.clone(), output);
    }
    if let Some(rate) = spec.get("initialisation_mib_s").and_then(Value::as_f64) {
        state.slow_rate = Some(rate);
    }
}

fn image(state: &mut State, one: &Value) {
    let backup = truth(one, "backup");
    let created = one.get("created").and_then(Value::as_f64);
    let root = text_or(one, "root", "/dev/xvda");
    let mut devices: Vec<ImageDevice> = (items(one, "devices").iter())
        .map(|device| ImageDevice {
            device: text_or(device, "device", &root),
            snapshot: text(device, "snapshot"),
            size_gib: number(device, "size_gib").unwrap_or(8),
            encrypted: truth(device, "encrypted"),
        })
        .collect();
    let id = text(one, "id");
    if devices.is_empty() {
        devices.push(ImageDevice {
            device: root.clone(),
            snapshot: format!("snap-{}", id.trim_start_matches("ami-")),
            size_gib: 8,
            encrypted: false,
        });
    }
    let owned = |name: &str| one.get(name).and_then(Value::as_str).map(str::to_owned);
    for device in &devices {
        let there = state.snapshots.entry(device.snapshot.clone());
        there.or_insert_with(|| Snapshot {
            base: base(one),
            size_gib: device.size_gib,
            started: created.unwrap_or_default(),
            encrypted: device.encrypted,
            key: None,
            backup,
            volume: NO_VOLUME.to_owned(),
            description: String::new(),
            owner: owned("owner"),
        });
    }
    let mut base = base(one);
    base.made = created.unwrap_or_default();
    let image = Image {
        base,
        name: text_or(one, "name", &id),
        owner: owned("owner"),
        architecture: text_or(one, "architecture", "x86_64"),
        root,
        devices,
        backup,
        source_instance: owned("source_instance"),
    };
    state.images.insert(id, image);
}

/// As every account has one: 172.31.0.0/16, with a public subnet in each zone.
fn default_vpc(state: &mut State) {
    let kept = || Base {
        kept: true,
        ..Base::default()
    };
    let vpc = "vpc-0de0fa0170000001";
    state.vpcs.insert(
        vpc.into(),
        Vpc {
            base: kept(),
            cidr: "172.31.0.0/16".into(),
            is_default: true,
        },
    );
    state.groups.insert(
        "sg-0de0fa0170000002".into(),
        Group {
            base: kept(),
            vpc: vpc.into(),
            name: "default".into(),
            description: "default VPC security group".into(),
            rules: vec![super::network::open_egress("sgr-0de0fa0170000003".into())],
        },
    );
    for (place, zone) in state.zones.iter().enumerate() {
        let subnet = Subnet {
            base: kept(),
            vpc: vpc.into(),
            zone: zone.name.clone(),
            cidr: format!("172.31.{}.0/20", place * 16),
            public: true,
            is_default: true,
        };
        let id = format!("subnet-0de0fa01700001{place:02x}");
        state.subnets.insert(id, subnet);
    }
}

/// What cloud-init prints once it has made an instance's host keys.
fn cloud_init(keys: &[&str]) -> String {
    let mut text = String::from("[    0.000000] Linux version 6.1.0 (double)\r\n");
    text.push_str("-----BEGIN SSH HOST KEY KEYS-----\r\n");
    for key in keys {
        text.push_str(key);
        text.push_str("\r\n");
    }
    text.push_str("-----END SSH HOST KEY KEYS-----\r\n");
    text.push_str("[   25.100000] cloud-init: Cloud-init finished\r\n");
    text
}

fn zone_id(name: &str) -> String {
    let region = name.trim_end_matches(|c: char| c.is_ascii_lowercase());
    let zones = super::catalogue::three_zones(region);
    let known = zones.into_iter().find(|zone| zone.name == name);
    known.map_or_else(|| format!("{name}-id"), |zone| zone.id)
}

fn base(one: &Value) -> Base {
    let tags = members(one, "tags").into_iter();
    Base {
        made: 0.0,
        kept: true,
        tags: tags
            .map(|(key, value)| Tag {
                key: key.clone(),
                value: value.as_str().unwrap_or_default().to_owned(),
                set: 0.0,
            })
            .collect(),
    }
}

fn items<'v>(value: &'v Value, name: &str) -> &'v [Value] {
    let list = value.get(name).and_then(Value::as_array);
    list.map(Vec::as_slice).unwrap_or_default()
}

fn members<'v>(value: &'v Value, name: &str) -> Vec<(&'v String, &'v Value)> {
    let members = value.get(name).and_then(Value::as_object);
    members
        .map(|members| members.iter().collect())
        .unwrap_or_default()
}

fn text(value: &Value, name: &str) -> String {
    text_or(value, name, "")
}

fn text_or(value: &Value, name: &str, default: &str) -> String {
    let text = value.get(name).and_then(Value::as_str);
    text.unwrap_or(default).to_owned()
}

fn number(value: &Value, name: &str) -> Option<u64> {
    value.get(name).and_then(Value::as_u64)
}

fn seconds(value: &Value, name: &str) -> f64 {
    value.get(name).and_then(Value::as_f64).unwrap_or_default()
}

fn truth(value: &Value, name: &str) -> bool {
    value.get(name).and_then(Value::as_bool) == Some(true)
}

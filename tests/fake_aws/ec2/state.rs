//! What there is of EC2 in one region.

use std::collections::BTreeMap;

use serde_json::Value;

/// All of it. Ids are the keys.
#[derive(Default)]
pub struct State {
    /// When the last request came: for what has no clock of its own.
    pub(super) now: f64,
    /// From the script, at the last request.
    pub(super) no_capacity: Vec<String>,
    pub(super) denied_keys: Vec<String>,
    pub(super) zones: Vec<Zone>,
    pub(super) types: BTreeMap<String, InstanceType>,
    pub(super) limits: Limits,
    /// Given to instances in turn.
    pub(super) addresses: Vec<String>,
    pub(super) launched: usize,
    /// What an instance's console shows, by the address it has.
    pub(super) consoles: BTreeMap<String, String>,
    /// MiB/s at which a volume's blocks come where no rate was asked for.
    pub(super) slow_rate: Option<f64>,
    pub(super) images: BTreeMap<String, Image>,
    pub(super) snapshots: BTreeMap<String, Snapshot>,
    pub(super) vpcs: BTreeMap<String, Vpc>,
    pub(super) subnets: BTreeMap<String, Subnet>,
    pub(super) gateways: BTreeMap<String, Gateway>,
    pub(super) tables: BTreeMap<String, RouteTable>,
    pub(super) groups: BTreeMap<String, Group>,
    pub(super) interfaces: BTreeMap<String, Interface>,
    /// By id, not by name.
    pub(super) keys: BTreeMap<String, KeyPair>,
    pub(super) instances: BTreeMap<String, Instance>,
    pub(super) volumes: BTreeMap<String, Volume>,
    /// (operation, client token) → what was asked, and what came of it.
    pub(super) tokens: BTreeMap<(String, String), (Value, Value)>,
    /// When the deletion of something slow was first tried.
    pub(super) tried: BTreeMap<String, f64>,
    /// Tags of what is gone: the index shows them for as long as it lags.
    pub(super) buried: Vec<Buried>,
}

/// What every thing has.
#[derive(Clone, Debug, Default)]
pub struct Base {
    /// Seconds since 1970. It can be seen `consistency_s` later.
    pub made: f64,
    /// It was there at the beginning, or came with something else and goes with it.
    pub kept: bool,
    pub tags: Vec<Tag>,
}

#[derive(Clone, Debug)]
pub struct Tag {
    pub key: String,
    pub value: String,
    /// Filters find it `tag_lag_s` later.
    pub set: f64,
}

pub struct Buried {
    pub id: String,
    pub kind: &'static str,
    pub tag: Tag,
    pub gone: f64,
}

/// A sort of thing.
pub struct Kind {
    pub prefix: &'static str,
    /// As EC2 calls it in tags.
    pub tagged: &'static str,
    /// As the double's list of what is left calls it.
    pub left: &'static str,
    /// The error for an id that there is not.
    pub not_found: &'static str,
    /// As that error's text calls the id.
    pub called: &'static str,
    pub malformed: &'static str,
}

pub trait Thing {
    const KIND: Kind;
    fn base(&self) -> &Base;
    fn base_mut(&mut self) -> &mut Base;
}

macro_rules! things {
    ($($thing:ident: $prefix:literal, $tagged:literal, $left:literal, $code:literal, $called:literal, $malformed:literal;)*) => {
        $(impl Thing for $thing {
            const KIND: Kind = Kind {
                prefix: $prefix,
                tagged: $tagged,
                left: $left,
                not_found: $code,
                called: $called,
                malformed: $malformed,
            };
            fn base(&self) -> &Base {
                &self.base
            }
            fn base_mut(&mut self) -> &mut Base {
                &mut self.base
            }
        })*
    };
}

things! {
    Image: "ami", "image", "image", "InvalidAMIID.NotFound", "image id", "InvalidAMIID.Malformed";
    Snapshot: "snap", "snapshot", "snapshot", "InvalidSnapshot.NotFound", "snapshot", "InvalidSnapshotID.Malformed";
    Vpc: "vpc", "vpc", "vpc", "InvalidVpcID.NotFound", "vpc ID", "InvalidVpcID.Malformed";
    Subnet: "subnet", "subnet", "subnet", "InvalidSubnetID.NotFound", "subnet ID", "InvalidSubnetID.Malformed";
    Gateway: "igw", "internet-gateway", "internet-gateway", "InvalidInternetGatewayID.NotFound", "internetGateway ID", "InvalidInternetGatewayId.Malformed";
    RouteTable: "rtb", "route-table", "route-table", "InvalidRouteTableID.NotFound", "routeTable ID", "InvalidRouteTableId.Malformed";
    Group: "sg", "security-group", "security-group", "InvalidGroup.NotFound", "security group", "InvalidGroupId.Malformed";
    Interface: "eni", "network-interface", "network-interface", "InvalidNetworkInterfaceID.NotFound", "networkInterface ID", "InvalidNetworkInterfaceId.Malformed";
    KeyPair: "key", "key-pair", "key-pair", "InvalidKeyPair.NotFound", "key pair", "InvalidKeyPair.NotFound";
    Instance: "i", "instance", "instance", "InvalidInstanceID.NotFound", "instance ID", "InvalidInstanceID.Malformed";
    Volume: "vol", "volume", "volume", "InvalidVolume.NotFound", "volume", "InvalidVolumeID.Malformed";
}

#[derive(Clone, Debug)]
pub struct Zone {
    pub name: String,
    pub id: String,
}

#[derive(Clone, Debug)]
pub struct InstanceType {
    pub vcpus: u64,
    pub memory_mib: u64,
    /// `x86_64`, `arm64`.
    pub architecture: String,
    /// None: every zone.
    pub zones: Option<Vec<String>>,
}

/// Quotas; none: no limit.
#[derive(Clone, Debug, Default)]
pub struct Limits {
    pub vcpus: Option<u64>,
    pub vpcs: Option<u64>,
    pub volumes_gib: Option<u64>,
}

pub struct Image {
    pub base: Base,
    pub name: String,
    /// None: the account's own.
    pub owner: Option<String>,
    pub architecture: String,
    pub root: String,
    pub devices: Vec<ImageDevice>,
    /// A recovery point of AWS Backup.
    pub backup: bool,
    pub source_instance: Option<String>,
}

#[derive(Clone, Debug)]
pub struct ImageDevice {
    pub device: String,
    pub snapshot: String,
    pub size_gib: u64,
    pub encrypted: bool,
}

pub struct Snapshot {
    pub base: Base,
    pub size_gib: u64,
    pub started: f64,
    pub encrypted: bool,
    pub key: Option<String>,
    /// A recovery point of AWS Backup.
    pub backup: bool,
    pub volume: String,
    pub description: String,
    /// None: the account's own.
    pub owner: Option<String>,
}

/// What a snapshot names as its volume where that isn't known, as EC2 does.
pub const NO_VOLUME: &str = "vol-ffffffff";

pub struct Vpc {
    pub base: Base,
    pub cidr: String,
    pub is_default: bool,
}

pub struct Subnet {
    pub base: Base,
    pub vpc: String,
    pub zone: String,
    pub cidr: String,
    pub public: bool,
    pub is_default: bool,
}

pub struct Gateway {
    pub base: Base,
    pub vpc: Option<String>,
}

pub struct RouteTable {
    pub base: Base,
    pub vpc: String,
    pub main: bool,
    /// Destination → gateway id.
    pub routes: Vec<(String, String)>,
    /// Association id → subnet.
    pub subnets: Vec<(String, String)>,
}

pub struct Group {
    pub base: Base,
    pub vpc: String,
    pub name: String,
    pub description: String,
    pub rules: Vec<Rule>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Rule {
    pub id: String,
    pub egress: bool,
    /// `tcp`, `-1`.
    pub protocol: String,
    /// None: all.
    pub ports: Option<(i64, i64)>,
    pub peer: Peer,
    pub description: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Peer {
    V4(String),
    V6(String),
    Group(String),
    List(String),
}

pub struct Interface {
    pub base: Base,
    pub subnet: String,
    pub groups: Vec<String>,
    pub instance: Option<String>,
    pub private_ip: String,
}

pub struct KeyPair {
    pub base: Base,
    pub name: String,
    pub public: String,
}

pub struct Instance {
    pub base: Base,
    pub reservation: String,
    pub index: u64,
    pub image: String,
    pub kind: String,
    pub architecture: String,
    pub subnet: String,
    pub zone: String,
    pub groups: Vec<String>,
    pub key: Option<String>,
    pub token: Option<String>,
    pub interface: String,
    pub private_ip: String,
    pub public_ip: Option<String>,
    pub root: String,
    pub profile: Option<String>,
    pub user_data: Option<String>,
    /// On shutdown from within: terminate, not stop.
    pub terminates: bool,
    pub protected: bool,
    pub metadata: Value,
    /// From when it runs.
    pub runs: f64,
    /// From when it stops, and has stopped.
    pub stops: Option<(f64, f64)>,
    /// From when it shuts down, and is terminated.
    pub ends: Option<(f64, f64)>,
    /// Why it ended by itself.
    pub reason: Option<(&'static str, &'static str)>,
    /// Its volumes and its interface have been dealt with after its end.
    pub cleared: bool,
}

pub struct Volume {
    pub base: Base,
    pub zone: String,
    pub size_gib: u64,
    pub kind: String,
    pub iops: Option<i64>,
    pub throughput: Option<i64>,
    pub encrypted: bool,
    pub key: Option<String>,
    pub snapshot: Option<String>,
    /// MiB/s that were asked for.
    pub rate: Option<i64>,
    /// From when it is there; its blocks come from then on.
    pub ready: f64,
    /// Nothing came of the snapshot.
    pub empty: bool,
    /// Its key may not be used.
    pub broken: bool,
    pub attachment: Option<Attachment>,
    /// When it is gone.
    pub deleted: Option<f64>,
}

#[derive(Clone, Debug)]
pub struct Attachment {
    pub instance: String,
    pub device: String,
    pub since: f64,
    /// When it is attached.
    pub done: f64,
    /// When it is detached.
    pub released: Option<f64>,
    pub goes_with_instance: bool,
}

impl State {
    /// What is there and was not seeded.
    pub fn left(&self, out: &mut Vec<String>) {
        fn of<T: Thing>(map: &BTreeMap<String, T>, out: &mut Vec<String>) {
            let made = map.iter().filter(|(_, thing)| !thing.base().kept);
            out.extend(made.map(|(id, _)| format!("{} {id}", T::KIND.left)));
        }
        of(&self.vpcs, out);
        of(&self.subnets, out);
        of(&self.gateways, out);
        of(&self.tables, out);
        of(&self.groups, out);
        of(&self.interfaces, out);
        for key in self.keys.values().filter(|key| !key.base.kept) {
            out.push(format!("{} {}", KeyPair::KIND.left, key.name));
        }
        for (id, instance) in &self.instances {
            if !instance.base.kept && instance.state(self.now) != "terminated" {
                out.push(format!("{} {id}", Instance::KIND.left));
            }
        }
        of(&self.volumes, out);
        of(&self.snapshots, out);
        of(&self.images, out);
    }
}

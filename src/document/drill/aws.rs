//! What a drill in AWS restores, where to, and how its instances are reached.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::super::playbook::Span;

/// A scratch region: an account and a region where drills may be held, and nothing else lives.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AwsScratch {
    /// Twelve digits. Any other account refuses the drill.
    pub account: String,
    /// Never taken from the environment.
    pub region: String,
    /// The backup vault in that region that holds the copies.
    pub vault: String,
    /// A tag that the vault bears: whoever put it there says that drills may be held here.
    #[serde(default)]
    pub marker: Marker,
    /// Regions where production runs, besides the lost ones. The scratch may be in none of them.
    #[serde(default)]
    pub production: Vec<String>,
    /// The role that AWS Backup restores with, as an ARN.
    pub restore_role: String,
    /// A profile of `~/.aws/config`. Default: the SDK's own order (environment, default profile,
    /// web identity, container, instance).
    #[serde(default)]
    pub profile: Option<String>,
    /// A key in the scratch region (an ARN) that restored volumes, databases and file systems are
    /// encrypted with. Default: the services' own keys.
    #[serde(default)]
    pub kms_key: Option<String>,
    #[serde(default)]
    pub network: AwsNetwork,
    /// Written on everything as a tag; instances end themselves after it. Default: 24h.
    #[serde(default = "one_day")]
    pub expires: Span,
    /// How many restore jobs run side by side at most. Default: 8.
    #[serde(default = "eight")]
    pub restores: u32,
}

fn one_day() -> Span {
    Span(std::time::Duration::from_secs(24 * 3600))
}

fn eight() -> u32 {
    8
}

/// A tag.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Marker {
    pub key: String,
    pub value: String,
}

impl Default for Marker {
    /// `seawall:scratch` = `yes`
    fn default() -> Self {
        Marker {
            key: "seawall:scratch".into(),
            value: "yes".into(),
        }
    }
}

/// The network that the drill makes for itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AwsNetwork {
    /// Default: 10.213.0.0/16. Subnets are /24 in it.
    #[serde(default = "cidr")]
    pub cidr: String,
    /// An availability zone by name. Default: the first that has all the instance types.
    #[serde(default)]
    pub zone: Option<String>,
    #[serde(default)]
    pub gateway: Gateway,
    /// The address that the controller comes from, as a /32 (or a /128): the one that may come in.
    #[serde(default)]
    pub controller: Option<String>,
}

fn cidr() -> String {
    "10.213.0.0/16".into()
}

impl Default for AwsNetwork {
    fn default() -> Self {
        AwsNetwork {
            cidr: cidr(),
            zone: None,
            gateway: Gateway::None,
            controller: None,
        }
    }
}

/// Whether there is a way out of the scratch network.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Gateway {
    /// No internet gateway.
    #[default]
    None,
    /// An internet gateway with one route: to the controller's address.
    Controller,
    /// An internet gateway with a default route. The report says that workloads could reach
    /// anything.
    Internet,
}

/// A recovery point, and what it is restored as: `volume`, `instance`, `rds`, `aurora`, `s3`,
/// `dynamodb`, `efs`, one of them; or a `fresh` instance, which is restored from nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AwsRestore {
    /// What was backed up, by the ARN that it had in the lost region.
    #[serde(default)]
    pub resource: Option<String>,
    /// `latest` (before the disaster), `random` (of those that are kept), or a recovery point's
    /// ARN.
    #[serde(default = "super::latest")]
    pub pick: String,
    /// When the step's proofs begin. Default: as soon as the thing can be used.
    #[serde(default)]
    pub wait: Wait,
    #[serde(default)]
    pub volume: Option<ToVolume>,
    #[serde(default)]
    pub instance: Option<ToInstance>,
    #[serde(default)]
    pub fresh: Option<FreshInstance>,
    #[serde(default)]
    pub rds: Option<ToRds>,
    #[serde(default)]
    pub aurora: Option<ToAurora>,
    #[serde(default)]
    pub s3: Option<ToBucket>,
    #[serde(default)]
    pub dynamodb: Option<ToTable>,
    #[serde(default)]
    pub efs: Option<ToFileSystem>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Wait {
    /// Volumes may still be read from S3 on first touch: the report says so.
    #[default]
    Usable,
    /// Every block has been fetched.
    Initialised,
}

/// Which service makes the volume.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum VolumeBy {
    /// AWS Backup's StartRestoreJob.
    #[default]
    Backup,
    /// EC2's CreateVolume from the recovery point's snapshot: this one knows an initialisation
    /// rate.
    Ec2,
}

/// An EBS volume.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ToVolume {
    #[serde(default)]
    pub by: VolumeBy,
    /// MiB/s, 100 to 300; `by: ec2` only.
    #[serde(default)]
    pub initialisation_rate: Option<u32>,
    /// `gp3`, `io2`… Default: gp3.
    #[serde(default, rename = "type")]
    pub kind: Option<String>,
    /// Attaches it to an instance of this drill, and mounts it there, read-only.
    #[serde(default)]
    pub attach: Option<Attach>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Attach {
    /// A step with an instance.
    pub to: String,
    /// Default: /dev/sdf.
    #[serde(default = "sdf")]
    pub device: String,
    /// Where it is mounted. Default: it is attached only.
    #[serde(default)]
    pub mount: Option<String>,
    /// The number of the partition to mount. Default: the whole device.
    #[serde(default)]
    pub partition: Option<u32>,
}

fn sdf() -> String {
    "/dev/sdf".into()
}

/// An EC2 instance out of a recovery point.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ToInstance {
    /// e.g. `m7g.large`
    #[serde(rename = "type")]
    pub kind: String,
    /// Types that may be taken where that one has no capacity, in this order. It is reported.
    #[serde(default)]
    pub substitutes: Vec<String>,
    /// Default: none. AWS Backup restores with the original profile or with none.
    #[serde(default)]
    pub original_profile: bool,
    #[serde(default)]
    pub ssh: Option<AwsSsh>,
}

/// A new instance out of an image in the scratch region.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FreshInstance {
    /// `ami-…`
    pub image: String,
    #[serde(rename = "type")]
    pub kind: String,
    #[serde(default)]
    pub substitutes: Vec<String>,
    /// Of the root volume, in GiB. Default: as the image says.
    #[serde(default)]
    pub disk: Option<u32>,
    pub ssh: AwsSsh,
}

/// How an instance is logged in to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AwsSsh {
    pub user: String,
    #[serde(default = "ssh_port")]
    pub port: u16,
    /// A private key file, relative to this file. Default: for a `fresh` instance, a key that the
    /// drill makes; a restored one has the keys that it had.
    #[serde(default)]
    pub identity: Option<String>,
    /// `ssh-ed25519 AAAA…`. Default: the keys that the instance prints on its console as it boots,
    /// as EC2 hands them out.
    #[serde(default)]
    pub host_key: Option<String>,
    /// Goes to the private address: there is a way into the scratch network that the drill does
    /// not make (the controller is in it, or a VPN leads there).
    #[serde(default)]
    pub private: bool,
    /// Programs run as root, by `sudo` without a password. Default: true, unless `user` is root.
    #[serde(default)]
    pub sudo: Option<bool>,
}

fn ssh_port() -> u16 {
    22
}

/// An RDS instance.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ToRds {
    /// e.g. `db.m7g.large`. Default: as it was.
    #[serde(default)]
    pub class: Option<String>,
    #[serde(default)]
    pub login: Option<DatabaseLogin>,
}

/// An Aurora cluster and its instances. Without an instance nobody can connect.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ToAurora {
    /// `aurora-postgresql` or `aurora-mysql`
    pub engine: String,
    pub class: String,
    /// Default: 1.
    #[serde(default = "one")]
    pub instances: u32,
    #[serde(default)]
    pub login: Option<DatabaseLogin>,
}

fn one() -> u32 {
    1
}

/// How `sql` proofs log in to a restored PostgreSQL: from an instance of this drill (`on`), with
/// the `psql` that is there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DatabaseLogin {
    pub user: String,
    pub database: String,
    /// The environment variable that holds the password.
    pub password_env: String,
}

/// A bucket that the restore makes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ToBucket {
    /// The moment to go back to, RFC 3339; a continuous recovery point demands one. Default: the
    /// latest that the point has.
    #[serde(default)]
    pub restore_time: Option<String>,
}

/// A DynamoDB table.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ToTable {}

/// An EFS file system.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ToFileSystem {
    /// Makes a mount target, and mounts it (NFS 4.1, read-only) on an instance of this drill.
    #[serde(default)]
    pub mount: Option<MountOn>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MountOn {
    /// A step with an instance.
    pub on: String,
    pub path: String,
}

/// Objects in a restored bucket.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ObjectsProof {
    /// Objects, at least.
    #[serde(default)]
    pub at_least: Option<u64>,
    /// Bytes in them, at least.
    #[serde(default)]
    pub bytes: Option<super::ByteSize>,
    /// Key → SHA-256 of the object, in hexadecimal.
    #[serde(default)]
    pub sha256: std::collections::BTreeMap<String, String>,
}

/// Items in a restored table.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ItemsProof {
    /// Items, at least, counted by scanning.
    #[serde(default)]
    pub at_least: Option<u64>,
    /// An item that must be there: its key, attribute → text or number.
    #[serde(default)]
    pub key: std::collections::BTreeMap<String, ItemValue>,
    /// Attributes that the item must have.
    #[serde(default)]
    pub has: std::collections::BTreeMap<String, ItemValue>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum ItemValue {
    Number(i64),
    Text(String),
}

//! Drill playbooks: what is assumed lost, what is restored to where, how each thing is proved, and
//! how long it may take.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::playbook::Span;
use super::policy::{ByteSize, Notify};
use aws::{AwsRestore, AwsScratch, ItemsProof, ObjectsProof};

pub mod aws;

/// A drill playbook.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Drill {
    /// Its name, e.g. `yearly-recovery`. Drills of one name are one history.
    pub drill: String,
    /// A few words for a person.
    pub title: String,
    #[serde(default)]
    pub about: Option<String>,
    /// What is assumed gone: nothing may touch it.
    pub lost: Lost,
    /// When the disaster struck, RFC 3339, in the past. Default: the moment the clock starts.
    /// RPO is reckoned from it; the RTO clock starts when the drill does.
    #[serde(default)]
    pub disaster: Option<String>,
    /// The backup policy, relative to this file. A drill in AWS that opens no archives of ours has
    /// none.
    #[serde(default)]
    pub policy: Option<String>,
    /// Files with age identities or SSH private keys. Besides these, `SEAWALL_AGE_IDENTITY`.
    #[serde(default)]
    pub identities: Vec<String>,
    pub scratch: Scratch,
    /// For the drill as a whole.
    pub objectives: Objectives,
    /// What a real recovery takes and no drill can run: counted, and shown apart.
    #[serde(default)]
    pub assumed: Vec<Assumed>,
    /// How many steps run side by side at most. Default: 4.
    #[serde(default = "four")]
    pub parallel: u32,
    pub steps: Vec<Step>,
    #[serde(default)]
    pub notify: Vec<Notify>,
}

fn four() -> u32 {
    4
}

/// What is assumed gone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Lost {
    /// In words: `the primary site`.
    pub what: String,
    /// Directories and sockets that may not be read, with all below.
    #[serde(default)]
    pub paths: Vec<String>,
    /// Host names and addresses that may not be spoken to.
    #[serde(default)]
    pub hosts: Vec<String>,
    /// Stores of the policy that are lost too: the places named here.
    #[serde(default)]
    pub places: Vec<String>,
    /// Regions of AWS, e.g. `eu-west-1`. No request goes there.
    #[serde(default)]
    pub regions: Vec<String>,
}

/// Where the drill restores to, and nothing else lives: `directory` or `aws`, one of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Scratch {
    /// A private directory, made by the drill and wiped at its end.
    #[serde(default)]
    pub directory: Option<String>,
    /// A region of AWS.
    #[serde(default)]
    pub aws: Option<AwsScratch>,
    /// What must be free there before the drill starts.
    #[serde(default)]
    pub free: Option<ByteSize>,
    /// Anything that is there beforehand refuses the drill. Default: it is listed as an assumption.
    #[serde(default)]
    pub strict: bool,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Objectives {
    /// From the disaster to the last proof.
    #[serde(default)]
    pub rto: Option<Span>,
    /// From the data's time to the disaster.
    #[serde(default)]
    pub rpo: Option<Span>,
}

/// Something that takes time in a real recovery and is not run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Assumed {
    /// e.g. `detection`, `decision`, `DNS`.
    pub what: String,
    pub takes: Span,
    /// Where the figure comes from.
    pub why: String,
}

impl Scratch {
    /// In words: the directory, or the account and the region.
    pub fn shown(&self) -> String {
        match (&self.directory, &self.aws) {
            (_, Some(aws)) => format!("AWS account {}, {}", aws.account, aws.region),
            (Some(directory), None) => directory.clone(),
            (None, None) => String::new(),
        }
    }
}

/// One thing that is recovered: by `restore`, by `start` or by `aws`, one of them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Step {
    pub step: String,
    /// Steps that must be recovered first.
    #[serde(default)]
    pub needs: Vec<String>,
    #[serde(default)]
    pub restore: Option<Restore>,
    #[serde(default)]
    pub start: Option<Start>,
    /// Of a drill in AWS.
    #[serde(default)]
    pub aws: Option<AwsRestore>,
    #[serde(default)]
    pub objectives: Objectives,
    /// After so long the step has failed. Default: 4h.
    #[serde(default = "four_hours")]
    pub deadline: Span,
    pub proofs: Vec<Proof>,
}

fn four_hours() -> Span {
    Span(std::time::Duration::from_secs(4 * 3600))
}

/// A backup, and where it goes: `directory` (files, a command's output), `postgresql` or
/// `repository`, one of them, as the source is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Restore {
    /// A source of the policy.
    pub source: String,
    /// A store of the policy. Default: the first of the source's that is not lost.
    #[serde(default)]
    pub store: Option<String>,
    /// `latest` (before the disaster), `random` (of those that are kept), or a backup's name.
    #[serde(default = "latest")]
    pub pick: String,
    /// A name within the scratch. With `onto`: a path on that instance.
    #[serde(default)]
    pub directory: Option<String>,
    /// Of a drill in AWS: the step whose instance the archive is unpacked on, over SSH.
    #[serde(default)]
    pub onto: Option<String>,
    /// A database in a throwaway PostgreSQL server within the scratch.
    #[serde(default)]
    pub postgresql: Option<IntoPostgresql>,
    /// A name within the scratch; the bundle is cloned (bare).
    #[serde(default)]
    pub repository: Option<String>,
}

fn latest() -> String {
    "latest".into()
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct IntoPostgresql {
    pub database: String,
    /// The directory with initdb and pg_restore. Default: where Debian has them, the newest.
    #[serde(default)]
    pub programs: Option<String>,
}

/// A service that is started on restored data. In `run`, `environment` and proofs:
/// `{{ scratch }}`, `{{ steps.NAME.directory }}` (also of a repository), `{{ steps.NAME.socket }}`
/// and `{{ steps.NAME.database }}` of a database, `{{ steps.NAME.ports.PORT }}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Start {
    /// The program and its arguments; no shell.
    pub run: Vec<String>,
    #[serde(default)]
    pub environment: BTreeMap<String, String>,
    /// Ports that are free on 127.0.0.1 are found for these names.
    #[serde(default)]
    pub ports: Vec<String>,
    pub health: Health,
    /// How long it may take to become healthy. Default: 1m.
    #[serde(default = "one_minute")]
    pub within: Span,
}

fn one_minute() -> Span {
    Span(std::time::Duration::from_secs(60))
}

/// `http`, `port` or `command`, one of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Health {
    /// A URL that answers with 2xx.
    #[serde(default)]
    pub http: Option<String>,
    /// The name of one of the ports: it accepts connections.
    #[serde(default)]
    pub port: Option<String>,
    /// Ends with 0.
    #[serde(default)]
    pub command: Option<Vec<String>>,
}

/// A check on the restored thing: one of the kinds. Each must fail on the empty scratch, or it
/// proves nothing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Proof {
    /// What it shows, in a few words; unique within the step.
    pub proof: String,
    /// In AWS: the step on whose instance it is carried out. Default: the step's own, or the one
    /// that it is unpacked onto, attached to or mounted on.
    #[serde(default)]
    pub on: Option<String>,
    /// Every restored file is compared with the backup's own manifest. `true`.
    #[serde(default)]
    pub manifest: Option<bool>,
    #[serde(default)]
    pub files: Option<FilesProof>,
    #[serde(default)]
    pub sql: Option<SqlProof>,
    /// The token that was written into the source before the backup is there, and is the one that
    /// the backup's signed sidecar names. `true`.
    #[serde(default)]
    pub canary: Option<bool>,
    #[serde(default)]
    pub http: Option<HttpProof>,
    #[serde(default)]
    pub command: Option<CommandProof>,
    /// `git fsck --full`, and as many commits as are demanded.
    #[serde(default)]
    pub git: Option<GitProof>,
    /// A restored host meets a baseline.
    #[serde(default)]
    pub meets: Option<MeetsProof>,
    /// Of a restored bucket.
    #[serde(default)]
    pub objects: Option<ObjectsProof>,
    /// Of a restored table.
    #[serde(default)]
    pub items: Option<ItemsProof>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FilesProof {
    /// Regular files, at least.
    #[serde(default)]
    pub at_least: Option<u64>,
    /// Bytes in them, at least.
    #[serde(default)]
    pub bytes: Option<ByteSize>,
    /// Path within the restored directory → SHA-256 in hexadecimal.
    #[serde(default)]
    pub sha256: BTreeMap<String, String>,
}

/// A query with one value. One or more of `equals`, `at_least`, `at_most`, `newer_than`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SqlProof {
    pub query: String,
    #[serde(default)]
    pub equals: Option<String>,
    #[serde(default)]
    pub at_least: Option<f64>,
    #[serde(default)]
    pub at_most: Option<f64>,
    /// The value is a time, at most so long before the disaster.
    #[serde(default)]
    pub newer_than: Option<Span>,
}

/// A request to the restored address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HttpProof {
    pub url: String,
    /// Default: 200.
    #[serde(default = "ok")]
    pub status: u16,
    /// The body contains it.
    pub contains: String,
}

fn ok() -> u16 {
    200
}

/// A program that ends with 0, and whose output contains what is demanded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CommandProof {
    pub run: Vec<String>,
    #[serde(default)]
    pub contains: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GitProof {
    /// Commits in all refs, at least.
    pub commits: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MeetsProof {
    /// A playbook with baselines, relative to this file.
    pub playbook: String,
    /// The inventory that says how to reach it, relative to this file. In AWS the instance is
    /// reached as the drill reaches it, and this is left out.
    #[serde(default)]
    pub inventory: Option<String>,
    #[serde(default)]
    pub host: Option<String>,
}

//! What a drill in AWS knows of its steps while it runs. All of it can be read anew from the ledger
//! and the service: that is what a resume does.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use super::names::Kind;
use crate::journal::PointNote;

/// The network that the drill has made: ids.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Network {
    pub vpc: String,
    /// The zone that volumes and instances are in.
    pub zone: String,
    /// In `zone`.
    pub subnet: String,
    /// Of a DB subnet group: in another zone. Made where a step has a database.
    pub second_subnet: Option<String>,
    pub security_group: String,
    /// The key pair's name, and the private key's file on the controller. Made where a step has a
    /// fresh instance.
    pub key: Option<(String, std::path::PathBuf)>,
}

/// A recovery point that was taken.
#[derive(Clone, Debug, PartialEq)]
pub struct Point {
    pub arn: String,
    /// `EBS`, `EC2`, `RDS`, `Aurora`, `S3`, `DynamoDB`, `EFS`, as AWS Backup calls it.
    pub resource_type: String,
    /// Bytes, as AWS Backup says; 0: it does not say.
    pub size: u64,
    pub note: PointNote,
    /// The snapshot of an EBS point, the image of an EC2 point.
    pub source_id: Option<String>,
}

/// What a step has become.
#[derive(Clone, Debug, Default)]
pub struct Recovered {
    /// Which attempt made it, from 1.
    pub attempt: u32,
    /// The id of the restore job, and whether its proofs bore out what it restored.
    pub restore_job: Option<String>,
    pub validated: Option<bool>,
    pub point: Option<Point>,
    pub instance: Option<Instance>,
    pub volume: Option<String>,
    /// `host:port` of a database.
    pub endpoint: Option<(String, u16)>,
    pub bucket: Option<String>,
    pub table: Option<String>,
    pub file_system: Option<String>,
    /// Volumes whose blocks may still have to be fetched.
    pub hydrating: Vec<String>,
    /// Where archives were unpacked or volumes mounted: a step with an instance, and a path.
    pub placed: Option<(String, String)>,
    /// The manifest of an archive that was unpacked on an instance, for its proofs.
    pub manifest: Option<std::sync::Arc<crate::backup::archive::Manifest>>,
    /// What its signed sidecar claims, where the source bears a canary.
    pub canary: Option<crate::backup::sidecar::CanaryClaim>,
    /// The archive that was located.
    pub picked: Option<std::sync::Arc<crate::drill::pick::Picked>>,
}

/// An instance that runs.
#[derive(Clone, Debug, PartialEq)]
pub struct Instance {
    pub id: String,
    pub zone: String,
    pub kind: String,
    /// Where SSH goes.
    pub address: Option<IpAddr>,
}

/// All steps.
#[derive(Debug, Default)]
pub struct State {
    /// On the scratch, while it is ours.
    pub lock: Option<super::preflight::Held>,
    pub network: Option<Network>,
    /// Tokens of ledger entries that were seen gone while others were still going.
    pub gone: BTreeSet<String>,
    /// Token of a restore job's entry → the image and the snapshots that its instance came with.
    pub companions: BTreeMap<String, BTreeSet<(Kind, String)>>,
    pub steps: BTreeMap<String, Recovered>,
}

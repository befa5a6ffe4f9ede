//! What there is, per account and region, and how a handler is called.

use std::collections::BTreeMap;

use serde_json::Value;

use super::script::Script;
use super::{backup, dynamodb, ec2, efs, kms, quotas, rds};

/// One request, decoded by the service's model.
#[derive(Clone, Debug)]
pub struct Call {
    /// As in the signature's scope: `ec2`, `backup`, `rds`, `dynamodb`, `elasticfilesystem`, `kms`,
    /// `sts`, `servicequotas`.
    pub service: String,
    /// As the model calls it: `DescribeVolumes`.
    pub operation: String,
    pub account: String,
    /// From the signature's scope.
    pub region: String,
    /// Member names as in the model.
    pub params: Value,
    /// Seconds since 1970 on the double's own clock.
    pub now: f64,
}

/// An error as the service gives it.
#[derive(Clone, Debug)]
pub struct Refusal {
    pub status: u16,
    pub code: String,
    pub message: String,
}

impl Refusal {
    pub fn new(status: u16, code: &str, message: impl Into<String>) -> Refusal {
        Refusal {
            status,
            code: code.into(),
            message: message.into(),
        }
    }
}

pub type Answer = Result<Value, Refusal>;

/// All of it.
#[derive(Default)]
pub struct World {
    /// (account, region) → what is there.
    pub regions: BTreeMap<(String, String), Region>,
    pub script: Script,
    /// Where a real S3 server is, for restored buckets: `http://127.0.0.1:8333`.
    pub s3: Option<String>,
    /// When the double's clock began, in its own seconds since 1970.
    pub began: f64,
    ids: u64,
}

/// One region of one account.
#[derive(Default)]
pub struct Region {
    pub backup: backup::State,
    pub ec2: ec2::State,
    pub rds: rds::State,
    pub dynamodb: dynamodb::State,
    pub efs: efs::State,
    pub kms: kms::State,
    pub quotas: quotas::State,
}

impl World {
    pub fn region(&mut self, call: &Call) -> &mut Region {
        self.region_of(&call.account, &call.region)
    }

    pub fn region_of(&mut self, account: &str, region: &str) -> &mut Region {
        let key = (account.to_owned(), region.to_owned());
        self.regions.entry(key).or_default()
    }

    /// `vol-0123456789abcdef0`
    pub fn new_id(&mut self, prefix: &str) -> String {
        self.ids += 1;
        let mixed = self.ids.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        format!("{prefix}-0{mixed:016x}")
    }

    /// Whether what bears this id (of a database: an address that begins with its name) holds what
    /// was backed up.
    pub fn holds_data(&self, id: &str, now: f64) -> bool {
        self.regions.values().any(|region| {
            let restored = region.backup.jobs.iter().any(|job| {
                let made = job.made.as_deref().unwrap_or_default();
                let name = made.rsplit(['/', ':']).next().unwrap_or_default();
                let named = name == id
                    || (!name.is_empty()
                        && id.strip_prefix(name).is_some_and(|r| r.starts_with('.')));
                named && !job.empty && job.status(now) == "COMPLETED"
            });
            // By EC2 itself, out of a snapshot.
            restored || region.ec2.is_filled(id)
        })
    }

    /// Of key pairs that are there, as `authorized_keys` has them.
    pub fn public_keys(&self) -> Vec<String> {
        let regions = self.regions.values();
        regions
            .flat_map(|region| region.ec2.public_keys())
            .collect()
    }

    /// What a drill has made and is still there, each as `kind id` (things that were seeded left
    /// out; terminated instances too).
    pub fn left(&self) -> Vec<String> {
        let mut left = Vec::new();
        for ((account, name), region) in &self.regions {
            let mut here = Vec::new();
            region.ec2.left(&mut here);
            region.backup.left(&mut here);
            region.rds.left(&mut here);
            region.dynamodb.left(&mut here);
            region.efs.left(&mut here);
            left.extend(
                here.into_iter()
                    .map(|one| format!("{account} {name} {one}")),
            );
        }
        left
    }
}

/// A handler for each service.
pub fn handle(world: &mut World, call: &Call) -> Answer {
    // What restore jobs have made by now is there, whichever service is asked.
    backup::advance(world, &call.account, &call.region, call.now);
    match call.service.as_str() {
        "backup" => backup::handle(world, call),
        "ec2" => match super::held::keeps(world, call) {
            Some(refusal) => Err(refusal),
            None => ec2::handle(world, call),
        },
        "rds" => rds::handle(world, call),
        "dynamodb" => dynamodb::handle(world, call),
        "elasticfilesystem" => efs::handle(world, call),
        "kms" => kms::handle(world, call),
        "sts" => super::sts::handle(world, call),
        "servicequotas" => quotas::handle(world, call),
        other => Err(Refusal::new(
            404,
            "UnknownService",
            format!("this double has no {other}"),
        )),
    }
}

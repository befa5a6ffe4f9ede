//! What AWS Backup keeps: vaults, recovery points, jobs.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::super::ask::{Tags, ms, present};
use super::bucket::{self, Bucket};

/// What there is of it in one region.
#[derive(Default)]
pub struct State {
    pub vaults: BTreeMap<String, Vault>,
    pub jobs: Vec<Job>,
    pub copies: Vec<Copy>,
    /// Idempotency tokens of restore jobs, and what became of them.
    pub tokens: BTreeMap<String, Used>,
    /// Buckets that restore jobs have made.
    pub buckets: Vec<Bucket>,
    /// When the region was last asked anything.
    pub seen: f64,
}

impl State {
    /// What is there and was not seeded: jobs that run, copies (nobody should have asked for one),
    /// and buckets that the S3 server still has.
    pub fn left(&self, out: &mut Vec<String>) {
        for job in &self.jobs {
            let status = job.status(self.seen);
            if matches!(status, "PENDING" | "RUNNING") {
                out.push(format!("restore-job {} {status}", job.id));
            }
        }
        for copy in &self.copies {
            out.push(format!("copy-job {}", copy.id));
        }
        for one in &self.buckets {
            match bucket::exists(one) {
                Ok(false) => {}
                Ok(true) => out.push(format!("bucket {}", one.name)),
                Err(why) => out.push(format!("bucket {} (not known: {why})", one.name)),
            }
        }
    }

    pub fn points(&self) -> impl Iterator<Item = (&Vault, &Point)> {
        (self.vaults.values()).flat_map(|vault| vault.points.iter().map(move |p| (vault, p)))
    }
}

#[derive(Clone, Debug, Default)]
pub struct Vault {
    pub name: String,
    pub arn: String,
    pub key: Option<String>,
    pub created: f64,
    pub tags: Tags,
    /// `Locked`, `LockDate`, `MinRetentionDays`, `MaxRetentionDays`, where it is locked.
    pub lock: Map<String, Value>,
    pub policy: Option<String>,
    pub points: Vec<Point>,
}

impl Vault {
    pub fn describe(&self) -> Value {
        let mut out = json!({
            "BackupVaultName": self.name,
            "BackupVaultArn": self.arn,
            "VaultType": "BACKUP_VAULT",
            "VaultState": "AVAILABLE",
            "EncryptionKeyArn": self.key,
            "CreationDate": ms(self.created),
            "NumberOfRecoveryPoints": self.points.len(),
            "Locked": false,
        });
        if let Some(map) = out.as_object_mut() {
            map.extend(self.lock.clone());
        }
        present(out)
    }
}

/// A recovery point.
#[derive(Clone, Debug, Default)]
pub struct Point {
    pub arn: String,
    pub resource: String,
    /// `EBS`, `EC2`, `RDS`, `Aurora`, `S3`, `DynamoDB`, `EFS`.
    pub kind: String,
    pub status: String,
    pub status_message: Option<String>,
    pub created: f64,
    /// Bytes.
    pub size: u64,
    pub encrypted: bool,
    pub key: Option<String>,
    /// The vault that it was copied from.
    pub source_vault: Option<String>,
    pub delete_at: Option<f64>,
    pub cold_at: Option<f64>,
    pub role: Option<String>,
    pub tags: Tags,
    pub last_restore: Option<f64>,
    /// The seed's own words, for what each type needs: `snapshot`, `image`, `engine`, `objects`…
    pub spec: Value,
}

impl Point {
    /// Of another region's vault.
    pub fn is_copy(&self) -> bool {
        self.source_vault.is_some()
    }

    /// As DescribeRecoveryPoint and the list have it in common.
    pub fn describe(&self, vault: &Vault) -> Value {
        let deletes = self.delete_at.map(ms);
        let cools = self.cold_at.map(ms);
        let lifecycle = (deletes.is_some() || cools.is_some())
            .then(|| present(json!({"DeleteAt": deletes, "MoveToColdStorageAt": cools})));
        present(json!({
            "RecoveryPointArn": self.arn,
            "BackupVaultName": vault.name,
            "BackupVaultArn": vault.arn,
            "SourceBackupVaultArn": self.source_vault,
            "ResourceArn": self.resource,
            "ResourceType": self.kind,
            "IamRoleArn": self.role,
            "Status": self.status,
            "StatusMessage": self.status_message,
            "CreationDate": ms(self.created),
            "CompletionDate": ms(self.created + 60.0),
            "BackupSizeInBytes": self.size,
            "CalculatedLifecycle": lifecycle,
            "EncryptionKeyArn": self.key,
            "IsEncrypted": self.encrypted,
            "LastRestoreTime": self.last_restore.map(ms),
            "IsParent": false,
            "VaultType": "BACKUP_VAULT",
        }))
    }

    /// A word of the seed.
    pub fn word(&self, name: &str) -> Option<&str> {
        self.spec.get(name).and_then(Value::as_str)
    }
}

/// What an idempotency token was used for.
#[derive(Clone, Debug)]
pub struct Used {
    /// The request without the token. Not as text: metadata comes in any order.
    pub params: Value,
    /// `None`: the metadata was refused, and the token is used up all the same.
    pub job: Option<String>,
}

/// How a restore job will end.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum End {
    #[default]
    Completes,
    Fails(String),
    /// It is stuck.
    Never,
}

/// A restore job.
#[derive(Clone, Debug, Default)]
pub struct Job {
    pub id: String,
    pub account: String,
    pub region: String,
    pub vault_arn: String,
    pub point: Point,
    pub role: String,
    pub metadata: BTreeMap<String, String>,
    pub created: f64,
    /// From when on data flows, and the thing can be seen.
    pub flows: f64,
    pub ends: f64,
    pub end: End,
    /// With COMPLETED.
    pub message: Option<String>,
    pub late_arn_s: f64,
    pub empty: bool,
    /// What it makes has been begun, and has been ended.
    pub begun: bool,
    pub ended: bool,
    /// What it has made.
    pub made: Option<String>,
    pub validation: Option<(String, Option<String>)>,
}

impl Job {
    /// Its key in any spelling.
    pub fn meta(&self, name: &str) -> Option<&str> {
        (self.metadata.iter())
            .find(|(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    pub fn status(&self, now: f64) -> &'static str {
        let waits = (self.flows - self.created) / 4.0;
        match &self.end {
            End::Completes if now >= self.ends => "COMPLETED",
            End::Fails(_) if now >= self.ends => "FAILED",
            _ if now < self.created + waits => "PENDING",
            _ => "RUNNING",
        }
    }

    pub fn describe(&self, now: f64) -> Value {
        let status = self.status(now);
        let over = matches!(status, "COMPLETED" | "FAILED");
        let share = match status {
            "COMPLETED" => 1.0,
            _ if now <= self.flows => 0.0,
            _ => ((now.min(self.ends) - self.flows) / (self.ends - self.flows).max(1.0)).min(0.99),
        };
        let message = match (&self.end, status) {
            (End::Fails(why), "FAILED") => Some(why.clone()),
            (_, "COMPLETED") => self.message.clone(),
            _ => None,
        };
        let told = status == "COMPLETED" && now >= self.ends + self.late_arn_s;
        let minutes = ((self.ends - self.created) / 60.0).ceil() as u64;
        let (validation, validation_message) = match &self.validation {
            Some((status, message)) => (Some(status), message.as_ref()),
            None => (None, None),
        };
        present(json!({
            "AccountId": self.account,
            "RestoreJobId": self.id,
            "RecoveryPointArn": self.point.arn,
            "SourceResourceArn": self.point.resource,
            "BackupVaultArn": self.vault_arn,
            "CreationDate": ms(self.created),
            "CompletionDate": over.then(|| ms(self.ends)),
            "Status": status,
            "StatusMessage": message,
            "PercentDone": format!("{:.2}%", share * 100.0),
            "BackupSizeInBytes": self.point.size,
            "IamRoleArn": self.role,
            "ExpectedCompletionTimeMinutes": (self.end != End::Never).then_some(minutes),
            "CreatedResourceArn": self.made.as_ref().filter(|_| told),
            "ResourceType": self.point.kind,
            "RecoveryPointCreationDate": ms(self.point.created),
            "ValidationStatus": validation,
            "ValidationStatusMessage": validation_message,
            "IsParent": false,
        }))
    }
}

/// A copy job. A drill starts none; this is here so that a test can see it.
#[derive(Clone, Debug)]
pub struct Copy {
    pub id: String,
    pub account: String,
    pub from: String,
    pub to: String,
    pub point: Point,
    pub role: String,
    pub created: f64,
    pub ends: f64,
}

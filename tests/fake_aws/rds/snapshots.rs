//! Snapshots: those of AWS Backup, which recovery points stand for, and final ones.

use serde_json::{Value, json};

use super::super::ask::{Tags, ms, present, tag_list, text};
use super::super::world::{Answer, Call, Refusal};
use super::{Instance, State, paged};

#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// `awsbackup:copyjob-…`
    pub id: String,
    pub arn: String,
    /// Of a cluster.
    pub cluster: bool,
    /// The instance or the cluster.
    pub of: String,
    /// `awsbackup` or `manual`.
    pub kind: String,
    pub engine: String,
    pub version: String,
    /// When this copy was made.
    pub created: f64,
    /// When the first one was made; a copy keeps it.
    pub original: Option<f64>,
    /// What the data is of.
    pub data: Option<f64>,
    /// GiB.
    pub storage: u64,
    pub encrypted: bool,
    pub key: Option<String>,
    pub source_region: Option<String>,
    pub tags: Tags,
    pub seeded: bool,
}

impl Snapshot {
    /// The last one of an instance that is deleted.
    pub fn manual(id: &str, of: &Instance, call: &Call) -> Snapshot {
        Snapshot {
            id: id.to_owned(),
            arn: format!("arn:aws:rds:{}:{}:snapshot:{id}", call.region, call.account),
            of: of.id.clone(),
            kind: "manual".into(),
            engine: of.engine.clone(),
            version: of.version.clone(),
            created: call.now,
            original: Some(call.now),
            data: Some(call.now),
            storage: of.storage,
            encrypted: of.encrypted,
            key: of.key.clone(),
            ..Snapshot::default()
        }
    }

    fn describe(&self) -> Value {
        if self.cluster {
            return present(json!({
                "DBClusterSnapshotIdentifier": self.id,
                "DBClusterSnapshotArn": self.arn,
                "DBClusterIdentifier": self.of,
                "SnapshotCreateTime": ms(self.created),
                "SnapshotType": self.kind,
                "Status": "available",
                "Engine": self.engine,
                "EngineVersion": self.version,
                "AllocatedStorage": self.storage,
                "PercentProgress": 100,
                "StorageEncrypted": self.encrypted,
                "KmsKeyId": self.key,
                "TagList": tag_list(&self.tags),
            }));
        }
        present(json!({
            "DBSnapshotIdentifier": self.id,
            "DBSnapshotArn": self.arn,
            "DBInstanceIdentifier": self.of,
            "SnapshotCreateTime": ms(self.created),
            "OriginalSnapshotCreateTime": self.original.map(ms),
            "SnapshotDatabaseTime": self.data.map(ms),
            "SnapshotType": self.kind,
            "Status": "available",
            "Engine": self.engine,
            "EngineVersion": self.version,
            "AllocatedStorage": self.storage,
            "PercentProgress": 100,
            "Encrypted": self.encrypted,
            "KmsKeyId": self.key,
            "SourceRegion": self.source_region,
            "TagList": tag_list(&self.tags),
        }))
    }
}

pub fn describe(state: &State, call: &Call) -> Answer {
    let names = (
        "DBSnapshotIdentifier",
        "DBInstanceIdentifier",
        "DBSnapshotNotFound",
    );
    let all = fitting(state, call, false, names)?;
    paged("DBSnapshots", all, &call.params)
}

pub fn describe_of_clusters(state: &State, call: &Call) -> Answer {
    let names = (
        "DBClusterSnapshotIdentifier",
        "DBClusterIdentifier",
        "DBClusterSnapshotNotFoundFault",
    );
    let all = fitting(state, call, true, names)?;
    paged("DBClusterSnapshots", all, &call.params)
}

/// `names`: the parameters for one snapshot and for all of one database, and the error's code.
fn fitting(
    state: &State,
    call: &Call,
    cluster: bool,
    names: (&str, &str, &str),
) -> Result<Vec<Value>, Refusal> {
    let params = &call.params;
    let one = text(params, names.0);
    let of = text(params, names.1).map(|of| of.rsplit(':').next().unwrap_or(of));
    let kind = text(params, "SnapshotType");
    let all: Vec<Value> = (state.snapshots.values())
        .filter(|snapshot| snapshot.cluster == cluster)
        .filter(|snapshot| one.is_none_or(|id| id == snapshot.id || id == snapshot.arn))
        .filter(|snapshot| of.is_none_or(|of| of == snapshot.of))
        .filter(|snapshot| match kind {
            Some(kind) => kind == snapshot.kind,
            // AWS Backup's are shown to those who ask for them.
            None => one.is_some() || snapshot.kind != "awsbackup",
        })
        .map(Snapshot::describe)
        .collect();
    match one {
        Some(id) if all.is_empty() => Err(Refusal::new(404, names.2, format!("{id} not found."))),
        _ => Ok(all),
    }
}

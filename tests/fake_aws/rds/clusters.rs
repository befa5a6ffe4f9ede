//! DB clusters. A restored one has no instance: nobody can connect to it.

use serde_json::{Value, json};

use super::super::ask::{Tags, flag, list, ms, present, tag_list, text, wanted};
use super::super::world::{Answer, Call, Refusal};
use super::{State, SubnetGroup, filtered, paged, refused};

/// Seconds that deleting takes.
const DELETES: f64 = 120.0;

#[derive(Clone, Debug, Default)]
pub struct Cluster {
    pub id: String,
    pub arn: String,
    pub engine: String,
    pub version: String,
    pub subnets: Option<SubnetGroup>,
    pub groups: Vec<String>,
    pub user: String,
    pub encrypted: bool,
    pub key: Option<String>,
    pub protected: bool,
    /// Instead of RDS's own name for it.
    pub address: Option<String>,
    pub port: u64,
    pub made: f64,
    pub ready: f64,
    pub gone: Option<f64>,
    pub point: Option<String>,
    pub tags: Tags,
    pub seeded: bool,
}

impl Cluster {
    pub fn status(&self, now: f64) -> &'static str {
        match self.gone {
            Some(_) => "deleting",
            None if now < self.ready => "creating",
            None => "available",
        }
    }

    fn describe(&self, now: f64, members: Vec<Value>) -> Value {
        let region = self.arn.split(':').nth(3).unwrap_or_default();
        let named = |kind: &str| {
            (self.address.clone()).unwrap_or_else(|| {
                format!(
                    "{}.{kind}-cdoubledouble.{region}.rds.amazonaws.com",
                    self.id
                )
            })
        };
        let groups = (self.groups.iter())
            .map(|id| json!({"VpcSecurityGroupId": id, "Status": "active"}))
            .collect::<Value>();
        let zones = ["a", "b", "c"].map(|letter| format!("{region}{letter}"));
        present(json!({
            "DBClusterIdentifier": self.id,
            "DBClusterArn": self.arn,
            "Status": self.status(now),
            "Engine": self.engine,
            "EngineVersion": self.version,
            "EngineMode": "provisioned",
            "AvailabilityZones": zones,
            "DBSubnetGroup": self.subnets.as_ref().map(|group| &group.name),
            // There are names from the beginning; nobody answers without an instance.
            "Endpoint": named("cluster"),
            "ReaderEndpoint": named("cluster-ro"),
            "Port": self.port,
            "MasterUsername": self.user,
            "DBClusterMembers": members,
            "VpcSecurityGroups": groups,
            "StorageEncrypted": self.encrypted,
            "KmsKeyId": self.key,
            "ClusterCreateTime": ms(self.made),
            "DeletionProtection": self.protected,
            "AwsBackupRecoveryPointArn": self.point,
            "TagList": tag_list(&self.tags),
        }))
    }
}

pub fn missing(id: &str) -> Refusal {
    Refusal::new(
        404,
        "DBClusterNotFoundFault",
        format!("DBCluster {id} not found."),
    )
}

/// Its instances, the first of which writes.
fn members(state: &State, id: &str) -> Vec<Value> {
    let mut of: Vec<_> = (state.instances.values())
        .filter(|one| one.cluster.as_deref() == Some(id))
        .collect();
    of.sort_by(|a, b| a.made.total_cmp(&b.made));
    (of.iter().enumerate())
        .map(|(index, one)| {
            json!({
                "DBInstanceIdentifier": one.id,
                "IsClusterWriter": index == 0,
                "DBClusterParameterGroupStatus": "in-sync",
                "PromotionTier": 1,
            })
        })
        .collect()
}

pub fn describe(state: &State, call: &Call) -> Answer {
    let params = &call.params;
    let one = text(params, "DBClusterIdentifier");
    let one = one.map(|id| id.rsplit(':').next().unwrap_or(id).to_lowercase());
    if let Some(id) = &one {
        state.clusters.get(id).ok_or_else(|| missing(id))?;
    }
    let mut all = Vec::new();
    for cluster in state.clusters.values() {
        let known = [
            ("db-cluster-id", cluster.id.as_str()),
            ("engine", &cluster.engine),
        ];
        let fits = filtered(params, &known)?;
        if fits && one.as_ref().is_none_or(|id| *id == cluster.id) {
            all.push(cluster.describe(call.now, members(state, &cluster.id)));
        }
    }
    paged("DBClusters", all, params)
}

pub fn delete(state: &mut State, call: &Call) -> Answer {
    let params = &call.params;
    let id = wanted(params, "DBClusterIdentifier").to_lowercase();
    let stays = (state.instances.values())
        .any(|one| one.cluster.as_deref() == Some(&id) && one.gone.is_none());
    let members = members(state, &id);
    let cluster = state.clusters.get_mut(&id).ok_or_else(|| missing(&id))?;
    if stays {
        let message = "Cluster cannot be deleted, it still contains DB instances in \
                       non-deleting state.";
        return Err(refused("InvalidDBClusterStateFault", message));
    }
    if cluster.status(call.now) != "available" {
        let message = format!("DbCluster {id} is {}.", cluster.status(call.now));
        return Err(refused("InvalidDBClusterStateFault", message));
    }
    if cluster.protected {
        let message = "Cannot delete protected Cluster, please disable deletion protection and \
                       try again.";
        return Err(refused("InvalidParameterCombination", message));
    }
    match (
        flag(params, "SkipFinalSnapshot"),
        text(params, "FinalDBSnapshotIdentifier"),
    ) {
        (Some(true), None) => {}
        (_, Some(_)) => {
            return Err(refused(
                "InvalidParameterValue",
                "this double makes no final snapshot",
            ));
        }
        _ => {
            let message = "FinalDBSnapshotIdentifier is required unless SkipFinalSnapshot is \
                           specified.";
            return Err(refused("InvalidParameterCombination", message));
        }
    }
    cluster.gone = Some(call.now + DELETES);
    Ok(json!({"DBCluster": cluster.describe(call.now, members)}))
}

pub fn modify(state: &mut State, call: &Call) -> Answer {
    let params = &call.params;
    let id = wanted(params, "DBClusterIdentifier").to_lowercase();
    let members = members(state, &id);
    let cluster = state.clusters.get_mut(&id).ok_or_else(|| missing(&id))?;
    if cluster.status(call.now) != "available" {
        let message = format!("DbCluster {id} is {}.", cluster.status(call.now));
        return Err(refused("InvalidDBClusterStateFault", message));
    }
    if let Some(protected) = flag(params, "DeletionProtection") {
        cluster.protected = protected;
    }
    if params.get("VpcSecurityGroupIds").is_some() {
        cluster.groups = list(params, "VpcSecurityGroupIds");
    }
    Ok(json!({"DBCluster": cluster.describe(call.now, members)}))
}

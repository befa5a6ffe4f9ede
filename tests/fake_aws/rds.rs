//! RDS and Aurora: what AWS Backup restores, and the instances, subnet groups and snapshots around
//! it.

mod clusters;
mod groups;
mod instances;
mod restore;
mod snapshots;
#[cfg(test)]
pub(super) mod tests;

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::ask::{self, Tags, number, page, present, tag_list, tags, text, unsupported, wanted};
use super::world::{Answer, Call, Refusal, World};
pub use clusters::Cluster;
pub use groups::SubnetGroup;
pub use instances::Instance;
pub use restore::{Restore, backup_creates_cluster, backup_creates_instance};
pub use snapshots::Snapshot;

/// What there is of it in one region.
#[derive(Default)]
pub struct State {
    pub instances: BTreeMap<String, Instance>,
    pub clusters: BTreeMap<String, Cluster>,
    pub groups: BTreeMap<String, SubnetGroup>,
    pub snapshots: BTreeMap<String, Snapshot>,
    /// Classes that can be had; empty: those of `instances::CLASSES`.
    pub classes: Vec<String>,
}

impl State {
    /// What is there and was not seeded.
    pub fn left(&self, out: &mut Vec<String>) {
        let instances = self.instances.values().filter(|one| !one.seeded);
        out.extend(instances.map(|one| format!("db-instance {}", one.id)));
        let clusters = self.clusters.values().filter(|one| !one.seeded);
        out.extend(clusters.map(|one| format!("db-cluster {}", one.id)));
        let groups = self.groups.values().filter(|one| !one.seeded);
        out.extend(groups.map(|one| format!("db-subnet-group {}", one.name)));
        let snapshots = self.snapshots.values().filter(|one| !one.seeded);
        out.extend(snapshots.map(|one| format!("db-snapshot {}", one.id)));
    }

    fn advance(&mut self, now: f64) {
        self.instances
            .retain(|_, one| one.gone.is_none_or(|gone| now < gone));
        self.clusters
            .retain(|_, one| one.gone.is_none_or(|gone| now < gone));
    }

    /// The tags of what an ARN names.
    fn tags_of(&mut self, arn: &str) -> Result<&mut Tags, Refusal> {
        let mut parts = arn.splitn(7, ':').skip(5);
        let kind = parts.next().unwrap_or_default();
        let name = parts.next().unwrap_or_default();
        let (found, code) = match kind {
            "db" => (
                self.instances.get_mut(name).map(|one| &mut one.tags),
                "DBInstanceNotFound",
            ),
            "cluster" => (
                self.clusters.get_mut(name).map(|one| &mut one.tags),
                "DBClusterNotFoundFault",
            ),
            "subgrp" => (
                self.groups.get_mut(name).map(|one| &mut one.tags),
                "DBSubnetGroupNotFoundFault",
            ),
            "snapshot" | "cluster-snapshot" => (
                self.snapshots.get_mut(name).map(|one| &mut one.tags),
                "DBSnapshotNotFound",
            ),
            _ => {
                let message = format!("Invalid resource name: {arn}");
                return Err(refused("InvalidParameterValue", message));
            }
        };
        found.ok_or_else(|| Refusal::new(404, code, format!("{name} not found.")))
    }
}

fn refused(code: &str, message: impl Into<String>) -> Refusal {
    Refusal::new(400, code, message)
}

pub fn handle(world: &mut World, call: &Call) -> Answer {
    world.region(call).rds.advance(call.now);
    let params = &call.params;
    match call.operation.as_str() {
        "CreateDBInstance" => return instances::create(world, call),
        "CreateDBSubnetGroup" => return groups::create(world, call),
        "DescribeDBInstances" => return instances::describe(world, call),
        "DescribeOrderableDBInstanceOptions" => return instances::orderable(world, call),
        _ => {}
    }
    let state = &mut world.region(call).rds;
    match call.operation.as_str() {
        "DescribeDBClusters" => clusters::describe(state, call),
        "DeleteDBInstance" => instances::delete(state, call),
        "ModifyDBInstance" => instances::modify(state, call),
        "DeleteDBCluster" => clusters::delete(state, call),
        "ModifyDBCluster" => clusters::modify(state, call),
        "DescribeDBSubnetGroups" => groups::describe(state, call),
        "DeleteDBSubnetGroup" => groups::delete(state, call),
        "DescribeDBSnapshots" => snapshots::describe(state, call),
        "DescribeDBClusterSnapshots" => snapshots::describe_of_clusters(state, call),
        "AddTagsToResource" => {
            let new = tags(params, "Tags");
            state.tags_of(wanted(params, "ResourceName"))?.extend(new);
            Ok(json!({}))
        }
        "ListTagsForResource" => {
            let tags = state.tags_of(wanted(params, "ResourceName"))?;
            Ok(json!({"TagList": tag_list(tags)}))
        }
        _ => Err(unsupported(call)),
    }
}

/// One page, as RDS has them.
fn paged(name: &str, all: Vec<Value>, params: &Value) -> Answer {
    let marker = text(params, "Marker");
    let size = number(params, "MaxRecords");
    let (items, next) = page(all, marker, size, 100, "InvalidParameterValue")?;
    Ok(present(json!({name: items, "Marker": next})))
}

/// Whether what `Filters` ask for is so. `known`: the filters that there are, and what the thing
/// has of each.
fn filtered(params: &Value, known: &[(&str, &str)]) -> Result<bool, Refusal> {
    let filters = params.get("Filters").and_then(Value::as_array);
    for filter in filters.into_iter().flatten() {
        let name = wanted(filter, "Name");
        let Some((_, has)) = known.iter().find(|(known, _)| *known == name) else {
            let message = format!("Unrecognized filter name: {name}");
            return Err(refused("InvalidParameterValue", message));
        };
        // An identifier may be given as an ARN.
        let fits = |wish: &String| wish == has || wish.ends_with(&format!(":{has}"));
        if !ask::list(filter, "Values").iter().any(fits) {
            return Ok(false);
        }
    }
    Ok(true)
}

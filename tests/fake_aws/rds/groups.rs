//! DB subnet groups: subnets of one VPC, in two zones at least.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::super::ask::{Tags, list, subnet, tags, text, wanted};
use super::super::world::{Answer, Call, Refusal, World};
use super::{State, paged, refused};

#[derive(Clone, Debug, Default)]
pub struct SubnetGroup {
    pub name: String,
    pub arn: String,
    pub about: String,
    pub vpc: String,
    /// (subnet, zone)
    pub subnets: Vec<(String, String)>,
    pub tags: Tags,
    pub seeded: bool,
}

impl SubnetGroup {
    pub fn describe(&self) -> Value {
        let subnets = (self.subnets.iter())
            .map(|(id, zone)| {
                json!({
                    "SubnetIdentifier": id,
                    "SubnetAvailabilityZone": {"Name": zone},
                    "SubnetStatus": "Active",
                })
            })
            .collect::<Value>();
        json!({
            "DBSubnetGroupName": self.name,
            "DBSubnetGroupDescription": self.about,
            "DBSubnetGroupArn": self.arn,
            "VpcId": self.vpc,
            "SubnetGroupStatus": "Complete",
            "Subnets": subnets,
        })
    }
}

pub fn missing(name: &str) -> Refusal {
    let message = format!("DB subnet group '{name}' does not exist.");
    Refusal::new(404, "DBSubnetGroupNotFoundFault", message)
}

pub fn create(world: &mut World, call: &Call) -> Answer {
    let params = &call.params;
    let name = wanted(params, "DBSubnetGroupName").to_lowercase();
    let mut subnets = Vec::new();
    let mut vpcs = BTreeSet::new();
    for id in list(params, "SubnetIds") {
        let Some(there) = subnet(world, call, &id) else {
            let message = format!("The subnet ID '{id}' does not exist");
            return Err(refused("InvalidSubnet", message));
        };
        vpcs.insert(wanted(&there, "VpcId").to_owned());
        subnets.push((id, wanted(&there, "AvailabilityZone").to_owned()));
    }
    if vpcs.len() > 1 {
        return Err(refused(
            "InvalidSubnet",
            "The subnets are not all in the same VPC.",
        ));
    }
    let zones: BTreeSet<&String> = subnets.iter().map(|(_, zone)| zone).collect();
    if zones.len() < 2 {
        let message = "The DB subnet group doesn't meet Availability Zone (AZ) coverage \
                       requirement. Add subnets to cover at least 2 AZs.";
        return Err(refused("DBSubnetGroupDoesNotCoverEnoughAZs", message));
    }
    let state = &mut world.region(call).rds;
    if state.groups.contains_key(&name) {
        let message = format!("The DB subnet group '{name}' already exists.");
        return Err(refused("DBSubnetGroupAlreadyExists", message));
    }
    let group = SubnetGroup {
        name: name.clone(),
        arn: format!("arn:aws:rds:{}:{}:subgrp:{name}", call.region, call.account),
        about: wanted(params, "DBSubnetGroupDescription").to_owned(),
        vpc: vpcs.into_iter().next().unwrap_or_default(),
        subnets,
        tags: tags(params, "Tags"),
        seeded: false,
    };
    let said = group.describe();
    state.groups.insert(name, group);
    Ok(json!({"DBSubnetGroup": said}))
}

pub fn describe(state: &State, call: &Call) -> Answer {
    let one = text(&call.params, "DBSubnetGroupName").map(str::to_lowercase);
    if let Some(name) = &one {
        state.groups.get(name).ok_or_else(|| missing(name))?;
    }
    let all = (state.groups.values())
        .filter(|group| one.as_ref().is_none_or(|name| *name == group.name))
        .map(SubnetGroup::describe)
        .collect();
    paged("DBSubnetGroups", all, &call.params)
}

pub fn delete(state: &mut State, call: &Call) -> Answer {
    let name = wanted(&call.params, "DBSubnetGroupName").to_lowercase();
    state.groups.get(&name).ok_or_else(|| missing(&name))?;
    let is = |group: &Option<SubnetGroup>| group.as_ref().is_some_and(|group| group.name == name);
    let instance = state
        .instances
        .values()
        .find(|one| is(&one.subnets))
        .map(|one| &one.id);
    let cluster = state
        .clusters
        .values()
        .find(|one| is(&one.subnets))
        .map(|one| &one.id);
    if let Some(user) = instance.or(cluster) {
        let message = format!(
            "Cannot delete the subnet group '{name}' because at least one database instance: \
             {user} is still using it."
        );
        return Err(refused("InvalidDBSubnetGroupStateFault", message));
    }
    state.groups.remove(&name);
    Ok(json!({}))
}

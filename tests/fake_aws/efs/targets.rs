//! Mount targets: one for each zone, in a subnet of EC2's.

use serde_json::{Value, json};

use super::super::ask::{list, missing_group, number, page, present, subnet, text, wanted};
use super::super::world::{Answer, Call, Refusal, World};
use super::{State, bad};

/// Seconds until it can be mounted.
const CREATES: f64 = 90.0;
/// Seconds that deleting takes.
const DELETES: f64 = 40.0;

#[derive(Clone, Debug)]
pub struct Target {
    pub id: String,
    pub system: String,
    pub owner: String,
    pub subnet: String,
    pub groups: Vec<String>,
    pub vpc: String,
    pub zone: String,
    pub address: String,
    pub made: f64,
    pub gone: Option<f64>,
}

impl Target {
    fn describe(&self, now: f64) -> Value {
        let state = match self.gone {
            Some(_) => "deleting",
            None if now < self.made + CREATES => "creating",
            None => "available",
        };
        json!({
            "OwnerId": self.owner,
            "MountTargetId": self.id,
            "FileSystemId": self.system,
            "SubnetId": self.subnet,
            "LifeCycleState": state,
            "IpAddress": self.address,
            "AvailabilityZoneName": self.zone,
            "VpcId": self.vpc,
        })
    }
}

pub fn create(world: &mut World, call: &Call) -> Answer {
    let params = &call.params;
    let id = wanted(params, "SubnetId");
    let there = subnet(world, call, id).ok_or_else(|| {
        bad(
            "SubnetNotFound",
            400,
            format!("The subnet ID '{id}' does not exist"),
        )
    })?;
    let groups = list(params, "SecurityGroups");
    if let Some(group) = missing_group(world, call, &groups) {
        let message = format!("The security group '{group}' does not exist");
        return Err(bad("SecurityGroupNotFound", 400, message));
    }
    let new = world.new_id("fsmt");
    let state = &mut world.region(call).efs;
    let system = state.system(wanted(params, "FileSystemId"))?;
    if system.state(call.now) != "available" {
        let message = format!("The file system is {}.", system.state(call.now));
        return Err(bad("IncorrectFileSystemLifeCycleState", 409, message));
    }
    let system = system.id.clone();
    let (zone, vpc) = (wanted(&there, "AvailabilityZone"), wanted(&there, "VpcId"));
    for other in state
        .targets
        .values()
        .filter(|other| other.system == system)
    {
        if other.zone == zone || other.vpc != vpc {
            let message = "mount target already exists in this AZ, or in another VPC";
            return Err(bad("MountTargetConflict", 409, message));
        }
    }
    let network = wanted(&there, "CidrBlock")
        .split('/')
        .next()
        .unwrap_or_default();
    let network = network
        .rsplit_once('.')
        .map_or("10.0.0", |(network, _)| network);
    let target = Target {
        id: new.clone(),
        system,
        owner: call.account.clone(),
        subnet: id.to_owned(),
        groups,
        vpc: vpc.to_owned(),
        zone: zone.to_owned(),
        address: (text(params, "IpAddress").map(str::to_owned))
            .unwrap_or_else(|| format!("{network}.{}", 200 + state.targets.len() % 50)),
        made: call.now,
        gone: None,
    };
    let said = target.describe(call.now);
    state.targets.insert(new, target);
    Ok(said)
}

fn missing(id: &str) -> Refusal {
    bad(
        "MountTargetNotFound",
        404,
        format!("Mount target '{id}' does not exist."),
    )
}

/// What was made less than `consistency` seconds ago is not found by its id.
pub fn describe(state: &mut State, call: &Call, consistency: f64) -> Answer {
    let params = &call.params;
    let one = text(params, "MountTargetId");
    if let Some(id) = one {
        (state.targets.get(id))
            .filter(|target| call.now >= target.made + consistency)
            .ok_or_else(|| missing(id))?;
    }
    let system = match text(params, "FileSystemId") {
        Some(id) => Some(state.system(id)?.id.clone()),
        None if one.is_none() => {
            return Err(bad(
                "BadRequest",
                400,
                "FileSystemId or MountTargetId is required.",
            ));
        }
        None => None,
    };
    let all = (state.targets.values())
        .filter(|target| one.is_none_or(|id| id == target.id))
        .filter(|target| system.as_ref().is_none_or(|id| *id == target.system))
        .map(|target| target.describe(call.now))
        .collect();
    let marker = text(params, "Marker");
    let (targets, next) = page(all, marker, number(params, "MaxItems"), 100, "BadRequest")?;
    Ok(present(
        json!({"MountTargets": targets, "Marker": marker, "NextMarker": next}),
    ))
}

pub fn delete(state: &mut State, call: &Call) -> Answer {
    let id = wanted(&call.params, "MountTargetId");
    let target = state.targets.get_mut(id).ok_or_else(|| missing(id))?;
    target.gone = target.gone.or(Some(call.now + DELETES));
    Ok(json!({}))
}

//! EC2, as far as a drill asks for it: state per region, computed from the double's clock whenever a
//! request comes.
//!
//! What it copies of EC2 on purpose: ids that are NotFound for a while, tags that filters find late,
//! `pending` and `shutting-down`, volumes that are `available` long before their blocks are there,
//! `DependencyViolation` in the wrong order, client tokens. Error codes and statuses are those of
//! EC2's list of error codes.
//!
//! - `turn`: one request: its members, tags, filters and pages. `state`: what there is.
//! - `catalogue`, `images`, `network`, `routes`, `groups`, `interfaces`, `keys`, `tags`, `instances`,
//!   `launch`, `lifecycle`, `volumes`, `attachments`: the operations.
//! - `made`: what AWS Backup makes. `seed`: what is there at the beginning.

mod attachments;
mod catalogue;
mod groups;
mod images;
mod instances;
mod interfaces;
mod keys;
mod launch;
mod lifecycle;
mod made;
mod network;
mod routes;
mod seed;
mod state;
mod tags;
#[cfg(test)]
mod tests;
mod turn;
mod volumes;

use serde_json::Value;

use super::world::{Answer, Call, Refusal, World};
pub use made::{backup_creates_instance, backup_creates_volume, backup_fills};
pub use seed::seed;
pub use state::State;
use turn::Turn;

pub fn handle(world: &mut World, call: &Call) -> Answer {
    // Out of the world for as long as the request takes: handlers need ids and the script as well.
    let state = std::mem::take(&mut world.region(call).ec2);
    let mut turn = Turn::new(world, state, call);
    let answer = answer(&mut turn);
    let state = turn.state;
    world.region(call).ec2 = state;
    answer.map(without_nulls)
}

fn answer(turn: &mut Turn<'_>) -> Answer {
    // These two look at what they are asked for first, as EC2 does.
    let own = ["RunInstances", "CreateVolume"];
    if !own.contains(&turn.call.operation.as_str()) {
        turn.refuse_dry_run()?;
    }
    match turn.call.operation.as_str() {
        "DescribeAvailabilityZones" => catalogue::zones(turn),
        "DescribeInstanceTypes" => catalogue::types(turn),
        "DescribeInstanceTypeOfferings" => catalogue::offerings(turn),
        "DescribeImages" => images::describe(turn),
        "DeregisterImage" => images::deregister(turn),
        "DescribeSnapshots" => images::snapshots(turn),
        "DeleteSnapshot" => images::delete_snapshot(turn),
        "CreateVpc" => network::create_vpc(turn),
        "DescribeVpcs" => network::vpcs(turn),
        "DeleteVpc" => network::delete_vpc(turn),
        "ModifyVpcAttribute" => network::modify_vpc(turn),
        "CreateSubnet" => network::create_subnet(turn),
        "DescribeSubnets" => network::subnets(turn),
        "DeleteSubnet" => network::delete_subnet(turn),
        "ModifySubnetAttribute" => network::modify_subnet(turn),
        "CreateInternetGateway" => routes::create_gateway(turn),
        "AttachInternetGateway" => routes::attach_gateway(turn),
        "DetachInternetGateway" => routes::detach_gateway(turn),
        "DeleteInternetGateway" => routes::delete_gateway(turn),
        "DescribeInternetGateways" => routes::gateways(turn),
        "CreateRouteTable" => routes::create_table(turn),
        "AssociateRouteTable" => routes::associate(turn),
        "DisassociateRouteTable" => routes::disassociate(turn),
        "CreateRoute" => routes::create_route(turn),
        "DescribeRouteTables" => routes::tables(turn),
        "DeleteRouteTable" => routes::delete_table(turn),
        "CreateSecurityGroup" => groups::create(turn),
        "DescribeSecurityGroups" => groups::describe(turn),
        "DeleteSecurityGroup" => groups::delete(turn),
        "AuthorizeSecurityGroupIngress" => groups::authorize(turn, false),
        "AuthorizeSecurityGroupEgress" => groups::authorize(turn, true),
        "RevokeSecurityGroupIngress" => groups::revoke(turn, false),
        "RevokeSecurityGroupEgress" => groups::revoke(turn, true),
        "DescribeNetworkInterfaces" => interfaces::describe(turn),
        "DeleteNetworkInterface" => interfaces::delete(turn),
        "DescribeAddresses" => interfaces::addresses(turn),
        "ImportKeyPair" => keys::import(turn),
        "DescribeKeyPairs" => keys::describe(turn),
        "DeleteKeyPair" => keys::delete(turn),
        "CreateTags" => tags::create(turn),
        "DeleteTags" => tags::delete(turn),
        "DescribeTags" => tags::describe(turn),
        "RunInstances" => launch::run(turn),
        "DescribeInstances" => instances::describe(turn),
        "DescribeInstanceStatus" => instances::status(turn),
        "DescribeInstanceAttribute" => instances::attribute(turn),
        "ModifyInstanceAttribute" => instances::modify(turn),
        "GetConsoleOutput" => instances::console(turn),
        "TerminateInstances" => lifecycle::terminate(turn),
        "StopInstances" => lifecycle::stop(turn),
        "CreateVolume" => volumes::create(turn),
        "DescribeVolumes" => volumes::describe(turn),
        "DescribeVolumeStatus" => volumes::status(turn),
        "DeleteVolume" => volumes::delete(turn),
        "AttachVolume" => attachments::attach(turn),
        "DetachVolume" => attachments::detach(turn),
        other => Err(Refusal::new(
            400,
            "InvalidAction",
            format!("The action {other} is not valid for this web service."),
        )),
    }
}

/// An optional member that is not there is left out, not null.
fn without_nulls(value: Value) -> Value {
    match value {
        Value::Object(members) => members
            .into_iter()
            .filter(|(_, member)| !member.is_null())
            .map(|(name, member)| (name, without_nulls(member)))
            .collect(),
        Value::Array(items) => items.into_iter().map(without_nulls).collect(),
        other => other,
    }
}

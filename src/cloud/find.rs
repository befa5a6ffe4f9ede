//! What there is of EC2 that fits a filter, by ids. Asked with Describe, never of the tag index.

use aws_sdk_ec2::Client;
use aws_sdk_ec2::types::{Filter, InstanceStateName};

use super::fault::Fault;
use super::names::Kind;

/// Bears this tag.
pub(super) fn tag(key: &str, value: &str) -> Filter {
    filter(&format!("tag:{key}"), value)
}

pub(super) fn filter(name: &str, value: &str) -> Filter {
    Filter::builder().name(name).values(value).build()
}

/// All pages of a Describe, and one id of each thing in them.
macro_rules! all {
    ($request:expr, $what:expr, $member:ident, $id:ident) => {{
        let mut found = Vec::new();
        let mut pages = $request.into_paginator().send();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|e| Fault::of($what, e))?;
            found.extend(
                page.$member()
                    .iter()
                    .filter_map(|one| one.$id().map(str::to_owned)),
            );
        }
        Ok(found)
    }};
}

/// The ids of what fits; key pairs by name. Terminated instances are none. Kinds that are not
/// EC2's: nothing.
pub(super) async fn ids(
    ec2: &Client,
    kind: Kind,
    filters: Vec<Filter>,
) -> Result<Vec<String>, Fault> {
    if kind == Kind::Instance {
        return instances(ec2, filters).await;
    }
    let filters = Some(filters);
    match kind {
        Kind::Vpc => all!(
            ec2.describe_vpcs().set_filters(filters),
            "looking for VPCs",
            vpcs,
            vpc_id
        ),
        Kind::Subnet => all!(
            ec2.describe_subnets().set_filters(filters),
            "looking for subnets",
            subnets,
            subnet_id
        ),
        Kind::SecurityGroup => all!(
            ec2.describe_security_groups().set_filters(filters),
            "looking for security groups",
            security_groups,
            group_id
        ),
        Kind::InternetGateway => all!(
            ec2.describe_internet_gateways().set_filters(filters),
            "looking for internet gateways",
            internet_gateways,
            internet_gateway_id
        ),
        Kind::RouteTable => all!(
            ec2.describe_route_tables().set_filters(filters),
            "looking for route tables",
            route_tables,
            route_table_id
        ),
        Kind::Volume => all!(
            ec2.describe_volumes().set_filters(filters),
            "looking for volumes",
            volumes,
            volume_id
        ),
        Kind::Snapshot => all!(
            ec2.describe_snapshots()
                .owner_ids("self")
                .set_filters(filters),
            "looking for snapshots",
            snapshots,
            snapshot_id
        ),
        Kind::Image => all!(
            ec2.describe_images().owners("self").set_filters(filters),
            "looking for images",
            images,
            image_id
        ),
        Kind::KeyPair => {
            let what = "looking for key pairs";
            let answer = ec2.describe_key_pairs().set_filters(filters).send().await;
            let answer = answer.map_err(|e| Fault::of(what, e))?;
            let names = answer.key_pairs().iter();
            Ok(names
                .filter_map(|one| one.key_name().map(str::to_owned))
                .collect())
        }
        _ => Ok(Vec::new()),
    }
}

async fn instances(ec2: &Client, filters: Vec<Filter>) -> Result<Vec<String>, Fault> {
    let what = "looking for instances";
    let mut found = Vec::new();
    let request = ec2.describe_instances().set_filters(Some(filters));
    let mut pages = request.into_paginator().send();
    while let Some(page) = pages.next().await {
        let page = page.map_err(|e| Fault::of(what, e))?;
        let all = page.reservations().iter().flat_map(|r| r.instances());
        found.extend(all.filter_map(|one| {
            let state = one.state().and_then(|s| s.name());
            (state != Some(&InstanceStateName::Terminated))
                .then(|| one.instance_id().map(str::to_owned))
                .flatten()
        }));
    }
    Ok(found)
}

/// Network interfaces that nothing uses, or that are in use, in a network.
pub(super) async fn interfaces(ec2: &Client, filters: Vec<Filter>) -> Result<Vec<String>, Fault> {
    all!(
        ec2.describe_network_interfaces().set_filters(Some(filters)),
        "looking for network interfaces",
        network_interfaces,
        network_interface_id
    )
}

//! VPCs and subnets.

use std::net::Ipv4Addr;

use serde_json::{Value, json};

use super::super::world::{Answer, Refusal};
use super::state::{Base, Group, Peer, RouteTable, Rule, Subnet, Vpc};
use super::tags;
use super::turn::{Turn, find, find_mut, invalid, paged, refuse};

/// First address and length of `10.0.0.0/16`. None: it is none, or has bits beyond its length.
pub fn cidr(text: &str) -> Option<(u32, u32)> {
    let (address, length) = text.split_once('/')?;
    let address = u32::from(address.parse::<Ipv4Addr>().ok()?);
    let length: u32 = length.parse().ok().filter(|length| *length <= 32)?;
    (address & !mask(length) == 0).then_some((address, length))
}

fn mask(length: u32) -> u32 {
    u32::MAX.checked_shl(32 - length).unwrap_or(0)
}

fn holds(outer: (u32, u32), inner: (u32, u32)) -> bool {
    inner.1 >= outer.1 && inner.0 & mask(outer.1) == outer.0
}

pub fn create_vpc(turn: &mut Turn<'_>) -> Answer {
    turn.taggable(&["vpc"])?;
    let block = turn.needed("CidrBlock")?;
    match cidr(block) {
        None => {
            return invalid(block, "cidrBlock", "This is not a valid CIDR block.");
        }
        Some((_, length)) if !(16..=28).contains(&length) => {
            return refuse(
                "InvalidVpc.Range",
                format!("The CIDR '{block}' is invalid."),
            );
        }
        Some(_) => {}
    }
    let there = turn.state.vpcs.len() as u64;
    if turn.state.limits.vpcs.is_some_and(|limit| there >= limit) {
        return refuse(
            "VpcLimitExceeded",
            "The maximum number of VPCs has been reached.",
        );
    }
    let id = turn.id::<Vpc>();
    let vpc = Vpc {
        base: turn.base::<Vpc>()?,
        cidr: block.to_owned(),
        is_default: false,
    };
    let (table, group) = (turn.id::<RouteTable>(), turn.id::<Group>());
    let rule = turn.world.new_id("sgr");
    let made = turn.now;
    furnish(turn, &id, table, group, rule, made);
    let shown = show_vpc(turn, &id, &vpc);
    turn.state.vpcs.insert(id, vpc);
    Ok(json!({ "Vpc": shown }))
}

/// A VPC comes with a main route table and a default group, and they go with it.
fn furnish(turn: &mut Turn<'_>, vpc: &str, table: String, group: String, rule: String, made: f64) {
    let base = Base {
        made,
        kept: true,
        tags: Vec::new(),
    };
    let main = RouteTable {
        base: base.clone(),
        vpc: vpc.to_owned(),
        main: true,
        routes: Vec::new(),
        subnets: Vec::new(),
    };
    turn.state.tables.insert(table, main);
    let default = Group {
        base,
        vpc: vpc.to_owned(),
        name: "default".into(),
        description: "default VPC security group".into(),
        rules: vec![
            open_egress(rule),
            Rule {
                id: format!("sgr-{}", &group[3..]),
                egress: false,
                protocol: "-1".into(),
                ports: None,
                peer: Peer::Group(group.clone()),
                description: None,
            },
        ],
    };
    turn.state.groups.insert(group, default);
}

/// What every new group allows: everything out.
pub fn open_egress(id: String) -> Rule {
    Rule {
        id,
        egress: true,
        protocol: "-1".into(),
        ports: None,
        peer: Peer::V4("0.0.0.0/0".into()),
        description: None,
    }
}

fn show_vpc(turn: &Turn<'_>, id: &str, vpc: &Vpc) -> Value {
    json!({
        "VpcId": id,
        "OwnerId": turn.call.account,
        "CidrBlock": vpc.cidr,
        "CidrBlockAssociationSet": [{
            "AssociationId": format!("vpc-cidr-assoc-{}", id.trim_start_matches("vpc-")),
            "CidrBlock": vpc.cidr,
            "CidrBlockState": { "State": "associated" },
        }],
        "DhcpOptionsId": "dopt-00000000000000001",
        "InstanceTenancy": "default",
        "IsDefault": vpc.is_default,
        // A new VPC is `pending` for a moment.
        "State": if turn.now < vpc.base.made + 2.0 { "pending" } else { "available" },
        "Tags": tags::shown(&vpc.base),
    })
}

pub fn vpcs(turn: &mut Turn<'_>) -> Answer {
    let filters = &[
        ("vpc-id", "VpcId"),
        ("cidr", "CidrBlock"),
        (
            "cidr-block-association.cidr-block",
            "CidrBlockAssociationSet.CidrBlock",
        ),
        ("is-default", "IsDefault"),
        ("owner-id", "OwnerId"),
        ("state", "State"),
    ];
    let page = turn.list(&turn.state.vpcs, "VpcIds", filters, |id, vpc| {
        show_vpc(turn, id, vpc)
    })?;
    paged("Vpcs", page)
}

pub fn modify_vpc(turn: &mut Turn<'_>) -> Answer {
    find(&turn.state.vpcs, turn.needed("VpcId")?, turn.sight())?;
    let attributes = ["EnableDnsHostnames", "EnableDnsSupport"];
    let given = attributes.iter().filter(|a| turn.wrapped(a).is_some());
    match given.count() {
        1 => Ok(json!({})),
        0 => refuse("MissingParameter", "No attributes specified."),
        _ => refuse(
            "InvalidParameterCombination",
            "Fields for multiple attribute types specified",
        ),
    }
}

pub fn delete_vpc(turn: &mut Turn<'_>) -> Answer {
    let id = turn.needed("VpcId")?;
    find(&turn.state.vpcs, id, turn.sight())?;
    let state = &turn.state;
    let hangs = state.subnets.values().any(|subnet| subnet.vpc == id)
        || (state.gateways.values()).any(|gateway| gateway.vpc.as_deref() == Some(id))
        || (state.tables.values()).any(|table| table.vpc == id && !table.main)
        || (state.groups.values()).any(|group| group.vpc == id && group.name != "default");
    if hangs {
        return refuse(
            "DependencyViolation",
            format!("The vpc '{id}' has dependencies and cannot be deleted."),
        );
    }
    turn.slow_delete(id, "DependencyViolation")?;
    turn.state.tables.retain(|_, table| table.vpc != id);
    turn.state.groups.retain(|_, group| group.vpc != id);
    if let Some(gone) = turn.state.vpcs.remove(id) {
        turn.bury(id, &gone);
    }
    Ok(json!({}))
}

pub fn create_subnet(turn: &mut Turn<'_>) -> Answer {
    turn.taggable(&["subnet"])?;
    let vpc = turn.needed("VpcId")?;
    let of_vpc = cidr(&find(&turn.state.vpcs, vpc, turn.sight())?.cidr);
    let block = turn.needed("CidrBlock")?;
    let Some(wanted) = cidr(block) else {
        return invalid(block, "cidrBlock", "This is not a valid CIDR block.");
    };
    if !of_vpc.is_some_and(|outer| holds(outer, wanted)) || wanted.1 > 28 {
        return refuse(
            "InvalidSubnet.Range",
            format!("The CIDR '{block}' is invalid."),
        );
    }
    let taken = (turn.state.subnets.values())
        .filter(|subnet| subnet.vpc == vpc)
        .filter_map(|subnet| cidr(&subnet.cidr))
        .any(|there| holds(there, wanted) || holds(wanted, there));
    if taken {
        return refuse(
            "InvalidSubnet.Conflict",
            format!("The CIDR '{block}' conflicts with another subnet"),
        );
    }
    let zone = asked_zone(turn)?;
    let subnet = Subnet {
        base: turn.base::<Subnet>()?,
        vpc: vpc.to_owned(),
        zone,
        cidr: block.to_owned(),
        public: false,
        is_default: false,
    };
    let id = turn.id::<Subnet>();
    let shown = show_subnet(turn, &id, &subnet);
    turn.state.subnets.insert(id, subnet);
    Ok(json!({ "Subnet": shown }))
}

/// The zone that is asked for by name or id; the first one where none is.
fn asked_zone(turn: &Turn<'_>) -> Result<String, Refusal> {
    let zones = &turn.state.zones;
    let (name, id) = (
        turn.text("AvailabilityZone"),
        turn.text("AvailabilityZoneId"),
    );
    let found = match (name, id) {
        (Some(name), _) => zones.iter().find(|zone| zone.name == name),
        (None, Some(id)) => zones.iter().find(|zone| zone.id == id),
        (None, None) => zones.first(),
    };
    if let Some(zone) = found {
        return Ok(zone.name.clone());
    }
    let names: Vec<&str> = zones.iter().map(|zone| zone.name.as_str()).collect();
    invalid(
        name.or(id).unwrap_or_default(),
        "availabilityZone",
        &format!(
            "Subnets can currently only be created in the following availability zones: {}.",
            names.join(", ")
        ),
    )
}

fn show_subnet(turn: &Turn<'_>, id: &str, subnet: &Subnet) -> Value {
    let size = cidr(&subnet.cidr).map_or(0, |(_, length)| 1_u64 << (32 - length));
    let used = turn.state.interfaces.values();
    let used = used.filter(|one| one.subnet == id).count() as u64;
    json!({
        "SubnetId": id,
        "SubnetArn": format!("arn:aws:ec2:{}:{}:subnet/{id}", turn.call.region, turn.call.account),
        "OwnerId": turn.call.account,
        "VpcId": subnet.vpc,
        "CidrBlock": subnet.cidr,
        "AvailabilityZone": subnet.zone,
        "AvailabilityZoneId": turn.state.zone_id(&subnet.zone),
        // Five addresses of each subnet are EC2's own.
        "AvailableIpAddressCount": size.saturating_sub(5 + used),
        "DefaultForAz": subnet.is_default,
        "MapPublicIpOnLaunch": subnet.public,
        "State": if turn.now < subnet.base.made + 2.0 { "pending" } else { "available" },
        "Tags": tags::shown(&subnet.base),
    })
}

pub fn subnets(turn: &mut Turn<'_>) -> Answer {
    let filters = &[
        ("subnet-id", "SubnetId"),
        ("vpc-id", "VpcId"),
        ("availability-zone", "AvailabilityZone"),
        ("availabilityZone", "AvailabilityZone"),
        ("availability-zone-id", "AvailabilityZoneId"),
        ("cidr-block", "CidrBlock"),
        ("cidrBlock", "CidrBlock"),
        ("default-for-az", "DefaultForAz"),
        ("map-public-ip-on-launch", "MapPublicIpOnLaunch"),
        ("owner-id", "OwnerId"),
        ("state", "State"),
    ];
    let page = turn.list(&turn.state.subnets, "SubnetIds", filters, |id, subnet| {
        show_subnet(turn, id, subnet)
    })?;
    paged("Subnets", page)
}

pub fn modify_subnet(turn: &mut Turn<'_>) -> Answer {
    let (id, sight) = (turn.needed("SubnetId")?, turn.sight());
    let public = turn.wrapped("MapPublicIpOnLaunch").and_then(Value::as_bool);
    let subnet = find_mut(&mut turn.state.subnets, id, sight)?;
    subnet.public = public.unwrap_or(subnet.public);
    Ok(json!({}))
}

pub fn delete_subnet(turn: &mut Turn<'_>) -> Answer {
    let id = turn.needed("SubnetId")?;
    find(&turn.state.subnets, id, turn.sight())?;
    if (turn.state.interfaces.values()).any(|one| one.subnet == id) {
        return refuse(
            "DependencyViolation",
            format!("The subnet '{id}' has dependencies and cannot be deleted."),
        );
    }
    turn.slow_delete(id, "DependencyViolation")?;
    // Its association with a route table goes with it.
    for table in turn.state.tables.values_mut() {
        table.subnets.retain(|(_, subnet)| subnet != id);
    }
    if let Some(gone) = turn.state.subnets.remove(id) {
        turn.bury(id, &gone);
    }
    Ok(json!({}))
}

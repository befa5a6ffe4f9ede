//! Internet gateways and route tables.

use serde_json::{Value, json};

use super::super::world::Answer;
use super::network::cidr;
use super::state::{Gateway, RouteTable};
use super::tags;
use super::turn::{Turn, find, find_mut, invalid, paged, refuse};

pub fn create_gateway(turn: &mut Turn<'_>) -> Answer {
    turn.taggable(&["internet-gateway"])?;
    let gateway = Gateway {
        base: turn.base::<Gateway>()?,
        vpc: None,
    };
    let id = turn.id::<Gateway>();
    let shown = show_gateway(turn, &id, &gateway);
    turn.state.gateways.insert(id, gateway);
    Ok(json!({ "InternetGateway": shown }))
}

fn show_gateway(turn: &Turn<'_>, id: &str, gateway: &Gateway) -> Value {
    // EC2 itself says `available` here, which its own model does not list.
    let attachments: Vec<Value> = (gateway.vpc.iter())
        .map(|vpc| json!({ "State": "attached", "VpcId": vpc }))
        .collect();
    json!({
        "InternetGatewayId": id,
        "OwnerId": turn.call.account,
        "Attachments": attachments,
        "Tags": tags::shown(&gateway.base),
    })
}

pub fn gateways(turn: &mut Turn<'_>) -> Answer {
    let filters = &[
        ("internet-gateway-id", "InternetGatewayId"),
        ("attachment.vpc-id", "Attachments.VpcId"),
        ("attachment.state", "Attachments.State"),
        ("owner-id", "OwnerId"),
    ];
    let map = &turn.state.gateways;
    let page = turn.list(map, "InternetGatewayIds", filters, |id, gateway| {
        show_gateway(turn, id, gateway)
    })?;
    paged("InternetGateways", page)
}

pub fn attach_gateway(turn: &mut Turn<'_>) -> Answer {
    let (id, vpc) = (turn.needed("InternetGatewayId")?, turn.needed("VpcId")?);
    let sight = turn.sight();
    let gateway = find(&turn.state.gateways, id, sight)?;
    find(&turn.state.vpcs, vpc, sight)?;
    if let Some(there) = &gateway.vpc {
        return refuse(
            "Resource.AlreadyAssociated",
            format!("resource {id} is already attached to network {there}"),
        );
    }
    if (turn.state.gateways.values()).any(|one| one.vpc.as_deref() == Some(vpc)) {
        return refuse(
            "InvalidParameterValue",
            format!("Network {vpc} already has an internet gateway attached"),
        );
    }
    find_mut(&mut turn.state.gateways, id, sight)?.vpc = Some(vpc.to_owned());
    Ok(json!({}))
}

pub fn detach_gateway(turn: &mut Turn<'_>) -> Answer {
    let (id, vpc) = (turn.needed("InternetGatewayId")?, turn.needed("VpcId")?);
    let sight = turn.sight();
    let gateway = find(&turn.state.gateways, id, sight)?;
    find(&turn.state.vpcs, vpc, sight)?;
    if gateway.vpc.as_deref() != Some(vpc) {
        return refuse(
            "Gateway.NotAttached",
            format!("resource {id} is not attached to network {vpc}"),
        );
    }
    let state = &turn.state;
    let mapped = (state.instances.values()).any(|instance| {
        let here = state.subnets.get(&instance.subnet);
        here.is_some_and(|subnet| subnet.vpc == vpc) && instance.shown_public(turn.now).is_some()
    });
    if mapped {
        return refuse(
            "DependencyViolation",
            format!(
                "Network {vpc} has some mapped public address(es). Please unmap those public \
                 address(es) before detaching the gateway."
            ),
        );
    }
    find_mut(&mut turn.state.gateways, id, sight)?.vpc = None;
    Ok(json!({}))
}

pub fn delete_gateway(turn: &mut Turn<'_>) -> Answer {
    let id = turn.needed("InternetGatewayId")?;
    let gateway = find(&turn.state.gateways, id, turn.sight())?;
    if gateway.vpc.is_some() {
        return refuse(
            "DependencyViolation",
            format!("The internetGateway '{id}' has dependencies and cannot be deleted."),
        );
    }
    turn.slow_delete(id, "DependencyViolation")?;
    if let Some(gone) = turn.state.gateways.remove(id) {
        turn.bury(id, &gone);
    }
    Ok(json!({}))
}

pub fn create_table(turn: &mut Turn<'_>) -> Answer {
    turn.taggable(&["route-table"])?;
    let vpc = turn.needed("VpcId")?;
    let id = match turn.before()? {
        Some(id) => id.as_str().unwrap_or_default().to_owned(),
        None => {
            find(&turn.state.vpcs, vpc, turn.sight())?;
            let table = RouteTable {
                base: turn.base::<RouteTable>()?,
                vpc: vpc.to_owned(),
                main: false,
                routes: Vec::new(),
                subnets: Vec::new(),
            };
            let id = turn.id::<RouteTable>();
            turn.state.tables.insert(id.clone(), table);
            turn.remember(json!(id));
            id
        }
    };
    let shown = (turn.state.tables.get(&id)).map(|table| show_table(turn, &id, table));
    Ok(json!({ "RouteTable": shown, "ClientToken": turn.text("ClientToken") }))
}

fn show_table(turn: &Turn<'_>, id: &str, table: &RouteTable) -> Value {
    let local = turn.state.vpcs.get(&table.vpc).map(|vpc| {
        json!({
            "DestinationCidrBlock": vpc.cidr,
            "GatewayId": "local",
            "Origin": "CreateRouteTable",
            "State": "active",
        })
    });
    let attached = |gateway: &str| {
        let gateway = turn.state.gateways.get(gateway);
        gateway.is_some_and(|gateway| gateway.vpc.as_deref() == Some(&table.vpc))
    };
    let routes: Vec<Value> = (local.into_iter())
        .chain(table.routes.iter().map(|(to, gateway)| {
            json!({
                "DestinationCidrBlock": to,
                "GatewayId": gateway,
                "Origin": "CreateRoute",
                "State": if attached(gateway) { "active" } else { "blackhole" },
            })
        }))
        .collect();
    let main = table.main.then(|| {
        json!({
            "Main": true,
            "RouteTableAssociationId": format!("rtbassoc-{}", id.trim_start_matches("rtb-")),
            "RouteTableId": id,
            "AssociationState": { "State": "associated" },
        })
    });
    let associations: Vec<Value> = (main.into_iter())
        .chain(table.subnets.iter().map(|(association, subnet)| {
            json!({
                "Main": false,
                "RouteTableAssociationId": association,
                "RouteTableId": id,
                "SubnetId": subnet,
                "AssociationState": { "State": "associated" },
            })
        }))
        .collect();
    json!({
        "RouteTableId": id,
        "VpcId": table.vpc,
        "OwnerId": turn.call.account,
        "Associations": associations,
        "PropagatingVgws": [],
        "Routes": routes,
        "Tags": tags::shown(&table.base),
    })
}

pub fn tables(turn: &mut Turn<'_>) -> Answer {
    let filters = &[
        ("route-table-id", "RouteTableId"),
        ("vpc-id", "VpcId"),
        ("association.main", "Associations.Main"),
        ("association.route-table-id", "Associations.RouteTableId"),
        (
            "association.route-table-association-id",
            "Associations.RouteTableAssociationId",
        ),
        ("association.subnet-id", "Associations.SubnetId"),
        ("route.gateway-id", "Routes.GatewayId"),
        (
            "route.destination-cidr-block",
            "Routes.DestinationCidrBlock",
        ),
        ("route.state", "Routes.State"),
        ("owner-id", "OwnerId"),
    ];
    let page = turn.list(&turn.state.tables, "RouteTableIds", filters, |id, table| {
        show_table(turn, id, table)
    })?;
    paged("RouteTables", page)
}

pub fn associate(turn: &mut Turn<'_>) -> Answer {
    let (id, subnet) = (turn.needed("RouteTableId")?, turn.needed("SubnetId")?);
    let sight = turn.sight();
    let table = find(&turn.state.tables, id, sight)?;
    let of_subnet = &find(&turn.state.subnets, subnet, sight)?.vpc;
    if *of_subnet != table.vpc {
        return refuse(
            "InvalidParameterValue",
            format!("route table {id} and subnet {subnet} belong to different networks"),
        );
    }
    if let Some((there, _)) = (table.subnets.iter()).find(|(_, one)| one == subnet) {
        return Ok(association(there));
    }
    if (turn.state.tables.values()).any(|one| one.subnets.iter().any(|(_, s)| s == subnet)) {
        return refuse(
            "Resource.AlreadyAssociated",
            format!(
                "the specified association for route table {id} conflicts with an existing one"
            ),
        );
    }
    let new = turn.world.new_id("rtbassoc");
    let table = find_mut(&mut turn.state.tables, id, sight)?;
    table.subnets.push((new.clone(), subnet.to_owned()));
    Ok(association(&new))
}

fn association(id: &str) -> Value {
    json!({ "AssociationId": id, "AssociationState": { "State": "associated" } })
}

pub fn disassociate(turn: &mut Turn<'_>) -> Answer {
    let id = turn.needed("AssociationId")?;
    for table in turn.state.tables.values_mut() {
        if table.subnets.iter().any(|(one, _)| one == id) {
            table.subnets.retain(|(one, _)| one != id);
            return Ok(json!({}));
        }
    }
    refuse(
        "InvalidAssociationID.NotFound",
        format!("The association ID '{id}' does not exist"),
    )
}

pub fn create_route(turn: &mut Turn<'_>) -> Answer {
    let id = turn.needed("RouteTableId")?;
    let sight = turn.sight();
    let table = find(&turn.state.tables, id, sight)?;
    let to = turn.needed("DestinationCidrBlock")?;
    if cidr(to).is_none() {
        return invalid(
            to,
            "destinationCidrBlock",
            "This is not a valid CIDR block.",
        );
    }
    let gateway = turn.needed("GatewayId")?;
    let of_gateway = &find(&turn.state.gateways, gateway, sight)?.vpc;
    if of_gateway.as_deref() != Some(table.vpc.as_str()) {
        return refuse(
            "InvalidParameterValue",
            format!("route table {id} and network gateway {gateway} belong to different networks"),
        );
    }
    if let Some((_, there)) = table.routes.iter().find(|(one, _)| one == to) {
        if there == gateway {
            return Ok(json!({ "Return": true }));
        }
        return refuse(
            "RouteAlreadyExists",
            format!("The route identified by {to} already exists."),
        );
    }
    let table = find_mut(&mut turn.state.tables, id, sight)?;
    table.routes.push((to.to_owned(), gateway.to_owned()));
    Ok(json!({ "Return": true }))
}

pub fn delete_table(turn: &mut Turn<'_>) -> Answer {
    let id = turn.needed("RouteTableId")?;
    let table = find(&turn.state.tables, id, turn.sight())?;
    if table.main || !table.subnets.is_empty() {
        return refuse(
            "DependencyViolation",
            format!("The routeTable '{id}' has dependencies and cannot be deleted."),
        );
    }
    turn.slow_delete(id, "DependencyViolation")?;
    if let Some(gone) = turn.state.tables.remove(id) {
        turn.bury(id, &gone);
    }
    Ok(json!({}))
}

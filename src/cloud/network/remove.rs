//! How the parts of a network go: in an order in which nothing hangs on them any more, asked again
//! as long as something does.

use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use aws_sdk_ec2::types::Filter;

use super::rules;
use crate::cloud::client::Clients;
use crate::cloud::fault::{Fault, FaultKind};
use crate::cloud::find::{self, filter};
use crate::cloud::make::asks;
use crate::cloud::names::Kind;
use crate::cloud::poll::{Asked, Schedule, until};
use crate::cloud::volume::quietly;

/// How long something may hang on it. Instances and databases have gone before.
const HANGING: Duration = Duration::from_secs(15 * 60);

/// Deletes until it is not there any more. What hindered it last is what is said if it stays.
pub(in crate::cloud) async fn away<F, A, G, B>(
    clients: &Clients,
    what: &str,
    young: bool,
    mut there: A,
    mut delete: B,
) -> Result<(), Fault>
where
    F: Future<Output = Result<bool, Fault>>,
    A: FnMut() -> F,
    G: Future<Output = Result<(), Fault>>,
    B: FnMut() -> G,
{
    let hindered: Mutex<Option<Fault>> = Mutex::new(None);
    let unknown = AtomicU32::new(0);
    let asked = || {
        let (there, delete) = (there(), delete());
        let (hindered, unknown) = (&hindered, &unknown);
        async move {
            if !there.await? {
                return Ok(match unknown.fetch_add(1, Relaxed) + 1 >= asks(young) {
                    true => Asked::Ready(()),
                    false => Asked::Wait(None),
                });
            }
            match delete.await {
                Err(fault) if fault.kind == FaultKind::NotFound => {}
                Err(fault) if matches!(fault.kind, FaultKind::Dependency | FaultKind::Later) => {
                    *hindered.lock().unwrap_or_else(PoisonError::into_inner) = Some(fault);
                }
                Err(fault) => return Err(fault),
                Ok(()) => {}
            }
            Ok(Asked::Wait(None))
        }
    };
    let done = until(clients.pace, Schedule::QUICK, HANGING, what, false, asked).await;
    let hindered = hindered.into_inner().unwrap_or(None);
    done.map_err(|fault| match fault.kind {
        FaultKind::Ours => hindered.unwrap_or(fault),
        _ => fault,
    })
}

/// The filter that finds each kind by its id.
pub(in crate::cloud) fn by_id(kind: Kind, id: &str) -> Vec<Filter> {
    let name = match kind {
        Kind::Vpc => "vpc-id",
        Kind::Subnet => "subnet-id",
        Kind::SecurityGroup => "group-id",
        Kind::InternetGateway => "internet-gateway-id",
        Kind::RouteTable => "association.route-table-id",
        Kind::KeyPair => "key-name",
        Kind::Volume => "volume-id",
        Kind::Snapshot => "snapshot-id",
        Kind::Image => "image-id",
        _ => "instance-id",
    };
    vec![filter(name, id)]
}

async fn is_there(clients: &Clients, kind: Kind, id: &str) -> Result<bool, Fault> {
    let found = find::ids(&clients.ec2, kind, by_id(kind, id)).await?;
    Ok(!found.is_empty())
}

/// One part of a network, by its kind.
pub(in crate::cloud) async fn remove(
    clients: &Clients,
    kind: Kind,
    id: &str,
    young: bool,
) -> Result<(), Fault> {
    match kind {
        Kind::KeyPair => {
            let what = "deleting the key pair";
            let there = || is_there(clients, kind, id);
            away(clients, what, young, there, || async {
                let call = clients.ec2.delete_key_pair().key_name(id).send();
                call.await.map(drop).map_err(|e| Fault::of(what, e))
            })
            .await
        }
        Kind::Subnet => {
            let what = "deleting the subnet";
            let there = || is_there(clients, kind, id);
            away(clients, what, young, there, || delete_subnet(clients, id)).await
        }
        Kind::SecurityGroup => {
            let what = "deleting the security group";
            let there = || is_there(clients, kind, id);
            away(clients, what, young, there, || delete_group(clients, id)).await
        }
        Kind::InternetGateway => {
            let what = "deleting the internet gateway";
            let there = || is_there(clients, kind, id);
            away(clients, what, young, there, || delete_gateway(clients, id)).await
        }
        Kind::RouteTable => {
            let what = "deleting the route table";
            let there = || async { Ok(associations(clients, id).await?.is_some()) };
            away(clients, what, young, there, || delete_table(clients, id)).await
        }
        _ => {
            let what = "deleting the VPC";
            let there = || is_there(clients, Kind::Vpc, id);
            away(clients, what, young, there, || delete_vpc(clients, id)).await
        }
    }
}

/// Network interfaces stay behind when what they belonged to has gone.
async fn delete_interfaces(clients: &Clients, filters: Vec<Filter>) -> Result<(), Fault> {
    let what = "deleting network interfaces";
    for id in find::interfaces(&clients.ec2, filters).await? {
        let call = clients.ec2.delete_network_interface();
        let call = call.network_interface_id(id).send().await;
        quietly(call.map_err(|e| Fault::of(what, e)))?;
    }
    Ok(())
}

async fn delete_subnet(clients: &Clients, id: &str) -> Result<(), Fault> {
    let call = clients.ec2.delete_subnet().subnet_id(id).send().await;
    let done = call.map(drop);
    let done = done.map_err(|e| Fault::of("deleting the subnet", e));
    if let Err(fault) = &done
        && fault.kind == FaultKind::Dependency
    {
        let left = vec![filter("subnet-id", id), filter("status", "available")];
        delete_interfaces(clients, left).await?;
    }
    done
}

/// A group that names itself, or another that names it, holds it: rules first.
async fn delete_group(clients: &Clients, id: &str) -> Result<(), Fault> {
    let (coming, going) = rules::there(&clients.ec2, id).await?;
    rules::revoke(&clients.ec2, id, false, coming).await?;
    rules::revoke(&clients.ec2, id, true, going).await?;
    let call = clients.ec2.delete_security_group().group_id(id).send();
    let call = call.await.map(drop);
    call.map_err(|e| Fault::of("deleting the security group", e))
}

async fn delete_gateway(clients: &Clients, id: &str) -> Result<(), Fault> {
    let what = "deleting the internet gateway";
    let asked = clients.ec2.describe_internet_gateways();
    let asked = asked.internet_gateway_ids(id).send().await;
    let asked = asked.map_err(|e| Fault::of(what, e))?;
    let attached = asked
        .internet_gateways()
        .iter()
        .flat_map(|g| g.attachments());
    for vpc in attached.filter_map(|one| one.vpc_id()) {
        let call = clients.ec2.detach_internet_gateway().vpc_id(vpc);
        let call = call.internet_gateway_id(id).send().await;
        match call.map_err(|e| Fault::of(what, e)) {
            Err(fault) if fault.kind != FaultKind::NotFound => return Err(fault),
            _ => {}
        }
    }
    let call = clients.ec2.delete_internet_gateway();
    let call = call.internet_gateway_id(id).send().await;
    call.map(drop).map_err(|e| Fault::of(what, e))
}

/// The associations of a route table with subnets; none: there is no such table.
async fn associations(clients: &Clients, id: &str) -> Result<Option<Vec<String>>, Fault> {
    let what = "asking for the route table";
    let answer = clients.ec2.describe_route_tables().route_table_ids(id);
    let tables = match answer.send().await.map_err(|e| Fault::of(what, e)) {
        Err(fault) if fault.kind == FaultKind::NotFound => return Ok(None),
        answer => answer?.route_tables.unwrap_or_default(),
    };
    Ok(tables.first().map(|table| {
        let all = table.associations().iter();
        let all = all.filter(|one| one.main() != Some(true));
        all.filter_map(|one| one.route_table_association_id().map(str::to_owned))
            .collect()
    }))
}

async fn delete_table(clients: &Clients, id: &str) -> Result<(), Fault> {
    let what = "deleting the route table";
    for association in associations(clients, id).await?.unwrap_or_default() {
        let call = clients.ec2.disassociate_route_table();
        let call = call.association_id(association).send().await;
        quietly(call.map_err(|e| Fault::of(what, e)))?;
    }
    let call = clients.ec2.delete_route_table().route_table_id(id).send();
    call.await.map(drop).map_err(|e| Fault::of(what, e))
}

/// All that is in it is the drill's. What hinders it is taken away, known to the ledger or not.
async fn delete_vpc(clients: &Clients, id: &str) -> Result<(), Fault> {
    let call = clients.ec2.delete_vpc().vpc_id(id).send().await;
    let done = call.map(drop);
    let done = done.map_err(|e| Fault::of("deleting the VPC", e));
    let Err(fault) = &done else {
        return done;
    };
    if fault.kind != FaultKind::Dependency {
        return done;
    }
    let within = || vec![filter("vpc-id", id)];
    let available = vec![filter("vpc-id", id), filter("status", "available")];
    delete_interfaces(clients, available).await?;
    for gateway in find::ids(
        &clients.ec2,
        Kind::InternetGateway,
        vec![filter("attachment.vpc-id", id)],
    )
    .await?
    {
        quietly(delete_gateway(clients, &gateway).await)?;
    }
    for subnet in find::ids(&clients.ec2, Kind::Subnet, within()).await? {
        quietly(delete_subnet(clients, &subnet).await)?;
    }
    for table in find::ids(&clients.ec2, Kind::RouteTable, within()).await? {
        // The main table goes with the VPC, and is not to be deleted by itself.
        quietly(delete_table(clients, &table).await)?;
    }
    let name = "looking for security groups";
    let groups = clients.ec2.describe_security_groups();
    let groups = groups.set_filters(Some(within())).send().await;
    for group in groups.map_err(|e| Fault::of(name, e))?.security_groups() {
        if let Some(group) = group
            .group_id()
            .filter(|_| group.group_name() != Some("default"))
        {
            quietly(delete_group(clients, group).await)?;
        }
    }
    done
}

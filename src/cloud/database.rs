//! Databases: the subnet group, a restored RDS instance, an Aurora cluster with instances, and how
//! they go.

use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::Duration;

use aws_sdk_rds::types::{DbCluster, DbInstance};

use super::client::Clients;
use super::created::rds_tags;
use super::fault::{Fault, FaultKind};
use super::make::{PATIENCE, asks};
use super::names::{Kind, resource_name};
use super::poll::{Asked, Schedule, until};
use super::provider::Work;
use super::state::Network;
use super::volume::quietly;
use crate::document::drill::aws::ToAurora;
use crate::drill::provider::StepError;
use crate::shell::clean;

/// Databases take minutes to go, and nobody waits for that but the bill.
const DELETING: Schedule = Schedule {
    first: Duration::from_secs(10),
    longest: Duration::from_secs(60),
};

/// The subnet group that the database goes to. It bears the name of the attempt.
pub(super) async fn subnet_group(work: &Work<'_>, network: &Network) -> Result<(), StepError> {
    let what = "creating the DB subnet group";
    let name = work.name();
    let label = work.intend(Kind::DbSubnetGroup, &name)?;
    let subnets = [Some(network.subnet.clone()), network.second_subnet.clone()];
    let subnets: Vec<String> = subnets.into_iter().flatten().collect();
    let send = || async {
        let call = work.clients.rds.create_db_subnet_group();
        let call = call.db_subnet_group_name(&name);
        let call = call.db_subnet_group_description("A recovery drill: taken away at its end");
        let call = call.set_subnet_ids(Some(subnets.clone()));
        let call = call.set_tags(Some(rds_tags(&label))).send().await;
        unless_there(call.map_err(|e| Fault::of(what, e)))
    };
    work.send(what, true, send).await?;
    work.made(&label, &name)
}

/// The name is the attempt's own: that it is there is an answer that was lost.
fn unless_there<T>(answer: Result<T, Fault>) -> Result<(), Fault> {
    match answer {
        Err(fault) if fault.kind != FaultKind::Exists => Err(fault),
        _ => Ok(()),
    }
}

pub(super) async fn instance(clients: &Clients, id: &str) -> Result<Option<DbInstance>, Fault> {
    let what = "asking for the database";
    let call = clients.rds.describe_db_instances();
    let answer = call.db_instance_identifier(id).send().await;
    match answer.map_err(|e| Fault::of(what, e)) {
        Ok(answer) => Ok(answer.db_instances.and_then(|all| all.into_iter().next())),
        Err(fault) if fault.kind == FaultKind::NotFound => Ok(None),
        Err(fault) => Err(fault),
    }
}

pub(super) async fn cluster(clients: &Clients, id: &str) -> Result<Option<DbCluster>, Fault> {
    let what = "asking for the database cluster";
    let call = clients.rds.describe_db_clusters();
    let answer = call.db_cluster_identifier(id).send().await;
    match answer.map_err(|e| Fault::of(what, e)) {
        Ok(answer) => Ok(answer.db_clusters.and_then(|all| all.into_iter().next())),
        Err(fault) if fault.kind == FaultKind::NotFound => Ok(None),
        Err(fault) => Err(fault),
    }
}

/// Whether a state is one that a database does not come out of by itself. Pure.
fn is_broken(state: &str) -> bool {
    state.starts_with("incompatible-")
        || state.starts_with("inaccessible-encryption-credentials")
        || matches!(
            state,
            "failed"
                | "restore-error"
                | "storage-full"
                | "deleting"
                | "stopped"
                | "insufficient-capacity"
        )
}

/// The state that is waited for, or why it will not come. Pure.
fn is_available(what: &str, state: Option<&str>) -> Result<bool, Fault> {
    match state {
        Some("available") => Ok(true),
        Some(state) if is_broken(state) => {
            let state = clean(state, 60);
            Err(Fault::ours(
                what,
                &format!("it is `{state}`, and will not become available"),
            ))
        }
        _ => Ok(false),
    }
}

/// Until an instance is `available`; gives where it answers.
pub(super) async fn until_available(
    work: &Work<'_>,
    id: &str,
) -> Result<Option<(String, u16)>, Fault> {
    let what = "waiting for the database instance";
    let asked = work.until(Schedule::LONG, what, true, || async {
        let Some(found) = instance(work.clients, id).await? else {
            return Ok(Asked::Wait(None));
        };
        Ok(match is_available(what, found.db_instance_status())? {
            true => Asked::Ready(endpoint(&found)),
            false => Asked::Wait(None),
        })
    });
    asked.await
}

fn endpoint(found: &DbInstance) -> Option<(String, u16)> {
    let endpoint = found.endpoint()?;
    let port = endpoint.port().and_then(|port| u16::try_from(port).ok())?;
    Some((endpoint.address()?.to_owned(), port))
}

/// Until a cluster is `available`. Nobody can connect to it then: it has no instances.
pub(super) async fn until_cluster(work: &Work<'_>, id: &str) -> Result<DbCluster, Fault> {
    let what = "waiting for the database cluster";
    let asked = work.until(Schedule::LONG, what, true, || async {
        let Some(found) = cluster(work.clients, id).await? else {
            return Ok(Asked::Wait(None));
        };
        Ok(match is_available(what, found.status())? {
            true => Asked::Ready(found),
            false => Asked::Wait(None),
        })
    });
    asked.await
}

/// The name of a cluster's instance, from 1. As unique as the attempt's own name, and no longer.
pub(super) fn member_name(run: &str, step: &str, attempt: u32, number: u32) -> String {
    resource_name(run, &format!("{number}-{step}"), attempt)
}

/// Gives the restored cluster its instances: about ten minutes, and without them nobody connects.
pub(super) async fn add_instances(
    work: &Work<'_>,
    cluster_id: &str,
    aurora: &ToAurora,
) -> Result<Option<(String, u16)>, StepError> {
    let what = "creating the cluster's instance";
    let (run, step) = (&work.context.drill.run, &work.step().step);
    let names: Vec<String> = (1..=aurora.instances.max(1))
        .map(|number| member_name(run, step, work.context.attempt, number))
        .collect();
    for name in &names {
        let label = work.intend(Kind::DbInstance, name)?;
        let send = || async {
            let call = work.clients.rds.create_db_instance();
            let call = call.db_instance_identifier(name);
            let call = call.db_cluster_identifier(cluster_id);
            let call = call.db_instance_class(&aurora.class).engine(&aurora.engine);
            let call = call.publicly_accessible(false);
            let call = call.set_tags(Some(rds_tags(&label))).send().await;
            unless_there(call.map_err(|e| Fault::of(what, e)))
        };
        work.send(what, true, send).await?;
        work.made(&label, name)?;
    }
    for name in &names {
        until_available(work, name).await?;
    }
    let found = until_cluster(work, cluster_id).await?;
    Ok(cluster_endpoint(&found))
}

pub(super) fn cluster_endpoint(found: &DbCluster) -> Option<(String, u16)> {
    let port = found.port().and_then(|port| u16::try_from(port).ok())?;
    Some((found.endpoint()?.to_owned(), port))
}

/// Where an instance of a run that was taken up answers; an error says that it is gone.
pub(super) async fn again(
    clients: &Clients,
    kind: Kind,
    id: &str,
) -> Result<Option<(String, u16)>, String> {
    let what = "asking for the database";
    let gone = || format!("the database {} is not available any more", clean(id, 80));
    let asked = until(
        clients.pace,
        Schedule::QUICK,
        PATIENCE,
        what,
        false,
        || async {
            Ok(Asked::Ready(match kind {
                Kind::DbCluster => cluster(clients, id).await?.and_then(|found| {
                    (found.status() == Some("available")).then(|| cluster_endpoint(&found))
                }),
                _ => instance(clients, id).await?.and_then(|found| {
                    (found.db_instance_status() == Some("available")).then(|| endpoint(&found))
                }),
            }))
        },
    );
    let found = asked.await.map_err(|fault| fault.to_string())?;
    found.ok_or_else(gone)
}

/// Deletes an instance without a last snapshot, and waits until RDS knows it no more.
pub(super) async fn delete_instance(clients: &Clients, id: &str, young: bool) -> Result<(), Fault> {
    let what = "deleting the database instance";
    let unknown = AtomicU32::new(0);
    until(clients.pace, DELETING, PATIENCE, what, false, || async {
        let Some(found) = instance(clients, id).await? else {
            return Ok(match unknown.fetch_add(1, Relaxed) + 1 >= asks(young) {
                true => Asked::Ready(()),
                false => Asked::Wait(None),
            });
        };
        if found.db_instance_status() == Some("deleting") {
            return Ok(Asked::Wait(None));
        }
        if found.deletion_protection() == Some(true) && found.db_cluster_identifier().is_none() {
            let call = clients.rds.modify_db_instance().db_instance_identifier(id);
            let call = call.deletion_protection(false).apply_immediately(true);
            let call = call.send().await;
            quietly(call.map_err(|e| Fault::of("taking the deletion protection off", e)))?;
            return Ok(Asked::Wait(None));
        }
        let call = clients.rds.delete_db_instance().db_instance_identifier(id);
        let call = call.skip_final_snapshot(true);
        // Of a cluster's instance this may not be said.
        let call = match found.db_cluster_identifier() {
            None => call.delete_automated_backups(true),
            Some(_) => call,
        };
        quietly(call.send().await.map_err(|e| Fault::of(what, e)))?;
        Ok(Asked::Wait(None))
    })
    .await
}

/// Deletes a cluster: its instances first.
pub(super) async fn delete_cluster(clients: &Clients, id: &str, young: bool) -> Result<(), Fault> {
    let what = "deleting the database cluster";
    let unknown = AtomicU32::new(0);
    until(clients.pace, DELETING, PATIENCE, what, false, || async {
        let Some(found) = cluster(clients, id).await? else {
            return Ok(match unknown.fetch_add(1, Relaxed) + 1 >= asks(young) {
                true => Asked::Ready(()),
                false => Asked::Wait(None),
            });
        };
        if found.status() == Some("deleting") {
            return Ok(Asked::Wait(None));
        }
        for member in found.db_cluster_members() {
            if let Some(member) = member.db_instance_identifier() {
                let call = clients.rds.delete_db_instance();
                let call = call
                    .db_instance_identifier(member)
                    .skip_final_snapshot(true);
                quietly(call.send().await.map_err(|e| Fault::of(what, e)))?;
            }
        }
        if found.deletion_protection() == Some(true) {
            let call = clients.rds.modify_db_cluster().db_cluster_identifier(id);
            let call = call.deletion_protection(false).apply_immediately(true);
            let call = call.send().await;
            quietly(call.map_err(|e| Fault::of("taking the deletion protection off", e)))?;
            return Ok(Asked::Wait(None));
        }
        let call = clients.rds.delete_db_cluster().db_cluster_identifier(id);
        let call = call.skip_final_snapshot(true).send().await;
        quietly(call.map_err(|e| Fault::of(what, e)))?;
        Ok(Asked::Wait(None))
    })
    .await
}

pub(super) async fn delete_subnet_group(
    clients: &Clients,
    name: &str,
    young: bool,
) -> Result<(), Fault> {
    let what = "deleting the DB subnet group";
    let unknown = AtomicU32::new(0);
    until(clients.pace, DELETING, PATIENCE, what, false, || async {
        let call = clients.rds.describe_db_subnet_groups();
        let asked = call.db_subnet_group_name(name).send().await;
        let known = match asked.map_err(|e| Fault::of(what, e)) {
            Ok(answer) => !answer.db_subnet_groups().is_empty(),
            Err(fault) if fault.kind == FaultKind::NotFound => false,
            Err(fault) => return Err(fault),
        };
        if !known {
            return Ok(match unknown.fetch_add(1, Relaxed) + 1 >= asks(young) {
                true => Asked::Ready(()),
                false => Asked::Wait(None),
            });
        }
        let call = clients.rds.delete_db_subnet_group();
        let call = call.db_subnet_group_name(name).send().await;
        quietly(call.map_err(|e| Fault::of(what, e)))?;
        Ok(Asked::Wait(None))
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_is_waited_for_refused_or_what_was_wanted() {
        assert_eq!(is_available("x", Some("available")), Ok(true));
        for wait in [
            Some("creating"),
            Some("backing-up"),
            Some("modifying"),
            None,
        ] {
            assert_eq!(is_available("x", wait), Ok(false));
        }
        for broken in [
            "failed",
            "incompatible-network",
            "inaccessible-encryption-credentials",
            "deleting",
        ] {
            assert!(is_available("x", Some(broken)).is_err(), "{broken}");
        }
    }

    #[test]
    fn members_of_a_cluster_have_names_that_rds_takes() {
        let run = "20261120T073514Z-00000001";
        let step = "a-step-with-a-name-that-is-cut";
        let names: Vec<String> = (1..=12).map(|n| member_name(run, step, 1, n)).collect();
        for name in &names {
            assert!(
                name.len() <= 63 && name.starts_with("seawall-2026"),
                "{name}"
            );
        }
        let mut unique = names.clone();
        unique.dedup();
        assert_eq!(unique.len(), names.len());
        assert!(!names.contains(&resource_name(run, step, 1)));
    }
}

//! Restored EFS file systems, and the mount targets through which an instance reaches them.

use std::net::IpAddr;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use aws_sdk_efs::types::{FileSystemDescription, LifeCycleState, MountTargetDescription};

use super::client::Clients;
use super::fault::{Fault, FaultKind};
use super::make::{PATIENCE, asks, present};
use super::names::Kind;
use super::poll::{Asked, Schedule, until};
use super::provider::Work;
use super::state::Network;
use super::volume::quietly;
use crate::drill::provider::StepError;

pub(super) async fn describe(
    clients: &Clients,
    id: &str,
) -> Result<Option<FileSystemDescription>, Fault> {
    let what = "asking for the file system";
    let answer = clients.efs.describe_file_systems().file_system_id(id);
    match answer.send().await.map_err(|e| Fault::of(what, e)) {
        Ok(answer) => Ok(answer.file_systems.and_then(|all| all.into_iter().next())),
        Err(fault) if fault.kind == FaultKind::NotFound => Ok(None),
        Err(fault) => Err(fault),
    }
}

/// By the creation token that the restore was told: the attempt's name.
pub(super) async fn by_token(clients: &Clients, name: &str) -> Result<Vec<String>, Fault> {
    let what = "looking for the file system";
    let call = clients.efs.describe_file_systems().creation_token(name);
    let answer = match call.send().await.map_err(|e| Fault::of(what, e)) {
        Err(fault) if fault.kind == FaultKind::NotFound => return Ok(Vec::new()),
        answer => answer?,
    };
    let all = answer.file_systems().iter();
    Ok(all.map(|one| one.file_system_id().to_owned()).collect())
}

pub(super) async fn until_available(work: &Work<'_>, id: &str) -> Result<(), Fault> {
    let what = "waiting for the file system";
    let asked = work.until(Schedule::QUICK, what, true, || async {
        let found = describe(work.clients, id).await?;
        let state = found.as_ref().map(FileSystemDescription::life_cycle_state);
        match state {
            Some(LifeCycleState::Available) => Ok(Asked::Ready(())),
            Some(LifeCycleState::Error | LifeCycleState::Deleting | LifeCycleState::Deleted) => {
                Err(Fault::ours(what, "it is broken, or being deleted"))
            }
            _ => Ok(Asked::Wait(None)),
        }
    });
    asked.await
}

async fn targets(clients: &Clients, id: &str) -> Result<Vec<MountTargetDescription>, Fault> {
    let what = "asking for the file system's mount targets";
    let call = clients.efs.describe_mount_targets().file_system_id(id);
    match call.send().await.map_err(|e| Fault::of(what, e)) {
        Ok(answer) => Ok(answer.mount_targets.unwrap_or_default()),
        Err(fault) if fault.kind == FaultKind::NotFound => Ok(Vec::new()),
        Err(fault) => Err(fault),
    }
}

pub(super) async fn target(
    clients: &Clients,
    id: &str,
) -> Result<Option<MountTargetDescription>, Fault> {
    let what = "asking for the mount target";
    let call = clients.efs.describe_mount_targets().mount_target_id(id);
    match call.send().await.map_err(|e| Fault::of(what, e)) {
        Ok(answer) => Ok(answer.mount_targets.and_then(|all| all.into_iter().next())),
        Err(fault) if fault.kind == FaultKind::NotFound => Ok(None),
        Err(fault) => Err(fault),
    }
}

/// A restore makes none. Gives the address within the drill's network.
pub(super) async fn make_target(
    work: &Work<'_>,
    id: &str,
    network: &Network,
) -> Result<IpAddr, StepError> {
    let what = "creating the mount target";
    // A mount target bears no tags: it is found by its file system.
    let label = work.intend(Kind::MountTarget, id)?;
    let send = || async {
        let call = work.clients.efs.create_mount_target();
        let call = call.file_system_id(id).subnet_id(&network.subnet);
        let call = call.security_groups(&network.security_group).send().await;
        match call.map_err(|e| Fault::of(what, e)) {
            Ok(answer) => Ok(Asked::Ready(answer.mount_target_id)),
            // One per subnet: it is ours, by an answer that was lost.
            Err(fault) if fault.kind == FaultKind::Exists => {
                let all = targets(work.clients, id).await?;
                let ours = all.into_iter().find(|one| one.subnet_id == network.subnet);
                Ok(ours.map_or(Asked::Wait(None), |one| Asked::Ready(one.mount_target_id)))
            }
            Err(fault) => Err(fault),
        }
    };
    let made = work.until(Schedule::QUICK, what, true, send).await?;
    work.made(&label, &made)?;
    let what = "waiting for the mount target";
    let asked = work.until(Schedule::QUICK, what, true, || async {
        let Some(found) = target(work.clients, &made).await? else {
            return Ok(Asked::Wait(None));
        };
        match found.life_cycle_state() {
            LifeCycleState::Available => {
                let address = present(what, "address", found.ip_address())?;
                let address = address.parse().ok();
                present(what, "readable address", address).map(Asked::Ready)
            }
            LifeCycleState::Error | LifeCycleState::Deleting | LifeCycleState::Deleted => {
                Err(Fault::ours(what, "it is broken, or being deleted"))
            }
            _ => Ok(Asked::Wait(None)),
        }
    });
    Ok(asked.await?)
}

/// The mount targets of a file system whose ids were never written down.
pub(super) async fn targets_of(clients: &Clients, id: &str) -> Result<Vec<String>, Fault> {
    let all = targets(clients, id).await?;
    Ok(all.into_iter().map(|one| one.mount_target_id).collect())
}

pub(super) async fn delete_target(clients: &Clients, id: &str, young: bool) -> Result<(), Fault> {
    let what = "deleting the mount target";
    let unknown = AtomicU32::new(0);
    until(
        clients.pace,
        Schedule::QUICK,
        PATIENCE,
        what,
        false,
        || async {
            let Some(found) = target(clients, id).await? else {
                return Ok(match unknown.fetch_add(1, Relaxed) + 1 >= asks(young) {
                    true => Asked::Ready(()),
                    false => Asked::Wait(None),
                });
            };
            if *found.life_cycle_state() != LifeCycleState::Deleting {
                let call = clients.efs.delete_mount_target().mount_target_id(id);
                quietly(call.send().await.map_err(|e| Fault::of(what, e)))?;
            }
            Ok(Asked::Wait(None))
        },
    )
    .await
}

/// Deletes it with its mount targets, and waits until EFS knows it no more.
pub(super) async fn delete(clients: &Clients, id: &str, young: bool) -> Result<(), Fault> {
    let what = "deleting the file system";
    let unknown = AtomicU32::new(0);
    until(
        clients.pace,
        Schedule::QUICK,
        PATIENCE,
        what,
        false,
        || async {
            let Some(found) = describe(clients, id).await? else {
                return Ok(match unknown.fetch_add(1, Relaxed) + 1 >= asks(young) {
                    true => Asked::Ready(()),
                    false => Asked::Wait(None),
                });
            };
            if matches!(
                found.life_cycle_state(),
                LifeCycleState::Deleting | LifeCycleState::Creating
            ) {
                return Ok(Asked::Wait(None));
            }
            for one in targets(clients, id).await? {
                if *one.life_cycle_state() != LifeCycleState::Deleting {
                    let call = clients.efs.delete_mount_target();
                    let call = call.mount_target_id(one.mount_target_id()).send().await;
                    quietly(call.map_err(|e| Fault::of(what, e)))?;
                }
            }
            let call = clients.efs.delete_file_system().file_system_id(id).send();
            quietly(call.await.map_err(|e| Fault::of(what, e)))?;
            Ok(Asked::Wait(None))
        },
    )
    .await
}

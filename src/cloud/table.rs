//! Restored DynamoDB tables.

use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use aws_sdk_dynamodb::types::{TableDescription, TableStatus};

use super::client::Clients;
use super::fault::{Fault, FaultKind};
use super::make::{PATIENCE, asks};
use super::poll::{Asked, Schedule, until};
use super::provider::Work;
use super::volume::quietly;

pub(super) async fn describe(
    clients: &Clients,
    name: &str,
) -> Result<Option<TableDescription>, Fault> {
    let what = "asking for the table";
    let answer = clients.dynamodb.describe_table().table_name(name).send();
    match answer.await.map_err(|e| Fault::of(what, e)) {
        Ok(answer) => Ok(answer.table),
        Err(fault) if fault.kind == FaultKind::NotFound => Ok(None),
        Err(fault) => Err(fault),
    }
}

pub(super) fn is_active(table: &TableDescription) -> bool {
    table.table_status() == Some(&TableStatus::Active)
}

/// Until it can be read.
pub(super) async fn until_active(work: &Work<'_>, name: &str) -> Result<(), Fault> {
    let what = "waiting for the table";
    let asked = work.until(Schedule::QUICK, what, true, || async {
        let table = describe(work.clients, name).await?;
        Ok(match table.is_some_and(|table| is_active(&table)) {
            true => Asked::Ready(()),
            false => Asked::Wait(None),
        })
    });
    asked.await
}

/// Whether it has at least one item. Its own count is hours old.
pub(super) async fn has_items(clients: &Clients, name: &str) -> Result<bool, Fault> {
    let what = "looking into the restored table";
    let call = clients.dynamodb.scan().table_name(name).limit(1);
    let answer = call.send().await.map_err(|e| Fault::of(what, e))?;
    Ok(answer.count() > 0)
}

/// Deletes it, and waits until DynamoDB knows it no more.
pub(super) async fn delete(clients: &Clients, name: &str, young: bool) -> Result<(), Fault> {
    let what = "deleting the table";
    let unknown = AtomicU32::new(0);
    until(
        clients.pace,
        Schedule::QUICK,
        PATIENCE,
        what,
        false,
        || async {
            let Some(table) = describe(clients, name).await? else {
                return Ok(match unknown.fetch_add(1, Relaxed) + 1 >= asks(young) {
                    true => Asked::Ready(()),
                    false => Asked::Wait(None),
                });
            };
            if let Some(TableStatus::Deleting | TableStatus::Creating | TableStatus::Updating) =
                table.table_status()
            {
                return Ok(Asked::Wait(None));
            }
            if table.deletion_protection_enabled() == Some(true) {
                let call = clients.dynamodb.update_table().table_name(name);
                let call = call.deletion_protection_enabled(false).send().await;
                quietly(call.map_err(|e| Fault::of("taking the deletion protection off", e)))?;
                return Ok(Asked::Wait(None));
            }
            let call = clients.dynamodb.delete_table().table_name(name).send();
            quietly(call.await.map_err(|e| Fault::of(what, e)))?;
            Ok(Asked::Wait(None))
        },
    )
    .await
}

//! Copy jobs. A drill that assumes its region lost may start none: they are started there.

use serde_json::json;

use super::super::ask::{ms, present, uuid, wanted};
use super::super::world::{Answer, Call, World};
use super::state::{Copy, State};
use super::{invalid, not_found, point};

/// Seconds that a copy takes.
const TAKES: f64 = 600.0;

pub fn start(world: &mut World, call: &Call) -> Answer {
    let params = &call.params;
    let from = wanted(params, "SourceBackupVaultName");
    let to = wanted(params, "DestinationBackupVaultArn");
    let asked = json!({
        "BackupVaultName": from,
        "RecoveryPointArn": wanted(params, "RecoveryPointArn"),
    });
    let (vault, point) = {
        let (vault, point) = point(&world.region(call).backup, &asked)?;
        (vault.arn.clone(), point.clone())
    };
    let there = (world.regions.values())
        .any(|region| (region.backup.vaults.values()).any(|vault| vault.arn == to));
    if !there {
        return Err(not_found(format!("Backup vault {to} does not exist.")));
    }
    if !wanted(params, "IamRoleArn").starts_with("arn:aws:iam::") {
        return Err(invalid("IamRoleArn is not the ARN of a role."));
    }
    let id = uuid(world);
    let copy = Copy {
        id: id.clone(),
        account: call.account.clone(),
        from: vault,
        to: to.to_owned(),
        point,
        role: wanted(params, "IamRoleArn").to_owned(),
        created: call.now,
        ends: call.now + TAKES,
    };
    world.region(call).backup.copies.push(copy);
    Ok(json!({"CopyJobId": id, "CreationDate": ms(call.now), "IsParent": false}))
}

pub fn describe(state: &State, call: &Call) -> Answer {
    let id = wanted(&call.params, "CopyJobId");
    let copy = (state.copies.iter().find(|copy| copy.id == id))
        .ok_or_else(|| not_found(format!("Copy job {id} does not exist.")))?;
    let over = call.now >= copy.ends;
    Ok(json!({"CopyJob": present(json!({
        "AccountId": copy.account,
        "CopyJobId": copy.id,
        "SourceBackupVaultArn": copy.from,
        "SourceRecoveryPointArn": copy.point.arn,
        "DestinationBackupVaultArn": copy.to,
        "ResourceArn": copy.point.resource,
        "ResourceType": copy.point.kind,
        "CreationDate": ms(copy.created),
        "CompletionDate": over.then(|| ms(copy.ends)),
        "State": if over { "COMPLETED" } else { "RUNNING" },
        "BackupSizeInBytes": copy.point.size,
        "IamRoleArn": copy.role,
        "IsParent": false,
    }))}))
}

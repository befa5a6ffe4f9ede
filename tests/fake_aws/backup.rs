//! AWS Backup: vaults, recovery points, restore jobs. There is no way to cancel a restore job: there
//! is none at AWS either.
//!
//! A job takes time by its size; what it makes appears while it runs (`make`), and its ARN when it
//! has ended. A job that the script calls `empty` ends as COMPLETED all the same: a bucket, a table
//! or a file system is there and has nothing in it, a volume was never filled, and of instances and
//! databases there is not even an ARN.

mod bucket;
mod copies;
mod jobs;
mod make;
mod metadata;
mod state;
#[cfg(test)]
pub(super) mod tests;

pub use make::advance;
pub use state::{Point, State, Vault};

use serde_json::{Value, json};

use super::ask::{ms, number, page, present, tag_map, text, unsupported, wanted};
use super::world::{Answer, Call, Refusal, World};

pub fn handle(world: &mut World, call: &Call) -> Answer {
    match call.operation.as_str() {
        "StartRestoreJob" => return jobs::start(world, call),
        "StartCopyJob" => return copies::start(world, call),
        _ => {}
    }
    let state = &mut world.region(call).backup;
    match call.operation.as_str() {
        "ListBackupVaults" => list_vaults(state, &call.params),
        "DescribeBackupVault" => Ok(vault(state, &call.params)?.describe()),
        "GetBackupVaultAccessPolicy" => access_policy(state, &call.params),
        "ListTags" => {
            let tags = tags_of(state, wanted(&call.params, "ResourceArn"))?;
            Ok(json!({"Tags": tags}))
        }
        "TagResource" => {
            let new = tag_map(call.params.get("Tags"));
            tags_of(state, wanted(&call.params, "ResourceArn"))?.extend(new);
            Ok(json!({}))
        }
        "ListRecoveryPointsByBackupVault" => list_points(state, &call.params),
        "DescribeRecoveryPoint" => describe_point(state, call),
        "GetRecoveryPointRestoreMetadata" => {
            let (vault, point) = point(state, &call.params)?;
            Ok(json!({
                "BackupVaultArn": vault.arn,
                "RecoveryPointArn": point.arn,
                "RestoreMetadata": metadata::returned(point),
                "ResourceType": point.kind,
            }))
        }
        "DescribeRestoreJob" => jobs::describe(state, call),
        "ListRestoreJobs" => jobs::list(state, call),
        "GetRestoreJobMetadata" => jobs::metadata_of(state, call),
        "PutRestoreValidationResult" => jobs::validate(state, call),
        "DescribeCopyJob" => copies::describe(state, call),
        "ListProtectedResources" => protected(state, &call.params),
        "DescribeProtectedResource" => describe_protected(state, &call.params),
        _ => Err(unsupported(call)),
    }
}

fn invalid(message: impl Into<String>) -> Refusal {
    Refusal::new(400, "InvalidParameterValueException", message)
}

fn not_found(message: impl Into<String>) -> Refusal {
    Refusal::new(400, "ResourceNotFoundException", message)
}

fn vault<'a>(state: &'a State, params: &Value) -> Result<&'a Vault, Refusal> {
    let name = wanted(params, "BackupVaultName");
    (state.vaults.get(name))
        .ok_or_else(|| not_found(format!("Backup vault {name} does not exist.")))
}

fn point<'a>(state: &'a State, params: &Value) -> Result<(&'a Vault, &'a Point), Refusal> {
    let vault = vault(state, params)?;
    let arn = wanted(params, "RecoveryPointArn");
    (vault.points.iter().find(|point| point.arn == arn))
        .map(|point| (vault, point))
        .ok_or_else(|| not_found(format!("Recovery point {arn} does not exist.")))
}

fn list_vaults(state: &State, params: &Value) -> Answer {
    let shared = super::ask::flag(params, "ByShared") == Some(true);
    let other = text(params, "ByVaultType").is_some_and(|kind| kind != "BACKUP_VAULT");
    let all = match shared || other {
        true => Vec::new(),
        false => state.vaults.values().map(Vault::describe).collect(),
    };
    let (vaults, next) = paged(all, params)?;
    Ok(present(
        json!({"BackupVaultList": vaults, "NextToken": next}),
    ))
}

fn paged(all: Vec<Value>, params: &Value) -> Result<(Vec<Value>, Option<String>), Refusal> {
    page(
        all,
        text(params, "NextToken"),
        number(params, "MaxResults"),
        100,
        "InvalidParameterValueException",
    )
}

fn access_policy(state: &State, params: &Value) -> Answer {
    let vault = vault(state, params)?;
    match &vault.policy {
        Some(policy) => Ok(json!({
            "BackupVaultName": vault.name,
            "BackupVaultArn": vault.arn,
            "Policy": policy,
        })),
        None => Err(not_found("The vault has no access policy.")),
    }
}

fn tags_of<'a>(state: &'a mut State, arn: &str) -> Result<&'a mut super::ask::Tags, Refusal> {
    for vault in state.vaults.values_mut() {
        if vault.arn == arn {
            return Ok(&mut vault.tags);
        }
        if let Some(point) = vault.points.iter_mut().find(|point| point.arn == arn) {
            return Ok(&mut point.tags);
        }
    }
    Err(not_found(format!("{arn} does not exist.")))
}

fn list_points(state: &State, params: &Value) -> Answer {
    let vault = vault(state, params)?;
    let by_resource = text(params, "ByResourceArn");
    let by_kind = text(params, "ByResourceType");
    let before = number(params, "ByCreatedBefore");
    let after = number(params, "ByCreatedAfter");
    // Nothing here comes from a plan, and nothing is nested.
    let none = text(params, "ByBackupPlanId").is_some()
        || text(params, "ByParentRecoveryPointArn").is_some();
    let all = (vault.points.iter())
        .filter(|_| !none)
        .filter(|p| by_resource.is_none_or(|arn| p.resource == arn))
        .filter(|p| by_kind.is_none_or(|kind| p.kind == kind))
        .filter(|p| before.is_none_or(|time| p.created < time))
        .filter(|p| after.is_none_or(|time| p.created > time))
        .map(|p| p.describe(vault))
        .collect();
    let (points, next) = paged(all, params)?;
    Ok(present(
        json!({"RecoveryPoints": points, "NextToken": next}),
    ))
}

fn describe_point(state: &State, call: &Call) -> Answer {
    let (vault, point) = point(state, &call.params)?;
    let mut out = point.describe(vault);
    let cold = point.cold_at.is_some_and(|time| time <= call.now);
    out["StorageClass"] = json!(if cold { "COLD" } else { "WARM" });
    Ok(out)
}

/// The newest point of each resource.
fn newest(state: &State) -> Vec<(&Vault, &Point)> {
    let mut newest: Vec<(&Vault, &Point)> = Vec::new();
    for (vault, point) in state.points() {
        match newest
            .iter_mut()
            .find(|(_, p)| p.resource == point.resource)
        {
            Some(known) if known.1.created < point.created => *known = (vault, point),
            Some(_) => {}
            None => newest.push((vault, point)),
        }
    }
    newest
}

fn protected_resource(vault: &Vault, point: &Point) -> Value {
    json!({
        "ResourceArn": point.resource,
        "ResourceType": point.kind,
        "LastBackupTime": ms(point.created),
        "LastBackupVaultArn": vault.arn,
        "LastRecoveryPointArn": point.arn,
    })
}

fn protected(state: &State, params: &Value) -> Answer {
    let all = (newest(state).into_iter())
        .map(|(vault, point)| protected_resource(vault, point))
        .collect();
    let (results, next) = paged(all, params)?;
    Ok(present(json!({"Results": results, "NextToken": next})))
}

fn describe_protected(state: &State, params: &Value) -> Answer {
    let arn = wanted(params, "ResourceArn");
    (newest(state).into_iter())
        .find(|(_, point)| point.resource == arn)
        .map(|(vault, point)| protected_resource(vault, point))
        .ok_or_else(|| not_found(format!("{arn} is not protected.")))
}

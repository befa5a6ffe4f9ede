//! Restore jobs: started, described, listed, and what validation said.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::super::ask::{flag, number, present, text, uuid, wanted};
use super::super::script::JobTrouble;
use super::super::world::{Answer, Call, Refusal, World};
use super::metadata;
use super::state::{End, Job, Point, State, Used};
use super::{invalid, not_found, paged};

/// Until data flows.
const STARTS_S: f64 = 60.0;
/// MB/s.
const RATE: f64 = 100.0;

pub fn start(world: &mut World, call: &Call) -> Answer {
    let token = text(&call.params, "IdempotencyToken").map(str::to_owned);
    let mut params = call.params.clone();
    if let Some(map) = params.as_object_mut() {
        map.remove("IdempotencyToken");
    }
    if let Some(token) = &token
        && let Some(used) = world.region(call).backup.tokens.get(token)
    {
        return match &used.job {
            _ if used.params != params => Err(Refusal::new(
                400,
                "InvalidRequestException",
                "The idempotency token was used with other parameters.",
            )),
            Some(job) => Ok(json!({"RestoreJobId": job})),
            None => Err(invalid(
                "The idempotency token was used by a request that was refused.",
            )),
        };
    }
    let begun = begin(world, call);
    let job = match &begun {
        Ok(job) => Some(job.id.clone()),
        // Only metadata that was looked at uses the token up.
        Err((_, looked_at)) if !looked_at => None,
        Err(_) => None,
    };
    let uses_up = match &begun {
        Ok(_) => true,
        Err((_, looked_at)) => *looked_at,
    };
    let state = &mut world.region(call).backup;
    if let Some(token) = token.filter(|_| uses_up) {
        state.tokens.insert(token, Used { params, job });
    }
    let job = begun.map_err(|(refusal, _)| refusal)?;
    let id = job.id.clone();
    state.jobs.push(job);
    Ok(json!({"RestoreJobId": id}))
}

/// The job, or why not, and whether the metadata was looked at.
fn begin(world: &mut World, call: &Call) -> Result<Job, (Refusal, bool)> {
    let early = |refusal: Refusal| (refusal, false);
    let params = &call.params;
    let arn = wanted(params, "RecoveryPointArn");
    let role = text(params, "IamRoleArn").ok_or_else(|| {
        let message = "IamRoleArn is required to restore this recovery point.";
        early(Refusal::new(400, "MissingParameterValueException", message))
    })?;
    if !is_role(role) {
        return Err(early(invalid(format!("Invalid role ARN: {role}"))));
    }
    let state = &mut world.region(call).backup;
    let (vault_arn, point) = (state.points())
        .find(|(_, point)| point.arn == arn)
        .map(|(vault, point)| (vault.arn.clone(), point.clone()))
        .ok_or_else(|| early(not_found(format!("Recovery point {arn} does not exist."))))?;
    if !matches!(point.status.as_str(), "COMPLETED" | "AVAILABLE") {
        let message = format!("The recovery point's status is {}.", point.status);
        return Err(early(Refusal::new(400, "InvalidRequestException", message)));
    }
    if let Some(kind) = text(params, "ResourceType")
        && kind != point.kind
    {
        let message = format!("The recovery point is of {}, not {kind}.", point.kind);
        return Err(early(invalid(message)));
    }
    let metadata: BTreeMap<String, String> = super::tag_map(params.get("Metadata"));
    metadata::check(&point, &metadata).map_err(|why| (invalid(why), true))?;

    let trouble = (world.script.jobs.get(&point.resource))
        .or_else(|| world.script.jobs.get("*"))
        .cloned()
        .unwrap_or_default();
    let copies_tags = flag(params, "CopySourceTagsToRestoredResource") == Some(true);
    let mut job = Job {
        id: uuid(world),
        account: call.account.clone(),
        region: call.region.clone(),
        vault_arn,
        role: role.to_owned(),
        metadata,
        created: call.now,
        message: trouble.message.clone(),
        late_arn_s: trouble.late_arn_s,
        empty: trouble.empty,
        point,
        ..Job::default()
    };
    time(world, &trouble, &mut job);
    if trouble.stuck {
        job.end = End::Never;
    } else if let Some(why) = &trouble.fails {
        fail_at(&mut job, trouble.fails_at.unwrap_or(0.5), why);
    } else if !role.contains(&format!("::{}:", call.account)) {
        fail_at(&mut job, 0.0, "IAM Role cannot be assumed by AWS Backup.");
    } else if copies_tags && matches!(job.point.kind.as_str(), "S3" | "DynamoDB") {
        let why = format!(
            "Copying source tags is not supported for {}.",
            job.point.kind
        );
        fail_at(&mut job, 0.0, &why);
    } else if let Some(why) = metadata::fails(&job.point, &job.metadata) {
        fail_at(&mut job, 0.0, &why);
    }
    Ok(job)
}

fn is_role(arn: &str) -> bool {
    let parts: Vec<&str> = arn.splitn(6, ':').collect();
    matches!(parts[..], ["arn", _, "iam", "", account, role]
        if account.len() == 12 && role.starts_with("role/"))
}

/// How long it takes, by the script or by size.
fn time(world: &World, trouble: &JobTrouble, job: &mut Job) {
    let script = &world.script;
    let mut starts = script.job_start_s.unwrap_or(STARTS_S);
    let megabytes = job.point.size as f64 / 1e6;
    let mut all = starts + megabytes / script.rate_mb_s.unwrap_or(RATE).max(1e-9);
    if let Some(takes) = trouble.takes_s {
        all = takes;
        starts = starts.min(takes / 4.0);
    }
    job.flows = job.created + starts;
    job.ends = job.created + all;
}

fn fail_at(job: &mut Job, share: f64, why: &str) {
    let share = share.clamp(0.0, 1.0);
    // No job fails in the instant in which it was started.
    job.ends = job.created + ((job.ends - job.created) * share).max(10.0);
    job.end = End::Fails(why.to_owned());
}

fn job<'a>(state: &'a State, params: &Value) -> Result<&'a Job, Refusal> {
    let id = wanted(params, "RestoreJobId");
    (state.jobs.iter().find(|job| job.id == id))
        .ok_or_else(|| not_found(format!("Restore job {id} does not exist.")))
}

pub fn describe(state: &State, call: &Call) -> Answer {
    Ok(job(state, &call.params)?.describe(call.now))
}

pub fn metadata_of(state: &State, call: &Call) -> Answer {
    let job = job(state, &call.params)?;
    Ok(json!({"RestoreJobId": job.id, "Metadata": job.metadata}))
}

pub fn list(state: &State, call: &Call) -> Answer {
    let params = &call.params;
    let fits = |name: &str, is: &str| text(params, name).is_none_or(|wish| wish == is);
    let before = |name: &str, is: f64| number(params, name).is_none_or(|time| is < time);
    let after = |name: &str, is: f64| number(params, name).is_none_or(|time| is > time);
    let none = text(params, "ByRestoreTestingPlanArn").is_some()
        || text(params, "ByParentJobId").is_some();
    let by_end =
        number(params, "ByCompleteBefore").is_some() || number(params, "ByCompleteAfter").is_some();
    let all = (state.jobs.iter().rev())
        .filter(|_| !none)
        .filter(|job| {
            let status = job.status(call.now);
            let over = matches!(status, "COMPLETED" | "FAILED");
            fits("ByAccountId", &job.account)
                && fits("ByResourceType", &job.point.kind)
                && fits("ByStatus", status)
                && before("ByCreatedBefore", job.created)
                && after("ByCreatedAfter", job.created)
                && (!by_end || over)
                && before("ByCompleteBefore", job.ends)
                && after("ByCompleteAfter", job.ends)
        })
        .map(|job| job.describe(call.now))
        .collect();
    let (jobs, next) = paged(all, params)?;
    Ok(present(json!({"RestoreJobs": jobs, "NextToken": next})))
}

/// It can be said once, of a job that has come to its end.
pub fn validate(state: &mut State, call: &Call) -> Answer {
    let params = &call.params;
    job(state, params)?;
    let id = wanted(params, "RestoreJobId");
    let refuse = |why: &str| Err(Refusal::new(400, "InvalidRequestException", why));
    for job in state.jobs.iter_mut().filter(|job| job.id == id) {
        if job.status(call.now) != "COMPLETED" {
            return refuse("The restore job is not COMPLETED.");
        }
        if job.validation.is_some() {
            return refuse("The restore job has a validation result already.");
        }
        job.validation = Some((
            wanted(params, "ValidationStatus").to_owned(),
            text(params, "ValidationStatusMessage").map(str::to_owned),
        ));
    }
    Ok(json!({}))
}

/// For `make`: the point that a job restores, as it stands in the vault.
pub fn restored(state: &mut State, point: &Point, when: f64) {
    for vault in state.vaults.values_mut() {
        for one in vault.points.iter_mut().filter(|one| one.arn == point.arn) {
            one.last_restore = Some(when);
        }
    }
}

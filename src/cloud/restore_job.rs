//! A restore job of AWS Backup: started once for an attempt, watched to its end, and found again
//! when its id was never written down.

use std::collections::BTreeMap;
use std::time::Duration;

use aws_sdk_backup::operation::describe_restore_job::DescribeRestoreJobOutput;
use aws_sdk_backup::types::{RestoreJobStatus, RestoreJobsListMember};
use tokio::sync::Mutex;

use super::client::Clients;
use super::created;
use super::fault::{Fault, FaultKind, classify_status_message};
use super::make::{Label, said};
use super::metadata::Metadata;
use super::names::{Kind, restore_token};
use super::poll::{Asked, Schedule, until};
use super::provider::{Inner, Work};
use super::state::Point;
use crate::drill::provider::StepError;
use crate::shell::clean;

/// How long after COMPLETED the created thing's ARN may still be missing.
const LATE: Duration = Duration::from_secs(10 * 60);
/// How long tagging is tried.
const TAGGING: Duration = Duration::from_secs(3 * 60);

/// What a job that went well has brought.
#[derive(Clone, Debug, Default)]
pub(super) struct Done {
    /// The id of what was created; of things with names, the name.
    pub id: String,
    pub doubts: Vec<String>,
}

pub(super) enum Ran {
    Done(Done),
    /// There is no capacity for the instance type: what was said.
    NoCapacity(String),
}

/// What was written down of what the job creates, as soon as it was seen.
#[derive(Default)]
struct Seen {
    created: Option<(String, String, Label)>,
    tagged: bool,
}

/// The metadata that AWS Backup gives for a recovery point.
pub(super) async fn given(work: &Work<'_>, point: &Point) -> Result<Metadata, StepError> {
    let what = "asking for the recovery point's restore metadata";
    let vault = &work.inner.scratch.vault;
    let asked = work.send(what, false, || async {
        let call = work.clients.backup.get_recovery_point_restore_metadata();
        let call = call.backup_vault_name(vault).recovery_point_arn(&point.arn);
        match call.send().await {
            Ok(answer) => {
                let given = answer.restore_metadata.unwrap_or_default();
                Ok(given.into_iter().collect())
            }
            Err(error) => {
                let raw = error.raw_response().filter(|raw| raw.status().is_success());
                let read = raw.and_then(|raw| with_nulls(raw.body().bytes()?));
                read.ok_or_else(|| Fault::of(what, error))
            }
        }
    });
    Ok(asked.await?)
}

/// The service answers `null` for some values (a volume's zone), which its own model does not allow
/// and the SDK refuses: then the answer is read here. Pure.
fn with_nulls(body: &[u8]) -> Option<Metadata> {
    #[derive(serde::Deserialize)]
    struct Answer {
        #[serde(rename = "RestoreMetadata")]
        metadata: BTreeMap<String, Option<String>>,
    }
    let answer: Answer = serde_json::from_slice(body).ok()?;
    let all = answer.metadata.into_iter();
    Some(all.filter_map(|(key, value)| Some((key, value?))).collect())
}

/// What stands in the ledger as a job's name. Pure.
pub(super) fn entry_name(name: &str, point: &str) -> String {
    format!("{name} of {point}")
}

/// Name and recovery point out of such a name. Pure.
pub(super) fn of_entry(entry: &str) -> Option<(&str, &str)> {
    entry.split_once(" of ")
}

/// Restores, and waits until the job has ended. Not more of them at once than the document allows.
pub(super) async fn run(
    work: &Work<'_>,
    point: &Point,
    metadata: &Metadata,
) -> Result<Ran, StepError> {
    let _permit = (work.inner.restores.acquire().await)
        .map_err(|_| StepError::new("waiting for a free restore job: the drill is ending"))?;
    let name = work.name();
    let label = work.intend(Kind::RestoreJob, &entry_name(&name, &point.arn))?;
    let job = match start(work, point, metadata).await {
        Ok(job) => job,
        Err(fault) if fault.kind == FaultKind::Capacity || no_capacity(&fault.message) => {
            return Ok(Ran::NoCapacity(fault.message));
        }
        Err(fault) => return Err(fault.into()),
    };
    work.made(&label, &job)?;
    (work.inner).know(&work.step().step, |known| {
        known.restore_job = Some(job.clone());
    });
    let seen = Mutex::new(Seen::default());
    let wrong = std::sync::Mutex::new(None);
    let what = "waiting for the restore job";
    let watched = work.until(Schedule::LONG, what, true, || async {
        let answer = describe(work.clients, &job).await?;
        progress(work, point, &answer);
        if let Some(arn) = answer.created_resource_arn()
            && let Err(error) = notice(work, &seen, arn).await
        {
            *wrong
                .lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner) = Some(error);
            return Ok(Asked::Ready(answer));
        }
        match is_over(answer.status()) {
            true => Ok(Asked::Ready(answer)),
            false => Ok(Asked::Wait(percent(answer.percent_done()))),
        }
    });
    let answer = watched.await?;
    if let Some(error) = wrong.into_inner().unwrap_or(None) {
        return Err(error);
    }
    if answer.status() != Some(&RestoreJobStatus::Completed) {
        let message = answer.status_message().unwrap_or_default();
        if no_capacity(message) {
            return Ok(Ran::NoCapacity(clean(message, 300)));
        }
        let advice = classify_status_message(message).advice();
        return Err(StepError::new(format!(
            "restore job {}: it ended as {}: {}; {advice}",
            clean(&job, 60),
            answer.status().map_or("unknown", RestoreJobStatus::as_str),
            advised(answer.status_message()),
        )));
    }
    completed(work, &job, answer, seen).await.map(Ran::Done)
}

async fn start(work: &Work<'_>, point: &Point, metadata: &Metadata) -> Result<String, Fault> {
    let what = "starting the restore job";
    let context = work.context;
    let token = restore_token(
        &context.drill.run,
        &context.step.step,
        context.attempt,
        metadata,
    );
    let map: std::collections::HashMap<String, String> = (metadata.iter())
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    let role = &work.inner.scratch.restore_role;
    // The token makes it one job, however often it is sent. Source tags are never copied: for S3
    // and DynamoDB that fails the job.
    let start = || async {
        let call = work.clients.backup.start_restore_job();
        let call = call.recovery_point_arn(&point.arn).iam_role_arn(role);
        let call = call.idempotency_token(&token);
        let call = call.resource_type(&point.resource_type);
        let answer = call.set_metadata(Some(map.clone())).send().await;
        let answer = answer.map_err(|e| Fault::of(what, e))?;
        super::make::present(what, "job id", answer.restore_job_id)
    };
    work.send(what, false, start).await
}

/// COMPLETED is where the looking begins.
async fn completed(
    work: &Work<'_>,
    job: &str,
    answer: DescribeRestoreJobOutput,
    seen: Mutex<Seen>,
) -> Result<Done, StepError> {
    let mut doubts = Vec::new();
    if let Some(message) = answer.status_message().filter(|m| is_doubtful(m)) {
        doubts.push(format!(
            "the restore job is COMPLETED, and says: {}",
            advised(Some(message))
        ));
    }
    if seen.lock().await.created.is_none() {
        let what = "waiting for what the restore job has created";
        let late = until(
            work.clients.pace,
            Schedule::QUICK,
            LATE,
            what,
            true,
            || async {
                let answer = describe(work.clients, job).await?;
                Ok(answer
                    .created_resource_arn
                    .map_or(Asked::Wait(None), Asked::Ready))
            },
        );
        match late.await {
            Ok(arn) => notice(work, &seen, &arn).await?,
            Err(fault) => {
                return Err(StepError::new(format!(
                    "restore job {}: it is COMPLETED, yet it names nothing that it has created \
                     ({fault})",
                    clean(job, 60)
                )));
            }
        }
    }
    let seen = seen.into_inner();
    let Some((arn, id, label)) = seen.created else {
        return Err(StepError::new("the restore job has created nothing"));
    };
    if !seen.tagged {
        let kind = created::expected(work)?;
        let what = "tagging what was restored";
        let tagged = until(
            work.clients.pace,
            Schedule::QUICK,
            TAGGING,
            what,
            true,
            || async {
                created::tag(work.clients, kind, &id, &arn, &label).await?;
                Ok(Asked::Ready(()))
            },
        );
        if let Err(fault) = tagged.await {
            doubts.push(format!(
                "what was restored bears no tag of the drill: {fault}"
            ));
        }
    }
    Ok(Done { id, doubts })
}

/// The thing's ARN was seen: into the ledger, and tagged if that goes already.
async fn notice(work: &Work<'_>, seen: &Mutex<Seen>, arn: &str) -> Result<(), StepError> {
    let mut seen = seen.lock().await;
    if seen.created.is_some() {
        return Ok(());
    }
    let kind = created::expected(work)?;
    let found = created::parse(arn).filter(|(found, _)| *found == kind);
    let id = match found {
        Some((_, id)) if created::is_ours(kind, &id, &work.name()) => id,
        _ => {
            return Err(StepError::new(format!(
                "the restore job says that it has created {}, which is not what was asked for: look \
                 at it by hand",
                clean(arn, 200)
            )));
        }
    };
    let label = created::note(work, kind, &id)?;
    // Many kinds take tags only when they are done: then it is tried again.
    seen.tagged = created::tag(work.clients, kind, &id, arn, &label)
        .await
        .is_ok();
    seen.created = Some((arn.to_owned(), id, label));
    Ok(())
}

pub(super) async fn describe(
    clients: &Clients,
    job: &str,
) -> Result<DescribeRestoreJobOutput, Fault> {
    let call = clients.backup.describe_restore_job().restore_job_id(job);
    let answer = call.send().await;
    answer.map_err(|e| Fault::of("asking for the restore job", e))
}

/// No cancelling is known: it runs to its end, or the service's deadline is over.
pub(super) fn is_over(status: Option<&RestoreJobStatus>) -> bool {
    matches!(
        status,
        Some(RestoreJobStatus::Completed | RestoreJobStatus::Failed | RestoreJobStatus::Aborted)
    )
}

/// `42.00%` → 0.42. Pure.
pub(super) fn percent(text: Option<&str>) -> Option<f64> {
    let number = text?.trim().trim_end_matches('%').trim();
    let share = number.parse::<f64>().ok()? / 100.0;
    (share.is_finite() && (0.0..=1.0).contains(&share)).then_some(share)
}

fn progress(work: &Work<'_>, point: &Point, answer: &DescribeRestoreJobOutput) {
    use std::sync::atomic::Ordering::Relaxed;
    let said = answer.backup_size_in_bytes().unwrap_or(0);
    let total = u64::try_from(said).unwrap_or(0).max(point.size);
    let share = percent(answer.percent_done()).unwrap_or(0.0);
    // A figure for the eye alone; what counts comes from the service at the end.
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss
    )]
    let done = (total as f64 * share) as u64;
    let progress = &work.context.progress;
    progress.total.store(total, Relaxed);
    progress.sealed.store(done, Relaxed);
    progress.bytes.store(done, Relaxed);
}

/// Whether it says that EC2 has none of this type now, or not in this zone. Pure.
pub(super) fn no_capacity(message: &str) -> bool {
    let low = message.to_ascii_lowercase();
    [
        "insufficientinstancecapacity",
        "insufficient capacity",
        "do not have sufficient",
        "is not supported in your requested availability zone",
    ]
    .iter()
    .any(|words| low.contains(words))
}

/// What a job says, as it says it, and what to do about it. Pure.
fn advised(message: Option<&str>) -> String {
    match message.filter(|text| !text.trim().is_empty()) {
        Some(text) => format!(
            "{} ({})",
            clean(text, 200),
            classify_status_message(text).advice()
        ),
        None => said(None),
    }
}

/// A message at a COMPLETED job that is no mere good news. Pure.
fn is_doubtful(message: &str) -> bool {
    let low = message.trim().to_ascii_lowercase();
    let bad = [
        "fail", "denied", "skip", "partial", "error", "not ", "unable", "some ",
    ];
    !low.is_empty() && (!low.contains("success") || bad.iter().any(|word| low.contains(word)))
}

/// Jobs that may be the one whose id was never written down. `since`: none from before.
pub(super) async fn find(
    inner: &Inner,
    clients: &Clients,
    entry: &str,
    since: Option<i64>,
) -> Result<Vec<String>, Fault> {
    let what = "looking for a restore job";
    let Some((name, point)) = of_entry(entry) else {
        return Ok(Vec::new());
    };
    let since = since.map(aws_smithy_types::DateTime::from_millis);
    let call = clients.backup.list_restore_jobs();
    let mut pages = call.set_by_created_after(since).into_paginator().send();
    let mut found = Vec::new();
    while let Some(page) = pages.next().await {
        let page = page.map_err(|e| Fault::of(what, e))?;
        for job in page.restore_jobs() {
            if let Some(id) = may_be(job, point, &inner.scratch.restore_role)
                && bears(clients, id, name).await?
            {
                found.push(id.to_owned());
            }
        }
    }
    Ok(found)
}

/// Of this recovery point, with this role. Pure.
fn may_be<'j>(job: &'j RestoreJobsListMember, point: &str, role: &str) -> Option<&'j str> {
    let same = job.recovery_point_arn() == Some(point);
    // Where the list leaves the role out, the metadata decides.
    let ours = job.iam_role_arn().is_none_or(|of| of == role);
    (same && ours).then(|| job.restore_job_id()).flatten()
}

/// Whether the job was told this name. A volume and an instance are told none: there it is enough
/// that the recovery point, the role and the time fit, and what was created is looked at again
/// before it is destroyed.
async fn bears(clients: &Clients, job: &str, name: &str) -> Result<bool, Fault> {
    let what = "asking what a restore job was told";
    let call = clients.backup.get_restore_job_metadata();
    let answer = call.restore_job_id(job).send().await;
    let metadata = answer.map_err(|e| Fault::of(what, e))?.metadata;
    let metadata: BTreeMap<String, String> = metadata.unwrap_or_default().into_iter().collect();
    Ok(fits(&metadata, name))
}

/// Pure.
fn fits(metadata: &Metadata, name: &str) -> bool {
    const NAMES: [&str; 5] = [
        "DBInstanceIdentifier",
        "DBClusterIdentifier",
        "DestinationBucketName",
        "targetTableName",
        "CreationToken",
    ];
    let named = metadata
        .iter()
        .find(|(key, _)| NAMES.iter().any(|known| known.eq_ignore_ascii_case(key)));
    named.is_none_or(|(_, value)| value == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_read_out_of_text() {
        assert_eq!(percent(Some("42.00%")), Some(0.42));
        assert_eq!(percent(Some("100")), Some(1.0));
        for none in ["", "soon", "-1%", "1000%", "NaN"] {
            assert_eq!(percent(Some(none)), None, "{none}");
        }
        assert_eq!(percent(None), None);
    }

    #[test]
    fn an_answer_with_nulls_is_read_all_the_same() {
        let body = br#"{"BackupVaultArn":"x","RestoreMetadata":{"availabilityZone":null,"volumeSize":"8"}}"#;
        let read = with_nulls(body).unwrap();
        assert_eq!(
            read,
            Metadata::from([("volumeSize".to_owned(), "8".to_owned())])
        );
        assert_eq!(with_nulls(b"{}"), None);
        assert_eq!(with_nulls(b"no JSON"), None);
    }

    #[test]
    fn capacity_is_told_from_other_failures() {
        assert!(no_capacity(
            "Server.InsufficientInstanceCapacity: none left"
        ));
        assert!(no_capacity(
            "Your requested instance type (m7g.large) is not supported in your requested \
             Availability Zone (eu-central-1c)."
        ));
        assert!(no_capacity(
            "We currently do not have sufficient m7g.large capacity"
        ));
        assert!(!no_capacity("Access denied to KMS key."));
    }

    #[test]
    fn a_completed_job_with_a_message_is_doubted_unless_it_is_good_news() {
        assert!(!is_doubtful(""));
        assert!(!is_doubtful("Restore completed successfully"));
        assert!(is_doubtful(
            "Some objects were restored successfully, 3 failed"
        ));
        assert!(is_doubtful("The following objects could not be restored"));
    }

    #[test]
    fn a_ledgers_name_says_what_the_job_restores() {
        let name = entry_name(
            "seawall-run-db-1-abcdef",
            "arn:aws:backup:r:1:recovery-point:x",
        );
        let expected = (
            "seawall-run-db-1-abcdef",
            "arn:aws:backup:r:1:recovery-point:x",
        );
        assert_eq!(of_entry(&name), Some(expected));
    }

    #[test]
    fn a_job_with_another_name_is_not_ours() {
        let map = |key: &str, value: &str| Metadata::from([(key.to_owned(), value.to_owned())]);
        assert!(fits(&map("TargetTableName", "ours"), "ours"));
        assert!(!fits(&map("targetTableName", "theirs"), "ours"));
        assert!(fits(&map("availabilityZone", "a"), "ours"));
    }

    #[test]
    fn another_recovery_point_or_role_is_another_job() {
        let job = |point: &str, role: Option<&str>| {
            RestoreJobsListMember::builder()
                .restore_job_id("job")
                .recovery_point_arn(point)
                .set_iam_role_arn(role.map(str::to_owned))
                .build()
        };
        assert_eq!(may_be(&job("p", Some("r")), "p", "r"), Some("job"));
        assert_eq!(may_be(&job("p", None), "p", "r"), Some("job"));
        assert_eq!(may_be(&job("q", Some("r")), "p", "r"), None);
        assert_eq!(may_be(&job("p", Some("s")), "p", "r"), None);
    }
}

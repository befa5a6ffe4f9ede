//! Recovery points in the scratch region's vault, and which one a step takes.
//!
//! `choose` decides and is pure; `learn` finds out of which time the data is.

use std::time::Duration;

use jiff::Timestamp;

use super::client::Clients;
use super::fault::Fault;
use super::poll::persist;
use super::provider::Work;
use super::state::Point;
use crate::document::drill::aws::AwsRestore;
use crate::drill::provider::{PhaseDone, StepError};
use crate::journal::PointNote;
use crate::shell::clean;

pub mod choose;
mod learn;

use choose::{Candidate, choose, is_from_elsewhere, is_settled};

/// A year of hourly points is 8760; more of one resource are not looked at.
const MOST: usize = 10_000;
/// A list that goes on without anything in it is not read for ever.
const PAGES: usize = 1000;
/// So many points are asked about at once: the newest copies nearly always hold the newest data.
const CHUNK: usize = 5;
/// How long a service that answers with its own faults is waited for.
const PATIENCE: Duration = Duration::from_secs(20 * 60);

/// A point that was found, and what is to be said with it.
#[derive(Clone, Debug, PartialEq)]
pub struct Found {
    pub point: Point,
    pub key: Option<String>,
    /// Which clock the data's time is of, or why it is not known.
    pub clock: String,
}

/// Finds the step's recovery point, writes it down (`PhaseDone::point`, `Recovered::point`).
pub(super) async fn locate(work: &Work<'_>) -> Result<PhaseDone, StepError> {
    let aws = work.aws()?;
    let random = &*work.inner.setup.random;
    let vault = &work.inner.scratch.vault;
    let disaster = work.context.drill.disaster;
    let found = find(work.clients, vault, aws, disaster, random).await?;
    let point = found.point.clone();
    work.inner.know(&work.step().step, |recovered| {
        recovered.point = Some(found.point);
    });
    Ok(PhaseDone {
        detail: Some(format!("{}; {}", point.note.how, found.clock)),
        point: Some(point.note),
        ..PhaseDone::default()
    })
}

/// The recovery point that a step takes.
///
/// # Errors
/// Why there is none, or what AWS said.
pub async fn find(
    clients: &Clients,
    vault: &str,
    aws: &AwsRestore,
    disaster: Timestamp,
    random: &(dyn Fn(usize) -> usize + Send + Sync),
) -> Result<Found, StepError> {
    let Some(resource) = &aws.resource else {
        return Err(StepError::new("the step names no `resource`"));
    };
    let mut points = list(clients, vault, resource).await?;
    // Newest first; one whose time is not recorded comes last.
    points.sort_by(|a, b| (b.created, &b.arn).cmp(&(a.created, &a.arn)));
    let mut known = 0;
    let chosen = loop {
        let named = points.iter().position(|p| p.arn == aws.pick);
        let next = match (aws.pick.as_str(), named) {
            ("latest" | "random", _) => known..(known + CHUNK).min(points.len()),
            (_, Some(index)) => index..index + 1,
            (_, None) => 0..0,
        };
        known = next.end;
        if let Some(chunk) = points.get_mut(next) {
            ask(clients, chunk).await?;
        }
        let chosen = choose(&points, &aws.pick, disaster, random);
        let rest = points.get(known).and_then(|p| p.created);
        let is_over = match &chosen {
            // What is drawn or named is asked about by itself, below.
            _ if aws.pick != "latest" || known >= points.len() => true,
            Ok(chosen) => (points.get(chosen.index))
                .is_some_and(|point| point.learned.is_some() && is_settled(point, rest)),
            Err(_) => false,
        };
        if is_over {
            break chosen;
        }
    };
    let chosen = chosen.map_err(|why| {
        let resource = clean(resource, 200);
        StepError::new(format!(
            "looking for a recovery point of {resource} in {vault}: {why}"
        ))
    })?;
    if let Some(one) = points.get_mut(chosen.index..=chosen.index) {
        ask(clients, one).await?;
    }
    let Some(point) = points.get(chosen.index) else {
        return Err(StepError::new("the recovery point that was picked is gone"));
    };
    if let Some(data) = point.data_time()
        && data > disaster
    {
        return Err(StepError::new(format!(
            "{} is of {data}, after the disaster",
            clean(&point.arn, 200)
        )));
    }
    Ok(found(point, vault, &clients.region, &chosen.how))
}

async fn ask(clients: &Clients, points: &mut [Candidate]) -> Result<(), Fault> {
    let asked = points.to_vec();
    let learned = persist(
        clients.pace,
        PATIENCE,
        "asking about recovery points",
        || {
            let mut points = asked.clone();
            async move {
                learn::learn(clients, &mut points).await?;
                Ok(points)
            }
        },
    )
    .await?;
    points.clone_from_slice(&learned);
    Ok(())
}

/// All points of a resource in a vault.
async fn list(clients: &Clients, vault: &str, resource: &str) -> Result<Vec<Candidate>, Fault> {
    let what = format!(
        "listing recovery points of {} in {}",
        clean(resource, 200),
        clean(vault, 80)
    );
    let mut points = Vec::new();
    let mut token: Option<String> = None;
    for _ in 0..PAGES {
        let page = persist(clients.pace, PATIENCE, &what, || {
            let request = (clients.backup.list_recovery_points_by_backup_vault())
                .backup_vault_name(vault)
                .by_resource_arn(resource)
                .set_next_token(token.clone());
            async { request.send().await.map_err(|e| Fault::of(&what, e)) }
        })
        .await?;
        for one in page.recovery_points() {
            // The filter is the service's; that it is of this resource is ours to see.
            if one.resource_arn() != Some(resource) {
                continue;
            }
            points.push(Candidate {
                arn: one.recovery_point_arn().unwrap_or_default().to_owned(),
                resource_type: one.resource_type().unwrap_or_default().to_owned(),
                resource: resource.to_owned(),
                status: one.status().map_or("(none)", |s| s.as_str()).to_owned(),
                created: learn::time(one.creation_date()),
                copied: one.source_backup_vault_arn().is_some()
                    || is_from_elsewhere(resource, &clients.region),
                size: one
                    .backup_size_in_bytes()
                    .map_or(0, |s| s.max(0).unsigned_abs()),
                encrypted: Some(one.is_encrypted()),
                key: one.encryption_key_arn().map(str::to_owned),
                learned: None,
            });
        }
        token = page
            .next_token()
            .filter(|t| !t.is_empty())
            .map(str::to_owned);
        if token.is_none() || points.len() >= MOST {
            break;
        }
    }
    Ok(points)
}

/// What is written down of a point.
fn found(point: &Candidate, vault: &str, region: &str, how: &str) -> Found {
    let learned = point.learned.clone().unwrap_or_default();
    let clock = match (&learned.data, &learned.note) {
        (Some((_, clock)), None) => format!("data time by {clock}"),
        (Some((_, clock)), Some(note)) => format!("data time by {clock}; {note}"),
        (None, Some(note)) => format!("the data's time is not known: {note}"),
        (None, None) => "the data's time is not known".to_owned(),
    };
    let encrypted = match (point.encrypted, &point.key) {
        (Some(true), Some(key)) => format!("encrypted with {}", clean(key, 120)),
        (Some(true), None) => "encrypted".to_owned(),
        (Some(false), _) => "not encrypted".to_owned(),
        (None, _) => "whether it is encrypted is not recorded".to_owned(),
    };
    let note = PointNote {
        source: clean(&point.resource, 300),
        name: clean(&point.arn, 300),
        store: clean(vault, 80),
        place: clean(region, 40),
        data_time: learned.data.map(|(at, _)| at.to_string()),
        copy_time: point.created.map(|at| format!("{at:.0}")),
        size: point.size,
        sha256: None,
        // Nobody signs recovery points: the vault's own guard is what there is.
        signed: false,
        vouched: learned.data.map(|(_, clock)| clock.to_owned()),
        how: format!("{how}; {encrypted}"),
        files: None,
        bytes: (point.size > 0).then_some(point.size),
    };
    Found {
        key: point.key.clone(),
        clock: clean(&clock, 400),
        point: Point {
            arn: point.arn.clone(),
            resource_type: point.resource_type.clone(),
            size: point.size,
            source_id: learn::source_id(&point.arn),
            note,
        },
    }
}

#[cfg(test)]
mod tests;

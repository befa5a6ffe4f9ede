//! An instance that AWS Backup restores, and what comes with it.

use std::time::Duration;

use aws_sdk_ec2::types::Instance as Ec2Instance;

use super::{none_left, take, types, until_running, volumes};
use crate::cloud::client::Clients;
use crate::cloud::created;
use crate::cloud::fault::Fault;
use crate::cloud::find::filter;
use crate::cloud::metadata::{self, Wanted};
use crate::cloud::names::Kind;
use crate::cloud::poll::{Asked, Schedule, until};
use crate::cloud::provider::Work;
use crate::cloud::restore_job::{self, Ran};
use crate::cloud::state::{Network, Point};
use crate::cloud::teardown::noted_name;
use crate::document::drill::aws::ToInstance;
use crate::drill::provider::{PhaseDone, StepError};
use crate::model::drill::Milestone;

/// Restores an instance, and waits until it runs.
pub(in crate::cloud) async fn restore(
    work: &Work<'_>,
    wanted: &ToInstance,
    point: &Point,
    network: &Network,
) -> Result<PhaseDone, StepError> {
    let given = restore_job::given(work, point).await?;
    let types = types(&wanted.kind, &wanted.substitutes);
    let mut why = String::new();
    for kind in &types {
        let name = work.name();
        let metadata = metadata::of(
            &Wanted {
                aws: work.aws()?,
                point,
                name: &name,
                network,
                kms_key: work.inner.scratch.kms_key.as_deref(),
                instance_type: kind,
                lost: &work.inner.setup.drill.lost.regions,
            },
            &given,
        )
        .map_err(StepError::new)?;
        let done = match restore_job::run(work, point, &metadata).await? {
            Ran::Done(done) => done,
            Ran::NoCapacity(said) => {
                why = said;
                continue;
            }
        };
        if *kind != wanted.kind {
            work.substituted(&wanted.kind, kind, &why)?;
        }
        let instance = until_running(work, &done.id).await?;
        let mut doubts = done.doubts;
        own(work, point, &instance, &mut doubts).await?;
        take(work, &instance)?;
        work.reached(
            Milestone::Available,
            "AWS Backup says COMPLETED, and the instance runs",
        )?;
        return Ok(PhaseDone {
            detail: Some(format!("instance {}, {kind}", done.id)),
            doubts,
            ..PhaseDone::default()
        });
    }
    Err(none_left(&types, &why))
}
/// A restored instance brings more with it than itself: its volumes, and often an image and
/// snapshots that it was made through. All of it is written down and tagged, and the instance is
/// told to end when it is shut down.
async fn own(
    work: &Work<'_>,
    point: &Point,
    instance: &Ec2Instance,
    doubts: &mut Vec<String>,
) -> Result<(), StepError> {
    let name = work.name();
    let mut found: Vec<(Kind, String)> = volumes(instance)
        .into_iter()
        .map(|id| (Kind::Volume, id))
        .collect();
    match helpers(work.clients, instance, point.source_id.as_deref()).await {
        Ok(more) => found.extend(more),
        Err(fault) => doubts.push(format!(
            "whether the restore left an image and snapshots is not known: {fault}"
        )),
    }
    for (kind, id) in found {
        let label = work.intend(kind, &noted_name(&name, &id))?;
        work.made(&label, &id)?;
        let what = "tagging what came with the instance";
        let tagged = until(
            work.clients.pace,
            Schedule::QUICK,
            Duration::from_secs(180),
            what,
            true,
            || async {
                created::tag(work.clients, kind, &id, "", &label).await?;
                Ok(Asked::Ready(()))
            },
        );
        if let Err(fault) = tagged.await {
            doubts.push(format!("{id} bears no tag of the drill: {fault}"));
        }
    }
    let id = instance.instance_id().unwrap_or_default();
    let what = "telling the instance to end when it is shut down";
    let set = work.send(what, true, || async {
        let call = work.clients.ec2.modify_instance_attribute().instance_id(id);
        let terminate = aws_sdk_ec2::types::AttributeValue::builder().value("terminate");
        let call = call.instance_initiated_shutdown_behavior(terminate.build());
        call.send().await.map(drop).map_err(|e| Fault::of(what, e))
    });
    if let Err(fault) = set.await {
        doubts.push(format!("the instance does not end by itself: {fault}"));
    }
    Ok(())
}

/// The image that the restore made, with its snapshots; nothing where the instance comes out of the
/// recovery point itself.
pub(in crate::cloud) async fn helpers(
    clients: &Clients,
    instance: &Ec2Instance,
    point: Option<&str>,
) -> Result<Vec<(Kind, String)>, Fault> {
    let Some(image) = instance.image_id().filter(|image| Some(*image) != point) else {
        return Ok(Vec::new());
    };
    // Without knowing the recovery point's own image, nothing may be taken for the restore's.
    let Some(point) = point else {
        return Ok(Vec::new());
    };
    let what = "asking for the images of the restore";
    let answer = clients.ec2.describe_images().owners("self");
    let answer = answer.filters(filter("image-id", image));
    let answer = answer.send().await.map_err(|e| Fault::of(what, e))?;
    let kept = clients.ec2.describe_images();
    let kept = kept.filters(filter("image-id", point));
    let kept = kept.send().await.map_err(|e| Fault::of(what, e))?;
    let snapshots = |images: &[aws_sdk_ec2::types::Image]| -> Vec<String> {
        let devices = images.iter().flat_map(|i| i.block_device_mappings());
        let snapshots = devices.filter_map(|device| device.ebs()?.snapshot_id());
        snapshots.map(str::to_owned).collect()
    };
    let kept = snapshots(kept.images());
    let mut found = Vec::new();
    for made in answer.images() {
        // What AWS Backup keeps under its tag is a recovery point, and not ours to destroy.
        let is_point = made.image_id().is_none()
            || (made.tags().iter()).any(|tag| tag.key() == Some("aws:backup:source-resource"));
        if let Some(id) = made.image_id().filter(|_| !is_point) {
            found.push((Kind::Image, id.to_owned()));
            let theirs = snapshots(std::slice::from_ref(made)).into_iter();
            let theirs = theirs.filter(|id| !kept.contains(id));
            found.extend(theirs.map(|id| (Kind::Snapshot, id)));
        }
    }
    Ok(found)
}

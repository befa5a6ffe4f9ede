//! Instances: restored by AWS Backup, or fresh out of an image; running, then fit to be used, then
//! gone.

use std::time::Duration;

use aws_sdk_ec2::types::{
    BlockDeviceMapping, EbsBlockDevice, HttpTokensState, Instance as Ec2Instance,
    InstanceMetadataEndpointState, InstanceMetadataOptionsRequest, InstanceStateName,
    InstanceStatus, InstanceType, ResourceType, ShutdownBehavior, SummaryStatus, VolumeType,
};
use base64::Engine as _;

use super::client::Clients;
use super::created;
use super::fault::{Fault, FaultKind};
use super::make::{PATIENCE, asks, present};
use super::metadata::{self, Wanted};
use super::names::Kind;
use super::poll::{Asked, Schedule, until};
use super::provider::{Inner, Work};
use super::restore_job::{self, Ran};
use super::state::{Instance, Network, Point};
use super::teardown::noted_name;
use crate::document::drill::Step;
use crate::document::drill::aws::{AwsSsh, FreshInstance, ToInstance};
use crate::drill::provider::{PhaseDone, StepError};
use crate::model::drill::Milestone;
use crate::shell::clean;

/// The types that are tried, in this order. Pure.
pub(super) fn types<'t>(first: &'t str, substitutes: &'t [String]) -> Vec<&'t str> {
    let mut types = vec![first];
    for other in substitutes {
        if !types.contains(&other.as_str()) {
            types.push(other);
        }
    }
    types
}

/// No capacity, and nothing else allowed. Pure.
fn none_left(types: &[&str], why: &str) -> StepError {
    let hint = match types.len() {
        1 => "the document allows no substitutes",
        _ => "nor for any substitute that the document allows",
    };
    StepError::new(format!(
        "making the instance: there is no capacity for {} here; {hint}: {why}",
        types.join(", "),
    ))
}

/// Ends the machine after so many minutes, whatever has become of us: as it is set to terminate
/// when it shuts down, it is gone then. Pure.
pub(super) fn user_data(minutes: u64) -> String {
    let script = format!(
        "#!/bin/sh\n\
         # This machine belongs to a recovery drill, and ends itself.\n\
         systemd-run --unit=seawall-expiry --on-active={minutes}min systemctl poweroff --force ||\n\
         shutdown -P +{minutes}\n"
    );
    base64::engine::general_purpose::STANDARD.encode(script)
}

/// In whole minutes, at least an hour. Pure.
fn minutes(expires: Duration) -> u64 {
    (expires.as_secs() / 60).max(60)
}

/// What EC2 says of an instance; none where it does not know it.
pub(super) async fn describe(clients: &Clients, id: &str) -> Result<Option<Ec2Instance>, Fault> {
    let what = "asking for the instance";
    let answer = clients.ec2.describe_instances().instance_ids(id).send();
    match answer.await.map_err(|e| Fault::of(what, e)) {
        Ok(answer) => {
            let all = answer.reservations.unwrap_or_default();
            let mut all = all
                .into_iter()
                .flat_map(|r| r.instances.unwrap_or_default());
            Ok(all.find(|one| one.instance_id() == Some(id)))
        }
        Err(fault) if fault.kind == FaultKind::NotFound => Ok(None),
        Err(fault) => Err(fault),
    }
}

fn state(instance: &Ec2Instance) -> Option<&InstanceStateName> {
    instance.state().and_then(|state| state.name())
}

/// What it is to us. Pure.
fn known(instance: &Ec2Instance, ssh: Option<&AwsSsh>) -> Option<Instance> {
    let address = |text: Option<&str>| text.and_then(|a| a.parse().ok());
    let private = address(instance.private_ip_address());
    let public = address(instance.public_ip_address());
    Some(Instance {
        id: instance.instance_id()?.to_owned(),
        zone: instance.placement()?.availability_zone()?.to_owned(),
        kind: instance.instance_type()?.as_str().to_owned(),
        address: match ssh.is_some_and(|ssh| ssh.private) {
            true => private,
            false => public.or(private),
        },
    })
}

pub(super) fn ssh(step: &Step) -> Option<&AwsSsh> {
    let aws = step.aws.as_ref()?;
    match (&aws.instance, &aws.fresh) {
        (Some(instance), _) => instance.ssh.as_ref(),
        (None, fresh) => fresh.as_ref().map(|fresh| &fresh.ssh),
    }
}

/// An instance that stopped or ended on its way does not come again.
fn broken(instance: &Ec2Instance) -> Option<Fault> {
    let state = state(instance)?;
    let bad = matches!(
        state,
        InstanceStateName::Terminated
            | InstanceStateName::ShuttingDown
            | InstanceStateName::Stopped
            | InstanceStateName::Stopping
    );
    let why = instance.state_reason().and_then(|r| r.message());
    bad.then(|| {
        let why = clean(why.unwrap_or("no reason given"), 200);
        Fault::ours(
            "waiting for the instance",
            &format!("it is {}: {why}", state.as_str()),
        )
    })
}

async fn until_running(work: &Work<'_>, id: &str) -> Result<Ec2Instance, Fault> {
    let what = "waiting for the instance to run";
    let asked = work.until(Schedule::QUICK, what, true, || async {
        let Some(instance) = describe(work.clients, id).await? else {
            return Ok(Asked::Wait(None));
        };
        if let Some(fault) = broken(&instance) {
            return Err(fault);
        }
        let running = state(&instance) == Some(&InstanceStateName::Running);
        let has_address = known(&instance, None).is_some_and(|one| one.address.is_some());
        Ok(match running && has_address {
            true => Asked::Ready(instance),
            false => Asked::Wait(None),
        })
    });
    asked.await
}

/// Runs a fresh instance, and waits until it runs.
pub(super) async fn run_fresh(
    work: &Work<'_>,
    fresh: &FreshInstance,
    network: &Network,
) -> Result<PhaseDone, StepError> {
    let root = match fresh.disk {
        Some(_) => Some(root_device(work, &fresh.image).await?),
        None => None,
    };
    let types = types(&fresh.kind, &fresh.substitutes);
    let mut why = String::new();
    for kind in &types {
        match run(work, fresh, network, kind, root.as_deref()).await? {
            Ok(id) => {
                if *kind != fresh.kind {
                    work.substituted(&fresh.kind, kind, &why)?;
                }
                let instance = until_running(work, &id).await?;
                take(work, &instance)?;
                work.reached(Milestone::Available, "EC2 says that it runs")?;
                return Ok(PhaseDone {
                    detail: Some(format!("instance {id}, {kind}")),
                    ..PhaseDone::default()
                });
            }
            Err(no_capacity) => why = no_capacity,
        }
    }
    Err(none_left(&types, &why))
}

/// The id, or that there is no capacity for this type.
async fn run(
    work: &Work<'_>,
    fresh: &FreshInstance,
    network: &Network,
    kind: &str,
    root: Option<&str>,
) -> Result<Result<String, String>, StepError> {
    let what = "running the instance";
    let label = work.intend(Kind::Instance, &work.name())?;
    let expires = minutes(work.inner.scratch.expires.0);
    let imds = InstanceMetadataOptionsRequest::builder()
        .http_tokens(HttpTokensState::Required)
        .http_endpoint(InstanceMetadataEndpointState::Enabled)
        .build();
    let device = root.map(|device| {
        let disk = EbsBlockDevice::builder()
            .set_volume_size(fresh.disk.and_then(|gib| i32::try_from(gib).ok()))
            .volume_type(VolumeType::Gp3)
            .encrypted(true)
            .set_kms_key_id(work.inner.scratch.kms_key.clone())
            .delete_on_termination(true);
        BlockDeviceMapping::builder()
            .device_name(device)
            .ebs(disk.build())
            .build()
    });
    // The client token makes it one instance, however often it is sent.
    let send = || async {
        let answer = work
            .clients
            .ec2
            .run_instances()
            .client_token(&label.token)
            .image_id(&fresh.image)
            .instance_type(InstanceType::from(kind))
            .min_count(1)
            .max_count(1)
            .subnet_id(&network.subnet)
            .security_group_ids(&network.security_group)
            .set_key_name(network.key.as_ref().map(|(name, _)| name.clone()))
            .metadata_options(imds.clone())
            .instance_initiated_shutdown_behavior(ShutdownBehavior::Terminate)
            .user_data(user_data(expires))
            .set_block_device_mappings(device.clone().map(|device| vec![device]))
            .tag_specifications(label.specification(ResourceType::Instance))
            .tag_specifications(label.specification(ResourceType::Volume))
            .tag_specifications(label.specification(ResourceType::NetworkInterface))
            .send()
            .await
            .map_err(|e| Fault::of(what, e))?;
        let instance = answer.instances.and_then(|all| all.into_iter().next());
        present(what, "id", instance.and_then(|one| one.instance_id))
    };
    match work.send(what, true, send).await {
        Ok(id) => {
            work.made(&label, &id)?;
            Ok(Ok(id))
        }
        Err(fault) if fault.kind == FaultKind::Capacity => Ok(Err(fault.message)),
        Err(fault) => Err(fault.into()),
    }
}

async fn root_device(work: &Work<'_>, image: &str) -> Result<String, StepError> {
    let what = "asking for the image";
    let asked = work.send(what, false, || async {
        let answer = work.clients.ec2.describe_images().image_ids(image).send();
        let answer = answer.await.map_err(|e| Fault::of(what, e))?;
        let image = answer.images.and_then(|all| all.into_iter().next());
        present(what, "root device", image.and_then(|i| i.root_device_name))
    });
    Ok(asked.await?)
}

/// Restores an instance, and waits until it runs.
pub(super) async fn restore(
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
            bytes: done.bytes,
            detail: Some(format!("instance {}, {kind}", done.id)),
            doubts,
            ..PhaseDone::default()
        });
    }
    Err(none_left(&types, &why))
}

/// Keeps what is known of it.
fn take(work: &Work<'_>, instance: &Ec2Instance) -> Result<(), StepError> {
    let step = work.step();
    let known = known(instance, ssh(step));
    let known = known.ok_or_else(|| {
        StepError::new("asking for the instance: the answer has no zone, type or id")
    })?;
    let volumes = volumes(instance);
    work.inner.know(&step.step, |all| {
        all.attempt = work.context.attempt;
        all.instance = Some(known);
        all.hydrating.extend(volumes);
    });
    Ok(())
}

/// The volumes of an instance. Pure.
pub(super) fn volumes(instance: &Ec2Instance) -> Vec<String> {
    (instance.block_device_mappings().iter())
        .filter_map(|device| device.ebs()?.volume_id())
        .map(str::to_owned)
        .collect()
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
pub(super) async fn helpers(
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
    let answer = answer.filters(super::find::filter("image-id", image));
    let answer = answer.send().await.map_err(|e| Fault::of(what, e))?;
    let kept = clients.ec2.describe_images();
    let kept = kept.filters(super::find::filter("image-id", point));
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

/// Instance, system and disks are all well. Pure.
fn is_fit(status: &InstanceStatus) -> bool {
    let ok = Some(&SummaryStatus::Ok);
    let instance = status.instance_status().and_then(|s| s.status());
    let system = status.system_status().and_then(|s| s.status());
    let disks = status.attached_ebs_status().and_then(|s| s.status());
    // Types without Nitro have no status of disks.
    let disks = disks.is_none_or(|s| matches!(s, SummaryStatus::Ok | SummaryStatus::NotApplicable));
    instance == ok && system == ok && disks
}

/// Until EC2's own checks are all well.
pub(super) async fn until_fit(work: &Work<'_>, id: &str) -> Result<(), Fault> {
    let what = "waiting for the instance's status checks";
    let asked = work.until(Schedule::QUICK, what, true, || async {
        let answer = work.clients.ec2.describe_instance_status();
        let answer = answer.instance_ids(id).include_all_instances(true);
        let answer = answer.send().await.map_err(|e| Fault::of(what, e))?;
        let Some(status) = answer.instance_statuses().first() else {
            return Ok(Asked::Wait(None));
        };
        let state = status.instance_state().and_then(|s| s.name());
        if let Some(InstanceStateName::Terminated | InstanceStateName::Stopped) = state {
            return Err(Fault::ours(what, "the instance has ended"));
        }
        Ok(match is_fit(status) {
            true => Asked::Ready(()),
            false => Asked::Wait(None),
        })
    });
    asked.await
}

/// Asks what a resumed run had made; an error says that it is not there any more.
pub(super) async fn again(
    inner: &Inner,
    clients: &Clients,
    step: &Step,
    id: &str,
) -> Result<(Instance, Vec<String>), String> {
    let what = "asking for the instance";
    let asked = until(
        clients.pace,
        Schedule::QUICK,
        PATIENCE,
        what,
        false,
        || async { Ok(Asked::Ready(describe(clients, id).await?)) },
    );
    let found = asked.await.map_err(|fault| fault.to_string())?;
    let found = found.filter(|one| state(one) == Some(&InstanceStateName::Running));
    let found = found.ok_or_else(|| format!("instance {} runs no more", clean(id, 40)))?;
    let zone = inner.state().network.as_ref().map(|n| n.zone.clone());
    match known(&found, ssh(step)) {
        Some(instance) if zone.is_none_or(|zone| zone == instance.zone) => {
            Ok((instance, volumes(&found)))
        }
        _ => Err(format!("instance {} is not as it was", clean(id, 40))),
    }
}

/// Terminates it, and waits until it has. That EC2 does not know it just after that does not mean
/// that it is gone: it is asked twice.
pub(super) async fn terminate(clients: &Clients, id: &str, young: bool) -> Result<(), Fault> {
    let what = "terminating the instance";
    let protected = std::sync::atomic::AtomicBool::new(false);
    let unknown = std::sync::atomic::AtomicU32::new(0);
    use std::sync::atomic::Ordering::Relaxed;
    let enough = asks(young).max(2);
    until(
        clients.pace,
        Schedule::QUICK,
        PATIENCE,
        what,
        false,
        || async {
            match describe(clients, id).await? {
                None if unknown.fetch_add(1, Relaxed) + 1 >= enough => return Ok(Asked::Ready(())),
                None => return Ok(Asked::Wait(None)),
                Some(found) => match state(&found) {
                    Some(InstanceStateName::Terminated) => return Ok(Asked::Ready(())),
                    Some(InstanceStateName::ShuttingDown) => return Ok(Asked::Wait(None)),
                    _ => {}
                },
            }
            if protected.load(Relaxed) {
                let call = clients.ec2.modify_instance_attribute().instance_id(id);
                let off = aws_sdk_ec2::types::AttributeBooleanValue::builder().value(false);
                let call = call.disable_api_termination(off.build()).send().await;
                call.map_err(|e| Fault::of("taking the termination protection off", e))?;
            }
            let call = clients.ec2.terminate_instances().instance_ids(id).send();
            match call.await.map_err(|e| Fault::of(what, e)) {
                Err(fault) if fault.kind == FaultKind::NotFound => {}
                Err(fault) if fault.code.as_deref() == Some("OperationNotPermitted") => {
                    if protected.swap(true, Relaxed) {
                        return Err(fault);
                    }
                }
                Err(fault) => return Err(fault),
                Ok(_) => {}
            }
            Ok(Asked::Wait(None))
        },
    )
    .await
}

#[cfg(test)]
mod tests;

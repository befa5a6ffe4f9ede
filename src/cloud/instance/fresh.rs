//! A fresh instance, out of an image.

use std::time::Duration;

use aws_sdk_ec2::types::{
    BlockDeviceMapping, EbsBlockDevice, HttpTokensState, InstanceMetadataEndpointState,
    InstanceMetadataOptionsRequest, InstanceType, ResourceType, ShutdownBehavior, VolumeType,
};
use base64::Engine as _;

use super::{none_left, take, types, until_running};
use crate::cloud::fault::{Fault, FaultKind};
use crate::cloud::make::present;
use crate::cloud::names::Kind;
use crate::cloud::provider::Work;
use crate::cloud::state::Network;
use crate::document::drill::aws::FreshInstance;
use crate::drill::provider::{PhaseDone, StepError};
use crate::model::drill::Milestone;

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
pub(super) fn minutes(expires: Duration) -> u64 {
    (expires.as_secs() / 60).max(60)
}
/// Runs a fresh instance, and waits until it runs.
pub(in crate::cloud) async fn run_fresh(
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

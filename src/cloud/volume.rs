//! EBS volumes: restored by AWS Backup, or made by EC2 out of the recovery point's snapshot;
//! attached; filled with their blocks; gone.

use std::collections::BTreeSet;

use aws_sdk_ec2::types::{
    InitializationStatusDetails, ResourceType, Volume, VolumeAttachmentState, VolumeState,
    VolumeType,
};

use super::client::Clients;
use super::fault::{Fault, FaultKind};
use super::make::{PATIENCE, asks, present};
use super::names::Kind;
use super::poll::{Asked, Schedule, until};
use super::provider::Work;
use super::state::{Instance, Network, Point};
use crate::document::drill::aws::{Attach, ToVolume};
use crate::drill::provider::{PhaseDone, StepError};
use crate::model::drill::Milestone;
use crate::shell::clean;

pub(super) async fn describe(clients: &Clients, id: &str) -> Result<Option<Volume>, Fault> {
    let what = "asking for the volume";
    let answer = clients.ec2.describe_volumes().volume_ids(id).send().await;
    match answer.map_err(|e| Fault::of(what, e)) {
        Ok(answer) => Ok(answer.volumes.and_then(|all| all.into_iter().next())),
        Err(fault) if fault.kind == FaultKind::NotFound => Ok(None),
        Err(fault) => Err(fault),
    }
}

/// Until it is `available`.
pub(super) async fn until_available(work: &Work<'_>, id: &str) -> Result<Volume, Fault> {
    let what = "waiting for the volume";
    let missing = std::sync::atomic::AtomicU32::new(0);
    let asked = work.until(Schedule::QUICK, what, true, || async {
        let Some(volume) = describe(work.clients, id).await? else {
            use std::sync::atomic::Ordering::Relaxed;
            // EC2 may need minutes to know what it has made; not hours.
            return match missing.fetch_add(1, Relaxed) {
                0..40 => Ok(Asked::Wait(None)),
                _ => Err(Fault::ours(
                    what,
                    "there is no such volume: nothing was restored",
                )),
            };
        };
        match volume.state() {
            Some(VolumeState::Available | VolumeState::InUse) => Ok(Asked::Ready(volume)),
            Some(VolumeState::Error | VolumeState::Deleting | VolumeState::Deleted) => {
                let state = volume.state().map_or("", VolumeState::as_str);
                let hint = "if it is encrypted, the key may not be usable here";
                Err(Fault::ours(what, &format!("it is `{state}`; {hint}")))
            }
            _ => Ok(Asked::Wait(None)),
        }
    });
    asked.await
}

/// CreateVolume out of the snapshot: EC2 knows an initialisation rate.
pub(super) async fn by_ec2(
    work: &Work<'_>,
    wanted: &ToVolume,
    point: &Point,
    network: &Network,
) -> Result<PhaseDone, StepError> {
    let what = "creating the volume";
    let snapshot = point.source_id.as_deref().ok_or_else(|| {
        StepError::new(
            "creating the volume: the recovery point names no snapshot; let AWS Backup restore it \
             (`by: backup`)",
        )
    })?;
    let label = work.intend(Kind::Volume, &work.name())?;
    let rate = wanted.initialisation_rate;
    let send = || async {
        let answer = work
            .clients
            .ec2
            .create_volume()
            .client_token(&label.token)
            .snapshot_id(snapshot)
            .availability_zone(&network.zone)
            .volume_type(VolumeType::from(wanted.kind.as_deref().unwrap_or("gp3")))
            .encrypted(true)
            .set_kms_key_id(work.inner.scratch.kms_key.clone())
            .set_volume_initialization_rate(rate.and_then(|r| i32::try_from(r).ok()))
            .tag_specifications(label.specification(ResourceType::Volume))
            .send()
            .await
            .map_err(|e| Fault::of(what, e))?;
        present(what, "id", answer.volume_id)
    };
    let id = work.send(what, false, send).await?;
    work.made(&label, &id)?;
    available(work, &id, "EC2 says `available`").await
}

/// It is there: known, reported.
pub(super) async fn available(
    work: &Work<'_>,
    id: &str,
    said: &str,
) -> Result<PhaseDone, StepError> {
    let volume = until_available(work, id).await?;
    let size = u64::try_from(volume.size().unwrap_or(0)).unwrap_or(0);
    work.inner.know(&work.step().step, |known| {
        known.attempt = work.context.attempt;
        known.volume = Some(id.to_owned());
        known.hydrating = vec![id.to_owned()];
    });
    work.reached(Milestone::Available, said)?;
    // No bytes are claimed: a volume is `available` in seconds, and its blocks come later.
    Ok(PhaseDone {
        detail: Some(format!("volume {id}, {size} GiB")),
        ..PhaseDone::default()
    })
}

/// Whether, and as what, a volume hangs on an instance. Pure.
fn attached<'v>(volume: &'v Volume, instance: &str) -> Option<&'v VolumeAttachmentState> {
    let mut all = volume.attachments().iter();
    all.find(|one| one.instance_id() == Some(instance))?.state()
}

/// Attaches it to an instance of this drill. A second time is no second attachment.
pub(super) async fn attach(
    work: &Work<'_>,
    id: &str,
    to: &Attach,
    instance: &Instance,
) -> Result<(), StepError> {
    let what = "attaching the volume";
    let volume = until_available(work, id).await?;
    if volume.availability_zone() != Some(instance.zone.as_str()) {
        return Err(StepError::new(format!(
            "attaching the volume: it is in {}, and the instance in {}",
            clean(volume.availability_zone().unwrap_or("no zone"), 40),
            instance.zone
        )));
    }
    let asked = work.until(Schedule::QUICK, what, true, || async {
        let volume = describe(work.clients, id).await?;
        let state = volume.as_ref().and_then(|v| attached(v, &instance.id));
        match state {
            Some(VolumeAttachmentState::Attached) => return Ok(Asked::Ready(())),
            Some(_) => return Ok(Asked::Wait(None)),
            None => {}
        }
        let call = work.clients.ec2.attach_volume().volume_id(id);
        let call = call.instance_id(&instance.id).device(&to.device);
        match call.send().await.map_err(|e| Fault::of(what, e)) {
            // By an answer that was lost, it may hang there already.
            Err(fault) if !matches!(fault.kind, FaultKind::Exists | FaultKind::Dependency) => {
                Err(fault)
            }
            _ => Ok(Asked::Wait(None)),
        }
    });
    Ok(asked.await?)
}

/// How far one volume's blocks have come.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Filled {
    pub done: bool,
    /// From 0 to 1.
    pub share: Option<f64>,
    /// In words.
    pub shown: String,
}

/// Pure. No word of it: not known, which is not done.
pub(super) fn filled(id: &str, details: Option<&InitializationStatusDetails>) -> Filled {
    let Some(details) = details else {
        return Filled {
            done: false,
            share: None,
            shown: format!("{id}: EC2 does not say how far it is"),
        };
    };
    let percent = details.progress().unwrap_or(0).clamp(0, 100);
    let left = details.estimated_time_to_complete_in_seconds();
    let left = left.filter(|_| percent < 100).map_or(String::new(), |s| {
        format!(", about {} min left", s.max(0).saturating_add(59) / 60)
    });
    #[allow(clippy::cast_precision_loss)]
    let share = percent as f64 / 100.0;
    Filled {
        done: percent == 100,
        share: Some(share),
        shown: format!("{id}: {percent} %{left}"),
    }
}

/// How far the blocks of these volumes have come.
pub(super) async fn initialisation(
    clients: &Clients,
    ids: &[String],
) -> Result<Vec<Filled>, Fault> {
    let what = "asking how far the volumes' blocks have come";
    let wanted: BTreeSet<&str> = ids.iter().map(String::as_str).collect();
    let mut seen: Vec<Filled> = Vec::new();
    let call = clients.ec2.describe_volume_status();
    let call = call.set_volume_ids(Some(ids.to_vec()));
    let answer = call.send().await.map_err(|e| Fault::of(what, e))?;
    for id in wanted {
        let all = answer.volume_statuses();
        let status = all.iter().find(|status| status.volume_id() == Some(id));
        seen.push(filled(
            id,
            status.and_then(|s| s.initialization_status_details()),
        ));
    }
    Ok(seen)
}

/// Detaches and deletes it, and waits until EC2 knows it no more.
pub(super) async fn delete(clients: &Clients, id: &str, young: bool) -> Result<(), Fault> {
    let what = "deleting the volume";
    let unknown = std::sync::atomic::AtomicU32::new(0);
    use std::sync::atomic::Ordering::Relaxed;
    let enough = asks(young);
    until(
        clients.pace,
        Schedule::QUICK,
        PATIENCE,
        what,
        false,
        || async {
            let Some(volume) = describe(clients, id).await? else {
                return Ok(match unknown.fetch_add(1, Relaxed) + 1 >= enough {
                    true => Asked::Ready(()),
                    false => Asked::Wait(None),
                });
            };
            match volume.state() {
                Some(VolumeState::Deleted) => return Ok(Asked::Ready(())),
                Some(VolumeState::Deleting | VolumeState::Creating) => {
                    return Ok(Asked::Wait(None));
                }
                Some(VolumeState::InUse) => {
                    let busy = |one: &aws_sdk_ec2::types::VolumeAttachment| {
                        one.state() == Some(&VolumeAttachmentState::Detaching)
                    };
                    if !volume.attachments().iter().any(busy) {
                        let call = clients.ec2.detach_volume().volume_id(id).force(true);
                        let call = call.send().await.map_err(|e| Fault::of(what, e));
                        quietly(call)?;
                    }
                    return Ok(Asked::Wait(None));
                }
                _ => {}
            }
            let call = clients.ec2.delete_volume().volume_id(id).send().await;
            quietly(call.map_err(|e| Fault::of(what, e)))?;
            Ok(Asked::Wait(None))
        },
    )
    .await
}

/// What will be asked again anyway: that it is in use still, or gone already.
pub(super) fn quietly<T>(answer: Result<T, Fault>) -> Result<(), Fault> {
    match answer {
        Err(fault)
            if !matches!(
                fault.kind,
                FaultKind::NotFound | FaultKind::Dependency | FaultKind::Later
            ) =>
        {
            Err(fault)
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_far_a_volume_is_is_never_guessed() {
        let unknown = filled("vol-1", None);
        assert!(!unknown.done && unknown.share.is_none());
        let details = |progress: Option<i64>, left: Option<i64>| {
            InitializationStatusDetails::builder()
                .set_progress(progress)
                .set_estimated_time_to_complete_in_seconds(left)
                .build()
        };
        let half = filled("vol-1", Some(&details(Some(50), Some(61))));
        assert!(!half.done && half.share == Some(0.5));
        assert_eq!(half.shown, "vol-1: 50 %, about 2 min left");
        let whole = filled("vol-1", Some(&details(Some(100), Some(0))));
        assert!(whole.done && whole.shown == "vol-1: 100 %");
        assert!(!filled("vol-1", Some(&details(None, None))).done);
    }

    #[test]
    fn an_attachment_to_another_instance_is_none_to_this_one() {
        let one = aws_sdk_ec2::types::VolumeAttachment::builder()
            .instance_id("i-1")
            .state(VolumeAttachmentState::Attached)
            .build();
        let volume = Volume::builder().attachments(one).build();
        let attached = |id| attached(&volume, id);
        assert_eq!(attached("i-1"), Some(&VolumeAttachmentState::Attached));
        assert_eq!(attached("i-2"), None);
    }

    #[test]
    fn what_is_asked_again_is_no_error() {
        let fault = |kind| Fault {
            kind,
            ..Fault::ours("x", "y")
        };
        assert!(quietly::<()>(Err(fault(FaultKind::NotFound))).is_ok());
        assert!(quietly::<()>(Err(fault(FaultKind::Dependency))).is_ok());
        assert!(quietly::<()>(Err(fault(FaultKind::Denied))).is_err());
    }
}

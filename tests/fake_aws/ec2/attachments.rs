//! Volumes on instances.

use serde_json::{Value, json};

use super::super::world::{Answer, Refusal};
use super::state::Attachment;
use super::turn::{Turn, find, find_mut, refuse};

/// Seconds that attaching and detaching take.
const ATTACH_S: f64 = 5.0;

impl Attachment {
    pub fn shown(&self, volume: &str, now: f64) -> Value {
        let state = match self.released {
            Some(_) => "detaching",
            None if now < self.done => "attaching",
            None => "attached",
        };
        json!({
            "VolumeId": volume,
            "InstanceId": self.instance,
            "Device": self.device,
            "State": state,
            "AttachTime": self.since,
            "DeleteOnTermination": self.goes_with_instance,
        })
    }
}

fn incorrect<T>(message: String) -> Result<T, Refusal> {
    refuse("IncorrectState", message)
}

pub fn attach(turn: &mut Turn<'_>) -> Answer {
    let (id, instance_id) = (turn.needed("VolumeId")?, turn.needed("InstanceId")?);
    let device = turn.needed("Device")?;
    let (now, sight) = (turn.now, turn.sight());
    let volume = find(&turn.state.volumes, id, sight)?;
    let instance = find(&turn.state.instances, instance_id, sight)?;
    if let Some(there) = &volume.attachment {
        return refuse(
            "VolumeInUse",
            format!("{id} is already attached to {}", there.instance),
        );
    }
    if volume.state(now) != "available" {
        return incorrect(format!("{id} is not 'available'."));
    }
    if !["running", "stopped", "stopping"].contains(&instance.state(now)) {
        return incorrect(format!("Instance '{instance_id}' is not 'running'."));
    }
    if volume.zone != instance.zone {
        return refuse(
            "InvalidVolume.ZoneMismatch",
            format!(
                "The volume '{id}' is not in the same availability zone as instance \
                 '{instance_id}'"
            ),
        );
    }
    let taken = (turn.state.volumes.values())
        .filter_map(|one| one.attachment.as_ref())
        .any(|one| one.instance == instance_id && one.device == device);
    if taken {
        return refuse(
            "InvalidParameterValue",
            format!(
                "Invalid value '{device}' for unixDevice. Attachment point {device} is already in \
                 use"
            ),
        );
    }
    let attachment = Attachment {
        instance: instance_id.to_owned(),
        device: device.to_owned(),
        since: now,
        done: now + ATTACH_S,
        released: None,
        // Only what a launch makes goes with the instance.
        goes_with_instance: false,
    };
    let shown = attachment.shown(id, now);
    find_mut(&mut turn.state.volumes, id, sight)?.attachment = Some(attachment);
    Ok(shown)
}

pub fn detach(turn: &mut Turn<'_>) -> Answer {
    let id = turn.needed("VolumeId")?;
    let (now, sight) = (turn.now, turn.sight());
    let volume = find(&turn.state.volumes, id, sight)?;
    let Some(attachment) = &volume.attachment else {
        return incorrect(format!("Volume '{id}' is in the 'available' state."));
    };
    if let Some(asked) = turn.text("InstanceId")
        && asked != attachment.instance
    {
        return refuse(
            "InvalidAttachment.NotFound",
            format!("The volume '{id}' is not attached to instance '{asked}'"),
        );
    }
    let instance = turn.state.instances.get(&attachment.instance);
    let held = instance.is_some_and(|one| {
        one.root == attachment.device && ["running", "pending"].contains(&one.state(now))
    });
    if held {
        return refuse(
            "OperationNotPermitted",
            format!("Unable to detach root volume '{id}' from a running instance"),
        );
    }
    let volume = find_mut(&mut turn.state.volumes, id, sight)?;
    let shown = volume.attachment.as_mut().map(|attachment| {
        attachment.released.get_or_insert(now + ATTACH_S);
        attachment.shown(id, now)
    });
    Ok(shown.unwrap_or_default())
}

//! Images and snapshots: those of AWS Backup cannot be deleted through EC2.

use serde_json::{Value, json};

use super::super::world::Answer;
use super::state::{Image, Snapshot};
use super::tags;
use super::turn::{Turn, find, paged, refuse};

pub fn describe(turn: &mut Turn<'_>) -> Answer {
    let owner = turn.call.account.as_str();
    let show = |id: &str, image: &Image| {
        let devices: Vec<Value> = (image.devices.iter())
            .map(|one| {
                json!({
                    "DeviceName": one.device,
                    "Ebs": {
                        "DeleteOnTermination": true,
                        "SnapshotId": one.snapshot,
                        "VolumeSize": one.size_gib,
                        "VolumeType": "gp3",
                        "Encrypted": one.encrypted,
                    },
                })
            })
            .collect();
        let owner = image.owner.as_deref().unwrap_or(owner);
        json!({
            "ImageId": id,
            "Name": image.name,
            "OwnerId": owner,
            "ImageLocation": format!("{owner}/{}", image.name),
            "CreationDate": rfc3339(image.base.made),
            "State": "available",
            "Public": image.owner.is_some(),
            "Architecture": image.architecture,
            "ImageType": "machine",
            "RootDeviceName": image.root,
            "RootDeviceType": "ebs",
            "BlockDeviceMappings": devices,
            "EnaSupport": true,
            "Hypervisor": "xen",
            "VirtualizationType": "hvm",
            "PlatformDetails": "Linux/UNIX",
            "UsageOperation": "RunInstances",
            "SourceInstanceId": image.source_instance,
            "Tags": tags::shown(&image.base),
        })
    };
    let owners = turn.texts("Owners");
    let listed = |image: &Image| {
        owners.is_empty()
            || (owners.iter()).any(|wanted| match image.owner.as_deref() {
                Some(other) => *wanted == other,
                None => *wanted == "self" || *wanted == owner,
            })
    };
    let filters = &[
        ("image-id", "ImageId"),
        ("name", "Name"),
        ("owner-id", "OwnerId"),
        ("architecture", "Architecture"),
        ("state", "State"),
        ("is-public", "Public"),
        ("root-device-name", "RootDeviceName"),
        ("root-device-type", "RootDeviceType"),
        ("virtualization-type", "VirtualizationType"),
        (
            "block-device-mapping.snapshot-id",
            "BlockDeviceMappings.Ebs.SnapshotId",
        ),
    ];
    let page = turn.list_where(&turn.state.images, "ImageIds", filters, show, listed)?;
    paged("Images", page)
}

pub fn deregister(turn: &mut Turn<'_>) -> Answer {
    let id = turn.needed("ImageId")?;
    let image = find(&turn.state.images, id, turn.sight())?;
    if image.owner.is_some() {
        return refuse("AuthFailure", format!("Not authorized for image:{id}"));
    }
    if image.backup {
        return refuse(
            "InvalidRequest",
            "This image is managed by AWS Backup and cannot be deleted via EC2 APIs. To delete \
             this image, please use the AWS Backup APIs, CLI, or console.",
        );
    }
    turn.slow_delete(id, "InvalidAMIID.Unavailable")?;
    let mut results = Vec::new();
    if let Some(image) = turn.state.images.remove(id) {
        turn.bury(id, &image);
        if turn.flag("DeleteAssociatedSnapshots") == Some(true) {
            for device in &image.devices {
                let used = used_by(turn, &device.snapshot).is_some();
                let theirs = turn.state.snapshots.get(&device.snapshot);
                let goes = !used && theirs.is_some_and(|snapshot| !snapshot.backup);
                if goes && let Some(gone) = turn.state.snapshots.remove(&device.snapshot) {
                    turn.bury(&device.snapshot, &gone);
                }
                let code = if goes { "success" } else { "skipped" };
                results.push(json!({ "SnapshotId": device.snapshot, "ReturnCode": code }));
            }
        }
    }
    Ok(json!({ "Return": true, "DeleteSnapshotResults": results }))
}

pub fn snapshots(turn: &mut Turn<'_>) -> Answer {
    let owner = turn.call.account.as_str();
    let show = |id: &str, snapshot: &Snapshot| {
        json!({
            "SnapshotId": id,
            "VolumeId": snapshot.volume,
            "State": "completed",
            "Progress": "100%",
            "StartTime": snapshot.started,
            "CompletionTime": snapshot.started + 300.0,
            "OwnerId": snapshot.owner.as_deref().unwrap_or(owner),
            "Description": snapshot.description,
            "VolumeSize": snapshot.size_gib,
            "Encrypted": snapshot.encrypted,
            "KmsKeyId": snapshot.key,
            "StorageTier": "standard",
            "Tags": tags::shown(&snapshot.base),
        })
    };
    let owners = turn.texts("OwnerIds");
    // A stranger's are not to be seen, though images can be launched that are made of them.
    let listed = |snapshot: &Snapshot| {
        snapshot.owner.is_none()
            && (owners.is_empty() || owners.iter().any(|one| *one == "self" || *one == owner))
    };
    let filters = &[
        ("snapshot-id", "SnapshotId"),
        ("volume-id", "VolumeId"),
        ("volume-size", "VolumeSize"),
        ("status", "State"),
        ("progress", "Progress"),
        ("description", "Description"),
        ("encrypted", "Encrypted"),
        ("owner-id", "OwnerId"),
        ("storage-tier", "StorageTier"),
    ];
    let page = turn.list_where(&turn.state.snapshots, "SnapshotIds", filters, show, listed)?;
    paged("Snapshots", page)
}

pub fn delete_snapshot(turn: &mut Turn<'_>) -> Answer {
    let id = turn.needed("SnapshotId")?;
    let snapshot = find(&turn.state.snapshots, id, turn.sight())?;
    if snapshot.owner.is_some() {
        return refuse("AuthFailure", format!("Not authorized for snapshot:{id}"));
    }
    if snapshot.backup {
        return refuse(
            "InvalidParameterValue",
            "This snapshot is managed by the AWS Backup service and cannot be deleted via EC2 \
             APIs. If you wish to delete this snapshot, please do so via the Backup console.",
        );
    }
    if let Some(image) = used_by(turn, id) {
        return refuse(
            "InvalidSnapshot.InUse",
            format!("The snapshot {id} is currently in use by {image}"),
        );
    }
    turn.slow_delete(id, "InvalidSnapshot.InUse")?;
    if let Some(gone) = turn.state.snapshots.remove(id) {
        turn.bury(id, &gone);
    }
    Ok(json!({}))
}

/// The image that needs this snapshot.
fn used_by(turn: &Turn<'_>, snapshot: &str) -> Option<String> {
    let mut images = turn.state.images.iter();
    let uses = |image: &Image| image.devices.iter().any(|one| one.snapshot == snapshot);
    images
        .find(|(_, image)| uses(image))
        .map(|(id, _)| id.clone())
}

/// An image's CreationDate is text: `2026-01-31T12:00:00.000Z`.
fn rfc3339(seconds: f64) -> String {
    let time = jiff::Timestamp::from_second(seconds as i64).unwrap_or_default();
    time.strftime("%Y-%m-%dT%H:%M:%S.000Z").to_string()
}

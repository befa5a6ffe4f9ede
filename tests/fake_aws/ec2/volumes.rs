//! Volumes, which are there long before their blocks are.

use serde_json::{Value, json};

use super::super::world::{Answer, Refusal};
use super::lifecycle::DELETE_S;
use super::state::{Base, State, Volume};
use super::tags;
use super::turn::{Turn, find, find_mut, paged, refuse};

/// Seconds until a new volume is `available`.
const CREATE_S: f64 = 10.0;
/// MiB/s at which blocks come where no rate was asked for. EC2 promises none.
const SLOW_MIB_S: f64 = 50.0;
/// What EC2 says of the progress is up to five minutes late; here up to one.
const REPORT_S: f64 = 60.0;

/// A volume to be.
#[derive(Clone, Debug, Default)]
pub struct Disk {
    pub size_gib: u64,
    /// Of the snapshot: it can't be smaller.
    pub least: u64,
    pub snapshot: Option<String>,
    pub kind: Option<String>,
    pub iops: Option<i64>,
    pub throughput: Option<i64>,
    pub encrypted: bool,
    pub key: Option<String>,
    pub rate: Option<i64>,
}

impl Disk {
    pub fn of_snapshot(state: &State, snapshot: &str, size_gib: u64) -> Disk {
        let there = state.snapshots.get(snapshot);
        Disk {
            size_gib,
            least: there.map_or(0, |there| there.size_gib),
            snapshot: Some(snapshot.to_owned()),
            encrypted: there.is_some_and(|there| there.encrypted),
            key: there.and_then(|there| there.key.clone()),
            ..Disk::default()
        }
    }

    /// As members of CreateVolume or of a block device mapping say.
    pub fn change(&mut self, state: &State, asked: &Value) -> Result<(), Refusal> {
        let number = |name: &str| asked.get(name).and_then(Value::as_i64);
        let text = |name: &str| asked.get(name).and_then(Value::as_str);
        if let Some(snapshot) = text("SnapshotId") {
            let there = find(&state.snapshots, snapshot, state.now)?;
            *self = Disk::of_snapshot(state, snapshot, there.size_gib);
        }
        let size = number("Size").or(number("VolumeSize"));
        self.size_gib = size.map_or(self.size_gib, i64::unsigned_abs);
        self.kind = text("VolumeType").map(str::to_owned).or(self.kind.take());
        self.iops = number("Iops").or(self.iops);
        self.throughput = number("Throughput").or(self.throughput);
        let encrypted = asked.get("Encrypted").and_then(Value::as_bool);
        if encrypted == Some(false) && self.encrypted {
            return refuse(
                "InvalidParameter",
                "The parameter Encrypted is invalid: the snapshot is encrypted",
            );
        }
        self.encrypted = encrypted.unwrap_or(self.encrypted);
        if let Some(key) = text("KmsKeyId") {
            if !self.encrypted {
                return refuse(
                    "InvalidParameterDependency",
                    "The parameter KmsKeyId requires the parameter Encrypted to be set.",
                );
            }
            self.key = Some(key.to_owned());
        }
        if let Some(rate) = number("VolumeInitializationRate") {
            if self.snapshot.is_none() {
                return refuse(
                    "InvalidParameterCombination",
                    "The parameter VolumeInitializationRate is only supported for volumes that are \
                     created from a snapshot",
                );
            }
            if !(100..=300).contains(&rate) {
                return refuse(
                    "InvalidParameterValue",
                    format!("Volume initialization rate {rate} is not between 100 and 300"),
                );
            }
            self.rate = Some(rate);
        }
        if self.size_gib == 0 {
            return refuse(
                "MissingParameter",
                "The request must contain the parameter size/snapshot",
            );
        }
        Ok(())
    }
}

impl State {
    pub fn volume(&self, disk: Disk, base: Base, zone: &str, ready: f64) -> Volume {
        let kind = disk.kind.unwrap_or_else(|| "gp2".into());
        let gp3 = kind == "gp3";
        Volume {
            base,
            zone: zone.to_owned(),
            size_gib: disk.size_gib,
            iops: disk.iops.or(gp3.then_some(3000)),
            throughput: disk.throughput.or(gp3.then_some(125)),
            kind,
            encrypted: disk.encrypted,
            broken: self.denies(disk.key.as_deref()),
            key: disk.key,
            snapshot: disk.snapshot,
            rate: disk.rate,
            ready,
            empty: false,
            attachment: None,
            deleted: None,
        }
    }

    /// Percent of its blocks that have come, and the seconds until the last has, as last reported.
    /// None: it has none to fetch.
    fn progress(&self, volume: &Volume) -> Option<(u64, u64)> {
        if volume.snapshot.is_none() || volume.empty {
            return None;
        }
        let rate = match volume.rate {
            Some(rate) => rate as f64,
            None => self.slow_rate.unwrap_or(SLOW_MIB_S),
        };
        let needs = volume.size_gib as f64 * 1024.0 / rate;
        let gone = (self.now - volume.ready).max(0.0);
        let reported = (gone / REPORT_S).floor() * REPORT_S;
        if reported >= needs {
            return Some((100, 0));
        }
        let percent = (reported / needs * 100.0).floor() as u64;
        Some((percent.min(99), (needs - reported).ceil() as u64))
    }
}

pub fn create(turn: &mut Turn<'_>) -> Answer {
    turn.taggable(&["volume"])?;
    if let Some(before) = turn.before()? {
        let id = before.as_str().unwrap_or_default();
        let volume = turn.state.volumes.get(id);
        return Ok(
            volume.map_or(json!({ "VolumeId": id, "State": "deleted" }), |volume| {
                show(turn, id, volume)
            }),
        );
    }
    let zones = &turn.state.zones;
    let zone = match (
        turn.text("AvailabilityZone"),
        turn.text("AvailabilityZoneId"),
    ) {
        (Some(name), _) => (zones.iter().find(|zone| zone.name == name)).ok_or(name),
        (None, Some(id)) => zones.iter().find(|zone| zone.id == id).ok_or(id),
        (None, None) => {
            return refuse(
                "MissingParameter",
                "The request must contain the parameter zone",
            );
        }
    };
    let zone = match zone {
        Ok(zone) => zone.name.clone(),
        Err(asked) => {
            return refuse(
                "InvalidZone.NotFound",
                format!("The zone '{asked}' does not exist."),
            );
        }
    };
    if let Some(snapshot) = turn.text("SnapshotId") {
        find(&turn.state.snapshots, snapshot, turn.sight())?;
    }
    let mut disk = Disk::default();
    disk.change(&turn.state, &turn.call.params)?;
    if disk.size_gib < disk.least {
        return refuse(
            "InvalidParameterValue",
            format!(
                "The volume must be at least as large as the snapshot: {}GB",
                disk.least
            ),
        );
    }
    let there: u64 = turn.state.volumes.values().map(|one| one.size_gib).sum();
    let limit = turn.state.limits.volumes_gib;
    if limit.is_some_and(|limit| there + disk.size_gib > limit) {
        return refuse(
            "VolumeLimitExceeded",
            "You have exceeded your maximum volume storage quota.",
        );
    }
    turn.refuse_dry_run()?;
    let base = turn.base::<Volume>()?;
    let volume = (turn.state).volume(disk, base, &zone, turn.now + CREATE_S);
    let id = turn.id::<Volume>();
    let shown = show(turn, &id, &volume);
    turn.state.volumes.insert(id.clone(), volume);
    turn.remember(json!(id));
    Ok(shown)
}

fn show(turn: &Turn<'_>, id: &str, volume: &Volume) -> Value {
    let attachments: Vec<Value> = (volume.attachment.iter())
        .map(|attachment| attachment.shown(id, turn.now))
        .collect();
    json!({
        "VolumeId": id,
        "Size": volume.size_gib,
        "SnapshotId": volume.snapshot.as_deref().unwrap_or_default(),
        "AvailabilityZone": volume.zone,
        "AvailabilityZoneId": turn.state.zone_id(&volume.zone),
        "State": volume.state(turn.now),
        "CreateTime": volume.base.made,
        "Attachments": attachments,
        "Encrypted": volume.encrypted,
        "KmsKeyId": volume.key,
        "VolumeType": volume.kind,
        "Iops": volume.iops,
        "Throughput": volume.throughput,
        "MultiAttachEnabled": false,
        "FastRestored": false,
        "VolumeInitializationRate": volume.rate,
        "Tags": tags::shown(&volume.base),
    })
}

pub fn describe(turn: &mut Turn<'_>) -> Answer {
    let filters = &[
        ("volume-id", "VolumeId"),
        ("snapshot-id", "SnapshotId"),
        ("availability-zone", "AvailabilityZone"),
        ("availability-zone-id", "AvailabilityZoneId"),
        ("status", "State"),
        ("size", "Size"),
        ("encrypted", "Encrypted"),
        ("volume-type", "VolumeType"),
        ("attachment.instance-id", "Attachments.InstanceId"),
        ("attachment.device", "Attachments.Device"),
        ("attachment.status", "Attachments.State"),
        (
            "attachment.delete-on-termination",
            "Attachments.DeleteOnTermination",
        ),
    ];
    let page = turn.list(&turn.state.volumes, "VolumeIds", filters, |id, volume| {
        show(turn, id, volume)
    })?;
    paged("Volumes", page)
}

pub fn status(turn: &mut Turn<'_>) -> Answer {
    let show = |id: &str, volume: &Volume| {
        let status = match volume.state(turn.now) {
            "creating" => "insufficient-data",
            "error" => "impaired",
            _ => "ok",
        };
        let passed = if status == "ok" { "passed" } else { "failed" };
        let attached: Vec<Value> = (volume.attachment.iter())
            .map(|one| json!({ "InstanceId": one.instance, "IoPerformance": "normal" }))
            .collect();
        let progress = turn.state.progress(volume).map(|(percent, remaining)| {
            let kind = match volume.rate {
                Some(_) => "provisioned-rate",
                None => "default",
            };
            json!({
                "InitializationType": kind,
                "Progress": percent,
                "EstimatedTimeToCompleteInSeconds": volume.rate.map(|_| remaining),
            })
        });
        json!({
            "VolumeId": id,
            "AvailabilityZone": volume.zone,
            "AvailabilityZoneId": turn.state.zone_id(&volume.zone),
            "VolumeStatus": {
                "Status": status,
                "Details": [{ "Name": "io-enabled", "Status": passed }],
            },
            "Actions": [],
            "Events": [],
            "AttachmentStatuses": attached,
            "InitializationStatusDetails": progress,
        })
    };
    let filters = &[
        ("availability-zone", "AvailabilityZone"),
        ("volume-status.status", "VolumeStatus.Status"),
    ];
    let page = turn.list(&turn.state.volumes, "VolumeIds", filters, show)?;
    paged("VolumeStatuses", page)
}

pub fn delete(turn: &mut Turn<'_>) -> Answer {
    let id = turn.needed("VolumeId")?;
    let sight = turn.sight();
    let volume = find(&turn.state.volumes, id, sight)?;
    match (volume.state(turn.now), &volume.attachment) {
        (_, Some(attachment)) => {
            return refuse(
                "VolumeInUse",
                format!(
                    "Volume {id} is currently attached to {}",
                    attachment.instance
                ),
            );
        }
        ("available" | "error", None) => {}
        ("deleting", None) => {
            return refuse(
                "InvalidVolume.NotFound",
                format!("The volume '{id}' does not exist."),
            );
        }
        (state, None) => {
            return refuse(
                "IncorrectState",
                format!("The volume '{id}' is '{state}', and cannot be deleted now."),
            );
        }
    }
    turn.slow_delete(id, "VolumeInUse")?;
    let gone = turn.now + DELETE_S;
    find_mut(&mut turn.state.volumes, id, sight)?.deleted = Some(gone);
    Ok(json!({}))
}

//! What AWS Backup makes in EC2. Nothing of it bears a tag.

use serde_json::{Map, Value, json};

use super::super::world::Refusal;
use super::catalogue::three_zones;
use super::launch::{Plan, image_disks, metadata as instance_metadata};
use super::state::{Base, Image, ImageDevice, NO_VOLUME, Snapshot, State, Thing};
use super::turn::{find, invalid, refuse};
use super::volumes::Disk;

/// There at once, so that a Describe finds it while it is `creating` or `pending`.
fn untagged(state: &State) -> Base {
    Base {
        made: state.now,
        kept: false,
        tags: Vec::new(),
    }
}

/// The metadata's values are text, whatever they say.
fn text<'m>(metadata: &'m Map<String, Value>, key: &str) -> Option<&'m str> {
    let found = metadata
        .iter()
        .find(|(name, _)| name.eq_ignore_ascii_case(key));
    found
        .and_then(|(_, value)| value.as_str())
        .filter(|text| !text.is_empty() && *text != "null")
}

fn truth(metadata: &Map<String, Value>, key: &str) -> Option<bool> {
    text(metadata, key).map(|text| text.eq_ignore_ascii_case("true"))
}

/// What a restore job of an EBS volume makes; `available` at `ready`.
///
/// # Errors
/// As EC2's CreateVolume has them.
pub fn backup_creates_volume(
    state: &mut State,
    metadata: &Map<String, Value>,
    snapshot: &str,
    size_gib: u64,
    ready: f64,
    id: String,
) -> Result<(), Refusal> {
    let Some(zone) = text(metadata, "availabilityZone") else {
        return refuse(
            "MissingParameter",
            "The request must contain the parameter availabilityZone",
        );
    };
    if state.zones.is_empty() {
        // Nobody has asked EC2 for anything there yet.
        let region = zone.trim_end_matches(|c: char| c.is_ascii_lowercase());
        state.zones = three_zones(region);
    }
    if state.zone(zone).is_none() {
        return refuse(
            "InvalidZone.NotFound",
            format!("The zone '{zone}' does not exist."),
        );
    }
    let number = |key: &str| -> Result<Option<i64>, Refusal> {
        match text(metadata, key).map(|text| (text, text.parse::<i64>())) {
            None => Ok(None),
            Some((_, Ok(number))) if number > 0 => Ok(Some(number)),
            Some((text, _)) => invalid(text, key, "It is no number."),
        }
    };
    let mut disk = Disk::of_snapshot(state, snapshot, size_gib);
    disk.least = disk.least.max(size_gib);
    let mut asked = json!({
        "VolumeType": text(metadata, "volumeType"),
        "Size": number("volumeSize")?,
        "Iops": number("iops")?,
        "Throughput": number("throughput")?,
        "KmsKeyId": text(metadata, "kmsKeyId"),
    });
    // Of an encrypted snapshot the volume is encrypted, whatever the metadata says.
    let encrypted = truth(metadata, "encrypted") == Some(true) || disk.encrypted;
    asked["Encrypted"] = json!(encrypted);
    disk.change(state, &asked)?;
    if disk.size_gib < disk.least {
        let size = disk.size_gib.to_string();
        return invalid(&size, "volumeSize", "It is smaller than the snapshot.");
    }
    let base = untagged(state);
    let volume = state.volume(disk, base, zone, ready);
    state.volumes.insert(id, volume);
    Ok(())
}

/// What a restore job of an EC2 instance makes: a helper image, its snapshots, the volumes and the
/// instance, which runs at `ready`. Returns the instance's id.
///
/// # Errors
/// As EC2's RunInstances has them.
pub fn backup_creates_instance(
    state: &mut State,
    metadata: &Map<String, Value>,
    image: &str,
    ready: f64,
    ids: &mut dyn FnMut(&str) -> String,
) -> Result<String, Refusal> {
    let needed = |key: &str| match text(metadata, key) {
        Some(text) => Ok(text),
        None => refuse(
            "MissingParameter",
            format!("The request must contain the parameter {key}"),
        ),
    };
    let now = state.now;
    let kind = needed("InstanceType")?;
    let subnet_id = needed("SubnetId")?;
    let subnet = find(&state.subnets, subnet_id, now)?;
    let groups = needed("SecurityGroupIds")?;
    let Ok(groups) = serde_json::from_str::<Vec<String>>(groups) else {
        return invalid(groups, "SecurityGroupIds", "It is no JSON array of ids.");
    };
    for group in &groups {
        if find(&state.groups, group, now)?.vpc != subnet.vpc {
            return refuse(
                "InvalidParameter",
                format!(
                    "Security group {group} and subnet {subnet_id} belong to different networks."
                ),
            );
        }
    }
    if groups.is_empty() {
        return invalid("[]", "SecurityGroupIds", "A group is needed.");
    }
    let mappings: Vec<Value> = match text(metadata, "BlockDeviceMappings") {
        None => Vec::new(),
        Some(text) => match serde_json::from_str(text) {
            Ok(mappings) => mappings,
            Err(_) => return invalid(text, "BlockDeviceMappings", "It is no JSON array."),
        },
    };
    let source = find(&state.images, image, now)?;
    let zone = subnet.zone.clone();
    state.may_launch(kind, &zone, source, 1)?;
    let public = subnet.public;
    let (helper, snapshots) = helper_image(state, source, ids);
    let added: Vec<String> = snapshots.iter().map(|(id, _)| id.clone()).collect();
    state.snapshots.extend(snapshots);
    let disks = match image_disks(state, &helper, &mappings) {
        Ok(disks) => disks,
        Err(refusal) => {
            state.snapshots.retain(|id, _| !added.contains(id));
            return Err(refusal);
        }
    };
    let helper_id = ids(Image::KIND.prefix);
    let profile = text(metadata, "IamInstanceProfileName");
    let plan = Plan {
        base: untagged(state),
        volume_base: untagged(state),
        interface_base: untagged(state),
        reservation: ids("r"),
        index: 0,
        image: helper_id.clone(),
        root: helper.root.clone(),
        architecture: helper.architecture.clone(),
        kind: kind.to_owned(),
        subnet: subnet_id.to_owned(),
        groups,
        public,
        key: None,
        token: None,
        // In no account that this knows of: only the name is.
        profile: profile.map(|name| format!("arn:aws:iam::000000000000:instance-profile/{name}")),
        user_data: None,
        terminates: text(metadata, "InstanceInitiatedShutdownBehavior") == Some("terminate"),
        protected: truth(metadata, "DisableApiTermination") == Some(true),
        metadata: instance_metadata(
            (truth(metadata, "RequireIMDSv2") == Some(true))
                .then(|| json!({ "HttpTokens": "required" }))
                .as_ref(),
        ),
        disks,
        runs: ready,
    };
    state.images.insert(helper_id, helper);
    Ok(state.launch(plan, ids))
}

/// A copy of the recovery point's image, with snapshots of its own, as AWS Backup makes one to
/// launch from.
fn helper_image(
    state: &State,
    source: &Image,
    ids: &mut dyn FnMut(&str) -> String,
) -> (Image, Vec<(String, Snapshot)>) {
    let mut snapshots = Vec::new();
    let mut devices = Vec::new();
    for device in &source.devices {
        let id = ids(Snapshot::KIND.prefix);
        let of = state.snapshots.get(&device.snapshot);
        let snapshot = Snapshot {
            base: untagged(state),
            size_gib: of.map_or(device.size_gib, |of| of.size_gib),
            started: of.map_or(state.now, |of| of.started),
            encrypted: of.map_or(device.encrypted, |of| of.encrypted),
            key: of.and_then(|of| of.key.clone()),
            backup: false,
            volume: of.map_or(NO_VOLUME.to_owned(), |of| of.volume.clone()),
            description: "Made by AWS Backup while restoring".into(),
            owner: None,
        };
        devices.push(ImageDevice {
            snapshot: id.clone(),
            ..device.clone()
        });
        snapshots.push((id, snapshot));
    }
    let image = Image {
        base: untagged(state),
        name: format!("AwsBackup_{}", source.name),
        owner: None,
        architecture: source.architecture.clone(),
        root: source.root.clone(),
        devices,
        backup: false,
        source_instance: source.source_instance.clone(),
    };
    (image, snapshots)
}

impl State {
    /// Whether it is a volume that came out of a snapshot, with its data.
    pub fn is_filled(&self, volume: &str) -> bool {
        (self.volumes.get(volume)).is_some_and(|v| v.snapshot.is_some() && !v.empty && !v.broken)
    }
}

/// Whether there is data on a volume that AWS Backup has made.
pub fn backup_fills(state: &mut State, volume: &str, empty: bool) {
    if let Some(volume) = state.volumes.get_mut(volume) {
        volume.empty = empty;
    }
}

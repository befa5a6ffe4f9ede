//! What StartRestoreJob wants to know of each type of recovery point. Pure.
//!
//! What GetRecoveryPointRestoreMetadata gives is not always taken back, and speaks of the lost
//! region: its network, its keys. So every map is made anew, and of what was given only that is
//! taken over which says how the thing was, and not where.

use std::collections::BTreeMap;

use serde_json::Value;

use super::state::{Network, Point};
use crate::document::drill::aws::{AwsRestore, ToBucket, ToInstance, ToVolume};

/// Keys and values as strings: a value with a structure is JSON text.
pub(super) type Metadata = BTreeMap<String, String>;

/// What a restore is to become.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted<'a> {
    pub aws: &'a AwsRestore,
    pub point: &'a Point,
    /// The name that what is restored gets, where it has one.
    pub name: &'a str,
    pub network: &'a Network,
    pub kms_key: Option<&'a str>,
    /// Of an instance: the type, or the substitute whose turn it is.
    pub instance_type: &'a str,
    /// Nothing that is sent may name one of these.
    pub lost: &'a [String],
}

/// The map for StartRestoreJob. `given`: what GetRecoveryPointRestoreMetadata says.
///
/// # Errors
/// A sentence: what cannot be restored, and what to do.
pub(super) fn of(wanted: &Wanted<'_>, given: &Metadata) -> Result<Metadata, String> {
    let aws = wanted.aws;
    let mut map = if let Some(volume) = &aws.volume {
        volume_map(wanted, volume, given)
    } else if let Some(instance) = &aws.instance {
        instance_map(wanted, instance, given)?
    } else if let Some(rds) = &aws.rds {
        let mut map = database_map(wanted, given);
        map.insert("DBInstanceIdentifier".into(), wanted.name.into());
        map.insert("PubliclyAccessible".into(), "false".into());
        keep(
            &mut map,
            given,
            &["DBInstanceClass", "LicenseModel", "StorageType", "Iops"],
        );
        keep(&mut map, given, &["StorageThroughput", "MultiAZ"]);
        if let Some(class) = &rds.class {
            map.insert("DBInstanceClass".into(), class.clone());
        }
        // A zone of one's own and several zones contradict each other.
        if !(map.get("MultiAZ")).is_some_and(|yes| yes.eq_ignore_ascii_case("true")) {
            map.insert("AvailabilityZone".into(), wanted.network.zone.clone());
        }
        map
    } else if let Some(aurora) = &aws.aurora {
        let mut map = database_map(wanted, given);
        map.insert("DBClusterIdentifier".into(), wanted.name.into());
        map.insert("Engine".into(), aurora.engine.clone());
        map
    } else if let Some(bucket) = &aws.s3 {
        bucket_map(wanted, bucket)?
    } else if aws.dynamodb.is_some() {
        table_map(wanted)
    } else if aws.efs.is_some() {
        file_system_map(wanted, given)
    } else {
        return Err("the step does not say what the recovery point is restored as".into());
    };
    map.retain(|_, value| !value.is_empty());
    for (key, value) in &map {
        let lost = wanted.lost.iter().find(|lost| names_region(value, lost));
        if let Some(lost) = lost {
            return Err(format!(
                "the recovery point's metadata `{key}` names the lost region {lost}: restore it by \
                 hand once, and see what it needs"
            ));
        }
    }
    Ok(map)
}

/// Whether a text names a region, as a whole word, or one of its zones.
fn names_region(text: &str, region: &str) -> bool {
    let word = |c: char| c.is_ascii_alphanumeric() || c == '-';
    text.match_indices(region).any(|(at, _)| {
        let before = text.get(..at).and_then(|t| t.chars().next_back());
        let mut after = text.get(at + region.len()..).unwrap_or("").chars();
        let end = match (after.next(), after.next()) {
            (Some(zone), next) if zone.is_ascii_lowercase() => !next.is_some_and(word),
            (next, _) => !next.is_some_and(word),
        };
        !before.is_some_and(word) && end
    })
}

/// A value, whatever the case of its key: some services write `TargetTableName`, some
/// `targetTableName`. `null` is none.
fn given_value<'m>(given: &'m Metadata, key: &str) -> Option<&'m str> {
    (given.iter())
        .find(|(name, _)| name.eq_ignore_ascii_case(key))
        .map(|(_, value)| value.as_str())
        .filter(|value| !value.is_empty() && *value != "null")
}

fn keep(map: &mut Metadata, given: &Metadata, keys: &[&str]) {
    for key in keys {
        if let Some(value) = given_value(given, key) {
            map.insert((*key).into(), value.into());
        }
    }
}

/// The zone comes back as `null`; there is no key for an initialisation rate.
fn volume_map(wanted: &Wanted<'_>, volume: &ToVolume, given: &Metadata) -> Metadata {
    let kind = volume.kind.as_deref().unwrap_or("gp3");
    let mut map = Metadata::from([
        ("availabilityZone".to_owned(), wanted.network.zone.clone()),
        ("volumeType".to_owned(), kind.to_owned()),
        ("encrypted".to_owned(), "true".to_owned()),
    ]);
    keep(&mut map, given, &["volumeSize"]);
    // Only these two cannot be without; for gp3 the figure of another type can be too small.
    if matches!(kind, "io1" | "io2") {
        keep(&mut map, given, &["iops"]);
    }
    if let Some(key) = wanted.kms_key {
        map.insert("kmsKeyId".into(), key.into());
    }
    map
}

/// The source's network interfaces, placement, zone and key pair are left out: they mean nothing
/// here.
fn instance_map(
    wanted: &Wanted<'_>,
    instance: &ToInstance,
    given: &Metadata,
) -> Result<Metadata, String> {
    let mut map = Metadata::from([
        ("InstanceType".to_owned(), wanted.instance_type.to_owned()),
        ("SubnetId".to_owned(), wanted.network.subnet.clone()),
        ("SecurityGroupIds".to_owned(), groups(wanted.network)),
        ("RequireIMDSv2".to_owned(), "true".to_owned()),
    ]);
    if let Some(devices) = given_value(given, "BlockDeviceMappings") {
        map.insert(
            "BlockDeviceMappings".into(),
            block_devices(devices, wanted.kms_key)?,
        );
    }
    if instance.original_profile {
        keep(&mut map, given, &["IamInstanceProfileName"]);
    }
    Ok(map)
}

/// The devices as they were, without the snapshots' ids, encrypted here with a key of here, and
/// gone with the instance.
fn block_devices(text: &str, kms_key: Option<&str>) -> Result<String, String> {
    let wrong = || "the recovery point's BlockDeviceMappings are no list of devices".to_owned();
    let mut devices: Vec<Value> = serde_json::from_str(text).map_err(|_| wrong())?;
    for device in &mut devices {
        let device = device.as_object_mut().ok_or_else(wrong)?;
        let disk = (device.iter_mut())
            .find(|(name, _)| name.eq_ignore_ascii_case("ebs"))
            .and_then(|(_, value)| value.as_object_mut());
        let Some(disk) = disk else {
            continue;
        };
        // Spelled as EC2 does, whatever came.
        disk.retain(|name, value| {
            let ours = ["snapshotid", "kmskeyid", "encrypted", "deleteontermination"];
            !value.is_null()
                && !ours.contains(&name.to_ascii_lowercase().as_str())
                && !["availabilityzone", "availabilityzoneid", "outpostarn"]
                    .contains(&name.to_ascii_lowercase().as_str())
        });
        disk.insert("Encrypted".into(), true.into());
        disk.insert("DeleteOnTermination".into(), true.into());
        if let Some(key) = kms_key {
            disk.insert("KmsKeyId".into(), key.into());
        }
    }
    serde_json::to_string(&devices).map_err(|_| wrong())
}

/// What both kinds of databases have. Subnet group and security groups are the drill's; parameter
/// and option groups are the defaults: those of the lost region are not here.
fn database_map(wanted: &Wanted<'_>, given: &Metadata) -> Metadata {
    let mut map = Metadata::from([
        ("DBSubnetGroupName".to_owned(), wanted.name.to_owned()),
        ("VpcSecurityGroupIds".to_owned(), groups(wanted.network)),
        ("DeletionProtection".to_owned(), "false".to_owned()),
    ]);
    keep(
        &mut map,
        given,
        &["Port", "EnableIAMDatabaseAuthentication"],
    );
    map
}

/// `["sg-…"]`
fn groups(network: &Network) -> String {
    Value::from(vec![network.security_group.clone()]).to_string()
}

/// A new bucket. `original` encryption does not work for a copy from another region.
fn bucket_map(wanted: &Wanted<'_>, bucket: &ToBucket) -> Result<Metadata, String> {
    let mut map = Metadata::from([
        ("DestinationBucketName".to_owned(), wanted.name.to_owned()),
        ("newBucket".to_owned(), "true".to_owned()),
    ]);
    match wanted.kms_key {
        Some(key) => {
            map.insert("EncryptionType".into(), "SSE-KMS".into());
            map.insert("KMSKey".into(), key.into());
        }
        None => {
            map.insert("EncryptionType".into(), "SSE-S3".into());
        }
    }
    let continuous = wanted.point.arn.contains(":continuous:");
    let latest = wanted.point.note.data_time.clone();
    match bucket
        .restore_time
        .clone()
        .or(latest.filter(|_| continuous))
    {
        Some(time) => {
            map.insert("RestoreTime".into(), time);
        }
        None if continuous => {
            return Err(
                "a continuous recovery point of S3 demands `restore_time`: the moment to go back to"
                    .into(),
            );
        }
        None => {}
    }
    Ok(map)
}

fn table_map(wanted: &Wanted<'_>) -> Metadata {
    let mut map = Metadata::from([("targetTableName".to_owned(), wanted.name.to_owned())]);
    match wanted.kms_key {
        Some(key) => {
            map.insert("encryptionType".into(), "KMS".into());
            map.insert("kmsMasterKeyArn".into(), key.into());
        }
        None => {
            map.insert("encryptionType".into(), "Default".into());
        }
    }
    map
}

/// The creation token is what finds a file system whose id was never written down.
fn file_system_map(wanted: &Wanted<'_>, given: &Metadata) -> Metadata {
    let mode = given_value(given, "PerformanceMode").unwrap_or("generalPurpose");
    let mut map = Metadata::from([
        ("newFileSystem".to_owned(), "true".to_owned()),
        ("Encrypted".to_owned(), "true".to_owned()),
        ("PerformanceMode".to_owned(), mode.to_owned()),
        ("CreationToken".to_owned(), wanted.name.to_owned()),
    ]);
    if let Some(key) = wanted.kms_key {
        map.insert("KmsKeyId".into(), key.into());
    }
    map
}

#[cfg(test)]
pub(in crate::cloud) mod testing;
#[cfg(test)]
mod tests;

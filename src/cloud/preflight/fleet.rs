//! What a drill needs of the region: instance types, vCPUs, volumes. Pure.

use std::collections::{BTreeMap, BTreeSet};

use crate::document::drill::Drill;
use crate::document::drill::aws::AwsRestore;

/// An instance that a step makes: the type, and what may be taken in its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    pub step: String,
    pub kind: String,
    pub substitutes: Vec<String>,
}

/// The instances of a drill, in the document's order.
pub fn instances(drill: &Drill) -> Vec<Wanted> {
    (drill.steps.iter())
        .filter_map(|step| {
            let aws = step.aws.as_ref()?;
            let (kind, substitutes) = match (&aws.instance, &aws.fresh) {
                (Some(to), _) => (&to.kind, &to.substitutes),
                (None, Some(fresh)) => (&fresh.kind, &fresh.substitutes),
                (None, None) => return None,
            };
            Some(Wanted {
                step: step.step.clone(),
                kind: kind.clone(),
                substitutes: substitutes.clone(),
            })
        })
        .collect()
}

/// All types that the drill names.
pub fn kinds(wanted: &[Wanted]) -> BTreeSet<String> {
    (wanted.iter())
        .flat_map(|w| std::iter::once(&w.kind).chain(&w.substitutes))
        .cloned()
        .collect()
}

/// Which zone the drill can be held in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Zone {
    pub name: String,
    /// Steps whose type is not offered there, with the substitute that is.
    pub substituted: Vec<(String, String)>,
}

/// The zone that the document names, or the first that offers every type; else the first that
/// offers a substitute for each that it does not.
///
/// # Errors
/// Which type is offered nowhere, or not there.
pub fn zone(
    wanted: &[Wanted],
    zones: &[String],
    offered: &BTreeMap<String, BTreeSet<String>>,
    named: Option<&str>,
) -> Result<Zone, String> {
    let mut from: Vec<&String> = (zones.iter())
        .filter(|zone| named.is_none_or(|named| named == zone.as_str()))
        .collect();
    from.sort();
    if from.is_empty() {
        return Err(match named {
            Some(named) => format!(
                "{} is no available zone of this region; there are {}",
                crate::shell::clean(named, 40),
                zones.join(", ")
            ),
            None => "the region has no available zone".into(),
        });
    }
    let mut best: Option<Zone> = None;
    let mut missing = Vec::new();
    for name in from {
        match fits(wanted, name, offered.get(name)) {
            Ok(zone) if zone.substituted.is_empty() => return Ok(zone),
            Ok(zone) => {
                best.get_or_insert(zone);
            }
            Err(kind) => missing.push(format!("{name} has no {kind}")),
        }
    }
    best.ok_or_else(|| missing.join("; "))
}

fn fits(wanted: &[Wanted], name: &str, offered: Option<&BTreeSet<String>>) -> Result<Zone, String> {
    let has = |kind: &String| offered.is_some_and(|offered| offered.contains(kind));
    let mut substituted = Vec::new();
    for one in wanted {
        if has(&one.kind) {
            continue;
        }
        match one.substitutes.iter().find(|kind| has(kind)) {
            Some(kind) => substituted.push((one.step.clone(), kind.clone())),
            None => return Err(one.kind.clone()),
        }
    }
    Ok(Zone {
        name: name.to_owned(),
        substituted,
    })
}

/// The quota of running on-demand vCPUs that a type counts to: Service Quotas' code, and its name.
/// Spot quotas are others. `None`: a family that this table does not know.
pub fn quota_of(kind: &str) -> Option<(&'static str, &'static str)> {
    let family: String = (kind.split('.').next()?.chars())
        .take_while(|c| c.is_ascii_alphabetic())
        .collect();
    Some(match family.as_str() {
        "a" | "c" | "d" | "h" | "i" | "im" | "is" | "m" | "r" | "t" | "z" => {
            ("L-1216C47A", "standard instances")
        }
        "f" => ("L-74FC7D96", "F instances"),
        "g" | "gr" | "vt" => ("L-DB2E81BA", "G and VT instances"),
        "p" => ("L-417A185B", "P instances"),
        "x" => ("L-7295265B", "X instances"),
        "inf" => ("L-1945791B", "Inf instances"),
        "trn" => ("L-2C3B7624", "Trn instances"),
        "dl" => ("L-6E869C2A", "DL instances"),
        "u" => ("L-43DA4232", "high-memory instances"),
        "hpc" => ("L-F7808C92", "HPC instances"),
        _ => return None,
    })
}

/// How many vCPUs of each quota these types need together. The second: types whose quota or whose
/// vCPUs are not known.
pub fn vcpus<'a>(
    kinds: impl Iterator<Item = &'a str>,
    counts: &BTreeMap<String, u32>,
) -> (BTreeMap<&'static str, u32>, Vec<String>) {
    let mut needed: BTreeMap<&'static str, u32> = BTreeMap::new();
    let mut unknown = Vec::new();
    for kind in kinds {
        match (quota_of(kind), counts.get(kind)) {
            (Some((code, _)), Some(count)) => *needed.entry(code).or_default() += count,
            _ => unknown.push(kind.to_owned()),
        }
    }
    unknown.sort();
    unknown.dedup();
    (needed, unknown)
}

/// The quota of storage of a volume type, in TiB.
pub fn storage_quota(kind: &str) -> Option<&'static str> {
    Some(match kind {
        "gp3" => "L-7A658B76",
        "gp2" => "L-D18FCD1D",
        "io1" => "L-FD252861",
        "io2" => "L-09BD8365",
        "st1" => "L-82ACEF56",
        "sc1" => "L-17AF77E8",
        _ => return None,
    })
}

/// The type that a step's volume has.
pub fn volume_kind(aws: &AwsRestore) -> Option<&str> {
    let volume = aws.volume.as_ref()?;
    Some(volume.kind.as_deref().unwrap_or("gp3"))
}

/// Whether something needs two zones: a DB subnet group.
pub fn has_database(drill: &Drill) -> bool {
    (drill.steps.iter())
        .filter_map(|step| step.aws.as_ref())
        .any(|aws| aws.rds.is_some() || aws.aurora.is_some())
}

/// What would be made: a kind in words, and how many.
pub fn made(drill: &Drill) -> Vec<(&'static str, usize)> {
    let count = |is: &dyn Fn(&AwsRestore) -> bool| {
        (drill.steps.iter())
            .filter(|step| step.aws.as_ref().is_some_and(is))
            .count()
    };
    let steps = count(&|_| true);
    let network = usize::from(steps > 0);
    let databases = count(&|a| a.rds.is_some() || a.aurora.is_some());
    let aurora_instances = (drill.steps.iter())
        .filter_map(|step| step.aws.as_ref()?.aurora.as_ref())
        .map(|aurora| usize::try_from(aurora.instances).unwrap_or(usize::MAX))
        .fold(0, usize::saturating_add);
    let gateway = (drill.scratch.aws.as_ref())
        .is_some_and(|aws| aws.network.gateway != crate::document::drill::aws::Gateway::None);
    let fresh = count(&|a| a.fresh.is_some());
    let all = [
        ("VPC", network),
        ("subnet", network + usize::from(databases > 0)),
        ("security group", network),
        ("internet gateway", usize::from(gateway && steps > 0)),
        ("route table", usize::from(gateway && steps > 0)),
        ("key pair", usize::from(fresh > 0)),
        (
            "restore job",
            steps
                - fresh
                - count(&|a| {
                    (a.volume.as_ref())
                        .is_some_and(|v| v.by == crate::document::drill::aws::VolumeBy::Ec2)
                }),
        ),
        ("volume", count(&|a| a.volume.is_some())),
        ("EC2 instance", fresh + count(&|a| a.instance.is_some())),
        ("DB subnet group", usize::from(databases > 0)),
        ("RDS instance", count(&|a| a.rds.is_some())),
        ("Aurora cluster", count(&|a| a.aurora.is_some())),
        ("Aurora instance", aurora_instances),
        ("bucket", count(&|a| a.s3.is_some())),
        ("DynamoDB table", count(&|a| a.dynamodb.is_some())),
        ("EFS file system", count(&|a| a.efs.is_some())),
    ];
    all.into_iter().filter(|(_, n)| *n > 0).collect()
}

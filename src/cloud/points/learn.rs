//! Of which time a recovery point's data is.
//!
//! A copy's own clocks say when it was copied. So for a copy only these count: the tag
//! `seawall:data-time` that was put on the point when it was made (the primary's catalogue cannot be
//! asked any more), and the two times of an RDS snapshot that survive copying.

use std::collections::BTreeMap;

use aws_smithy_types::DateTime;
use jiff::Timestamp;

use super::choose::{Candidate, Learned};
use crate::cloud::client::Clients;
use crate::cloud::fault::Fault;
use crate::shell::clean;

/// RFC 3339, on the recovery point or its snapshot.
pub const TAG_DATA_TIME: &str = "seawall:data-time";

/// What services say of a point.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Said {
    pub tags: BTreeMap<String, String>,
    /// The last transaction in an RDS snapshot.
    pub database: Option<Timestamp>,
    /// When an RDS snapshot was first taken; survives copying.
    pub original: Option<Timestamp>,
    /// When a snapshot was begun: a copy's is the copy's.
    pub started: Option<Timestamp>,
    /// Why a question was not answered.
    pub unanswered: Option<String>,
}

/// Which clock counts. Pure.
pub fn of(point: &Candidate, said: &Said) -> Learned {
    let mut note = (said.unanswered.as_ref())
        .map(|why| format!("its tags and times could not be asked: {}", clean(why, 200)));
    if let Some(text) = said.tags.get(TAG_DATA_TIME) {
        match text.trim().parse::<Timestamp>() {
            Ok(at) => {
                return Learned {
                    data: Some((at, "the tag seawall:data-time")),
                    note,
                };
            }
            Err(_) => {
                note = Some(format!(
                    "its tag seawall:data-time is no RFC 3339 time: {}",
                    clean(text, 60)
                ));
            }
        }
    }
    let first = [
        (said.database, "RDS: SnapshotDatabaseTime"),
        (said.original, "RDS: OriginalSnapshotCreateTime"),
        (
            said.started.filter(|_| !point.copied),
            "the snapshot's own time; it is no copy",
        ),
        (
            point.created.filter(|_| !point.copied),
            "the recovery point's own time; it is no copy",
        ),
    ]
    .into_iter()
    .find_map(|(at, clock)| Some((at?, clock)));
    if first.is_none() && note.is_none() {
        note = Some(
            "it is a copy, and nothing on it says of which time the data is: put the tag \
             seawall:data-time on recovery points when they are made"
                .into(),
        );
    }
    Learned { data: first, note }
}

/// A time of the SDK's.
pub fn time(at: Option<&DateTime>) -> Option<Timestamp> {
    let at = at?;
    Timestamp::new(at.secs(), i32::try_from(at.subsec_nanos()).ok()?).ok()
}

/// The snapshot or image that a point is: `snap-…`, `ami-…`.
pub fn source_id(arn: &str) -> Option<String> {
    let last = arn.rsplit(['/', ':']).next()?;
    let known = last.starts_with("snap-") || last.starts_with("ami-");
    known.then(|| last.to_owned())
}

/// Asks about points, as few questions as their kinds allow. What is not answered is said with the
/// point: it has no data time then.
pub async fn learn(clients: &Clients, points: &mut [Candidate]) -> Result<(), Fault> {
    let ids: Vec<String> = (points.iter())
        .filter(|p| p.learned.is_none())
        .filter_map(|p| source_id(&p.arn))
        .collect();
    let mut together = match ids.is_empty() {
        true => BTreeMap::new(),
        false => of_ec2(clients, ids).await?,
    };
    for point in points.iter_mut().filter(|p| p.learned.is_none()) {
        let said = match source_id(&point.arn) {
            Some(id) => {
                let mut said = together.remove(&id).unwrap_or_else(|| Said {
                    unanswered: Some(format!("EC2 does not show {}", clean(&id, 60))),
                    ..Said::default()
                });
                // AWS Backup keeps tags of its own on what EC2 holds.
                if !said.tags.contains_key(TAG_DATA_TIME) {
                    said.tags.extend(tags(clients, &point.arn).await?.tags);
                }
                said
            }
            None => alone(clients, point).await?,
        };
        point.learned = Some(of(point, &said));
    }
    Ok(())
}

/// Whether a question that is answered so is to end the whole: what the guard refused, and
/// credentials that are over. All else only leaves the time unknown.
fn ends(fault: &Fault) -> bool {
    use crate::cloud::fault::FaultKind::{Expired, Guarded};
    matches!(fault.kind, Expired | Guarded) || fault.passes()
}

fn unanswered(fault: Fault) -> Result<Said, Fault> {
    match ends(&fault) {
        true => Err(fault),
        false => Ok(Said {
            unanswered: Some(fault.to_string()),
            ..Said::default()
        }),
    }
}

fn ec2_tags(tags: &[aws_sdk_ec2::types::Tag]) -> BTreeMap<String, String> {
    (tags.iter())
        .filter_map(|tag| Some((tag.key()?.to_owned(), tag.value()?.to_owned())))
        .collect()
}

/// Snapshots and images, each kind in one question.
async fn of_ec2(clients: &Clients, ids: Vec<String>) -> Result<BTreeMap<String, Said>, Fault> {
    let (images, snapshots): (Vec<_>, Vec<_>) =
        ids.into_iter().partition(|id| id.starts_with("ami-"));
    let mut said = BTreeMap::new();
    if !snapshots.is_empty() {
        let asked = clients.ec2.describe_snapshots();
        let asked = asked.set_snapshot_ids(Some(snapshots.clone())).send().await;
        match asked.map_err(|e| Fault::of("asking about snapshots", e)) {
            Ok(answer) => {
                for one in answer.snapshots() {
                    let entry = Said {
                        tags: ec2_tags(one.tags()),
                        started: time(one.start_time()),
                        ..Said::default()
                    };
                    said.insert(one.snapshot_id().unwrap_or_default().to_owned(), entry);
                }
            }
            Err(fault) => {
                let none = unanswered(fault)?;
                said.extend(snapshots.into_iter().map(|id| (id, none.clone())));
            }
        }
    }
    if !images.is_empty() {
        let asked = clients.ec2.describe_images();
        let asked = asked.set_image_ids(Some(images.clone())).send().await;
        match asked.map_err(|e| Fault::of("asking about images", e)) {
            Ok(answer) => {
                for one in answer.images() {
                    let made = one.creation_date().and_then(|text| text.parse().ok());
                    let entry = Said {
                        tags: ec2_tags(one.tags()),
                        started: made,
                        ..Said::default()
                    };
                    said.insert(one.image_id().unwrap_or_default().to_owned(), entry);
                }
            }
            Err(fault) => {
                let none = unanswered(fault)?;
                said.extend(images.into_iter().map(|id| (id, none.clone())));
            }
        }
    }
    Ok(said)
}

async fn alone(clients: &Clients, point: &Candidate) -> Result<Said, Fault> {
    let arn = point.arn.as_str();
    let name = arn.splitn(7, ':').nth(6).unwrap_or_default();
    if arn.contains(":rds:") && arn.contains(":snapshot:") {
        let asked = clients.rds.describe_db_snapshots();
        let asked = asked.db_snapshot_identifier(name).send().await;
        return match asked.map_err(|e| Fault::of("asking about an RDS snapshot", e)) {
            Ok(answer) => Ok((answer.db_snapshots().first())
                .map(|one| Said {
                    tags: rds_tags(one.tag_list()),
                    database: time(one.snapshot_database_time()),
                    original: time(one.original_snapshot_create_time()),
                    started: time(one.snapshot_create_time()),
                    unanswered: None,
                })
                .unwrap_or_default()),
            Err(fault) => unanswered(fault),
        };
    }
    if arn.contains(":rds:") && arn.contains(":cluster-snapshot:") {
        let asked = clients.rds.describe_db_cluster_snapshots();
        let asked = asked.db_cluster_snapshot_identifier(name).send().await;
        return match asked.map_err(|e| Fault::of("asking about a cluster's snapshot", e)) {
            Ok(answer) => Ok((answer.db_cluster_snapshots().first())
                .map(|one| Said {
                    tags: rds_tags(one.tag_list()),
                    started: time(one.snapshot_create_time()),
                    ..Said::default()
                })
                .unwrap_or_default()),
            Err(fault) => unanswered(fault),
        };
    }
    tags(clients, arn).await
}

/// The tags that AWS Backup has on a point.
async fn tags(clients: &Clients, arn: &str) -> Result<Said, Fault> {
    let asked = clients.backup.list_tags().resource_arn(arn).send().await;
    match asked.map_err(|e| Fault::of("reading a recovery point's tags", e)) {
        Ok(answer) => Ok(Said {
            tags: (answer.tags().into_iter().flatten())
                .map(|(key, value)| (key.clone(), value.clone()))
                .collect(),
            ..Said::default()
        }),
        Err(fault) => unanswered(fault),
    }
}

fn rds_tags(tags: &[aws_sdk_rds::types::Tag]) -> BTreeMap<String, String> {
    (tags.iter())
        .filter_map(|tag| Some((tag.key()?.to_owned(), tag.value()?.to_owned())))
        .collect()
}

//! EFS: file systems that AWS Backup makes, and their mount targets.

mod targets;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::ask::{Tags, ms, number, page, present, tag_list, tags, text, unsupported, wanted};
use super::world::{Answer, Call, Refusal, World};
pub use targets::Target;

/// Bytes that EFS counts of a file system with nothing in it.
pub const NOTHING: u64 = 6144;
/// Seconds that deleting takes.
const DELETES: f64 = 20.0;

/// What there is of it in one region.
#[derive(Default)]
pub struct State {
    pub systems: BTreeMap<String, FileSystem>,
    pub targets: BTreeMap<String, Target>,
}

impl State {
    /// What is there and was not seeded.
    pub fn left(&self, out: &mut Vec<String>) {
        out.extend(self.targets.keys().map(|id| format!("mount-target {id}")));
        let made = self.systems.values().filter(|system| !system.seeded);
        out.extend(made.map(|system| format!("file-system {}", system.id)));
    }

    /// By id or ARN.
    fn system(&mut self, id: &str) -> Result<&mut FileSystem, Refusal> {
        let id = id.rsplit('/').next().unwrap_or(id);
        (self.systems.get_mut(id)).ok_or_else(|| {
            let message = format!("File system '{id}' does not exist.");
            Refusal::new(404, "FileSystemNotFound", message)
        })
    }

    fn advance(&mut self, now: f64) {
        self.systems
            .retain(|_, system| system.gone.is_none_or(|gone| now < gone));
        self.targets
            .retain(|_, target| target.gone.is_none_or(|gone| now < gone));
    }
}

#[derive(Clone, Debug, Default)]
pub struct FileSystem {
    pub id: String,
    pub owner: String,
    pub arn: String,
    pub token: String,
    /// `generalPurpose` or `maxIO`.
    pub mode: String,
    pub encrypted: bool,
    pub key: Option<String>,
    pub made: f64,
    pub ready: f64,
    /// When it will be gone, if it is being deleted.
    pub gone: Option<f64>,
    /// Bytes.
    pub size: u64,
    pub tags: Tags,
    pub seeded: bool,
}

impl FileSystem {
    fn state(&self, now: f64) -> &'static str {
        match self.gone {
            Some(_) => "deleting",
            None if now < self.ready => "creating",
            None => "available",
        }
    }

    fn describe(&self, now: f64, targets: usize) -> Value {
        present(json!({
            "OwnerId": self.owner,
            "CreationToken": self.token,
            "FileSystemId": self.id,
            "FileSystemArn": self.arn,
            "CreationTime": ms(self.made),
            "LifeCycleState": self.state(now),
            "Name": self.tags.get("Name"),
            "NumberOfMountTargets": targets,
            "SizeInBytes": {"Value": self.size, "Timestamp": ms(now), "ValueInStandard": self.size},
            "PerformanceMode": self.mode,
            "Encrypted": self.encrypted,
            "KmsKeyId": self.key,
            "ThroughputMode": "elastic",
            "Tags": tag_list(&self.tags),
        }))
    }
}

fn bad(code: &str, status: u16, message: impl Into<String>) -> Refusal {
    Refusal::new(status, code, message)
}

pub fn handle(world: &mut World, call: &Call) -> Answer {
    world.region(call).efs.advance(call.now);
    let consistency = world.script.consistency_s;
    if call.operation == "CreateMountTarget" {
        return targets::create(world, call);
    }
    let state = &mut world.region(call).efs;
    let params = &call.params;
    match call.operation.as_str() {
        "DescribeFileSystems" => describe(state, call),
        "DescribeMountTargets" => targets::describe(state, call, consistency),
        "DeleteMountTarget" => targets::delete(state, call),
        "DeleteFileSystem" => {
            let id = state.system(wanted(params, "FileSystemId"))?.id.clone();
            if state.targets.values().any(|target| target.system == id) {
                let message = format!("The file system '{id}' has mount targets.");
                return Err(bad("FileSystemInUse", 409, message));
            }
            let system = state.system(&id)?;
            system.gone = system.gone.or(Some(call.now + DELETES));
            Ok(json!({}))
        }
        "TagResource" => {
            let new = tags(params, "Tags");
            state.system(wanted(params, "ResourceId"))?.tags.extend(new);
            Ok(json!({}))
        }
        "ListTagsForResource" => {
            let system = state.system(wanted(params, "ResourceId"))?;
            Ok(json!({"Tags": tag_list(&system.tags)}))
        }
        _ => Err(unsupported(call)),
    }
}

fn describe(state: &mut State, call: &Call) -> Answer {
    let params = &call.params;
    let id = match text(params, "FileSystemId") {
        Some(id) => Some(state.system(id)?.id.clone()),
        None => None,
    };
    let token = text(params, "CreationToken");
    let all = (state.systems.values())
        .filter(|system| id.as_ref().is_none_or(|id| *id == system.id))
        .filter(|system| token.is_none_or(|token| token == system.token))
        .map(|system| {
            let of = |target: &&Target| target.system == system.id;
            system.describe(call.now, state.targets.values().filter(of).count())
        })
        .collect();
    let marker = text(params, "Marker");
    let (systems, next) = page(all, marker, number(params, "MaxItems"), 100, "BadRequest")?;
    Ok(present(
        json!({"FileSystems": systems, "Marker": marker, "NextMarker": next}),
    ))
}

//! DB instances.

use serde_json::{Value, json};

use super::super::ask::{
    Tags, flag, list, missing_group, ms, number, present, tag_list, tags, text, wanted,
};
use super::super::world::{Answer, Call, Refusal, World};
use super::{SubnetGroup, filtered, paged, refused};

/// What can be ordered, where the seed says nothing.
pub const CLASSES: &[&str] = &[
    "db.t3.medium",
    "db.t4g.medium",
    "db.t4g.large",
    "db.m6g.large",
    "db.m7g.large",
    "db.m7g.xlarge",
    "db.r6g.large",
    "db.r6g.xlarge",
    "db.r7g.large",
    "db.r7g.xlarge",
];
/// Seconds that CreateDBInstance takes.
const CREATES: f64 = 600.0;
/// Seconds that deleting takes.
const DELETES: f64 = 300.0;

#[derive(Clone, Debug, Default)]
pub struct Instance {
    pub id: String,
    pub arn: String,
    pub class: String,
    pub engine: String,
    pub version: String,
    /// The cluster that it is in.
    pub cluster: Option<String>,
    /// As it was when the instance was made.
    pub subnets: Option<SubnetGroup>,
    pub groups: Vec<String>,
    pub zone: String,
    pub user: String,
    /// GiB.
    pub storage: u64,
    pub encrypted: bool,
    pub key: Option<String>,
    pub multi_az: bool,
    pub protected: bool,
    pub address: String,
    pub port: u64,
    pub made: f64,
    pub ready: f64,
    pub gone: Option<f64>,
    /// The recovery point that it came from.
    pub point: Option<String>,
    pub tags: Tags,
    pub seeded: bool,
}

impl Instance {
    pub fn status(&self, now: f64) -> &'static str {
        match self.gone {
            Some(_) => "deleting",
            None if now < self.ready => "creating",
            None => "available",
        }
    }

    pub fn describe(&self, now: f64) -> Value {
        let groups = (self.groups.iter())
            .map(|id| json!({"VpcSecurityGroupId": id, "Status": "active"}))
            .collect::<Value>();
        // There is an address when it can be connected to.
        let endpoint =
            (now >= self.ready).then(|| json!({"Address": self.address, "Port": self.port}));
        present(json!({
            "DBInstanceIdentifier": self.id,
            "DBInstanceArn": self.arn,
            "DBInstanceClass": self.class,
            "Engine": self.engine,
            "EngineVersion": self.version,
            "DBInstanceStatus": self.status(now),
            "MasterUsername": self.user,
            "Endpoint": endpoint,
            "AllocatedStorage": self.storage,
            "InstanceCreateTime": ms(self.made),
            "VpcSecurityGroups": groups,
            "AvailabilityZone": self.zone,
            "DBSubnetGroup": self.subnets.as_ref().map(SubnetGroup::describe),
            "MultiAZ": self.multi_az,
            "PubliclyAccessible": false,
            "StorageType": "gp3",
            "StorageEncrypted": self.encrypted,
            "KmsKeyId": self.key,
            "DBClusterIdentifier": self.cluster,
            "DeletionProtection": self.protected,
            "AwsBackupRecoveryPointArn": self.point,
            "TagList": tag_list(&self.tags),
        }))
    }
}

pub fn missing(id: &str) -> Refusal {
    Refusal::new(
        404,
        "DBInstanceNotFound",
        format!("DBInstance {id} not found."),
    )
}

/// What was made less than `consistency_s` ago is not found by its id.
pub fn describe(world: &mut World, call: &Call) -> Answer {
    let params = &call.params;
    let consistency = world.script.consistency_s;
    let state = &world.region(call).rds;
    // By name or by ARN.
    let one = text(params, "DBInstanceIdentifier");
    let one = one.map(|id| id.rsplit(':').next().unwrap_or(id).to_lowercase());
    if let Some(id) = &one {
        (state.instances.get(id))
            .filter(|instance| call.now >= instance.made + consistency)
            .ok_or_else(|| missing(id))?;
    }
    let mut all = Vec::new();
    for instance in state.instances.values() {
        let known = [
            ("db-instance-id", instance.id.as_str()),
            ("db-cluster-id", instance.cluster.as_deref().unwrap_or("-")),
            ("engine", &instance.engine),
        ];
        let fits = filtered(params, &known)?;
        if fits && one.as_ref().is_none_or(|id| *id == instance.id) {
            all.push(instance.describe(call.now));
        }
    }
    paged("DBInstances", all, params)
}

pub fn create(world: &mut World, call: &Call) -> Answer {
    let params = &call.params;
    let id = wanted(params, "DBInstanceIdentifier").to_lowercase();
    let class = wanted(params, "DBInstanceClass").to_owned();
    let engine = wanted(params, "Engine").to_owned();
    if world.script.no_capacity.contains(&class) {
        let message = format!("There is no capacity for {class} in the requested zone.");
        return Err(refused("InsufficientDBInstanceCapacity", message));
    }
    let groups = list(params, "VpcSecurityGroupIds");
    if let Some(group) = missing_group(world, call, &groups) {
        let message = format!("Invalid security group , groupId= {group}");
        return Err(refused("InvalidParameterValue", message));
    }
    let state = &mut world.region(call).rds;
    if state.instances.contains_key(&id) {
        return Err(refused(
            "DBInstanceAlreadyExists",
            "DB Instance already exists",
        ));
    }
    if !offered(&state.classes).contains(&class) {
        let message = format!("RDS does not support creating a DB instance with {class}.");
        return Err(refused("InvalidParameterCombination", message));
    }
    let arn = format!("arn:aws:rds:{}:{}:db:{id}", call.region, call.account);
    let mut new = Instance {
        address: format!("{id}.cdoubledouble.{}.rds.amazonaws.com", call.region),
        id: id.clone(),
        arn,
        class,
        engine: engine.clone(),
        made: call.now,
        ready: call.now + CREATES,
        protected: flag(params, "DeletionProtection") == Some(true),
        tags: tags(params, "Tags"),
        ..Instance::default()
    };
    match text(params, "DBClusterIdentifier").map(str::to_lowercase) {
        Some(name) => {
            let cluster =
                (state.clusters.get(&name)).ok_or_else(|| super::clusters::missing(&name))?;
            if cluster.status(call.now) != "available" {
                let message = format!("The DB cluster {name} is {}.", cluster.status(call.now));
                return Err(refused("InvalidDBClusterStateFault", message));
            }
            if cluster.engine != engine {
                let message = "The engine is not the DB cluster's.";
                return Err(refused("InvalidParameterCombination", message));
            }
            if !groups.is_empty() {
                let message = "The security groups are the DB cluster's to say.";
                return Err(refused("InvalidParameterCombination", message));
            }
            new.version = cluster.version.clone();
            new.user = cluster.user.clone();
            new.subnets = cluster.subnets.clone();
            new.groups = cluster.groups.clone();
            new.encrypted = cluster.encrypted;
            new.key = cluster.key.clone();
            new.port = cluster.port;
            new.storage = 1;
            if let Some(address) = &cluster.address {
                new.address = address.clone();
            }
            new.cluster = Some(name);
        }
        None => {
            let storage = number(params, "AllocatedStorage");
            if text(params, "MasterUsername").is_none() || storage.is_none() {
                let message = "AllocatedStorage and MasterUsername are required.";
                return Err(refused("InvalidParameterCombination", message));
            }
            let name = text(params, "DBSubnetGroupName")
                .unwrap_or("default")
                .to_lowercase();
            let group = state.groups.get(&name);
            new.subnets = Some(group.ok_or_else(|| super::groups::missing(&name))?.clone());
            new.user = wanted(params, "MasterUsername").to_owned();
            new.storage = storage.unwrap_or_default() as u64;
            new.version = wanted(params, "EngineVersion").to_owned();
            new.groups = groups;
            new.port = number(params, "Port").map_or(5432, |port| port as u64);
            new.encrypted = flag(params, "StorageEncrypted") == Some(true);
        }
    }
    new.zone = (text(params, "AvailabilityZone").map(str::to_owned))
        .or_else(|| {
            new.subnets
                .as_ref()
                .and_then(|group| group.subnets.first())
                .map(|s| s.1.clone())
        })
        .unwrap_or_default();
    let said = new.describe(call.now);
    state.instances.insert(id, new);
    Ok(json!({"DBInstance": said}))
}

fn one<'a>(state: &'a mut super::State, params: &Value) -> Result<&'a mut Instance, Refusal> {
    let id = wanted(params, "DBInstanceIdentifier").to_lowercase();
    state.instances.get_mut(&id).ok_or_else(|| missing(&id))
}

pub fn delete(state: &mut super::State, call: &Call) -> Answer {
    let params = &call.params;
    let skips = flag(params, "SkipFinalSnapshot") == Some(true);
    let last = text(params, "FinalDBSnapshotIdentifier").map(str::to_owned);
    let instance = one(state, params)?;
    if instance.status(call.now) != "available" {
        let message = format!("Instance {} is {}.", instance.id, instance.status(call.now));
        return Err(refused("InvalidDBInstanceState", message));
    }
    if instance.protected {
        let message = "Cannot delete protected DB Instance, please disable deletion protection \
                       and try again.";
        return Err(refused("InvalidParameterCombination", message));
    }
    if instance.cluster.is_none() && !skips && last.is_none() {
        let message =
            "FinalDBSnapshotIdentifier is required unless SkipFinalSnapshot is specified.";
        return Err(refused("InvalidParameterCombination", message));
    }
    if last.is_some() && (skips || instance.cluster.is_some()) {
        let message = "FinalDBSnapshotIdentifier cannot be specified here.";
        return Err(refused("InvalidParameterCombination", message));
    }
    instance.gone = Some(call.now + DELETES);
    let of = instance.clone();
    if let Some(id) = last {
        let snapshot = super::Snapshot::manual(&id, &of, call);
        state.snapshots.insert(id, snapshot);
    }
    Ok(json!({"DBInstance": of.describe(call.now)}))
}

pub fn modify(state: &mut super::State, call: &Call) -> Answer {
    let params = &call.params;
    let instance = one(state, params)?;
    if instance.status(call.now) != "available" {
        let message = format!("Instance {} is {}.", instance.id, instance.status(call.now));
        return Err(refused("InvalidDBInstanceState", message));
    }
    if let Some(protected) = flag(params, "DeletionProtection") {
        instance.protected = protected;
    }
    if let Some(class) = text(params, "DBInstanceClass") {
        instance.class = class.to_owned();
    }
    if params.get("VpcSecurityGroupIds").is_some() {
        instance.groups = list(params, "VpcSecurityGroupIds");
    }
    Ok(json!({"DBInstance": instance.describe(call.now)}))
}

pub fn offered(seeded: &[String]) -> Vec<String> {
    match seeded {
        [] => CLASSES.iter().map(|class| (*class).to_owned()).collect(),
        some => some.to_vec(),
    }
}

pub fn orderable(world: &mut World, call: &Call) -> Answer {
    let params = &call.params;
    let wish = text(params, "DBInstanceClass");
    let zones: Vec<Value> = ["a", "b", "c"]
        .iter()
        .map(|letter| json!({"Name": format!("{}{letter}", call.region)}))
        .collect();
    let all = (offered(&world.region(call).rds.classes).iter())
        .filter(|class| wish.is_none_or(|wish| wish == *class))
        .map(|class| {
            json!({
                "Engine": wanted(params, "Engine"),
                "EngineVersion": text(params, "EngineVersion").unwrap_or("15.7"),
                "DBInstanceClass": class,
                "LicenseModel": "postgresql-license",
                "AvailabilityZones": zones,
                "MultiAZCapable": true,
                "Vpc": true,
                "SupportsStorageEncryption": true,
                "StorageType": "gp3",
            })
        })
        .collect();
    paged("OrderableDBInstanceOptions", all, params)
}

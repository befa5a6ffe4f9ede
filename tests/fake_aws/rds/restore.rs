//! What a restore job makes.

use std::collections::BTreeMap;

use super::super::backup::Point;
use super::super::world::{Call, World};
use super::{Cluster, Instance, SubnetGroup};

/// What is restored, and as what.
pub struct Restore<'a> {
    pub metadata: &'a BTreeMap<String, String>,
    pub point: &'a Point,
    /// Security groups, which are there.
    pub groups: Vec<String>,
    pub made: f64,
    pub ready: f64,
}

impl Restore<'_> {
    fn meta(&self, name: &str) -> Option<&str> {
        (self.metadata.iter())
            .find(|(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    fn is(&self, name: &str) -> bool {
        self.meta(name)
            .is_some_and(|value| value.eq_ignore_ascii_case("true"))
    }

    fn subnets(&self, world: &mut World, call: &Call) -> Result<SubnetGroup, String> {
        let name = self
            .meta("DBSubnetGroupName")
            .unwrap_or_default()
            .to_lowercase();
        (world.region(call).rds.groups.get(&name).cloned())
            .ok_or_else(|| format!("DB subnet group '{name}' does not exist."))
    }

    /// Where a real database is, if the seed names one: `address` and `port`.
    fn endpoint(&self) -> (Option<String>, u64) {
        let port = self
            .point
            .spec
            .get("port")
            .and_then(serde_json::Value::as_u64);
        (
            self.point.word("address").map(str::to_owned),
            port.unwrap_or(5432),
        )
    }
}

/// Its ARN.
pub fn backup_creates_instance(
    world: &mut World,
    call: &Call,
    asked: &Restore<'_>,
) -> Result<String, String> {
    let id = asked
        .meta("DBInstanceIdentifier")
        .unwrap_or_default()
        .to_lowercase();
    let subnets = asked.subnets(world, call)?;
    let class = (asked.meta("DBInstanceClass"))
        .or_else(|| asked.point.word("class"))
        .unwrap_or("db.m7g.large")
        .to_owned();
    if world.script.no_capacity.contains(&class) {
        return Err(format!(
            "There is no capacity for {class} in the requested zone."
        ));
    }
    let state = &mut world.region(call).rds;
    if state.instances.contains_key(&id) {
        return Err(format!("DB Instance already exists: {id}"));
    }
    let zone = match asked.meta("AvailabilityZone") {
        Some(zone) if !zone.starts_with(&call.region) => {
            return Err(format!(
                "Availability zone '{zone}' is unavailable in this region."
            ));
        }
        Some(zone) => zone.to_owned(),
        None => subnets
            .subnets
            .first()
            .map(|subnet| subnet.1.clone())
            .unwrap_or_default(),
    };
    let (address, port) = asked.endpoint();
    let arn = format!("arn:aws:rds:{}:{}:db:{id}", call.region, call.account);
    let instance = Instance {
        address: address
            .unwrap_or_else(|| format!("{id}.cdoubledouble.{}.rds.amazonaws.com", call.region)),
        port,
        id: id.clone(),
        arn: arn.clone(),
        class,
        engine: asked.point.word("engine").unwrap_or("postgres").to_owned(),
        version: asked
            .point
            .word("engine_version")
            .unwrap_or("15.7")
            .to_owned(),
        subnets: Some(subnets),
        groups: asked.groups.clone(),
        zone,
        user: "postgres".into(),
        storage: asked.point.size.div_ceil(1 << 30),
        // As the snapshot is: the metadata's word is not heard.
        encrypted: asked.point.encrypted,
        key: asked.point.key.clone(),
        multi_az: asked.is("MultiAZ"),
        protected: asked.is("DeletionProtection"),
        made: asked.made,
        ready: asked.ready,
        point: Some(asked.point.arn.clone()),
        ..Instance::default()
    };
    state.instances.insert(id, instance);
    Ok(arn)
}

/// Its ARN. It has no instances.
pub fn backup_creates_cluster(
    world: &mut World,
    call: &Call,
    asked: &Restore<'_>,
) -> Result<String, String> {
    let id = asked
        .meta("DBClusterIdentifier")
        .unwrap_or_default()
        .to_lowercase();
    let subnets = asked.subnets(world, call)?;
    let state = &mut world.region(call).rds;
    if state.clusters.contains_key(&id) {
        return Err(format!("DB Cluster already exists: {id}"));
    }
    let (address, port) = asked.endpoint();
    let arn = format!("arn:aws:rds:{}:{}:cluster:{id}", call.region, call.account);
    let cluster = Cluster {
        id: id.clone(),
        arn: arn.clone(),
        engine: asked
            .meta("Engine")
            .unwrap_or("aurora-postgresql")
            .to_owned(),
        version: asked
            .point
            .word("engine_version")
            .unwrap_or("15.4")
            .to_owned(),
        subnets: Some(subnets),
        groups: asked.groups.clone(),
        user: "postgres".into(),
        encrypted: asked.point.encrypted,
        key: asked.point.key.clone(),
        protected: asked.is("DeletionProtection"),
        address,
        port,
        made: asked.made,
        ready: asked.ready,
        point: Some(asked.point.arn.clone()),
        ..Cluster::default()
    };
    state.clusters.insert(id, cluster);
    Ok(arn)
}

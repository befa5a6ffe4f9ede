//! Whether the region has room for the whole drill: zones, instance types, quotas, images, keys; and
//! whether we may make what it needs.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_ec2::types::{Filter, InstanceType, LocationType, ResourceType, Tag, TagSpecification};

use super::fleet::{self, Wanted};
use super::inventory::Used;
use super::sight::{Sight, ask};
use crate::cloud::client::Clients;
use crate::cloud::fault::{Fault, FaultKind};
use crate::cloud::names::TAG_DRILL;
use crate::cloud::provider::Inner;
use crate::document::drill::Drill;
use crate::shell::clean;

/// Quotas of the VPC service: VPCs per region.
const VPCS: &str = "L-F678F1CE";

pub async fn look(clients: &Clients, inner: &Inner, run: &str, used: &Used, sight: &mut Sight) {
    let drill = &inner.setup.drill;
    let wanted = fleet::instances(drill);
    zones(clients, inner, &wanted, sight).await;
    vcpus(clients, &wanted, used, sight).await;
    let name = "the quota of VPCs";
    match used.vpcs {
        Some(others) => {
            let needed = f64::from(others) + 1.0;
            let detail = format!("{others} are there, and the drill makes one");
            quota(clients, "vpc", VPCS, name, needed, &detail, sight).await;
        }
        None => sight.assume(name, "the VPCs that are there could not be listed"),
    }
    storage(clients, drill, used, sight).await;
    if drill.steps.iter().any(|s| {
        (s.aws.as_ref()).is_some_and(|a| {
            a.rds.is_some() || a.aurora.is_some() || a.efs.is_some() || a.dynamodb.is_some()
        })
    }) {
        sight.assume(
            "the quotas and classes of RDS, Aurora, DynamoDB and EFS are enough",
            "they are not asked",
        );
    }
    images(clients, drill, sight).await;
    keys(clients, inner, sight).await;
    may(clients, inner, run, sight).await;
}

/// Whether one zone offers every instance type.
async fn zones(clients: &Clients, inner: &Inner, wanted: &[Wanted], sight: &mut Sight) {
    let name = "one zone offers every instance type";
    let what = "listing availability zones";
    let asked = ask(clients, what, || {
        let request = clients.ec2.describe_availability_zones();
        async { request.send().await.map_err(|e| Fault::of(what, e)) }
    })
    .await;
    let zones: Vec<String> = match asked {
        Ok(answer) => (answer.availability_zones().iter())
            .filter(|z| z.state().is_none_or(|s| s.as_str() == "available"))
            .filter(|z| z.zone_type().is_none_or(|kind| kind == "availability-zone"))
            .filter_map(|z| z.zone_name().map(str::to_owned))
            .collect(),
        Err(fault) => return sight.check(name, false, fault.to_string()),
    };
    if fleet::has_database(&inner.setup.drill) {
        let detail = format!("there are {}", zones.len());
        sight.check("two zones for databases", zones.len() >= 2, detail);
    }
    let kinds = fleet::kinds(wanted);
    let offered = match offerings(clients, &kinds).await {
        Ok(offered) => offered,
        Err(fault) => return sight.check(name, false, fault.to_string()),
    };
    match fleet::zone(
        wanted,
        &zones,
        &offered,
        inner.scratch.network.zone.as_deref(),
    ) {
        Ok(zone) => {
            let mut detail = match kinds.is_empty() {
                true => format!("{}; the drill names no type", zone.name),
                false => format!("{} has {}", zone.name, list(&kinds)),
            };
            for (step, kind) in &zone.substituted {
                detail = format!(
                    "{}: the step {} would take the substitute {}",
                    zone.name,
                    clean(step, 80),
                    clean(kind, 40)
                );
            }
            sight.check(name, true, detail);
            sight.zone = Some(zone);
        }
        Err(why) => sight.check(name, false, why),
    }
}

fn list(kinds: &BTreeSet<String>) -> String {
    kinds
        .iter()
        .map(|k| clean(k, 40))
        .collect::<Vec<_>>()
        .join(", ")
}

/// Which types each zone offers.
async fn offerings(
    clients: &Clients,
    kinds: &BTreeSet<String>,
) -> Result<BTreeMap<String, BTreeSet<String>>, Fault> {
    let mut offered: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    if kinds.is_empty() {
        return Ok(offered);
    }
    let what = "asking which zones offer the instance types";
    let pages = ask(clients, what, || {
        let filter = (Filter::builder().name("instance-type"))
            .set_values(Some(kinds.iter().cloned().collect()))
            .build();
        let pages = (clients.ec2.describe_instance_type_offerings())
            .location_type(LocationType::AvailabilityZone)
            .filters(filter)
            .into_paginator()
            .send();
        async move {
            let all = pages.collect::<Result<Vec<_>, _>>().await;
            all.map_err(|e| Fault::of(what, e))
        }
    })
    .await?;
    for one in pages.iter().flat_map(|page| page.instance_type_offerings()) {
        if let (Some(zone), Some(kind)) = (one.location(), one.instance_type()) {
            let kinds = offered.entry(zone.to_owned()).or_default();
            kinds.insert(kind.as_str().to_owned());
        }
    }
    Ok(offered)
}

/// Whether the quotas of vCPUs hold what runs already and what the drill makes.
async fn vcpus(clients: &Clients, wanted: &[Wanted], used: &Used, sight: &mut Sight) {
    let substituted = |step: &str| {
        let zone = sight.zone.as_ref()?;
        let found = zone.substituted.iter().find(|(of, _)| of == step)?;
        Some(found.1.clone())
    };
    let ours: Vec<String> = (wanted.iter())
        .map(|w| substituted(&w.step).unwrap_or_else(|| w.kind.clone()))
        .collect();
    if ours.is_empty() {
        return;
    }
    let running = used.running.clone().unwrap_or_default();
    let all: BTreeSet<String> = ours.iter().chain(&running).cloned().collect();
    let name = "the quotas of vCPUs";
    let counts = match sizes(clients, all).await {
        Ok(counts) => counts,
        Err(fault) => return sight.fault(name, &fault),
    };
    let (needed, unknown) = fleet::vcpus(ours.iter().map(String::as_str), &counts);
    let (taken, _) = fleet::vcpus(running.iter().map(String::as_str), &counts);
    if !unknown.is_empty() {
        let why = format!(
            "of {} the vCPUs or the quota are not known",
            unknown.join(", ")
        );
        sight.assume(name, why);
    }
    for (code, count) in needed {
        let family = (ours.iter())
            .filter_map(|kind| fleet::quota_of(kind))
            .find(|(of, _)| *of == code)
            .map_or("instances", |(_, family)| family);
        let name = format!("the quota of vCPUs of {family}");
        let there = taken.get(code).copied().unwrap_or(0);
        let detail = match used.running {
            Some(_) => format!("{there} run already, and the drill needs {count}"),
            None => format!("what runs already is not known, and the drill needs {count}"),
        };
        let sum = f64::from(there) + f64::from(count);
        quota(clients, "ec2", code, &name, sum, &detail, sight).await;
    }
}

/// How many vCPUs each type has.
async fn sizes(clients: &Clients, kinds: BTreeSet<String>) -> Result<BTreeMap<String, u32>, Fault> {
    let what = "asking how large the instance types are";
    let kinds: Vec<InstanceType> = kinds.iter().map(|k| k.as_str().into()).collect();
    let mut counts = BTreeMap::new();
    // So many may be named at once.
    for chunk in kinds.chunks(100) {
        let answer = ask(clients, what, || {
            let request = clients.ec2.describe_instance_types();
            let request = request.set_instance_types(Some(chunk.to_vec()));
            async { request.send().await.map_err(|e| Fault::of(what, e)) }
        })
        .await?;
        for one in answer.instance_types() {
            let count = one.v_cpu_info().and_then(|info| info.default_v_cpus());
            if let (Some(kind), Some(count)) = (one.instance_type(), count) {
                counts.insert(kind.as_str().to_owned(), count.max(0).unsigned_abs());
            }
        }
    }
    Ok(counts)
}

/// Whether the volumes fit.
async fn storage(clients: &Clients, drill: &Drill, used: &Used, sight: &mut Sight) {
    let mut needed: BTreeMap<&str, f64> = BTreeMap::new();
    for step in &drill.steps {
        let Some(kind) = step.aws.as_ref().and_then(fleet::volume_kind) else {
            continue;
        };
        let found = sight.found.iter().find(|(of, _)| *of == step.step);
        let bytes = found.map_or(0, |(_, found)| found.point.size);
        *needed.entry(kind).or_default() += bytes as f64 / f64::from(1 << 30);
    }
    for (kind, gib) in needed {
        let name = format!(
            "the quota of storage in {} volumes, in TiB",
            clean(kind, 20)
        );
        let Some(code) = fleet::storage_quota(kind) else {
            sight.assume(&name, "its quota is not known");
            continue;
        };
        let Some(there) = &used.storage else {
            sight.assume(&name, "the volumes that are there could not be listed");
            continue;
        };
        let there = there.get(kind).copied().unwrap_or(0.0);
        let detail = format!("{there:.0} GiB are there, and the drill makes {gib:.0} GiB");
        quota(
            clients,
            "ebs",
            code,
            &name,
            (there + gib) / 1024.0,
            &detail,
            sight,
        )
        .await;
    }
}

/// Compares with a quota. What was never changed has the service's default.
async fn quota(
    clients: &Clients,
    service: &str,
    code: &str,
    name: &str,
    needed: f64,
    detail: &str,
    sight: &mut Sight,
) {
    let what = format!("asking for the quota {service} {code}");
    let asked = ask(clients, &what, || {
        let own = clients.quotas.get_service_quota();
        let own = own.service_code(service).quota_code(code);
        let default = clients.quotas.get_aws_default_service_quota();
        let default = default.service_code(service).quota_code(code);
        let what = &what;
        async move {
            match own.send().await.map_err(|e| Fault::of(what, e)) {
                Ok(answer) => Ok(answer.quota().and_then(|q| q.value())),
                Err(fault) if fault.kind == FaultKind::NotFound => {
                    let answer = default.send().await.map_err(|e| Fault::of(what, e))?;
                    Ok(answer.quota().and_then(|q| q.value()))
                }
                Err(fault) => Err(fault),
            }
        }
    })
    .await;
    match asked {
        Ok(Some(value)) => sight.check(
            name,
            needed <= value,
            match needed <= value {
                true => format!("{value} are allowed: {detail}"),
                false => format!(
                    "{value} are allowed: {detail}; ask for a higher quota ({service} {code})"
                ),
            },
        ),
        Ok(None) => sight.assume(name, "the service names no value"),
        Err(fault) if fault.kind == FaultKind::NotFound => {
            sight.assume(name, fault.to_string());
        }
        Err(fault) => sight.fault(name, &fault),
    }
}

/// Whether the images of fresh instances are there.
async fn images(clients: &Clients, drill: &Drill, sight: &mut Sight) {
    let ids: BTreeSet<&String> = (drill.steps.iter())
        .filter_map(|step| Some(&step.aws.as_ref()?.fresh.as_ref()?.image))
        .collect();
    for id in ids {
        let name = format!("the image {} is there", clean(id, 40));
        let what = format!("asking for the image {}", clean(id, 40));
        let asked = ask(clients, &what, || {
            let request = clients.ec2.describe_images().image_ids(id.as_str());
            async { request.send().await.map_err(|e| Fault::of(&what, e)) }
        })
        .await;
        match asked {
            Ok(answer) => {
                let found = answer.images().first();
                let state = found.and_then(|i| i.state()).map(|s| s.as_str());
                let detail = match (found.and_then(|i| i.name()), state) {
                    (Some(name), Some(state)) => format!("{}, {state}", clean(name, 100)),
                    (None, Some(state)) => state.to_owned(),
                    _ => "this region shows none".to_owned(),
                };
                sight.check(&name, state == Some("available"), detail);
            }
            Err(fault) => sight.check(&name, false, fault.to_string()),
        }
    }
}

/// Whether the keys of the points, and the one that things are restored with, are enabled.
async fn keys(clients: &Clients, inner: &Inner, sight: &mut Sight) {
    let of_points = sight
        .found
        .iter()
        .filter_map(|(_, found)| found.key.clone());
    let keys: BTreeSet<String> = of_points.chain(inner.scratch.kms_key.clone()).collect();
    for key in keys {
        let name = format!("the key {} is enabled", clean(&key, 120));
        let what = format!("asking for the key {}", clean(&key, 120));
        let asked = ask(clients, &what, || {
            let request = clients.kms.describe_key().key_id(&key);
            async { request.send().await.map_err(|e| Fault::of(&what, e)) }
        })
        .await;
        match asked {
            Ok(answer) => {
                let state = answer.key_metadata().and_then(|k| k.key_state());
                let state = state.map_or("its state is not said", |s| s.as_str());
                sight.check(&name, state == "Enabled", state);
            }
            // A key that we may not even look at would fail in the middle of the drill.
            Err(fault) => sight.check(&name, false, fault.to_string()),
        }
    }
}

/// Whether we may make a network and instances: asked with `DryRun`, which makes nothing.
async fn may(clients: &Clients, inner: &Inner, run: &str, sight: &mut Sight) {
    let tags = |kind: ResourceType| {
        let tag = Tag::builder().key(TAG_DRILL).value(run).build();
        TagSpecification::builder()
            .resource_type(kind)
            .tags(tag)
            .build()
    };
    let what = "trying CreateVpc (dry run)";
    let asked = ask(clients, what, || {
        let request = (clients.ec2.create_vpc())
            .cidr_block(&inner.scratch.network.cidr)
            .tag_specifications(tags(ResourceType::Vpc))
            .dry_run(true);
        async {
            request
                .send()
                .await
                .map(drop)
                .map_err(|e| Fault::of(what, e))
        }
    })
    .await;
    allowed("we may make a network", asked, sight);
    let fresh = (inner.setup.drill.steps.iter()).find_map(|step| step.aws.as_ref()?.fresh.as_ref());
    if let Some(fresh) = fresh {
        let what = "trying RunInstances (dry run)";
        let asked = ask(clients, what, || {
            let request = (clients.ec2.run_instances())
                .image_id(&fresh.image)
                .instance_type(fresh.kind.as_str().into())
                .min_count(1)
                .max_count(1)
                .tag_specifications(tags(ResourceType::Instance))
                .tag_specifications(tags(ResourceType::Volume))
                .tag_specifications(tags(ResourceType::NetworkInterface))
                .dry_run(true);
            async {
                request
                    .send()
                    .await
                    .map(drop)
                    .map_err(|e| Fault::of(what, e))
            }
        })
        .await;
        allowed("we may start instances", asked, sight);
    }
}

fn allowed(name: &str, asked: Result<(), Fault>, sight: &mut Sight) {
    match asked {
        Err(fault) if fault.code.as_deref() == Some("DryRunOperation") => {
            sight.check(name, true, "a dry run would have gone well");
        }
        // EC2 found something else before it came to permissions, e.g. that there is no default
        // network to start an instance in.
        Err(fault) if fault.kind == FaultKind::Ours => sight.assume(name, fault.to_string()),
        Err(fault) => sight.check(name, false, fault.to_string()),
        // It was to make nothing; whoever answers so did not heed it.
        Ok(()) => sight.check(
            name,
            false,
            "a dry run was carried out: look in the scratch region for what it made",
        ),
    }
}

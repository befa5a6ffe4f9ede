//! What bears the run's tag or name and is still there, asked with Describe and List, never of the
//! tag index, with what it costs a day.

use aws_sdk_rds::types::Tag as RdsTag;

use super::client::Clients;
use super::fault::Fault;
use super::find::{self, filter};
use super::make::PATIENCE;
use super::names::{Kind, TAG_DRILL};
use super::poll::{Asked, Schedule, until};
use super::prices::{self, Priced, per_day};
use super::provider::Inner;
use super::teardown::take_away;
use super::{database, file_system, instance, table, volume};
use crate::document::drill::Drill;
use crate::drill::provider::{DrillContext, Leftover};
use crate::shell::clean;

/// What EC2 has that bears a tag; instances are looked for in the run's VPCs too.
const OF_EC2: [Kind; 10] = [
    Kind::Instance,
    Kind::Volume,
    Kind::Image,
    Kind::Snapshot,
    Kind::KeyPair,
    Kind::InternetGateway,
    Kind::RouteTable,
    Kind::SecurityGroup,
    Kind::Subnet,
    Kind::Vpc,
];

/// The beginning of every name of a run. Pure.
fn prefix(run: &str) -> String {
    format!("seawall-{}-", run.to_ascii_lowercase()).replace("--", "-")
}

/// The id of a leftover stands first in its name. Pure.
fn id_of(name: &str) -> &str {
    name.split(' ').next().unwrap_or(name)
}

/// Whether a drill can have made such a thing. What it never asks for need not be looked for, nor
/// be allowed. Pure.
fn makes(drill: &Drill, kind: Kind) -> bool {
    let mut all = drill.steps.iter().filter_map(|step| step.aws.as_ref());
    all.any(|aws| match kind {
        Kind::DbInstance | Kind::DbSubnetGroup => aws.rds.is_some() || aws.aurora.is_some(),
        Kind::DbCluster => aws.aurora.is_some(),
        Kind::Bucket => aws.s3.is_some(),
        Kind::Table => aws.dynamodb.is_some(),
        Kind::FileSystem => aws.efs.is_some(),
        _ => true,
    })
}

pub(super) async fn list(inner: &Inner, drill: &DrillContext) -> Vec<Leftover> {
    let unknown = |fault: &Fault| Leftover {
        kind: Leftover::UNKNOWN.to_owned(),
        name: format!("whether something is left: {fault}"),
    };
    let clients = match inner.own_clients().await {
        Ok(clients) => clients,
        Err(fault) => return vec![unknown(&fault)],
    };
    let mut left = Vec::new();
    let mut take = |kind: Kind, found: Result<Vec<String>, Fault>| match found {
        Ok(ids) => left.extend(ids.into_iter().map(|id| Leftover {
            kind: kind.as_str().to_owned(),
            name: clean(&id, 255),
        })),
        Err(fault) => left.push(unknown(&fault)),
    };
    for kind in OF_EC2 {
        take(kind, of_ec2(clients, kind, &drill.run).await);
    }
    let prefix = prefix(&drill.run);
    for kind in [
        Kind::DbInstance,
        Kind::DbCluster,
        Kind::DbSubnetGroup,
        Kind::Bucket,
        Kind::Table,
        Kind::FileSystem,
    ] {
        if !makes(&inner.setup.drill, kind) {
            continue;
        }
        let what = "looking for what is left";
        let found = until(
            clients.pace,
            Schedule::QUICK,
            PATIENCE,
            what,
            false,
            || async {
                let found = match kind {
                    Kind::Bucket => buckets(clients, &prefix).await?,
                    Kind::Table => tables(clients, &prefix).await?,
                    Kind::FileSystem => file_systems(clients, &drill.run, &prefix).await?,
                    kind => of_rds(clients, kind, &drill.run, &prefix).await?,
                };
                Ok(Asked::Ready(found))
            },
        );
        take(kind, found.await);
    }
    for one in &mut left {
        let Some(kind) = Kind::parse(&one.kind) else {
            continue;
        };
        let cost = cost(clients, kind, &one.name).await;
        one.name.push_str(&in_words(kind, cost));
    }
    left
}

/// What something costs a day, in USD. `None`: it has no price that we know, or cannot be asked.
async fn cost(clients: &Clients, kind: Kind, id: &str) -> Option<f64> {
    let priced = |what| per_day(&clients.region, what);
    match kind {
        Kind::Volume => {
            let found = volume::describe(clients, id).await.ok()??;
            let gib = f64::from(found.size()?);
            priced(Priced::Volume(found.volume_type()?.as_str(), gib))
        }
        Kind::Instance => {
            let found = instance::describe(clients, id).await.ok()??;
            priced(Priced::Instance(found.instance_type()?.as_str()))
        }
        Kind::DbInstance => {
            let found = database::instance(clients, id).await.ok()??;
            let class = found.db_instance_class()?;
            let gib = f64::from(found.allocated_storage().unwrap_or(0));
            priced(match found.db_cluster_identifier() {
                Some(_) => Priced::Aurora(class),
                None => Priced::Database(class, gib),
            })
        }
        Kind::FileSystem => {
            let found = file_system::describe(clients, id).await.ok()??;
            priced(Priced::FileSystem(gib(found.size_in_bytes()?.value())))
        }
        Kind::Table => {
            let found = table::describe(clients, id).await.ok()??;
            priced(Priced::Table(gib(found.table_size_bytes()?)))
        }
        _ => None,
    }
}

/// For an estimate.
#[allow(clippy::cast_precision_loss)]
fn gib(bytes: i64) -> f64 {
    bytes.max(0) as f64 / f64::from(1 << 30)
}

/// Behind a leftover's id. Networks, groups and keys cost nothing. Pure.
fn in_words(kind: Kind, cost: Option<f64>) -> String {
    match (kind, cost) {
        (_, Some(usd)) => format!(" (about {} a day)", prices::shown(usd)),
        (
            Kind::KeyPair
            | Kind::InternetGateway
            | Kind::RouteTable
            | Kind::SecurityGroup
            | Kind::Subnet
            | Kind::Vpc
            | Kind::DbSubnetGroup,
            None,
        ) => String::new(),
        (_, None) => " (what it costs a day is not known)".to_owned(),
    }
}

async fn of_ec2(clients: &Clients, kind: Kind, run: &str) -> Result<Vec<String>, Fault> {
    let what = "looking for what is left";
    until(
        clients.pace,
        Schedule::QUICK,
        PATIENCE,
        what,
        false,
        || async {
            let ec2 = &clients.ec2;
            let mut found = find::ids(ec2, kind, vec![find::tag(TAG_DRILL, run)]).await?;
            if kind == Kind::Instance {
                // What a restore made and nobody could tag: who is in the drill's network is the
                // drill's.
                let vpcs = find::ids(ec2, Kind::Vpc, vec![find::tag(TAG_DRILL, run)]).await?;
                for vpc in vpcs {
                    for id in find::ids(ec2, kind, vec![filter("vpc-id", &vpc)]).await? {
                        if !found.contains(&id) {
                            found.push(id);
                        }
                    }
                }
            }
            Ok(Asked::Ready(found))
        },
    )
    .await
}

fn is_ours(tags: &[RdsTag], name: &str, run: &str, prefix: &str) -> bool {
    let mut tags = tags.iter();
    name.starts_with(prefix)
        || tags.any(|tag| tag.key() == Some(TAG_DRILL) && tag.value() == Some(run))
}

async fn of_rds(
    clients: &Clients,
    kind: Kind,
    run: &str,
    prefix: &str,
) -> Result<Vec<String>, Fault> {
    let mut found = Vec::new();
    match kind {
        Kind::DbInstance => {
            let what = "looking for database instances";
            let mut pages = clients
                .rds
                .describe_db_instances()
                .into_paginator()
                .items()
                .send();
            while let Some(one) = pages.next().await {
                let one = one.map_err(|e| Fault::of(what, e))?;
                if let Some(id) = one.db_instance_identifier()
                    && is_ours(one.tag_list(), id, run, prefix)
                {
                    found.push(id.to_owned());
                }
            }
        }
        Kind::DbCluster => {
            let what = "looking for database clusters";
            let mut pages = clients
                .rds
                .describe_db_clusters()
                .into_paginator()
                .items()
                .send();
            while let Some(one) = pages.next().await {
                let one = one.map_err(|e| Fault::of(what, e))?;
                if let Some(id) = one.db_cluster_identifier()
                    && is_ours(one.tag_list(), id, run, prefix)
                {
                    found.push(id.to_owned());
                }
            }
        }
        _ => {
            let what = "looking for DB subnet groups";
            let mut pages = clients
                .rds
                .describe_db_subnet_groups()
                .into_paginator()
                .items()
                .send();
            while let Some(one) = pages.next().await {
                let one = one.map_err(|e| Fault::of(what, e))?;
                if let Some(id) = one.db_subnet_group_name()
                    && id.starts_with(prefix)
                {
                    found.push(id.to_owned());
                }
            }
        }
    }
    Ok(found)
}

async fn buckets(clients: &Clients, prefix: &str) -> Result<Vec<String>, Fault> {
    let what = "looking for buckets";
    let mut found = Vec::new();
    let mut pages = clients
        .s3
        .list_buckets()
        .prefix(prefix)
        .into_paginator()
        .send();
    while let Some(page) = pages.next().await {
        let page = page.map_err(|e| Fault::of(what, e))?;
        // Other servers than S3 itself do not know the prefix.
        let names = page.buckets().iter().filter_map(|bucket| bucket.name());
        let ours = names.filter(|name| name.starts_with(prefix));
        found.extend(ours.map(str::to_owned));
    }
    Ok(found)
}

async fn tables(clients: &Clients, prefix: &str) -> Result<Vec<String>, Fault> {
    let what = "looking for tables";
    let mut found = Vec::new();
    let mut pages = clients
        .dynamodb
        .list_tables()
        .into_paginator()
        .items()
        .send();
    while let Some(name) = pages.next().await {
        let name = name.map_err(|e| Fault::of(what, e))?;
        if name.starts_with(prefix) {
            found.push(name);
        }
    }
    Ok(found)
}

async fn file_systems(clients: &Clients, run: &str, prefix: &str) -> Result<Vec<String>, Fault> {
    let what = "looking for file systems";
    let mut found = Vec::new();
    let mut pages = clients
        .efs
        .describe_file_systems()
        .into_paginator()
        .items()
        .send();
    while let Some(one) = pages.next().await {
        let one = one.map_err(|e| Fault::of(what, e))?;
        let mut tags = one.tags().iter();
        if one.creation_token().starts_with(prefix)
            || tags.any(|tag| tag.key() == TAG_DRILL && tag.value() == run)
        {
            found.push(one.file_system_id().to_owned());
        }
    }
    Ok(found)
}

pub(super) async fn clear(
    inner: &Inner,
    _drill: &DrillContext,
    leftover: &Leftover,
) -> Result<(), String> {
    let Some(kind) = Kind::parse(&leftover.kind) else {
        return Err("what is left is not known".to_owned());
    };
    let own = inner.own_clients().await;
    let clients = own.map_err(|fault| fault.to_string())?;
    let gone = take_away(clients, kind, id_of(&leftover.name), false);
    gone.await.map_err(|fault| fault.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cloud::names::resource_name;

    #[test]
    fn every_name_of_a_run_begins_alike_and_no_other_runs() {
        let run = "20261120T073514Z-00000001";
        let name = resource_name(run, "Some Step", 2);
        assert!(name.starts_with(&prefix(run)), "{name}");
        let other = resource_name("20261120T073514Z-00000002", "Some Step", 2);
        assert!(!other.starts_with(&prefix(run)));
    }

    #[test]
    fn only_what_the_drill_can_have_made_is_looked_for() {
        let drill = crate::cloud::metadata::testing::drill(
            "- step: one\n  aws: {resource: \"arn:x\", aurora: {engine: e, class: c}}\n  proofs: []\n",
        );
        let kinds = Kind::ALL.into_iter();
        let others = [Kind::Bucket, Kind::Table, Kind::FileSystem];
        for kind in kinds {
            assert_eq!(makes(&drill, kind), !others.contains(&kind), "{kind:?}");
        }
    }

    #[test]
    fn the_id_stands_first() {
        assert_eq!(id_of("vol-1 (about 0.27 USD a day)"), "vol-1");
        assert_eq!(id_of("vol-1"), "vol-1");
        for (kind, cost, words) in [
            (Kind::Volume, Some(0.27), " (about 0.27 USD a day)"),
            (Kind::Bucket, None, " (what it costs a day is not known)"),
            (Kind::Vpc, None, ""),
        ] {
            assert_eq!(in_words(kind, cost), words);
            assert_eq!(id_of(&format!("id-1{}", in_words(kind, cost))), "id-1");
        }
    }

    #[test]
    fn a_database_is_ours_by_its_name_or_its_tag() {
        let tag = RdsTag::builder().key(TAG_DRILL).value("run").build();
        assert!(is_ours(&[], "seawall-run-x", "run", "seawall-run-"));
        assert!(is_ours(
            std::slice::from_ref(&tag),
            "x",
            "run",
            "seawall-run-"
        ));
        assert!(!is_ours(&[tag], "x", "other", "seawall-other-"));
        assert!(!is_ours(&[], "production", "run", "seawall-run-"));
    }
}

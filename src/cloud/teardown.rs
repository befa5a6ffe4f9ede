//! Taking things away, each in its kind's own way, and seeing with Describe that it is gone.

mod before;

use std::sync::Arc;
use std::time::Duration;

use aws_sdk_ec2::types::Tag;
use jiff::Timestamp;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::client::Clients;
use super::fault::{Fault, FaultKind};
use super::find::{self, filter};
use super::guard::asking;
use super::make::{self, Label, PATIENCE, age, asks, intended};
use super::names::{Kind, TAG_DRILL, TAG_STEP, TAG_TOKEN};
use super::network::{key, remove};
use super::poll::{Asked, Schedule, persist, until};
use super::provider::Inner;
use super::restore_job;
pub(super) use before::validated;

use super::{bucket, created, database, file_system, instance, table, volume};
use crate::drill::ledger::LedgerEntry;
use crate::drill::provider::DrillContext;
use crate::shell::clean;

/// How many things are taken away at once.
const AT_ONCE: usize = 16;
/// For so long after it was made, a service may not know something that is there.
const YOUNG: Duration = Duration::from_secs(5 * 60);
/// How much the clocks of ours and of AWS may differ.
const SKEW_MS: i64 = 5 * 60 * 1000;

/// When something's turn comes: what hangs on others goes before them. Pure.
fn stage(kind: Kind) -> u8 {
    match kind {
        // A job that still runs makes something: it is waited for, and what it made goes with it.
        Kind::RestoreJob
        | Kind::OnInstance
        | Kind::Instance
        | Kind::DbInstance
        | Kind::MountTarget
        | Kind::Bucket
        | Kind::Table => 0,
        Kind::Volume | Kind::DbCluster | Kind::FileSystem | Kind::Image => 1,
        Kind::Snapshot
        | Kind::DbSubnetGroup
        | Kind::KeyPair
        | Kind::KeyFile
        | Kind::InternetGateway => 2,
        Kind::SecurityGroup | Kind::RouteTable => 3,
        Kind::Subnet => 4,
        Kind::Vpc => 5,
        Kind::Scratch => 6,
    }
}

/// Takes all of them away, side by side and in dependency order. What does not go is asked for
/// again, one by one, and says why.
pub(super) async fn begin(inner: &Arc<Inner>, drill: &DrillContext, entries: &[LedgerEntry]) {
    let Ok(clients) = inner.own_clients().await else {
        return;
    };
    Box::pin(before::say(inner, clients, drill, entries)).await;
    let permits = Arc::new(Semaphore::new(AT_ONCE));
    for turn in 0..=5 {
        let mut tasks = JoinSet::new();
        let theirs = |entry: &&LedgerEntry| Kind::parse(&entry.kind).map(stage) == Some(turn);
        for entry in entries.iter().filter(theirs) {
            let (inner, drill, entry) = (inner.clone(), drill.clone(), entry.clone());
            let permits = permits.clone();
            tasks.spawn(asking("teardown", async move {
                let _permit = permits.acquire().await;
                if destroy(&inner, &drill, &entry).await.is_ok() {
                    inner.state().gone.insert(entry.token);
                }
            }));
        }
        while tasks.join_next().await.is_some() {}
    }
}

/// Destroys what an entry names, whether or not it was ever made.
///
/// # Errors
/// Why it is still there, or may be.
pub(super) async fn destroy(
    inner: &Inner,
    drill: &DrillContext,
    entry: &LedgerEntry,
) -> Result<(), String> {
    // This process has seen it go.
    if inner.state().gone.contains(&entry.token) {
        return Ok(());
    }
    let Some(kind) = Kind::parse(&entry.kind) else {
        let kind = clean(&entry.kind, 40);
        return Err(format!(
            "the ledger names a `{kind}`, which no drill in AWS makes"
        ));
    };
    match kind {
        // The lock is given up at the very end; what lies on an instance goes with it.
        Kind::Scratch | Kind::OnInstance => return Ok(()),
        Kind::KeyFile => return key::remove(inner, &drill.run, &entry.name),
        _ => {}
    }
    let own = inner.own_clients().await;
    let clients = own.map_err(|fault| fault.to_string())?;
    let one = One {
        inner,
        clients,
        drill,
        entry,
        kind,
        young: age(clients, &entry.token, Timestamp::now()).is_none_or(|age| age < YOUNG),
    };
    Box::pin(one.destroy())
        .await
        .map_err(|fault| fault.to_string())
}

/// An id that was seen before it was written down stands in the name: `NAME ID`. Pure.
pub(super) fn noted_name(name: &str, id: &str) -> String {
    match name == id {
        true => name.to_owned(),
        false => format!("{name} {id}"),
    }
}

fn noted_id(name: &str) -> Option<&str> {
    name.split_once(' ').map(|(_, id)| id)
}

/// Whether tags say that something belongs to another drill, or to another step of this one. Pure.
fn is_anothers(tags: &[Tag], run: &str, step: Option<&str>) -> bool {
    let get = |key: &str| {
        let mut all = tags.iter();
        all.find(|tag| tag.key() == Some(key))
            .and_then(|tag| tag.value())
    };
    get(TAG_DRILL).is_some_and(|of| of != run)
        || (get(TAG_DRILL).is_some()
            && step.is_some()
            && get(TAG_STEP).is_some_and(|of| Some(of) != step))
}

struct One<'t> {
    inner: &'t Inner,
    clients: &'t Clients,
    drill: &'t DrillContext,
    entry: &'t LedgerEntry,
    kind: Kind,
    /// Made so short a time ago that the service may not know it yet.
    young: bool,
}

impl One<'_> {
    async fn destroy(&self) -> Result<(), Fault> {
        let ids = match &self.entry.id {
            Some(id) => vec![id.clone()],
            None => self.found().await?,
        };
        for id in ids {
            match self.kind {
                Kind::RestoreJob => self.job(&id).await?,
                kind => take_away(self.clients, kind, &id, self.young).await?,
            }
        }
        Ok(())
    }

    /// What was made by an intent whose end was never written down: one thing, none, or, of a job,
    /// what it may be.
    async fn found(&self) -> Result<Vec<String>, Fault> {
        let name = self.entry.name.as_str();
        match self.kind {
            // Known by a name that was known beforehand.
            Kind::KeyPair
            | Kind::DbSubnetGroup
            | Kind::DbInstance
            | Kind::DbCluster
            | Kind::Bucket
            | Kind::Table => return Ok(vec![name.to_owned()]),
            _ => {}
        }
        if self.kind != Kind::RestoreJob
            && let Some(id) = noted_id(name)
        {
            return Ok(vec![id.to_owned()]);
        }
        let what = "looking for what may have been made";
        let unseen = std::sync::atomic::AtomicU32::new(0);
        let (clients, pace) = (self.clients, self.clients.pace);
        until(pace, Schedule::QUICK, PATIENCE, what, false, || async {
            let found = match self.kind {
                Kind::RestoreJob => {
                    // A double has a clock of its own.
                    let since = intended(&self.entry.token).map(|at| at - SKEW_MS);
                    let since = since.filter(|_| !self.inner.setup.access.is_double());
                    restore_job::find(self.inner, clients, name, since).await?
                }
                Kind::FileSystem => file_system::by_token(clients, name).await?,
                Kind::MountTarget => file_system::targets_of(clients, name).await?,
                kind => {
                    let filters = vec![find::tag(TAG_TOKEN, &self.entry.token)];
                    find::ids(&clients.ec2, kind, filters).await?
                }
            };
            let asked = unseen.fetch_add(1, std::sync::atomic::Ordering::Relaxed) + 1;
            Ok(match found.is_empty() && asked < asks(self.young) {
                true => Asked::Wait(None),
                false => Asked::Ready(found),
            })
        })
        .await
    }

    /// No cancelling is known: its end is waited for, and then what it has created goes.
    async fn job(&self, id: &str) -> Result<(), Fault> {
        let what = "waiting for the end of a restore job, which cannot be cancelled";
        let clients = self.clients;
        let unknown = std::sync::atomic::AtomicU32::new(0);
        let asked = until(
            clients.pace,
            Schedule::LONG,
            PATIENCE,
            what,
            false,
            || async {
                match restore_job::describe(clients, id).await {
                    Ok(job) if restore_job::is_over(job.status()) => Ok(Asked::Ready(Some(job))),
                    Ok(job) => Ok(Asked::Wait(restore_job::percent(job.percent_done()))),
                    Err(fault) if fault.kind == FaultKind::NotFound => {
                        let asked = unknown.fetch_add(1, std::sync::atomic::Ordering::Relaxed) + 1;
                        Ok(match asked >= asks(self.young) {
                            true => Asked::Ready(None),
                            false => Asked::Wait(None),
                        })
                    }
                    Err(fault) => Err(fault),
                }
            },
        );
        let job = asked.await?;
        let arn = job.as_ref().and_then(|job| job.created_resource_arn());
        if let Some((kind, created)) = arn.and_then(created::parse) {
            self.created(kind, &created).await?;
        }
        self.named().await
    }

    /// What a job names as its own, unless it bears the mark of others.
    async fn created(&self, kind: Kind, id: &str) -> Result<(), Fault> {
        let name = restore_job::of_entry(&self.entry.name).map_or("", |(name, _)| name);
        if !created::is_ours(kind, id, name) {
            return Ok(());
        }
        let (run, step) = (self.drill.run.as_str(), self.entry.step.as_deref());
        let clients = self.clients;
        match kind {
            Kind::Volume => {
                let found = volume::describe(clients, id).await?;
                if found.is_some_and(|found| is_anothers(found.tags(), run, step)) {
                    return Ok(());
                }
                volume::delete(clients, id, self.young).await
            }
            Kind::Instance => {
                let Some(found) = instance::describe(clients, id).await? else {
                    instance::terminate(clients, id, self.young).await?;
                    return self.companions().await;
                };
                if is_anothers(found.tags(), run, step) {
                    return Ok(());
                }
                let point = restore_job::of_entry(&self.entry.name);
                let image = point
                    .and_then(|(_, arn)| arn.rsplit_once('/'))
                    .map(|(_, ami)| ami);
                let more = instance::helpers(clients, &found, image).await?;
                self.mark(&more).await?;
                let volumes = instance::volumes(&found);
                instance::terminate(clients, id, self.young).await?;
                for id in volumes {
                    volume::delete(clients, &id, false).await?;
                }
                self.companions().await
            }
            kind => take_away(clients, kind, id, self.young).await,
        }
    }

    /// Writes the drill's tags on what came with an instance: once the image is gone, nothing else
    /// says whose its snapshots are.
    async fn mark(&self, more: &[(Kind, String)]) -> Result<(), Fault> {
        let step = self.entry.step.as_deref();
        let (run, token) = (&self.drill.run, &self.entry.token);
        let label = Label {
            token: token.clone(),
            tags: make::tags(run, step, token, &self.entry.name, Timestamp::now()),
        };
        for (kind, id) in more {
            let what = "tagging what came with the instance";
            persist(self.clients.pace, PATIENCE, what, || {
                created::tag(self.clients, *kind, id, "", &label)
            })
            .await?;
        }
        let mut state = self.inner.state();
        let known = state.companions.entry(token.clone()).or_default();
        known.extend(more.iter().cloned());
        Ok(())
    }

    /// Takes away what came with the instance, as it was seen now or at an earlier try.
    async fn companions(&self) -> Result<(), Fault> {
        let known = (self.inner.state().companions.get(&self.entry.token)).cloned();
        // Images before snapshots, which are in use until then.
        for (kind, id) in known.unwrap_or_default().into_iter().rev() {
            take_away(self.clients, kind, &id, false).await?;
        }
        Ok(())
    }

    /// What bears the name that the job was told, whatever it said.
    async fn named(&self) -> Result<(), Fault> {
        let Some((name, _)) = restore_job::of_entry(&self.entry.name) else {
            return Ok(());
        };
        let step = self.entry.step.as_deref().and_then(|s| self.inner.step(s));
        let Some(aws) = step.and_then(|step| step.aws.as_ref()) else {
            return Ok(());
        };
        let clients = self.clients;
        if aws.rds.is_some() {
            database::delete_instance(clients, name, false).await?;
        } else if aws.aurora.is_some() {
            database::delete_cluster(clients, name, false).await?;
        } else if aws.s3.is_some() {
            bucket::delete(clients, name, false).await?;
        } else if aws.dynamodb.is_some() {
            table::delete(clients, name, false).await?;
        } else if aws.efs.is_some() {
            for id in file_system::by_token(clients, name).await? {
                file_system::delete(clients, &id, false).await?;
            }
        }
        Ok(())
    }
}

/// One thing, by its kind, and waits until it is seen that it is gone.
pub(super) async fn take_away(
    clients: &Clients,
    kind: Kind,
    id: &str,
    young: bool,
) -> Result<(), Fault> {
    match kind {
        Kind::Instance => Box::pin(instance::terminate(clients, id, young)).await,
        Kind::Volume => Box::pin(volume::delete(clients, id, young)).await,
        Kind::Image => {
            let what = "deregistering the image";
            let there = || async {
                let filters = remove::by_id(kind, id);
                Ok(!find::ids(&clients.ec2, kind, filters).await?.is_empty())
            };
            let delete = || async {
                let call = clients.ec2.deregister_image().image_id(id).send().await;
                call.map(drop).map_err(|e| Fault::of(what, e))
            };
            Box::pin(remove::away(clients, what, young, there, delete)).await
        }
        Kind::Snapshot => {
            let what = "deleting the snapshot";
            let there = || async {
                let filters = vec![filter("snapshot-id", id)];
                Ok(!find::ids(&clients.ec2, kind, filters).await?.is_empty())
            };
            let delete = || async {
                let call = clients.ec2.delete_snapshot().snapshot_id(id).send().await;
                call.map(drop).map_err(|e| Fault::of(what, e))
            };
            Box::pin(remove::away(clients, what, young, there, delete)).await
        }
        Kind::DbSubnetGroup => Box::pin(database::delete_subnet_group(clients, id, young)).await,
        Kind::DbInstance => Box::pin(database::delete_instance(clients, id, young)).await,
        Kind::DbCluster => Box::pin(database::delete_cluster(clients, id, young)).await,
        Kind::Bucket => Box::pin(bucket::delete(clients, id, young)).await,
        Kind::Table => Box::pin(table::delete(clients, id, young)).await,
        Kind::FileSystem => Box::pin(file_system::delete(clients, id, young)).await,
        Kind::MountTarget => Box::pin(file_system::delete_target(clients, id, young)).await,
        Kind::KeyPair
        | Kind::Vpc
        | Kind::InternetGateway
        | Kind::RouteTable
        | Kind::Subnet
        | Kind::SecurityGroup => Box::pin(remove::remove(clients, kind, id, young)).await,
        Kind::Scratch | Kind::KeyFile | Kind::OnInstance | Kind::RestoreJob => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_hangs_on_others_goes_before_them() {
        let before = |a: Kind, b: Kind| assert!(stage(a) < stage(b), "{a:?} before {b:?}");
        before(Kind::Instance, Kind::Volume);
        before(Kind::Instance, Kind::Subnet);
        before(Kind::Instance, Kind::SecurityGroup);
        before(Kind::Instance, Kind::InternetGateway);
        before(Kind::RestoreJob, Kind::Volume);
        before(Kind::DbInstance, Kind::DbCluster);
        before(Kind::DbCluster, Kind::DbSubnetGroup);
        before(Kind::DbSubnetGroup, Kind::Subnet);
        before(Kind::MountTarget, Kind::FileSystem);
        before(Kind::MountTarget, Kind::SecurityGroup);
        before(Kind::Image, Kind::Snapshot);
        before(Kind::RouteTable, Kind::Subnet);
        before(Kind::InternetGateway, Kind::Vpc);
        before(Kind::SecurityGroup, Kind::Vpc);
        before(Kind::Subnet, Kind::Vpc);
        let last = Kind::ALL.into_iter().max_by_key(|kind| stage(*kind));
        assert_eq!(last, Some(Kind::Scratch));
        assert!(stage(Kind::Vpc) <= 5, "all but the lock have their turn");
    }

    #[test]
    fn an_id_that_was_seen_first_stands_in_the_name() {
        assert_eq!(noted_name("seawall-x", "vol-1"), "seawall-x vol-1");
        assert_eq!(noted_id("seawall-x vol-1"), Some("vol-1"));
        assert_eq!(noted_name("seawall-x", "seawall-x"), "seawall-x");
        assert_eq!(noted_id("seawall-x"), None);
    }

    #[test]
    fn what_bears_anothers_mark_is_left_alone() {
        let tags = |all: &[(&str, &str)]| -> Vec<Tag> {
            let all = all.iter();
            all.map(|(k, v)| Tag::builder().key(*k).value(*v).build())
                .collect()
        };
        let step = Some("db");
        assert!(!is_anothers(&[], "run", step));
        assert!(!is_anothers(&tags(&[("Name", "x")]), "run", step));
        let ours = tags(&[(TAG_DRILL, "run"), (TAG_STEP, "db")]);
        assert!(!is_anothers(&ours, "run", step));
        assert!(is_anothers(&ours, "other", step));
        assert!(is_anothers(&ours, "run", Some("web")));
        assert!(!is_anothers(&ours, "run", None));
    }
}

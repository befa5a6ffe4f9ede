//! Taking over what an earlier process of the run has made: read from the ledger, and asked for
//! anew, since it may be gone.

use std::time::Duration;

use crate::cloud::client::Clients;
use crate::cloud::fault::Fault;
use crate::cloud::make::attempt_of;
use crate::cloud::names::Kind;
use crate::cloud::poll::{Asked, Schedule, until};
use crate::cloud::provider::Inner;
use crate::cloud::state::Recovered;
use crate::cloud::{bucket, database, file_system, instance, network, remote, table, volume};
use crate::document::drill::Step;
use crate::drill::ledger::LedgerEntry;
use crate::drill::provider::DrillContext;
use crate::shell::clean;

/// How long a service may be out of order before the step is done again instead.
const ASKING: Duration = Duration::from_secs(15 * 60);

/// Of the kind, the latest that was made.
fn made_of(made: &[LedgerEntry], kind: Kind) -> Option<&LedgerEntry> {
    let mut all = made.iter().rev();
    all.find(|entry| entry.kind == kind.as_str() && entry.id.is_some() && !entry.gone)
}

fn id_of(made: &[LedgerEntry], kind: Kind) -> Option<String> {
    made_of(made, kind).and_then(|entry| entry.id.clone())
}

async fn asked<T, F, A>(clients: &Clients, what: &str, mut ask: A) -> Result<T, String>
where
    F: Future<Output = Result<T, Fault>>,
    A: FnMut() -> F,
{
    let asked = until(clients.pace, Schedule::QUICK, ASKING, what, false, || {
        let asked = ask();
        async move { asked.await.map(Asked::Ready) }
    });
    asked.await.map_err(|fault| fault.to_string())
}

/// Takes over what an earlier process of this run made for a step that had recovered.
///
/// # Errors
/// What is no longer there: then the step is done again.
pub(in crate::cloud) async fn adopt(
    inner: &Inner,
    drill: &DrillContext,
    step: &Step,
    made: &[LedgerEntry],
) -> Result<(), String> {
    if step.aws.is_some() {
        let known = recovered(inner, drill, step, made).await?;
        inner.know(&step.step, |all| *all = known);
    }
    remote::adopt(inner, drill, step).await
}

async fn recovered(
    inner: &Inner,
    drill: &DrillContext,
    step: &Step,
    made: &[LedgerEntry],
) -> Result<Recovered, String> {
    let clients = inner.clients().await.map_err(|fault| fault.to_string())?;
    let aws = step
        .aws
        .as_ref()
        .ok_or("the step restores nothing of AWS")?;
    let what = "looking for the drill's network";
    let network = asked(clients, what, || network::known(inner, clients, drill)).await?;
    inner.state().network.get_or_insert(network);
    let missing = |kind: Kind| format!("the ledger names no {} of it", kind.as_str());
    let gone = |what: &str, id: &str| format!("the {what} {} is not there any more", clean(id, 80));
    let need = |kind: Kind| id_of(made, kind).ok_or_else(|| missing(kind));
    let mut known = Recovered {
        restore_job: id_of(made, Kind::RestoreJob),
        attempt: (made.iter().rev())
            .find_map(|entry| attempt_of(&drill.run, &step.step, &entry.name))
            .unwrap_or(1),
        ..Recovered::default()
    };
    if aws.instance.is_some() || aws.fresh.is_some() {
        let id = need(Kind::Instance)?;
        let (found, volumes) = instance::again(inner, clients, step, &id).await?;
        known.instance = Some(found);
        known.hydrating = volumes;
    } else if let Some(wanted) = &aws.volume {
        let id = need(Kind::Volume)?;
        let what = "asking for the volume";
        let found = asked(clients, what, || volume::describe(clients, &id)).await?;
        let found = found.ok_or_else(|| gone("volume", &id))?;
        if let Some(to) = &wanted.attach {
            let on = inner.recovered(&to.to).instance;
            let on = on.ok_or_else(|| format!("the instance of {} is gone", to.to))?;
            let hangs =
                (found.attachments().iter()).any(|one| one.instance_id() == Some(on.id.as_str()));
            if !hangs {
                return Err(format!(
                    "the volume {} is not attached any more",
                    clean(&id, 40)
                ));
            }
            known.placed = to.mount.clone().map(|path| (to.to.clone(), path));
        }
        known.hydrating = vec![id.clone()];
        known.volume = Some(id);
    } else if aws.rds.is_some() {
        let id = need(Kind::DbInstance)?;
        known.endpoint = database::again(clients, Kind::DbInstance, &id).await?;
    } else if aws.aurora.is_some() {
        let id = need(Kind::DbCluster)?;
        known.endpoint = database::again(clients, Kind::DbCluster, &id).await?;
    } else if aws.s3.is_some() {
        let id = need(Kind::Bucket)?;
        let what = "asking for the bucket";
        if !asked(clients, what, || bucket::is_there(clients, &id)).await? {
            return Err(gone("bucket", &id));
        }
        known.bucket = Some(id);
    } else if aws.dynamodb.is_some() {
        let id = need(Kind::Table)?;
        let what = "asking for the table";
        let found = asked(clients, what, || table::describe(clients, &id)).await?;
        if !found.is_some_and(|table| table::is_active(&table)) {
            return Err(gone("table", &id));
        }
        known.table = Some(id);
    } else if let Some(efs) = &aws.efs {
        let id = need(Kind::FileSystem)?;
        let what = "asking for the file system";
        let found = asked(clients, what, || file_system::describe(clients, &id)).await?;
        found.ok_or_else(|| gone("file system", &id))?;
        if let Some(mount) = &efs.mount {
            let target = need(Kind::MountTarget)?;
            let what = "asking for the mount target";
            let found = asked(clients, what, || file_system::target(clients, &target)).await?;
            found.ok_or_else(|| gone("mount target", &target))?;
            let on = inner.recovered(&mount.on).instance;
            on.ok_or_else(|| format!("the instance of {} is gone", mount.on))?;
            known.placed = Some((mount.on.clone(), mount.path.clone()));
        }
        known.file_system = Some(id);
    }
    Ok(known)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(kind: Kind, id: Option<&str>) -> LedgerEntry {
        LedgerEntry {
            token: "t".into(),
            step: Some("one".into()),
            kind: kind.as_str().into(),
            name: "n".into(),
            id: id.map(str::to_owned),
            gone: false,
        }
    }

    #[test]
    fn the_latest_that_was_made_is_taken_over() {
        let mut made = vec![
            entry(Kind::Volume, Some("vol-1")),
            entry(Kind::Volume, Some("vol-2")),
            entry(Kind::Volume, None),
            entry(Kind::RestoreJob, Some("job")),
        ];
        assert_eq!(id_of(&made, Kind::Volume).as_deref(), Some("vol-2"));
        made[1].gone = true;
        assert_eq!(id_of(&made, Kind::Volume).as_deref(), Some("vol-1"));
        assert_eq!(id_of(&made, Kind::Instance), None);
    }
}

//! The phases of a step that restores something of AWS.

mod adopt;

use super::fault::Fault;
use super::instance as instances;
use super::metadata::{self, Wanted};
use super::poll::{Asked, Schedule};
use super::provider::Work;
use super::restore_job::{self, Done, Ran};
use super::state::{Instance, Network, Point, Recovered};
use super::{bucket, database, file_system, network, remote, table, volume};
use crate::document::drill::aws::VolumeBy;
use crate::drill::provider::{PhaseDone, StepError};
use crate::model::drill::Milestone;

pub(super) use adopt::adopt;

/// What must be there before the restore: a DB subnet group; or the fresh instance itself.
pub(super) async fn provision(work: &Work<'_>) -> Result<PhaseDone, StepError> {
    let aws = work.aws()?;
    let network = network::ensure(work).await?;
    if let Some(fresh) = &aws.fresh {
        return Box::pin(instances::run_fresh(work, fresh, &network)).await;
    }
    if aws.rds.is_some() || aws.aurora.is_some() {
        database::subnet_group(work, &network).await?;
    }
    Ok(PhaseDone::default())
}

/// What `locate` has found.
fn point(work: &Work<'_>) -> Result<Point, StepError> {
    let known = work.inner.recovered(&work.step().step);
    known.point.ok_or_else(|| {
        StepError::new("restoring: no recovery point was located; this is a fault of Seawall's own")
    })
}

/// Restores, and waits until the thing is available (the first of the three times).
pub(super) async fn restore(work: &Work<'_>) -> Result<PhaseDone, StepError> {
    let aws = work.aws()?;
    let point = point(work)?;
    let network = network::ensure(work).await?;
    if let Some(volume) = &aws.volume
        && volume.by == VolumeBy::Ec2
    {
        return Box::pin(volume::by_ec2(work, volume, &point, &network)).await;
    }
    if let Some(instance) = &aws.instance {
        return Box::pin(instances::restore(work, instance, &point, &network)).await;
    }
    let done = Box::pin(by_backup(work, &point, &network)).await?;
    Box::pin(take(work, &point, done)).await
}

async fn by_backup(work: &Work<'_>, point: &Point, network: &Network) -> Result<Done, StepError> {
    let given = restore_job::given(work, point).await?;
    let name = work.name();
    let metadata = metadata::of(
        &Wanted {
            aws: work.aws()?,
            point,
            name: &name,
            network,
            kms_key: work.inner.scratch.kms_key.as_deref(),
            instance_type: "",
            lost: &work.inner.setup.drill.lost.regions,
        },
        &given,
    )
    .map_err(StepError::new)?;
    match restore_job::run(work, point, &metadata).await? {
        Ran::Done(done) => Ok(done),
        Ran::NoCapacity(why) => Err(StepError::new(format!(
            "restoring: there is no capacity for it here: {why}"
        ))),
    }
}

const COMPLETED: &str = "AWS Backup says COMPLETED";

/// COMPLETED is not believed: the thing is asked for itself, and must be there.
async fn take(work: &Work<'_>, point: &Point, done: Done) -> Result<PhaseDone, StepError> {
    let aws = work.aws()?;
    let id = done.id.clone();
    let mut phase = PhaseDone {
        doubts: done.doubts,
        ..PhaseDone::default()
    };
    let mut known = Recovered {
        attempt: work.context.attempt,
        ..Recovered::default()
    };
    let what;
    if aws.volume.is_some() {
        let said = format!("{COMPLETED}, and the volume is `available`");
        let volume = volume::available(work, &id, &said).await?;
        phase.detail = volume.detail;
        return Ok(phase);
    } else if aws.rds.is_some() {
        known.endpoint = database::until_available(work, &id).await?;
        if known.endpoint.is_none() {
            return Err(StepError::new(
                "restoring the database: it is `available`, and has no address",
            ));
        }
        what = format!("database {id}");
    } else if aws.aurora.is_some() {
        database::until_cluster(work, &id).await?;
        what = format!("cluster {id}");
    } else if aws.s3.is_some() {
        filled(work, point, "bucket", || {
            bucket::has_objects(work.clients, &id)
        })
        .await?;
        known.bucket = Some(id.clone());
        what = format!("bucket {id}");
    } else if aws.dynamodb.is_some() {
        table::until_active(work, &id).await?;
        filled(work, point, "table", || table::has_items(work.clients, &id)).await?;
        known.table = Some(id.clone());
        what = format!("table {id}");
    } else {
        file_system::until_available(work, &id).await?;
        known.file_system = Some(id.clone());
        what = format!("file system {id}");
    }
    work.inner.know(&work.step().step, |all| {
        all.attempt = known.attempt;
        all.endpoint = known.endpoint;
        all.bucket = known.bucket;
        all.table = known.table;
        all.file_system = known.file_system;
    });
    work.reached(Milestone::Available, &format!("{COMPLETED}: {what}"))?;
    phase.detail = Some(what);
    Ok(phase)
}

/// A COMPLETED with no data behind it is a failure, whatever the proofs would say later.
async fn filled<F, A>(
    work: &Work<'_>,
    point: &Point,
    kind: &str,
    mut ask: A,
) -> Result<(), StepError>
where
    F: Future<Output = Result<bool, Fault>>,
    A: FnMut() -> F,
{
    let what = "looking for the restored data";
    let asked = work.until(Schedule::QUICK, what, true, || {
        let asked = ask();
        async move { asked.await.map(Asked::Ready) }
    });
    match asked.await? || point.size == 0 {
        true => Ok(()),
        false => Err(StepError::new(format!(
            "restoring: AWS Backup says COMPLETED, and the {kind} is empty, though the recovery \
             point has {} bytes",
            point.size
        ))),
    }
}

/// The instance of another step of this drill.
fn instance_of(work: &Work<'_>, step: &str) -> Result<Instance, StepError> {
    let known = work.inner.recovered(step).instance;
    known.ok_or_else(|| {
        StepError::new(format!(
            "the step `{step}` has no instance (yet): name it in `needs`"
        ))
    })
}

/// Until it can be used: status checks, a log-in, the cluster's instances, attachment, mount.
pub(super) async fn start(work: &Work<'_>) -> Result<PhaseDone, StepError> {
    let aws = work.aws()?;
    let step = &work.step().step;
    let known = work.inner.recovered(step);
    let mut phase = PhaseDone::default();
    if let Some(instance) = &known.instance {
        instances::until_fit(work, &instance.id).await?;
        if instances::ssh(work.step()).is_some() {
            let said = Box::pin(remote::log_in(work, step, instance)).await?;
            remark(&mut phase, "EC2's status checks are ok", said);
        } else {
            phase.detail = Some("EC2's status checks are ok".into());
        }
    } else if let (Some(id), Some(to)) = (&known.volume, volume_to(work)?) {
        let instance = instance_of(work, &to.to)?;
        Box::pin(volume::attach(work, id, to, &instance)).await?;
        let mut said = remote::Remarks::default();
        if let Some(path) = &to.mount {
            said = Box::pin(remote::mount_volume(
                work,
                &to.to,
                id,
                &to.device,
                to.partition,
                path,
            ))
            .await?;
        }
        remark(&mut phase, &format!("on the instance of {}", to.to), said);
    } else if let Some(aurora) = &aws.aurora {
        let name = work.name();
        let endpoint = Box::pin(database::add_instances(work, &name, aurora)).await?;
        if endpoint.is_none() {
            return Err(StepError::new(
                "starting the cluster: its instances are `available`, and it has no address",
            ));
        }
        work.inner.know(step, |known| known.endpoint = endpoint);
        phase.detail = Some(format!("{} instance(s)", aurora.instances.max(1)));
    } else if let (Some(id), Some(mount)) = (
        &known.file_system,
        aws.efs.as_ref().and_then(|efs| efs.mount.as_ref()),
    ) {
        instance_of(work, &mount.on)?;
        let network = network::ensure(work).await?;
        let address = Box::pin(file_system::make_target(work, id, &network)).await?;
        let said = Box::pin(remote::mount_file_system(
            work,
            &mount.on,
            address,
            &mount.path,
        ))
        .await?;
        remark(
            &mut phase,
            &format!("mounted on the instance of {}", mount.on),
            said,
        );
    }
    Ok(phase)
}

/// What was done, and what came of it on the instance.
fn remark(phase: &mut PhaseDone, done: &str, said: remote::Remarks) {
    let mut detail = vec![done.to_owned()];
    detail.extend(said.detail);
    phase.detail = Some(detail.join("; "));
    phase.doubts.extend(said.doubts);
}

fn volume_to<'w>(
    work: &Work<'w>,
) -> Result<Option<&'w crate::document::drill::aws::Attach>, StepError> {
    let volume = work.aws()?.volume.as_ref();
    Ok(volume.and_then(|volume| volume.attach.as_ref()))
}

/// Until every block of its volumes has come.
pub(super) async fn hydrate(work: &Work<'_>) -> Result<PhaseDone, StepError> {
    let step = &work.step().step;
    let volumes = work.inner.recovered(step).hydrating;
    if volumes.is_empty() {
        return Ok(PhaseDone::default());
    }
    let what = "waiting until all blocks of the volumes have come";
    let asked = work.until(Schedule::LONG, what, true, || async {
        let all = volume::initialisation(work.clients, &volumes).await?;
        let shares: Option<Vec<f64>> = all.iter().map(|one| one.share).collect();
        Ok(match all.iter().all(|one| one.done) {
            true => Asked::Ready(all),
            false => Asked::Wait(shares.and_then(|s| s.into_iter().reduce(f64::min))),
        })
    });
    let all = asked.await?;
    let shown: Vec<String> = all.into_iter().map(|one| one.shown).collect();
    let shown = shown.join("; ");
    work.reached(Milestone::Initialised, &format!("EC2 says: {shown}"))?;
    work.inner.know(step, |known| known.hydrating.clear());
    Ok(PhaseDone {
        detail: Some(shown),
        ..PhaseDone::default()
    })
}

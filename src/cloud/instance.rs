//! Instances: restored by AWS Backup, or fresh out of an image; running, then fit to be used, then
//! gone.

mod fresh;
mod restored;

use aws_sdk_ec2::types::{
    Instance as Ec2Instance, InstanceStateName, InstanceStatus, SummaryStatus,
};

use super::client::Clients;
use super::fault::{Fault, FaultKind};
use super::make::{PATIENCE, asks};
use super::poll::{Asked, Schedule, until};
use super::provider::{Inner, Work};
use super::state::Instance;
use crate::document::drill::Step;
use crate::document::drill::aws::AwsSsh;
use crate::drill::provider::StepError;
use crate::shell::clean;

pub(super) use fresh::run_fresh;
pub(super) use restored::{helpers, restore};

/// The types that are tried, in this order. Pure.
pub(super) fn types<'t>(first: &'t str, substitutes: &'t [String]) -> Vec<&'t str> {
    let mut types = vec![first];
    for other in substitutes {
        if !types.contains(&other.as_str()) {
            types.push(other);
        }
    }
    types
}

/// No capacity, and nothing else allowed. Pure.
fn none_left(types: &[&str], why: &str) -> StepError {
    let hint = match types.len() {
        1 => "the document allows no substitutes",
        _ => "nor for any substitute that the document allows",
    };
    StepError::new(format!(
        "making the instance: there is no capacity for {} here; {hint}: {why}",
        types.join(", "),
    ))
}

/// What EC2 says of an instance; none where it does not know it.
pub(super) async fn describe(clients: &Clients, id: &str) -> Result<Option<Ec2Instance>, Fault> {
    let what = "asking for the instance";
    let answer = clients.ec2.describe_instances().instance_ids(id).send();
    match answer.await.map_err(|e| Fault::of(what, e)) {
        Ok(answer) => {
            let all = answer.reservations.unwrap_or_default();
            let mut all = all
                .into_iter()
                .flat_map(|r| r.instances.unwrap_or_default());
            Ok(all.find(|one| one.instance_id() == Some(id)))
        }
        Err(fault) if fault.kind == FaultKind::NotFound => Ok(None),
        Err(fault) => Err(fault),
    }
}

fn state(instance: &Ec2Instance) -> Option<&InstanceStateName> {
    instance.state().and_then(|state| state.name())
}

/// What it is to us. Pure.
fn known(instance: &Ec2Instance, ssh: Option<&AwsSsh>) -> Option<Instance> {
    let address = |text: Option<&str>| text.and_then(|a| a.parse().ok());
    let private = address(instance.private_ip_address());
    let public = address(instance.public_ip_address());
    Some(Instance {
        id: instance.instance_id()?.to_owned(),
        zone: instance.placement()?.availability_zone()?.to_owned(),
        kind: instance.instance_type()?.as_str().to_owned(),
        address: match ssh.is_some_and(|ssh| ssh.private) {
            true => private,
            false => public.or(private),
        },
    })
}

pub(super) fn ssh(step: &Step) -> Option<&AwsSsh> {
    let aws = step.aws.as_ref()?;
    match (&aws.instance, &aws.fresh) {
        (Some(instance), _) => instance.ssh.as_ref(),
        (None, fresh) => fresh.as_ref().map(|fresh| &fresh.ssh),
    }
}

/// An instance that stopped or ended on its way does not come again.
fn broken(instance: &Ec2Instance) -> Option<Fault> {
    let state = state(instance)?;
    let bad = matches!(
        state,
        InstanceStateName::Terminated
            | InstanceStateName::ShuttingDown
            | InstanceStateName::Stopped
            | InstanceStateName::Stopping
    );
    let why = instance.state_reason().and_then(|r| r.message());
    bad.then(|| {
        let why = clean(why.unwrap_or("no reason given"), 200);
        Fault::ours(
            "waiting for the instance",
            &format!("it is {}: {why}", state.as_str()),
        )
    })
}

async fn until_running(work: &Work<'_>, id: &str) -> Result<Ec2Instance, Fault> {
    let what = "waiting for the instance to run";
    let asked = work.until(Schedule::QUICK, what, true, || async {
        let Some(instance) = describe(work.clients, id).await? else {
            return Ok(Asked::Wait(None));
        };
        if let Some(fault) = broken(&instance) {
            return Err(fault);
        }
        let running = state(&instance) == Some(&InstanceStateName::Running);
        let has_address = known(&instance, None).is_some_and(|one| one.address.is_some());
        Ok(match running && has_address {
            true => Asked::Ready(instance),
            false => Asked::Wait(None),
        })
    });
    asked.await
}

/// Keeps what is known of it.
fn take(work: &Work<'_>, instance: &Ec2Instance) -> Result<(), StepError> {
    let step = work.step();
    let known = known(instance, ssh(step));
    let known = known.ok_or_else(|| {
        StepError::new("asking for the instance: the answer has no zone, type or id")
    })?;
    let volumes = volumes(instance);
    work.inner.know(&step.step, |all| {
        all.attempt = work.context.attempt;
        all.instance = Some(known);
        all.hydrating.extend(volumes);
    });
    Ok(())
}

/// The volumes of an instance. Pure.
pub(super) fn volumes(instance: &Ec2Instance) -> Vec<String> {
    (instance.block_device_mappings().iter())
        .filter_map(|device| device.ebs()?.volume_id())
        .map(str::to_owned)
        .collect()
}

/// Instance, system and disks are all well. Pure.
fn is_fit(status: &InstanceStatus) -> bool {
    let ok = Some(&SummaryStatus::Ok);
    let instance = status.instance_status().and_then(|s| s.status());
    let system = status.system_status().and_then(|s| s.status());
    let disks = status.attached_ebs_status().and_then(|s| s.status());
    // Types without Nitro have no status of disks.
    let disks = disks.is_none_or(|s| matches!(s, SummaryStatus::Ok | SummaryStatus::NotApplicable));
    instance == ok && system == ok && disks
}

/// Until EC2's own checks are all well.
pub(super) async fn until_fit(work: &Work<'_>, id: &str) -> Result<(), Fault> {
    let what = "waiting for the instance's status checks";
    let asked = work.until(Schedule::QUICK, what, true, || async {
        let answer = work.clients.ec2.describe_instance_status();
        let answer = answer.instance_ids(id).include_all_instances(true);
        let answer = answer.send().await.map_err(|e| Fault::of(what, e))?;
        let Some(status) = answer.instance_statuses().first() else {
            return Ok(Asked::Wait(None));
        };
        let state = status.instance_state().and_then(|s| s.name());
        if let Some(InstanceStateName::Terminated | InstanceStateName::Stopped) = state {
            return Err(Fault::ours(what, "the instance has ended"));
        }
        Ok(match is_fit(status) {
            true => Asked::Ready(()),
            false => Asked::Wait(None),
        })
    });
    asked.await
}

/// Asks what a resumed run had made; an error says that it is not there any more.
pub(super) async fn again(
    inner: &Inner,
    clients: &Clients,
    step: &Step,
    id: &str,
) -> Result<(Instance, Vec<String>), String> {
    let what = "asking for the instance";
    let asked = until(
        clients.pace,
        Schedule::QUICK,
        PATIENCE,
        what,
        false,
        || async { Ok(Asked::Ready(describe(clients, id).await?)) },
    );
    let found = asked.await.map_err(|fault| fault.to_string())?;
    let found = found.filter(|one| state(one) == Some(&InstanceStateName::Running));
    let found = found.ok_or_else(|| format!("instance {} runs no more", clean(id, 40)))?;
    let zone = inner.state().network.as_ref().map(|n| n.zone.clone());
    match known(&found, ssh(step)) {
        Some(instance) if zone.is_none_or(|zone| zone == instance.zone) => {
            Ok((instance, volumes(&found)))
        }
        _ => Err(format!("instance {} is not as it was", clean(id, 40))),
    }
}

/// Terminates it, and waits until it has. That EC2 does not know it just after that does not mean
/// that it is gone: it is asked twice.
pub(super) async fn terminate(clients: &Clients, id: &str, young: bool) -> Result<(), Fault> {
    let what = "terminating the instance";
    let protected = std::sync::atomic::AtomicBool::new(false);
    let unknown = std::sync::atomic::AtomicU32::new(0);
    use std::sync::atomic::Ordering::Relaxed;
    let enough = asks(young).max(2);
    until(
        clients.pace,
        Schedule::QUICK,
        PATIENCE,
        what,
        false,
        || async {
            match describe(clients, id).await? {
                None if unknown.fetch_add(1, Relaxed) + 1 >= enough => return Ok(Asked::Ready(())),
                None => return Ok(Asked::Wait(None)),
                Some(found) => match state(&found) {
                    Some(InstanceStateName::Terminated) => return Ok(Asked::Ready(())),
                    Some(InstanceStateName::ShuttingDown) => return Ok(Asked::Wait(None)),
                    _ => {}
                },
            }
            if protected.load(Relaxed) {
                let call = clients.ec2.modify_instance_attribute().instance_id(id);
                let off = aws_sdk_ec2::types::AttributeBooleanValue::builder().value(false);
                let call = call.disable_api_termination(off.build()).send().await;
                call.map_err(|e| Fault::of("taking the termination protection off", e))?;
            }
            let call = clients.ec2.terminate_instances().instance_ids(id).send();
            match call.await.map_err(|e| Fault::of(what, e)) {
                Err(fault) if fault.kind == FaultKind::NotFound => {}
                Err(fault) if fault.code.as_deref() == Some("OperationNotPermitted") => {
                    if protected.swap(true, Relaxed) {
                        return Err(fault);
                    }
                }
                Err(fault) => return Err(fault),
                Ok(_) => {}
            }
            Ok(Asked::Wait(None))
        },
    )
    .await
}

#[cfg(test)]
mod tests;

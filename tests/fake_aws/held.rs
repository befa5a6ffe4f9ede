//! What other services hold of EC2's network: the interfaces of mount targets and databases, which
//! keep a subnet and a security group from being deleted.

use super::ask::wanted;
use super::world::{Call, Refusal, World};

/// Why EC2 cannot delete what it is asked to.
pub fn keeps(world: &mut World, call: &Call) -> Option<Refusal> {
    if super::ask::flag(&call.params, "DryRun") == Some(true) {
        return None;
    }
    let here = world.region(call);
    let (subnet, id) = match call.operation.as_str() {
        "DeleteSubnet" => (true, wanted(&call.params, "SubnetId")),
        "DeleteSecurityGroup" => (false, wanted(&call.params, "GroupId")),
        _ => return None,
    };
    let gone = |gone: Option<f64>| gone.is_some_and(|gone| call.now >= gone);
    let targets = here.efs.targets.values().filter(|one| !gone(one.gone));
    let instances = here.rds.instances.values().filter(|one| !gone(one.gone));
    let held = if subnet {
        // A database has its interface in one subnet of its group: that of its zone.
        let of_instance = instances.flat_map(|one| {
            let subnets = one.subnets.iter().flat_map(|group| &group.subnets);
            (subnets.filter(|(_, zone)| *zone == one.zone)).map(|(subnet, _)| subnet)
        });
        (targets.map(|one| &one.subnet).chain(of_instance)).any(|subnet| subnet == id)
    } else {
        (targets.flat_map(|one| &one.groups))
            .chain(instances.flat_map(|one| &one.groups))
            .any(|group| group == id)
    };
    held.then(|| {
        let message = match subnet {
            true => format!("The subnet '{id}' has dependencies and cannot be deleted."),
            false => format!("resource {id} has a dependent object"),
        };
        Refusal::new(400, "DependencyViolation", message)
    })
}

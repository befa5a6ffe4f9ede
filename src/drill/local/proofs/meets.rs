//! A restored host meets a baseline: observed and judged as `seawall check` does. What is not seen
//! is unknown, and unknown is no pass.

use std::path::Path;
use std::sync::Arc;

use super::{Found, View, beside};
use crate::document::drill::MeetsProof;
use crate::document::inventory::{self, Host, Inventory};
use crate::document::{Disk, Files};
use crate::drill::local::guard::absolute;
use crate::drill::proof::meets::{expected, first, judge, load, observe, rules};
use crate::host::jobs;
use crate::reach::{AnyReach, LocalReach, SshOptions, SshReach, Target, Via};

pub fn prove(view: &View, demand: &MeetsProof) -> Result<Found, String> {
    let by = view.work.by();
    let (Some(list), Some(name)) = (&demand.inventory, &demand.host) else {
        return Err("`meets` here needs an `inventory` and a `host` of it".into());
    };
    let guard = &view.work.inner.guard;
    let (playbook, list) = (beside(view, &demand.playbook), beside(view, list));
    for path in [&playbook, &list] {
        guard.path(path, &by).map_err(|e| e.reason)?;
    }
    let inventory = read_inventory(view, &list)?;
    let loaded = load(&playbook, &inventory)?;
    let host = one_host(&inventory, name)?;
    let target = jobs::target(host, &inventory);
    if target.via == Via::Local {
        return Err("this machine is not the restored host: reach it with ssh".into());
    }
    let address = target
        .address
        .clone()
        .unwrap_or_else(|| target.name.clone());
    guard.host(&address, &by).map_err(|e| e.reason)?;
    let at = place(&target, &address);
    let rules = rules(&loaded, &inventory, host)?;
    let expected = expected(name, &loaded, &rules);
    guard.used(&at, &by);
    let runtime = tokio::runtime::Handle::try_current().map_err(|e| e.to_string())?;
    let reach = Arc::new(AnyReach {
        ssh: SshReach::new(SshOptions::default()),
        local: LocalReach::default(),
    });
    let end = runtime.block_on(observe(&view.work.drill.run, target, rules, reach))?;
    let (outcome, read) = judge(&end);
    Ok(Found {
        outcome,
        expected,
        read,
        at,
    })
}

/// The inventory, with our templates filled in: a restored host's port is known only now.
fn read_inventory(view: &View, path: &Path) -> Result<Inventory, String> {
    let text = Disk
        .read(path)
        .map_err(|why| format!("reading the inventory {}: {why}", path.display()))?;
    let text = match text.contains("{{ steps.") || text.contains("{{ scratch") {
        true => view.world.fill(&text)?,
        false => text,
    };
    let home = std::env::var_os("HOME").map(std::path::PathBuf::from);
    let name = absolute(path).display().to_string();
    inventory::load(&name, &text, home.as_deref()).map_err(|found| first(path, &found))
}

fn one_host<'i>(inventory: &'i Inventory, name: &str) -> Result<&'i Host, String> {
    let mut hosts = inventory.hosts.iter();
    hosts
        .find(|host| host.name == name)
        .ok_or_else(|| format!("the inventory has no host {name}"))
}

fn place(target: &Target, address: &str) -> String {
    match target.port {
        Some(port) => format!("ssh to {address}:{port}"),
        None => format!("ssh to {address}"),
    }
}

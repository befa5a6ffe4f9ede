//! A restored instance meets a baseline.

use super::{Found, View};
use crate::cloud::remote::door::beside;
use crate::document::drill::MeetsProof;
use crate::document::inventory::{Host, Inventory};
use crate::drill::proof::meets::{expected, judge, load, observe, rules};

pub async fn prove(view: &View<'_>, demand: &MeetsProof) -> Result<Found, String> {
    let target = view.target()?;
    let name = view.on.clone().unwrap_or_default();
    // The instance is in nobody's inventory: it stands alone in one of its own.
    let inventory = Inventory {
        hosts: vec![Host {
            name: name.clone(),
            address: target.address.clone(),
            ..Host::default()
        }],
    };
    let loaded = load(&beside(view.inner, &demand.playbook), &inventory)?;
    let host = inventory.hosts.first().ok_or("there is no host")?;
    let rules = rules(&loaded, &inventory, host)?;
    let expected = expected(&name, &loaded, &rules);
    let at = view.at(&target, "baseline");
    let mut target = target;
    target.name = name;
    let reach = view.inner.setup.reach.clone();
    let end = observe(&view.drill.run, target, rules, reach).await?;
    let (outcome, read) = judge(&end);
    Ok(Found {
        outcome,
        expected,
        read,
        at,
    })
}

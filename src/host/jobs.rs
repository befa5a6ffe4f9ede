//! From documents to what a host is treated with: the rules that its variables and the playbook
//! leave, and how it is reached.

use crate::document::inventory::{self, Host, Inventory, Sudo};
use crate::document::variables::Variables;
use crate::document::{Diagnostic, Loaded};
use crate::reach::{Become, Target, Via};

use super::ready::{contradictions, ready_rule};
use super::resource::AnyResource;
use super::rules::{ReadyRule, ReadyWaiver, RuleSet};

/// The playbook's rules up to a level for a host with these variables, and what is wrong with
/// them together.
pub fn rules(
    loaded: &Loaded<AnyResource>,
    level: u8,
    variables: &Variables,
) -> (Vec<ReadyRule>, Vec<Diagnostic>) {
    let playbook = &loaded.playbook;
    let mut rules = Vec::new();
    let mut places = Vec::new();
    for loaded in &loaded.rules {
        let rule = &loaded.rule;
        let changed = playbook.overrides.get(&rule.id);
        let its_level = changed.and_then(|o| o.level).unwrap_or(rule.level);
        let wanted = !rule.opt_in || playbook.opt_in.contains(&rule.id);
        if its_level > level || !wanted {
            continue;
        }
        let mut ready = ready_rule(loaded, variables);
        ready.level = its_level;
        if let Some(changed) = changed {
            ready.severity = changed.severity.unwrap_or(ready.severity);
            if changed.off {
                ready.off = Some(changed.reason.clone().unwrap_or_default());
            }
        }
        rules.push(ready);
        places.push(loaded);
    }
    let found = contradictions(&rules, &places);
    (rules, found)
}

/// These rules with the playbook's waivers, ready to be judged.
///
/// # Errors
/// When a waiver names hosts that the inventory does not know, or a text holds a NUL byte.
pub fn rule_set(
    loaded: &Loaded<AnyResource>,
    inventory: &Inventory,
    rules: Vec<ReadyRule>,
    variables: &Variables,
) -> Result<RuleSet, String> {
    let waivers = loaded
        .playbook
        .waivers
        .iter()
        .map(|waiver| {
            let hosts = select(inventory, &waiver.hosts, "a waiver's `hosts`")?;
            Ok(ReadyWaiver {
                waiver: waiver.clone(),
                hosts: hosts.iter().map(|h| h.name.clone()).collect(),
            })
        })
        .collect::<Result<_, String>>()?;
    let words = variables
        .iter()
        .filter_map(|(name, _)| Some((name.to_owned(), variables.text(name)?)))
        .collect();
    RuleSet::new(rules, words, waivers).map_err(|e| e.to_string())
}

/// The inventory's hosts that these patterns choose.
///
/// # Errors
/// When a name is none of the inventory's; with the nearest that is.
pub fn select<'i>(
    inventory: &'i Inventory,
    patterns: &[String],
    whose: &str,
) -> Result<Vec<&'i Host>, String> {
    inventory::select(inventory, patterns).map_err(|unknown| {
        let near = unknown
            .first()
            .and_then(|name| crate::document::diagnostic::nearest(name, inventory.names()))
            .map(|near| format!("; did you mean `{near}`?"))
            .unwrap_or_default();
        format!(
            "{whose}: the inventory has no host or group `{}`{near}",
            unknown.join("`, `")
        )
    })
}

/// A jump host that the inventory knows by this name is reached where and as the inventory says.
fn jump(named: &str, inventory: &Inventory) -> String {
    let (user, name) = match named.split_once('@') {
        Some((user, name)) => (Some(user), name),
        None => (None, named),
    };
    let Some(known) = inventory.hosts.iter().find(|h| h.name == name) else {
        return named.to_owned();
    };
    let mut out = String::new();
    if let Some(user) = user.or(known.user.as_deref()) {
        out = format!("{user}@");
    }
    let address = known.address.as_deref().unwrap_or(name);
    match known.port {
        Some(port) if address.contains(':') => out.push_str(&format!("[{address}]:{port}")),
        Some(port) => out.push_str(&format!("{address}:{port}")),
        None => out.push_str(address),
    }
    out
}

/// How the inventory's host is reached.
pub fn target(host: &Host, inventory: &Inventory) -> Target {
    Target {
        name: host.name.clone(),
        via: if host.local { Via::Local } else { Via::Ssh },
        address: host.address.clone(),
        port: host.port,
        user: host.user.clone(),
        identities: host.identities.clone(),
        known_hosts: host.known_hosts.clone(),
        jump: host.jump.iter().map(|j| jump(j, inventory)).collect(),
        become_root: match host.sudo {
            Sudo::No => Become::No,
            Sudo::Yes => Become::Sudo,
            Sudo::Password => Become::SudoWithPassword,
        },
        legacy: host.legacy,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_jump_host_of_the_inventory_is_found_by_its_name() {
        let inventory = Inventory {
            hosts: vec![
                Host {
                    name: "door".into(),
                    address: Some("192.0.2.7".into()),
                    port: Some(2022),
                    user: Some("admin".into()),
                    ..Host::default()
                },
                Host {
                    name: "six".into(),
                    address: Some("2001:db8::7".into()),
                    port: Some(22),
                    ..Host::default()
                },
            ],
        };
        assert_eq!(jump("door", &inventory), "admin@192.0.2.7:2022");
        assert_eq!(jump("me@door", &inventory), "me@192.0.2.7:2022");
        assert_eq!(jump("six", &inventory), "[2001:db8::7]:22");
        assert_eq!(jump("me@elsewhere:22", &inventory), "me@elsewhere:22");
    }
}

//! A restored host meets a baseline: observed and judged as `seawall check` does. What is not seen
//! is unknown, and unknown is no pass.

use std::path::Path;
use std::sync::Arc;

use super::{Found, View, beside, outcome};
use crate::document::drill::MeetsProof;
use crate::document::inventory::{self, Host, Inventory};
use crate::document::{Diagnostic, Disk, Files, Loaded, Loading, load_playbook};
use crate::drill::local::guard::absolute;
use crate::host::act::RunId;
use crate::host::jobs;
use crate::host::resource::AnyResource;
use crate::host::run::{self, HostEnd, Job, Mode, Recorder, Settings};
use crate::host::snapshot::FACTS;
use crate::journal::Event;
use crate::model::Status;
use crate::model::drill::ProofOutcome;
use crate::reach::{AnyReach, LocalReach, SshOptions, SshReach, Target, Via};

/// Findings that are told.
const TOLD: usize = 5;

/// The proof's own events are not the drill's.
struct Unheard;

impl Recorder for Unheard {
    fn event(&self, _event: Event) -> Result<(), String> {
        Ok(())
    }

    fn file(&self, _name: &str, bytes: &[u8]) -> Result<String, String> {
        Ok(crate::model::sha256_hex(bytes))
    }
}

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
    let today = today();
    let facts: Vec<&str> = FACTS.iter().map(|(name, _)| *name).collect();
    let loading = Loading {
        files: &Disk,
        known_facts: &facts,
        inventory: Some(&inventory),
        today: Some(today),
    };
    let loaded: Loaded<AnyResource> =
        load_playbook(&playbook, &loading).map_err(|found| first(&playbook, &found))?;
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
    let job = Job {
        rules: Arc::new(rules(&loaded, &inventory, host)?),
        target,
    };
    let expected = format!(
        "{name} meets {} ({} rules)",
        loaded.playbook.title,
        job.rules.rules.len()
    );
    guard.used(&at, &by);
    let end = observe(view, job, today)?;
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

fn first(path: &Path, found: &[Diagnostic]) -> String {
    let said = found.iter().find(|d| d.is_error()).or(found.first());
    let said = said.map(|d| d.message.clone()).unwrap_or_default();
    format!("{}: {said}", path.display())
}

fn one_host<'i>(inventory: &'i Inventory, name: &str) -> Result<&'i Host, String> {
    let mut hosts = inventory.hosts.iter();
    hosts
        .find(|host| host.name == name)
        .ok_or_else(|| format!("the inventory has no host {name}"))
}

fn rules(
    loaded: &Loaded<AnyResource>,
    inventory: &Inventory,
    host: &Host,
) -> Result<crate::host::rules::RuleSet, String> {
    let variables = loaded
        .variables_for(host, &Default::default())
        .map_err(|wrong| wrong.join("; "))?;
    let (rules, found) = jobs::rules(loaded, loaded.playbook.level, &variables);
    if let Some(wrong) = found.iter().find(|d| d.is_error()) {
        return Err(wrong.message.clone());
    }
    jobs::rule_set(loaded, inventory, rules, &variables)
}

fn place(target: &Target, address: &str) -> String {
    match target.port {
        Some(port) => format!("ssh to {address}:{port}"),
        None => format!("ssh to {address}"),
    }
}

fn observe(view: &View, job: Job, today: jiff::civil::Date) -> Result<HostEnd, String> {
    let runtime = tokio::runtime::Handle::try_current().map_err(|e| e.to_string())?;
    let id = RunId::new(&view.work.drill.run).ok_or("the run's id is not one")?;
    let reach = Arc::new(AnyReach {
        ssh: SshReach::new(SshOptions::default()),
        local: LocalReach::default(),
    });
    let settings = Settings::new(id, Mode::Check, today);
    let ran = runtime.block_on(run::run(vec![job], settings, reach, Arc::new(Unheard)))?;
    let mut hosts = ran.hosts.into_iter();
    hosts
        .next()
        .ok_or_else(|| "nothing was said of the host".into())
}

/// Passes where something was judged well, and nothing failed or stayed unseen.
fn judge(end: &HostEnd) -> (ProofOutcome, String) {
    let count = |status: Status| end.findings.iter().filter(|f| f.status == status).count();
    let (pass, fail, unknown) = (
        count(Status::Pass),
        count(Status::Fail),
        count(Status::Unknown),
    );
    let short: Vec<&str> = end
        .findings
        .iter()
        .filter(|f| matches!(f.status, Status::Fail | Status::Unknown))
        .map(|f| f.rule.as_str())
        .take(TOLD)
        .collect();
    let mut read = format!(
        "{pass} pass, {fail} fail, {unknown} unknown, {} waived",
        count(Status::Waived)
    );
    if !short.is_empty() {
        read.push_str(&format!(": {}", short.join(", ")));
    }
    let verdict = match (pass, fail, unknown) {
        (_, 1.., _) => ProofOutcome::Fail,
        (0, ..) | (_, _, 1..) => ProofOutcome::Unknown,
        _ => outcome(true),
    };
    (verdict, read)
}

/// The day on which waivers are judged.
fn today() -> jiff::civil::Date {
    jiff::Timestamp::now()
        .to_zoned(jiff::tz::TimeZone::UTC)
        .date()
}

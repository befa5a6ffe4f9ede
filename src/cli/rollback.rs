//! `seawall rollback RUN -i INVENTORY [--rule RULE]`

use std::path::Path;
use std::sync::Arc;

use anyhow::Context;
use serde::de::DeserializeOwned;

use crate::document::inventory::{self, Inventory};
use crate::host::act::RunId;
use crate::host::plan::Plan;
use crate::host::probe::Queries;
use crate::host::rules::RuleSet;
use crate::host::run::{self, Mode, Rollback, Settings};
use crate::host::snapshot::Snapshot;
use crate::journal::RunFolder;
use crate::report::{self, Confirm, RunView};

use super::setup::{read_inventory, target, today};
use super::treat::{Heading, Manner, carry_out, runs};

/// Take a run's changes back: every file to the byte, mode and owner, every sysctl and unit to
/// its state
#[derive(clap::Args)]
pub struct Args {
    /// The run: its id, a beginning of it, or `latest`, the last that changed a host
    run: String,
    /// The inventory that says how the run's hosts are reached
    #[arg(short, long, value_name = "FILE|HOSTS")]
    inventory: String,
    /// Only what was changed for this rule
    #[arg(long, value_name = "RULE")]
    rule: Option<String>,
    /// Only these of the run's hosts
    #[arg(long, value_name = "HOSTS", value_delimiter = ',')]
    limit: Vec<String>,
    /// Undo also what somebody else has changed since
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    manner: Manner,
}

pub fn run(args: Args) -> anyhow::Result<u8> {
    let folder = match args.run.as_str() {
        "latest" => latest_change()?,
        run => runs()?.find(run)?,
    };
    let original =
        RunId::new(&folder.id).ok_or_else(|| anyhow::anyhow!("{} is not a run's id", folder.id))?;
    let view = report::load(&folder.path)?;
    let (inventory, documents) = read_inventory(&args.inventory)?;
    let hosts = chosen(&args, &view, &inventory, &folder.path)?;
    let heading = Heading {
        verb: "rollback",
        playbook: view.playbook.clone(),
        playbook_title: format!("rollback of run {}", folder.id),
        level: view.level,
        hosts: hosts.iter().map(|h| h.target.name.clone()).collect(),
        rules: 0,
        documents,
        data: Default::default(),
        why: Default::default(),
        choice: report::Choice {
            inventory: Some(args.inventory.clone()),
            limit: (!args.limit.is_empty()).then(|| args.limit.join(",")),
            more: Vec::new(),
        },
    };
    let (rule, force, at_once) = (args.rule, args.force, args.manner.at_once);
    carry_out(&args.manner, heading, |id, reach, recorder| {
        let settings = Settings {
            sessions: at_once,
            ..Settings::new(id, Mode::Apply, today())
        };
        run::rollback(hosts, original, rule, force, settings, reach, recorder)
    })
}

/// The last `apply` that a host has kept. Checks after it do not count, nor do rollbacks.
fn latest_change() -> anyhow::Result<RunFolder> {
    for folder in runs()?.list()? {
        let Ok(view) = report::load(&folder.path) else {
            continue;
        };
        if view.verb == "apply" && view.hosts.iter().any(|h| h.confirm == Confirm::Kept) {
            return Ok(folder);
        }
    }
    anyhow::bail!("no run that is kept has changed a host; `seawall runs` lists them")
}

/// The run's hosts that were changed and may have kept it, with what its folder says of each.
fn chosen(
    args: &Args,
    view: &RunView,
    inventory: &Inventory,
    folder: &Path,
) -> anyhow::Result<Vec<Rollback>> {
    let limited = match args.limit.is_empty() {
        true => None,
        false => Some(
            inventory::select(inventory, &args.limit)
                .map_err(|unknown| anyhow::anyhow!("--limit: no host is {}", unknown.join(", ")))?,
        ),
    };
    let mut out = Vec::new();
    for host in view.hosts.iter().filter(|h| may_stand(&h.confirm)) {
        if let Some(limited) = &limited
            && !limited.iter().any(|l| l.name == host.name)
        {
            continue;
        }
        let Some(known) = inventory.hosts.iter().find(|h| h.name == host.name) else {
            anyhow::bail!(
                "the run changed {}, which is not in this inventory (leave it out with --limit)",
                host.name
            );
        };
        let queries: Queries = read(folder, &run::file_name("queries", &host.name, "act"))?;
        let plan: Plan = read(folder, &run::file_name("plan", &host.name, "act"))?;
        let before: Snapshot = read(folder, &run::file_name("snapshot", &host.name, "before"))?;
        // A run that was cut short was seen afterwards at another time, or not at all.
        let seen = |when| read(folder, &run::file_name("snapshot", &host.name, when));
        let after: Snapshot = seen("after")
            .or_else(|_| seen("undone"))
            .unwrap_or_else(|_| before.clone());
        out.push(Rollback {
            target: target(known, inventory),
            plan,
            rules: Arc::new(RuleSet::of_queries(queries)?),
            before,
            after,
        });
    }
    anyhow::ensure!(
        !out.is_empty(),
        "run {} changed no host that is chosen here, so there is nothing to take back",
        view.run
    );
    Ok(out)
}

/// Whether the host may still be as the run changed it: it keeps that, or what became of it was
/// not seen. The host knows, and is asked.
fn may_stand(confirm: &Confirm) -> bool {
    matches!(
        confirm,
        Confirm::Kept | Confirm::Armed { .. } | Confirm::Failed { .. }
    )
}

fn read<T: DeserializeOwned>(folder: &Path, name: &str) -> anyhow::Result<T> {
    let path = folder.join(name);
    let bytes = std::fs::read(&path).with_context(|| format!("reading {}", path.display()))?;
    serde_json::from_slice(&bytes).with_context(|| format!("{} is damaged", path.display()))
}

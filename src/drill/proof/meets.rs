//! A restored host meets a baseline: observed and judged as `seawall check` does. What is not seen
//! is unknown, and unknown is no pass.

use std::path::Path;
use std::sync::Arc;

use crate::document::inventory::{Host, Inventory};
use crate::document::{Diagnostic, Disk, Loaded, Loading, load_playbook};
use crate::host::act::RunId;
use crate::host::jobs;
use crate::host::resource::AnyResource;
use crate::host::rules::RuleSet;
use crate::host::run::{self, HostEnd, Job, Mode, Recorder, Settings};
use crate::host::snapshot::FACTS;
use crate::journal::Event;
use crate::model::Status;
use crate::model::drill::ProofOutcome;
use crate::reach::{Reach, Target};

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

/// The playbook, for hosts of this inventory.
pub fn load(playbook: &Path, inventory: &Inventory) -> Result<Loaded<AnyResource>, String> {
    let facts: Vec<&str> = FACTS.iter().map(|(name, _)| *name).collect();
    let loading = Loading {
        files: &Disk,
        known_facts: &facts,
        inventory: Some(inventory),
        today: Some(today()),
    };
    load_playbook(playbook, &loading).map_err(|found| first(playbook, &found))
}

/// The first thing that is wrong with a document.
pub fn first(path: &Path, found: &[Diagnostic]) -> String {
    let said = found.iter().find(|d| d.is_error()).or(found.first());
    let said = said.map(|d| d.message.clone()).unwrap_or_default();
    format!("{}: {said}", path.display())
}

/// What a host is held against.
pub fn rules(
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

/// Observes and judges; changes nothing.
pub async fn observe(
    run: &str,
    target: Target,
    rules: RuleSet,
    reach: Arc<dyn Reach>,
) -> Result<HostEnd, String> {
    let id = RunId::new(run).ok_or("the run's id is not one")?;
    let rules = Arc::new(rules);
    let settings = Settings::new(id, Mode::Check, today());
    let ran = run::run(
        vec![Job { target, rules }],
        settings,
        reach,
        Arc::new(Unheard),
    )
    .await?;
    let mut hosts = ran.hosts.into_iter();
    hosts
        .next()
        .ok_or_else(|| "nothing was said of the host".into())
}

pub fn expected(name: &str, loaded: &Loaded<AnyResource>, rules: &RuleSet) -> String {
    format!(
        "{name} meets {} ({} rules)",
        loaded.playbook.title,
        rules.rules.len()
    )
}

/// Passes where something was judged well, and nothing failed or stayed unseen.
pub fn judge(end: &HostEnd) -> (ProofOutcome, String) {
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
        _ => ProofOutcome::Pass,
    };
    (verdict, read)
}

/// The day on which waivers are judged.
fn today() -> jiff::civil::Date {
    jiff::Timestamp::now()
        .to_zoned(jiff::tz::TimeZone::UTC)
        .date()
}

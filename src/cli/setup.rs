//! From arguments to jobs: documents read and checked, hosts chosen, rules made ready. Nothing
//! here contacts a host.

use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::civil::Date;

use crate::document::baseline::Value;
use crate::document::inventory::{self, Host, Inventory};
use crate::document::variables::{Variables, parse_setting};
use crate::document::{
    Diagnostic, Disk, Files, Loaded, LoadedRule, Loading, load_baseline, load_playbook, render_all,
};
use crate::host::jobs;
pub use crate::host::jobs::target;
use crate::host::resource::AnyResource;
use crate::host::rules::RuleSet;
use crate::host::run::Job;
use crate::host::snapshot::FACTS;
use crate::report::Choice;

/// Which documents, hosts and rules: what every verb that treats a playbook takes.
#[derive(clap::Args, Clone, Debug)]
pub struct Documents {
    /// The playbook
    pub playbook: PathBuf,
    /// The inventory: our YAML, Ansible's YAML or INI, or a list of user@host:port; or the hosts
    /// themselves, separated by commas
    #[arg(short, long, value_name = "FILE|HOSTS")]
    pub inventory: Option<String>,
    /// Only these hosts: names, groups, globs, `!name`; separated by commas
    #[arg(long, value_name = "HOSTS", value_delimiter = ',')]
    pub limit: Vec<String>,
    /// Only these rules: ids or globs such as `ssh.*`; separated by commas. `check` judges only
    /// these; `apply` changes only these, and judges all
    #[arg(long, value_name = "RULES", value_delimiter = ',')]
    pub rule: Vec<String>,
    /// Rules up to this level, whatever the playbook says
    #[arg(long, value_name = "1|2", value_parser = clap::value_parser!(u8).range(1..=2))]
    pub level: Option<u8>,
    /// A variable's value, for all hosts
    #[arg(long = "set", value_name = "NAME=VALUE")]
    pub set: Vec<String>,
}

/// All that a run needs to know before it reaches for a host.
pub struct Ready {
    pub loaded: Loaded<AnyResource>,
    pub level: u8,
    pub jobs: Vec<Job>,
    /// Host → how sensitive what it holds is.
    pub data: BTreeMap<String, String>,
    /// Path → SHA-256 of every document that was read.
    pub documents: BTreeMap<String, String>,
}

/// The documents are wrong; all that is wrong was said.
#[derive(Debug, thiserror::Error)]
#[error("{count} {} in the documents; nothing was done", if *.count == 1 { "mistake" } else { "mistakes" })]
pub struct Mistakes {
    count: usize,
}

/// The day in UTC.
pub fn today() -> Date {
    jiff::Timestamp::now()
        .to_zoned(jiff::tz::TimeZone::UTC)
        .date()
}

/// The facts that documents may name.
pub fn fact_names() -> Vec<&'static str> {
    FACTS.iter().map(|(name, _)| *name).collect()
}

/// Shows diagnostics on standard error; fails if one of them is an error.
pub fn tell(diagnostics: &[Diagnostic]) -> Result<(), Mistakes> {
    if !diagnostics.is_empty() {
        let colour = super::colour(&std::io::stderr());
        eprintln!("{}", render_all(diagnostics, colour));
    }
    match diagnostics.iter().filter(|d| d.is_error()).count() {
        0 => Ok(()),
        count => Err(Mistakes { count }),
    }
}

impl Documents {
    /// Reads and checks everything, and chooses hosts and rules.
    pub fn prepare(&self) -> anyhow::Result<Ready> {
        let Some(given) = &self.inventory else {
            anyhow::bail!("which hosts? Give an inventory with -i (a file, or host names)");
        };
        let (inventory, mut documents) = read_inventory(given)?;
        refuse_other_kind(&self.playbook, "playbook")?;
        let facts = fact_names();
        let loading = Loading {
            files: &Disk,
            known_facts: &facts,
            inventory: Some(&inventory),
            today: Some(today()),
        };
        let loaded: Loaded<AnyResource> = match load_playbook(&self.playbook, &loading) {
            Ok(loaded) => loaded,
            Err(found) => {
                tell(&found)?;
                anyhow::bail!("the playbook could not be read");
            }
        };
        tell(&loaded.warnings)?;
        documents.extend(loaded.documents.clone());
        let hosts = self.choose_hosts(&inventory, &loaded)?;
        let level = self.level.unwrap_or(loaded.playbook.level);
        let mut sets = RuleSets {
            loaded: &loaded,
            inventory: &inventory,
            level,
            settings: self.settings(&loaded)?,
            known: Vec::new(),
        };
        let mut jobs = Vec::new();
        for host in &hosts {
            let rules = sets.of(host)?;
            jobs.push(Job {
                target: target(host, &inventory),
                rules,
            });
        }
        self.check_rule_filter(&loaded)?;
        Ok(Ready {
            data: hosts
                .iter()
                .filter_map(|h| Some((h.name.clone(), h.data.clone()?)))
                .collect(),
            level,
            jobs,
            documents,
            loaded,
        })
    }

    /// What was asked for, to be asked for again.
    pub fn choice(&self) -> Choice {
        let mut more = Vec::new();
        if !self.rule.is_empty() {
            more.extend(["--rule".to_owned(), self.rule.join(",")]);
        }
        if let Some(level) = self.level {
            more.extend(["--level".to_owned(), level.to_string()]);
        }
        for setting in &self.set {
            more.extend(["--set".to_owned(), setting.clone()]);
        }
        Choice {
            inventory: self.inventory.clone(),
            limit: (!self.limit.is_empty()).then(|| self.limit.join(",")),
            more,
        }
    }

    /// Whether `--rule` lets a rule through.
    pub fn wants(&self, rule: &str) -> bool {
        self.rule.is_empty() || self.rule.iter().any(|pattern| matches(pattern, rule))
    }

    fn check_rule_filter(&self, loaded: &Loaded<AnyResource>) -> anyhow::Result<()> {
        for pattern in &self.rule {
            if !loaded.rules.iter().any(|r| matches(pattern, &r.rule.id)) {
                let nearest = crate::document::diagnostic::nearest(
                    pattern,
                    loaded.rules.iter().map(|r| r.rule.id.as_str()),
                );
                let hint = nearest
                    .map(|n| format!("; did you mean `{n}`?"))
                    .unwrap_or_default();
                anyhow::bail!("--rule: no rule of this playbook is `{pattern}`{hint}");
            }
        }
        Ok(())
    }

    fn settings(&self, loaded: &Loaded<AnyResource>) -> anyhow::Result<BTreeMap<String, Value>> {
        self.set
            .iter()
            .map(|setting| {
                parse_setting(&loaded.variables, setting)
                    .map_err(|why| anyhow::anyhow!("--set: {why}"))
            })
            .collect()
    }

    fn choose_hosts<'i>(
        &self,
        inventory: &'i Inventory,
        loaded: &Loaded<AnyResource>,
    ) -> anyhow::Result<Vec<&'i Host>> {
        let chosen = select(inventory, &loaded.playbook.hosts, "the playbook's `hosts`")?;
        if self.limit.is_empty() {
            anyhow::ensure!(
                !chosen.is_empty(),
                "the playbook's `hosts` ({}) choose none of the inventory's {} hosts",
                loaded.playbook.hosts.join(", "),
                inventory.hosts.len()
            );
            return Ok(chosen);
        }
        let limited = select(inventory, &self.limit, "--limit")?;
        let both: Vec<&Host> = chosen
            .into_iter()
            .filter(|host| limited.iter().any(|l| l.name == host.name))
            .collect();
        anyhow::ensure!(
            !both.is_empty(),
            "--limit leaves none of the playbook's hosts"
        );
        Ok(both)
    }
}

/// Reads the inventory that `-i` names, or the hosts that it lists; with the file's hash.
pub fn read_inventory(given: &str) -> anyhow::Result<(Inventory, BTreeMap<String, String>)> {
    let home = std::env::var_os("HOME").map(PathBuf::from);
    let path = Path::new(given);
    // Hosts on the command line: what has a comma, or is no file and looks like user@host.
    if !path.exists() && (given.contains(',') || given.contains('@')) {
        let text = given.replace(',', "\n");
        let inventory = inventory::load("the command line", &text, home.as_deref());
        return Ok((checked(inventory)?, BTreeMap::new()));
    }
    let text = Disk.read(path).map_err(|why| {
        let hint = match given.contains('/') || path.exists() {
            true => String::new(),
            false => format!(" (if it is a host and no file, write `-i {given},`)"),
        };
        anyhow::anyhow!("reading the inventory {given}: {why}{hint}")
    })?;
    refuse_other_kind(path, "inventory")?;
    let hash = crate::host::plan::text_hash(&text);
    let inventory = inventory::load(given, &text, home.as_deref());
    Ok((
        checked(inventory)?,
        BTreeMap::from([(given.to_owned(), hash)]),
    ))
}

/// Fails where a document is plainly one of the other kinds, as it says itself in its first key:
/// one sentence, not a mistake for each of its lines.
pub fn refuse_other_kind(path: &Path, wanted: &str) -> anyhow::Result<()> {
    let Ok(text) = Disk.read(path) else {
        return Ok(());
    };
    let is = |kind: &str| {
        text.lines()
            .any(|l| l.strip_prefix(kind).is_some_and(|l| l.starts_with(':')))
    };
    if is(wanted) {
        return Ok(());
    }
    for (kind, a, place) in [
        (
            "playbook",
            "a playbook",
            "`check` and `apply` take it first",
        ),
        (
            "baseline",
            "a baseline",
            "a playbook names it under `baselines`",
        ),
        ("inventory", "an inventory", "it goes behind -i"),
        (
            "patch",
            "a patch playbook",
            "`seawall patch plan` and `seawall patch run` take it",
        ),
        ("drill", "a drill", "`seawall drill` takes it"),
    ] {
        anyhow::ensure!(
            kind == wanted || !is(kind),
            "{} is {a}, and {} is wanted here; {place}",
            path.display(),
            match wanted {
                "inventory" => "an inventory",
                "patch" => "a patch playbook",
                _ => "a playbook",
            }
        );
    }
    Ok(())
}

/// Rules without hosts.
pub struct Rules {
    pub rules: Vec<LoadedRule<AnyResource>>,
}

/// Reads the rules of these playbooks and baselines; of `./baselines` where there are none.
pub fn load_rules(documents: &[PathBuf]) -> anyhow::Result<Rules> {
    let mut paths = documents.to_vec();
    if paths.is_empty() {
        let folder = Path::new("baselines");
        paths = Disk
            .names(folder)
            .into_iter()
            .filter(|name| name.ends_with(".yaml") && !name.starts_with("demo-"))
            .map(|name| folder.join(name))
            .collect();
        anyhow::ensure!(
            !paths.is_empty(),
            "there is no folder baselines here: name a baseline or a playbook"
        );
    }
    let facts = fact_names();
    let loading = Loading {
        files: &Disk,
        known_facts: &facts,
        inventory: None,
        today: Some(today()),
    };
    let mut rules: Vec<LoadedRule<AnyResource>> = Vec::new();
    for path in &paths {
        let text = Disk
            .read(path)
            .map_err(|why| anyhow::anyhow!("reading {}: {why}", path.display()))?;
        let found = if text.lines().any(|line| line.starts_with("playbook:")) {
            load_playbook(path, &loading).map(|l| l.rules)
        } else {
            load_baseline(path, &loading).map(|l| l.rules)
        };
        match found {
            Ok(found) => rules.extend(found),
            Err(found) => tell(&found)?,
        }
    }
    rules.sort_by(|a, b| a.rule.id.cmp(&b.rule.id));
    rules.dedup_by(|a, b| a.rule.id == b.rule.id);
    rules.sort_by(|a, b| a.rule.area.cmp(&b.rule.area));
    Ok(Rules { rules })
}

fn select<'i>(
    inventory: &'i Inventory,
    patterns: &[String],
    whose: &str,
) -> anyhow::Result<Vec<&'i Host>> {
    jobs::select(inventory, patterns, whose).map_err(anyhow::Error::msg)
}

fn checked(result: Result<Inventory, Vec<Diagnostic>>) -> anyhow::Result<Inventory> {
    match result {
        Ok(inventory) => Ok(inventory),
        Err(found) => {
            tell(&found)?;
            anyhow::bail!("the inventory could not be read");
        }
    }
}

/// `*` stands for anything.
pub fn matches(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((head, rest)) => text.strip_prefix(head).is_some_and(|text| {
            (0..=text.len())
                .filter(|i| text.is_char_boundary(*i))
                .any(|i| matches(rest, &text[i..]))
        }),
    }
}

/// Rule sets by the variables that they come of: hosts with the same ones share one.
struct RuleSets<'a> {
    loaded: &'a Loaded<AnyResource>,
    inventory: &'a Inventory,
    level: u8,
    settings: BTreeMap<String, Value>,
    known: Vec<(Variables, Arc<RuleSet>)>,
}

impl RuleSets<'_> {
    fn of(&mut self, host: &Host) -> anyhow::Result<Arc<RuleSet>> {
        let variables = self
            .loaded
            .variables_for(host, &self.settings)
            .map_err(|wrong| anyhow::anyhow!("{}", wrong.join("\n")))?;
        if let Some((_, set)) = self.known.iter().find(|(v, _)| *v == variables) {
            return Ok(Arc::clone(set));
        }
        let set = Arc::new(self.make(&variables)?);
        self.known.push((variables, Arc::clone(&set)));
        Ok(set)
    }

    fn make(&self, variables: &Variables) -> anyhow::Result<RuleSet> {
        let (rules, found) = jobs::rules(self.loaded, self.level, variables);
        tell(&found)?;
        jobs::rule_set(self.loaded, self.inventory, rules, variables).map_err(anyhow::Error::msg)
    }
}

/// Whether a person can be asked.
pub fn is_interactive() -> bool {
    std::io::stdin().is_terminal()
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn globs_match_as_people_expect() {
        assert!(matches("ssh.*", "ssh.root"));
        assert!(matches("*.root", "ssh.root"));
        assert!(matches("s*.r*t", "ssh.root"));
        assert!(matches("ssh.root", "ssh.root"));
        assert!(!matches("ssh", "ssh.root"));
        assert!(!matches("ssh.*", "sysctl.x"));
    }
}

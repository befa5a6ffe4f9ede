//! `seawall rules [DOCUMENT…]`

use std::collections::BTreeSet;
use std::fmt::Write;
use std::path::PathBuf;

use crate::document::LoadedRule;
use crate::host::resource::AnyResource;

use super::say;
use super::setup::{Rules, load_rules};

/// List the rules of baselines, or those that a playbook uses
#[derive(clap::Args)]
pub struct Args {
    /// Baselines or playbooks (default: all of ./baselines)
    documents: Vec<PathBuf>,
    /// Only this area, e.g. `sshd`
    #[arg(long)]
    area: Option<String>,
    /// Only those that serve this control, e.g. `cis-debian-12:5.1.20` or `iso-27001`
    #[arg(long)]
    control: Option<String>,
    /// As JSON
    #[arg(long)]
    json: bool,
}

/// Nothing fits: what there is.
fn nothing(args: &Args, rules: &[LoadedRule<AnyResource>]) -> anyhow::Result<()> {
    let areas: BTreeSet<&str> = rules.iter().map(|l| l.rule.area.as_str()).collect();
    if let Some(area) = &args.area
        && !areas.contains(area.as_str())
    {
        let areas: Vec<&str> = areas.into_iter().collect();
        anyhow::bail!(
            "--area: no rule is in `{area}`; there are {}",
            areas.join(", ")
        );
    }
    if let Some(control) = &args.control {
        let known = rules.iter().flat_map(|l| l.rule.controls.keys());
        let known: BTreeSet<&str> = known.map(String::as_str).collect();
        let known: Vec<&str> = known.into_iter().collect();
        anyhow::bail!(
            "--control: no rule serves `{control}`; the frameworks are {}",
            known.join(", ")
        );
    }
    Ok(())
}

pub fn run(args: Args) -> anyhow::Result<u8> {
    let Rules { rules, .. } = load_rules(&args.documents)?;
    let chosen: Vec<_> = rules
        .iter()
        .map(|loaded| &loaded.rule)
        .filter(|rule| args.area.as_ref().is_none_or(|area| rule.area == *area))
        .filter(|rule| {
            args.control.as_ref().is_none_or(|wanted| {
                let (framework, id) = match wanted.split_once(':') {
                    Some((framework, id)) => (framework, Some(id)),
                    None => (wanted.as_str(), None),
                };
                rule.controls
                    .get(framework)
                    .is_some_and(|ids| id.is_none_or(|id| ids.0.iter().any(|known| known == id)))
            })
        })
        .collect();
    if chosen.is_empty() {
        nothing(&args, &rules)?;
    }
    if args.json {
        let mut text = serde_json::to_string_pretty(&chosen)?;
        text.push('\n');
        say(&text)?;
        return Ok(0);
    }
    let width = chosen.iter().map(|r| r.id.len()).max().unwrap_or(0);
    let mut out = String::new();
    let mut area = "";
    for rule in &chosen {
        if rule.area != area {
            area = &rule.area;
            writeln!(out, "{}{area}", if out.is_empty() { "" } else { "\n" })?;
        }
        let opt_in = if rule.opt_in { " (opt-in)" } else { "" };
        writeln!(
            out,
            "  {:width$}  {:8}  {}  {}{opt_in}",
            rule.id,
            rule.severity.word(),
            rule.level,
            rule.title
        )?;
    }
    writeln!(out, "\n{} rules", chosen.len())?;
    say(&out)?;
    Ok(0)
}

//! `seawall explain RULE`

use std::fmt::Write;
use std::path::PathBuf;

use crate::document::LoadedRule;
use crate::document::diagnostic::nearest;
use crate::host::resource::{AnyResource, docs};

use super::say;
use super::setup::{Rules, load_rules};

/// Say what a rule demands, why, how it is judged, changed and undone, and which controls it
/// serves
#[derive(clap::Args)]
pub struct Args {
    /// A rule's id, e.g. `ssh.root`, or the name of a kind of resource, e.g. `sysctl`
    rule: String,
    /// Baselines or playbooks that have it (default: all of ./baselines)
    #[arg(long = "in", value_name = "DOCUMENT")]
    documents: Vec<PathBuf>,
}

pub fn run(args: Args) -> anyhow::Result<u8> {
    if let Some(text) = docs(&args.rule) {
        say(&text)?;
        return Ok(0);
    }
    let Rules { rules, .. } = load_rules(&args.documents)?;
    let Some(loaded) = rules.iter().find(|l| l.rule.id == args.rule) else {
        let hint = nearest(&args.rule, rules.iter().map(|l| l.rule.id.as_str()))
            .map(|n| format!("; did you mean `{n}`?"))
            .unwrap_or_default();
        anyhow::bail!(
            "no rule and no kind of resource is `{}`{hint} (`seawall rules` lists the rules; --in names a document that has more)",
            args.rule
        );
    };
    say(&explanation(loaded)?)?;
    Ok(0)
}

fn explanation(loaded: &LoadedRule<AnyResource>) -> anyhow::Result<String> {
    let rule = &loaded.rule;
    let mut out = format!("{}  {}\n\n{}\n\n", rule.id, rule.title, rule.why.trim());
    writeln!(
        out,
        "severity {}, level {}{}, area {}, baseline {} ({})",
        rule.severity.word(),
        rule.level,
        if rule.opt_in { ", opt-in" } else { "" },
        rule.area,
        loaded.baseline,
        loaded.file
    )?;
    for (framework, ids) in &rule.controls {
        writeln!(out, "serves   {framework} {}", ids.0.join(", "))?;
    }
    for when in loaded.baseline_when.iter().chain(&rule.when) {
        let mut parts = Vec::new();
        for (words, list) in [
            ("on ", &when.os),
            ("with ", &when.facts),
            ("without ", &when.without),
            ("with package ", &when.packages),
        ] {
            if !list.is_empty() {
                parts.push(format!("{words}{}", list.join(", ")));
            }
        }
        for (name, value) in &when.variables {
            parts.push(format!("where {name} is {value}"));
        }
        writeln!(out, "applies  {}", parts.join("; "))?;
    }
    for exception in &rule.except {
        writeln!(out, "except   {}: {}", exception.fact, exception.reason)?;
    }
    if let Some(manual) = &rule.manual {
        writeln!(out, "manual   {manual}")?;
    }
    for resource in &rule.resources {
        let text = serde_yaml::to_string(resource)?;
        write!(out, "\ndemands\n{}", indented(&text))?;
        if let Some(text) = docs(resource.kind()) {
            write!(out, "\n{text}")?;
        }
    }
    writeln!(
        out,
        "\nTo accept it for a while, put this into the playbook:\n\n  waivers:\n    - rule: {}\n      reason: …\n      owner: …\n      approver: …\n      expires: YYYY-MM-DD",
        rule.id
    )?;
    Ok(out)
}

fn indented(text: &str) -> String {
    text.lines().map(|line| format!("  {line}\n")).collect()
}

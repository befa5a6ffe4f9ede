//! `seawall schema [KIND]`

use std::path::PathBuf;

use serde_json::Value;

use crate::document::{
    schema_for_baseline, schema_for_drill, schema_for_inventory, schema_for_patch,
    schema_for_playbook, schema_for_policy,
};
use crate::host::resource::AnyResource;

use super::say;

/// Print the JSON Schema of a kind of document, or write all of them
#[derive(clap::Args)]
pub struct Args {
    /// Which one
    #[arg(value_enum, required_unless_present = "write")]
    kind: Option<Kind>,
    /// Write all of them into this folder
    #[arg(long, value_name = "FOLDER")]
    write: Option<PathBuf>,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum Kind {
    Baseline,
    Playbook,
    Inventory,
    /// A backup policy
    Policy,
    /// A drill playbook
    Drill,
    /// A patch playbook
    Patch,
    /// What `--json` prints
    Findings,
    /// What `--json` prints of a drill
    DrillReport,
    /// What `--json` prints of a patch plan or a patch run
    PatchReport,
    /// What `patch status --json` prints
    PatchStatus,
}

/// File name → schema, of everything that is committed under `schemas/`.
pub fn all() -> Vec<(&'static str, Value)> {
    [
        ("baseline.json", Kind::Baseline),
        ("playbook.json", Kind::Playbook),
        ("inventory.json", Kind::Inventory),
        ("policy.json", Kind::Policy),
        ("drill.json", Kind::Drill),
        ("patch.json", Kind::Patch),
        ("findings.json", Kind::Findings),
        ("drill-report.json", Kind::DrillReport),
        ("patch-report.json", Kind::PatchReport),
        ("patch-status.json", Kind::PatchStatus),
    ]
    .map(|(name, kind)| (name, schema(kind)))
    .into()
}

fn schema(kind: Kind) -> Value {
    match kind {
        Kind::Baseline => schema_for_baseline::<AnyResource>(),
        Kind::Playbook => schema_for_playbook(),
        Kind::Inventory => schema_for_inventory(),
        Kind::Policy => schema_for_policy(),
        Kind::Drill => schema_for_drill(),
        Kind::Patch => schema_for_patch(),
        Kind::Findings => crate::report::json::schema(),
        Kind::DrillReport => crate::report::drill::json::schema(),
        Kind::PatchReport => crate::report::patch::json::schema(),
        Kind::PatchStatus => crate::report::patch::status::schema(),
    }
}

pub fn text(schema: &Value) -> anyhow::Result<String> {
    let mut text = serde_json::to_string_pretty(schema)?;
    text.push('\n');
    Ok(text)
}

pub fn run(args: Args) -> anyhow::Result<u8> {
    if let Some(folder) = args.write {
        for (name, schema) in all() {
            let path = folder.join(name);
            std::fs::write(&path, text(&schema)?)
                .map_err(|e| anyhow::anyhow!("writing {}: {e}", path.display()))?;
        }
    }
    if let Some(kind) = args.kind {
        say(&text(&schema(kind))?)?;
    }
    Ok(0)
}

//! What is kept on the controller of data that lies on an instance, so that another process of the
//! run can prove it anew.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{door, proofs, shell};
use crate::backup::archive::Manifest;
use crate::backup::sidecar::CanaryClaim;
use crate::cloud::provider::Inner;
use crate::cloud::state::Recovered;
use crate::document::drill::Step;
use crate::drill::provider::DrillContext;
use crate::shell::quote;

#[derive(Debug, Serialize, Deserialize)]
struct Kept {
    on: String,
    path: String,
    canary: Option<CanaryClaim>,
}

/// Writes down what a step has put on an instance.
pub fn keep(inner: &Inner, run: &str, step: &str, recovered: &Recovered) -> Result<(), String> {
    let wrong = |e: std::io::Error| format!("keeping what the step {step} has restored: {e}");
    let Some((on, path)) = recovered.placed.clone() else {
        return Ok(());
    };
    let folder = door::folder(inner, run)?;
    if let Some(manifest) = &recovered.manifest {
        let mut packed = zstd::Encoder::new(Vec::new(), 1).map_err(wrong)?;
        manifest.write_to(&mut packed).map_err(wrong)?;
        let bytes = packed.finish().map_err(wrong)?;
        door::write_private(&folder.join(format!("{step}.manifest")), &bytes)?;
    }
    let kept = Kept {
        on,
        path,
        canary: recovered.canary.clone(),
    };
    let text = serde_json::to_vec(&kept).map_err(|e| wrong(e.into()))?;
    door::write_private(&folder.join(format!("{step}.json")), &text)
}

/// Reads it again.
fn recall(inner: &Inner, run: &str, step: &str) -> Result<Recovered, String> {
    let wrong = |e: String| format!("reading what the step {step} had restored: {e}");
    let folder = door::folder(inner, run)?;
    let text =
        std::fs::read(folder.join(format!("{step}.json"))).map_err(|e| wrong(e.to_string()))?;
    let kept: Kept = serde_json::from_slice(&text).map_err(|e| wrong(e.to_string()))?;
    let manifest = match std::fs::File::open(folder.join(format!("{step}.manifest"))) {
        Ok(file) => {
            let text = zstd::Decoder::new(file).map_err(|e| wrong(e.to_string()))?;
            Some(Manifest::read(text).map_err(|e| wrong(e.to_string()))?)
        }
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => None,
        Err(e) => return Err(wrong(e.to_string())),
    };
    Ok(Recovered {
        placed: Some((kept.on, kept.path)),
        canary: kept.canary,
        manifest: manifest.map(std::sync::Arc::new),
        ..Recovered::default()
    })
}

/// Takes over what lies on an instance, if it is there still.
pub async fn adopt(inner: &Inner, drill: &DrillContext, step: &Step) -> Result<(), String> {
    let Some((on, path)) = proofs::place_of(step) else {
        return Ok(());
    };
    let is_archive = step.restore.is_some();
    let found = match is_archive {
        true => recall(inner, &drill.run, &step.step)?,
        false => Recovered {
            placed: Some((on.to_owned(), path.to_owned())),
            ..Recovered::default()
        },
    };
    let (on, path) = found.placed.clone().unwrap_or_default();
    let instance = (inner.recovered(&on).instance)
        .ok_or_else(|| format!("the step {on} has no instance any more"))?;
    let target = door::target(inner, &drill.run, &on, &instance)?;
    let quoted = quote(&path).map_err(|e| e.to_string())?;
    let calls = match is_archive {
        true => format!("[ -d {quoted} ]; exit $?"),
        false => format!("mountpoint -q {quoted}; exit $?"),
    };
    let limit = Duration::from_secs(60);
    let ran = shell::run(inner, &target, "", &calls, limit, 1024).await?;
    if !ran.well() {
        let what = if is_archive {
            "is not there"
        } else {
            "is not mounted"
        };
        return Err(format!("{path} {what} any more on {}", target.name));
    }
    inner.know(&step.step, |own| {
        own.placed = found.placed;
        if is_archive {
            own.canary = found.canary;
            own.manifest = found.manifest;
        }
    });
    Ok(())
}

//! What the provider knows while a drill runs, and what it keeps in the scratch for a `resume`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Child;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::nothing::Nothing;
use super::postgres::Server;
use super::process::Identity;
use super::scratch::{Held, ours, write_private};
use super::world::Place;
use crate::backup::archive::{ArchiveHeader, Manifest};
use crate::backup::sidecar::Sidecar;
use crate::drill::pick::Picked;
use crate::journal::PointNote;

/// Everything that changes. Behind one lock, which is never held while something is waited for.
#[derive(Default)]
pub struct State {
    pub held: Option<Held>,
    pub steps: BTreeMap<String, StepState>,
    /// What controls are tried on.
    pub nothing: Option<Arc<Nothing>>,
    /// Controls that are over.
    pub controls: usize,
    /// Ours to reap.
    pub children: Vec<Child>,
    /// Services that were started: some write over the environment that bears the run's tag.
    pub services: Vec<Identity>,
    /// Logs that are kept short while we live.
    pub logs: Vec<PathBuf>,
    /// Work that is under way, by step.
    pub busy: BTreeMap<String, usize>,
}

/// One step, as far as it has come.
#[derive(Clone, Default)]
pub struct StepState {
    pub picked: Option<Arc<Picked>>,
    pub server: Option<Server>,
    pub kept: Kept,
    pub manifest: Option<Manifest>,
}

/// What is kept of a step that has recovered, so that another process can prove it anew.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Kept {
    pub place: Place,
    #[serde(default)]
    pub point: Option<PointNote>,
    #[serde(default)]
    pub sidecar: Option<Sidecar>,
    #[serde(default)]
    pub header: Option<ArchiveHeader>,
    /// Folder and programs of its server.
    #[serde(default)]
    pub server: Option<(PathBuf, PathBuf)>,
}

fn folder(scratch: &Path) -> PathBuf {
    ours(scratch).join("steps")
}

/// Writes down what a step has come to.
pub fn keep(scratch: &Path, step: &str, state: &StepState) -> Result<(), String> {
    let wrong = |e: std::io::Error| format!("keeping what the step {step} has restored: {e}");
    let folder = folder(scratch);
    match std::fs::create_dir(&folder) {
        Err(e) if e.kind() != std::io::ErrorKind::AlreadyExists => return Err(wrong(e)),
        _ => {}
    }
    if let Some(manifest) = &state.manifest {
        let mut text = Vec::new();
        let mut packed = zstd::Encoder::new(&mut text, 1).map_err(wrong)?;
        manifest.write_to(&mut packed).map_err(wrong)?;
        packed.finish().map_err(wrong)?;
        write_private(&folder.join(format!("{step}.manifest")), &text).map_err(wrong)?;
    }
    let text = serde_json::to_vec(&state.kept).map_err(|e| wrong(e.into()))?;
    write_private(&folder.join(format!("{step}.json")), &text).map_err(wrong)
}

/// Reads it again.
pub fn recall(scratch: &Path, step: &str) -> Result<StepState, String> {
    let folder = folder(scratch);
    let wrong = |e: String| format!("reading what the step {step} had restored: {e}");
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
    Ok(StepState {
        picked: None,
        server: None,
        kept,
        manifest,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backup::archive::{Entry, EntryKind, ManifestWriter};

    #[test]
    fn what_is_kept_is_read_again() {
        let dir = tempfile::tempdir().unwrap();
        let scratch = dir.path().join("s");
        let _held = super::super::scratch::take(&scratch, "r").unwrap();
        assert!(recall(&scratch, "files").is_err());
        let mut writer = ManifestWriter::new();
        let entry = Entry {
            path: "etc".into(),
            kind: EntryKind::Directory,
            mode: 0o755,
            uid: 0,
            gid: 0,
            mtime: 1,
            size: 0,
            sha256: None,
            link: None,
        };
        writer.push(&entry).unwrap();
        let state = StepState {
            kept: Kept {
                place: Place {
                    directory: Some("/s/files".into()),
                    ..Place::default()
                },
                ..Kept::default()
            },
            manifest: writer.finish(&[]).ok(),
            ..StepState::default()
        };
        keep(&scratch, "files", &state).unwrap();
        keep(&scratch, "files", &state).unwrap();
        let again = recall(&scratch, "files").unwrap();
        assert_eq!(again.kept.place, state.kept.place);
        let entries: Result<Vec<_>, _> = again.manifest.unwrap().entries().collect();
        assert_eq!(entries.unwrap(), [entry]);
    }
}

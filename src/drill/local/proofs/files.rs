//! How many files there are, how many bytes in them, and the hashes of some.

use std::path::Path;

use super::{Found, View, hash, open_beneath, outcome, shown};
use crate::document::drill::FilesProof;
use crate::shell::clean;

pub fn prove(view: &View, demand: &FilesProof) -> Result<Found, String> {
    let directory = view.directory()?;
    let mut expected = Vec::new();
    let mut read = Vec::new();
    let mut passes = true;
    if demand.at_least.is_some() || demand.bytes.is_some() {
        let (files, bytes) = count(directory, &|| view.is_stopped())?;
        if let Some(least) = demand.at_least {
            expected.push(format!("at least {least} files"));
            passes &= files >= least;
        }
        if let Some(least) = demand.bytes {
            expected.push(format!("at least {} bytes", least.0));
            passes &= bytes >= least.0;
        }
        read.push(format!("{files} files with {bytes} bytes"));
    }
    for (path, wanted) in &demand.sha256 {
        expected.push(format!("{path} with SHA-256 {wanted}"));
        let found = open_beneath(directory, path.as_bytes())
            .map_err(|e| e.to_string())
            .and_then(|file| hash(file, &|| view.is_stopped()));
        match found {
            Ok((sha256, _)) => {
                passes &= sha256.eq_ignore_ascii_case(wanted);
                read.push(format!("{path}: {sha256}"));
            }
            Err(why) => {
                passes = false;
                read.push(format!("{path}: {}", clean(&why, 100)));
            }
        }
    }
    if expected.is_empty() {
        return Err("this proof demands nothing of the files".into());
    }
    Ok(Found {
        outcome: outcome(passes),
        expected: expected.join(", "),
        read: read.join(", "),
        at: shown(directory),
    })
}

/// Regular files, and their bytes. Links are not followed, and other names of one file counted
/// each.
fn count(directory: &Path, stop: &dyn Fn() -> bool) -> Result<(u64, u64), String> {
    let wrong = |path: &Path, e: std::io::Error| format!("reading {}: {e}", path.display());
    let (mut files, mut bytes) = (0, 0);
    let mut todo = vec![directory.to_owned()];
    while let Some(path) = todo.pop() {
        for entry in std::fs::read_dir(&path).map_err(|e| wrong(&path, e))? {
            let entry = entry.map_err(|e| wrong(&path, e))?;
            // Of a link, its own.
            let meta = entry.metadata().map_err(|e| wrong(&entry.path(), e))?;
            if meta.is_dir() {
                todo.push(entry.path());
            } else if meta.is_file() {
                files += 1;
                bytes += meta.len();
            }
        }
        if stop() {
            return Err("asked to stop".into());
        }
    }
    Ok((files, bytes))
}

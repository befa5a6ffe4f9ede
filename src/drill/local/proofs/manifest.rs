//! Every restored file against the manifest of its backup.

use std::path::Path;

use super::{Found, View, hash, open_beneath, outcome, shown};
use crate::backup::archive::{Entry, unescape};
use crate::backup::restore::compare;
use crate::drill::proof::manifest::{expected, one_file, read, streams};

pub fn prove(view: &View) -> Result<Found, String> {
    let directory = view.directory()?;
    let made_up;
    let manifest = match (&view.manifest, view.is_control) {
        (Some(manifest), _) => manifest,
        (None, true) => {
            made_up = one_file()?;
            &made_up
        }
        (None, false) => {
            return Err("the backup has no manifest: there is nothing to compare with".into());
        }
    };
    let end = manifest.end();
    let mut differences = match streams(manifest)? {
        streams if streams.is_empty() => compare(directory, manifest).map_err(|e| e.0)?,
        streams => compare_streams(view, directory, &streams),
    };
    if end.bytes == 0 {
        differences.push("the backup itself holds no data".into());
    }
    Ok(Found {
        outcome: outcome(differences.is_empty()),
        expected: expected(manifest),
        read: read(manifest, &differences),
        at: shown(directory),
    })
}

/// The directory holds one file for each stream, and nothing else.
fn compare_streams(view: &View, directory: &Path, streams: &[Entry]) -> Vec<String> {
    let stop = || view.is_stopped();
    let mut files: Vec<_> = std::fs::read_dir(directory)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.file_name())
        .collect();
    files.sort();
    if files.len() != streams.len() {
        return vec![format!(
            "{} files instead of {}",
            files.len(),
            streams.len()
        )];
    }
    let mut differences = Vec::new();
    for (file, stream) in files.iter().zip(streams) {
        use std::os::unix::ffi::OsStrExt;
        let name = unescape(&stream.path).unwrap_or_default();
        let read = open_beneath(directory, file.as_bytes())
            .map_err(|e| e.to_string())
            .and_then(|file| hash(file, &stop));
        match read {
            Ok((sha256, length)) => {
                if length != stream.size || Some(&sha256) != stream.sha256.as_ref() {
                    differences.push(format!(
                        "{}: {length} bytes with SHA-256 {sha256}",
                        String::from_utf8_lossy(&name)
                    ));
                }
            }
            Err(why) => differences.push(format!("{}: {why}", String::from_utf8_lossy(&name))),
        }
    }
    differences
}

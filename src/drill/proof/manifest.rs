//! What is compared with what was restored. Pure.

use crate::backup::archive::{Entry, EntryKind, Manifest, ManifestWriter};

/// Differences that are told.
pub const TOLD: usize = 5;

/// What is expected, in words.
pub fn expected(manifest: &Manifest) -> String {
    let end = manifest.end();
    format!(
        "{} entries with {} bytes, each as the backup's manifest says",
        end.entries, end.bytes
    )
}

/// What was read, in words: the differences, the first ones told.
pub fn read(manifest: &Manifest, differences: &[String]) -> String {
    let end = manifest.end();
    match differences.len() {
        0 => format!(
            "{} entries with {} bytes, all as in the manifest",
            end.entries, end.bytes
        ),
        count => {
            let told: Vec<&str> = differences.iter().take(TOLD).map(String::as_str).collect();
            format!("{count} differences: {}", told.join("; "))
        }
    }
}

/// What the control compares nothing with.
pub fn one_file() -> Result<Manifest, String> {
    let mut writer = ManifestWriter::new();
    let entry = Entry {
        path: "a-file-that-is-not-there".into(),
        kind: EntryKind::File,
        mode: 0o644,
        uid: 0,
        gid: 0,
        mtime: 0,
        size: 1,
        sha256: Some("0".repeat(64)),
        link: None,
    };
    writer.push(&entry).map_err(|e| e.to_string())?;
    writer.finish(&[]).map_err(|e| e.to_string())
}

/// The streams that a manifest lists: a program's output is one, and lies in one file.
pub fn streams(manifest: &Manifest) -> Result<Vec<Entry>, String> {
    let mut found = Vec::new();
    for entry in manifest.entries() {
        let entry = entry.map_err(|e| e.to_string())?;
        if entry.kind == EntryKind::Stream {
            found.push(entry);
        }
    }
    Ok(found)
}

//! Looking at backups for `verify`: lists, headers, hashes; and with a key what is inside.

use std::io::Read;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::backup::Progress;
use crate::backup::age::{DecryptReader, Identities, inspect};
use crate::backup::archive::{EntryKind, Manifest};
use crate::backup::catalog::backups;
use crate::backup::judge::{Held, Inside, Looked, Opened, Unlocked};
use crate::backup::restore::{Content, Limits, examine};
use crate::backup::store::{Blob, Store};
use crate::document::policy::SourceDocument;
use crate::model::hex;
use crate::shell::clean;
use crate::sign::Trusted;

use super::ground::Ground;
use super::keys::Place;

/// A header is within so many bytes, armored too.
const HEADER: usize = 96 << 10;
const PIECE: usize = 1 << 20;

/// A source's stores that could be opened, with what they hold.
pub struct Holdings {
    pub held: Vec<Held>,
    /// By the store's name in the policy.
    stores: Vec<(String, Arc<dyn Store>)>,
}

/// Asks all stores of a source what they hold.
pub fn holdings(
    ground: &Ground,
    source: &SourceDocument,
    trusted: &Trusted,
) -> anyhow::Result<Holdings> {
    let mut all = Holdings {
        held: Vec::new(),
        stores: Vec::new(),
    };
    for (name, document) in ground.stores(source, None)? {
        let mut held = Held {
            store: name.to_owned(),
            place: document.place.clone(),
            backups: Ok(Vec::new()),
            leftovers: Vec::new(),
        };
        match ground.open(document) {
            Ok(store) => {
                held.backups = backups(&*store, &source.source, trusted).map_err(|e| e.to_string());
                match store.leftovers(&format!("{}/", source.source)) {
                    Ok(found) => held.leftovers = found.into_iter().map(|o| o.name).collect(),
                    Err(error) => held.backups = Err(error.to_string()),
                }
                all.stores.push((name.to_owned(), store));
            }
            Err(error) => held.backups = Err(super::super::told(&error)),
        }
        all.held.push(held);
    }
    Ok(all)
}

impl Holdings {
    /// Names to look at: the newest that is vouched for (else the newest), or all.
    pub fn names(&self, full: bool) -> Vec<String> {
        let mut all: Vec<(bool, Option<jiff::Timestamp>, &str)> = self
            .held
            .iter()
            .flat_map(|held| held.backups.iter().flatten())
            .map(|b| (b.vouched.signed().is_some(), b.data_time, b.name.as_str()))
            .collect();
        all.sort_unstable();
        all.dedup_by_key(|(_, _, name)| *name);
        match full {
            true => {
                let mut names: Vec<String> = all.iter().map(|(_, _, n)| (*n).to_owned()).collect();
                names.sort_unstable();
                names.dedup();
                names
            }
            false => all
                .last()
                .map(|(_, _, name)| (*name).to_owned())
                .into_iter()
                .collect(),
        }
    }

    /// The stores that hold it.
    pub fn holders<'a>(
        &'a self,
        name: &'a str,
    ) -> impl Iterator<Item = (&'a str, &'a Arc<dyn Store>)> {
        self.stores.iter().filter_map(move |(store, opened)| {
            let held = self.held.iter().find(|held| held.store == *store)?;
            let holds = held.backups.iter().flatten().any(|b| b.name == name);
            holds.then_some((store.as_str(), opened))
        })
    }
}

/// Reads an archive's ciphertext to its end.
pub fn look(
    blob: Result<Box<dyn Blob>, String>,
    store: &str,
    name: &str,
    progress: &Progress,
) -> Looked {
    let mut looked = Looked {
        store: store.to_owned(),
        name: name.to_owned(),
        header: Err(String::new()),
        sha256: Err(String::new()),
    };
    match blob.and_then(|mut blob| read(&mut *blob, progress)) {
        Ok((beginning, sha256)) => {
            looked.header = inspect(&beginning).map_err(|e| e.to_string());
            looked.sha256 = Ok(sha256);
        }
        Err(why) => {
            looked.header = Err(why.clone());
            looked.sha256 = Err(why);
        }
    }
    looked
}

fn read(blob: &mut dyn Blob, progress: &Progress) -> Result<(Vec<u8>, String), String> {
    progress.total.store(blob.size(), Ordering::Relaxed);
    progress.sealed.store(0, Ordering::Relaxed);
    let mut hash = aws_lc_rs::digest::Context::new(&aws_lc_rs::digest::SHA256);
    let mut beginning = Vec::new();
    let mut piece = vec![0; PIECE];
    loop {
        if progress.is_stopped() {
            return Err("stopped, as asked".into());
        }
        let count = match blob.read(&mut piece) {
            Ok(0) => break,
            Ok(count) => count,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error.to_string()),
        };
        let bytes = &piece[..count];
        hash.update(bytes);
        let room = HEADER.saturating_sub(beginning.len()).min(count);
        beginning.extend_from_slice(&bytes[..room]);
        progress.sealed.fetch_add(count as u64, Ordering::Relaxed);
    }
    Ok((beginning, hex(hash.finish().as_ref())))
}

/// Opens an archive with each of the places' keys, and reads it to its end with the first that fits.
/// `open` gives the archive anew each time.
pub fn open(
    open: &dyn Fn() -> Result<Box<dyn Blob>, String>,
    store: &str,
    name: &str,
    places: &[Place],
    progress: &Progress,
) -> Opened {
    let unlocked: Vec<Unlocked> = places
        .iter()
        .map(|place| Unlocked {
            label: place.label.clone(),
            recipients: place.identities.recipients(),
            opens: open().and_then(|blob| unlock(blob, &place.identities)),
        })
        .collect();
    let first = unlocked.iter().position(|one| one.opens.is_ok());
    let inside = match first.and_then(|at| places.get(at)) {
        Some(place) => open().and_then(|blob| {
            examine(blob, &place.identities, &Limits::default(), progress)
                .map(inside)
                .map_err(|e| e.to_string())
        }),
        None => Err(unlocked
            .iter()
            .filter_map(|one| one.opens.as_ref().err())
            .next()
            .cloned()
            .unwrap_or_else(|| "no key was given".to_owned())),
    };
    Opened {
        name: name.to_owned(),
        store: store.to_owned(),
        inside,
        unlocked,
    }
}

/// Whether a key opens the header: nothing of the payload is believed.
fn unlock(blob: Box<dyn Blob>, identities: &Identities) -> Result<(), String> {
    let reader: Box<dyn Read + Send> = Box::new(blob);
    match DecryptReader::new(reader, identities) {
        Ok(_) => Ok(()),
        Err(error) => Err(error.to_string()),
    }
}

fn inside(content: Content) -> Inside {
    let restored = content.restored;
    let canary_file = restored
        .header
        .as_ref()
        .filter(|header| header.stream.is_none())
        .and_then(|header| header.canary.as_ref())
        .zip(restored.manifest.as_ref())
        .map(|(canary, manifest)| holds_file(manifest, &canary.place));
    Inside {
        form: clean(&content.form, 100),
        has_manifest: restored.manifest.is_some(),
        header: restored.header,
        files: restored.files,
        bytes: restored.bytes,
        differences: content.differences.iter().map(|d| clean(d, 300)).collect(),
        canary_file,
    }
}

fn holds_file(manifest: &Manifest, path: &str) -> bool {
    manifest
        .entries()
        .flatten()
        .any(|entry| entry.kind == EntryKind::File && entry.path == path)
}

//! From a file to a checked patch playbook: the document, or all the mistakes.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use jiff::civil::Date;

use super::checks::{self, PatchCheck};
use super::diagnostic::{Diagnostic, in_order};
use super::documents::{Shelf, normal};
use super::files::Files;
use super::inventory::Inventory;
use super::load::{typed, warnings_only};
use super::patch::Patch;
use super::schema::schema_for_patch;

/// A patch playbook that is sound.
#[derive(Clone, Debug)]
pub struct LoadedPatch {
    pub patch: Patch,
    pub path: String,
    /// Every document that was read → SHA-256 of its text, in hexadecimal.
    pub documents: BTreeMap<String, String>,
    /// Where its advisories lie, seen from where `path` is seen from. Whether they are there, is
    /// for the one to see who reads them.
    pub advisories: Vec<PathBuf>,
    pub warnings: Vec<Diagnostic>,
}

/// Reads a patch playbook. Where the inventory is at hand, host names are checked against it; where
/// the day (UTC) is, freezes are seen to have expired.
///
/// # Errors
/// With all that is wrong, each at its line.
pub fn load_patch(
    path: &Path,
    files: &dyn Files,
    inventory: Option<&Inventory>,
    today: Option<Date>,
) -> Result<LoadedPatch, Vec<Diagnostic>> {
    let mut shelf = Shelf::new(files);
    let Some(mut document) = shelf.read(&normal(path), None, &schema_for_patch()) else {
        return Err(in_order(shelf.found));
    };
    checks::hide_secrets(&mut document, &mut shelf.found);
    PatchCheck::new(&document, inventory, today, &mut shelf.found).run();
    // The typed pass would say the same again of what the checks have found.
    let patch = match shelf.found.iter().any(Diagnostic::is_error) {
        true => None,
        false => typed::<Patch>(&document, &mut shelf.found),
    };
    let warnings = in_order(warnings_only(shelf.found)?);
    let Some(patch) = patch else {
        return Err(warnings);
    };
    let folder = Path::new(&document.source.name)
        .parent()
        .unwrap_or(Path::new(""));
    Ok(LoadedPatch {
        advisories: patch
            .advisories
            .iter()
            .map(|file| normal(&folder.join(file)))
            .collect(),
        patch,
        path: document.source.name.clone(),
        documents: shelf.hashes,
        warnings,
    })
}

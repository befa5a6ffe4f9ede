//! From files to checked backup policies and drills: the document, or all the mistakes.

use std::collections::BTreeMap;
use std::path::Path;

use super::checks;
use super::diagnostic::{Diagnostic, in_order};
use super::documents::{Shelf, normal};
use super::drill::Drill;
use super::files::Files;
use super::load::{typed, warnings_only};
use super::policy::Policy;
use super::schema::{schema_for_drill, schema_for_policy};

/// A backup policy that is sound.
#[derive(Clone, Debug)]
pub struct LoadedPolicy {
    pub policy: Policy,
    pub path: String,
    /// Every file that was read → SHA-256 of its text, in hexadecimal.
    pub documents: BTreeMap<String, String>,
    pub warnings: Vec<Diagnostic>,
}

/// A drill that is sound, with the policy that it names; where it names none, an empty one.
#[derive(Clone, Debug)]
pub struct LoadedDrill {
    pub drill: Drill,
    pub path: String,
    pub policy: Policy,
    pub policy_path: String,
    pub documents: BTreeMap<String, String>,
    pub warnings: Vec<Diagnostic>,
}

/// Reads a backup policy.
pub fn load_policy(path: &Path, files: &dyn Files) -> Result<LoadedPolicy, Vec<Diagnostic>> {
    let mut shelf = Shelf::new(files);
    let Some(mut document) = shelf.read(&normal(path), None, &schema_for_policy()) else {
        return Err(in_order(shelf.found));
    };
    checks::hide_secrets(&mut document, &mut shelf.found);
    checks::policy(&document, &mut shelf.found);
    let policy = typed::<Policy>(&document, &mut shelf.found);
    let warnings = warnings_only(shelf.found)?;
    let Some(policy) = policy else {
        return Err(warnings);
    };
    Ok(LoadedPolicy {
        policy,
        path: document.source.name.clone(),
        documents: shelf.hashes,
        warnings,
    })
}

/// Reads a drill and its policy.
pub fn load_drill(path: &Path, files: &dyn Files) -> Result<LoadedDrill, Vec<Diagnostic>> {
    let mut shelf = Shelf::new(files);
    let Some(mut document) = shelf.read(&normal(path), None, &schema_for_drill()) else {
        return Err(in_order(shelf.found));
    };
    let named = document.root.text_at("policy").map(|(text, span)| {
        let base = Path::new(&document.source.name);
        let path = normal(&base.parent().unwrap_or(Path::new("")).join(text));
        (path, document.place(span))
    });
    let mut policy_document =
        named.and_then(|(path, place)| shelf.read(&path, Some(&place), &schema_for_policy()));
    checks::hide_secrets(&mut document, &mut shelf.found);
    if let Some(document) = &mut policy_document {
        checks::hide_secrets(document, &mut shelf.found);
    }
    checks::drill(&document, policy_document.as_ref(), &mut shelf.found);
    if let Some(document) = &policy_document {
        checks::policy(document, &mut shelf.found);
    }
    let drill = typed::<Drill>(&document, &mut shelf.found);
    let policy = match &policy_document {
        Some(document) => typed::<Policy>(document, &mut shelf.found),
        None => Some(Policy::default()),
    };
    let warnings = warnings_only(shelf.found)?;
    let (Some(drill), Some(policy)) = (drill, policy) else {
        return Err(warnings);
    };
    Ok(LoadedDrill {
        drill,
        path: document.source.name.clone(),
        policy,
        policy_path: policy_document
            .map(|document| document.source.name.clone())
            .unwrap_or_default(),
        documents: shelf.hashes,
        warnings,
    })
}

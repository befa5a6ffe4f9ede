//! Which format an inventory has, by its content and its name.

use std::path::Path;
use std::sync::Arc;

use super::super::diagnostic::{Diagnostic, Place, Source};
use super::super::spans::{Kind, MAX_BYTES, parse};
use super::{Inventory, ansible, ini, list, own};

/// Reads an inventory: our own YAML, Ansible's YAML or INI, or a bare list of hosts.
///
/// `name` is its path: relative paths in it start at its directory. `home` is what `~` means.
pub fn load(name: &str, text: &str, home: Option<&Path>) -> Result<Inventory, Vec<Diagnostic>> {
    let source = Arc::new(Source {
        name: name.to_owned(),
        text: text.to_owned(),
    });
    let place = || Place::new(&source, 0..0);
    if text.len() > MAX_BYTES {
        return Err(vec![Diagnostic::error(
            "too-large",
            place(),
            "the inventory is larger than 1 MiB",
        )]);
    }
    let directory = Path::new(name).parent().unwrap_or(Path::new(""));
    let extension = Path::new(name)
        .extension()
        .and_then(|e| e.to_str())
        .unwrap_or_default();
    let is_yaml = matches!(extension, "yaml" | "yml" | "json");
    let tree = match extension {
        "ini" | "cfg" => Ok(None),
        _ => parse(text),
    };
    let draft = match tree {
        Ok(Some(root)) if matches!(root.kind, Kind::Map(_)) => match ansible::looks_like(&root) {
            true => ansible::read(&root, &source),
            false => own::read(&root, &source),
        },
        Err(problem) if is_yaml || problem.code != "not-yaml" || looks_like_own(text) => {
            return Err(vec![Diagnostic::of(&source, problem)]);
        }
        Ok(Some(_)) if is_yaml => {
            let error = Diagnostic::error(
                "wrong-type",
                place(),
                "an inventory in YAML must be a mapping",
            );
            return Err(vec![
                error.help("begin it with `inventory: NAME` and `hosts:`"),
            ]);
        }
        _ if looks_like_ini(text) || matches!(extension, "ini" | "cfg") => ini::read(&source),
        _ => list::read(&source),
    };
    draft.finish(directory, home)
}

/// Any text at all, for those who throw random ones at it.
pub fn parse_inventory(text: &str) -> Result<Inventory, Vec<Diagnostic>> {
    load("inventory", text, None)
}

/// It says that it is one of ours, whatever else is wrong with it.
fn looks_like_own(text: &str) -> bool {
    text.lines().any(|line| line.starts_with("inventory:"))
}

/// It has sections, variables after a host's name, or ranges in one.
fn looks_like_ini(text: &str) -> bool {
    text.lines().map(str::trim).any(|line| {
        let mut words = line.split_whitespace();
        let first = words.next().unwrap_or_default();
        match first.chars().next() {
            None | Some('#' | ';') => false,
            // `[::1]:22` of a bare list begins with a bracket too.
            Some('[') => ini::section(line).is_some(),
            Some(_) => words.any(|word| word.contains('=')) || is_range(first),
        }
    })
}

fn is_range(word: &str) -> bool {
    word.split_once('[')
        .is_some_and(|(before, _)| !before.ends_with('@'))
}

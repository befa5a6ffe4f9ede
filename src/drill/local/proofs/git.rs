//! A restored repository: every object is whole, and there are as many commits as are demanded.

use std::path::{Path, PathBuf};

use super::{Found, View, outcome, shown};
use crate::document::drill::GitProof;
use crate::drill::local::carry::git;
use crate::model::drill::ProofOutcome;

const OUTPUT: usize = 64 << 10;

pub fn prove(view: &View, demand: &GitProof) -> Result<Found, String> {
    let repository = repository(view.directory()?);
    let expected = format!(
        "every object whole (git fsck --full --strict), and at least {} commits",
        demand.commits
    );
    let at = shown(&repository);
    let found = |outcome, read: String| {
        Ok(Found {
            outcome,
            expected: expected.clone(),
            read,
            at: at.clone(),
        })
    };
    // Objects that are borrowed from elsewhere were not restored.
    if std::fs::symlink_metadata(repository.join("objects/info/alternates")).is_ok() {
        let read = "it borrows objects from another repository (objects/info/alternates)";
        return found(ProofOutcome::Fail, read.into());
    }
    let stop = || view.is_stopped();
    let limits = view.limits(&stop, OUTPUT);
    let children = view.work.inner.children(view.work.drill);
    let program = |arguments: &[&str]| {
        let mut program = git().arg("--git-dir").arg(&repository).args(arguments);
        program.directory = Some(view.world.scratch.clone());
        program
    };
    let fsck = program(&[
        "fsck",
        "--full",
        "--strict",
        "--no-progress",
        "--no-dangling",
    ]);
    let fsck = children.run(&fsck, b"", &limits)?;
    if !fsck.well() {
        return found(
            ProofOutcome::Fail,
            format!("git fsck: {}: {}", fsck.how(), fsck.said(300)),
        );
    }
    let count = children.run(&program(&["rev-list", "--all", "--count"]), b"", &limits)?;
    let text = String::from_utf8_lossy(&count.stdout);
    match text.trim().parse::<u64>() {
        Ok(commits) if count.well() => found(
            outcome(commits >= demand.commits),
            format!("every object whole; {commits} commits"),
        ),
        _ => Err(format!(
            "git rev-list: {}: {}",
            count.how(),
            count.said(300)
        )),
    }
}

/// Bare, or with a work tree.
fn repository(directory: &Path) -> PathBuf {
    let within = directory.join(".git");
    match within.is_dir() {
        true => within,
        false => directory.to_owned(),
    }
}

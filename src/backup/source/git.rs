//! A git repository, as a bundle of all its refs.

use std::io::Write;
use std::path::Path;
use std::process::Command;

use super::child::Child;
use super::{SourceError, Surroundings};
use crate::backup::archive::write::ArchiveWriter;
use crate::document::policy::Git;
use crate::shell::clean;

/// Variables that would turn git to another repository, or make it run something.
const MISLEADING: &[&str] = &[
    "GIT_DIR",
    "GIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_OBJECT_DIRECTORY",
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_COMMON_DIR",
    "GIT_NAMESPACE",
    "GIT_SHALLOW_FILE",
    "GIT_GRAFT_FILE",
    "GIT_CONFIG",
    "GIT_CONFIG_PARAMETERS",
    "GIT_EXTERNAL_DIFF",
    "GIT_TRACE",
];

/// Settings for the one command. The policy names the repository, so its owner need not be us; what
/// its own configuration would run, it does not.
const SETTINGS: &[(&str, &str)] = &[
    ("safe.directory", "*"),
    ("core.fsmonitor", "false"),
    ("core.hooksPath", "/dev/null"),
];

pub(super) fn read<W: Write>(
    source: &Git,
    name: &str,
    mtime: i64,
    around: &Surroundings,
    archive: &mut ArchiveWriter<W>,
) -> Result<(), SourceError> {
    let shown = clean(&source.repository, 200);
    let ask = |arguments: &[&str]| {
        Child::start("git", git(source, around, arguments), Vec::new(), around)?.output(1 << 20)
    };
    let wrong = |error: SourceError| SourceError(format!("the git repository {shown}: {error}"));
    // A shallow or partial clone makes a bundle that looks whole and does not restore.
    let shallow = ask(&["rev-parse", "--is-shallow-repository"]).map_err(wrong)?;
    if shallow.trim() != "false" {
        return Err(SourceError(format!(
            "the git repository {shown} is shallow, so it does not hold its history: back up the \
             one that it was cloned from, or run `git fetch --unshallow`"
        )));
    }
    let partial = ask(&[
        "config",
        "--default",
        "",
        "--get",
        "extensions.partialclone",
    ])
    .map_err(wrong)?;
    if !partial.trim().is_empty() {
        return Err(SourceError(format!(
            "the git repository {shown} is a partial clone, so it does not hold all objects: back \
             up the one that it was cloned from"
        )));
    }
    if ask(&["for-each-ref", "--count=1"])
        .map_err(wrong)?
        .is_empty()
    {
        return Err(SourceError(format!(
            "the git repository {shown} is empty: it has no branch and no tag, and so nothing to \
             back up"
        )));
    }
    let arguments = ["bundle", "create", "-q", "-", "--all"];
    let command = git(source, around, &arguments);
    let mut child = Child::start("git bundle", command, Vec::new(), around)?;
    let size = archive.stream(name, mtime, &mut child)?;
    child.finish().map_err(wrong)?;
    if size == 0 {
        return Err(SourceError(format!(
            "git bundle printed nothing for {shown}"
        )));
    }
    Ok(())
}

fn git(source: &Git, around: &Surroundings, arguments: &[&str]) -> Command {
    let mut command = Command::new(&around.programs.git);
    for name in MISLEADING {
        command.env_remove(name);
    }
    let path = Path::new(&source.repository);
    // A directory that is no repository must not be taken for the one that it lies in.
    if let Some(parent) = path.parent() {
        command.env("GIT_CEILING_DIRECTORIES", parent);
    }
    command
        .arg("-C")
        .arg(path)
        .args(arguments)
        .env("GIT_TERMINAL_PROMPT", "0")
        .env("GIT_NO_LAZY_FETCH", "1")
        .env("GIT_OPTIONAL_LOCKS", "0")
        .env("GIT_NO_REPLACE_OBJECTS", "1")
        .env("LC_ALL", "C")
        .env("GIT_CONFIG_COUNT", SETTINGS.len().to_string());
    for (index, (key, value)) in SETTINGS.iter().enumerate() {
        command
            .env(format!("GIT_CONFIG_KEY_{index}"), key)
            .env(format!("GIT_CONFIG_VALUE_{index}"), value);
    }
    command
}

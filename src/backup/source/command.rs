//! What a program prints.

use std::io::Write;
use std::process::Command;

use super::child::Child;
use super::{SourceError, Surroundings, Warnings};
use crate::backup::archive::write::ArchiveWriter;
use crate::document::policy::CommandSource;
use crate::shell::clean;

pub(super) fn read<W: Write>(
    source: &CommandSource,
    name: &str,
    mtime: i64,
    around: &Surroundings,
    archive: &mut ArchiveWriter<W>,
    warnings: &mut Warnings,
) -> Result<(), SourceError> {
    let Some((program, arguments)) = source.run.split_first() else {
        return Err(SourceError(
            "the source's `run` names no program".to_owned(),
        ));
    };
    let shown = clean(program, 100);
    let mut command = Command::new(program);
    command.args(arguments);
    let mut child = Child::start(&shown, command, Vec::new(), around)?;
    let size = archive.stream(name, mtime, &mut child)?;
    child.finish()?;
    if size == 0 {
        warnings.push(format!("{shown} printed nothing: the backup is empty"));
    }
    Ok(())
}

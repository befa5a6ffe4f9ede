//! What decrypted and decompressed bytes are, by how they begin. Pure.

use crate::backup::archive::read::looks_like_tar;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    Tar,
    PgDump,
    GitBundle,
    Other,
}

impl Form {
    pub fn of(beginning: &[u8]) -> Form {
        if beginning.starts_with(b"PGDMP") {
            Form::PgDump
        } else if beginning.starts_with(b"# v2 git bundle\n")
            || beginning.starts_with(b"# v3 git bundle\n")
        {
            Form::GitBundle
        } else if looks_like_tar(beginning) {
            Form::Tar
        } else {
            Form::Other
        }
    }

    /// With its layers, the innermost first: `tar, zstd, age`.
    pub fn words(self, compression: Option<&str>) -> String {
        let inner = match self {
            Form::Tar => "tar",
            Form::PgDump => "pg_dump (custom)",
            Form::GitBundle => "git bundle",
            Form::Other => "something unknown",
        };
        match compression {
            Some(compression) => format!("{inner}, {compression}, age"),
            None => format!("{inner}, age"),
        }
    }
}

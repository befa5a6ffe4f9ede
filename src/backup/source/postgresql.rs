//! A PostgreSQL database, as pg_dump gives it in its custom format: here, or on a host that ssh
//! reaches.

use std::io::{self, Read, Write};
use std::process::Command;

use zeroize::Zeroizing;

use super::child::Child;
use super::{SourceError, Surroundings, Warnings};
use crate::backup::archive::Canary;
use crate::backup::archive::canary::KEPT;
use crate::backup::archive::write::ArchiveWriter;
use crate::document::policy::Postgresql;
use crate::shell::{NulInText, clean, quote, quote_all};

/// What every dump of the custom format begins with.
const MAGIC: &[u8] = b"PGDMP";

pub(super) fn read<W: Write>(
    source: &Postgresql,
    name: &str,
    mtime: i64,
    around: &Surroundings,
    archive: &mut ArchiveWriter<W>,
    warnings: &mut Warnings,
) -> Result<(), SourceError> {
    // Not compressed: all of the archive is, and better.
    let words = [
        around.programs.pg_dump.as_str(),
        "-Fc",
        "-Z0",
        "--no-password",
    ];
    let (command, input) = command(source, around, &words, Vec::new())?;
    let child = Child::start(&shown("pg_dump", source), command, input, around)?;
    let mut dump = Beginning::of(child);
    archive.stream(name, mtime, &mut dump)?;
    let Beginning { inner, first } = dump;
    let said = inner.finish()?;
    if first != MAGIC {
        return Err(SourceError(format!(
            "{} printed no dump of the custom format",
            shown("pg_dump", source)
        )));
    }
    if !said.is_empty() {
        warnings.push(format!("pg_dump said: {said}"));
    }
    Ok(())
}

/// Writes the canary into its table. The table is made where it is missing, and must be of the
/// shape that it would have been made with: what is another's is not touched.
pub(super) fn plant(
    source: &Postgresql,
    table: &str,
    canary: &Canary,
    around: &Surroundings,
) -> Result<(), SourceError> {
    let sql = planting(table, canary)?;
    let words = [
        around.programs.psql.as_str(),
        "-X",
        "-q",
        "--no-password",
        "-v",
        "ON_ERROR_STOP=1",
        "-f",
        "-",
    ];
    let (command, input) = command(source, around, &words, sql.into_bytes())?;
    Child::start(&shown("psql", source), command, input, around)?
        .output(64 << 10)
        .map(drop)
        .map_err(|error| SourceError(format!("writing the canary: {error}")))
}

fn planting(table: &str, canary: &Canary) -> Result<String, SourceError> {
    let table = identifier(table).ok_or_else(|| {
        SourceError(format!(
            "`{}` is no name for the canary's table: write `table` or `schema.table`",
            clean(table, 100)
        ))
    })?;
    let (name, token, at) = (text(&table), text(&canary.token), text(&canary.at));
    Ok(format!(
        "\\set ON_ERROR_STOP on
SET client_min_messages = warning;
SET standard_conforming_strings = on;
SET lock_timeout = '30s';
SET statement_timeout = '60s';
BEGIN;
CREATE TABLE IF NOT EXISTS {table} (token text NOT NULL, at timestamptz NOT NULL);
SELECT coalesce(string_agg(attname || ' ' || atttypid::regtype, ', ' ORDER BY attnum), '')
    = 'token text, at timestamp with time zone' AS ours
  FROM pg_attribute WHERE attrelid = to_regclass({name}) AND attnum > 0 AND NOT attisdropped \\gset
\\if :ours
INSERT INTO {table} (token, at) VALUES ({token}, {at});
DELETE FROM {table} WHERE ctid NOT IN (SELECT ctid FROM {table} ORDER BY at DESC LIMIT {KEPT});
COMMIT;
\\else
DO $$ BEGIN RAISE EXCEPTION
  'the table has other columns than token text and at timestamptz: name one of our own'; END $$;
\\endif
"
    ))
}

/// `table` or `schema.table`, quoted.
fn identifier(table: &str) -> Option<String> {
    let parts: Vec<&str> = table.split('.').collect();
    let is_name = |part: &&str| !part.is_empty() && part.len() <= 63 && !part.contains('\0');
    if parts.len() > 2 || !parts.iter().all(is_name) {
        return None;
    }
    // Also a newline or a backslash is only a character between these quotes, for psql too.
    let quoted: Vec<String> = parts
        .iter()
        .map(|part| format!("\"{}\"", part.replace('"', "\"\"")))
        .collect();
    Some(quoted.join("."))
}

/// A literal.
fn text(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// A program of PostgreSQL with its connection in its environment: no name can be taken for an
/// option or a connection string, and no password is in its arguments. Returns its stdin, too.
fn command(
    source: &Postgresql,
    around: &Surroundings,
    words: &[&str],
    mut input: Vec<u8>,
) -> Result<(Command, Vec<u8>), SourceError> {
    let mut settings = vec![
        ("PGDATABASE", source.database.clone()),
        ("PGAPPNAME", "seawall".to_owned()),
        ("PGCONNECT_TIMEOUT", "30".to_owned()),
        ("LC_ALL", "C".to_owned()),
    ];
    settings.extend(source.host.clone().map(|host| ("PGHOST", host)));
    settings.extend(source.port.map(|port| ("PGPORT", port.to_string())));
    settings.extend(source.user.clone().map(|user| ("PGUSER", user)));
    if let Some((name, _)) = settings.iter().find(|(_, value)| value.contains('\0')) {
        return Err(SourceError(format!("{name} can't hold a NUL byte")));
    }
    let password = match &source.password_env {
        None => None,
        Some(name) => Some(Zeroizing::new(std::env::var(name).map_err(|_| {
            SourceError(format!(
                "the environment has no {}, which is to hold the database's password",
                clean(name, 100)
            ))
        })?)),
    };
    let Some(host) = &source.ssh else {
        let (program, arguments) = words.split_first().unwrap_or((&"", &[]));
        let mut command = Command::new(program);
        command.args(arguments).envs(settings);
        if let Some(password) = &password {
            command.env("PGPASSWORD", password.as_str());
        }
        return Ok((command, input));
    };
    let mut script = String::new();
    if let Some(password) = &password {
        if password.contains(['\n', '\0']) {
            return Err(SourceError(
                "the database's password holds a newline or NUL, and can't be sent over ssh"
                    .to_owned(),
            ));
        }
        // As the first line of its input: neither its arguments nor ours show it.
        script.push_str("IFS= read -r PGPASSWORD && export PGPASSWORD && ");
        let rest = std::mem::take(&mut input);
        input.reserve_exact(password.len() + 1 + rest.len());
        input.extend_from_slice(password.as_bytes());
        input.push(b'\n');
        input.extend(rest);
    }
    let mut command = Command::new(&around.programs.ssh);
    command
        .args(["-T", "-o", "BatchMode=yes", "-o", "ControlMaster=no"])
        .args([
            "-o",
            "ServerAliveInterval=15",
            "-o",
            "ServerAliveCountMax=4",
        ])
        .arg("--")
        .arg(host)
        .arg(remote(script, &settings, words).map_err(|e| SourceError(e.to_string()))?);
    Ok((command, input))
}

/// The one word for the shell there, whatever shell that is.
fn remote(
    mut script: String,
    settings: &[(&str, String)],
    words: &[&str],
) -> Result<String, NulInText> {
    script.push_str("exec env");
    for (name, value) in settings {
        script.push_str(&format!(" {name}={}", quote(value)?));
    }
    script.push(' ');
    script.push_str(&quote_all(words.iter().copied())?);
    Ok(format!("exec sh -c {}", quote(&script)?))
}

fn shown(program: &str, source: &Postgresql) -> String {
    let database = clean(&source.database, 100);
    match &source.ssh {
        Some(host) => format!("{program} of {database} on {}", clean(host, 100)),
        None => format!("{program} of {database}"),
    }
}

/// Passes a stream on, and keeps its first bytes.
struct Beginning<R> {
    inner: R,
    first: Vec<u8>,
}

impl<R: Read> Beginning<R> {
    fn of(inner: R) -> Self {
        Beginning {
            inner,
            first: Vec::new(),
        }
    }
}

impl<R: Read> Read for Beginning<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let got = self.inner.read(buffer)?;
        let wanted = MAGIC.len() - self.first.len();
        if wanted > 0 {
            let first = buffer.get(..got.min(wanted)).unwrap_or_default();
            self.first.extend_from_slice(first);
        }
        Ok(got)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tables_name_is_a_name_and_nothing_else() {
        assert_eq!(identifier("canary").unwrap(), "\"canary\"");
        assert_eq!(identifier("ops.canary").unwrap(), "\"ops\".\"canary\"");
        let evil = "x\"; DROP TABLE y; --";
        assert_eq!(identifier(evil).unwrap(), "\"x\"\"; DROP TABLE y; --\"");
        for wrong in ["", ".", "a.", "a.b.c", "a\0b"] {
            assert_eq!(identifier(wrong), None, "{wrong:?}");
        }
        assert_eq!(text("it's"), "'it''s'");
    }

    #[test]
    fn what_runs_on_the_other_side_is_one_word() {
        let settings = [("PGDATABASE", "it's $(x)".to_owned())];
        let script = remote(String::new(), &settings, &["printenv", "PGDATABASE"]).unwrap();
        for shell in ["sh", "bash", "dash"] {
            let out = Command::new(shell).args(["-c", &script]).output().unwrap();
            assert_eq!(
                String::from_utf8_lossy(&out.stdout),
                "it's $(x)\n",
                "{shell}"
            );
        }
    }
}

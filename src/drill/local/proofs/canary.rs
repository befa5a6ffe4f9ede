//! The canary: what was written into the source before the backup is in what was restored, and is
//! the one that the signed sidecar names. So it is this backup, and it is of that time.

use std::io::Read;

use super::{Found, View, open_beneath, outcome, shown};
use crate::backup::archive::{canary, unescape};
use crate::backup::sidecar::CanaryClaim;
use crate::drill::local::carry::OUTPUT;
use crate::drill::local::postgres::quote;
use crate::drill::proof::canary::{expected, judge, made_up};

pub fn prove(view: &View) -> Result<Found, String> {
    let claim = claim(view)?;
    let (texts, at) = match view.kept.place.directory {
        Some(_) => from_file(view, &claim)?,
        None => from_table(view, &claim)?,
    };
    let (passes, read) = judge(&claim, &texts, view.work.drill.disaster);
    Ok(Found {
        outcome: outcome(passes),
        expected: expected(&claim),
        read,
        at,
    })
}

/// What the signed sidecar says; the control makes one up, since nothing was picked yet.
fn claim(view: &View) -> Result<CanaryClaim, String> {
    if let Some(sidecar) = &view.kept.sidecar {
        return sidecar
            .canary
            .clone()
            .ok_or_else(|| "the backup's sidecar names no canary".into());
    }
    if !view.is_control {
        return Err("no signed sidecar says which canary it ought to be".into());
    }
    let restore = view.work.restore_document().map_err(|e| e.reason)?;
    let source = view
        .work
        .inner
        .source(&restore.source)
        .map_err(|e| e.reason)?;
    let place = source
        .canary
        .as_ref()
        .and_then(|c| c.file.clone().or_else(|| c.table.clone()))
        .ok_or("the policy's source bears no canary")?;
    Ok(made_up(view.work.drill.disaster, place))
}

fn from_file(view: &View, claim: &CanaryClaim) -> Result<(String, String), String> {
    let directory = view.directory()?;
    let place = unescape(&claim.place).ok_or("the canary's place is no path")?;
    // The control's is a path of the source's machine.
    let place: Vec<u8> = place.into_iter().skip_while(|b| *b == b'/').collect();
    let at = format!("{}/{}", shown(directory), claim.place);
    let mut text = String::new();
    match open_beneath(directory, &place) {
        Ok(file) => {
            file.take(canary::LARGEST as u64)
                .read_to_string(&mut text)
                .map_err(|e| format!("reading {at}: {e}"))?;
        }
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
        Err(e) => return Err(format!("opening {at}: {e}")),
    }
    Ok((text, at))
}

/// The table's rows as the file's lines are.
fn from_table(view: &View, claim: &CanaryClaim) -> Result<(String, String), String> {
    let (server, database) = view.database()?;
    let table: Vec<String> = claim.place.split('.').map(quote).collect();
    let script = format!(
        "BEGIN TRANSACTION READ ONLY;\n\
         SELECT token || ' ' || to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"') \
         FROM {} ORDER BY at DESC LIMIT {};\nROLLBACK;\n",
        table.join("."),
        canary::KEPT
    );
    let stop = || view.is_stopped();
    let children = view.work.inner.children(view.work.drill);
    let ran = server.psql(database, &script, &children, &view.limits(&stop, OUTPUT))?;
    let at = format!("{} in {database} at {}", claim.place, shown(&server.socket));
    match ran.well() {
        true => Ok((String::from_utf8_lossy(&ran.stdout).replace('\0', "\n"), at)),
        // No such table: no token.
        false if ran.said(400).contains(" 42P01:") => Ok((String::new(), at)),
        false => Err(ran.said(300)),
    }
}

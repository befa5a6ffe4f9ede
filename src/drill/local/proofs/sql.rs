//! A query on the restored database: one value, and what it must be.

use super::{Found, View, outcome, shown};
use crate::document::drill::SqlProof;
use crate::drill::local::run::clean_bytes;
use crate::drill::proof::sql::{VALUE, expected, is_not_there, judge, one_value, script};
use crate::model::drill::ProofOutcome;

pub fn prove(view: &View, demand: &SqlProof) -> Result<Found, String> {
    let (server, database) = view.database()?;
    let stop = || view.is_stopped();
    let limits = view.limits(&stop, VALUE);
    let script = script(&demand.query, limits.time.as_millis());
    let children = view.work.inner.children(view.work.drill);
    let ran = server.psql(database, &script, &children, &limits)?;
    let at = format!("{database} at {}", shown(&server.socket));
    let found = |outcome, read: String| Found {
        outcome,
        expected: expected(demand),
        read,
        at: at.clone(),
    };
    if !ran.well() {
        let said = ran.said(300);
        let outcome = match is_not_there(&said) {
            true => ProofOutcome::Fail,
            false => ProofOutcome::Unknown,
        };
        return Ok(found(outcome, said));
    }
    if ran.cut {
        return Ok(found(
            ProofOutcome::Unknown,
            "more than one value, or a very long one".into(),
        ));
    }
    let value = match one_value(&ran.stdout) {
        Ok(value) => value,
        Err(why) => return Ok(found(ProofOutcome::Fail, why)),
    };
    let passes = judge(demand, &value, view.work.drill.disaster);
    let read = clean_bytes(value.as_bytes(), 300);
    Ok(match passes {
        Ok(passes) => found(outcome(passes), read),
        Err(why) => found(ProofOutcome::Fail, format!("{read}: {why}")),
    })
}

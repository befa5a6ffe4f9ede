//! A page of the restored service.

use std::time::Duration;

use super::{Found, View, outcome};
use crate::document::drill::HttpProof;
use crate::drill::local::http::{get, loopback_port};
use crate::drill::local::run::clean_bytes;

/// How long an answer may take.
const ANSWER: Duration = Duration::from_secs(60);

pub fn prove(view: &View, demand: &HttpProof) -> Result<Found, String> {
    let url = view.world.fill(&demand.url)?;
    let wanted = view.world.fill(&demand.contains)?;
    let port = loopback_port(&url)?;
    let host = crate::drill::local::guard::url_host(&url).unwrap_or_default();
    let by = view.work.by();
    view.work
        .inner
        .guard
        .host(host, &by)
        .map_err(|e| e.reason)?;
    // A page from a server that was there before the disaster proves nothing.
    view.work.inner.is_ours(port, view.work.drill)?;
    let answer = get(&url, ANSWER)?;
    view.work.inner.guard.used(&url, &by);
    let contains = !wanted.is_empty()
        && answer
            .body
            .windows(wanted.len())
            .any(|window| window == wanted.as_bytes());
    Ok(Found {
        outcome: outcome(answer.status == demand.status && contains),
        expected: format!("status {} and `{wanted}` in the body", demand.status),
        read: format!(
            "status {}, {} bytes{}: {}",
            answer.status,
            answer.body.len(),
            if contains { " with it" } else { " without it" },
            clean_bytes(&answer.body, 200)
        ),
        at: url,
    })
}

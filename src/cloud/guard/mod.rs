//! The region guard: it stands in the SDK's own request path, under every client and under whatever
//! fetches credentials. A request to a lost region is refused and recorded, with what asked for it.
//!
//! `judge` decides, and is pure. `http` is the wrapper around the SDK's HTTP client that asks it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

use crate::drill::provider::Watched;
use crate::shell::clean;

mod http;
mod judge;

pub use http::{Refused, client};
pub use judge::{Judged, Request, Rules, judge};

tokio::task_local! {
    /// Who asks: `step NAME`, `preflight`, `teardown`. The guard writes it beside each endpoint.
    pub static ASKER: String;
}

/// Who asks where nobody has said so, and whoever fetches credentials.
const CREDENTIALS: &str = "credentials";

/// Runs something in somebody's name.
pub async fn asking<T>(who: &str, work: impl Future<Output = T>) -> T {
    ASKER.scope(who.to_owned(), work).await
}

/// What has been seen.
#[derive(Debug)]
pub struct Guard {
    pub rules: Rules,
    seen: Mutex<Seen>,
}

#[derive(Debug, Default)]
struct Seen {
    watched: Watched,
    /// Endpoint and asker: told once, however often it is used.
    told: BTreeSet<(String, String)>,
    requests: BTreeMap<String, u64>,
}

impl Guard {
    pub fn new(rules: Rules) -> Guard {
        Guard {
            rules,
            seen: Mutex::default(),
        }
    }

    /// What was used and refused since the last call. The same endpoint for the same asker is told
    /// once in the guard's life.
    pub fn watched(&self) -> Watched {
        std::mem::take(
            &mut self
                .seen
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .watched,
        )
    }

    /// How many requests were sent for whom, retries among them.
    pub fn requests(&self) -> BTreeMap<String, u64> {
        (self.seen.lock().unwrap_or_else(PoisonError::into_inner))
            .requests
            .clone()
    }

    /// A place that is not reached through the SDK was used: a store of archives.
    pub fn note_used(&self, endpoint: &str, by: &str) {
        let pair = (clean(endpoint, 300), by.to_owned());
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.told.insert(pair.clone()) {
            seen.watched.used.push(pair);
        }
    }

    /// Such a place was refused.
    pub fn note_refused(&self, what: &str, by: &str) {
        let pair = (clean(what, 300), by.to_owned());
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if !seen.watched.refused.contains(&pair) {
            seen.watched.refused.push(pair);
        }
    }

    /// Judges a request, and remembers what came of it.
    ///
    /// # Errors
    /// Why it is not sent.
    pub fn pass(&self, request: &Request<'_>) -> Result<(), String> {
        let asker = match judge::is_for_credentials(request) {
            true => CREDENTIALS.to_owned(),
            false => (ASKER.try_with(String::clone)).unwrap_or_else(|_| CREDENTIALS.to_owned()),
        };
        let judged = judge(&self.rules, request);
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        match judged {
            Judged::Allowed(endpoint) => {
                let pair = (clean(&endpoint, 200), asker.clone());
                if seen.told.insert(pair.clone()) {
                    seen.watched.used.push(pair);
                }
                *seen.requests.entry(asker).or_default() += 1;
                Ok(())
            }
            Judged::Refused(why) => {
                let why = clean(&why, 300);
                let pair = (why.clone(), asker);
                if !seen.watched.refused.contains(&pair) {
                    seen.watched.refused.push(pair);
                }
                Err(why)
            }
        }
    }
}

#[cfg(test)]
mod tests;

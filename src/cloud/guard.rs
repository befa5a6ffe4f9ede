//! The region guard: it stands in the SDK's own request path, under every client and under whatever
//! fetches credentials. A request to a lost region is refused and recorded, with what asked for it.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use crate::drill::provider::Watched;

tokio::task_local! {
    /// Who asks: `step NAME`, `preflight`, `teardown`. The guard writes it beside each endpoint.
    pub static ASKER: String;
}

/// Runs something in somebody's name.
pub async fn asking<T>(who: &str, work: impl Future<Output = T>) -> T {
    ASKER.scope(who.to_owned(), work).await
}

/// What may be spoken to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rules {
    /// Nothing may go there.
    pub lost: Vec<String>,
    /// The scratch's region: the one that requests go to.
    pub region: String,
    /// `host[:port]` of doubles that were named on purpose.
    pub doubles: Vec<String>,
}

/// A request, as far as the guard looks at it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Request<'a> {
    pub method: &'a str,
    /// With the port, if there is one.
    pub host: &'a str,
    pub path: &'a str,
    /// `x-amz-target` of JSON services; `Action` of query services is in the body, and not looked
    /// at.
    pub target: Option<&'a str>,
    /// From the signature's scope: `eu-central-1`, `backup`. None: it is not signed.
    pub region: Option<&'a str>,
    pub service: Option<&'a str>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Judged {
    /// Shown in the report: `backup.eu-central-1.amazonaws.com`.
    Allowed(String),
    /// Why, in a sentence.
    Refused(String),
}

/// Whether a request may be sent. Pure.
pub fn judge(_rules: &Rules, _request: &Request<'_>) -> Judged {
    todo!("the core part")
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
    requests: BTreeMap<String, u64>,
}

impl Guard {
    pub fn new(rules: Rules) -> Guard {
        Guard {
            rules,
            seen: Mutex::default(),
        }
    }

    /// What was used and refused since the last call.
    pub fn watched(&self) -> Watched {
        std::mem::take(&mut self.seen.lock().unwrap_or_else(PoisonError::into_inner).watched)
    }

    /// How many requests were sent for whom, retries among them.
    pub fn requests(&self) -> BTreeMap<String, u64> {
        (self.seen.lock().unwrap_or_else(PoisonError::into_inner))
            .requests
            .clone()
    }
}

//! What a look around gathers: checks, assumptions, and what was found on the way.

use std::collections::BTreeSet;
use std::future::Future;
use std::time::Duration;

use crate::cloud::client::Clients;
use crate::cloud::fault::{Fault, FaultKind};
use crate::cloud::points::Found;
use crate::cloud::poll::persist;
use crate::drill::provider::Readiness;
use crate::shell::clean;

use super::fleet::Zone;

/// Nobody waits longer for a service that answers with its own faults before the clock has started.
const PATIENCE: Duration = Duration::from_secs(12 * 60);

/// How an assumption begins.
pub const ASSUMED: &str = "assumed, for it is not known";

#[derive(Default)]
pub struct Sight {
    pub ready: Readiness,
    /// Each step's recovery point.
    pub found: Vec<(String, Found)>,
    pub zone: Option<Zone>,
    /// Checks that nobody could make, by their names.
    pub assumed: BTreeSet<String>,
}

impl Sight {
    pub fn check(&mut self, name: &str, met: bool, detail: impl AsRef<str>) {
        let check = (clean(name, 200), met, clean(detail.as_ref(), 600));
        if !self.ready.checks.contains(&check) {
            self.ready.checks.push(check);
        }
    }

    /// Something that nobody looked at: it counts as met, and stands among the assumptions.
    pub fn assume(&mut self, name: &str, why: impl AsRef<str>) {
        let why = clean(why.as_ref(), 400);
        self.assumed.insert(clean(name, 200));
        self.check(name, true, format!("not known: {why}"));
        let text = format!("{ASSUMED}: {name} ({why})");
        if !self.ready.preexisting.contains(&text) {
            self.ready.preexisting.push(text);
        }
    }

    /// What cannot be asked for want of a permission is assumed; any other fault is not met.
    pub fn fault(&mut self, name: &str, fault: &Fault) {
        match fault.kind {
            FaultKind::Denied => self.assume(name, fault.to_string()),
            _ => self.check(name, false, fault.to_string()),
        }
    }
}

/// Asks a question, and waits out what passes.
pub async fn ask<T, F>(
    clients: &Clients,
    what: &str,
    question: impl FnMut() -> F,
) -> Result<T, Fault>
where
    F: Future<Output = Result<T, Fault>>,
{
    persist(clients.pace, PATIENCE, what, question).await
}

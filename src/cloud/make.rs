//! What everything that makes something does: intent before the call, tags on it, waiting that can
//! be stopped.

use std::future::Future;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use aws_sdk_ec2::config::retry::RetryConfig;
use aws_sdk_ec2::types::{ResourceType, Tag, TagSpecification};
use jiff::Timestamp;

use super::client::Clients;
use super::fault::{Fault, FaultKind};
use super::find;
use super::names::{Kind, TAG_DRILL, TAG_EXPIRES, TAG_STEP, TAG_TOKEN, resource_name};
use super::poll::{Asked, Schedule, until};
use super::provider::{Inner, Work};
use crate::drill::provider::{DrillContext, StepError};
use crate::journal::{DrillEvent, JournalError};
use crate::model::drill::Milestone;
use crate::shell::clean;

/// How long the service may take for something that takes seconds, outages of a service counted in.
pub(super) const PATIENCE: Duration = Duration::from_secs(25 * 60);

/// How often a service must say that it does not know something that is to go. What was made a
/// moment ago can be unknown for a while, and be there.
pub(super) fn asks(young: bool) -> u32 {
    if young { 15 } else { 1 }
}

/// What stands in the ledger about something that is being made, and on it.
#[derive(Clone, Debug)]
pub(super) struct Label {
    pub token: String,
    pub tags: Vec<(String, String)>,
}

/// The tags of something. Pure.
pub(super) fn tags(
    run: &str,
    step: Option<&str>,
    token: &str,
    name: &str,
    expires: Timestamp,
) -> Vec<(String, String)> {
    let mut tags = vec![
        (TAG_DRILL.to_owned(), run.to_owned()),
        (TAG_TOKEN.to_owned(), token.to_owned()),
        (TAG_EXPIRES.to_owned(), format!("{expires:.0}")),
        ("Name".to_owned(), clean(name, 200)),
    ];
    if let Some(step) = step {
        tags.push((TAG_STEP.to_owned(), clean(step, 200)));
    }
    tags
}

impl Label {
    pub fn ec2_tags(&self) -> Vec<Tag> {
        (self.tags.iter())
            .map(|(key, value)| Tag::builder().key(key).value(value).build())
            .collect()
    }

    /// For something that EC2 makes.
    pub fn specification(&self, kind: ResourceType) -> TagSpecification {
        TagSpecification::builder()
            .resource_type(kind)
            .set_tags(Some(self.ec2_tags()))
            .build()
    }
}

/// The journal is what a resume and a sweep know of what was made.
pub(super) fn unwritten(error: JournalError) -> StepError {
    StepError::new(format!("writing down what is made: {error}"))
}

/// When what is made now may be taken away by anybody.
pub(super) fn expires(inner: &Inner) -> Timestamp {
    let span = jiff::SignedDuration::try_from(inner.scratch.expires.0)
        .unwrap_or(jiff::SignedDuration::from_hours(24));
    let now = Timestamp::now();
    now.checked_add(span).unwrap_or(now)
}

/// The intent, on disk before the call.
pub(super) fn intend(
    inner: &Inner,
    drill: &DrillContext,
    step: Option<&str>,
    kind: Kind,
    name: &str,
) -> Result<Label, StepError> {
    let token = drill
        .ledger
        .intend(step, kind.as_str(), name)
        .map_err(unwritten)?;
    Ok(Label {
        tags: tags(&drill.run, step, &token, name, expires(inner)),
        token,
    })
}

impl<'a> Work<'a> {
    /// The name of what this attempt makes.
    pub fn name(&self) -> String {
        resource_name(
            &self.context.drill.run,
            &self.step().step,
            self.context.attempt,
        )
    }

    /// Of the step's own.
    pub fn intend(&self, kind: Kind, name: &str) -> Result<Label, StepError> {
        let step = Some(self.step().step.as_str());
        intend(self.inner, self.context.drill, step, kind, name)
    }

    pub fn made(&self, label: &Label, id: &str) -> Result<(), StepError> {
        let ledger = &self.context.drill.ledger;
        ledger.made(&label.token, id).map_err(unwritten)
    }

    pub fn reached(&self, milestone: Milestone, detail: &str) -> Result<(), StepError> {
        let ledger = &self.context.drill.ledger;
        ledger
            .write(|at_ms| DrillEvent::Reached {
                step: self.step().step.clone(),
                attempt: self.context.attempt,
                milestone,
                detail: clean(detail, 300),
                at_ms,
            })
            .map_err(unwritten)
    }

    pub fn substituted(&self, wanted: &str, taken: &str, why: &str) -> Result<(), StepError> {
        let ledger = &self.context.drill.ledger;
        ledger
            .write(|_| DrillEvent::Substituted {
                step: self.step().step.clone(),
                wanted: wanted.to_owned(),
                taken: taken.to_owned(),
                why: clean(why, 300),
            })
            .map_err(unwritten)
    }

    /// The step's deadline, in the service's clock.
    pub fn deadline(&self) -> Duration {
        self.step().deadline.0
    }

    /// Asks until it is so, the step's deadline is over, or the drill is to stop.
    pub async fn until<T, F, A>(
        &self,
        schedule: Schedule,
        what: &str,
        new: bool,
        mut ask: A,
    ) -> Result<T, Fault>
    where
        F: Future<Output = Result<Asked<T>, Fault>>,
        A: FnMut() -> F,
    {
        let progress = &self.context.progress;
        // On the heap: the SDK's futures are large, and many of them lie within each other.
        let asked = || {
            let asked = Box::pin(ask());
            async move {
                match progress.is_stopped() {
                    true => Err(Fault::ours(what, "it was stopped")),
                    false => asked.await,
                }
            }
        };
        let deadline = self.deadline();
        Box::pin(until(
            self.clients.pace,
            schedule,
            deadline,
            what,
            new,
            asked,
        ))
        .await
    }

    /// Sends something until it is taken. For requests that may be sent twice: they bear a token,
    /// or bring about a state.
    pub async fn send<T, F, A>(&self, what: &str, new: bool, mut send: A) -> Result<T, Fault>
    where
        F: Future<Output = Result<T, Fault>>,
        A: FnMut() -> F,
    {
        self.until(Schedule::QUICK, what, new, || {
            let sent = send();
            async move { sent.await.map(Asked::Ready) }
        })
        .await
    }

    /// Makes something of EC2 whose request bears no idempotency token. An answer that was lost
    /// does not make a second one: before it is asked for again, its tag is looked for. `send` gives
    /// the id, and must not be retried by the SDK: see [`unrepeated`].
    pub async fn make_once<F, A>(
        &self,
        kind: Kind,
        label: &Label,
        what: &str,
        mut send: A,
    ) -> Result<String, StepError>
    where
        F: Future<Output = Result<String, Fault>>,
        A: FnMut() -> F,
    {
        let doubtful = Mutex::new(false);
        let id = self
            .until(Schedule::QUICK, what, true, || {
                let before = std::mem::replace(&mut *lock(&doubtful), false);
                // Only sent when nothing bears the tag; the future does nothing until then.
                let sent = send();
                let doubtful = &doubtful;
                async move {
                    if before && let Some(id) = self.bearing(kind, label).await? {
                        return Ok(Asked::Ready(id));
                    }
                    match sent.await {
                        Ok(id) => Ok(Asked::Ready(id)),
                        Err(fault) if fault.kind == FaultKind::Exists => {
                            let found = self.bearing(kind, label).await?;
                            Ok(found.map_or(Asked::Wait(None), Asked::Ready))
                        }
                        Err(fault) => {
                            *lock(doubtful) = fault.kind == FaultKind::Passing;
                            Err(fault)
                        }
                    }
                }
            })
            .await?;
        self.made(label, &id)?;
        Ok(id)
    }

    async fn bearing(&self, kind: Kind, label: &Label) -> Result<Option<String>, Fault> {
        let filters = vec![find::tag(TAG_TOKEN, &label.token)];
        let found = find::ids(&self.clients.ec2, kind, filters).await?;
        Ok(found.into_iter().next())
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// EC2's client without the SDK's own repetitions.
pub(super) fn unrepeated(clients: &Clients) -> aws_sdk_ec2::Client {
    let config = clients.ec2.config().to_builder();
    let config = config.retry_config(RetryConfig::disabled()).build();
    aws_sdk_ec2::Client::from_conf(config)
}

/// A member that the service's model promises, and that an answer must have.
pub(super) fn present<T>(what: &str, member: &str, value: Option<T>) -> Result<T, Fault> {
    value.ok_or_else(|| Fault::ours(what, &format!("the answer has no {member}")))
}

/// Which attempt a name of ours was made in. Pure.
pub(super) fn attempt_of(run: &str, step: &str, name: &str) -> Option<u32> {
    (1..=99).find(|n| name.starts_with(&resource_name(run, step, *n)))
}

/// How old an intent is, in the service's clock: its token is a UUID of version 7. `None`: it is no
/// such token.
pub(super) fn age(clients: &Clients, token: &str, now: Timestamp) -> Option<Duration> {
    let since = now.as_millisecond().checked_sub(intended(token)?)?;
    let real = Duration::from_millis(u64::try_from(since).unwrap_or(0));
    Some(clients.pace.stretched(real))
}

/// When a token was drawn, in milliseconds since 1970. Pure.
pub(super) fn intended(token: &str) -> Option<i64> {
    let uuid = uuid::Uuid::try_parse(token).ok()?;
    let (seconds, nanos) = uuid.get_timestamp()?.to_unix();
    i64::try_from(seconds)
        .ok()?
        .checked_mul(1000)?
        .checked_add(i64::from(nanos / 1_000_000))
}

/// What a service says, fit to be shown.
pub(super) fn said(text: Option<&str>) -> String {
    clean(text.unwrap_or("no reason given"), 400)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_say_whose_it_is_and_until_when() {
        let expires: Timestamp = "2026-11-21T07:35:14Z".parse().unwrap();
        let tags = tags("RUN", Some("db"), "t1", "seawall-run-db", expires);
        let get = |key: &str| tags.iter().find(|(k, _)| k == key).map(|(_, v)| v.as_str());
        assert_eq!(get(TAG_DRILL), Some("RUN"));
        assert_eq!(get(TAG_STEP), Some("db"));
        assert_eq!(get(TAG_TOKEN), Some("t1"));
        assert_eq!(get(TAG_EXPIRES), Some("2026-11-21T07:35:14Z"));
        assert_eq!(get("Name"), Some("seawall-run-db"));
    }

    #[test]
    fn the_attempt_stands_in_the_name() {
        let run = "20261120T073514Z-00000001";
        let name = resource_name(run, "db", 3);
        assert_eq!(attempt_of(run, "db", &name), Some(3));
        assert_eq!(
            attempt_of(run, "db", &format!("{name} disk vol-1")),
            Some(3)
        );
        assert_eq!(attempt_of(run, "other", &name), None);
    }

    #[test]
    fn a_token_says_when_it_was_drawn() {
        let before = Timestamp::now().as_millisecond();
        let token = uuid::Uuid::now_v7().simple().to_string();
        let at = intended(&token).unwrap();
        assert!(at >= before && at <= Timestamp::now().as_millisecond());
        assert_eq!(intended("no token"), None);
    }
}

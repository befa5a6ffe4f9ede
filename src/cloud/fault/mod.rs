//! What an error of AWS means, and what is to be done about it.

use std::error::Error;
use std::fmt;

use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;

use super::guard::Refused;
use crate::drill::provider::StepError;
use crate::shell::clean;

mod code;
mod status;

pub use status::{StatusKind, classify_status_message};

/// Which kind of trouble.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultKind {
    /// A service's own fault, or the line's: the same request may go well later.
    Passing,
    Throttled,
    /// The thing is not yet, or no longer, in the state for this.
    Later,
    NotFound,
    /// It is there already: made by an earlier request.
    Exists,
    /// Something else hangs on it still.
    Dependency,
    /// No capacity for this instance type, or this zone does not offer it.
    Capacity,
    /// A quota is used up.
    Quota,
    Denied,
    /// The credentials are over.
    Expired,
    /// Our own guard refused to send it.
    Guarded,
    /// The request is wrong, or something else that will not go by itself.
    Ours,
}

impl FaultKind {
    /// What to do about it, where it is the same for all of its kind.
    pub fn advice(self) -> Option<&'static str> {
        match self {
            FaultKind::Capacity => Some(
                "name substitutes for this instance type in the drill, or another zone; a real \
                 recovery would have met the same",
            ),
            FaultKind::Quota => Some("ask for a higher quota in this region before the next drill"),
            FaultKind::Denied => {
                Some("compare the role's policy, and the key's, with docs/iam/drill-policy.json")
            }
            FaultKind::Expired => Some("renew the credentials, then resume the drill"),
            _ => None,
        }
    }
}

/// A request that did not bring what it should.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// What was being done.
    pub what: String,
    pub kind: FaultKind,
    /// As the service calls it.
    pub code: Option<String>,
    /// Already cleaned.
    pub message: String,
    /// What the guard refused, where it did.
    pub refused: Option<String>,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.what)?;
        if let Some(code) = &self.code {
            write!(f, "{code}: ")?;
        }
        f.write_str(&self.message)?;
        match self.kind.advice() {
            Some(advice) => write!(f, " ({advice})"),
            None => Ok(()),
        }
    }
}

impl Error for Fault {}

impl Fault {
    /// A judgement of our own, without a service's error.
    pub fn ours(what: &str, message: &str) -> Fault {
        Fault {
            what: what.to_owned(),
            kind: FaultKind::Ours,
            code: None,
            message: clean(message, 500),
            refused: None,
        }
    }

    /// Whether the same request may go well later.
    pub fn passes(&self) -> bool {
        matches!(
            self.kind,
            FaultKind::Passing | FaultKind::Throttled | FaultKind::Later
        )
    }

    /// What an operation of the SDK has brought. `what`: what was being done.
    pub fn of<E>(what: &str, error: SdkError<E, HttpResponse>) -> Fault
    where
        E: ProvideErrorMetadata + Error + Send + Sync + 'static,
    {
        let status = error.raw_response().map(|raw| raw.status().as_u16());
        let code = error.code().map(|code| clean(code, 80));
        let message = match error.message() {
            Some(message) if !message.trim().is_empty() => message.to_owned(),
            _ => chain(&error),
        };
        let refused = refusal(&error);
        let kind = match (&refused, &error) {
            (Some(_), _) => FaultKind::Guarded,
            (None, SdkError::ServiceError(_)) => code::kind(code.as_deref(), status),
            (None, SdkError::TimeoutError(_) | SdkError::ResponseError(_)) => FaultKind::Passing,
            (None, SdkError::DispatchFailure(failure)) => {
                code::dispatch(failure.is_user(), failure.is_other(), &chain(&error))
            }
            _ => FaultKind::Ours,
        };
        Fault {
            what: what.to_owned(),
            kind,
            code,
            message: clean(refused.as_deref().unwrap_or(&message), 500),
            refused,
        }
    }
}

/// An error with all that it comes from, in one line.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        let said = inner.to_string();
        // Many of the SDK's errors repeat what they wrap.
        if !text.contains(&said) {
            text.push_str(": ");
            text.push_str(&said);
        }
        source = inner.source();
    }
    text
}

/// What the guard refused, if it is that: also where it was somewhere below credentials.
fn refusal(error: &(dyn Error + 'static)) -> Option<String> {
    let mut at = Some(error);
    while let Some(inner) = at {
        if let Some(Refused(what)) = inner.downcast_ref::<Refused>() {
            return Some(what.clone());
        }
        at = inner.source();
    }
    None
}

impl From<Fault> for StepError {
    fn from(fault: Fault) -> StepError {
        StepError {
            reason: fault.to_string(),
            refused: fault.refused,
        }
    }
}

#[cfg(test)]
mod tests;

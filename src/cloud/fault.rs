//! What an error of AWS means, and what is to be done about it.

use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;

use crate::drill::provider::StepError;
use crate::shell::clean;

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

/// A request that did not bring what it should.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what}: {}{message}", code.as_ref().map(|c| format!("{c}: ")).unwrap_or_default())]
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
        E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
    {
        // The core part of `cloud` fills this in: codes, timeouts, the guard's refusals.
        let code = error.code().map(|code| clean(code, 80));
        let message = error.message().map(str::to_owned).unwrap_or_else(|| {
            let mut text = error.to_string();
            let mut source = std::error::Error::source(&error);
            while let Some(inner) = source {
                text.push_str(": ");
                text.push_str(&inner.to_string());
                source = inner.source();
            }
            text
        });
        Fault {
            what: what.to_owned(),
            kind: FaultKind::Ours,
            code,
            message: clean(&message, 500),
            refused: None,
        }
    }
}

impl From<Fault> for StepError {
    fn from(fault: Fault) -> StepError {
        StepError {
            reason: fault.to_string(),
            refused: fault.refused,
        }
    }
}

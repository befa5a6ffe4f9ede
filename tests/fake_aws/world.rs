//! What there is, per account and region, and how a handler is called.

use serde_json::Value;

/// One request, decoded by the service's model.
#[derive(Clone, Debug)]
pub struct Call {
    /// As in the signature's scope: `ec2`, `backup`, `rds`, `dynamodb`, `elasticfilesystem`, `kms`,
    /// `sts`, `servicequotas`.
    pub service: String,
    /// As the model calls it: `DescribeVolumes`.
    pub operation: String,
    pub account: String,
    /// From the signature's scope.
    pub region: String,
    /// Member names as in the model.
    pub params: Value,
    /// Seconds since 1970 on the double's own clock.
    pub now: f64,
}

/// An error as the service gives it.
#[derive(Clone, Debug)]
pub struct Refusal {
    pub status: u16,
    pub code: String,
    pub message: String,
}

impl Refusal {
    pub fn new(status: u16, code: &str, message: impl Into<String>) -> Refusal {
        Refusal {
            status,
            code: code.into(),
            message: message.into(),
        }
    }
}

pub type Answer = Result<Value, Refusal>;

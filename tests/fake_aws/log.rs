//! The log of requests, which is the proof of what was asked of which region.

use serde::Serialize;
use serde_json::Value;

/// One request that came, signed or not.
#[derive(Clone, Debug, Serialize)]
pub struct Entry {
    /// On the double's clock, in seconds since its start.
    pub at: f64,
    /// Empty where the signature was not believed.
    pub account: String,
    /// As the signature's scope says.
    pub region: String,
    pub service: String,
    /// Empty where it could not be told.
    pub operation: String,
    /// What was answered; 0: the connection was closed without an answer.
    pub status: u16,
    /// The code of the error that was answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// The trouble that the script made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trouble: Option<String>,
    /// The request's members; of what only reads (Describe…, List…, Get…) null, to stay small.
    #[serde(skip_serializing_if = "Value::is_null")]
    pub params: Value,
}

impl Entry {
    /// Whether the operation only reads, by its name.
    pub fn reads(operation: &str) -> bool {
        ["Describe", "List", "Get", "Scan", "Query", "Search"]
            .iter()
            .any(|verb| operation.starts_with(verb))
    }
}

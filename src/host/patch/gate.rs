//! Whether a host is healthy: what was up is up, what listened listens, nothing has failed that had
//! not, and the playbook's own checks pass. Pure.

use crate::document::patch::HealthDocument;
use crate::model::patch::{GateNote, Health};

/// One of the playbook's own checks, as it went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checked {
    pub check: String,
    /// `Err`: why it does not pass, in words.
    pub result: Result<(), String>,
}

/// The gate before a change: our own checks pass, and the host could be seen. What has failed
/// already is noted, and is not held against the change.
pub fn before(_health: Option<&Health>, _wanted: &HealthDocument, _checks: &[Checked]) -> GateNote {
    GateNote {
        passed: false,
        broken: Vec::new(),
        unseen: vec!["not built".into()],
        notes: Vec::new(),
    }
}

/// The gate after it, against what was seen before.
pub fn after(
    _before: &Health,
    _after: Option<&Health>,
    _wanted: &HealthDocument,
    _checks: &[Checked],
) -> GateNote {
    GateNote {
        passed: false,
        broken: Vec::new(),
        unseen: vec!["not built".into()],
        notes: Vec::new(),
    }
}

//! How a host stands, from what was seen and decided. Pure.

use jiff::civil::Date;

use crate::model::patch::{HostPlan, PatchSnapshot, Standing};

use super::advisories::Advisories;

/// How it stands.
pub fn standing(
    _snapshot: &PatchSnapshot,
    _plan: &HostPlan,
    _advisories: &Advisories,
    _today: Date,
) -> Standing {
    Standing::default()
}

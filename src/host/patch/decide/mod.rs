//! From what was seen to what is to be done. Pure.

use std::collections::BTreeSet;

use jiff::civil::Date;

use crate::document::patch::Patch;
use crate::model::patch::{HostPlan, PatchSnapshot};

use super::advisories::Advisories;

/// What a decision is made from, beside the snapshot.
#[derive(Clone, Copy, Debug)]
pub struct Ground<'a> {
    pub patch: &'a Patch,
    pub advisories: &'a Advisories,
    /// The day on which freezes are judged, UTC.
    pub today: Date,
    /// The host's name and groups, for what names hosts.
    pub names: &'a BTreeSet<String>,
}

/// What is to be done to one host.
pub fn decide(snapshot: &PatchSnapshot, _ground: &Ground<'_>) -> HostPlan {
    HostPlan {
        host: snapshot.host.clone(),
        manager: snapshot.manager,
        ..HostPlan::default()
    }
}

/// Whether a pattern list of the document (`all`, names, groups, globs, `!name`) means this host.
pub fn means(patterns: &[String], _names: &BTreeSet<String>) -> bool {
    patterns.iter().any(|p| p == "all")
}

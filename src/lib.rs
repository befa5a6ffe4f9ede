//! Seawall: hardening of hosts, patch runs and recovery drills that prove what they say.
//!
//! The rooms, lowest first; an arrow (`use`) may only point down (`tests/architecture.rs`):
//! `model`, `shell`, `sign` → `document`, `journal`, `reach`, `lab` → `host`, `backup` → `drill` →
//! `cloud`, `report` → `cli`.

pub mod backup;
pub mod cli;
#[cfg(feature = "aws")]
pub mod cloud;
pub mod document;
pub mod drill;
pub mod host;
pub mod journal;
pub mod lab;
pub mod model;
pub mod notify;
pub mod reach;
pub mod report;
pub mod shell;
pub mod sign;

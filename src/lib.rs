//! Seawall: hardening of hosts, patch runs and recovery drills that prove what they say.
//!
//! The rooms, lowest first; an arrow (`use`) may only point down (`tests/architecture.rs`):
//! `model`, `shell` → `document`, `journal`, `reach`, `lab` → `host` → `report` → `cli`.

pub mod cli;
pub mod document;
pub mod host;
pub mod journal;
pub mod lab;
pub mod model;
pub mod reach;
pub mod report;
pub mod shell;

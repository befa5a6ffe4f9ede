//! Hosts: observe, decide, act, prove.
//!
//! `probe` writes the program that observes and reads what it says into a [`snapshot::Snapshot`];
//! `judge` and `plan` decide, purely; `fix` writes the program that acts, with its undo and its
//! watchdog.

pub mod act;
pub mod edit;
mod edit_words;
pub mod intent;
pub mod jobs;
pub mod judge;
pub mod patch;
mod pattern;
pub mod plan;
pub mod probe;
pub mod prove;
pub mod ready;
pub mod resource;
pub mod rules;
pub mod run;
pub mod snapshot;
pub mod waves;

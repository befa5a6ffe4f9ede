//! Drills in AWS, behind the drill's [`Provider`](crate::drill::provider::Provider).
//!
//! - `access`: which endpoints and credentials, and at what pace. `client`: the SDK's clients.
//! - `guard`: every request, in the SDK's own path: where it goes, and who asked for it.
//! - `fault`: what an error means. `poll`: asking until something is so.
//! - `names`: tags, names, idempotency tokens, and the kinds of things in the ledger.
//! - `points`: recovery points, and which one is taken. `preflight`: what is looked at before the
//!   clock. `prices`: what it would cost.
//! - `network`, `instance`, `volume`, `database`, `bucket`, `table`, `file_system`: how each is made
//!   or restored. `metadata`: what StartRestoreJob wants of each type. `restore_job`: a job.
//! - `teardown`, `leftovers`: how it all goes, and what is left.
//! - `remote`: instances over SSH: proofs, archives that are unpacked there, mounts.
//! - `provider`, `state`: the whole.

pub mod access;
mod bucket;
pub mod client;
mod created;
mod database;
pub mod fault;
mod file_system;
mod find;
pub mod guard;
mod instance;
mod leftovers;
mod make;
mod metadata;
pub mod names;
mod network;
mod points;
pub mod poll;
mod preflight;
pub mod prices;
pub mod provider;
mod remote;
mod restore;
mod restore_job;
pub mod state;
mod table;
mod teardown;
mod volume;

pub use access::Access;
pub use provider::{AwsProvider, CloudSetup};

//! Backups: making them, stores, and the verbs; against the programs that everybody has.

mod cli;
mod create;
mod create_postgresql;
mod restore;
mod store_s3;
mod support;
pub mod weed;

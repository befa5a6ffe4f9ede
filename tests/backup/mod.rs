//! Backups, against the programs that everybody has: real stores, real sources, the verbs.

mod cli;
mod create;
mod create_postgresql;
mod restore;
mod store_s3;
mod support;
mod weed;

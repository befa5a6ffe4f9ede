//! Backups, against the programs that everybody has: real stores, real sources, the verbs.

mod create;
mod create_postgresql;
mod restore;
//! Backups: making them, stores, and the verbs; against the programs that everybody has.

mod create;
mod create_postgresql;
mod store_s3;
mod support;
mod weed;

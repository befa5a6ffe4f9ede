//! Backups: stores, and the verbs.

mod restore;
mod store_s3;
mod weed;
//! Backups, against the programs that everybody has.

mod create;
mod create_postgresql;
mod support;

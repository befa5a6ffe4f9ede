//! Backups, against the programs that everybody has.

mod create;
mod create_postgresql;
mod support;

//! Backups: stores, and the verbs.

mod restore;
mod store_s3;
mod weed;

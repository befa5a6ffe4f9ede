//! Backups: stores, and the verbs.

mod store_s3;
mod weed;

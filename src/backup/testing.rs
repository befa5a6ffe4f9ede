//! What tests of this room share.

pub(crate) mod blobs;
mod faulty_store;

pub use faulty_store::{Fault, FaultyStore};

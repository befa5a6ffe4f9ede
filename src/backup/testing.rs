//! What tests of this room share.

mod faulty_store;

pub use faulty_store::{Fault, FaultyStore};
pub(crate) mod blobs;

//! What tests of this room share.

pub(crate) mod blobs;

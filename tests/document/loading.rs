//! Documents that are right.

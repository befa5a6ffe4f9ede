//! What proofs of every kind of target judge by: what is expected, what an answer is worth. How the
//! answer is had is each provider's own.

pub mod canary;
pub mod manifest;
pub mod meets;
pub mod sql;

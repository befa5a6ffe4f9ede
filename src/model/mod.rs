//! The words that every room shares: severity, status, finding. Plain data, no behaviour that
//! reaches outside.

mod connection;
mod finding;

pub use connection::{ConnectionFacts, Phase};
pub use finding::{Control, Finding, Severity, Status, WaiverNote};

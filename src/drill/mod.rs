//! Recovery drills: steps and their order, the clock, the ledger, the proofs, the verdict.
//!
//! - `plan`: a drill's document, checked and put in order (pure).
//! - `timeline`: events → phases, gaps, critical path, what-if (pure). `verdict`: met, missed or
//!   inconclusive (pure).
//! - `clock`: the one monotonic clock. `ledger`: what was made, on disk before it was.
//! - `pick`: which backup a step takes, and `accept`: whether what came is that one (pure). `proof`:
//!   what proofs of every kind of target judge by.
//! - `run`: the engine: run, resume, sweep. It knows no kind of target.
//! - `provider`: what a kind of target must be able to do. `local`: directories, PostgreSQL and
//!   services on this machine.

pub mod accept;
pub mod clock;
pub mod ledger;
pub mod local;
pub mod pick;
pub mod plan;
pub mod proof;
pub mod provider;
pub mod run;
pub mod timeline;
pub mod verdict;

//! The journal: what happened, append-only and hash-chained. Everything that a person sees is a
//! fold over it.

mod event;

pub use event::{ChangeNote, Event, HostOutcome, StepOutcome};

//! Reports of drills: the fold, and its readers.
//!
//! [`DrillView`] folds a drill's events into what there is to tell; every other file here only words
//! it. Nothing but the journal is read, so a report of last year's drill can be made today.

mod cloud;
mod figures;
mod fold;
mod html;
pub mod json;
pub mod junit;
pub mod progress;
mod terminal;
mod trend;
pub(in crate::report) mod words;

pub use fold::{
    AttemptView, ClockView, ControlView, DrillView, Ending, LedgerView, PhaseView, PickedView,
    PreflightView, ProofView, ReachedView, RefusedView, ResumedView, StepEnding, StepView,
    SubstituteView, load, load_some,
};
pub use html::html;
pub use terminal::{Look, summary};
pub use trend::{TrendPoint, trend};
pub use words::verdict_word;

#[cfg(test)]
mod fixture;

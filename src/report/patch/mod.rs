//! Reports of patch runs: the fold, and its readers.
//!
//! [`PatchView`] folds the events of a plan or a run into what there is to tell; every other file
//! here only words it. [`status`] folds over many runs. Nothing but journals is read.

mod fold;
mod groups;
pub(in crate::report::patch) mod html;
pub mod json;
pub mod junit;
pub mod progress;
pub mod status;
mod terminal;
mod words;

pub use fold::{
    ChangedView, ConffileView, Ending, GateView, HostView, ImageView, JobView, PatchView,
    PhaseView, RebootView, RestartView, Unreachable, WaveView, load, load_some,
};
pub use html::html;
pub use terminal::{Look, summary};
pub use words::outcome_word;

#[cfg(test)]
mod fixture;

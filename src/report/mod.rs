//! What people and programs are told of a run: readers of its events alone. None calls a host.
//!
//! [`fold::RunView`] folds events into what there is to tell; every other file here only words it.

pub mod fold;
mod group;
mod next;
mod paint;
mod score;
mod terminal;
mod words;

pub use fold::{ChangeView, Confirm, HostView, RunView, load};
pub use group::{
    AreaRow, ControlRow, FindingGroup, FrameworkView, State, areas, frameworks, groups,
};
pub use score::{Counts, Score};
pub use terminal::{Style, Terminal};

#[cfg(test)]
mod fixture;

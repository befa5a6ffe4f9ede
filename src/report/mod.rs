//! What people and programs are told of a run: readers of its events alone. None calls a host.
//!
//! [`fold::RunView`] folds events into what there is to tell; every other file here only words it.

pub mod drill;
pub mod fold;
mod group;
pub mod html;
pub mod json;
pub mod junit;
mod next;
mod paint;
pub mod patch;
pub mod progress;
mod score;
mod terminal;
pub(crate) mod words;

pub use fold::{ChangeView, Confirm, HostView, RunView, load};
pub use group::{
    AreaRow, ControlRow, ControlRule, FindingGroup, FrameworkView, State, areas, frameworks, groups,
};
pub use next::Choice;
pub use score::{Counts, Score};
pub use terminal::{Style, Terminal};

use crate::model::{Finding, Status};

/// Not as demanded, or not known to be.
pub fn is_open(finding: &Finding) -> bool {
    matches!(finding.status, Status::Fail | Status::Unknown)
}

#[cfg(test)]
mod fixture;

//! A drill's document, with its policy, put in order. Pure.

use crate::document::drill::Drill;
use crate::document::policy::Policy;

/// A drill that can be run.
#[derive(Clone, Debug)]
pub struct Plan {
    pub drill: Drill,
    pub policy: Policy,
    /// Indices into `drill.steps`, so that each stands after those that it needs.
    pub order: Vec<usize>,
}

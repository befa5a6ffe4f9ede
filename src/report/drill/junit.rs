//! JUnit XML of a drill: a step is a suite; a proof, and an objective, is a case.

use super::DrillView;

/// The drill as JUnit XML. What is unknown is an error, never a pass.
pub fn text(view: &DrillView) -> String {
    let _ = view;
    String::new()
}

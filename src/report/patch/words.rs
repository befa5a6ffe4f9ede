//! Words that the readers of patch runs share.

use crate::model::patch::PatchOutcome;

/// An outcome as a person reads it.
pub fn outcome_word(outcome: PatchOutcome) -> &'static str {
    match outcome {
        PatchOutcome::Current => "current",
        PatchOutcome::Patched => "patched",
        PatchOutcome::Behind => "behind",
        PatchOutcome::Waiting => "waiting",
        PatchOutcome::WentBack => "went back",
        PatchOutcome::LeftOut => "left out",
        PatchOutcome::Failed => "failed",
        PatchOutcome::Unknown => "unknown",
        PatchOutcome::NotStarted => "not started",
    }
}

/// An outcome as documents for programs have it.
pub fn outcome_key(outcome: PatchOutcome) -> &'static str {
    match outcome {
        PatchOutcome::WentBack => "went-back",
        PatchOutcome::LeftOut => "left-out",
        PatchOutcome::NotStarted => "not-started",
        other => outcome_word(other),
    }
}

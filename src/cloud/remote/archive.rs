//! An archive of ours from a store, decrypted here and unpacked on an instance: the key never
//! leaves the controller, and nothing on the instance bears its final name before the archive was
//! authenticated to its end.

use crate::cloud::provider::Work;
use crate::drill::provider::{PhaseDone, StepError};

pub(in crate::cloud) async fn locate(_work: &Work<'_>) -> Result<PhaseDone, StepError> {
    todo!("the remote part")
}

/// Makes the directory that it is unpacked in, and tries the step's proofs on it, empty.
pub(in crate::cloud) async fn provision(_work: &Work<'_>) -> Result<PhaseDone, StepError> {
    todo!("the remote part")
}

pub(in crate::cloud) async fn restore(_work: &Work<'_>) -> Result<PhaseDone, StepError> {
    todo!("the remote part")
}

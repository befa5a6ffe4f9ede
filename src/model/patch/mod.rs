//! The words of patching that observations, decisions, events and reports share.

mod plan;
mod snapshot;
mod standing;

pub use plan::{
    Blocker, ChangeKind, Closes, HostPlan, ImagePlan, ImageWork, RebootNeed, RestartNote, Upgrade,
    WayBack, Withheld, WithheldWhy,
};
pub use snapshot::{
    Broken, ContainerSeen, Engine, Health, Hold, Installed, Kernel, Listener, LockHolder, Manager,
    Offer, OfferKind, OsRelease, PatchSnapshot, Refreshed, Space, StaleProcess, Unit,
};
pub use standing::{
    GateNote, HostPhase, JobOutcome, OpenCve, PatchOutcome, PhaseOutcome, Standing, Support,
};

//! Whichever way a target is to be reached.

use super::{LocalReach, Pending, Reach, ReachError, Session, SshReach, Target, Via};

/// Picks the way by [`Target::via`].
pub struct AnyReach {
    pub ssh: SshReach,
    pub local: LocalReach,
}

impl Reach for AnyReach {
    fn connect<'a>(
        &'a self,
        target: &'a Target,
    ) -> Pending<'a, Result<Box<dyn Session>, ReachError>> {
        match target.via {
            Via::Ssh => self.ssh.connect(target),
            Via::Local => self.local.connect(target),
        }
    }
}

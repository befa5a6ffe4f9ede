//! The local provider: directories, throwaway PostgreSQL servers and services on this machine.

mod fence;
pub mod guard;
mod process;
mod remove;
mod run;
mod scratch;

use std::path::PathBuf;
use std::sync::Arc;

use crate::backup::age::Identities;
use crate::document::drill::Drill;
use crate::document::policy::Policy;
use crate::sign::Trusted;

/// Gives a number below the one that it is given: which of so many is taken at random.
pub type Random = Arc<dyn Fn(usize) -> usize + Send + Sync>;

/// What the local provider is made of.
#[derive(Clone)]
pub struct LocalSetup {
    pub drill: Drill,
    /// The drill's document: what it names relatively is relative to its directory.
    pub drill_path: PathBuf,
    pub policy: Policy,
    /// The policy's document, likewise.
    pub policy_path: PathBuf,
    pub identities: Arc<Identities>,
    /// Whose signatures on backups count.
    pub trusted: Trusted,
    pub random: Random,
}

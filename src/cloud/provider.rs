//! The provider: which part does what, for each call of the engine.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{OnceCell, Semaphore};

use super::access::Access;
use super::client::Clients;
use super::fault::Fault;
use super::guard::{Guard, Rules, asking};
use super::state::{Recovered, State};
use super::{leftovers, network, points, preflight, remote, restore, teardown};
use crate::backup::age::Identities;
use crate::document::drill::aws::{AwsRestore, AwsScratch, Wait};
use crate::document::drill::{Drill, Proof, Step};
use crate::document::policy::Policy;
use crate::drill::ledger::LedgerEntry;
use crate::drill::provider::{
    DrillContext, Leftover, Pending, PhaseDone, ProofSaid, Provider, Readiness, StepContext,
    StepError, Watched,
};
use crate::model::drill::{DrillPhase, Ended, ProofOutcome};
use crate::reach::Reach;
use crate::sign::Trusted;

/// Gives a number below the one that it is given: which of so many is taken at random.
pub type Random = Arc<dyn Fn(usize) -> usize + Send + Sync>;

/// What the provider is made of.
#[derive(Clone)]
pub struct CloudSetup {
    pub drill: Drill,
    /// The drill's document: what it names relatively is relative to its directory.
    pub drill_path: PathBuf,
    /// Of archives; empty where the drill names none.
    pub policy: Policy,
    pub policy_path: PathBuf,
    pub identities: Arc<Identities>,
    /// Whose signatures on backups count.
    pub trusted: Trusted,
    pub random: Random,
    pub access: Access,
    /// Private: the keys of drills are kept here while they run (`drills/RUN/`), and the lock.
    pub state_dir: PathBuf,
    /// How instances are reached: SSH, or a fake in tests.
    pub reach: Arc<dyn Reach>,
    /// Environment variables, for passwords that the document names.
    pub variable: Arc<dyn Fn(&str) -> Option<String> + Send + Sync>,
}

/// Restores to a region of AWS.
pub struct AwsProvider {
    pub(super) inner: Arc<Inner>,
}

/// What the parts share.
pub(super) struct Inner {
    pub setup: CloudSetup,
    pub scratch: AwsScratch,
    pub guard: Arc<Guard>,
    clients: OnceCell<Clients>,
    /// Set when the credentials were seen to be those of the drill's account.
    pub(super) ours: OnceCell<()>,
    state: Mutex<State>,
    /// Held by who makes the network.
    pub making: tokio::sync::Mutex<()>,
    /// Restore jobs that may run at once.
    pub restores: Semaphore,
}

/// One attempt at a step.
pub(super) struct Work<'a> {
    pub inner: &'a Inner,
    pub clients: &'a Clients,
    pub context: &'a StepContext<'a>,
}

impl AwsProvider {
    /// # Errors
    /// When the drill is none of AWS.
    pub fn new(setup: CloudSetup) -> Result<Self, String> {
        let Some(scratch) = setup.drill.scratch.aws.clone() else {
            return Err("this drill has no `scratch: {aws: …}`".into());
        };
        let rules = Rules {
            lost: setup.drill.lost.regions.clone(),
            region: scratch.region.clone(),
            doubles: setup.access.doubles().map(host_of).collect(),
        };
        let restores = usize::try_from(scratch.restores.max(1)).unwrap_or(1);
        Ok(AwsProvider {
            inner: Arc::new(Inner {
                guard: Arc::new(Guard::new(rules)),
                scratch,
                clients: OnceCell::new(),
                ours: OnceCell::new(),
                state: Mutex::default(),
                making: tokio::sync::Mutex::default(),
                restores: Semaphore::new(restores),
                setup,
            }),
        })
    }

    /// What `drill plan` shows besides the document: what is met, what would be created, what it
    /// would cost; each line with a word of what it is about. Sends only questions.
    pub async fn would(&self, plan: &crate::drill::plan::Plan) -> Vec<preflight::Line> {
        asking("plan", preflight::would(&self.inner, plan)).await
    }
}

/// `host[:port]` of a URL.
fn host_of(url: &str) -> String {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.split(['/', '?']).next().unwrap_or(rest).to_owned()
}

impl Inner {
    /// The clients; made at the first call.
    pub async fn clients(&self) -> Result<&Clients, Fault> {
        self.clients
            .get_or_try_init(|| Clients::new(&self.scratch, &self.setup.access, self.guard.clone()))
            .await
    }

    /// The clients, for whom credentials of another account are none: what that account does not
    /// have is not gone.
    ///
    /// # Errors
    /// Where it is another account, or whose it is cannot be asked.
    pub async fn own_clients(&self) -> Result<&Clients, Fault> {
        let clients = self.clients().await?;
        let own = || preflight::is_own(clients, &self.scratch);
        self.ours.get_or_try_init(own).await?;
        Ok(clients)
    }

    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn step(&self, name: &str) -> Option<&Step> {
        self.setup.drill.steps.iter().find(|s| s.step == name)
    }

    /// What a step has become so far.
    pub fn recovered(&self, step: &str) -> Recovered {
        self.state().steps.get(step).cloned().unwrap_or_default()
    }

    /// Changes what is known of a step.
    pub fn know(&self, step: &str, change: impl FnOnce(&mut Recovered)) {
        change(self.state().steps.entry(step.to_owned()).or_default());
    }
}

impl<'a> Work<'a> {
    pub fn step(&self) -> &'a Step {
        self.context.step
    }

    pub fn aws(&self) -> Result<&'a AwsRestore, StepError> {
        let aws = self.context.step.aws.as_ref();
        aws.ok_or_else(|| StepError::new("this step restores nothing of AWS"))
    }
}

impl Provider for AwsProvider {
    fn name(&self) -> &'static str {
        "aws"
    }

    fn phases(&self, step: &Step) -> Vec<DrillPhase> {
        use DrillPhase::{Hydrate, Locate, Provision, Restore, Start};
        let Some(aws) = &step.aws else {
            return vec![Locate, Provision, Restore];
        };
        let mut phases = match aws.fresh {
            Some(_) => vec![Provision],
            None => vec![Locate, Provision, Restore],
        };
        // An instance that is logged in to, a cluster's instances, an attachment, a mount.
        phases.push(Start);
        if aws.wait == Wait::Initialised {
            phases.push(Hydrate);
        }
        phases
    }

    fn prepare<'a>(&'a self, drill: &'a DrillContext) -> Pending<'a, Readiness> {
        Box::pin(asking("preflight", preflight::look(&self.inner, drill)))
    }

    fn control<'a>(
        &'a self,
        drill: &'a DrillContext,
        step: &'a Step,
        proof: &'a Proof,
    ) -> Pending<'a, ProofSaid> {
        Box::pin(asking(
            "controls",
            remote::control(&self.inner, drill, step, proof),
        ))
    }

    fn carry_out<'a>(
        &'a self,
        phase: DrillPhase,
        context: &'a StepContext<'a>,
    ) -> Pending<'a, Result<PhaseDone, StepError>> {
        let who = format!("step {}", context.step.step);
        Box::pin(async move {
            asking(&who, async {
                let work = Work {
                    inner: &self.inner,
                    clients: self.inner.clients().await?,
                    context,
                };
                match (phase, &context.step.aws) {
                    (DrillPhase::Locate, Some(_)) => Box::pin(points::locate(&work)).await,
                    (DrillPhase::Provision, Some(_)) => {
                        Box::pin(network::ensure(&work)).await?;
                        Box::pin(restore::provision(&work)).await
                    }
                    (DrillPhase::Restore, Some(_)) => Box::pin(restore::restore(&work)).await,
                    (DrillPhase::Start, Some(_)) => Box::pin(restore::start(&work)).await,
                    (DrillPhase::Hydrate, Some(_)) => Box::pin(restore::hydrate(&work)).await,
                    (DrillPhase::Locate, None) => Box::pin(remote::archive::locate(&work)).await,
                    (DrillPhase::Provision, None) => {
                        Box::pin(remote::archive::provision(&work)).await
                    }
                    (DrillPhase::Restore, None) => Box::pin(remote::archive::restore(&work)).await,
                    _ => Ok(PhaseDone::default()),
                }
            })
            .await
        })
    }

    fn prove<'a>(
        &'a self,
        context: &'a StepContext<'a>,
        proof: &'a Proof,
    ) -> Pending<'a, ProofSaid> {
        let who = format!("step {}", context.step.step);
        Box::pin(async move { asking(&who, remote::prove(&self.inner, context, proof)).await })
    }

    fn concluded(&self, context: &StepContext<'_>, ended: Ended, proofs: &[ProofOutcome]) {
        let validated = teardown::validated(ended, proofs);
        (self.inner).know(&context.step.step, |known| known.validated = validated);
    }

    fn adopt<'a>(
        &'a self,
        drill: &'a DrillContext,
        step: &'a Step,
        made: &'a [LedgerEntry],
    ) -> Pending<'a, Result<(), String>> {
        Box::pin(asking(
            "resume",
            restore::adopt(&self.inner, drill, step, made),
        ))
    }

    fn begin_destroying<'a>(
        &'a self,
        drill: &'a DrillContext,
        entries: &'a [LedgerEntry],
    ) -> Pending<'a, ()> {
        Box::pin(asking(
            "teardown",
            teardown::begin(&self.inner, drill, entries),
        ))
    }

    fn destroy<'a>(
        &'a self,
        drill: &'a DrillContext,
        entry: &'a LedgerEntry,
    ) -> Pending<'a, Result<(), String>> {
        Box::pin(asking(
            "teardown",
            teardown::destroy(&self.inner, drill, entry),
        ))
    }

    fn leftovers<'a>(&'a self, drill: &'a DrillContext) -> Pending<'a, Vec<Leftover>> {
        Box::pin(asking("sweep", leftovers::list(&self.inner, drill)))
    }

    fn clear<'a>(
        &'a self,
        drill: &'a DrillContext,
        leftover: &'a Leftover,
    ) -> Pending<'a, Result<(), String>> {
        Box::pin(asking(
            "sweep",
            leftovers::clear(&self.inner, drill, leftover),
        ))
    }

    fn release<'a>(&'a self, drill: &'a DrillContext) -> Pending<'a, Result<(), String>> {
        Box::pin(async move { preflight::release(&self.inner, drill) })
    }

    fn watched(&self) -> Watched {
        self.inner.guard.watched()
    }

    fn requests(&self) -> std::collections::BTreeMap<String, u64> {
        self.inner.guard.requests()
    }
}

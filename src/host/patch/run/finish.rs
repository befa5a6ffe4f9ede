//! The end of a host: the last look, and nothing left behind.

use std::time::Duration;

use tokio::time::Instant;

use crate::host::patch::containers;
use crate::host::patch::job::STORE;
use crate::host::patch::observe::Ask;
use crate::host::patch::standing;
use crate::journal::PatchEvent;
use crate::model::patch::{
    HostPhase, HostPlan, ImagePlan, JobOutcome, PatchOutcome, PatchSnapshot, PhaseOutcome,
};
use crate::shell::Nonce;

use super::host::{Host, Looked};
use super::link::{Halt, Pause, Step};
use super::verdict::{self, Verdict};

/// How long a host that is to tell how it stands at last is tried.
const PATIENCE: Duration = Duration::from_secs(120);

/// How long the last question may take.
const FORGET: Duration = Duration::from_secs(30);

/// The last look at a host, and what would be done to it now.
pub(super) struct After {
    pub snapshot: PatchSnapshot,
    pub plan: HostPlan,
}

impl Host {
    /// A look, tried again while the host is not reached, until `until`.
    pub async fn look_until(&mut self, ask: &Ask, until: Instant) -> Step<(PatchSnapshot, Looked)> {
        let mut pause = Pause::default();
        loop {
            match self.look(ask).await {
                Err(Halt::Lost(error)) => pause.sleep(until, error).await?,
                other => return other,
            }
        }
    }

    /// The last whole look, or a new one where something was changed since.
    pub async fn seen(&mut self) -> Step<PatchSnapshot> {
        if let Some(latest) = &self.latest {
            return Ok(latest.clone());
        }
        let ask = self.whole(false);
        let (snapshot, _) = self.look_until(&ask, Instant::now() + PATIENCE).await?;
        self.latest = Some(snapshot.clone());
        Ok(snapshot)
    }

    /// A last look, kept, and how the host stands now.
    pub async fn look_after(&mut self) -> Step<After> {
        self.start(HostPhase::Prove)?;
        let begun = Instant::now();
        let snapshot = self.seen().await?;
        let looked = Looked {
            took: begun.elapsed(),
            bytes: 0,
        };
        self.keep(&snapshot, "after", &looked)?;
        let plan = self.decide(&snapshot);
        let standing = standing::standing(
            &snapshot,
            &plan,
            &self.shared.settings.advisories,
            self.today(),
        );
        self.tell(PatchEvent::Stands {
            host: self.name().to_owned(),
            when: "after".into(),
            standing,
        })?;
        self.end(PhaseOutcome::Well, None)?;
        Ok(After { snapshot, plan })
    }

    /// How a host stands that failed, where it still tells.
    pub async fn look_once_more(&mut self) -> Step<()> {
        match self.look_after().await {
            Ok(_) => Ok(()),
            Err(Halt::Lost(error)) => self.end(PhaseOutcome::Unknown, Some(error.reason)),
            Err(other) => Err(other),
        }
    }

    /// The packages are at their versions, and what is left is said.
    pub async fn prove(&mut self) -> Step<Verdict> {
        let after = self.look_after().await?;
        let patch = self.patch();
        let verdict = verdict::proved(&self.plan, &after.snapshot, &after.plan, &patch, &self.told);
        Ok(self.with_images(verdict))
    }

    /// The verdict, with a container that failed by itself in it.
    pub fn with_images(&self, verdict: Verdict) -> Verdict {
        match &self.image_trouble {
            Some(trouble) if verdict.outcome != PatchOutcome::Failed => Verdict {
                reason: match (&verdict.reason, &trouble.reason) {
                    (Some(one), Some(other)) => Some(format!("{other}; {one}")),
                    (one, other) => other.clone().or_else(|| one.clone()),
                },
                to_do: verdict.to_do,
                ..trouble.clone()
            },
            _ => verdict,
        }
    }

    /// Takes the former containers away, once their successors are well.
    pub async fn keep_images(&mut self, verdict: Verdict) -> Result<Verdict, String> {
        let plans: Vec<ImagePlan> = self
            .updated
            .iter()
            .filter_map(|place| self.plan.images.get(*place).cloned())
            .collect();
        let is_settled = matches!(
            verdict.outcome,
            PatchOutcome::Patched | PatchOutcome::Waiting | PatchOutcome::WentBack
        );
        if plans.is_empty() || !is_settled {
            return Ok(verdict);
        }
        let ended = match self.made(containers::keep("image-keep", &plans)) {
            Ok(job) => self.job(&job).await,
            Err(halt) => Err(halt),
        };
        let trouble = match ended {
            Ok(end) if end.outcome == JobOutcome::Well => return Ok(verdict),
            Ok(end) => end.words(),
            Err(Halt::Journal(why)) => return Err(why),
            Err(Halt::Lost(error)) => error.to_string(),
            Err(Halt::Ends(other)) => other.reason.unwrap_or_default(),
        };
        match self.note(format!("former containers were not taken away: {trouble}")) {
            Err(Halt::Journal(why)) => Err(why),
            _ => Ok(verdict),
        }
    }

    /// Removes what the run left on the host. A host that failed, or was lost, keeps it: it tells
    /// what happened, and a run that is taken up looks for it.
    pub async fn forget(&mut self, outcome: PatchOutcome) {
        let keeps = matches!(outcome, PatchOutcome::Failed | PatchOutcome::Unknown);
        if keeps || self.begun_jobs.is_empty() {
            return;
        }
        let speech = self.shared.speech;
        let run = self.shared.settings.run.clone();
        let make = |nonce: &Nonce| Ok((speech.forget)(&run, nonce));
        let done = match self.link.ask(&make, FORGET).await {
            Ok(said) => said
                .frames
                .iter()
                .any(|f| f.kind == "end" && f.name == "forget" && f.status == 0),
            Err(_) => false,
        };
        if !done {
            // It is small and root's alone; the host's end does not hang on it.
            let _ = self.note(format!(
                "{STORE}/{} on the host could not be removed",
                run.as_str()
            ));
        }
    }
}

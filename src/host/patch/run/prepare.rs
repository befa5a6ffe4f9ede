//! Before a host's turn: the first look, what is to be done, and what can be fetched before.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::document::patch::Scope;
use crate::host::patch::job::{Said, packages};
use crate::host::patch::observe::Ask;
use crate::host::patch::standing;
use crate::journal::PatchEvent;
use crate::model::Phase;
use crate::model::patch::{
    ChangeKind, Closes, HostPhase, JobOutcome, PatchOutcome, PatchSnapshot, PhaseOutcome, WayBack,
};
use crate::reach::ReachError;
use crate::shell::{Nonce, clean};

use super::host::{Host, Looked};
use super::link::{Halt, Step};
use super::verdict::{self, Verdict, some_of};

/// How long a look at a host may take, beyond what it waits for locks.
const LOOK: Duration = Duration::from_secs(300);

impl Host {
    /// Looks at the host and decides; or takes what another process has decided. Ends the host
    /// where nothing is to be done.
    pub async fn prepare(&mut self) -> Step<()> {
        let shared = Arc::clone(&self.shared);
        let stopped = || {
            Verdict::of(
                PatchOutcome::NotStarted,
                "the run was stopped before this host".to_owned(),
            )
        };
        if shared.turns.is_stopped() && !self.past.begun {
            return Err(Halt::Ends(stopped()));
        }
        let _permit = tokio::select! {
            permit = shared.sessions.acquire() => permit,
            () = shared.turns.stopped(), if !self.past.begun => {
                return Err(Halt::Ends(stopped()));
            }
        };
        let snapshot = match self.recorded_plan()? {
            Some(snapshot) => snapshot,
            None => self.look_and_plan().await?,
        };
        self.boot_id = snapshot.boot_id.clone();
        self.health = snapshot.health.clone();
        let settings = &shared.settings;
        let verdict = verdict::at_once(
            &snapshot,
            &self.plan,
            &settings.patch,
            settings.mode,
            self.is_here(),
        );
        match verdict {
            // What another process had begun is brought to its end.
            Some(verdict) if !self.past.begun => Err(Halt::Ends(verdict)),
            _ => Ok(()),
        }
    }

    /// What another process planned, with the snapshot of then.
    fn recorded_plan(&mut self) -> Step<Option<PatchSnapshot>> {
        let Some(plan) = self.past.plan.clone() else {
            return Ok(None);
        };
        self.before = self.past.before.clone();
        match self.snapshot_before() {
            Some(snapshot) => {
                self.plan = plan;
                Ok(Some(snapshot))
            }
            None if self.past.jobs.is_empty() => Ok(None),
            None => {
                let why = "the snapshot of before is gone from the run's folder, or was changed: \
                           without it nothing more is done to the host";
                Err(Halt::Ends(
                    Verdict::of(PatchOutcome::Failed, why.to_owned())
                        .with_to_do("look at the host: the run had begun to change it"),
                ))
            }
        }
    }

    async fn look_and_plan(&mut self) -> Step<PatchSnapshot> {
        self.start(HostPhase::Observe)?;
        let patch = self.patch();
        let wants_packages = patch.packages.scope != Scope::None;
        let (snapshot, looked) = self.look(&self.whole(patch.packages.refresh)).await?;
        self.health_at = Some(Instant::now());
        let kept = self.keep(&snapshot, "before", &looked)?;
        self.before = Some(kept);
        self.plan = self.decide(&snapshot);
        let standing = standing::standing(
            &snapshot,
            &self.plan,
            &self.shared.settings.advisories,
            self.today(),
        );
        let host = self.name().to_owned();
        self.tell(PatchEvent::Stands {
            host,
            when: "before".into(),
            standing,
        })?;
        self.tell_plan()?;
        let detail = (!wants_packages).then(|| "containers only".to_owned());
        self.end(PhaseOutcome::Well, detail)?;
        Ok(snapshot)
    }

    fn tell_plan(&self) -> Step<()> {
        self.tell(PatchEvent::Planned {
            host: self.name().to_owned(),
            plan: Box::new(self.plan.clone()),
        })
    }

    /// The whole of what is looked at.
    pub fn whole(&self, refresh: bool) -> Ask {
        let patch = self.patch();
        Ask {
            refresh,
            lock_wait: patch.lock_wait.0.as_secs(),
            packages: true,
            phased: patch.packages.phased,
            containers: true,
        }
    }

    /// One look.
    pub async fn look(&mut self, ask: &Ask) -> Step<(PatchSnapshot, Looked)> {
        let speech = self.shared.speech;
        let begun = Instant::now();
        let taken = (self.shared.now)().to_string();
        let wait = if ask.refresh { ask.lock_wait } else { 0 };
        let limit = LOOK + Duration::from_secs(wait);
        let make = |nonce: &Nonce| (speech.observe)(ask, nonce);
        let said = self.link.ask(&make, limit).await?;
        let snapshot = (speech.seen)(&said.frames, ask, self.name(), &taken).ok_or_else(|| {
            Halt::Lost(ReachError::new(
                Phase::Run,
                "the program ended before it had observed everything",
            ))
        })?;
        let looked = Looked {
            took: begun.elapsed(),
            bytes: said.bytes,
        };
        Ok((snapshot, looked))
    }

    /// Finishes what others left half-installed.
    pub async fn repair(&mut self) -> Step<()> {
        self.start(HostPhase::Repair)?;
        let job = self.made(packages::repair(&self.plan, &self.patch()))?;
        let end = self.job(&job).await?;
        if end.outcome == JobOutcome::Well {
            return self.end(PhaseOutcome::Well, None);
        }
        let packages: Vec<&str> = self.plan.repairs.iter().map(String::as_str).collect();
        let reason = format!(
            "packages that others left half-installed could not be finished ({}): {}",
            some_of(&packages),
            end.words()
        );
        self.end(PhaseOutcome::Failed, Some(reason.clone()))?;
        Err(Halt::Ends(
            Verdict::of(PatchOutcome::Failed, reason)
                .with_to_do("dpkg --audit; dpkg --configure -a; apt-get -f install"),
        ))
    }

    /// Fetches what the upgrade and its way back need.
    pub async fn download(&mut self) -> Step<()> {
        if self.plan.upgrades.is_empty() || self.past.back.is_some() {
            return Ok(());
        }
        let shared = Arc::clone(&self.shared);
        let _permit = shared.sessions.acquire().await;
        self.start(HostPhase::Download)?;
        let job = self.made(packages::download(&self.plan, &self.patch()))?;
        let end = self.job(&job).await?;
        if end.outcome != JobOutcome::Well {
            let reason = format!("the packages could not be fetched: {}", end.words());
            return self.end_here(PatchOutcome::LeftOut, reason);
        }
        if self.learn(&end.said) {
            self.tell_plan()?;
        }
        self.end(PhaseOutcome::Well, None)
    }

    /// What only the downloaded packages tell: what they close, and whether the former ones are
    /// to be had. Whether the plan says more now.
    fn learn(&mut self, said: &[Said]) -> bool {
        let mut news = false;
        for said in said {
            let is_it = |name: &str, arch: &str| {
                said.name == name || said.name.strip_prefix(name) == Some(&format!(":{arch}"))
            };
            let Some(upgrade) = self
                .plan
                .upgrades
                .iter_mut()
                .find(|u| is_it(&u.name, &u.arch))
            else {
                continue;
            };
            match said.kind.as_str() {
                "closes" if upgrade.closes == Closes::Unknown => {
                    let mut ids: Vec<String> = said
                        .text
                        .split_whitespace()
                        .filter(|w| w.starts_with("CVE-"))
                        .take(200)
                        .map(|w| clean(w, 40))
                        .collect();
                    ids.sort();
                    ids.dedup();
                    upgrade.closes = Closes::Known {
                        ids,
                        worst: None,
                        by: "changelog".into(),
                    };
                    news = true;
                }
                "former" if upgrade.kind == ChangeKind::Upgrade => {
                    let way = match said.text.split_whitespace().next() {
                        Some("cache" | "repack") => WayBack::Cache,
                        Some("archive") => WayBack::Archive,
                        Some("none") => WayBack::None {
                            why: "neither the host nor its archives have the former version".into(),
                        },
                        _ => continue,
                    };
                    if upgrade.way_back != way {
                        upgrade.way_back = way;
                        news = true;
                    }
                }
                _ => {}
            }
        }
        news
    }
}

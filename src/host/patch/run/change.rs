//! What is done to a host in its turn: the hook, the upgrade, restarts, images.

use std::process::Stdio;
use std::time::Duration;

use tokio::io::AsyncReadExt;

use crate::document::patch::{Hook, Reboot};
use crate::host::patch::containers;
use crate::host::patch::job::{packages, services};
use crate::model::patch::{HostPhase, JobOutcome, PatchOutcome, PhaseOutcome, RebootNeed};
use crate::shell::clean;

use super::host::Host;
use super::jobs::JobEnd;
use super::link::{Halt, Step};
use super::verdict::{self, Verdict, some_of};

/// Most of what a hook writes that is kept.
const SAID: usize = 4 << 10;

impl Host {
    /// The program that is to run before a change.
    pub async fn snapshot_hook(&mut self) -> Step<()> {
        let Some(hook) = self.patch().snapshot.clone() else {
            return Ok(());
        };
        if self.past.well.contains(&HostPhase::Snapshot) {
            return Ok(());
        }
        self.start(HostPhase::Snapshot)?;
        if let Some(command) = &hook.on_host {
            let job = self.made(services::hook(command, hook.limit.0.as_secs()))?;
            let end = self.job(&job).await?;
            if end.outcome != JobOutcome::Well {
                let reason = format!("the snapshot before the change failed: {}", end.words());
                return self.end_here(PatchOutcome::LeftOut, reason);
            }
        }
        if !hook.here.is_empty()
            && let Err(why) = self.hook_here(&hook).await
        {
            let reason = format!("the snapshot before the change failed: {why}");
            return self.end_here(PatchOutcome::LeftOut, reason);
        }
        self.end(PhaseOutcome::Well, None)
    }

    /// Runs the hook's program on this machine, without a shell.
    async fn hook_here(&mut self, hook: &Hook) -> Result<(), String> {
        let Some((program, arguments)) = hook.here.split_first() else {
            return Ok(());
        };
        let mut child = tokio::process::Command::new(program)
            .args(arguments)
            .env("SEAWALL_HOST", self.name())
            .env("SEAWALL_RUN", self.shared.settings.run.as_str())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(|e| format!("{} could not be started: {e}", clean(program, 200)))?;
        let mut said = Vec::new();
        let mut stderr = child.stderr.take();
        let read = async {
            let mut piece = [0; 1024];
            while let Some(from) = stderr.as_mut() {
                match from.read(&mut piece).await {
                    Ok(count) if count > 0 => {
                        let room = SAID.saturating_sub(said.len());
                        said.extend(piece.iter().take(count.min(room)));
                    }
                    _ => return std::future::pending::<()>().await,
                }
            }
        };
        let ended = tokio::select! {
            ended = child.wait() => Some(ended),
            () = read => None,
            () = tokio::time::sleep(hook.limit.0) => None,
        };
        let said = clean(&String::from_utf8_lossy(&said), 400);
        match ended {
            Some(Ok(status)) if status.success() => Ok(()),
            Some(Ok(status)) => Err(format!(
                "{} ended with {status}: {said}",
                clean(program, 200)
            )),
            Some(Err(e)) => Err(format!("{}: {e}", clean(program, 200))),
            None => Err(format!(
                "{} did not end within {}",
                clean(program, 200),
                hook.limit
            )),
        }
    }

    /// All that is to be done; `Some`: why the host has to go back.
    pub async fn change(&mut self) -> Step<Option<String>> {
        if let Some(why) = self.upgrade().await? {
            return Ok(Some(why));
        }
        let reasons = self.reboot_reasons().await?;
        // A reboot restarts everything.
        if reasons.is_empty() {
            self.restart("restart").await?;
        }
        self.images().await?;
        if !reasons.is_empty() {
            self.reboot(0, reasons).await?;
        }
        self.gate_after("after").await
    }

    async fn upgrade(&mut self) -> Step<Option<String>> {
        if self.plan.upgrades.is_empty() {
            return Ok(None);
        }
        self.start(HostPhase::Upgrade)?;
        let job = self.made(packages::upgrade(&self.plan, &self.patch()))?;
        let end = self.job(&job).await?;
        if end.outcome == JobOutcome::Well {
            self.end(PhaseOutcome::Well, None)?;
            return Ok(None);
        }
        let why = format!("the upgrade failed: {}", end.words());
        self.end(PhaseOutcome::Failed, Some(why.clone()))?;
        let is_as_before = matches!(end.outcome, JobOutcome::Failed { .. })
            && end.of("package").next().is_none()
            && end.of("broken").next().is_none();
        if is_as_before {
            return Err(Halt::Ends(Verdict::of(PatchOutcome::LeftOut, why)));
        }
        Ok(Some(why))
    }

    /// Why the host is to be rebooted now; empty: it is not.
    async fn reboot_reasons(&mut self) -> Step<Vec<String>> {
        let patch = self.patch();
        if self.past.reboots[0].from.is_some() {
            return Ok(vec!["it was decided before the run was taken up".into()]);
        }
        let promised = match &self.plan.reboot {
            RebootNeed::After { reasons } if !self.plan.upgrades.is_empty() => reasons.clone(),
            _ => Vec::new(),
        };
        if !verdict::may_reboot(&patch, self.is_here()) {
            if !promised.is_empty() {
                let promised: Vec<&str> = promised.iter().map(String::as_str).collect();
                self.told
                    .push(format!("a reboot is due: {}", some_of(&promised)));
            }
            return Ok(Vec::new());
        }
        let mut reasons = self.seen().await?.reboot_due;
        if reasons.is_empty() {
            reasons = promised;
        }
        if reasons.is_empty() && patch.reboot == Reboot::Always {
            reasons.push("the playbook has every host rebooted".into());
        }
        Ok(reasons)
    }

    /// Restarts what still uses replaced files.
    pub async fn restart(&mut self, name: &str) -> Step<()> {
        const LIMIT: u64 = 600;
        let in_back = name != "restart";
        let end = match self.take_up(name, LIMIT).await? {
            Some(end) => end,
            None => {
                let seen = self.seen().await?;
                let mut units = verdict::units_to_restart(&self.decide(&seen), &self.patch());
                if in_back {
                    // What the new version stopped, the former one does not start by itself.
                    let down = verdict::down_since(&self.health, &seen, &self.patch());
                    units.extend(
                        down.into_iter()
                            .filter(|u| !units.contains(u))
                            .collect::<Vec<_>>(),
                    );
                }
                if units.is_empty() {
                    return Ok(());
                }
                if !in_back {
                    self.start(HostPhase::Restart)?;
                }
                let mut job = self.made(services::restart(&units))?;
                job.name = name.to_owned();
                self.job(&job).await?
            }
        };
        if in_back {
            return Ok(());
        }
        // Whether all is up again, the gate says.
        match end.outcome {
            JobOutcome::Well => self.end(PhaseOutcome::Well, None),
            _ => self.end(PhaseOutcome::Failed, Some(end.words())),
        }
    }

    /// Updates images, one after the other, until one can neither be updated nor go back.
    async fn images(&mut self) -> Step<()> {
        let places = verdict::images(&self.plan);
        let patch = self.patch();
        let (Some(wanted), false) = (&patch.containers, places.is_empty()) else {
            return Ok(());
        };
        self.start(HostPhase::Images)?;
        let seen = match self.snapshot_before() {
            Some(snapshot) => snapshot.containers,
            None => {
                return self.end_here(
                    PatchOutcome::Failed,
                    "the snapshot of before is gone from the run's folder: containers cannot be recreated without it".into(),
                );
            }
        };
        for place in places {
            let Some(image) = self.plan.images.get(place).cloned() else {
                continue;
            };
            let name = format!("image-{place}");
            let job = self.made(containers::update(&name, &image, &seen, wanted))?;
            let end = self.job(&job).await?;
            self.take_image(place, &end).await?;
            // A container that went back is as it was: it does not hold the others back.
            if let Some(trouble) = &self.image_trouble
                && trouble.outcome != PatchOutcome::WentBack
            {
                break;
            }
        }
        match &self.image_trouble {
            Some(trouble) => {
                let why = trouble.reason.clone();
                self.end(PhaseOutcome::Failed, why)
            }
            None => self.end(PhaseOutcome::Well, None),
        }
    }

    /// What an image's job means for the host. One that broke off in its midst is put back.
    pub async fn take_image(&mut self, place: usize, end: &JobEnd) -> Step<()> {
        let container = self
            .plan
            .images
            .get(place)
            .map(|i| i.container.clone())
            .unwrap_or_default();
        let said = containers::images_said(&end.said);
        let is = |word: &str| said.iter().any(|i| i.outcome == word);
        let mut why = said
            .iter()
            .map(|i| i.detail.as_str())
            .find(|detail| !detail.is_empty())
            .map_or_else(|| end.words(), str::to_owned);
        let (outcome, what) = if is("failed") {
            (
                PatchOutcome::Failed,
                "could not be put back to its former image",
            )
        } else if is("went-back") {
            (PatchOutcome::WentBack, "runs its former image again")
        } else if is("unchanged") {
            // Nothing was done to it, so nothing of the host is worse: it is still behind.
            self.told.push(format!(
                "the container {container} was left on its former image: {why}"
            ));
            return Ok(());
        } else if end.outcome == JobOutcome::Well {
            if is("updated") {
                self.updated.push(place);
            }
            return Ok(());
        } else {
            // It did not tell its end, and may have stopped between two containers.
            match self.image_back(place).await? {
                None => (PatchOutcome::WentBack, "was put back to its former image"),
                Some(trouble) => {
                    why = format!("{why}; {trouble}");
                    (PatchOutcome::Failed, "is neither updated nor as it was")
                }
            }
        };
        let reason = format!("the container {container} {what}: {why}");
        let reason = match self.image_trouble.take().and_then(|former| former.reason) {
            Some(former) => format!("{former}; {reason}"),
            None => reason,
        };
        self.image_trouble = Some(Verdict::of(outcome, reason));
        Ok(())
    }
}

/// How long the whole of a set of checks may take, in all.
pub(super) fn together(limits: impl Iterator<Item = Duration>) -> Duration {
    limits.sum::<Duration>() + Duration::from_secs(30)
}

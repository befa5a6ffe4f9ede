//! The way back: images and packages as they were, and the proof that the host is healthy so.

use crate::host::patch::containers;
use crate::host::patch::decide;
use crate::host::patch::job::packages;
use crate::model::patch::{HostPhase, JobOutcome, PatchOutcome, PhaseOutcome, RebootNeed};

use super::host::Host;
use super::link::Step;
use super::verdict::{self, Verdict};

impl Host {
    /// A host that failed: back, where the playbook wants that.
    pub async fn fall_back(&mut self, why: &str) -> Step<Verdict> {
        if self.patch().packages.way_back {
            return self.go_back(why).await;
        }
        let reason = format!("{why}; it was not put back: the playbook says `way_back: false`");
        self.look_once_more().await?;
        Ok(verdict::by_hand(
            Verdict::of(PatchOutcome::Failed, reason),
            &self.plan,
        ))
    }

    /// What the process before us had done when it began to go back.
    pub async fn recall(&mut self) -> Step<()> {
        self.rebooted = self.past.reboots[0].came_back;
        for place in verdict::images(&self.plan) {
            if let Some(end) = self.take_up(&format!("image-{place}"), 3600).await? {
                self.take_image(place, &end).await?;
            }
        }
        Ok(())
    }

    /// Why the process before us had begun to go back, where its journal does not say it.
    fn why_back(&self, why: &str) -> String {
        if !why.is_empty() {
            return why.to_owned();
        }
        let upgrade = self.past.jobs.get("upgrade").and_then(|j| j.ended.as_ref());
        match upgrade {
            Some(end) => format!("the upgrade failed: {}", end.detail),
            None => "it failed before the run was taken up".to_owned(),
        }
    }

    /// Puts the host back, and proves that it is healthy so.
    pub async fn go_back(&mut self, why: &str) -> Step<Verdict> {
        let why = self.why_back(why);
        self.start(HostPhase::Back)?;
        if let Some(trouble) = self.images_back().await? {
            let verdict = self.not_back(&why, &trouble).await?;
            return Ok(verdict::by_hand(verdict, &self.plan));
        }
        if self.begun_jobs.contains("upgrade")
            && let Some(trouble) = self.packages_back().await?
        {
            let verdict = self.not_back(&why, &trouble).await?;
            return Ok(verdict::by_hand(verdict, &self.plan));
        }
        let is_core = matches!(self.plan.reboot, RebootNeed::After { .. })
            || (self.plan.upgrades.iter()).any(|u| decide::asks_for_reboot(&u.name));
        let booted_into_it = is_core && !self.plan.upgrades.is_empty() && self.rebooted;
        if booted_into_it || self.past.reboots[1].from.is_some() {
            let reasons = vec!["what it runs since the reboot was put back".to_owned()];
            self.reboot(1, reasons).await?;
        } else {
            self.restart("restart-back").await?;
        }
        if let Some(trouble) = self.gate_after("back").await? {
            let trouble = format!("it was put back, and is not healthy so either: {trouble}");
            let verdict = self.not_back(&why, &trouble).await?;
            return Ok(verdict.with_to_do("systemctl --failed; journalctl -b -p warning"));
        }
        self.end(PhaseOutcome::Well, None)?;
        let after = self.look_after().await?;
        let verdict = verdict::went_back(&self.plan, &after.snapshot, &why);
        Ok(self.with_images(verdict))
    }

    /// The images that were updated; `Some`: what could not be put back.
    async fn images_back(&mut self) -> Step<Option<String>> {
        let places = std::mem::take(&mut self.updated);
        for place in places.into_iter().rev() {
            if let Some(trouble) = self.image_back(place).await? {
                return Ok(Some(trouble));
            }
        }
        Ok(None)
    }

    /// Puts one container back to its former image; `Some`: why that did not go.
    pub async fn image_back(&mut self, place: usize) -> Step<Option<String>> {
        let patch = self.patch();
        let (Some(wanted), Some(image)) = (
            patch.containers.as_ref(),
            self.plan.images.get(place).cloned(),
        ) else {
            return Ok(None);
        };
        let Some(before) = self.snapshot_before() else {
            return Ok(Some(
                "the snapshot of before is gone from the run's folder".into(),
            ));
        };
        // Its name begins as that of every job that goes back.
        let name = format!("back-image-{place}");
        let job = self.made(containers::back(&name, &image, &before.containers, wanted))?;
        let end = self.job(&job).await?;
        Ok((end.outcome != JobOutcome::Well).then(|| {
            format!(
                "the container {} was not put back: {}",
                image.container,
                end.words()
            )
        }))
    }

    async fn packages_back(&mut self) -> Step<Option<String>> {
        let Some(before) = self.snapshot_before() else {
            return Ok(Some(
                "the snapshot of before is gone from the run's folder".into(),
            ));
        };
        let died = self
            .take_up("upgrade", 0)
            .await?
            .is_some_and(|end| end.outcome == JobOutcome::Died);
        if died || self.past.has_begun("back-repair") {
            // Killed in its midst: until that is finished, the manager does nothing else.
            let mut job = self.made(packages::repair(&self.plan, &self.patch()))?;
            job.name = "back-repair".into();
            self.job(&job).await?;
        }
        let kernels = (self.plan.upgrades.iter()).filter(|u| decide::stays_on_the_way_back(u));
        let kernels: Vec<&str> = kernels.map(|u| u.name.as_str()).collect();
        if !kernels.is_empty() {
            self.note(format!(
                "on its way back it keeps {}: the kernel that runs is not taken away",
                verdict::some_of(&kernels)
            ))?;
        }
        let job = self.made(packages::back(&self.plan, &before, &self.patch()))?;
        let end = self.job(&job).await?;
        Ok((end.outcome != JobOutcome::Well)
            .then(|| format!("the packages were not put back: {}", end.words())))
    }

    async fn not_back(&mut self, why: &str, trouble: &str) -> Step<Verdict> {
        let reason = format!("{why}; and {trouble}");
        self.end(PhaseOutcome::Failed, Some(trouble.to_owned()))?;
        self.look_once_more().await?;
        Ok(Verdict::of(PatchOutcome::Failed, reason))
    }
}

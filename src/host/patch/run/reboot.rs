//! A reboot, proved by another boot id that is seen over a new connection.

use std::time::Duration;

use tokio::time::Instant;

use crate::host::patch::observe::Ask;
use crate::journal::PatchEvent;
use crate::model::patch::{HostPhase, PatchOutcome, PhaseOutcome};
use crate::shell::{Nonce, clean};

use super::host::Host;
use super::link::{Halt, Step};
use super::verdict::Verdict;

/// Between two attempts to see a host that boots.
const PAUSE: Duration = Duration::from_secs(2);

/// How long one attempt may take.
const ATTEMPT: Duration = Duration::from_secs(30);

/// How long the question to reboot may take.
const QUESTION: Duration = Duration::from_secs(60);

/// What a host said of a boot.
enum Boot {
    /// Another one: its id.
    Another(String),
    Same,
    /// It said nothing, or could not be reached.
    Unseen,
}

impl Host {
    /// Reboots the host and waits until it is back; `way`: 0 on its way, 1 on its way back. A host
    /// that does not come back has failed.
    pub async fn reboot(&mut self, way: usize, reasons: Vec<String>) -> Step<()> {
        let past = self.past.reboots.get(way).cloned().unwrap_or_default();
        if past.came_back {
            self.rebooted = true;
            return Ok(());
        }
        let is_phase = way == 0;
        if is_phase {
            self.start(HostPhase::Reboot)?;
        }
        let from = past.from.clone().unwrap_or_else(|| self.boot_id.clone());
        if from.is_empty() {
            let why =
                "a reboot is due, and could not be proved: the host does not tell its boot id";
            self.told.push(why.into());
            return self.end(PhaseOutcome::Nothing, Some(why.into()));
        }
        let begun = Instant::now();
        let until = begun + self.patch().reboot_wait.0;
        // It may have rebooted already, for the process before us.
        if past.from.is_some()
            && let Boot::Another(id) = self.await_boot(&from, until, false).await?
        {
            return self.came_back(&id, begun, is_phase);
        }
        self.rebooting = true;
        self.tell(PatchEvent::Rebooting {
            host: self.name().to_owned(),
            boot_id: from.clone(),
            reasons,
        })?;
        self.latest = None;
        let speech = self.shared.speech;
        let make = |nonce: &Nonce| (speech.reboot)(&from, nonce);
        match self.link.ask(&make, QUESTION).await {
            Ok(said) => {
                let end = said
                    .frames
                    .iter()
                    .find(|f| f.kind == "end" && f.name == "reboot");
                if let Some(end) = end.filter(|f| f.status == 2) {
                    let why = format!(
                        "a reboot is due, and could not be asked for: {}",
                        clean(&end.text(), 200)
                    );
                    self.told.push(why.clone());
                    return self.end(PhaseOutcome::Failed, Some(why));
                }
            }
            // It may be on its way down already: its boot id will tell.
            Err(Halt::Lost(_)) => {}
            Err(other) => return Err(other),
        }
        match self.await_boot(&from, until, true).await? {
            Boot::Another(id) => self.came_back(&id, begun, is_phase),
            Boot::Same => self.did_not(
                format!(
                    "it was asked to reboot, and {} later it still runs as before",
                    self.patch().reboot_wait
                ),
                "reboot it by hand, and see that its services come up",
            ),
            Boot::Unseen => self.did_not(
                format!(
                    "it was rebooted, and did not come back within {}",
                    self.patch().reboot_wait
                ),
                "look at its console",
            ),
        }
    }

    fn did_not(&mut self, reason: String, to_do: &str) -> Step<()> {
        self.end(PhaseOutcome::Failed, Some(reason.clone()))?;
        Err(Halt::Ends(
            Verdict::of(PatchOutcome::Failed, reason).with_to_do(to_do),
        ))
    }

    fn came_back(&mut self, id: &str, begun: Instant, is_phase: bool) -> Step<()> {
        self.rebooted = true;
        self.boot_id = id.to_owned();
        self.latest = None;
        self.tell(PatchEvent::Rebooted {
            host: self.name().to_owned(),
            boot_id: id.to_owned(),
            millis: begun.elapsed().as_millis() as u64,
        })?;
        if is_phase {
            self.end(PhaseOutcome::Well, None)?;
        }
        Ok(())
    }

    /// Looks over new connections until the host runs another boot, or there is no more time.
    /// Without `patient`, until it is seen at all.
    async fn await_boot(&mut self, from: &str, until: Instant, patient: bool) -> Step<Boot> {
        let mut last = Boot::Unseen;
        loop {
            self.link.close().await;
            let attempt = until.min(Instant::now() + ATTEMPT);
            last = match tokio::time::timeout_at(attempt, self.look(&Ask::HEALTH)).await {
                Ok(Ok((snapshot, _))) if snapshot.boot_id.is_empty() => Boot::Unseen,
                Ok(Ok((snapshot, _))) if snapshot.boot_id == from => Boot::Same,
                Ok(Ok((snapshot, _))) => return Ok(Boot::Another(snapshot.boot_id)),
                Ok(Err(Halt::Lost(_))) => Boot::Unseen,
                Ok(Err(other)) => return Err(other),
                // Given up in the midst: the connection is in no known state.
                Err(_) => last,
            };
            if !patient && matches!(last, Boot::Same) || Instant::now() + PAUSE >= until {
                return Ok(last);
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
}

//! The health gates: what was up is up, and the playbook's own checks pass, asked on the host and
//! from here.

use std::time::Duration;

use tokio::time::Instant;

use crate::document::patch::HealthCheck;
use crate::host::patch::decide::means;
use crate::host::patch::gate::{self, Checked};
use crate::host::patch::observe::Ask;
use crate::journal::PatchEvent;
use crate::model::patch::{GateNote, Health, HostPhase, PatchOutcome, PatchSnapshot, PhaseOutcome};
use crate::shell::{Nonce, clean};

use super::change::together;
use super::host::Host;
use super::link::{Halt, Pause, Step};
use super::speech::Command;

/// How old the first look may be to serve as the look right before a change.
const FRESH: Duration = Duration::from_secs(60);

/// Between two looks at a host that is not healthy yet.
const PAUSE: Duration = Duration::from_secs(2);

/// How long a host that is not reached is tried again before a gate is given up.
const PATIENCE: Duration = Duration::from_secs(120);

/// Most of an answer that is read, in bytes.
const BODY: usize = 1 << 20;

impl Host {
    /// The gate before a change; a host that does not pass it is left as it is.
    pub async fn gate_before(&mut self) -> Step<()> {
        if self.past.gate_passed {
            if let Some(kept) = self.past.gate.clone()
                && let Some(bytes) = self.kept(&kept)
                && let Ok(snapshot) = serde_json::from_slice::<PatchSnapshot>(&bytes)
            {
                self.take_health(snapshot);
            }
            return Ok(());
        }
        self.start(HostPhase::Before)?;
        let is_fresh =
            self.health_at.is_some_and(|at| at.elapsed() < FRESH) && self.plan.repairs.is_empty();
        let mut unseen = None;
        if is_fresh {
            unseen = self.unseen_before();
        } else {
            let (snapshot, looked) = self
                .look_until(&Ask::HEALTH, Instant::now() + FRESH)
                .await?;
            unseen = snapshot.unseen.get("health").cloned().or(unseen);
            self.keep(&snapshot, "gate", &looked)?;
            self.take_health(snapshot);
        }
        let checks = self.checks().await?;
        let health = unseen.is_none().then_some(&self.health);
        let note = gate::before(health, &self.patch().health, &checks);
        self.tell_gate("before", &note)?;
        if note.passed {
            return self.end(PhaseOutcome::Well, None);
        }
        let reason = format!("it is not healthy before the change: {}", words(&note));
        self.end_here(PatchOutcome::LeftOut, reason)
    }

    /// Why the first look did not see how the host does.
    fn unseen_before(&self) -> Option<String> {
        self.snapshot_before()?.unseen.get("health").cloned()
    }

    fn take_health(&mut self, snapshot: PatchSnapshot) {
        if !snapshot.boot_id.is_empty() {
            self.boot_id = snapshot.boot_id;
        }
        self.health = snapshot.health;
        self.health_at = Some(Instant::now());
    }

    /// The gate after a change (`after`, `soaked`, `back`), asked again and again until it is
    /// passed or its time is over. `Some`: why it is not passed.
    pub async fn gate_after(&mut self, when: &str) -> Step<Option<String>> {
        let in_back = when == "back";
        if !in_back {
            self.start(HostPhase::After)?;
        }
        let until = Instant::now() + self.patch().health.within.0;
        let mut pause = Pause::default();
        let note = loop {
            match self.gate_once().await {
                Ok(note) if note.passed || Instant::now() + PAUSE >= until => break note,
                Ok(_) => {
                    self.latest = None;
                    tokio::time::sleep(PAUSE).await;
                }
                Err(Halt::Lost(error)) => pause.sleep(until + PATIENCE, error).await?,
                Err(other) => return Err(other),
            }
        };
        self.tell_gate(when, &note)?;
        let why = (!note.passed).then(|| words(&note));
        if !in_back {
            let outcome = match note.passed {
                true => PhaseOutcome::Well,
                false => PhaseOutcome::Failed,
            };
            self.end(outcome, why.clone())?;
        }
        Ok(why)
    }

    async fn gate_once(&mut self) -> Step<GateNote> {
        let checks = self.checks().await?;
        let snapshot = match &self.latest {
            Some(latest) => latest.clone(),
            None => self.look(&Ask::HEALTH).await?.0,
        };
        let health: Option<&Health> =
            (!snapshot.unseen.contains_key("health")).then_some(&snapshot.health);
        let mut note = gate::after(&self.health, health, &self.patch().health, &checks);
        if let Some(why) = snapshot.unseen.get("health") {
            note.unseen.push(clean(why, 200));
        }
        Ok(note)
    }

    fn tell_gate(&self, when: &str, note: &GateNote) -> Step<()> {
        self.tell(PatchEvent::Gate {
            host: self.name().to_owned(),
            when: when.to_owned(),
            gate: note.clone(),
        })
    }

    /// The playbook's own checks of this host.
    async fn checks(&mut self) -> Step<Vec<Checked>> {
        let patch = self.patch();
        let mine: Vec<&HealthCheck> = patch
            .health
            .checks
            .iter()
            .filter(|c| means(&c.hosts, &self.job.names))
            .collect();
        let commands: Vec<Command> = mine
            .iter()
            .filter_map(|c| Some((c.check.clone(), c.command.clone()?, c.limit.0.as_secs())))
            .collect();
        let mut frames = Vec::new();
        if !commands.is_empty() {
            let speech = self.shared.speech;
            let limit = together(
                mine.iter()
                    .filter(|c| c.command.is_some())
                    .map(|c| c.limit.0),
            );
            let make = |nonce: &Nonce| (speech.checks)(&commands, nonce);
            frames = self.link.ask(&make, limit).await?.frames;
        }
        let mut checked = Vec::new();
        let mut place = 0;
        for check in mine {
            let result = if let Some(url) = &check.http {
                let target = &self.job.target;
                let address = target.address.as_deref().unwrap_or(&target.name);
                over_http(&url.replace("{{ host }}", address), check).await
            } else {
                let name = place.to_string();
                place += 1;
                match frames.iter().find(|f| f.kind == "check" && f.name == name) {
                    Some(frame) => command_result(frame.status, &frame.text(), check),
                    None => Err("the host did not say how it ended".into()),
                }
            };
            checked.push(Checked {
                check: check.check.clone(),
                result,
            });
        }
        Ok(checked)
    }
}

/// Why a gate is not passed, in words.
fn words(note: &GateNote) -> String {
    let all: Vec<&str> = note
        .broken
        .iter()
        .chain(&note.unseen)
        .map(String::as_str)
        .collect();
    super::verdict::some_of(&all)
}

fn command_result(status: i32, output: &str, check: &HealthCheck) -> Result<(), String> {
    if status != 0 {
        return Err(format!(
            "it ended with status {status}: {}",
            clean(output, 200)
        ));
    }
    contains(output, check)
}

fn contains(text: &str, check: &HealthCheck) -> Result<(), String> {
    match &check.contains {
        Some(wanted) if !text.contains(wanted.as_str()) => Err(format!(
            "the answer does not contain {wanted:?}: {}",
            clean(text, 100)
        )),
        _ => Ok(()),
    }
}

/// Asks for a page. Redirects are followed only where they stay at the same place: another host's
/// health is not this one's.
async fn over_http(url: &str, check: &HealthCheck) -> Result<(), String> {
    let asking = |e: reqwest::Error| {
        // The error's own text leaves out why.
        let mut text = e.to_string();
        let mut source = std::error::Error::source(&e);
        while let Some(inner) = source {
            text = format!("{text}: {inner}");
            source = inner.source();
        }
        clean(&text, 300)
    };
    let policy = reqwest::redirect::Policy::custom(|attempt| {
        let first = attempt.previous().first();
        let stays = first.is_some_and(|first| first.origin() == attempt.url().origin());
        if stays && attempt.previous().len() <= 5 {
            attempt.follow()
        } else {
            attempt.stop()
        }
    });
    let client = reqwest::Client::builder()
        .no_proxy()
        .redirect(policy)
        .timeout(check.limit.0)
        .build()
        .map_err(asking)?;
    let mut response = client.get(url).send().await.map_err(asking)?;
    let status = response.status().as_u16();
    let wanted = check.status.unwrap_or(200);
    if status != wanted {
        return Err(format!(
            "{} answers {status}, not {wanted}",
            clean(url, 200)
        ));
    }
    if check.contains.is_none() {
        return Ok(());
    }
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(asking)? {
        let room = BODY.saturating_sub(body.len());
        body.extend(chunk.iter().take(room));
        if body.len() >= BODY {
            break;
        }
    }
    contains(&String::from_utf8_lossy(&body), check)
}

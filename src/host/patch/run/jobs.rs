//! Jobs on the host: begun once, followed to their end over as many connections as it takes.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::time::Instant;

use crate::host::patch::containers;
use crate::host::patch::job::{Job, Said, State};
use crate::journal::PatchEvent;
use crate::model::Phase;
use crate::model::patch::{JobOutcome, PatchOutcome};
use crate::reach::ReachError;
use crate::shell::{Nonce, NulInText, clean};

use super::host::Host;
use super::link::{Halt, Pause, Step};
use super::verdict::Verdict;

/// How long one question waits on the host for the job's end, in seconds.
const WAIT: u64 = 25;

/// What a question may take beyond that.
const SLACK: Duration = Duration::from_secs(35);

/// How long after its own limit a job is still asked for: the host's supervisor ends it, and a host
/// may have been away.
const GRACE: Duration = Duration::from_secs(300);

/// How often a host may refuse a job before it is believed.
const REFUSALS: u32 = 2;

/// Most of a log that is kept.
const LOG: usize = 16 << 20;

/// How a job ended.
#[derive(Clone, Debug)]
pub(super) struct JobEnd {
    pub outcome: JobOutcome,
    pub said: Vec<Said>,
    /// The end of what it wrote.
    pub detail: String,
}

impl JobEnd {
    /// Why it is not well, in words.
    pub fn words(&self) -> String {
        let how = match &self.outcome {
            JobOutcome::Well => "it ended well".to_owned(),
            JobOutcome::Failed { status } => match status {
                3 => "it would have been another change than the planned one".to_owned(),
                28 => "there is not enough room".to_owned(),
                75 => "the package manager's lock was held too long".to_owned(),
                _ => format!("it failed with status {status}"),
            },
            JobOutcome::TimedOut => "it ran out of its time".to_owned(),
            JobOutcome::Died => "it died on the host".to_owned(),
        };
        // What the job itself complains of says more than its last lines.
        let why: Vec<String> = self
            .said
            .iter()
            .filter(|s| {
                matches!(
                    s.kind.as_str(),
                    "error" | "differs" | "busy" | "space" | "stays"
                )
            })
            .take(6)
            .map(|s| clean(&format!("{} {}", s.name, s.text), 300))
            .collect();
        match (why.is_empty(), self.detail.is_empty()) {
            (false, _) => format!("{how}: {}", why.join("; ")),
            (true, false) => format!("{how}: {}", self.detail),
            (true, true) => how,
        }
    }

    /// What it said of one kind.
    pub fn of<'a>(&'a self, kind: &'a str) -> impl Iterator<Item = &'a Said> {
        self.said.iter().filter(move |s| s.kind == kind)
    }
}

/// A job as the host has told of it.
enum Driven {
    Ended(JobOutcome, Vec<u8>),
    /// It could not be begun: why.
    Refused(String),
    /// The host knows nothing of it, and it was not to be begun.
    Absent,
}

impl Host {
    /// A job whose program could be written.
    pub fn made(&self, job: Result<Job, NulInText>) -> Step<Job> {
        job.map_err(|e| {
            Halt::Ends(Verdict::of(
                PatchOutcome::Failed,
                format!("a job for this host cannot be written: {e}"),
            ))
        })
    }

    /// Has the job done, or finds what another process had done of it.
    pub async fn job(&mut self, job: &Job) -> Step<JobEnd> {
        if let Some(end) = self.recorded(&job.name) {
            return Ok(end);
        }
        let was_begun = self.past.has_begun(&job.name);
        self.tell(PatchEvent::JobStarting {
            host: self.name().to_owned(),
            job: job.name.clone(),
            what: job.what.clone(),
        })?;
        self.begun_jobs.insert(job.name.clone());
        self.latest = None;
        let begun = Instant::now();
        let driven = self
            .drive(&job.name, Some(job), was_begun, job.limit)
            .await?;
        match self.conclude(&job.name, driven, begun)? {
            Some(end) => Ok(end),
            None => Err(Halt::Journal("a job was begun and is absent".into())),
        }
    }

    /// A job that another process had begun, with whatever it was to do; `None`: the host knows
    /// nothing of it, or nobody had.
    pub async fn take_up(&mut self, name: &str, limit: u64) -> Step<Option<JobEnd>> {
        if let Some(end) = self.recorded(name) {
            return Ok(Some(end));
        }
        if !self.past.has_begun(name) {
            return Ok(None);
        }
        self.latest = None;
        let begun = Instant::now();
        let driven = self.drive(name, None, true, limit).await?;
        self.conclude(name, driven, begun)
    }

    /// A job whose end is in the journal.
    fn recorded(&self, name: &str) -> Option<JobEnd> {
        let ended = self.past.jobs.get(name)?.ended.as_ref()?;
        let log = match &ended.log {
            Some(kept) => self.kept(kept)?,
            None => Vec::new(),
        };
        Some(JobEnd {
            outcome: ended.outcome.clone(),
            said: (self.shared.speech.said)(&log),
            detail: ended.detail.clone(),
        })
    }

    /// Begins it and follows it to its end. `begun`: it may have been begun before.
    async fn drive(
        &mut self,
        name: &str,
        job: Option<&Job>,
        begun: bool,
        limit: u64,
    ) -> Step<Driven> {
        let speech = self.shared.speech;
        let run = self.shared.settings.run.clone();
        let whole = Instant::now() + Duration::from_secs(limit) + GRACE;
        // A host that was lost before and does not answer now either is not waited for that long:
        // the run can be taken up once more.
        let mut until = match begun {
            true => whole.min(Instant::now() + GRACE),
            false => whole,
        };
        let patience = Duration::from_secs(WAIT) + SLACK;
        let (mut log, mut offset) = (Vec::new(), 0);
        let mut locks = BTreeSet::new();
        let mut pause = Pause::default();
        // It is begun where it surely was not; otherwise the host is asked first.
        let mut starts = !begun;
        let mut was_seen = false;
        let mut refusals = 0;
        loop {
            let asked = match job.filter(|_| starts) {
                Some(job) => {
                    let make = |nonce: &Nonce| (speech.start)(&run, job, WAIT, nonce);
                    self.link.ask(&make, patience).await
                }
                None => {
                    let make = |nonce: &Nonce| Ok((speech.follow)(&run, name, offset, WAIT, nonce));
                    self.link.ask(&make, patience).await
                }
            };
            let said = match asked {
                Ok(said) => {
                    until = whole;
                    said
                }
                Err(Halt::Lost(error)) => {
                    pause.sleep(until, error).await?;
                    // A start whose answer was lost may have begun it.
                    starts = false;
                    continue;
                }
                Err(other) => return Err(other),
            };
            let followed = match (speech.read)(&said.frames, offset) {
                Ok(followed) => followed,
                Err(why) if !was_seen && refusals >= REFUSALS => {
                    return Ok(Driven::Refused(clean(&why, 400)));
                }
                // It may have been begun, or only its answer may have broken off.
                Err(why) => {
                    refusals += 1;
                    let error = ReachError::new(Phase::Run, clean(&why, 400));
                    pause.sleep(until, error).await?;
                    starts = false;
                    continue;
                }
            };
            pause = Pause::default();
            let room = LOG.saturating_sub(log.len());
            log.extend(followed.log.iter().take(room));
            offset = followed.offset;
            match followed.state {
                State::Ended(outcome) => return Ok(Driven::Ended(outcome, log)),
                State::Running => was_seen = true,
                State::Absent if was_seen => return Ok(Driven::Ended(JobOutcome::Died, log)),
                State::Absent if job.is_none() => return Ok(Driven::Absent),
                State::Absent if starts => {
                    return Ok(Driven::Refused("the host did not begin it".into()));
                }
                State::Absent => {
                    starts = true;
                    continue;
                }
            }
            starts = false;
            self.tell_locks(&(speech.said)(&log), &mut locks)?;
            if Instant::now() >= until {
                return Err(Halt::Lost(ReachError::new(
                    Phase::Run,
                    format!("the job `{name}` runs on and on, beyond its time"),
                )));
            }
        }
    }

    fn tell_locks(&self, said: &[Said], told: &mut BTreeSet<String>) -> Step<()> {
        for said in said.iter().filter(|s| s.kind == "lock") {
            let why = format!(
                "for the package manager's lock, which {} (process {}) holds",
                clean(&said.text, 200),
                clean(&said.name, 20)
            );
            if told.len() < 100 && told.insert(why.clone()) {
                self.tell(PatchEvent::Waits {
                    host: self.name().to_owned(),
                    why,
                })?;
            }
        }
        Ok(())
    }

    /// Keeps the log, and says what the job said and how it ended.
    fn conclude(&mut self, name: &str, driven: Driven, begun: Instant) -> Step<Option<JobEnd>> {
        let (outcome, log, refused) = match driven {
            Driven::Absent => return Ok(None),
            Driven::Ended(outcome, log) => (outcome, log, None),
            Driven::Refused(why) => (JobOutcome::Failed { status: -1 }, Vec::new(), Some(why)),
        };
        let said = (self.shared.speech.said)(&log);
        let detail = refused.unwrap_or_else(|| tail(&log));
        let kept = if log.is_empty() {
            None
        } else {
            let file = self.file_name("log", name, "txt");
            let sha256 = self.shared.recorder.file(&file, &log)?;
            Some((file, sha256))
        };
        for said in &said {
            if let Some(event) = self.event(said, name.starts_with("back"))
                && !self.past.told.contains(&event)
            {
                self.tell(event)?;
            }
        }
        let (log, sha256) = kept.unzip();
        self.tell(PatchEvent::JobEnded {
            host: self.name().to_owned(),
            job: name.to_owned(),
            outcome: outcome.clone(),
            detail: detail.clone(),
            log,
            sha256,
            millis: begun.elapsed().as_millis() as u64,
        })?;
        Ok(Some(JobEnd {
            outcome,
            said,
            detail,
        }))
    }

    /// What a line of a job means for the journal.
    fn event(&self, said: &Said, back: bool) -> Option<PatchEvent> {
        let host = self.name().to_owned();
        let mut words = said.text.split(' ');
        let mut word = || version(words.next().unwrap_or_default());
        Some(match said.kind.as_str() {
            "package" => PatchEvent::Changed {
                host,
                package: clean(&said.name, 200),
                from: word(),
                to: word(),
                back,
            },
            "conffile" => PatchEvent::Conffile {
                host,
                path: clean(&said.name, 400),
                what: word(),
                other: clean(&words.collect::<Vec<_>>().join(" "), 400),
            },
            "restarted" => PatchEvent::Restarted {
                host,
                unit: clean(&said.name, 200),
                well: word() == "0",
                detail: clean(&words.collect::<Vec<_>>().join(" "), 400),
            },
            "image" => {
                let image = containers::images_said(std::slice::from_ref(said)).pop()?;
                let plan = self.plan.images.iter().find(|i| i.container == said.name)?;
                PatchEvent::Image {
                    host,
                    engine: plan.engine,
                    container: image.container,
                    image: clean(&plan.image, 400),
                    from: image.from,
                    to: image.to,
                    outcome: image.outcome,
                    detail: image.detail,
                }
            }
            _ => return None,
        })
    }
}

/// A word that may stand for nothing.
fn version(word: &str) -> String {
    if word == "-" {
        String::new()
    } else {
        clean(word, 200)
    }
}

/// The last lines of a log that are not meant for us.
fn tail(log: &[u8]) -> String {
    const LINES: usize = 6;
    let end = log.len().saturating_sub(8 << 10);
    let text = String::from_utf8_lossy(log.get(end..).unwrap_or_default());
    let lines: Vec<&str> = text
        .lines()
        .filter(|l| !l.starts_with("@seawall") && !l.trim().is_empty())
        .collect();
    let from = lines.len().saturating_sub(LINES);
    clean(&lines.get(from..).unwrap_or_default().join(" | "), 600)
}

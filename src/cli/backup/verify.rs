//! `seawall backup verify POLICY`, and of a file that others made.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use jiff::Timestamp;

use crate::backup::judge::{self, Facts, Judgement};
use crate::backup::sidecar;
use crate::backup::{name, store};
use crate::document::policy::{Notify, Occasion, SourceDocument};
use crate::host::run::{HostEnd, RunEnd};
use crate::journal::{Event, HostOutcome};
use crate::model::{Finding, Status};
use crate::notify;
use crate::report::Choice;
use crate::shell::clean;
use crate::sign::Trusted;

use super::super::signing::own_trusted;
use super::super::treat::{self, Heading, Manner};
use super::ground::Ground;
use super::keys::{Keys, Place};
use super::look::{Holdings, holdings, look, open};
use super::work::Work;

/// Judge what the stores hold against the policy: without a key what can be known without it, with
/// one what is inside
///
/// Exit codes: 0 all as demanded; 1 something is not, or is not known; 2 it could not run, or was
/// interrupted; 3 nothing is known of some source.
#[derive(clap::Args)]
pub struct Args {
    /// The backup policy
    #[arg(required_unless_present = "file")]
    policy: Option<PathBuf>,
    /// Instead of a policy's stores: this archive, whoever made it (age, with a tar, tar.gz,
    /// tar.zst or a pg_dump in it)
    #[arg(long, value_name = "ARCHIVE", conflicts_with = "policy")]
    file: Option<PathBuf>,
    /// Only this source; may be given several times
    #[arg(long, value_name = "NAME")]
    source: Vec<String>,
    #[command(flatten)]
    keys: Keys,
    /// Read every backup in every store, not only the newest
    #[arg(long)]
    full: bool,
    /// One JSON document on standard output, and nothing else there
    #[arg(long)]
    json: bool,
    /// No progress; the summary only
    #[arg(short, long)]
    quiet: bool,
    /// Write the HTML report here as well
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Write a JUnit report here as well
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
}

impl Args {
    fn manner(&self) -> Manner {
        Manner {
            json: self.json,
            quiet: self.quiet,
            html: self.html.clone(),
            junit: self.junit.clone(),
            at_once: 1,
            ..Manner::default()
        }
    }
}

/// What is judged, one after the other, on a thread: a name, and how.
type Subject = (String, Judge);
type Judge = Box<dyn FnOnce(&Work) -> anyhow::Result<Judgement> + Send>;

pub fn run(args: Args) -> anyhow::Result<u8> {
    match &args.file {
        Some(file) => foreign(&args, file),
        None => ours(&args),
    }
}

fn ours(args: &Args) -> anyhow::Result<u8> {
    let path = args.policy.clone().unwrap_or_default();
    let ground = Arc::new(Ground::read(&path)?);
    let trusted = Arc::new(ground.trusted()?);
    let places = Arc::new(
        args.keys
            .gather(ground.policy().passphrase_env.as_deref())?,
    );
    let sources = ground.sources(&args.source)?;
    let subjects: Vec<Subject> = sources
        .iter()
        .map(|source| {
            let (ground, trusted, places) = (
                Arc::clone(&ground),
                Arc::clone(&trusted),
                Arc::clone(&places),
            );
            let (source, full) = ((*source).clone(), args.full);
            let name = source.source.clone();
            let judge: Judge =
                Box::new(move |work| of_source(&ground, &source, &trusted, &places, full, work));
            (name, judge)
        })
        .collect();
    let title = match places.is_empty() {
        true => format!(
            "{} (without a key: what is inside was not looked at)",
            ground.policy().title
        ),
        false => ground.policy().title.clone(),
    };
    let heading = heading(
        path.display().to_string(),
        title,
        ground.documents(),
        !places.is_empty(),
    );
    let notify = ground.policy().notify.clone();
    carry_out(
        args,
        heading,
        subjects,
        notify,
        ground.policy().policy.clone(),
    )
}

fn heading(
    playbook: String,
    title: String,
    documents: BTreeMap<String, String>,
    with_key: bool,
) -> Heading {
    let why = judge::explained(with_key);
    Heading {
        verb: "backup-verify",
        playbook,
        playbook_title: title,
        level: 1,
        hosts: Vec::new(),
        rules: why.len(),
        documents,
        data: BTreeMap::new(),
        why,
        choice: Choice::default(),
    }
}

fn carry_out(
    args: &Args,
    mut heading: Heading,
    subjects: Vec<Subject>,
    notify: Vec<Notify>,
    policy: String,
) -> anyhow::Result<u8> {
    heading.hosts = subjects.iter().map(|(name, _)| name.clone()).collect();
    let work = Arc::new(Work::default());
    treat::carry_out(&args.manner(), heading, |id, _, recorder| async move {
        let mut ends = Vec::new();
        let mut missed = Vec::new();
        for (source, judge) in subjects {
            let began = Instant::now();
            let on = Arc::clone(&work);
            let judged = tokio::task::spawn_blocking(move || judge(&on))
                .await
                .map_err(|e| format!("judging {source} ended badly: {e}"))?;
            let (findings, outcome, reason) = match judged {
                Ok(judgement) => {
                    if judgement.missed {
                        missed.push(source.clone());
                    }
                    let outcome = outcome(&judgement.findings);
                    (judgement.findings, outcome, None)
                }
                Err(error) => {
                    let why = clean(&super::super::told(&error), 600);
                    (Vec::new(), HostOutcome::Unknown, Some(why))
                }
            };
            recorder.event(Event::Judged {
                host: source.clone(),
                findings: findings.clone(),
            })?;
            recorder.event(Event::HostEnded {
                host: source.clone(),
                outcome,
                reason,
                millis: began.elapsed().as_millis() as u64,
            })?;
            ends.push(HostEnd {
                host: source,
                outcome,
                findings,
            });
        }
        for text in tell(&notify, &policy, &ends, &missed, id.as_str()).await {
            recorder.event(Event::Note { host: None, text })?;
        }
        Ok(RunEnd {
            hosts: ends,
            stopped: None,
        })
    })
}

fn outcome(findings: &[Finding]) -> HostOutcome {
    let any = |status| findings.iter().any(|f| f.status == status);
    match () {
        // Nothing at all is known: no store could be asked.
        () if !findings
            .iter()
            .any(|f| matches!(f.status, Status::Pass | Status::Fail | Status::Manual)) =>
        {
            HostOutcome::Unknown
        }
        () if any(Status::Fail) || any(Status::Unknown) => HostOutcome::Findings,
        () => HostOutcome::Clean,
    }
}

/// Tells those who want to know; what went wrong with that, and who was told.
async fn tell(
    notify: &[Notify],
    policy: &str,
    ends: &[HostEnd],
    missed: &[String],
    run: &str,
) -> Vec<String> {
    let bad: Vec<&HostEnd> = ends
        .iter()
        .filter(|e| e.outcome != HostOutcome::Clean)
        .collect();
    // A missed schedule alone is that, and no failure besides.
    let failed = bad.iter().any(|end| {
        end.findings.is_empty()
            || end.findings.iter().any(|f| {
                matches!(f.status, Status::Fail | Status::Unknown)
                    && !(missed.contains(&end.host)
                        && matches!(f.rule.as_str(), "backup.on-schedule" | "backup.fresh"))
            })
    });
    let mut occasions = Vec::new();
    if !missed.is_empty() {
        let title = format!(
            "{policy}: a scheduled backup was missed: {}",
            missed.join(", ")
        );
        occasions.push((Occasion::Missed, title));
    }
    if failed {
        let title = format!(
            "{policy}: {} of {} sources are not as demanded",
            bad.len(),
            ends.len()
        );
        occasions.push((Occasion::Failure, title));
    }
    if bad.is_empty() {
        let title = format!(
            "{policy}: the backups of {} sources are as demanded",
            ends.len()
        );
        occasions.push((Occasion::Success, title));
    }
    let lines: Vec<String> = bad
        .iter()
        .flat_map(|end| &end.findings)
        .filter(|f| matches!(f.status, Status::Fail | Status::Unknown))
        .map(|f| format!("{}: {} {}: {}", f.host, f.status.word(), f.rule, f.actual))
        .collect();
    let mut notes = Vec::new();
    for (occasion, title) in occasions {
        let message = notify::Message {
            title,
            lines: lines.clone(),
            report: None,
            run: Some(run.to_owned()),
        };
        for told in notify::tell(notify, occasion, &message).await {
            notes.push(match told.well {
                true => format!("{} was told", told.whom),
                false => format!("{} was NOT told: {}", told.whom, told.detail),
            });
        }
    }
    notes
}

fn of_source(
    ground: &Ground,
    source: &SourceDocument,
    trusted: &Trusted,
    places: &[Place],
    full: bool,
    work: &Work,
) -> anyhow::Result<Judgement> {
    let all: Holdings = holdings(ground, source, trusted)?;
    let (mut looked, mut opened) = (Vec::new(), Vec::new());
    for name in all.names(full) {
        for (at, (label, store)) in all.holders(&name).enumerate() {
            let progress = work.next(&format!("{name} in {label}"));
            let read = || store.open(&name).map_err(|e| e.to_string());
            looked.push(look(read(), label, &name, &progress));
            // The others hold the same bytes, or `places` says that they do not.
            if at == 0 && !places.is_empty() {
                opened.push(open(&read, label, &name, places, &progress));
            }
        }
    }
    let expected = match &ground.policy().passphrase_env {
        // Only how, and not with which: the passphrase is not needed to look at a header.
        Some(_) => Ok(crate::backup::age::Recipients::passphrase(String::new().into()).expected()),
        None => ground
            .recipients()
            .map(|recipients| recipients.expected())
            .map_err(|e| super::super::told(&e)),
    };
    Ok(judge::judge(&Facts {
        policy: ground.policy(),
        source,
        now: Timestamp::now(),
        held: &all.held,
        looked: &looked,
        expected,
        opened: (!places.is_empty()).then_some(opened.as_slice()),
    }))
}

/// An archive by itself, whoever made it.
fn foreign(args: &Args, file: &Path) -> anyhow::Result<u8> {
    anyhow::ensure!(
        args.source.is_empty(),
        "--source belongs to a policy, and there is none"
    );
    let places = Arc::new(args.keys.gather(None)?);
    let trusted = own_trusted()?;
    // Whether it is there is told before a run begins.
    drop(store::file(file)?);
    let title = match places.is_empty() {
        true => "An archive by itself (without a key: what is inside was not looked at)",
        false => "An archive by itself",
    };
    let shown = clean(&file.display().to_string(), 200);
    let heading = heading(
        shown.clone(),
        title.to_owned(),
        BTreeMap::new(),
        !places.is_empty(),
    );
    let path = file.to_owned();
    let with = Arc::clone(&places);
    let judge = move |work: &Work| {
        let progress = work.next(&shown);
        let read = || store::file(&path).map_err(|e| e.to_string());
        let looked = look(read(), "file", &shown, &progress);
        let opened = (!with.is_empty()).then(|| open(&read, "file", &shown, &with, &progress));
        Ok(judge::foreign(
            &shown,
            &looked,
            beside(&path, &trusted).as_ref(),
            opened.as_ref(),
        ))
    };
    let subject = clean(&file.file_name().unwrap_or_default().to_string_lossy(), 100);
    carry_out(
        args,
        heading,
        vec![(subject, Box::new(judge))],
        Vec::new(),
        String::new(),
    )
}

/// The sidecar beside a file, where there is one.
fn beside(file: &Path, trusted: &Trusted) -> Option<crate::backup::catalog::Vouched> {
    let named = |ending: fn(&str) -> String| PathBuf::from(ending(&file.display().to_string()));
    let small = |path: PathBuf, limit: u64| {
        let blob = store::file(&path).ok()?;
        (blob.size() <= limit).then_some(())?;
        std::fs::read(path).ok()
    };
    let bytes = small(named(name::sidecar), sidecar::LARGEST)?;
    let signature = small(named(name::signature), sidecar::LARGEST_SIGNATURE);
    Some(sidecar::check(&bytes, signature.as_deref(), trusted))
}

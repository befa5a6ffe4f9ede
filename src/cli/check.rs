//! `seawall check PLAYBOOK -i INVENTORY`

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context;

use crate::host::judge;
use crate::host::plan;
use crate::host::run::{self, HostEnd, Mode, RunEnd, Settings};
use crate::host::snapshot::Snapshot;
use crate::journal::{Event, HostOutcome};
use crate::model::Status;

use super::setup::{Documents, Ready, today};
use super::treat::{Heading, Manner, carry_out};

/// Observe hosts and say what falls short of the playbook's baselines; writes nothing on them
#[derive(clap::Args)]
#[command(override_usage = "seawall check [OPTIONS] <PLAYBOOK> -i <FILE|HOSTS>
       seawall check [OPTIONS] <PLAYBOOK> --snapshot <FILE>")]
pub struct Args {
    #[command(flatten)]
    documents: Documents,
    #[command(flatten)]
    manner: Manner,
    /// Judge this saved snapshot instead of a host
    #[arg(long, value_name = "FILE")]
    snapshot: Option<PathBuf>,
}

pub fn run(mut args: Args) -> anyhow::Result<u8> {
    if let Some(path) = args.snapshot.take() {
        return check_snapshot(args, &path);
    }
    let ready = args.documents.prepare()?;
    // Diffs are of what would be changed, so there must be a plan. Neither writes anything.
    let (verb, mode) = match args.manner.diff {
        true => ("dry-run", Mode::DryRun),
        false => ("check", Mode::Check),
    };
    let heading = heading(verb, &args.documents, &ready);
    let settings = |id| {
        let only = args.documents.clone();
        Settings {
            sessions: args.manner.at_once,
            wanted: Arc::new(move |rule| only.wants(rule)),
            ..Settings::new(id, mode, today())
        }
    };
    let jobs = filtered(&args.documents, &ready)?;
    carry_out(&args.manner, heading, |id, reach, recorder| {
        run::run(jobs, settings(id), reach, recorder)
    })
}

/// The jobs with only those rules that `--rule` lets through.
pub fn filtered(documents: &Documents, ready: &Ready) -> anyhow::Result<Vec<run::Job>> {
    if documents.rule.is_empty() {
        return Ok(ready.jobs.clone());
    }
    ready
        .jobs
        .iter()
        .map(|job| {
            let set = &job.rules;
            let rules = set
                .rules
                .iter()
                .filter(|r| documents.wants(&r.id))
                .cloned()
                .collect();
            Ok(run::Job {
                target: job.target.clone(),
                rules: Arc::new(crate::host::rules::RuleSet::new(
                    rules,
                    set.variables.clone(),
                    set.waivers.clone(),
                )?),
            })
        })
        .collect()
}

/// The first event's words for a run of this playbook.
pub fn heading(verb: &'static str, documents: &Documents, ready: &Ready) -> Heading {
    Heading {
        verb,
        playbook: documents.playbook.display().to_string(),
        playbook_title: ready.loaded.playbook.title.clone(),
        level: ready.level,
        hosts: ready.jobs.iter().map(|j| j.target.name.clone()).collect(),
        rules: ready
            .jobs
            .iter()
            .map(|j| j.rules.rules.len())
            .max()
            .unwrap_or(0),
        documents: ready.documents.clone(),
        data: ready.data.clone(),
        why: ready
            .jobs
            .iter()
            .flat_map(|job| &job.rules.rules)
            .map(|rule| (rule.id.clone(), rule.why.trim().to_owned()))
            .collect(),
        inventory: documents.inventory.clone(),
    }
}

/// Judges a snapshot that was saved before, against today's documents.
fn check_snapshot(mut args: Args, path: &std::path::Path) -> anyhow::Result<u8> {
    let text =
        std::fs::read(path).with_context(|| format!("reading the snapshot {}", path.display()))?;
    let snapshot: Snapshot = serde_json::from_slice(&text).with_context(|| {
        format!(
            "{} is not a snapshot (a run's folder has some: snapshot-HOST-before.json)",
            path.display()
        )
    })?;
    anyhow::ensure!(
        snapshot.format == 1,
        "{} has format {}, and this version reads format 1",
        path.display(),
        snapshot.format
    );
    let host = snapshot.host.clone();
    if args.documents.inventory.is_none() {
        // The host's own name is all that the documents need of an inventory.
        args.documents.inventory = Some(format!("{host},"));
    }
    args.documents.limit = vec![host.clone()];
    let ready = args.documents.prepare()?;
    let heading = heading("check", &args.documents, &ready);
    let jobs = filtered(&args.documents, &ready)?;
    carry_out(&args.manner, heading, |_, _, recorder| async move {
        let Some(job) = jobs.first() else {
            return Err(format!("{host} is not one of the playbook's hosts"));
        };
        let mut judged = judge::judge(&job.rules, &snapshot, today());
        plan::plan(&job.rules, &mut judged, &snapshot, &|_| true);
        let findings: Vec<_> = judged.into_iter().map(|j| j.finding).collect();
        let falls_short = findings
            .iter()
            .any(|f| matches!(f.status, Status::Fail | Status::Unknown));
        let outcome = if falls_short {
            HostOutcome::Findings
        } else {
            HostOutcome::Clean
        };
        let name = run::file_name("snapshot", &host, "saved");
        let sha256 = recorder.file(&name, &text)?;
        recorder.event(Event::Observed {
            host: host.clone(),
            snapshot: name,
            sha256,
            millis: 0,
            bytes: text.len() as u64,
            when: format!("saved at {}", crate::shell::clean(&snapshot.taken, 40)),
        })?;
        recorder.event(Event::Judged {
            host: host.clone(),
            findings: findings.clone(),
        })?;
        recorder.event(Event::HostEnded {
            host: host.clone(),
            outcome,
            reason: None,
            millis: 0,
        })?;
        Ok(RunEnd {
            hosts: vec![HostEnd {
                host,
                outcome,
                findings,
            }],
            stopped: None,
        })
    })
}

//! `seawall backup create POLICY`

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use anyhow::Context;
use indicatif::HumanBytes;
use serde::Serialize;

use crate::backup::create::{Creation, create};
use crate::document::policy::{Occasion, SourceDocument};
use crate::host::run::code;
use crate::journal::{Event, Journal, SystemClock};
use crate::notify;
use crate::shell::clean;
use crate::sign::SigningKey;

use super::super::say;
use super::super::signing::{seal, signing_key};
use super::super::treat::{runs, who};
use super::ground::Ground;
use super::work::{Shown, Work, carry_out, wait};

/// Make a backup of each source, encrypted and signed, in all its stores or in none
///
/// Exit codes: 0 all were made; 1 one failed, or something was left out of one (each file is named);
/// 2 it could not run, or was interrupted: then nothing partial stays.
#[derive(clap::Args)]
pub struct Args {
    /// The backup policy
    policy: PathBuf,
    /// Only this source; may be given several times
    #[arg(long, value_name = "NAME")]
    source: Vec<String>,
    /// One JSON document on standard output, and nothing else there
    #[arg(long)]
    json: bool,
    /// No progress
    #[arg(short, long)]
    quiet: bool,
}

/// What became of one source.
#[derive(Serialize)]
struct Made {
    source: String,
    made: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    stores: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    data_time: Option<String>,
    /// Of the plaintext and of the ciphertext.
    bytes: u64,
    size: u64,
    files: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    sha256: Option<String>,
    millis: u64,
    warnings: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

#[derive(Serialize)]
struct Document<'a> {
    run: &'a str,
    policy: &'a str,
    code: u8,
    #[serde(skip_serializing_if = "Option::is_none")]
    stopped: Option<&'a str>,
    sources: &'a [Made],
}

pub fn run(args: Args) -> anyhow::Result<u8> {
    let begun = Instant::now();
    let ground = Ground::read(&args.policy)?;
    let policy = ground.policy();
    let sources = ground.sources(&args.source)?;
    let recipients = ground.recipients()?;
    let signer =
        signing_key(true)?.context("there is no signing key: `seawall keygen` makes one")?;
    counts(&signer, &policy.signers)?;
    let (id, writer) = runs()?.create(Arc::new(SystemClock), random)?;
    let journal = Journal::new(writer);
    journal.append(&Event::RunStarted {
        run: id.clone(),
        verb: "backup-create".into(),
        version: env!("CARGO_PKG_VERSION").into(),
        playbook: args.policy.display().to_string(),
        playbook_title: policy.title.clone(),
        level: 1,
        hosts: Vec::new(),
        rules: 0,
        documents: ground.documents(),
        by: who(),
        data: BTreeMap::new(),
    })?;
    let work = Work::default();
    let shown = match args.quiet || args.json {
        true => Shown::Nothing,
        false => Shown::Live,
    };
    let (made, signal) = carry_out(&work, shown, || -> anyhow::Result<Vec<Made>> {
        let mut all = Vec::new();
        for source in &sources {
            if work.is_stopped() {
                break;
            }
            let progress = work.next(&source.source);
            let began = Instant::now();
            let result = one(&ground, source, &recipients, &signer, &progress);
            let one = outcome(source, result, began.elapsed().as_millis() as u64);
            journal.append(&event(&one))?;
            if shown == Shown::Live {
                eprintln!("{}", line(&one));
            }
            all.push(one);
        }
        Ok(all)
    })?;
    let made = made?;
    let failed = made.iter().any(|one| !one.made || !one.warnings.is_empty());
    let code = match (signal, failed) {
        (Some(_), _) => code::NOT_RUN,
        (None, true) => code::FINDINGS,
        (None, false) => code::WELL,
    };
    let stopped = signal.map(|signal| format!("{signal}; nothing partial was kept"));
    journal.append(&Event::RunEnded {
        code,
        millis: begun.elapsed().as_millis() as u64,
        stopped: stopped.clone(),
    })?;
    seal(&journal, Some(&signer), args.quiet || args.json)?;
    if args.json {
        let document = Document {
            run: &id,
            policy: &policy.policy,
            code,
            stopped: stopped.as_deref(),
            sources: &made,
        };
        say(&format!("{}\n", serde_json::to_string_pretty(&document)?))?;
    } else if shown == Shown::Nothing {
        // Quiet: what went wrong is told all the same.
        for one in made
            .iter()
            .filter(|one| !one.made || !one.warnings.is_empty())
        {
            eprintln!("{}", line(one));
        }
    }
    tell(&ground, &made, stopped, &id)?;
    Ok(code)
}

fn random() -> u32 {
    uuid::Uuid::new_v4().as_u128() as u32
}

/// Backups that nobody would accept must not be made.
fn counts(signer: &SigningKey, signers: &[String]) -> anyhow::Result<()> {
    let bare = |line: &str| {
        line.split_whitespace()
            .take(2)
            .collect::<Vec<_>>()
            .join(" ")
    };
    let own = signer.public_line();
    anyhow::ensure!(
        signers.is_empty() || signers.iter().any(|line| bare(line) == bare(&own)),
        "this machine's key is not among the policy's `signers`, so its backups would not count; \
         add this line there, or name another key in $SEAWALL_SIGNING_KEY: {own}"
    );
    Ok(())
}

type Outcome = anyhow::Result<(crate::backup::sidecar::Sidecar, Vec<String>, Vec<String>)>;

fn one(
    ground: &Ground,
    source: &SourceDocument,
    recipients: &crate::backup::age::Recipients,
    signer: &SigningKey,
    progress: &crate::backup::Progress,
) -> Outcome {
    let mut stores = BTreeMap::new();
    for (name, document) in ground.stores(source, None)? {
        stores.insert(name.to_owned(), ground.open(document)?);
    }
    let names = stores.keys().cloned().collect();
    let (sidecar, warnings) = create(&Creation {
        policy: ground.policy(),
        source,
        recipients,
        stores,
        signer,
        random: random(),
        progress,
    })?;
    Ok((sidecar, warnings, names))
}

fn outcome(source: &SourceDocument, result: Outcome, millis: u64) -> Made {
    match result {
        Ok((sidecar, warnings, stores)) => Made {
            source: source.source.clone(),
            made: true,
            name: Some(sidecar.archive),
            stores,
            data_time: Some(sidecar.data_time),
            bytes: sidecar.bytes,
            size: sidecar.size,
            files: sidecar.files,
            sha256: Some(sidecar.sha256),
            millis,
            warnings: warnings.iter().map(|w| clean(w, 500)).collect(),
            reason: None,
        },
        Err(error) => Made {
            source: source.source.clone(),
            made: false,
            name: None,
            stores: Vec::new(),
            data_time: None,
            bytes: 0,
            size: 0,
            files: 0,
            sha256: None,
            millis,
            warnings: Vec::new(),
            reason: Some(clean(&super::super::told(&error), 1000)),
        },
    }
}

fn event(made: &Made) -> Event {
    match (&made.name, &made.data_time, &made.sha256) {
        (Some(name), Some(data_time), Some(sha256)) => Event::BackupMade {
            source: made.source.clone(),
            name: name.clone(),
            stores: made.stores.clone(),
            data_time: data_time.clone(),
            bytes: made.bytes,
            size: made.size,
            files: made.files,
            sha256: sha256.clone(),
            millis: made.millis,
            warnings: made.warnings.clone(),
        },
        _ => Event::BackupFailed {
            source: made.source.clone(),
            reason: made.reason.clone().unwrap_or_default(),
        },
    }
}

fn line(made: &Made) -> String {
    let Some(name) = &made.name else {
        let reason = made.reason.as_deref().unwrap_or("no reason is known");
        return format!("{}: NOT MADE: {reason}", made.source);
    };
    let seconds = (made.millis as f64 / 1000.0).max(0.001);
    let mut text = format!(
        "{}: {name} in {}: {} files, {} → {}, {:.1} s, {}/s",
        made.source,
        made.stores.join(", "),
        made.files,
        HumanBytes(made.bytes),
        HumanBytes(made.size),
        seconds,
        HumanBytes((made.bytes as f64 / seconds) as u64),
    );
    for warning in &made.warnings {
        text.push_str(&format!("\n  warning: {warning}"));
    }
    text
}

/// Tells those who want to know.
fn tell(ground: &Ground, made: &[Made], stopped: Option<String>, run: &str) -> anyhow::Result<()> {
    let policy = ground.policy();
    let failed: Vec<&Made> = made.iter().filter(|one| !one.made).collect();
    let occasion = match failed.is_empty() && stopped.is_none() {
        true => Occasion::Success,
        false => Occasion::Failure,
    };
    if !policy.notify.iter().any(|one| one.on.contains(&occasion)) {
        return Ok(());
    }
    let title = match (occasion, &stopped) {
        (Occasion::Success, _) => format!("{}: {} backups made", policy.policy, made.len()),
        (_, Some(stopped)) => format!("{}: stopped: {stopped}", policy.policy),
        _ => format!(
            "{}: {} of {} backups failed",
            policy.policy,
            failed.len(),
            made.len()
        ),
    };
    let message = notify::Message {
        title,
        lines: made.iter().map(line).collect(),
        report: None,
        run: Some(run.to_owned()),
    };
    for told in wait(notify::tell(&policy.notify, occasion, &message))? {
        if !told.well {
            eprintln!("seawall: {} was not told: {}", told.whom, told.detail);
        }
    }
    Ok(())
}

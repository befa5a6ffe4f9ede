//! `seawall drill run` and `resume`: the engine with its journal, its signals, and what a person
//! sees of it.

use std::future::Future;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{Manner, load};
use crate::cli::signing::{seal, signing_key};
use crate::cli::treat::{runs, terminal_size, who, write};
use crate::cli::{colour, say};
use crate::document::policy::Occasion;
use crate::drill::clock::{DrillClock, boot_id, boottime_ms};
use crate::drill::plan::Plan;
use crate::drill::provider::Provider;
use crate::drill::run::{self, Live, RunError, Setup, Stop, Tell};
use crate::drill::verdict::judge;
use crate::journal::{DrillEvent, Event, Journal, RunFolder, SystemClock, state_dir};
use crate::model::drill::{Verdict, VerdictWord};
use crate::notify::{self, Message};
use crate::report::drill::{self as report, progress};
use crate::sign::SigningKey;

pub fn run(file: &Path, manner: &Manner) -> anyhow::Result<u8> {
    let plan = load::plan(file)?;
    let provider = load::means(&plan, load::identities(&plan)?)?.provider();
    let key = key()?;
    let (id, writer) = runs()?
        .create(Arc::new(SystemClock), || {
            uuid::Uuid::new_v4().as_u128() as u32
        })
        .map_err(|e| {
            anyhow::anyhow!(
                "{e}; nothing was done: set SEAWALL_STATE_DIR to a folder that you can write to"
            )
        })?;
    let setup = setup(id, plan, provider, Journal::new(writer), manner)?;
    let end = play(&setup, run::run)?;
    finish(&setup, key.as_ref(), manner)?;
    Ok(end.code)
}

pub fn resume(wanted: &str, manner: &Manner) -> anyhow::Result<u8> {
    let folder = runs()?.find(wanted)?;
    let plan = load::kept(&folder)?;
    if folder.is_sealed() {
        return ended(&folder, manner);
    }
    let Some(plan) = plan else {
        return end_unbegun(&folder, manner);
    };
    let provider = load::means(&plan, load::identities(&plan)?)?.provider();
    let key = key()?;
    let (folder, writer) = runs()?.resume(&folder.id, Arc::new(SystemClock))?;
    let setup = setup(folder.id, plan, provider, Journal::new(writer), manner)?;
    let end = play(&setup, run::resume)?;
    finish(&setup, key.as_ref(), manner)?;
    Ok(end.code)
}

/// There is nothing to go on with: whoever asks twice gets the same answer.
fn ended(folder: &RunFolder, manner: &Manner) -> anyhow::Result<u8> {
    eprintln!("seawall: run {} has come to its end already", folder.id);
    let mut code = run::code::NOT_RUN;
    for record in folder.open()? {
        if let Event::RunEnded { code: known, .. } = record?.event {
            code = known;
        }
    }
    show(&folder.id, &folder.path, manner)?;
    Ok(code)
}

/// Ends a run whose process died before it said what it was: it had made nothing.
pub fn end_unbegun(folder: &RunFolder, manner: &Manner) -> anyhow::Result<u8> {
    let key = key()?;
    let (folder, writer) = runs()?.resume(&folder.id, Arc::new(SystemClock))?;
    let journal = Journal::new(writer);
    let records = folder.open()?.collect::<Result<Vec<_>, _>>()?;
    let verdict = judge(&records);
    journal.append(&Event::Drill(DrillEvent::Judged { verdict }))?;
    journal.append(&Event::RunEnded {
        code: run::code::NOT_RUN,
        millis: 0,
        stopped: Some("its process died before anything was begun".to_owned()),
    })?;
    seal(&journal, key.as_ref(), manner.quiet || manner.json)?;
    eprintln!(
        "seawall: run {} died before anything of it was begun, and is ended",
        folder.id
    );
    Ok(run::code::NOT_RUN)
}

/// The key is asked for before anything is done.
pub fn key() -> anyhow::Result<Option<SigningKey>> {
    signing_key(false).map_err(|e| anyhow::anyhow!("{e}; nothing was done"))
}

/// What the engine is given.
pub fn setup(
    id: String,
    plan: Plan,
    provider: Arc<dyn Provider>,
    journal: Journal,
    manner: &Manner,
) -> anyhow::Result<Setup> {
    let live = Live::default();
    if !manner.quiet && !manner.json {
        let mut shown = progress::Progress::new(progress_mode(), Arc::new(live.poll()));
        journal.subscribe(Box::new(move |record| shown.take(record)));
    }
    let plan = Arc::new(plan);
    Ok(Setup {
        tell: Some(teller(&id, &plan, manner)?),
        run: id,
        plan,
        provider,
        journal,
        clock: Arc::new(DrillClock::new(boottime_ms)),
        boot_id: boot_id().unwrap_or_else(|| "unknown".to_owned()),
        wall: Arc::new(SystemClock),
        by: who(),
        live,
        stop: Stop::default(),
    })
}

fn progress_mode() -> progress::Mode {
    use std::io::IsTerminal;
    match terminal_size() {
        Some((height, width)) if std::io::stderr().is_terminal() => {
            progress::Mode::Bars { height, width }
        }
        _ => progress::Mode::Plain(Box::new(std::io::stderr())),
    }
}

/// Tells those whom the drill names.
fn teller(id: &str, plan: &Arc<Plan>, manner: &Manner) -> anyhow::Result<Tell> {
    let (id, plan, page) = (id.to_owned(), plan.clone(), page(id, manner)?);
    Ok(Arc::new(move |verdict: Verdict| {
        let (id, plan, page) = (id.clone(), plan.clone(), page.clone());
        Box::pin(async move {
            let (occasion, word) = match verdict.word {
                VerdictWord::Met => (Occasion::Success, "met"),
                VerdictWord::Missed => (Occasion::Failure, "MISSED"),
                VerdictWord::Inconclusive => (Occasion::Failure, "INCONCLUSIVE"),
            };
            let message = Message {
                title: format!("Drill {}: {word}", plan.drill.drill),
                lines: verdict.reasons,
                report: Some(page.display().to_string()),
                run: Some(id),
            };
            let told = notify::tell(&plan.drill.notify, occasion, &message).await;
            told.into_iter()
                .map(|told| (told.whom, told.well, told.detail))
                .collect()
        })
    }))
}

/// Of each thread that carries steps out. Only what is used of it takes memory.
pub const STACK: usize = 16 << 20;

/// Lets the engine work until it ends. The first signal stops it, with teardown and verdict; the
/// second one leaves at once.
pub fn play<F, T>(setup: &Setup, work: impl FnOnce(Setup) -> F) -> anyhow::Result<T>
where
    F: Future<Output = Result<T, RunError>>,
{
    let runtime = tokio::runtime::Builder::new_multi_thread()
        // The AWS SDK's futures are large, in a build without optimization above all.
        .thread_stack_size(STACK)
        .enable_all()
        .build()?;
    let done = runtime.block_on(async {
        let heed = tokio::spawn(heed(setup.stop.clone(), setup.run.clone()));
        let done = work(setup.clone()).await;
        heed.abort();
        done
    });
    // What was told to stop and did not is not waited for.
    runtime.shutdown_background();
    done.map_err(|error| match error {
        RunError::Journal(_) => anyhow::anyhow!(
            "{error}; what was made is taken away as far as it would go: \
             `seawall drill sweep {}` looks again",
            setup.run
        ),
        other => other.into(),
    })
}

async fn heed(stop: Stop, run: String) {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut interrupt), Ok(mut terminate), Ok(mut hangup)) = (
        signal(SignalKind::interrupt()),
        signal(SignalKind::terminate()),
        signal(SignalKind::hangup()),
    ) else {
        return;
    };
    let mut before = false;
    loop {
        let what = tokio::select! {
            _ = interrupt.recv() => "interrupted",
            _ = terminate.recv() => "terminated",
            // The terminal is gone; what was made is to go too.
            _ = hangup.recv() => "the terminal was closed",
        };
        if before {
            eprintln!(
                "seawall: left at once; `seawall drill sweep {run}` takes away what is there"
            );
            std::process::exit(i32::from(run::code::NOT_RUN));
        }
        before = true;
        eprintln!("seawall: {what}; tearing down (once more: leave at once)");
        stop.stop(what);
    }
}

/// Where the run's page goes.
fn page(id: &str, manner: &Manner) -> anyhow::Result<PathBuf> {
    match &manner.html {
        Some(path) => Ok(path.clone()),
        None => Ok(state_dir(|name| std::env::var_os(name))?
            .join("reports")
            .join(format!("{id}.html"))),
    }
}

/// Seals the run, and shows what came of it.
pub fn finish(setup: &Setup, key: Option<&SigningKey>, manner: &Manner) -> anyhow::Result<()> {
    seal(&setup.journal, key, manner.quiet || manner.json)?;
    show(&setup.run, &setup.journal.dir(), manner)
}

/// From the journal alone.
fn show(run: &str, folder: &Path, manner: &Manner) -> anyhow::Result<()> {
    let view = report::load(folder)?;
    let page = page(run, manner)?;
    // First what is at hand: a report that cannot be written must not hide how it went.
    if manner.json {
        say(&report::json::text(&view)?)?;
    } else {
        let look = report::Look {
            color: colour(&std::io::stdout()),
            width: terminal_size().map_or(100, |(_, width)| width.clamp(60, 160)),
            page: Some(page.display().to_string()),
        };
        say(&report::summary(&view, &look))?;
    }
    let done = |error: anyhow::Error| {
        anyhow::anyhow!(
            "{error}; the drill itself is done and kept: `seawall drill report {}` writes its \
             report again",
            run
        )
    };
    if manner.html.is_none()
        && let Some(folder) = page.parent()
    {
        std::fs::create_dir_all(folder).map_err(|e| {
            done(anyhow::anyhow!(
                "making the folder {}: {e}",
                folder.display()
            ))
        })?;
    }
    let trend = report::trend(&runs()?, &view.drill)?;
    write(&page, &report::html(&view, &trend)?).map_err(done)?;
    if let Some(path) = &manner.junit {
        write(path, &report::junit::text(&view)).map_err(done)?;
    }
    Ok(())
}

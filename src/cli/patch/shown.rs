//! What a person sees of a patch run, while it goes on and at its end: made from the journal alone.

use std::path::Path;

use super::Manner;
use crate::cli::treat::{terminal_size, write};
use crate::cli::{colour, say};
use crate::journal::Journal;
use crate::report::patch::{self as report, Look, PatchView, progress};
use crate::report::progress::Pause;

/// Shows the journal's events as they come; what takes the bars away while somebody is asked.
pub fn listen(journal: &Journal, manner: &Manner) -> Option<Pause> {
    if manner.quiet || manner.json {
        return None;
    }
    let mut shown = progress::Progress::new(mode());
    let pause = shown.pause();
    journal.subscribe(Box::new(move |record| shown.take(record)));
    pause
}

/// Bars where standard error is a terminal, a line per host elsewhere.
fn mode() -> progress::Mode {
    use std::io::IsTerminal;
    match terminal_size() {
        Some((height, width)) if std::io::stderr().is_terminal() => {
            progress::Mode::Bars { height, width }
        }
        _ => progress::Mode::Plain(Box::new(std::io::stderr())),
    }
}

/// As wide and as colourful as standard output allows.
pub fn look(page: Option<&Path>, full: bool) -> Look {
    Look {
        color: colour(&std::io::stdout()),
        width: terminal_size().map_or(100, |(_, width)| width.clamp(60, 160)),
        page: page.map(|page| page.display().to_string()),
        full,
    }
}

/// Tells how it went, and writes the reports that were asked for.
pub fn show(folder: &Path, manner: &Manner) -> anyhow::Result<()> {
    let view = report::load(folder)?;
    // First what is at hand: a report that cannot be written must not hide how it went.
    if manner.json {
        say(&report::json::text(&view)?)?;
    } else {
        say(&report::summary(
            &view,
            &look(manner.html.as_deref(), manner.full),
        ))?;
    }
    reports(&view, manner).map_err(|error| {
        anyhow::anyhow!(
            "{error}; the run itself is done and kept: `seawall report {}` writes its report again",
            view.run
        )
    })
}

fn reports(view: &PatchView, manner: &Manner) -> anyhow::Result<()> {
    if let Some(path) = &manner.html {
        write(path, &report::html(view)?)?;
    }
    if let Some(path) = &manner.junit {
        write(path, &report::junit::text(view))?;
    }
    Ok(())
}

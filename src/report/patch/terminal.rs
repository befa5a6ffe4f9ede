//! The summary at the end of a plan or a run, for a tired person: the verdict first, then what
//! went wrong, then the rest.

use super::fold::{HostView, PatchView};
use super::words::{Verdict, WORST_FIRST, done, outcome_ink, outcome_word, run_for_commands};
use crate::model::patch::PatchOutcome;
use crate::report::drill::words::span;
use crate::report::words::{count, pad, widest};
use crate::shell::clean;

mod changes;
pub(super) mod out;
mod preview;

use out::Out;
pub(super) use preview::{gist, whose};

/// How the summary is to look.
#[derive(Clone, Debug)]
pub struct Look {
    /// Escapes for colour; never where `NO_COLOR` is set or the output is no terminal.
    pub color: bool,
    /// Columns.
    pub width: usize,
    /// Where the page is, if one was made.
    pub page: Option<String>,
    /// Long lists are not cut.
    pub full: bool,
}

impl Default for Look {
    fn default() -> Self {
        Look {
            color: false,
            width: 100,
            page: None,
            full: false,
        }
    }
}

/// The whole summary, with a newline at its end.
pub fn summary(view: &PatchView, look: &Look) -> String {
    let mut out = Out::new(look);
    head(&mut out, view);
    verdict(&mut out, view);
    if view.is_plan() {
        preview::not_planned(&mut out, view);
        preview::plans(&mut out, view);
    } else {
        hosts(&mut out, view);
        changes::packages(&mut out, view);
        changes::conffiles(&mut out, view);
        changes::images(&mut out, view);
        waves(&mut out, view);
    }
    notes(&mut out, view);
    report(&mut out, view, look);
    out.text
}

fn head(out: &mut Out, view: &PatchView) {
    let title = match view.title.is_empty() {
        true => &view.patch,
        false => &view.title,
    };
    let mut facts = vec![clean(title, 60), count(view.hosts.len(), "host")];
    if view.waves.len() > 1 {
        facts.push(count(view.waves.len(), "wave"));
    }
    if let Some(ended) = &view.ended {
        facts.push(span(ended.millis));
    }
    out.head(
        if view.is_plan() {
            "patch plan"
        } else {
            "patch run"
        },
        &facts.join(" · "),
    );
    out.dim(&format!(
        "run {} of {}",
        clean(&view.run, 40),
        clean(&view.patch, 40)
    ));
}

fn verdict(out: &mut Out, view: &PatchView) {
    let verdict = Verdict::of(view);
    out.blank();
    out.verdict(verdict.headline, &verdict.detail, verdict.ink());
    if let Some(stopped) = view.ended.as_ref().and_then(|e| e.stopped.as_deref()) {
        let text = format!("Stopped early: {}", clean(stopped, 300));
        out.item("", 0, &text, Some(verdict.ink()), 4);
    }
    if let (Some(budget), false) = (view.failure_budget, view.is_plan())
        && view.failures() > 0
    {
        let text = format!(
            "{} not well; the failure budget is {budget}",
            match view.failures() {
                1 => "1 host is".to_owned(),
                n => format!("{n} hosts are"),
            }
        );
        out.item("", 0, &text, None, 2);
    }
}

/// The worst first; the good ones have one line each, and many of them are counted only.
fn hosts(out: &mut Out, view: &PatchView) {
    if view.hosts.is_empty() {
        return;
    }
    out.heading("Hosts", "");
    let names: Vec<String> = view.hosts.iter().map(|h| clean(&h.name, 24)).collect();
    let margin = widest(names.iter().map(String::as_str), 24);
    for outcome in WORST_FIRST {
        let all: Vec<&HostView> = view.with(outcome).collect();
        let most = out.rows(all.len());
        for host in all.iter().take(most) {
            host_rows(out, host, outcome, margin);
        }
        if all.len() > most {
            let text = format!("… and {} more {}", all.len() - most, outcome_word(outcome));
            out.item("", margin, &text, None, 1);
        }
    }
}

fn host_rows(out: &mut Out, host: &HostView, outcome: PatchOutcome, margin: usize) {
    let is_bad = !matches!(
        outcome,
        PatchOutcome::Current | PatchOutcome::Patched | PatchOutcome::NotStarted
    );
    let word = pad(outcome_word(outcome), 11);
    let mut said = Vec::new();
    said.extend(host.story(false).map(|story| clean(&story, 400)));
    let done = done(host).join(", ");
    if !done.is_empty() {
        said.push(done);
    }
    if host.millis > 0 {
        said.push(span(host.millis));
    }
    out.row(
        &clean(&host.name, 24),
        margin,
        (&word, outcome_ink(outcome)),
        &said.join(" · "),
        4,
    );
    if !is_bad {
        return;
    }
    let under = margin + 2;
    if let Some(hint) = host.unreachable.as_ref().and_then(|u| u.hint.as_deref()) {
        out.item("", under, &clean(hint, 200), None, 2);
    }
    for gate in host.lost_gates().take(4) {
        let seen = gate.gate.broken.iter().map(|b| clean(b, 120));
        let unseen = (gate.gate.unseen.iter()).map(|u| format!("not seen: {}", clean(u, 120)));
        let all: Vec<String> = seen.chain(unseen).take(8).collect();
        let text = format!("gate {}: {}", clean(&gate.when, 12), all.join("; "));
        out.item("", under, &text, None, 4);
    }
    for job in host.jobs.iter() {
        use crate::model::patch::JobOutcome;
        if matches!(job.outcome, Some(JobOutcome::Well)) {
            continue;
        }
        let text = format!(
            "{}: {}: {}",
            clean(&job.what, 60),
            super::words::job_outcome(job.outcome.as_ref()),
            clean(&job.detail, 300)
        );
        out.item("", under, text.trim_end_matches([':', ' ']), None, 4);
    }
    for restart in host.restarted.iter().filter(|r| !r.well).take(8) {
        let text = format!(
            "restart of {} failed: {}",
            clean(&restart.unit, 60),
            clean(&restart.detail, 160)
        );
        out.item("", under, &text, None, 3);
    }
    for to_do in host.to_do.iter().take(12) {
        out.item("", under, &format!("to do: {}", clean(to_do, 300)), None, 4);
    }
}

fn waves(out: &mut Out, view: &PatchView) {
    if view.waves.len() < 2 {
        return;
    }
    out.heading("Waves", "");
    let most = out.rows(view.waves.len());
    for wave in view.waves.iter().take(most) {
        let names: Vec<String> = wave.hosts.iter().take(12).map(|h| clean(h, 24)).collect();
        let more = match wave.hosts.len().saturating_sub(names.len()) {
            0 => String::new(),
            n => format!(" +{n}"),
        };
        let state = match (wave.begun, wave.soak_seconds) {
            (false, _) if view.had_no_work(wave) => "; nothing was to be done".to_owned(),
            (false, _) => "; not begun".to_owned(),
            (true, Some(seconds)) => format!("; watched for {}", super::words::within(seconds)),
            (true, None) => String::new(),
        };
        let text = format!(
            "{}: {}{more}{state}",
            count(wave.hosts.len(), "host"),
            names.join(" ")
        );
        out.item(&wave.wave.to_string(), 3, &text, None, 3);
    }
    out.more(view.waves.len(), most);
}

fn notes(out: &mut Out, view: &PatchView) {
    let mut notes: Vec<String> = Vec::new();
    for (at, by) in &view.resumed {
        notes.push(format!(
            "resumed at {} by {}",
            crate::report::drill::words::instant(at),
            clean(by, 60)
        ));
    }
    for (whom, well, detail) in &view.notified {
        let word = if *well { "told" } else { "could NOT tell" };
        notes.push(format!(
            "{word} {}: {}",
            clean(whom, 80),
            clean(detail, 200)
        ));
    }
    notes.extend(view.notes.iter().map(|n| clean(n, 300)));
    for host in &view.hosts {
        let name = clean(&host.name, 40);
        notes.extend((host.notes.iter()).map(|n| format!("{name}: {}", clean(n, 300))));
    }
    if let Some(torn) = &view.torn {
        notes.push(format!("line {} of the journal is torn", torn.line));
    }
    if notes.is_empty() {
        return;
    }
    out.heading("Notes", "");
    let most = out.rows(notes.len());
    for note in notes.iter().take(most) {
        out.item("", 0, note, None, 3);
    }
    out.more(notes.len(), most);
}

fn report(out: &mut Out, view: &PatchView, look: &Look) {
    out.page(look.page.as_deref());
    let Some(run) = run_for_commands(&view.run) else {
        return;
    };
    match view.ended {
        Some(_) => out.command("verify", &format!("seawall verify {run}")),
        None if view.is_plan() => {}
        None => out.command("go on", &format!("seawall patch resume {run}")),
    }
}

#[cfg(test)]
mod tests;

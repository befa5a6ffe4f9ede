//! The milestones that are worth a line.

use super::super::fold::{HostView, PatchView};
use super::super::terminal::gist;
use super::super::words::{brief, done, job_outcome, outcome_word, outcomes};
use crate::journal::{Event, PatchEvent};
use crate::model::patch::{JobOutcome, PatchOutcome};
use crate::report::words::count;
use crate::shell::clean;

/// A milestone, in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    pub text: String,
    /// It went wrong: shown above the bars too.
    pub alarm: bool,
}

fn say(text: String) -> Option<Line> {
    Some(Line { text, alarm: false })
}

fn alarm(text: String) -> Option<Line> {
    Some(Line { text, alarm: true })
}

fn of_host(host: &str, text: &str) -> String {
    format!("host {}: {text}", clean(host, 60))
}

/// Whether what it says was not said just before; `view` is the fold before it.
pub fn is_new(view: &PatchView, event: &Event) -> bool {
    match event {
        Event::Patch(PatchEvent::Waits { host, why }) => {
            let known = view.host(host).and_then(|h| h.waits.last());
            known != Some(why)
        }
        _ => true,
    }
}

/// What an event is worth saying; `view` has it already.
pub fn line(view: &PatchView, event: &Event) -> Option<Line> {
    match event {
        Event::RunStarted { hosts, run, .. } => say(format!(
            "patch {} {}: {}, {}",
            if view.is_plan() { "plan" } else { "run" },
            clean(run, 40),
            clean(&view.title, 60),
            count(hosts.len(), "host")
        )),
        Event::WaveStarted { wave, of, hosts } if *of > 1 => say(format!(
            "wave {wave} of {of}: {}",
            count(hosts.len(), "host")
        )),
        Event::HostUnreachable {
            host,
            phase,
            reason,
            ..
        } => alarm(of_host(
            host,
            &format!("{}: {}", phase.words(), clean(reason, 200)),
        )),
        Event::Note {
            host: Some(host),
            text,
        } => say(of_host(host, &clean(text, 300))),
        Event::Note { host: None, text } => say(clean(text, 300)),
        Event::RunEnded { stopped, .. } => {
            let words = outcomes(view);
            match stopped {
                Some(why) => alarm(format!("{words}; stopped early: {}", clean(why, 200))),
                None => say(words),
            }
        }
        Event::Patch(event) => of_patch(view, event),
        _ => None,
    }
}

fn of_patch(view: &PatchView, event: &PatchEvent) -> Option<Line> {
    match event {
        PatchEvent::Resumed { by } => say(format!("resumed by {}", clean(by, 60))),
        PatchEvent::Waits { host, why } => {
            say(of_host(host, &format!("waits: {}", clean(why, 200))))
        }
        PatchEvent::Soaking { wave, seconds } => say(format!(
            "wave {wave} is watched for {}",
            super::super::words::within(*seconds)
        )),
        PatchEvent::Gate { host, when, gate } if !gate.passed => {
            let broken = gate.broken.iter().map(|b| clean(b, 120));
            let unseen = gate.unseen.iter();
            let unseen = unseen.map(|u| format!("not seen: {}", clean(u, 120)));
            let all: Vec<String> = broken.chain(unseen).take(6).collect();
            let text = format!("the gate {} fails: {}", clean(when, 12), all.join("; "));
            alarm(of_host(host, &text))
        }
        PatchEvent::JobEnded {
            host,
            job,
            outcome,
            detail,
            ..
        } if *outcome != JobOutcome::Well => {
            let known = view.host(host)?.jobs.iter().rev().find(|j| j.job == *job);
            let what = known.map_or(job.as_str(), |j| &j.what);
            let text = format!(
                "{}: {}: {}",
                clean(what, 60),
                job_outcome(Some(outcome)),
                clean(detail, 200)
            );
            alarm(of_host(host, text.trim_end_matches([':', ' '])))
        }
        PatchEvent::Notified {
            whom, well: false, ..
        } => alarm(format!("could not tell {}", clean(whom, 80))),
        PatchEvent::HostEnded { host, .. } => of_end(view, view.host(host)?),
        _ => None,
    }
}

/// `host web1: patched 5 packages, rebooted, healthy (2m 10s)`.
fn of_end(view: &PatchView, host: &HostView) -> Option<Line> {
    let is_plan = view.is_plan();
    let outcome = host.outcome(is_plan);
    let mut parts = Vec::new();
    match (outcome, &host.plan) {
        (PatchOutcome::Behind, Some(plan)) => parts.push(gist(plan, outcome, false)),
        _ => parts.extend(done(host)),
    }
    let is_good = matches!(
        outcome,
        PatchOutcome::Current | PatchOutcome::Patched | PatchOutcome::Waiting
    );
    // A gate before the change says nothing of what is after it.
    let last_gate = host.gates.last().filter(|gate| gate.when != "before");
    let is_healthy = last_gate.is_some_and(|gate| gate.gate.passed);
    if is_healthy && !is_plan {
        parts.push("healthy".into());
    }
    let mut text = outcome_word(outcome).to_owned();
    if !is_good && outcome != PatchOutcome::Behind {
        text = text.to_uppercase();
    }
    if let Some(story) = host.story(is_plan) {
        text.push_str(&format!(": {}", clean(&story, 200)));
        if !parts.is_empty() {
            text.push_str(&format!(": {}", parts.join(", ")));
        }
    } else if !parts.is_empty() {
        let between = match (outcome, done(host).is_empty()) {
            (PatchOutcome::Patched, false) => " ",
            (PatchOutcome::Behind, _) => ": ",
            _ => ", ",
        };
        text.push_str(&format!("{between}{}", parts.join(", ")));
    }
    if host.millis > 0 {
        text.push_str(&format!(" ({})", brief(host.millis)));
    }
    for to_do in host.to_do.iter().take(4) {
        text.push_str(&format!("; to do: {}", clean(to_do, 160)));
    }
    let text = of_host(&host.name, &text);
    match is_good || matches!(outcome, PatchOutcome::Behind | PatchOutcome::NotStarted) {
        true => say(text),
        false => alarm(text),
    }
}

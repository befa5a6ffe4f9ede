//! The live view: a head line with the clock against the RTO, and a bar for each running step.

use super::super::words::{bytes, files, percent, phase_doing, rate, share, short_span, span};
use super::tracker::{Step, Tracker};
use crate::model::drill::DrillPhase;
use crate::report::words::widest;
use crate::shell::clean;

/// How wide bars are.
const BAR: usize = 20;

/// The lines, the head first; as many as fit, none wider than the terminal.
pub fn lines(
    tracker: &Tracker,
    now_ms: u64,
    poll: &dyn Fn(&str) -> (u64, u64, u64),
    height: usize,
    width: usize,
) -> Vec<String> {
    if tracker.drill.is_empty() {
        return Vec::new();
    }
    let mut lines = vec![head(tracker, now_ms)];
    let mut running: Vec<&Step> = tracker
        .steps
        .iter()
        .filter(|step| step.phase.is_some_and(|(p, _)| p != DrillPhase::Wait))
        .collect();
    // The one whose objective is nearest first; a playbook's order else.
    running.sort_by_key(|step| step.rto_target_ms.unwrap_or(u64::MAX));
    let most = height.saturating_sub(4).clamp(1, 24);
    let names: Vec<String> = running.iter().map(|s| clean(&s.name, 24)).collect();
    let name_width = widest(names.iter().map(String::as_str), 24);
    for (step, name) in running.iter().zip(&names).take(most) {
        let name = format!("{name:name_width$}");
        lines.push(step_line(step, &name, now_ms, poll(&step.name)));
    }
    if running.len() > most {
        lines.push(format!("  and {} more", running.len() - most));
    }
    let room = width.saturating_sub(1).max(20);
    for line in &mut lines {
        if line.chars().count() > room {
            *line = line.chars().take(room - 1).chain(['…']).collect();
        }
    }
    lines
}

fn head(tracker: &Tracker, now_ms: u64) -> String {
    let steps = format!("{}/{} steps", tracker.ended(), tracker.steps.len());
    let drill = &tracker.drill;
    if !tracker.is_running() {
        let what = match (tracker.stopped_ms, tracker.is_over) {
            (_, true) => "done",
            (Some(_), false) => "tearing down",
            (None, false) => "preparing; the clock does not run yet",
        };
        return format!("drill {drill}  {what}  {steps}");
    }
    let whole = now_ms.saturating_add(tracker.assumed_ms);
    let Some(target) = tracker.rto_target_ms else {
        return format!("drill {drill}  {}  {steps}", span(now_ms));
    };
    let left = match target.checked_sub(whole) {
        Some(left) => format!("{} left", span(left)),
        None => format!("OVER by {}", span(whole - target)),
    };
    let assumed = match tracker.assumed_ms {
        0 => String::new(),
        ms => format!(" + {} assumed", short_span(ms)),
    };
    format!(
        "drill {drill}  {} {}{assumed} of {}, {left}  {steps}",
        bar(share(whole, target)),
        span(now_ms),
        short_span(target)
    )
}

fn step_line(step: &Step, name: &str, now_ms: u64, read: (u64, u64, u64)) -> String {
    let (done, total, count) = read;
    let Some((phase, since)) = step.phase else {
        return format!("  {name}");
    };
    let spent = now_ms.saturating_sub(since);
    let mut text = format!("  {name}  {:12}", phase_doing(phase));
    let moves = matches!(
        phase,
        DrillPhase::Fetch | DrillPhase::Decrypt | DrillPhase::Restore | DrillPhase::Load
    );
    if moves && total > 0 {
        text.push_str(&format!(
            " {} {:3} %  {} of {}",
            bar(share(done, total)),
            percent(done.min(total), total),
            bytes(done),
            bytes(total)
        ));
    } else if moves && done > 0 {
        text.push_str(&format!(" {}  {}", " ".repeat(BAR), bytes(done)));
    } else {
        text.push_str(&format!(" {}  {}", " ".repeat(BAR), span(spent)));
    }
    if moves && let Some(rate) = rate(done, spent) {
        text.push_str(&format!("  {rate}"));
    }
    if moves && count > 1 {
        text.push_str(&format!("  {}", files(count)));
    }
    if step.attempt > 1 {
        text.push_str(&format!("  attempt {}", step.attempt));
    }
    match step.rto_target_ms.map(|target| target.checked_sub(now_ms)) {
        Some(Some(left)) => text.push_str(&format!("  {} left", span(left))),
        Some(None) => text.push_str("  OVER its objective"),
        None => {}
    }
    text
}

fn bar(percent: f64) -> String {
    let full = (percent * BAR as f64 / 100.0).floor() as usize;
    (0..BAR)
        .map(|cell| if cell < full { '█' } else { '░' })
        .collect()
}

//! Live progress of a patch run: bars on a terminal, one line for each host and for what goes
//! wrong where there is none, nothing on `--quiet`.

use std::io::Write;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::fold::{HostView, PatchView};
use crate::journal::Record;
use crate::report::progress::Pause;
use crate::report::words::wrap;
use crate::shell::clean;

mod lines;

use lines::{Line, line};

/// Where progress goes.
pub enum Mode {
    /// Bars on standard error, which is a terminal of this size.
    Bars {
        height: usize,
        width: usize,
    },
    /// One line for each milestone.
    Plain(Box<dyn Write + Send>),
    Quiet,
}

/// Shows how a run goes. Give [`Progress::take`] to the journal as a subscriber; bars are gone
/// when it is dropped.
pub struct Progress {
    view: PatchView,
    output: Output,
}

enum Output {
    Bars(Bars),
    Plain(Box<dyn Write + Send>),
    Quiet,
}

impl Progress {
    pub fn new(mode: Mode) -> Self {
        Progress {
            view: PatchView::default(),
            output: match mode {
                Mode::Bars { height, width } => {
                    let target = ProgressDrawTarget::stderr_with_hz(12);
                    Output::Bars(Bars::new(height, width, target))
                }
                Mode::Plain(to) => Output::Plain(to),
                Mode::Quiet => Output::Quiet,
            },
        }
    }

    /// For prompts, where there are bars.
    pub fn pause(&self) -> Option<Pause> {
        match &self.output {
            Output::Bars(bars) => Some(bars.pause.clone()),
            _ => None,
        }
    }

    /// Takes one event in.
    pub fn take(&mut self, record: &Record) {
        if matches!(self.output, Output::Quiet) {
            return;
        }
        let is_new = lines::is_new(&self.view, &record.event);
        self.view.take(record);
        let said = line(&self.view, &record.event).filter(|_| is_new);
        match &mut self.output {
            Output::Bars(bars) => bars.show(&self.view, said.filter(|line| line.alarm)),
            // Whoever reads it may have gone away, and that is no reason to stop a run.
            Output::Plain(to) => {
                if let Some(line) = said {
                    let _ = writeln!(to, "{}", line.text);
                    let _ = to.flush();
                }
            }
            Output::Quiet => {}
        }
    }
}

/// One bar for the whole run, and below it, as its message, one line for each host that something
/// is done with, as many as fit.
struct Bars {
    total: ProgressBar,
    most: usize,
    width: usize,
    pause: Pause,
    /// Lines that came while a person was asked.
    held: Vec<String>,
}

impl Bars {
    fn new(height: usize, width: usize, target: ProgressDrawTarget) -> Self {
        let total = ProgressBar::with_draw_target(Some(0), target);
        let template = "{prefix} {bar:24} {pos}/{len} hosts  {elapsed}{msg}";
        if let Ok(style) = ProgressStyle::with_template(template) {
            total.set_style(style);
        }
        // The clock goes on between events.
        total.enable_steady_tick(std::time::Duration::from_millis(250));
        Bars {
            pause: Pause::of(&total),
            held: Vec::new(),
            total,
            most: height.saturating_sub(4).clamp(1, 16),
            width: width.max(40),
        }
    }

    fn show(&mut self, view: &PatchView, said: Option<Line>) {
        self.held.extend(said.map(|line| line.text));
        if self.pause.is_asking() {
            return;
        }
        for line in self.held.drain(..) {
            self.total.println(line);
        }
        self.total
            .set_prefix(if view.is_plan() { "plan" } else { "patch" });
        self.total.set_length(view.hosts.len() as u64);
        self.total.set_position(ended(view) as u64);
        self.total.set_message(message(view, self.most, self.width));
    }
}

impl Drop for Bars {
    fn drop(&mut self) {
        for line in self.held.drain(..) {
            self.total.println(line);
        }
        self.total.finish_and_clear();
    }
}

fn ended(view: &PatchView) -> usize {
    view.hosts.iter().filter(|h| h.said.is_some()).count()
}

/// What is done with a host now, in words.
fn doing(host: &HostView) -> String {
    let phase = host.phases.iter().rev().find(|p| p.outcome.is_none());
    match (phase, host.waits.last()) {
        (Some(phase), Some(why)) if phase.phase == crate::model::patch::HostPhase::Wait => {
            format!("waits: {}", clean(why, 120))
        }
        (Some(phase), _) => phase.phase.word().to_owned(),
        (None, _) => match host.phases.last() {
            Some(phase) => format!("after {}", phase.phase.word()),
            None => "connected".into(),
        },
    }
}

fn message(view: &PatchView, most: usize, width: usize) -> String {
    let mut message = String::new();
    let begun = view.waves.iter().filter(|w| w.begun).count();
    if view.waves.len() > 1 && begun > 0 {
        message = format!("  wave {begun} of {}", view.waves.len());
    }
    let running: Vec<&HostView> = (view.hosts.iter())
        .filter(|h| h.begun && h.said.is_none())
        .collect();
    for host in running.iter().take(most) {
        let name = clean(&host.name, 24);
        let text = format!("{name:24}  {}", doing(host));
        let text = match text.chars().count() + 2 > width {
            true => wrap(&text, width.saturating_sub(2), 1).concat(),
            false => text,
        };
        message.push_str(&format!("\n  {text}"));
    }
    if running.len() > most {
        message.push_str(&format!("\n  and {} more", running.len() - most));
    }
    message
}

#[cfg(test)]
mod tests;

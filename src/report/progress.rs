//! Live progress: bars on a terminal, plain lines where there is none, nothing on `--quiet`. Fed
//! by the same events as all else.

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::words::{count, duration, outcome_word};
use crate::journal::{Event, HostOutcome, Record, StepOutcome};
use crate::model::Status;
use crate::shell::clean;

/// Where progress goes.
pub enum Mode {
    /// Bars on standard error, which is a terminal with this many lines.
    Bars {
        height: usize,
    },
    /// One line for each milestone.
    Plain(Box<dyn Write + Send>),
    Quiet,
}

/// Shows how a run goes. Give [`Progress::take`] to the journal as a subscriber; bars are gone
/// when it is dropped.
pub struct Progress {
    tracker: Tracker,
    output: Output,
}

/// Takes the bars off the terminal while a person is asked something.
#[derive(Clone)]
pub struct Pause {
    bar: ProgressBar,
    asking: Arc<AtomicBool>,
}

impl Pause {
    pub(super) fn of(bar: &ProgressBar) -> Self {
        Pause {
            bar: bar.clone(),
            asking: Arc::default(),
        }
    }

    pub(super) fn is_asking(&self) -> bool {
        self.asking.load(Ordering::SeqCst)
    }

    /// Events that come meanwhile are not held up: they show when the bars are back.
    pub fn during<T>(&self, question: impl FnOnce() -> T) -> T {
        self.asking.store(true, Ordering::SeqCst);
        let answer = self.bar.suspend(question);
        self.asking.store(false, Ordering::SeqCst);
        answer
    }
}

enum Output {
    Bars(Bars),
    Plain(Box<dyn Write + Send>),
    Quiet,
}

impl Progress {
    pub fn new(mode: Mode) -> Self {
        Progress {
            tracker: Tracker::default(),
            output: match mode {
                Mode::Bars { height } => {
                    Output::Bars(Bars::new(height, ProgressDrawTarget::stderr_with_hz(12)))
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
        let said = self.tracker.take(&record.event);
        match &mut self.output {
            Output::Bars(bars) => bars.show(&self.tracker, said.filter(|line| line.alarm)),
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

/// Where a host is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Waiting,
    Connecting,
    Observing,
    Deciding,
    Acting { done: usize, of: usize },
    Confirming,
    Proving,
    Ended(HostOutcome),
}

impl Stage {
    fn words(self) -> String {
        match self {
            Stage::Waiting => "waiting".into(),
            Stage::Connecting => "connecting".into(),
            Stage::Observing => "observing".into(),
            Stage::Deciding => "deciding".into(),
            Stage::Acting { done, of } => format!("acting {done}/{of}"),
            Stage::Confirming => "confirming with a fresh log-in".into(),
            Stage::Proving => "observing again".into(),
            Stage::Ended(outcome) => outcome_word(outcome).into(),
        }
    }

    fn is_running(self) -> bool {
        !matches!(self, Stage::Waiting | Stage::Ended(_))
    }
}

/// A milestone, in words.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Line {
    text: String,
    /// It went wrong: shown above the bars too.
    alarm: bool,
}

/// What is known of each host; pure.
#[derive(Debug, Default)]
struct Tracker {
    verb: String,
    hosts: Vec<(String, Stage)>,
    wave: Option<(usize, usize)>,
    /// Host → step → what it changes.
    targets: BTreeMap<String, BTreeMap<String, String>>,
}

impl Tracker {
    fn stage(&mut self, host: &str) -> &mut Stage {
        let at = match self.hosts.iter().position(|(name, _)| name == host) {
            Some(at) => at,
            None => {
                self.hosts.push((host.to_owned(), Stage::Waiting));
                self.hosts.len() - 1
            }
        };
        &mut self.hosts[at].1
    }

    fn ended(&self) -> usize {
        let ended = |(_, stage): &&(String, Stage)| matches!(stage, Stage::Ended(_));
        self.hosts.iter().filter(ended).count()
    }

    /// Moves the host on, and says what is worth saying.
    fn take(&mut self, event: &Event) -> Option<Line> {
        match event {
            Event::RunStarted {
                verb,
                playbook_title,
                hosts,
                run,
                ..
            } => {
                self.verb = clean(verb, 20);
                for host in hosts {
                    self.stage(host);
                }
                let title = clean(playbook_title, 60);
                let hosts = count(hosts.len(), "host");
                say(format!(
                    "{} {}: {title}, {hosts}",
                    self.verb,
                    clean(run, 40)
                ))
            }
            Event::WaveStarted { wave, of, hosts } => {
                self.wave = Some((*wave, *of));
                for host in hosts {
                    *self.stage(host) = Stage::Connecting;
                }
                let hosts = count(hosts.len(), "host");
                (*of > 1).then(|| Line {
                    text: format!("wave {wave} of {of}: {hosts}"),
                    alarm: false,
                })
            }
            Event::HostConnected { host, purpose, .. } => {
                *self.stage(host) = match purpose.as_str() {
                    "confirm" => Stage::Confirming,
                    _ => Stage::Observing,
                };
                None
            }
            Event::Observed { host, when, .. } => {
                *self.stage(host) = match when.as_str() {
                    "after" => Stage::Proving,
                    _ => Stage::Deciding,
                };
                None
            }
            Event::StepEnded { .. } | Event::Planned { .. } => self.take_step(event),
            event => self.take_turn(event),
        }
    }

    fn take_step(&mut self, event: &Event) -> Option<Line> {
        match event {
            Event::Planned { host, changes } => {
                *self.stage(host) = Stage::Acting {
                    done: 0,
                    of: changes.len(),
                };
                let targets = self.targets.entry(host.clone()).or_default();
                for change in changes {
                    targets.insert(change.step.clone(), change.target.clone());
                }
                of_host(host, &count(changes.len(), "change"))
            }
            Event::StepEnded {
                host,
                step,
                outcome,
                detail,
            } => {
                if let Stage::Acting { done, of } = self.stage(host) {
                    *done = (*done + 1).min(*of);
                }
                let word = match outcome {
                    StepOutcome::Failed => "failed",
                    StepOutcome::Stale => "is no longer as planned",
                    StepOutcome::UndoFailed => "could not be undone",
                    StepOutcome::Done | StepOutcome::Undone | StepOutcome::Skipped => return None,
                };
                let detail = detail.as_deref().map(|d| clean(d, 200));
                let detail = detail.map(|d| format!(": {d}")).unwrap_or_default();
                let target = self.targets.get(host).and_then(|steps| steps.get(step));
                let target = clean(target.unwrap_or(step), 120);
                alarm(host, &format!("{target} {word}{detail}"))
            }
            _ => None,
        }
    }

    fn take_turn(&mut self, event: &Event) -> Option<Line> {
        match event {
            Event::HostUnreachable {
                host,
                phase,
                reason,
                ..
            } => alarm(host, &format!("{}: {}", phase.words(), clean(reason, 200))),
            Event::Judged { host, findings } => {
                let counts = super::Counts::of(findings);
                let words: Vec<String> = [Status::Fail, Status::Unknown, Status::Changed]
                    .iter()
                    .filter(|s| counts.get(**s) > 0)
                    .map(|s| format!("{} {}", counts.get(*s), s.word()))
                    .collect();
                let words = match words.is_empty() {
                    true => "all as demanded".to_owned(),
                    false => words.join(", "),
                };
                of_host(host, &format!("{}: {words}", count(findings.len(), "rule")))
            }
            Event::ConfirmArmed {
                host,
                window_seconds,
            } => of_host(
                host,
                &format!("undoes it all in {window_seconds} s unless a fresh log-in works"),
            ),
            Event::Confirmed { host } => {
                *self.stage(host) = Stage::Proving;
                of_host(host, "a fresh log-in works: kept")
            }
            Event::ConfirmFailed { host, reason } => {
                alarm(host, &format!("no fresh log-in: {}", clean(reason, 200)))
            }
            Event::Undone { host, by, .. } => {
                let text = format!("as it was before: undone by the {}", clean(by, 20));
                alarm(host, &text)
            }
            Event::HostEnded {
                host,
                outcome,
                reason,
                millis,
            } => {
                *self.stage(host) = Stage::Ended(*outcome);
                let reason = reason.as_deref().map(|r| clean(r, 200));
                let reason = reason.map(|r| format!(" ({r})")).unwrap_or_default();
                let word = outcome_word(*outcome);
                of_host(host, &format!("{word}{reason}, {}", duration(*millis)))
            }
            _ => None,
        }
    }
}

fn say(text: String) -> Option<Line> {
    Some(Line { text, alarm: false })
}

fn of_host(host: &str, text: &str) -> Option<Line> {
    say(format!("{}: {text}", clean(host, 60)))
}

fn alarm(host: &str, text: &str) -> Option<Line> {
    of_host(host, text).map(|line| Line {
        alarm: true,
        ..line
    })
}

/// One bar for the whole run, and below it, as its message, one line for each running host, as
/// many as fit.
struct Bars {
    total: ProgressBar,
    most: usize,
    pause: Pause,
    /// Lines that came while a person was asked.
    held: Vec<String>,
}

impl Bars {
    fn new(height: usize, target: ProgressDrawTarget) -> Self {
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
        }
    }

    fn show(&mut self, tracker: &Tracker, said: Option<Line>) {
        self.held.extend(said.map(|line| line.text));
        if self.pause.is_asking() {
            return;
        }
        for line in self.held.drain(..) {
            self.total.println(line);
        }
        self.total.set_prefix(tracker.verb.clone());
        self.total.set_length(tracker.hosts.len() as u64);
        self.total.set_position(tracker.ended() as u64);
        self.total.set_message(message(tracker, self.most));
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

fn message(tracker: &Tracker, most: usize) -> String {
    let mut message = String::new();
    if let Some((wave, of)) = tracker.wave.filter(|(_, of)| *of > 1) {
        message = format!("  wave {wave} of {of}");
    }
    let running = tracker.hosts.iter().filter(|(_, s)| s.is_running()).count();
    let shown = visible(tracker, most);
    for (host, stage) in &shown {
        let host = clean(host, 24);
        message.push_str(&format!("\n  {host:24}  {}", stage.words()));
    }
    if running > shown.len() {
        message.push_str(&format!("\n  and {} more", running - shown.len()));
    }
    message
}

/// The running hosts to show: those that are furthest first, then those that still connect.
fn visible(tracker: &Tracker, most: usize) -> Vec<(&str, Stage)> {
    let mut running: Vec<(&str, Stage)> = tracker
        .hosts
        .iter()
        .filter(|(_, stage)| stage.is_running())
        .map(|(host, stage)| (host.as_str(), *stage))
        .collect();
    running.sort_by_key(|(_, stage)| *stage == Stage::Connecting);
    running.truncate(most);
    running
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;
    use crate::report::fixture;

    #[derive(Clone, Default)]
    struct Sink(Arc<Mutex<Vec<u8>>>);

    impl Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn plain(events: &[Event]) -> String {
        let sink = Sink::default();
        let mut progress = Progress::new(Mode::Plain(Box::new(sink.clone())));
        for record in fixture::records(events) {
            progress.take(&record);
        }
        String::from_utf8(sink.0.lock().unwrap().clone()).unwrap()
    }

    #[test]
    fn plain_lines_of_an_apply() {
        insta::assert_snapshot!(plain(&fixture::apply()));
    }

    #[test]
    fn a_stranger_cannot_speak_through_progress() {
        let text = plain(&fixture::hostile());
        let dangerous = |c: char| c != '\n' && (c.is_control() || c == '\u{202e}');
        assert!(!text.contains(dangerous), "{text}");
    }

    #[test]
    fn fifty_running_hosts_fit_on_a_terminal() {
        let events = fixture::fifty();
        let mut tracker = Tracker::default();
        tracker.take(&events[0]);
        assert!(visible(&tracker, 8).is_empty());
        let hosts: Vec<String> = tracker.hosts.iter().map(|(h, _)| h.clone()).collect();
        tracker.take(&Event::WaveStarted {
            wave: 1,
            of: 1,
            hosts: hosts.clone(),
        });
        tracker.take(&fixture::connected(&hosts[40], "observe"));
        let shown = visible(&tracker, 8);
        assert_eq!(shown.len(), 8);
        assert!(message(&tracker, 8).ends_with("\n  and 42 more"));
        assert_eq!(shown[0], (hosts[40].as_str(), Stage::Observing));
        for event in &events {
            tracker.take(event);
        }
        assert_eq!(tracker.ended(), 50);
        assert!(visible(&tracker, 8).is_empty());
    }

    #[test]
    fn stages_follow_the_events() {
        let mut tracker = Tracker::default();
        let mut stages = Vec::new();
        for event in fixture::apply() {
            tracker.take(&event);
            let stage = tracker.stage("web-1").words();
            if stages.last() != Some(&stage) {
                stages.push(stage);
            }
        }
        assert_eq!(
            stages,
            [
                "waiting",
                "connecting",
                "observing",
                "deciding",
                "acting 0/5",
                "acting 1/5",
                "acting 2/5",
                "acting 3/5",
                "acting 4/5",
                "acting 5/5",
                "confirming with a fresh log-in",
                "observing again",
                "failed"
            ]
        );
    }

    #[test]
    fn bars_come_and_go() {
        let mut bars = Bars::new(10, ProgressDrawTarget::hidden());
        let mut tracker = Tracker::default();
        let mut most = 0;
        for event in fixture::apply() {
            let said = tracker.take(&event);
            bars.show(&tracker, said.filter(|line| line.alarm));
            most = most.max(bars.total.message().lines().count());
        }
        assert_eq!(most, 3);
        assert_eq!(bars.total.message(), "  wave 2 of 3");
        assert_eq!(bars.total.position(), 4);
    }
}

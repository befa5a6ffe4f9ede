//! Live progress of a drill: bars on a terminal, plain lines where there is none, nothing on
//! `--quiet`. Fed by the drill's events, and by a callback for what has no event: bytes.

use std::io::Write;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::journal::Record;

mod lines;
mod tracker;

use tracker::Tracker;

/// A step's name → bytes so far, bytes in all (0: not known), files so far. Both kinds of bytes are
/// the same: of the ciphertext, where its size is known. It is asked several times in a second, and
/// must be quick.
pub type Poll = Arc<dyn Fn(&str) -> (u64, u64, u64) + Send + Sync>;

/// How often bytes are asked for and the bars drawn anew.
const TICK: Duration = Duration::from_millis(250);

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

/// Shows how a drill goes. Give [`Progress::take`] to the journal as a subscriber; bars are gone
/// when it is dropped.
pub struct Progress {
    output: Output,
}

enum Output {
    Bars(Bars),
    Plain {
        tracker: Tracker,
        to: Box<dyn Write + Send>,
    },
    Quiet,
}

impl Progress {
    pub fn new(mode: Mode, poll: Poll) -> Self {
        Progress {
            output: match mode {
                Mode::Bars { height, width } => {
                    let target = ProgressDrawTarget::stderr_with_hz(12);
                    Output::Bars(Bars::new(height, width, target, poll))
                }
                Mode::Plain(to) => Output::Plain {
                    tracker: Tracker::default(),
                    to,
                },
                Mode::Quiet => Output::Quiet,
            },
        }
    }

    /// Takes one event in.
    pub fn take(&mut self, record: &Record) {
        match &mut self.output {
            Output::Bars(bars) => bars.take(record),
            // Whoever reads it may have gone away, and that is no reason to stop a drill.
            Output::Plain { tracker, to } => {
                if let Some(line) = tracker.take(record) {
                    let _ = writeln!(to, "{}", line.text);
                    let _ = to.flush();
                }
            }
            Output::Quiet => {}
        }
    }
}

/// A head line with the drill's clock and, below it, a line with a bar for each running step. A
/// thread draws them anew, since bytes have no events.
struct Bars {
    bar: ProgressBar,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    tracker: Mutex<Tracker>,
    over: Mutex<bool>,
    wake: Condvar,
    poll: Poll,
    height: usize,
    width: usize,
}

/// A thread that panicked while it held the lock has left a whole tracker behind.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Bars {
    fn new(height: usize, width: usize, target: ProgressDrawTarget, poll: Poll) -> Self {
        let bar = ProgressBar::with_draw_target(None, target);
        if let Ok(style) = ProgressStyle::with_template("{msg}") {
            bar.set_style(style);
        }
        let shared = Arc::new(Shared {
            tracker: Mutex::default(),
            over: Mutex::new(false),
            wake: Condvar::new(),
            poll,
            height,
            width,
        });
        let (of_thread, drawn) = (shared.clone(), bar.clone());
        let thread = std::thread::Builder::new()
            .name("drill-progress".into())
            .spawn(move || {
                let mut over = lock(&of_thread.over);
                while !*over {
                    of_thread.draw(&drawn);
                    let waited = of_thread.wake.wait_timeout(over, TICK);
                    over = waited.unwrap_or_else(PoisonError::into_inner).0;
                }
            });
        Bars {
            bar,
            shared,
            // Without a thread the bars still move with each event.
            thread: thread.ok(),
        }
    }

    fn take(&mut self, record: &Record) {
        let said = lock(&self.shared.tracker).take(record);
        if let Some(line) = said.filter(|line| line.alarm) {
            self.bar.println(line.text);
        }
        if self.thread.is_none() {
            self.shared.draw(&self.bar);
        }
    }
}

impl Shared {
    fn draw(&self, bar: &ProgressBar) {
        // The poll may take locks of its own: it is not called under ours.
        let tracker = lock(&self.tracker).clone();
        let now = tracker.now_ms();
        let lines = lines::lines(&tracker, now, &*self.poll, self.height, self.width);
        bar.set_message(lines.join("\n"));
        bar.tick();
    }
}

impl Drop for Bars {
    fn drop(&mut self) {
        *lock(&self.shared.over) = true;
        self.shared.wake.notify_all();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
        self.bar.finish_and_clear();
    }
}

#[cfg(test)]
mod tests;

//! Long work on a thread of its own, which a signal stops cleanly, and what is seen of it meanwhile.

use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{HumanBytes, ProgressBar, ProgressStyle};

use crate::backup::Progress;
use crate::host::run::code;

/// The work under way: one thing after the other, each with its own progress.
#[derive(Default)]
pub struct Work {
    current: Mutex<(String, Arc<Progress>)>,
    stopped: AtomicBool,
}

impl Work {
    /// Begins the next thing.
    pub fn next(&self, what: &str) -> Arc<Progress> {
        let progress = Arc::new(Progress::default());
        *self.lock() = (what.to_owned(), Arc::clone(&progress));
        // After it was put there: a signal in between finds one or the other.
        if self.is_stopped() {
            progress.stop();
        }
        progress
    }

    pub fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::SeqCst)
    }

    fn stop(&self) {
        self.stopped.store(true, Ordering::SeqCst);
        self.lock().1.stop();
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, (String, Arc<Progress>)> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How progress is shown on standard error.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Shown {
    Nothing,
    /// A bar on a terminal, elsewhere a line now and then.
    Live,
}

/// Does the work on a thread; a signal stops it, and a second one ends the program at once. What
/// came of it, and the signal's name.
pub fn carry_out<T: Send>(
    work: &Work,
    shown: Shown,
    job: impl FnOnce() -> T + Send,
) -> anyhow::Result<(T, Option<&'static str>)> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    std::thread::scope(|scope| {
        let (end, mut ended) = tokio::sync::oneshot::channel();
        let worker = scope.spawn(move || {
            let done = job();
            let _ = end.send(());
            done
        });
        let signal = runtime.block_on(async {
            let mut view = View::new(shown);
            let mut signal = None;
            let mut signals = std::pin::pin!(super::super::treat::interrupted());
            let mut tick = tokio::time::interval(Duration::from_millis(150));
            loop {
                tokio::select! {
                    _ = &mut ended => break signal,
                    name = &mut signals => {
                        if signal.is_some() {
                            eprintln!("seawall: {name} again: ended at once");
                            std::process::exit(i32::from(code::NOT_RUN));
                        }
                        signal = Some(name);
                        work.stop();
                        eprintln!("seawall: {name}: stopping; what was begun is taken away");
                        signals.set(super::super::treat::interrupted());
                    }
                    _ = tick.tick() => view.show(work),
                }
            }
        });
        match worker.join() {
            Ok(done) => Ok((done, signal)),
            Err(panic) => std::panic::resume_unwind(panic),
        }
    })
}

/// A bar, or lines.
struct View {
    bar: Option<ProgressBar>,
    shown: Shown,
    begun: Instant,
    what: String,
    told: Instant,
}

/// Without a terminal a line stands for so long.
const LINE: Duration = Duration::from_secs(10);

impl View {
    fn new(shown: Shown) -> View {
        use std::io::IsTerminal;
        let live = shown == Shown::Live && std::io::stderr().is_terminal();
        View {
            bar: live.then(ProgressBar::new_spinner),
            shown,
            begun: Instant::now(),
            what: String::new(),
            told: Instant::now(),
        }
    }

    fn show(&mut self, work: &Work) {
        if self.shown == Shown::Nothing {
            return;
        }
        let (what, progress) = {
            let current = work.lock();
            (current.0.clone(), Arc::clone(&current.1))
        };
        if what != self.what {
            self.what = what;
            self.begun = Instant::now();
            self.told = Instant::now();
        }
        if self.what.is_empty() {
            return;
        }
        let seconds = self.begun.elapsed().as_secs_f64().max(0.001);
        let bytes = progress.bytes.load(Ordering::Relaxed);
        let sealed = progress.sealed.load(Ordering::Relaxed);
        let total = progress.total.load(Ordering::Relaxed);
        let seen = bytes.max(sealed);
        let rate = HumanBytes((seen as f64 / seconds) as u64);
        let share = match total {
            0 => String::new(),
            total => format!(
                ", {}%",
                (sealed.min(total) as f64 * 100.0 / total as f64) as u64
            ),
        };
        let text = format!(
            "{}: {} ({} encrypted), {} files, {rate}/s{share}",
            self.what,
            HumanBytes(bytes),
            HumanBytes(sealed),
            progress.files.load(Ordering::Relaxed)
        );
        match &self.bar {
            Some(bar) => {
                bar.set_style(
                    ProgressStyle::with_template("{spinner} {msg}")
                        .unwrap_or_else(|_| ProgressStyle::default_spinner()),
                );
                bar.set_message(text);
                bar.tick();
            }
            None if self.told.elapsed() >= LINE => {
                eprintln!("{text}");
                self.told = Instant::now();
            }
            None => {}
        }
    }
}

impl Drop for View {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

/// Waits on a small runtime: for what is async and short.
pub fn wait<T>(future: impl Future<Output = T>) -> anyhow::Result<T> {
    Ok(tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?
        .block_on(future))
}

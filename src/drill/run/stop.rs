//! The wish that a drill ends early.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use crate::backup::Progress;

/// How long whoever works on a step is given to notice that it is over.
const GRACE: Duration = Duration::from_secs(10);

/// Asks a drill to stop, tear down and judge. Clones are the same.
#[derive(Clone, Debug)]
pub struct Stop {
    why: Arc<watch::Sender<Option<String>>>,
}

impl Default for Stop {
    fn default() -> Self {
        Stop {
            why: Arc::new(watch::Sender::new(None)),
        }
    }
}

impl Stop {
    /// The first reason is the one that counts.
    pub fn stop(&self, why: &str) {
        self.why.send_if_modified(|known| {
            let first = known.is_none();
            if first {
                *known = Some(why.to_owned());
            }
            first
        });
    }

    /// Why it is to stop, if it is.
    pub fn why(&self) -> Option<String> {
        self.why.borrow().clone()
    }

    /// Ends when it is to stop.
    pub async fn wait(&self) -> String {
        let mut listen = self.why.subscribe();
        loop {
            if let Some(why) = listen.borrow_and_update().clone() {
                return why;
            }
            if listen.changed().await.is_err() {
                // We hold the sender ourselves, so this does not come.
                std::future::pending::<()>().await;
            }
        }
    }
}

/// How something that may be cut short came out.
pub(super) enum Cut<T> {
    Done(T),
    /// It was not done by its time.
    Late,
    Stopped(String),
}

/// Waits for `work` until its time is over or all is to stop; then tells it through `progress` and
/// gives it a moment, so that no thread of it writes on while its place is torn down.
pub(super) async fn within<T>(
    work: impl Future<Output = T>,
    until: Instant,
    stop: &Stop,
    progress: &Progress,
) -> Cut<T> {
    let mut work = std::pin::pin!(work);
    let cut = tokio::select! {
        biased;
        done = &mut work => return Cut::Done(done),
        why = stop.wait() => Cut::Stopped(why),
        () = tokio::time::sleep_until(until) => Cut::Late,
    };
    progress.stop();
    let _ = tokio::time::timeout(GRACE, work).await;
    cut
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn work_is_cut_by_its_time_or_by_the_wish_to_stop_and_is_told_so() {
        let progress = Progress::default();
        let stop = Stop::default();
        let soon = || Instant::now() + Duration::from_secs(1);
        let done = within(async { 7 }, soon(), &stop, &progress).await;
        assert!(matches!(done, Cut::Done(7)));
        assert!(!progress.is_stopped());
        let late = within(std::future::pending::<()>(), soon(), &stop, &progress).await;
        assert!(matches!(late, Cut::Late) && progress.is_stopped());
        stop.stop("one");
        stop.stop("two");
        let cut = within(std::future::pending::<()>(), soon(), &stop, &progress).await;
        assert!(matches!(cut, Cut::Stopped(why) if why == "one"));
    }
}

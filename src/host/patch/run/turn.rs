//! Whose turn it is: waves, windows, jitter, hosts that are kept apart, the failure budget, and a
//! run that is to stop.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

use crate::document::patch::Patch;
use crate::document::playbook::WaveSize;
use crate::host::patch::schedule::{self, Candidate, Opening};
use crate::host::waves;

/// The longest sleep before the clock is asked again: a machine may have slept meanwhile.
const NAP: Duration = Duration::from_secs(30);

/// The time of day. Tests have their own.
pub(super) type Now = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// What all hosts of a run share about their turns.
pub(super) struct Turns {
    run: String,
    candidates: Vec<Candidate>,
    /// Host → its wave, from 0.
    wave_of: Vec<usize>,
    patch: Arc<Patch>,
    /// When each host's window opened or will open first.
    first_open: Vec<Option<Timestamp>>,
    state: Mutex<State>,
    freed: Notify,
    /// The wave that is open, from 1, and since when; 0: none.
    pub(super) open: watch::Sender<(usize, Instant)>,
    /// Up to which wave, from 1, the soak is over.
    pub(super) soaked: watch::Sender<usize>,
    stop: watch::Receiver<bool>,
    now: Now,
}

#[derive(Default)]
struct State {
    /// Hosts that are being changed.
    busy: BTreeSet<usize>,
    /// Host → whether it counts against the budget.
    ended: BTreeMap<usize, bool>,
}

/// Why a host does not get its turn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refused(pub String);

/// A host's turn; it is over when this is dropped.
pub(super) struct Turn {
    turns: Arc<Turns>,
    index: usize,
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.turns.lock().busy.remove(&self.index);
        self.turns.freed.notify_waiters();
    }
}

impl Turns {
    /// `busy`: hosts that another process had begun; they have their turn already.
    pub fn new(
        run: &str,
        candidates: Vec<Candidate>,
        wave_of: Vec<usize>,
        patch: Arc<Patch>,
        busy: BTreeSet<usize>,
        stop: watch::Receiver<bool>,
        now: Now,
    ) -> Turns {
        let at = now();
        let zone = patch.time_zone.as_deref();
        let first_open = candidates
            .iter()
            .map(|c| match schedule::opening(c, &patch.windows, zone, at) {
                Opening::Now { .. } => Some(at),
                Opening::At(then) => Some(then),
                Opening::Never => None,
            })
            .collect();
        Turns {
            run: run.to_owned(),
            candidates,
            wave_of,
            first_open,
            state: Mutex::new(State {
                busy,
                ended: BTreeMap::new(),
            }),
            freed: Notify::new(),
            open: watch::Sender::new((0, Instant::now())),
            soaked: watch::Sender::new(0),
            stop,
            now,
            patch,
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn wave_of(&self, index: usize) -> usize {
        self.wave_of.get(index).copied().unwrap_or_default()
    }

    /// A host has ended. Said before its turn is over, so that no other host slips in between.
    pub fn ended(&self, index: usize, counts: bool) {
        self.lock().ended.insert(index, counts);
    }

    pub fn is_stopped(&self) -> bool {
        *self.stop.borrow()
    }

    /// Comes back when the run is to stop; never, if nobody can say so any more.
    pub async fn stopped(&self) {
        let mut stop = self.stop.clone();
        if stop.wait_for(|s| *s).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Why no further host is begun; `None`: one may be.
    pub fn refusal(&self) -> Option<Refused> {
        if self.is_stopped() {
            return Some(Refused("the run was stopped before this host".into()));
        }
        let (wave, _) = *self.open.borrow();
        let total = self.candidates.len();
        let failed = self.failed_up_to(wave);
        let budget: WaveSize = self.patch.failure_budget;
        waves::is_spent(budget, total, failed).then(|| {
            Refused(format!(
                "{failed} of {total} hosts failed, more than the failure budget of {budget} allows"
            ))
        })
    }

    /// Hosts of later waves were looked at, but do not count yet.
    fn failed_up_to(&self, wave: usize) -> usize {
        let state = self.lock();
        let counted = |(index, counts): (&usize, &bool)| *counts && self.wave_of(*index) < wave;
        state.ended.iter().filter(|e| counted(*e)).count()
    }

    /// The turn of a host that had one before: only those that it is kept apart from are waited for.
    pub async fn take_again(self: &Arc<Self>, index: usize) -> Turn {
        loop {
            let freed = self.freed.notified();
            tokio::pin!(freed);
            freed.as_mut().enable();
            if let Some(turn) = self.try_take(index) {
                return turn;
            }
            freed.await;
        }
    }

    /// The host's turn if it is so at once.
    pub fn take_now(self: &Arc<Self>, index: usize) -> Option<Turn> {
        let (wave, since) = *self.open.borrow();
        if self.wave_of(index) >= wave || self.refusal().is_some() {
            return None;
        }
        match self.opening(index) {
            Some(Opening::Now { .. }) if since + self.jitter(index) <= Instant::now() => {
                self.try_take(index)
            }
            _ => None,
        }
    }

    /// Waits for the host's turn. `say` hears what for.
    pub async fn take(
        self: &Arc<Self>,
        index: usize,
        say: &(dyn Fn(String) -> Result<(), String> + Sync),
    ) -> Result<Result<Turn, Refused>, String> {
        let Some(mut since) = self.wave(index, say).await? else {
            return Ok(Err(self.not_begun()));
        };
        let mut told = String::new();
        loop {
            let freed = self.freed.notified();
            tokio::pin!(freed);
            freed.as_mut().enable();
            if let Some(refused) = self.refusal() {
                return Ok(Err(refused));
            }
            let (nap, why) = match self.opening(index) {
                None | Some(Opening::Never) => {
                    return Ok(Err(Refused("no window of its own ever opens".into())));
                }
                Some(Opening::At(then)) => {
                    if self.was_open(index, then) {
                        return Ok(Err(Refused("its window closed before its turn".into())));
                    }
                    since = Instant::now();
                    let left = then.duration_since((self.now)()).unsigned_abs();
                    (left, format!("for its window, which opens at {then}"))
                }
                Some(Opening::Now { .. }) => {
                    let due = since + self.jitter(index);
                    let left = due.saturating_duration_since(Instant::now());
                    if left.is_zero() {
                        match self.try_take(index) {
                            Some(turn) => return Ok(Ok(turn)),
                            None => (NAP, "for hosts that it is kept apart from".to_owned()),
                        }
                    } else {
                        (
                            left,
                            "a random while, so that not all begin at once".to_owned(),
                        )
                    }
                }
            };
            if told != why {
                say(why.clone())?;
                told = why;
            }
            let nap = nap.clamp(Duration::from_millis(10), NAP);
            tokio::select! {
                () = &mut freed => {}
                () = tokio::time::sleep(nap) => {}
                () = self.stopped() => {}
            }
        }
    }

    /// Waits until the host's wave is open; since when it is. `None`: it will not be.
    async fn wave(
        &self,
        index: usize,
        say: &(dyn Fn(String) -> Result<(), String> + Sync),
    ) -> Result<Option<Instant>, String> {
        let mine = self.wave_of(index) + 1;
        let mut open = self.open.subscribe();
        if open.borrow().0 < mine && !self.is_stopped() {
            say(format!("for wave {mine}"))?;
        }
        tokio::select! {
            opened = open.wait_for(|(wave, _)| *wave >= mine) => {
                Ok(opened.ok().map(|opened| opened.1))
            }
            () = self.stopped() => Ok(None),
        }
    }

    fn not_begun(&self) -> Refused {
        self.refusal()
            .unwrap_or_else(|| Refused("the run ended before this host".into()))
    }

    fn opening(&self, index: usize) -> Option<Opening> {
        let candidate = self.candidates.get(index)?;
        let zone = self.patch.time_zone.as_deref();
        Some(schedule::opening(
            candidate,
            &self.patch.windows,
            zone,
            (self.now)(),
        ))
    }

    /// Whether its window was open already in this run: it is not waited for the next one.
    fn was_open(&self, index: usize, next: Timestamp) -> bool {
        let first = self.first_open.get(index).copied().flatten();
        first.is_some_and(|first| first < next && first <= (self.now)())
    }

    fn jitter(&self, index: usize) -> Duration {
        let Some(candidate) = self.candidates.get(index) else {
            return Duration::ZERO;
        };
        let span = schedule::jitter(&self.run, &candidate.name, self.patch.jitter.0);
        Duration::try_from(span).unwrap_or_default()
    }

    fn try_take(self: &Arc<Self>, index: usize) -> Option<Turn> {
        let next = self.candidates.get(index)?;
        let mut state = self.lock();
        let busy: Vec<&Candidate> = state
            .busy
            .iter()
            .filter(|b| **b != index)
            .filter_map(|b| self.candidates.get(*b))
            .collect();
        if !schedule::may_begin(next, &busy, &self.patch.apart) {
            return None;
        }
        state.busy.insert(index);
        Some(Turn {
            turns: Arc::clone(self),
            index,
        })
    }
}

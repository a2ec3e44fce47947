//! Shutdown: the signal goes down, the completion comes up. Imports nothing of ours.
//!
//! Running; lame duck (not ready, still serving, while endpoints notice); draining (nothing new, what is
//! open may end); aborting. A `Watch` and its clones are one piece of open work.
//!
//! A branch is the part of the work that may have to end before the process does, such as one listener's.

mod phase;
mod phase_signal;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

pub use self::phase::Phase;
use self::phase_signal::PhaseSignal;
pub use self::phase_signal::PhaseWait;

/// How a shutdown is timed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Settings {
    /// Between "not ready" and "no new connections": endpoints take time to notice.
    pub delay: Duration,
    /// How long open connections may go on after that.
    pub timeout: Duration,
}

/// Starts a shutdown and knows when it is complete.
#[derive(Clone)]
pub struct Drain {
    phase: Arc<watch::Sender<Phase>>,
    signal: Arc<PhaseSignal>,
    /// Held by what lets new work in.
    entrances: Arc<watch::Sender<()>>,
    work: Arc<watch::Sender<()>>,
    /// Responses to requests that wait for the end: they are sent after it.
    reports: Arc<watch::Sender<()>>,
    aborted: Arc<AtomicUsize>,
    /// Work that may have to end earlier; it ends with this one at the latest.
    branches: Arc<Mutex<Vec<Self>>>,
}

/// Sees the phase; while it or a clone of it lives, a drain is not complete.
#[derive(Clone)]
pub struct Watch {
    signal: Arc<PhaseSignal>,
    aborted: Arc<AtomicUsize>,
    /// Shared by clones: a connection counts once, however many of its parts look at the phase.
    _held: Arc<watch::Receiver<()>>,
}

impl Default for Drain {
    fn default() -> Self {
        Self {
            phase: Arc::new(watch::Sender::new(Phase::Running)),
            signal: Arc::default(),
            entrances: Arc::new(watch::Sender::new(())),
            work: Arc::new(watch::Sender::new(())),
            reports: Arc::new(watch::Sender::new(())),
            aborted: Arc::default(),
            branches: Arc::default(),
        }
    }
}

impl Drain {
    /// A part of this work that can be drained by itself. It reaches every phase that this one reaches, and
    /// its work is work of this one until it is forgotten.
    #[must_use]
    pub fn branch(&self) -> Self {
        let branch = Self::default();
        self.branches().push(branch.clone());
        // After it is listed: an advance in between has reached it or is seen here.
        branch.advance(self.phase());
        branch
    }

    /// Counts a branch no longer, whose work has ended. Once the whole ends, it is counted to the last: what
    /// was cut decides how the end is reported.
    pub fn forget(&self, branch: &Self) {
        if self.phase() >= Phase::Draining {
            return;
        }
        let mut branches = self.branches();
        branches.retain(|held| !Arc::ptr_eq(&held.signal, &branch.signal));
    }

    fn branches(&self) -> MutexGuard<'_, Vec<Self>> {
        self.branches.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The present phase.
    pub fn phase(&self) -> Phase {
        *self.phase.borrow()
    }

    /// Goes on to a later phase; an earlier one is ignored.
    pub fn advance(&self, to: Phase) {
        self.phase.send_if_modified(|phase| {
            let later = to > *phase;
            if later {
                *phase = to;
            }
            later
        });
        self.signal.advance(to);
        for branch in &*self.branches() {
            branch.advance(to);
        }
    }

    /// A handle for a piece of work.
    pub fn watch(&self) -> Watch {
        self.hold(&self.work)
    }

    /// A handle for what lets new work in: a drain is not complete before it is closed.
    pub fn entrance(&self) -> Watch {
        self.hold(&self.entrances)
    }

    fn hold(&self, kind: &watch::Sender<()>) -> Watch {
        Watch {
            signal: Arc::clone(&self.signal),
            aborted: Arc::clone(&self.aborted),
            _held: Arc::new(kind.subscribe()),
        }
    }

    /// A handle that sees the phase and holds nothing up.
    pub fn observe(&self) -> watch::Receiver<Phase> {
        self.phase.subscribe()
    }

    /// Waits until nobody holds a `Watch` any more.
    pub async fn finished(&self) {
        let mut parts = self.branches().clone();
        parts.push(self.clone());
        let holds = |part: &Self| part.entrances.receiver_count() + part.work.receiver_count() > 0;
        // A part may take new work while others end: all have to be done at the same time.
        while parts.iter().any(holds) {
            for part in &parts {
                part.entrances.closed().await;
                part.work.closed().await;
            }
        }
    }

    /// A handle for a response that reports the end.
    pub fn report(&self) -> watch::Receiver<()> {
        self.reports.subscribe()
    }

    /// Waits until every such response is sent.
    pub async fn reported(&self) {
        self.reports.closed().await;
    }

    /// Pieces of work that were aborted.
    pub fn aborted(&self) -> usize {
        let own = self.aborted.load(Ordering::Acquire);
        own + self.branches().iter().map(Self::aborted).sum::<usize>()
    }

    /// Pieces of work that are open; entrances are none.
    pub fn open(&self) -> usize {
        let own = self.work.receiver_count();
        own + self.branches().iter().map(Self::open).sum::<usize>()
    }
}

impl Watch {
    /// Whether open work should come to its end.
    pub fn is_draining(&self) -> bool {
        self.signal.has_reached(Phase::Draining)
    }

    /// Counts this piece of work as aborted: what it owed its client was not delivered.
    pub fn count_abort(&self) {
        self.aborted.fetch_add(1, Ordering::AcqRel);
    }

    /// A wait for a phase; it never ends if the process ends first.
    pub fn reached(&self, phase: Phase) -> PhaseWait {
        PhaseWait::new(&self.signal, phase)
    }
}

#[cfg(test)]
mod tests;

//! Waits for a phase. A connection polls its waits with every message, and the phase hardly ever changes, so
//! a poll reads one word that all connections share and that stays in the cache.

use std::pin::Pin;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use slab::Slab;

use super::phase::Phase;

/// The phase, and the wakers of the tasks that wait for a change.
#[derive(Default)]
pub(super) struct PhaseSignal {
    phase: AtomicU8,
    /// Wakers stay registered: each change wakes all of them.
    wakers: Mutex<Slab<Waker>>,
}

impl PhaseSignal {
    /// Goes on to a later phase and wakes everything that waits.
    pub(super) fn advance(&self, phase: Phase) {
        // Before the wakers are locked: a wait that registers afterwards sees it.
        self.phase.fetch_max(phase as u8, Ordering::AcqRel);
        for (_, task) in &*self.lock_wakers() {
            task.wake_by_ref();
        }
    }

    pub(super) fn has_reached(&self, phase: Phase) -> bool {
        self.phase.load(Ordering::Acquire) >= phase as u8
    }

    fn lock_wakers(&self) -> MutexGuard<'_, Slab<Waker>> {
        self.wakers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A wait for a phase that costs next to nothing to poll.
pub struct PhaseWait {
    signal: Arc<PhaseSignal>,
    phase: Phase,
    /// The task that is woken, and its key among the wakers.
    task: Option<(usize, Waker)>,
}

impl PhaseWait {
    pub(super) fn new(signal: &Arc<PhaseSignal>, phase: Phase) -> Self {
        Self {
            signal: Arc::clone(signal),
            phase,
            task: None,
        }
    }

    fn is_reached(&self) -> bool {
        self.signal.has_reached(self.phase)
    }

    fn register(&mut self, task: &Waker) {
        let mut wakers = self.signal.lock_wakers();
        // What is replaced is dropped outside the lock: a task may end with its last waker.
        let (key, _replaced) = match self.task.take() {
            Some((key, known)) => {
                let replaced = std::mem::replace(&mut wakers[key], task.clone());
                (key, Some((known, replaced)))
            }
            None => (wakers.insert(task.clone()), None),
        };
        drop(wakers);
        self.task = Some((key, task.clone()));
    }
}

impl Future for PhaseWait {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let is_registered = |task: &(usize, Waker)| task.1.will_wake(cx.waker());
        if !self.is_reached() && !self.task.as_ref().is_some_and(is_registered) {
            self.register(cx.waker());
        }
        // After the registration: a change in between has woken nobody.
        if self.is_reached() {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    }
}

impl Drop for PhaseWait {
    fn drop(&mut self) {
        if let Some((key, _)) = self.task.take() {
            let removed = self.signal.lock_wakers().remove(key);
            drop(removed);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::sync::atomic::AtomicBool;
    use std::time::Duration;

    use super::*;
    use crate::drain::Drain;

    async fn still_waiting(mut wait: PhaseWait) -> PhaseWait {
        let pending =
            std::future::poll_fn(|cx| Poll::Ready(Pin::new(&mut wait).poll(cx).is_pending()));
        assert!(pending.await);
        wait
    }

    /// Polled by several tasks in turn, and through every phase: each change wakes the task that polled last.
    #[tokio::test]
    async fn a_wait_sees_every_change_and_every_task() {
        let drain = Drain::default();
        let mut wait = drain.watch().reached(Phase::Aborting);
        for phase in [Phase::LameDuck, Phase::Draining] {
            for _ in 0..3 {
                wait = tokio::spawn(still_waiting(wait)).await.unwrap();
            }
            drain.advance(phase);
        }
        let waiting = tokio::spawn(wait);
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        drain.advance(Phase::Aborting);
        assert!(waiting.await.is_ok());
    }

    #[tokio::test]
    async fn a_wait_that_is_over_or_given_up_is_woken_no_more() {
        let drain = Drain::default();
        let wait = still_waiting(drain.watch().reached(Phase::Aborting)).await;
        let other = still_waiting(drain.watch().reached(Phase::LameDuck)).await;
        assert_eq!(drain.signal.lock_wakers().len(), 2);
        drop(wait);
        drain.advance(Phase::LameDuck);
        other.await;
        assert!(drain.signal.lock_wakers().is_empty());
    }

    /// A change while the wait is being polled for other reasons must not be the last it hears of.
    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn a_wait_misses_no_change_while_it_is_polled() {
        for _ in 0..200 {
            let drain = Drain::default();
            let busy = Arc::new(AtomicBool::new(true));
            let waiting: Vec<_> = (0..8)
                .map(|_| {
                    let busy = Arc::clone(&busy);
                    let (mut drained, mut cut) = (
                        drain.watch().reached(Phase::Draining),
                        drain.watch().reached(Phase::Aborting),
                    );
                    tokio::spawn(std::future::poll_fn(move |cx| {
                        if busy.load(Ordering::Relaxed) {
                            cx.waker().wake_by_ref();
                        }
                        let cut = Pin::new(&mut cut).poll(cx);
                        assert!(cut.is_pending());
                        Pin::new(&mut drained).poll(cx)
                    }))
                })
                .collect();
            tokio::task::yield_now().await;
            drain.advance(Phase::LameDuck);
            busy.store(false, Ordering::Relaxed);
            tokio::time::sleep(Duration::from_micros(200)).await;
            drain.advance(Phase::Draining);
            for waiting in waiting {
                let ended = tokio::time::timeout(Duration::from_secs(10), waiting).await;
                ended.unwrap().unwrap();
            }
        }
    }
}

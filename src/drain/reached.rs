//! Waits for a phase that are polled far more often than the phase changes: a connection looks at its
//! waits with every message, so a look is one word that all connections share, and stays in the cache.

use std::pin::Pin;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use slab::Slab;

use super::Phase;

/// The phase, and whom to wake when it changes.
#[derive(Default)]
pub(super) struct Bell {
    phase: AtomicU8,
    /// Whoever is listed stays listed: each change wakes all.
    listed: Mutex<Slab<Waker>>,
}

impl Bell {
    /// Tells everybody of a later phase.
    pub(super) fn ring(&self, phase: Phase) {
        // Before the list is locked: who is listed afterwards sees it.
        self.phase.fetch_max(phase as u8, Ordering::AcqRel);
        for (_, task) in &*self.listed() {
            task.wake_by_ref();
        }
    }

    pub(super) fn has_rung(&self, phase: Phase) -> bool {
        self.phase.load(Ordering::Acquire) >= phase as u8
    }

    fn listed(&self) -> MutexGuard<'_, Slab<Waker>> {
        self.listed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A wait for a phase that costs next to nothing to poll.
pub struct Reached {
    bell: Arc<Bell>,
    phase: Phase,
    /// The task that is woken, and its place in the list.
    task: Option<(usize, Waker)>,
}

impl Reached {
    pub(super) fn new(bell: &Arc<Bell>, phase: Phase) -> Self {
        Self {
            bell: Arc::clone(bell),
            phase,
            task: None,
        }
    }

    fn has_come(&self) -> bool {
        self.bell.has_rung(self.phase)
    }

    fn list(&mut self, task: &Waker) {
        let mut listed = self.bell.listed();
        // What is replaced is dropped outside the lock: a task may end with its last waker.
        let (key, _replaced) = match self.task.take() {
            Some((key, known)) => {
                let replaced = std::mem::replace(&mut listed[key], task.clone());
                (key, Some((known, replaced)))
            }
            None => (listed.insert(task.clone()), None),
        };
        drop(listed);
        self.task = Some((key, task.clone()));
    }
}

impl Future for Reached {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let is_listed = |task: &(usize, Waker)| task.1.will_wake(cx.waker());
        if !self.has_come() && !self.task.as_ref().is_some_and(is_listed) {
            self.list(cx.waker());
        }
        // After the listing: a change in between has woken nobody.
        if self.has_come() {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    }
}

impl Drop for Reached {
    fn drop(&mut self) {
        if let Some((key, _)) = self.task.take() {
            let removed = self.bell.listed().remove(key);
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

    async fn still_waiting(mut wait: Reached) -> Reached {
        let pending =
            std::future::poll_fn(|cx| Poll::Ready(Pin::new(&mut wait).poll(cx).is_pending()));
        assert!(pending.await);
        wait
    }

    /// Polled by several tasks in turn, and through every phase: each change wakes whoever polled last.
    #[tokio::test]
    async fn a_wait_sees_every_change_and_every_task() {
        let drain = Drain::default();
        let mut wait = drain.watch().reached(Phase::Cut);
        for phase in [Phase::Lame, Phase::Draining] {
            for _ in 0..3 {
                wait = tokio::spawn(still_waiting(wait)).await.unwrap();
            }
            drain.advance(phase);
        }
        let waiting = tokio::spawn(wait);
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        drain.advance(Phase::Cut);
        assert!(waiting.await.is_ok());
    }

    #[tokio::test]
    async fn a_wait_that_is_over_or_given_up_is_woken_no_more() {
        let drain = Drain::default();
        let wait = still_waiting(drain.watch().reached(Phase::Cut)).await;
        let other = still_waiting(drain.watch().reached(Phase::Lame)).await;
        assert_eq!(drain.bell.listed().len(), 2);
        drop(wait);
        drain.advance(Phase::Lame);
        other.await;
        assert!(drain.bell.listed().is_empty());
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
                        drain.watch().reached(Phase::Cut),
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
            drain.advance(Phase::Lame);
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

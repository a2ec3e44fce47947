//! Whose request a worker begins next, for each listener. What has begun goes first: of the clients that wait, only a
//! few begin each time that the worker has been through everything else.
//!
//! Without this a worker that is behind reads every request that is there before it looks at an answer: thousands
//! are under way where a few dozen would keep the upstream as busy, each on a connection of its own to it,
//! and what one needs has left the caches when its answer comes.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use crate::panics::{self, OnPanic};

/// Requests begun in one pass. No limit of those under way: a pass is over as soon as there is nothing else to do.
const BATCH: usize = 32;

/// The order in which requests of one listener's clients begin at one worker.
#[derive(Default)]
pub(crate) struct RequestScheduler(Mutex<State>);

#[derive(Default)]
struct State {
    /// How many may still begin in this pass.
    left: usize,
    /// How many of those that had to wait were called.
    called: u64,
    waiting: VecDeque<Waker>,
    /// The end of the pass, if nobody waits for it yet.
    pass: Option<Waker>,
}

impl RequestScheduler {
    /// A new scheduler; must run inside the worker's runtime.
    ///
    /// `panicked` hears of a panic, after which the passes go on: who waits must not wait for ever.
    pub(crate) fn start(panicked: OnPanic) -> Arc<Self> {
        let scheduler = Arc::new(Self::default());
        let held = Arc::downgrade(&scheduler);
        tokio::spawn(poll_fn(move |cx| {
            let Some(scheduler) = held.upgrade() else {
                return Poll::Ready(());
            };
            if !scheduler.end_pass(cx) {
                panicked();
            }
            Poll::Pending
        }));
        scheduler
    }

    /// Waits until the next request may begin.
    pub(crate) async fn next(&self) {
        let mut number = None;
        poll_fn(|cx| self.poll_next(cx, &mut number)).await;
    }

    fn poll_next(&self, cx: &Context<'_>, number: &mut Option<u64>) -> Poll<()> {
        let mut state = self.state();
        match *number {
            Some(number) if number < state.called => return Poll::Ready(()),
            Some(number) => {
                let position = usize::try_from(number - state.called).unwrap_or(usize::MAX);
                if let Some(waker) = state.waiting.get_mut(position) {
                    waker.clone_from(cx.waker());
                }
            }
            None if state.left > 0 && state.waiting.is_empty() => {
                state.left -= 1;
                return Poll::Ready(());
            }
            None => {
                *number = Some(state.called + state.waiting.len() as u64);
                state.waiting.push_back(cx.waker().clone());
                if let Some(pass) = state.pass.take() {
                    pass.wake();
                }
            }
        }
        Poll::Pending
    }

    /// Runs behind all that was ready when it was woken: the scheduler's queue is first in, first out.
    /// Whether all went well: a client's waker that panics is that client's loss only.
    fn end_pass(&self, cx: &Context<'_>) -> bool {
        let mut state = self.state();
        let count = state.waiting.len().min(BATCH);
        state.left = BATCH - count;
        state.called += count as u64;
        if count > 0 {
            cx.waker().wake_by_ref();
        } else {
            state.pass = Some(cx.waker().clone());
        }
        let called: Vec<Waker> = state.waiting.drain(..count).collect();
        drop(state);
        let wake = |waker: Waker| panics::caught_call(|| waker.wake()).is_ok();
        called
            .into_iter()
            .map(wake)
            .fold(true, |all, woken| all & woken)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for RequestScheduler {
    fn drop(&mut self) {
        // The task finds nothing left to do.
        if let Some(pass) = self.state().pass.take() {
            pass.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::panic)]
    use super::*;

    fn ends(scheduler: &RequestScheduler) {
        scheduler.end_pass(&Context::from_waker(Waker::noop()));
    }

    fn polls(scheduler: &RequestScheduler, numbers: &mut [Option<u64>]) -> Vec<bool> {
        let cx = Context::from_waker(Waker::noop());
        let poll = |number| scheduler.poll_next(&cx, number).is_ready();
        numbers.iter_mut().map(poll).collect()
    }

    #[test]
    fn a_pass_begins_a_few_and_the_rest_follow_in_their_order() {
        let scheduler = RequestScheduler::default();
        ends(&scheduler);
        let mut numbers = [None; 3 * BATCH];
        let first_few = |begun: Vec<bool>| (0..).zip(begun).all(|(n, begun)| begun == (n < BATCH));
        assert!(first_few(polls(&scheduler, &mut numbers)));
        let waiting = &mut numbers[BATCH..];
        ends(&scheduler);
        assert!(first_few(polls(&scheduler, waiting)));
        // Who comes now waits behind those who came before.
        assert_eq!(polls(&scheduler, &mut [None]), [false]);
        ends(&scheduler);
        assert_eq!(polls(&scheduler, &mut waiting[BATCH..]), [true; BATCH]);
    }

    #[test]
    fn who_went_away_keeps_nobody_waiting() {
        let scheduler = RequestScheduler::default();
        ends(&scheduler);
        polls(&scheduler, &mut [None; BATCH]);
        polls(&scheduler, &mut [None; 2 * BATCH]);
        let mut last = [None];
        polls(&scheduler, &mut last);
        for _ in 0..3 {
            assert_eq!(polls(&scheduler, &mut last), [false]);
            ends(&scheduler);
        }
        assert_eq!(polls(&scheduler, &mut last), [true]);
        assert_eq!(polls(&scheduler, &mut [None]), [true]);
    }

    /// Panics when it is woken.
    struct Bomb;

    impl std::task::Wake for Bomb {
        fn wake(self: Arc<Self>) {
            panic!("as asked");
        }
    }

    #[tokio::test]
    async fn a_panic_of_one_who_waits_is_told_and_the_others_have_their_turn() {
        let (told, heard) = std::sync::mpsc::channel();
        let scheduler = RequestScheduler::start(Arc::new(move || {
            let _ = told.send(());
        }));
        tokio::task::yield_now().await;
        for _ in 0..BATCH {
            scheduler.next().await;
        }
        let bomb = Waker::from(Arc::new(Bomb));
        let first = scheduler.poll_next(&Context::from_waker(&bomb), &mut None);
        assert!(first.is_pending());
        for _ in 0..3 * BATCH {
            scheduler.next().await;
        }
        assert_eq!(heard.try_iter().count(), 1);
    }

    #[tokio::test]
    async fn everyone_gets_a_turn_and_the_task_ends_with_the_turns() {
        let scheduler = RequestScheduler::start(Arc::new(|| {}));
        let mut all = tokio::task::JoinSet::new();
        for _ in 0..10 * BATCH {
            let scheduler = Arc::clone(&scheduler);
            all.spawn(async move { scheduler.next().await });
        }
        assert_eq!(all.join_all().await.len(), 10 * BATCH);
        let metrics = tokio::runtime::Handle::current().metrics();
        assert_eq!(metrics.num_alive_tasks(), 1);
        drop(scheduler);
        while metrics.num_alive_tasks() > 0 {
            tokio::task::yield_now().await;
        }
    }
}

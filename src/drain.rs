//! Shutdown: the signal goes down, the completion comes up. Imports nothing of ours.
//!
//! Running; lame (not ready, still serving, while endpoints notice); draining (nothing new, what is
//! open may end); cut. A `Watch` and its clones are one piece of open work.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use tokio::sync::watch;

/// What the end of the process is told.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Between "not ready" and "no new connections": endpoints take time to notice.
    pub delay: Duration,
    /// How long open connections may go on after that.
    pub timeout: Duration,
}

/// Where a shutdown stands.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub enum Phase {
    /// Serving.
    #[default]
    Running,
    /// Serving, but no longer ready.
    Lame,
    /// Nothing new; open work may end.
    Draining,
    /// Open work is cut.
    Cut,
}

/// Starts a shutdown and knows when it is complete.
#[derive(Clone)]
pub struct Drain {
    phase: Arc<watch::Sender<Phase>>,
    /// Whoever lets new work in.
    entrances: Arc<watch::Sender<()>>,
    work: Arc<watch::Sender<()>>,
    /// Answers to those who wait for the end: they leave after it.
    reports: Arc<watch::Sender<()>>,
}

/// Sees the phase; while it or a clone of it lives, a drain is not complete.
#[derive(Clone)]
pub struct Watch {
    phase: watch::Receiver<Phase>,
    /// Shared by clones: a connection counts once, however many of its parts look at the phase.
    _held: Arc<watch::Receiver<()>>,
}

impl Default for Drain {
    fn default() -> Self {
        Self {
            phase: Arc::new(watch::Sender::new(Phase::Running)),
            entrances: Arc::new(watch::Sender::new(())),
            work: Arc::new(watch::Sender::new(())),
            reports: Arc::new(watch::Sender::new(())),
        }
    }
}

impl Drain {
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
            phase: self.phase.subscribe(),
            _held: Arc::new(kind.subscribe()),
        }
    }

    /// A handle that sees the phase and holds nothing up.
    pub fn observe(&self) -> watch::Receiver<Phase> {
        self.phase.subscribe()
    }

    /// Waits until nobody holds a `Watch` any more.
    pub async fn finished(&self) {
        self.entrances.closed().await;
        self.work.closed().await;
    }

    /// A handle for telling somebody of the end.
    pub fn report(&self) -> watch::Receiver<()> {
        self.reports.subscribe()
    }

    /// Waits until everybody who waits has been told.
    pub async fn reported(&self) {
        self.reports.closed().await;
    }

    /// Pieces of work that are open; entrances are none.
    pub fn open(&self) -> usize {
        self.work.receiver_count()
    }
}

impl Watch {
    /// Whether open work should come to its end.
    pub fn is_draining(&self) -> bool {
        *self.phase.borrow() >= Phase::Draining
    }

    /// Waits until a phase is reached; for ever if the process ends first.
    pub async fn reached(&mut self, phase: Phase) {
        if self.phase.wait_for(|now| *now >= phase).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// The same, for a wait that is polled far more often than the phase changes.
    pub fn lasting(&self, phase: Phase) -> Lasting {
        let mut watch = self.clone();
        Lasting {
            reached: Box::pin(async move { watch.reached(phase).await }),
            alarm: Arc::new(Alarm {
                rung: AtomicBool::new(true),
                task: Mutex::new(Waker::noop().clone()),
            }),
            task: None,
        }
    }
}

/// A wait for a phase that costs next to nothing to poll until it is woken: whoever waits in a `select`
/// beside a connection is polled with every message.
pub struct Lasting {
    reached: Pin<Box<dyn Future<Output = ()> + Send>>,
    alarm: Arc<Alarm>,
    /// The waker that the alarm wakes.
    task: Option<Waker>,
}

/// Wakes the task that waits, and remembers that it did.
struct Alarm {
    rung: AtomicBool,
    task: Mutex<Waker>,
}

impl Alarm {
    fn task(&self) -> MutexGuard<'_, Waker> {
        self.task.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Wake for Alarm {
    fn wake(self: Arc<Self>) {
        self.rung.store(true, Ordering::Release);
        self.task().wake_by_ref();
    }
}

impl Future for Lasting {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        // Before the look at the alarm: one that rings later finds the right task.
        let known = self
            .task
            .as_ref()
            .is_some_and(|task| task.will_wake(cx.waker()));
        if !known {
            self.alarm.task().clone_from(cx.waker());
            self.task = Some(cx.waker().clone());
        }
        // Taken before the look at the phase: a change during it rings again.
        let rung = self.alarm.rung.load(Ordering::Relaxed)
            && self.alarm.rung.swap(false, Ordering::AcqRel);
        if !rung {
            return Poll::Pending;
        }
        let waker = Waker::from(Arc::clone(&self.alarm));
        self.reached.as_mut().poll(&mut Context::from_waker(&waker))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[tokio::test]
    async fn a_drain_completes_when_the_last_watch_is_gone() {
        let drain = Drain::default();
        let watch = drain.watch();
        drain.advance(Phase::Draining);
        assert!(watch.is_draining());
        assert_eq!(drain.open(), 1);
        let complete = tokio::spawn({
            let drain = drain.clone();
            async move { drain.finished().await }
        });
        drop(watch);
        assert!(complete.await.is_ok());
    }

    #[test]
    fn the_parts_of_one_piece_of_work_count_once() {
        let drain = Drain::default();
        let (one, other) = (drain.watch(), drain.watch());
        let part = one.clone();
        assert_eq!(drain.open(), 2);
        drop((one, other));
        assert_eq!(drain.open(), 1);
        drop(part);
        assert_eq!(drain.open(), 0);
    }

    #[tokio::test]
    async fn a_drain_does_not_complete_while_an_entrance_is_open() {
        let drain = Drain::default();
        let entrance = drain.entrance();
        assert_eq!(drain.open(), 0);
        let complete = tokio::spawn({
            let drain = drain.clone();
            async move { drain.finished().await }
        });
        tokio::task::yield_now().await;
        assert!(!complete.is_finished());
        drop(entrance);
        assert!(complete.await.is_ok());
    }

    async fn still_waiting(mut wait: Lasting) -> Lasting {
        let pending =
            std::future::poll_fn(|cx| Poll::Ready(Pin::new(&mut wait).poll(cx).is_pending()));
        assert!(pending.await);
        wait
    }

    /// Polled by several tasks in turn, and through every phase: each change wakes whoever polled last.
    #[tokio::test]
    async fn a_lasting_wait_sees_every_change_and_every_task() {
        let drain = Drain::default();
        let mut wait = drain.watch().lasting(Phase::Cut);
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

    /// A change while the wait is being polled for other reasons must not be the last it hears of.
    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn a_lasting_wait_misses_no_change_while_it_is_polled() {
        for _ in 0..200 {
            let drain = Drain::default();
            let busy = Arc::new(AtomicBool::new(true));
            let waiting: Vec<_> = (0..8)
                .map(|_| {
                    let busy = Arc::clone(&busy);
                    let (mut drained, mut cut) = (
                        drain.watch().lasting(Phase::Draining),
                        drain.watch().lasting(Phase::Cut),
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

    #[test]
    fn a_phase_never_goes_back() {
        let drain = Drain::default();
        drain.advance(Phase::Draining);
        drain.advance(Phase::Lame);
        assert_eq!(drain.phase(), Phase::Draining);
    }
}

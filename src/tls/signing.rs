//! Threads for handshakes whose signature a token makes: a device or a network behind it may be slow, or
//! hang, and a worker's only thread must not wait with it. As many handshakes as there are threads are
//! under way at once. The others wait by the rule of [`HandshakeQueue`](super::queue::HandshakeQueue): their
//! sources take turns, and when more wait than `max-handshakes` says, the oldest of the largest source goes.

use std::io;
use std::net::IpAddr;
use std::panic::resume_unwind;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::thread;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::timeout;

use super::error::HandshakeError;
use crate::fairness::{Source, Table};
use crate::panics;

/// Threads of a listener, and so sessions with its token that are in use at once.
pub const THREADS: usize = 8;
/// How long a handshake waits for a thread, and how long for the signature.
pub const TIMEOUT: Duration = Duration::from_secs(2);

type Job = Box<dyn FnOnce() + Send>;

/// The threads of one listener. They end when it is dropped, a call that hangs when it returns.
#[derive(Debug)]
pub struct SigningThreads {
    jobs: Sender<Job>,
    turns: Arc<Turns>,
    timeout: Duration,
    /// A handshake waited in vain, and none has been computed since.
    hangs: Arc<AtomicBool>,
}

/// Who has a thread and who waits for one.
#[derive(Debug)]
struct Turns {
    /// How many may wait.
    places: usize,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// Threads without work. While there are some, nobody waits.
    free: usize,
    /// Turns that were given back so far.
    ended: u64,
    /// A sender that is dropped tells who waits to go.
    waiting: Table<oneshot::Sender<Turn>>,
}

/// The right to one thread; the next who waits has it when this is dropped.
#[derive(Debug)]
struct Turn(Arc<Turns>);

/// A handshake that waits for a thread; dropping it leaves the queue.
struct Waiting {
    turns: Arc<Turns>,
    source: Source,
    number: u64,
    /// How many turns had ended when it came.
    ended: u64,
    called: oneshot::Receiver<Turn>,
}

impl SigningThreads {
    /// Starts `threads`; at most `places` handshakes wait for them.
    pub fn start(threads: usize, places: usize, timeout: Duration) -> io::Result<Arc<Self>> {
        let (jobs, waiting) = channel();
        let waiting = Arc::new(Mutex::new(waiting));
        for number in 0..threads {
            let waiting = Arc::clone(&waiting);
            thread::Builder::new()
                .name(format!("sign-{number}"))
                .spawn(move || work(&waiting))?;
        }
        let state = State {
            free: threads,
            ended: 0,
            waiting: Table::default(),
        };
        Ok(Arc::new(Self {
            jobs,
            turns: Arc::new(Turns {
                places,
                state: Mutex::new(state),
            }),
            timeout,
            hangs: Arc::default(),
        }))
    }

    /// Whether the last handshake waited in vain.
    pub fn hang(&self) -> bool {
        self.hangs.load(Ordering::Relaxed)
    }

    /// Does the work of `client` on one of the threads. What was given up is not begun; what has begun goes on.
    ///
    /// # Panics
    /// Where the work does, which the hook has logged: whose work it is counts it as a panic of its own.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        client: IpAddr,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, HandshakeError> {
        let turn = self.turn(client).await?;
        let (sender, computed) = oneshot::channel();
        let hangs = Arc::clone(&self.hangs);
        let job = move || {
            let result = panics::caught_call(work);
            hangs.store(false, Ordering::Relaxed);
            drop(turn);
            // Nobody may wait any more.
            let _ = sender.send(result);
        };
        let sent = self.jobs.send(Box::new(job));
        sent.map_err(|_| HandshakeError::Internal)?;
        let computed = timeout(self.timeout, computed).await;
        let computed = computed.map_err(|_| self.hanging())?;
        match computed.map_err(|_| HandshakeError::Internal)? {
            Ok(result) => Ok(result),
            Err(panicked) => resume_unwind(Box::new(panicked)),
        }
    }

    async fn turn(&self, client: IpAddr) -> Result<Turn, HandshakeError> {
        let mut waiting = match self.turns.enter(client) {
            Ok(turn) => return Ok(turn),
            Err(waiting) => waiting,
        };
        let called = timeout(self.timeout, &mut waiting).await;
        called.unwrap_or_else(|_| {
            // Others had their turn meanwhile: there are too many of them, and no thread hangs for it.
            let slow = self.turns.state().ended > waiting.ended;
            Err(if slow {
                HandshakeError::ShedFromQueue
            } else {
                self.hanging()
            })
        })
    }

    fn hanging(&self) -> HandshakeError {
        self.hangs.store(true, Ordering::Relaxed);
        HandshakeError::SignerTimeout
    }
}

impl Turns {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn enter(self: &Arc<Self>, client: IpAddr) -> Result<Turn, Waiting> {
        let mut state = self.state();
        if state.free > 0 {
            state.free -= 1;
            return Ok(Turn(Arc::clone(self)));
        }
        let source = Source::from(client);
        let (sender, called) = oneshot::channel();
        let number = state.waiting.insert(source, sender);
        if state.waiting.len() > self.places {
            drop(state.waiting.evict());
        }
        Err(Waiting {
            turns: Arc::clone(self),
            source,
            number,
            ended: state.ended,
            called,
        })
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.ended += 1;
        let Some(next) = state.waiting.take_turn() else {
            state.free += 1;
            return;
        };
        drop(state);
        // One that goes in this moment drops its turn, for the next.
        let _ = next.send(Self(Arc::clone(&self.0)));
    }
}

impl Future for Waiting {
    type Output = Result<Turn, HandshakeError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let called = Pin::new(&mut self.called).poll(cx);
        called.map(|turn| turn.map_err(|_| HandshakeError::ShedFromQueue))
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.turns.state().waiting.remove(self.source, self.number);
    }
}

fn work(waiting: &Mutex<Receiver<Job>>) {
    loop {
        let next = waiting
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .recv();
        let Ok(job) = next else { return };
        job();
    }
}

#[cfg(test)]
mod tests;

//! Whose handshake a worker computes next. A key exchange and a signature cost a thousand times what a
//! hello costs its sender, so a flood of hellos must neither delay what else the worker does nor the
//! handshakes of other clients: one is computed between one look at the sockets and the next, by
//! turns of their sources (/24 of IPv4, /64 of IPv6), the oldest of a source first.
//!
//! While nobody waits, a handshake passes with one lock taken; nothing is allocated, nobody woken.

use std::future::poll_fn;
use std::mem;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use tokio::sync::oneshot;
use tokio::task::yield_now;

use crate::fairness::{Source, Table};
use crate::panics::{self, OnPanic};

/// Handshakes that are computed at once while nobody waits, before the next one lets everything else
/// go first.
const AT_ONCE: usize = 8;

/// The handshakes of one listener that wait for one worker to compute them.
pub struct HandshakeQueue {
    limit: usize,
    /// Told of a panic.
    panicked: OnPanic,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// How many may still compute at once.
    left: usize,
    /// Whether a task calls those who wait.
    calling: bool,
    waiting: Table<oneshot::Sender<Called>>,
}

/// What those who wait are told.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Called {
    /// It is their turn.
    ToCompute,
    /// Too many wait.
    ToGo,
}

/// A handshake that waits; dropping it leaves the queue.
pub(super) struct Waiting {
    queue: Arc<HandshakeQueue>,
    source: Source,
    number: u64,
    called: oneshot::Receiver<Called>,
}

impl HandshakeQueue {
    /// A queue in which at most `limit` wait; `panicked` hears of each panic.
    pub fn new(limit: usize, panicked: OnPanic) -> Arc<Self> {
        let state = State {
            left: AT_ONCE,
            calling: false,
            waiting: Table::default(),
        };
        Arc::new(Self {
            limit: limit.max(1),
            panicked,
            state: Mutex::new(state),
        })
    }

    /// Nothing if the handshake may be computed at once. One that waits is called by a task of the
    /// runtime that this runs in.
    pub(super) fn enter(self: &Arc<Self>, client: IpAddr) -> Option<Waiting> {
        let (waiting, call) = self.state().enter(self, client);
        if call {
            tokio::spawn(Arc::clone(self).call());
        }
        waiting
    }

    /// Calls those who wait until there are none. Yielding lets the runtime run what is ready and look
    /// at the sockets; then the connections that it accepted read their hellos and take part. After a panic those who wait go: nobody is left to wait for a call that never
    /// comes, and the next handshake finds the queue as new.
    async fn call(self: Arc<Self>) {
        loop {
            yield_now().await;
            behind_what_is_ready().await;
            match panics::caught_call(|| self.state().call()) {
                Ok(true) => {}
                Ok(false) => return,
                Err(panics::Panicked) => {
                    let _ = panics::caught_call(|| drop(self.state().start_anew()));
                    return (self.panicked)();
                }
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Goes to the end of the tasks that are ready, without another look at the sockets.
async fn behind_what_is_ready() {
    let mut waited = false;
    let end = poll_fn(|cx| {
        if mem::replace(&mut waited, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    });
    end.await;
}

impl State {
    /// What [`HandshakeQueue::enter`] returns, and whether a task must begin to call.
    fn enter(&mut self, queue: &Arc<HandshakeQueue>, client: IpAddr) -> (Option<Waiting>, bool) {
        if self.left > 0 && self.waiting.len() == 0 {
            self.left -= 1;
            return (None, false);
        }
        let source = Source::from(client);
        let (sender, called) = oneshot::channel();
        let number = self.waiting.insert(source, sender);
        if self.waiting.len() > queue.limit {
            tell(self.waiting.evict(), Called::ToGo);
        }
        let waiting = Waiting {
            queue: Arc::clone(queue),
            source,
            number,
            called,
        };
        let call = !mem::replace(&mut self.calling, true);
        (Some(waiting), call)
    }

    /// Nobody waits and nobody calls; those who waited.
    fn start_anew(&mut self) -> Table<oneshot::Sender<Called>> {
        self.left = AT_ONCE;
        self.calling = false;
        self.waiting.take()
    }

    /// One pass, which calls one: an honest client needs several looks at the sockets, and for each of
    /// them it waits for what is computed in between. Whether there will be another.
    fn call(&mut self) -> bool {
        let more = tell(self.waiting.take_turn(), Called::ToCompute);
        self.left = if more { 0 } else { AT_ONCE };
        self.calling = more;
        more
    }
}

/// Whether there was one to tell. It may go in this moment.
fn tell(waiting: Option<oneshot::Sender<Called>>, called: Called) -> bool {
    waiting.map(|waiting| waiting.send(called)).is_some()
}

impl Waiting {
    /// Ready once it is called.
    pub(super) fn poll_called(&mut self, cx: &mut Context<'_>) -> Poll<Called> {
        // The sender lives in the table: it is gone only once it has sent.
        let called = Pin::new(&mut self.called).poll(cx);
        called.map(|called| called.unwrap_or(Called::ToGo))
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.queue.state().waiting.remove(self.source, self.number);
    }
}

#[cfg(test)]
mod tests;

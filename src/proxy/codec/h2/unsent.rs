//! What HTTP/2 clients have not taken yet: counted for a connection and for the process, so that
//! windows of zero on many streams cost no more than the documented memory; and how many streams.
//!
//! Beyond a bound, a stream takes from the upstream only what its client can take at once,
//! and that in small pieces. So a client that stalls costs a little for each stream, and one that
//! reads goes on, whatever others hold.

mod streams;

use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock, OnceLock};

use tokio::sync::Notify;
use tokio::task::yield_now;

pub(crate) use self::streams::{Admission, RefusedStream, StreamPermit};
use crate::budget::{FIRST_UPLOAD_WINDOW, UNSENT_PER_CONNECTION};
use crate::proxy::codec::h2::held_heads::{HeldHead, HeldHeads};
use crate::proxy::codec::h2::reserve::{BOUNDS, HEADS, REQUESTS};
use crate::proxy::codec::h2::upload_window::UploadWindow;
use crate::proxy::codec::message::Readiness;

/// The part of the process's bytes of response heads, and of those of requests, that one connection may hold: one
/// in so many.
const PART_OF_HEADS: u64 = 4;
const PART_OF_REQUESTS: u64 = 2;
/// Bytes that are progress of responses: less may be replies to pings.
pub(crate) const PROGRESS: u64 = 4096;

/// What a process holds.
pub(crate) struct Process {
    held: AtomicUsize,
    streams: AtomicUsize,
    /// Streams that are refused for want of a permit, and wait for the rest of their requests.
    refused: AtomicUsize,
    /// Bytes of one connection and of all, beyond which streams get little.
    a_connection: usize,
    limit: usize,
    most_streams: usize,
}

/// The one of this process.
pub(crate) static PROCESS: LazyLock<Process> = LazyLock::new(|| {
    let bytes = |count: u64| usize::try_from(count).unwrap_or(usize::MAX);
    Process::new(
        bytes(UNSENT_PER_CONNECTION),
        bytes(BOUNDS.unsent),
        bytes(BOUNDS.streams),
    )
});

impl Process {
    const fn new(a_connection: usize, limit: usize, most_streams: usize) -> Self {
        Self {
            held: AtomicUsize::new(0),
            streams: AtomicUsize::new(0),
            refused: AtomicUsize::new(0),
            a_connection,
            limit,
            most_streams,
        }
    }
}

/// A look at the client's socket while it is open.
type Look<T> = Box<dyn Fn() -> Option<T> + Send + Sync>;

/// What the streams of one connection hold.
pub(crate) struct Unsent {
    held: AtomicUsize,
    /// What the other direction holds.
    pub(crate) uploads: UploadWindow,
    /// The client does not read its socket.
    blocked: Arc<AtomicBool>,
    unblocked: Notify,
    /// Heads that are in front of the socket.
    heads: Arc<HeldHeads>,
    /// Request heads that are on their way to the upstream, and trailers that wait for it.
    requests: Arc<HeldHeads>,
    /// Streams that wait for the client alone, and have for too long.
    stalled: AtomicUsize,
    socket: OnceLock<(Look<usize>, Look<u64>)>,
    process: &'static Process,
}

impl Unsent {
    /// Nothing yet.
    pub(crate) fn new(process: &'static Process, blocked: Arc<AtomicBool>) -> Arc<Self> {
        Arc::new(Self {
            held: AtomicUsize::new(0),
            uploads: UploadWindow::new(FIRST_UPLOAD_WINDOW),
            blocked,
            unblocked: Notify::new(),
            heads: Arc::default(),
            requests: Arc::default(),
            stalled: AtomicUsize::new(0),
            socket: OnceLock::new(),
            process,
        })
    }

    /// Says what the client's socket took, and what the client has not acknowledged of it.
    pub(crate) fn tells(&self, untaken: Look<usize>, written: Look<u64>) {
        self.socket.get_or_init(|| (untaken, written));
    }

    /// What the client has not acknowledged.
    pub(crate) fn untaken(&self) -> Option<usize> {
        self.socket.get()?.0()
    }

    /// Bytes that the socket took.
    pub(crate) fn sent(&self) -> u64 {
        self.socket.get().and_then(|socket| socket.1()).unwrap_or(0)
    }

    /// One more stream waits for the client alone, and has for too long.
    pub(crate) fn stalled(&self) {
        self.stalled.fetch_add(1, Ordering::Relaxed);
    }

    /// It does not any more.
    pub(crate) fn goes_on(&self) {
        self.stalled.fetch_sub(1, Ordering::Relaxed);
    }

    /// How many streams do.
    pub(crate) fn stalled_streams(&self) -> usize {
        self.stalled.load(Ordering::Relaxed)
    }

    /// Whether the client leaves its socket unread.
    pub(crate) fn is_blocked(&self) -> bool {
        self.blocked.load(Ordering::Relaxed)
    }

    /// The socket has room again.
    pub(crate) fn unblocked(&self) {
        self.unblocked.notify_waiters();
    }

    /// The connection has ended: nobody waits for its socket any more.
    pub(crate) fn closed(&self) {
        self.blocked.store(false, Ordering::Relaxed);
        self.unblocked();
    }

    /// Whether there is room for a head of so many bytes that is sent now. It is taken until the head is
    /// written to the socket.
    pub(crate) fn takes_head(self: &Arc<Self>, bytes: usize) -> bool {
        let Some(head) = self
            .heads
            .take(&HEADS, part(BOUNDS.heads, PART_OF_HEADS), bytes)
        else {
            return false;
        };
        let unsent = Arc::clone(self);
        tokio::spawn(async move {
            // It is handed over in this turn of the connection, whose end says whether it was written.
            yield_now().await;
            unsent.room_in_socket().await;
            drop(head);
        });
        true
    }

    /// Room for the head or the trailers of a request, until dropped.
    pub(crate) fn takes_request(&self, bytes: usize) -> Option<HeldHead> {
        let part = part(BOUNDS.requests, PART_OF_REQUESTS);
        self.requests.take(&REQUESTS, part, bytes)
    }

    /// Waits until the socket has room: what was handed over before is not on its way until then.
    pub(crate) async fn room_in_socket(&self) {
        while self.is_blocked() {
            let mut unblocked = pin!(self.unblocked.notified());
            unblocked.as_mut().enable();
            if self.is_blocked() {
                unblocked.await;
            }
        }
    }

    /// Whether nothing is held.
    pub(crate) fn is_empty(&self) -> bool {
        self.held.load(Ordering::Relaxed) == 0
    }

    /// How much a stream may take from the upstream.
    pub(crate) fn room(&self) -> Readiness {
        let all = self.process.held.load(Ordering::Relaxed);
        let held = self.held.load(Ordering::Relaxed);
        if held < self.process.a_connection && all < self.process.limit {
            Readiness::Ample
        } else {
            Readiness::Scarce
        }
    }

    /// Charges for bytes that are held.
    pub(crate) fn add(&self, bytes: usize) {
        self.held.fetch_add(bytes, Ordering::Relaxed);
        self.process.held.fetch_add(bytes, Ordering::Relaxed);
    }

    /// They are held no more.
    pub(crate) fn remove(&self, bytes: usize) {
        self.held.fetch_sub(bytes, Ordering::Relaxed);
        self.process.held.fetch_sub(bytes, Ordering::Relaxed);
    }
}

fn part(of: u64, one_in: u64) -> usize {
    usize::try_from(of / one_in).unwrap_or(usize::MAX)
}

/// What one holder is charged for, until it is dropped.
pub(crate) struct Charge {
    unsent: Arc<Unsent>,
    bytes: usize,
}

impl Charge {
    /// Nothing yet.
    pub(crate) fn new(unsent: Arc<Unsent>) -> Self {
        Self { unsent, bytes: 0 }
    }

    pub(crate) fn room(&self) -> Readiness {
        self.unsent.room()
    }

    /// Charges for bytes that are about to be read, if there is room for more.
    pub(crate) fn reserve(&mut self, bytes: usize) -> bool {
        let ample = self.room() == Readiness::Ample;
        if ample {
            self.set(bytes);
        }
        ample
    }

    /// It holds so many bytes now.
    pub(crate) fn set(&mut self, bytes: usize) {
        let before = std::mem::replace(&mut self.bytes, bytes);
        if bytes > before {
            self.unsent.add(bytes - before);
        } else if bytes < before {
            self.unsent.remove(before - bytes);
        }
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.set(0);
    }
}

#[cfg(test)]
mod tests;

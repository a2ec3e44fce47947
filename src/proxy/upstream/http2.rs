//! HTTP/2 connections to the upstream, clear text with prior knowledge (RFC 9113 §3.3),
//! shared by the streams of all clients.

mod liveness;

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;
use std::time::{Duration, Instant};

use bytes::Bytes;
use h2::client::SendRequest;
use tokio::task::AbortHandle;

use self::liveness::Liveness;
use super::socket::Socket;
use crate::panics::{self, OnPanic};
use crate::proxy::codec::h2::reserve::{Reserved, UPSTREAM};
use crate::proxy::codec::h2::write_coalescer::CoalescingWriter;
use crate::proxy::error::UpstreamError;

/// Streams on one connection; the next opens another.
const MAX_STREAMS: usize = 100;
/// Bytes a stream may have under way before its client has taken them: at most, and at least where many
/// connections have taken what the process may hold. A connection has room for every stream's window:
/// a slow client must not stall the others.
const STREAM_WINDOW: usize = 64 * 1024;
const LEAST_STREAM_WINDOW: usize = 4 * 1024;

/// The shared connections.
pub(crate) struct Pool {
    open: Mutex<Vec<Arc<Shared>>>,
    /// One dial at a time: a burst of streams shares what it opens.
    dialling: tokio::sync::Mutex<()>,
    /// Counts a connection whose task panicked.
    panicked: OnPanic,
}

struct Shared {
    /// Its windows' part of the process's bytes.
    _window: Reserved,
    sender: SendRequest<Bytes>,
    /// The group of its keys, where there are any.
    group: Option<&'static str>,
    streams: AtomicUsize,
    /// When the last stream ended.
    idle_since: Mutex<Instant>,
    /// The server closed it, or takes no more streams on it.
    closed: Arc<AtomicBool>,
    /// Of a server elsewhere, whose path may swallow what it is sent; the kernel tells of the end of one here.
    liveness: Option<Mutex<Liveness>>,
    heard: Arc<AtomicBool>,
    driver: AbortHandle,
}

/// A permit for one stream; given back when dropped.
pub(crate) struct UpstreamPermit {
    shared: Arc<Shared>,
}

/// A stream that may be opened.
pub(crate) struct Opening {
    pub(crate) sender: SendRequest<Bytes>,
    /// Held until the stream ends.
    pub(crate) permit: UpstreamPermit,
    /// The connection served a stream before, so it may have been closed meanwhile.
    pub(crate) reused: bool,
}

impl UpstreamPermit {
    /// A sender that is ready to open the stream, unless the server has closed the connection.
    async fn open(self, reused: bool) -> Option<Opening> {
        let mut sender = self.shared.sender.clone();
        if poll_fn(|cx| sender.poll_ready(cx)).await.is_err() {
            self.shared.closed.store(true, Ordering::Relaxed);
            return None;
        }
        Some(Opening {
            sender,
            permit: self,
            reused,
        })
    }
}

impl UpstreamPermit {
    /// The group of the connection's keys, where there are any.
    pub(crate) fn group(&self) -> Option<&'static str> {
        self.shared.group
    }

    /// The server takes no more streams on this connection.
    pub(crate) fn retire(&self) {
        self.shared.closed.store(true, Ordering::Relaxed);
    }
}

impl Drop for UpstreamPermit {
    fn drop(&mut self) {
        if self.shared.streams.fetch_sub(1, Ordering::Relaxed) == 1 {
            *self.shared.idle_since() = Instant::now();
        }
    }
}

impl Pool {
    pub(super) fn new(panicked: OnPanic) -> Self {
        Self {
            open: Mutex::default(),
            dialling: tokio::sync::Mutex::default(),
            panicked,
        }
    }

    /// A stream on a connection that is open.
    pub(super) async fn reuse(&self) -> Option<Opening> {
        while let Some(permit) = self.existing() {
            if let Some(opening) = permit.open(true).await {
                return Some(opening);
            }
        }
        None
    }

    /// A stream on a connection that others may be opening right now, or is opened with `connect`.
    pub(super) async fn open_stream<C>(
        &self,
        timeout: Duration,
        connect: C,
    ) -> Result<Opening, UpstreamError>
    where
        C: Future<Output = Result<Socket, UpstreamError>>,
    {
        let _dialling = self.lock_dialling(timeout).await?;
        let (permit, reused) = if let Some(permit) = self.existing() {
            (permit, true)
        } else {
            let opening = open(connect.await?, Arc::clone(&self.panicked));
            let opened = tokio::time::timeout(timeout, opening).await;
            let shared = Arc::new(opened.map_err(|_| UpstreamError::Timeout)??);
            let permit = shared.permit();
            self.lock().push(shared);
            (permit, false)
        };
        permit.open(reused).await.ok_or(UpstreamError::Closed)
    }

    fn existing(&self) -> Option<UpstreamPermit> {
        let mut open = self.lock();
        open.retain(|shared| !shared.closed.load(Ordering::Relaxed));
        open.iter()
            .find(|shared| shared.has_room())
            .map(Shared::permit)
    }

    /// Closes connections that have had no stream for `timeout`, and those of servers that do not live any more.
    pub(super) fn sweep(&self, timeout: Duration) {
        self.lock().retain(|shared| {
            shared.give_up_if_lost();
            let quiet = shared.streams.load(Ordering::Relaxed) == 0;
            let closed = shared.closed.load(Ordering::Relaxed);
            !(closed || quiet && shared.idle_since().elapsed() >= timeout)
        });
    }

    /// Closes one connection that has no stream.
    pub(super) fn evict_idle(&self) {
        let mut open = self.lock();
        let idle = |shared: &Arc<Shared>| shared.streams.load(Ordering::Relaxed) == 0;
        if let Some(index) = open.iter().position(idle) {
            open.remove(index);
        }
    }

    /// The right to dial; waiting for it counts as waiting for a connection.
    async fn lock_dialling(
        &self,
        timeout: Duration,
    ) -> Result<tokio::sync::MutexGuard<'_, ()>, UpstreamError> {
        tokio::time::timeout(timeout, self.dialling.lock())
            .await
            .map_err(|_| UpstreamError::Timeout)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Arc<Shared>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shared {
    fn idle_since(&self) -> std::sync::MutexGuard<'_, Instant> {
        self.idle_since
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// What was asked of a server that is given up fails, or is asked again elsewhere if that can do no harm.
    fn give_up_if_lost(&self) {
        let Some(liveness) = &self.liveness else {
            return;
        };
        let busy = self.streams.load(Ordering::Relaxed) > 0;
        let heard = self.heard.swap(false, Ordering::Relaxed);
        let mut liveness = liveness.lock().unwrap_or_else(PoisonError::into_inner);
        if liveness.is_lost(busy, heard) {
            self.closed.store(true, Ordering::Relaxed);
            self.driver.abort();
        }
    }

    fn has_room(&self) -> bool {
        let limit = self.sender.current_max_send_streams().min(MAX_STREAMS);
        self.streams.load(Ordering::Relaxed) < limit
    }

    fn permit(self: &Arc<Self>) -> UpstreamPermit {
        self.streams.fetch_add(1, Ordering::Relaxed);
        UpstreamPermit {
            shared: Arc::clone(self),
        }
    }
}

fn bounded(window: usize) -> u32 {
    u32::try_from(window).unwrap_or(u32::MAX >> 1)
}

async fn open(socket: Socket, panicked: OnPanic) -> Result<Shared, UpstreamError> {
    let (group, watched) = (socket.group(), socket.may_lose_its_peer());
    if watched {
        socket.limit_unacknowledged();
    }
    let socket = CoalescingWriter::new(socket);
    let (turns, heard) = (socket.handle(), socket.heard());
    let window = UPSTREAM.take_part(STREAM_WINDOW * MAX_STREAMS);
    let of_stream = (window.bytes() / MAX_STREAMS).max(LEAST_STREAM_WINDOW);
    let of_all = of_stream * MAX_STREAMS;
    let (sender, mut connection) = h2::client::Builder::new()
        .initial_window_size(bounded(of_stream))
        .initial_connection_window_size(bounded(of_all))
        .max_send_buffer_size(64 * 1024)
        .enable_push(false)
        // The windows are limit enough: small frames that a slow client leaves lying must not cost
        // all others their connection.
        .data_frame_budget(of_all * 256)
        // None before the server has said how many: it would refuse what exceeds its limit.
        .initial_max_send_streams(0)
        .handshake(socket)
        .await
        .map_err(|_| UpstreamError::Closed)?;
    poll_fn(|cx| match Pin::new(&mut connection).poll(cx) {
        Poll::Ready(_) => Poll::Ready(Err(UpstreamError::Closed)),
        Poll::Pending if connection.max_concurrent_send_streams() > 0 => Poll::Ready(Ok(())),
        Poll::Pending => Poll::Pending,
    })
    .await?;
    let pings = connection.ping_pong().filter(|_| watched);
    let liveness = pings.map(|pings| Mutex::new(Liveness::new(pings)));
    let closed = Arc::new(AtomicBool::new(false));
    let ended = Arc::clone(&closed);
    // Ends when the server closes, or when the last sender is gone.
    let driver = tokio::spawn(async move {
        let driving = poll_fn(|cx| turns.poll_batched(cx, |cx| Pin::new(&mut connection).poll(cx)));
        // However it ends, nobody may take it for open.
        let driven = panics::caught(driving).await;
        ended.store(true, Ordering::Relaxed);
        if driven.is_err() {
            panicked();
        }
    });
    Ok(Shared {
        _window: window,
        sender,
        group,
        streams: AtomicUsize::new(0),
        idle_since: Mutex::new(Instant::now()),
        closed,
        liveness,
        heard,
        driver: driver.abort_handle(),
    })
}

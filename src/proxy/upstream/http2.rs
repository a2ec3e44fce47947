//! HTTP/2 connections to the upstream, clear text with prior knowledge (RFC 9113 §3.3),
//! shared by the streams of all clients.

mod liveness;
mod open;

use std::future::{Future, poll_fn};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use h2::client::SendRequest;

use self::open::{Shared, open};
use super::socket::Socket;
use crate::panics::OnPanic;
use crate::proxy::codec::h2::response_ends::WatchedEnd;
use crate::proxy::codec::message::AskOutgoing;
use crate::proxy::error::UpstreamError;

/// The shared connections.
pub(crate) struct Pool {
    open: Mutex<Vec<Arc<Shared>>>,
    /// One dial at a time: a burst of streams shares what it opens.
    dialling: tokio::sync::Mutex<()>,
    /// Counts a connection whose task panicked.
    panicked: OnPanic,
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
    fn of(shared: &Arc<Shared>) -> Self {
        shared.streams.fetch_add(1, Ordering::Relaxed);
        Self {
            shared: Arc::clone(shared),
        }
    }

    /// A sender that is ready to open the stream, unless the server has closed the connection.
    async fn open(self, reused: bool) -> Result<Opening, UpstreamError> {
        let mut sender = self.shared.sender.clone();
        if let Err(error) = poll_fn(|cx| sender.poll_ready(cx)).await {
            self.shared.closed.store(true, Ordering::Relaxed);
            return Err(UpstreamError::of_http2(&error));
        }
        Ok(Opening {
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

    /// Tells what was sent on the connection.
    pub(crate) fn outgoing(&self) -> AskOutgoing {
        Arc::clone(&self.shared.outgoing)
    }

    /// Watches for the end of the response on a stream that was just opened.
    pub(crate) fn watch_end(&self, stream: h2::StreamId) -> WatchedEnd {
        self.shared.ends.watch(stream.as_u32())
    }

    /// How the connection has ended, as far as is known.
    pub(crate) fn end(&self) -> UpstreamError {
        let end = self.shared.end.get();
        end.map_or(UpstreamError::Closed, open::End::error)
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
            if let Ok(opening) = permit.open(true).await {
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
            let permit = UpstreamPermit::of(&shared);
            self.lock().push(shared);
            (permit, false)
        };
        permit.open(reused).await
    }

    fn existing(&self) -> Option<UpstreamPermit> {
        let mut open = self.lock();
        open.retain(|shared| !shared.closed.load(Ordering::Relaxed));
        open.iter()
            .find(|shared| shared.has_room())
            .map(UpstreamPermit::of)
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

//! What an HTTP/2 connection sends in one turn leaves in one piece. The h2 crate flushes after each
//! piece of data, so between data and trailers and between streams: a system call, and to a client a
//! record, for each.
//!
//! While the cork is in, small writes are gathered and flushing waits.

mod closing;
mod turn;

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::proxy::codec::h2::first_bytes::FirstBytes;
use crate::proxy::codec::h2::refusals::Refusals;
use crate::proxy::codec::h2::response_ends::ResponseEnds;

/// Bytes gathered at most; what exceeds it is written at once, with what was gathered before it.
const MAX_BUFFERED: usize = 16 * 1024;
/// Bytes reserved for the first of them.
const INITIAL_CAPACITY: usize = 2 * 1024;
/// Pieces written with one call.
const MAX_IOV: usize = 8;

/// A stream with a cork, and a handle of it to move the cork with. Only one task locks it.
pub(crate) struct CoalescingWriter<S>(Arc<Mutex<Inner<S>>>);

struct Inner<S> {
    io: S,
    corked: bool,
    /// The socket had no room for all of the last turn.
    blocked: Arc<AtomicBool>,
    /// Something was read of the peer since that was last asked.
    heard: Arc<AtomicBool>,
    first: FirstBytes,
    gathered: BytesMut,
    /// Bytes that the socket took.
    sent: u64,
    refusals: Option<Refusals>,
    ends: Option<ResponseEnds>,
}

impl<S> CoalescingWriter<S> {
    /// A stream to a client, with a watch for requests that the h2 crate refuses.
    pub(crate) fn watching(io: S, refusals: Refusals) -> Self {
        Self::with(io, Some(refusals), None)
    }

    /// A stream to a server, with a watch for the ends of its responses.
    pub(crate) fn watching_ends(io: S, ends: ResponseEnds) -> Self {
        Self::with(io, None, Some(ends))
    }

    fn with(io: S, refusals: Option<Refusals>, ends: Option<ResponseEnds>) -> Self {
        Self(Arc::new(Mutex::new(Inner {
            io,
            corked: false,
            blocked: Arc::default(),
            heard: Arc::default(),
            first: FirstBytes::default(),
            gathered: BytesMut::new(),
            sent: 0,
            refusals,
            ends,
        })))
    }

    /// We were given this stream. The bytes that its head came as, if it is a large one; `None` if it is not to be
    /// served.
    pub(crate) fn accepted(&self, stream: u32) -> Option<usize> {
        let mut inner = self.inner();
        let Some(refusals) = &mut inner.refusals else {
            return Some(0);
        };
        let size = refusals.heads().size_of(stream);
        refusals.accepted(stream).then_some(size)
    }

    /// Another handle of the same stream.
    pub(crate) fn handle(&self) -> Self {
        Self(Arc::clone(&self.0))
    }

    /// A look at the same stream for as long as it is open.
    pub(crate) fn glance<T>(&self, look: fn(&Self) -> T) -> impl Fn() -> Option<T> + use<S, T> {
        let stream = Arc::downgrade(&self.0);
        move || stream.upgrade().map(|stream| look(&Self(stream)))
    }

    /// Whether the peer is behind with reading, as of the last turn. The task that takes turns is woken
    /// when it no longer is.
    pub(crate) fn blocked(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.inner().blocked)
    }

    /// Whether something was read of the peer since this was last false.
    pub(crate) fn heard(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.inner().heard)
    }

    /// Bytes that the socket took.
    pub(crate) fn sent(&self) -> u64 {
        self.inner().sent
    }

    /// The first bytes that were read of the peer.
    pub(crate) fn first(&self) -> Vec<u8> {
        self.inner().first.known()
    }

    /// The stream itself, between two turns.
    pub(crate) fn inspect<T>(&self, look: impl FnOnce(&mut S) -> T) -> T {
        look(&mut self.inner().io)
    }

    fn inner(&self) -> MutexGuard<'_, Inner<S>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<S: AsyncWrite + Unpin> CoalescingWriter<S> {
    /// Takes a turn with the cork in, then sends what was gathered. What the socket has no room for is
    /// sent when it has: the task is woken then, and takes another turn. An error of the socket is found
    /// again by the next read or write.
    pub(crate) fn poll_batched<T>(
        &self,
        cx: &mut Context<'_>,
        turn: impl FnOnce(&mut Context<'_>) -> T,
    ) -> T {
        self.inner().begin_turn();
        let taken = turn(cx);
        let mut inner = self.inner();
        inner.corked = false;
        let blocked = inner.poll_flush(cx).is_pending();
        if inner.blocked.swap(blocked, Ordering::Relaxed) && !blocked {
            cx.waker().wake_by_ref();
        }
        taken
    }
}

impl<S: AsyncWrite + Unpin> Inner<S> {
    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.gathered.is_empty() {
            let sent = ready!(Pin::new(&mut self.io).poll_write(cx, &self.gathered))?;
            self.sent += sent as u64;
            self.gathered.advance(some(sent)?);
        }
        self.gathered = BytesMut::new();
        Poll::Ready(Ok(()))
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_send(cx))?;
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let count: usize = bufs.iter().map(|buf| buf.len()).sum();
        if count == 0 {
            return Poll::Ready(Ok(0));
        }
        let fits = self.corked && self.gathered.len() + count <= MAX_BUFFERED;
        if fits || self.must_copy(bufs) {
            if self.gathered.capacity() == 0 {
                self.gathered.reserve(INITIAL_CAPACITY.max(count));
            }
            for buf in bufs {
                match &mut self.refusals {
                    Some(refusals) => refusals.copy(buf, &mut self.gathered),
                    None => self.gathered.extend_from_slice(buf),
                }
            }
            return Poll::Ready(Ok(count));
        }
        loop {
            let mut pieces = [IoSlice::new(&[]); MAX_IOV];
            pieces[0] = IoSlice::new(&self.gathered);
            for (piece, buf) in pieces[1..].iter_mut().zip(bufs) {
                *piece = IoSlice::new(buf);
            }
            let sent = ready!(Pin::new(&mut self.io).poll_write_vectored(cx, &pieces))?;
            self.sent += sent as u64;
            let before = self.gathered.len();
            if sent > before {
                self.gathered = BytesMut::new();
                self.has_sent(bufs, sent - before);
                return Poll::Ready(Ok(sent - before));
            }
            self.gathered.advance(some(sent)?);
        }
    }
}

impl<S> Inner<S> {
    /// Whether something must be put between these bytes. Frames do not reach from one piece into the
    /// next, except a large one's content.
    fn must_copy(&self, bufs: &[IoSlice<'_>]) -> bool {
        match (&self.refusals, bufs) {
            (Some(refusals), [first, ..]) => refusals.wants_more(first),
            _ => false,
        }
    }

    fn has_sent(&mut self, bufs: &[IoSlice<'_>], mut count: usize) {
        let Some(refusals) = &mut self.refusals else {
            return;
        };
        for buf in bufs {
            let now = buf.len().min(count);
            refusals.advance(&buf[..now]);
            count -= now;
        }
    }
}

fn some(sent: usize) -> io::Result<usize> {
    match sent {
        0 => Err(io::ErrorKind::WriteZero.into()),
        sent => Ok(sent),
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for CoalescingWriter<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let mut inner = self.inner();
        if inner.has_enough() {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let before = buf.filled().len();
        let polled = Pin::new(&mut inner.io).poll_read(cx, buf);
        if buf.filled().len() > before {
            inner.heard.store(true, Ordering::Relaxed);
        }
        inner.first.read(&buf.filled()[before..]);
        if let Some(refusals) = &mut inner.refusals {
            refusals.received(&buf.filled()[before..]);
        }
        if let Some(ends) = &inner.ends {
            ends.received(&buf.filled()[before..]);
        }
        polled
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for CoalescingWriter<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.inner().poll_write(cx, &[IoSlice::new(buf)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.inner().poll_write(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut inner = self.inner();
        if inner.corked {
            return Poll::Ready(Ok(()));
        }
        inner.poll_flush(cx)
    }

    /// Sends what was gathered, cork or not: it comes before the end.
    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut inner = self.inner();
        ready!(inner.poll_send(cx))?;
        Pin::new(&mut inner.io).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests;

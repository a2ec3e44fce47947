//! What an HTTP/2 connection sends in one turn leaves in one piece. The h2 crate flushes after each
//! piece of data, so between data and trailers and between streams: a system call, and to a client a
//! record, for each.
//!
//! While the cork is in, small writes are gathered and flushing waits.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Bytes gathered at most; what exceeds it is written at once, with what was gathered before it.
const MOST: usize = 16 * 1024;
/// Room made for the first of them.
const FIRST: usize = 2 * 1024;
/// Pieces written with one call.
const PIECES: usize = 8;

/// A stream with a cork, and a handle of it for whoever moves the cork. It is locked by one task alone.
pub(crate) struct Corked<S>(Arc<Mutex<Neck<S>>>);

struct Neck<S> {
    io: S,
    corked: bool,
    gathered: BytesMut,
}

impl<S> Corked<S> {
    pub(crate) fn new(io: S) -> Self {
        Self(Arc::new(Mutex::new(Neck {
            io,
            corked: false,
            gathered: BytesMut::new(),
        })))
    }

    /// Another handle of the same stream.
    pub(crate) fn handle(&self) -> Self {
        Self(Arc::clone(&self.0))
    }

    fn neck(&self) -> MutexGuard<'_, Neck<S>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<S: AsyncWrite + Unpin> Corked<S> {
    /// Takes a turn with the cork in, then sends what was gathered. What the socket has no room for is
    /// sent when it has: the task is woken then, and takes another turn. An error of the socket is found
    /// again by the next read or write.
    pub(crate) fn turn<T>(
        &self,
        cx: &mut Context<'_>,
        turn: impl FnOnce(&mut Context<'_>) -> T,
    ) -> T {
        self.neck().corked = true;
        let taken = turn(cx);
        let mut neck = self.neck();
        neck.corked = false;
        let _ = neck.poll_flush(cx);
        taken
    }
}

impl<S: AsyncWrite + Unpin> Neck<S> {
    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.gathered.is_empty() {
            let sent = ready!(Pin::new(&mut self.io).poll_write(cx, &self.gathered))?;
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
        if self.corked && self.gathered.len() + count <= MOST {
            if self.gathered.capacity() == 0 {
                self.gathered.reserve(FIRST.max(count));
            }
            for buf in bufs {
                self.gathered.extend_from_slice(buf);
            }
            return Poll::Ready(Ok(count));
        }
        loop {
            let mut pieces = [IoSlice::new(&[]); PIECES];
            pieces[0] = IoSlice::new(&self.gathered);
            for (piece, buf) in pieces[1..].iter_mut().zip(bufs) {
                *piece = IoSlice::new(buf);
            }
            let sent = ready!(Pin::new(&mut self.io).poll_write_vectored(cx, &pieces))?;
            let before = self.gathered.len();
            if sent > before {
                self.gathered = BytesMut::new();
                return Poll::Ready(Ok(sent - before));
            }
            self.gathered.advance(some(sent)?);
        }
    }
}

fn some(sent: usize) -> io::Result<usize> {
    match sent {
        0 => Err(io::ErrorKind::WriteZero.into()),
        sent => Ok(sent),
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Corked<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.neck().io).poll_read(cx, buf)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Corked<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.neck().poll_write(cx, &[IoSlice::new(buf)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.neck().poll_write(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut neck = self.neck();
        if neck.corked {
            return Poll::Ready(Ok(()));
        }
        neck.poll_flush(cx)
    }

    /// Sends what was gathered, cork or not: it comes before the end.
    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut neck = self.neck();
        ready!(neck.poll_send(cx))?;
        Pin::new(&mut neck.io).poll_shutdown(cx)
    }
}

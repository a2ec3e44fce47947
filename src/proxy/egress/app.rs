//! The app's side of an egress: a plaintext socket.

use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::BytesMut;
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, Interest, ReadBuf};
use tokio::net::TcpStream;

use crate::io::{ByteSource, Closing, Transport, undelivered};

/// Buffer capacity for a read: a small one for heads and tokens, a large one once bulk flows.
const SMALL_READ: usize = 2 * 1024;
const LARGE_READ: usize = 64 * 1024;

/// An app's connection. Its close is a reset unless it came to an orderly end: plaintext has no close_notify, so that
/// an answer which a drain, a second signal or a panic cut would look like a whole one.
pub(super) struct App {
    stream: TcpStream,
    /// The last read filled its room: bulk is flowing.
    bulk: bool,
    /// Nothing was read yet.
    unread: bool,
    /// The first bytes are a TLS ClientHello.
    begins_tls: bool,
    /// Read already, to see what the app speaks.
    begun: BytesMut,
    /// The end of our direction was sent behind complete messages, or there were none to be cut.
    orderly: bool,
    /// Bytes that the socket took.
    written: u64,
}

/// What an app speaks, by its first bytes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Begins {
    Http1,
    /// With prior knowledge (RFC 9113 §3.3).
    Http2,
    Tls,
    /// It began one of them, and went on with none in time.
    Unfinished,
    /// It went away before.
    Gone,
}

/// The first line of HTTP/2's preface (RFC 9113 §3.4), which no request of HTTP/1.1 has.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n";
/// A handshake record of any version: type 22, major version 3 (RFC 8446 §5.1).
const HELLO: [u8; 2] = [22, 3];

/// What bytes are the beginning of; `None`: more are needed.
fn begins(first: &[u8]) -> Option<Begins> {
    if first.starts_with(&HELLO) {
        Some(Begins::Tls)
    } else if first.starts_with(PREFACE) {
        Some(Begins::Http2)
    } else if PREFACE.starts_with(first) || HELLO.starts_with(first) {
        None
    } else {
        Some(Begins::Http1)
    }
}

impl App {
    pub(super) fn new(stream: TcpStream) -> Self {
        Self {
            stream,
            bulk: false,
            unread: true,
            begins_tls: false,
            begun: BytesMut::new(),
            orderly: false,
            written: 0,
        }
    }

    /// Waits for enough bytes to tell what the app speaks; the next reader reads them again.
    pub(super) async fn begins(&mut self) -> Begins {
        loop {
            if let Some(begins) = begins(&self.begun) {
                return begins;
            }
            self.begun.reserve(SMALL_READ);
            match self.stream.read_buf(&mut self.begun).await {
                Ok(0) if self.begun.is_empty() => return Begins::Gone,
                Ok(0) => return Begins::Http1,
                Err(_) => return Begins::Gone,
                Ok(_) => {}
            }
        }
    }

    /// Whether something came that does not tell yet what the app speaks.
    pub(super) fn has_begun(&self) -> bool {
        !self.begun.is_empty()
    }

    /// Until there is something to read, or the end.
    pub(super) async fn spoken(&self) {
        // Not `readable`, which may be told of what was there before.
        let _ = self.stream.peek(&mut [0]).await;
    }

    /// Where the app's connection went before the kernel redirected it here; `None`: nothing redirected it.
    pub(super) fn original_destination(&self) -> Option<SocketAddr> {
        let here = self.stream.local_addr().ok()?;
        let socket = SockRef::from(&self.stream);
        let original = if here.ip().to_canonical().is_ipv4() {
            socket.original_dst_v4()
        } else {
            socket.original_dst_v6()
        };
        let original = original.ok()?.as_socket()?;
        // The kernel that tracks connections knows those too that come here by themselves.
        (original != here).then_some(original)
    }

    /// Waits until the app has reset its connection. One that only ended its direction wants what comes.
    pub(super) async fn left(&self) {
        if self.stream.ready(Interest::ERROR).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Bytes written that a reset would drop.
    pub(super) fn undelivered(&self) -> io::Result<usize> {
        undelivered(&self.stream)
    }

    /// What the app sends from now on is its own: the first of it may be a ClientHello.
    pub(super) fn begins_anew(&mut self) {
        self.unread = true;
    }

    /// Whether the app speaks TLS itself.
    pub(super) fn begins_tls(&self) -> bool {
        self.begins_tls
    }

    /// Nothing was begun that its close could cut.
    pub(super) fn has_begun_nothing(&mut self) {
        self.orderly = true;
    }
}

impl Drop for App {
    fn drop(&mut self) {
        if !self.orderly {
            // A socket that refuses it is gone already.
            let _ = self.stream.set_zero_linger();
        }
    }
}

impl ByteSource for App {
    fn poll_append(&mut self, cx: &mut Context<'_>, buf: &mut BytesMut) -> Poll<io::Result<usize>> {
        if !self.begun.is_empty() {
            let begun = std::mem::take(&mut self.begun);
            buf.extend_from_slice(&begun);
            return Poll::Ready(Ok(begun.len()));
        }
        ready!(self.stream.poll_read_ready(cx))?;
        let wanted = if self.bulk { LARGE_READ } else { SMALL_READ };
        if buf.capacity() - buf.len() < wanted / 4 {
            buf.reserve(wanted);
        }
        let (before, room) = (buf.len(), buf.capacity() - buf.len());
        let stream = Pin::new(&mut self.stream);
        let count = ready!(tokio_util::io::poll_read_buf(stream, cx, buf))?;
        if std::mem::take(&mut self.unread) {
            self.begins_tls = buf.get(before..before + 2) == Some(&HELLO);
        }
        self.bulk = count == room;
        Poll::Ready(Ok(count))
    }

    fn read_little(&mut self) {
        self.bulk = false;
    }
}

impl AsyncRead for App {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.begun.is_empty() {
            let part = self.begun.len().min(buf.remaining());
            buf.put_slice(&self.begun.split_to(part));
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for App {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(buf)])
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let count = ready!(Pin::new(&mut self.stream).poll_write_vectored(cx, bufs))?;
        self.written += count as u64;
        Poll::Ready(Ok(count))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

impl Closing for App {
    fn poll_finish(&mut self, cx: &mut Context<'_>, whole: bool) -> Poll<io::Result<()>> {
        if whole {
            ready!(Pin::new(&mut self.stream).poll_shutdown(cx))?;
            self.orderly = true;
        }
        Poll::Ready(Ok(()))
    }

    fn poll_discard(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let mut unread = [0; 4096];
        let mut buf = ReadBuf::new(&mut unread);
        ready!(Pin::new(&mut self.stream).poll_read(cx, &mut buf))?;
        Poll::Ready(Ok(buf.filled().len()))
    }

    fn unacknowledged(&self) -> io::Result<usize> {
        self.stream.unacknowledged()
    }

    fn written(&self) -> u64 {
        self.written
    }

    fn is_gone(&self, ended: bool) -> bool {
        self.stream.is_gone(ended)
    }

    fn before_reset(&self) -> Option<usize> {
        // An app that is gone, or whose socket the kernel does not tell of, has what it will have.
        Some(self.undelivered().unwrap_or(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_bytes_tell_what_an_app_speaks() {
        for (first, expected) in [
            (&b""[..], None),
            (b"PR", None),
            (b"PRI * HTTP/2.0\r", None),
            (b"PRI * HTTP/2.0\r\n\r\n", Some(Begins::Http2)),
            (b"PRI /x HTTP/1.1\r\n", Some(Begins::Http1)),
            (b"PUT / HTTP/1.1\r\n", Some(Begins::Http1)),
            (b"\x16", None),
            (b"\x16\x03\x01", Some(Begins::Tls)),
            (b"\x16\x02", Some(Begins::Http1)),
            (b"G", Some(Begins::Http1)),
        ] {
            assert_eq!(begins(first), expected, "{first:?}");
        }
    }
}

//! The stream as the rest of the product reads, writes and ends it.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{DECRYPT_BUF, ENCRYPT_BUF, End, TlsStream};
use crate::io::{ByteSource, Closing, Transport};

impl<IO: AsyncRead + AsyncWrite + Unpin> ByteSource for TlsStream<IO> {
    fn poll_append(&mut self, cx: &mut Context<'_>, buf: &mut BytesMut) -> Poll<io::Result<usize>> {
        if !self.plaintext.is_empty() {
            let opened = std::mem::take(&mut self.plaintext);
            buf.extend_from_slice(&opened);
            return Poll::Ready(Ok(opened.len()));
        }
        self.poll_open(cx, &mut |content| buf.extend_from_slice(content))
    }
}

impl<IO: AsyncRead + AsyncWrite + Unpin> AsyncRead for TlsStream<IO> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let mut plaintext = std::mem::take(&mut self.plaintext);
        if plaintext.is_empty() {
            let opened = self.poll_open(cx, &mut |content| {
                let (now, later) = content.split_at(content.len().min(buf.remaining()));
                buf.put_slice(now);
                plaintext.extend_from_slice(later);
            });
            self.plaintext = plaintext;
            return opened.map_ok(|_| ());
        }
        let count = plaintext.len().min(buf.remaining());
        buf.put_slice(&plaintext.split_to(count));
        if !plaintext.is_empty() {
            self.plaintext = plaintext;
        }
        Poll::Ready(Ok(()))
    }
}

impl<IO: AsyncRead + AsyncWrite + Unpin> AsyncWrite for TlsStream<IO> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(buf)])
    }

    /// Accepts plaintext only when nothing sealed waits, but for the end of a handshake: what is unsent
    /// stays one batch deep.
    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let ahead = ready!(self.poll_ahead(cx))?;
        if self.end != End::Open {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        let this = &mut *self;
        ENCRYPT_BUF.with_borrow_mut(|scratch| {
            scratch[..ahead].copy_from_slice(&this.unsent[..ahead]);
            let (content, records) = this.seal(bufs, &mut scratch[ahead..])?;
            let whole = &scratch[..ahead + records];
            let sent = match Pin::new(&mut this.io).poll_write(cx, whole) {
                Poll::Ready(sent) => sent?,
                Poll::Pending => 0,
            };
            this.traffic.add_payload_out(content);
            this.left(sent);
            if ahead > 0 {
                this.unsent = BytesMut::new();
            }
            this.unsent.extend_from_slice(&whole[sent..]);
            Poll::Ready(Ok(content))
        })
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_send(cx))?;
        Pin::new(&mut self.io).poll_flush(cx)
    }

    /// Ends our direction: `close_notify`, then FIN. The other direction stays open.
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_end(cx, true)
    }
}

impl<IO: Transport> TlsStream<IO> {
    /// Tells the socket that our `close_notify` is the last that it is given.
    pub fn end_follows(&self) {
        if self.end == End::Open && self.unsent.is_empty() {
            self.io.end_follows();
        }
    }
}

impl<IO: Transport> Closing for TlsStream<IO> {
    fn poll_finish(&mut self, cx: &mut Context<'_>, whole: bool) -> Poll<io::Result<()>> {
        if whole {
            self.end_follows();
        }
        self.poll_end(cx, whole)
    }

    /// Below TLS: what is dropped need not be opened, and the end is the socket's.
    fn poll_discard(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        self.pending = BytesMut::new();
        self.plaintext = BytesMut::new();
        let read = DECRYPT_BUF.with_borrow_mut(|scratch| {
            let mut buf = ReadBuf::new(scratch);
            let read = Pin::new(&mut self.io).poll_read(cx, &mut buf);
            read.map_ok(|()| buf.filled().len())
        });
        let count = ready!(read)?;
        self.traffic.add_wire_in(count);
        Poll::Ready(Ok(count))
    }

    fn unacknowledged(&self) -> io::Result<usize> {
        self.io.unacknowledged()
    }

    fn written(&self) -> u64 {
        self.traffic.totals().wire_out
    }

    fn is_gone(&self, ended: bool) -> bool {
        self.io.is_gone(ended)
    }
}

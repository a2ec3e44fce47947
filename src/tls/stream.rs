//! TLS over any byte stream, once the handshake is done: plaintext out of records, records out of
//! plaintext, every byte counted on both sides (RFC 8446 §5).
//!
//! rustls does the protocol; this moves bytes. It has no buffer of its own for either form, so that
//! an idle connection holds none.

use std::cell::RefCell;
use std::io::{self, BufRead, IoSlice, Read, Write};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes, BytesMut};
use rustls::ServerConnection;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::io::{ByteSource, Traffic};

/// Ciphertext read from the socket in one go; rustls itself would ask for 4 KiB at a time.
const READ_AHEAD: usize = 32 * 1024;

thread_local! {
    /// Where ciphertext lands before rustls takes it: one a thread, so that a connection holds none.
    static SCRATCH: RefCell<Box<[u8]>> = RefCell::new(vec![0; READ_AHEAD].into());
}

/// An established TLS connection.
pub struct TlsStream<IO> {
    io: IO,
    conn: ServerConnection,
    /// Ciphertext received and not yet taken by rustls.
    pending: Bytes,
    traffic: Traffic,
    close_sent: bool,
}

impl<IO: AsyncRead + AsyncWrite + Unpin> TlsStream<IO> {
    /// Takes over a connection whose handshake is complete; `pending` is what was read beyond it.
    pub(super) fn new(io: IO, conn: ServerConnection, pending: Bytes, traffic: Traffic) -> Self {
        let stream = Self {
            io,
            conn,
            pending,
            traffic,
            close_sent: false,
        };
        stream.traffic.add_wire_in(stream.pending.len());
        stream
    }

    /// Bytes so far, after the handshake.
    pub fn traffic(&self) -> &Traffic {
        &self.traffic
    }

    /// The socket below.
    pub fn get_ref(&self) -> &IO {
        &self.io
    }

    /// Feeds rustls until plaintext is there, the peer closed, or the socket has no more.
    fn poll_records(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            match self.conn.reader().fill_buf() {
                Ok(_) => return Poll::Ready(Ok(())),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
            if self.pending.is_empty() {
                ready!(self.poll_receive(cx))?;
            } else {
                let taken = self.conn.read_tls(&mut self.pending.chunk())?;
                self.pending.advance(taken);
                if self.pending.is_empty() {
                    self.pending = Bytes::new();
                }
            }
            self.process(cx)?;
        }
    }

    /// Reads once from the socket; what rustls does not take at once waits in `pending`.
    fn poll_receive(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        SCRATCH.with_borrow_mut(|scratch| {
            let mut buf = ReadBuf::new(scratch);
            ready!(Pin::new(&mut self.io).poll_read(cx, &mut buf))?;
            let mut received = buf.filled();
            self.traffic.add_wire_in(received.len());
            self.conn.read_tls(&mut received)?;
            self.pending = Bytes::copy_from_slice(received);
            Poll::Ready(Ok(()))
        })
    }

    fn process(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        match self.conn.process_new_packets() {
            Ok(_) => {
                // Key updates and alerts want an answer even if the application writes nothing.
                if self.conn.wants_write() {
                    let _ = self.poll_send(cx)?;
                }
                Ok(())
            }
            Err(error) => {
                let _ = self.poll_send(cx);
                Err(io::Error::new(io::ErrorKind::InvalidData, error))
            }
        }
    }

    /// Sends what is encrypted; ready when nothing is left.
    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.conn.wants_write() {
            let mut socket = Below {
                io: &mut self.io,
                cx,
            };
            match self.conn.write_tls(&mut socket) {
                Ok(0) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Ok(count) => self.traffic.add_wire_out(count),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Poll::Pending,
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl<IO: AsyncRead + AsyncWrite + Unpin> ByteSource for TlsStream<IO> {
    fn poll_append(&mut self, cx: &mut Context<'_>, buf: &mut BytesMut) -> Poll<io::Result<usize>> {
        ready!(self.poll_records(cx))?;
        let mut plaintext = self.conn.reader();
        let mut total = 0;
        while let Ok(chunk) = plaintext.fill_buf() {
            let count = chunk.len();
            if count == 0 {
                break;
            }
            buf.extend_from_slice(chunk);
            plaintext.consume(count);
            total += count;
        }
        self.traffic.add_payload_in(total);
        Poll::Ready(Ok(total))
    }
}

impl<IO: AsyncRead + AsyncWrite + Unpin> AsyncRead for TlsStream<IO> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        ready!(self.poll_records(cx))?;
        let count = self.conn.reader().read(buf.initialize_unfilled())?;
        self.traffic.add_payload_in(count);
        buf.advance(count);
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

    /// Accepts plaintext only when nothing encrypted waits: what is unsent stays one write deep.
    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_send(cx))?;
        let count = self.conn.writer().write_vectored(bufs)?;
        self.traffic.add_payload_out(count);
        let _ = self.poll_send(cx)?;
        Poll::Ready(Ok(count))
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
        if !self.close_sent {
            self.conn.send_close_notify();
            self.close_sent = true;
        }
        ready!(self.poll_send(cx))?;
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

/// The socket as rustls wants to write to it: synchronous, with `WouldBlock`.
pub(super) struct Below<'a, 'b, IO> {
    pub(super) io: &'a mut IO,
    pub(super) cx: &'a mut Context<'b>,
}

impl<IO: AsyncWrite + Unpin> Write for Below<'_, '_, IO> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.write_vectored(&[IoSlice::new(buf)])
    }

    fn write_vectored(&mut self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        match Pin::new(&mut *self.io).poll_write_vectored(self.cx, bufs) {
            Poll::Ready(result) => result,
            Poll::Pending => Err(io::ErrorKind::WouldBlock.into()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

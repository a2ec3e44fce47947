//! A TLS 1.3 stream over tokio that counts the bytes below TLS and ends the handshake count exactly at Finished:
//! until the first application data it hands rustls one record at a time (RFC 8446 section 5.1).

use std::io::{self, Read, Write};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use rustls::Connection;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};

use super::counts::Meter;
use super::inbox::Inbox;
use super::poll_writer::PollWriter;
use super::records::Tls;

/// What rustls may hold to be sent, bytes.
const SEND_LIMIT: usize = 256 * 1024;

/// Either side of a TLS connection, or plain bytes counted the same way.
#[derive(Debug)]
pub struct Stream<IO> {
    io: IO,
    tls: Option<Box<Tls>>,
    meter: Arc<Meter>,
}

impl<IO: AsyncRead + AsyncWrite + Unpin> Stream<IO> {
    /// No TLS, as to the tool's own stub.
    pub fn plain(io: IO, meter: Arc<Meter>) -> Self {
        Self {
            io,
            tls: None,
            meter,
        }
    }

    /// Runs the handshake to its end on either side.
    pub async fn handshake(io: IO, connection: Connection, meter: Arc<Meter>) -> io::Result<Self> {
        let mut connection = connection;
        connection.set_buffer_limit(Some(SEND_LIMIT));
        let tls = Tls {
            connection,
            incoming: Inbox::default(),
            stepwise: true,
            ended: false,
        };
        let mut stream = Self {
            io,
            tls: Some(Box::new(tls)),
            meter,
        };
        std::future::poll_fn(|cx| stream.poll_handshake(cx)).await?;
        let sums = stream.meter.read();
        let read_ahead = stream
            .tls
            .as_ref()
            .map_or(0, |tls| tls.incoming.unread().len());
        stream
            .meter
            .counter()
            .handshake_done(sums.wire_up, sums.wire_down - read_ahead as u64);
        Ok(stream)
    }

    /// The TLS session, once established; none for plain bytes.
    pub fn session(&self) -> Option<&Connection> {
        self.tls.as_deref().map(|tls| &tls.connection)
    }

    /// What the bytes come through.
    pub fn io(&self) -> &IO {
        &self.io
    }

    /// This connection's counter.
    pub fn meter(&self) -> &Arc<Meter> {
        &self.meter
    }

    /// Sends close_notify and reads to the end, so that tickets on the way are counted and the server closes in order.
    pub async fn close(&mut self) -> io::Result<()> {
        self.shutdown().await?;
        let mut rest = [0; 2048];
        while tokio::io::AsyncReadExt::read(self, &mut rest).await? > 0 {}
        Ok(())
    }

    fn poll_handshake(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            ready!(self.poll_send(cx))?;
            let Some(tls) = &mut self.tls else {
                return Poll::Ready(Ok(()));
            };
            if !tls.connection.is_handshaking() {
                return Poll::Ready(Ok(()));
            }
            let fed = tls.feed_record();
            if fed.is_err() {
                // The alert that says why, if the socket takes it at once.
                let _sent = self.poll_send(cx);
            }
            if fed?.is_none() && ready!(self.poll_fill(cx))? == 0 {
                return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
            }
        }
    }

    /// Writes all records rustls holds.
    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Self {
            io,
            tls: Some(tls),
            meter,
        } = self
        else {
            return Poll::Ready(Ok(()));
        };
        while tls.connection.wants_write() {
            let mut writer = PollWriter {
                io: Pin::new(&mut *io),
                cx,
            };
            match tls.connection.write_tls(&mut writer) {
                Ok(sent) => meter.counter().wire(sent, 0),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Poll::Pending,
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Reads from the socket behind what is not given yet; 0 at its end.
    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let Some(tls) = &mut self.tls else {
            return Poll::Ready(Ok(0));
        };
        let read = ready!(tls.incoming.poll_fill(&mut self.io, cx))?;
        self.meter.counter().wire(0, read);
        Poll::Ready(Ok(read))
    }
}

impl<IO: AsyncRead + AsyncWrite + Unpin> AsyncRead for Stream<IO> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        out: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let Some(_) = &this.tls else {
            return this.poll_read_plain(cx, out);
        };
        loop {
            let Some(tls) = &mut this.tls else {
                return Poll::Ready(Ok(()));
            };
            match tls.connection.reader().read(out.initialize_unfilled()) {
                Ok(read) => {
                    out.advance(read);
                    this.meter.counter().plain(0, read);
                    return Poll::Ready(Ok(()));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
            if tls.advance(&this.meter)? > 0 {
                continue;
            }
            if tls.ended {
                return Poll::Ready(Ok(()));
            }
            if ready!(this.poll_fill(cx))? == 0 {
                // A peer that closes without close_notify has still ended the stream; callers check lengths.
                if let Some(tls) = &mut this.tls {
                    tls.ended = true;
                }
            }
        }
    }
}

impl<IO: AsyncRead + AsyncWrite + Unpin> Stream<IO> {
    fn poll_read_plain(
        &mut self,
        cx: &mut Context<'_>,
        out: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = out.filled().len();
        ready!(Pin::new(&mut self.io).poll_read(cx, out))?;
        let read = out.filled().len() - before;
        self.meter.counter().wire(0, read);
        self.meter.counter().plain(0, read);
        Poll::Ready(Ok(()))
    }
}

impl<IO: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Stream<IO> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let Some(tls) = &mut this.tls else {
            let written = ready!(Pin::new(&mut this.io).poll_write(cx, data))?;
            this.meter.counter().wire(written, 0);
            this.meter.counter().plain(written, 0);
            return Poll::Ready(Ok(written));
        };
        let mut taken = tls.connection.writer().write(data)?;
        if taken == 0 && !data.is_empty() {
            // Full: only what is sent makes room again.
            ready!(this.poll_send(cx))?;
            let Some(tls) = &mut this.tls else {
                return Poll::Ready(Ok(0));
            };
            taken = tls.connection.writer().write(data)?;
        }
        this.meter.counter().plain(taken, 0);
        match this.poll_send(cx) {
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            // What rustls holds goes out with the next write or flush.
            _ => Poll::Ready(Ok(taken)),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(this.poll_send(cx))?;
        Pin::new(&mut this.io).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if let Some(tls) = &mut this.tls {
            tls.connection.send_close_notify();
        }
        ready!(this.poll_send(cx))?;
        Pin::new(&mut this.io).poll_shutdown(cx)
    }
}

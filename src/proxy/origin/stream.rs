//! A TLS stream to a server that may still refuse us: a client's handshake is complete before the server
//! has verified its certificate (RFC 8446 §4.4.2.4), so it is counted with the first thing that is heard.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::BytesMut;
use rustls::AlertDescription;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use super::seen::TargetsSeen;
use crate::io::{ByteSource, Traffic, Transport as _};
use crate::metrics::{HandshakeSample, ListenerMetrics};
use crate::tls::stream::TlsStream;

/// A TLS stream to a server.
pub(crate) struct ServerStream {
    tls: TlsStream<TcpStream>,
    /// The handshake, until it is counted.
    unheard: Option<Box<Unheard>>,
}

struct Unheard {
    metrics: Arc<ListenerMetrics>,
    sample: HandshakeSample,
    seen: Arc<TargetsSeen>,
    target: String,
}

impl ServerStream {
    pub(super) fn new(
        tls: TlsStream<TcpStream>,
        metrics: &Arc<ListenerMetrics>,
        sample: HandshakeSample,
        (target, seen): (String, &Arc<TargetsSeen>),
    ) -> Self {
        Self {
            tls,
            unheard: Some(Box::new(Unheard {
                metrics: Arc::clone(metrics),
                sample,
                seen: Arc::clone(seen),
                target,
            })),
        }
    }

    /// Bytes so far, after the handshake.
    pub(crate) fn traffic(&self) -> &Traffic {
        self.tls.traffic()
    }

    /// The socket below.
    pub(crate) fn get_ref(&self) -> &TcpStream {
        self.tls.get_ref()
    }

    /// Bytes written that the server's TCP has not acknowledged, if the kernel tells.
    pub(crate) fn untaken(&self) -> Option<usize> {
        self.get_ref().unacknowledged().ok()
    }

    /// Session tickets received.
    pub(crate) fn tickets(&self) -> u64 {
        self.tls.tickets()
    }

    /// What the server was told when it broke TLS.
    pub(crate) fn alert_sent(&self) -> Option<AlertDescription> {
        self.tls.alert_sent()
    }

    /// The server has accepted us.
    fn heard(&mut self) {
        if let Some(unheard) = self.unheard.take() {
            let sample = &unheard.sample;
            unheard
                .seen
                .note(&unheard.target, sample.group, sample.kind);
            unheard.metrics.handshake(sample);
        }
    }

    /// The end: the alert with which the server refused us, if it said nothing else.
    pub(crate) fn settle(&mut self) -> Option<AlertDescription> {
        match self.tls.fatal_alert() {
            Some(alert) if self.unheard.is_some() => {
                self.unheard = None;
                Some(alert)
            }
            _ => {
                self.heard();
                None
            }
        }
    }
}

impl ByteSource for ServerStream {
    fn poll_append(&mut self, cx: &mut Context<'_>, buf: &mut BytesMut) -> Poll<io::Result<usize>> {
        let polled = self.tls.poll_append(cx, buf);
        if self.unheard.is_some()
            && (matches!(polled, Poll::Ready(Ok(1..))) || self.tls.tickets() > 0)
        {
            self.heard();
        }
        polled
    }
}

impl AsyncRead for ServerStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let polled = Pin::new(&mut self.tls).poll_read(cx, buf);
        if self.unheard.is_some() && (buf.filled().len() > before || self.tls.tickets() > 0) {
            self.heard();
        }
        polled
    }
}

impl AsyncWrite for ServerStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.tls).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.tls).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tls).poll_flush(cx)
    }

    /// `close_notify`, then FIN. The other direction stays open.
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.tls.end_follows();
        Pin::new(&mut self.tls).poll_shutdown(cx)
    }
}

//! Bytes: where they are read from, how they are counted, and the relay of one stream to another.
//! Imports nothing of ours.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use prometheus::IntCounter;
use tokio::io::{AsyncRead, AsyncWrite};

/// A stream that shows its received bytes in place, so that waiting holds no buffer.
pub trait ByteSource {
    /// The bytes received and not consumed; empty at the end of the stream.
    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<&[u8]>>;

    /// Marks bytes of the last `poll_fill` as used.
    fn consume(&mut self, count: usize);
}

/// A client or an inference server: bytes both ways.
pub trait Duplex: ByteSource + AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: ByteSource + AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}

/// The counters of a listener that every connection adds to.
#[derive(Clone)]
pub struct TrafficCounters {
    /// Below TLS, from the client.
    pub wire_in: IntCounter,
    /// Below TLS, to the client.
    pub wire_out: IntCounter,
    /// Inside TLS, from the client.
    pub payload_in: IntCounter,
    /// Inside TLS, to the client.
    pub payload_out: IntCounter,
}

/// Bytes of one connection after its handshake, as the proxy sees them.
#[derive(Clone)]
pub struct Traffic {
    counters: TrafficCounters,
    /// Below TLS, from the client.
    pub wire_in: u64,
    /// Below TLS, to the client.
    pub wire_out: u64,
    /// Inside TLS, from the client.
    pub payload_in: u64,
    /// Inside TLS, to the client.
    pub payload_out: u64,
}

impl Traffic {
    /// Nothing yet.
    pub fn new(counters: TrafficCounters) -> Self {
        Self {
            counters,
            wire_in: 0,
            wire_out: 0,
            payload_in: 0,
            payload_out: 0,
        }
    }

    pub(crate) fn add_wire_in(&mut self, count: usize) {
        self.wire_in += count as u64;
        self.counters.wire_in.inc_by(count as u64);
    }

    pub(crate) fn add_wire_out(&mut self, count: usize) {
        self.wire_out += count as u64;
        self.counters.wire_out.inc_by(count as u64);
    }

    pub(crate) fn add_payload_in(&mut self, count: usize) {
        self.payload_in += count as u64;
        self.counters.payload_in.inc_by(count as u64);
    }

    pub(crate) fn add_payload_out(&mut self, count: usize) {
        self.payload_out += count as u64;
        self.counters.payload_out.inc_by(count as u64);
    }
}

/// Polls a write of everything in `bytes`, advancing it.
pub(crate) fn poll_write_some<W: AsyncWrite + Unpin>(
    writer: &mut W,
    cx: &mut Context<'_>,
    bytes: &[u8],
) -> Poll<io::Result<usize>> {
    match Pin::new(writer).poll_write(cx, bytes) {
        Poll::Ready(Ok(0)) if !bytes.is_empty() => {
            Poll::Ready(Err(io::ErrorKind::WriteZero.into()))
        }
        other => other,
    }
}

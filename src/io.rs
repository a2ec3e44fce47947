//! Bytes: where they are read from, how they are counted, and how a stream of them ends.
//! Imports nothing of ours.

mod gone;
mod local_port;
mod unacknowledged;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::BytesMut;
use prometheus::IntCounter;
use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

pub use self::local_port::explained;

/// When TCP begins to ask a silent peer whether it is there, how often, and how many times.
const KEEPALIVE_AFTER: Duration = Duration::from_mins(1);
const KEEPALIVE_EVERY: Duration = Duration::from_secs(15);
const KEEPALIVE_TIMES: u32 = 4;

/// How a peer that is gone without a word is noticed: silence is no error on any side.
pub(crate) fn keepalive() -> TcpKeepalive {
    TcpKeepalive::new()
        .with_time(KEEPALIVE_AFTER)
        .with_interval(KEEPALIVE_EVERY)
        .with_retries(KEEPALIVE_TIMES)
}

/// How long what was written to a peer may stay unacknowledged: as long as keep-alive asks a silent one. While
/// something is unacknowledged, the kernel sends no keep-alive, and by itself it gives up after 15 minutes.
pub(crate) const UNACKNOWLEDGED_FOR: Duration =
    KEEPALIVE_AFTER.saturating_add(KEEPALIVE_EVERY.saturating_mul(KEEPALIVE_TIMES));

/// A stream that is asked for bytes without lending it a buffer while there are none.
pub trait ByteSource {
    /// Appends what has arrived to `buf`; 0 at the end of the stream. Nothing is reserved while
    /// waiting, so that an idle connection holds no buffer.
    fn poll_append(&mut self, cx: &mut Context<'_>, buf: &mut BytesMut) -> Poll<io::Result<usize>>;

    /// The next read should be a small one, however much flows.
    fn read_little(&mut self) {}
}

/// A client or an upstream: bytes both ways.
pub trait Duplex: ByteSource + AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: ByteSource + AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}

/// A socket that tells what its peer has acknowledged.
pub trait Transport: AsyncRead + AsyncWrite + Send + Unpin {
    /// Bytes written that the peer has not acknowledged; an error if that is not known, or the
    /// connection is over.
    fn unacknowledged(&self) -> io::Result<usize>;

    /// Whether the peer is gone, though nobody reads what it has sent: by a reset, or, if `ended` counts too, by the
    /// end of its direction.
    fn is_gone(&self, ended: bool) -> bool;

    /// Our end of it.
    fn local_address(&self) -> io::Result<SocketAddr>;

    /// What is written from here on waits for the end of our direction, so that both are one segment.
    fn end_follows(&self);
}

/// Bytes of a socket that a reset would drop; 1 stands for any, of a kernel that does not tell how many. An error if
/// the connection is over.
pub(crate) fn undelivered(stream: &TcpStream) -> io::Result<usize> {
    unacknowledged::undelivered(stream)
}

/// Whether the kernel tells what peers have acknowledged; why not.
pub fn tells_acknowledged() -> io::Result<()> {
    unacknowledged::is_told()
}

impl Transport for TcpStream {
    fn local_address(&self) -> io::Result<SocketAddr> {
        self.local_addr()
    }

    fn unacknowledged(&self) -> io::Result<usize> {
        unacknowledged::of(self)
    }

    fn is_gone(&self, ended: bool) -> bool {
        gone::is(self, ended)
    }

    fn end_follows(&self) {
        // Without it they are two.
        let _ = SockRef::from(self).set_tcp_cork(true);
    }
}

/// A connection that can be ended without losing what was sent (RFC 9112 §9.6).
pub trait Closing {
    /// Sends what is queued, then the end of our direction. `whole`: what was sent is complete, so
    /// that the end is told (close_notify); without it the peer sees a truncation.
    fn poll_finish(&mut self, cx: &mut Context<'_>, whole: bool) -> Poll<io::Result<()>>;

    /// Reads and drops what the peer still sends: how many bytes, 0 at its end.
    fn poll_discard(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>>;

    /// As [`Transport::unacknowledged`].
    fn unacknowledged(&self) -> io::Result<usize>;

    /// Bytes that the socket took.
    fn written(&self) -> u64;

    /// Bytes that the peer's TCP has acknowledged; of a kernel that does not tell, those that the socket took. Only
    /// grows, while what is unacknowledged is filled up again as fast as a peer takes it.
    fn acknowledged(&self) -> u64 {
        let left = self.unacknowledged().unwrap_or(0);
        self.written().saturating_sub(left as u64)
    }

    /// As [`Transport::is_gone`].
    fn is_gone(&self, ended: bool) -> bool;

    /// Bytes that a reset would drop, if nothing but that of its close tells the peer of an end that is not whole.
    fn before_reset(&self) -> Option<usize> {
        None
    }
}

/// A client's connection: bytes both ways, and an end.
pub trait ClientStream: Duplex + Closing {}

impl<T: Duplex + Closing> ClientStream for T {}

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

/// Bytes of one connection after its handshake, as the proxy sees them. Clones share the count.
#[derive(Clone)]
pub struct Traffic {
    counters: TrafficCounters,
    known: Arc<Known>,
}

#[derive(Default)]
struct Known {
    totals: [AtomicU64; 4],
    /// The alert that its peer was told when it broke TLS; 0, which ends nothing, is none.
    refused: AtomicU8,
}

/// Bytes so far.
#[derive(Clone, Copy, Debug, Default)]
pub struct TrafficTotals {
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
            known: Arc::default(),
        }
    }

    /// Bytes so far.
    pub fn totals(&self) -> TrafficTotals {
        let [wire_in, wire_out, payload_in, payload_out] =
            [0, 1, 2, 3].map(|index: usize| self.known.totals[index].load(Ordering::Relaxed));
        TrafficTotals {
            wire_in,
            wire_out,
            payload_in,
            payload_out,
        }
    }

    /// The peer broke TLS, and was told so by this alert.
    pub(crate) fn refuse(&self, alert: u8) {
        self.known.refused.store(alert, Ordering::Relaxed);
    }

    /// The alert by which the peer was told that it broke TLS.
    pub fn refused(&self) -> Option<u8> {
        let alert = self.known.refused.load(Ordering::Relaxed);
        Some(alert).filter(|alert| *alert > 0)
    }

    pub(crate) fn add_wire_in(&self, count: usize) {
        self.add(0, &self.counters.wire_in, count);
    }

    pub(crate) fn add_wire_out(&self, count: usize) {
        self.add(1, &self.counters.wire_out, count);
    }

    pub(crate) fn add_payload_in(&self, count: usize) {
        self.add(2, &self.counters.payload_in, count);
    }

    pub(crate) fn add_payload_out(&self, count: usize) {
        self.add(3, &self.counters.payload_out, count);
    }

    fn add(&self, index: usize, counter: &IntCounter, count: usize) {
        self.known.totals[index].fetch_add(count as u64, Ordering::Relaxed);
        counter.inc_by(count as u64);
    }
}

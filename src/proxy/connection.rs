//! The spine: one connection from accepted to closed. Reads like a table of contents.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Instant;

use rustls::server::ResolvesServerCert;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::OwnedSemaphorePermit;

use super::context::Context;
use super::error::{Outcome, UpstreamError};
use super::headers::Identity;
use super::upstream::Upstream;
use super::{Protocol, Settings, http1, http2, upgrade};
use crate::drain::{Phase, Watch};
use crate::io::TrafficCounters;
use crate::metrics::{HandshakeSample, ListenerMetrics};
use crate::tls::error::HandshakeError;
use crate::tls::handshake::{self, Alpn, Failure, Session};
use crate::tls::policy::{Group, Offer};
use crate::tls::server::TlsServer;
use crate::tls::stream::TlsStream;

/// A connection that was accepted and not yet looked at.
pub struct Accepted<IO> {
    /// The socket.
    pub io: IO,
    /// The other end.
    pub client: SocketAddr,
    /// Its place among the listener's connections.
    pub permit: Option<OwnedSemaphorePermit>,
    /// When it was accepted.
    pub at: Instant,
}

/// A connection being served.
type Speaking = Pin<Box<dyn Future<Output = Outcome> + Send>>;

/// One listener's way from a socket to the inference server.
pub struct Service {
    tls: TlsServer,
    settings: Arc<Settings>,
    upstream: Arc<Upstream>,
    metrics: Arc<ListenerMetrics>,
    counters: TrafficCounters,
    name: String,
}

impl Service {
    /// Puts the parts together; must run inside a runtime.
    pub fn new(
        name: &str,
        tls: &crate::tls::Settings,
        settings: &Settings,
        certificates: &Arc<dyn ResolvesServerCert>,
        metrics: ListenerMetrics,
    ) -> Result<Self, rustls::Error> {
        let alpn: &[&[u8]] = match settings.protocol {
            Protocol::Http => &[b"h2", b"http/1.1"],
            Protocol::Tcp => &[],
        };
        let tls = TlsServer::new(tls, certificates, alpn)?;
        tls.warm_up();
        metrics.announce(
            &HandshakeError::REASONS,
            &Outcome::ALL.map(Outcome::as_str),
            &UpstreamError::REASONS,
        );
        let upstream = Arc::new(Upstream::new(settings));
        tokio::spawn(Arc::clone(&upstream).keep_clean());
        Ok(Self {
            tls,
            settings: Arc::new(settings.clone()),
            upstream,
            counters: TrafficCounters {
                wire_in: metrics.wire.inward.clone(),
                wire_out: metrics.wire.outward.clone(),
                payload_in: metrics.payload.inward.clone(),
                payload_out: metrics.payload.outward.clone(),
            },
            metrics: Arc::new(metrics),
            name: name.to_owned(),
        })
    }

    /// The TLS side.
    pub fn tls(&self) -> &TlsServer {
        &self.tls
    }

    /// The listener's metrics.
    pub fn metrics(&self) -> &Arc<ListenerMetrics> {
        &self.metrics
    }

    /// Serves one connection from accepted to closed; `drain` is held until then.
    pub async fn serve<IO>(self: Arc<Self>, accepted: Accepted<IO>, drain: Watch)
    where
        IO: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let _open = Open::new(&self.metrics);
        let mut cut = drain.lasting(Phase::Cut);
        let mut closed = Closed::new(&accepted);
        let Accepted { io, client, .. } = accepted;
        let handshake = Box::pin(handshake::accept(io, &self.tls, self.counters.clone()));
        let secured = tokio::select! {
            biased;
            () = &mut cut => return self.record(&closed, Outcome::Cut),
            secured = handshake => secured,
        };
        let (stream, session) = match secured {
            Ok(secured) => secured,
            Err(failure) => return self.refused(&closed, &failure),
        };
        self.metrics.handshake(&sample(&session));
        closed.session = Some(session);
        let traffic = stream.traffic().clone();
        let context = self.context(client, session.group, drain);
        let mut speaking = self.speak(stream, &session, context);
        let outcome = tokio::select! {
            biased;
            outcome = &mut speaking => outcome,
            () = &mut cut => Outcome::Cut,
        };
        // Before it is recorded: whoever sees the record sees the sockets closed.
        drop(speaking);
        closed.traffic = traffic.totals();
        self.record(&closed, outcome);
    }

    /// Boxed, each protocol by itself: a connection holds the state of its own protocol alone.
    fn speak<IO>(&self, stream: TlsStream<IO>, session: &Session, context: Context) -> Speaking
    where
        IO: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        match (self.settings.protocol, session.alpn) {
            (Protocol::Tcp, _) => Box::pin(upgrade::relay(stream, context)),
            (Protocol::Http, Alpn::Http1) => Box::pin(http1::serve(stream, context)),
            (Protocol::Http, Alpn::Http2) => Box::pin(http2::serve(stream, Arc::new(context))),
        }
    }

    fn context(&self, client: SocketAddr, group: Group, drain: Watch) -> Context {
        Context {
            settings: Arc::clone(&self.settings),
            upstream: Arc::clone(&self.upstream),
            metrics: Arc::clone(&self.metrics),
            identity: Identity::new(client.ip(), group.name(), self.settings.forwarded),
            drain,
        }
    }

    /// The one place where a handshake that failed becomes a metric and a log line.
    fn refused(&self, closed: &Closed, failure: &Failure) {
        self.metrics.handshake_failed(failure.error.reason());
        self.metrics.closed(Outcome::HandshakeFailed.as_str());
        let offered = failure.offer.as_ref().map(Offer::to_string);
        macro_rules! line {
            ($level:ident) => {
                tracing::$level!(
                    listener = %self.name,
                    client = %closed.client,
                    outcome = Outcome::HandshakeFailed.as_str(),
                    reason = failure.error.reason(),
                    error = %failure.error,
                    policy = self.tls.policy().mode().name(),
                    offered,
                    handshake_bytes_in = failure.cost.bytes_in,
                    handshake_bytes_out = failure.cost.bytes_out,
                    handshake_ms = failure.cost.elapsed.as_secs_f64() * 1e3,
                    "connection closed"
                )
            };
        }
        // A TCP health check is routine.
        if matches!(failure.error, HandshakeError::NoHello) {
            line!(debug);
        } else {
            line!(info);
        }
    }

    /// The one place where a connection becomes a metric and a log line.
    fn record(&self, closed: &Closed, outcome: Outcome) {
        self.metrics.closed(outcome.as_str());
        let Some(session) = &closed.session else {
            return tracing::info!(
                listener = %self.name,
                client = %closed.client,
                outcome = outcome.as_str(),
                "connection closed"
            );
        };
        macro_rules! line {
            ($level:ident) => {
                tracing::$level!(
                    listener = %self.name,
                    client = %closed.client,
                    outcome = outcome.as_str(),
                    group = session.group.name(),
                    class = session.group.class().as_str(),
                    kind = session.kind.as_str(),
                    hello_retry = session.retried,
                    offered = session.offered.as_str(),
                    suite = session.suite,
                    handshake_bytes_in = session.cost.bytes_in,
                    handshake_bytes_out = session.cost.bytes_out,
                    handshake_ms = session.cost.elapsed.as_secs_f64() * 1e3,
                    handshake_compute_us = session.cost.compute.as_secs_f64() * 1e6,
                    wire_bytes_in = closed.traffic.wire_in,
                    wire_bytes_out = closed.traffic.wire_out,
                    payload_bytes_in = closed.traffic.payload_in,
                    payload_bytes_out = closed.traffic.payload_out,
                    open_seconds = closed.at.elapsed().as_secs_f64(),
                    "connection closed"
                )
            };
        }
        match outcome {
            Outcome::Cut | Outcome::ProtocolError | Outcome::UpstreamBroken => line!(info),
            _ => line!(debug),
        }
    }
}

fn sample(session: &Session) -> HandshakeSample {
    HandshakeSample {
        group: session.group.name(),
        kind: session.kind.as_str(),
        offered: session.offered.as_str(),
        retried: session.retried,
        elapsed: session.cost.elapsed,
        compute: session.cost.compute,
        key_exchange: session.cost.key_exchange,
        bytes_in: session.cost.bytes_in,
        bytes_out: session.cost.bytes_out,
    }
}

/// What the log line of a connection needs.
struct Closed {
    client: SocketAddr,
    at: Instant,
    session: Option<Session>,
    traffic: crate::io::TrafficTotals,
}

impl Closed {
    fn new<IO>(accepted: &Accepted<IO>) -> Self {
        Self {
            client: accepted.client,
            at: accepted.at,
            session: None,
            traffic: crate::io::TrafficTotals::default(),
        }
    }
}

/// Counts a connection as open while it lives.
struct Open<'a>(&'a ListenerMetrics);

impl<'a> Open<'a> {
    fn new(metrics: &'a ListenerMetrics) -> Self {
        metrics.open.inc();
        Self(metrics)
    }
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.0.open.dec();
    }
}

//! The spine: one connection from accepted to closed. Reads like a table of contents.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Instant;

use rustls::server::ResolvesServerCert;

use super::context::Context;
use super::error::{Outcome, UpstreamError};
use super::failure_log::FailureLog;
use super::headers::Identity;
use super::turns::Turns;
use super::upstream::Upstream;
use super::{Protocol, Settings, http1, http2, upgrade};
use crate::drain::{Phase, Watch};
use crate::io::{TrafficCounters, Transport};
use crate::listener::{Activity, Permit};
use crate::log_limit::LogLimit;
use crate::metrics::{HandshakeSample, ListenerMetrics, PanickedTask, ShedReason};
use crate::panics;
use crate::tls::error::HandshakeError;
use crate::tls::handshake::{self, Alpn, Cost, Failure, Session};
use crate::tls::policy::{Group, Offer};
use crate::tls::server::TlsServer;
use crate::tls::stream::TlsStream;
use crate::worker::{Load, Share};

/// A connection that was accepted and not yet looked at.
pub struct Accepted<IO> {
    /// The socket.
    pub io: IO,
    /// The other end.
    pub client: SocketAddr,
    /// Its permit of the listener, and its share of the worker's work.
    pub place: (Permit, Share),
    /// When it was accepted.
    pub at: Instant,
}

impl<IO> Accepted<IO> {
    /// The same connection with another handle of its socket.
    pub fn try_map<T, E>(self, map: impl FnOnce(IO) -> Result<T, E>) -> Result<Accepted<T>, E> {
        Ok(Accepted {
            io: map(self.io)?,
            client: self.client,
            place: self.place,
            at: self.at,
        })
    }
}

/// A connection being served.
type Speaking = Pin<Box<dyn Future<Output = Outcome> + Send>>;

/// What all workers of a listener have in common.
pub struct Front {
    tls: TlsServer,
    settings: Arc<Settings>,
    metrics: Arc<ListenerMetrics>,
    failures: Arc<FailureLog>,
    counters: TrafficCounters,
    name: String,
    /// Of connections that were ended to make room for others.
    shed_lines: LogLimit,
}

/// One worker's way from a listener's socket to the inference server: connections to that are kept
/// for each worker, so that no answer has to cross from one core to another.
pub struct Service {
    front: Arc<Front>,
    upstream: Arc<Upstream>,
    load: Arc<Load>,
    turns: Arc<Turns>,
}

impl Front {
    /// Builds the TLS side and announces the metrics.
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
        Ok(Self {
            tls,
            settings: Arc::new(settings.clone()),
            counters: TrafficCounters {
                wire_in: metrics.wire.inward.clone(),
                wire_out: metrics.wire.outward.clone(),
                payload_in: metrics.payload.inward.clone(),
                payload_out: metrics.payload.outward.clone(),
            },
            metrics: Arc::new(metrics),
            failures: Arc::new(FailureLog::new(name, settings.upstream.to_string())),
            name: name.to_owned(),
            shed_lines: LogLimit::default(),
        })
    }

    /// The listener's metrics.
    pub fn metrics(&self) -> &Arc<ListenerMetrics> {
        &self.metrics
    }
}

impl Service {
    /// One of `workers` services of a listener; must run inside its worker's runtime.
    pub fn new(front: &Arc<Front>, load: &Arc<Load>, workers: usize) -> Self {
        let max_idle = front.settings.max_idle_upstreams.div_ceil(workers);
        let upstream = Arc::new(Upstream::new(&front.settings, max_idle));
        let cleaning = Arc::clone(&upstream).keep_clean();
        let metrics = Arc::clone(&front.metrics);
        tokio::spawn(async move {
            if panics::caught(cleaning).await.is_err() {
                metrics.panicked(PanickedTask::Upstream);
            }
        });
        Self {
            front: Arc::clone(front),
            upstream,
            load: Arc::clone(load),
            turns: Turns::start(),
        }
    }

    /// The listener's metrics.
    pub fn metrics(&self) -> &ListenerMetrics {
        &self.front.metrics
    }

    /// The listener's name.
    pub fn name(&self) -> &str {
        &self.front.name
    }

    /// Serves one connection from accepted to closed; `drain` is held until then.
    pub async fn serve<IO>(self: Arc<Self>, accepted: Accepted<IO>, drain: Watch)
    where
        IO: Transport + 'static,
    {
        let _open = Open::new(&self.front.metrics);
        let mut closed = Closed::new(&self.front, &accepted);
        let activity = Arc::clone(accepted.place.0.activity());
        let Accepted { io, client, .. } = accepted;
        let mut cut = drain.reached(Phase::Cut);
        let counters = self.front.counters.clone();
        let handshake = Box::pin(handshake::accept(
            io,
            client.ip(),
            &self.front.tls,
            counters,
        ));
        let secured = tokio::select! {
            biased;
            () = &mut cut => {
                drain.cut();
                return closed.record(Outcome::Cut);
            }
            secured = handshake => secured,
            () = activity.shed() => return closed.record(Outcome::Shed),
        };
        let (stream, session) = match secured {
            Ok(secured) => secured,
            Err(failure) => return closed.refused(&failure),
        };
        self.front.metrics.handshake(&sample(&session));
        closed.session = Some(session);
        let traffic = stream.traffic().clone();
        // Held until the end is recorded: the process does not end before.
        let context = self.context(client, session.group, drain.clone(), activity);
        let mut speaking = self.speak(stream, &session, context);
        let outcome = tokio::select! {
            biased;
            outcome = &mut speaking => outcome,
            () = &mut cut => Outcome::Cut,
        };
        // Before it is recorded: whoever sees the record sees the sockets closed.
        drop(speaking);
        closed.traffic = traffic.totals();
        if outcome == Outcome::Cut {
            drain.cut();
        }
        closed.record(outcome);
    }

    /// Boxed, each protocol by itself: a connection holds the state of its own protocol alone.
    fn speak<IO>(&self, stream: TlsStream<IO>, session: &Session, context: Context) -> Speaking
    where
        IO: Transport + 'static,
    {
        match (self.front.settings.protocol, session.alpn) {
            (Protocol::Tcp, _) => Box::pin(upgrade::relay(stream, context)),
            (Protocol::Http, Alpn::Http1) => Box::pin(http1::serve(stream, context)),
            (Protocol::Http, Alpn::Http2) => Box::pin(http2::serve(stream, Arc::new(context))),
        }
    }

    fn context(
        &self,
        client: SocketAddr,
        group: Group,
        drain: Watch,
        activity: Arc<Activity>,
    ) -> Context {
        Context {
            settings: Arc::clone(&self.front.settings),
            upstream: Arc::clone(&self.upstream),
            metrics: Arc::clone(&self.front.metrics),
            failures: Arc::clone(&self.front.failures),
            identity: Identity::new(client.ip(), group.name(), self.front.settings.forwarded),
            drain,
            activity,
            load: Arc::clone(&self.load),
            turns: Arc::clone(&self.turns),
        }
    }
}

impl Front {
    /// The one place where a handshake that failed becomes a metric and a log line.
    fn refused(&self, closed: &Closed, failure: &Failure) {
        self.metrics.handshake_failed(failure.error.reason());
        self.metrics.closed(Outcome::HandshakeFailed.as_str());
        let mut suppressed = None;
        if matches!(failure.error, HandshakeError::Shed) {
            self.metrics.shed(ShedReason::HalfOpenHandshakes);
            let Some(count) = self.shed_lines.admit() else {
                return;
            };
            suppressed = Some(count);
        }
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
                    suppressed,
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
            // Debug: whoever floods a full listener must not fill the log.
            return tracing::debug!(
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
            Outcome::Internal => line!(error),
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

/// What the log line of a connection needs. Says so too if a panic ends the connection.
struct Closed<'a> {
    front: &'a Front,
    client: SocketAddr,
    at: Instant,
    session: Option<Session>,
    traffic: crate::io::TrafficTotals,
    recorded: bool,
}

impl<'a> Closed<'a> {
    fn new<IO>(front: &'a Front, accepted: &Accepted<IO>) -> Self {
        Self {
            front,
            client: accepted.client,
            at: accepted.at,
            session: None,
            traffic: crate::io::TrafficTotals::default(),
            recorded: false,
        }
    }

    fn record(&mut self, outcome: Outcome) {
        self.recorded = true;
        self.front.record(self, outcome);
    }

    fn refused(&mut self, failure: &Failure) {
        self.recorded = true;
        self.front.refused(self, failure);
    }
}

/// The runtime catches what unwinds here: other connections are not touched by it.
impl Drop for Closed<'_> {
    fn drop(&mut self) {
        if self.recorded || !std::thread::panicking() {
            return;
        }
        self.front.metrics.panicked(PanickedTask::Connection);
        if self.session.is_some() {
            self.record(Outcome::Internal);
        } else {
            self.refused(&Failure {
                error: HandshakeError::Internal,
                offer: None,
                cost: Cost::default(),
            });
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

//! The end of a connection as evidence: a metric and a log line, whatever ended it.

mod end_lines;
mod span;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::AlertDescription;

pub(super) use self::end_lines::EndLines;
pub(super) use self::span::ConnectionSpan;
use crate::drain::Watch;
use crate::io::{TrafficCounters, TrafficTotals};
use crate::log_limit::{LogLimit, log_admitted};
use crate::metrics::{ListenerMetrics, PanickedTask, ShedReason};
use crate::proxy::error::{BROKEN_TLS, Outcome};
use crate::tls::error::HandshakeError;
use crate::tls::handshake::{Failure, Session};
use crate::tls::identity::PeerIdentity;
use crate::tls::policy::Offer;
use crate::tls::stream::broke_tls;

/// Where the connections of one listener become metrics and log lines.
pub(super) struct AccessLog {
    pub(super) listener: String,
    pub(super) policy: &'static str,
    pub(super) metrics: Arc<ListenerMetrics>,
    /// Of connections that were ended to make room for others.
    shed_lines: LogLimit,
    /// Of handshakes that failed, for each reason.
    failure_lines: [LogLimit; HandshakeError::REASONS.len()],
    ended_lines: EndLines,
}

/// Lines for one reason or outcome: clients cause as many as they like, and must not fill the disk.
const LINES: (Duration, u32) = (Duration::from_secs(1), 10);

/// Ends that are a line above debug.
const NOTABLE: &[Outcome] = &[
    Outcome::Internal,
    Outcome::Cut,
    Outcome::ProtocolError,
    Outcome::UpstreamBroken,
];

/// What comes of the certificate of a client that is served: accepted, or it had none.
pub(super) const SERVED: [&str; 2] = ["accepted", "none"];

impl AccessLog {
    /// Counts a client that was asked for a certificate and is served.
    pub(super) fn client_served(&self, peer: Option<&PeerIdentity>) {
        let [accepted, none] = SERVED;
        match peer {
            Some(peer) => self
                .metrics
                .client_certificate(accepted, Some(peer.algorithm)),
            None => self.metrics.client_certificate(none, None),
        }
    }

    pub(super) fn new(listener: &str, policy: &'static str, metrics: ListenerMetrics) -> Self {
        let limit = |_| LogLimit::new(LINES.0, LINES.1);
        Self {
            listener: listener.to_owned(),
            policy,
            metrics: Arc::new(metrics),
            shed_lines: LogLimit::default(),
            failure_lines: std::array::from_fn(limit),
            ended_lines: EndLines::new(LINES, NOTABLE),
        }
    }

    /// The one place where a handshake that failed becomes a metric and a log line.
    fn refused(&self, closed: &Closed, failure: &Failure) {
        if let Some(result) = failure.error.client_certificate() {
            self.metrics.client_certificate(result, None);
        }
        self.metrics.handshake_failed(failure.error.reason());
        self.metrics.closed(Outcome::HandshakeFailed.as_str());
        let admitted = if let Some(reason) = shed_reason(&failure.error) {
            self.metrics.shed(reason);
            self.shed_lines.admit()
        } else {
            self.failure_lines_of(&failure.error)
                .and_then(LogLimit::admit)
        };
        // A TCP health check is routine.
        let routine = matches!(failure.error, HandshakeError::NoHello);
        let offered = failure.offer.as_ref().map(Offer::to_string);
        let peer = failure.peer.as_ref().map(ToString::to_string);
        log_admitted!(
            info,
            admitted.filter(|_| !routine),
            "connection closed",
            listener = %self.listener,
            client = %closed.client,
            proxy = closed.proxy.map(tracing::field::display),
            outcome = Outcome::HandshakeFailed.as_str(),
            reason = failure.error.reason(),
            error = %failure.error,
            policy = self.policy,
            peer,
            offered,
            handshake_bytes_in = failure.cost.bytes_in,
            handshake_bytes_out = failure.cost.bytes_out,
            handshake_ms = failure.cost.elapsed.as_secs_f64() * 1e3
        );
    }

    fn failure_lines_of(&self, error: &HandshakeError) -> Option<&LogLimit> {
        let index = HandshakeError::REASONS
            .iter()
            .position(|reason| *reason == error.reason());
        self.failure_lines.get(index?)
    }

    /// The one place where a connection becomes a metric and a log line.
    fn record(&self, closed: &Closed, outcome: Outcome) {
        self.metrics.closed(outcome.as_str());
        let Some(session) = &closed.session else {
            // Only what a shutdown cut: a flood of a full listener must not fill the log.
            return log_admitted!(
                info,
                self.ended_lines.admit(outcome),
                "connection closed",
                listener = %self.listener,
                client = %closed.client,
                proxy = closed.proxy.map(tracing::field::display),
                outcome = outcome.as_str()
            );
        };
        let peer = session.peer.as_ref();
        macro_rules! line {
            ($level:ident, $suppressed:expr) => {
                tracing::$level!(
                    listener = %self.listener,
                    client = %closed.client,
                    proxy = closed.proxy.map(tracing::field::display),
                    outcome = outcome.as_str(),
                    reason = closed.refused_alert.map(|_| BROKEN_TLS),
                    error = closed.refused_alert.map(broke_tls),
                    peer = peer.map(tracing::field::display),
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
                    suppressed = Some($suppressed).filter(|count| *count > 0),
                    "connection closed"
                )
            };
        }
        match (outcome, self.ended_lines.admit(outcome)) {
            (Outcome::Internal, Some(suppressed)) => line!(error, suppressed),
            (_, Some(suppressed)) => line!(info, suppressed),
            (_, None) => line!(debug, 0_u64),
        }
    }
}

/// Which limit ended a handshake, if one did.
pub(crate) fn shed_reason(error: &HandshakeError) -> Option<ShedReason> {
    match error {
        HandshakeError::Shed => Some(ShedReason::HalfOpenHandshakes),
        HandshakeError::ShedByRate => Some(ShedReason::HandshakeRate),
        HandshakeError::ShedFromQueue => Some(ShedReason::QueuedHandshakes),
        _ => None,
    }
}

/// What the log line of a connection needs. Says so too if a panic ends the connection.
pub(super) struct Closed<'a> {
    log: &'a AccessLog,
    client: SocketAddr,
    /// The proxy that says that it forwards for that client.
    proxy: Option<SocketAddr>,
    at: Instant,
    pub(super) session: Option<Session>,
    /// Of a connection that has no requests.
    pub(super) span: Option<Box<ConnectionSpan>>,
    pub(super) traffic: TrafficTotals,
    /// What the client was told that broke TLS.
    pub(super) refused_alert: Option<AlertDescription>,
    recorded: bool,
}

impl<'a> Closed<'a> {
    pub(super) fn new(log: &'a AccessLog, client: SocketAddr, at: Instant) -> Self {
        Self {
            log,
            client,
            proxy: None,
            at,
            session: None,
            span: None,
            traffic: TrafficTotals::default(),
            refused_alert: None,
            recorded: false,
        }
    }

    /// A proxy in front says whose connection it is.
    pub(super) fn forwarded_for(&mut self, client: SocketAddr) {
        self.proxy = Some(std::mem::replace(&mut self.client, client));
    }

    /// Records the end; one that a drain forces is counted there too.
    pub(super) fn ended(&mut self, mut outcome: Outcome, drain: &Watch) {
        if self.refused_alert.is_some() && outcome.is_left() {
            outcome = Outcome::ProtocolError;
        }
        if outcome == Outcome::Cut {
            drain.count_abort();
        }
        self.record(outcome);
    }

    fn record(&mut self, outcome: Outcome) {
        self.recorded = true;
        if let Some(span) = self.span.take() {
            span.end(outcome);
        }
        self.log.record(self, outcome);
    }

    pub(super) fn refused(&mut self, failure: &Failure) {
        self.recorded = true;
        self.log.refused(self, failure);
    }
}

/// The runtime catches what unwinds here: other connections are not touched by it.
impl Drop for Closed<'_> {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            return;
        }
        self.log.metrics.panicked(PanickedTask::Connection);
        // Its own record panicked: another would end the process.
        if self.recorded {
            return;
        }
        if self.session.is_some() {
            self.record(Outcome::Internal);
        } else {
            self.refused(&HandshakeError::Internal.into());
        }
    }
}

/// Where the bytes of the connections of one listener are counted.
pub(crate) fn traffic_counters(metrics: &ListenerMetrics) -> TrafficCounters {
    TrafficCounters {
        wire_in: metrics.wire.inward.clone(),
        wire_out: metrics.wire.outward.clone(),
        payload_in: metrics.payload.inward.clone(),
        payload_out: metrics.payload.outward.clone(),
    }
}

/// Counts a connection as open while it lives.
pub(crate) struct Open<'a>(&'a ListenerMetrics);

impl<'a> Open<'a> {
    pub(crate) fn new(metrics: &'a ListenerMetrics) -> Self {
        metrics.open.inc();
        Self(metrics)
    }
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.0.open.dec();
    }
}

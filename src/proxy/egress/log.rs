//! The end of a connection that we began, as evidence: a metric and a log line, whatever ended it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::AlertDescription;

use crate::drain::Watch;
use crate::io::TrafficTotals;
use crate::listener::Client;
use crate::log_limit::{LogLimit, log_admitted};
use crate::metrics::{ListenerMetrics, PanickedTask};
use crate::proxy::access_log::EndLines;
use crate::proxy::error::{BROKEN_TLS, Outcome};
use crate::proxy::origin::OriginError;
use crate::tls::client::{ClientError, Failure};
use crate::tls::handshake::Session;
use crate::tls::policy::Offer;
use crate::tls::stream::broke_tls;

/// Where the connections of one egress become metrics and log lines.
pub(super) struct EgressLog {
    pub(super) listener: String,
    pub(super) policy: &'static str,
    /// The one target, or how apps name theirs.
    target: String,
    pub(super) metrics: Arc<ListenerMetrics>,
    /// Of connections that failed, for each reason.
    lines: [LogLimit; REASONS],
    ended_lines: EndLines,
    /// Of apps that speak TLS themselves.
    double_tls: LogLimit,
}

const REASONS: usize = OriginError::REASONS.len() + ClientError::REASONS.len();

/// Lines for one reason: a server that is down must not fill the disk.
const LINES: (Duration, u32) = (Duration::from_secs(10), 5);

/// Ends that are a line above debug.
const NOTABLE: &[Outcome] = &[
    Outcome::Internal,
    Outcome::Cut,
    Outcome::ProtocolError,
    Outcome::UpstreamBroken,
];

impl EgressLog {
    pub(super) fn new(
        listener: &str,
        policy: &'static str,
        target: String,
        metrics: &Arc<ListenerMetrics>,
    ) -> Self {
        let limit = || LogLimit::new(LINES.0, LINES.1);
        Self {
            listener: listener.to_owned(),
            policy,
            target,
            metrics: Arc::clone(metrics),
            lines: std::array::from_fn(|_| limit()),
            ended_lines: EndLines::new(LINES, NOTABLE),
            double_tls: limit(),
        }
    }

    /// How many lines were held back since the last of this reason, if the next one is due.
    fn admit(&self, reason: &str) -> Option<u64> {
        let all = OriginError::REASONS.iter().chain(&ClientError::REASONS);
        let index = all.into_iter().position(|known| *known == reason)?;
        self.lines.get(index)?.admit()
    }

    /// The app speaks TLS itself: it goes through, twice encrypted, and is worth a word.
    pub(super) fn double_tls(&self, client: SocketAddr, target: &str) {
        let error = ClientError::DoubleTls;
        self.metrics.handshake_failed(error.reason());
        if let Some(suppressed) = self.double_tls.admit() {
            tracing::warn!(listener = %self.listener, role = "egress", client = %Client(client), target, reason = error.reason(), %error, suppressed, "TLS inside TLS");
        }
    }
}

/// What the log line of a connection needs. Says so too if a panic ends the connection.
pub(super) struct Closed<'a> {
    log: &'a EgressLog,
    pub(super) client: SocketAddr,
    at: Instant,
    /// The target that the app named, if it names one.
    pub(super) named: Option<String>,
    pub(super) session: Option<Session>,
    pub(super) address: Option<SocketAddr>,
    pub(super) connecting: Duration,
    pub(super) tickets: u64,
    pub(super) traffic: TrafficTotals,
    /// What the server was told that broke TLS.
    pub(super) refused_alert: Option<AlertDescription>,
    recorded: bool,
}

impl<'a> Closed<'a> {
    pub(super) fn new(log: &'a EgressLog, client: SocketAddr, at: Instant) -> Self {
        Self {
            log,
            client,
            at,
            named: None,
            session: None,
            address: None,
            connecting: Duration::ZERO,
            tickets: 0,
            traffic: TrafficTotals::default(),
            refused_alert: None,
            recorded: false,
        }
    }

    /// The target: what the app named, or else the egress's own.
    pub(super) fn target(&self) -> &str {
        self.named.as_deref().unwrap_or(&self.log.target)
    }

    /// The one place where a connection that did not come about becomes a metric and a log line.
    pub(super) fn failed(&mut self, error: &OriginError) {
        self.recorded = true;
        let log = self.log;
        let (mut outcome, mut failure) = (Outcome::UpstreamBroken, None);
        match error {
            // The server has no part in it.
            OriginError::Capture(_) | OriginError::TargetRefused(_) => {
                outcome = Outcome::ProtocolError;
                log.metrics.upstream_failed(error.reason());
            }
            OriginError::Unfinished(_) => {
                outcome = Outcome::Timeout;
                log.metrics.upstream_failed(error.reason());
            }
            OriginError::Handshake(handshake, address) => {
                outcome = Outcome::HandshakeFailed;
                self.address = Some(*address);
                log.metrics.handshake_failed(error.reason());
                failure = Some(&**handshake);
            }
            // No fault of anybody.
            OriginError::Gone => outcome = Outcome::ClientGone,
            _ => log.metrics.upstream_failed(error.reason()),
        }
        log.metrics.closed(outcome.as_str());
        let cost = failure
            .map(|failure: &Failure| failure.cost)
            .unwrap_or_default();
        let offered = failure.and_then(|failure| failure.offer.as_ref());
        let offered = offered.map(Offer::to_string);
        let admitted = match error {
            OriginError::Gone => None,
            _ => log.admit(error.reason()),
        };
        log_admitted!(
            warn,
            admitted,
            "connection closed",
            listener = %log.listener,
            role = "egress",
            client = %Client(self.client),
            target = self.target(),
            address = self.address.map(tracing::field::display),
            outcome = outcome.as_str(),
            reason = error.reason(),
            error = %error,
            policy = log.policy,
            offered,
            handshake_bytes_in = cost.bytes_in,
            handshake_bytes_out = cost.bytes_out,
            handshake_ms = cost.elapsed.as_secs_f64() * 1e3,
            open_seconds = self.at.elapsed().as_secs_f64()
        );
    }

    /// Records the end; one that a drain forces is counted there too.
    pub(super) fn ended(&mut self, outcome: Outcome, drain: &Watch) {
        if outcome == Outcome::Cut {
            drain.count_abort();
        }
        self.record(outcome);
    }

    fn record(&mut self, outcome: Outcome) {
        self.recorded = true;
        let log = self.log;
        log.metrics.closed(outcome.as_str());
        let Some(session) = &self.session else {
            return log_admitted!(
                info,
                log.ended_lines.admit(outcome),
                "connection closed",
                listener = %log.listener,
                role = "egress",
                client = %Client(self.client),
                target = self.target(),
                outcome = outcome.as_str()
            );
        };
        macro_rules! line {
            ($level:ident, $suppressed:expr) => {
                tracing::$level!(
                    listener = %log.listener,
                    role = "egress",
                    client = %Client(self.client),
                    target = self.target(),
                    address = self.address.map(tracing::field::display),
                    outcome = outcome.as_str(),
                    reason = self.refused_alert.map(|_| BROKEN_TLS),
                    error = self.refused_alert.map(broke_tls),
                    peer_id = session.peer.as_ref().map(tracing::field::display),
                    group = session.group.name(),
                    class = session.group.class().as_str(),
                    kind = session.kind.as_str(),
                    hello_retry = session.retried,
                    offered = session.offered.as_str(),
                    suite = session.suite,
                    connect_ms = self.connecting.as_secs_f64() * 1e3,
                    handshake_bytes_in = session.cost.bytes_in,
                    handshake_bytes_out = session.cost.bytes_out,
                    handshake_ms = session.cost.elapsed.as_secs_f64() * 1e3,
                    handshake_compute_us = session.cost.compute.as_secs_f64() * 1e6,
                    tickets = self.tickets,
                    wire_bytes_in = self.traffic.wire_in,
                    wire_bytes_out = self.traffic.wire_out,
                    payload_bytes_in = self.traffic.payload_in,
                    payload_bytes_out = self.traffic.payload_out,
                    open_seconds = self.at.elapsed().as_secs_f64(),
                    suppressed = Some($suppressed).filter(|count| *count > 0),
                    "connection closed"
                )
            };
        }
        match (outcome, log.ended_lines.admit(outcome)) {
            (Outcome::Internal, Some(suppressed)) => line!(error, suppressed),
            (_, Some(suppressed)) => line!(info, suppressed),
            (_, None) => line!(debug, 0_u64),
        }
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
        if !self.recorded {
            self.record(Outcome::Internal);
        }
    }
}

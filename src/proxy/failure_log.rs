//! Log lines about the upstream of one listener: a warning at once, and then at most one every
//! ten seconds for each reason, so that a model that loads for an hour does not fill the disk; of an egress,
//! which may have many targets, five. Requests
//! that are refused have ten lines a second for each reason: clients cause as many as they like.

use std::fmt;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use crate::listener::ClientIp;
use crate::log_limit::{LogLimit, log_admitted};
use crate::proxy::error::UpstreamError;
use crate::proxy::origin::{OriginError, Target};
use crate::signature::Verifier;
use crate::tls::client::ClientError;

/// In so long, warnings for one reason: about the one upstream of a listener, and about the targets of an egress.
const EVERY: Duration = Duration::from_secs(10);
const OF_UPSTREAM: u32 = 1;
const OF_TARGETS: u32 = 5;
/// Lines about refused requests for one reason, in so long.
const REFUSALS: (Duration, u32) = (Duration::from_secs(1), 10);

/// The framing of a request's body is broken, or contradicts its head.
pub(crate) const BAD_BODY: &str = "the body is malformed";
/// Why there is no memory for a request.
pub(crate) const NO_STREAM: &str = "the process has as many streams as its memory is for: raise the memory limit, or lower max-streams";
pub(crate) const NO_REQUEST: &str = "the memory for large request heads and trailers is in use: raise the memory limit, or lower max-head";
pub(crate) const NO_HEAD: &str =
    "the client does not read, and its responses have no memory for another head";

/// What the lines name, and when each reason was last reported.
pub(crate) struct FailureLog {
    listener: String,
    upstream: String,
    lines: Vec<LogLimit>,
    /// Of heads, of bodies, of a lack of memory, of streams, of HTTP/2 connections, of responses that had begun,
    /// of tunnels, and then of signatures by their reasons.
    refusals: Vec<LogLimit>,
}

impl FailureLog {
    pub(crate) fn new(listener: &str, upstream: String) -> Self {
        Self::with_lines(listener, upstream, OF_UPSTREAM)
    }

    /// Of an egress; `targets` is what its lines name that are about no single one.
    pub(crate) fn of_targets(listener: &str, targets: String) -> Self {
        Self::with_lines(listener, targets, OF_TARGETS)
    }

    fn with_lines(listener: &str, upstream: String, lines: u32) -> Self {
        Self {
            listener: listener.to_owned(),
            upstream,
            lines: reasons().map(|_| LogLimit::new(EVERY, lines)).collect(),
            refusals: refusals()
                .map(|_| LogLimit::new(REFUSALS.0, REFUSALS.1))
                .collect(),
        }
    }

    /// The listener's name.
    pub(crate) fn listener(&self) -> &str {
        &self.listener
    }

    /// A request was refused by its head.
    pub(crate) fn head_refused(&self, client: IpAddr, reason: &dyn fmt::Display, status: u16) {
        self.refused(HEAD, client, reason, status);
    }

    /// A request was refused by its body.
    pub(crate) fn body_refused(&self, client: IpAddr, reason: &str, status: u16) {
        self.refused(BODY, client, &reason, status);
    }

    fn refused(&self, part: &str, client: IpAddr, reason: &dyn fmt::Display, status: u16) {
        log_admitted!(
            info,
            self.admit_refusal(part),
            "request refused",
            listener = %self.listener,
            client = %ClientIp(client),
            %reason,
            status
        );
    }

    /// A request was refused because there is no memory for it.
    pub(crate) fn overloaded(&self, client: IpAddr, reason: &str, status: u16) {
        log_admitted!(
            warn,
            self.admit_refusal(OVERLOADED),
            "request refused",
            listener = %self.listener,
            client = %ClientIp(client),
            reason,
            status
        );
    }

    /// A stream was refused that was more than its client may have at once.
    pub(crate) fn stream_refused(&self, client: IpAddr) {
        log_admitted!(
            info,
            self.admit_refusal(STREAM),
            "request refused",
            listener = %self.listener,
            client = %ClientIp(client),
            reason = "the connection has max-streams open already"
        );
    }

    /// A client broke HTTP/2 in a way that ends its connection.
    pub(crate) fn connection_refused(&self, client: IpAddr, reason: &dyn fmt::Display) {
        log_admitted!(
            info,
            self.admit_refusal(HTTP2),
            "HTTP/2 connection refused",
            listener = %self.listener,
            client = %ClientIp(client),
            %reason
        );
    }

    /// A response that had begun was broken off, or the upload beside it: no status tells of it.
    pub(crate) fn broken_off(&self, client: IpAddr, reason: &str) {
        log_admitted!(
            info,
            self.admit_refusal(BROKEN_OFF),
            "response broken off",
            listener = %self.listener,
            client = %ClientIp(client),
            reason
        );
    }

    /// Whether a request that is refused for this reason becomes a line, and how many did not since the
    /// last one.
    pub(crate) fn admit_refusal(&self, reason: &str) -> Option<u64> {
        let index = refusals().position(|known| known == reason);
        let lines = index.and_then(|index| self.refusals.get(index))?;
        lines.admit()
    }

    /// One failure; `message` says at which point, `error` what went wrong, `target` with which of the
    /// targets of an egress.
    pub(crate) fn report(
        &self,
        message: &str,
        reason: &'static str,
        error: &dyn fmt::Display,
        target: Option<&Target>,
    ) {
        let upstream: &dyn fmt::Display = match target {
            Some(target) => target,
            None => &self.upstream,
        };
        macro_rules! line {
            ($level:ident $(, $more:tt)*) => {
                tracing::$level!(
                    listener = %self.listener,
                    %upstream,
                    reason,
                    %error,
                    $($more,)*
                    "{message}"
                )
            };
        }
        if let Some(suppressed) = self.admit(reason, Instant::now()) {
            line!(warn, suppressed);
        } else {
            line!(debug);
        }
    }

    /// How many were held back since the last line of this reason, if the next one is due.
    fn admit(&self, reason: &str, now: Instant) -> Option<u64> {
        let index = reasons().position(|known| known == reason);
        let lines = index.and_then(|index| self.lines.get(index))?;
        lines.admit_at(now)
    }
}

/// Stands for every reason of a head.
const HEAD: &str = "head";
/// Stands for every reason of a body.
const BODY: &str = "body";
/// Stands for a lack of memory.
const OVERLOADED: &str = "overloaded";
/// Stands for streams beyond what their client may have.
const STREAM: &str = "stream";
/// Stands for every reason of an HTTP/2 connection.
const HTTP2: &str = "http2";
/// Stands for every reason of a response that had begun.
const BROKEN_OFF: &str = "broken_off";
/// Stands for every reason of a tunnel.
pub(crate) const TUNNEL: &str = "tunnel";

fn refusals() -> impl Iterator<Item = &'static str> {
    [HEAD, BODY, OVERLOADED, STREAM, HTTP2, BROKEN_OFF, TUNNEL]
        .into_iter()
        .chain(Verifier::results())
}

/// Every reason, of upstreams on this host and of servers elsewhere.
fn reasons() -> impl Iterator<Item = &'static str> {
    let elsewhere = OriginError::REASONS.iter().chain(&ClientError::REASONS);
    UpstreamError::REASONS.iter().chain(elsewhere).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_failure_of_a_reason_is_reported_and_then_one_in_ten_seconds() {
        let log = FailureLog::new("a", "127.0.0.1:1".to_owned());
        let begin = Instant::now();
        let at = |reason, seconds| log.admit(reason, begin + Duration::from_secs(seconds));
        assert_eq!(at("refused", 0), Some(0));
        assert_eq!(at("refused", 1), None);
        assert_eq!(at("refused", 9), None);
        assert_eq!(at("closed", 9), Some(0), "another reason has its own line");
        assert_eq!(at("refused", 10), Some(2));
        assert_eq!(at("refused", 11), None);
        assert_eq!(at("refused", 3600), Some(1));
    }

    #[test]
    fn the_targets_of_an_egress_have_five_lines_for_each_reason() {
        let log = FailureLog::of_targets("a", "http-proxy".to_owned());
        let begin = Instant::now();
        let lines = (0..100).filter(|_| log.admit("closed", begin).is_some());
        assert_eq!(lines.count(), 5);
    }

    #[test]
    fn refused_requests_have_ten_lines_a_second_for_each_reason() {
        let log = FailureLog::new("a", "127.0.0.1:1".to_owned());
        for reason in refusals() {
            let written = (0..100).filter(|_| log.admit_refusal(reason).is_some());
            // Twice as many where a second ends between them.
            assert!([10, 20].contains(&written.count()), "{reason}");
        }
        assert_eq!(log.admit_refusal("unheard of"), None);
    }
}

//! What every request of a connection shares.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::drain::Watch;
use crate::listener::Activity;
use crate::metrics::{Code, ListenerMetrics, RequestProtocol};
use crate::proxy::codec::headers::ForwardedHeaders;
use crate::proxy::error::UpstreamError;
use crate::proxy::failure_log::FailureLog;
use crate::proxy::scheduler::RequestScheduler;
use crate::proxy::settings::Settings;
use crate::proxy::upstream::Upstream;
use crate::worker::Load;

/// What every request of a connection shares.
pub(crate) struct Context {
    pub(crate) settings: Arc<Settings>,
    pub(crate) upstream: Arc<Upstream>,
    pub(crate) metrics: Arc<ListenerMetrics>,
    pub(crate) failures: Arc<FailureLog>,
    pub(crate) identity: ForwardedHeaders,
    pub(crate) drain: Watch,
    /// What the connection is doing: without work it may have to make room for another one.
    pub(crate) activity: Arc<Activity>,
    /// The worker's.
    pub(crate) load: Arc<Load>,
    /// The listener's at this worker.
    pub(crate) turns: Arc<RequestScheduler>,
}

/// One request's share of the metrics; whatever happens to it, it is counted once.
pub(crate) struct Sample<'a> {
    metrics: &'a ListenerMetrics,
    started: Instant,
    pub(crate) protocol: RequestProtocol,
    pub(crate) code: Code,
}

impl Context {
    /// The listener's name.
    pub(crate) fn listener(&self) -> &str {
        self.failures.listener()
    }

    /// Begins to count a request.
    pub(crate) fn sample(&self, protocol: RequestProtocol) -> Sample<'_> {
        self.metrics.requests_open.inc();
        Sample {
            metrics: &self.metrics,
            started: Instant::now(),
            protocol,
            code: Code::Broken,
        }
    }

    /// Counts and logs an HTTP/2 request that was refused before it became one of ours.
    pub(crate) fn refused(&self, status: u16) {
        self.sample(RequestProtocol::Http2).answered_with(status);
        let reason = match status {
            431 => "the head is too large",
            _ => "the request is malformed",
        };
        tracing::info!(listener = %self.listener(), reason, status, "request refused");
    }

    /// Counts and logs a failure of the upstream's side.
    pub(crate) fn upstream_failed(&self, error: &UpstreamError) {
        self.metrics.upstream_failed(error.reason());
        self.failures
            .report("upstream failed", error.reason(), Some(error));
    }

    /// Counts an answer that broke off.
    pub(crate) fn answer_broken(&self) {
        self.metrics
            .upstream_failed(crate::proxy::error::BROKEN_BODY);
        let reason = crate::proxy::error::BROKEN_BODY;
        self.failures
            .report("upstream broke an answer off", reason, None);
    }
}

impl Sample<'_> {
    /// The response head is there.
    pub(crate) fn answered(&self) -> Duration {
        let after = self.started.elapsed();
        self.metrics.first_byte(self.protocol, after);
        after
    }

    /// The response head is there and the status is known.
    pub(crate) fn answered_with(&mut self, status: u16) {
        self.answered();
        self.code = Code::Http(status);
    }

    /// The answer broke off.
    pub(crate) fn broken(&mut self) {
        self.code = Code::Broken;
    }
}

impl Drop for Sample<'_> {
    fn drop(&mut self) {
        self.metrics.requests_open.dec();
        self.metrics
            .request(self.protocol, self.code, self.started.elapsed());
    }
}

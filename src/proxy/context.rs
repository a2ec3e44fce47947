//! What every request of a connection shares.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::drain::Watch;
use crate::listener::Activity;
use crate::metrics::{Code, ListenerMetrics, RequestProtocol, StreamMetrics};
use crate::proxy::codec::h2::refusals::Refused;
use crate::proxy::codec::headers::ForwardedHeaders;
use crate::proxy::codec::message::MessageError;
use crate::proxy::error::UpstreamError;
use crate::proxy::failure_log::FailureLog;
use crate::proxy::observers::{Observed, Observers};
use crate::proxy::pace::StreamClock;
use crate::proxy::request_log::RequestEnd;
use crate::proxy::scheduler::RequestScheduler;
use crate::proxy::settings::Settings;
use crate::proxy::upstream::Upstream;
use crate::signature::{ResponseSigner, Verifier};
use crate::worker::Load;

/// What every request of a connection shares.
pub(crate) struct Context {
    pub(crate) settings: Arc<Settings>,
    pub(crate) upstream: Arc<Upstream>,
    /// Each request names where it goes: we are a forward proxy.
    pub(crate) targets: Option<Arc<dyn Targets>>,
    pub(crate) metrics: Arc<ListenerMetrics>,
    pub(crate) failures: Arc<FailureLog>,
    pub(crate) identity: ForwardedHeaders,
    /// Verifies the signatures of requests, if the listener asks for them.
    pub(crate) signature: Option<Arc<Verifier>>,
    /// Where each request becomes a line or a span, if that was asked for.
    pub(crate) observers: Option<Box<Observers>>,
    /// What measures token streams, if that was asked for.
    pub(crate) streams: Option<Arc<StreamMetrics>>,
    /// Signs responses, if the listener does.
    pub(crate) responses: Option<Arc<ResponseSigner>>,
    pub(crate) drain: Watch,
    /// What the connection is doing: without work it may have to make room for another one.
    pub(crate) activity: Arc<Activity>,
    /// The worker's.
    pub(crate) load: Arc<Load>,
    /// The listener's at this worker.
    pub(crate) scheduler: Arc<RequestScheduler>,
}

/// Where the requests of a forward proxy go.
pub(crate) trait Targets: Send + Sync {
    /// Connections to the authority that a request names, if it may.
    fn upstream(&self, authority: &str) -> Result<Arc<Upstream>, Unnamed>;
}

/// Why a request of a forward proxy goes nowhere.
pub(crate) enum Unnamed {
    /// Its authority is none.
    Host,
    /// It asks for a tunnel, which only the first request of a connection may.
    Connect,
    /// It may not go there.
    Refused(UpstreamError),
}

/// One request's share of the metrics; whatever happens to it, it is counted once.
pub(crate) struct Sample<'a> {
    context: &'a Context,
    started: Instant,
    pub(crate) protocol: RequestProtocol,
    /// What its response head said.
    pub(crate) status: Code,
    /// The same once the response is complete; until then it may break off, by a drop as well.
    code: Code,
    /// What access log and traces know of it.
    pub(crate) observed: Option<Box<Observed>>,
}

impl Context {
    /// The listener's name.
    pub(crate) fn listener(&self) -> &str {
        self.failures.listener()
    }

    /// The same for a request to another upstream.
    pub(crate) fn elsewhere(&self, upstream: Arc<Upstream>) -> Self {
        Self {
            settings: Arc::clone(&self.settings),
            upstream,
            targets: self.targets.clone(),
            metrics: Arc::clone(&self.metrics),
            failures: Arc::clone(&self.failures),
            identity: self.identity.clone(),
            signature: self.signature.clone(),
            // An egress asks for none of these.
            responses: None,
            observers: None,
            streams: None,
            drain: self.drain.clone(),
            activity: Arc::clone(&self.activity),
            load: Arc::clone(&self.load),
            scheduler: Arc::clone(&self.scheduler),
        }
    }

    /// Begins to count a request.
    pub(crate) fn sample(&self, protocol: RequestProtocol) -> Sample<'_> {
        self.metrics.requests_open.inc();
        Sample {
            context: self,
            started: Instant::now(),
            protocol,
            status: Code::Broken,
            code: Code::Broken,
            observed: None,
        }
    }

    /// Counts and logs an HTTP/2 request that was refused before it became one of ours.
    pub(crate) fn refused(&self, refused: Refused) {
        let mut sample = self.sample(RequestProtocol::Http2);
        let (reason, status) = match refused {
            Refused::Malformed => ("the request is malformed", 400),
            Refused::HeadTooLarge => ("the head is too large", 431),
            // A reset is no response: no status says more.
            Refused::TooManyStreams => {
                let client = self.identity.client();
                return self.failures.stream_refused(client);
            }
        };
        sample.replied_with(status);
        self.head_refused(&reason, status);
    }

    /// Logs a request of the client that is refused by its head.
    pub(crate) fn head_refused(&self, reason: &dyn fmt::Display, status: u16) {
        let client = self.identity.client();
        self.failures.head_refused(client, reason, status);
    }

    /// The same by its body.
    pub(crate) fn body_refused(&self, reason: &str, status: u16) {
        let client = self.identity.client();
        self.failures.body_refused(client, reason, status);
    }

    /// The same because there is no memory for it.
    pub(crate) fn overloaded(&self, reason: &str, status: u16) {
        let client = self.identity.client();
        self.failures.overloaded(client, reason, status);
    }

    /// Logs why an HTTP/2 connection of the client is refused.
    pub(crate) fn connection_refused(&self, reason: &dyn fmt::Display) {
        self.failures
            .connection_refused(self.identity.client(), reason);
    }

    /// Logs why a response that had begun is broken off.
    pub(crate) fn broken_off(&self, reason: &str) {
        self.failures.broken_off(self.identity.client(), reason);
    }

    /// Counts and logs a failure of the upstream's side.
    pub(crate) fn upstream_failed(&self, error: &UpstreamError) {
        let mut target = self.upstream.target();
        match error {
            UpstreamError::Origin(cause) if cause.is_handshake() => {
                self.metrics.handshake_failed(error.reason());
            }
            _ => self.metrics.upstream_failed(error.reason()),
        }
        // It names the target itself, which is not that of the requests before it.
        if matches!(error, UpstreamError::Origin(cause) if cause.is_target_refused()) {
            target = None;
        }
        self.failures
            .report("upstream failed", error.reason(), error, target);
    }

    /// Counts an answer that broke off.
    pub(crate) fn answer_broken(&self, how: &MessageError) {
        self.metrics
            .upstream_failed(crate::proxy::error::BROKEN_BODY);
        let reason = crate::proxy::error::BROKEN_BODY;
        self.failures.report(
            "upstream broke an answer off",
            reason,
            how,
            self.upstream.target(),
        );
    }
}

impl Sample<'_> {
    /// The response head is there.
    pub(crate) fn responded(&mut self) -> Duration {
        let after = self.started.elapsed();
        self.context.metrics.first_byte(self.protocol, after);
        if let Some(observed) = &mut self.observed {
            observed.first_byte(after);
        }
        after
    }

    /// The response head is there and the status is known.
    pub(crate) fn responded_with(&mut self, status: u16) {
        self.responded();
        self.status = Code::Http(status);
    }

    /// The proxy responds itself.
    pub(crate) fn replied_with(&mut self, status: u16) {
        self.responded_with(status);
        self.complete();
    }

    /// The response has been forwarded in full.
    pub(crate) fn complete(&mut self) {
        self.code = self.status;
    }

    /// What times the pieces of the response if it is a stream and that was asked for.
    pub(crate) fn clock(&self, is_stream: impl FnOnce() -> bool) -> Option<StreamClock> {
        let streams = self.context.streams.as_ref()?;
        is_stream().then(|| StreamClock::new(streams, self.protocol, self.started))
    }
}

impl Drop for Sample<'_> {
    fn drop(&mut self) {
        let metrics = &self.context.metrics;
        metrics.requests_open.dec();
        let took = self.started.elapsed();
        metrics.request(self.protocol, self.code, took);
        if let Some(observers) = &self.context.observers {
            let end = RequestEnd {
                protocol: self.protocol,
                code: self.code,
                took,
            };
            observers.end(self.context.listener(), self.observed.as_deref(), &end);
        }
    }
}

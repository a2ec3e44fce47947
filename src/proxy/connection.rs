//! The spine: one connection from accepted to closed. Reads like a table of contents.

mod closed;

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Instant;

use rustls::server::ResolvesServerCert;

pub(crate) use self::closed::shed_reason;
use self::closed::{Closed, Open, sample};
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
use crate::metrics::{ListenerMetrics, PanickedTask};
use crate::panics;
use crate::tls::error::HandshakeError;
use crate::tls::handshake::{self, Alpn, Session};
use crate::tls::policy::Group;
use crate::tls::queue::HandshakeQueue;
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
    handshakes: Arc<HandshakeQueue>,
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
            handshakes: front.tls.queue(workers),
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
            &self.handshakes,
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

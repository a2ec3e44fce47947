//! The spine: one connection from accepted to closed. Reads like a table of contents.

mod built;
mod frontend;
mod observed;

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;

use rustls::AlertDescription;
use rustls::pki_types::CertificateDer;

use crate::census::Census;
use crate::drain::{Phase, Watch};
use crate::io::{TrafficCounters, Transport};
use crate::listener::Activity;
use crate::metrics::{PanickedTask, StreamMetrics};
use crate::panics::{self, OnPanic};
pub use crate::proxy::accepted::Accepted;
use crate::proxy::access_log::{AccessLog, Closed};
pub(crate) use crate::proxy::access_log::{Open, shed_reason, traffic_counters};
pub(crate) use crate::proxy::arrival::overdue;
use crate::proxy::arrival::{before_end, proxy_header};
use crate::proxy::codec::headers::{ForwardedHeaders, certificate_fields};
use crate::proxy::context::Context;
use crate::proxy::downstream::{http1, http2};
use crate::proxy::error::Outcome;
use crate::proxy::failure_log::FailureLog;
pub(crate) use crate::proxy::handshake_sample::sample;
use crate::proxy::observers::Observers;
use crate::proxy::open_peers::OpenPeers;
use crate::proxy::port_tunnel::{self, OwnPorts, Visitor};
use crate::proxy::preface::preface;
use crate::proxy::scheduler::RequestScheduler;
use crate::proxy::settings::{Protocol, Settings};
use crate::proxy::tunnel;
use crate::proxy::upstream::{Dial, Upstream, UpstreamPermits};
use crate::signature::{ResponseSigner, Verifier};
use crate::tls::error::HandshakeError;
use crate::tls::handshake::{self, Alpn, Session};
use crate::tls::queue::HandshakeQueue;
use crate::tls::server::TlsServer;
use crate::tls::stream::TlsStream;
use crate::traces::Traces;
use crate::worker::Load;

/// A connection being served.
type ConnectionFuture = Pin<Box<dyn Future<Output = Outcome> + Send>>;

/// What all workers of a listener have in common.
pub struct Frontend {
    tls: TlsServer,
    settings: Arc<Settings>,
    log: AccessLog,
    failures: Arc<FailureLog>,
    permits: Arc<UpstreamPermits>,
    signature: Option<Arc<Verifier>>,
    responses: Option<Arc<ResponseSigner>>,
    counters: TrafficCounters,
    /// Clients with a certificate that are connected.
    peers: Arc<OpenPeers>,
    /// What measures token streams, if that was asked for.
    streams: Option<Arc<StreamMetrics>>,
    /// Clients without a hybrid group.
    census: Arc<Census>,
    /// What no tunnel leads to.
    own_ports: Arc<OwnPorts>,
    /// Where spans go, if anywhere.
    traces: Arc<Traces>,
}

/// One worker's way from a listener's socket to the upstream: connections to that are kept
/// for each worker, so that no response moves from one core to another.
pub struct Service {
    front: Arc<Frontend>,
    upstream: Arc<Upstream>,
    load: Arc<Load>,
    scheduler: Arc<RequestScheduler>,
    handshakes: Arc<HandshakeQueue>,
}

impl Service {
    /// One of `workers` services of a listener; must run inside its worker's runtime.
    pub fn new(front: &Arc<Frontend>, load: &Arc<Load>, workers: usize) -> Self {
        let max_idle = front.settings.max_idle_upstreams.div_ceil(workers);
        let counts = |task| -> OnPanic {
            let metrics = Arc::clone(&front.log.metrics);
            Arc::new(move || metrics.panicked(task))
        };
        let of_upstream = counts(PanickedTask::Upstream);
        let upstream = Upstream::new(
            Dial::Local(front.settings.upstream.clone()),
            &front.settings,
            max_idle,
            &front.permits,
            Arc::clone(&of_upstream),
        );
        panics::spawn(Arc::clone(&upstream).evict_idle_loop(), move || {
            of_upstream();
        });
        let of_scheduler = counts(PanickedTask::Scheduler);
        Self {
            front: Arc::clone(front),
            upstream,
            load: Arc::clone(load),
            scheduler: RequestScheduler::start(Arc::clone(&of_scheduler)),
            handshakes: front.tls.queue(workers, of_scheduler),
        }
    }

    /// Serves one connection from accepted to closed; `drain` is held until then.
    pub async fn serve<IO>(self: Arc<Self>, accepted: Accepted<IO>, drain: Watch)
    where
        IO: Transport + 'static,
    {
        let _open = Open::new(&self.front.log.metrics);
        let mut closed = Closed::new(&self.front.log, accepted.client, accepted.at);
        let activity = Arc::clone(accepted.permit.0.activity());
        let (census, begun) = (&self.front.census, accepted.at);
        let Accepted {
            mut io, mut client, ..
        } = accepted;
        let mut cut = drain.reached(Phase::Aborting);
        let mut begins = handshake::Client::new(client.ip());
        let mut server = None;
        if self.front.settings.proxy_protocol_from.contain(client.ip()) {
            let deadline = begins.since + self.front.tls.handshake_timeout();
            let header = Box::pin(proxy_header(&mut io, deadline, overdue(&drain)));
            let (addresses, behind) = match before_end(header, &mut cut, &activity).await {
                Ok(Ok(header)) => header,
                Ok(Err(error)) => return closed.refused(&error.into()),
                Err(outcome) => return closed.ended(outcome, &drain),
            };
            begins.received = behind;
            if let Some(addresses) = addresses {
                client = addresses.source;
                server = Some(addresses.destination);
                begins.address = client.ip();
                activity.forwarded_for(client.ip());
                closed.forwarded_for(client);
            }
        }
        if !self.front.tls.may_begin(begins.address) {
            return closed.refused(&HandshakeError::ShedByRate.into());
        }
        begins.overdue = Some(Box::pin(overdue(&drain)));
        let exporter = self.front.traces.current();
        if exporter.is_some() || self.front.settings.needs_local_address() {
            server = server.or_else(|| io.local_address().ok());
        }
        let handshake = Box::pin(handshake::accept(
            io,
            begins,
            &self.front.tls,
            &self.handshakes,
            self.front.counters.clone(),
        ));
        let (stream, mut session) = match before_end(handshake, &mut cut, &activity).await {
            Ok(Ok(secured)) => secured,
            Ok(Err(failure)) => {
                let (hello, peer) = (failure.classical.as_deref(), failure.peer.as_deref());
                census.failed(begun, client.ip(), hello, peer);
                return closed.refused(&failure);
            }
            Err(outcome) => return closed.ended(outcome, &drain),
        };
        self.front.secured(begun, client.ip(), &mut session);
        // Only for the head of requests: an open connection does not keep it.
        let chain = std::mem::take(&mut session.chain);
        closed.session = Some(session.clone());
        let peer = session.peer.as_deref();
        let _peer = peer.map(|peer| self.front.peers.enter(peer));
        let traffic = stream.traffic().clone();
        // Held until the end is recorded: the process does not end before.
        let (observers, span) = self.observe(exporter, &session, (client, server));
        closed.span = span;
        let context = self.context(
            client,
            &session,
            &chain,
            drain.clone(),
            (activity, observers),
        );
        drop(chain);
        let mut serving = self.serve_protocol(stream, &session, context, (client, server));
        let outcome = tokio::select! {
            biased;
            outcome = &mut serving => outcome,
            () = &mut cut => Outcome::Cut,
        };
        // Before it is recorded: a reader of the record sees the sockets closed.
        drop(serving);
        closed.traffic = traffic.totals();
        closed.refused_alert = traffic.refused().map(AlertDescription::from);
        closed.ended(outcome, &drain);
    }

    /// Boxed per protocol: a connection holds only the state of its own protocol.
    fn serve_protocol<IO>(
        &self,
        stream: TlsStream<IO>,
        session: &Session,
        context: Context,
        (client, server): (SocketAddr, Option<SocketAddr>),
    ) -> ConnectionFuture
    where
        IO: Transport + 'static,
    {
        match (self.front.settings.protocol, session.alpn) {
            (Protocol::Tcp, _) => {
                let wanted = self.front.settings.upstream_proxy_protocol;
                let preface = preface(wanted, client, server, session);
                Box::pin(tunnel::relay(stream, context, preface))
            }
            (Protocol::Tunnel, _) => {
                let visitor = Visitor::new(client, server, session);
                let own = Arc::clone(&self.front.own_ports);
                Box::pin(port_tunnel::serve(stream, context, own, visitor))
            }
            (Protocol::Http, Alpn::Http1) => Box::pin(http1::serve(stream, context)),
            (Protocol::Http, Alpn::Http2) => Box::pin(http2::serve(stream, Arc::new(context))),
        }
    }

    fn context(
        &self,
        client: SocketAddr,
        session: &Session,
        chain: &[CertificateDer<'_>],
        drain: Watch,
        (activity, observers): (Arc<Activity>, Option<Box<Observers>>),
    ) -> Context {
        Context {
            settings: Arc::clone(&self.front.settings),
            upstream: Arc::clone(&self.upstream),
            targets: None,
            metrics: Arc::clone(&self.front.log.metrics),
            failures: Arc::clone(&self.front.failures),
            identity: ForwardedHeaders::new(
                client.ip(),
                certificate_fields(
                    &self.front.settings.identity,
                    session.peer.as_deref(),
                    chain,
                ),
                session.group.name(),
                self.front.settings.forwarded,
            ),
            signature: self.front.signature.clone(),
            streams: self.front.streams.clone(),
            observers,
            responses: self.front.responses.clone(),
            drain,
            activity,
            load: Arc::clone(&self.load),
            scheduler: Arc::clone(&self.scheduler),
        }
    }
}

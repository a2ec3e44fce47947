//! `hybridge inject serve`: the webhook's listener with hybrid TLS and certificates that follow their
//! files, its plaintext admin port, and its end. Needs no API access, no token and no other service.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use prometheus::IntGauge;
use tokio::time::{sleep, timeout};

use super::cli::ServeArgs;
use super::connection::{self, Reviews, Work};
use super::error::Error;
use super::observe::{self, Observed};
use super::webhook::Webhook;
use crate::admin;
use crate::drain::{Drain, Phase, Watch};
use crate::io::TrafficCounters;
use crate::listener::{self, Accepted, Listener};
use crate::metrics::{HandshakeSample, ListenerMetrics, Metrics, PanickedTask};
use crate::panics;
use crate::proxy::connection::shed_reason;
use crate::run::announce;
use crate::tls::credentials::CertificateFacts;
use crate::tls::error::HandshakeError;
use crate::tls::handshake::{self, Session};
use crate::tls::policy::{Mode, TlsPolicy};
use crate::tls::queue::HandshakeQueue;
use crate::tls::reload::{
    CredentialStore, ReloadError, ReloadHandle, ReloadObserver, ReloadSettings, Reloader,
};
use crate::tls::server::TlsServer;
use crate::tls::{self};

/// Names of the webhook's listener and of its admin port in metrics.
const LISTENER: &str = "webhook";
const ADMIN: &str = "admin";
/// How a connection ends: with a handshake, without one, to make room for another, or by a panic.
const CLOSED: &str = "closed";
const HANDSHAKE_FAILED: &str = "handshake_failed";
const SHED: &str = "shed";
const INTERNAL: &str = "internal";
/// Connections at once; the API servers of a cluster need a handful. Beyond it an idle one makes room.
const MAX_CONNECTIONS: usize = 256;
/// From the accepted connection to the finished handshake.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(5);
/// Between "not ready" and "no new connections": the Service has to notice.
const LAME: Duration = Duration::from_secs(3);
/// For requests that are under way after that.
const FINISH: Duration = Duration::from_secs(10);
/// Length of the kernel's queue of connections not yet accepted.
const BACKLOG: i32 = 1024;

/// The webhook, bound to its ports and not yet serving.
pub struct Server {
    listener: Listener,
    admin: Listener,
    shared: Arc<Shared>,
    observed: Arc<Observed>,
    drain: Drain,
    store: Arc<CredentialStore>,
}

struct Shared {
    tls: TlsServer,
    queue: Arc<HandshakeQueue>,
    metrics: ListenerMetrics,
    traffic: TrafficCounters,
    reviews: Arc<Reviews>,
}

impl Server {
    /// Loads the certificates and binds both ports; any failure is a start error.
    #[expect(
        clippy::unused_async,
        reason = "it binds sockets, so it must be called in a runtime"
    )]
    pub async fn bind(args: &ServeArgs) -> Result<Self, Error> {
        let store = Arc::new(
            CredentialStore::load(&args.cert, &args.key)
                .map_err(|e| start("load the certificate", e))?,
        );
        for warning in store.current().iter().flat_map(|pair| pair.warnings()) {
            tracing::warn!("{warning}");
        }
        let metrics = Arc::new(Metrics::new().map_err(|e| start("register the metrics", e))?);
        let webhook = Webhook::new(args.settings.clone(), &metrics)
            .map_err(|e| start("register the metrics", e))?;
        let shared = Shared::new(&store, &metrics, webhook)?;
        let drain = Drain::default();
        let observed = Observed::new(Arc::clone(&metrics), Arc::clone(&store), drain.observe());
        Ok(Self {
            listener: bind(&webhook_socket(args.listen), &metrics)?,
            admin: bind(
                &admin::connection::settings(ADMIN, "--admin", vec![args.admin]),
                &metrics,
            )?,
            shared: Arc::new(shared),
            observed: Arc::new(observed),
            drain,
            store,
        })
    }

    /// Where the webhook listens.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        first_address(&self.listener)
    }

    /// Where /livez, /readyz and /metrics are.
    pub fn admin_addr(&self) -> io::Result<SocketAddr> {
        first_address(&self.admin)
    }

    /// Serves until `shutdown` completes, then lets requests under way finish.
    pub async fn run(self, shutdown: impl Future<Output = ()>) {
        let _reloading = self.follow_certificates();
        let admin = tokio::spawn(observe::serve(self.admin, self.observed));
        let accepting = tokio::spawn(accept(
            self.listener,
            Arc::clone(&self.shared),
            self.drain.clone(),
        ));
        shutdown.await;
        tracing::info!("shutting down");
        self.drain.advance(Phase::Lame);
        sleep(LAME).await;
        self.drain.advance(Phase::Draining);
        accepting.abort();
        if timeout(FINISH, self.drain.finished()).await.is_err() {
            tracing::warn!(open = self.drain.open(), "requests were cut");
        }
        admin.abort();
    }

    fn follow_certificates(&self) -> ReloadHandle {
        let observer = Arc::new(Follow {
            shared: Arc::clone(&self.shared),
            metrics: Arc::clone(self.observed.metrics()),
        });
        if let Some(current) = self.store.current() {
            let not_after = current.facts().not_after;
            self.shared.metrics.set_certificate_expiry(not_after);
        }
        let (reloader, handle) = Reloader::new(
            vec![Arc::clone(&self.store)],
            ReloadSettings::default(),
            observer,
        );
        tokio::spawn(reloader.run());
        handle
    }
}

fn start(what: &str, error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::Serve {
        what: format!("cannot {what}"),
        source: io::Error::other(error),
    }
}

fn webhook_socket(address: SocketAddr) -> listener::Settings {
    listener::Settings {
        name: LISTENER.to_owned(),
        setting: "--listen",
        addresses: vec![address],
        max_connections: MAX_CONNECTIONS,
        loopback_connections: None,
        backlog: BACKLOG,
    }
}

fn bind(settings: &listener::Settings, metrics: &Metrics) -> Result<Listener, Error> {
    Listener::bind(settings, listener::counters(metrics, &settings.name))
        .map_err(|e| start("listen", e))
}

fn first_address(listener: &Listener) -> io::Result<SocketAddr> {
    let first = listener.addresses().first().copied();
    first.ok_or_else(|| io::ErrorKind::AddrNotAvailable.into())
}

impl Shared {
    fn new(
        store: &Arc<CredentialStore>,
        metrics: &Arc<Metrics>,
        webhook: Webhook,
    ) -> Result<Self, Error> {
        let settings = tls::Settings {
            policy: TlsPolicy::new(Mode::HybridPreferred, None, None)
                .map_err(|e| start("set the policy", e))?,
            cert: store.cert_path().to_owned(),
            key: store.key_path().to_owned(),
            wait_for_certificate: false,
            handshake_timeout: HANDSHAKE_TIMEOUT,
            max_handshakes: MAX_CONNECTIONS,
            tickets: 1,
        };
        let certificates: Arc<dyn rustls::server::ResolvesServerCert> = Arc::clone(store) as _;
        let tls = TlsServer::new(&settings, &certificates, &[b"h2", b"http/1.1"])
            .map_err(|e| start("prepare TLS", e))?;
        tls.warm_up();
        let metrics = metrics.listener(LISTENER);
        metrics.announce(
            &HandshakeError::REASONS,
            &[CLOSED, HANDSHAKE_FAILED, SHED, INTERNAL],
            &[],
        );
        announce(&metrics, tls.policy());
        let traffic = TrafficCounters {
            wire_in: metrics.wire.inward.clone(),
            wire_out: metrics.wire.outward.clone(),
            payload_in: metrics.payload.inward.clone(),
            payload_out: metrics.payload.outward.clone(),
        };
        Ok(Self {
            queue: tls.queue(1),
            tls,
            metrics,
            traffic,
            reviews: Reviews::new(webhook),
        })
    }
}

/// Accepts until the task is aborted.
async fn accept(mut listener: Listener, shared: Arc<Shared>, drain: Drain) {
    loop {
        let accepted = listener.accept().await;
        let work = panics::caught(handle_connection(
            accepted,
            Arc::clone(&shared),
            drain.watch(),
        ));
        let shared = Arc::clone(&shared);
        tokio::spawn(async move {
            if work.await.is_err() {
                shared.metrics.panicked(PanickedTask::Connection);
                shared.metrics.closed(INTERNAL);
            }
        });
    }
}

async fn handle_connection(accepted: Accepted, shared: Arc<Shared>, watch: Watch) {
    let Accepted {
        stream,
        client,
        permit,
    } = accepted;
    let _open = Open::new(&shared.metrics.open);
    let handshake = Box::pin(handshake::accept(
        stream,
        client.ip(),
        &shared.tls,
        &shared.queue,
        shared.traffic.clone(),
    ));
    let secured = tokio::select! {
        biased;
        secured = handshake => secured,
        () = permit.activity().shed() => return shared.metrics.closed(SHED),
    };
    match secured {
        Ok((stream, session)) => {
            shared.metrics.handshake(&sample(&session));
            let work = Arc::new(Work::new(Arc::clone(permit.activity())));
            let reviews = Arc::clone(&shared.reviews);
            connection::serve(stream, session.alpn, reviews, watch, work).await;
            shared.metrics.closed(CLOSED);
        }
        Err(failure) => {
            let reason = failure.error.reason();
            shared.metrics.handshake_failed(reason);
            if let Some(reason) = shed_reason(&failure.error) {
                shared.metrics.shed(reason);
            }
            shared.metrics.closed(HANDSHAKE_FAILED);
            tracing::info!(%client, reason, error = %failure.error, "no handshake");
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

/// Counts a connection while it lives.
struct Open(IntGauge);

impl Open {
    fn new(gauge: &IntGauge) -> Self {
        gauge.inc();
        Self(gauge.clone())
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// Puts reloads into metrics; the reloader logs them.
struct Follow {
    shared: Arc<Shared>,
    metrics: Arc<Metrics>,
}

impl ReloadObserver for Follow {
    fn panicked(&self) {
        self.metrics.panicked(PanickedTask::Reload);
    }

    fn reloaded(&self, _: &CredentialStore, result: Result<&CertificateFacts, &ReloadError>) {
        self.metrics.credential_reload(result.is_ok());
        if let Ok(facts) = result {
            self.shared.metrics.set_certificate_expiry(facts.not_after);
        }
    }
}

/// Whether the certificate in use can still be served.
pub(crate) fn certificate_is_valid(store: &CredentialStore) -> bool {
    !matches!(
        store.health(SystemTime::now()),
        tls::reload::Health::Expired { .. } | tls::reload::Health::Missing(_)
    )
}

//! `hybridge inject serve`: the webhook's listener with hybrid TLS and certificates that follow their
//! files, its plaintext admin port, and its end. Needs no API access, no token and no other service.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use prometheus::IntGauge;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{sleep, timeout};

use super::cli::ServeArgs;
use super::connection::{self, Reviews};
use super::error::Error;
use super::observe::{self, Observed};
use super::webhook::Webhook;
use crate::drain::{Drain, Phase};
use crate::io::TrafficCounters;
use crate::listener::accept_reason;
use crate::metrics::{HandshakeSample, ListenerMetrics, Metrics};
use crate::run::announce;
use crate::tls::credentials::CertificateFacts;
use crate::tls::error::HandshakeError;
use crate::tls::handshake::{self, Session};
use crate::tls::policy::{Mode, TlsPolicy};
use crate::tls::reload::{
    CredentialStore, ReloadError, ReloadHandle, ReloadObserver, ReloadSettings, Reloader,
};
use crate::tls::server::TlsServer;
use crate::tls::{self};

/// Name of the webhook's listener in metrics.
const LISTENER: &str = "webhook";
/// The one outcome of a connection with a handshake.
const CLOSED: &str = "closed";
/// Connections at once; the API servers of a cluster need a handful.
const MAX_CONNECTIONS: usize = 256;
/// From the accepted connection to the finished handshake.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(5);
/// Between "not ready" and "no new connections": the Service has to notice.
const LAME: Duration = Duration::from_secs(3);
/// For requests that are under way after that.
const FINISH: Duration = Duration::from_secs(10);
/// Pause after an error of accept(2), such as too many open files.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The webhook, bound to its ports and not yet serving.
pub struct Server {
    listener: TcpListener,
    admin: TcpListener,
    shared: Arc<Shared>,
    observed: Arc<Observed>,
    drain: Drain,
    store: Arc<CredentialStore>,
}

struct Shared {
    tls: TlsServer,
    metrics: ListenerMetrics,
    traffic: TrafficCounters,
    reviews: Arc<Reviews>,
}

impl Server {
    /// Loads the certificates and binds both ports; any failure is a start error.
    pub async fn bind(args: &ServeArgs) -> Result<Self, Error> {
        let store = Arc::new(
            CredentialStore::load(&args.cert, &args.key)
                .map_err(|e| start("load the certificate", e))?,
        );
        let metrics = Arc::new(Metrics::new().map_err(|e| start("register the metrics", e))?);
        let webhook = Webhook::new(args.settings.clone(), &metrics)
            .map_err(|e| start("register the metrics", e))?;
        let shared = Shared::new(&store, &metrics, webhook)?;
        let drain = Drain::default();
        let observed = Observed::new(Arc::clone(&metrics), Arc::clone(&store), drain.observe());
        Ok(Self {
            listener: bind("the webhook", args.listen).await?,
            admin: bind("the admin port", args.admin).await?,
            shared: Arc::new(shared),
            observed: Arc::new(observed),
            drain,
            store,
        })
    }

    /// Where the webhook listens.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Where /livez, /readyz and /metrics are.
    pub fn admin_addr(&self) -> io::Result<SocketAddr> {
        self.admin.local_addr()
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
        self.shared
            .metrics
            .set_certificate_expiry(self.store.current().facts().not_after);
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

async fn bind(what: &str, address: SocketAddr) -> Result<TcpListener, Error> {
    let failed = |source| Error::Serve {
        what: format!("cannot listen on {address} for {what}"),
        source,
    };
    TcpListener::bind(address).await.map_err(failed)
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
            handshake_timeout: HANDSHAKE_TIMEOUT,
            max_handshakes: MAX_CONNECTIONS,
            tickets: 1,
        };
        let certificates: Arc<dyn rustls::server::ResolvesServerCert> = Arc::clone(store) as _;
        let tls = TlsServer::new(&settings, &certificates, &[b"h2", b"http/1.1"])
            .map_err(|e| start("prepare TLS", e))?;
        tls.warm_up();
        let metrics = metrics.listener(LISTENER);
        metrics.announce(&HandshakeError::REASONS, &[CLOSED], &[]);
        announce(&metrics, tls.policy());
        let traffic = TrafficCounters {
            wire_in: metrics.wire.inward.clone(),
            wire_out: metrics.wire.outward.clone(),
            payload_in: metrics.payload.inward.clone(),
            payload_out: metrics.payload.outward.clone(),
        };
        Ok(Self {
            tls,
            metrics,
            traffic,
            reviews: Reviews::new(webhook),
        })
    }
}

/// Accepts for ever; an error of accept(2) is counted and the loop goes on.
async fn accept(listener: TcpListener, shared: Arc<Shared>, drain: Drain) {
    let slots = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    loop {
        let Ok(slot) = Arc::clone(&slots).acquire_owned().await else {
            return;
        };
        match listener.accept().await {
            Ok((stream, _)) => {
                tokio::spawn(converse(stream, Arc::clone(&shared), drain.clone(), slot));
            }
            Err(error) => {
                shared.metrics.accept_failed(accept_reason(&error));
                tracing::warn!(%error, "cannot accept a connection");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn converse(
    stream: TcpStream,
    shared: Arc<Shared>,
    drain: Drain,
    slot: OwnedSemaphorePermit,
) {
    let watch = drain.watch();
    let _open = Open::new(&shared.metrics.open);
    let _ = stream.set_nodelay(true);
    match handshake::accept(stream, &shared.tls, shared.traffic.clone()).await {
        Ok((stream, session)) => {
            shared.metrics.handshake(&sample(&session));
            connection::serve(stream, session.alpn, Arc::clone(&shared.reviews), watch).await;
            shared.metrics.closed(CLOSED);
        }
        Err(failure) => {
            shared.metrics.handshake_failed(failure.error.reason());
            tracing::info!(reason = failure.error.reason(), error = %failure.error, "no handshake");
        }
    }
    drop(slot);
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

/// Puts reloads into metrics and log.
struct Follow {
    shared: Arc<Shared>,
    metrics: Arc<Metrics>,
}

impl ReloadObserver for Follow {
    fn reloaded(&self, _: &CredentialStore, result: Result<&CertificateFacts, &ReloadError>) {
        self.metrics.credential_reload(result.is_ok());
        match result {
            Ok(facts) => self.shared.metrics.set_certificate_expiry(facts.not_after),
            Err(error) => {
                tracing::warn!(reason = error.reason, %error, "the certificate was not reloaded");
            }
        }
    }
}

/// Whether the certificate in use can still be served.
pub(crate) fn certificate_is_valid(store: &CredentialStore) -> bool {
    !matches!(
        store.health(SystemTime::now()),
        tls::reload::Health::Expired { .. }
    )
}

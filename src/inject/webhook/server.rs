//! `hybridge inject serve`: the webhook's listener with hybrid TLS and certificates that follow their
//! files, its plaintext admin port, and its end. Needs no API access, no token and no other service.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{sleep, timeout};

use super::accept::{Shared, accept};
use super::admin::{self, AdminState};
use super::respond::Webhook;
use super::work::Owing;
use crate::admin::connection;
use crate::drain::{Drain, Phase};
use crate::inject::cli::ServeArgs;
use crate::inject::error::Error;
use crate::listener::{self, Listener};
use crate::metrics::{Metrics, PanickedTask};
use crate::tls::credentials::{CertificateFacts, rfc3339};
use crate::tls::reload::{
    CredentialStore, ReloadError, ReloadHandle, ReloadObserver, ReloadSettings, Reloader,
};

/// Names of the webhook's listener and of its admin port in metrics.
const LISTENER: &str = "webhook";
const ADMIN: &str = "admin";
/// Connections at once; the API servers of a cluster need a handful. Beyond it an idle one makes room.
const MAX_CONNECTIONS: usize = 256;
/// Between "not ready" and "no new connections": the Service has to notice.
const LAME_DUCK: Duration = Duration::from_secs(3);
/// For requests that are under way after that.
const FINISH: Duration = Duration::from_secs(10);
/// Length of the kernel's queue of connections not yet accepted.
const BACKLOG: i32 = 1024;

/// The webhook, bound to its ports and not yet serving.
pub struct Server {
    listener: Listener,
    admin: Listener,
    shared: Arc<Shared>,
    admin_state: Arc<AdminState>,
    drain: Drain,
    store: Arc<CredentialStore>,
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
                .map_err(|e| Error::start("load the certificate", e))?,
        );
        for warning in store.current().iter().flat_map(|pair| pair.warnings()) {
            tracing::warn!("{warning}");
        }
        let metrics =
            Arc::new(Metrics::new().map_err(|e| Error::start("register the metrics", e))?);
        let versions = crate::build::VERSIONS;
        metrics
            .set_build_info(versions.hybridge, versions.rustls, versions.aws_lc)
            .map_err(|e| Error::start("register the metrics", e))?;
        let webhook = Webhook::new(args.settings.clone(), &metrics)
            .map_err(|e| Error::start("register the metrics", e))?;
        let shared = Shared::new(LISTENER, MAX_CONNECTIONS, &store, &metrics, webhook)?;
        let drain = Drain::default();
        let admin_state =
            AdminState::new(Arc::clone(&metrics), Arc::clone(&store), drain.observe());
        Ok(Self {
            listener: bind(&webhook_socket(args.listen), &metrics)?,
            admin: bind(
                &connection::settings(ADMIN, "--admin", vec![args.admin]),
                &metrics,
            )?,
            shared: Arc::new(shared),
            admin_state: Arc::new(admin_state),
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

    /// When the certificate in use ends.
    pub(crate) fn certificate_until(&self) -> Option<String> {
        let current = self.store.current()?;
        Some(rfc3339(current.facts().not_after))
    }

    /// The requests whose clients have not got their response.
    pub(crate) fn owed(&self) -> Owing {
        self.shared.reviews.owed().clone()
    }

    /// Serves until `shutdown` completes, then lets requests under way finish; an error says how many did not.
    pub async fn run(self, shutdown: impl Future<Output = ()>) -> Result<(), Error> {
        let (_reloading, owed) = (self.follow_certificates(), self.owed());
        let admin = tokio::spawn(admin::serve(self.admin, self.admin_state));
        let accepting = tokio::spawn(accept(
            self.listener,
            Arc::clone(&self.shared),
            self.drain.clone(),
        ));
        shutdown.await;
        tracing::info!("shutting down");
        self.drain.advance(Phase::LameDuck);
        sleep(LAME_DUCK).await;
        self.drain.advance(Phase::Draining);
        accepting.abort();
        let _ = timeout(FINISH, self.drain.finished()).await;
        admin.abort();
        // Not the connections: one that owes nothing loses nothing.
        match owed.requests() {
            0 => Ok(()),
            open => {
                tracing::warn!(open, "requests were cut");
                Err(Error::Unfinished(open))
            }
        }
    }

    fn follow_certificates(&self) -> ReloadHandle {
        let observer = Arc::new(ReloadMetrics {
            shared: Arc::clone(&self.shared),
            metrics: Arc::clone(self.admin_state.metrics()),
        });
        if let Some(current) = self.store.current() {
            let facts = current.facts();
            let metrics = &self.shared.metrics;
            metrics.set_certificate_validity(facts.not_before, facts.not_after);
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

fn webhook_socket(address: SocketAddr) -> listener::Settings {
    listener::Settings {
        name: LISTENER.to_owned(),
        setting: "--listen",
        addresses: vec![address],
        unix: listener::UnixSockets::default(),
        max_connections: MAX_CONNECTIONS,
        loopback_connections: None,
        backlog: BACKLOG,
    }
}

fn bind(settings: &listener::Settings, metrics: &Metrics) -> Result<Listener, Error> {
    Listener::bind(settings, listener::counters(metrics, &settings.name))
        .map_err(|e| Error::start("listen", e))
}

fn first_address(listener: &Listener) -> io::Result<SocketAddr> {
    let first = listener.addresses().first().copied();
    first.ok_or_else(|| io::ErrorKind::AddrNotAvailable.into())
}

/// Puts reloads into metrics; the reloader logs them.
struct ReloadMetrics {
    shared: Arc<Shared>,
    metrics: Arc<Metrics>,
}

impl ReloadObserver for ReloadMetrics {
    fn panicked(&self) {
        self.metrics.panicked(PanickedTask::Reload);
    }

    fn reloaded(&self, _: &CredentialStore, result: Result<&CertificateFacts, &ReloadError>) {
        self.metrics.credential_reload(result.is_ok());
        if let Ok(facts) = result {
            self.shared
                .metrics
                .set_certificate_validity(facts.not_before, facts.not_after);
        }
    }
}

//! A `Config` becomes a running sidecar: listeners, reloader and admin port.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::sync::{Notify, Semaphore};
use tokio::task::JoinHandle;

use super::commands::Commands;
use super::error::Error;
use super::inspect::budget;
use super::ready::Ready;
use super::series::expiry;
use crate::admin::{self, Admin, MAX_PROTECTED_PROBES, Waiters};
use crate::config::Config;
use crate::drain::Drain;
use crate::metrics::{ListenerMetrics, Metrics, PanickedTask};
use crate::panics::OnPanic;
use crate::probes::ProbeTable;
use crate::proxy::UpstreamPermits;
use crate::tls::certificates::CertificateSet;
use crate::tls::credentials::CertificateFacts;
use crate::tls::reload::{
    CredentialStore, FileObserver, FileReloader, ReloadError, ReloadHandle, ReloadObserver,
    ReloadSettings, Reloader,
};
use crate::tls::trust::TrustStore;
use crate::worker::Workers;

/// A running sidecar.
pub struct Sidecar {
    listeners: Vec<Bound>,
    admin_addresses: Vec<SocketAddr>,
    pub(super) drain: Drain,
    pub(super) drain_settings: crate::drain::Settings,
    pub(super) metrics: Arc<Metrics>,
    pub(super) reload: ReloadHandle,
    /// Asks for a look at the authorities for clients and the ticket keys.
    pub(super) reload_files: Arc<Notify>,
    pub(super) commands: Commands,
    pub(super) tasks: Vec<JoinHandle<()>>,
    /// Connections live on them after the listeners have ended.
    _workers: Arc<Workers>,
}

struct Bound {
    name: String,
    addresses: Vec<SocketAddr>,
}

impl Sidecar {
    /// Loads every certificate and binds every address before the first connection is accepted.
    /// The runtime this is called in is the first worker.
    pub fn start(config: Config) -> Result<Self, Error> {
        let budget = budget(&config);
        let (warnings, note) = (budget.warnings(), budget.note());
        let Config {
            admin,
            probes,
            drain: drain_settings,
            listeners,
            workers,
            log: _,
        } = config;
        let probes = match probes {
            Some(text) => ProbeTable::from_json(&text)?,
            None => ProbeTable::default(),
        };
        let metrics = Arc::new(Metrics::new()?);
        let versions = crate::build::VERSIONS;
        metrics.set_build_info(versions.hybridge, versions.rustls, versions.aws_lc)?;
        let drain = Drain::default();
        let counted = Arc::clone(&metrics);
        let panicked: OnPanic = Arc::new(move || counted.panicked(PanickedTask::Worker));
        let workers = Workers::start(workers, &panicked).map_err(Error::Runtime)?;
        let workers = Arc::new(workers);
        let permits = UpstreamPermits::new(budget.upstream_sockets());
        let mut ready = Vec::new();
        for (mut listener, connections) in listeners.into_iter().zip(budget.connections) {
            listener.socket.max_connections = connections;
            ready.push(Ready::prepare(listener, &metrics, &workers, &permits)?);
        }
        let admin = admin::Port::bind(&admin, &metrics)?;
        let ((reloader, reload), (of_files, reload_files)) = reloaders(&ready, &metrics);
        let (commands, sender) = Commands::new();
        let state = Admin {
            metrics: Arc::clone(&metrics),
            drain: drain.clone(),
            listeners: ready.iter().map(Ready::status).collect(),
            commands: sender,
            probes,
            waiters: Waiters::new(&drain_settings),
            protected_probes: Semaphore::new(MAX_PROTECTED_PROBES),
        };
        let admin_addresses = admin.addresses();
        let mut tasks = vec![
            tokio::spawn(reloader.run()),
            tokio::spawn(of_files.run()),
            tokio::spawn(admin.run(state)),
        ];
        tracing::info!(
            version = versions.hybridge,
            rustls = versions.rustls,
            aws_lc = versions.aws_lc,
            "starting"
        );
        let mut bound = Vec::new();
        for listener in ready {
            listener.announce();
            bound.push(Bound {
                name: listener.name.clone(),
                addresses: listener.listener.addresses(),
            });
            tasks.push(listener.spawn(&drain, &workers));
        }
        for warning in warnings {
            tracing::warn!("{warning}");
        }
        if let Some(note) = note {
            tracing::info!("{note}");
        }
        tracing::info!(addresses = ?admin_addresses, "admin port");
        Ok(Self {
            listeners: bound,
            admin_addresses,
            drain,
            drain_settings,
            metrics,
            reload,
            reload_files,
            commands,
            tasks,
            _workers: workers,
        })
    }

    /// Where a listener listens; empty for a name there is not.
    pub fn addresses(&self, listener: &str) -> &[SocketAddr] {
        self.listeners
            .iter()
            .find(|bound| bound.name == listener)
            .map_or(&[], |bound| &bound.addresses)
    }

    /// Where the admin port listens.
    pub fn admin_addresses(&self) -> &[SocketAddr] {
        &self.admin_addresses
    }

    /// Looks at the certificate files now, as SIGHUP does.
    pub fn reload(&self) -> &ReloadHandle {
        &self.reload
    }
}

/// The tasks that keep certificates and other files up to date, and how each is asked for a look.
fn reloaders(
    ready: &[Ready],
    metrics: &Arc<Metrics>,
) -> ((Reloader, ReloadHandle), (FileReloader, Arc<Notify>)) {
    let observer = Arc::new(Observer {
        metrics: Arc::clone(metrics),
        listeners: ready.iter().map(Ready::observed).collect(),
        trust: ready.iter().filter_map(Ready::observed_trust).collect(),
    });
    let stores = ready.iter().flat_map(|ready| ready.certificates.stores());
    let stores = stores.map(Arc::clone).collect();
    let files = ready.iter().flat_map(Ready::watched).collect();
    let settings = ReloadSettings::default();
    let of_files = FileReloader::new(files, settings, Arc::clone(&observer) as _);
    (Reloader::new(stores, settings, observer), of_files)
}

/// Turns reloads into metrics.
struct Observer {
    metrics: Arc<Metrics>,
    listeners: Vec<(Arc<CertificateSet>, Arc<ListenerMetrics>)>,
    trust: Vec<(Arc<TrustStore>, Arc<ListenerMetrics>)>,
}

impl FileObserver for Observer {
    fn panicked(&self) {
        self.metrics.panicked(PanickedTask::Reload);
    }

    fn reloaded(&self, ok: bool) {
        self.metrics.credential_reload(ok);
        for (trust, metrics) in &self.trust {
            if let Some(next_update) = trust.current().next_update() {
                metrics.set_crl_next_update(next_update);
            }
        }
    }
}

impl ReloadObserver for Observer {
    fn panicked(&self) {
        self.metrics.panicked(PanickedTask::Reload);
    }

    fn reloaded(&self, store: &CredentialStore, result: Result<&CertificateFacts, &ReloadError>) {
        self.metrics.credential_reload(result.is_ok());
        if result.is_err() {
            return;
        }
        for (certificates, metrics) in &self.listeners {
            let mut stores = certificates.stores();
            if stores.any(|watched| std::ptr::eq(Arc::as_ptr(watched), store)) {
                expiry(metrics, certificates);
            }
        }
    }
}

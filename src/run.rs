//! Wiring: a `Config` becomes listeners, reloader, admin port and their orderly end. The only place
//! that knows everything.

mod dispatch;
mod inspect;
mod lifecycle;
mod logging;
mod ready;
mod series;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

use self::lifecycle::Commands;
pub use self::lifecycle::{End, Signals};
use self::ready::Ready;
use crate::admin::{self, Admin, MAX_PROTECTED_PROBES, Waiters};
use crate::config::Config;
use crate::drain::Drain;
use crate::listener::BindError;
use crate::metrics::{ListenerMetrics, Metrics, PanickedTask};
use crate::probes::{ProbeTable, ProbeTableError};
use crate::tls::credentials::{CertificateFacts, CredentialError};
use crate::tls::reload::{
    CredentialStore, ReloadError, ReloadHandle, ReloadObserver, ReloadSettings, Reloader,
};
use crate::worker::{self, Workers};

pub use self::inspect::{budget, describe_certificates};
pub use self::logging::init as init_logging;
pub(crate) use self::series::announce;

/// Why a run did not start.
#[derive(Debug, Error)]
pub enum Error {
    /// An address could not be bound.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// A certificate or key is of no use.
    #[error("listener `{listener}`: {source}")]
    Credentials {
        /// The listener's name.
        listener: String,
        /// What is wrong with which file.
        source: Box<CredentialError>,
    },
    /// Metrics could not be registered.
    #[error("metrics: {0}")]
    Metrics(#[from] prometheus::Error),
    /// The probe table is not one.
    #[error("probes: {0}")]
    Probes(#[from] ProbeTableError),
    /// The runtime could not be built.
    #[error("cannot start worker threads: {0}")]
    Runtime(#[source] std::io::Error),
    /// Signal handlers could not be installed.
    #[error("cannot install signal handlers: {0}")]
    Signals(#[source] std::io::Error),
    /// rustls refused the settings of a listener.
    #[error("listener `{listener}`: TLS settings: {source}")]
    Tls {
        /// The listener's name.
        listener: String,
        /// What rustls says.
        source: rustls::Error,
    },
}

impl Error {
    /// Whether the configuration is to blame (exit code 64) rather than the world (1).
    pub fn is_configuration(&self) -> bool {
        matches!(
            self,
            Self::Credentials { .. } | Self::Probes(_) | Self::Tls { .. }
        )
    }
}

/// Runs until a signal or `ctl quit` ends it. Blocks; builds its own runtime.
pub fn run(config: Config) -> Result<End, Error> {
    let runtime = worker::runtime().map_err(Error::Runtime)?;
    let end = runtime.block_on(async {
        // Before anything else: as PID 1 a signal without a handler is lost.
        let signals = Signals::install().map_err(Error::Signals)?;
        let sidecar = Sidecar::start(config)?;
        Ok(sidecar.until_signalled(signals).await)
    });
    // A look at a certificate file that hangs must not hold up the end.
    runtime.shutdown_timeout(LAST_TASKS);
    end
}

/// How long the end waits for tasks that block a thread.
const LAST_TASKS: Duration = Duration::from_millis(500);

/// A running sidecar.
pub struct Sidecar {
    listeners: Vec<Bound>,
    admin_addresses: Vec<SocketAddr>,
    drain: Drain,
    drain_settings: crate::drain::Settings,
    metrics: Arc<Metrics>,
    reload: ReloadHandle,
    commands: Commands,
    tasks: Vec<JoinHandle<()>>,
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
        let workers = Arc::new(Workers::start(workers).map_err(Error::Runtime)?);
        let mut ready = Vec::new();
        for (mut listener, connections) in listeners.into_iter().zip(budget.connections) {
            listener.socket.max_connections = connections;
            ready.push(Ready::prepare(listener, &metrics, &workers)?);
        }
        let admin = admin::Port::bind(&admin, &metrics)?;
        let stores: Vec<_> = ready.iter().map(|r| Arc::clone(&r.store)).collect();
        let observer = Arc::new(Observer {
            metrics: Arc::clone(&metrics),
            listeners: ready.iter().map(Ready::observed).collect(),
        });
        let (reloader, reload) = Reloader::new(stores, ReloadSettings::default(), observer);
        let (commands, orders) = Commands::new();
        let state = Admin {
            metrics: Arc::clone(&metrics),
            drain: drain.clone(),
            listeners: ready.iter().map(Ready::status).collect(),
            orders,
            probes,
            waiters: Waiters::new(&drain_settings),
            protected_probes: Semaphore::new(MAX_PROTECTED_PROBES),
        };
        let admin_addresses = admin.addresses();
        let mut tasks = vec![tokio::spawn(reloader.run()), tokio::spawn(admin.run(state))];
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

/// Turns reloads into metrics.
struct Observer {
    metrics: Arc<Metrics>,
    listeners: Vec<(Arc<CredentialStore>, Arc<ListenerMetrics>)>,
}

impl ReloadObserver for Observer {
    fn panicked(&self) {
        self.metrics.panicked(PanickedTask::Reload);
    }

    fn reloaded(&self, store: &CredentialStore, result: Result<&CertificateFacts, &ReloadError>) {
        self.metrics.credential_reload(result.is_ok());
        let Ok(facts) = result else { return };
        for (watched, metrics) in &self.listeners {
            if std::ptr::eq(Arc::as_ptr(watched), store) {
                metrics.set_certificate_expiry(facts.not_after);
            }
        }
    }
}

//! Wiring: a `Config` becomes listeners, reloader, admin port and their orderly end. The only place
//! that knows everything.

mod dispatch;
mod lifecycle;
mod logging;
mod series;

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rustls::server::ResolvesServerCert;
use thiserror::Error;
use tokio::task::JoinHandle;

use self::dispatch::Dispatcher;
use self::lifecycle::Commands;
pub use self::lifecycle::{End, Signals};
use crate::admin::{self, Admin, Waiters};
use crate::budget::{Budget, Demand, Resources};
use crate::config::{Config, ListenerConfig};
use crate::drain::Drain;
use crate::listener::{self, BindError, Listener};
use crate::metrics::{ListenerMetrics, Metrics, PanickedTask};
use crate::probes::{ProbeTable, ProbeTableError};
use crate::proxy::connection::{Front, Service};
use crate::tls::credentials::{
    CertificateFacts, CredentialError, Credentials, Warning, rfc3339, unix_seconds,
};
use crate::tls::reload::{
    CredentialStore, ReloadError, ReloadHandle, ReloadObserver, ReloadSettings, Reloader,
};
use crate::worker::{self, Worker, Workers};

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

/// Loads every certificate of a configuration and describes it, as TOML comments; and warnings.
pub fn describe_certificates(config: &Config) -> Result<(String, Vec<String>), Error> {
    let mut text = String::new();
    let mut warnings = Vec::new();
    for listener in &config.listeners {
        let name = &listener.socket.name;
        let pair = Credentials::load(&listener.tls.cert, &listener.tls.key).map_err(|source| {
            Error::Credentials {
                listener: name.clone(),
                source: Box::new(source),
            }
        })?;
        let path = &listener.tls.cert;
        let soon = Warning::of_end(path, pair.facts(), unix_seconds(SystemTime::now()));
        let of_pair = pair.warnings().iter().cloned().chain(soon);
        warnings.extend(of_pair.map(|warning| format!("listener `{name}`: {warning}")));
        let facts = pair.facts();
        let _ = writeln!(
            text,
            "# certificate of `{name}`: {} ({}), names {}, valid until {}, sha256 {}",
            facts.subject,
            facts.key_algorithm,
            facts.names.join(" "),
            rfc3339(facts.not_after),
            facts.sha256,
        );
    }
    Ok((text, warnings))
}

/// What the process may hold with this configuration; raises the soft limit of descriptors.
pub fn budget(config: &Config) -> Budget {
    let admin = if config.admin.addresses.is_empty() {
        0
    } else {
        admin::NETWORK_CONNECTIONS + admin::LOOPBACK_CONNECTIONS
    };
    let demand = Demand {
        listeners: config
            .listeners
            .iter()
            .map(|listener| {
                let socket = &listener.socket;
                (socket.name.clone(), socket.max_connections)
            })
            .collect(),
        admin,
        workers: config.workers,
    };
    Budget::new(&Resources::raise_descriptors(), &demand)
}

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
        let warnings = budget.warnings();
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

/// A listener with its certificate loaded and its sockets bound.
struct Ready {
    name: String,
    listener: Listener,
    front: Arc<Front>,
    /// One for each worker, in their order.
    services: Vec<Arc<Service>>,
    store: Arc<CredentialStore>,
    config: ListenerConfig,
}

impl Ready {
    fn prepare(
        config: ListenerConfig,
        metrics: &Arc<Metrics>,
        workers: &Workers,
    ) -> Result<Self, Error> {
        let name = config.socket.name.clone();
        let store = Arc::new(credential_store(&name, &config.tls)?);
        let certificates: Arc<dyn ResolvesServerCert> = Arc::clone(&store) as _;
        let families = metrics.listener(&name);
        if let Some(current) = store.current() {
            families.set_certificate_expiry(current.facts().not_after);
            for warning in current.warnings() {
                tracing::warn!(listener = %name, "{warning}");
            }
        }
        announce(&families, &config.tls.policy);
        let front = Front::new(&name, &config.tls, &config.proxy, &certificates, families)
            .map_err(|source| Error::Tls {
                listener: name.clone(),
                source,
            })?;
        let front = Arc::new(front);
        let service = |worker: &Worker| {
            let _inside = worker.handle.enter();
            Arc::new(Service::new(&front, &worker.load, workers.count()))
        };
        Ok(Self {
            listener: Listener::bind(&config.socket, listener::counters(metrics, &name))?,
            services: workers.iter().map(service).collect(),
            front,
            name,
            store,
            config,
        })
    }

    fn observed(&self) -> (Arc<CredentialStore>, Arc<ListenerMetrics>) {
        (Arc::clone(&self.store), Arc::clone(self.front.metrics()))
    }

    fn status(&self) -> admin::ListenerStatus {
        admin::ListenerStatus {
            name: self.name.clone(),
            addresses: self.listener.addresses(),
            policy: self.config.tls.policy.clone(),
            protocol: self.config.proxy.protocol,
            upstream: self.config.proxy.upstream.to_string(),
            store: Arc::clone(&self.store),
        }
    }

    /// The start line of the listener: what it does, and until when its certificate lasts.
    fn announce(&self) {
        let current = self.store.current();
        let certificate_until = current.map(|current| rfc3339(current.facts().not_after));
        tracing::info!(
            listener = %self.name,
            addresses = ?self.listener.addresses(),
            upstream = %self.config.proxy.upstream,
            protocol = self.config.proxy.protocol.name(),
            policy = self.config.tls.policy.mode().name(),
            certificate_until = certificate_until.map(tracing::field::display),
            version = crate::build::VERSIONS.hybridge,
            "listening"
        );
    }

    fn spawn(self, drain: &Drain, workers: &Arc<Workers>) -> JoinHandle<()> {
        let metrics = Arc::clone(self.front.metrics());
        let dispatcher = Dispatcher {
            listener: self.listener,
            workers: Arc::clone(workers),
            services: self.services,
            drain: drain.clone(),
        };
        tokio::spawn(dispatcher.run(drain.entrance(), metrics))
    }
}

/// The first pair of a listener. A sidecar in a pod may be told to wait for it: it holds the port and
/// answers the app's probes meanwhile, so that a bad Secret does not restart a healthy model.
fn credential_store(name: &str, tls: &crate::tls::Settings) -> Result<CredentialStore, Error> {
    match CredentialStore::load(&tls.cert, &tls.key) {
        Ok(store) => Ok(store),
        Err(error) if tls.wait_for_certificate => {
            tracing::warn!(listener = %name, reason = error.reason(), %error, "no usable certificate yet, every handshake is refused");
            Ok(CredentialStore::waiting(&tls.cert, &tls.key, &error))
        }
        Err(source) => Err(Error::Credentials {
            listener: name.to_owned(),
            source: Box::new(source),
        }),
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
